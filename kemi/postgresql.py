"""A connection to PostgreSQL, statement by statement through libpq (psycopg.pq): the only importer of psycopg.

A transaction is one pipeline (libpq, "Pipeline Mode"): BEGIN, the statements and COMMIT are sent together, and only a result that
is asked for its rows is waited for. psycopg's own cursors send and adapt each statement by itself, which costs the worker several
times as much.

Statements are prepared once for each combination of parameter types. `VALUES :rows` becomes one array for each column, so that a
batch of any size is the same statement. A string is sent as text, so it suits text columns only; a column of nothing but NULLs has
no type: such a place needs a CAST in the statement.
"""

import re
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from kemi.database import NAMED, NOTHING, NOTHING_DONE, ROWS_MARK, Conflict, Parameters, Result, Row, Unavailable, statements_of
from kemi.settings import Settings

TEXT: Final = 0
BINARY: Final = 1
UNKNOWN: Final = 0
OIDS: Final[Mapping[type, int]] = {str: 25, int: 20, float: 701, bool: 16, bytes: 17, type(None): UNKNOWN}
"""PostgreSQL's type of each of ours."""

ARRAYS: Final[Mapping[type, str]] = {str: "text", int: "bigint", float: "double precision", bool: "boolean", bytes: "bytea"}
LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
Key = tuple[str, tuple[type, ...]]
"""What makes a prepared statement: its text, and the types of its parameters."""

BY_INDEX: Final = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
"""Each statement finds its rows by an index. Without this a plan that was made while a table was small reads all of it, until
statistics tell that it has grown."""

FAILED: Final = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)


def environment(db_url: str) -> dict[str, str]:
    """libpq's variables that name the same database."""
    variables = {each.keyword.decode(): each.envvar.decode() for each in Conninfo.get_defaults() if each.envvar}
    return {variables[name]: str(value) for name, value in conninfo_to_dict(db_url).items() if name in variables}


