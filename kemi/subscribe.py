"""SUBSCRIBE: open a subscription of any event package, or fetch its state (RFC 6665 sections 4.2.1, 4.4.3).

The answer is given when the row is committed. A new subscription is inserted with its first NOTIFY, which goes out right behind
the 200. In a dialog: `kemi.refresh`. Our tag in the dialog is made from the request under the server's secret: a SUBSCRIBE that is
seen twice, by another worker or after a crash, finds the row that it has made already (RFC 3261 section 17.2.2).

Outside of a dialog Suppress-If-Match leads to a NOTIFY without body where its condition holds (RFC 5839 section 6.2).

SQL: 4 statements: the rules, report to who watches the watchers, load what is shown, insert. While pending nothing is shown: an
entry that waits is looked for instead, and 1 more is needed where there is one. A fetch 3, undecided 5: who waits is remembered.
"""

import hashlib
from typing import NamedTuple

from kemi import notify, refresh, remote_target, sip, store, watcher, watcher_store
from kemi.asked import asked_of
from kemi.database import Database, Result
from kemi.effects import Effect, Status, Wake
from kemi.errors import ExtensionRequired, Forbidden, LoopDetected, ServiceUnavailable
from kemi.event_package import WATCHER_INFORMATION, Decision, Populate, allow_events, interval_of
from kemi.moment import Moment
from kemi.report import report_change, report_end, wakes
from kemi.settings import Settings
from kemi.subscription import STATE_BY_DECISION, Reason, State, Subscription, answer_deadline, authorized, fetched

RETRY_AFTER = 60
"""Seconds a watcher is asked to wait when a limit is reached."""

TAG = "kp-"
"""Beginning of our tag in every dialog: answers to our NOTIFYs are told from others without a look into the database."""

LIST_TAG = "kp-list-"
"""The same in dialogs of lists."""

ABLE_TAG = "kp-able-"
"""The same where it is about a single resource, and the client supports lists."""


def is_list_tag(tag: str) -> bool:
    """Whether the dialog with this tag of ours is about a list (RFC 4662 section 4.5: it is so for its whole life)."""
    return tag.startswith(LIST_TAG)


def is_able_tag(tag: str) -> bool:
    """Whether the dialog with this tag of ours is about a single resource, and ends when its URI becomes that of a list."""
    return tag.startswith(ABLE_TAG)


def tag_of(request: sip.Request, secret: bytes, is_list: bool = False, is_able: bool = False) -> str:
    """Our tag for the dialog that this SUBSCRIBE opens: the same for the same request, not to be guessed without the secret.

    From, Request-URI and Contact are part of it: Call-IDs and tags of different users may be equal.

    Args:
        is_able: the client supports lists.
    """
    identity = (
        request.call_id, request.from_tag, request.from_uri, request.uri, request.contact, request.event, request.cseq,
    )  # fmt: skip
    begin = LIST_TAG if is_list else ABLE_TAG if is_able else TAG
    return begin + hashlib.blake2b(repr(identity).encode(), key=secret, digest_size=12).hexdigest()


def is_last(request: sip.Request) -> bool:
    """Whether nothing will be left of the subscription soon: a fetch, or its end."""
    return request.expires is not None and request.expires.strip().strip("0") == ""


