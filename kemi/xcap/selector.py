"""Node selectors: which element, attribute or namespace bindings of a document (pure; RFC 4825 sections 6.3 and 6.4).

    resource-lists/list[@name="friends"]/entry[2]/@uri
    foo/p:bar[1][@id="7"]/namespace::*         with the query xmlns(p=urn:test)

    node-selector    = element-selector ["/" terminal-selector]
    element-selector = step *( "/" step)
    step             = NameorAny ["[" position "]"] ["[" "@" att-name "=" att-value "]"]
    terminal         = "@" att-name / "namespace::*"

They look like XPath and are far less: there is an own parser, and no expression that a client sends is ever evaluated. An
unprefixed element name is of the default document namespace of the application usage, an unprefixed attribute of none. What
is not of these forms is an extension that nobody here understands: 404.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from kemi.xcap.errors import BadRequest, NotFound
from kemi.xcap.path import decoded
from kemi.xcap.tree import PREDEFINED, Element, attribute_value, expanded

_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NCNAME = f"[{_START}][{_START}0-9.\xb7\u0300-\u036f\u203f-\u2040-]*"
_STEP = (
    rf"(?:\*|(?:(?P<prefix>{_NCNAME}):)?(?P<local>{_NCNAME}))"
    r"(?:\[(?P<position>[0-9]{1,9})\])?"
    rf"(?:\[@(?:(?P<attribute_prefix>{_NCNAME}):)?(?P<attribute>{_NCNAME})=(?P<value>\"[^\"]*\"|'[^']*')\])?"
    r"(?=/|\Z)"
)
_ATTRIBUTE = rf"@(?:({_NCNAME}):)?({_NCNAME})"
_NAMESPACES = "namespace::*"
_ESCAPED_SLASH = re.compile("%2[Ff]")
_SLASH = "\0"  # a "/" that came escaped: it is part of a value, and never between steps

_SCHEME = rf"\s*((?:{_NCNAME}:)?{_NCNAME})\("
_MARK = re.compile(r"\^[()^]|[()]")
_ESCAPED_MARK = re.compile(r"\^([()^])")
_BINDING = rf"(?s)({_NCNAME})\s*=\s*(.*)"

_NOT_IN_URI = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=:@/-]")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Names are many characters: what is made of them is compiled when the first selector comes, not at each start."""
    return re.compile(pattern)


class Target(StrEnum):
    """What is selected; the value is its media type (RFC 4825 section 15.2)."""

    ELEMENT = "application/xcap-el+xml"
    ATTRIBUTE = "application/xcap-att+xml"
    NAMESPACES = "application/xcap-ns+xml"


class Step(NamedTuple):
    """One step: a name test and its predicates, which run in this order.

    Args:
        text: as the client wrote it, decoded.
        name: expanded; None for "*".
        position: counted from 1 among the elements that the name test leaves; None for all.
        attribute: expanded name of the attribute to compare, or None.
        value: what its value has to be.
    """

    text: str
    name: str | None = None
    position: int | None = None
    attribute: str | None = None
    value: str = ""

    def named(self, siblings: Sequence[Element]) -> list[Element]:
        """Those that the name test leaves."""
        name = self.name
        return list(siblings) if name is None else [element for element in siblings if element.name == name]

    def matching(self, siblings: Sequence[Element]) -> list[Element]:
        """Those that the step selects."""
        left = self.named(siblings)
        if self.position is not None:
            left = left[self.position - 1 : self.position]
        if self.attribute is not None:
            attribute, value = self.attribute, self.value
            left = [element for element in left if element.attributes.get(attribute) == value]
        return left


class AttributeName(NamedTuple):
    """The attribute at the end of a selector, with the prefix that the client uses for its namespace."""

    namespace: str
    local: str
    prefix: str

    @property
    def expanded(self) -> str:
        return expanded(self.namespace, self.local)


class NodeSelector(NamedTuple):
    """A node selector.

    Args:
        steps: at least one.
        target: what is selected of, or in, the element that the steps lead to.
        attribute: which one, if the target is an attribute.
        document: the URI of the document, percent-encoded; "" if it is not known.
        query: the query component as it came.
    """

    steps: tuple[Step, ...]
    target: Target
    attribute: AttributeName | None
    document: str
    query: str

    def elements(self, root: Element) -> Sequence[Element]:
        """What the steps select in a document: one element; else what the first step does that does not: none, or several."""
        selected: Sequence[Element] = ()
        siblings: Sequence[Element] = (root,)
        for step in self.steps:
            selected = step.matching(siblings)
            if len(selected) != 1:
                break
            siblings = selected[0].children
        return selected

    def uri_of(self, steps: int) -> str | None:
        """The URI of what the first so many steps select, percent-encoded; None if that of the document is not known."""
        if not self.document or not steps:
            return self.document or None
        path = _NOT_IN_URI.sub(_percent_encoded, "/".join(step.text for step in self.steps[:steps]))
        return f"{self.document}/~~/{path}" + (self.query and f"?{self.query}")


