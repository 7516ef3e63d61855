"""Rows of the table subscription, as values (see `kemi.subscription`); queries in sql/queries/subscription.sql. No decisions."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from kemi.database import Database, Result, Row
from kemi.event_package import LIST, WATCHER_INFORMATION, Decision
from kemi.subscription import Reason, Removed, State, Subscription

NEVER: Final = 1e18
"""`next_at` of a list's member: it has no deadline, its list has."""

GONE: Final = -1
"""`connection` of a dialog whose connection has ended with the server: Kamailio counts anew, its number is somebody else's now."""

BUSY: Final = 0.2
"""Seconds that news of a list's member waits when somebody else works on the list."""

_COLUMNS = Subscription._fields
_DECISION = _COLUMNS.index("decision")
_STATE = _COLUMNS.index("state")
_REASON = _COLUMNS.index("reason")

_DECISIONS = {each.value: each for each in Decision}
_STATES = {each.value: each for each in State}
_REASONS = {None: None} | {each.value: each for each in Reason}


def subscription_of(row: Row) -> Subscription:
    """A row with all columns of a subscription, in the order of its fields."""
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


def create(
    database: Database, subscription: Subscription, max_watchers: int, max_subscriptions: int, has_lists: bool = True
) -> Result:
    """Insert a subscription; count 0: there is one with this id, a limit is reached (0: no limit), or the resource is a list.

    Args:
        has_lists: the services of our own documents are lists.
    """
    values = _parameters(subscription)
    values["single"] = "" if subscription.package.endswith(LIST) or not has_lists else subscription.resource
    values["max_watchers"], values["max_subscriptions"] = max_watchers, max_subscriptions
    values["watched_by"] = subscription.package + WATCHER_INFORMATION
    return database.execute("subscription_create", values)


def is_list(database: Database, resource: str) -> bool:
    """Whether a canonical URI is that of a list of our own documents."""
    return bool(database.execute("list_owner", {"uri": resource}).rows())


def load(database: Database, tag: str) -> Subscription | None:
    """The subscription whose dialog has our `tag`, locked until the transaction ends."""
    rows = database.execute("subscription_load", {"id": tag}).rows()
    return subscription_of(rows[0]) if rows else None


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


def mark_telling(database: Database, watched: Sequence[tuple[str, str]], now: float, interval: float) -> Result:
    """Mark watcher information due and give its change a number; `watched` as (resource, its template package)."""
    parameters = {"now": now, "interval": interval}
    if len(watched) > 1:
        return database.execute("subscription_mark_all_telling", parameters, watched)
    ((resource, package),) = watched
    return database.execute("subscription_mark_telling", parameters | {"resource": resource, "package": package})


def number(database: Database, ids: Iterable[str]) -> None:
    """Give subscriptions the number of the change that `mark_telling` counted."""
    database.execute("subscription_number", {}, [(each,) for each in ids])


def claim(database: Database, now: float, limit: int) -> list[Subscription]:
    """Subscriptions whose deadline has come, earliest first, locked until the transaction ends."""
    rows = database.execute("subscription_claim", {"now": now, "limit": limit}).rows()
    return [subscription_of(row) for row in rows]


def claim_again(database: Database, ids: Iterable[str], now: float) -> list[Subscription]:
    """Those of these whose deadline has come, locked as by `claim`."""
    found = database.execute("subscription_claim_again", {"now": now}, [(each,) for each in ids]).rows()
    return [subscription_of(row) for row in found]


def put_off(database: Database, tag: str, until: float) -> None:
    """Nothing is done about this subscription before that time, or before its own is over."""
    database.execute("subscription_put_off", {"id": tag, "until": until})


def sent(database: Database, now: float, deadline: float, rows: Sequence[tuple[str, int, str, str | None, str]]) -> Result:
    """Record the NOTIFYs about to be sent as (id, cseq, state, reason, tag), one statement for all."""
    return database.execute("subscription_sent", {"now": now, "deadline": deadline}, rows)


def told(database: Database, after: Sequence[Subscription]) -> Result:
    """Record of NOTIFYs about to be sent: what else these change of their subscriptions, one statement for all."""
    rows = [(each.id, each.version, each.told, each.suppress, each.recent, each.repeat_at, each.known) for each in after]
    return database.execute("subscription_told", {}, rows)


def quiet(database: Database, ids: Iterable[str]) -> Result:
    """Clear the mark of subscriptions that have nothing new to tell."""
    return database.execute("subscription_quiet", {}, [(each,) for each in ids])


