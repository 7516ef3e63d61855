"""The rules of a presentity: all of its documents for presence rules together (RFC 5025 section 9.7), and the lists they refer to.

Where they are:

    xcap.xcap_root   documents                                                      SQL
    ---------------  -------------------------------------------------------------  ------------------------------------
    not set          our own, all below pres-rules and OMA's pres-rules             1 statement
    set              of the other server, those that the parameters name            1, 1 more for each that is old
                     (`places`, `kemi.xcap.fetched`)

The package dialog has rules of its own (`kemi.xcap.dialog_rules`), in the same two ways. Where the user has documents of these, or
it is not known whether, they decide about dialogs, and presence rules are not asked. Presence rules decide where there are none.

A document that is not known yet, or any more, or cannot be read is there and grants nothing (RFC 5025 section 10). Those that were
read last are kept in their parsed form, by content.

SQL for lists: 1 statement (with xcap.xcap_root 1 for each document), only where a rule refers to one.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Final, NamedTuple, Protocol, TypeVar

from kemi import identity
from kemi.database import Database
from kemi.moment import Moment
from kemi.settings import Settings
from kemi.xcap import access, dialog_rules, external_list, fetched, pres_rules, root_uri, store
from kemi.xcap.conditions import ExternalList, Lookup, Sphere
from kemi.xcap.errors import XcapError
from kemi.xcap.external_list import NOBODY, UNKNOWN, Members
from kemi.xcap.fetched import DIALOG, PRESENCE, Place
from kemi.xcap.fetched_document import DEFAULT_NAME, Availability, Reading
from kemi.xcap.path import Tree
from kemi.xcap.pres_rules import Permissions
from kemi.xcap.root_uri import Named, Root
from kemi.xcap.ruleset import Ruleset
from kemi.xcap.usages import DIALOG_RULES, LISTS, OMA_RULES, PRES_RULES, RULES

P = TypeVar("P")

GENEROUS: Final[Mapping[str, frozenset[str]]] = {
    "nothing": frozenset(),
    "oma": frozenset({OMA_RULES}),
    "all": RULES,
}
"""Application usages of documents whose allowing rules show everything where they have no transformations, by
`pa.rules_without_transformations`."""

KEPT = 512
"""Documents whose parsed rules are kept."""

LARGE_KEPT = 16
"""The same of large ones."""

LARGE = 16384
"""Octets above which a document is a large one."""


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


def load(at: Moment, owner: str, package: str = PRESENCE) -> list[Rules]:
    """The rules of a user that decide about a package, document by document; none: the user has no policy.

    Args:
        owner: canonical URI.
        package: dialog; all others ask presence rules.
    """
    return _counting(package, _load(at, owner, package))


def load_many(at: Moment, owners: Sequence[str], package: str = PRESENCE) -> dict[str, list[Rules]]:
    """The rules of several users, from our own documents, by canonical URI. One statement."""
    found: dict[str, list[Found]] = {each: [] for each in owners}
    wanted = [(each,) for each in owners]
    if package == DIALOG:
        result = at.database.execute("policy_documents_with_dialog_of_many", {}, wanted)
    else:
        result = at.database.execute("policy_documents_of_many", {}, wanted)
    for owner, auid, document, body in result.rows():
        found[owner].append(_own_document(at.settings, auid, document, body))
    return {owner: _counting(package, each) for owner, each in found.items()}


def has_sphere(at: Moment, owner: str) -> bool:
    """Whether what any rules of a user say, of any package, depends on the user's sphere. One statement; nothing is asked for."""
    if at.settings.xcap.xcap_root:
        wanted = places(at.settings, DIALOG)
        found = _read_there(at.settings, wanted, fetched.known(at, wanted, owner))
    else:
        found = _load(at, owner, DIALOG)
    return any(make().has_sphere for _, make in found)


def matter(database: Database, owner: str) -> bool:
    """Whether anybody watches a user, waits to, or was refused as a member of a list: else no rules are asked. One statement."""
    ((watched,),) = database.execute("policy_watched", {"resource": owner}).rows()
    return bool(watched)


def message_documents(database: Database, owner: str, name: str) -> list[tuple[str, bytes]]:
    """(name, body) of a user's own documents with rules for messages: the one of this name, "" for all. One statement."""
    rows = database.execute("policy_message_documents", {"owner": owner, "name": name}).rows()
    return [(each, bytes(body)) for each, body in rows]


def refer_to_lists(at: Moment, owner: str) -> bool:
    """Whether any of a user's own rules do, of any package. One statement."""
    return any(make().anchors for _, make in _load(at, owner, DIALOG))


def places(settings: Settings, package: str) -> list[Place]:
    """Where another server may have rules that decide about a package: one request for each, again and again."""
    pa = settings.pa
    found = [Place(OMA_RULES, each) for each in dict.fromkeys(pa.oma_pres_rules_files.replace(",", " ").split())]
    found.append(Place(PRES_RULES, pa.pres_rules_file))
    has_own = package == DIALOG and pa.dialog_rules_file
    return [*(Place(auid, pa.dialog_rules_file) for auid in sorted(DIALOG_RULES) if has_own), *found]


def place_of(settings: Settings, auid: str) -> Place:
    """The usual document of an application usage of rules."""
    if not settings.xcap.xcap_root:
        return Place(auid, DEFAULT_NAME)
    return Place(auid, (settings.pa.dialog_rules_file if auid in DIALOG_RULES else settings.pa.pres_rules_file) or DEFAULT_NAME)


Found = tuple[str, Callable[[], Rules]]
"""A document of this application usage, and what reads it."""


