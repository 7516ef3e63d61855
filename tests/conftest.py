"""Fixtures: the two database engines, a throw-away PostgreSQL cluster, the real server, its user agents.

make test runs several processes side by side (pytest-xdist). Each has its own of everything: what is here for a
whole session is there once in each process.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from tests import repetitions
from tests.postgresql import Cluster
from tests.server import Server
from tests.useragent import Agents, UserAgent

ENGINES = ("sqlite", "postgresql")
PROCESSES_FOR_A_CORE = 3
"""Most tests wait for a server, a client or a clock."""

repetitions.load_profile()


TESTS = Path(__file__).resolve().parent
ON_THE_WIRE = {"crash", "docs", "hostile", "interop", "wire", "test_examples.py", "test_stories.py"}
"""Tests with real processes, real time and UDP."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What meets the machine as it is may fail because of it, once: played again, and told as R in the summary. Nothing else is."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in ON_THE_WIRE:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means."""
    return PROCESSES_FOR_A_CORE * len(os.sched_getaffinity(0))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One PostgreSQL for the whole run."""
    running = Cluster().start()
    yield running
    running.stop()


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Every test that uses it, directly or through a server, runs on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def new_database(engine: str, request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Makes the URL of a new, empty database."""

    def make(folder: Path) -> str:
        if engine == "sqlite":
            return f"sqlite:///{folder}/presence.db"
        return str(request.getfixturevalue("cluster").database())

    return make


@pytest.fixture(scope="session")
def server(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests of one engine share: 127.0.0.1 is trusted, NOTIFYs are not held back. Use users of your own."""
    folder = tmp_path_factory.mktemp("server")
    running = Server({"KP_DB_URL": new_database(folder)}, folder).start()
    yield running
    running.stop()


@pytest.fixture
def start_server(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with other settings, for one test; a folder is kept where it fails."""
    started: list[Server] = []

    def start(variables: Mapping[str, str] | None = None) -> Server:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        running = Server({"KP_DB_URL": new_database(folder), **(variables or {})}, folder)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def agents_of() -> Iterator[Agents]:
    """Makes user agents of a server, and closes them."""
    made: list[UserAgent] = []

    def make(server: Server, user: str, transport: str = "udp", domain: str = "example.org") -> UserAgent:
        made.append(UserAgent(server.address, user, domain, transport))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def agents(server: Server, agents_of: Agents) -> Agents:
    """The same, of the server that the test has anyway."""
    return partial(agents_of, server)
