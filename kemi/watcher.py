"""A watcher as watcher information tells of it (RFC 3857 section 4.7.1, RFC 3858 section 3).

status      event       moved by                                              to
----------  ----------  ----------------------------------------------------  -------------------------------
(none)      subscribe   SUBSCRIBE, rules say allow, polite-block              active
(none)      subscribe   SUBSCRIBE, rules say confirm                          pending
pending     approved    rules say allow, polite-block                         active
pending     timeout     expiry, Expires: 0, a fetch, no answer to NOTIFY      waiting
pending     giveup      nobody decided for `pa.waiting_expiration`            terminated
waiting     subscribe   SUBSCRIBE of the same watcher                         pending, the same id
waiting     giveup      nobody decided for `pa.waiting_expiration`            terminated
any         (reason)    the end: rejected, timeout, deactivated, noresource   terminated

Active and pending watchers are subscriptions; the table `watcher` has the others. A terminated one is told once. Of one watcher
one entry waits for a resource, and none while it has another subscription; for all resources `pa.max_subscriptions`. What would
wait besides is terminated.
"""

import hashlib
from enum import Enum
from typing import NamedTuple

from kemi.subscription import Reason, Removed, State, Subscription, WatcherEvent

FOR_EVER = 100 * 365 * 86400
"""Seconds of what has no end."""

TOLD_WITHIN = 604800.0
"""Seconds that a watcher that has ended is kept until all were told of it: no subscription is longer without a full document."""


class Status(Enum):
    """Status of a watcher (RFC 3858 section 3)."""

    PENDING = "pending"
    ACTIVE = "active"
    WAITING = "waiting"
    TERMINATED = "terminated"


class Watcher(NamedTuple):
    """One watcher element; times are seconds since the epoch.

    Args:
        resource: canonical URI of who is watched.
        id: opaque, the same as long as the watcher is told of.
        uri: canonical URI of the watcher.
        expires_at: of the subscription, or of what is remembered of it.
        sequence: number of the last change.
        stored: it came while the presentity was away, and was stored (SER handbook 5.13).
    """

    resource: str
    id: str
    uri: str
    display_name: str
    status: Status
    event: WatcherEvent
    subscribed_at: float
    expires_at: float
    sequence: int
    stored: bool


class RememberedWatcher(NamedTuple):
    """A watcher without a subscription, as the table `watcher` has it: it waits, has ended, or was stored.

    Times are seconds since the epoch.

    Args:
        stored: as `Watcher` has it.
    """

    id: str
    resource: str
    package: str
    uri: str
    display_name: str
    status: Status
    event: WatcherEvent
    subscribed_at: float
    expires_at: float
    stored: bool = False


def opaque(tag: str) -> str:
    """Id of a subscription in watcher information: it does not show the dialog's tag (RFC 3858 section 3)."""
    return hashlib.blake2b(tag.encode(), digest_size=8).hexdigest()


def id_of(tag: str, inherited: str) -> str:
    """Id of a watcher: that of the waiting one whose place it took, or its own."""
    return inherited or opaque(tag)


def next_id(before: str, now: float) -> str:
    """Id of a watcher that has ended under the id `before`, and comes again in the same subscription to a list."""
    return opaque(f"{before} {now}")


def ended(subscription: Subscription | Removed, reason: Reason, now: float, waiting_expiration: int) -> RememberedWatcher:
    """What is left of a subscription that ends now.

    Args:
        subscription: as it was before its end.
        waiting_expiration: seconds that a pending watcher waits for a decision after its end; 0: for ever.
    """
    waits = subscription.state is State.PENDING and reason is Reason.TIMEOUT
    status = Status.WAITING if waits else Status.TERMINATED
    kept = (waiting_expiration or FOR_EVER) if waits else TOLD_WITHIN
    return RememberedWatcher(
        id_of(subscription.id, subscription.watcher_id), subscription.resource, subscription.package, subscription.watcher,
        subscription.display_name, status, WatcherEvent(reason.value), subscription.created_at, now + kept,
    )  # fmt: skip


def gave_up(waiting: RememberedWatcher, now: float) -> RememberedWatcher:
    """A waiting watcher that nobody decided about in time."""
    return waiting._replace(status=Status.TERMINATED, event=WatcherEvent.GIVEUP, expires_at=now + TOLD_WITHIN)
