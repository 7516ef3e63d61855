"""The body formats of a presence document (pure; RFC 3856 section 6.7, SER handbook section 5.11).

The composed document is PIDF (RFC 3863), and that is what a watcher gets. For old watchers it can be written in the formats
from before RFC 3863. The type of the body is the type that was asked for (RFC 6665 section 3.2.1).

    application/pidf+xml                     as composed
    application/cpim-pidf+xml                the last drafts of PIDF: the same in another namespace
    application/xpidf+xml                    Windows Messenger: an atom for each tuple, status open or closed
    application/lpidf+xml, text/lpidf        SER's text: a Contact line for each tuple that is not closed

CPIM-PIDF says all that PIDF says. XPIDF and LPIDF have no room for extensions, persons and devices, LPIDF none for notes.
Both want an address for each tuple: one without contact gets the presentity's own. Neither wants a priority ([MS-SIP]
section 7; RFC 3261 section 20.10), so one that was not published is not written.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lxml import etree

from kemi.presence import pidf
from kemi.presence.pidf import BASIC, CLOSED, CONTACT, MEDIA_TYPE, NOTE, OPEN, STATUS, TUPLE

_BASIC = f"{STATUS}/{BASIC}"
"""The path from a tuple."""

_XPIDF_PROLOG = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE presence PUBLIC "-//IETF//DTD RFCxxxx XPIDF 1.0//EN" "xpidf.dtd">\n'
)

# What RFC 3986 does not have in a URI; angle brackets, quotes and line ends among it.
_NO_URI_CHARACTERS = re.compile(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


class _Tuple(NamedTuple):
    """What the old formats have room for.

    Args:
        basic: OPEN, CLOSED, or "" where it is not said.
        address: contact, or the presentity's own URI.
        priority: "" where there is none.
    """

    id: str
    basic: str
    address: str
    priority: str
    notes: tuple[str, ...]


def convert(body: bytes, media_type: str) -> bytes:
    """A composed document in another format. PIDF costs nothing.

    Args:
        body: as `composition.compose` made it; b"", no body, is no body in every format.
        media_type: one of `PRODUCES`.
    """
    return _WRITERS[media_type](body) if body else body


def _as_composed(body: bytes) -> bytes:
    return body


def _lpidf(body: bytes) -> bytes:
    """SER handbook section 5.11. Each value stands in angle brackets, without a character that could end them or the line."""
    entity, tuples = _read(body)
    lines = [f"To: <{_percent_encoded(entity)}>\r\n"]
    for each in tuples:
        if each.basic != CLOSED:
            quality = f";q={each.priority}" if each.priority else ""
            lines.append(f"Contact: <{_percent_encoded(each.address)}>{quality}\r\n")
    return "".join(lines).encode("ascii")


def _percent_encoded(uri: str) -> str:
    return _NO_URI_CHARACTERS.sub(lambda found: "".join(f"%{octet:02X}" for octet in found[0].encode()), uri)


def _xpidf(body: bytes) -> bytes:
    """SER handbook section 5.11, but escaped. Messenger shows nothing without an atom, so there is always one."""
    entity, tuples = _read(body)
    presence = etree.Element("presence")
    etree.SubElement(presence, "presentity", uri=f"{entity};method=SUBSCRIBE")
    for each in tuples or [_Tuple("none", CLOSED, entity, "1", ())]:
        atom = etree.SubElement(presence, "atom", id=each.id)
        priority = {"priority": each.priority} if each.priority else {}
        address = etree.SubElement(atom, "address", uri=each.address, **priority)
        etree.SubElement(address, "status", status=OPEN if each.basic == OPEN else CLOSED)
        for note in each.notes:
            etree.SubElement(atom, "note").text = note
    written: bytes = etree.tostring(presence, encoding="utf-8")
    return _XPIDF_PROLOG + written + b"\n"


def _read(body: bytes) -> tuple[str, list[_Tuple]]:
    """The presentity, and its tuples in document order; composition has put every value in order already."""
    root = pidf.tree(body)
    entity = root.get("entity") or ""
    return entity, [_tuple(element, entity) for element in root.iterchildren(TUPLE)]


def _tuple(element: etree._Element, entity: str) -> _Tuple:
    contact = element.find(CONTACT)
    return _Tuple(
        id=element.get("id") or "",
        basic=element.findtext(_BASIC, ""),
        address=entity if contact is None else contact.text or entity,
        priority="" if contact is None else contact.get("priority") or "",
        notes=tuple(note.text or "" for note in element.iterchildren(NOTE)),
    )


_WRITERS: Mapping[str, Callable[[bytes], bytes]] = {
    MEDIA_TYPE: _as_composed,
    pidf.CPIM_MEDIA_TYPE: pidf.exchanged,
    "application/xpidf+xml": _xpidf,
    "application/lpidf+xml": _lpidf,
    "text/lpidf": _lpidf,
}

PRODUCES = tuple(_WRITERS)
"""The body types of NOTIFY, the default first (RFC 3856 section 6.7)."""

CONSUMES = pidf.CONSUMES
"""The body types of PUBLISH (RFC 3903 section 10.1)."""
