"""Rows of the table xcap_document, as values; queries in sql/queries/xcap.sql. No decisions.

Who keeps documents is named by canonical URI (`usages`), below global by "".
"""

from typing import NamedTuple

from kemi.database import Database
from kemi.xcap.path import DocumentSelector, Tree


class Stored(NamedTuple):
    """A document. `selector.xui` is canonical; `etag` has no quotes; `changed_at`: seconds since the epoch."""

    selector: DocumentSelector
    etag: str
    content_type: str
    body: bytes
    changed_at: float


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


def create(database: Database, document: Stored, max_documents: int) -> bool:
    """Insert it; False: its owner has so many already (0: no limit)."""
    return bool(database.execute("xcap_create", _values(document) | {"max_documents": max_documents}).rows())


def replace(database: Database, document: Stored) -> None:
    """Write it in the place of the one that is there."""
    database.execute("xcap_replace", _values(document))


def remove(database: Database, selector: DocumentSelector) -> None:
    """Delete it."""
    database.execute("xcap_remove", _key(selector))
