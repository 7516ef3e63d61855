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
from kemi.database import Database
from kemi.effects import Effect, Log, Wake
from kemi.event_package import Packages
from kemi.report import report_end, wakes
from kemi.rls import service, source, store
from kemi.settings import Settings
from kemi.subscription import Reason, Subscription, ended
from kemi.xcap import fetched
from kemi.xcap.fetched_document import State

MOST: Final = 500
"""Resources that are locked, or looked for, at once: PostgreSQL has room for some thousand locks of all connections."""


def here(
    database: Database, settings: Settings, packages: Packages, before: bytes | None, after: bytes | None, now: float
) -> list[Effect]:
    """A document of services of our own was stored in the place of another one, in the transaction of the caller.

    Who subscribes meanwhile comes wholly before, and is found here, or after. With another XCAP server ours say nothing.

    Args:
        before, after: octets of the document; None: there was, or is, none.
        now: seconds since the epoch.
    """
    if settings.xcap.xcap_root or after is None:
        return []
    new = sorted(_uris(after) - (_uris(before) if before is not None else set()))
    if new:
        store.lock_resources(database, new[:MOST])
    return _end(database, settings, packages, new, "", now)


def elsewhere(database: Database, settings: Settings, packages: Packages, owner: str, now: float) -> list[Effect]:
    """Another server's services are others, in the transaction of the caller.

    Args:
        owner: canonical URI of the user whose they are, and for whom alone; "": everybody's.
        now: seconds since the epoch.
    """
    reading = fetched.document(database, settings, fetched.SERVICES, owner, now)
    uris = set() if reading.state in (State.UNKNOWN, State.MISSING) else _uris(reading.body)
    return _end(database, settings, packages, sorted(uris), owner, now)


def _uris(body: bytes) -> set[str]:
    document = source.parsed(body)
    return service.uris(document) if document else set()


def _end(
    database: Database, settings: Settings, packages: Packages, uris: Sequence[str], watcher_uri: str, now: float
) -> list[Effect]:
    found: list[Subscription] = []
    for at in range(0, len(uris), MOST):
        found += store.watching_singly(database, uris[at : at + MOST], watcher_uri)
    if not found:
        return []
    entries = [watcher.ended(each, Reason.DEACTIVATED, now, settings.pa.waiting_expiration) for each in found]
    marked = report_end(database, settings, packages, entries, now)
    decision_store.apply(database, [ended(each, Reason.DEACTIVATED, now) for each in found])
    lines = [
        Log(f"subscription ended: id={each.id} resource={each.resource} watcher={each.watcher} why=this is a list now")
        for each in found
    ]
    return [*lines, Wake(blocked=any(each.in_flight_since is not None for each in found)), *wakes(marked)]
