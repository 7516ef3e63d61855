"""URIs as users and clients write them into documents (pure; RFC 3261 section 19.1.4, RFC 3966 section 5, RFC 4745 section 7.1).

Some clients percent-encode a whole URI (`sip%3Abob%40example.org`) or leave the scheme away (`bob@example.org`). A document is
not changed for that: its URIs are decoded, completed with `sip:` and made canonical here, before they are compared.

Two kinds of equality are needed. Who somebody is: `canonical`, where ports and parameters say nothing, and URIs of different
schemes are different users (RFC 5025 section 3.1.1.2). What a service or a device is: `equivalent`, where they do.

What cannot be read is equal to nothing.
"""

import re
from functools import lru_cache

from kemi import sip
from kemi.errors import SipError
from kemi.xcap import path
from kemi.xcap.errors import XcapError

KEPT = 8192
"""URIs and domains kept, in number."""

MAX_DOMAIN = 255

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ENCODED_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*%3A", re.IGNORECASE)
_NO_URI_CHARACTER = re.compile(r"[^!#-;=?-\[\]_a-z~]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_HOST = re.compile(r"[^:;?]*")
_DOT = re.compile("[.\u3002\uff0e\uff61]")
_VISUAL_SEPARATOR = re.compile(r"[-.()]")
_NUMBER = re.compile(r"\+?[0-9a-f*#]+")
_URN = re.compile(r"urn:(?:uuid:.*|[^:]*)", re.IGNORECASE)

# A parameter of which one URI says nothing still makes a difference (RFC 3261 section 19.1.4); gr is what a GRUU is known by.
_DISTINCTIVE = frozenset({"user", "ttl", "method", "maddr", "transport", "gr"})


def plain(text: str) -> str:
    """A URI as it was meant: percent-decoded once if the client encoded all of it.

    Args:
        text: any characters. "" if the escapes in it are none.
    """
    text = text.strip()
    if not _ENCODED_SCHEME.match(text):
        return text
    try:
        return path.decoded(text)
    except XcapError:
        return ""


@lru_cache(maxsize=KEPT)
def canonical(text: str) -> str:
    """The text that stands for a user; "" if there is none in it.

    Args:
        text: a URI, maybe encoded as a whole, maybe without scheme.
    """
    uri = plain(text)
    try:
        return _canonical(uri) or _canonical(path.decoded(uri))
    except XcapError:
        return ""


def _canonical(uri: str) -> str:
    if "@" in uri and not _SCHEME.match(uri):
        uri = f"sip:{uri}"
    scheme = scheme_of(uri).lower()
    if scheme in sip.SCHEMES:
        return _user(scheme, uri)
    return _number(uri) if scheme == "tel" else _normal(uri)


def _user(scheme: str, uri: str) -> str:
    try:
        address = sip.address_of_record(sip.parse_uri(_in_ascii(uri)))
    except (SipError, UnicodeError):
        return ""
    return scheme + address[address.index(":") :]


def _in_ascii(uri: str) -> str:
    """The user part percent-encoded, the host by ToASCII; raises UnicodeError for a host that has no such form."""
    if uri.isascii():
        return uri
    front, at, back = uri.rpartition("@")
    host = _HOST.match(back)
    assert host is not None, "the pattern matches nothing too"
    labels = ".".join(label.encode("idna").decode() for label in _DOT.split(host[0]))
    return _NOT_ASCII.sub(_percent_encoded, front) + at + labels + back[host.end() :]


def _percent_encoded(found: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in found[0].encode())


def _number(uri: str) -> str:
    """RFC 3966 section 5: separators, letter case and the order of parameters make no difference."""
    number, *parameters = uri[4:].lower().split(";")
    number = _VISUAL_SEPARATOR.sub("", number)
    return "tel:" + ";".join([number, *sorted(parameters)]) if _NUMBER.fullmatch(number) else ""


def _normal(uri: str) -> str:
    """Any other URI, with what RFC 3986 section 6.2.2 and RFC 8141 section 3.1 have written in one way; "" if it is none."""
    scheme = scheme_of(uri)
    if not scheme or _NO_URI_CHARACTER.search(uri):
        return ""
    urn = _URN.match(uri)
    head = urn.end() if urn else len(scheme)
    return uri[:head].lower() + re.sub("%[0-9A-Fa-f]{2}", lambda found: found[0].upper(), uri[head:])


def scheme_of(uri: str) -> str:
    """The scheme as it is written, "" for none."""
    scheme = _SCHEME.match(uri)
    return scheme[1] if scheme else ""


# ---------------------------------------------------------------------------------------------------------------------
# Domains


def domain_of(canonical_uri: str) -> str:
    """The domain of a user's canonical URI; "" for schemes that have no domains, as tel."""
    if scheme_of(canonical_uri) not in sip.SCHEMES:
        return ""
    return canonical_uri[canonical_uri.index(":") + 1 :].rpartition("@")[2]


def same_domain(one: str, other: str) -> bool:
    """Whether two domains are equal label by label, after percent-decoding and ToASCII (RFC 4745 section 7.1.3)."""
    labels = _labels(one)
    return bool(labels) and labels == _labels(other)


@lru_cache(maxsize=KEPT)
def _labels(domain: str) -> tuple[str, ...]:
    if len(domain) > MAX_DOMAIN:
        return ()
    try:
        labels = [label.encode("idna").decode().lower() for label in _DOT.split(path.decoded(domain))]
    except (UnicodeError, XcapError):
        return ()
    return tuple(labels) if all(labels) else ()


# ---------------------------------------------------------------------------------------------------------------------
# Services and devices


def equivalent(one: str, other: str) -> bool:
    """Whether two URIs name the same service or device, by the rules of their scheme."""
    first, second = plain(one), plain(other)
    schemes = {scheme_of(first).lower(), scheme_of(second).lower()}
    if schemes in ({"sip"}, {"sips"}):
        return _same_sip_uri(first, second)
    if schemes == {"tel"}:
        return bool(_number(first)) and _number(first) == _number(second)
    return bool(_normal(first)) and _normal(first) == _normal(second)


def _same_sip_uri(one: str, other: str) -> bool:
    try:
        first, second = sip.parse_uri(_in_ascii(one)), sip.parse_uri(_in_ascii(other))
    except (SipError, UnicodeError):
        return False
    same_place = sip.address_of_record(first) == sip.address_of_record(second) and first.port == second.port
    same_password = first.user.partition(":")[2] == second.user.partition(":")[2]
    return same_place and same_password and _headers(one) == _headers(other) and _agree(_parameters(first), _parameters(second))


def _headers(uri: str) -> list[str]:
    return sorted(uri.partition("?")[2].lower().split("&"))


def _parameters(uri: sip.Uri) -> dict[str, str]:
    pairs = (part.partition("=") for part in uri.parameters.lower().split(";")[1:])
    return {name: value for name, _, value in pairs}


def _agree(one: dict[str, str], other: dict[str, str]) -> bool:
    in_both = one.keys() & other.keys()
    in_one = one.keys() ^ other.keys()
    return not in_one & _DISTINCTIVE and all(one[name] == other[name] for name in in_both)
