"""Manage: the publication that the operator makes for somebody, by `presencectl publish` (SER handbook section 3, pa.publish).

A presentity has one at most; publishing again replaces it. It is composed, told and expired like any other; no PUBLISH can name it,
and `pa.max_publications` and `pa.max_publish_expiration` do not limit it. It is saved, and the watchers are marked due, in one
transaction. SQL: 2 statements.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from kemi.effects import Effect, Log
from kemi.moment import Moment
from kemi.presence import consequences, pidf, store
from kemi.presence.consequences import Caused
from kemi.presence.package import NAME
from kemi.presence.publication import Operation, Publication, SourceKind, check_body, entity_tag_of_document, timestamp
from kemi.report import wakes
from kemi.watcher import FOR_EVER

ID = "management"
SOURCE = SourceKind.MANAGEMENT.value

ACTIVITIES = (
    "appointment", "away", "breakfast", "busy", "dinner", "holiday", "in-transit", "looking-for-work", "lunch", "meal", "meeting",
    "on-the-phone", "other", "performance", "permanent-absence", "playing", "presentation", "shopping", "sleeping", "spectator",
    "steering", "travel", "tv", "unknown", "vacation", "working", "worship",
)  # fmt: skip
"""What somebody may be doing (RFC 4480 section 3.2)."""


class Managed(NamedTuple):
    """What was done.

    Args:
        publication: as it is now, or was.
        due: how many subscriptions are told of it.
        effects: for the server that runs.
    """

    publication: Publication
    operation: Operation
    due: int
    effects: list[Effect]


def publish(at: Moment, presentity: str, body: bytes, content_type: str, lifetime: int) -> Managed:
    """Publish a document for a presentity.

    Args:
        presentity: canonical URI.
        body: checked as that of a PUBLISH is.
        lifetime: seconds; 0: until it is removed.

    Raises:
        SipError: the document cannot be published: 413, 415.
    """
    check_body(at.packages[NAME], body, content_type, at.settings.pa.max_body)
    etag = entity_tag_of_document(presentity, body, at.now)
    publication = Publication(
        presentity=presentity, package=NAME, id=ID, etag=etag, content_type=content_type, body=body, published_at=at.now,
        created_at=at.now, expires_at=at.now + (lifetime or FOR_EVER), qualified=False, source=SOURCE,
    )  # fmt: skip
    with at.database.transaction():
        at.database.lock(presentity)
        ((created_at,),) = store.put(at.database, publication).rows()
        caused = consequences.of_change(at, NAME, presentity)
    operation = Operation.CREATE if created_at == at.now else Operation.MODIFY
    return _managed(publication._replace(created_at=created_at), operation, caused)


def unpublish(at: Moment, presentity: str) -> Managed:
    """Remove what was published so.

    Raises:
        ValueError: there is nothing.
    """
    publication = Publication(presentity, NAME, ID, "", "", b"", at.now, at.now, at.now, qualified=False, source=SOURCE)
    with at.database.transaction():
        at.database.lock(presentity)
        if not store.take_away(at.database, publication).rows():
            raise ValueError(f"nothing is published for {presentity} by management")
        caused = consequences.of_change(at, NAME, presentity)
    return _managed(publication, Operation.REMOVE, caused)


def document(presentity: str, basic: str, note: str, activities: Sequence[str], now: float) -> bytes:
    """A document with one tuple, and a person where there is more to tell (RFC 3863 section 4.1, RFC 4480 section 3.2).

    Args:
        basic: open or closed.
        note: for people, "" for none.
        activities: names of ACTIVITIES; other is described by the note.
        now: seconds since the epoch, for the time stamp.

    Raises:
        ValueError: an activity is not known, or stands beside unknown.
    """
    unknown = sorted(set(activities) - set(ACTIVITIES))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no activity; {', '.join(ACTIVITIES)} are")
    if "unknown" in activities and len(set(activities)) > 1:
        raise ValueError("the activity unknown stands alone")
    text = f"<note>{escape(note)}</note>" if note else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="{pidf.PIDF}" entity="{escape(presentity)}">\n'
        f'<tuple id="{ID}"><status><basic>{basic}</basic></status><contact>{escape(presentity)}</contact>{text}'
        f"<timestamp>{timestamp(now)}</timestamp></tuple>\n"
        f"{_person(note, activities) if note or activities else ''}</presence>\n"
    ).encode()


def _person(note: str, activities: Sequence[str]) -> str:
    described = {"other": f"<rp:other>{escape(note)}</rp:other>"} if note else {}
    doing = "".join(described.get(each, f"<rp:{each}/>") for each in dict.fromkeys(activities))
    return (
        f'<dm:person xmlns:dm="{pidf.DATA_MODEL}" xmlns:rp="{pidf.RPID}" id="{ID}-person">'
        + (f"<rp:activities>{doing}</rp:activities>" if doing else "")
        + (f"<dm:note>{escape(note)}</dm:note>" if note else "")
        + "</dm:person>\n"
    )


def _managed(publication: Publication, operation: Operation, caused: Caused) -> Managed:
    words = f"event={NAME} presentity={publication.presentity} source={SOURCE}"
    line = Log(f"publication {operation.value}: etag={publication.etag} {words}")
    return Managed(publication, operation, len(caused.marked.rows()), [*wakes(caused.marked), *caused.judged, line])
