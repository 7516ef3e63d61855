"""PUBLISH: create, refresh, modify, remove a publication of any package that is published (RFC 3903 section 6).

One transaction compares the entity-tag and swaps the row, and marks the presentity's watchers due; the 200 goes out after the
commit. Of two PUBLISHes with one entity-tag the database lets one win. The body is checked before, and composed only when
somebody watches (`kemi.presence.package`).

No transaction of Kamailio's is needed: the entity-tag of the answer is made from the request, so a retransmission finds that its
work is done, by whichever worker and after whatever crash, and gets the same answer (RFC 3261 section 17.2.2).

SQL: create and modify 2 statements, refresh 1, remove 4; one round trip on PostgreSQL, remove two; 1 or 2 statements more only
for a retransmission and on the way to a refusal, and with pa.auth = xcap (`kemi.presence.policy`).
"""

import hashlib

from kemi import sip
from kemi.database import Result
from kemi.effects import Effect, Log, Reply
from kemi.errors import (
    BadEvent,
    ConditionalRequestFailed,
    IntervalTooBrief,
    ServiceUnavailable,
    SipError,
    UnsupportedMediaType,
)
from kemi.event_package import EventPackage, Packages
from kemi.moment import Moment
from kemi.presence import consequences, store
from kemi.presence.publication import RETRANSMITTED_FOR, Operation, Publication, check_body, entity_tag_of, operation_of
from kemi.report import wakes
from kemi.settings import Settings

RETRY_AFTER = 60
"""Seconds a publisher is asked to wait when a presentity has its most publications."""


def publish(at: Moment, request: sip.Request, presentity: str, tag: str) -> list[Effect]:
    """Handle a PUBLISH whose sender may publish for `presentity`.

    Args:
        presentity: canonical URI.
        tag: entity-tag for a 2xx (`publication.entity_tag_for`).

    Raises:
        SipError: the first refusal in the order of RFC 3903 section 6: 489, 400, 412, 423, 413, 415, 400; 503 at the limit.
    """
    package = _package(request, at.packages)
    entity_tag = entity_tag_of(request.entity_tag)
    try:
        lifetime = _lifetime(request, at.settings)
        operation = operation_of(entity_tag, bool(request.body), lifetime)
        if request.body and operation is not Operation.REMOVE:
            _require_plain(request, package)
            check_body(package, request.body, request.content_type or "", at.settings.pa.max_body)
    except SipError:
        if entity_tag is not None and not store.has_tag(at.database, package.name, presentity, entity_tag, at.now):
            raise ConditionalRequestFailed("no publication has this entity-tag") from None
        raise
    publication = Publication(
        id=tag, package=package.name, presentity=presentity, etag=tag, content_type=request.content_type or "",
        body=request.body, published_at=at.now, created_at=at.now, expires_at=at.now + lifetime, qualified=False,
    )  # fmt: skip
    effects: list[Effect] = []
    if operation is not Operation.NOTHING:
        publication, effects = _save(at, publication, operation, entity_tag or "")
    accepted = Reply(200, "OK", (("Expires", str(lifetime)), ("SIP-ETag", publication.etag)))
    log = Log(
        f"publication {operation.value}: etag={publication.etag} event={package.name} presentity={presentity} expires={lifetime}"
    )
    return [accepted, *effects, log]


def _save(at: Moment, publication: Publication, operation: Operation, entity_tag: str) -> tuple[Publication, list[Effect]]:
    """Write the change; the publication as it is now, and the call to the notifier if anybody watches."""
    judged: list[Effect] = []
    marked: Result | None = None
    with at.database.transaction():
        at.database.lock(publication.presentity)
        written = _write(at, publication, operation, entity_tag)
        if operation is not Operation.REFRESH:
            judged, marked = consequences.of_change(at, publication.package, publication.presentity)
    if written.count:
        return publication, [*wakes(marked), *judged]
    if store.published_since(at.database, publication, at.now - RETRANSMITTED_FOR):
        return publication, []
    if operation is not Operation.CREATE:
        raise ConditionalRequestFailed("no publication has this entity-tag")
    return _create_again(at, publication)


def _write(at: Moment, publication: Publication, operation: Operation, entity_tag: str) -> Result:
    """One row, if the entity-tag is still that of a publication."""
    if operation is Operation.CREATE:
        return store.create(at.database, publication, at.settings.pa.max_publications)
    if operation is Operation.MODIFY:
        return store.swap(at.database, publication, entity_tag)
    if operation is Operation.REFRESH:
        return store.refresh(at.database, publication, entity_tag)
    removed = store.remove(at.database, publication, entity_tag)
    for (first_tag,) in removed.rows():
        store.record_removal(at.database, publication, publication.etag)
        store.record_removal(at.database, publication, first_tag)
    return removed


def _create_again(at: Moment, publication: Publication) -> tuple[Publication, list[Effect]]:
    """Nothing was inserted: the limit is reached, or a client counts from the same start again and its old tag still lives."""
    if not store.has_id(at.database, publication):
        raise ServiceUnavailable("too many publications of this presentity", RETRY_AFTER)
    other = hashlib.blake2b(f"{publication.id} {publication.published_at}".encode(), digest_size=10).hexdigest()
    return _save(at, publication._replace(id=other, etag=other), Operation.CREATE, "")


def _package(request: sip.Request, packages: Packages) -> EventPackage:
    published = [name for name, package in packages.items() if package.consumes]
    if request.event is None:
        raise BadEvent(published, "Event is missing")
    name = sip.parse_event(request.event).package
    if name not in published:
        raise BadEvent(published, "this event package is not published here")
    return packages[name]


def _lifetime(request: sip.Request, settings: Settings) -> int:
    """Granted seconds: never more than asked for (RFC 3903 section 6 step 4)."""
    if request.expires is None:
        return min(settings.pa.default_expires, settings.pa.max_publish_expiration)
    asked = sip.parse_seconds(request.expires, "Expires")
    if 0 < asked < settings.pa.min_expires:
        raise IntervalTooBrief(settings.pa.min_expires)
    return min(asked, settings.pa.max_publish_expiration)


def _require_plain(request: sip.Request, package: EventPackage) -> None:
    if request.content_encoding and request.content_encoding.strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not understood", package.consumes, "identity")
