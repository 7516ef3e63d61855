"""The process's connection to its database, SQLite or PostgreSQL: the only module that knows which one it is.

Every statement is named and lives in sql/queries/*.sql, one text for both engines, with `:name` for parameters:

    -- name: publication_refresh
    UPDATE publication SET ... WHERE presentity = :presentity ...

A text that stands in several statements is a part: `-- part: subscription_columns`, and `{subscription_columns}` where it is meant.

What differs is translated once, when the connection is made: parameter marks (`kemi.statement`); statements that one engine alone
needs (`-- name: subscription_lock (postgresql)`); `FOR UPDATE [SKIP LOCKED]`, which SQLite neither has nor needs (it has one
writer at a time); and `VALUES :rows`, a table of rows given by the caller, so that a batch is one statement however many rows it
has. Its columns are called column1, column2 ... in both engines.

A transaction holds back nothing that it was given: on PostgreSQL statements travel in one pipeline, and asking a result for its
rows is what waits for the network. A result's count is there once its transaction has ended.

Errors: `Unavailable` (locked for too long, full, gone; nothing was committed), `Conflict` (a deadlock lost; run it again). A value
that no column takes is a mistake of ours, and another kind of error: it would fail again.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from kemi.settings import Settings
from kemi.statement import MarkedStatement

Row = tuple[Any, ...]
Parameters = Mapping[str, Any]
T = TypeVar("T")

SQL = Path(__file__).resolve().parent.parent / "sql"
LOCKING = r"( ORDER BY id(?= FOR UPDATE\)))? FOR (UPDATE|SHARE)( OF \w+)?( SKIP LOCKED)?"
"""Inside of a statement rows are put in order only to be locked so."""

NOTHING: Parameters = {}
WAL_PAGES = 16000
"""Pages of 4 KiB that SQLite's log may have before a writer moves them itself."""


class Unavailable(Exception):
    """The database did not do what it was asked, and kept nothing of it."""


class Conflict(Unavailable):
    """Another transaction was in the way; the same work may be tried again at once."""


def again(work: Callable[[], T]) -> T:
    """Do it; once more when another transaction was in its way.

    Raises:
        Unavailable: of the database; Conflict of the second time.
    """
    try:
        return work()
    except Conflict:
        return work()


class Result(Protocol):
    """What a statement gave."""

    def rows(self) -> list[Row]:
        """All rows of a SELECT or of RETURNING."""

    @property
    def count(self) -> int:
        """How many rows were written; known when the transaction has ended."""


class Database(Protocol):
    """One connection, used by one process."""

    engine: str

    def execute(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> Result:
        """Run the named statement; `rows` fills its `VALUES :rows`."""

    def foresee(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> None:
        """The same will be executed later in this transaction, which does not change what it gives: it may be sent ahead."""

    def lock(self, resource: str) -> None:
        """Until this transaction ends, no other one that locked the same resource goes on."""

    def tidy(self) -> None:
        """Housekeeping that requests should not wait for; called once a second."""

    def script(self, text: str) -> None:
        """Run statements of a migration."""

    def transaction(self) -> AbstractContextManager[None]:
        """All statements inside take effect, or none does."""

    def close(self) -> None:
        """Give the connection back."""


def connect(settings: Settings) -> Database:
    """Open this process's connection.

    Raises:
        Unavailable: the file cannot be opened or the server cannot be reached.
    """
    if settings.db_url.startswith("sqlite:///"):
        return SQLiteDatabase(settings, load_queries(SQL / "queries", SQLiteDatabase.engine))
    from kemi.postgresql import PostgreSQLDatabase

    return PostgreSQLDatabase(settings, load_queries(SQL / "queries", PostgreSQLDatabase.engine))


def environment(settings: Settings) -> dict[str, str]:
    """libpq's variables that name the same database, for Kamailio's own driver in this process; none for SQLite."""
    if settings.db_url.startswith("sqlite:///"):
        return {}
    from kemi import postgresql

    return postgresql.environment(settings.db_url)


@cache
def load_queries(folder: Path, engine: str) -> Mapping[str, str]:
    """Read every `-- name: ...` statement below a folder, with the `-- part: ...` texts written into it.

    Once, before Kamailio forks: a process that connects later, when files may be a newer release's already, has the same ones.

    Returns:
        Statement text by its name; "" for `-- name: ... (postgresql)` where the engine is another one and needs no such thing.
    """
    queries: dict[str, str] = {}
    parts: dict[str, str] = {}
    for path in sorted(folder.glob("*.sql")):
        for kind, section in _sections(path.read_text()):
            head, text = section.split("\n", 1)
            name, _, only = head.strip().partition(" ")
            if name in queries or name in parts:
                raise ValueError(f"{path.name}: two statements are called {name}")
            known = parts if kind == "part" else queries
            known[name] = without_comments(text) if only in ("", f"({engine})") else ""
    return {name: re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], text) for name, text in queries.items()}


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """What each mark begins: "name" or "part", and the text from its name on."""
    kinds_and_texts = re.split(r"^-- (name|part): ", text, flags=re.MULTILINE)[1:]
    return zip(kinds_and_texts[::2], kinds_and_texts[1::2], strict=True)


