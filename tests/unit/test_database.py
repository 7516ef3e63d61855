"""Statements and connections: kemi/database.py. What the verbs ask of it together: tests/verbs."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.pq import PipelineStatus

from kemi import database, schema
from kemi.database import Database, Unavailable, load_queries, statements_of
from kemi.statement import MarkedStatement
from tests.unit.values import settings_of

QUERIES = load_queries(database.SQL / "queries", "postgresql")


@pytest.fixture
def url(new_database: Callable[[Path], str], tmp_path: Path) -> str:
    return new_database(tmp_path)


@pytest.fixture
def connection(url: str) -> Iterator[Database]:
    opened = database.connect(settings_of(url))
    schema.migrate(opened)
    yield opened
    opened.close()


def save(connection: Database, name: str, value: str = "x") -> None:
    connection.execute("server_initialise", {"name": name, "value": value})


def saved(connection: Database, name: str) -> list[str]:
    return [value for (value,) in connection.execute("server_value", {"name": name}).rows()]


# Text of statements


def test_names_become_marks_and_keep_their_order() -> None:
    statement = MarkedStatement("SELECT :b, a::text FROM t WHERE a = :a AND b = :b")
    assert statement.fill({"a": 1, "b": 2}, ()) == ("SELECT ?, a::text FROM t WHERE a = ? AND b = ?", [2, 1, 2])


def test_rows_are_filled_in_between() -> None:
    statement = MarkedStatement("UPDATE t SET a = :x FROM (VALUES :rows) AS r WHERE b = :y")
    text, values = statement.fill({"x": 1, "y": 2}, [("a", 3), ("b", 4)])
    assert text == "UPDATE t SET a = ? FROM (VALUES (?, ?), (?, ?)) AS r WHERE b = ?"
    assert values == [1, "a", 3, "b", 4, 2]


def test_rows_of_one_column_to_look_up_are_a_list() -> None:
    statement = MarkedStatement("SELECT 1 FROM t WHERE a IN (SELECT column1 FROM (VALUES :rows) AS wanted) AND b = :b")
    assert statement.fill({"b": 3}, [("x",), ("y",)]) == ("SELECT 1 FROM t WHERE a IN (?, ?) AND b = ?", ["x", "y", 3])


def test_the_same_number_of_rows_is_the_same_text() -> None:
    statement = MarkedStatement("DELETE FROM t WHERE a IN (SELECT column1 FROM (VALUES :rows) AS gone)")
    (one, _), (same, _), (two, _) = (statement.fill({}, rows) for rows in ([("x",)], [("y",)], [("x",), ("y",)]))
    assert one is same
    assert one != two


def test_texts_of_many_rows_are_not_kept() -> None:
    statement = MarkedStatement("DELETE FROM t WHERE a IN (SELECT column1 FROM (VALUES :rows) AS gone)")
    (one, _), (again, _) = (statement.fill({}, [("x",)] * 1000) for _ in range(2))
    assert one == again
    assert one is not again


@pytest.mark.parametrize(("text", "rows"), [("SELECT 1", [("a",)]), ("SELECT * FROM (VALUES :rows) AS r", [])])
def test_rows_and_their_place_belong_together(text: str, rows: list[Any]) -> None:
    with pytest.raises(ValueError, match="rows"):
        MarkedStatement(text).fill({}, rows)


def test_a_parameter_that_is_missing_is_an_error() -> None:
    with pytest.raises(KeyError):
        MarkedStatement("SELECT :a").fill({}, ())


def test_named_statements_are_read_without_comments(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("-- about\n-- name: one\nSELECT 1 -- first; really\nFROM t;\n\n-- name: two\nSELECT 2;\n")
    assert load_queries(tmp_path, "sqlite") == {"one": "SELECT 1 FROM t", "two": "SELECT 2"}


def test_a_part_is_written_into_statements_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT {columns} FROM t;\n")
    (tmp_path / "b.sql").write_text("-- what t has\n-- part: columns\na,\n    b\n\n-- name: two\nSELECT {columns}, c FROM t;\n")
    assert load_queries(tmp_path, "sqlite") == {"one": "SELECT a, b FROM t", "two": "SELECT a, b, c FROM t"}


def test_who_connects_after_an_update_of_the_files_has_the_statements_of_the_start(tmp_path: Path) -> None:
    """A worker connects with its first request; the program that it runs is that of the start."""
    (tmp_path / "one.sql").write_text("-- name: one\nSELECT 1;\n")
    load_queries(tmp_path, "sqlite")
    (tmp_path / "one.sql").write_text("-- name: one\nSELECT 2;\n")
    assert load_queries(tmp_path, "sqlite") == {"one": "SELECT 1"}


def test_a_part_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT {columns} FROM t;\n")
    with pytest.raises(KeyError, match="columns"):
        load_queries(tmp_path, "sqlite")


def test_a_name_stands_for_one_statement(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.sql").write_text("-- name: same\nSELECT 1;\n")
    with pytest.raises(ValueError, match="same"):
        load_queries(tmp_path, "sqlite")


def test_a_statement_that_one_engine_needs_is_nothing_to_the_other(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("-- name: one (postgresql)\nSELECT 1;\n")
    assert load_queries(tmp_path, "postgresql") == {"one": "SELECT 1"}
    assert load_queries(tmp_path, "sqlite") == {"one": ""}


def test_a_migration_comes_apart_into_its_statements() -> None:
    text = "-- a; b\nCREATE TABLE t (a TEXT); -- c;\n\nCREATE INDEX i ON t (a);\n;"
    assert statements_of(text) == ["CREATE TABLE t (a TEXT)", "CREATE INDEX i ON t (a)"]


# The statements that there are


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_statement_has_nothing_that_the_drivers_would_take_for_their_own(name: str) -> None:
    text = re.sub(r":\w+", "", QUERIES[name])
    assert not set("%?;") & set(text)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_statement_is_named_after_its_table(name: str) -> None:
    head = re.compile(rf"^-- name: {name}( \(\w+\))?$", re.MULTILINE)
    (path,) = (path for path in (database.SQL / "queries").glob("*.sql") if head.search(path.read_text()))
    assert name.startswith(f"{path.stem}_") or path.stem == "server"


def test_no_statement_is_prepared_anew_for_the_sake_of_a_partial_index() -> None:
    """SQLite does so each time where a parameter is compared with a column that an index is limited to one value of."""
    migrations = "\n".join(path.read_text() for path in (database.SQL / "migrations").glob("*.sql"))
    limited = set(re.findall(r"CREATE INDEX \w+ ON (\w+) \([^)]*\)\s+WHERE (\w+) = ", migrations))
    wrong = [
        name
        for name, text in QUERIES.items()
        for table, column in limited
        if re.search(rf"\b{table}\b", text) and re.search(rf"(?<![.\w]){column} = :", text)
    ]
    assert wrong == []


def test_every_part_stands_in_several_statements() -> None:
    text = "\n".join(path.read_text() for path in (database.SQL / "queries").glob("*.sql"))
    parts = re.findall(r"^-- part: (\w+)", text, re.MULTILINE)
    assert parts
    assert [part for part in parts if text.count("{" + part + "}") < 2] == []


def test_every_statement_is_used_and_every_one_used_is_there() -> None:
    source = "\n".join(path.read_text() for path in Path(database.__file__).parent.rglob("*.py"))
    used = set(re.findall(r"execute\(\s*\"([a-z]\w*)\"", source))
    assert used == set(QUERIES)


# Connections


def fail_halfway(connection: Database, name: str, work: Callable[[], object]) -> None:
    with connection.transaction():
        save(connection, name)
        work()


def test_a_transaction_takes_effect_as_a_whole(connection: Database) -> None:
    with connection.transaction():
        save(connection, "a")
        save(connection, "b")
    with pytest.raises(ZeroDivisionError):
        fail_halfway(connection, "c", lambda: 1 // 0)
    assert [saved(connection, name) for name in "abc"] == [["x"], ["x"], []]


def test_a_transaction_that_failed_leaves_the_connection_usable(connection: Database) -> None:
    (applied, *_) = schema.state(connection).applied
    with pytest.raises(Unavailable):
        fail_halfway(connection, "a", lambda: connection.execute("schema_record", {"name": applied}))
    assert saved(connection, "a") == []
    save(connection, "a")
    assert saved(connection, "a") == ["x"]


def test_a_transaction_whose_failure_is_passed_over_takes_no_effect(connection: Database) -> None:
    if connection.engine == "sqlite":
        pytest.skip("there a statement fails by itself")
    (applied, *_) = schema.state(connection).applied

    def passed_over() -> None:
        with suppress(Unavailable):
            connection.execute("schema_record", {"name": applied})
            saved(connection, "a")
        save(connection, "b")

    with pytest.raises(Unavailable):
        fail_halfway(connection, "a", passed_over)
    assert [saved(connection, name) for name in "ab"] == [[], []]


def test_what_fails_at_the_very_end_takes_no_effect_and_says_why(connection: Database) -> None:
    connection.script(
        "CREATE TABLE parent (a BIGINT PRIMARY KEY);"
        "CREATE TABLE child (a BIGINT REFERENCES parent DEFERRABLE INITIALLY DEFERRED);"
        f"{'PRAGMA foreign_keys = ON' if connection.engine == 'sqlite' else 'SELECT 1'}"
    )
    with pytest.raises(Unavailable, match=r"(?i)foreign key"):
        fail_halfway(connection, "a", lambda: connection.script("INSERT INTO child VALUES (7)"))
    assert saved(connection, "a") == []
    save(connection, "a")
    assert saved(connection, "a") == ["x"]


def test_a_transaction_within_a_transaction_is_refused_and_nothing_takes_effect(connection: Database) -> None:
    with pytest.raises(Unavailable, match="transaction"):
        fail_halfway(connection, "a", lambda: fail_halfway(connection, "b", lambda: None))
    assert [saved(connection, name) for name in "ab"] == [[], []]


def test_a_transaction_whose_connection_is_lost_does_not_go_on_by_another_one(connection: Database, url: str) -> None:
    if connection.engine == "sqlite":
        pytest.skip("SQLite has no server")
    other: Any = database.connect(settings_of(url))
    process = connection._pipeline.connection.info.backend_pid  # type: ignore[attr-defined]

    def lost() -> None:
        saved(connection, "a")
        other._pipeline.connection.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))
        with suppress(Unavailable):
            saved(connection, "a")
        save(connection, "b")

    with pytest.raises(Unavailable):
        fail_halfway(connection, "a", lost)
    assert [saved(connection, name) for name in "ab"] == [[], []]
    other.close()


def test_counts_are_there_when_the_transaction_has_ended(connection: Database) -> None:
    with connection.transaction():
        first = connection.execute("server_initialise", {"name": "a", "value": "1"})
        again = connection.execute("server_initialise", {"name": "a", "value": "2"})
    assert (first.count, again.count) == (1, 0)


def test_what_is_committed_is_seen_by_others_and_nothing_else(connection: Database, url: str) -> None:
    other = database.connect(settings_of(url))
    with connection.transaction():
        save(connection, "a")
        assert saved(connection, "a") == ["x"]
        assert saved(other, "a") == []
    assert saved(other, "a") == ["x"]
    other.close()


def test_rows_that_are_asked_for_on_the_way_commit_nothing(connection: Database, url: str) -> None:
    other = database.connect(settings_of(url))

    def halfway() -> None:
        save(connection, "a")
        assert saved(connection, "a") == ["x"]
        assert saved(other, "a") == []
        save(connection, "b")
        raise LookupError

    with pytest.raises(LookupError):
        fail_halfway(connection, "c", halfway)
    assert [saved(connection, name) for name in "abc"] == [[], [], []]
    other.close()


def test_what_is_foreseen_is_as_it_was_when_nothing_was_changed(connection: Database) -> None:
    save(connection, "a")
    with connection.transaction():
        connection.foresee("server_value", {"name": "a"})
        save(connection, "b")
        assert [saved(connection, name) for name in "baa"] == [["x"], ["x"], ["x"]]


def test_what_was_foreseen_in_vain_is_forgotten_with_its_transaction(connection: Database) -> None:
    with connection.transaction():
        connection.foresee("server_value", {"name": "a"})
        save(connection, "a")
    with connection.transaction():
        assert saved(connection, "a") == ["x"]
        connection.foresee("server_value", {"name": "b"})
    save(connection, "b")
    assert saved(connection, "b") == ["x"]


def test_tidying_up_keeps_everything(connection: Database) -> None:
    save(connection, "a")
    connection.tidy()
    assert saved(connection, "a") == ["x"]


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_is_removed_or_replaced_is_noticed(tmp_path: Path, replaced: bool) -> None:
    file = tmp_path / "presence.db"
    connection = database.connect(settings_of(f"sqlite:///{file}"))
    connection.tidy()
    file.rename(tmp_path / "old.db")
    if replaced:
        file.touch()
    with pytest.raises(Unavailable, match="was removed or replaced"):
        connection.tidy()
    connection.close()


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    for wrong in (f"sqlite:///{tmp_path}/no/folder/presence.db", "postgresql://nobody@127.0.0.1:1/presence"):
        with pytest.raises(Unavailable):
            database.connect(settings_of(wrong))


def test_after_its_server_was_gone_the_connection_comes_back(connection: Database, url: str) -> None:
    if connection.engine == "sqlite":
        pytest.skip("SQLite has no server")
    other: Any = database.connect(settings_of(url))
    process = connection._pipeline.connection.info.backend_pid  # type: ignore[attr-defined]
    other._pipeline.connection.execute("SELECT pg_terminate_backend(%s)", (process,))
    other.close()
    with pytest.raises(Unavailable):
        save(connection, "a")
    save(connection, "a")
    with connection.transaction():
        assert saved(connection, "a") == ["x"]


@pytest.mark.parametrize(("chosen", "number"), [("normal", 1), ("full", 2)])
def test_sqlite_is_as_durable_as_the_operator_wants(tmp_path: Path, chosen: str, number: int) -> None:
    settings = settings_of(f"sqlite:///{tmp_path}/presence.db")
    opened: Any = database.connect(replace(settings, db=replace(settings.db, synchronous=chosen)))
    pragmas = [opened._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
    assert pragmas == [number, "wal"]
    opened.close()


def test_on_postgresql_a_transaction_is_one_pipeline(connection: Database) -> None:
    if connection.engine == "sqlite":
        pytest.skip("there is no network to wait for")
    inner: Any = connection._pipeline.connection.pgconn  # type: ignore[attr-defined]
    with connection.transaction():
        assert inner.pipeline_status == PipelineStatus.ON
    assert inner.pipeline_status == PipelineStatus.OFF


def test_on_postgresql_what_was_foreseen_travels_with_what_is_asked_for_first(connection: Database) -> None:
    if connection.engine == "sqlite":
        pytest.skip("there is no network to wait for")
    with connection.transaction():
        connection.foresee("server_value", {"name": "b"})
        saved(connection, "a")
        result: Any = connection.execute("server_value", {"name": "b"})
        assert result.result is not None
