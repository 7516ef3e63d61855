"""Documents that are numbered, and may tell changes only: who watches, and calls (pure; RFC 3858 section 4, RFC 4235 section 4).

What comes as changes is merged into the document that is here, so that whoever watches here later gets all of it. Each local
subscription counts its own documents.

the new document is   its number is       what is done
--------------------  ------------------  ----------------------------------------
full                  higher, or first    it takes the place of the one before
partial               the next one        merged
partial               higher than that    merged, and a refresh asks for all of it
any                   not higher          thrown away
"""

import re
from typing import NamedTuple

from lxml import etree

from kemi import sip
from kemi.b2bua.outgoing import Outgoing
from kemi.errors import BadRequest
from kemi.event_package import VERSION

NUMBERED = {"application/watcherinfo+xml": "watcher-list", "application/dialog-info+xml": ""}
"""Their types, and the element that holds their entries where that is not the root."""

MERGED = 4
"""Times pa.max_body: what a document may grow to by changes, or those of forks together. One that grows longer by changes is asked
for whole, as after a gap; of forks those that answered last are left out."""

_VERSION = re.compile(r"""(<(?:[\w.-]++:)?+[\w.-]++[^<>]*?\sversion\s*=\s*["'])[0-9]+(?=["'])""")


class Taken(NamedTuple):
    """A document as it is kept: the whole of it. No content type: it is thrown away, what was there stays.

    Args:
        left_out: parts of a list that cannot be passed on.
    """

    content_type: str
    content: bytes
    version: int = -1
    is_gapped: bool = False
    left_out: int = 0


NOTHING = Taken("", b"")


def taken(outgoing: Outgoing, content_type: str, body: bytes) -> Taken:
    """What becomes of a body.

    Raises:
        BadRequest: 400, it is numbered and cannot be read.
    """
    if sip.media_type(content_type) not in NUMBERED:
        return Taken(content_type, body)
    root = read(body)
    version, state = _number(root), root.get("state", "full").strip()
    if version <= outgoing.version:
        return NOTHING
    if state != "partial":
        return Taken(content_type, body, version)
    if outgoing.version < 0 or not outgoing.body:
        return NOTHING._replace(is_gapped=True)
    merged = _merged(read(outgoing.body), root, NUMBERED[sip.media_type(content_type)])
    return Taken(content_type, merged, version, version > outgoing.version + 1)


def unnumbered(content: str) -> str:
    """A document with the mark in place of its number."""
    return _VERSION.sub(lambda match: match[1] + VERSION, content, count=1)


def read(body: bytes) -> etree._Element:
    """The root of an XML document.

    Raises:
        BadRequest: 400, it is none, or has a DOCTYPE.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True, remove_comments=True)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise BadRequest("the document is no XML") from None
    if root.getroottree().docinfo.doctype:
        raise BadRequest("a document with a DOCTYPE is not taken")
    return root


def _number(root: etree._Element) -> int:
    text = root.get("version", "").strip()
    if not re.fullmatch("[0-9]{1,18}", text):
        raise BadRequest("the number of the document cannot be read")
    return int(text)


def _merged(old: etree._Element, new: etree._Element, container: str) -> bytes:
    """The old document with the entries of the new one. What was told as ended is left out the next time."""
    for entry in [each for each in old.iter(etree.Element) if each is not old and each.get("id") is not None and _is_over(each)]:
        _parent(entry).remove(entry)
    for holder in _holders(new, container):
        into = next((each for each in _holders(old, container) if dict(each.attrib) == dict(holder.attrib)), None)
        if into is None and container:
            old.append(holder)
        else:
            _take_entries(old if into is None else into, holder)
    old.set("version", new.get("version", "0"))
    old.set("state", "full")
    written: bytes = etree.tostring(old, encoding="UTF-8", xml_declaration=True)
    return written


def _holders(root: etree._Element, container: str) -> list[etree._Element]:
    return [each for each in root if etree.QName(each).localname == container] if container else [root]


def _take_entries(into: etree._Element, holder: etree._Element) -> None:
    known = {each.get("id"): each for each in into if each.get("id") is not None}
    for entry in list(holder):
        before = known.get(entry.get("id"))
        if before is None:
            into.append(entry)
        else:
            into.replace(before, entry)


def _is_over(entry: etree._Element) -> bool:
    """A watcher says so in an attribute, a call in an element."""
    states = [each.text or "" for each in entry if etree.QName(each).localname == "state"]
    return entry.get("status") == "terminated" or (bool(states) and states[0].strip() == "terminated")


def _parent(entry: etree._Element) -> etree._Element:
    parent = entry.getparent()
    assert parent is not None
    return parent
