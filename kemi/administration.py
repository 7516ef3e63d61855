"""Administration: decisions about watchers by management, and what there is to see (`presencectl`; SER handbook section 3).

A decision counts for one pair of presentity and watcher, before any rule, until it is taken away. It is written, and applied to
the watcher's live subscriptions, in one transaction (`kemi.reauthorize`); a SUBSCRIBE asks for it (the package's `authorize`). One
about messages is asked for by the next MESSAGE (`kemi.message`).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from kemi import decision_store, reauthorize
from kemi.database import Database
from kemi.decision_store import MESSAGE, ManagementDecision
from kemi.effects import Effect
from kemi.event_package import WATCHER_INFORMATION, Decision, EventPackage, Packages, allow_events
from kemi.moment import Moment
from kemi.store import subscription_of
from kemi.subscription import Subscription
from kemi.watcher import RememberedWatcher
from kemi.watcher_store import remembered_of

NO_LIMIT = 2**31 - 1


class Presentity(NamedTuple):
    """Somebody who publishes or is watched.

    Args:
        publications: how many, by source.
        watchers: how many users watch.
    """

    uri: str
    publications: dict[str, int]
    watchers: int


def decide(at: Moment, package_name: str, resource: str, watcher: str, decision: Decision | None) -> list[Effect]:
    """Decide about a watcher, in the place of the presentity's rules.

    Args:
        package_name: whose rules this stands before; subscriptions of every package that asks the same rules are concerned.
        resource: canonical URI of the presentity.
        watcher: canonical URI.
        decision: None leaves the watcher to the rules again.

    Raises:
        ValueError: this package is not served, or takes no such decision about this watcher; or there is none to take away.
    """
    require_served(at.packages, package_name)
    package = at.packages[package_name]
    effects: list[Effect] = []
    with at.database.transaction():
        at.database.lock(resource)
        if decision is None:
            _remove(at.database, package_name, resource, watcher)
        else:
            decided = ManagementDecision(resource, package_name, watcher, decision, at.now)
            _refuse_useless(at, package, decided)
            decision_store.save(at.database, decided)
        for name in reauthorize.asking_the_same(at.packages, package_name):
            effects += reauthorize.apply(at, name, resource, watcher)
    return effects


def decide_messages(database: Database, recipient: str, sender: str, decision: Decision | None, now: float) -> None:
    """Decide what becomes of messages, in the place of the recipient's rules; it counts for the next one (`kemi.message`).

    Args:
        recipient, sender: canonical URIs.
        decision: None leaves the sender to the rules again.

    Raises:
        ValueError: users may always send to themselves; or there is no decision to take away.
    """
    if sender == recipient:
        raise ValueError("users may always send to their own devices")
    with database.transaction():
        database.lock(recipient)
        if decision is None:
            _remove(database, MESSAGE, recipient, sender)
        else:
            decision_store.save(database, ManagementDecision(recipient, MESSAGE, sender, decision, now))


def require_served(packages: Packages, name: str) -> None:
    """Make sure that there is such an event package.

    Raises:
        ValueError: there is none.
    """
    if name not in packages:
        raise ValueError(f"the package {name} is not served; {allow_events(packages)} are, and {WATCHER_INFORMATION} of each")


def _remove(database: Database, package: str, resource: str, watcher: str) -> None:
    if not decision_store.remove(database, package, resource, watcher):
        listed = f"presencectl authorize {resource.removeprefix('sip:')} --list"
        raise ValueError(f"nothing is decided about {watcher} for {resource}, {package}; {listed} shows what is")


def _refuse_useless(at: Moment, package: EventPackage, decided: ManagementDecision) -> None:
    """See that the package asks for decisions by management: it has to say what they say, whatever that is."""
    if decided.watcher == decided.resource:
        raise ValueError("the presentity itself may always watch")
    for probe in (Decision.BLOCK, Decision.ALLOW):
        decision_store.save(at.database, decided._replace(decision=probe))
        if package.authorization(at, decided.watcher, decided.resource).decision is not probe:
            raise ValueError(f"{package.name} takes no decisions of its own by management")


def subscriptions(
    database: Database, resource: str = "", package: str = "", watcher: str = "", limit: int = NO_LIMIT
) -> list[Subscription]:
    """Subscriptions by canonical URIs and package, "" for all, also those whose last NOTIFY is on its way."""
    parameters = {"resource": resource, "package": package, "watcher": watcher, "limit": limit}
    return [subscription_of(row) for row in database.execute("administration_subscriptions", parameters).rows()]


def recorded(database: Database, resource: str, package: str = "") -> list[RememberedWatcher]:
    """Watchers of a presentity without a subscription, "" for those of every package."""
    rows = database.execute("administration_recorded", {"resource": resource, "package": package}).rows()
    return [remembered_of(row) for row in rows]


def presentities(database: Database, package: str, now: float, limit: int = NO_LIMIT) -> list[Presentity]:
    """Who publishes or is watched, by URI. Three statements."""
    rows = database.execute("administration_presentities", {"package": package, "now": now, "limit": limit}).rows()
    return described(database, package, [str(name) for (name,) in rows], now)


def described(database: Database, package: str, names: Sequence[str], now: float) -> list[Presentity]:
    """These presentities, whether there is anything about them or not. Two statements."""
    if not names:
        return []
    wanted = [(name,) for name in names]
    publications = defaultdict[str, dict[str, int]](dict)
    for name, source, number in database.execute("administration_publications", {"package": package, "now": now}, wanted).rows():
        publications[name][source] = number
    watchers: dict[str, int] = dict(database.execute("administration_watchers", {"package": package}, wanted).rows())
    return [Presentity(name, publications[name], watchers.get(name, 0)) for name in names]
