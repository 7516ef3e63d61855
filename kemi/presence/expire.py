"""Publications whose time is over: removed, and their presentities' watchers marked due (RFC 3903 section 4.2).

Run by the sweep. One statement that takes no lock finds out whether there is anything to do.
"""

from kemi import store as subscriptions
from kemi.database import Database
from kemi.effects import Effect, Log, Wake
from kemi.event_package import Packages
from kemi.presence import store
from kemi.settings import Settings

LIMIT = 500
"""Rows removed in one transaction."""


def expire(database: Database, settings: Settings, packages: Packages, now: float) -> list[Effect]:
    """Remove what has expired at `now`, seconds since the epoch."""
    if not store.any_expired(database, now):
        return []
    with database.transaction():
        gone = store.remove_expired(database, now, LIMIT)
        for presentity, package in sorted(set(gone)):
            database.lock(presentity)
            interval = settings.pa.notify_interval if packages[package].minimum_interval else 0
            subscriptions.mark_due(database, package, presentity, now, interval)
    logs = [Log(f"publication expired: event={package} presentity={presentity}") for presentity, package in gone]
    return [*logs, Wake()]