def subscribe(at: Moment, request: sip.Request, resource: str, watcher_uri: str, tag: str, chosen: str = "") -> list[Effect]:
    """Handle a SUBSCRIBE.

    Args:
        resource: canonical URI of the presentity; in a dialog it is not looked at.
        watcher_uri: canonical URI of who asks, authenticated.
        tag: our tag for a new dialog (`tag_of`).
        chosen: the list that a script has chosen, where none comes with the request (`Subscription.body`).

    Raises:
        SipError: the refusals of RFC 6665 section 4.2.1: 400, 403, 406, 415, 423, 481, 482, 489, 500, 503.
    """
    asked = asked_of(request, at.settings, at.packages, is_list_tag(request.to_tag or tag))
    if request.to_tag:
        return refresh.refresh(at, asked, request, watcher_uri)
    flow, connection = remote_target.flow_of(request, asked.contact, at.settings)
    subscription = Subscription(
        id=tag, package=asked.package.name, event_id=asked.event.id, resource=resource, entity=entity_of(request.uri, resource),
        watcher=watcher_uri, decision=Decision.CONFIRM, state=State.PENDING, reason=None, accept=asked.accept,
        created_at=at.now, expires_at=at.now + asked.lifetime, call_id=request.call_id, local_uri=request.to_uri,
        remote_uri=request.from_uri, remote_tag=request.from_tag, remote_target=asked.contact,
        route_set=remote_target.route_set_of(request), local_cseq=0, remote_cseq=request.cseq, branch=request.branch,
        socket=request.socket, flow=flow, connection=connection, user_agent=request.user_agent,
        due_at=None, in_flight_since=at.now, notified_at=at.now, notified_tag="", next_at=answer_deadline(at.now),
        display_name=sip.display_name(request.display_name), event_parameters=asked.parameters, suppress=asked.condition,
        body=asked.body or chosen,
    )  # fmt: skip
    interval = interval_of(asked.package, at.settings)
    subscription = subscription.rated(asked.event.parameters, interval, at.now, asked.profile.least_gap)
    return _open(at, subscription, asked.lifetime)


def _open(at: Moment, subscription: Subscription, lifetime: int) -> list[Effect]:
    """Insert the subscription with its first NOTIFY in flight, unless the rules refuse: what they have noted stays all the same.

    A PUBLISH for the presentity, or a change of its rules, comes wholly before or after.
    """
    opened = None
    with at.database.transaction():
        at.database.lock(subscription.resource)
        foresee = at.packages[subscription.package].foresee
        if foresee is not None:
            foresee(at, subscription.resource)
        subscription = _authorized(at, subscription, lifetime)
        if subscription.decision in STATE_BY_DECISION:
            opened = _insert(at, subscription)
    if opened is None:
        raise Forbidden("the presentity's rules refuse this watcher")
    subscription = opened.subscription
    if opened.created.count == 0:
        _require_retransmission(at, store.load(at.database, subscription.id), subscription)
        return [refresh.accepted(subscription, lifetime, at.packages)]
    word = "fetched" if lifetime == 0 else "created"
    reply = refresh.accepted(subscription, lifetime, at.packages)
    line = refresh.log_line(word, subscription, lifetime)
    return [reply, *opened.effects, *wakes(opened.marked), line, Status(subscription.state.value, subscription, new=True)]


class _Opened(NamedTuple):
    """A subscription, whether its row was created (count), and what is to be done: its first NOTIFY, or to wake who sends it.

    Args:
        marked: who watches the watchers; asked for after the transaction, which then waits for nothing.
    """

    subscription: Subscription
    created: Result
    effects: list[Effect]
    marked: Result | None = None


def _insert(at: Moment, subscription: Subscription) -> _Opened:
    package = at.packages[subscription.package]
    if package.populate is not None:
        return _populate(at, package.populate, subscription)
    if subscription.in_flight_since is None:
        return _hold(at, subscription)
    waiting = _waiting(at.database, subscription)
    subscription = subscription._replace(watcher_id=waiting or watcher.opaque(subscription.id))
    marked = _report_new(at, subscription)
    if subscription.package.endswith(WATCHER_INFORMATION):
        _gather_watchers(at, subscription)
    (news,) = notify.gather(at, [subscription])
    first = news.request(allow_events(at.packages), at.now)
    told = news.told(interval_of(package, at.settings), at.now) if news.is_counted else subscription
    told = told._replace(local_cseq=first.cseq, notified_tag=news.tag)
    created = _create(at, told)
    if waiting and subscription.state is State.PENDING:
        watcher_store.taken(at.database, waiting, subscription.id)
    return _Opened(subscription, created, [first, *notify.too_large(subscription, first, at.settings)], marked)


def _create(at: Moment, subscription: Subscription) -> Result:
    """Insert it, unless there are too many; or it is one to a single resource, and a list of ours has that URI."""
    return store.create(
        at.database, subscription, at.settings.pa.max_watchers, at.settings.pa.max_subscriptions, _has_lists(at.settings)
    )


def _has_lists(settings: Settings) -> bool:
    """Whether the services of our own documents are lists; else those of another server are."""
    return not settings.xcap.xcap_root


