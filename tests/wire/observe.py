"""What tests look at besides the wire: rows, processes and log of a server, and whether a condition comes true."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.server import Server

PATIENCE = 30.0
STEP = 0.01


def wait_until(condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
    """Look again and again until the condition is true."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(STEP)


@contextlib.contextmanager
def database(server: Server) -> Iterator[Any]:
    """A connection of our own to the server's database; every statement is a transaction unless one is begun."""
    url = server.variables["KP_DB_URL"]
    connection: Any
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=5)
    else:
        connection = psycopg.connect(url, autocommit=True)
    with contextlib.closing(connection):
        yield connection


def rows(server: Server, statement: str) -> list[tuple[Any, ...]]:
    """What a SELECT gives."""
    with database(server) as connection:
        return [tuple(row) for row in connection.execute(statement).fetchall()]


def change(server: Server, statement: str) -> None:
    """Write to the database behind the server's back."""
    with database(server) as connection:
        connection.execute(statement)


def stored(server: Server) -> set[tuple[str, str]]:
    """Names of all publications and subscriptions."""
    both = "SELECT 'publication', id FROM publication UNION ALL SELECT 'subscription', id FROM subscription"
    return {(kind, name) for kind, name in rows(server, both)}


def wait_until_settled(server: Server, condition: str = "1 = 1") -> None:
    """Wait until no NOTIFY of these subscriptions is due or waits for its answer."""
    open_ones = f"SELECT id FROM subscription WHERE (in_flight_since IS NOT NULL OR due_at IS NOT NULL) AND {condition}"
    wait_until(lambda: not rows(server, open_ones), "all NOTIFYs are settled")


def processes(server: Server) -> set[int]:
    """Ids of the server's living processes."""
    leader = server.process.pid if server.process is not None else 0
    return {pid for pid in _group(leader) if _is_living_kamailio(pid)}


def _group(leader: int) -> Iterator[int]:
    for name in (each.name for each in os.scandir("/proc") if each.name.isdigit()):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(int(name)) == leader:
                yield int(name)


def _is_living_kamailio(pid: int) -> bool:
    with contextlib.suppress(OSError):
        head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        return head.endswith("(kamailio") and not tail.startswith(" Z")
    return False


class LogTail:
    """The lines that a server writes from now on."""

    def __init__(self, server: Server) -> None:
        self._path = server.log
        self._start = self._path.stat().st_size

    @property
    def text(self) -> str:
        with self._path.open("rb") as log:
            log.seek(self._start)
            return log.read().decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def complaints(self) -> list[str]:
        """Lines at WARNING and above."""
        return [line for line in self.lines if " WARNING: " in line or " ERROR: " in line or " CRITICAL: " in line]
