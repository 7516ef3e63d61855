"""What makes one document of another: operations of RFC 5261, as RFC 5874 has them in a diff (pure).

Both documents become trees of nodes, texts among them; nodes with equal keys are equal with all that is in them. Children are
compared as sequences, from the end to the beginning, so that positions before an operation are still those of the old document:

    as many old nodes as new ones, of the same kinds    each becomes its new one, elements from inside
    others                                              old ones are removed, new ones added

Two texts never come to stand side by side, not even for a moment, because they would become one: of what is removed texts go
first, and where texts stand on both sides new nodes come before old ones go.

Nodes are found by their position alone, `*/*[2]/text()[1]`: no names in a selector, so no namespaces but those of attributes. What
stands before and behind the root element cannot be changed like that.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from enum import StrEnum
from hashlib import blake2b
from itertools import takewhile
from typing import NamedTuple

from lxml import etree

from kemi.xcap.diff_format import PREFIX
from kemi.xcap.errors import escaped
from kemi.xcap.tree import XML

MAX_COMPARED = 200
"""Children of one element, from the first to the last that differs, up to which is looked for equal ones among them."""

_MARKUP = re.compile("[&<>\r]")
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_NO_NAMESPACE = re.compile(rb"""xmlns\s*=\s*(?:""|'')""")


class _Kind(StrEnum):
    """A kind of node; the value selects nodes of this kind."""

    ELEMENT = "*"
    TEXT = "text()"
    COMMENT = "comment()"
    INSTRUCTION = "processing-instruction()"


class _Node(NamedTuple):
    """A node; `shell` is what an element has besides attributes and children, and text is written as in a document."""

    kind: _Kind
    key: bytes
    shell: tuple[object, ...] = ()
    children: Sequence["_Node"] = ()
    attributes: Mapping[str, str] = {}
    prefixes: Mapping[str, str] = {}
    source: etree._Element | None = None
    text: str = ""

    @property
    def written(self) -> str:
        """With the declarations of all namespaces that are in scope."""
        return self.text if self.source is None else str(etree.tostring(self.source, encoding="unicode", with_tail=False))


def between(old: bytes, new: bytes) -> str | None:
    """The operations that make `new` of `old`, two well-formed documents in UTF-8 without DOCTYPE.

    Returns:
        "" if they differ in nothing but how they are written; None if no operations are known.
    """
    if _NO_NAMESPACE.search(old + new):
        return None
    before, after = _whole(old), _whole(new)
    if before.outside != after.outside:
        return None
    return "".join(_replaced(before.root, after.root, _Kind.ELEMENT.value))


def is_same(old: bytes, new: bytes) -> bool:
    """Whether two documents differ in nothing but how they are written."""
    before, after = _whole(old), _whole(new)
    return (before.root.key, before.outside) == (after.root.key, after.outside)


# ---------------------------------------------------------------------------------------------------------------------
# Documents as trees


class _Whole(NamedTuple):
    """A document; `outside` is what stands around the root."""

    root: _Node
    outside: tuple[tuple[bytes, ...], ...]


def _whole(octets: bytes) -> _Whole:
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, collect_ids=False)
    root = etree.fromstring(octets, parser)
    around = (root.itersiblings(preceding=True), root.itersiblings())
    return _Whole(_node(root, {}), tuple(tuple(_node(each, {}).key for each in siblings) for siblings in around))


def _node(source: etree._Element, scope: Mapping[str, str]) -> _Node:
    """A node that is no text; `scope` is what is declared above it, by prefix, "" for the default."""
    if not isinstance(source.tag, str):
        kind = _Kind.COMMENT if source.tag is etree.Comment else _Kind.INSTRUCTION
        return _Node(kind, _key(kind, getattr(source, "target", ""), source.text), source=source)
    prefixes = {prefix or "": namespace for prefix, namespace in source.nsmap.items()}
    declared = tuple(sorted((prefix, namespace) for prefix, namespace in prefixes.items() if scope.get(prefix) != namespace))
    shell = (source.prefix, source.tag, declared)
    children = tuple(_children(source, prefixes))
    attributes = {str(name): str(value) for name, value in source.attrib.items()}
    key = _key(_Kind.ELEMENT, shell, sorted(attributes.items()), [each.key for each in children])
    return _Node(_Kind.ELEMENT, key, shell, children, attributes, prefixes, source)


def _children(source: etree._Element, scope: Mapping[str, str]) -> Iterator[_Node]:
    if source.text:
        yield _text(source.text)
    for each in source:
        yield _node(each, scope)
        if each.tail:
            yield _text(each.tail)


def _text(text: str) -> _Node:
    return _Node(_Kind.TEXT, _key(_Kind.TEXT, text), text=_MARKUP.sub(lambda found: _REFERENCES[found[0]], text))


def _key(*parts: object) -> bytes:
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


# ---------------------------------------------------------------------------------------------------------------------
# Operations


def _operation(name: str, sel: str, inside: str = "", **attributes: str) -> str:
    more = "".join(f' {key}="{escaped(value)}"' for key, value in attributes.items())
    return f'<{PREFIX}:{name} sel="{escaped(sel)}"{more}>{inside}</{PREFIX}:{name}>'


def _replaced(old: _Node, new: _Node, where: str) -> Iterator[str]:
    """One node becomes another of its kind."""
    if old.key == new.key:
        return
    if old.kind is _Kind.ELEMENT and old.shell == new.shell and (old.attributes == new.attributes or PREFIX not in old.prefixes):
        yield from _attributes(old, new, where)
        yield from _sequence(old.children, new.children, where)
    else:
        yield _operation("replace", where, new.written)


def _attributes(old: _Node, new: _Node, where: str) -> Iterator[str]:
    for name in sorted(old.attributes.keys() | new.attributes.keys()):
        before, after = old.attributes.get(name), new.attributes.get(name)
        if before == after:
            continue
        qualified, declaration = _attribute_name(name, old.prefixes)
        if after is None:
            yield _operation("remove", f"{where}/@{qualified}", **declaration)
        elif before is None:
            yield _operation("add", where, escaped(after), type=f"@{qualified}", **declaration)
        else:
            yield _operation("replace", f"{where}/@{qualified}", escaped(after), **declaration)


def _attribute_name(name: str, prefixes: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The name with a prefix that means the same in the document, and the declaration of that prefix."""
    found = etree.QName(name)
    if found.namespace is None:
        return found.localname, {}
    if found.namespace == XML:
        return f"xml:{found.localname}", {}
    prefix = next(each for each, namespace in prefixes.items() if each and namespace == found.namespace)
    return f"{prefix}:{found.localname}", {f"xmlns:{prefix}": found.namespace}


