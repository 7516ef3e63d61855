"""The sweep: what happens because time passes, not because a request came. Run once a second by one process.

    subscriptions expired       terminated;reason=timeout is due                    RFC 6665 section 4.2.1.4
    NOTIFY without an answer    Timer F is over: removed, no farewell               RFC 6665 section 4.2.2
    due at a later time         the notifier is woken                               RFC 3856 section 6.10

One statement that takes no lock finds out whether there is anything to do. Work is done in batches of LIMIT rows.
"""

from kemi import notify, store
from kemi.database import Database
from kemi.effects import Effect, Log, Wake
from kemi.subscription import TIMER_F

LIMIT = 500
GRACE = 2.0
"""Seconds given to Kamailio to report an answer that came at the last moment."""


def sweep(database: Database, now: float) -> list[Effect]:
    """Do what is due at `now`, seconds since the epoch."""
    before = now - TIMER_F - GRACE
    due, expired, silent = store.deadlines(database, now, before)
    effects: list[Effect] = []
    if expired:
        effects += _end_subscriptions(database, now)
    if silent:
        with database.transaction():
            effects += notify.remove(database, store.unanswered(database, before, LIMIT), "timeout")
    if due or effects:
        effects.append(Wake())
    return effects


def _end_subscriptions(database: Database, now: float) -> list[Effect]:
    with database.transaction():
        rows = store.end_expired(database, now, LIMIT).rows()
    return [
        Log(f"subscription expired: id={tag} event={package} resource={resource} watcher={watcher}")
        for tag, resource, watcher, package in rows
    ]
