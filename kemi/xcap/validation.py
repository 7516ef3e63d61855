"""Whether a document is what its application usage wants: well-formed, of the right root, valid by the schema (RFC 4825 8.2.5).

Schemas are in schemas/, compiled when a process first needs them, and nothing is ever fetched for them. Where a schema lets
elements of other namespaces in, those that nobody here knows are taken as they are. What is in a namespace that this server
announces has to be an element that it knows (section 5.8).

Rules in the spelling of SER's draft (`Usage.draft`, pa.draft_rules) follow no schema. They are taken where all names are known, of
elements without namespace too: what the reader of rules does not understand grants nothing.

A refusal names the line and what kind of rule is broken, never what the document says.
"""

import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from lxml import etree

from kemi.xcap import tree
from kemi.xcap.errors import ConstraintFailure, ContentTooLarge, NotUtf8, NotWellFormed, SchemaValidationError, XcapError
from kemi.xcap.usages import SCHEMAS, Usage

FOLDER = Path(__file__).resolve().parent / "schemas"
_CLOSED = tuple(name for name in SCHEMAS if name != "test-app")
"""Schemas that have all elements of their namespaces."""

_DECLARATION = re.compile(rb"""<\?xml version=["']1\.0["'](?: encoding=["'][Uu][Tt][Ff]-8["'])?[ \t\r\n]*\?>""")
_XS = "{http://www.w3.org/2001/XMLSchema}"


class Names(NamedTuple):
    """What a set of schemas knows.

    Args:
        namespaces: their target namespaces, in order.
        elements: all elements that they declare anywhere, as lxml writes names.
    """

    namespaces: tuple[str, ...]
    elements: frozenset[str]


def read(usage: Usage, octets: bytes) -> etree._Element:
    """The root of a document that is valid.

    Args:
        octets: the document, within the limits of `tree`.

    Raises:
        NotUtf8, NotWellFormed, ConstraintFailure: 409, it is no document in UTF-8, or has a DOCTYPE.
        SchemaValidationError: 409, the schema forbids it.
        ContentTooLarge: 413, it is above the limits.
    """
    tree.check_size(octets)
    if _is_simple(usage, octets):
        with suppress(XcapError):  # looked at again, for the reason
            return _read(usage, octets, is_simple=True)
    _require_document(octets)
    return _read(usage, octets, is_simple=False)


def read_edited(usage: Usage, octets: bytes) -> etree._Element:
    """The same for a document that is well-formed because `edit` made it."""
    return _read(usage, octets, _is_simple(usage, octets))


def _read(usage: Usage, octets: bytes, is_simple: bool) -> etree._Element:
    try:
        root = etree.fromstring(octets, _parser())
    except etree.XMLSyntaxError as error:
        raise NotWellFormed("line {}, column {}".format(*error.position)) from None
    if octets.count(b"<") > tree.MAX_DEPTH and _too_deep()(root):
        raise ContentTooLarge(f"the elements are nested more than {tree.MAX_DEPTH} levels deep")
    if root.tag not in usage.roots:
        raise SchemaValidationError("the root element is not the one of this application usage")
    try:
        _require_valid(usage, root, is_simple)
    except SchemaValidationError:
        if not _is_of_draft(usage, root):
            raise
    return root


def _require_valid(usage: Usage, root: etree._Element, is_simple: bool) -> None:
    schema = _schema(usage.schemas)
    if not schema.validate(root):
        first = schema.error_log[0]
        raise SchemaValidationError(f"line {first.line}: {first.type_name.removeprefix('SCHEMAV_').lower().replace('_', ' ')}")
    if not is_simple:
        _require_known(root)


def _is_of_draft(usage: Usage, root: etree._Element) -> bool:
    """Whether everything in it that could be meant for this server has a name of the draft, or one that the schemas have."""
    if not usage.draft:
        return False
    known = names(_CLOSED)
    names_here = usage.draft | {etree.QName(each).localname for each in names(usage.schemas).elements}
    unknown = map(etree.QName, {each.tag for each in root.iter(etree.Element)} - known.elements)
    return all(each.localname in names_here for each in unknown if each.namespace in (None, *known.namespaces))


