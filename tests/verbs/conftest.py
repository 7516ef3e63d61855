"""One database for each engine, emptied for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verbs.world import World


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return new_database(tmp_path_factory.mktemp("verbs"))


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[..., World]]:
    """Opens connections of the same database; they see what each other has committed."""
    opened: list[World] = []

    def make(**pa: Any) -> World:
        opened.append(World(database_url, **pa))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    return connect().empty()
