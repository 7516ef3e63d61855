"""Offline watcher information: who came to watch while the presentity was away (SER handbook section 5.13).

A watcher is stored for `pa.offline_winfo_expiration` seconds, once however often it comes; what is older is told no more, and goes
when the sweep cleans up, every `pa.offline_winfo_timer` seconds. It is told as soon as the presentity
watches its own watchers: with the SUBSCRIBE itself when `pa.use_offline_winfo` is 1 (`kemi.subscribe`), or when a script asks for
it (`tell`). A NOTIFY that tells it and is answered 2xx removes it. Who subscribes and waits for a decision is told by watcher
information anyway (RFC 3857 section 4.7.1); what is stored here is also told of watchers that were active, or only fetched.

SQL: 1 statement to store, 2 to look for what is stored and who is told, 2 more to tell it.
"""

from collections.abc import Sequence

from kemi import watcher, watcher_store
from kemi.effects import Effect, Log, Status
from kemi.event_package import WATCHER_INFORMATION
from kemi.moment import Moment
from kemi.report import report_change, wakes
from kemi.settings import Settings
from kemi.subscription import State, Subscription, WatcherEvent


def store(at: Moment, subscription: Subscription) -> bool:
    """Store the watcher of this subscription.

    Args:
        subscription: as its SUBSCRIBE left it.

    Returns:
        False: watchers of its package are told to nobody (`pa.watcherinfo_notify`).
    """
    return store_all(at, [subscription]) > 0


def store_all(at: Moment, subscriptions: Sequence[Subscription]) -> int:
    """Store the watchers of these subscriptions, to one resource each. One statement; gives how many are stored."""
    told = [each for each in subscriptions if each.package + WATCHER_INFORMATION in at.packages]
    entries = [_entry(each, at.now, at.now + at.settings.pa.offline_winfo_expiration) for each in told]
    if entries:
        watcher_store.store(at.database, entries)
    return len(entries)


def _entry(subscription: Subscription, now: float, expires_at: float) -> watcher.RememberedWatcher:
    is_over = subscription.state is State.TERMINATED
    return watcher.RememberedWatcher(
        id=watcher.opaque(f"{subscription.package} {subscription.resource} {subscription.watcher}"),
        resource=subscription.resource,
        package=subscription.package,
        uri=subscription.watcher,
        display_name=subscription.display_name,
        status=watcher.Status(subscription.state.value),
        event=WatcherEvent.TIMEOUT if is_over else WatcherEvent.SUBSCRIBE,
        subscribed_at=now,
        expires_at=expires_at,
        stored=True,
    )


def cleaned(settings: Settings, now: float) -> float:
    """When the sweep cleaned up last, at whole multiples of `pa.offline_winfo_timer`; seconds since the epoch, as `now`.

    What is stored and ran out before is removed. So no process has to remember when it did, nor does a restart put it off.
    """
    return now - now % settings.pa.offline_winfo_timer


def is_worth_storing(settings: Settings, status: Status) -> bool:
    """Whether this is somebody new who waits for a decision, so that `pa.use_offline_winfo` stores it if the presentity is away."""
    return bool(settings.pa.use_offline_winfo) and status.new and status.subscription.state is State.PENDING


def tell(at: Moment, package: str, resource: str) -> tuple[bool, list[Effect]]:
    """Have stored watchers of `package` told to the presentity, which watches its watchers.

    Args:
        resource: canonical URI of the presentity.

    Returns:
        Whether nothing is left to be told. False: the presentity does not watch its watchers, what is stored is kept.
    """
    if not watcher_store.has_stored(at.database, package, resource, at.now):
        return True, []
    with at.database.transaction():
        at.database.lock(resource)
        if not watcher_store.watches_itself(at.database, package, resource):
            return False, []
        marked = report_change(at, [(resource, package)])
        told = watcher_store.dump(at.database, package, resource, at.now)
    return True, [*wakes(marked), Log(f"stored watchers told: resource={resource} event={package} watchers={told.count}")]
