"""One server at a time works with a database: a second one would send the first one's NOTIFYs in flight again, and both would tell
everybody everything. So a server holds a lock as long as it lives, and another one does not start. Nothing else asks for the lock.

PostgreSQL: an advisory lock of one session, for the schema that the session works in. The session is opened before the fork; every
process has its socket, so it ends with the last of them. One process alone uses it (`handler.ksr_timer_tick`). SQLite: flock(2) on
FILE.lock, which the kernel gives back when the last process that has it open is gone; the file stays.

    free     a server that starts takes it                                              held
    held     kept once a second: the session, or the file's name, may have been lost    free, or another server's
    another  server's: who starts waits for a while, and gives up; who runs says so, and tries again each second

A machine that lost its power does not end its session: PostgreSQL finds out by TCP keep-alives, which the session sets for itself.
"""

import fcntl
import os
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from kemi import database
from kemi.database import Database, Unavailable
from kemi.errors import ConfigurationError
from kemi.settings import Settings

LOCK: Final = 0x6B656D69
"""Half of the key of the advisory lock, the same for all releases; the other half is the schema."""

STEP: Final = 0.1
"""Seconds until it is looked again whether the lock is free."""

SAID_FIRST: Final = 0.5
"""Seconds until it is said that it is waited for: as a rule it is free before."""

SAID_AGAIN: Final = 5.0
"""Seconds until it is said again that it is waited for."""

NAME_LENGTH: Final = 63
"""Octets of a session's name that PostgreSQL keeps."""


class Holder(NamedTuple):
    """Who has the lock: what the server is called; the process id of its session with PostgreSQL (0: a file), and where from."""

    name: str
    session: int = 0
    address: str = ""

    def __str__(self) -> str:
        if not self.session:
            return self.name
        return f"{self.name} (PostgreSQL's session {self.session}{', from ' + self.address if self.address else ''})"

    @property
    def remedy(self) -> str:
        """What an operator can do who wants to start here."""
        own = "end that one, or set another KP_DB_URL"
        gone = f"; if its machine is gone, end the session: SELECT pg_terminate_backend({self.session})"
        return own + (gone if self.session else "")


class Lock(Protocol):
    """The lock of one database."""

    patience: float
    """Seconds that a start waits for it: longer than a server needs to end that was killed."""

    def take(self) -> Holder | None:
        """Take it, or keep it.

        Returns:
            Another server that has it.

        Raises:
            Unavailable: the database does not say.
        """

    def holder(self) -> Holder | None:
        """Who has it, without taking it.

        Raises:
            Unavailable: the database does not say.
        """

    def close(self) -> None:
        """Give it back."""


class FileLock:
    """Beside a file of SQLite's."""

    patience = 5.0

    def __init__(self, file: Path) -> None:
        self._file = file.resolve()
        self._path = Path(f"{self._file}.lock")
        self._name = name_of(os.getpid())
        self._descriptor = -1

    def take(self) -> Holder | None:
        if self._has_its_name():
            return None
        self.close()
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return self._named()
        except OSError as error:
            self.close()
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        with suppress(OSError):  # as SQLite's own files: root may start a server of another user's once
            if os.geteuid() == 0:
                owner = self._file.stat()
                os.fchown(self._descriptor, owner.st_uid, owner.st_gid)
        with suppress(OSError):  # the disk may be full: it is held without a name
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, self._name.encode(), 0)
        return None

    def holder(self) -> Holder | None:
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return self._named()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        return None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _has_its_name(self) -> bool:
        """Whether it is held, by the file that others will look for."""
        try:
            return self._descriptor >= 0 and os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def _named(self) -> Holder:
        with suppress(OSError):
            return Holder(self._path.read_text(errors="replace") or "another server")
        return Holder("another server")


class SessionLock:
    """Of a session with PostgreSQL."""

    patience = 30.0

    def __init__(self, connection: Database) -> None:
        self._connection = connection
        self._name = name_of(os.getpid())
        self._held = 0
        self._lost = 0

    def take(self) -> Holder | None:
        ((session,),) = self._connection.execute("server_session").rows()
        if session == self._held:
            return None
        self._held, self._lost = 0, self._held or self._lost
        self._connection.execute("server_session_begins", {"name": self._name})
        ((is_taken,),) = self._connection.execute("server_lock", {"lock": LOCK}).rows()
        if is_taken:
            self._held = session
            return None
        other = self.holder() or Holder("a server that has just ended")
        # A session of ours that was lost on the way may live until PostgreSQL misses us.
        return other if other.session != self._lost or not self._lost else None

    def holder(self) -> Holder | None:
        found = self._connection.execute("server_lock_holder", {"lock": LOCK}).rows()
        return Holder(*found[0]) if found else None

    def close(self) -> None:
        self._connection.close()


def lock_of(found: Settings) -> Lock:
    """The lock of a server's database.

    Raises:
        Unavailable: the database cannot be reached.
    """
    file = found.db_url.removeprefix("sqlite:///")
    return FileLock(Path(file)) if file != found.db_url else SessionLock(database.connect(found))


def name_of(process: int) -> str:
    """What a server on this machine is called, as PostgreSQL keeps it."""
    return f"process {process} on {socket.gethostname()}".encode()[:NAME_LENGTH].decode(errors="ignore")


def wait(lock: Lock, found: Settings, tell: Callable[[str], None]) -> None:
    """Take the lock for a server that starts. One that has just been killed may need a moment to be gone.

    Raises:
        ConfigurationError: another server keeps it.
        Unavailable: the database does not say.
    """
    deadline = time.monotonic() + lock.patience
    next_word = time.monotonic() + SAID_FIRST
    while other := lock.take():
        now = time.monotonic()
        used = f"{found.shown_db_url} is used by another server, {other}"
        if now > deadline:
            raise ConfigurationError(f"{used}: {other.remedy}")
        if now > next_word:
            next_word = now + SAID_AGAIN
            tell(f"{used}; waiting for its end, {deadline - now:.0f} s at most")
        time.sleep(STEP)


def refuse_second(found: Settings, tell: Callable[[str], None]) -> None:
    """Make sure, before anything is changed in the database, that a server can be started.

    Raises:
        ConfigurationError, Unavailable: as above.
    """
    with closing(lock_of(found)) as lock:
        wait(lock, found, tell)


def problem(lock: Lock) -> str:
    """Keep the lock, in a server that runs.

    Returns:
        What is wrong, "" nothing.

    Raises:
        Unavailable: the database does not say.
    """
    other = lock.take()
    return f"another server uses this one too, {other}: watchers are told twice; end one of them" if other else ""
