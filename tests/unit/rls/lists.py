"""Lists for the tests of the resource list server, and a place where documents are: a dictionary."""

from html import escape

from kemi.rls import expansion
from kemi.rls.expansion import Expanded, Limits
from kemi.rls.reference import Source
from kemi.xcap import tree, uri
from kemi.xcap.constraints import Place
from kemi.xcap.errors import NotFound
from kemi.xcap.fetched_document import Availability, Reading
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Root
from kemi.xcap.tree import Document, Element

ALICE, BOB, CAROL, DAVE = (f"sip:{name}@example.org" for name in ("alice", "bob", "carol", "dave"))
ROOT = "/xcap-root"
HOST = "http://xcap.example.org"
LIMITS = Limits()


def entry(uri: str, *names: str) -> str:
    return f'<entry uri="{escape(uri)}">{"".join(f"<display-name>{escape(each)}</display-name>" for each in names)}</entry>'


def reference(ref: str, name: str = "") -> str:
    named = f"<display-name>{escape(name)}</display-name>" if name else ""
    return f'<entry-ref ref="{escape(ref)}">{named}</entry-ref>'


def external(anchor: str) -> str:
    return f'<external anchor="{escape(anchor)}"/>'


def listed(name: str, *inside: str) -> str:
    return f'<list name="{escape(name)}">{"".join(inside)}</list>'


def lists(*inside: str) -> bytes:
    return f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">{"".join(inside)}</resource-lists>'.encode()


def services(*inside: str) -> bytes:
    return (
        '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">'
        f"{''.join(inside)}</rls-services>"
    ).encode()


def anchor(owner: str, node: str = "", name: str = "index") -> str:
    """The absolute URI of a list below our root."""
    return f"{HOST}{ROOT}/{path(owner, node, name)}"


def path(owner: str, node: str = "", name: str = "index") -> str:
    """The same, relative to the root."""
    where = f"users/{owner}" if owner else "global"
    return f"resource-lists/{where}/{name}" + (node and f"/~~/resource-lists/{node}")


def selector(owner: str, name: str = "index") -> DocumentSelector:
    return DocumentSelector("resource-lists", Tree.USERS if owner else Tree.GLOBAL, owner, name)


def owner_of(xui: str) -> str:
    owner = uri.canonical(xui if ":" in xui else f"sip:{xui}")
    if uri.domain_of(owner) != "example.org":
        raise NotFound("nobody here")
    return owner


def place(owner: str = ALICE, root: str = ROOT) -> Place:
    return Place(owner, Root(root, lambda host: host in ("xcap.example.org", "example.org"), owner_of))


class Library:
    """Documents by where they are; None: not known yet. Notes what was asked for."""

    def __init__(self, documents: dict[Source, bytes | None] | None = None) -> None:
        self.documents = documents or {}
        self.asked: list[Source] = []

    def read(self, source: Source) -> Reading:
        self.asked.append(source)
        if source not in self.documents:
            return Reading(Availability.MISSING)
        body = self.documents[source]
        return Reading(Availability.UNKNOWN) if body is None else Reading(Availability.STALE, body)


def flat(library: Library, *inside: str, owner: str = ALICE, limits: Limits = LIMITS, root: str = ROOT) -> Expanded:
    """The flat list of a list with this content."""
    document, element = parsed(listed("it", *inside))
    return expansion.expand(document, element, place(owner, root), library.read, limits)


def parsed(*inside: str) -> tuple[Document, Element]:
    """A document of these lists, and the first of them."""
    document = tree.parse(lists(*inside))
    return document, document.root.children[0]


def uris(expanded: Expanded) -> list[str]:
    return [each.uri for each in expanded.members]
