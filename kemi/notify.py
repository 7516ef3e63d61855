"""NOTIFY: tell every due subscription the newest state, one NOTIFY in flight a dialog (RFC 6665 section 4.2.2).

One round of the notifier, all of a batch together:

    settle   answers that came in        1 statement locks, 1 for all 2xx, 1 for failures, 1 for what has ended; 1 for each 408
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

An end that nobody asked for is reported to who watches the watchers: by the answer to a NOTIFY 2 statements more, by expiry 3.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kemi import dialog, remote_target, sip, store, watcher, watcher_store
from kemi.client_profile import Profile, profile_of
from kemi.database import Database, Row, Unavailable
from kemi.effects import Effect, Log, SendRequest, Wake
from kemi.event_package import LIST, WATCHER_INFORMATION, Document, Packages, View, allow_events, interval_of
from kemi.news import News, news_of, view_of
from kemi.report import report_end, wakes
from kemi.settings import Settings
from kemi.subscription import REQUEST_TIMEOUT, TIMER_F, Reason, State, Subscription, answer_deadline, ended, is_ended_by

MAX_RETRY_AFTER = 86400
"""Seconds that a watcher can put off its NOTIFY."""

PUT_OFF = 60
"""Seconds until a subscription is tried again that cannot be told."""


class Answer(NamedTuple):
    """What became of a NOTIFY.

    Args:
        status: of the final response; 0: it could not be sent.
        contact: URI of Contact in a 2xx, "" where there is none.
        retry_after: seconds, 0 where there is none.
        event: value of Event in a 2xx, where it names a rate (RFC 6446 section 9.3).
    """

    id: str
    cseq: int
    status: int
    contact: str = ""
    retry_after: int = 0
    event: str = ""

    def as_text(self) -> str:
        """All but the id, for the queue between Kamailio's processes."""
        return f"{self.cseq} {self.status} {self.retry_after} {self.contact}\n{self.event}"

    @classmethod
    def from_text(cls, tag: str, text: str) -> "Answer":
        """Read what came out of the queue; header field values in it are as the watcher sent them."""
        line, _, event = text.partition("\n")
        cseq, status, retry_after, contact = line.split(" ", 3)
        seconds = int(retry_after) if retry_after != "0" and re.fullmatch("[0-9]{1,9}", retry_after) else 0
        target = sip.contact_target(contact) if contact else ""
        return cls(tag, int(cseq), int(status), target, min(seconds, MAX_RETRY_AFTER), event)


class Round(NamedTuple):
    """What a round has come to: what to send and log, and whether another one may find more."""

    effects: list[Effect]
    has_more: bool


def notify(database: Database, settings: Settings, packages: Packages, answers: Sequence[Answer], now: float) -> Round:
    """One round: settle `answers`, then claim and build what is due.

    Args:
        now: seconds since the epoch.

    Raises:
        Unavailable: the database does not work; what was not settled or told then is, the next time.
    """
    try:
        with database.transaction():
            effects = settle(database, settings, packages, answers, now)
            claimed, passed_on = _claim(database, settings, now)
            telling = [each for each in claimed if not _is_of_list(each)]
            if telling:
                effects += _tell(database, settings, packages, telling, now)
    except Unavailable:
        raise
    except Exception:  # whatever it is, it is one answer's or one subscription's, and the others go on
        effects = _settle_apart(database, settings, packages, answers, now)
        with database.transaction():
            claimed, passed_on = _claim(database, settings, now)
        effects += _tell_apart(database, settings, packages, [each for each in claimed if not _is_of_list(each)], now)
    lists = [each for each in claimed if each.package.endswith(LIST) and not each.list_id]
    at_once = lists[: settings.rls.max_notifications_at_once]
    effects += _tell_lists(database, settings, packages, at_once, now)
    return Round(effects, passed_on > 0 or len(lists) > len(at_once) or len(claimed) == settings.pa.notify_batch)


def _claim(database: Database, settings: Settings, now: float) -> tuple[list[Subscription], int]:
    """What is due, and how many lists have members among it."""
    claimed = store.claim(database, now, settings.pa.notify_batch)
    members = [(each.id, each.list_id) for each in claimed if each.list_id]
    return claimed, store.pass_on(database, members, now, settings.rls.timer_interval) if members else 0


