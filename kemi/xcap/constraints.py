"""What application usages ask of documents beyond their schemas (pure; RFC 4826 sections 3.4.5 and 4.4.5, RFC 4827 section 5).

resource-lists    name of list, uri of entry, ref of entry-ref, anchor of external: unique among siblings
                  ref: a relative path without leading "/"; anchor: an absolute HTTP URI
rls-services      uri of service: unique in the document, and a SIP URI; over all documents: `services`
                  resource-list: in the owner's own resource-lists on this server
                  lists inside of services: as in resource-lists

Values are compared as text, case-sensitively, as the RFC has it. Some clients percent-encode whole URIs: what a URI is, is asked
of the decoded one. Nothing that a document refers to is fetched.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lxml import etree

from kemi import sip
from kemi.xcap import root_uri, uri
from kemi.xcap.errors import ConstraintFailure, Exists, UniquenessFailure
from kemi.xcap.path import Tree
from kemi.xcap.root_uri import Root

RESOURCE_LISTS = "urn:ietf:params:xml:ns:resource-lists"
RLS_SERVICES = "urn:ietf:params:xml:ns:rls-services"
"""Namespaces of the documents."""

SERVICE = f"{{{RLS_SERVICES}}}service"
_RESOURCE_LIST = f"{{{RLS_SERVICES}}}resource-list"
_LISTS = (f"{{{RESOURCE_LISTS}}}list", f"{{{RLS_SERVICES}}}list")
_ENTRY = f"{{{RESOURCE_LISTS}}}entry"
_UNIQUE = {
    **dict.fromkeys(_LISTS, "name"),
    _ENTRY: "uri",
    f"{{{RESOURCE_LISTS}}}entry-ref": "ref",
    f"{{{RESOURCE_LISTS}}}external": "anchor",
}
"""The attribute that no two siblings share, by element."""

_NOT_ENTRIES = tuple(_UNIQUE.keys() - {_ENTRY})

_RELATIVE = re.compile(r"(?![A-Za-z][A-Za-z0-9+.-]*:)[^/].*", re.DOTALL)


class Place(NamedTuple):
    """Where a document is.

    Args:
        owner: canonical URI of the user; "" below global.
        root: the XCAP root that it is below.
    """

    owner: str
    root: Root


Check = Callable[[etree._Element, Place], None]
"""Looks at the root of a valid document; raises ConstraintFailure or UniquenessFailure, 409."""


def none(_root: etree._Element, _place: Place) -> None:
    """The schema says all."""


def resource_lists(root: etree._Element, _place: Place) -> None:
    """RFC 4826 section 3.4.5."""
    _check_lists([root, *root.iter(*_LISTS)])


def rls_services(root: etree._Element, place: Place) -> None:
    """RFC 4826 section 4.4.5, but for what other documents have."""
    seen: set[str] = set()
    for service in root.iterchildren(SERVICE):
        found = service_uri(service.get("uri", ""))
        if not found:
            raise ConstraintFailure("the uri of a service is no SIP URI")
        if found in seen:
            raise _not_unique(service, "uri")
        seen.add(found)
    for link in root.iter(_RESOURCE_LIST):
        if not _is_own_list(uri.plain(link.text or ""), place):
            raise ConstraintFailure("a resource-list is no URI of a list that the owner has on this server")
    _check_lists([*root.iterchildren(SERVICE), *root.iter(*_LISTS)])


def service_uri(text: str) -> str:
    """The canonical URI of a service, with the scheme sip; "" if it is none that SIP could ask for.

    Args:
        text: any form of it, as `uri` of a service or a Request-URI.
    """
    scheme, _, rest = uri.canonical(text).partition(":")
    return f"sip:{rest}" if scheme in sip.SCHEMES and "@" in rest else ""


def field_of(element: etree._Element, attribute: str) -> str:
    """The attribute as node selector relative to the document, for `Exists`."""
    own = etree.QName(element.getroottree().getroot()).namespace
    return "/".join([*(_step(each, own) for each in reversed([element, *element.iterancestors()])), f"@{attribute}"])


def _step(element: etree._Element, own: str | None) -> str:
    """By name; one that is of another namespace than the document, which a selector would have to bind, by position alone."""
    name = etree.QName(element)
    parent = element.getparent()
    siblings = [] if parent is None else list(parent.iterchildren(element.tag if name.namespace == own else "*"))
    number = f"%5B{siblings.index(element) + 1}%5D" if len(siblings) > 1 or name.namespace != own else ""
    return (name.localname if name.namespace == own else "*") + number


def _check_lists(lists: Iterable[etree._Element]) -> None:
    """Most lists are long and have nothing but entries that differ, which takes less to see."""
    for each in lists:
        uris = [entry.get("uri") for entry in each.iterchildren(_ENTRY)]
        if len(set(uris)) < len(uris) or next(each.iterchildren(*_NOT_ENTRIES), None) is not None:
            _check_list(each)


def _check_list(one: etree._Element) -> None:
    seen: set[tuple[str, str]] = set()
    for child in one:
        attribute = _UNIQUE.get(child.tag)
        value = None if attribute is None else child.get(attribute)
        if attribute is None or value is None:
            continue
        if (child.tag, value) in seen:
            raise _not_unique(child, attribute)
        seen.add((child.tag, value))
        _check_reference(attribute, value)


def _check_reference(attribute: str, value: str) -> None:
    if attribute == "ref" and not _RELATIVE.fullmatch(uri.plain(value)):
        raise ConstraintFailure("the ref of an entry-ref is no relative path without leading slash")
    if attribute == "anchor" and not root_uri.is_http(uri.plain(value)):
        raise ConstraintFailure("the anchor of an external is no absolute HTTP URI")


def _not_unique(element: etree._Element, attribute: str) -> UniquenessFailure:
    name = etree.QName(element).localname
    return UniquenessFailure([Exists(field_of(element, attribute))], f"two of the same {attribute} in {name} elements")


def _is_own_list(text: str, place: Place) -> bool:
    found = root_uri.read(text, place.root)
    return found is not None and found.document[:3] == ("resource-lists", Tree.USERS, place.owner)
