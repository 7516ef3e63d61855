"""The list that a SUBSCRIBE brings along (pure; RFC 5367 sections 3 to 5, RFC 5363 section 4.1).

The body is one resource-lists document, or several in multipart/mixed, which are one list. Bodies and parts may be compressed by
`deflate`, with or without zlib's frame, or `gzip`. Nested lists are walked; references in them are not followed.

refused                                                                       status
----------------------------------------------------------------------------  ----------------------------
no list, a list that is no resource-lists document, a broken multipart body   400
too many octets, also when unpacked, entries or parts                         413
another type, disposition or encoding, unless handling=optional               415
"""

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from kemi import multipart, sip
from kemi.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from kemi.multipart import Part
from kemi.rls import resource_list
from kemi.rls.resource_list import Member
from kemi.xcap import tree
from kemi.xcap.errors import ContentTooLarge, XcapError
from kemi.xcap.tree import Document

OPTION_TAG: Final = "recipient-list-subscribe"
MEDIA_TYPE: Final = "application/resource-lists+xml"
ACCEPT: Final = (MEDIA_TYPE, multipart.MIXED)
ACCEPT_ENCODING: Final = "deflate, gzip, identity"

MAX_PARTS: Final = 32
"""Parts of a multipart body, at most."""

_DISPOSITION: Final = "recipient-list"
_TRANSFER_ENCODINGS: Final = ("", "7bit", "8bit", "binary")
"""Those that are the octets themselves."""

_RAW, _ZLIB, _GZIP = -zlib.MAX_WBITS, zlib.MAX_WBITS, zlib.MAX_WBITS | 16
_FRAMES: Final = {"deflate": (_ZLIB, _RAW), "gzip": (_GZIP,), "x-gzip": (_GZIP,)}
"""What the octets may be, by coding: some clients leave zlib's frame away (RFC 9110 section 8.4.1.2)."""


class Limits(NamedTuple):
    """How large a list may be: octets when unpacked, all parts together; entries, those that are there twice as well."""

    octets: int = 262_144
    entries: int = 1000


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
    whole = Part(
        request.body,
        request.content_type or "",
        disposition=request.content_disposition or "",
        encoding=request.content_encoding or "",
    )
    documents = [_parsed(octets) for octets in _lists(whole, limits.octets)]
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


def _lists(packed: Part, limit: int) -> Iterator[bytes]:
    """The documents that are lists, unpacked, with at most `limit` octets together."""
    whole = packed._replace(content=_unpacked(packed, limit), encoding="")
    is_multipart = sip.media_type(whole.content_type) == multipart.MIXED
    for part in _parts(whole) if is_multipart else [whole]:
        if _is_list(part):
            octets = _unpacked(part, limit)
            limit -= len(octets)
            yield octets


def _is_list(part: Part) -> bool:
    """A missing disposition says nothing else than the type (RFC 5363 section 4)."""
    if sip.media_type(part.content_type) == MEDIA_TYPE and sip.media_type(part.disposition) in (_DISPOSITION, ""):
        return True
    if multipart.parameters(part.disposition).get("handling", "").lower() != "optional":
        raise UnsupportedMediaType("only lists of recipients are understood in this request", accept=ACCEPT)
    return False


def _parts(whole: Part) -> Iterator[Part]:
    for part in multipart.read(whole.content_type, whole.content, MAX_PARTS):
        if part.transfer_encoding.lower() not in _TRANSFER_ENCODINGS:
            raise UnsupportedMediaType("a part of the body has a transfer encoding that is not understood", ACCEPT)
        yield part


# ---------------------------------------------------------------------------------------------------------------------
# Compressed bodies


def _unpacked(part: Part, limit: int) -> bytes:
    """The body without its coding; never more than `limit` octets are unpacked.

    Raises:
        BadRequest: 400, it is not what the coding says.
        BodyTooLarge: 413.
        UnsupportedMediaType: 415, another coding.
    """
    coding = part.encoding.strip().lower()
    if coding not in ("", "identity", *_FRAMES):
        raise UnsupportedMediaType("the body has an encoding that is not understood", ACCEPT, ACCEPT_ENCODING)
    found = [part.content] if coding in ("", "identity") else (_inflated(part.content, frame, limit) for frame in _FRAMES[coding])
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
