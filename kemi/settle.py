"""Settle: what answers to NOTIFYs make of the subscriptions that these were sent to (RFC 6665 section 4.2.2, RFC 5057 section 5.1).

In a transaction, all answers of a batch together: 1 statement locks, 1 for all 2xx, 1 for failures, 1 for what has ended; 1 for
each 408.
"""

from collections.abc import Sequence

from kemi import remote_target, sip, store, watcher_store
from kemi.answer import Answer
from kemi.client_profile import Profile, profile_of
from kemi.database import Row, Unavailable
from kemi.effects import Effect, Log
from kemi.ending import remove
from kemi.event_package import WATCHER_INFORMATION, interval_of
from kemi.moment import Moment
from kemi.settings import Settings
from kemi.subscription import REQUEST_TIMEOUT, State, Subscription, is_ended_by


def settle(at: Moment, answers: Sequence[Answer]) -> list[Effect]:
    """Take what became of NOTIFYs into the table (RFC 6665 section 4.2.2, RFC 5057 section 5.1).

    2xx: answered, its Contact is the new remote target. An ending status, or silence: the row goes. Any other: that NOTIFY is
    lost, the subscription lives; Retry-After says when to try again. What was terminated goes with its last NOTIFY, whatever
    the answer. Answers to a NOTIFY that is not waited for say nothing: the watcher may have moved since, and somebody else be
    where it was.
    """
    if not answers:
        return []
    store.lock(at.database, [each.id for each in answers])
    spared = _spared(at, answers)
    ended_by = {(each.id, each.cseq): each.status for each in answers if is_ended_by(each.status) and each not in spared}
    good = [(each.id, each.cseq, remote_target.of_answer(each.contact, at.settings)) for each in answers if each.is_good]
    bad = [(each.id, each.cseq, each.retry_at(at.now)) for each in answers if not each.is_good]
    settled = store.answered(at.database, good, remote_target.ourselves(at.settings)).rows() if good else []
    _acknowledge(at, settled, [each for each in answers if each.event and any(each.id == tag for tag, *_ in settled)])
    failed = store.failed(at.database, bad).rows() if bad else []
    gone = {tag: f"NOTIFY answered {ended_by[tag, cseq]}" for tag, *_, cseq in failed if (tag, cseq) in ended_by}
    for tag, state, due_at, _ in (*settled, *failed):
        if state == State.TERMINATED.value and not due_at:
            gone.setdefault(tag, "ended")
    return remove(at, gone) if gone else []


def _spared(at: Moment, answers: Sequence[Answer]) -> list[Answer]:
    """408s, a proxy's word for silence, to subscriptions that outlast that."""
    late = [(each, store.load(at.database, each.id)) for each in answers if each.status == REQUEST_TIMEOUT]
    return [answer for answer, subscription in late if subscription is not None and outlasts(subscription, at.settings)]


def _acknowledge(at: Moment, settled: Sequence[Row], rated: Sequence[Answer]) -> None:
    """What a 2xx says besides: stored watchers have arrived, and at which rate to go on (RFC 6446 section 9.3)."""
    informed = [tag for tag, _state, _due_at, package in settled if package.endswith(WATCHER_INFORMATION)]
    if informed:
        watcher_store.forget_told(at.database, informed)
    for answer in rated:
        subscription = store.load(at.database, answer.id)
        if subscription is not None and sip.names_package(answer.event, subscription.package):
            interval = interval_of(at.packages.get(subscription.package), at.settings)
            gap = profile(subscription, at.settings).least_gap
            rated_now = subscription.rated(sip.parse_event(answer.event).parameters, interval, at.now, gap)
            store.rate(at.database, rated_now.repeating(interval))


def settle_apart(at: Moment, answers: Sequence[Answer]) -> list[Effect]:
    """Each answer in a transaction of its own; one that cannot be taken in is left out."""
    effects: list[Effect] = []
    for each in answers:
        try:
            with at.database.transaction():
                effects += settle(at, [each])
        except Unavailable:
            raise
        except Exception as problem:
            effects.append(Log(f"answer to NOTIFY left out: id={each.id} cseq={each.cseq} why={problem!r}"))
    return effects


def outlasts(subscription: Subscription, settings: Settings) -> bool:
    """Whether silence to a NOTIFY leaves the subscription: it ends when it is not refreshed."""
    return bool(settings.pa.ignore_408_on_notify or profile(subscription, settings).slow_to_answer)


def profile(subscription: Subscription, settings: Settings) -> Profile:
    """What this watcher's client needs besides."""
    return profile_of(subscription.user_agent, settings.pa.client_profiles)
