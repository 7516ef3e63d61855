"""Rows of the table publication, as values; queries in sql/queries/publication.sql. No decisions."""

from collections.abc import Sequence
from typing import Any

from kemi.database import Database, Result, Row
from kemi.presence.publication import Publication, SourceKind

_COLUMNS = Publication._fields
_BODY = _COLUMNS.index("body")
_QUALIFIED = _COLUMNS.index("qualified")


def _parameters(publication: Publication, **more: Any) -> dict[str, Any]:
    return publication._asdict() | {"now": publication.published_at} | more


def create(database: Database, publication: Publication, max_publications: int) -> Result:
    """Insert a publication; count 0: there is one with this id, or the presentity has its most (0: no limit)."""
    return database.execute("publication_create", _parameters(publication, max_publications=max_publications))


def swap(database: Database, publication: Publication, entity_tag: str) -> Result:
    """Replace the document of the publication that has `entity_tag`; count 0: none has it any more."""
    return database.execute("publication_modify", _parameters(publication, entity_tag=entity_tag))


def refresh(database: Database, publication: Publication, entity_tag: str) -> Result:
    """Give the publication that has `entity_tag` a new lifetime and tag; count 0: none has it any more."""
    return database.execute("publication_refresh", _parameters(publication, entity_tag=entity_tag))


def remove(database: Database, publication: Publication, entity_tag: str) -> Result:
    """Delete the publication that has `entity_tag`; gives its id, nothing where none has it any more."""
    return database.execute("publication_remove", _parameters(publication, entity_tag=entity_tag))


def put(database: Database, publication: Publication) -> Result:
    """Write a publication that no PUBLISH makes, the one of its id; gives when it was created."""
    return database.execute("publication_put", publication._asdict())


def take_away(database: Database, publication: Publication) -> Result:
    """Delete what was `put`; gives its id, nothing where it is not there, or its time is over."""
    return database.execute("publication_take_away", _parameters(publication))


def published_since(database: Database, publication: Publication, since: float) -> bool:
    """Whether this very entity-tag was given out since that time."""
    return bool(database.execute("publication_published_since", _parameters(publication, since=since)).rows())


def has_tag(database: Database, package: str, presentity: str, entity_tag: str, now: float) -> bool:
    """Whether a live publication that came by PUBLISH has this entity-tag."""
    source = SourceKind.PUBLISH.value
    parameters = {"package": package, "presentity": presentity, "entity_tag": entity_tag, "now": now, "source": source}
    return bool(database.execute("publication_has_tag", parameters).rows())


def load_many(database: Database, package: str, presentities: Sequence[str], now: float) -> list[Publication]:
    """Live publications of many presentities, each one's oldest first, in one statement.

    Registered contacts come last: many clients read the first tuple only, and what the user says counts more than where it is.
    """
    rows = database.execute("publication_load_many", *_of_many(package, presentities, now)).rows()
    return [_publication(row) for row in rows]


def foresee_many(database: Database, package: str, presentities: Sequence[str], now: float) -> None:
    """`load_many` will be called with the same."""
    database.foresee("publication_load_many", *_of_many(package, presentities, now))


def _of_many(package: str, presentities: Sequence[str], now: float) -> tuple[dict[str, Any], list[Row]]:
    return {"package": package, "now": now}, [(presentity,) for presentity in presentities]


def _publication(row: Row) -> Publication:
    values = list(row)
    values[_BODY], values[_QUALIFIED] = bytes(values[_BODY]), bool(values[_QUALIFIED])
    return Publication(*values)


def qualify(database: Database, publications: Sequence[tuple[str, str, str]]) -> None:
    """Remember that the ids of these (presentity, package, id) carry a suffix in composed documents, for ever."""
    database.execute("publication_qualify", {}, publications)


def expired(database: Database, now: float, limit: int) -> list[tuple[str, str]]:
    """(presentity, package) of publications whose time is over."""
    rows = database.execute("publication_expired", {"now": now, "limit": limit}).rows()
    return [(presentity, package) for presentity, package in rows]


def remove_expired(database: Database, presentity: str, package: str, now: float, since: float) -> Result:
    """Delete a presentity's publications whose time is over; its count tells how many.

    Args:
        since: the entity-tags of those that PUBLISH has created since then are remembered as those of removals are.
    """
    parameters = {"presentity": presentity, "package": package, "now": now}
    recorded = parameters | {"source": SourceKind.PUBLISH.value, "since": since}
    database.execute("publication_record_expired", recorded)
    return database.execute("publication_remove_expired", parameters)


def deadlines(database: Database, now: float, before: float) -> tuple[bool, bool]:
    """Whether there is work for (`remove_expired`, `forget_removals`); takes no lock."""
    over, forgettable = database.execute("publication_deadlines", {"now": now, "before": before}).rows()[0]
    return bool(over), bool(forgettable)


def record_removal(database: Database, publication: Publication, entity_tag: str) -> None:
    """Remember an entity-tag that was given out for a publication that is removed."""
    database.execute("publication_record_removal", _parameters(publication, etag=entity_tag))


def forget_removals(database: Database, before: float) -> None:
    """Removals before that time are not retransmitted any more."""
    database.execute("publication_forget_removals", {"before": before})


def has_id(database: Database, publication: Publication) -> bool:
    """Whether there is a publication with this id, live or not."""
    return bool(database.execute("publication_has_id", _parameters(publication)).rows())
