"""GET, PUT and DELETE of elements and attributes, as splices of the document's octets (pure; RFC 4825 sections 8.2 to 8.4).

A change replaces one range of octets and leaves all others as they are: white space, comments, spelling of references, order
and quotes of attributes. The rule for every change is that the URI still means the same afterwards: GET after PUT gives the
body, GET after DELETE gives nothing. It is checked on the siblings as they would be, before anything is spliced; steps above
them select by names, attributes and positions that no change below touches.

Where a new element goes (section 8.2.3): without a position behind the last sibling of its name, with position n behind the
(n-1)th element that the name test counts, for n = 1 before the first. If there is no such sibling: behind all other nodes.
Schemas have no say in this; whoever stores the result validates it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kemi.xcap.errors import (
    CannotDelete,
    CannotInsert,
    MethodNotAllowed,
    NoParent,
    NotFound,
    NotWellFormed,
    NotXmlAttValue,
    SchemaValidationError,
    escaped,
)
from kemi.xcap.selector import AttributeName, NodeSelector, Step, Target
from kemi.xcap.tree import (
    MAX_DEPTH,
    XMLNS,
    Document,
    Element,
    attribute_value,
    check_size,
    declarations,
    free_prefix,
    parse,
    parse_fragment,
    scope_of,
    utf8,
)

_WHITE_SPACE = " \t\r\n"
_QUOTES = ('"', "'")


class Edited(NamedTuple):
    """What PUT makes of a document.

    Args:
        octets: the new document.
        created: the node was not there before (201), else it was replaced (200).
    """

    octets: bytes
    created: bool


def get(document: Document, selector: NodeSelector) -> bytes:
    """What a selector selects, of the media type `selector.target` (RFC 4825 section 8.3).

    Returns:
        An element exactly as it is written. An attribute's value as it is written, with its quotes. For namespace::* an
        empty element of the same name with all declarations that are in scope (section 10).

    Raises:
        NotFound: 404, nothing or more than one node.
    """
    trail = _found(document, selector)
    if selector.target is Target.ELEMENT:
        return document.written(trail[-1])
    if selector.attribute is None:
        return f"<{document.tag_name(trail[-1]).decode()}{declarations(scope_of(trail))}/>".encode()
    written = document.attribute(trail[-1], selector.attribute.expanded, scope_of(trail))
    if written is None:
        raise NotFound("the element has no such attribute")
    return written[2]


def standalone(document: Document, selector: NodeSelector) -> str:
    """What a selector selects, as it can stand in another document (RFC 5874 section 3).

    Returns:
        An element with all declarations that are in scope; the value of an attribute, its markup escaped.

    Raises:
        NotFound: 404, nothing or more than one node, or namespace bindings.
    """
    trail = _found(document, selector)
    element = trail[-1]
    if selector.target is Target.ELEMENT:
        name, written = document.tag_name(element), document.written(element)
        missing = {prefix: each for prefix, each in scope_of(trail[:-1]).items() if prefix not in element.declared}
        behind = len(b"<" + name)
        return (written[:behind] + declarations(missing).encode() + written[behind:]).decode()
    if selector.attribute is None or selector.attribute.expanded not in element.attributes:
        raise NotFound("the element has no such attribute")
    return escaped(element.attributes[selector.attribute.expanded])


def put(document: Document, selector: NodeSelector, body: bytes) -> Edited:
    """Create or replace an element or an attribute (RFC 4825 section 8.2).

    Args:
        document: the document as it is.
        selector: where the body goes.
        body: an element, or an attribute value with its quotes. White space around it is left out; a value without quotes
            is taken too, and gets some.

    Raises:
        NoParent: 409, the parent does not exist, or the selector does not tell which one.
        NotUtf8, NotXmlFrag, NotXmlAttValue: 409, the body is not what it should be.
        CannotInsert: 409, GET would not return the body.
        MethodNotAllowed: 405, namespace bindings.
        ContentTooLarge: 413, the new document would be above the limits.
    """
    if selector.target is Target.NAMESPACES:
        raise _only_get()
    edited = _put_element(document, selector, body) if selector.attribute is None else _put_attribute(document, selector, body)
    check_size(edited.octets)
    return edited


def delete(document: Document, selector: NodeSelector) -> bytes:
    """Remove an element or an attribute (RFC 4825 section 8.4).

    Returns:
        The new document. White space around an element stays; an attribute takes the white space before it along.

    Raises:
        NotFound: 404, nothing or more than one node.
        CannotDelete: 409, the selector would select another node afterwards.
        SchemaValidationError: 409, the root element: a document has one.
        MethodNotAllowed: 405, namespace bindings.
    """
    if selector.target is Target.NAMESPACES:
        raise _only_get()
    trail = _found(document, selector)
    if selector.attribute is None:
        return _without_element(document, selector.steps[-1], trail)
    written = document.attribute(trail[-1], selector.attribute.expanded, scope_of(trail))
    if written is None:
        raise NotFound("the element has no such attribute")
    return _spliced(document, written.start(), written.end(), b"")


def _only_get() -> MethodNotAllowed:
    return MethodNotAllowed(["GET"], "namespace bindings can only be read")


def _spliced(document: Document, start: int, end: int, octets: bytes) -> bytes:
    return document.octets[:start] + octets + document.octets[end:]


# ---------------------------------------------------------------------------------------------------------------------
# Finding


def _locate(document: Document, steps: Sequence[Step]) -> list[Element]:
    """The element of each step, from the root on, as far as each step selects exactly one."""
    trail: list[Element] = []
    siblings: Sequence[Element] = (document.root,)
    for step in steps:
        selected = step.matching(siblings)
        if len(selected) != 1:
            break
        trail.append(selected[0])
        siblings = selected[0].children
    return trail


def _found(document: Document, selector: NodeSelector) -> list[Element]:
    trail = _locate(document, selector.steps)
    if len(trail) < len(selector.steps):
        raise NotFound(f"step {len(trail) + 1} of the node selector does not select exactly one element")
    return trail


def _parent(document: Document, selector: NodeSelector, steps: Sequence[Step]) -> list[Element]:
    trail = _locate(document, steps)
    if len(trail) < len(steps):
        detail = f"step {len(trail) + 1} of the node selector does not select exactly one element"
        raise NoParent(detail, selector.uri_of(len(trail)))
    return trail


# ---------------------------------------------------------------------------------------------------------------------
# Elements


def _put_element(document: Document, selector: NodeSelector, body: bytes) -> Edited:
    *above, step = selector.steps
    trail = _parent(document, selector, above)
    body = body.strip(_WHITE_SPACE.encode())
    element = parse_fragment(body, scope_of(trail), MAX_DEPTH - len(trail))
    siblings = list(trail[-1].children) if trail else [document.root]
    selected = step.matching(siblings)
    if len(selected) == 1:
        old = selected[0]
        at = _index(siblings, old)
        _check_put(step, [*siblings[:at], element, *siblings[at + 1 :]], element)
        return Edited(_spliced(document, old.start, document.behind(old), body), False)
    if not trail:
        raise CannotInsert("a document has one root element")
    place = _place(step, siblings, element)
    _check_put(step, [*siblings[: place.at], element, *siblings[place.at :]], element)
    return Edited(_inserted(document, trail[-1], siblings, place, body), True)


def _check_put(step: Step, siblings: Sequence[Element], element: Element) -> None:
    """The last step has to select the new element among the siblings as they will be, and it alone."""
    selected = step.matching(siblings)
    if len(selected) != 1 or selected[0] is not element:
        raise CannotInsert("the node selector would not select the element of the body")


def _index(siblings: Sequence[Element], element: Element) -> int:
    """By identity: elements can be equal."""
    return next(at for at, each in enumerate(siblings) if each is element)


class _Place(NamedTuple):
    """Where a new element goes: at which index of its siblings, and whether directly behind the one before it."""

    at: int
    behind: bool


def _place(step: Step, siblings: Sequence[Element], element: Element) -> _Place:
    if step.position is None:
        counted = [each for each in siblings if each.name == element.name]
        nth = len(counted)
    else:
        counted = step.named(siblings)
        nth = step.position - 1
    if not 0 <= nth <= len(counted):
        raise CannotInsert(f"no new element can have this position, {len(counted)} are there to count")
    if nth:
        return _Place(_index(siblings, counted[nth - 1]) + 1, behind=True)
    return _Place(_index(siblings, counted[0]) if counted else len(siblings), behind=False)


def _inserted(document: Document, parent: Element, siblings: Sequence[Element], place: _Place, body: bytes) -> bytes:
    if not document.has_end_tag(parent):
        return _spliced(document, parent.stop - len(b"/>"), parent.stop, b">%b</%b>" % (body, document.tag_name(parent)))
    if place.behind:
        offset = document.behind(siblings[place.at - 1])
    elif place.at < len(siblings):
        offset = siblings[place.at].start
    else:
        offset = parent.stop
    return _spliced(document, offset, offset, body)


def _without_element(document: Document, step: Step, trail: Sequence[Element]) -> bytes:
    if len(trail) == 1:
        raise SchemaValidationError("a document has a root element")
    *_, parent, element = trail
    if step.matching([each for each in parent.children if each is not element]):
        raise CannotDelete("the node selector would select another element then")
    return _spliced(document, element.start, document.behind(element), b"")


# ---------------------------------------------------------------------------------------------------------------------
# Attributes


def _put_attribute(document: Document, selector: NodeSelector, body: bytes) -> Edited:
    name, step = selector.attribute, selector.steps[-1]
    assert name is not None
    trail = _parent(document, selector, selector.steps)
    value = _quoted(body)
    if step.attribute == name.expanded and step.value != attribute_value(value):
        raise CannotInsert("the value is not the one by which the node selector selects the element")
    scope = scope_of(trail)
    written = document.attribute(trail[-1], name.expanded, scope)
    if written is not None:
        return Edited(_spliced(document, *written.span(2), value.encode()), False)
    offset = document.behind_attributes(trail[-1])
    octets = _spliced(document, offset, offset, f" {_attribute_name(name, scope)}={value}".encode())
    try:
        parse(octets)
    except NotWellFormed:
        raise CannotInsert("no document can have an attribute of this name") from None
    return Edited(octets, True)


def _quoted(body: bytes) -> str:
    """The body as AttValue. One without quotes, as some clients send it, gets those that are not in it."""
    value = utf8(body).strip(_WHITE_SPACE)
    if value and not value.startswith(_QUOTES):
        quote = "'" if '"' in value else '"'
        value = f"{quote}{value}{quote}"
    if attribute_value(value) is None:
        raise NotXmlAttValue("the body is no attribute value between quotes")
    return value


def _attribute_name(name: AttributeName, scope: dict[str, str]) -> str:
    """With a prefix that means the same where the attribute goes; if there is none, with its declaration before it."""
    if not name.namespace:
        if name.local == "xmlns":
            raise CannotInsert("a namespace declaration is no attribute")
        return name.local
    if name.namespace == XMLNS:
        raise CannotInsert("a namespace declaration is no attribute")
    for prefix, namespace in scope.items():
        if prefix and namespace == name.namespace:
            return f"{prefix}:{name.local}"
    prefix = free_prefix(name.prefix, scope)
    return f'xmlns:{prefix}="{escaped(name.namespace)}" {prefix}:{name.local}'
