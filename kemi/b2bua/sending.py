"""Send what outgoing subscriptions have to ask, take the answers, and notice what time does (RFC 6665 section 4.1.2).

One round, in a worker of the async group `notify`, all in one transaction; requests are sent after the commit:

    settle   answers that came in        2 statements each: load, save; 1 where local subscribers are told
    claim    whose deadline has come     1 statement, with SKIP LOCKED between workers; 1 counts requests in flight by domain
    save     each                        1 statement; 1 where local subscribers are told

At most `b2b.max_subscribes` are claimed in a second, so however many are due after a restart, or because a server elsewhere ended
all of its dialogs, they go out one after another. A domain that does not answer has at most `b2b.max_in_flight` requests open; the
rest is put off.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from kemi import identity, sip
from kemi.b2bua import credentials, hop, outside, store
from kemi.b2bua.happening import Setting, happens
from kemi.b2bua.outgoing import Answered, Due, Outgoing, Phase, Unwanted, Wanted, fraction
from kemi.b2bua.request import Ourselves
from kemi.effects import Effect, Log
from kemi.errors import SipError

SWEPT = 500
"""Subscriptions that nobody wants any more, in one sweep."""

PRESENCE = "presence"
"""The one event package of those that are a source."""

PUT_OFF = 2.0
"""Seconds, and at random up to three times that, when a domain has its most requests in flight."""

Chance = Callable[[], str]
"""32 random hexadecimal digits."""


def send(at: Setting, answers: Sequence[Answered], chance: Chance, limit: int) -> tuple[list[Effect], int]:
    """One round.

    Args:
        limit: of those that are due.

    Returns:
        What to send and log, and how many were due.
    """
    effects: list[Effect] = []
    with at.database.transaction():
        for answer in sorted(answers):
            outgoing = store.of_dialog(at.database, answer.dialog)
            if outgoing is not None:
                effects += happens(at, outgoing, _usable(at, outgoing, _answerable(answer, at.us)), chance())
        claimed = store.claim(at.database, at.now, limit) if limit > 0 else []
        room = Counter({each.domain: at.settings.b2b.max_in_flight for each in claimed})
        room.subtract(store.in_flight(at.database, room, at.now))
        for outgoing in claimed:
            effects += _due(at, outgoing, room, chance)
    return effects, len(claimed)


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


def _due(at: Setting, outgoing: Outgoing, room: Counter[str], chance: Chance) -> list[Effect]:
    would_ask = outgoing.phase in (Phase.WAITING, Phase.ESTABLISHED) and outgoing.in_flight_until is None
    if would_ask and room[outgoing.domain] <= 0:
        later = at.now + PUT_OFF * (1.0 + 2.0 * fraction(chance()))
        store.save(at.database, outgoing._replace(next_at=later))
        return []
    room[outgoing.domain] -= would_ask
    try:
        return happens(at, outgoing, Due() if _is_served(at, outgoing) else Unwanted(), chance())
    except SipError as problem:
        return [Log(f"SUBSCRIBE not sent: id={outgoing.dialog} resource={outgoing.resource} why={problem}")]


def _is_served(at: Setting, outgoing: Outgoing) -> bool:
    """False: its domain is none of `b2b.domains` any more, and that has to be said yet."""
    return bool(not outgoing.wanted or outgoing.source or identity.reaches(at.settings, outgoing.resource))


def sweep(at: Setting, chance: Chance) -> list[Effect]:
    """Leave those that nobody here watches any more; one transaction each. One statement where there are none."""
    effects: list[Effect] = []
    for key in store.unwanted(at.database, SWEPT):
        with at.database.transaction():
            outgoing = store.load(at.database, key)
            if outgoing is not None and outgoing.wanted and store.is_unwanted(at.database, key):
                effects += happens(at, outgoing, Unwanted(), chance())
    return effects


def sources(at: Setting, chance: Chance) -> list[Effect]:
    """Subscribe to users of ours who are watched, registered, and publish nothing (`pa.subscribe_to_users`); leave others.

    One look over the table of subscriptions where that is switched on; of few rows where it is not.
    """
    watcher = at.settings.pa.pa_subscription_uri if at.settings.pa.subscribe_to_users else ""
    for resource in store.sourceless(at.database, watcher, at.now, SWEPT) if watcher else []:
        with at.database.transaction():
            store.create(at.database, outside.new((watcher, resource, PRESENCE), at.now)._replace(source=resource))
            one = store.load(at.database, (watcher, resource, PRESENCE))
            if one is not None:
                happens(at, one, Wanted(), chance())
    effects: list[Effect] = []
    for key in store.unsourced(at.database, watcher, at.now, SWEPT):
        with at.database.transaction():
            at.database.lock(key[1])
            one = store.load(at.database, key)
            if one is not None and one.wanted:
                effects += happens(at, one, Unwanted(), chance())
    return effects
