"""SUBSCRIBE in a dialog: refresh or end the subscription (RFC 6665 sections 4.2.1.4, 4.4.1).

The row says that a NOTIFY is due, and the notifier sends it (`kemi.notify`), since one may be in flight. Who has moved is told at
once: that one went to where it was.

Suppress-If-Match (RFC 5839 section 6.3): a condition that holds for the document of now is answered 204, without a NOTIFY; where
the state changes too, the NOTIFY has no body.

SQL: 2 statements (load, save), 2 more when the state changes or it ends, 1 more with a condition, 1 more where it ends without a
NOTIFY; and what the rules ask for.
"""

from kemi import dialog, notify, remote_target, sip, store, watcher
from kemi.asked import Asked
from kemi.database import Database, Result
from kemi.effects import Effect, Log, Reply, Status, Wake
from kemi.ending import remove
from kemi.errors import Forbidden, OutOfOrder, SubscriptionDoesNotExist
from kemi.event_package import Authorization, Decision, Packages, allow_events, interval_of
from kemi.moment import Moment
from kemi.report import report_change, report_end, wakes
from kemi.settings import Settings
from kemi.subscription import STATE_BY_DECISION, Reason, State, Subscription, decided, due, ended


def refresh(at: Moment, asked: Asked, request: sip.Request, watcher_uri: str) -> list[Effect]:
    """Handle a SUBSCRIBE with a To-tag.

    Args:
        watcher_uri: canonical URI of who asks, authenticated.

    Raises:
        SipError: 481 no such dialog, 403 another event or watcher, 500 out of order.
    """
    with at.database.transaction():
        before = _find(at.database, request, asked)
        _check_dialog(before, asked, request, watcher_uri)
        if (request.cseq, request.branch) == (before.remote_cseq, before.branch):
            return [accepted(before, before.seconds_left(at.now), at.packages, _is_suppressed(before, asked))]
        asked = asked._replace(condition=_condition(before, asked))
        authorization = asked.package.authorization(at, watcher_uri, before.resource)
        after = _refreshed(before, asked, request, at.settings, authorization, at.now)
        populated = _populated(at, asked, after)
        marked = _report_refreshed(at, before, after)
        suppressed = asked.condition != "" and _holds(at, before, after)
        after, removed = _save(at, after, suppressed)
    if authorization.decision is Decision.BLOCK:
        refusal = Reply(Forbidden.status, Forbidden.reason)
        return [refusal, *_wake(after), *wakes(marked), log_line("rejected", after, asked.lifetime), Status("rejected", after)]
    word = "ended" if asked.lifetime == 0 else "refreshed"
    reply = accepted(after, asked.lifetime, at.packages, suppressed)
    line = log_line(word, after, asked.lifetime)
    return [reply, *_wake(after), *populated, *removed, *wakes(marked), line, Status(after.state.value, after)]


def _populated(at: Moment, asked: Asked, after: Subscription) -> list[Effect]:
    """A list is made anew, as its documents and the rules of its members are now (RFC 4662 section 4.5)."""
    populate = asked.package.populate
    if populate is None or after.state is State.TERMINATED:
        return []
    return populate(at, after)


def _refreshed(
    before: Subscription, asked: Asked, request: sip.Request, settings: Settings, authorization: Authorization, now: float
) -> Subscription:
    """The subscription as this SUBSCRIBE leaves it, with a NOTIFY due."""
    after = due(before, now)._replace(remote_cseq=request.cseq, branch=request.branch, notified_tag="", suppress=asked.condition)
    if authorization.decision in STATE_BY_DECISION:
        after = _moved(after, request, asked.contact, settings, now)._replace(
            accept=asked.accept,
            expires_at=now + asked.lifetime,
            event_parameters=asked.parameters,
            body=before.body if asked.body is None or not asked.package.replaces_body else asked.body,
        )
    interval = interval_of(asked.package, settings)
    after = decided(after.rated(asked.event.parameters, interval, now, asked.profile.least_gap), authorization, now)
    given_up = settings.pa.waiting_expiration and now - before.created_at >= settings.pa.waiting_expiration
    if after.state is State.PENDING and given_up:
        after = ended(after, Reason.GIVEUP, now)
    return ended(after, Reason.TIMEOUT, now) if asked.lifetime == 0 else after


def _report_refreshed(at: Moment, before: Subscription, after: Subscription) -> Result | None:
    """Report a change of state; a mere refresh is none."""
    if after.state is State.TERMINATED:
        entry = watcher.ended(before, after.reason or Reason.TIMEOUT, at.now, at.settings.pa.waiting_expiration)
        return report_end(at, [entry])
    if after.state is before.state:
        return None
    marked = report_change(at, [(after.resource, after.package)])
    store.number(at.database, [after.id])
    return marked


def _condition(before: Subscription, asked: Asked) -> str:
    """Suppress-If-Match, unless the watcher has not that any more, or not the documents before the next partial one.

    So it is when a NOTIFY that tells something else is on its way, and when a numbered one was lost.
    """
    told = before.notified_tag.partition(" ")[2]
    outdated = before.in_flight_since is not None or (before.version and not before.notified_tag)
    return "" if outdated and asked.condition not in ("*", told) else asked.condition


