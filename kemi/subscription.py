"""A subscription and what may happen to it (RFC 6665 section 4.2, RFC 3857 section 4.7.1).

state        moved by                                     to
-----------  -------------------------------------------  ----------------------------------------
(none)       SUBSCRIBE, rules say allow, polite-block     active
(none)       SUBSCRIBE, rules say confirm                 pending
(none)       SUBSCRIBE, rules say block                   (none), 403
pending      rules say allow, polite-block                active
active       rules say confirm                            pending
any          rules say block                              terminated, rejected
any          the clock reaches `judge_at`                 as the rules say then
any          expiry, Expires: 0, a fetch                  terminated, timeout
pending      SUBSCRIBE after `pa.waiting_expiration`      terminated, giveup
any          a list has this URI now                      terminated, deactivated
any          its package is not served, the list is gone  terminated, noresource
any          of somebody elsewhere: what its server says  as it says (`kemi.b2bua.outside`)
terminated   the answer to its last NOTIFY, or none       (row removed)
any          NOTIFY answered by one of ENDING, or by none (row removed), nothing further is sent
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from kemi import rate_control
from kemi.event_package import LIST, Authorization, Decision

TIMER_F = 32.0
"""Seconds that a NOTIFY transaction lasts at most: 64*T1 (RFC 3261 section 17.1.2.2)."""

ENDING = frozenset({404, 405, 410, 416, *range(480, 486), 489, 501, 604})
"""Answers to NOTIFY that end the subscription (RFC 6665 section 4.2.2)."""

GRACE = 2.0
"""Seconds given to Kamailio to report an answer that came at the last moment."""

REQUEST_TIMEOUT = 408
"""Sent by a proxy in the place of silence; means what Timer F means (RFC 3261 section 12.2.1.2)."""


class State(Enum):
    """Subscription-State (RFC 6665 section 4.1.3)."""

    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class Reason(Enum):
    """Why a subscription is terminated: the registered words that a notifier uses (RFC 6665 section 4.1.3)."""

    DEACTIVATED = "deactivated"
    PROBATION = "probation"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    GIVEUP = "giveup"
    NORESOURCE = "noresource"


class WatcherEvent(Enum):
    """What has led to the status of a watcher, in watcher information (RFC 3858 section 3)."""

    SUBSCRIBE = "subscribe"
    APPROVED = "approved"
    DEACTIVATED = "deactivated"
    PROBATION = "probation"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    GIVEUP = "giveup"
    NORESOURCE = "noresource"


class Removed(NamedTuple):
    """What is left of a subscription whose row was deleted; as in `Subscription`."""

    id: str
    package: str
    resource: str
    watcher: str
    watcher_id: str
    display_name: str
    created_at: float
    expires_at: float
    state: State

    @property
    def was_reported(self) -> bool:
        """Whether who watches the watchers takes it for one that lives; the members of a list that is fetched never were."""
        was_fetched = self.state is State.ACTIVE and self.expires_at <= self.created_at
        return self.state is not State.TERMINATED and not was_fetched


STATE_BY_DECISION = {
    Decision.ALLOW: State.ACTIVE,
    Decision.POLITE_BLOCK: State.ACTIVE,
    Decision.CONFIRM: State.PENDING,
}
"""What rules make of a subscription; block is not in it, it ends one."""


class Subscription(NamedTuple):
    """One subscription dialog; the columns of the table of the same name. Times: seconds since the epoch."""

    id: str
    package: str
    event_id: str | None
    resource: str
    entity: str
    watcher: str
    decision: Decision
    state: State
    reason: Reason | None
    accept: str
    created_at: float
    expires_at: float
    call_id: str
    local_uri: str
    remote_uri: str
    remote_tag: str
    remote_target: str
    route_set: str
    local_cseq: int
    remote_cseq: int
    branch: str
    socket: str
    flow: str
    connection: int
    user_agent: str
    due_at: float | None
    in_flight_since: float | None
    notified_at: float
    notified_tag: str
    next_at: float
    watcher_id: str = ""
    display_name: str = ""
    watcher_event: str = WatcherEvent.SUBSCRIBE.value
    sequence: int = 0
    event_parameters: str = ""
    version: int = 0
    changes: int = 0
    told: int = 0
    suppress: str = ""
    rates: str = ""
    recent: str = ""
    least_gap: float = 0.0
    repeat_at: float | None = None
    permissions: str = ""
    judge_at: float | None = None
    body: str = ""
    list_id: str = ""
    known: str = ""

    @property
    def is_list(self) -> bool:
        """Whether it is to a list of resources."""
        return self.package.endswith(LIST)

    @property
    def sees_document(self) -> bool:
        """Who is blocked, or not decided about, gets no document in any state (RFC 5025 section 3.2.1)."""
        return self.decision in (Decision.ALLOW, Decision.POLITE_BLOCK)

    @property
    def times(self) -> tuple[float, ...]:
        """When its last NOTIFYs were sent, as far as adaptive-min-rate needs it."""
        return rate_control.recent_from_text(self.recent)

    def suppresses(self, entity_tag: str) -> bool:
        """Whether the condition in force holds for this entity-tag (RFC 5839 section 5.2)."""
        return self.suppress in ("*", entity_tag)

    def rated(self, parameters: Mapping[str, str], interval: float, now: float, gap: float = 0.0) -> "Subscription":
        """The subscription with the rates that an Event header field asks for, and without others (RFC 6446 section 4.2).

        Args:
            interval: seconds that the server leaves between two NOTIFYs anyway.
            gap: seconds that this client needs between them (`client_profile`).
        """
        rates = rate_control.adopt(parameters, interval, self.expires_at - now) if parameters else rate_control.NO_RATES
        if rates == rate_control.NO_RATES:
            plain = self._replace(rates="", recent="", repeat_at=None) if self.rates else self
            return plain if plain.least_gap == gap else plain._replace(least_gap=gap)
        gap = max(gap, rate_control.least_gap(rates, self.expires_at - now))
        return self._replace(rates=rate_control.as_text(rates), least_gap=gap)

    def repeated_after(self, recent: Sequence[float], interval: float, now: float) -> float | None:
        """When the state is told again though nothing is new, seconds since the epoch (RFC 6446 section 6).

        Args:
            recent: when the last NOTIFYs were sent, this one included.
            interval: seconds that the server leaves between two NOTIFYs anyway.
        """
        if not self.rates or self.state is State.TERMINATED:
            return None
        seconds = rate_control.repeat_after(rate_control.from_text(self.rates), recent, now)
        return None if seconds is None else now + max(seconds, interval)

    def repeating(self, interval: float) -> "Subscription":
        """The subscription with its repetition counted from its last NOTIFY; a condition in force repeats nothing."""
        recent = rate_control.remember(rate_control.from_text(self.rates), self.times, self.notified_at)
        repeat_at = None if self.suppress else self.repeated_after(recent, interval, self.notified_at)
        return self._replace(recent=rate_control.recent_as_text(recent), repeat_at=repeat_at)

    def seconds_left(self, now: float) -> int:
        """Whole seconds until expiry, rounded so that a lifetime just granted is told as granted; never negative."""
        return max(0, round(self.expires_at - now))


def authorized(subscription: Subscription, authorization: Authorization, state: State | None = None) -> Subscription:
    """The subscription with what the rules of now say written into it.

    Args:
        state: that it gets by them; None: it stays in the one that it was in.
    """
    decision, permissions, changes_at = authorization[:3]
    return subscription._replace(decision=decision, permissions=permissions, judge_at=changes_at, state=state or subscription.state)


def decided(subscription: Subscription, authorization: Authorization, now: float) -> Subscription:
    """The subscription after the rules of now were asked again (RFC 6665 section 4.2.1.4, RFC 5025 section 3.2.1)."""
    subscription = authorized(subscription, authorization)
    if subscription.state is State.TERMINATED:
        return subscription
    state = STATE_BY_DECISION.get(authorization.decision)
    if state is None:
        return ended(subscription, Reason.REJECTED, now)
    if state is subscription.state:
        return subscription
    event = WatcherEvent.APPROVED if state is State.ACTIVE else WatcherEvent.SUBSCRIBE
    return subscription._replace(state=state, watcher_event=event.value)


def ended(subscription: Subscription, reason: Reason, now: float) -> Subscription:
    """The subscription with only its last NOTIFY left to send; the first reason stays."""
    if subscription.state is State.TERMINATED:
        return subscription
    return due(subscription._replace(state=State.TERMINATED, reason=reason), now)


def fetched(subscription: Subscription, until: float | None) -> Subscription:
    """The new subscription of a fetch: there is nothing but its one NOTIFY (RFC 6665 section 4.4.3).

    Args:
        until: that one waits for a state that is not known yet, so long at most; None: it is in flight at once.
    """
    over = subscription._replace(state=State.TERMINATED, reason=Reason.TIMEOUT)
    return over if until is None else over._replace(due_at=until, in_flight_since=None, notified_at=0.0, next_at=until)


def due(subscription: Subscription, now: float) -> Subscription:
    """The subscription with a NOTIFY to send; while one is in flight, its answer comes first."""
    waiting = subscription.in_flight_since is not None
    return subscription._replace(due_at=now, next_at=subscription.next_at if waiting else now)


def answer_deadline(now: float) -> float:
    """When to give up on the answer to a NOTIFY sent now (RFC 6665 section 4.2.2)."""
    return now + TIMER_F + GRACE


def is_ended_by(status: int) -> bool:
    """Whether this answer to a NOTIFY removes the subscription (RFC 6665 section 4.2.2, RFC 5057 section 5.1)."""
    return status in ENDING or status == REQUEST_TIMEOUT
