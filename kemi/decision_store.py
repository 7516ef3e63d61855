"""Rows of what is decided about watchers, as values; queries in sql/queries/decision.sql. No decisions are made here.

The table `decision` has what management said, by presencectl. Subscriptions and waiting watchers are those that it is about.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kemi.database import Database, Row
from kemi.event_package import Decision
from kemi.store import subscription_of
from kemi.subscription import Subscription
from kemi.watcher import Ended


class Made(NamedTuple):
    """A decision by management; `resource` and `watcher` are canonical URIs, `decided_at` is seconds since the epoch."""

    resource: str
    package: str
    watcher: str
    decision: Decision
    decided_at: float


def made(database: Database, package: str, resource: str, watchers: Sequence[str]) -> dict[str, Decision]:
    """What management says of these watchers, without those that it leaves to the rules. One statement."""
    wanted = [(each,) for each in watchers]
    rows = database.execute("decision_made", {"package": package, "resource": resource}, wanted).rows() if wanted else []
    return {watcher: Decision(text) for watcher, text in rows}


def made_of_many(database: Database, package: str, resources: Sequence[str], watcher: str) -> dict[str, Decision]:
    """What management says of one watcher of these presentities. One statement."""
    wanted = [(each,) for each in resources]
    parameters = {"package": package, "watcher": watcher}
    rows = database.execute("decision_made_of_many", parameters, wanted).rows() if wanted else []
    return {resource: Decision(text) for resource, text in rows}


def save(database: Database, decided: Made) -> None:
    """Write a decision, in the place of the one before."""
    database.execute("decision_save", decided._asdict() | {"decision": decided.decision.value})


def remove(database: Database, package: str, resource: str, watcher: str) -> None:
    """Leave this pair to the rules again."""
    database.execute("decision_remove", {"package": package, "resource": resource, "watcher": watcher})


def list_all(database: Database, resource: str, package: str = "") -> list[Made]:
    """All decisions about a presentity's watchers; "" for every package."""
    rows = database.execute("decision_list", {"resource": resource, "package": package}).rows()
    return [Made(name, of, watcher, Decision(text), at) for name, of, watcher, text, at in rows]


def live(database: Database, package: str, resource: str, watcher: str) -> list[Subscription]:
    """A presentity's subscriptions that have not ended, locked until the transaction ends; "" for every watcher."""
    rows = database.execute("decision_live", {"package": package, "resource": resource, "watcher": watcher}).rows()
    return [subscription_of(row) for row in rows]


def waiting(database: Database, package: str, resource: str, watcher: str) -> list[Ended]:
    """Watchers that wait for a decision without a subscription, locked as above."""
    rows = database.execute("decision_waiting", {"package": package, "resource": resource, "watcher": watcher}).rows()
    return [Ended._make(row) for row in rows]


def to_judge(database: Database, now: float, limit: int) -> list[tuple[str, str]]:
    """(resource, package) of subscriptions whose rules are to be asked again because of the time."""
    return [(resource, package) for resource, package in database.execute("decision_to_judge", {"now": now, "limit": limit}).rows()]


def apply(database: Database, subscriptions: Sequence[Subscription]) -> None:
    """Save what a decision changes of subscriptions, one statement for all."""
    database.execute("decision_applied", {}, [_applied(each) for each in subscriptions])


def _applied(subscription: Subscription) -> Row:
    reason = subscription.reason.value if subscription.reason else None
    return (
        subscription.id, subscription.decision.value, subscription.state.value, reason, subscription.watcher_event,
        subscription.due_at, subscription.next_at, subscription.permissions, subscription.judge_at,
    )  # fmt: skip
