"""SUBSCRIBE: open, refresh, end or fetch a subscription of any event package (RFC 6665 section 4.2.1).

The answer is given when the row is committed. A new subscription is inserted with its first NOTIFY, which goes out right behind
the 200; in a dialog the row says that a NOTIFY is due, and the notifier sends it (`kemi.notify`), since one may be in flight.
Our tag in the dialog is made from the request under the server's secret: a SUBSCRIBE that is seen twice, by another worker or
after a crash, finds the row that it has made already (RFC 3261 section 17.2.2).

SQL: new 2 statements (load what is shown, insert), in a dialog 2 (load, save).
"""

import hashlib
import ipaddress
from functools import lru_cache

from kemi import dialog, notify, sip, store
from kemi.database import Database
from kemi.effects import Effect, Log, Reply, Wake
from kemi.errors import (
    BadEvent,
    BadRequest,
    Forbidden,
    IntervalTooBrief,
    LoopDetected,
    NotAcceptable,
    OutOfOrder,
    ServiceUnavailable,
    SubscriptionDoesNotExist,
    UnsupportedMediaType,
)
from kemi.event_package import Decision, EventPackage, Packages
from kemi.settings import Settings
from kemi.subscription import STATE_BY_DECISION, Reason, State, Subscription, answer_deadline, decided, due, ended

KEPT = 1024
"""Addresses remembered as loopback or not."""

RETRY_AFTER = 60
"""Seconds a watcher is asked to wait when a limit is reached."""


def tag_of(request: sip.Request, secret: bytes) -> str:
    """Our tag for the dialog that this SUBSCRIBE opens: the same for the same request, not to be guessed without the secret.

    From, Request-URI and Contact are part of it: Call-IDs and tags of different users may be equal.
    """
    identity = (
        request.call_id,
        request.from_tag,
        request.from_uri,
        request.uri,
        request.contact,
        request.event,
        request.cseq,
    )
    return "kp-" + hashlib.blake2b(repr(identity).encode(), key=secret, digest_size=12).hexdigest()


def is_last(request: sip.Request) -> bool:
    """Whether nothing will be left of the subscription soon: a fetch, or its end."""
    return request.expires is not None and request.expires.strip().strip("0") == ""


def subscribe(
    database: Database,
    settings: Settings,
    packages: Packages,
    request: sip.Request,
    resource: str,
    watcher: str,
    tag: str,
    now: float,
) -> list[Effect]:
    """Handle a SUBSCRIBE.

    Args:
        resource: canonical URI of the presentity; in a dialog it is not looked at.
        watcher: canonical URI of who asks, authenticated.
        tag: our tag for a new dialog (`tag_of`).
        now: seconds since the epoch.

    Raises:
        SipError: the refusals of RFC 6665 section 4.2.1: 400, 403, 406, 415, 423, 481, 482, 489, 500, 503.
    """
    package, event = _package(request, packages)
    _check_body(request)
    contact = _contact(request, settings)
    accept = _accept(request, package)
    lifetime = _lifetime(request, settings, package)
    if request.to_tag:
        return _in_dialog(database, settings, packages, event, request, watcher, contact, accept, lifetime, now)
    decision = package.authorize(database, settings, watcher, resource)
    if decision not in STATE_BY_DECISION:
        raise Forbidden("the presentity's rules refuse this watcher")
    flow, connection = flow_of(request, contact, settings)
    subscription = Subscription(
        id=tag, package=package.name, event_id=event.id, resource=resource, entity=entity_of(request.uri, resource),
        watcher=watcher, decision=decision, state=STATE_BY_DECISION[decision], reason=None, accept=accept,
        created_at=now, expires_at=now + lifetime, call_id=request.call_id, local_uri=request.to_uri,
        remote_uri=request.from_uri, remote_tag=request.from_tag, remote_target=contact,
        route_set=request.record_route or "", local_cseq=0, remote_cseq=request.cseq, branch=request.branch,
        socket=request.socket, flow=flow, connection=connection, user_agent=request.user_agent,
        due_at=None, in_flight_since=now, notified_at=now, notified_tag="", next_at=answer_deadline(now),
    )  # fmt: skip
    if lifetime == 0:
        subscription = subscription._replace(state=State.TERMINATED, reason=Reason.TIMEOUT)
    return _open(database, settings, packages, subscription, lifetime)


