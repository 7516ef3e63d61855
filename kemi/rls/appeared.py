"""A URI becomes that of a list: who watches it as a presentity comes again, and gets the list (RFC 4662 section 4.5).

A subscription is one to a list, or one to a single resource, for its whole life. So subscriptions to single resources end when a
service has their URI: terminated;reason=deactivated, after which a client subscribes anew at once (RFC 6665 section 4.1.3). A
client's first SUBSCRIBE to its own list may come before its first document.

Only those of clients that support lists end, which our tag tells (`subscribe.is_able_tag`): others would get 421, and go on.

SQL: none where no service is new; else 1 locks (PostgreSQL), 1 looks for subscriptions, 1 writes them; and what `report` needs.
"""

from collections.abc import Sequence
from typing import Final

from kemi import decision_store, watcher
from kemi.effects import Effect, Log, Wake
from kemi.moment import Moment
from kemi.report import report_end, wakes
from kemi.rls import service, source, store
from kemi.subscription import Reason, Subscription, ended
from kemi.xcap import fetched, usages

MOST: Final = 500
"""Resources that are locked, or looked for, at once: PostgreSQL has room for some thousand locks of all connections."""


def here(at: Moment, before: bytes | None, after: bytes | None) -> list[Effect]:
    """A document of services of our own was stored in the place of another one, in the transaction of the caller.

    Who subscribes meanwhile comes wholly before, and is found here, or after. With another XCAP server ours say nothing.

    Args:
        before, after: octets of the document; None: there was, or is, none.
    """
    if at.settings.xcap.xcap_root or after is None:
        return []
    new = sorted(_uris(after) - (_uris(before) if before is not None else set()))
    if new:
        store.lock_resources(at.database, new[:MOST])
    return _end(at, new, "")


def elsewhere(at: Moment, owner: str) -> list[Effect]:
    """Another server's services are others, in the transaction of the caller.

    Args:
        owner: canonical URI of the user whose they are, and for whom alone; "": everybody's.
    """
    reading = fetched.document(at, usages.SERVICES, owner)
    uris = _uris(reading.body) if reading.is_there else set()
    return _end(at, sorted(uris), owner)


def _uris(body: bytes) -> set[str]:
    document = source.parsed(body)
    return service.uris(document) if document else set()


def _end(at: Moment, uris: Sequence[str], watcher_uri: str) -> list[Effect]:
    found: list[Subscription] = []
    for start in range(0, len(uris), MOST):
        found += store.watching_singly(at.database, uris[start : start + MOST], watcher_uri)
    if not found:
        return []
    entries = [watcher.ended(each, Reason.DEACTIVATED, at.now, at.settings.pa.waiting_expiration) for each in found]
    marked = report_end(at, entries)
    decision_store.apply(at.database, [ended(each, Reason.DEACTIVATED, at.now) for each in found])
    lines = [
        Log(f"subscription ended: id={each.id} resource={each.resource} watcher={each.watcher} why=this is a list now")
        for each in found
    ]
    return [*lines, Wake(blocked=any(each.in_flight_since is not None for each in found)), *wakes(marked)]
