"""The flat list: all members of a list and of what it refers to (pure; RFC 4826 section 4.5).

element     becomes                                              if that is not there    if it is something else
----------  ---------------------------------------------------  ----------------------  ------------------------
list        what is in it, in its place
entry       a member, unless its resource is one already
entry-ref   the entry that it names below the XCAP root          left out                502
external    what is in the list that it names, in its place      left out                502
service's   what is in the list that it names                    502                     502
link

An external, or a link, that names a list that was named before in the same traversal is a loop: 502. The same entry-ref in two
places is none. What is left out is told, for the log.

A reference below our XCAP root is read there and never fetched. It is followed only to documents that whoever wrote it may read;
all others are as if they were not there.

reference stands in a document of    leads to documents of
-----------------------------------  -----------------------------------------------------
a user                               this user, the global tree, other servers
the global tree                      everybody
another server                       the global tree, other servers

Whoever reads documents says of each whether it is known (`Reading`). One that is not yet known, because it has to be fetched first,
is named in the outcome, and its members are not in it.
"""

from collections.abc import Callable
from typing import NamedTuple

from kemi.errors import SipError
from kemi.rls import resource_list
from kemi.rls.reference import Reference, Source, entry_reference, list_reference, owner_of
from kemi.rls.resource_list import Member, Names
from kemi.rls.service import ServiceDefinition
from kemi.xcap import selector, tree, uri
from kemi.xcap.constraints import Place
from kemi.xcap.errors import XcapError
from kemi.xcap.fetched_document import Availability, Reading
from kemi.xcap.path import Tree
from kemi.xcap.selector import Target
from kemi.xcap.tree import Document, Element

Read = Callable[[Source], Reading]
"""What is known of a document. It is asked once for each in one expansion."""


class Limits(NamedTuple):
    """What one list may be made of.

    Args:
        entries: entries and references, those that are there twice as well.
        levels: references that one is reached by.
        documents: documents besides the one that has the list.
    """

    entries: int = 1000
    levels: int = 10
    documents: int = 50


class Expanded(NamedTuple):
    """A flat list.

    Args:
        members: each resource once, in the order of the list.
        names: display names of the list.
        documents: what it was made of besides the document that has it, in the order of first use: a change of one may change it.
        unknown: those of them that are not known yet; their members are missing.
        left_out: references that led nowhere, as they are written.
        entries: entries and references that it took (`Limits`).
    """

    members: tuple[Member, ...]
    names: Names = ()
    documents: tuple[Source, ...] = ()
    unknown: tuple[Source, ...] = ()
    left_out: tuple[str, ...] = ()
    entries: int = 0


class CannotExpand(SipError):
    """A list cannot be made flat.

    Args:
        documents: what was read so far: a change of one of them may change that.
        entries: entries and references that were looked at so far.
    """

    def __init__(self, detail: str, documents: tuple[Source, ...] = (), entries: int = 0) -> None:
        super().__init__(detail)
        self.documents = documents
        self.entries = entries


class BadGateway(CannotExpand):
    """502: a list refers to something that is no list, or to itself (RFC 4826 section 4.5)."""

    status, reason = 502, "Bad Gateway"


class ListTooLarge(CannotExpand):
    """403: a list is above the limits."""

    status, reason = 403, "Forbidden"


def expand(document: Document, element: Element, place: Place, read: Read, limits: Limits) -> Expanded:
    """The flat list of a list.

    Args:
        element: a list element, or the root of resource-lists.
        place: whose document it is ("" of the global tree), and which XCAP root is ours. The root of another server whose documents
            are read as ours is a URI.

    Raises:
        BadGateway: 502.
        ListTooLarge: 403.
    """
    traversal = _Traversal(place, read, limits)
    traversal.take(document, element, place.owner, 0)
    return traversal.outcome(resource_list.names_of(document, element))


def expand_link(uri: str, place: Place, read: Read, limits: Limits) -> Expanded:
    """The flat list of the list that a URI names; `place.owner` is who wrote the URI. Raises as above."""
    traversal = _Traversal(place, read, limits)
    found = traversal.list_at(uri, place.owner)
    if found is None and not traversal.unknown:
        raise traversal.refusal(BadGateway, "the list of the service is not there")
    if found is None:
        return traversal.outcome(())
    traversal.take(found.document, found.element, found.owner, 1)
    return traversal.outcome(resource_list.names_of(found.document, found.element))


def expand_service(document: Document, service: ServiceDefinition, place: Place, read: Read, limits: Limits) -> Expanded:
    """The flat list of a service. `place.owner` is whose service it is. Raises as above."""
    if service.element is None:
        return expand_link(service.link, place, read, limits)
    return expand(document, service.element, place, read, limits)


def way_into(way: tuple[str, ...], resource: str, levels: int) -> tuple[str, ...] | None:
    """The way to a list that is a member of a list (RFC 4662 section 7.4).

    Args:
        way: canonical URIs of the lists around it, the outermost first.
        resource: canonical URI of the member.
        levels: how many lists may be in each other.

    Returns:
        The way with the member; None: it is one of the lists around it, or too deep, and is not entered.
    """
    return None if resource in way or len(way) >= levels else (*way, resource)


