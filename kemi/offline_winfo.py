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
from kemi.database import Database
from kemi.effects import Effect, Log, Status
from kemi.event_package import WATCHER_INFORMATION, Packages
from kemi.report import report_change, wakes
from kemi.settings import Settings
from kemi.subscription import State, Subscription, WatcherEvent


def store(database: Database, settings: Settings, packages: Packages, subscription: Subscription, now: float) -> bool:
    """Store the watcher of this subscription.

    Args:
        subscription: as its SUBSCRIBE left it.
        now: seconds since the epoch.

    Returns:
        False: watchers of its package are told to nobody (`pa.watcherinfo_notify`).
    """
    return store_all(database, settings, packages, [subscription], now) > 0


def store_all(database: Database, settings: Settings, packages: Packages, subscriptions: Sequence[Subscription], now: float) -> int:
    """Store the watchers of these subscriptions, to one resource each. One statement; gives how many are stored."""
    told = [each for each in subscriptions if each.package + WATCHER_INFORMATION in packages]
    entries = [_entry(each, now, now + settings.pa.offline_winfo_expiration) for each in told]
    if entries:
        watcher_store.store(database, entries)
    return len(entries)


def _entry(subscription: Subscription, now: float, expires_at: float) -> watcher.Entry:
    is_over = subscription.state is State.TERMINATED
    return watcher.Entry(
        id=watcher.opaque(f"{subscription.package} {subscription.resource} {subscription.watcher}"),
        resource=subscription.resource,
        package=subscription.package,
        uri=subscription.watcher,
        display_name=subscription.display_name,
        status=watcher.Status(subscription.state.value),
        event=WatcherEvent.TIMEOUT if is_over else WatcherEvent.SUBSCRIBE,
        subscribed_at=now,
        expires_at=expires_at,
    )


def cleaned(settings: Settings, now: float) -> float:
    """When the sweep cleaned up last, at whole multiples of `pa.offline_winfo_timer`; seconds since the epoch, as `now`.

    What is stored and ran out before is removed. So no process has to remember when it did, nor does a restart put it off.
    """
    return now - now % settings.pa.offline_winfo_timer


def is_worth_storing(settings: Settings, status: Status) -> bool:
    """Whether this is somebody new who waits for a decision, so that `pa.use_offline_winfo` stores it if the presentity is away."""
    return bool(settings.pa.use_offline_winfo) and status.new and status.subscription.state is State.PENDING


def tell(
    database: Database, settings: Settings, packages: Packages, package: str, resource: str, now: float
) -> tuple[bool, list[Effect]]:
    """Have stored watchers of `package` told to the presentity, which watches its watchers.

    Args:
        resource: canonical URI of the presentity.
        now: seconds since the epoch.

    Returns:
        Whether nothing is left to be told. False: the presentity does not watch its watchers, what is stored is kept.
    """
    if not watcher_store.has_stored(database, package, resource, now):
        return True, []
    with database.transaction():
        database.lock(resource)
        if not watcher_store.watches_itself(database, package, resource):
            return False, []
        marked = report_change(database, settings, packages, [(resource, package)], now)
        told = watcher_store.dump(database, package, resource, now)
    return True, [*wakes(marked), Log(f"stored watchers told: resource={resource} event={package} watchers={told.count}")]
