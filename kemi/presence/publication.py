"""A publication and the PUBLISH requests that may change it (RFC 3903 section 6).

SIP-If-Match  body  Expires   operation
------------  ----  -------   ---------
no            yes   > 0       create
no            yes   0         nothing is stored, 200
no            no    any       400
yes           no    > 0       refresh: lifetime only
yes           yes   > 0       modify: the document is replaced as a whole
yes           any   0         remove
"""

import hashlib
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from kemi import sip
from kemi.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from kemi.event_package import EventPackage
from kemi.subscription import TIMER_F

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

RETRANSMITTED_FOR = 2 * TIMER_F
"""Seconds after a PUBLISH in which the same one may come again; its sender gives up after the half of it."""


class Operation(Enum):
    """What a PUBLISH does (RFC 3903 section 4.1)."""

    CREATE = "created"
    REFRESH = "refreshed"
    MODIFY = "modified"
    REMOVE = "removed"
    NOTHING = "nothing"


class SourceKind(Enum):
    """Who put a publication there; only what was published can be changed by PUBLISH (RFC 4827 section 3)."""

    PUBLISH = "publish"
    REGISTRAR = "registrar"
    MANAGEMENT = "management"
    XCAP = "xcap"
    SUBSCRIPTION = "subscription"


class Publication(NamedTuple):
    """One publication; the columns of the table of the same name. Times: seconds since the epoch."""

    presentity: str
    package: str
    id: str
    etag: str
    content_type: str
    body: bytes
    published_at: float
    created_at: float
    expires_at: float
    qualified: bool
    source: str = SourceKind.PUBLISH.value


def check_body(package: EventPackage, body: bytes, content_type: str, most: int) -> None:
    """Refuse what no publication of this package can be (RFC 3903 section 6 step 5).

    Args:
        most: octets.

    Raises:
        BodyTooLarge: 413.
        UnsupportedMediaType: 415, of another type than the package takes, or not readable.
    """
    if len(body) > most:
        raise BodyTooLarge(f"a body of more than {most} octets")
    if sip.media_type(content_type) not in package.consumes:
        raise UnsupportedMediaType(f"a body of type {' or '.join(package.consumes)} is needed", package.consumes)
    if package.check_body is not None:
        package.check_body(body, content_type)


def timestamp(moment: float) -> str:
    """A moment, in seconds since the epoch, as documents made here have it (RFC 3863 section 4.1.7)."""
    return f"{_EPOCH + timedelta(seconds=int(moment)):%Y-%m-%dT%H:%M:%SZ}"


def operation_of(entity_tag: str | None, has_body: bool, lifetime: int) -> Operation:
    """Read the table above.

    Args:
        lifetime: granted seconds.

    Raises:
        BadRequest: 400, an initial publication without a body.
    """
    if entity_tag is None:
        if not has_body:
            raise BadRequest("an initial PUBLISH needs a body; a refresh needs SIP-If-Match")
        return Operation.CREATE if lifetime else Operation.NOTHING
    if lifetime == 0:
        return Operation.REMOVE
    return Operation.MODIFY if has_body else Operation.REFRESH


def entity_tag_of(value: str | None) -> str | None:
    """The one entity-tag of SIP-If-Match, None where there is no such header field (RFC 3903 section 11.3.2).

    Raises:
        BadRequest: 400, it is empty, a list, or a quoted string.
    """
    return None if value is None else sip.entity_tag(value, "SIP-If-Match")


def entity_tag_for(request: sip.Request, secret: bytes) -> str:
    """The entity-tag that a 2xx to this request carries: new for every request, the same for its retransmissions.

    So a PUBLISH that comes again after a crash, when no transaction remembers it, finds what it did (RFC 3261 section 17.2.2).
    """
    identity = "\n".join(
        (
            request.call_id, request.from_tag, request.from_uri, request.uri, str(request.cseq), request.branch,
            request.entity_tag or "", request.source_address, str(request.source_port),
        )
    )  # fmt: skip
    return hashlib.blake2b(identity.encode() + b"\n" + request.body, key=secret, digest_size=10).hexdigest()


def entity_tag_of_document(presentity: str, body: bytes, now: float) -> str:
    """The entity-tag of what came by no PUBLISH: another one each time.

    Args:
        presentity: canonical URI.
        now: when it came, seconds since the epoch.
    """
    return hashlib.blake2b(repr((presentity, now)).encode() + body, digest_size=10).hexdigest()
