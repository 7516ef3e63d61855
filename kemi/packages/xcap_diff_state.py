"""What there is of the documents, elements and attributes that somebody watches (RFC 5875 sections 4.7 and 7).

Only what the watcher may read by XCAP is there for it (`kemi.xcap.access`): own documents, and those for everybody. Lists of a
user's documents are not: a collection tells the same.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kemi.moment import Moment
from kemi.xcap import access, diff_store, edit, generated, tree, usages
from kemi.xcap.errors import XcapError
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.selector import NodeSelector, Target
from kemi.xcap.usages import Generated
from kemi.xcap.watched import Watched


class Shown(NamedTuple):
    """A resource as it is.

    Args:
        mark: its entity-tag; of an element or attribute what names its content.
        document: which one; None: an element or attribute.
        inside: what is told of an element or attribute.
    """

    mark: str
    document: DocumentSelector | None = None
    inside: str = ""


State = Mapping[str, Shown]
"""What there is of what is watched, by URI."""


class Readable:
    """Documents as they are while documents about them are made; each is read at most once.

    Args:
        users: canonical URIs of who watches.
        resources: what they watch.
    """

    def __init__(self, at: Moment, users: Sequence[str], resources: Sequence[Watched]) -> None:
        self._settings = at.settings
        self._tags = diff_store.entity_tags(at.database, users)
        named = {each.document for each in resources if each.document is not None}
        inside = [each.document for each in resources if each.node is not None and each.document in self._tags]
        self._bodies = diff_store.bodies(at.database, sorted({each for each in inside if each is not None})) if inside else {}
        self._trees: dict[DocumentSelector, tree.Document] = {}
        for document in named:
            made = made_of(document)
            if made in (Generated.CAPABILITIES, Generated.SERVICES):
                stored = generated.document(at, usages.USAGES[document.auid], document, made, "")
                self._tags[document], self._bodies[document] = stored.etag, stored.body

    def state(self, resources: Sequence[Watched], watcher: str) -> State:
        """What there is of these for this watcher; a document that is listed is not told as one of a collection again."""
        listed = {each.document for each in resources if each.node is None}
        found: dict[str, Shown] = {}
        for each in resources:
            found |= dict(self._collection(each, watcher, listed) if each.document is None else self._one(each, watcher))
        return found

    def _one(self, resource: Watched, watcher: str) -> Iterator[tuple[str, Shown]]:
        document = resource.document
        if document is None or not self._may_read(document, watcher):
            return
        if resource.node is None:
            yield resource.sel, Shown(self._tags[document], document)
        elif resource.node.target is not Target.NAMESPACES:
            yield from self._component(resource.sel, document, resource.node)

    def _component(self, sel: str, document: DocumentSelector, node: NodeSelector) -> Iterator[tuple[str, Shown]]:
        if document not in self._trees:
            self._trees[document] = tree.parse(self._bodies[document])
        try:
            inside = edit.standalone(self._trees[document], node)
        except XcapError:
            return
        yield sel, Shown(hashlib.blake2b(inside.encode(), digest_size=8).hexdigest(), None, inside)

    def _collection(self, resource: Watched, watcher: str, listed: set[DocumentSelector | None]) -> Iterator[tuple[str, Shown]]:
        for document, etag in self._tags.items():
            is_another = document not in listed and made_of(document) is None
            if is_another and resource.covers(document) and self._may_read(document, watcher):
                yield resource.sel_of(document), Shown(etag, document)

    def _may_read(self, document: DocumentSelector, watcher: str) -> bool:
        try:
            access.require(self._settings, document, made_of(document), (watcher,), is_write=False)
        except XcapError:
            return False
        return document in self._tags


def made_of(document: DocumentSelector) -> Generated | None:
    """Whether the server makes it."""
    usage = usages.USAGES.get(document.auid)
    return None if usage is None else usage.made.get((document.tree, document.name))


def may_be_for_everybody(resource: Watched) -> bool:
    """Whether somebody else than the watcher could change it."""
    made = None if resource.document is None else made_of(resource.document)
    return resource.folder[1:2] != (Tree.USERS.value,) and made is not Generated.CAPABILITIES
