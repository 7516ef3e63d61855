"""Names of SER's modules `pa` and `rls` (SER handbook sections 5.2 and 6.3) that are no parameters here, and why.

A configuration that was SER's starts: a name without effect is accepted and told in one line. A name that stands for something
that its operator relies on, and that is not done here, is refused.
"""

import fnmatch
from collections.abc import Mapping
from enum import Enum
from typing import Final

from kemi.errors import ConfigurationError


class Fate(Enum):
    """What becomes of a name that is set."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


FIXED: Final = "has no effect: names of tables and columns are fixed, see sql/migrations/"
UNUSED: Final = "has no effect: it had none in SER either"

NAMES: Final[Mapping[str, tuple[Fate, str]]] = {
    "pa.use_db": (Fate.ACCEPTED, "has no effect: state is always in the database"),
    "pa.accept_internal_subscriptions": (Fate.ACCEPTED, "has no effect: the parts of this server need no leave to meet"),
    "pa.timer_interval": (Fate.ACCEPTED, "has no effect: changes are told at once; pa.notify_interval keeps NOTIFYs apart"),
    "pa.async_auth_queries": (Fate.ACCEPTED, "has no effect: rules are always fetched beside the requests, as with 1"),
    "pa.place_table": (Fate.ACCEPTED, UNUSED),
    "pa.use_place_table": (Fate.ACCEPTED, UNUSED),
    "pa.use_bsearch": (Fate.ACCEPTED, UNUSED),
    "pa.use_location_package": (Fate.ACCEPTED, UNUSED),
    "pa.*_table": (Fate.ACCEPTED, FIXED),
    "pa.*_column": (Fate.ACCEPTED, FIXED),
    "pa.db_url": (Fate.REFUSED, "is KP_DB_URL here, e.g. KP_DB_URL=sqlite:///FILE"),
    "rls.db_mode": (Fate.ACCEPTED, "has no effect: subscriptions are always in the database, as with 1"),
    "rls.db_url": (Fate.REFUSED, "is KP_DB_URL here, e.g. KP_DB_URL=sqlite:///FILE"),
    "rls.reduce_xcap_needs": (Fate.ACCEPTED, "has no effect: whole documents are fetched of another XCAP server, as with 1"),
    "rls.expiration_timer_period": (Fate.ACCEPTED, "has no effect: a subscription ends when its time is over, to the second"),
    "rls.init_timer_delay": (Fate.ACCEPTED, "has no effect: what is stored is there as soon as the server is"),
    "rls.ignore_408_on_notify": (Fate.ACCEPTED, "has no effect: pa.ignore_408_on_notify is for lists too"),
    "rls.max_nesting_level": (Fate.REFUSED, "is rls.max_list_nesting_level, as in SER's program; its handbook had it wrong"),
}
"""The first pattern that a name fits decides; the sentence goes on from the name."""


def notice(name: str, place: str) -> str:
    """One line about a name of SER's that is accepted; "" where it is none of these names.

    Raises:
        ConfigurationError: it is refused.
    """
    for pattern, (fate, sentence) in NAMES.items():
        if fnmatch.fnmatchcase(name, pattern):
            line = f"{place}: {name} {sentence}"
            if fate is Fate.REFUSED:
                raise ConfigurationError(line)
            return line
    return ""
