"""References in lists: which document, and which node of it (pure; RFC 4826 section 4.5, RFC 4825 section 6).

    entry-ref   ref="resource-lists/users/sip:bill@example.org/index/~~/resource-lists/list%5B1%5D/entry"    below our XCAP root
    external    anchor="http://xcap.example.org/resource-lists/users/sip:bill@example.org/index/~~/..."      absolute
    service     the text of its resource-list, as an anchor

What is below our XCAP root is a document selector, with the canonical URI of its user. Everything else is the URI of a document
without its node selector: documents are fetched whole, since not every server has selectors (SER handbook section 4.5). Equal nodes
have equal references.
"""

import re
from typing import NamedTuple

from kemi.xcap import path, root_uri
from kemi.xcap.constraints import Place
from kemi.xcap.errors import XcapError
from kemi.xcap.path import DocumentSelector
from kemi.xcap.root_uri import Below

Source = DocumentSelector | str
"""A document: one below our XCAP root, or the absolute URI of another."""

_HOST = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
_HTTP = re.compile(
    rf"(?P<server>https?://{_HOST}(?::[0-9]*)?)(?P<path>(?:/[^?#]*)?)(?:\?(?P<query>[!-\"$-~]*))?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_NODE_SEPARATOR = re.compile(r"/(?:~|%7[Ee]){2}(?:/|\Z)")


class Reference(NamedTuple):
    """A node of a document.

    Args:
        node: selector, percent-encoded, in normal form; "": all of the document.
        query: namespace bindings for it.
    """

    source: Source
    node: str = ""
    query: str = ""


def entry_reference(ref: str, place: Place) -> Reference | None:
    """What a relative reference names below our XCAP root; None: nothing that could be there."""
    where, _, query = ref.partition("?")
    return _below_root(Below("", f"/{where}", query), place)


def list_reference(anchor: str, place: Place) -> Reference | None:
    """What an absolute HTTP URI names; None: it is none, or below our XCAP root and of nothing that could be there."""
    below = root_uri.below(anchor, place.root)
    if below is not None:
        return _below_root(below, place)
    found = _HTTP.fullmatch(anchor)
    return None if found is None else _elsewhere(found["server"].lower(), found["path"], found["query"] or "")


def _below_root(below: Below, place: Place) -> Reference | None:
    try:
        found = root_uri.named(below, place.root)
        return Reference(found.document, _normal(found.node or ""), found.query)
    except XcapError:
        return None


def _elsewhere(server: str, where: str, query: str) -> Reference | None:
    document, *node = _NODE_SEPARATOR.split(where, maxsplit=1)
    try:
        found = Reference(server + _normal(document), _normal("".join(node)), query)
    except XcapError:
        return None
    return found if found.node or not query else Reference(f"{found.source}?{query}")


def _normal(where: str) -> str:
    return "/".join(map(path.normalised, where.split("/")))


def owner_of(source: Source) -> str | None:
    """Who wrote a document: canonical URI of a user; "" for the global tree; None for another server."""
    return None if isinstance(source, str) else source.xui
