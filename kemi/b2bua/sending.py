"""Send what outgoing subscriptions have to ask, take the answers, and notice what time does (RFC 6665 section 4.1.2).

One round, in a worker of the async group `notify`, all in one transaction; requests are sent after the commit:

    lock     whoever is told of          1 statement, 1 lock for each (PostgreSQL)
    settle   answers that came in        2 statements each: load, save; 1 where local subscribers are told
    claim    whose deadline has come     1 statement, with SKIP LOCKED between workers
             who is to be asked          1 statement, 1 more for each domain that has a turn
    save     each                        1 statement; 2 where local subscribers are told; of forks more (`happening`)

At most `b2b.max_subscribes` are asked in a second, so however many are due after a restart, or because a server elsewhere ended
all of its dialogs, they go out one after another. Domains take turns (`turns`), so one with many does not hold the others up. One
that does not answer has at most `b2b.max_in_flight` requests open; the rest waits, and takes no turns.

What becomes of one may change its forks (`forks`): these are read again where they are due in the same round. They are locked since
they were claimed; nothing more is, for another process may hold the others and wait for these.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kemi import identity, sip
from kemi.b2bua import credentials, hop, outside, store
from kemi.b2bua.happening import Setting, happens
from kemi.b2bua.outgoing import BETWEEN_TAGS, Answered, Due, Key, Outgoing, Unwanted, Wanted, fraction
from kemi.b2bua.request import Ourselves
from kemi.b2bua.store import DomainDue
from kemi.database import Unavailable
from kemi.effects import Effect, Log
from kemi.errors import SipError

TIMED = 100
"""Of those of which another deadline has come, in one round."""

SWEPT = 500
"""Subscriptions that nobody wants any more, in one sweep."""

PRESENCE = "presence"
"""The one event package of those that are a source."""

Chance = Callable[[], str]
"""32 random hexadecimal digits."""


class Round(NamedTuple):
    """What one round comes to: what to send and log, and how many subscriptions were to be asked."""

    effects: list[Effect]
    asked: int


class Left(NamedTuple):
    """What follows of subscriptions that were left, and whether that were all of them."""

    effects: list[Effect]
    is_all: bool


def send(at: Setting, answers: Sequence[Answered], chance: Chance, limit: int) -> Round:
    """One round.

    Args:
        limit: of those that are to be asked.
    """
    effects: list[Effect] = []
    answers = [_named(each) for each in answers]
    with at.database.transaction():
        locked = _lock_resources(at, answers)
        for answer in sorted(answers):
            outgoing = _asked_by(at, answer)
            if outgoing is not None:
                effects += happens(at, outgoing, _usable(at, outgoing, _answerable(answer, at.us)), chance())
        timed = store.claim(at.database, at.now, TIMED)
        waiting = store.domains_due(at.database, at.now, limit) if limit > 0 else []
        asking = store.claim_of(at.database, turns(waiting, limit, at.settings.b2b.max_in_flight, chance()), at.now)
        met: set[Key] = set()
        for (key, fork), outgoing in {(each.key, each.fork): each for each in (*timed, *asking)}.items():
            if outgoing.resource in locked or not _has_come(outgoing.next_at, at.now):
                current = store.look(at.database, key, fork) if key in met else outgoing
                effects += _due(at, current, chance) if current is not None else []
                met.add(key)
    return Round(effects, len(asking))


def _named(answer: Answered) -> Answered:
    """With both tags, also of what could not be sent: that has the id of the request only (`Outgoing.id`)."""
    dialog, _, remote_tag = answer.dialog.partition(BETWEEN_TAGS)
    return answer._replace(dialog=dialog, to_tag=remote_tag or answer.to_tag)


def _asked_by(at: Setting, answer: Answered) -> Outgoing | None:
    """What has sent that SUBSCRIBE; the one that opened the dialog may be answered by whoever is a fork now."""
    known = store.of_dialog(at.database, answer.dialog, answer.to_tag)
    return next((each for each in reversed(known) if not each.fork or answer.cseq > each.opening), None)


def _lock_resources(at: Setting, answers: Sequence[Answered]) -> set[str]:
    """Who subscribes here meanwhile comes wholly before what an answer or a deadline leads to, and is told of it, or after it.

    What comes to its deadline just now, and is not among these, waits for the next round.
    """
    resources = store.told_of(at.database, [each.dialog for each in answers], at.now, TIMED)
    for each in sorted(resources):
        at.database.lock(each)
    return resources


def _has_come(deadline: float | None, now: float) -> bool:
    """Whether a deadline is over."""
    return deadline is not None and deadline <= now


def turns(waiting: Sequence[DomainDue], limit: int, max_in_flight: int, token: str) -> dict[str, int]:
    """How many of each domain are asked: one after the other, the first drawn by lot, until `limit` is reached.

    Args:
        max_in_flight: of a domain.
        token: 32 random hexadecimal digits, others each time.
    """
    first = int(fraction(token) * len(waiting))
    left = {each.domain: min(each.due, max_in_flight - each.in_flight) for each in (*waiting[first:], *waiting[:first])}
    given: Counter[str] = Counter()
    while limit > 0 and any(number > given[domain] for domain, number in left.items()):
        having = [domain for domain, number in left.items() if number > given[domain]][:limit]
        given.update(having)
        limit -= len(having)
    return dict(given)


def _answerable(answer: Answered, us: Ourselves) -> Answered:
    """Without challenges that no password of ours answers: they are refusals like others."""
    return answer if credentials.answerable(answer.challenges, us.secrets) else answer._replace(challenges=())


def _usable(at: Setting, outgoing: Outgoing, answer: Answered) -> Answered:
    """Without a Contact that leads where nothing is sent (`hop`). A 3xx with an outbound proxy goes there."""
    if not answer.contact or (300 <= answer.status < 400 and at.us.outbound_proxy):
        return answer
    near = sip.parse_uri(outgoing.remote_target).host if outgoing.has_dialog else ""
    there = hop.after(answer.contact, outgoing.route_set)
    is_allowed = hop.is_allowed(at.settings, there, near, may_be_own=bool(outgoing.source))
    return answer if is_allowed else answer._replace(contact="")


def _due(at: Setting, outgoing: Outgoing, chance: Chance) -> list[Effect]:
    try:
        return happens(at, outgoing, Due() if _is_served(at, outgoing) else Unwanted(), chance())
    except SipError as problem:
        return [Log(f"SUBSCRIBE not sent: id={outgoing.id} resource={outgoing.resource} why={problem}")]


def _is_served(at: Setting, outgoing: Outgoing) -> bool:
    """False: its domain is none of `b2b.domains` any more, and it was wanted all the same when they changed."""
    return bool(not outgoing.wanted or outgoing.source or identity.reaches(at.settings, outgoing.resource))


def sweep(at: Setting, chance: Chance) -> list[Effect]:
    """Leave those that nobody here watches any more; one transaction each. One statement where there are none."""
    return _each(store.unwanted(at.database, SWEPT), lambda key: _unwatched(at, key, chance)).effects


def _each(keys: Sequence[Key], leave: Callable[[Key], list[Effect]]) -> Left:
    """Leave one after the other. Where the database stops at one, the others are committed, and what follows of them is sent."""
    effects: list[Effect] = []
    try:
        for key in keys:
            effects += leave(key)
    except Unavailable as problem:
        return Left([*effects, Log(f"subscriptions are left later: {problem}")], is_all=False)
    return Left(effects, is_all=True)


def _unwatched(at: Setting, key: Key, chance: Chance) -> list[Effect]:
    """Forks are left with the first one: as everywhere who is watched is locked before any of them."""
    with at.database.transaction():
        at.database.lock(key.resource)
        outgoing = store.load(at.database, key)
        if outgoing is None or not outgoing.wanted or not store.is_unwanted(at.database, key):
            return []
        return happens(at, outgoing, Unwanted(), chance())


def leave_unreachable(at: Setting, chance: Chance) -> Left:
    """`b2b.domains` names less than before: leave those in other domains, and end what is watched there from here."""
    reachable = at.settings.b2b.reachable
    keys = store.unreachable(at.database, reachable, SWEPT) if "*" not in reachable else []
    left = _each(keys, lambda key: _unreachable(at, key, chance))
    return left._replace(is_all=left.is_all and len(keys) < SWEPT)


def _unreachable(at: Setting, key: Key, chance: Chance) -> list[Effect]:
    with at.database.transaction():
        at.database.lock(key.resource)
        outgoing = store.load(at.database, key)
        if outgoing is None or not outgoing.wanted:
            return []
        return [*happens(at, outgoing, Unwanted(), chance()), *outside.end(at.moment, key)]


def sources(at: Setting, chance: Chance) -> list[Effect]:
    """Subscribe to users of ours who are watched, registered, and publish nothing (`pa.subscribe_to_users`); leave others.

    One look over the table of subscriptions where that is switched on; of few rows where it is not.
    """
    watcher = at.settings.pa.pa_subscription_uri if at.settings.pa.subscribe_to_users else ""
    for resource in store.sourceless(at.database, watcher, at.now, SWEPT) if watcher else []:
        with at.database.transaction():
            key = Key(watcher, resource, PRESENCE)
            store.create(at.database, outside.new(key, at.now)._replace(source=resource))
            one = store.load(at.database, key)
            if one is not None:
                happens(at, one, Wanted(), chance())
    effects: list[Effect] = []
    for key in store.unsourced(at.database, watcher, at.now, SWEPT):
        with at.database.transaction():
            at.database.lock(key.resource)
            one = store.load(at.database, key)
            if one is not None and one.wanted:
                effects += happens(at, one, Unwanted(), chance())
    return effects
