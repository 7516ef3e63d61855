"""What a client wants to hear of: documents, collections of them, elements and attributes (pure; RFC 5875 sections 4.4 and 4.7).

    resource-lists/users/sip:alice@example.org/index                                        a document
    resource-lists/users/sip:alice@example.org/                                             all of a folder, and of those below
    resource-lists/users/sip:alice@example.org/index/~~/resource-lists/list%5b1%5d/@name    an element or an attribute
    http://example.org/xcap-root/pres-rules/users/sip:alice@example.org/index               the same as pres-rules/...

URIs are relative to the XCAP root; some clients begin them with a slash, or encode whole ones. One that names nothing here, or that
cannot be read, is nothing that there could be news of.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kemi.xcap import path, selector, uri, usages
from kemi.xcap.errors import XcapError
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.selector import NodeSelector

_URI = re.compile(
    r"(?P<server>https?://(?:[^/?#@]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/?#:@]+)(?::[0-9]*)?)?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?",
    re.IGNORECASE,
)


class Site(NamedTuple):
    """Where documents are.

    Args:
        root: path of the XCAP root.
        is_our_host: whether a host name is one of this server.
        owner_of: canonical URI of the user that an XUI names; raises XcapError for nobody here.
    """

    root: str
    is_our_host: Callable[[str], bool]
    owner_of: Callable[[str], str]


class Watched(NamedTuple):
    """One resource.

    Args:
        sel: its URI, as the client wrote it.
        folder: of a collection, all that its documents begin with (`names`); of anything else its document.
        document: with the canonical URI of the user; None: it is a collection.
        node: which element or attribute; None: the document, or a collection.
    """

    sel: str
    folder: tuple[str, ...]
    document: DocumentSelector | None = None
    node: NodeSelector | None = None

    def covers(self, document: DocumentSelector) -> bool:
        """Whether a change of this document is one of this resource, or may be."""
        return names(document)[: len(self.folder)] == self.folder

    def sel_of(self, document: DocumentSelector) -> str:
        """The URI of a document of this collection."""
        written = document._replace(xui=document.xui.replace("%", "%25"))
        return self.sel + "/".join(names(written)[len(self.folder) :])


def names(document: DocumentSelector) -> tuple[str, ...]:
    """The path of a document, cut into its names; the user's is canonical."""
    home = (document.xui,) if document.tree is Tree.USERS else ()
    return (document.auid, document.tree.value, *home, *document.name.split("/"))


def read(text: str, site: Site) -> list[Watched]:
    """What is wanted; `text` has a URI on each line."""
    return [watched for line in text.split("\n") for watched in _watched(line, site)]


def root_of(text: str, site: Site) -> str:
    """URI of the XCAP root, as the first URI that has one says; "" where none does."""
    for line in text.split("\n"):
        found = _URI.fullmatch(uri.plain(line))
        if found is not None and found["server"] and _below(found, site) is not None:
            return f"{found['server']}{site.root}/"
    return ""


def _watched(sel: str, site: Site) -> Iterator[Watched]:
    found = _URI.fullmatch(uri.plain(sel))
    below = None if found is None else _below(found, site)
    if found is None or not below:
        return
    try:
        is_collection = below.endswith("/") and "/~~/" not in below
        yield _collection(sel, below, site) if is_collection else _one(sel, below, found["query"] or "", site)
    except XcapError:
        return


def _below(found: re.Match[str], site: Site) -> str | None:
    """The path below the XCAP root, None if it is not below ours."""
    where = found["path"]
    if where.startswith(f"{site.root}/"):
        is_ours = found["server"] is None or site.is_our_host(found["host"].lower())
        return where[len(site.root) + 1 :] if is_ours else None
    return where.removeprefix("/") if found["server"] is None else None


def _one(sel: str, below: str, query: str, site: Site) -> Watched:
    parts = path.split(below)
    document = parts.document
    usage = usages.find(document.auid, document.tree)
    if document.tree is Tree.USERS:
        document = document._replace(xui=site.owner_of(document.xui))
    node = None if parts.node is None else selector.parse(parts.node, usage.namespace, query)
    return Watched(sel, names(document), document, node)


def _collection(sel: str, below: str, site: Site) -> Watched:
    folder = [path.normalised(each) for each in below.removesuffix("/").split("/")]
    if len(folder) > 2 and folder[1] == Tree.USERS:
        folder[2] = site.owner_of(path.decoded(below.split("/")[2]))
    return Watched(sel, tuple(folder))
