"""The list that a SUBSCRIBE brings along (pure; RFC 5367 sections 3 to 5, RFC 5363 section 4.1).

The body is one resource-lists document, or several in multipart/mixed, which are one list. Bodies and parts may be compressed by
`deflate`, with or without zlib's frame, or `gzip`. Nested lists are walked; references in them are not followed.

refused                                                                       status
----------------------------------------------------------------------------  ----------------------------
no list, a list that is no resource-lists document, a broken multipart body   400
too many octets, also when unpacked, entries or parts                         413
another type, disposition or encoding, unless handling=optional               415
"""

import re
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from kemi import sip
from kemi.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from kemi.rls import resource_list
from kemi.rls.resource_list import Member
from kemi.xcap import tree
from kemi.xcap.errors import ContentTooLarge, XcapError
from kemi.xcap.tree import Document

OPTION_TAG: Final = "recipient-list-subscribe"
MEDIA_TYPE: Final = "application/resource-lists+xml"
ACCEPT: Final = (MEDIA_TYPE, "multipart/mixed")
ACCEPT_ENCODING: Final = "deflate, gzip, identity"

MAX_PARTS: Final = 32
"""Parts of a multipart body, at most."""

_MULTIPART: Final = "multipart/mixed"
_DISPOSITION: Final = "recipient-list"
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)')
_QUOTED_PAIR = re.compile(r"\\(.)")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
_RAW, _ZLIB, _GZIP = -zlib.MAX_WBITS, zlib.MAX_WBITS, zlib.MAX_WBITS | 16
_FRAMES: Final = {"deflate": (_ZLIB, _RAW), "gzip": (_GZIP,), "x-gzip": (_GZIP,)}
"""What the octets may be, by coding: some clients leave zlib's frame away (RFC 9110 section 8.4.1.2)."""


class Limits(NamedTuple):
    """How large a list may be: octets when unpacked, all parts together; entries, those that are there twice as well."""

    octets: int = 262_144
    entries: int = 1000


class _Entity(NamedTuple):
    """A body, or a part of one, with the header fields that tell what it is; "" for a missing one."""

    content_type: str
    disposition: str
    coding: str
    body: bytes


def is_asked(require: str | None) -> bool:
    """Whether Require says that the request brings a list.

    Args:
        require: all Require header fields, joined by commas.
    """
    return OPTION_TAG in [each.lower() for each in sip.split_list(require or "")]


def read(request: sip.Request, limits: Limits) -> tuple[Member, ...]:
    """The members, each resource once, in the order of the list.

    Raises:
        BadRequest: 400.
        BodyTooLarge: 413.
        UnsupportedMediaType: 415.
    """
    body = _Entity(request.content_type or "", request.content_disposition or "", request.content_encoding or "", request.body)
    documents = [_parsed(octets) for octets in _lists(body, limits.octets)]
    if not documents:
        raise BadRequest("the request brings no list")
    members: dict[str, Member] = {}
    entries = [(document, each) for document in documents for each in resource_list.inside(document.root)]
    if len(entries) > limits.entries:
        raise BodyTooLarge(f"the list has more than {limits.entries} entries")
    for document, element in entries:
        if resource_list.kind_of(element) != resource_list.ENTRY:
            continue
        found = resource_list.member(element.attributes.get("uri", ""))
        if found is not None and found.resource not in members:
            members[found.resource] = found._replace(names=resource_list.names_of(document, element))
    return tuple(members.values())


def _parsed(octets: bytes) -> Document:
    try:
        document = tree.parse(octets)
    except ContentTooLarge as error:
        raise BodyTooLarge(error.detail) from None
    except XcapError as error:
        raise BadRequest(f"the list cannot be read: {error.detail}") from None
    if resource_list.kind_of(document.root) != resource_list.ROOT:
        raise BadRequest("the list is no resource-lists document")
    return document


def _lists(body: _Entity, limit: int) -> Iterator[bytes]:
    """The documents that are lists, unpacked, with at most `limit` octets together."""
    whole = body._replace(body=_unpacked(body, limit), coding="")
    is_multipart = sip.media_type(body.content_type) == _MULTIPART
    for part in _parts(whole) if is_multipart else [whole]:
        if _is_list(part):
            octets = _unpacked(part, limit)
            limit -= len(octets)
            yield octets


def _is_list(part: _Entity) -> bool:
    """A missing disposition says nothing else than the type (RFC 5363 section 4)."""
    if sip.media_type(part.content_type) == MEDIA_TYPE and sip.media_type(part.disposition) in (_DISPOSITION, ""):
        return True
    if _parameters(part.disposition).get("handling", "").lower() != "optional":
        raise UnsupportedMediaType("only lists of recipients are understood in this request", accept=ACCEPT)
    return False


def _parameters(value: str) -> dict[str, str]:
    return {name.lower(): _plain(text) for name, text in _PARAMETER.findall(value)}


def _plain(text: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", text[1:-1]) if text.startswith('"') else text


# ---------------------------------------------------------------------------------------------------------------------
# Compressed bodies


def _unpacked(entity: _Entity, limit: int) -> bytes:
    """The body without its coding; never more than `limit` octets are unpacked.

    Raises:
        BadRequest: 400, it is not what the coding says.
        BodyTooLarge: 413.
        UnsupportedMediaType: 415, another coding.
    """
    coding = entity.coding.strip().lower()
    if coding not in ("", "identity", *_FRAMES):
        raise UnsupportedMediaType("the body has an encoding that is not understood", ACCEPT, ACCEPT_ENCODING)
    found = [entity.body] if coding in ("", "identity") else (_inflated(entity.body, frame, limit) for frame in _FRAMES[coding])
    octets = next((each for each in found if each is not None), None)
    if octets is None:
        raise BadRequest(f"the body is no {coding}")
    if len(octets) > limit:
        raise BodyTooLarge("the list is too large")
    return octets


def _inflated(octets: bytes, frame: int, limit: int) -> bytes | None:
    """One octet more than `limit` at most; None: the octets are not such a frame, all of it and nothing else."""
    inflater = zlib.decompressobj(frame)
    try:
        found = inflater.decompress(octets, limit + 1)
    except zlib.error:
        return None
    return found if len(found) > limit or (inflater.eof and not inflater.unused_data) else None


# ---------------------------------------------------------------------------------------------------------------------
# Bodies of several parts (RFC 2046 section 5.1.1)


def _parts(entity: _Entity) -> Iterator[_Entity]:
    """The parts; line ends may be LF alone."""
    boundary = _parameters(entity.content_type).get("boundary", "").encode()
    if not boundary:
        raise BadRequest("the multipart body has no boundary")
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(?P<last>--)?[ \t]*(?=\r?\n|\Z)")
    start = None
    for number, found in enumerate(delimiter.finditer(entity.body)):
        if number > MAX_PARTS:
            raise BodyTooLarge(f"the body has more than {MAX_PARTS} parts")
        if start is not None:
            yield _part(entity.body[start : found.start()])
        if found["last"]:
            return
        start = found.end()
    raise BadRequest("the multipart body does not end")


def _part(octets: bytes) -> _Entity:
    end = _END_OF_HEADERS.search(octets)
    if end is None:
        raise BadRequest("a part of the body has no end of its header fields")
    lines = _FOLD.sub(" ", octets[: end.start()].decode("utf-8", "replace")).splitlines()
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if fields.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
        raise UnsupportedMediaType("a part of the body has a transfer encoding that is not understood", ACCEPT)
    return _Entity(
        fields.get("content-type", ""),
        fields.get("content-disposition", ""),
        fields.get("content-encoding", ""),
        octets[end.end() :],
    )
