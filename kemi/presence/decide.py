"""Decide: a decision about one watcher, written into the presentity's own rules (`presencectl allow`, `block` and so on; RFC 5025).

Unlike a decision by management it is one rule among others, which the user sees and may change; `kemi.xcap.own_rules` says which.
The document `pres-rules/users/<presentity>/index` is put as a whole, through all checks, if it is still the one that was read.

SQL: those of a PUT, 1 statement, and those of `rules.load` where there is no document.
"""

from typing import Final, NamedTuple
from urllib.parse import quote

from kemi.event_package import Decision
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.presence import rules
from kemi.xcap import manage, own_rules, store
from kemi.xcap.errors import PreconditionFailed
from kemi.xcap.manage import Wish
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.serve import Changed, Result

AUID: Final = "pres-rules"
NAME: Final = "index"
ATTEMPTS: Final = 30
"""How often somebody else may have changed the document meanwhile."""


class Decided(NamedTuple):
    """What was written.

    Args:
        result: of the PUT.
        default: what rules that came with a new document say of all others; None: none came.
    """

    result: Result
    default: Decision | None


def decide(at: Moment, realm: Realm, presentity: str, watcher: str, decision: Decision, tag: str, changed: Changed) -> Decided:
    """Write a decision about a watcher; the one before goes.

    Args:
        presentity, watcher: canonical URIs.
        tag, now, changed: as in `manage.perform`.

    Raises:
        XcapError: the document cannot be changed so.
        ValueError: the presentity itself may always watch.
    """
    if watcher == presentity:
        raise ValueError("the presentity itself may always watch")
    for left in reversed(range(ATTEMPTS)):
        old = store.load(at.database, DocumentSelector(AUID, Tree.USERS, presentity, NAME))
        default = _default(at, presentity)
        body = own_rules.after(old.body if old else None, watcher, decision, default or Decision.BLOCK)
        wish = Wish("PUT", document_of(presentity), body, old and f'"{old.etag}"', None if old else "*")
        try:
            return Decided(manage.perform(at, realm, wish, tag, changed), default)
        except PreconditionFailed:
            if not left:
                raise
    raise AssertionError("the last attempt answers or raises")


def document_of(presentity: str) -> str:
    """The path of the document below the XCAP root."""
    return f"{AUID}/users/{quote(presentity, safe=':@')}/{NAME}"


def _default(at: Moment, presentity: str) -> Decision | None:
    """What others are told until now, where the first document would change that."""
    default = Decision(at.settings.pa.auth_default)
    has_rules = default is Decision.BLOCK or rules.load(at, presentity)
    return None if has_rules else default