def _is_simple(usage: Usage, octets: bytes) -> bool:
    """Whether libxml2 and expat read this alike, and the schema knows every name, if libxml2 reads it and the schema allows it.

    It does where there is one namespace, no prefix, and nothing but elements, attributes and text in ASCII without references.
    (`:xml:` is part of a namespace.)
    """
    return (
        _is_closed(usage.schemas)
        and octets.isascii()
        and octets.count(b"xmlns") == octets.count(b"xmlns=") == 1
        and octets.count(b"xml:") == octets.count(b":xml:")
        and octets.count(b"<?") == bool(_DECLARATION.match(octets))
        and b"<!" not in octets
        and b"&" not in octets
    )


def _require_document(octets: bytes) -> None:
    """What `tree.parse` refuses is refused, but for depth and size; making no tree costs a fifth.

    libxml2 reads the document too: only what both take is stored, since elements are found by the one, and rules are checked by
    the other.
    """
    tree.utf8(octets)
    parser = expat.ParserCreate("utf-8", "\n")
    parser.XmlDeclHandler, parser.StartDoctypeDeclHandler = _require_utf8, _refuse_doctype
    try:
        parser.Parse(octets, True)
    except expat.ExpatError as error:
        raise NotWellFormed(f"line {error.lineno}, column {error.offset + 1}: {expat.ErrorString(error.code)}") from None


def _require_utf8(_version: str, encoding: str | None, _standalone: int) -> None:
    if (encoding or "utf-8").lower() not in ("utf-8", "utf8"):
        raise NotUtf8("the XML declaration names another encoding than UTF-8")


def _refuse_doctype(*_: object) -> None:
    raise ConstraintFailure("the document has a DOCTYPE, which is not accepted")


def _require_known(root: etree._Element) -> None:
    known = names(_CLOSED)
    for name in {each.tag for each in root.iter(etree.Element)} - known.elements:
        if etree.QName(name).namespace in known.namespaces:
            raise SchemaValidationError("an element that its namespace, which is announced, does not have")


@lru_cache(maxsize=1)
def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, collect_ids=False
    )


@lru_cache(maxsize=1)
def _too_deep() -> etree.XPath:
    return etree.XPath("boolean(" + "/*" * (tree.MAX_DEPTH + 1) + ")")


@lru_cache(maxsize=None)  # noqa: UP033 as many as there are application usages
def _schema(files: tuple[str, ...]) -> etree.XMLSchema:
    """One schema that imports all of these."""
    imports = "".join(f'<xs:import namespace="{_target(name)}" schemaLocation="{name}.xsd"/>' for name in files)
    text = f'<xs:schema xmlns:xs="{_XS[1:-1]}">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text, base_url=str(FOLDER / "all.xsd")))


@lru_cache(maxsize=None)  # noqa: UP033 as above
def _is_closed(files: tuple[str, ...]) -> bool:
    """Whether nothing of the root's namespace is let in that is not declared; the types of another schema could do so."""
    wildcards = [each for name in files for each in _file(name).iter(f"{_XS}any", f"{_XS}anyAttribute")]
    return len(files) == 1 and all(each.get("namespace") == "##other" for each in wildcards)


def _target(name: str) -> str:
    return str(_file(name).get("targetNamespace"))


@lru_cache(maxsize=None)  # noqa: UP033 as above
def _file(name: str) -> etree._Element:
    return etree.parse(str(FOLDER / f"{name}.xsd"), _parser()).getroot()


@lru_cache(maxsize=None)  # noqa: UP033 as above
def names(files: tuple[str, ...]) -> Names:
    """What these schemas declare."""
    elements = {f"{{{_target(name)}}}{element.get('name')}" for name in files for element in _file(name).iter(f"{_XS}element")}
    return Names(tuple(dict.fromkeys(map(_target, files))), frozenset(elements))
