"""What single clients need in every tuple, added to a composed document (pure; RFC 3863 section 4.1).

RFC 3863 has basic and contact optional. Jitsi ignores a tuple without contact, old PJSIP clients crash on one without basic:
`kemi.client_profile` says who needs what. What is added says no more than the watcher knows: the address that it watches, and
closed, as which other clients read a tuple that does not say open. A document without tuples stays as it is.
"""

from lxml import etree

from kemi.presence import pidf
from kemi.presence.pidf import NOTE, STATUS, TIMESTAMP, TUPLE

CONTACT, BASIC = "contact", "basic"
"""What can be needed."""

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def complete(body: bytes, entity: str, needed: str) -> bytes:
    """The document with what is needed in each of its tuples; the same octets where nothing is missing.

    Args:
        body: as `composition.compose` made it; b"": none.
        entity: the URI that the watcher subscribed to.
        needed: of CONTACT and BASIC, parted by blanks.
    """
    if not body or not needed:
        return body
    root = pidf.tree(body)
    tuples = list(root.iterchildren(TUPLE))
    added = [_add_basic(each) for each in tuples] if BASIC in needed else []
    added += [_add_contact(each, entity) for each in tuples] if CONTACT in needed else []
    if not any(added):
        return body
    written: bytes = etree.tostring(root, encoding="utf-8")
    return _DECLARATION + written + b"\n"


def _add_basic(element: etree._Element) -> bool:
    """Composition writes one status in each tuple, and basic first in it."""
    status = element.find(STATUS)
    if status is None or status.find(pidf.BASIC) is not None:
        return False
    basic = etree.Element(pidf.BASIC)
    basic.text = pidf.CLOSED
    status.insert(0, basic)
    return True


def _add_contact(element: etree._Element, entity: str) -> bool:
    """Before notes and timestamp, as the schema has it."""
    if element.find(pidf.CONTACT) is not None:
        return False
    contact = etree.Element(pidf.CONTACT)
    contact.text = f"sip:{entity.removeprefix('pres:')}" if entity.startswith("pres:") else entity
    later = next((child for child in element if child.tag in (NOTE, TIMESTAMP)), None)
    element.insert(len(element) if later is None else element.index(later), contact)
    return True
