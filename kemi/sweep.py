"""The sweep: what happens because time passes, not because a request came. Run once a second by one process.

Each subscription has one deadline (`next_at`): a NOTIFY held back until its interval is over, the answer to the one in flight, or
expiry. When one has come the notifier is woken, and `kemi.notify` does what is due.
"""

from kemi import store
from kemi.database import Database
from kemi.effects import Effect, Wake


def sweep(database: Database, now: float) -> list[Effect]:
    """See whether a deadline has come at `now`, seconds since the epoch. One statement, no lock."""
    return [Wake()] if store.any_deadline(database, now) else []
