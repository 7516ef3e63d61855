"""What every verb is given: where the state is, what operators have set, what is served, and what time it is."""

from typing import TYPE_CHECKING, NamedTuple

from kemi.database import Database
from kemi.settings import Settings

if TYPE_CHECKING:
    from kemi.event_package import Packages


class Moment(NamedTuple):
    """The server at one time.

    Args:
        packages: the event packages that are served, by name.
        now: seconds since the epoch.
    """

    database: Database
    settings: Settings
    packages: "Packages"
    now: float
