"""Whether a presentity is online: it has an open tuple, registered or published (SER handbook section 5.3, `target_online`)."""

from kemi.database import Database
from kemi.errors import SipError
from kemi.presence import pidf, store
from kemi.presence.package import NAME
from kemi.presence.parsed import parse
from kemi.presence.publication import Publication

BASIC = f"{{{pidf.PIDF}}}status/{{{pidf.PIDF}}}basic"


def is_online(database: Database, presentity: str, now: float) -> bool:
    """Whether the composed document would have an open tuple; it is not composed, since composition keeps every tuple as it is.

    One statement; a document is parsed unless it is one of those read last.

    Args:
        presentity: canonical URI.
        now: seconds since the epoch.
    """
    return any(_is_open(each) for each in store.load_many(database, NAME, [presentity], now))


def _is_open(publication: Publication) -> bool:
    try:
        document = parse(publication.body, publication.content_type)
    except SipError:
        return False
    return any(pidf.basic(basic) == "open" for each in document.tuples for basic in each.findall(BASIC)[:1])