class _Siblings(NamedTuple):
    """The children of an element as they are in the old document, each with its number among those of its kind."""

    parent: str
    nodes: Sequence[_Node]
    numbers: Sequence[int]

    @classmethod
    def of(cls, parent: str, nodes: Sequence[_Node]) -> "_Siblings":
        count: Counter[_Kind] = Counter()
        numbers = []
        for each in nodes:
            count[each.kind] += 1
            numbers.append(count[each.kind])
        return cls(parent, nodes, numbers)

    def where(self, at: int, less: int = 0) -> str:
        """The selector of a node, when so many of its kind before it are gone."""
        return f"{self.parent}/{self.nodes[at].kind}[{self.numbers[at] - less}]"

    def is_text(self, at: int) -> bool:
        return 0 <= at < len(self.nodes) and self.nodes[at].kind is _Kind.TEXT

    def is_other(self, at: int) -> bool:
        """Whether there is a node, and it is no text."""
        return 0 <= at < len(self.nodes) and self.nodes[at].kind is not _Kind.TEXT


def _sequence(old: Sequence[_Node], new: Sequence[_Node], parent: str) -> Iterator[str]:
    """The children of an element, from the last to the first."""
    siblings = _Siblings.of(parent, old)
    for start, stop, new_start, new_stop in reversed(list(_differing(old, new))):
        gone, come = old[start:stop], new[new_start:new_stop]
        if [each.kind for each in gone] == [each.kind for each in come]:
            for at, (before, after) in enumerate(zip(gone, come, strict=True), start):
                yield from _replaced(before, after, siblings.where(at))
        elif come and siblings.is_text(start - 1) and siblings.is_text(stop):
            yield _operation("add", siblings.where(stop - 1), _written(come), pos="after")
            yield from _removed(siblings, range(start, stop))
        else:
            yield from _removed(siblings, range(start, stop))
            if come:
                yield _added(siblings, start, stop, come)


def _added(siblings: _Siblings, start: int, stop: int, come: Sequence[_Node]) -> str:
    """New nodes in the place of old ones, which are gone; at most one of the two neighbours is a text."""
    if siblings.is_other(start - 1):
        return _operation("add", siblings.where(start - 1), _written(come), pos="after")
    if siblings.is_other(stop):
        less = sum(each.kind is siblings.nodes[stop].kind for each in siblings.nodes[start:stop])
        return _operation("add", siblings.where(stop, less), _written(come), pos="before")
    return _operation("add", siblings.parent, _written(come), **({"pos": "prepend"} if siblings.is_text(stop) else {}))


def _removed(siblings: _Siblings, places: range) -> Iterator[str]:
    """Texts first, then the rest, each from the last to the first."""
    for at in sorted(places, key=lambda place: (not siblings.is_text(place), -place)):
        yield _operation("remove", siblings.where(at))


def _written(nodes: Iterable[_Node]) -> str:
    return "".join(each.written for each in nodes)


def _differing(old: Sequence[_Node], new: Sequence[_Node]) -> Iterator[tuple[int, int, int, int]]:
    """The ranges that differ, as start and stop among the old and among the new ones."""
    before, after = [each.key for each in old], [each.key for each in new]
    head = _equal(before, after)
    tail = _equal(before[head:][::-1], after[head:][::-1])
    middle, other = before[head : len(before) - tail], after[head : len(after) - tail]
    if max(len(middle), len(other)) > MAX_COMPARED:
        yield head, head + len(middle), head, head + len(other)
        return
    for word, start, stop, new_start, new_stop in SequenceMatcher(None, middle, other, autojunk=False).get_opcodes():
        if word != "equal":
            yield head + start, head + stop, head + new_start, head + new_stop


def _equal(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """How many are equal from the first on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
