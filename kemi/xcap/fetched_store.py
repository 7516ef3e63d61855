"""Rows of documents of other XCAP servers as values; queries in sql/queries/fetched.sql. No decisions are made here."""

from collections.abc import Sequence
from typing import NamedTuple

from kemi.database import Database, Row
from kemi.xcap.fetched_document import FetchedDocument, Known


def load(database: Database, owner: str, uri: str) -> FetchedDocument | None:
    """One document, None where it was never asked for. One statement."""
    rows = database.execute("fetched_load", {"owner": owner, "uri": uri}).rows()
    return document_of(rows[0]) if rows else None


def load_many(database: Database, owner: str, uris: Sequence[str]) -> dict[str, FetchedDocument]:
    """Those of several documents of one user that were asked for before, by URI. One statement, and none without any."""
    wanted = [(each,) for each in uris]
    rows = database.execute("fetched_load_many", {"owner": owner}, wanted).rows() if wanted else []
    return {each.uri: each for each in map(document_of, rows)}


def ask_first(database: Database, document: FetchedDocument) -> None:
    """Have a document fetched that nobody asked for before; who asks at the same time finds it asked for."""
    values = {"owner": document.owner, "uri": document.uri, "auid": document.auid, "known": document.known.value}
    database.execute("fetched_ask_first", values | {"now": document.since})


def ask(database: Database, document: FetchedDocument, now: float) -> None:
    """Have a known document fetched anew."""
    database.execute("fetched_ask", {"owner": document.owner, "uri": document.uri, "now": now})


class Asked(NamedTuple):
    """A document that is fetched anew; `confirmed_at` is when it was seen last, in seconds since the epoch."""

    owner: str
    uri: str
    known: str
    confirmed_at: float


def ask_all(database: Database, owner: str, now: float) -> list[Asked]:
    """Have all known documents of a user fetched anew, "" for every user. One statement."""
    return sorted(Asked._make(row) for row in database.execute("fetched_ask_all", {"owner": owner, "now": now}).rows())


class Listed(NamedTuple):
    """What is known of a document.

    Args:
        confirmed_at: when its server said so last, or since when nothing is known; seconds since the epoch.
        size: of the document in octets, 0 where none is known.
        failures: fetches in a row that brought no answer that can be used.
        next_at: when it is fetched, if it is in use then; None: when it is asked for.
    """

    owner: str
    uri: str
    known: str
    confirmed_at: float
    size: int
    failures: int
    next_at: float | None


def list_all(database: Database, owner: str, limit: int) -> list[Listed]:
    """The documents of a user that were asked for, "" for those of every user. One statement."""
    return [Listed._make(row) for row in database.execute("fetched_list", {"owner": owner, "limit": limit}).rows()]


class Deadlines(NamedTuple):
    """Whether documents are to be fetched, and whether what is known of some is too old."""

    is_due: bool
    is_over: bool


def deadlines(database: Database, now: float, before: float) -> Deadlines:
    """Which of both have come; what was not confirmed since `before` is too old. Seconds since the epoch. One statement."""
    ((due, over),) = database.execute("fetched_deadlines", {"now": now, "before": before}).rows()
    return Deadlines(bool(due), bool(over))


def claim(database: Database, server: str, now: float, until: float, limit: int) -> list[FetchedDocument]:
    """Take documents in use that are due, of one server (`fetched_document.server_of`); nobody else takes them before `until`."""
    rows = database.execute("fetched_claim", {"server": server, "now": now, "until": until, "limit": limit}).rows()
    return [document_of(row) for row in rows]


def rest(database: Database, now: float) -> None:
    """Due documents that are not in use wait until they are asked for."""
    database.execute("fetched_rest", {"now": now})


def save(database: Database, document: FetchedDocument) -> None:
    """Write a document that has its row."""
    values = document._asdict() | {"known": document.known.value, "asked": int(document.asked)}
    database.execute("fetched_save", values | {"body": document.body if document.known is Known.DOCUMENT else None})


def over(database: Database, before: float, limit: int) -> list[FetchedDocument]:
    """Documents that were not confirmed since `before`, the oldest first."""
    return [document_of(row) for row in database.execute("fetched_over", {"before": before, "limit": limit}).rows()]


def remove_over(database: Database, before: float) -> None:
    """Forget that anybody asked for documents that nothing is known of, and that are not in use."""
    database.execute("fetched_remove_over", {"before": before})


def remove_foreign(database: Database, roots: Sequence[str]) -> None:
    """Remove what was fetched below other roots than these; at least one."""
    database.execute("fetched_remove_foreign", {}, [(f"{each}/",) for each in roots])


def document_of(row: Row) -> FetchedDocument:
    """A row with all columns, in the order of the fields."""
    found = FetchedDocument._make(row)
    return found._replace(known=Known(found.known), body=bytes(found.body or b""), asked=bool(found.asked))
