"""The sweep: what happens because time passes, not because a request came. Run once a second by one process.

Each subscription has one deadline (`next_at`): a NOTIFY held back until its interval is over, the answer to the one in flight, or
expiry. When one has come the notifier is woken, and `kemi.notify` does what is due. It may have another one (`judge_at`): when what
the presentity's rules say of its watcher changes by itself (`kemi.reauthorize`).
"""

from kemi import offline_winfo, reauthorize, store, watcher, watcher_store
from kemi.effects import Effect, Log, Wake
from kemi.moment import Moment
from kemi.report import report_end, wakes

LIMIT = 500
"""Entries looked after in one sweep; the next one is a second later."""


def sweep(at: Moment) -> list[Effect]:
    """See whether a deadline has come at `now`, seconds since the epoch. One statement, no lock."""
    due, over, unjudged = store.deadlines(at.database, at.now, offline_winfo.cleaned(at.settings, at.now))
    effects = give_up(at) if over else []
    if unjudged:
        effects += reauthorize.overdue(at)
    return [Wake(), *effects] if due else effects


def give_up(at: Moment) -> list[Effect]:
    """Waiting watchers that nobody decided about end (RFC 3857 section 4.7.1); what is stored or was told is forgotten."""
    with at.database.transaction():
        entries = watcher_store.over(at.database, at.now, offline_winfo.cleaned(at.settings, at.now), LIMIT)
        if entries:
            watcher_store.remove(at.database, [each.id for each in entries])
        waiting = [watcher.gave_up(each, at.now) for each in entries if each.status is watcher.Status.WAITING]
        marked = report_end(at, waiting) if waiting else None
    lines = [Log(f"watcher given up: resource={each.resource} watcher={each.uri} event={each.package}") for each in waiting]
    return [*lines, *wakes(marked)]
