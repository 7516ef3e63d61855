"""Documents of xcap-diff as a client reads them, with the RFCs alone (RFC 5874, RFC 5261): each has to be valid."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from lxml import etree

SCHEMA = Path(__file__).resolve().parent / "unit/packages/schemas/xcap-diff.xsd"
TYPE = "application/xcap-diff+xml"
NAMESPACE = "{urn:ietf:params:xml:ns:xcap-diff}"
RESOURCE_LISTS = "urn:ietf:params:xml:ns:resource-lists"
LISTS_TYPE = "application/resource-lists+xml"


class Part(NamedTuple):
    """One thing that is told.

    Args:
        kind: document, element or attribute.
        previous, new: entity-tags.
        inside: names of operations; the XML of an element, the value of an attribute.
        exists: False: it is there no more.
    """

    kind: str
    sel: str
    previous: str | None = None
    new: str | None = None
    inside: str = ""
    exists: bool = True
    source: etree._Element | None = None

    @property
    def tags(self) -> tuple[str | None, str | None]:
        return self.previous, self.new


class Told(NamedTuple):
    """A document."""

    root: str
    parts: tuple[Part, ...]

    @property
    def tags(self) -> dict[str, tuple[str | None, str | None]]:
        """Entity-tags before and after, by URI of the document."""
        return {each.sel: each.tags for each in self.parts if each.kind == "document"}


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(SCHEMA)))


def read(body: bytes | str) -> Told:
    """A document, which has to be valid."""
    root = etree.fromstring(body.encode() if isinstance(body, str) else body)
    _schema().assertValid(root)
    return Told(root.get("xcap-root", ""), tuple(_part(each) for each in root))


def _part(source: etree._Element) -> Part:
    kind = etree.QName(source).localname
    if kind == "document":
        inside = " ".join(etree.QName(each).localname for each in source)
    else:
        inside = "".join(etree.tostring(each, encoding="unicode") for each in source) or source.text or ""
    tags = source.get("previous-etag"), source.get("new-etag")
    return Part(kind, source.get("sel", ""), *tags, inside, source.get("exists") != "false", source)


def wanted(*uris: str) -> bytes:
    """The body of a SUBSCRIBE: a flat list of what is watched."""
    root = etree.Element(f"{{{RESOURCE_LISTS}}}resource-lists", nsmap={None: RESOURCE_LISTS})
    listed = etree.SubElement(root, f"{{{RESOURCE_LISTS}}}list")
    for each in uris:
        etree.SubElement(listed, f"{{{RESOURCE_LISTS}}}entry", uri=each)
    return bytes(etree.tostring(root))
