"""Publications whose time is over: removed, and their presentities' watchers marked due (RFC 3903 section 4.2).

Run by the sweep. One statement that takes no lock finds out whether there is anything to do.
"""

from kemi.effects import Effect, Log, Wake
from kemi.moment import Moment
from kemi.presence import consequences, store
from kemi.presence.publication import RETRANSMITTED_FOR

LIMIT = 500
"""Presentities looked after in one sweep; the next one is a second later."""


def expire(at: Moment) -> list[Effect]:
    """Remove what has expired at `now`, seconds since the epoch; one transaction a presentity."""
    before = at.now - RETRANSMITTED_FOR
    any_expired, forgettable = store.deadlines(at.database, at.now, before)
    if forgettable:
        store.forget_removals(at.database, before)
    effects: list[Effect] = []
    for presentity, package in store.expired(at.database, at.now, LIMIT) if any_expired else []:
        with at.database.transaction():
            at.database.lock(presentity)
            gone = store.remove_expired(at.database, presentity, package, at.now, before)
            effects += consequences.of_change(at, package, presentity).judged
        effects.append(Log(f"publication expired: event={package} presentity={presentity} number={gone.count}"))
    return [*effects, Wake()] if effects else []
