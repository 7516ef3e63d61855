"""The rules of a presentity: all of its documents for presence rules together (RFC 5025 section 9.7), and the lists they refer to.

Where they are:

    xcap.xcap_root   documents                                                      SQL
    ---------------  -------------------------------------------------------------  ------------------------------------
    not set          our own, all below pres-rules and OMA's pres-rules             1 statement
    set              of the other server, one for each (`kemi.xcap.refresh`)        2, 2 more where they are old

A document that is not known yet, or any more, or cannot be read is there and grants nothing (RFC 5025 section 10). Those that were
read last are kept in their parsed form, by content.

SQL for lists: 1 statement (with xcap.xcap_root 1 for each document), only where a rule refers to one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple, Protocol, TypeVar

from kemi import identity
from kemi.database import Database
from kemi.settings import Settings
from kemi.xcap import access, external_list, pres_rules, refresh, store
from kemi.xcap.cached_document import Reading, State
from kemi.xcap.conditions import ExternalList, Lookup, Sphere
from kemi.xcap.errors import XcapError
from kemi.xcap.external_list import NOBODY, UNKNOWN, Anchor, Members
from kemi.xcap.path import Tree
from kemi.xcap.pres_rules import Permissions
from kemi.xcap.refresh import LISTS
from kemi.xcap.ruleset import Ruleset

P = TypeVar("P")

GENEROUS: Final[Mapping[str, frozenset[str]]] = {
    "nothing": frozenset(),
    "oma": frozenset({"org.openmobilealliance.pres-rules"}),
    "all": refresh.RULES,
}
"""Application usages of documents whose allowing rules show everything where they have no transformations, by
`pa.rules_without_transformations`."""

LARGE = 16384
"""Octets of a document of which only few are kept."""


class Rules(NamedTuple):
    """The rules of one document.

    Args:
        has_sphere: what they say depends on the presentity's sphere.
        anchors: the resource lists that they refer to.
        note: what is to be known of the document besides, for people; "": nothing.
    """

    ruleset: Ruleset[Permissions]
    has_sphere: bool = False
    anchors: frozenset[str] = frozenset()
    note: str = ""


def load(database: Database, settings: Settings, owner: str, now: float) -> list[Rules]:
    """The rules of a user, document by document; none: the user has no policy.

    Args:
        owner: canonical URI.
        now: seconds since the epoch.
    """
    if settings.xcap.xcap_root:
        return [each for auid in sorted(refresh.RULES) for each in _fetched(database, settings, auid, owner, now)]
    rows = database.execute("policy_documents", {"owner": owner}).rows()
    return [read(settings, auid, bytes(body), f"{auid}/{name}") for auid, name, body in rows]


def load_many(database: Database, settings: Settings, owners: Sequence[str]) -> dict[str, list[Rules]]:
    """The rules of several users, from our own documents, by canonical URI. One statement."""
    found: dict[str, list[Rules]] = {each: [] for each in owners}
    for owner, auid, name, body in database.execute("policy_documents_of_many", {}, [(each,) for each in owners]).rows():
        found[owner].append(read(settings, auid, bytes(body), f"{auid}/{name}"))
    return found


def _fetched(database: Database, settings: Settings, auid: str, owner: str, now: float) -> Iterator[Rules]:
    reading = refresh.document(database, settings, auid, owner, now)
    if reading.state is State.UNKNOWN:
        yield _unreadable(auid, "it is not known what the other server has")
    elif reading.state is not State.MISSING:
        found = read(settings, auid, reading.body, auid)
        yield found._replace(note=found.note or "old, to be fetched again") if reading.state is State.STALE else found


def read(settings: Settings, auid: str, body: bytes, name: str) -> Rules:
    """Read a document, whatever it is, as `pa.draft_rules` and `pa.rules_without_transformations` say.

    Args:
        name: the document's, for people.
    """
    keeping = _kept if len(body) <= LARGE else _kept_if_large
    return keeping(body, name, bool(settings.pa.draft_rules), auid in GENEROUS[settings.pa.rules_without_transformations])


def _read(body: bytes, name: str, draft: bool, generous: bool) -> Rules:
    try:
        ruleset = pres_rules.parse(body, name, draft, generous)
    except XcapError as error:
        return _unreadable(name, f"it cannot be read: {error}")
    return Rules(ruleset, *depends_on(ruleset))


def depends_on(ruleset: Ruleset[P]) -> tuple[bool, frozenset[str]]:
    """What rules say may depend on more than who asks and when: whether on the sphere, and on which resource lists."""
    conditions = [condition for rule in ruleset.rules for condition in rule.conditions]
    anchors = frozenset(anchor for each in conditions if isinstance(each, ExternalList) for anchor in each.anchors)
    return any(isinstance(each, Sphere) for each in conditions), anchors


_kept = lru_cache(maxsize=512)(_read)
_kept_if_large = lru_cache(maxsize=16)(_read)


def _unreadable(name: str, note: str) -> Rules:
    return Rules(Ruleset(name, (), is_readable=False), note=note)


# ---------------------------------------------------------------------------------------------------------------------
# Resource lists


class Lists(NamedTuple):
    """The lists that rules refer to; not complete: somebody may be in one of them who is not known to be."""

    is_listed: Lookup
    is_complete: bool


class Referring(Protocol):
    """Rules of any application; `anchors` are the resource lists that they refer to."""

    @property
    def anchors(self) -> frozenset[str]: ...


def lists(database: Database, settings: Settings, owner: str, rules: Sequence[Referring], now: float) -> Lists:
    """The lists that these rules refer to. They have to be the user's own; what is in those of others cannot be said.

    Args:
        owner: canonical URI of the user whose rules these are.
    """
    anchors = frozenset[str]().union(*(each.anchors for each in rules))
    documents = _documents(database, settings, owner, now) if anchors else _no_document

    @cache
    def find(text: str) -> Members:
        anchor = _own(settings, text, owner)
        return UNKNOWN if anchor is None else _members(anchor, documents(anchor.document.name))

    known = {text: external_list.union(text, find) for text in anchors}
    return Lists(lambda anchor, watcher: known[anchor].has(watcher), all(each.is_complete for each in known.values()))


def _own(settings: Settings, text: str, owner: str) -> Anchor | None:
    """A list of this user on the server whose documents count; of our own server the name does not matter, it may have several."""
    root = settings.xcap.xcap_root or settings.xcap.root
    is_relative = text.startswith(f"{LISTS}/")
    anchor = external_list.read(f"{root.rstrip('/')}/{text}" if is_relative else text, root)
    if anchor is None or (anchor.document.auid, anchor.document.tree) != (LISTS, Tree.USERS):
        return None
    return anchor if _is_home(settings, anchor.document.xui, owner) else None


def _is_home(settings: Settings, xui: str, owner: str) -> bool:
    if settings.xcap.xcap_root and settings.xcap.fetch_folder == "user":
        return xui == owner.partition(":")[2].rpartition("@")[0]
    try:
        return access.owner_of(settings, identity.realm(settings), xui) == owner
    except XcapError:
        return False


def _documents(database: Database, settings: Settings, owner: str, now: float) -> Callable[[str], Reading]:
    """What gives the user's documents with lists, by name."""
    if settings.xcap.xcap_root:
        return cache(lambda name: refresh.document(database, settings, LISTS, owner, now, name))
    ours = {each.selector.name: each.body for each in store.documents(database, LISTS, owner)}
    return lambda name: Reading(State.FRESH, ours[name]) if name in ours else _no_document(name)


def _no_document(_name: str) -> Reading:
    return Reading(State.MISSING)


def _members(anchor: Anchor, reading: Reading) -> Members:
    if reading.state is State.UNKNOWN:
        return UNKNOWN
    return NOBODY if reading.state is State.MISSING else external_list.members(reading.body, anchor.node, anchor.query)