def _holds(at: Moment, before: Subscription, after: Subscription) -> bool:
    """Whether nothing is to be told: the condition holds, and the state stays or the watcher leaves (RFC 5839 section 5.7)."""
    if after.state is not before.state and after.reason is not Reason.TIMEOUT:
        return False
    (news,) = notify.gather(at, [after])
    return news.is_suppressed


def _save(at: Moment, after: Subscription, suppressed: bool) -> tuple[Subscription, list[Effect]]:
    """Write the row; suppressed, there is nothing due, and of one that ended no row is left, nor of what it consists of."""
    if not suppressed or after.state is State.TERMINATED:
        store.refresh(at.database, after)
    if not suppressed:
        return after, []
    if after.state is State.TERMINATED:
        return after._replace(due_at=None), remove(at, {after.id: "ended"})
    waiting = after.in_flight_since is not None
    tag = after.suppress if after.suppress != "*" else ""
    quiet = after._replace(
        due_at=None,
        repeat_at=None,
        next_at=after.next_at if waiting else after.expires_at,
        notified_tag=f"{after.state.value} {tag}",
    )
    store.refresh(at.database, quiet)
    return quiet, []


def _is_suppressed(subscription: Subscription, asked: Asked) -> bool:
    """Whether this SUBSCRIBE, which is seen again, was answered 204."""
    return asked.condition != "" and subscription.suppress == asked.condition and subscription.due_at is None


def _wake(subscription: Subscription) -> list[Effect]:
    return [Wake(blocked=subscription.in_flight_since is not None)] if subscription.due_at is not None else []


def _moved(subscription: Subscription, request: sip.Request, contact: str, settings: Settings, now: float) -> Subscription:
    """The subscription with its remote target refreshed; the route set stays (RFC 3261 section 12.2.2).

    A NOTIFY that is in flight to another place is not waited for: nobody may be there any more.
    """
    direct = request._replace(record_route=None)
    flow, connection = ("", 0) if subscription.route_set else remote_target.flow_of(direct, contact, settings)
    user_agent = request.user_agent or subscription.user_agent
    moved = subscription._replace(
        remote_target=contact, socket=request.socket, flow=flow, connection=connection, user_agent=user_agent
    )
    has_left = (moved.remote_target, flow, connection) != (subscription.remote_target, subscription.flow, subscription.connection)
    return due(moved._replace(in_flight_since=None), now) if has_left else moved


def _find(database: Database, request: sip.Request, asked: Asked) -> Subscription:
    """The dialog of the request; one that has ended is found by the SUBSCRIBE alone that has ended it, when it comes again."""
    subscription = store.load(database, request.to_tag or "")
    if subscription is None or (subscription.call_id, subscription.remote_tag) != (request.call_id, request.from_tag):
        raise SubscriptionDoesNotExist("no subscription has this Call-ID and these tags")
    has_ended_it = asked.lifetime == 0 and (subscription.remote_cseq, subscription.branch) == (request.cseq, request.branch)
    if subscription.state is State.TERMINATED and not has_ended_it:
        raise SubscriptionDoesNotExist("this subscription has ended")
    return subscription


def _check_dialog(subscription: Subscription, asked: Asked, request: sip.Request, watcher_uri: str) -> None:
    """One usage a dialog, of one watcher, in order (RFC 6665 section 4.5.2, RFC 3261 section 12.2.2)."""
    if (subscription.package, subscription.event_id) != (asked.package.name, asked.event.id):
        raise Forbidden("one subscription a dialog; this one is for another event")
    if subscription.watcher != watcher_uri:
        raise Forbidden("the dialog belongs to another watcher")
    if request.cseq < subscription.remote_cseq:
        raise OutOfOrder(f"CSeq {request.cseq} after {subscription.remote_cseq}")


def accepted(subscription: Subscription, lifetime: int, packages: Packages, suppressed: bool = False) -> Reply:
    """The 2xx: 204 where no NOTIFY follows (RFC 5839 section 7.1). Lifetime in seconds."""
    contact = dialog.contact_of(subscription)
    headers: tuple[tuple[str, str], ...] = (
        ("Expires", str(lifetime)), ("Contact", f"<{contact}>"), ("Allow-Events", allow_events(packages)),
    )  # fmt: skip
    if subscription.is_list:
        headers += (dialog.REQUIRE_EVENT_LIST,)
    return Reply(204, "No Notification", headers) if suppressed else Reply(200, "OK", headers)


def log_line(word: str, subscription: Subscription, lifetime: int) -> Log:
    """What became of a subscription; `lifetime` is what was granted, in seconds."""
    return Log(
        f"subscription {word}: id={subscription.id} event={subscription.package} resource={subscription.resource} "
        f"watcher={subscription.watcher} state={subscription.state.value} expires={lifetime}"
    )
