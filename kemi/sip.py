"""SIP values that Kamailio hands over as text: URIs, header field values, and a request as the verbs see it (RFC 3261).

Kamailio parses the message; what is read here are the insides of single values: address lists, media ranges, event types.
A URI is made canonical once, at the door: everything behind compares text.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from kemi.errors import BadRequest, SipError, UnsupportedUriScheme

MAX_URI = 512
"""Characters of a URI."""

MAX_NAME = 128
"""Characters of a display name that are kept: it stands in watcher information, which many may share."""

MAX_PORT = 65535
MAX_FORWARDS = 70
"""Of a request of ours, and of one that says nothing (RFC 3261 section 8.1.1.6)."""

KEPT = 8192
"""Values whose parsed form is kept."""

FEW_KEPT = 256
"""The same of values that are few and may be long, as Event: the parsed form may take twenty times as much memory."""

SCHEMES = ("sip", "sips", "pres", "im")
"""Schemes of URIs that may name a presentity."""

MAX_EXPIRES = 2**32 - 1
"""Seconds (RFC 3261 section 20.19)."""

_URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?:(?P<user>[A-Za-z0-9_.!~*'()%&=+$,;?/:-]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<parameters>(?:;[^?\s<>\"]*)?)(?:\?[^\s<>\"]*)?\Z"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()")
_TRANSPORT = re.compile(r"(?>(?:[^@]*@)?)[^?]*?;transport=(\w+)", re.IGNORECASE)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_XML = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")
_PIECE = re.compile(r'"(?:\\.|[^"\\])*(?:"|\\?\Z)|<[^>]*(?:>|\Z)|,|[^,"<]+', re.DOTALL)
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*(?:"|\\?\Z)', re.DOTALL)
_IN_ANGLES = re.compile(r"<([^<>\s]*)(>?)")
_CSEQ_NUMBER = re.compile("[0-9]{1,10}")
_PARAMETER = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*(?:"|\\?\Z))*(?:;|\Z)', re.DOTALL)
_QUALITY = re.compile(r"q\s*=\s*([0-9]+\.?[0-9]*|\.[0-9]+)", re.IGNORECASE)
_NOT_IN_REQUEST_URI = re.compile(r";method=[^;?]*|\?.*", re.IGNORECASE)
_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
"""What Kamailio takes for an IPv4 address: it drops leading zeros, and of each number what is more than an octet."""
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+\Z")


class Uri(NamedTuple):
    """The parts of a SIP, SIPS, PRES or IM URI (RFC 3261 section 19.1.1, RFC 3859 section 3.1)."""

    scheme: str
    user: str
    host: str
    port: int | None
    parameters: str

    def parameter(self, name: str) -> str | None:
        """The value of a URI parameter, '' for one without a value, None where it is missing."""
        for part in self.parameters.split(";")[1:]:
            key, _, value = part.partition("=")
            if key.lower() == name:
                return value
        return None


@lru_cache(maxsize=KEPT)
def parse_uri(text: str) -> Uri:
    """Read a URI; the ones read last are kept.

    Raises:
        BadRequest: 400, it is none, or it is too long.
        UnsupportedUriScheme: 416, its scheme is not one that presence is asked with.
    """
    if len(text) > MAX_URI:
        raise BadRequest(f"a URI of more than {MAX_URI} characters")
    match = _URI.match(text)
    if match is None:
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[1].lower() not in SCHEMES:
            raise UnsupportedUriScheme("only sip, sips, pres and im URIs are served")
        raise BadRequest("a URI cannot be read")
    scheme_name = match["scheme"].lower()
    if scheme_name not in SCHEMES:
        raise UnsupportedUriScheme("only sip, sips, pres and im URIs are served")
    port = int(match["port"]) if match["port"] else None
    if port is not None and port > MAX_PORT:
        raise BadRequest("a URI has no such port")
    return Uri(scheme_name, match["user"] or "", _host(match["host"]), port, match["parameters"] or "")


def _host(host: str) -> str:
    """In the one form of it (RFC 3261 section 19.1.4, RFC 5954 section 4.2); an IPv4 address is decimal (section 25.1)."""
    try:
        if host[0] == "[":
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        if _IPV4.fullmatch(host):
            return str(ipaddress.IPv4Address(".".join(each if len(each) > 3 else str(int(each)) for each in host.split("."))))
    except ValueError:
        raise BadRequest("a URI has no such address") from None
    return host.lower()


def has_scheme(text: str) -> bool:
    """Whether that may be a URI, whatever its scheme."""
    return _SCHEME.match(text) is not None


def address_of_record(uri: Uri) -> str:
    """The canonical text that stands for a user everywhere: sip:user@host (RFC 3261 section 19.1.4, RFC 3859 section 3.2.1).

    Port, parameters and password say how to get there, not who it is. Escaped unreserved characters equal plain ones; the user
    part keeps its case, the host has none.
    """
    user = _ESCAPE.sub(_plain_if_unreserved, uri.user.partition(":")[0])
    return f"sip:{user}@{uri.host}" if user else f"sip:{uri.host}"


def _plain_if_unreserved(match: re.Match[str]) -> str:
    if match[1] is None:
        return "%25"
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def is_address(host: str) -> bool:
    """Whether the host of a URI is an IP address."""
    return host[0] == "[" or _IPV4.fullmatch(host) is not None


def bracketed(address: str) -> str:
    """An IP address as it stands in a URI."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def transport_of(uri: str) -> str:
    """The transport that a SIP URI asks for, udp or tls where it names none (RFC 3263 section 4.1).

    Its user part, and what stands behind a question mark, may look like that parameter too.
    """
    match = _TRANSPORT.match(uri)
    if match:
        return match[1].lower()
    return "tls" if uri[:5].lower() == "sips:" else "udp"