def expired(database: Database, ids: Iterable[str]) -> Result:
    """Note that the time of subscriptions is over; their last NOTIFY is recorded by `sent`."""
    return database.execute("subscription_expired", {}, [(each,) for each in ids])


def lock(database: Database, ids: Iterable[str]) -> None:
    """Lock subscriptions, in the order that everybody locks them in, so that nobody waits for a circle."""
    database.execute("subscription_lock", {}, [(each,) for each in ids])


def answered(database: Database, rows: Sequence[tuple[str, int, str]], ourselves: str) -> Result:
    """Settle NOTIFYs answered 2xx, as (id, cseq, new remote target or ''), one statement for all.

    Gives (id, state, due_at, package) of each.

    Args:
        ourselves: next hop of dialogs that go through our own location table; the remote target of these stays.
    """
    return database.execute("subscription_answered", {"ourselves": ourselves}, rows)


def failed(database: Database, rows: Sequence[tuple[str, int, float]]) -> Result:
    """Settle NOTIFYs that failed alone, as (id, cseq, seconds since the epoch to try again or 0.0: with the next change).

    Gives (id, state, due_at, cseq) of each.
    """
    return database.execute("subscription_failed", {}, rows)


def rate(database: Database, subscription: Subscription) -> None:
    """Save the rates that a 2xx to NOTIFY asked for."""
    database.execute("subscription_rate", _parameters(subscription))


def remove(database: Database, ids: Iterable[str]) -> list[Removed]:
    """Delete subscriptions; what they were."""
    gone = database.execute("subscription_remove", {}, [(each,) for each in ids]).rows()
    return [Removed._make([*row[:-1], _STATES[row[-1]]]) for row in gone]


def pass_on(database: Database, members: Sequence[tuple[str, str]], now: float, interval: float) -> int:
    """Members of lists, as (id, list), have news: their lists are due, at once or when `interval` seconds are over.

    Gives how many lists; members of others wait a little, because somebody else works on their list.
    """
    lists = [(each,) for each in dict.fromkeys(list_id for _, list_id in members)]
    marked = {tag for (tag,) in database.execute("list_mark_due", {"now": now, "interval": interval}, lists).rows()}
    held = [(tag,) for tag, list_id in members if list_id in marked]
    if held:
        database.execute("list_hold_members", {"until": NEVER}, held)
    waiting = [(tag,) for tag, list_id in members if list_id not in marked]
    if waiting:
        database.execute("list_hold_members", {"until": now + BUSY}, waiting)
    return len(marked)


def told_parts(database: Database, rows: Sequence[tuple[str, str]], now: float) -> None:
    """Record what a list about to be told says of its members, as (id, tag); "": nothing yet, it still has news."""
    database.execute("list_members_told", {"never": NEVER, "now": now}, rows)


def go_on(database: Database, ids: Iterable[str], now: float) -> None:
    """Lists of which not everything could be told in one NOTIFY: the next one is due."""
    database.execute("list_go_on", {"now": now}, [(each,) for each in ids])


def lists_changed(database: Database, document: str, now: float) -> list[bool]:
    """Lists that are made of a document are made anew when they are told next, which is at once.

    Gives for each whether it has a NOTIFY in flight.
    """
    rows = database.execute("list_changed", {"document": document, "now": now}).rows()
    return [bool(in_flight) for (in_flight,) in rows]


def forget_lists(database: Database, ids: Iterable[str]) -> None:
    """Lists that ended are made of no documents any more."""
    database.execute("list_documents_remove", {}, [(each,) for each in ids])


def resume(database: Database, now: float) -> Result:
    """After a start: NOTIFYs whose answer nobody waits for any more are due again, and there are no connections."""
    database.execute("subscription_disconnect", {"gone": GONE})
    return database.execute("subscription_resume", {"now": now})


def sockets(database: Database) -> list[str]:
    """The sockets of ours that subscriptions have come in on."""
    return [socket for (socket,) in database.execute("subscription_sockets").rows()]


def move(database: Database, gone: str, ours: str, now: float) -> Result:
    """After a start: what came in on a socket that is gone is told from another one, at once."""
    return database.execute("subscription_move", {"gone": gone, "ours": ours, "now": now})


def deadlines(database: Database, now: float, cleaned: float) -> tuple[bool, bool, bool]:
    """Whether there is work for `claim`, watchers are given up, and rules are to be asked again; takes no lock.

    Args:
        cleaned: as `watcher_store.over` takes it.
    """
    due, over, unjudged = database.execute("subscription_deadlines", {"now": now, "cleaned": cleaned}).rows()[0]
    return bool(due), bool(over), bool(unjudged)
