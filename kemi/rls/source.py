"""Where lists come from, and who is in them (RFC 4826 section 4.5, RFC 5367, SER handbook section 6.2).

A subscription to a list, or the URI of one, is looked up in this order:

what it is                                                 whose it is                    SQL to find it, and to read it
---------------------------------------------------------  -----------------------------  ------------------------------
the list came with the SUBSCRIBE (RFC 5367)                nobody's                       0, 0
a script has chosen a list of the watcher's own            the watcher's                  0, 1
resource-lists document (`query_resource_list`)
`rls.simple_list` fits: all lists of the watcher's own     the watcher's                  0, 1
resource-lists document
a service of our own documents                             who has it; below global:      1, 1
                                                           nobody's
with `xcap.xcap_root` a service of the watcher's own       the watcher's, or nobody's     2, 2
rls-services document there, or of that for everybody

What came, or was chosen, stands in `Subscription.body` (`Chosen`).

References in a list are 1 statement each for every document that they lead to. Documents of another server are what is known of
them (`kemi.xcap.fetched`).
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from kemi import identity, sip
from kemi.errors import NotFound, ServiceUnavailable, SipError
from kemi.moment import Moment
from kemi.report import document_key
from kemi.rls import expansion, service, store
from kemi.rls.expansion import Expanded, Limits
from kemi.rls.reference import Source
from kemi.rls.resource_list import Member, Names
from kemi.rls.service import ServiceDefinition
from kemi.settings import Settings
from kemi.subscription import Subscription
from kemi.xcap import access, fetched, roots, tree, usages
from kemi.xcap.constraints import Place
from kemi.xcap.errors import XcapError
from kemi.xcap.fetched_document import Availability, Reading
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Root
from kemi.xcap.tree import Document, Element

RETRY_AFTER: Final = 2
"""Seconds until a document of another server may have been fetched."""


class NotFetchedYet(ServiceUnavailable):
    """503: it depends on documents of another XCAP server that are not known yet, and have been asked for.

    Args:
        wanted: those that were asked for in a transaction, which is undone: `ask` for them again.
    """

    def __init__(self, detail: str, wanted: Sequence[DocumentSelector] = ()) -> None:
        super().__init__(detail, RETRY_AFTER)
        self.wanted = wanted


class Chosen(NamedTuple):
    """What says which list a subscription is to, besides its URI.

    Args:
        members: they came with the SUBSCRIBE; None: none did.
        name: of a top-level list of the watcher's own resource-lists document, "": all of them; None: the URI names the list.
        root: the XCAP root that a script has chosen for its documents (`kemi.xcap.roots`), "": the usual one; members have none.
    """

    members: tuple[Member, ...] | None = None
    name: str | None = None
    root: str = ""

    def as_text(self) -> str:
        """For `Subscription.body`: JSON, an array of members, or an object; "" where nothing was chosen."""
        named = {} if self.name is None else {"list": self.name}
        there = {"root": self.root} if self.root else {}
        given = named | there if self.members is None else self.members
        return "" if given == {} else json.dumps(given, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "Chosen":
        """The opposite of `as_text`."""
        given = json.loads(text or "{}")
        if isinstance(given, dict):
            return cls(None, given.get("list"), given.get("root", ""))
        return cls(tuple(Member(uri, resource, tuple((each, name) for each, name in names)) for uri, resource, names in given))


class Found(NamedTuple):
    """A service and the document that it stands in.

    Args:
        owner: canonical URI; "": it is everybody's.
    """

    owner: str
    document: Document
    service: ServiceDefinition


class Resolved(NamedTuple):
    """Who is in a list.

    Args:
        documents: what it is made of (`report.document_key`).
        left_out: references that led nowhere.
        unknown: documents of another server that are still to come.
        names: display names of the list.
        entries: entries and references that it took, those that are there twice as well.
    """

    members: tuple[Member, ...]
    documents: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unknown: tuple[DocumentSelector, ...] = ()
    names: Names = ()
    entries: int = 0


def below(root: str, chosen: str) -> str:
    """The same list, for `Subscription.body`, of documents below another root than the usual one (`kemi.xcap.roots`).

    Args:
        chosen: as it was for the usual root (`Chosen.as_text`).
    """
    return Chosen.from_text(chosen)._replace(root=root).as_text()


def there(at: Moment, subscription: Subscription) -> Moment:
    """The same moment, with the settings for documents of a list subscription.

    They are below the XCAP root that it was opened with, if that may still be asked.
    """
    return roots.below(at, roots.allowed(at.settings, _chosen(subscription).root))


def _chosen(subscription: Subscription) -> Chosen:
    """Nothing where it is a list in a list: what stands there are its names."""
    return Chosen() if subscription.list_id else Chosen.from_text(subscription.body)


def has_list(at: Moment, watcher: str, name: str) -> bool:
    """Whether a user has this list in its own resource-lists document (`Chosen.name`). Raises as `is_list`."""
    return _list_of(_reader(at), watcher, name) is not None


def is_list(at: Moment, watcher: str, uri: str) -> bool:
    """Whether a URI stands for a list.

    Args:
        watcher: canonical URI of who asks.
        uri: canonical.

    Raises:
        NotFetchedYet: 503, a document of another server that says so, or who is in it, is being fetched. So is one that is old and
            does not have this list: it may have it by now. One that cannot be fetched counts as it was.
    """
    if _is_simple(at.settings, watcher, uri):
        if at.settings.xcap.xcap_root:
            _list_of(_reader(at), watcher, "")
        return True
    return find(at, watcher, uri, may_be_old=False) is not None


def ask(at: Moment, wanted: Sequence[DocumentSelector]) -> None:
    """See that these documents of another server are fetched (`NotFetchedYet`)."""
    for each in wanted:
        fetched.document(at, each.auid, each.xui, each.name)


def whose(at: Moment, subscription: Subscription) -> str:
    """Canonical URI of the user in whose documents the list of a new subscription stands; "": it stands below global."""
    watcher, uri = subscription.watcher, subscription.resource
    if at.settings.xcap.xcap_root or subscription.body or _is_simple(at.settings, watcher, uri):
        return watcher
    owner = store.owner(at.database, uri)
    return watcher if owner is None else owner


def owner_of(at: Moment, watcher: str, uri: str) -> str:
    """Canonical URI of the user whose list this is; "": everybody may read it.

    So may they what stands below global. What another server has is the watcher's own or everybody's: "" too.
    """
    if _is_simple(at.settings, watcher, uri):
        return watcher
    return "" if at.settings.xcap.xcap_root else store.owner(at.database, uri) or ""


def lists_among(at: Moment, watcher: str, uris: Sequence[str]) -> set[str]:
    """Those of these canonical URIs that are services; of another server as far as its documents are known."""
    if not at.settings.xcap.xcap_root:
        return store.services(at.database, uris)
    readings = _services(at, watcher).values()
    documents = [parsed(each.body) for each in readings if each.is_there]
    return set(uris) & {uri for each in documents if each is not None for uri in service.uris(each)}


def _is_simple(settings: Settings, watcher: str, uri: str) -> bool:
    return bool(settings.rls.simple_list) and service.is_implicit(settings.rls.simple_list, watcher, uri)


def find(at: Moment, watcher: str, uri: str, may_be_old: bool = True) -> Found | None:
    """The service with this URI; None: there is none. Raises as `is_list`.

    Args:
        may_be_old: documents of another server that are old are believed when they do not have it.
    """
    if not at.settings.xcap.xcap_root:
        stored = store.service(at.database, uri)
        return _found(stored.owner, stored.body, uri) if stored else None
    readings = _services(at, watcher)
    for owner, reading in readings.items():
        if reading.state is Availability.UNKNOWN:
            raise NotFetchedYet("the services of the XCAP server are not known yet", services_for(watcher))
        found = _found(owner, reading.body, uri) if reading.is_there else None
        if found is not None:
            return found
    if not may_be_old and any(each.is_outdated for each in readings.values()):
        raise NotFetchedYet("the services of the XCAP server may be others by now", services_for(watcher))
    return None


def services_for(watcher: str) -> list[DocumentSelector]:
    """Another server's documents of the services that a watcher may use, for `ask`."""
    owners = ((Tree.USERS, watcher), (Tree.GLOBAL, ""))
    return [DocumentSelector(usages.SERVICES, where, owner, "") for where, owner in owners]


