"""A connection to PostgreSQL, statement by statement through libpq (psycopg.pq): the only importer of psycopg.

A transaction is one pipeline (libpq, "Pipeline Mode"): its statements are sent together, and only a result that is asked for its
rows is waited for. What stands before a Sync message is one transaction of the server's, without BEGIN and COMMIT; rows are had in
between by asking the server to flush. psycopg's own cursors send and adapt each statement by itself, which costs the worker several
times as much.

Statements are prepared once for each combination of parameter types. `VALUES :rows` becomes one array for each column, so that a
batch of any size is the same statement. A string is sent as text, so it suits text columns only; a column of nothing but NULLs has
no type: such a place needs a CAST in the statement.
"""

import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final

import psycopg
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, ExecStatus
from psycopg.pq.abc import PGresult

from kemi.database import NOTHING, NOTHING_DONE, Conflict, Parameters, Result, Row, Unavailable, statements_of
from kemi.settings import Settings
from kemi.statement import NumberedStatement

TEXT: Final = 0
BINARY: Final = 1
UNKNOWN: Final = 0
OIDS: Final[Mapping[type, int]] = {str: 25, int: 20, float: 701, bool: 16, bytes: 17, type(None): UNKNOWN}
"""PostgreSQL's type of each of ours."""

WRITTEN: Final[Mapping[type, Callable[[Any], bytes | None]]] = {
    str: str.encode,
    int: b"%d".__mod__,
    float: lambda value: repr(value).encode(),
    bool: lambda value: b"t" if value else b"f",
    bytes: lambda value: value,
    type(None): lambda value: value,
}
"""A parameter as libpq wants it, by its type; NUL is in no text of PostgreSQL's."""

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
Key = tuple[str, tuple[type, ...]]
"""What makes a prepared statement: its text, and the types of its parameters."""

BY_INDEX: Final = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
"""Each statement finds its rows by an index. Without this a plan that was made while a table was small reads all of it, until
statistics tell that it has grown."""

PLANNED_ONCE: Final = "-c plan_cache_mode=force_generic_plan"
"""By index there is one plan, whatever the parameters are. Left to itself the server makes it anew for each SUBSCRIBE."""

FAILED: Final = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)

PATIENCE: Final = 2
"""A server that lives ends the wait for a lock itself. It is left when it has said nothing for so many times as long: its machine,
or the way there, may be gone without a word."""


