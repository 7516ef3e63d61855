"""What a client wants to hear of: documents, collections of them, elements and attributes (pure; RFC 5875 sections 4.4 and 4.7).

    resource-lists/users/sip:alice@example.org/index                                        a document
    resource-lists/users/sip:alice@example.org/                                             all of a folder, and of those below
    resource-lists/users/sip:alice@example.org/index/~~/resource-lists/list%5b1%5d/@name    an element or an attribute
    http://example.org/xcap-root/pres-rules/users/sip:alice@example.org/index               the same as pres-rules/...

URIs are relative to the XCAP root; some clients begin them with a slash, or encode whole ones. One that names nothing here, or that
cannot be read, is nothing that there could be news of.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kemi.xcap import path, root_uri, selector, uri, usages
from kemi.xcap.errors import XcapError
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Below, Root
from kemi.xcap.selector import NodeSelector


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


def read(text: str, root: Root) -> list[Watched]:
    """What is wanted; `text` has a URI on each line."""
    return [watched for line in text.split("\n") for watched in _watched(line, root)]


def root_of(text: str, root: Root) -> str:
    """URI of the XCAP root, as the first URI that has one says; "" where none does."""
    found = (root_uri.below(uri.plain(line), root) for line in text.split("\n"))
    return next((f"{each.server}{root.path}/" for each in found if each is not None), "")


def _watched(sel: str, root: Root) -> Iterator[Watched]:
    text = uri.plain(sel)
    below = root_uri.resolved(text, root)
    if below is None or below.path == "/":
        return
    try:
        is_collection = below.path.endswith("/") and "/~~/" not in below.path and text.endswith(below.path[1:])
        yield _collection(sel, below, root) if is_collection else _one(sel, below, root)
    except XcapError:
        return


def _one(sel: str, below: Below, root: Root) -> Watched:
    found = root_uri.named(below, root)
    usage = usages.find(found.document.auid, found.document.tree)
    node = None if found.node is None else selector.parse(found.node, usage.namespace, found.query)
    return Watched(sel, names(found.document), found.document, node)


def _collection(sel: str, below: Below, root: Root) -> Watched:
    segments = below.path[1:-1].split("/")
    folder = [path.normalised(each) for each in segments]
    if len(folder) > 2 and folder[1] == Tree.USERS:
        folder[2] = root.owner_of(path.decoded(segments[2]))
    return Watched(sel, tuple(folder))