def _services(at: Moment, watcher: str) -> dict[str, Reading]:
    """The services of another server that a watcher may use, its own first; both are asked for, whatever the one says."""
    return {owner: fetched.document(at, usages.SERVICES, owner) for owner in (watcher, "")}


def _found(owner: str, body: bytes, uri: str) -> Found | None:
    document = parsed(body)
    known = service.find(document, uri) if document else None
    return Found(owner, document, known) if document and known else None


@lru_cache(maxsize=128)
def parsed(body: bytes) -> Document | None:
    """A document, those that were read last are kept; None: it is none."""
    try:
        return tree.parse(body)
    except XcapError:
        return None


def resolve(at: Moment, subscription: Subscription, served: Sequence[str]) -> Resolved:
    """Who is in the list of a subscription.

    Args:
        served: names of the event packages that lists may be of.

    Raises:
        NotFound: 404, there is no such list any more.
        BadEvent: 489, it is for other packages.
        BadGateway: 502, it refers to what is no list. ListTooLarge: 403.
        ServiceUnavailable: 503, a document of another server is being fetched.
    """
    resolved = _resolve(at, subscription, served)
    members = _presentities(at.settings, resolved.members)
    if len(members) > at.settings.rls.max_members:
        raise expansion.ListTooLarge(f"the list has more than {at.settings.rls.max_members} members")
    return resolved._replace(members=members)