def _is_of_list(subscription: Subscription) -> bool:
    """It is a list, or stands in one."""
    return bool(subscription.list_id) or subscription.package.endswith(LIST)


def _settle_apart(
    database: Database, settings: Settings, packages: Packages, answers: Sequence[Answer], now: float
) -> list[Effect]:
    """Each answer in a transaction of its own; one that cannot be taken in is left out."""
    effects: list[Effect] = []
    for each in answers:
        try:
            with database.transaction():
                effects += settle(database, settings, packages, [each], now)
        except Unavailable:
            raise
        except Exception as problem:
            effects.append(Log(f"answer to NOTIFY left out: id={each.id} cseq={each.cseq} why={problem!r}"))
    return effects


def _tell_lists(
    database: Database, settings: Settings, packages: Packages, lists: Sequence[Subscription], now: float
) -> list[Effect]:
    """Lists wait for their members, and hold nobody else back meanwhile; one that is made anew not even other lists."""
    anew = [[each] for each in lists if each.changes > each.told]
    others = [each for each in lists if each.changes <= each.told]
    effects: list[Effect] = []
    for together in (others, *anew):
        effects += _tell_apart(database, settings, packages, together, now) if together else []
    return effects


def _tell_apart(
    database: Database, settings: Settings, packages: Packages, claimed: Sequence[Subscription], now: float
) -> list[Effect]:
    """A transaction of their own. Where it fails they are parted until it is known who cannot be told; the others are told."""
    try:
        with database.transaction():
            telling = store.claim_again(database, [(each.id,) for each in claimed], now)
            return _tell(database, settings, packages, telling, now) if telling else []
    except Unavailable as problem:
        return [Log(f"not told now: id={','.join(each.id for each in claimed)} why={problem}")]
    except Exception as problem:
        if len(claimed) > 1:
            halves = claimed[: len(claimed) // 2], claimed[len(claimed) // 2 :]
            return [effect for half in halves for effect in _tell_apart(database, settings, packages, half, now)]
        return [*_put_off(database, settings, packages, claimed[0], now), Log(f"not told: id={claimed[0].id} why={problem!r}")]


def _put_off(database: Database, settings: Settings, packages: Packages, subscription: Subscription, now: float) -> list[Effect]:
    """One that cannot be told keeps nobody else waiting: it is tried again later, and goes when its time is over."""
    try:
        with database.transaction():
            if subscription.expires_at <= now:
                return remove(database, settings, packages, {subscription.id: "cannot be told"}, now)
            store.put_off(database, subscription.id, now + PUT_OFF)
    except Exception as problem:  # what others are told is written down already, and has to go out
        return [Log(f"not put off: id={subscription.id} why={problem!r}")]
    return []


def _tell(database: Database, settings: Settings, packages: Packages, claimed: list[Subscription], now: float) -> list[Effect]:
    """Do what the deadlines of these mean, and record it: end, tell, or leave in peace who has heard it already."""
    silent = [each for each in claimed if each.in_flight_since is not None]
    effects = _without_answer(database, settings, packages, silent, now) if silent else []
    free = [each for each in claimed if each.in_flight_since is None]
    effects += _expired(database, settings, packages, free, now)
    telling = [_as_of(each, packages, now) for each in free]
    made, telling = _make_anew(database, settings, packages, telling, now)
    effects += made
    news: list[News] = []
    quiet: list[tuple[str]] = []
    for each in gather(database, settings, packages, telling, now):
        if each.is_quiet(now):
            quiet.append((each.subscription.id,))
        else:
            news.append(each)
    if quiet:
        store.quiet(database, quiet)
    if news:
        effects += record(database, settings, packages, news, now)
    served = allow_events(packages)
    requests = [each.request(served, now) for each in news]
    lines = [line for each, request in zip(news, requests, strict=True) for line in too_large(each.subscription, request, settings)]
    return [*effects, *requests, *lines]


def _make_anew(
    database: Database, settings: Settings, packages: Packages, telling: Sequence[Subscription], now: float
) -> tuple[list[Effect], list[Subscription]]:
    """What subscriptions consist of is written anew where what they are made of has changed; they may end by that."""
    effects: list[Effect] = []
    after: list[Subscription] = []
    for each in telling:
        populate = packages[each.package].populate if each.package in packages else None
        if populate is not None and each.changes > each.told and each.state is not State.TERMINATED:
            effects += populate(database, settings, each, now)
            known = store.load(database, each.id)
            is_over = known is not None and known.state is State.TERMINATED
            each = ended(each, Reason.NORESOURCE, now) if is_over else each
        after.append(each)
    return effects, after


def _without_answer(
    database: Database, settings: Settings, packages: Packages, silent: Sequence[Subscription], now: float
) -> list[Effect]:
    """Timer F is over: the subscription goes, without a farewell (RFC 6665 section 4.2.2), unless it outlasts that."""
    kept = {each.id: each.local_cseq for each in silent if each.state is not State.TERMINATED and _outlasts(each, settings)}
    if kept:
        store.failed(database, [(tag, cseq, 0.0) for tag, cseq in kept.items()])
    gone = {each.id: "no answer to NOTIFY" for each in silent if each.id not in kept}
    return remove(database, settings, packages, gone, now) if gone else []


def _outlasts(subscription: Subscription, settings: Settings) -> bool:
    """Whether silence to a NOTIFY leaves the subscription: it ends when it is not refreshed."""
    return bool(settings.pa.ignore_408_on_notify or _profile(subscription, settings).slow_to_answer)


def _profile(subscription: Subscription, settings: Settings) -> Profile:
    return profile_of(subscription.user_agent, settings.pa.client_profiles)


def _expired(database: Database, settings: Settings, packages: Packages, free: Sequence[Subscription], now: float) -> list[Effect]:
    """Report subscriptions whose time is over; watcher information of this round tells of them as ended, not as active too."""
    expired = [each for each in free if each.expires_at <= now and each.state is not State.TERMINATED]
    if not expired:
        return []
    store.expired(database, [(each.id,) for each in expired])
    entries = [watcher.ended(each, Reason.TIMEOUT, now, settings.pa.waiting_expiration) for each in expired]
    marked = report_end(database, settings, packages, entries, now)
    lines = [Log(f"subscription expired: id={each.id} resource={each.resource} watcher={each.watcher}") for each in expired]
    return [*lines, *wakes(marked)]


def _as_of(subscription: Subscription, packages: Packages, now: float) -> Subscription:
    """The subscription with its end noticed: by time, or because its package is not served any more."""
    if subscription.package not in packages:
        return ended(subscription, Reason.NORESOURCE, now)
    return ended(subscription, Reason.TIMEOUT, now) if subscription.expires_at <= now else subscription


def record(database: Database, settings: Settings, packages: Packages, news: Sequence[News], now: float) -> list[Effect]:
    """Write down that these are told, before they are."""
    store.sent(database, now, answer_deadline(now), [_sent(each) for each in news])
    lists = [each for each in news if each.document is not None and each.subscription.package.endswith(LIST)]
    effects = _record_lists(database, settings, packages, lists, now) if lists else []
    counted = [each for each in news if each.is_counted]
    if counted:
        after = [each.told(interval_of(packages.get(each.subscription.package), settings), now) for each in counted]
        store.told(database, after)
    return effects


def _record_lists(database: Database, settings: Settings, packages: Packages, lists: Sequence[News], now: float) -> list[Effect]:
    """What is told of the members of lists is told; what a body had no room for is told next, but nothing after an end."""
    telling = [each for each in lists if not each.is_suppressed]
    parts = [part for each in telling for part in _parts(each)]
    telling += parts
    left = [(tag, "") for each in telling if each.document is not None for tag in each.document.left]
    if parts or left:
        store.told_parts(database, [*((each.subscription.id, each.tag) for each in parts), *left], now)
    counted = [each.told(0, now) for each in parts if each.is_counted]
    if counted:
        store.told(database, counted)
    going_on = [each for each in telling if each.document is not None and each.document.has_more]
    unfinished = [(each.subscription.id,) for each in going_on if each.subscription.state is not State.TERMINATED]
    if unfinished:
        store.go_on(database, unfinished, now)
    gone = {each.subscription.id: "not in the list any more" for each in parts if not each.subscription.expires_at}
    effects = remove(database, settings, packages, gone, now) if gone else []
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
    return dialog.too_large(subscription, request, _profile(subscription, settings)) if len(request.body) >= dialog.SHORT else []


def gather(
    database: Database, settings: Settings, packages: Packages, subscriptions: Sequence[Subscription], now: float
) -> list[News]:
    """What these subscriptions are to be told; each distinct document is made once."""
    views = [view_of(each, packages) for each in subscriptions]
    wanted: dict[str, dict[View, None]] = defaultdict(dict)
    for each, view in zip(subscriptions, views, strict=True):
        if view is not None:
            wanted[each.package][view] = None
    documents: dict[View, Document] = {}
    for name, distinct in wanted.items():
        documents |= packages[name].render(database, settings, list(distinct), now)
    return [news_of(each, view, documents) for each, view in zip(subscriptions, views, strict=True)]


def settle(database: Database, settings: Settings, packages: Packages, answers: Sequence[Answer], now: float) -> list[Effect]:
    """Take what became of NOTIFYs into the table (RFC 6665 section 4.2.2, RFC 5057 section 5.1).

    2xx: answered, its Contact is the new remote target. An ending status, or silence: the row goes. Any other: that NOTIFY is
    lost, the subscription lives; Retry-After says when to try again. What was terminated goes with its last NOTIFY, whatever
    the answer. Answers to an older NOTIFY say nothing: the watcher may have moved since, and somebody else be where it was.
    """
    if not answers:
        return []
    store.lock(database, [(each.id,) for each in answers])
    spared = _spared(database, settings, answers)
    ending = {each.id: f"NOTIFY answered {each.status}" for each in answers if is_ended_by(each.status) and each not in spared}
    good = [(each.id, each.cseq, remote_target.of_answer(each.contact, settings)) for each in answers if _is_good(each)]
    bad = [(each.id, each.cseq, _retry_at(each, now)) for each in answers if not _is_good(each)]
    settled = store.answered(database, good, remote_target.ourselves(settings)).rows() if good else []
    _acknowledge(database, settings, packages, settled, [each for each in answers if each.event], now)
    failed = store.failed(database, bad).rows() if bad else []
    gone = {tag: ending[tag] for tag, *_ in failed if tag in ending}
    for tag, state, due_at, _package in (*settled, *failed):
        if state == State.TERMINATED.value and not due_at:
            gone.setdefault(tag, "ended")
    return remove(database, settings, packages, gone, now) if gone else []


def _is_good(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _spared(database: Database, settings: Settings, answers: Sequence[Answer]) -> list[Answer]:
    """408s, a proxy's word for silence, to subscriptions that outlast that."""
    late = [(each, store.load(database, each.id)) for each in answers if each.status == REQUEST_TIMEOUT]
    return [answer for answer, subscription in late if subscription is not None and _outlasts(subscription, settings)]


def _acknowledge(
    database: Database, settings: Settings, packages: Packages, settled: Sequence[Row], rated: Sequence[Answer], now: float
) -> None:
    """What a 2xx says besides: stored watchers have arrived, and at which rate to go on (RFC 6446 section 9.3)."""
    informed = [(tag,) for tag, _state, _due_at, package in settled if package.endswith(WATCHER_INFORMATION)]
    if informed:
        watcher_store.forget_told(database, informed)
    for answer in rated:
        subscription = store.load(database, answer.id)
        if subscription is not None and sip.names_package(answer.event, subscription.package):
            interval = interval_of(packages.get(subscription.package), settings)
            gap = _profile(subscription, settings).least_gap
            rated_now = subscription.rated(sip.parse_event(answer.event).parameters, interval, now, gap)
            store.rate(database, rated_now.repeating(interval))


def _retry_at(answer: Answer, now: float) -> float:
    if answer.status == 0:
        return now + TIMER_F
    return now + answer.retry_after if answer.retry_after else 0.0


def remove(database: Database, settings: Settings, packages: Packages, gone: Mapping[str, str], now: float) -> list[Effect]:
    """Delete subscriptions, given why by id, one log line each; an end that was not reported is reported."""
    rows = store.remove(database, [(tag,) for tag in gone])
    lists = [(each.id,) for each in rows if each.package.endswith(LIST)]
    if lists:
        store.forget_lists(database, lists)
    unreported = [each for each in rows if each.was_reported]
    entries = [watcher.ended(each, Reason.TIMEOUT, now, settings.pa.waiting_expiration) for each in unreported]
    marked = report_end(database, settings, packages, entries, now) if entries else None
    lines = [
        Log(
            f"subscription removed: id={each.id} event={each.package} resource={each.resource} "
            f"watcher={each.watcher} why={gone[each.id]}"
        )
        for each in rows
        if each.id in gone
    ]
    return [*lines, *wakes(marked)]