def is_cseq_number(text: str) -> bool:
    """Whether that can be the number in CSeq (RFC 3261 section 8.1.1.5)."""
    return _CSEQ_NUMBER.fullmatch(text) is not None and int(text) < 2**31


def one_line(value: str) -> str:
    """A header field value with its folding taken out, safe to be written into a request.

    Raises:
        BadRequest: 400, it holds CR, LF, NUL or another control character.
    """
    if "\n" in value:
        value = " ".join(line.strip() for line in _FOLD.split(value))
    if _CONTROL.search(value):
        raise BadRequest("control characters in a header field")
    return value.strip()


def split_list(value: str) -> list[str]:
    """The members of a comma separated header field; commas in quotes and angle brackets do not separate."""
    if "," not in value:
        return [member] if (member := value.strip()) else []
    if '"' not in value and "<" not in value:
        members = value.split(",")
    else:
        members = []
        current = ""
        for match in _PIECE.finditer(value):
            if match[0] == ",":
                members.append(current)
                current = ""
            else:
                current += match[0]
        members.append(current)
    return [member.strip() for member in members if member.strip()]


def address_uri(address: str) -> str:
    """The URI of a name-addr or addr-spec, e.g. of one Contact (RFC 3261 section 20.10).

    Raises:
        BadRequest: 400, there is none.
    """
    without_name = _QUOTED.sub("", address) if '"' in address else address
    match = _IN_ANGLES.search(without_name)
    uri = match[1] if match and match[2] else without_name.partition(";")[0].strip()
    if not uri or "<" in uri or " " in uri:
        raise BadRequest("an address cannot be read")
    return uri


def contact_target(contact: str) -> str:
    """The URI in the Contact of a 2xx to NOTIFY, "" where it cannot be used (RFC 3261 section 12.2.1.2)."""
    try:
        members = split_list(one_line(contact))
        target = request_uri_of(address_uri(members[0])) if len(members) == 1 else ""
        return target if target and parse_uri(target).scheme in ("sip", "sips") else ""
    except SipError:
        return ""


def parameters_of(value: str) -> list[str]:
    """A value and its parameters; a semicolon in quotes parts nothing (RFC 3261 section 25.1)."""
    parts = value.split(";") if '"' not in value else [each[0] for each in _PARAMETER.finditer(value) if each[0]]
    return [part.rstrip(";").strip() for part in parts]


def request_uri_of(contact: str) -> str:
    """The Request-URI that a Contact stands for: header fields and a method have no place in it (RFC 3261 section 19.1.1)."""
    if "?" not in contact and ";" not in contact:
        return contact
    user, at, rest = contact.partition("@")  # a user part may have both in it
    return f"{user}@{_NOT_IN_REQUEST_URI.sub('', rest)}" if at else _NOT_IN_REQUEST_URI.sub("", contact)


class EventType(NamedTuple):
    """Value of the Event header field: package and `id` (RFC 6665 section 8.2.1).

    Args:
        parameters: the others, by name in lower case; one that is there twice has no value.
    """

    package: str
    id: str | None
    parameters: Mapping[str, str] = MappingProxyType({})


@lru_cache(maxsize=FEW_KEPT)
def parse_event(value: str) -> EventType:
    """Read an Event header field.

    Raises:
        BadRequest: 400, the package is no token or the id is not.
    """
    package, *parts = parameters_of(value)
    if not _TOKEN.match(package):
        raise BadRequest("Event cannot be read")
    parameters: dict[str, str] = {}
    for part in parts:
        name, _, text = (piece.strip() for piece in part.partition("="))
        parameters[name.lower()] = "" if name.lower() in parameters else text
    identifier = parameters.pop("id", None)
    if identifier is not None and not _TOKEN.match(identifier):
        raise BadRequest("the id of Event is no token")
    return EventType(package, identifier, MappingProxyType(parameters))


