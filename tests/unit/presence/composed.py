"""What tests of composed documents look at: that they are valid, and who is in them."""

from pathlib import Path

from lxml import etree

from kemi.presence import pidf
from kemi.presence.composition import Composition

ENTITY = "sip:alice@example.com"
SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "presence.xsd"))


def valid(composition: Composition) -> etree._Element:
    root = etree.fromstring(composition.body)
    SCHEMA.assertValid(root)
    return root


def ids(root: etree._Element) -> list[str]:
    return [element.get("id") for element in root.iterchildren(pidf.TUPLE, pidf.PERSON, pidf.DEVICE)]
