"""Kamailio's module for tests that need it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import kemi
from tests.ksr import KSR
from tests.unit.kamailio import Server

MEET_KAMAILIO = (
    "gateway",
    "gateway.bindings",
    "gateway.proxy",
    "gateway.authentication",
    "gateway.http",
    "gateway.answers",
    "gateway.outgoing",
    "web",
    "ser",
    "ser_lists",
    "ser_xcap",
    "process",
    "requests",
    "handler",
)


@pytest.fixture
def ksr(monkeypatch: pytest.MonkeyPatch) -> Iterator[KSR]:
    """The double, in the place of Kamailio's own; the modules that import it are imported anew."""
    double: Any = KSR()
    monkeypatch.setitem(sys.modules, "KSR", double)
    forget()
    yield double
    forget()


def forget() -> None:
    for name in MEET_KAMAILIO:
        sys.modules.pop(f"kemi.{name}", None)
        vars(kemi).pop(name, None)


@pytest.fixture
def gateway(ksr: KSR) -> ModuleType:
    return importlib.import_module("kemi.gateway")


@pytest.fixture
def handler(ksr: KSR) -> ModuleType:
    return importlib.import_module("kemi.handler")


@pytest.fixture
def server(handler: ModuleType, ksr: KSR, tmp_path: Path) -> Iterator[Server]:
    running = Server(handler, ksr, tmp_path)
    yield running
    running.close()


@pytest.fixture
def scripted(ksr: KSR, tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Makes a server whose object has the script functions of this module, as Kamailio gets it."""
    made: list[Server] = []

    def make(module: str) -> Server:
        found: Any = SimpleNamespace(Handler=importlib.import_module(module).Script)
        made.append(Server(found, ksr, tmp_path))
        return made[-1]

    yield make
    for each in made:
        each.close()
