"""Rows of the table `subscriber` to accounts and back."""

from dataclasses import asdict

from kemi.account import Account
from kemi.database import Database


def save(database: Database, account: Account) -> None:
    """Add an account, or give one that is there another password."""
    with database.transaction():
        database.execute("account_save", asdict(account))


def load(database: Database, username: str, domain: str) -> Account | None:
    """The account of a user, if there is one."""
    rows = database.execute("account_load", {"username": username, "domain": domain}).rows()
    return Account(*rows[0]) if rows else None


def is_user(database: Database, uri: str) -> bool:
    """Whether somebody is known to have this canonical URI, with an account or by what he does. One statement."""
    username, _, domain = uri.partition(":")[2].rpartition("@")
    ((known,),) = database.execute("account_is_user", {"username": username, "domain": domain, "uri": uri}).rows()
    return bool(known)


def remove(database: Database, username: str, domain: str) -> bool:
    """Take an account away.

    Returns:
        Whether there was one.
    """
    with database.transaction():
        result = database.execute("account_remove", {"username": username, "domain": domain})
    return result.count > 0


def list_all(database: Database) -> list[Account]:
    """All accounts by domain and name."""
    accounts = [Account(*row) for row in database.execute("account_list").rows()]
    return sorted(accounts, key=lambda account: (account.domain, account.username))