# ---------------------------------------------------------------------------------------------------------------------
# Traversal


class _Found(NamedTuple):
    """An element in its document, and who wrote that: canonical URI, "" for the global tree, None for another server."""

    document: Document
    element: Element
    owner: str | None


class _Traversal:
    """What one traversal has found so far."""

    def __init__(self, place: Place, read: Read, limits: Limits) -> None:
        self._place = place
        self._read = read
        self._limits = limits
        self._entries = 0
        self._members: dict[str, Member] = {}
        self._documents: dict[Source, Document | None] = {}
        self._named: set[Reference] = set()
        self._left_out: list[str] = []
        self.unknown: list[Source] = []

    def outcome(self, names: Names) -> Expanded:
        """What the list is."""
        members = tuple(self._members.values())
        return Expanded(members, names, tuple(self._documents), tuple(self.unknown), tuple(self._left_out), self._entries)

    def refusal(self, kind: type[CannotExpand], detail: str) -> CannotExpand:
        """Why it cannot be said."""
        return kind(detail, tuple(self._documents), self._entries)

    def take(self, document: Document, element: Element, owner: str | None, level: int) -> None:
        """All that is in a list, in its order.

        Args:
            owner: who wrote it, as in `_Found`.
            level: how many references led to it.
        """
        if level > self._limits.levels:
            raise self.refusal(ListTooLarge, f"lists refer to each other more than {self._limits.levels} levels deep")
        for each in resource_list.inside(element):
            self._entries += 1
            if self._entries > self._limits.entries:
                raise self.refusal(ListTooLarge, f"the list has more than {self._limits.entries} entries")
            match resource_list.kind_of(each):
                case resource_list.ENTRY:
                    self._add(document, each, ())
                case resource_list.ENTRY_REF:
                    self._take_entry(document, each, owner)
                case resource_list.EXTERNAL:
                    self._take_list(each, owner, level)

    def _add(self, document: Document, entry: Element, names: Names) -> None:
        found = resource_list.member(entry.attributes.get("uri", ""))
        if found is not None and found.resource not in self._members:
            self._members[found.resource] = found._replace(names=names or resource_list.names_of(document, entry))

    def _take_entry(self, document: Document, element: Element, owner: str | None) -> None:
        """The names of the reference are nearer to the list than those of the entry."""
        text = uri.plain(element.attributes.get("ref", ""))
        found = self._at(entry_reference(text, self._place), owner, text)
        if found is not None and resource_list.kind_of(found.element) != resource_list.ENTRY:
            raise self.refusal(BadGateway, "an entry-ref in the list names something that is no entry")
        if found is not None:
            self._add(found.document, found.element, resource_list.names_of(document, element))

    def _take_list(self, external: Element, owner: str | None, level: int) -> None:
        found = self.list_at(external.attributes.get("anchor", ""), owner)
        if found is not None:
            self.take(found.document, found.element, found.owner, level + 1)

    def list_at(self, text: str, owner: str | None) -> _Found | None:
        """The list that a URI names; None: it is not there, or not known."""
        text = uri.plain(text)
        named = list_reference(text, self._place)
        if named is not None and named in self._named:
            raise self.refusal(BadGateway, "the list refers to a list twice, or to itself")
        if named is not None:
            self._named.add(named)
        found = self._at(named, owner, text)
        if found is not None and resource_list.kind_of(found.element) not in (resource_list.LIST, resource_list.ROOT):
            raise self.refusal(BadGateway, "the list refers to something that is no list")
        return found

    def _at(self, named: Reference | None, owner: str | None, text: str) -> _Found | None:
        """The element that is named, if whoever wrote that may read it."""
        if named is not None and _may_read(owner, named.source):
            document = self._document(named.source)
            element = None if document is None else _selected(document, named)
            if document is not None and element is not None:
                return _Found(document, element, owner_of(named.source))
            if named.source in self.unknown:
                return None
        self._left_out.append(text)
        return None

    def _document(self, source: Source) -> Document | None:
        if source in self._documents:
            return self._documents[source]
        if len(self._documents) == self._limits.documents:
            raise self.refusal(ListTooLarge, f"the list is made of more than {self._limits.documents} documents")
        reading = self._read(source)
        self._documents[source] = None
        if reading.state is Availability.UNKNOWN:
            self.unknown.append(source)
        elif reading.is_there:
            self._documents[source] = self._parsed(reading.body)
        return self._documents[source]

    def _parsed(self, body: bytes) -> Document:
        try:
            return tree.parse(body)
        except XcapError:
            raise self.refusal(BadGateway, "the list refers to a document that cannot be read") from None


def _selected(document: Document, named: Reference) -> Element | None:
    """The element that the selector selects. Names without prefix are of the namespace of the root, which may be none."""
    if not named.node:
        return document.root
    try:
        wanted = selector.parse(named.node, document.root.name.rpartition("\n")[0], named.query)
    except XcapError:
        return None
    selected = wanted.elements(document.root)
    return selected[0] if len(selected) == 1 and wanted.target is Target.ELEMENT else None


def _may_read(owner: str | None, source: Source) -> bool:
    return isinstance(source, str) or source.tree is Tree.GLOBAL or owner in ("", source.xui)
