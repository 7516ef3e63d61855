"""Hard state: the document that a user keeps for the time when no device publishes (RFC 4827).

XCAP's application usage `pidf-manipulation`. The document is one publication among the others, without expiry: composed, told and
shown like them; no PUBLISH can name it. It is written in the transaction that stores the document. SQL: 2 statements, and
those of `policy.published`.
"""

from kemi.effects import Effect
from kemi.errors import SipError
from kemi.moment import Moment
from kemi.presence import consequences, pidf, store
from kemi.presence.package import NAME
from kemi.presence.publication import Publication, SourceKind
from kemi.report import wakes
from kemi.watcher import FOR_EVER
from kemi.xcap.errors import ConstraintFailure
from kemi.xcap.path import Tree
from kemi.xcap.serve import Change

AUID = "pidf-manipulation"
ID = SOURCE = SourceKind.XCAP.value


def change(at: Moment, changed: Change) -> list[Effect]:
    """Publish the document as it is now, or take it away.

    Args:
        changed: a document of this usage, in the transaction of the caller, who has locked its user.

    Raises:
        ConstraintFailure: 409, no publication could look like that.
    """
    if changed.selector.tree is not Tree.USERS:
        return []
    presentity = changed.selector.xui
    publication = Publication(
        presentity=presentity, package=NAME, id=ID, etag=changed.etag or "", content_type=changed.content_type,
        body=changed.body or b"", published_at=at.now, created_at=at.now, expires_at=at.now + FOR_EVER, qualified=False,
        source=SOURCE,
    )  # fmt: skip
    if changed.body is None:
        store.take_away(at.database, publication)
    else:
        _require_publishable(changed.body, changed.content_type)
        store.put(at.database, publication)
    if not changed.followers.presentity:
        return []
    judged, marked = consequences.of_change(at, NAME, presentity)
    return [*wakes(marked), *judged]


def _require_publishable(body: bytes, content_type: str) -> None:
    try:
        pidf.read(body, content_type)
    except SipError as refusal:
        raise ConstraintFailure(refusal.detail) from None
