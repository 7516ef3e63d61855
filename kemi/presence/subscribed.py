"""What the server was told by a user's own device, to which it has subscribed, becomes a publication (`pa.subscribe_to_users`).

There is one for a presentity at most, composed and told like any other; no PUBLISH can name it. It is there as long as the
subscription says something (`kemi.b2bua`), which ends it. Called inside a transaction of the caller's. SQL: 2 statements.
"""

from kemi.effects import Effect, Log
from kemi.errors import SipError
from kemi.moment import Moment
from kemi.presence import consequences, pidf, store
from kemi.presence.package import NAME
from kemi.presence.publication import Operation, Publication, SourceKind, entity_tag_of_document
from kemi.report import wakes
from kemi.watcher import FOR_EVER

ID = SOURCE = SourceKind.SUBSCRIPTION.value


def show(at: Moment, presentity: str, content_type: str, body: bytes) -> list[Effect]:
    """Show what was told; with no body, or one that cannot be read, nothing is shown any more.

    Args:
        presentity: canonical URI, locked.
    """
    etag = entity_tag_of_document(presentity, body, at.now)
    publication = Publication(
        presentity=presentity, package=NAME, id=ID, etag=etag, content_type=content_type, body=body, published_at=at.now,
        created_at=at.now, expires_at=at.now + FOR_EVER, qualified=False, source=SOURCE,
    )  # fmt: skip
    operation = Operation.MODIFY if body and _is_readable(body, content_type) else Operation.REMOVE
    write = store.put if operation is Operation.MODIFY else store.take_away
    write(at.database, publication)
    judged, marked = consequences.of_change(at, NAME, presentity)
    line = Log(f"publication {operation.value}: etag={etag} event={NAME} presentity={presentity} source={SOURCE}")
    return [*wakes(marked), *judged, line]


def _is_readable(body: bytes, content_type: str) -> bool:
    try:
        pidf.read(body, content_type)
    except SipError:
        return False
    return True
