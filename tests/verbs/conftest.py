"""One database for each engine, emptied for each test, and its world as lists, rules, watchers or a client of XCAP see it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verbs.abroad import Abroad
from tests.verbs.lists import Lists
from tests.verbs.ruled import Ruled
from tests.verbs.watched import Watched
from tests.verbs.world import World
from tests.verbs.xcap import Client


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


@pytest.fixture
def lists(world: World) -> Lists:
    """Nothing is held back."""
    world.set(notify_interval=0)
    world.set_lists(timer_interval=0)
    return Lists(world)


@pytest.fixture
def ruled(world: World) -> Ruled:
    return Ruled(world)


@pytest.fixture
def watched(world: World) -> Watched:
    """NOTIFYs are not held back."""
    world.set(notify_interval=0)
    return Watched(world)


@pytest.fixture
def alice(world: World) -> Client:
    """Her XCAP client."""
    return Client(world)


@pytest.fixture
def abroad(database_url: str) -> Abroad:
    return Abroad(database_url).empty()
