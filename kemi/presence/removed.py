"""What the transformations of rules took out of a presence document, for people (pure; RFC 5025 section 3.3).

Both documents are compared as they are: the composed one, and what `privacy.filtered` made of it. Values are not told, only what
is missing, and the permission that would have kept it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lxml import etree

from kemi.presence import pidf, privacy
from kemi.presence.outline import name_of
from kemi.presence.pidf import DEVICE, NOTE, PERSON, STATUS, TUPLE

ALL = "everything"

_COMPONENTS: Mapping[str, str] = {TUPLE: "provide-services", PERSON: "provide-persons", DEVICE: "provide-devices"}
_NOTHING = "no permission is about it"


class Removed(NamedTuple):
    """Something that the watcher does not see.

    Args:
        part: the component, as `tuple t1`, or `presence`.
        element: what is missing of it, with the names of what is inside, or an attribute; ALL: the whole component.
        needs: what a rule would have to grant, by its names in rules.
    """

    part: str
    element: str
    needs: str


def removed(before: bytes, after: bytes) -> list[Removed]:
    """What is in one document and not in the other, in document order.

    Args:
        before: as `composition.compose` made it; b"": nothing.
        after: what is shown of it; b"": nothing.
    """
    left = list(_children(pidf.tree(after))) if after else []
    found: list[Removed] = []
    for child in _children(pidf.tree(before)) if before else ():
        if left and _is_same(child, left[0]):
            found += _inside(child, left.pop(0))
        else:
            found.append(_whole(child))
    return found


def _children(element: etree._Element) -> Iterator[etree._Element]:
    yield from element.iterchildren(etree.Element)


def _is_same(one: etree._Element, other: etree._Element) -> bool:
    """Filtering leaves ids and the order as they are; what has no id is as it was."""
    return (one.tag, one.get("id")) == (other.tag, other.get("id")) and (one.tag in _COMPONENTS or one.text == other.text)


def _whole(child: etree._Element) -> Removed:
    if child.tag in _COMPONENTS:
        return Removed(_part(child), ALL, _COMPONENTS[child.tag])
    return Removed("presence", name_of(child), "provide-note, all-persons" if child.tag == NOTE else _NOTHING)


def _part(component: etree._Element) -> str:
    return f"{etree.QName(component).localname} {component.get('id') or ''}".rstrip()


def _inside(before: etree._Element, after: etree._Element) -> list[Removed]:
    """What is missing inside of a component; all elements of one name share one fate (`privacy`)."""
    if before.tag not in _COMPONENTS:
        return []
    part, kind = _part(before), str(before.tag)
    found: list[Removed] = []
    for one, other in ((before, after), (before.find(STATUS), after.find(STATUS))):
        found += _missing(one, other, part, kind)
    return found


def _missing(before: etree._Element | None, after: etree._Element | None, part: str, kind: str) -> Iterator[Removed]:
    if before is None:
        return
    kept = defaultdict[str, list[etree._Element]](list)
    for each in () if after is None else _children(after):
        kept[each.tag].append(each)
    for child in _children(before):
        needs = privacy.needed(child.tag, kind)
        if not kept[child.tag]:
            yield Removed(part, name_of(child), needs)
        elif child.tag != STATUS and (gone := _reduced(child, kept[child.tag].pop(0))):
            yield Removed(part, f"{etree.QName(child).localname}: {' '.join(gone)}", needs)


def _reduced(before: etree._Element, after: etree._Element) -> list[str]:
    """What is missing of an attribute that is shown in part, as user-input may be."""
    attributes = sorted(str(name) for name in set(before.attrib) - set(after.attrib))
    left = {each.tag for each in _children(after)}
    return [*(f"@{name}" for name in attributes), *(name_of(each) for each in _children(before) if each.tag not in left)]
