"""Whether a document is what its application usage wants: well-formed, of the right root, valid by the schema (RFC 4825 8.2.5).

Schemas are in schemas/, compiled when a process first needs them, and nothing is ever fetched for them. Where a schema lets
elements of other namespaces in, those that nobody here knows are taken as they are. What is in a namespace that this server
announces has to be an element that it knows (section 5.8).

A refusal names the line and what kind of rule is broken, never what the document says.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lxml import etree

from kemi.xcap import tree
from kemi.xcap.errors import NotWellFormed, SchemaValidationError
from kemi.xcap.usages import SCHEMAS, Usage

FOLDER = Path(__file__).resolve().parent / "schemas"
_XS = "{http://www.w3.org/2001/XMLSchema}"


class Names(NamedTuple):
    """What a set of schemas knows.

    Attributes:
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
    tree.parse(octets)
    return read_parsed(usage, octets)


def read_parsed(usage: Usage, octets: bytes) -> etree._Element:
    """The same for octets that `tree.parse` takes."""
    try:
        root = etree.fromstring(octets, _parser())
    except etree.XMLSyntaxError as error:
        raise NotWellFormed("line {}, column {}".format(*error.position)) from None
    if root.tag not in usage.roots:
        raise SchemaValidationError("the root element is not the one of this application usage")
    schema = _schema(usage.schemas)
    if not schema.validate(root):
        first = schema.error_log[0]
        raise SchemaValidationError(f"line {first.line}: {first.type_name.removeprefix('SCHEMAV_').lower().replace('_', ' ')}")
    _require_known(root)
    return root


def _require_known(root: etree._Element) -> None:
    known = names(SCHEMAS)
    for name in {each.tag for each in root.iter(etree.Element)} - known.elements:
        if etree.QName(name).namespace in known.namespaces:
            raise SchemaValidationError("an element that its namespace, which is announced, does not have")


@lru_cache(maxsize=1)
def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, collect_ids=False
    )


@lru_cache(maxsize=None)  # noqa: UP033 as many as there are application usages
def _schema(files: tuple[str, ...]) -> etree.XMLSchema:
    """One schema that imports all of these."""
    imports = "".join(f'<xs:import namespace="{_target(name)}" schemaLocation="{name}.xsd"/>' for name in files)
    text = f'<xs:schema xmlns:xs="{_XS[1:-1]}">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text, base_url=str(FOLDER / "all.xsd")))


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