def without_comments(text: str) -> str:
    """A statement on one line, its comments and its semicolon taken away."""
    return " ".join(re.sub(r"--[^\n]*", "", text).split()).rstrip(";")


def statements_of(text: str) -> list[str]:
    """The statements of a migration, one by one; none of them may hold a semicolon inside."""
    return [part.strip() for part in re.sub(r"--[^\n]*", "", text).split(";") if part.strip()]


class SQLiteResult:
    """Rows that are here already."""

    __slots__ = ("_rows", "count")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._rows = cursor.fetchall() if cursor.description else []
        self.count = cursor.rowcount

    def rows(self) -> list[Row]:
        return self._rows


class SQLiteDatabase:
    """SQLite 3.40 in WAL mode: readers never wait, writers take turns."""

    engine = "sqlite"

    def __init__(self, settings: Settings, queries: Mapping[str, str]) -> None:
        self._statements = {name: MarkedStatement(re.sub(LOCKING, "", text)) if text else None for name, text in queries.items()}
        self._path = Path(settings.db_url.removeprefix("sqlite:///"))
        try:
            self._connection = sqlite3.connect(
                self._path,
                timeout=settings.db.busy_timeout,
                isolation_level=None,
                cached_statements=256,
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {settings.db.synchronous}")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            self._connection.execute("PRAGMA temp_store = MEMORY")  # else a statement that changes many rows makes a temporary file
            self._file = self._path.stat().st_ino
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(f"{settings.db_url}: {error}") from error

    def execute(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> Result:
        statement = self._statements[name]
        if statement is None:
            return NOTHING_DONE
        text, values = statement.fill(parameters, rows)
        try:
            return SQLiteResult(self._connection.execute(text, values))
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def foresee(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> None:
        """Nothing is sent anywhere."""

    def lock(self, resource: str) -> None:
        """A transaction that writes is alone anyway."""

    def tidy(self) -> None:
        """Move the log's pages into the database file; writers do it themselves only when nobody else did for long.

        Raises:
            Unavailable: it cannot; or another file has that name now, and what is written to this one nobody will read.
        """
        if not self._has_its_name():
            raise Unavailable(f"{self._path} was removed or replaced while the server runs: start it again")
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def _has_its_name(self) -> bool:
        try:
            return self._path.stat().st_ino == self._file
        except OSError:
            return False

    def script(self, text: str) -> None:
        try:
            for statement in statements_of(text):
                self._connection.execute(statement)
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def transaction(self) -> "SQLiteTransaction":
        return SQLiteTransaction(self._connection)

    def close(self) -> None:
        self._connection.close()


class NoResult:
    """Of a statement that this engine does not need."""

    count = 0

    def rows(self) -> list[Row]:
        return []


NOTHING_DONE = NoResult()


class SQLiteTransaction:
    """BEGIN IMMEDIATE ... COMMIT; written out as a class because it is on the way of every request."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise Unavailable(str(error)) from error

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        try:
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if kind is None:
                raise Unavailable(str(error)) from error