def environment(db_url: str) -> dict[str, str]:
    """libpq's variables that name the same database."""
    variables = {each.keyword.decode(): each.envvar.decode() for each in Conninfo.get_defaults() if each.envvar}
    return {variables[name]: str(value) for name, value in conninfo_to_dict(db_url).items() if name in variables}


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
    """One connection, and the statements that are on their way.

    Args:
        timeout: the longest wait for a lock, in seconds.

    Attributes:
        patience: the longest wait for a word of the server, in milliseconds; None: there is no limit.
    """

    def __init__(self, url: str, timeout: int) -> None:
        self._url = url
        self._timeout = timeout
        self.patience: int | None = PATIENCE * timeout * 1000
        self._is_transaction = False
        self._open()

    def _open(self) -> None:
        try:
            self.connection: psycopg.Connection[Row] = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=self._timeout,
                options=f"-c lock_timeout={self._timeout * 1000} -c client_min_messages=error {BY_INDEX} {PLANNED_ONCE}",
            )
        except psycopg.Error as error:
            raise Unavailable(_one_line(error)) from error
        self._pgconn = self.connection.pgconn
        self._pgconn.nonblocking = 0
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._transformer = Transformer(self.connection)
        self._prepared: dict[Key, bytes] = {}
        self._number = 0
        self._awaited: list[PostgreSQLResult] = []
        self._failure: PGresult | None = None

    def run(self, text: str, values: list[Any]) -> PostgreSQLResult:
        """Send a statement; outside of a transaction, wait for it.

        Raises:
            Conflict, Unavailable: it failed, or the connection is lost; the next statement opens another one.
        """
        if self._is_transaction:
            return self._send(text, values)
        self._enter()
        try:
            result = self._send(text, values)
            self._finish()
            return result
        finally:
            self._leave()

    def begin(self) -> None:
        """What follows is one transaction.

        Raises:
            Unavailable: there is one already, and none within another.
        """
        if self._is_transaction:
            raise Unavailable("a transaction within a transaction")
        self._enter()
        self._is_transaction = True

    def commit(self) -> None:
        """All of it takes effect, or nothing does; where that cannot be, `rollback` ends it."""
        self._finish()
        self._is_transaction = False
        self._leave()

    def rollback(self) -> None:
        """Give up what was sent, whatever became of it."""
        self._is_transaction = False
        if not self.connection.closed and self._pgconn.pipeline_status:
            with suppress(Unavailable):
                self._send("ROLLBACK", [])
                self._finish()
        self._leave()

    def collect(self) -> None:
        """Wait for everything that was sent; the transaction goes on.

        Raises:
            Conflict, Unavailable, ValueError: the first statement that failed; those behind it were not run.
        """
        with self._lost_when_broken():
            self._pgconn.send_flush_request()
            self._pgconn.flush()
            failure = self._results()
        if failure is not None:
            raise _failed(failure)

    def _finish(self) -> None:
        """Wait for everything that was sent, which takes effect by that.

        Raises:
            Conflict, Unavailable, ValueError: as above; nothing took effect.
        """
        with self._lost_when_broken():
            self._pgconn.pipeline_sync()
            failure = self._results()
            end = self._next()
            while end.status != ExecStatus.PIPELINE_SYNC:  # what was put off to the end has failed
                failure = failure or end
                end = self._pgconn.get_result() or self._next()
        if failure is not None:
            raise _failed(failure)

    def _results(self) -> PGresult | None:
        """Take the results of what was sent; the first failure among them, or of those before."""
        awaited, self._awaited = self._awaited, []
        for each in awaited:
            each.result = self._next()
            self._pgconn.get_result()  # the end of this statement's results
            if each.result.status in FAILED:
                self._failure = self._failure or each.result
            if each.prepares and each.result.status != ExecStatus.COMMAND_OK:
                del self._prepared[each.prepares]
        return self._failure

    def loaded(self, result: PGresult) -> list[Row]:
        """The rows of a result."""
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, tuple)

    def _send(self, text: str, values: list[Any]) -> PostgreSQLResult:
        result = PostgreSQLResult(self)
        kinds = tuple(map(type, values))
        formats = [BINARY if kind is bytes else TEXT for kind in kinds] if bytes in kinds else None
        try:
            name = self._prepared.get((text, kinds)) or self._prepare((text, kinds))
            written = [WRITTEN[kind](value) for kind, value in zip(kinds, values, strict=True)]
            self._pgconn.send_query_prepared(name, written, formats)
        except psycopg.Error as error:
            raise self._lost(error) from error
        self._awaited.append(result)
        return result

    def _prepare(self, key: Key) -> bytes:
        self._number += 1
        name = b"s%d" % self._number
        self._pgconn.send_prepare(name, key[0].encode(), [OIDS[kind] for kind in key[1]] or None)
        self._prepared[key] = name
        self._awaited.append(PostgreSQLResult(self, key))
        return name

    def _next(self) -> PGresult:
        while self._pgconn.is_busy():
            if not self._poll.poll(self.patience):
                raise psycopg.OperationalError("the server is connected, and says nothing")
            self._pgconn.consume_input()
        result = self._pgconn.get_result()
        if result is None:
            raise psycopg.OperationalError(self._pgconn.get_error_message() or "the connection is lost")
        return result

    def _enter(self) -> None:
        if self.connection.closed:
            self._open()
        self._failure = None
        with self._lost_when_broken():
            self._pgconn.enter_pipeline_mode()

    def _leave(self) -> None:
        if not self.connection.closed:
            with self._lost_when_broken():
                self._pgconn.exit_pipeline_mode()

    @contextmanager
    def _lost_when_broken(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._lost(error) from error

    def _lost(self, error: psycopg.Error) -> Unavailable:
        """What libpq refuses it refuses for good: the connection is closed."""
        self.connection.close()
        return _named(error)


class PostgreSQLDatabase:
    """PostgreSQL: prepared statements, one pipeline per transaction."""

    engine = "postgresql"

    def __init__(self, settings: Settings, queries: Mapping[str, str]) -> None:
        self._statements = {name: NumberedStatement(text) if text else None for name, text in queries.items()}
        self._pipeline = Pipeline(settings.db_url, settings.db.busy_timeout)
        self._foreseen: dict[tuple[Any, ...], Result] = {}

    def execute(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> Result:
        statement = self._statements[name]
        if statement is None:
            return NOTHING_DONE
        text, values = statement.fill(parameters, rows)
        foreseen = self._foreseen.pop((text, *values), None) if self._foreseen else None
        return foreseen or self._pipeline.run(text, values)

    def foresee(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> None:
        statement = self._statements[name]
        if statement is not None:
            text, values = statement.fill(parameters, rows)
            self._foreseen[text, *values] = self._pipeline.run(text, values)

    def lock(self, resource: str) -> None:
        self._pipeline.run(LOCK, [resource])

    def tidy(self) -> None:
        """PostgreSQL looks after itself."""

    def script(self, text: str) -> None:
        patience, self._pipeline.patience = self._pipeline.patience, None  # what it changes may be large
        try:
            for statement in statements_of(text):
                self._pipeline.run(statement, []).rows()
        finally:
            self._pipeline.patience = patience

    def transaction(self) -> "PostgreSQLTransaction":
        """One pipeline: a single round trip where nothing is asked for in between."""
        return PostgreSQLTransaction(self._pipeline, self._foreseen)

    def close(self) -> None:
        self._pipeline.connection.close()


class PostgreSQLTransaction:
    """One pipeline; written out as a class because it is on the way of every request."""

    __slots__ = ("_foreseen", "_pipeline")

    def __init__(self, pipeline: Pipeline, foreseen: dict[tuple[Any, ...], Result]) -> None:
        self._pipeline = pipeline
        self._foreseen = foreseen

    def __enter__(self) -> None:
        self._pipeline.begin()

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._foreseen.clear()
        if kind is not None:
            self._pipeline.rollback()
            return
        try:
            self._pipeline.commit()
        except BaseException:
            self._pipeline.rollback()
            raise


def _failed(failure: PGresult) -> Exception:
    """What became of a statement; a value that no column takes is no fault of the database, which may be asked for other things."""
    error = errors.error_from_result(failure)
    return ValueError(_one_line(error)) if isinstance(error, errors.DataError) else _named(error)


def _named(error: psycopg.Error) -> Unavailable:
    """The error as the rest of the program knows it."""
    kind = Conflict if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure) else Unavailable
    return kind(_one_line(error))


def _one_line(error: Exception) -> str:
    """What it says; libpq says some things in several lines."""
    return " ".join(str(error).split())