class NumberedStatement:
    """A named statement with $1, $2 ... for its parameters, each name once; those of the rows come last."""

    __slots__ = ("_head", "_tail", "_texts", "names")

    def __init__(self, text: str) -> None:
        self.names = tuple(dict.fromkeys(re.findall(NAMED, text.replace(ROWS_MARK, ""))))
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        head, separator, tail = text.partition(ROWS_MARK)
        self._head = re.sub(NAMED, lambda found: numbers[found[1]], head)
        self._tail = re.sub(NAMED, lambda found: numbers[found[1]], tail) if separator else None
        self._texts: dict[tuple[type, ...], str] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to run."""
        return not self._head

    def fill(self, parameters: Parameters, rows: Sequence[Row]) -> tuple[str, list[Any]]:
        """The text to run and its values in order.

        Raises:
            ValueError: `rows` are given without a place for them, or the other way round.
        """
        values = [parameters[name] for name in self.names]
        if self._tail is None:
            if rows:
                raise ValueError(f"no {ROWS_MARK} in: {self._head}")
            return self._head, values
        if not rows:
            raise ValueError(f"no rows for: {self._head}")
        columns = list(zip(*rows, strict=True))
        kinds = tuple(_kind(column) for column in columns)
        text = self._texts.get(kinds) or self._with_arrays(kinds, self._tail)
        return text, values + [_array(column) for column in columns]

    def _with_arrays(self, kinds: tuple[type, ...], tail: str) -> str:
        first = len(self.names) + 1
        arrays = ", ".join(f"${first + place}::{ARRAYS[kind]}[]" for place, kind in enumerate(kinds))
        names = ", ".join(f"column{place}" for place in range(1, len(kinds) + 1))
        text = f"{self._head}SELECT * FROM unnest({arrays}) AS given({names}){tail}"  # noqa: S608 - made of our own statements
        self._texts[kinds] = text
        return text


def _kind(column: Sequence[Any]) -> type:
    return next((type(value) for value in column if value is not None), str)


def _array(column: Sequence[Any]) -> str:
    """An array literal."""
    return "{" + ",".join(map(_element, column)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return repr(value)


class PostgreSQLResult:
    """Rows that may still be on their way; asking for them waits.

    Args:
        prepares: what is prepared, where this is the result of that.
    """

    __slots__ = ("_pipeline", "prepares", "result")

    def __init__(self, pipeline: "Pipeline", prepares: Key | None = None) -> None:
        self._pipeline = pipeline
        self.prepares = prepares
        self.result: PGresult | None = None

    def rows(self) -> list[Row]:
        if self.result is None:
            self._pipeline.collect()
        return self._pipeline.loaded(self.result) if self.result is not None else []

    @property
    def count(self) -> int:
        return self.result.command_tuples or 0 if self.result is not None else -1


class Pipeline:
    """One connection, and the statements that are on their way."""

    def __init__(self, url: str, timeout: int) -> None:
        self._url = url
        self._timeout = timeout
        self._open()

    def _open(self) -> None:
        try:
            self.connection: psycopg.Connection[Row] = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=self._timeout,
                options=f"-c lock_timeout={self._timeout * 1000} -c client_min_messages=warning {BY_INDEX}",
            )
        except psycopg.Error as error:
            raise Unavailable(str(error).strip()) from error
        self._pgconn = self.connection.pgconn
        self._pgconn.nonblocking = 0
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._transformer = Transformer(self.connection)
        self._prepared: dict[Key, bytes] = {}
        self._number = 0
        self._awaited: list[PostgreSQLResult] = []

    def run(self, text: str, values: list[Any]) -> PostgreSQLResult:
        """Send a statement; outside of a transaction, wait for it.

        Raises:
            Conflict, Unavailable: it failed, or the connection is lost; the next statement opens another one.
        """
        if not self.connection.closed and self._pgconn.pipeline_status:
            return self._send(text, values)
        self._enter()
        try:
            result = self._send(text, values)
            self.collect()
            return result
        finally:
            self._leave()

    def begin(self) -> None:
        """BEGIN, and what follows goes behind it."""
        self._enter()
        self._send("BEGIN", [])

    def commit(self) -> None:
        """COMMIT: all of it takes effect, or nothing does."""
        self._send("COMMIT", [])
        self.collect()
        self._leave()

    def rollback(self) -> None:
        """Give up what was sent, whatever became of it."""
        with suppress(Unavailable):
            self.collect()
        self._leave()
        if not self.connection.closed and self._pgconn.transaction_status != TransactionStatus.IDLE:
            self._pgconn.exec_(b"ROLLBACK")

    def collect(self) -> None:
        """Wait for everything that was sent.

        Raises:
            Conflict, Unavailable: the first statement that failed; those behind it were not run.
        """
        awaited, self._awaited = self._awaited, []
        failure: PGresult | None = None
        with self._lost_when_broken():
            self._pgconn.pipeline_sync()
            for each in awaited:
                each.result = self._next()
                failure = failure or (each.result if each.result.status in FAILED else None)
                self._pgconn.get_result()  # the end of this statement's results
            self._next()
        if failure is not None:
            for each in awaited:
                if each.prepares and each.result and each.result.status != ExecStatus.COMMAND_OK:
                    del self._prepared[each.prepares]
            raise _named(errors.error_from_result(failure))

    def loaded(self, result: PGresult) -> list[Row]:
        """The rows of a result."""
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _send(self, text: str, values: list[Any]) -> PostgreSQLResult:
        result = PostgreSQLResult(self)
        key = (text, tuple(map(type, values)))
        with self._lost_when_broken():
            name = self._prepared.get(key)
            if name is None:
                self._number += 1
                name = self._prepared[key] = b"s%d" % self._number
                self._pgconn.send_prepare(name, text.encode(), [OIDS[kind] for kind in key[1]] or None)
                self._awaited.append(PostgreSQLResult(self, key))
            formats = [BINARY if isinstance(value, bytes) else TEXT for value in values]
            self._pgconn.send_query_prepared(name, list(map(_sent, values)), formats)
        self._awaited.append(result)
        return result

    def _next(self) -> PGresult:
        while self._pgconn.is_busy():
            self._poll.poll()  # other threads go on meanwhile
            self._pgconn.consume_input()
        result = self._pgconn.get_result()
        if result is None:
            raise psycopg.OperationalError(self._pgconn.get_error_message() or "the connection is lost")
        return result

    def _enter(self) -> None:
        if self.connection.closed:
            self._open()
        with self._lost_when_broken():
            self._pgconn.enter_pipeline_mode()

    def _leave(self) -> None:
        if not self.connection.closed:
            with self._lost_when_broken():
                self._pgconn.exit_pipeline_mode()

    @contextmanager
    def _lost_when_broken(self) -> Iterator[None]:
        """What libpq refuses it refuses for good: the connection is closed."""
        try:
            yield
        except psycopg.Error as error:
            self.connection.close()
            raise _named(error) from error


class PostgreSQLDatabase:
    """PostgreSQL: prepared statements, one pipeline per transaction."""

    engine = "postgresql"

    def __init__(self, settings: Settings, queries: Mapping[str, str]) -> None:
        self._statements = {name: NumberedStatement(text) for name, text in queries.items()}
        self._pipeline = Pipeline(settings.db_url, settings.db.busy_timeout)

    def execute(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> Result:
        statement = self._statements[name]
        if statement.is_empty:
            return NOTHING_DONE
        text, values = statement.fill(parameters, rows)
        return self._pipeline.run(text, values)

    def lock(self, resource: str) -> None:
        self._pipeline.run(LOCK, [resource])

    def tidy(self) -> None:
        """PostgreSQL looks after itself."""

    def script(self, text: str) -> None:
        for statement in statements_of(text):
            self._pipeline.run(statement, [])

    def transaction(self) -> "PostgreSQLTransaction":
        """One pipeline from BEGIN to COMMIT: a single round trip where nothing is asked for in between."""
        return PostgreSQLTransaction(self._pipeline)

    def close(self) -> None:
        self._pipeline.connection.close()


class PostgreSQLTransaction:
    """BEGIN ... COMMIT as one pipeline; written out as a class because it is on the way of every request."""

    __slots__ = ("_pipeline",)

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def __enter__(self) -> None:
        self._pipeline.begin()

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if kind is not None:
            self._pipeline.rollback()
            return
        try:
            self._pipeline.commit()
        except Unavailable:
            self._pipeline.rollback()
            raise


def _sent(value: Any) -> bytes | None:
    """A parameter as libpq wants it; NUL is in no text of PostgreSQL's."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return repr(value).encode() if not isinstance(value, bool) else (b"t" if value else b"f")


def _named(error: psycopg.Error) -> Unavailable:
    """The error as the rest of the program knows it."""
    kind = Conflict if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure) else Unavailable
    return kind(str(error).strip())
