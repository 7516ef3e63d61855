"""The members of a resource list that a rule refers to (pure; OMA-TS-XDM_Core section 6.6.2.3, RFC 4826 section 3).

A rule names the list by its URI in the XCAP tree, its anchor: `http://.../resource-lists/users/sip:alice@example.org/index/~~/
resource-lists/list[@name="friends"]`, percent-encoded or not, or a whole document. Members are the entries of the list and of the
lists in it. Lists and entries that it refers to (`external`, `entry-ref`) are members too; `union` follows them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from kemi.xcap import selector, tree, uri
from kemi.xcap.constraints import RESOURCE_LISTS
from kemi.xcap.errors import XcapError
from kemi.xcap.selector import Target
from kemi.xcap.tree import Element

MAX_LISTS = 100
"""Lists that one may refer to, directly or not; what is beyond is not known."""

_ROOT, _LIST, _ENTRY = (tree.expanded(RESOURCE_LISTS, name) for name in ("resource-lists", "list", "entry"))
_REFERENCES = {tree.expanded(RESOURCE_LISTS, name): attribute for name, attribute in (("external", "anchor"), ("entry-ref", "ref"))}


class Members(NamedTuple):
    """Who is in a list.

    Args:
        uris: canonical.
        references: further lists and entries, as the anchors of rules are written; an entry-ref without the XCAP root.
        is_complete: False: there may be others, who are not known.
    """

    uris: frozenset[str]
    references: frozenset[str] = frozenset()
    is_complete: bool = True

    def has(self, identity: str) -> bool | None:
        """Whether somebody is a member; None: that cannot be said."""
        return True if identity in self.uris else False if self.is_complete else None


NOBODY = Members(frozenset())
UNKNOWN = Members(frozenset(), is_complete=False)


@lru_cache(maxsize=256)
def members(body: bytes, node: str, query: str = "") -> Members:
    """Who is in a list; kept by content, so it cannot be stale.

    Args:
        body: the document.
        node: percent-encoded selector of the list, "" for all of the document.
        query: namespace bindings for it.
    """
    try:
        selected = _selected(tree.parse(body).root, node, query)
    except XcapError:
        return UNKNOWN
    if len(selected) > 1:
        return UNKNOWN
    return _members(selected[0]) if selected else NOBODY


def _selected(root: Element, node: str, query: str) -> Sequence[Element]:
    """What the selector selects: one element, if it is a good selector and the list is there."""
    if not node:
        return (root,)
    wanted = selector.parse(node, RESOURCE_LISTS, query)
    return wanted.elements(root) if wanted.target is Target.ELEMENT else ()


def _members(selected: Element) -> Members:
    uris: set[str] = set()
    references: set[str] = set()
    waiting = [selected]
    while waiting:
        element = waiting.pop()
        if element.name in (_ROOT, _LIST):
            waiting += element.children
        elif element.name == _ENTRY:
            uris.add(uri.canonical(element.attributes.get("uri", "")))
        elif element.name in _REFERENCES:
            references.add(uri.plain(element.attributes.get(_REFERENCES[element.name], "")))
    return Members(frozenset(uris - {""}), frozenset(references))


def union(anchor: str, find: Callable[[str], Members]) -> Members:
    """Who is in a list and in all that it refers to, directly or not.

    Args:
        find: what one list has.
    """
    first = find(anchor)
    if not first.references:
        return first
    seen, waiting, found = {anchor}, [anchor], []
    while waiting and len(seen) <= MAX_LISTS:
        found.append(find(waiting.pop()))
        new = found[-1].references - seen
        seen |= new
        waiting += new
    is_complete = not waiting and all(each.is_complete for each in found)
    return Members(frozenset[str]().union(*(each.uris for each in found)), is_complete=is_complete)
