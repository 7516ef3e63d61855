"""What a change of a presentity's publications causes, in the transaction that makes it, whoever does.

The rules are asked again if they ask for the sphere, and the presentity's watchers are marked due. SQL: 1 statement, and those of
`policy.published`.
"""

from typing import NamedTuple

from kemi import store as subscriptions
from kemi.database import Database, Result
from kemi.effects import Effect
from kemi.event_package import Packages, interval_of
from kemi.presence import policy
from kemi.settings import Settings


class Caused(NamedTuple):
    """What a change has caused.

    Args:
        judged: for the server, after the transaction.
        marked: who is due, for `kemi.report.wakes`; to ask it for its rows before the transaction has ended may cost a round trip.
    """

    judged: list[Effect]
    marked: Result


def of_change(database: Database, settings: Settings, packages: Packages, package_name: str, presentity: str, now: float) -> Caused:
    """Publications of this package have changed; subscriptions are locked in the order of their ids, as everybody does.

    Args:
        presentity: canonical URI, locked.
        now: seconds since the epoch.
    """
    judged = policy.published(database, settings, packages, package_name, presentity, now)
    interval = interval_of(packages.get(package_name), settings)
    return Caused(judged, subscriptions.mark_due(database, package_name, presentity, now, interval))
