"""The path of an XCAP request: which document, and which node of it (pure; RFC 4825 section 6, RFC 3986 section 6.2.2).

    /resource-lists/users/sip:joe@example.com/index/~~/resource-lists/list%5B@name=%22friends%22%5D
     AUID           tree  XUI                 name     node selector
    /xcap-caps/global/index

The path is cut into segments, and at the first segment "~~", before anything is percent-decoded. Segments are compared in
their normal form: escapes of unreserved characters are decoded, others have upper-case digits. The XUI is decoded wholly,
because clients write sip%3Ajoe%40example.com as well as sip:joe@example.com.
"""

import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from kemi.xcap.errors import BadRequest, NotFound

_NODE_SEPARATOR = re.compile(r"(?:~|%7[Ee]){2}")
_NO_NAMES = frozenset({"", ".", ".."})
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OCTET = re.compile(rb"%([0-9A-Fa-f]{2})|(.)", re.DOTALL)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PCHAR = _UNRESERVED | frozenset(b"!$&'()*+,;=:@")
_IN_NORMAL_FORM = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]*")


class Tree(StrEnum):
    """The two trees of an application usage (RFC 4825 section 6.2)."""

    USERS = "users"
    GLOBAL = "global"


class DocumentSelector(NamedTuple):
    """Which document.

    Args:
        auid: the application usage, in normal form.
        tree: below users or below global.
        xui: whose document, percent-decoded; "" below global.
        name: the path below the home folder in normal form, e.g. "index" or "folder/index".
    """

    auid: str
    tree: Tree
    xui: str
    name: str


class Request(NamedTuple):
    """A request path, taken apart.

    Args:
        document: which document.
        node: the node selector as it came, percent-encoded; None if the document is meant.
        uri: the path of the document below the XCAP root, as it came.
    """

    document: DocumentSelector
    node: str | None
    uri: str


def split(path: str) -> Request:
    """Take a request path apart.

    Args:
        path: what follows the XCAP root in the request, as it came on the wire, without the query.

    Raises:
        NotFound: 404, this is no path of a document: neither users nor global, no document below them, or dot segments.
        BadRequest: 400, wrong escapes, other octets than UTF-8, or control characters in the XUI.
    """
    segments = path.removeprefix("/").split("/")
    cut = next((at for at, segment in enumerate(segments) if _NODE_SEPARATOR.fullmatch(segment)), None)
    node = None if cut is None else "/".join(segments[cut + 1 :])
    return Request(_document(segments[:cut]), node, "/" + "/".join(segments[:cut]))


def _document(segments: list[str]) -> DocumentSelector:
    names = [normalised(segment) for segment in segments]
    if not _NO_NAMES.isdisjoint(names):
        raise NotFound("the path names a folder, or has empty or dot segments")
    match names:
        case [auid, Tree.USERS, _, _, *_]:
            return DocumentSelector(auid, Tree.USERS, _xui(segments[2]), "/".join(names[3:]))
        case [auid, Tree.GLOBAL, _, *_]:
            return DocumentSelector(auid, Tree.GLOBAL, "", "/".join(names[2:]))
        case _:
            raise NotFound("the path names no document")


def _xui(segment: str) -> str:
    xui = decoded(segment)
    if _CONTROL.search(xui):
        raise BadRequest("control characters in the XUI")
    return xui


def normalised(segment: str) -> str:
    """The normal form of a path segment (RFC 3986 section 6.2.2): equal segments have equal normal forms.

    Raises:
        BadRequest: 400, a percent sign without two hex digits.
    """
    if _IN_NORMAL_FORM.fullmatch(segment):
        return segment
    octets = _encoded(segment)
    _check_escapes(octets)
    return "".join(_octet(found) for found in _OCTET.finditer(octets))


def _octet(found: re.Match[bytes]) -> str:
    octet = int(found[1], 16) if found[1] else found[2][0]
    plain = octet in (_UNRESERVED if found[1] else _PCHAR)
    return chr(octet) if plain else f"%{octet:02X}"


def decoded(text: str) -> str:
    """Percent-decode once, as UTF-8 (RFC 4825 section 6.3).

    Raises:
        BadRequest: 400, wrong escapes, other octets than UTF-8, or the character NUL.
    """
    plain = text if "%" not in text and text.isascii() else _decoded(_encoded(text))
    if "\0" in plain:
        raise BadRequest("the character NUL in the URI")
    return plain


def _decoded(octets: bytes) -> str:
    _check_escapes(octets)
    try:
        return unquote_to_bytes(octets).decode()
    except UnicodeError:
        raise BadRequest("the URI is not in UTF-8") from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeError:
        raise BadRequest("the URI is not in UTF-8") from None


def _check_escapes(octets: bytes) -> None:
    if _NO_ESCAPE.search(octets):
        raise BadRequest("a percent sign in the URI without two hex digits")
