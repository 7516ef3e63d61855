"""What a server holds: memory of its processes, Kamailio's shared memory, rows and octets in its database.

The kernel counts a page that forked processes have in common as a part of each (`Pss`), so the sum over all processes has it once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cpu
import psycopg
from servers import Server

KIB = 1024
STORED = {
    "sqlite": "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    "postgresql": "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_stat_user_tables",
}
TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "postgresql": "SELECT relname FROM pg_stat_user_tables",
}


@dataclass(frozen=True, slots=True)
class Held:
    """What a server holds at one moment, in octets.

    Args:
        own: memory of all its processes, but for what they share and for files.
        database: the same of PostgreSQL's processes; 0 for SQLite, which is a part of ours.
        shared: of Kamailio's shared memory, in use; and the most that was, since the start.
        rows: of all tables.
        stored: of these tables and their indexes; what is free in SQLite's file not counted.
    """

    own: int
    database: int
    shared: int
    most_shared: int
    rows: int
    stored: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What is held while so many lists are watched."""

    moment: str
    lists: int
    held: Held

    def as_dict(self) -> dict[str, object]:
        """What goes to the results file."""
        return {"moment": self.moment, "lists": self.lists} | asdict(self.held)


def held(server: Server) -> Held:
    """Read all of it now."""
    shared = shared_memory(server)
    return Held(
        _own(server.pid),
        _own(server.database_pid) if server.database_pid else 0,
        shared["used"],
        shared["max_used"],
        *_stored(server.database),
    )


def shared_memory(server: Server) -> dict[str, int]:
    """Kamailio's word about its shared memory, in octets."""
    command = ["kamcmd", "-s", f"unix:{server.log.parent}/kamailio_ctl", "core.shmmem"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name.strip(): int(value) for name, colon, value in (line.partition(":") for line in lines) if colon}


def _own(root: int) -> int:
    return KIB * sum(_pss_anon(pid) for pid in cpu.tree(root))


def _pss_anon(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1])
    return 0


def _stored(url: str) -> tuple[int, int]:
    """Rows and octets."""
    engine = url.partition(":")[0]
    with _connected(url) as connection:
        tables = [name for (name,) in connection.execute(TABLES[engine]).fetchall()]
        rows = sum(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables)
        return rows, int(connection.execute(STORED[engine]).fetchone()[0])


@contextlib.contextmanager
def _connected(url: str) -> Iterator[sqlite3.Connection | psycopg.Connection]:
    if url.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True)) as connection:
            yield connection
    else:
        with psycopg.connect(url, autocommit=True) as other:
            yield other
