"""Rows of the table xcap_document, as values; queries in sql/queries/xcap.sql. No decisions.

Who keeps documents is named by canonical URI (`usages`), below global by "".
"""

from typing import NamedTuple

from kemi.database import Database
from kemi.report import document_key
from kemi.xcap.path import DocumentSelector, Tree


class Stored(NamedTuple):
    """A document. `selector.xui` is canonical; `etag` has no quotes; `changed_at`: seconds since the epoch."""

    selector: DocumentSelector
    etag: str
    content_type: str
    body: bytes
    changed_at: float


class Followers(NamedTuple):
    """Whom a change of a document of a user may concern; who looks where somebody may be looks closer.

    Args:
        lists: of resources, that are made of documents of this application usage and user.
        documents: subscriptions of the user to its documents.
        presentity: who watches the user, or waits for being let in.
    """

    lists: bool = True
    documents: bool = True
    presentity: bool = True


class Before(NamedTuple):
    """A document that is about to be changed.

    Args:
        document: None if there is none.
        number: of documents that its owner has.
    """

    document: Stored | None
    number: int
    followers: Followers


class Entry(NamedTuple):
    """What a directory says of a document; `size` in octets."""

    auid: str
    name: str
    etag: str
    changed_at: float
    size: int


class Listed(NamedTuple):
    """What there is of a document besides its octets; `size` in octets."""

    selector: DocumentSelector
    etag: str
    content_type: str
    changed_at: float
    size: int


def _key(selector: DocumentSelector) -> dict[str, str]:
    return {"tree": selector.tree.value, "xui": selector.xui, "auid": selector.auid, "name": selector.name}


def _values(document: Stored) -> dict[str, object]:
    return document._asdict() | _key(document.selector)


def load(database: Database, selector: DocumentSelector) -> Stored | None:
    """The document, if there is one."""
    rows = database.execute("xcap_load", _key(selector)).rows()
    if not rows:
        return None
    etag, content_type, body, changed_at = rows[0]
    return Stored(selector, etag, content_type, bytes(body), changed_at)


def load_to_change(database: Database, selector: DocumentSelector) -> Before:
    """The document, and whom its change may concern; in the transaction that changes it, after its locks."""
    auid, tree, xui, name = selector
    key = {"tree": tree.value, "xui": xui, "auid": auid, "name": name, "list_document": document_key(auid, xui)}
    (row,) = database.execute("xcap_load_to_change", key).rows()
    number, lists, watched, presentity, etag, content_type, body, changed_at = row
    stored = None if etag is None else Stored(selector, etag, content_type, bytes(body), changed_at)
    return Before(stored, number, Followers(bool(lists), bool(watched), bool(presentity)))


def documents(database: Database, auid: str, xui: str) -> list[Stored]:
    """All documents of a user for one application usage, by name."""
    rows = database.execute("xcap_documents", {"xui": xui, "auid": auid}).rows()
    return [
        Stored(DocumentSelector(auid, Tree.USERS, xui, name), etag, content_type, bytes(body), changed_at)
        for name, etag, content_type, body, changed_at in rows
    ]


def directory(database: Database, xui: str) -> list[Entry]:
    """What there is of a user, by application usage and name."""
    return [Entry._make(row) for row in database.execute("xcap_directory", {"xui": xui}).rows()]


def list_all(database: Database, xui: str, auid: str, limit: int) -> list[Listed]:
    """Documents of a user, "" for all, and of one application usage, "" for all."""
    rows = database.execute("xcap_list", {"xui": xui, "auid": auid, "limit": limit}).rows()
    return [Listed(DocumentSelector(usage, Tree(tree), of, name), *more) for tree, of, usage, name, *more in rows]


def create(database: Database, document: Stored) -> None:
    """Insert it."""
    database.execute("xcap_create", _values(document))


def replace(database: Database, document: Stored) -> None:
    """Write it in the place of the one that is there."""
    database.execute("xcap_replace", _values(document))


def remove(database: Database, selector: DocumentSelector) -> None:
    """Delete it."""
    database.execute("xcap_remove", _key(selector))
