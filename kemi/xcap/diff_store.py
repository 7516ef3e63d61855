"""What xcap-diff needs of the database, as values; queries in sql/queries/xcap_diff.sql. No decisions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kemi.database import Database, Result, Row
from kemi.xcap.path import DocumentSelector, Tree

KEPT = 600
"""Seconds that changes are kept at least: more than a NOTIFY needs to be answered."""

MAX_CHANGES = 100
"""Changes of a document that are kept at a time."""


class Watching(NamedTuple):
    """A subscription to changes, with what it asks for, as in `Subscription`."""

    id: str
    event_parameters: str
    body: str


class Recorded(NamedTuple):
    """A change of a document: the entity-tag after it, and its operations, "" for none."""

    etag: str
    patch: str


def watching(database: Database, watchers: Sequence[str] | None) -> list[Watching]:
    """The active subscriptions of these users, None: of everybody."""
    if watchers is None:
        result = database.execute("xcap_diff_all_watching")
    else:
        result = database.execute("xcap_diff_watching", {}, [(each,) for each in watchers])
    return [Watching._make(row) for row in result.rows()]


def mark_due(database: Database, ids: Sequence[str], now: float, interval: float) -> Result:
    """Mark subscriptions due, as `kemi.store.mark_due`; gives for each whether it has a NOTIFY in flight."""
    return database.execute("xcap_diff_mark_due", {"now": now, "interval": interval}, [(each,) for each in ids])


def entity_tags(database: Database, users: Sequence[str]) -> dict[DocumentSelector, str]:
    """The entity-tags of all documents of these users, and of those for everybody."""
    rows = database.execute("xcap_diff_entity_tags", {}, [(each,) for each in users]).rows()
    return {_selector(row): row[4] for row in rows}


def bodies(database: Database, documents: Sequence[DocumentSelector]) -> dict[DocumentSelector, bytes]:
    """What is in these documents, as far as they are there."""
    return {_selector(row): bytes(row[4]) for row in database.execute("xcap_diff_bodies", {}, list(map(_key, documents))).rows()}


def changes(database: Database, documents: Sequence[DocumentSelector]) -> dict[DocumentSelector, dict[str, Recorded]]:
    """What became of these documents of late, by the entity-tag before."""
    found: dict[DocumentSelector, dict[str, Recorded]] = {each: {} for each in documents}
    for row in database.execute("xcap_diff_changes", {}, list(map(_key, documents))).rows():
        found[_selector(row)][row[4]] = Recorded(row[5], row[6])
    return found


def record(database: Database, document: DocumentSelector, previous: str, change: Recorded, now: float) -> None:
    """Keep a change for those who will be told of it, and let go of old ones."""
    database.execute("xcap_diff_forget", {"oldest": now - KEPT})
    key = {"tree": document.tree.value, "xui": document.xui, "auid": document.auid, "name": document.name}
    values: Mapping[str, object] = key | change._asdict() | {"previous": previous, "changed_at": now, "most": MAX_CHANGES}
    database.execute("xcap_diff_record", values)


def _key(document: DocumentSelector) -> Row:
    return document.tree.value, document.xui, document.auid, document.name


def _selector(row: Row) -> DocumentSelector:
    tree, xui, auid, name = row[:4]
    return DocumentSelector(auid, Tree(tree), xui, name)
