"""One server at a time works with a database: kemi/sole_server.py."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kemi import database, sole_server
from kemi.database import Database, Unavailable
from kemi.errors import ConfigurationError
from kemi.settings import Settings
from kemi.sole_server import FileLock, Holder, Lock, SessionLock
from tests.postgresql import Cluster
from tests.unit.values import settings_of
from tests.wire.observe import wait_until

OTHER = "another server, process 1 on db.example.org"


@pytest.fixture
def found(new_database: Callable[[Path], str], tmp_path: Path) -> Settings:
    return settings_of(new_database(tmp_path))


@pytest.fixture
def lock_of(found: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Lock]]:
    """Makes the lock of a server that is called so."""
    made: list[Lock] = []

    def make(name: str = "test") -> Lock:
        monkeypatch.setattr(sole_server, "name_of", lambda process: name)
        made.append(sole_server.lock_of(found))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_what_one_server_has_no_other_one_gets(lock_of: Callable[[str], Lock]) -> None:
    first, second = lock_of("first"), lock_of("second")
    assert first.take() is None
    other = second.take()
    assert other is not None
    assert other.name == "first"
    assert first.take() is None
    first.close()
    wait_until(lambda: second.take() is None, "it is given back")


def test_who_only_looks_takes_nothing(lock_of: Callable[[str], Lock]) -> None:
    looking, first = lock_of("looking"), lock_of("first")
    assert looking.holder() is None
    assert first.take() is None
    held = looking.holder()
    assert held is not None
    assert held.name == "first"
    first.close()
    wait_until(lambda: looking.holder() is None, "it is given back")


class Clock:
    """It goes on when it is waited for."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_second_server_is_told_whose_the_database_is_and_gives_up(
    lock_of: Callable[[str], Lock], found: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    first = lock_of("process 1 on db.example.org")
    assert first.take() is None
    with monkeypatch.context() as patch:
        patch.setattr(sole_server, "time", Clock())
        with pytest.raises(ConfigurationError) as refusal:
            sole_server.refuse_second(found, told.append)
    assert str(refusal.value).startswith(f"{found.shown_db_url} is used by {OTHER}")
    waiting = f"{found.shown_db_url} is used by {re.escape(OTHER)}.*; waiting for its end, [0-9]+ s at most"
    assert len(told) == first.patience / sole_server.SAID_AGAIN
    assert all(re.fullmatch(waiting, line) for line in told)
    first.close()
    sole_server.refuse_second(found, print)


def test_a_server_that_was_looked_for_only_leaves_the_database_free(lock_of: Callable[[str], Lock], found: Settings) -> None:
    sole_server.refuse_second(found, print)
    second = lock_of("second")
    wait_until(lambda: second.take() is None, "it is given back")


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "presence.db"


def test_a_file_is_free_when_the_last_process_of_its_server_is_gone(file: Path) -> None:
    """They have it from the main process."""
    first, second = FileLock(file), FileLock(file)
    assert first.take() is None
    worker = os.fork()
    if worker == 0:
        signal.pause()
    first.close()
    assert second.take() is not None
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert second.take() is None
    second.close()


def test_a_file_is_one_whatever_it_is_called(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    first, second = FileLock(file), FileLock(tmp_path / "link" / "presence.db")
    assert first.take() is None
    assert second.take() is not None
    first.close()


def test_a_lock_whose_file_was_removed_is_taken_again(file: Path) -> None:
    first, second = FileLock(file), FileLock(file)
    assert first.take() is None
    Path(f"{file}.lock").unlink()
    assert sole_server.problem(first) == ""
    assert second.take() is not None
    first.close()


def test_a_server_tells_that_another_one_has_taken_its_lock(file: Path) -> None:
    first, second = FileLock(file), FileLock(file)
    assert first.take() is None
    Path(f"{file}.lock").unlink()
    assert second.take() is None
    assert sole_server.problem(first).startswith("another server uses this one too, process ")
    second.close()
    assert sole_server.problem(first) == ""
    first.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to somebody else")
def test_a_lock_that_root_has_made_is_its_databases_owners(file: Path) -> None:
    """As SQLite's own files are: else the server could not be started by its user any more."""
    file.touch()
    os.chown(file, 65534, 65533)
    lock = FileLock(file)
    assert lock.take() is None
    made = Path(f"{file}.lock").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (65534, 65533, 0o600)
    lock.close()


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "nowhere" / "presence.db")
    assert lock.holder() is None
    with pytest.raises(Unavailable, match=r"nowhere/presence\.db\.lock: No such file or directory"):
        lock.take()