def _presentities(settings: Settings, members: Sequence[Member]) -> tuple[Member, ...]:
    """Members by the presentities that they are; what two schemes say of one is one member, what names nobody is none."""
    realm = identity.realm(settings)
    found: dict[str, Member] = {}
    for each in members:
        try:
            is_ours = realm.is_served(sip.parse_uri(each.resource))
            resource = realm.presentity(each.resource) if is_ours else realm.address_of_record(each.resource)
        except SipError:
            continue
        found.setdefault(resource, each._replace(resource=resource))
    return tuple(found.values())


def _resolve(at: Moment, subscription: Subscription, served: Sequence[str]) -> Resolved:
    read = _reader(at)
    limits = Limits(entries=at.settings.rls.max_members)
    chosen, watcher, uri = _chosen(subscription), subscription.watcher, subscription.resource
    if chosen.members is not None:
        return Resolved(chosen.members, entries=len(chosen.members))
    if chosen.name is not None:
        return _own_list(at.settings, watcher, chosen.name, read, limits)
    if _is_simple(at.settings, watcher, uri):
        return _simple(at.settings, watcher, read, limits)
    found = find(at, watcher, uri)
    if found is None:
        raise NotFound("there is no such list")
    found.service.require_package(subscription.package.partition(";")[0], served)
    expanded = expansion.expand_service(found.document, found.service, place_of(at.settings, found.owner), read, limits)
    keys = (watcher, "") if at.settings.xcap.xcap_root else (found.owner,)
    return _resolved(expanded, *(document_key(usages.SERVICES, each) for each in keys))


def _simple(settings: Settings, watcher: str, read: expansion.Read, limits: Limits) -> Resolved:
    """SER's implicit list: whatever the user has in its resource-lists document."""
    try:
        return _own_list(settings, watcher, "", read, limits)
    except NotFound:
        return Resolved((), (document_key(usages.LISTS, watcher),))


def _own_list(settings: Settings, watcher: str, name: str, read: expansion.Read, limits: Limits) -> Resolved:
    """A list of the user's own resource-lists document; all of them for "".

    Raises:
        NotFound: 404, it is not there.
    """
    key = document_key(usages.LISTS, watcher)
    found = _list_of(read, watcher, name)
    if found is None:
        raise NotFound("there is no such list")
    document, element = found
    return _resolved(expansion.expand(document, element, place_of(settings, watcher), read, limits), key)


def _list_of(read: expansion.Read, watcher: str, name: str) -> tuple[Document, Element] | None:
    wanted = DocumentSelector(usages.LISTS, Tree.USERS, watcher, "")
    reading = read(wanted)
    if reading.state is Availability.UNKNOWN:
        raise NotFetchedYet("the lists of the XCAP server are not known yet", [wanted])
    document = parsed(reading.body) if reading.is_there else None
    element = service.list_named(document, name) if document else None
    return (document, element) if document and element else None


def _resolved(expanded: Expanded, *keys: str) -> Resolved:
    documents = (*keys, *(_key(each) for each in expanded.documents))
    made_of = tuple(dict.fromkeys(documents))
    unknown = tuple(each for each in expanded.unknown if not isinstance(each, str))
    return Resolved(expanded.members, made_of, expanded.left_out, unknown, expanded.names, expanded.entries)


def _key(source: Source) -> str:
    return source if isinstance(source, str) else document_key(source.auid, source.xui)


def place_of(settings: Settings, owner: str) -> Place:
    """Where the documents of a user are, for the references in them."""
    realm = identity.realm(settings)

    def owner_named(xui: str) -> str:
        return access.owner_of(settings, realm, xui)

    return Place(owner, Root(settings.xcap.xcap_root or settings.xcap.root, realm.is_host, owner_named))


def _reader(at: Moment) -> Callable[[Source], Reading]:
    """Reads documents below our root; those elsewhere are nobody's whom the operator named, and are not fetched."""

    def read(source: Source) -> Reading:
        if isinstance(source, str):
            return Reading(Availability.MISSING)
        return fetched.document(at, source.auid, source.xui, source.name)

    return read
