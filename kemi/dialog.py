"""Requests that the notifier sends in a subscription dialog (RFC 3261 section 12.2.1.1, RFC 6665 section 4.2.2)."""

import base64
import re
from functools import lru_cache

from kemi import sip
from kemi.client_profile import Profile
from kemi.effects import Log, SendRequest
from kemi.errors import SipError
from kemi.event_package import LIST, VERSION, Document
from kemi.subscription import State, Subscription

REQUIRE_EVENT_LIST = ("Require", "eventlist")
"""In every NOTIFY and 2xx of a subscription to a list (RFC 4662 section 4.1)."""

SHORT = 800
"""Characters of a body that fits into any message, whatever they are in octets."""

KEPT = 1024
"""Contacts kept: the same one goes into every NOTIFY of a presentity."""

LARGEST_DATAGRAM = 65507
"""Octets of a message over UDP (RFC 768, RFC 791)."""

SMALL = 12_000
"""Characters of a body that fits into a datagram, whatever they are in octets; header fields have at most 17 kB."""

ADDED = 200
"""Octets of a request that Kamailio writes: the request line, Via, User-Agent, Content-Length."""

_TRANSPORT = re.compile(r";transport=[^;?]*", re.IGNORECASE)


@lru_cache(maxsize=KEPT)
def contact(socket: str, resource: str, secure: bool) -> str:
    """Our Contact: the socket the watcher reached us on, made a GRUU that names the presentity (RFC 6665 section 4.5.1).

    `gr` carries the resource itself, so the URI works outside the dialog and on every node, also after a restart.

    Args:
        secure: the dialog is one over SIPS (RFC 3261 section 12.1.1).
    """
    transport, _, address = socket.partition(":")
    token = base64.urlsafe_b64encode(resource.encode()).decode().rstrip("=")
    if secure:
        return f"sips:{address};gr={token}"
    parameter = "" if transport == "udp" else f";transport={transport.replace('wss', 'ws')}"
    return f"sip:{address}{parameter};gr={token}"


def contact_of(subscription: Subscription) -> str:
    """Our Contact in this dialog, which is one over SIPS where the watcher, or the first proxy on the way to it, is reached so."""
    route_set = subscription.route_set
    first = sip.address_uri(sip.split_list(route_set)[0]) if "sips:" in route_set.lower() else ""
    is_secure = "sips:" in (subscription.remote_target[:5].lower(), first[:5].lower())
    return contact(subscription.socket, subscription.resource, is_secure)


def resource_of_contact(uri: sip.Uri) -> str | None:
    """The presentity that our own Contact names, None where `uri` is not such a Contact."""
    token = uri.parameter("gr")
    if not token or not re.fullmatch(r"[A-Za-z0-9_-]+", token):
        return None
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        return sip.address_of_record(sip.parse_uri(text))
    except (ValueError, SipError):
        return None


def subscription_state(subscription: Subscription, now: float) -> str:
    """Value of Subscription-State (RFC 6665 section 4.1.3): expires with active and pending, reason with terminated.

    Args:
        now: seconds since the epoch, for the lifetime left.
    """
    reflected = f";{subscription.rates}" if subscription.rates else ""
    if subscription.state is State.TERMINATED:
        reason = subscription.reason.value if subscription.reason else "timeout"
        return f"terminated;reason={reason}{reflected}"
    return f"{subscription.state.value};expires={subscription.seconds_left(now)}{reflected}"


def event_name(subscription: Subscription) -> str:
    """The package's name in Event, with capitals where the client wrote some (`client_profile`)."""
    written, event = subscription.event_parameters, subscription.package.removesuffix(LIST)
    return written if written.lower() == event else event


