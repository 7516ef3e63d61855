"""Publications whose time is over: removed, and their presentities' watchers marked due (RFC 3903 section 4.2).

Run by the sweep. One statement that takes no lock finds out whether there is anything to do.
"""

from kemi.database import Database
from kemi.effects import Effect, Log, Wake
from kemi.event_package import Packages
from kemi.presence import consequences, store
from kemi.presence.publication import RETRANSMITTED_FOR
from kemi.settings import Settings

LIMIT = 500
"""Presentities looked after in one sweep; the next one is a second later."""


def expire(database: Database, settings: Settings, packages: Packages, now: float) -> list[Effect]:
    """Remove what has expired at `now`, seconds since the epoch; one transaction a presentity."""
    before = now - RETRANSMITTED_FOR
    any_expired, forgettable = store.deadlines(database, now, before)
    if forgettable:
        store.forget_removals(database, before)
    effects: list[Effect] = []
    for presentity, package in store.expired(database, now, LIMIT) if any_expired else []:
        with database.transaction():
            database.lock(presentity)
            gone = store.remove_expired(database, presentity, package, now)
            effects += consequences.of_change(database, settings, packages, package, presentity, now).judged
        effects.append(Log(f"publication expired: event={package} presentity={presentity} number={gone.count}"))
    return [*effects, Wake()] if effects else []
