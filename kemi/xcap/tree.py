"""A document: its octets and, over them, a tree of elements that knows where each of them is written (pure; XML 1.0).

XCAP changes a document without touching what was not asked for (RFC 4825 section 8.2.3), so the octets are the document and
the tree is an index on them. Expat builds it: names and attributes with their namespaces resolved, and two offsets of each
element. All else is looked up in the octets when it is needed, which is simple because they are known to be well-formed.

Names are "expanded": namespace and local name with a line feed between them, the local name alone if there is no namespace.
No namespace can have a line feed, expat refuses it.

A DOCTYPE is refused, so there are no entities but the five that XML defines. Expat reads names as the fourth edition of XML
1.0 has them: newer letters in names, which nobody uses, are not well-formed here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import NamedTuple
from xml.parsers import expat

from kemi.xcap.errors import ConstraintFailure, ContentTooLarge, NotUtf8, NotWellFormed, NotXmlFrag, escaped

XML = "http://www.w3.org/XML/1998/namespace"
XMLNS = "http://www.w3.org/2000/xmlns/"
PREDEFINED = {"xml": XML, "xmlns": XMLNS}
"""Prefixes that are bound without being declared (Namespaces in XML section 3)."""

# Many times what clients store. Depth has a limit because schemas and rules are read by code that recurses.
MAX_OCTETS = 1_048_576
MAX_ELEMENTS = 10_000
MAX_DEPTH = 64

_new = tuple.__new__
"""What makes a NamedTuple, past its own constructor, which would cost a tenth of reading a document."""

_SEPARATOR = "\n"
_NONE: Mapping[str, str] = {}
_UTF8_NAMES = frozenset({None, "utf-8", "utf8"})

# For well-formed octets: "<" and quotes in a start tag are always markup.
_START_TAG = re.compile(rb"""<[^"'>]*+(?:"[^"]*"[^"'>]*+|'[^']*'[^"'>]*+)*+>""")
_TAG_NAME = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")

_MARKUP = re.compile(rb"[<&\r]")
"""What makes content differ from its characters."""

_ATT_VALUE = re.compile(r""""[^"<]*"|'[^'<]*'""")
_PLAIN = re.compile(r"[^&\x00-\x1f\ud800-\udfff\ufffe\uffff]*")


class Element(NamedTuple):
    """One element.

    Args:
        name: expanded.
        attributes: value by expanded name; declarations are not among them.
        declared: the namespaces that its own start tag declares, by prefix; "" is the default, and no namespace.
        start: offset of its start tag.
        stop: offset of its end tag; if it has none, offset behind it.
        children: its child elements.
    """

    name: str
    attributes: Mapping[str, str]
    declared: Mapping[str, str]
    start: int
    stop: int
    children: Sequence["Element"]


class Document(NamedTuple):
    """A well-formed document in UTF-8."""

    octets: bytes
    root: Element

    def behind_start_tag(self, element: Element) -> int:
        """The offset behind the start tag."""
        return _tag(_START_TAG, self.octets, element.start).end()

    def has_end_tag(self, element: Element) -> bool:
        """Written <a></a>, not <a/>."""
        return not self.octets.endswith(b"/>", 0, self.behind_start_tag(element))

    def behind(self, element: Element) -> int:
        """The offset behind the element."""
        return self.octets.index(b">", element.stop) + 1 if self.has_end_tag(element) else element.stop

    def written(self, element: Element) -> bytes:
        """The octets of the element with all that is in it."""
        return self.octets[element.start : self.behind(element)]

    def text_of(self, element: Element) -> str:
        """The characters in the element, those of its children too, without white space around them."""
        if not self.has_end_tag(element):
            return ""
        inner = self.octets[self.behind_start_tag(element) : element.stop]
        return (_characters(inner) if _MARKUP.search(inner) else inner.decode()).strip()

    def tag_name(self, element: Element) -> bytes:
        """The name as it is written, with its prefix."""
        return _tag(_TAG_NAME, self.octets, element.start)[1]

    def attribute(self, element: Element, name: str, scope: Mapping[str, str]) -> re.Match[bytes] | None:
        """Where an attribute is written.

        Args:
            element: any of the document.
            name: expanded. A declaration is no attribute and is never found.
            scope: the namespaces in scope at the element.

        Returns:
            Group 0 is the attribute with the white space before it, group 2 its value with the quotes. None if the element
            has no such attribute.
        """
        for found in self._attributes(element) if name in element.attributes else ():
            prefix, colon, local = found[1].decode().rpartition(":")
            if expanded(scope[prefix] if colon else "", local) == name:
                return found
        return None

    def behind_attributes(self, element: Element) -> int:
        """The offset behind the last attribute or declaration; behind the name if there is none."""
        end = _tag(_TAG_NAME, self.octets, element.start).end()
        for found in self._attributes(element):
            end = found.end()
        return end

    def _attributes(self, element: Element) -> Iterable[re.Match[bytes]]:
        name = _tag(_TAG_NAME, self.octets, element.start)
        return _ATTRIBUTE.finditer(self.octets, name.end(), self.behind_start_tag(element))


def _tag(pattern: re.Pattern[bytes], octets: bytes, start: int) -> re.Match[bytes]:
    found = pattern.match(octets, start)
    assert found is not None, "the octets are not what the tree was made of"
    return found


def _characters(inner: bytes) -> str:
    """What is left of well-formed content without its markup. Prefixes are bound elsewhere, so names are not looked at."""
    found: list[str] = []
    parser = expat.ParserCreate("utf-8")
    parser.CharacterDataHandler = found.append
    parser.Parse(b"<_>%b</_>" % inner, True)
    return "".join(found)


def expanded(namespace: str, local: str) -> str:
    """The expanded name; "" is no namespace."""
    return f"{namespace}{_SEPARATOR}{local}" if namespace else local


def parse(octets: bytes) -> Document:
    """Read a document.

    Raises:
        NotUtf8: 409, it is in another encoding, or says so.
        NotWellFormed: 409, also with regard to namespaces.
        ConstraintFailure: 409, it has a DOCTYPE.
        ContentTooLarge: 413, it is above the limits.
    """
    check_size(octets)
    utf8(octets)
    try:
        return Document(octets, _grow(octets, MAX_DEPTH))
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise NotWellFormed(f"{place}: {expat.ErrorString(error.code)}") from None


def parse_fragment(octets: bytes, scope: Mapping[str, str], levels: int) -> Element:
    """Read one element that will stand where `scope` holds.

    Args:
        octets: the element, without white space around it.
        scope: the namespaces in scope.
        levels: how deep it may be.

    Returns:
        The element; its offsets mean nothing.

    Raises:
        NotUtf8: 409.
        NotXmlFrag: 409, not exactly one balanced element, or with a prefix that is not in scope.
        ContentTooLarge: 413, it is above the limits.
    """
    check_size(octets)
    utf8(octets)
    head = f"<_{declarations(scope)}>".encode()
    whole = b"%b%b</_>" % (head, octets)
    try:
        document = Document(whole, _grow(whole, levels + 1))
    except expat.ExpatError as error:
        raise NotXmlFrag(f"line {error.lineno}: {expat.ErrorString(error.code)}") from None
    elements = document.root.children
    if len(elements) != 1 or document.written(elements[0]) != octets:
        raise NotXmlFrag("the body is not exactly one element")
    return elements[0]


def check_size(octets: bytes) -> None:
    """Raises ContentTooLarge, 413, for more octets or elements than the limits."""
    if len(octets) > MAX_OCTETS:
        raise ContentTooLarge(f"the document has more than {MAX_OCTETS} octets")
    # What expat calls back for, counted before it does; comments are counted too, which does no harm.
    if octets.count(b"<") - octets.count(b"</") > MAX_ELEMENTS:
        raise ContentTooLarge(f"the document has more than {MAX_ELEMENTS} elements")


def utf8(octets: bytes) -> str:
    """The characters; raises NotUtf8, 409."""
    try:
        return octets.decode()
    except UnicodeError:
        raise NotUtf8("the body is not in UTF-8") from None


def _grow(octets: bytes, levels: int) -> Element:
    """The root element. Children are collected until their parent ends, so that an element is complete when it is made."""
    parser = expat.ParserCreate("utf-8", _SEPARATOR)
    above: list[tuple[Mapping[str, str], Mapping[str, str], int, list[Element]]] = []
    siblings: list[Element] = []
    declared: dict[str, str] = {}

    def declare(prefix: str | None, namespace: str | None) -> None:
        declared[prefix or ""] = namespace or ""

    def start(_: str, attributes: Mapping[str, str]) -> None:
        nonlocal siblings, declared
        if len(above) == levels:
            raise ContentTooLarge(f"the elements are nested more than {MAX_DEPTH} levels deep")
        above.append((attributes, declared or _NONE, parser.CurrentByteIndex, siblings))
        siblings = []
        if declared:
            declared = {}

    def end(name: str) -> None:
        nonlocal siblings
        attributes, own, begin, older = above.pop()
        older.append(_new(Element, (name, attributes, own, begin, parser.CurrentByteIndex, siblings)))
        siblings = older

    parser.StartNamespaceDeclHandler, parser.StartElementHandler, parser.EndElementHandler = declare, start, end
    parser.XmlDeclHandler, parser.StartDoctypeDeclHandler = _check_declaration, _refuse_doctype
    try:
        parser.Parse(octets, True)
    finally:
        # They refer to the parser and it to them: a circle that only the garbage collector would find.
        parser.StartNamespaceDeclHandler = parser.StartElementHandler = parser.EndElementHandler = None
    return siblings[0]


def _check_declaration(version: str, encoding: str | None, standalone: int) -> None:
    if (encoding and encoding.lower()) not in _UTF8_NAMES:
        raise NotUtf8("the XML declaration names another encoding than UTF-8")


def _refuse_doctype(name: str, system: str | None, public: str | None, has_subset: int) -> None:
    raise ConstraintFailure("the document has a DOCTYPE, which is not accepted")


# ---------------------------------------------------------------------------------------------------------------------
# Namespaces and attribute values


def scope_of(trail: Iterable[Element]) -> dict[str, str]:
    """The namespaces in scope at the last element of a trail that begins with the root, by prefix; "" is the default."""
    scope = dict(PREDEFINED)
    for element in trail:
        scope.update(element.declared)
    return scope


def declarations(scope: Mapping[str, str]) -> str:
    """A scope as it is written in a start tag, with a blank before each declaration."""
    named = ((prefix, namespace) for prefix, namespace in scope.items() if namespace and prefix not in PREDEFINED)
    return "".join(f' xmlns{prefix and ":"}{prefix}="{escaped(namespace)}"' for prefix, namespace in named)


def free_prefix(wanted: str, scope: Mapping[str, str]) -> str:
    """A prefix that is not in scope, like the one that is wanted."""
    return next(prefix for number in count() if (prefix := f"{wanted}{number or ''}") not in scope)


def attribute_value(written: str) -> str | None:
    """What an attribute with this AttValue would have as its value (XML 1.0 sections 2.3 and 3.3.3).

    Args:
        written: with its quotes.

    Returns:
        References resolved, white space normalised; None if it is no AttValue.
    """
    if not _ATT_VALUE.fullmatch(written):
        return None
    inside = written[1:-1]
    if _PLAIN.fullmatch(inside):
        return inside
    try:
        return _grow(f"<_ _={written}/>".encode(), 1).attributes["_"]
    except (expat.ExpatError, UnicodeError):
        return None
