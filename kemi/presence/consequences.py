"""What a change of a presentity's publications causes, in the transaction that makes it, whoever does.

The rules are asked again if they ask for the sphere, and the presentity's watchers are marked due. SQL: 1 statement, and those of
`policy.published`.
"""

from typing import NamedTuple

from kemi import store as subscriptions
from kemi.database import Result
from kemi.effects import Effect
from kemi.event_package import interval_of
from kemi.moment import Moment
from kemi.presence import policy


class Caused(NamedTuple):
    """What a change has caused.

    Args:
        judged: for the server, after the transaction.
        marked: who is due, for `kemi.report.wakes`; to ask it for its rows before the transaction has ended may cost a round trip.
    """

    judged: list[Effect]
    marked: Result


def of_change(at: Moment, package_name: str, presentity: str) -> Caused:
    """Publications of this package have changed; subscriptions are locked in the order of their ids, as everybody does.

    Args:
        presentity: canonical URI, locked.
    """
    judged = policy.published(at, package_name, presentity)
    interval = interval_of(at.packages.get(package_name), at.settings)
    return Caused(judged, subscriptions.mark_due(at.database, package_name, presentity, at.now, interval))