def _percent_encoded(character: re.Match[str]) -> str:
    octets = b"/" if character[0] == _SLASH else character[0].encode()
    return "".join(f"%{octet:02X}" for octet in octets)


def parse(node: str, default_namespace: str, query: str = "", document: str = "") -> NodeSelector:
    """Read a node selector.

    Args:
        node: what follows "~~/" in the path, percent-encoded.
        default_namespace: the default document namespace of the application usage, "" for none.
        query: the query component without "?", percent-encoded.
        document: the URI of the document, for errors.

    Raises:
        BadRequest: 400, wrong escapes, an empty step, a query that is no xpointer, or a prefix that it does not bind.
        NotFound: 404, a selector of a form that is not known.
    """
    text = _SLASH.join(map(decoded, _ESCAPED_SLASH.split(node)))
    bindings = bindings_of(query) if query else PREDEFINED
    steps = []
    at = 0
    while found := _compiled(_STEP).match(text, at):
        steps.append(_step(found, default_namespace, bindings))
        if found.end() == len(text):
            return NodeSelector(tuple(steps), Target.ELEMENT, None, document, query)
        at = found.end() + 1
    target, attribute = _terminal(text[at:], steps, bindings)
    return NodeSelector(tuple(steps), target, attribute, document, query)


def _step(found: re.Match[str], default_namespace: str, bindings: dict[str, str]) -> Step:
    prefix, local, position, attribute_prefix, attribute, value = found.groups()
    return Step(
        found[0],
        local and expanded(_namespace(prefix, bindings) if prefix else default_namespace, local),
        int(position) if position else None,
        attribute and expanded(_namespace(attribute_prefix, bindings), attribute),
        _value(value) if value else "",
    )


def _terminal(text: str, steps: list[Step], bindings: dict[str, str]) -> tuple[Target, AttributeName | None]:
    if text == "" or text.startswith("/"):
        raise BadRequest("an empty step in the node selector")
    if steps and text == _NAMESPACES:
        return Target.NAMESPACES, None
    found = _compiled(_ATTRIBUTE).fullmatch(text)
    if not steps or found is None:
        raise NotFound("the node selector is of no known form")
    return Target.ATTRIBUTE, AttributeName(_namespace(found[1], bindings), found[2], found[1] or "")


def _namespace(prefix: str | None, bindings: dict[str, str]) -> str:
    if not prefix:
        return ""
    if prefix not in bindings:
        raise BadRequest(f"the query binds no namespace to the prefix {prefix}")
    return bindings[prefix]


def _value(quoted: str) -> str:
    value = attribute_value(quoted.replace(_SLASH, "/"))
    if value is None:
        raise NotFound("the value in the node selector is no attribute value")
    return value


# ---------------------------------------------------------------------------------------------------------------------
# Namespace bindings in the query: xmlns(p=urn:test)xmlns(q=urn:more)


def bindings_of(query: str) -> dict[str, str]:
    """The prefixes that the xmlns() parts of an xpointer bind (XPointer framework section 3, xmlns() scheme section 3).

    Parts of other schemes are left out. The last of two parts for one prefix counts; xml and xmlns stay what they are.

    Args:
        query: percent-encoded, without "?".

    Raises:
        BadRequest: 400, it is no sequence of parts like xmlns(p=uri).
    """
    text = decoded(query).rstrip()
    bindings: dict[str, str] = {}
    at = 0
    while at < len(text):
        scheme = _compiled(_SCHEME).match(text, at)
        if scheme is None:
            raise BadRequest("the query is not of the form xmlns(prefix=uri)")
        data, at = _scheme_data(text, scheme.end())
        binding = _compiled(_BINDING).fullmatch(data) if scheme[1] == "xmlns" else None
        if binding:
            bindings[binding[1]] = binding[2]
        elif scheme[1] == "xmlns":
            raise BadRequest("an xmlns() in the query is not of the form xmlns(prefix=uri)")
    return bindings | PREDEFINED


def _scheme_data(text: str, start: int) -> tuple[str, int]:
    """What stands in the parentheses, which balance or are escaped by a circumflex, and the offset behind them."""
    depth = 1
    for mark in _MARK.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return _ESCAPED_MARK.sub(r"\1", text[start : mark.start()]), mark.end()
    raise BadRequest("a parenthesis in the query is not closed")