def _load(at: Moment, owner: str, package: str) -> list[Found]:
    if at.settings.xcap.xcap_root:
        wanted = places(at.settings, package)
        return _read_there(at.settings, wanted, fetched.documents(at, wanted, owner))
    if package == DIALOG:
        result = at.database.execute("policy_documents_with_dialog", {"owner": owner})
    else:
        result = at.database.execute("policy_documents", {"owner": owner})
    return [_own_document(at.settings, *row) for row in result.rows()]


def _counting(package: str, found: Sequence[Found]) -> list[Rules]:
    """Those that decide about a package."""
    own = [make for auid, make in found if auid in DIALOG_RULES] if package == DIALOG else []
    return [make() for make in own or [make for auid, make in found if auid not in DIALOG_RULES]]


def _own_document(settings: Settings, auid: str, name: str, body: bytes) -> Found:
    return auid, partial(read, settings, auid, bytes(body), f"{auid}/{name}")


def _read_there(settings: Settings, wanted: Sequence[Place], readings: Sequence[Reading]) -> list[Found]:
    there = [(place, each) for place, each in zip(wanted, readings, strict=True) if each.state is not Availability.MISSING]
    return [(place.auid, partial(_fetched, settings, place, each)) for place, each in there]


def _fetched(settings: Settings, place: Place, reading: Reading) -> Rules:
    if reading.state is Availability.UNKNOWN:
        return _unreadable(place.path, "it is not known what the other server has")
    found = read(settings, place.auid, reading.body, place.path)
    return found._replace(note=found.note or "old, to be fetched again") if reading.state is Availability.STALE else found


Parse = Callable[[bytes, str, bool], Ruleset[Permissions]]


def _parse_generously(octets: bytes, document: str, draft: bool) -> Ruleset[Permissions]:
    return pres_rules.parse(octets, document, draft, True)


def read(settings: Settings, auid: str, body: bytes, name: str) -> Rules:
    """Read a document, whatever it is, as `pa.draft_rules` and `pa.rules_without_transformations` say.

    Args:
        name: the document's, for people.
    """
    keeping = _kept if len(body) <= LARGE else _kept_if_large
    return keeping(_parse_of(settings, auid), body, name, bool(settings.pa.draft_rules))


def _parse_of(settings: Settings, auid: str) -> Parse:
    if auid in DIALOG_RULES:
        return dialog_rules.parse
    return _parse_generously if auid in GENEROUS[settings.pa.rules_without_transformations] else pres_rules.parse


def _read(parse: Parse, body: bytes, name: str, draft: bool) -> Rules:
    try:
        ruleset = parse(body, name, draft)
    except XcapError as error:
        return _unreadable(name, f"it cannot be read: {error}")
    return Rules(ruleset, *depends_on(ruleset))


def depends_on(ruleset: Ruleset[P]) -> tuple[bool, frozenset[str]]:
    """What rules say may depend on more than who asks and when: whether on the sphere, and on which resource lists."""
    conditions = [condition for rule in ruleset.rules for condition in rule.conditions]
    anchors = frozenset(anchor for each in conditions if isinstance(each, ExternalList) for anchor in each.anchors)
    return any(isinstance(each, Sphere) for each in conditions), anchors


_kept = lru_cache(maxsize=KEPT)(_read)
_kept_if_large = lru_cache(maxsize=LARGE_KEPT)(_read)


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


def lists(at: Moment, owner: str, rules: Sequence[Referring]) -> Lists:
    """The lists that these rules refer to. They have to be the user's own; what is in those of others cannot be said.

    Args:
        owner: canonical URI of the user whose rules these are.
    """
    anchors = frozenset[str]().union(*(each.anchors for each in rules))
    documents, root = _lists_of(at, owner) if anchors else _no_document, _root(at.settings, owner)

    @cache
    def find(text: str) -> Members:
        named = _own(root, text, owner)
        return UNKNOWN if named is None else _members(named, documents(named.document.name))

    known = {text: external_list.union(text, find) for text in anchors}
    return Lists(lambda anchor, watcher: known[anchor].has(watcher), all(each.is_complete for each in known.values()))


def _root(settings: Settings, owner: str) -> Root:
    """The root of the server whose documents count; of our own the host does not matter, it may have names that we do not know."""
    return Root(settings.xcap.xcap_root or settings.xcap.root, lambda _host: True, partial(_owner_of, settings, owner))


def _owner_of(settings: Settings, owner: str, xui: str) -> str:
    """Where folders are called by the user part of a URI alone only the user's own is known."""
    if settings.xcap.xcap_root and settings.xcap.fetch_folder == "user":
        return owner if xui == owner.partition(":")[2].rpartition("@")[0] else ""
    return access.owner_of(settings, identity.realm(settings), xui)


def _own(root: Root, text: str, owner: str) -> Named | None:
    """A list of this user."""
    below = root_uri.resolved(text, root)
    found = None if below is None else root_uri.named_or_none(below, root)
    return found if found is not None and found.document[:3] == (LISTS, Tree.USERS, owner) else None


def _lists_of(at: Moment, owner: str) -> Callable[[str], Reading]:
    """What gives the user's documents with lists, by name."""
    if at.settings.xcap.xcap_root:
        return cache(lambda name: fetched.document(at, LISTS, owner, name))
    ours = {each.selector.name: each.body for each in store.documents(at.database, LISTS, owner)}
    return lambda name: Reading(Availability.FRESH, ours[name]) if name in ours else _no_document(name)


def _no_document(_name: str) -> Reading:
    return Reading(Availability.MISSING)


def _members(named: Named, reading: Reading) -> Members:
    if reading.state is Availability.UNKNOWN:
        return UNKNOWN
    return NOBODY if reading.state is Availability.MISSING else external_list.members(reading.body, named.node or "", named.query)
