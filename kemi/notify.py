"""NOTIFY: tell every due subscription the newest state, one NOTIFY in flight a dialog (RFC 6665 section 4.2.2).

One round of the notifier, all of a batch together:

    settle   answers that came in        `kemi.settle`
    claim    whose deadline has come     1 statement; SKIP LOCKED between notifiers
    pass on  news of members of lists    2 statements: their lists are due, and told in the next round
    render   the documents               1 load a package (2 for watcher information); one document for each distinct view
    record   CSeq, in flight, tag        1 statement, 1 more where documents are numbered or rates controlled
    commit; then the same for lists, in transactions that hold nothing but them; only then are the NOTIFYs sent

What a deadline means: with a NOTIFY in flight, Timer F is over: removed, no farewell; but a client that is known to be slow to
answer (`client_profile`) is told again with the next change, and ends when it is not refreshed. Past its expiry:
terminated;reason=timeout. Past its repeat: the same state is told again (RFC 6446 section 6). Else a NOTIFY is due; a subscription
that has nothing new to tell since its last one stays quiet (RFC 4745 section 3.3), and so does one whose condition holds (RFC 5839
section 6.3).

An end by expiry is reported to who watches the watchers: 3 statements more.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kemi import dialog, store, watcher
from kemi.answer import Answer
from kemi.database import Unavailable
from kemi.effects import Effect, Log, SendRequest, Wake
from kemi.ending import remove
from kemi.event_package import LIST, Document, Packages, View, allow_events, interval_of
from kemi.moment import Moment
from kemi.news import News, news_of, view_of
from kemi.report import report_end, wakes
from kemi.settings import Settings
from kemi.settle import outlasts, profile, settle, settle_apart
from kemi.subscription import Reason, State, Subscription, answer_deadline, ended

PUT_OFF = 60
"""Seconds until a subscription is tried again that cannot be told."""


class Round(NamedTuple):
    """What a round has come to: what to send and log, and whether another one may find more."""

    effects: list[Effect]
    has_more: bool


def notify(at: Moment, answers: Sequence[Answer], unsent: set[float]) -> Round:
    """One round: settle `answers`, then claim and build what is due.

    Args:
        unsent: times of rounds that may have been committed, and were not sent; this one is added where it becomes such a one.

    Raises:
        Unavailable: the database does not work; what was not settled or told then is, the next time.
    """
    try:
        with at.database.transaction():
            effects = settle(at, answers)
            claimed, passed_on = _claim(at)
            telling = [each for each in claimed if not _is_of_list(each)]
            if telling:
                effects += _tell(at, telling, unsent)
    except Unavailable:
        unsent.add(at.now)
        raise
    except Exception:  # whatever it is, it is one answer's or one subscription's, and the others go on
        effects = settle_apart(at, answers)
        with at.database.transaction():
            claimed, passed_on = _claim(at)
        effects += _tell_apart(at, [each for each in claimed if not _is_of_list(each)], unsent)
    lists = [each for each in claimed if each.package.endswith(LIST) and not each.list_id]
    at_once = lists[: at.settings.rls.max_notifications_at_once]
    effects += _tell_lists(at, at_once, unsent)
    return Round(effects, passed_on > 0 or len(lists) > len(at_once) or len(claimed) == at.settings.pa.notify_batch)


def _claim(at: Moment) -> tuple[list[Subscription], int]:
    """What is due, and how many lists have members among it."""
    claimed = store.claim(at.database, at.now, at.settings.pa.notify_batch)
    members = [(each.id, each.list_id) for each in claimed if each.list_id]
    return claimed, store.pass_on(at.database, members, at.now, at.settings.rls.timer_interval) if members else 0


def _is_of_list(subscription: Subscription) -> bool:
    """It is a list, or stands in one."""
    return bool(subscription.list_id) or subscription.package.endswith(LIST)


def _tell_lists(at: Moment, lists: Sequence[Subscription], unsent: set[float]) -> list[Effect]:
    """Lists wait for their members, and hold nobody else back meanwhile; one that is made anew not even other lists."""
    anew = [[each] for each in lists if each.changes > each.told]
    others = [each for each in lists if each.changes <= each.told]
    effects: list[Effect] = []
    for together in (others, *anew):
        effects += _tell_apart(at, together, unsent) if together else []
    return effects


def _tell_apart(at: Moment, claimed: Sequence[Subscription], unsent: set[float]) -> list[Effect]:
    """A transaction of their own. Where it fails they are parted until it is known who cannot be told; the others are told."""
    try:
        with at.database.transaction():
            telling = store.claim_again(at.database, [each.id for each in claimed], at.now)
            return _tell(at, telling, unsent) if telling else []
    except Unavailable as problem:
        unsent.add(at.now)
        return [Log(f"not told now: id={','.join(each.id for each in claimed)} why={problem}")]
    except Exception as problem:
        if len(claimed) > 1:
            halves = claimed[: len(claimed) // 2], claimed[len(claimed) // 2 :]
            return [effect for half in halves for effect in _tell_apart(at, half, unsent)]
        return [*_put_off(at, claimed[0]), Log(f"not told: id={claimed[0].id} why={problem!r}")]


def _put_off(at: Moment, subscription: Subscription) -> list[Effect]:
    """One that cannot be told keeps nobody else waiting: it is tried again later, and goes when its time is over."""
    try:
        with at.database.transaction():
            if subscription.expires_at <= at.now:
                return remove(at, {subscription.id: "cannot be told"})
            store.put_off(at.database, subscription.id, at.now + PUT_OFF)
    except Exception as problem:  # what others are told is written down already, and has to go out
        return [Log(f"not put off: id={subscription.id} why={problem!r}")]
    return []


def _tell(at: Moment, claimed: list[Subscription], unsent: set[float]) -> list[Effect]:
    """Do what the deadlines of these mean, and record it: end, tell, or leave in peace who has heard it already."""
    silent = [each for each in claimed if each.in_flight_since is not None]
    effects = _without_answer(at, silent, unsent) if silent else []
    free = [each for each in claimed if each.in_flight_since is None]
    effects += _expired(at, free)
    telling = [_as_of(each, at.packages, at.now) for each in free]
    made, telling = _make_anew(at, telling)
    effects += made
    news: list[News] = []
    quiet: list[str] = []
    for each in gather(at, telling):
        if each.is_quiet(at.now):
            quiet.append(each.subscription.id)
        else:
            news.append(each)
    if quiet:
        store.quiet(at.database, quiet)
    if news:
        effects += record(at, news)
    served = allow_events(at.packages)
    requests = [each.request(served, at.now) for each in news]
    lines = [
        line for each, request in zip(news, requests, strict=True) for line in too_large(each.subscription, request, at.settings)
    ]
    return [*effects, *requests, *lines]


def _make_anew(at: Moment, telling: Sequence[Subscription]) -> tuple[list[Effect], list[Subscription]]:
    """What subscriptions consist of is written anew where what they are made of has changed; they may end by that."""
    effects: list[Effect] = []
    after: list[Subscription] = []
    for each in telling:
        populate = at.packages[each.package].populate if each.package in at.packages else None
        if populate is not None and each.changes > each.told and each.state is not State.TERMINATED:
            effects += populate(at, each)
            known = store.load(at.database, each.id)
            is_over = known is not None and known.state is State.TERMINATED
            each = ended(each, Reason.NORESOURCE, at.now) if is_over else each
        after.append(each)
    return effects, after


def _without_answer(at: Moment, silent: Sequence[Subscription], unsent: set[float]) -> list[Effect]:
    """Timer F is over: the subscription goes, without a farewell (RFC 6665 section 4.2.2), unless it outlasts that.

    One whose NOTIFY was not sent at all is told now.
    """
    kept = {
        each.id: (each.id, each.local_cseq, at.now if each.in_flight_since in unsent else 0.0)
        for each in silent
        if each.state is not State.TERMINATED and (each.in_flight_since in unsent or outlasts(each, at.settings))
    }
    if kept:
        store.failed(at.database, list(kept.values()))
    gone = {each.id: "no answer to NOTIFY" for each in silent if each.id not in kept}
    return remove(at, gone) if gone else []


def _expired(at: Moment, free: Sequence[Subscription]) -> list[Effect]:
    """Report subscriptions whose time is over; watcher information of this round tells of them as ended, not as active too."""
    expired = [each for each in free if each.expires_at <= at.now and each.state is not State.TERMINATED]
    if not expired:
        return []
    store.expired(at.database, [each.id for each in expired])
    entries = [watcher.ended(each, Reason.TIMEOUT, at.now, at.settings.pa.waiting_expiration) for each in expired]
    marked = report_end(at, entries)
    lines = [Log(f"subscription expired: id={each.id} resource={each.resource} watcher={each.watcher}") for each in expired]
    return [*lines, *wakes(marked)]


def _as_of(subscription: Subscription, packages: Packages, now: float) -> Subscription:
    """The subscription with its end noticed: by time, or because its package is not served any more."""
    if subscription.package not in packages:
        return ended(subscription, Reason.NORESOURCE, now)
    return ended(subscription, Reason.TIMEOUT, now) if subscription.expires_at <= now else subscription


def record(at: Moment, news: Sequence[News]) -> list[Effect]:
    """Write down that these are told, before they are."""
    store.sent(at.database, at.now, answer_deadline(at.now), [_sent(each) for each in news])
    lists = [each for each in news if each.document is not None and each.subscription.package.endswith(LIST)]
    effects = _record_lists(at, lists) if lists else []
    counted = [each for each in news if each.is_counted]
    if counted:
        after = [each.told(interval_of(at.packages.get(each.subscription.package), at.settings), at.now) for each in counted]
        store.told(at.database, after)
    return effects


def _record_lists(at: Moment, lists: Sequence[News]) -> list[Effect]:
    """What is told of the members of lists is told; what a body had no room for is told next, but nothing after an end."""
    telling = [each for each in lists if not each.is_suppressed]
    parts = [part for each in telling for part in _parts(each)]
    telling += parts
    left = [(tag, "") for each in telling if each.document is not None for tag in each.document.left]
    if parts or left:
        store.told_parts(at.database, [*((each.subscription.id, each.tag) for each in parts), *left], at.now)
    counted = [each.told(0, at.now) for each in parts if each.is_counted]
    if counted:
        store.told(at.database, counted)
    going_on = [each for each in telling if each.document is not None and each.document.has_more]
    unfinished = [each.subscription.id for each in going_on if each.subscription.state is not State.TERMINATED]
    if unfinished:
        store.go_on(at.database, unfinished, at.now)
    gone = {each.subscription.id: "not in the list any more" for each in parts if not each.subscription.expires_at}
    effects = remove(at, gone) if gone else []
    return [*effects, Wake(blocked=True)] if unfinished else effects


def _parts(news: News) -> Iterator[News]:
    """What a list's document tells of its members, and of those of lists in it."""
    for part in news.document.parts if news.document is not None else ():
        yield part
        yield from _parts(part)


def _sent(news: News) -> tuple[str, int, str, str | None, str]:
    subscription = news.subscription
    reason = subscription.reason.value if subscription.reason else None
    return subscription.id, subscription.local_cseq + 1, news.state, reason, news.tag


def too_large(subscription: Subscription, request: SendRequest, settings: Settings) -> list[Log]:
    """A line about a NOTIFY that is (`dialog.too_large`); most are far from it."""
    return dialog.too_large(subscription, request, profile(subscription, settings)) if len(request.body) >= dialog.SHORT else []


def gather(at: Moment, subscriptions: Sequence[Subscription]) -> list[News]:
    """What these subscriptions are to be told; each distinct document is made once."""
    views = [view_of(each, at.packages) for each in subscriptions]
    wanted: dict[str, dict[View, None]] = defaultdict(dict)
    for each, view in zip(subscriptions, views, strict=True):
        if view is not None:
            wanted[each.package][view] = None
    documents: dict[View, Document] = {}
    for name, distinct in wanted.items():
        documents |= at.packages[name].render(at, list(distinct))
    return [news_of(each, view, documents) for each, view in zip(subscriptions, views, strict=True)]
