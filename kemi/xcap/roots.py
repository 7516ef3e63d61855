"""Which XCAP root the documents of a user are below, where there are several (SER handbook section 8).

`xcap.xcap_root` is the usual one; a script may choose one of `xcap.other_roots` for a request (`set_xcap_root`). No other is ever
asked: a root that is made of what a request says is compared with those that the operator has written down.

request, with a root of its own    its documents are below that root                        that root stays with
---------------------------------  -------------------------------------------------------  ------------------------------------
SUBSCRIBE to a presentity          rules of the presentity, and lists that they refer to    the presentity
SUBSCRIBE to a list                services and lists of the watcher, and for everybody     that subscription (`kemi.rls.source`)
MESSAGE                            rules of the recipient for messages, and those lists     nothing

The root of a presentity counts for all who watch it, until a request names another one. When nobody watches it any more and nothing
is known of its documents it is forgotten.

SQL: `of` 1 statement where there are other roots, else none; `remember` 1, 1 more where something is to be written.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kemi.effects import Effect
from kemi.moment import Moment
from kemi.settings import Settings

KEPT: Final = 7200.0
"""Seconds that a root is remembered at least."""

AGAIN: Final = 3600.0
"""Seconds after which that is written anew."""


def allowed(settings: Settings, text: str) -> str:
    """The root that a script means; "" where it is none of those that may be asked."""
    wanted = text.strip().rstrip("/")
    return next((each for each in settings.xcap.roots if each == wanted), "")


def below(at: Moment, root: str) -> Moment:
    """The same moment, with the settings for documents below this root; "": as they are."""
    if not root:
        return at
    return at._replace(settings=replace(at.settings, xcap=replace(at.settings.xcap, xcap_root=root)))


def of(at: Moment, presentity: str) -> Moment:
    """The same moment, with the settings for documents of a presentity."""
    return below(at, _root_of(at, presentity)) if at.settings.xcap.other_roots else at


def _root_of(at: Moment, presentity: str) -> str:
    """A root that the operator has taken away since then does not count."""
    rows = at.database.execute("fetched_root_load", {"presentity": presentity}).rows()
    return allowed(at.settings, rows[0][0]) if rows else ""


def remember(at: Moment, presentity: str, root: str, changed: Callable[[], list[Effect]]) -> list[Effect]:
    """A script has chosen the root of a presentity's documents.

    Args:
        root: as `allowed` gives it.
        changed: who watches already is judged anew, in the transaction that writes it.
    """
    rows = at.database.execute("fetched_root_load", {"presentity": presentity}).rows()
    known, since = rows[0] if rows else (at.settings.xcap.roots[0], at.now)
    if known == root and at.now - since < AGAIN:
        return []
    with at.database.transaction():
        at.database.lock(presentity)
        at.database.execute("fetched_root_remember", {"presentity": presentity, "root": root, "now": at.now})
        return changed() if known != root else []


def forget(at: Moment) -> None:
    """Roots of presentities that nobody watches, and whose documents nobody has asked for in a long time, are forgotten."""
    at.database.execute("fetched_root_forget", {"before": at.now - KEPT})