# PostgreSQL


class Session(SessionLock):
    """Its session can be lost: as this program finds, as PostgreSQL does, or both."""

    def __init__(self, found: Settings) -> None:
        self.found = found
        super().__init__(database.connect(found))

    def lose(self) -> Database:
        """On the way: PostgreSQL still has it."""
        lost, self._connection = self._connection, database.connect(self.found)
        return lost


@pytest.fixture
def settings(cluster: Cluster) -> Settings:
    return settings_of(cluster.database())


def ended(settings: Settings, session: int) -> None:
    with psycopg.connect(settings.db_url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", [session])


def session_of(lock: Session) -> int:
    held = lock.holder()
    assert held is not None
    return held.session


def test_the_remedy_ends_a_session_whose_machine_is_gone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionLock, "patience", 0.0)
    gone, second = Session(settings), Session(settings)
    assert gone.take() is None
    with pytest.raises(ConfigurationError, match=rf"SELECT pg_terminate_backend\({session_of(gone)}\)$"):
        sole_server.wait(second, settings, print)
    ended(settings, session_of(gone))
    sole_server.wait(second, settings, print)
    second.close()


def test_a_session_that_was_ended_is_taken_again(settings: Settings) -> None:
    first, second = Session(settings), Session(settings)
    assert first.take() is None
    ended(settings, session_of(first))
    with pytest.raises(Unavailable):
        sole_server.problem(first)
    assert sole_server.problem(first) == ""
    assert second.take() is not None
    first.close()
    second.close()


def test_a_session_that_another_server_has_taken_meanwhile_is_told(settings: Settings) -> None:
    first, second = Session(settings), Session(settings)
    assert first.take() is None
    ended(settings, session_of(first))
    assert second.take() is None
    with pytest.raises(Unavailable):
        sole_server.problem(first)
    assert sole_server.problem(first).startswith("another server uses this one too, process ")
    second.close()
    wait_until(lambda: sole_server.problem(first) == "", "the other one has ended")
    first.close()


def test_a_session_of_its_own_that_lingers_is_no_other_server(settings: Settings) -> None:
    """The way to PostgreSQL was interrupted, and PostgreSQL has not missed it yet. It is not held before that is over."""
    first, second = Session(settings), Session(settings)
    assert first.take() is None
    lingering = first.lose()
    assert [sole_server.problem(first) for _ in range(2)] == ["", ""]
    lingering.close()
    wait_until(lambda: second.take() is None, "PostgreSQL has missed it")
    assert sole_server.problem(first) != ""
    first.close()
    second.close()


def test_other_databases_and_other_schemas_have_locks_of_their_own(settings: Settings, cluster: Cluster) -> None:
    with psycopg.connect(settings.db_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE ROLE elsewhere LOGIN SUPERUSER")
        connection.execute("ALTER ROLE elsewhere SET search_path = other")
    elsewhere = replace(settings, db_url=settings.db_url.replace("postgres@", "elsewhere@"))
    three = [Session(each) for each in (settings, elsewhere, settings_of(cluster.database()))]
    assert [each.take() for each in three] == [None, None, None]
    for each in three:
        each.close()


def test_a_role_without_a_schema_hears_of_no_other_server(settings: Settings) -> None:
    """What is wrong there is said when the tables are made."""
    with psycopg.connect(settings.db_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE nowhere LOGIN SUPERUSER")
        connection.execute("ALTER ROLE nowhere SET search_path = missing")
    lock = Session(replace(settings, db_url=settings.db_url.replace("postgres@", "nowhere@")))
    assert lock.take() is None
    assert session_of(lock) != 0
    lock.close()


def test_postgresql_misses_a_session_whose_machine_is_gone(settings: Settings) -> None:
    lock = Session(settings)
    assert lock.take() is None
    run: Any = lock._connection._pipeline.run  # type: ignore[attr-defined]
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    assert [run(f"SELECT current_setting('{name}')", []).rows() for name in names] == [[("5",)], [("2",)], [("5",)], [("15000",)]]
    lock.close()


def test_a_remedy_names_the_session_only_where_there_is_one() -> None:
    assert "pg_terminate_backend(7)" in Holder("first", 7, "192.0.2.1").remedy
    assert str(Holder("first", 7, "192.0.2.1")) == "first (PostgreSQL's session 7, from 192.0.2.1)"
    assert str(Holder("first", 7)) == "first (PostgreSQL's session 7)"
    assert (str(Holder("first")), "session" in Holder("first").remedy) == ("first", False)
