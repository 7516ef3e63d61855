"""NOTIFY: tell every due subscription the newest state, one NOTIFY in flight a dialog (RFC 6665 section 4.2.2).

One round of the notifier, all of a batch together:

    settle   answers that came in        1 statement locks, 1 for all 2xx, 1 for failures, 1 for what has ended
    claim    whose deadline has come     1 statement; SKIP LOCKED between notifiers
    render   the documents               1 load a package; one document for each distinct view
    record   CSeq, in flight, tag        1 statement; commit; only then are the NOTIFYs sent

What a deadline means: with a NOTIFY in flight, Timer F is over: removed, no farewell. Past its expiry: terminated;reason=timeout.
Else a NOTIFY is due; a subscription that has nothing new to tell since its last one stays quiet (RFC 4745 section 3.3).
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kemi import dialog, sip, store
from kemi.database import Database
from kemi.effects import Effect, Log, SendRequest
from kemi.event_package import Document, Packages, View
from kemi.settings import Settings
from kemi.subscription import TIMER_F, Reason, State, Subscription, answer_deadline, ended, is_ended_by

MAX_RETRY_AFTER = 86400
"""Seconds that a watcher can put off its NOTIFY."""


class Answer(NamedTuple):
    """What became of a NOTIFY.

    Args:
        status: of the final response; 0: it could not be sent.
        contact: URI of Contact in a 2xx, "" where there is none.
        retry_after: seconds, 0 where there is none.
    """

    id: str
    cseq: int
    status: int
    contact: str = ""
    retry_after: int = 0

    def as_text(self) -> str:
        """All but the id, for the queue between Kamailio's processes."""
        return f"{self.cseq} {self.status} {self.retry_after} {self.contact}"

    @classmethod
    def from_text(cls, tag: str, text: str) -> "Answer":
        """Read what came out of the queue; header field values in it are as the watcher sent them."""
        cseq, status, retry_after, contact = text.split(" ", 3)
        seconds = int(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 0
        target = sip.contact_target(contact) if contact else ""
        return cls(tag, int(cseq), int(status), target, min(seconds, MAX_RETRY_AFTER))


def notify(
    database: Database, settings: Settings, packages: Packages, answers: Sequence[Answer], now: float
) -> tuple[list[Effect], bool]:
    """One round: settle `answers`, then claim and build what is due.

    Returns:
        What to send and log, and whether another round may find more.
    """
    with database.transaction():
        effects = settle(database, answers, now)
        claimed = store.claim(database, now, settings.pa.notify_batch)
        if claimed:
            effects += _tell(database, settings, packages, claimed, now)
    return effects, len(claimed) == settings.pa.notify_batch


def _tell(database: Database, settings: Settings, packages: Packages, claimed: list[Subscription], now: float) -> list[Effect]:
    silent = {each.id: "no answer to NOTIFY" for each in claimed if each.in_flight_since is not None}
    effects = remove(database, silent) if silent else []
    expired = [each for each in claimed if each.expires_at <= now and each.state is not State.TERMINATED]
    effects += [Log(f"subscription expired: id={each.id} resource={each.resource} watcher={each.watcher}") for each in expired]
    telling = [_as_of(each, packages, now) for each in claimed if each.in_flight_since is None]
    documents = render(database, settings, packages, telling, now)
    news = [(each, tag_of(each, documents.get(view_of(each)))) for each in telling]
    quiet = [(each.id,) for each, tag in news if tag == each.notified_tag]
    news = [(each, tag) for each, tag in news if tag != each.notified_tag]
    if quiet:
        store.quiet(database, quiet)
    if news:
        store.sent(database, now, answer_deadline(now), [_record(each, tag) for each, tag in news])
    return effects + [send(each, documents, packages, now) for each, _tag in news]


def _as_of(subscription: Subscription, packages: Packages, now: float) -> Subscription:
    """The subscription with its end noticed: by time, or because its package is not served any more."""
    if subscription.package not in packages:
        return ended(subscription, Reason.NORESOURCE, now)
    return ended(subscription, Reason.TIMEOUT, now) if subscription.expires_at <= now else subscription


def _record(subscription: Subscription, tag: str) -> tuple[str, int, str, str | None, str]:
    reason = subscription.reason.value if subscription.reason else None
    return subscription.id, subscription.local_cseq + 1, subscription.state.value, reason, tag


def send(subscription: Subscription, documents: Mapping[View, Document], packages: Packages, now: float) -> SendRequest:
    """The next NOTIFY of a subscription."""
    document = documents.get(view_of(subscription)) if subscription.sees_document else None
    return dialog.notify(subscription, subscription.local_cseq + 1, document, ", ".join(packages), now)


def view_of(subscription: Subscription) -> View:
    """Which document this watcher gets."""
    return View(subscription.resource, subscription.entity, subscription.accept, subscription.decision)


def tag_of(subscription: Subscription, document: Document | None) -> str:
    """Names what a NOTIFY tells; two equal ones in a row are one too many."""
    seen = document is not None and subscription.sees_document
    return f"{subscription.state.value} {document.tag if seen and document else ''}"


def render(
    database: Database, settings: Settings, packages: Packages, subscriptions: Sequence[Subscription], now: float
) -> dict[View, Document]:
    """The documents that these subscriptions see, each distinct one once."""
    views: dict[str, dict[View, None]] = defaultdict(dict)
    for each in subscriptions:
        if each.sees_document and each.package in packages:
            views[each.package][view_of(each)] = None
    documents: dict[View, Document] = {}
    for name, wanted in views.items():
        documents |= packages[name].render(database, settings, list(wanted), now)
    return documents


def settle(database: Database, answers: Sequence[Answer], now: float) -> list[Effect]:
    """Take what became of NOTIFYs into the table (RFC 6665 section 4.2.2, RFC 5057 section 5.1).

    2xx: answered, its Contact is the new remote target. An ending status, or silence: the row goes. Any other: that NOTIFY is
    lost, the subscription lives; Retry-After says when to try again. What was terminated goes with its last NOTIFY, whatever
    the answer.
    """
    if not answers:
        return []
    store.lock(database, [(each.id,) for each in answers])
    gone = {each.id: f"NOTIFY answered {each.status}" for each in answers if is_ended_by(each.status)}
    good = [(each.id, each.cseq, each.contact) for each in answers if 200 <= each.status < 300]
    bad = [(each.id, each.cseq, _retry_at(each, now)) for each in answers if _failed_alone(each.status)]
    settled = store.answered(database, good).rows() if good else []
    settled += store.failed(database, bad).rows() if bad else []
    for tag, state, due_at in settled:
        if state == State.TERMINATED.value and not due_at:
            gone.setdefault(tag, "ended")
    return remove(database, gone) if gone else []


def _failed_alone(status: int) -> bool:
    return (status == 0 or status >= 300) and not is_ended_by(status)


def _retry_at(answer: Answer, now: float) -> float:
    if answer.status == 0:
        return now + TIMER_F
    return now + answer.retry_after if answer.retry_after else 0.0


def remove(database: Database, gone: Mapping[str, str]) -> list[Effect]:
    """Delete subscriptions, given why by id, one log line each."""
    rows = store.remove(database, [(tag,) for tag in gone]).rows()
    return [
        Log(f"subscription removed: id={tag} event={package} resource={resource} watcher={watcher} why={gone[tag]}")
        for tag, resource, watcher, package in rows
    ]
