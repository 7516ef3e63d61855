"""NOTIFY: tell every due subscription the newest state, one NOTIFY in flight a dialog (RFC 6665 section 4.2.2).

One round of the notifier, all of a batch together:

    settle   answers that came in        1 statement locks, 1 for all 2xx, 1 for failures, 1 for what has ended; 1 for each 408
    claim    whose deadline has come     1 statement; SKIP LOCKED between notifiers
    render   the documents               1 load a package (2 for watcher information); one document for each distinct view
    record   CSeq, in flight, tag        1 statement, 1 more where documents are numbered or rates controlled
    commit; only then are the NOTIFYs sent

What a deadline means: with a NOTIFY in flight, Timer F is over: removed, no farewell; but a client that is known to be slow to
answer (`client_profile`) is told again with the next change, and ends when it is not refreshed. Past its expiry:
terminated;reason=timeout. Past its repeat: the same state is told again (RFC 6446 section 6). Else a NOTIFY is due; a subscription
that has nothing new to tell since its last one stays quiet (RFC 4745 section 3.3), and so does one whose condition holds (RFC 5839
section 6.3).

An end that nobody asked for is reported to who watches the watchers: by the answer to a NOTIFY 2 statements more, by expiry 3.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kemi import sip, store, watcher, watcher_store
from kemi.client_profile import Profile, profile_of
from kemi.database import Database, Row
from kemi.effects import Effect, Log, SendRequest
from kemi.event_package import WATCHER_INFORMATION, Document, Packages, View, allow_events, interval_of
from kemi.news import News, news_of, view_of
from kemi.report import report_end, wakes
from kemi.settings import Settings
from kemi.subscription import REQUEST_TIMEOUT, TIMER_F, Reason, State, Subscription, answer_deadline, ended, is_ended_by

MAX_RETRY_AFTER = 86400
"""Seconds that a watcher can put off its NOTIFY."""


SHORT = 800
"""Characters of a body that fits into any message, whatever they are in octets."""

ADDED = 200
"""Octets of a request that Kamailio writes: the request line, Via, User-Agent, Content-Length."""


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
        seconds = int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 0
        target = sip.contact_target(contact) if contact else ""
        return cls(tag, int(cseq), int(status), target, min(seconds, MAX_RETRY_AFTER), event)


def notify(
    database: Database, settings: Settings, packages: Packages, answers: Sequence[Answer], now: float
) -> tuple[list[Effect], bool]:
    """One round: settle `answers`, then claim and build what is due.

    Returns:
        What to send and log, and whether another round may find more.
    """
    with database.transaction():
        effects = settle(database, settings, packages, answers, now)
        claimed = store.claim(database, now, settings.pa.notify_batch)
        if claimed:
            effects += _tell(database, settings, packages, claimed, now)
    return effects, len(claimed) == settings.pa.notify_batch


def _tell(database: Database, settings: Settings, packages: Packages, claimed: list[Subscription], now: float) -> list[Effect]:
    silent = [each for each in claimed if each.in_flight_since is not None]
    effects = _without_answer(database, settings, packages, silent, now) if silent else []
    free = [each for each in claimed if each.in_flight_since is None]
    effects += _expired(database, settings, packages, free, now)
    telling = [_as_of(each, packages, now) for each in free]
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
        record(database, settings, packages, news, now)
    served = allow_events(packages)
    requests = [each.request(served, now) for each in news]
    lines = [line for each, request in zip(news, requests, strict=True) for line in too_large(each.subscription, request, settings)]
    return [*effects, *requests, *lines]


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


def record(database: Database, settings: Settings, packages: Packages, news: Sequence[News], now: float) -> None:
    """Write down that these are told, before they are."""
    store.sent(database, now, answer_deadline(now), [_sent(each) for each in news])
    counted = [each for each in news if each.is_counted]
    if counted:
        after = [each.told(interval_of(packages.get(each.subscription.package), settings), now) for each in counted]
        store.told(database, [(each.id, each.version, each.told, each.suppress, each.recent, each.repeat_at) for each in after])


def _sent(news: News) -> tuple[str, int, str, str | None, str]:
    subscription = news.subscription
    reason = subscription.reason.value if subscription.reason else None
    return subscription.id, subscription.local_cseq + 1, news.state, reason, news.tag


def too_large(subscription: Subscription, request: SendRequest, settings: Settings) -> list[Effect]:
    """A line about a NOTIFY that its client will drop. It goes out all the same: a document that is cut is no document."""
    if len(request.body) < SHORT:
        return []
    most = _profile(subscription, settings).most_octets
    octets = len(request.headers.encode()) + len(request.body.encode()) + ADDED if most else 0
    if octets <= most:
        return []
    return [Log(f"NOTIFY too large for its client: id={request.id} octets={octets} most={most} watcher={subscription.watcher}")]


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
    the answer.
    """
    if not answers:
        return []
    store.lock(database, [(each.id,) for each in answers])
    spared = _spared(database, settings, answers)
    gone = {each.id: f"NOTIFY answered {each.status}" for each in answers if is_ended_by(each.status) and each not in spared}
    good = [(each.id, each.cseq, each.contact if settings.pa.notify_is_refresh else "") for each in answers if _is_good(each)]
    bad = [(each.id, each.cseq, _retry_at(each, now)) for each in answers if not _is_good(each) and each.id not in gone]
    settled = store.answered(database, good).rows() if good else []
    _acknowledge(database, settings, packages, settled, [each for each in answers if each.event], now)
    settled += store.failed(database, bad).rows() if bad else []
    for tag, state, due_at, _package in settled:
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
    unreported = [each for each in rows if each.state is not State.TERMINATED]
    entries = [watcher.ended(each, Reason.TIMEOUT, now, settings.pa.waiting_expiration) for each in unreported]
    marked = report_end(database, settings, packages, entries, now) if entries else None
    lines = [
        Log(
            f"subscription removed: id={each.id} event={each.package} resource={each.resource} "
            f"watcher={each.watcher} why={gone[each.id]}"
        )
        for each in rows
    ]
    return [*lines, *wakes(marked)]
