"""Fixtures of this folder: servers with one worker, so that what they do has an order."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.attacker import Attacker
from tests.server import Server
from tests.wire.validity import valid_documents

__all__ = ["valid_documents"]


@pytest.fixture(scope="session")
def target(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes 127.0.0.1 and has one worker for UDP."""
    folder = tmp_path_factory.mktemp("target")
    running = Server({"KP_DB_URL": new_database(folder), "KP_WORKERS": "1"}, folder).start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def guarded(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes nobody; mallory has an account."""
    folder = tmp_path_factory.mktemp("guarded")
    server = Server({"KP_DB_URL": new_database(folder), "KP_WORKERS": "1", "KP_TRUSTED": "", "KP_SET": "auth.max_rate=0"}, folder)
    server.control("user", "add", "mallory@example.org", "--password", "secret")
    running = server.start()
    yield running
    running.stop()


@pytest.fixture
def attacker(target: Server) -> Iterator[Attacker]:
    with Attacker(target) as attacking:
        yield attacking
