"""What a resource list holds: members, their names, and references to more (pure; RFC 4826 section 3).

Elements are taken in the namespaces of resource lists and of RLS services, and in none, as SER's documents have them (SER handbook
section 4.4). URIs are read as clients write them (`kemi.xcap.uri`): `bob%40example.org` is sip:bob@example.org.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from kemi import sip
from kemi.xcap import path, tree, uri
from kemi.xcap.constraints import RESOURCE_LISTS, RLS_SERVICES
from kemi.xcap.tree import Document, Element

Names = tuple[tuple[str, str], ...]
"""Display names, as (language or "", text)."""

SCHEMES: Final = ("sip", "sips", "pres")
"""URIs that can be subscribed to (RFC 4826 section 4.5)."""

ROOT, LIST, ENTRY, ENTRY_REF, EXTERNAL, NAME = "resource-lists", "list", "entry", "entry-ref", "external", "display-name"
_KINDS = {
    tree.expanded(namespace, name): name
    for namespace in (RESOURCE_LISTS, RLS_SERVICES, "")
    for name in (ROOT, LIST, ENTRY, ENTRY_REF, EXTERNAL, NAME)
}

REFERENCES: Final = frozenset({ENTRY_REF, EXTERNAL})

_XML_LANG = tree.expanded(tree.XML, "lang")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")


class Member(NamedTuple):
    """One resource of a list.

    Args:
        uri: as the list has it, decoded and with its scheme: what the subscriber is shown.
        resource: canonical; equal ones are one resource.
        names: of the list for it.
    """

    uri: str
    resource: str
    names: Names = ()


def member(text: str) -> Member | None:
    """The member that a URI in a list names; None: it is no URI that can be subscribed to."""
    resource = uri.canonical(text)
    return Member(_shown(text), resource) if uri.scheme_of(resource) in SCHEMES else None


def _shown(text: str) -> str:
    """Decoded where the client encoded what makes it a URI; an escape in the user part is part of the name."""
    plain = uri.plain(text)
    if "@" not in plain:
        plain = path.decoded(plain)
    return plain if uri.scheme_of(plain) else f"sip:{plain}"


def kind_of(element: Element) -> str:
    """What an element of a list is: one of the names above; "" for everything else."""
    return _KINDS.get(element.name, "")


def inside(element: Element) -> Iterator[Element]:
    """Entries and references of a list and of the lists in it, in the order of the document."""
    waiting = list(reversed(element.children))
    while waiting:
        each = waiting.pop()
        kind = kind_of(each)
        if kind == LIST:
            waiting += reversed(each.children)
        elif kind in REFERENCES or kind == ENTRY:
            yield each


def names_of(document: Document, element: Element) -> Names:
    """The display names of a list or an entry, each no longer than `sip.MAX_NAME`."""
    found = [each for each in element.children if kind_of(each) == NAME]
    names = ((_language(each), document.text_of(each)[: sip.MAX_NAME]) for each in found)
    return tuple((language, text) for language, text in names if text)


def _language(element: Element) -> str:
    value = element.attributes.get(_XML_LANG, "")
    return value if _LANGUAGE.fullmatch(value) else ""
