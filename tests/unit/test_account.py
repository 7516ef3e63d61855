"""Accounts: the hashes of RFC 7616, addresses, and their rows."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kemi import account, account_store, database, schema, settings
from kemi.database import Database


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Database]:
    configuration = tmp_path / "kamailio.cfg"
    configuration.write_text("")
    found = settings.load({"KP_DB_URL": f"sqlite:///{tmp_path}/presence.db"}, configuration)
    with closing(database.connect(found)) as connection:
        schema.migrate(connection)
        yield connection


def test_ha1_of_the_examples_of_rfc_7616() -> None:
    """RFC 7616 section 3.9.1: Mufasa, http-auth@example.org, Circle of Life."""
    values = ("Mufasa", "http-auth@example.org", "Circle of Life")
    assert account.ha1(*values, "MD5") == "3d78807defe7de2157e2b0b6573a855f"
    assert account.ha1(*values, "SHA-256") == "7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"


def test_passwords_beyond_ascii_are_utf_8() -> None:
    assert account.ha1("alice", "example.org", "ä", "MD5") != account.ha1("alice", "example.org", "a", "MD5")


def test_there_is_no_hash_of_an_unknown_algorithm() -> None:
    with pytest.raises(KeyError):
        account.ha1("alice", "example.org", "secret", "SHA-1")


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("alice@example.org", ("alice", "example.org")),
        ("sip:Alice@Example.ORG", ("Alice", "example.org")),
        ("sips:a.b-c_d@[2001:DB8::1]", ("a.b-c_d", "[2001:db8::1]")),
        (" +49123@192.0.2.1 ", ("+49123", "192.0.2.1")),
    ],
)
def test_an_address_is_split_into_user_and_domain(address: str, parts: tuple[str, str]) -> None:
    assert account.split_address(address) == parts


@pytest.mark.parametrize(
    "address", ["", "alice", "@example.org", "alice@", "a b@c", "a:b@c", "<sip:a@b>", "a@b\r\nX: y", "a@b;c=d", 'a"@b']
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        account.split_address(address)


def test_hashes_are_not_shown() -> None:
    new = account.create("alice", "example.org", "secret")
    assert repr(new) == "Account(username='alice', domain='example.org')"
    assert new.address == "alice@example.org"


def test_accounts_are_loaded_as_saved_and_listed_by_domain(connection: Database) -> None:
    assert account_store.load(connection, "alice", "example.org") is None
    for name, domain, password in [("bob", "b.example", "1"), ("zoe", "a.example", "2"), ("Bob", "b.example", "3")]:
        account_store.save(connection, account.create(name, domain, password))
    assert [each.address for each in account_store.list_all(connection)] == [
        "zoe@a.example",
        "Bob@b.example",
        "bob@b.example",
    ]
    assert account_store.load(connection, "bob", "b.example") == account.create("bob", "b.example", "1")


def test_another_password_replaces_the_first(connection: Database) -> None:
    account_store.save(connection, account.create("alice", "example.org", "old"))
    account_store.save(connection, account.create("alice", "example.org", "new"))
    assert account_store.list_all(connection) == [account.create("alice", "example.org", "new")]


def test_an_account_is_removed_once(connection: Database) -> None:
    account_store.save(connection, account.create("alice", "example.org", "secret"))
    assert account_store.remove(connection, "alice", "example.org")
    assert not account_store.remove(connection, "alice", "example.org")
    assert account_store.list_all(connection) == []


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("given", ["alice", "alice@example.org"])
def test_the_hash_is_that_of_the_name_that_the_client_gives(given: str, algorithm: str) -> None:
    """The whole address stands in the hash where a client gives it as its user name (RFC 7616 section 3.4.2)."""
    known = account.create("alice", "example.org", "secret")
    assert known.ha1_for(algorithm, given) == account.ha1(given, "example.org", "secret", algorithm)


@pytest.mark.parametrize("given", ["", "Alice", "bob", "alice@", "alice@example.net", "alice@example.org@example.org"])
def test_there_is_no_hash_of_another_name(given: str) -> None:
    assert account.create("alice", "example.org", "secret").ha1_for("MD5", given) == ""