def notify(
    subscription: Subscription, cseq: int, document: Document | None, entity_tag: str, allow_events: str, now: float
) -> SendRequest:
    """Build the NOTIFY numbered `cseq`.

    Args:
        document: None for a body-less NOTIFY (pending; RFC 5025 section 3.2.1. Suppressed; RFC 5839 section 6.2).
        entity_tag: value of SIP-ETag.
        allow_events: value of Allow-Events.
        now: seconds since the epoch, for the lifetime left.
    """
    uri, next_hop, route = routing(subscription)
    name = event_name(subscription)
    event = name if subscription.event_id is None else f"{name};id={subscription.event_id}"
    remote_tag = f";tag={subscription.remote_tag}" if subscription.remote_tag else ""
    body = document.content.replace(VERSION, str(subscription.version)) if document is not None else ""
    headers = (
        f"From: <{subscription.local_uri}>;tag={subscription.id}\r\n"
        f"To: <{subscription.remote_uri}>{remote_tag}\r\n"
        f"Call-ID: {subscription.call_id}\r\n"
        f"CSeq: {cseq} NOTIFY\r\n"
        f"Contact: <{contact_of(subscription)}>\r\n"
        f"Max-Forwards: {sip.MAX_FORWARDS}\r\n"
        f"Event: {event}\r\n"
        f"Subscription-State: {subscription_state(subscription, now)}\r\n"
        f"SIP-ETag: {entity_tag}\r\n"
        f"Allow-Events: {allow_events}\r\n"
        f"{route}"
    )
    if subscription.package.endswith(LIST):
        headers += f"{': '.join(REQUIRE_EVENT_LIST)}\r\n"
    if document is not None and body:
        headers += f"Content-Type: {document.content_type}\r\n"
    connection = 0 if route else subscription.connection
    request = SendRequest(subscription.id, cseq, "NOTIFY", uri, next_hop, connection, subscription.socket, headers, body)
    return request if len(body) < SMALL else carried(request)


def octets_of(request: SendRequest) -> int:
    """How long the message will be, about."""
    return len(request.headers.encode()) + len(request.body.encode()) + ADDED


def carried(request: SendRequest) -> SendRequest:
    """The request as it can be sent: too large for UDP, it goes to the same place over TCP (RFC 3261 sections 18.1.1, 18.2.1)."""
    where = request.next_hop or request.uri
    if sip.transport_of(where) != "udp" or octets_of(request) <= LARGEST_DATAGRAM:
        return request
    user, at, host = where.partition("@") if "@" in where else ("", "", where)
    place = _TRANSPORT.sub("", host.partition("?")[0])
    return request._replace(next_hop=f"{user}{at}{place};transport=tcp", connection=0)


def routing(subscription: Subscription) -> tuple[str, str, str]:
    """Where a NOTIFY goes: Request-URI, next hop, Route (`route`)."""
    return route(subscription.remote_target, subscription.route_set, subscription.flow)


def route(remote_target: str, route_set: str, flow: str) -> tuple[str, str, str]:
    """Where a request of a dialog goes (RFC 3261 section 12.2.1.1).

    Args:
        flow: next hop where there is no route set, "" for none.

    Returns:
        Request-URI, next hop ("": follow the Request-URI), and the Route line with CRLF, or "".
    """
    if not route_set:
        return remote_target, flow or maddr_of(remote_target), ""
    routes = sip.split_list(route_set)
    first = sip.address_uri(routes[0])
    if re.search(r";lr\b", first.partition("@")[2] or first, re.IGNORECASE):
        return remote_target, maddr_of(first) or first, f"Route: {route_set}\r\n"
    strict = ", ".join([*routes[1:], f"<{remote_target}>"])
    return sip.request_uri_of(first), maddr_of(first), f"Route: {strict}\r\n"


def maddr_of(uri: str) -> str:
    """The next hop that a URI names by its parameter maddr, "" where it names none: its host says who it is then, not where.

    RFC 3263 section 4. Kamailio does not look at it.
    """
    if "maddr=" not in uri.lower():
        return ""
    try:
        named = sip.parse_uri(uri)
        place = f"{named.scheme}:{sip.bracketed(named.parameter('maddr') or '')}{f':{named.port}' if named.port else ''}"
        sip.parse_uri(place)
    except SipError:
        return ""
    transport = named.parameter("transport")
    return f"{place};transport={transport}" if transport else place


def too_large(subscription: Subscription, request: SendRequest, profile: Profile) -> list[Log]:
    """A line about a NOTIFY that its client will drop, or that goes another way than the others of its dialog (`carried`).

    It goes out all the same: a document that is cut is no document.
    """
    most, where = profile.most_octets, "its client"
    if request.next_hop.endswith(";transport=tcp") and request.next_hop != routing(subscription)[1]:
        most, where = LARGEST_DATAGRAM, "UDP, it goes over TCP"
    octets = octets_of(request) if most else 0
    if octets <= most:
        return []
    return [Log(f"NOTIFY too large for {where}: id={request.id} octets={octets} most={most} watcher={subscription.watcher}")]
