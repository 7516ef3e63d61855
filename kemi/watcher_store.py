"""Rows of watchers, as values (see `kemi.watcher`); queries in sql/queries/watcher.sql. No decisions."""

from collections.abc import Iterable, Sequence

from kemi.database import Database, Result, Row
from kemi.event_package import WATCHER_INFORMATION
from kemi.subscription import WatcherEvent
from kemi.watcher import TOLD_WITHIN, RememberedWatcher, Status, Watcher, id_of

_STATUSES = {each.value: each for each in Status}
_EVENTS = {each.value: each for each in WatcherEvent}


def _watcher(row: Row) -> Watcher:
    resource, tag, inherited, uri, display_name, status, event, *rest = row
    subscribed_at, expires_at, sequence, stored = rest
    own = id_of(tag, inherited)
    return Watcher(
        resource, own, uri, display_name, _STATUSES[status], _EVENTS[event], subscribed_at, expires_at, sequence, bool(stored)
    )


def remembered_of(row: Row) -> RememberedWatcher:
    """A row with the columns of a remembered watcher, in the order of its fields."""
    tag, resource, package, uri, display_name, status, event, subscribed_at, expires_at, stored = row
    return RememberedWatcher(
        tag, resource, package, uri, display_name, _STATUSES[status], _EVENTS[event], subscribed_at, expires_at, bool(stored)
    )


def _row(entry: RememberedWatcher) -> Row:
    """Whether it was stored says the statement that writes it."""
    *names, status, event, subscribed_at, expires_at, _stored = entry
    return (*names, status.value, event.value, subscribed_at, expires_at)


def list_all(database: Database, package: str, resources: Sequence[str]) -> list[Watcher]:
    """Who watches these resources or did so: subscriptions first, then what is remembered. Two statements."""
    rows = [(resource,) for resource in resources]
    live = database.execute("watcher_list", {"package": package}, rows)
    recorded = database.execute("watcher_list_recorded", {"package": package}, rows)
    return [_watcher(row) for row in (*live.rows(), *recorded.rows())]


def lock(database: Database, package: str, resource: str) -> None:
    """Have no subscription to the resource end before this transaction does, and no waiting watcher given up."""
    parameters = {"package": package, "resource": resource}
    database.execute("watcher_lock", parameters)
    database.execute("watcher_lock_recorded", parameters)


def record(database: Database, ended: Sequence[RememberedWatcher], most: int, now: float) -> None:
    """Remember subscriptions that ended: those that wait, and those whose end somebody is told of. One statement.

    Args:
        most: entries of one watcher that may wait; above it an end is an end. 0: any number.
    """
    database.execute("watcher_record", {"most": most, "told_until": now + TOLD_WITHIN}, [_row(each) for each in ended])


def waiting(database: Database, package: str, resource: str, watcher: str) -> str:
    """Id of the waiting entry of this watcher, locked until the transaction ends; "" where there is none."""
    parameters = {"package": package, "resource": resource, "watcher": watcher}
    rows = database.execute("watcher_waiting", parameters).rows()
    return str(rows[0][0]) if rows else ""


def taken(database: Database, waiting: str, subscription: str) -> None:
    """Remove a waiting entry, by id, whose place this subscription has taken, if it was created."""
    database.execute("watcher_taken", {"id": waiting, "subscription": subscription})


def store(database: Database, entries: Sequence[RememberedWatcher]) -> None:
    """Store watchers for presentities that are away; one entry for each watcher. One statement."""
    database.execute("watcher_store", {}, [_row(each) for each in entries])


def dump(database: Database, package: str, resource: str, now: float) -> Result:
    """Have stored watchers told from now on; its count says how many."""
    return database.execute("watcher_dump", {"package": package, "resource": resource, "now": now})


def watches_itself(database: Database, package: str, resource: str) -> bool:
    """Whether the resource itself is being told of its watchers."""
    parameters = {"package": package + WATCHER_INFORMATION, "resource": resource}
    return bool(database.execute("watcher_watches_itself", parameters).rows())


def has_stored(database: Database, package: str, resource: str, now: float) -> bool:
    """Whether there are stored watchers that nobody was told of."""
    return bool(database.execute("watcher_has_stored", {"package": package, "resource": resource, "now": now}).rows())


def forget_told(database: Database, ids: Iterable[str]) -> None:
    """After these subscriptions answered 2xx: delete what need not be told any more.

    That is ends that nobody is behind with, and what was stored if the presentity itself was told of it.
    """
    database.execute("watcher_forget_told", {}, [(each,) for each in ids])


def over(database: Database, now: float, cleaned: float, limit: int) -> list[RememberedWatcher]:
    """What is remembered longer than it should, locked until the transaction ends.

    Args:
        cleaned: up to when what was stored for a presentity that was away has to have run out, in seconds since the epoch.
    """
    rows = database.execute("watcher_over", {"now": now, "cleaned": cleaned, "limit": limit}).rows()
    return [remembered_of(row) for row in rows]


def remove(database: Database, ids: Iterable[str]) -> None:
    """Delete entries."""
    database.execute("watcher_remove", {}, [(each,) for each in ids])
