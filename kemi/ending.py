"""The end of subscriptions: their rows go, and an end that was not reported is reported to who watches the watchers.

Called inside a transaction. SQL: 1 statement, 1 more for lists, 2 more where an end is reported.
"""

from collections.abc import Mapping

from kemi import store, watcher
from kemi.effects import Effect, Log
from kemi.event_package import LIST
from kemi.moment import Moment
from kemi.report import report_end, wakes
from kemi.subscription import Reason


def remove(at: Moment, gone: Mapping[str, str]) -> list[Effect]:
    """Delete subscriptions, given why by id, one log line each; an end that was not reported is reported."""
    rows = store.remove(at.database, gone)
    lists = [each.id for each in rows if each.package.endswith(LIST)]
    if lists:
        store.forget_lists(at.database, lists)
    unreported = [each for each in rows if each.was_reported]
    entries = [watcher.ended(each, Reason.TIMEOUT, at.now, at.settings.pa.waiting_expiration) for each in unreported]
    marked = report_end(at, entries) if entries else None
    lines = [
        Log(
            f"subscription removed: id={each.id} event={each.package} resource={each.resource} "
            f"watcher={each.watcher} why={gone[each.id]}"
        )
        for each in rows
        if each.id in gone
    ]
    return [*lines, *wakes(marked)]