def _open(database: Database, settings: Settings, packages: Packages, subscription: Subscription, lifetime: int) -> list[Effect]:
    """Insert the subscription with its first NOTIFY in flight; a PUBLISH for the presentity comes wholly before or after."""
    now = subscription.created_at
    with database.transaction():
        database.lock(subscription.resource)
        documents = notify.render(database, settings, packages, [subscription], now)
        first = notify.send(subscription, documents, packages, now)
        tag = notify.tag_of(subscription, documents.get(notify.view_of(subscription)))
        told = subscription._replace(local_cseq=first.cseq, notified_tag=tag)
        created = store.create(database, told, settings.pa.max_watchers, settings.pa.max_subscriptions)
    if created.count == 0:
        _explain_missing_row(store.load(database, subscription.id), subscription)
        return [_accepted(subscription, lifetime, packages)]
    word = "fetched" if lifetime == 0 else "created"
    return [_accepted(subscription, lifetime, packages), first, _log(word, subscription, lifetime)]


def _explain_missing_row(existing: Subscription | None, subscription: Subscription) -> None:
    """A retransmission finds its own row and is answered again; anything else is refused."""
    if existing is None:
        raise ServiceUnavailable("too many subscriptions", RETRY_AFTER)
    if existing.branch != subscription.branch and existing.remote_cseq == subscription.remote_cseq:
        raise LoopDetected("this SUBSCRIBE came on another path already")


def _in_dialog(
    database: Database,
    settings: Settings,
    packages: Packages,
    event: sip.EventType,
    request: sip.Request,
    watcher: str,
    contact: str,
    accept: str,
    lifetime: int,
    now: float,
) -> list[Effect]:
    with database.transaction():
        subscription = _find(database, request)
        if (subscription.package, subscription.event_id) != event:
            raise Forbidden("one subscription a dialog; this one is for another event")
        if subscription.watcher != watcher:
            raise Forbidden("the dialog belongs to another watcher")
        if (request.cseq, request.branch) == (subscription.remote_cseq, subscription.branch):
            return [_accepted(subscription, subscription.seconds_left(now), packages)]
        if request.cseq < subscription.remote_cseq:
            raise OutOfOrder(f"CSeq {request.cseq} after {subscription.remote_cseq}")
        decision = packages[event.package].authorize(database, settings, watcher, subscription.resource)
        refreshed = due(subscription, now)._replace(remote_cseq=request.cseq, branch=request.branch, notified_tag="")
        if decision in STATE_BY_DECISION:
            refreshed = _moved(refreshed, request, contact, settings)._replace(accept=accept, expires_at=now + lifetime)
        refreshed = decided(refreshed, decision, now)
        if lifetime == 0:
            refreshed = ended(refreshed, Reason.TIMEOUT, now)
        store.refresh(database, refreshed)
    wake = Wake(blocked=refreshed.in_flight_since is not None)
    if decision is Decision.BLOCK:
        refusal = Reply(Forbidden.status, Forbidden.reason)
        return [refusal, wake, _log("rejected", refreshed, lifetime)]
    word = "ended" if lifetime == 0 else "refreshed"
    return [_accepted(refreshed, lifetime, packages), wake, _log(word, refreshed, lifetime)]


def _moved(subscription: Subscription, request: sip.Request, contact: str, settings: Settings) -> Subscription:
    """The subscription with its remote target refreshed; the route set stays (RFC 3261 section 12.2.2)."""
    direct = request._replace(record_route=None)
    flow, connection = ("", 0) if subscription.route_set else flow_of(direct, contact, settings)
    return subscription._replace(
        remote_target=contact, socket=request.socket, flow=flow, connection=connection, user_agent=request.user_agent
    )


def _find(database: Database, request: sip.Request) -> Subscription:
    subscription = store.load(database, request.to_tag or "")
    known = subscription is not None and subscription.state is not State.TERMINATED
    if not known or subscription is None or (subscription.call_id, subscription.remote_tag) != (request.call_id, request.from_tag):
        raise SubscriptionDoesNotExist("no subscription has this Call-ID and these tags")
    return subscription


def _accepted(subscription: Subscription, lifetime: int, packages: Packages) -> Reply:
    contact = dialog.contact_of(subscription)
    allow_events = ", ".join(packages)
    return Reply(200, "OK", (("Expires", str(lifetime)), ("Contact", f"<{contact}>"), ("Allow-Events", allow_events)))


