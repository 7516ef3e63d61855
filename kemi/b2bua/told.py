"""Documents that others tell: which are passed on (RFC 6665 section 4.1.3, RFC 3261 section 8.2.3).

A watcher gets what another server says octet by octet. So it is read first as what is published here is, and nothing that a client
would stumble over, or take for somebody else's, goes on:

                                is refused with
------------------------------  ------------------------------------------------------------------------------------
type                            415, it was not asked for in Accept
encoding, no UTF-8, no text     415
longer than `pa.max_body`       413
DOCTYPE, not well-formed        400; 415 by the reader of the package (`EventPackage.check_body`)
another document than its type  415 by that reader, 400
about another user              400: `entity` of PIDF and of dialog information, `resource` of watcher information
a part of a list is so          nothing: that part is left out (`event_list`), one member does not stop the others

About the same user is whatever has its user part and host: servers differ in scheme, port, parameters and case. A document that
names nobody is its sender's own. Message-Account names a mailbox, which may have any URI (RFC 3842 section 5.2).
"""

import re
from typing import NamedTuple

from kemi import sip
from kemi.b2bua import event_list
from kemi.b2bua.numbered import read
from kemi.b2bua.request import EVENT_LIST
from kemi.errors import BadRequest, BodyTooLarge, SipError, UnsupportedMediaType
from kemi.event_package import EventPackage
from kemi.multipart import Part
from kemi.settings import Settings

NO_TEXT = re.compile(rb"[\x00]")
"""What a request that is sent on cannot hold."""


class About(NamedTuple):
    """Where a document says whose it is.

    Args:
        root: its root element, "": the reader of the package looks at that.
        holder: the elements below it that have `attribute`, "": the root itself.
    """

    root: str
    holder: str
    attribute: str


_WINFO = "{urn:ietf:params:xml:ns:watcherinfo}"
ABOUT = {
    "application/pidf+xml": About("", "", "entity"),
    "application/dialog-info+xml": About("", "", "entity"),
    "application/watcherinfo+xml": About(f"{_WINFO}watcherinfo", f"{_WINFO}watcher-list", "resource"),
}


def check_request(request: sip.Request, settings: Settings, package: EventPackage, is_list: bool) -> None:
    """Refuse a body for what can be seen from outside.

    Raises:
        SipError: 400, 413, 415.
    """
    accepted = accepted_by(package) + (EVENT_LIST[:1] if is_list else ())
    if b"<!DOCTYPE" in request.body:
        raise BadRequest("a document with a DOCTYPE is not taken")
    if request.content_encoding:
        raise UnsupportedMediaType("no encoding is understood", accepted, "identity")
    if sip.media_type(request.content_type or "") not in accepted:
        raise UnsupportedMediaType("this body was not asked for", accepted)
    if len(request.body) > settings.pa.max_body:
        raise BodyTooLarge(f"a document of more than {settings.pa.max_body} octets")
    try:
        request.body.decode()
    except UnicodeDecodeError:
        raise UnsupportedMediaType("the body is no UTF-8", accepted) from None
    if NO_TEXT.search(request.body):
        raise UnsupportedMediaType("the body is no text", accepted)


def accepted_by(package: EventPackage) -> tuple[str, ...]:
    """The one body type that is asked for."""
    return package.produces[:1]


def check(package: EventPackage, resource: str, content_type: str, body: bytes) -> None:
    """Refuse a document that cannot be passed on.

    Args:
        resource: URI of who it has to be about, "": anybody.

    Raises:
        SipError: 400, 413, 415.
    """
    told = _users(package, content_type, body)
    if resource and not event_list.is_about(told, resource):
        raise BadRequest("the document is about another user")


def users_of(package: EventPackage, part: Part) -> event_list.Users:
    """Of whom a part of a list tells, None: it cannot be passed on."""
    try:
        return _users(package, part.content_type, part.content)
    except SipError:
        return None


def _users(package: EventPackage, content_type: str, body: bytes) -> frozenset[str]:
    media_type = sip.media_type(content_type)
    if media_type not in accepted_by(package):
        raise UnsupportedMediaType("this body was not asked for", accepted_by(package))
    if package.check_body is not None:
        package.check_body(body, content_type)
    root, about = read(body) if media_type.endswith("+xml") else None, ABOUT.get(media_type)
    if root is None or about is None:
        return frozenset()
    if about.root and root.tag != about.root:
        raise BadRequest("the document is of another type than it says")
    holders = root.iterchildren(about.holder) if about.holder else (root,)
    return event_list.users(each.get(about.attribute, "") for each in holders)