def _hold(at: Moment, subscription: Subscription) -> _Opened:
    """Insert a fetch whose NOTIFY has to wait. The notifier tells it: when what it waits for comes, or its time."""
    subscription = subscription._replace(watcher_id=watcher.opaque(subscription.id))
    created = _create(at, subscription)
    return _Opened(subscription, created, [])


def _populate(at: Moment, populate: Populate, subscription: Subscription) -> _Opened:
    """Insert the subscription and what it consists of. The notifier tells it: it waits for nobody who changes a part of it."""
    next_at = at.now if subscription.in_flight_since is not None else subscription.next_at
    subscription = subscription._replace(
        in_flight_since=None, due_at=at.now, next_at=next_at, notified_at=0.0, watcher_id=watcher.opaque(subscription.id)
    )
    created = _create(at, subscription)
    existing = store.load(at.database, subscription.id)
    if existing is None:
        raise ServiceUnavailable("too many subscriptions", RETRY_AFTER)
    effects = populate(at, subscription) if existing == subscription else []
    return _Opened(subscription, created, [Wake(), *effects])


def _authorized(at: Moment, subscription: Subscription, lifetime: int) -> Subscription:
    """The subscription in the state that the rules of now give it."""
    package = at.packages[subscription.package]
    authorization = package.authorization(at, subscription.watcher, subscription.resource)
    subscription = authorized(subscription, authorization, STATE_BY_DECISION.get(authorization.decision, State.TERMINATED))
    if lifetime == 0:
        return fetched(subscription, package.awaits(at, subscription) if package.awaits else None)
    return subscription


def _waiting(database: Database, subscription: Subscription) -> str:
    """Id of the waiting entry that this subscription takes the place of, or that is renewed by its fetch."""
    if subscription.decision is not Decision.CONFIRM:
        return ""
    return watcher_store.waiting(database, subscription.package, subscription.resource, subscription.watcher)


def _report_new(at: Moment, subscription: Subscription) -> Result | None:
    """A new watcher; a fetch is not one, but who is not decided about waits after it too (RFC 3857 sections 4.7.1, 4.7.2)."""
    if subscription.state is not State.TERMINATED:
        return report_change(at, [(subscription.resource, subscription.package)])
    if subscription.decision is not Decision.CONFIRM:
        return None
    pending = subscription._replace(state=State.PENDING)
    return report_end(at, [watcher.ended(pending, Reason.TIMEOUT, at.now, at.settings.pa.waiting_expiration)])


def _gather_watchers(at: Moment, subscription: Subscription) -> None:
    """Watcher information is about to be told for the first time: nobody it tells of ends meanwhile, stored ones are told."""
    watched = subscription.package.removesuffix(WATCHER_INFORMATION)
    watcher_store.lock(at.database, watched, subscription.resource)
    if at.settings.pa.use_offline_winfo and subscription.watcher == subscription.resource:
        watcher_store.dump(at.database, watched, subscription.resource, at.now)


def _require_retransmission(at: Moment, existing: Subscription | None, subscription: Subscription) -> None:
    """No row was inserted: a retransmission, which finds its own row, is answered again; anything else is refused.

    Raises:
        ExtensionRequired: 421, the resource is a list, and the client supports none.
        LoopDetected: 482, the row was made by the same SUBSCRIBE on another path.
        ServiceUnavailable: 503, a limit is reached; or the resource has just become a list, which is found when it is tried again.
    """
    is_list = existing is None and _has_lists(at.settings) and store.is_list(at.database, subscription.resource)
    if is_list and is_able_tag(subscription.id):
        raise ServiceUnavailable("this became a list a moment ago", 1)
    if is_list:
        raise ExtensionRequired(("eventlist",), "this is a list, and the client does not support lists")
    if existing is None:
        raise ServiceUnavailable("too many subscriptions", RETRY_AFTER)
    if existing.branch != subscription.branch and existing.remote_cseq == subscription.remote_cseq:
        raise LoopDetected("this SUBSCRIBE came on another path already")


def entity_of(uri: str, resource: str) -> str:
    """The presentity's URI in documents: as asked for, so a client finds what it subscribed to (RFC 4479 section 3.1)."""
    scheme = uri.partition(":")[0].lower()
    return resource.replace("sip:", "pres:", 1) if scheme == "pres" else resource
