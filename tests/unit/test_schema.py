"""Migrations: kemi/schema.py and sql/migrations."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kemi import database, schema
from kemi.b2bua import store
from kemi.b2bua.outgoing import Key, Outgoing, Phase
from kemi.database import Database, Unavailable
from kemi.errors import ConfigurationError
from kemi.parameters import DatabaseSettings
from kemi.postgresql import PATIENCE
from tests.postgresql import Cluster
from tests.unit.values import settings_of

ENGINES = ("sqlite", "postgresql")
BEFORE = {
    "watcher": "'w'", "resource": "'r'", "package": "'p'", "phase": "'established'", "shown": "'active'", "local_cseq": "7",
    "in_flight_until": "NULL", "next_at": "3.5", "trace": "'1.000 wanted'",
}  # fmt: skip
"""A subscription of the server's own, as it was written before there were forks."""
OCTETS = {"sqlite": "CAST('<octets/>' AS BLOB)", "postgresql": "'<octets/>'"}


@pytest.fixture
def empty(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Database]:
    connection = database.connect(settings_of(new_database(tmp_path)))
    yield connection
    connection.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Migrations of our own."""
    made = tmp_path / "migrations"
    made.mkdir()
    monkeypatch.setattr(schema, "MIGRATIONS", made)
    (made / "0001_first.sql").write_text("CREATE TABLE server (name TEXT PRIMARY KEY, value TEXT NOT NULL); -- one; two\n")
    return made


# The files


def test_migrations_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in schema.MIGRATIONS.iterdir())
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+(\.(sqlite|postgresql))?\.sql", name) for name in names), names
    numbers = sorted({int(name[:4]) for name in names})
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_every_number_once(engine: str) -> None:
    numbers = [name[:4] for name in schema.migrations(engine)]
    assert numbers == sorted({path.name[:4] for path in schema.MIGRATIONS.iterdir()})


def test_a_file_for_one_engine_is_not_seen_by_the_other(folder: Path) -> None:
    for engine in ENGINES:
        (folder / f"0002_second.{engine}.sql").write_text("")
    assert [path.name for path in schema.migrations("sqlite").values()] == ["0001_first.sql", "0002_second.sqlite.sql"]
    assert list(schema.migrations("postgresql")) == ["0001_first", "0002_second"]


# Applying them


def test_an_empty_database_becomes_the_schema_and_a_second_run_changes_nothing(empty: Database) -> None:
    assert schema.migrate(empty) == list(schema.migrations(empty.engine))
    secret = schema.secret(empty)
    assert schema.migrate(empty) == []
    assert schema.secret(empty) == secret
    assert len(secret) >= 16


def test_two_installations_have_different_secrets(new_database: Callable[[Path], str], tmp_path: Path) -> None:
    secrets = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        connection = database.connect(settings_of(new_database(tmp_path / name)))
        schema.migrate(connection)
        secrets.add(schema.secret(connection))
        connection.close()
    assert len(secrets) == 2


def test_only_what_is_missing_is_applied_in_its_order(empty: Database, folder: Path) -> None:
    assert schema.migrate(empty) == ["0001_first"]
    (folder / "0003_third.sql").write_text("INSERT INTO extra (a) VALUES (1);")
    (folder / "0002_second.sql").write_text("CREATE TABLE extra (a INTEGER);")
    assert schema.state(empty) == schema.SchemaState(("0001_first",), ("0002_second", "0003_third"), ())
    assert schema.migrate(empty) == ["0002_second", "0003_third"]
    assert schema.state(empty).missing == ()


def test_a_newer_schema_is_left_alone(empty: Database, folder: Path) -> None:
    newer = folder / "0002_newer.sql"
    newer.write_text("CREATE TABLE extra (a INTEGER);")
    schema.migrate(empty)
    newer.unlink()
    (folder / "0002_other.sql").write_text("CREATE TABLE other (a INTEGER);")
    with pytest.raises(ConfigurationError, match="0002_newer"):
        schema.migrate(empty)
    assert schema.state(empty).applied == ("0001_first", "0002_newer")


def test_a_migration_that_fails_is_not_applied_at_all(empty: Database, folder: Path) -> None:
    schema.migrate(empty)
    broken = folder / "0002_broken.sql"
    broken.write_text("CREATE TABLE extra (a INTEGER); CREATE TABLE extra (b INTEGER);")
    with pytest.raises(Unavailable):
        schema.migrate(empty)
    assert schema.state(empty).applied == ("0001_first",)
    broken.write_text("CREATE TABLE extra (a INTEGER);")
    assert schema.migrate(empty) == ["0002_broken"]


def test_a_migration_may_take_longer_than_anything_else(cluster: Cluster, folder: Path) -> None:
    """A table may be large: PostgreSQL says nothing until it has been made anew."""
    found = settings_of(cluster.database())
    with closing(database.connect(replace(found, db=DatabaseSettings(busy_timeout=1)))) as connection:
        schema.migrate(connection)
        (folder / "0002_long.sql").write_text(f"SELECT pg_sleep({PATIENCE + 0.3}); CREATE TABLE extra (a INTEGER);")
        assert schema.migrate(connection) == ["0002_long"]


def test_what_another_process_applies_meanwhile_is_not_applied_again(
    new_database: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(new_database(tmp_path))
    one, other = database.connect(settings), database.connect(settings)
    look = schema.state

    def looked(connection: Database) -> schema.SchemaState:
        monkeypatch.setattr(schema, "state", look)
        found = look(connection)
        assert schema.migrate(other) == list(found.missing) != []
        return found

    monkeypatch.setattr(schema, "state", looked)
    assert schema.migrate(one) == []
    assert schema.state(one).missing == ()
    for each in (one, other):
        each.close()


# What a table that is made anew keeps


def test_subscriptions_of_the_server_s_own_outlive_that_their_forks_are_rows_too(empty: Database) -> None:
    files = schema.migrations(empty.engine)
    schema.state(empty)
    for name in [each for each in files if each < "0017"]:
        with empty.transaction():
            empty.script(files[name].read_text())
            empty.execute("schema_record", {"name": name})
    columns = [each for each in Outgoing._fields if each not in ("fork", "opening")]
    before = BEFORE | {"body": OCTETS[empty.engine]}
    values = ", ".join(before.get(each, "'0'") for each in columns)
    empty.script(f"INSERT INTO outgoing ({', '.join(columns)}) VALUES ({values})")
    schema.migrate(empty)
    found = store.look(empty, Key("w", "r", "p"))
    assert found is not None
    assert (found.fork, found.local_cseq, found.opening, found.phase, found.body) == (0, 7, 7, Phase.ESTABLISHED, b"<octets/>")
    assert (found.in_flight_until, found.next_at, found.trace) == (None, 3.5, "1.000 wanted")