def _log(word: str, subscription: Subscription, lifetime: int) -> Log:
    return Log(
        f"subscription {word}: id={subscription.id} event={subscription.package} resource={subscription.resource} "
        f"watcher={subscription.watcher} state={subscription.state.value} expires={lifetime}"
    )


def _package(request: sip.Request, packages: Packages) -> tuple[EventPackage, sip.EventType]:
    if request.event is None:
        raise BadEvent(packages, "Event is missing")
    event = sip.parse_event(request.event)
    if event.package not in packages:
        raise BadEvent(packages, "this event package is not served")
    return packages[event.package], event


def _check_body(request: sip.Request) -> None:
    if request.body and "handling=optional" not in (request.content_disposition or "").lower().replace(" ", ""):
        encoding = "identity" if request.content_encoding else None
        raise UnsupportedMediaType("no body is understood in SUBSCRIBE", accept_encoding=encoding)


def _accept(request: sip.Request, package: EventPackage) -> str:
    chosen = sip.choose_media_type(request.accept, package.produces)
    if chosen is None:
        raise NotAcceptable(package.produces, "Accept names no type that this package has")
    return chosen


def _lifetime(request: sip.Request, settings: Settings, package: EventPackage) -> int:
    """Granted seconds: never more than asked for (RFC 6665 section 4.2.1.1)."""
    if request.expires is None:
        asked = package.default_expires or settings.pa.default_expires
    else:
        asked = sip.parse_seconds(request.expires, "Expires")
        if 0 < asked < settings.pa.min_expires:
            raise IntervalTooBrief(settings.pa.min_expires)
    return min(asked, settings.pa.max_subscription_expiration)


def _contact(request: sip.Request, settings: Settings) -> str:
    """The one URI in Contact (RFC 3261 section 8.1.1.8), checked to be somewhere that a NOTIFY may go."""
    contacts = sip.split_list(sip.one_line(request.contact or ""))
    if len(contacts) != 1 or contacts[0] == "*":
        raise BadRequest("exactly one Contact is needed")
    text = sip.address_uri(contacts[0])
    uri = sip.parse_uri(text)
    if uri.scheme not in ("sip", "sips"):
        raise BadRequest("Contact is no sip or sips URI")
    if request.uri.startswith("sips:") and uri.scheme != "sips":
        raise BadRequest("a subscription to a sips URI needs a sips Contact")
    own = request.socket.partition(":")[2]
    if f"{uri.host}:{uri.port or 5060}" == own and uri.host not in settings.domains:
        raise BadRequest("Contact is this server")
    if _is_loopback(uri.host) and not _is_loopback(own.rpartition(":")[0]) and not _is_loopback(request.source_address):
        raise BadRequest("Contact is a loopback address")
    return text


@lru_cache(maxsize=KEPT)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def flow_of(request: sip.Request, contact: str, settings: Settings) -> tuple[str, int]:
    """Where NOTIFYs go when not to the Contact itself (RFC 5626 section 5.3, RFC 5923 section 8.2).

    A Contact in a domain of ours, such as a GRUU, is found by our own location table: the NOTIFY goes through ourselves. A watcher
    that came directly over a stream is answered on its connection; over UDP its source address is used when the Contact names
    another host, as behind a NAT. Through a proxy (more than one Via) the route set decides.

    Returns:
        Next hop, "": follow the Contact; and Kamailio's id of the connection that it needs, 0: none.
    """
    if request.record_route or request.via_count > 1:
        return "", 0
    host = sip.parse_uri(contact).host
    if host in settings.domains:
        return f"sip:{sip.bracketed(settings.address)}:{settings.port}", 0
    source = f"{sip.bracketed(request.source_address)}:{request.source_port}"
    if request.transport != "udp":
        return f"sip:{source};transport={request.transport}", request.connection
    differs = host.strip("[]") != request.source_address and _is_address(host)
    return (f"sip:{source}", 0) if differs else ("", 0)


@lru_cache(maxsize=KEPT)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def entity_of(uri: str, resource: str) -> str:
    """The presentity's URI in documents: as asked for, so a client finds what it subscribed to (RFC 4479 section 3.1)."""
    scheme = uri.partition(":")[0].lower()
    return resource.replace("sip:", "pres:", 1) if scheme == "pres" else resource