@lru_cache(maxsize=FEW_KEPT)
def parse_subscription_state(value: str | None) -> tuple[str, Mapping[str, str]]:
    """State, in lower case, and parameters of Subscription-State (RFC 6665 section 8.4).

    Raises:
        BadRequest: 400, it is missing, or no token.
    """
    state, *parts = parameters_of(value or "")
    if not _TOKEN.match(state):
        raise BadRequest("Subscription-State cannot be read")
    pairs = (part.partition("=") for part in parts)
    return state.lower(), MappingProxyType({name.strip().lower(): text.strip() for name, _, text in pairs})


def display_name(text: str) -> str:
    """A display name as it is meant: without its quotes and escapes (RFC 3261 section 25.1), short, and fit for XML."""
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    name = re.sub(r"\\(.)", r"\1", text[1:-1]) if quoted else text
    return _NO_XML.sub(" ", name[:MAX_NAME]).strip()


def entity_tag(text: str, name: str) -> str:
    """The one entity-tag of SIP-If-Match or, * too, of Suppress-If-Match (RFC 3903 section 11.3.2, RFC 5839 section 7.2).

    Args:
        name: of the header field, for the refusal.

    Raises:
        BadRequest: 400, it is empty, a list, or a quoted string.
    """
    tag = text.strip()
    if not _TOKEN.match(tag):
        raise BadRequest(f"{name} is not exactly one entity-tag")
    return tag


def names_package(value: str, package: str) -> bool:
    """Whether an Event header field from outside can be read and is of this package."""
    try:
        return parse_event(value).package == package
    except SipError:
        return False


def media_type(value: str) -> str:
    """The type/subtype of a Content-Type, in lower case, without parameters."""
    kind = value.partition(";")[0].strip().lower()
    return "/".join(part.strip() for part in kind.split("/")) if " " in kind else kind


@lru_cache(maxsize=KEPT)
def choose_media_type(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """The body type that suits the watcher best (RFC 3261 section 20.1, RFC 6665 section 4.1.2.1).

    Args:
        accept: all Accept header fields joined by commas; None: there is none.
        offered: what the package can produce, its default first.

    Returns:
        One of `offered`, or None when none is acceptable.
    """
    if accept is None:
        return offered[0]
    qualities = dict(_media_ranges(accept))
    wanted = {candidate: _quality(candidate, qualities) for candidate in offered}
    chosen = max(offered, key=wanted.__getitem__)
    return chosen if wanted[chosen] > 0 else None


def _quality(media_type: str, qualities: dict[str, float]) -> float:
    """Of the most specific range that covers the type."""
    for media_range in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if media_range in qualities:
            return qualities[media_range]
    return 0.0


def _media_ranges(accept: str) -> Iterator[tuple[str, float]]:
    for member in split_list(accept):
        quality = next(filter(None, map(_QUALITY.fullmatch, parameters_of(member)[1:])), None)
        yield media_type(member), float(quality[1]) if quality else 1.0


def parse_seconds(value: str, name: str) -> int:
    """Read delta-seconds, e.g. of Expires; more than 32 bits mean the most there is (RFC 3261 section 20.19).

    Raises:
        BadRequest: 400, it is no number.
    """
    text = value.strip()
    if not re.fullmatch(r"[0-9]+", text):
        raise BadRequest(f"{name} is no number of seconds")
    return min(int(text), MAX_EXPIRES) if len(text) < 20 else MAX_EXPIRES


class Request(NamedTuple):
    """A request as it came in: Kamailio's parsed values, None where the header field is missing.

    Lists (`contact`, `accept`, `record_route`, `require`, `supported`) hold all header fields of that name, joined by commas.
    """

    method: str
    cseq: int
    source_address: str
    source_port: int
    transport: str
    uri: str = ""
    from_uri: str = ""
    from_tag: str = ""
    to_uri: str = ""
    to_tag: str | None = None
    call_id: str = ""
    branch: str = ""
    socket: str = ""
    connection: int = 0
    via_count: int = 1
    event: str | None = None
    expires: str | None = None
    contact: str | None = None
    accept: str | None = None
    require: str | None = None
    supported: str | None = None
    record_route: str | None = None
    user_agent: str = ""
    entity_tag: str | None = None
    suppress: str | None = None
    display_name: str = ""
    subscription_state: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    content_disposition: str | None = None
    body: bytes = b""
