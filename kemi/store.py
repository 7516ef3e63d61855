"""Rows of the table subscription, as values (see `kemi.subscription`); queries in sql/queries/subscription.sql. No decisions."""

from collections.abc import Sequence
from typing import Any

from kemi.database import Database, Result, Row
from kemi.event_package import Decision
from kemi.subscription import Reason, State, Subscription

_COLUMNS = Subscription._fields
_DECISION = _COLUMNS.index("decision")
_STATE = _COLUMNS.index("state")
_REASON = _COLUMNS.index("reason")

_DECISIONS = {each.value: each for each in Decision}
_STATES = {each.value: each for each in State}
_REASONS = {None: None} | {each.value: each for each in Reason}


def _subscription(row: Row) -> Subscription:
    values = list(row)
    values[_DECISION] = _DECISIONS[values[_DECISION]]
    values[_STATE] = _STATES[values[_STATE]]
    values[_REASON] = _REASONS[values[_REASON]]
    return Subscription._make(values)


def _parameters(subscription: Subscription) -> dict[str, Any]:
    values = subscription._asdict()
    values["decision"] = subscription.decision.value
    values["state"] = subscription.state.value
    values["reason"] = subscription.reason.value if subscription.reason else None
    return values


def create(database: Database, subscription: Subscription, max_watchers: int, max_subscriptions: int) -> Result:
    """Insert a subscription; count 0: there is one with this id, or a limit is reached (0: no limit)."""
    limits = {"max_watchers": max_watchers, "max_subscriptions": max_subscriptions}
    return database.execute("subscription_create", _parameters(subscription) | limits)


def load(database: Database, tag: str) -> Subscription | None:
    """The subscription whose dialog has our `tag`, locked until the transaction ends."""
    rows = database.execute("subscription_load", {"id": tag}).rows()
    return _subscription(rows[0]) if rows else None


def refresh(database: Database, subscription: Subscription) -> Result:
    """Save what an in-dialog SUBSCRIBE changes."""
    return database.execute("subscription_refresh", _parameters(subscription))


def mark_due(database: Database, package: str, resource: str, now: float, interval: float) -> Result:
    """Mark every active subscription of a resource due, at once or when `interval` seconds since its last NOTIFY are over.

    One statement however many watchers there are. Terminated and pending ones are left alone: they see no document. Gives for
    each whether it has a NOTIFY in flight.
    """
    parameters = {"package": package, "resource": resource, "now": now, "interval": interval}
    return database.execute("subscription_mark_due", parameters)


def claim(database: Database, now: float, limit: int) -> list[Subscription]:
    """Subscriptions whose deadline has come, earliest first, locked until the transaction ends."""
    rows = database.execute("subscription_claim", {"now": now, "limit": limit}).rows()
    return [_subscription(row) for row in rows]


def sent(database: Database, now: float, deadline: float, rows: Sequence[tuple[str, int, str, str | None, str]]) -> Result:
    """Record the NOTIFYs about to be sent as (id, cseq, state, reason, tag), one statement for all."""
    return database.execute("subscription_sent", {"now": now, "deadline": deadline}, rows)


def quiet(database: Database, rows: Sequence[tuple[str]]) -> Result:
    """Clear the mark of subscriptions, by id, that have nothing new to tell."""
    return database.execute("subscription_quiet", {}, rows)


def lock(database: Database, rows: Sequence[tuple[str]]) -> None:
    """Lock subscriptions by id, in the order that everybody locks them in, so that nobody waits for a circle."""
    database.execute("subscription_lock", {}, rows)


def answered(database: Database, rows: Sequence[tuple[str, int, str]]) -> Result:
    """Settle NOTIFYs answered 2xx, as (id, cseq, new remote target or ''), one statement for all.

    Gives (id, state, due_at) of each.
    """
    return database.execute("subscription_answered", {}, rows)


def failed(database: Database, rows: Sequence[tuple[str, int, float]]) -> Result:
    """Settle NOTIFYs that failed alone, as (id, cseq, seconds since the epoch to try again or 0.0: with the next change)."""
    return database.execute("subscription_failed", {}, rows)


def remove(database: Database, rows: Sequence[tuple[str]]) -> Result:
    """Delete subscriptions by id; gives (id, resource, watcher, package) of each."""
    return database.execute("subscription_remove", {}, rows)


def resume(database: Database, now: float) -> Result:
    """After a start: NOTIFYs whose answer nobody waits for any more are due again."""
    return database.execute("subscription_resume", {"now": now})


def any_deadline(database: Database, now: float) -> bool:
    """Whether there is work for `claim`; takes no lock."""
    return bool(database.execute("subscription_deadlines", {"now": now}).rows()[0][0])
