"""Rows of what is decided about watchers, as values; queries in sql/queries/decision.sql. No decisions are made here.

The table `decision` has what management said, by presencectl. Subscriptions and waiting watchers are those that it is about. What
it says of messages stands under MESSAGE, in the place of an event package.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from kemi.database import Database, Row
from kemi.event_package import Decision
from kemi.store import subscription_of
from kemi.subscription import Subscription
from kemi.watcher import RememberedWatcher
from kemi.watcher_store import remembered_of

MESSAGE: Final = "MESSAGE"
"""No event package has this name."""


class ManagementDecision(NamedTuple):
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


class Said(NamedTuple):
    """What is known of watchers before their rules are asked.

    Args:
        decisions: what management says of them, without those that it leaves to the rules; by watcher, or by resource.
        identities: what else trusted sources have called them, by watcher; without those that have one identity.
    """

    decisions: dict[str, Decision]
    identities: dict[str, tuple[str, ...]]


def said(database: Database, package: str, resource: str, watchers: Sequence[str], now: float) -> Said:
    """What is known of these watchers. One statement, and none without any."""
    wanted = [(each,) for each in watchers]
    parameters = {"package": package, "resource": resource, "now": now}
    return _said(database.execute("decision_made_and_identities", parameters, wanted).rows() if wanted else [])


def said_of_many(database: Database, package: str, resources: Sequence[str], watcher: str, now: float) -> Said:
    """What is known of one watcher of these presentities; its identities stand at "". One statement."""
    wanted = [(each,) for each in resources]
    parameters = {"package": package, "watcher": watcher, "now": now}
    return _said(database.execute("decision_made_of_many_and_identities", parameters, wanted).rows() if wanted else [])


def _said(rows: Sequence[Row]) -> Said:
    identities: dict[str, tuple[str, ...]] = {}
    for name, text, identity in rows:
        if not text:
            identities[name] = (*identities.get(name, ()), identity)
    return Said({name: Decision(text) for name, text, _ in rows if text}, identities)


def remember(database: Database, watcher: str, identities: Sequence[str], longest: float, now: float) -> None:
    """What a trusted source says of a watcher besides its address takes the place of what was said before.

    SQL: 1 statement; 3 where it is not so yet, or has to be renewed.

    Args:
        identities: all but the address, one at least.
        longest: seconds that a subscription of now may last: so long it has to count, and it may twice as long.
    """
    known: dict[str, float] = dict(database.execute("decision_identities", {"watcher": watcher}).rows())
    if known.keys() == set(identities) and min(known.values()) >= now + longest:
        return
    with database.transaction():
        database.execute("decision_identities_forget", {"watcher": watcher, "now": now})
        rows = [(each,) for each in sorted(set(identities))]
        database.execute("decision_identities_save", {"watcher": watcher, "until": now + 2 * longest}, rows)


def save(database: Database, decided: ManagementDecision) -> None:
    """Write a decision, in the place of the one before."""
    database.execute("decision_save", decided._asdict() | {"decision": decided.decision.value})


def remove(database: Database, package: str, resource: str, watcher: str) -> bool:
    """Leave this pair to the rules again; False: nothing was decided about it."""
    return bool(database.execute("decision_remove", {"package": package, "resource": resource, "watcher": watcher}).rows())


def list_all(database: Database, resource: str) -> list[ManagementDecision]:
    """All decisions about a presentity's watchers, of every package."""
    rows = database.execute("decision_list", {"resource": resource}).rows()
    return [ManagementDecision(name, of, watcher, Decision(text), at) for name, of, watcher, text, at in rows]


def live(database: Database, package: str, resource: str, watcher: str) -> list[Subscription]:
    """A presentity's subscriptions that have not ended, and members of lists that were refused, locked until the transaction ends.

    Args:
        watcher: canonical URI, "" for every one.
    """
    rows = database.execute("decision_live", {"package": package, "resource": resource, "watcher": watcher}).rows()
    return [subscription_of(row) for row in rows]


def watchers(database: Database, package: str, resource: str, most: int) -> int:
    """How many watchers a presentity has, as `store.create` counts them; `most` where there are more."""
    rows = database.execute("decision_watchers", {"package": package, "resource": resource, "most": most}).rows()
    return int(rows[0][0])


def waiting(database: Database, package: str, resource: str, watcher: str) -> list[RememberedWatcher]:
    """Watchers that wait for a decision without a subscription, locked as above."""
    rows = database.execute("decision_waiting", {"package": package, "resource": resource, "watcher": watcher}).rows()
    return [remembered_of(row) for row in rows]


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
        subscription.due_at, subscription.next_at, subscription.permissions, subscription.judge_at, subscription.created_at,
        subscription.watcher_id,
    )  # fmt: skip
