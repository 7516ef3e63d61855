"""Whether a presentity is online: it has an open tuple, registered or published (SER handbook section 5.3, `target_online`)."""

from collections.abc import Sequence

from kemi.database import Database
from kemi.errors import SipError
from kemi.presence import pidf, store
from kemi.presence.package import NAME
from kemi.presence.parsed import parse
from kemi.presence.publication import Publication

BASIC = f"{pidf.STATUS}/{pidf.BASIC}"
"""The path from a tuple."""


def is_online(database: Database, presentity: str, now: float) -> bool:
    """Whether the composed document would have an open tuple; it is not composed, since composition keeps every tuple as it is.

    One statement; a document is parsed unless it is one of those read last.

    Args:
        presentity: canonical URI.
        now: seconds since the epoch.
    """
    return presentity in online_among(database, [presentity], now)


def online_among(database: Database, presentities: Sequence[str], now: float) -> set[str]:
    """Those of these presentities that are online; one statement for all."""
    published = store.load_many(database, NAME, presentities, now) if presentities else []
    return {each.presentity for each in published if _is_open(each)}


def _is_open(publication: Publication) -> bool:
    try:
        document = parse(publication.body, publication.content_type)
    except SipError:
        return False
    return any(pidf.basic(basic) == pidf.OPEN for each in document.tuples for basic in each.findall(BASIC)[:1])
