"""NOTIFY in a dialog of ours: the remote side's word and document are saved, and local subscribers marked (RFC 6665 section 4.1.3).

The first check that fails decides the answer:

    420  Require has an option that is not known here
    481  it is in no dialog of ours
    489  its event package is not served here; 481, it is another one than was subscribed to
    400  Subscription-State, Contact or Record-Route cannot be used, or lead where nothing is sent (`hop`)
    415  its body is of a type that was not asked for, or no UTF-8, or encoded
    413  its body is longer than pa.max_body
    500  it is older than the last one

The 200 follows the commit at once; the notifier tells the others. SQL: 3 statements, 1 more where local subscribers are told.
"""

import re

from kemi import sip
from kemi.b2bua import event_list, hop, numbered, store
from kemi.b2bua.happening import Setting, happens
from kemi.b2bua.moves import LONGEST
from kemi.b2bua.outgoing import TAG, Notified, Outgoing
from kemi.b2bua.request import EVENT_LIST
from kemi.effects import Effect, Reply
from kemi.errors import (
    BadEvent,
    BadExtension,
    BadRequest,
    BodyTooLarge,
    SubscriptionDoesNotExist,
    UnsupportedMediaType,
)
from kemi.event_package import LIST, Packages, allow_events
from kemi.settings import Settings

KNOWN_OPTIONS = frozenset({"eventlist"})
LONGEST_REASON = 32
"""Characters of a reason that are kept; those that mean something here are shorter."""

MERGED = 4
"""Times pa.max_body: what a document may grow to by changes. One that is longer is asked for whole, as after a gap."""

NO_TEXT = re.compile(rb"[\x00]")
"""What a request that is sent on cannot hold."""


def is_for_us(to_tag: str | None) -> bool:
    """Whether a NOTIFY may be in a dialog that this server has opened."""
    return bool(to_tag) and str(to_tag).startswith(TAG)


def notified(at: Setting, request: sip.Request, token: str) -> list[Effect]:
    """Handle a NOTIFY whose To tag is one of ours.

    Args:
        token: 32 random hexadecimal digits.

    Raises:
        SipError: as above; nothing is changed.
    """
    _check_require(request)
    dialog = request.to_tag or ""
    with at.database.transaction():
        at.database.lock(store.resource_of(at.database, dialog))
        outgoing = store.of_dialog(at.database, dialog)
        if outgoing is None or not outgoing.is_open:
            raise SubscriptionDoesNotExist("no subscription of this server has this Call-ID and these tags")
        follows = happens(at, outgoing, _read(request, at.settings, at.packages, outgoing), token)
    return [Reply(200, "OK"), *follows]


def _check_require(request: sip.Request) -> None:
    unknown = [each for each in sip.split_list(request.require or "") if each.lower() not in KNOWN_OPTIONS]
    if unknown:
        raise BadExtension(unknown)


def _read(request: sip.Request, settings: Settings, packages: Packages, outgoing: Outgoing) -> Notified:
    """The NOTIFY as the machine sees it."""
    if request.event is None:
        raise BadEvent([allow_events(packages)], "Event is missing")
    event = sip.parse_event(request.event)
    if event.package not in packages:
        raise BadEvent([allow_events(packages)], "this event package is not served")
    if event.package != outgoing.package.removesuffix(LIST) or event.id is not None:
        raise SubscriptionDoesNotExist("the dialog is for another event")
    state, parameters = sip.parse_subscription_state(request.subscription_state)
    target, route_set = _target(request, outgoing), _route_set(request)
    _check_hop(request, settings, outgoing, target, route_set)
    body = numbered.NOTHING
    if request.body:
        _check_body(request, settings, packages, outgoing)
        is_list = sip.media_type(request.content_type or "") == event_list.MULTIPART
        body = (event_list if is_list else numbered).taken(outgoing, request.content_type or "", request.body)
        body = body if len(body.content) <= MERGED * settings.pa.max_body else numbered.NOTHING._replace(is_gapped=True)
    return Notified(
        dialog=request.to_tag or "", call_id=request.call_id, remote_tag=request.from_tag, cseq=request.cseq, state=state,
        reason=parameters.get("reason", "").lower()[:LONGEST_REASON], expires=_seconds(parameters.get("expires")),
        retry_after=_seconds(parameters.get("retry-after")), contact=target,
        route_set=route_set, content_type=body.content_type, body=body.content, etag=request.entity_tag or "",
        version=body.version, is_gapped=body.is_gapped,
    )  # fmt: skip


def _seconds(text: str | None) -> int | None:
    return min(int(text), LONGEST) if text is not None and re.fullmatch("[0-9]{1,9}", text) else None


def _target(request: sip.Request, outgoing: Outgoing) -> str:
    """The remote target: Contact (RFC 6665 section 3.2.1). The first NOTIFY needs one that can be used."""
    target = sip.contact_target(request.contact or "")
    if not target and not outgoing.has_dialog:
        raise BadRequest("exactly one Contact is needed")
    return target


def _route_set(request: sip.Request) -> str:
    """Record-Route, as a request can follow it; that of the first NOTIFY is the dialog's (RFC 3261 section 12.1.1)."""
    routes = sip.split_list(request.record_route or "")
    for each in routes:
        sip.parse_uri(sip.address_uri(each))
    return ", ".join(routes)


def _check_hop(request: sip.Request, settings: Settings, outgoing: Outgoing, target: str, route_set: str) -> None:
    """Where the next SUBSCRIBE would go to."""
    route_set = outgoing.route_set if outgoing.has_dialog else route_set
    there = hop.after(target or outgoing.remote_target, route_set)
    if not hop.is_allowed(settings, there, request.source_address, may_be_own=bool(outgoing.source)):
        raise BadRequest("nothing is sent to that address")


def _check_body(request: sip.Request, settings: Settings, packages: Packages, outgoing: Outgoing) -> None:
    """What was not asked for in Accept is not taken (RFC 3261 section 8.2.3)."""
    accepted = packages[outgoing.package.removesuffix(LIST)].produces[:1] + (EVENT_LIST[:1] if outgoing.is_list else ())
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
