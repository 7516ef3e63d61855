"""Report: a presentity's watchers have changed, so its watcher information is due (RFC 3857 section 4.7).

Called inside the transaction that changes a subscription: what it changes gets a number, by which partial documents are made
(`kemi.watcher_information`). Where the template package is not served nothing is done. SQL: 1 statement for a change, 2 for an end.
"""

from collections.abc import Iterable, Sequence

from kemi import store, watcher_store
from kemi.database import Result
from kemi.effects import Effect, Wake
from kemi.event_package import WATCHER_INFORMATION
from kemi.moment import Moment
from kemi.watcher import RememberedWatcher


def report_change(at: Moment, watched: Iterable[tuple[str, str]]) -> Result | None:
    """Mark watcher information due; before the change itself is written.

    Args:
        watched: whose watchers change, as (resource, package).
    """
    telling = {(resource, package + WATCHER_INFORMATION) for resource, package in watched}
    rows = sorted(each for each in telling if each[1] in at.packages)
    return store.mark_telling(at.database, rows, at.now, at.settings.pa.notify_interval) if rows else None


def report_end(at: Moment, ended: Sequence[RememberedWatcher]) -> Result | None:
    """Mark watcher information due, and remember the subscriptions that end at `now`, seconds since the epoch."""
    watched = [each for each in ended if each.package + WATCHER_INFORMATION in at.packages]
    if not watched:
        return None
    marked = report_change(at, [(each.resource, each.package) for each in watched])
    watcher_store.record(at.database, watched, at.settings.pa.max_subscriptions, at.now)
    return marked


def report_document(at: Moment, auid: str, owner: str) -> list[Effect]:
    """An XCAP document has changed: lists of resources that are made of it are made anew (RFC 4662 section 4.5). 1 statement.

    One that is opened meanwhile is made of the document as it was, and is found here; or it waits, and is made of the new one.

    Args:
        auid: application usage.
        owner: canonical URI of the user whose document it is; "" for one of the global tree.
    """
    lock_lists(at, owner)
    in_flight = store.lists_changed(at.database, document_key(auid, owner), at.now)
    return [Wake(blocked=any(in_flight))] if in_flight else []


def lock_lists(at: Moment, owner: str) -> None:
    """Lists that are made of documents of this user are not made anew until this transaction ends.

    Args:
        owner: as `report_document` has it.
    """
    at.database.lock(document_key("lists", owner))


def document_key(auid: str, owner: str) -> str:
    """The documents of one user for one application usage, as lists depend on them."""
    return f"{auid}/{owner}"


def wakes(marked: Result | None) -> list[Effect]:
    """The call to the notifier, if anybody watches the watchers; after the transaction."""
    in_flight = marked.rows() if marked is not None else []
    return [Wake(blocked=any(blocked for (blocked,) in in_flight))] if in_flight else []
