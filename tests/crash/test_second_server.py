"""Two servers with one database: the second does not start, a restart is not held up, a lock that is lost is taken again."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from kemi import sole_server
from tests import presencectl
from tests.postgresql import Cluster
from tests.server import Server
from tests.useragent import Agents, pidf
from tests.wire.observe import processes, rows, wait_until

pytestmark = pytest.mark.crash
ALICE = "sip:alice@example.org"


@pytest.fixture
def first(start_server: Callable[..., Server]) -> Server:
    return start_server()


@pytest.fixture
def second(first: Server, tmp_path: Path) -> Server:
    """Not started yet."""
    return Server({"KP_DB_URL": first.variables["KP_DB_URL"]}, tmp_path)


def test_a_second_server_does_not_start(first: Server, second: Server, agents_of: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says why. Nothing is done to the first one, and what works beside a server still does."""
    for kind in (sole_server.FileLock, sole_server.SessionLock):
        monkeypatch.setattr(kind, "patience", 0.5)
    assert first.process is not None
    name = sole_server.name_of(first.process.pid)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        presencectl.done(("run",), second.environment)
    (line,) = refusal.value.stderr.splitlines()
    assert line.startswith(f"Error: {first.variables['KP_DB_URL']} is used by another server, {name}")
    assert f"a start now would fail: {first.variables['KP_DB_URL']} is used by another server, {name}" in second.control("check")
    assert "a start now would fail" not in first.control("check")
    assert "up to date" in second.control("migrate")
    second.control("user", "add", ALICE, "--password", "secret")
    assert agents_of(first, "alice").publish(pidf()).status == 200


def test_a_server_whose_main_process_was_killed_is_followed_by_another_one(first: Server, second: Server) -> None:
    """At once: all its processes end with it. That of another KP_VAR ends none of them."""
    assert first.process is not None
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second.start()
    try:
        assert "is used by another server" not in second.log.read_text()
    finally:
        second.stop()


def test_a_server_that_was_stopped_gives_the_database_back(first: Server, second: Server) -> None:
    first.stop()
    second.start()
    second.stop()
    first.start()


@pytest.fixture
def with_session(cluster: Cluster, tmp_path: Path) -> Iterator[Server]:
    """A server whose lock is a session's."""
    server = Server({"KP_DB_URL": cluster.database()}, tmp_path).start()
    yield server
    server.stop()


def test_a_session_that_postgresql_has_ended_is_taken_again(with_session: Server, agents_of: Agents) -> None:
    (ended,) = _sessions(with_session)
    before = processes(with_session)
    _end(with_session, ended)
    wait_until(lambda: _sessions(with_session), "the lock is taken again")
    assert _sessions(with_session) != [ended]
    assert "another server" not in with_session.log.read_text(errors="replace")
    assert agents_of(with_session, "alice").publish(pidf()).status == 200
    assert processes(with_session) == before


def test_another_server_that_has_the_lock_meanwhile_is_told_once(with_session: Server) -> None:
    """And when it is gone the lock is taken again."""
    with psycopg.connect(with_session.variables["KP_DB_URL"], autocommit=True) as other:
        other.execute("SET application_name = 'process 1 on db.example.org'")
        while not _taken(with_session, other):
            pass
        wait_until(lambda: _complaints(with_session), "it is told")
    wait_until(lambda: _sessions(with_session), "the lock is taken again")
    (line,) = _complaints(with_session)
    assert "another server uses this one too, process 1 on db.example.org (PostgreSQL's session " in line


def _sessions(server: Server) -> list[int]:
    """Those of the server that hold the lock."""
    assert server.process is not None
    held = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND objsubid = 2"
    return [pid for (pid,) in rows(server, f"{held} AND application_name = '{sole_server.name_of(server.process.pid)}'")]


def _end(server: Server, session: int) -> None:
    rows(server, f"SELECT pg_terminate_backend({session}, 10000)")


def _taken(server: Server, other: "psycopg.Connection[tuple[bool]]") -> bool:
    """End the server's session, and be faster than its next second."""
    for session in _sessions(server):
        _end(server, session)
    found = other.execute("SELECT pg_try_advisory_lock(%s::int, hashtext(current_schema()))", [sole_server.LOCK]).fetchone()
    return found is not None and found[0]


def _complaints(server: Server) -> list[str]:
    return [line for line in server.log.read_text(errors="replace").splitlines() if "another server" in line]
