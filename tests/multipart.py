"""The body of a list's NOTIFY as a strict subscriber reads it, and what it makes of several (RFC 4662, RFC 2387, RFC 2392).

Nothing of the product is used. What is not as the RFCs have it, or not as real clients need it (an unquoted boundary, CRLF), is an
error: `Invalid`, which says what.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lxml import etree

MULTIPART = "multipart/related"
RLMI = "application/rlmi+xml"
NAMESPACE = "{urn:ietf:params:xml:ns:rlmi}"
SCHEMA = Path(__file__).resolve().parent / "unit/schemas/rlmi.xsd"
REASONS = {"deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant", "badfilter"}
"""RFC 6665 section 7.2, RFC 4660 section 7."""

_TOKEN = r"[A-Za-z0-9.!%*_+`'~$&#^{|}-]+"
_PARAMETER = re.compile(rf';[ \t]*({_TOKEN})=({_TOKEN}|"(?:[^"\\\r\n]|\\.)*")')
_BOUNDARY = re.compile(r"[A-Za-z0-9'+_.-]{1,70}")
"""What RFC 2046 has for boundaries and RFC 2045 for tokens: needs no quotes."""

_FIELD = re.compile(r"([A-Za-z0-9-]+): ([\x20-\x7e]*[\x21-\x7e])")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_CONTENT_ID = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:{_ATOM}(?:\.{_ATOM})*|\[[0-9A-Fa-f:.]+\])")
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class Invalid(AssertionError):
    """What is wrong with a body."""


class Part(NamedTuple):
    """One part; `fields` by name as it is written, `type` without parameters in lower case."""

    fields: dict[str, str]
    content_id: str
    content_type: str
    body: bytes

    @property
    def type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


class Instance(NamedTuple):
    """One instance element and what its cid refers to; None where an attribute or the body is missing."""

    id: str
    state: str
    reason: str | None
    content_type: str | None
    body: "bytes | Told | None"

    @property
    def said(self) -> tuple[str, str | None]:
        """State and reason."""
        return self.state, self.reason


class Resource(NamedTuple):
    """One resource; names as (language or "", text)."""

    uri: str
    names: tuple[tuple[str, str], ...]
    instances: tuple[Instance, ...]


class Told(NamedTuple):
    """One RLMI document with all that it refers to."""

    uri: str
    version: int
    is_full: bool
    names: tuple[tuple[str, str], ...]
    resources: tuple[Resource, ...]

    @property
    def uris(self) -> list[str]:
        """Of the resources, in order."""
        return [each.uri for each in self.resources]

    def of(self, uri: str) -> Resource:
        """The resource with exactly this URI."""
        found = [each for each in self.resources if each.uri == uri]
        _check(len(found) == 1, f"{uri} is there {len(found)} times")
        return found[0]

    def instance(self, uri: str) -> Instance:
        """The only instance of a resource."""
        found = self.of(uri).instances
        _check(len(found) == 1, f"{uri} has {len(found)} instances")
        return found[0]


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise Invalid(what)


def read(content_type: str, body: bytes | str, is_linphone: bool = False) -> Told:
    """A body, which has to be as it should in every respect.

    Args:
        content_type: value of the NOTIFY's header field.
        is_linphone: parts are told as Linphone before 5.4 wants it.

    Raises:
        Invalid: it is not.
    """
    seen: set[str] = set()
    return _told(content_type, body.encode() if isinstance(body, str) else body, is_linphone, seen)


def errors_of(content_type: str, body: bytes | str, is_linphone: bool = False) -> str:
    """What is wrong with a body, "" for nothing."""
    try:
        read(content_type, body, is_linphone)
    except Invalid as wrong:
        return str(wrong)
    return ""


# ---------------------------------------------------------------------------------------------------------------------
# Framing


def parameters_of(content_type: str) -> tuple[str, dict[str, str]]:
    """Media type in lower case, and parameters with their quotes, by name in lower case."""
    media_type, separator, rest = content_type.partition(";")
    _check(re.fullmatch(rf"{_TOKEN}/{_TOKEN}", media_type) is not None, f"no media type: {content_type}")
    parameters: dict[str, str] = {}
    at = 0
    text = separator + rest
    while at < len(text):
        found = _PARAMETER.match(text, at)
        _check(found is not None, f"parameters of {content_type!r} at {text[at:]!r}")
        assert found is not None
        _check(found[1].lower() not in parameters, f"parameter {found[1]} twice")
        parameters[found[1].lower()] = found[2]
        at = found.end()
    return media_type.lower(), parameters


def parts_of(body: bytes, boundary: str, is_linphone: bool) -> list[Part]:
    """The parts of a multipart body without preamble and epilogue (RFC 2046 section 5.1.1)."""
    _check(_BOUNDARY.fullmatch(boundary) is not None, f"a boundary that is no token, or quoted: {boundary}")
    delimiter = b"--" + boundary.encode()
    _check(body.startswith(delimiter + b"\r\n"), "the body does not begin with the boundary and CRLF")
    inside, closing, behind = body.partition(b"\r\n" + delimiter + b"--")
    _check(bool(closing), "no closing delimiter")
    _check(behind in (b"", b"\r\n"), f"something behind the closing delimiter: {behind!r}")
    octets = (b"\r\n" + inside).split(b"\r\n" + delimiter + b"\r\n")[1:]
    _check(body.count(boundary.encode()) == len(octets) + 1, "the boundary occurs in a part")
    return [_part(each, is_linphone) for each in octets]


def _part(octets: bytes, is_linphone: bool) -> Part:
    head, blank, body = octets.partition(b"\r\n\r\n")
    _check(bool(blank), f"a part without an empty line behind its header fields: {octets[:80]!r}")
    _check(head.isascii() and b"\n" not in head.replace(b"\r\n", b""), f"header fields of a part: {head!r}")
    fields: dict[str, str] = {}
    for line in head.decode().split("\r\n"):
        found = _FIELD.fullmatch(line)
        _check(found is not None, f"no header field: {line!r}")
        assert found is not None
        _check(found[1].lower() not in {name.lower() for name in fields}, f"{found[1]} twice")
        fields[found[1]] = found[2]
    encoding = fields.get("Content-Transfer-Encoding", "7bit")
    _check(encoding in ("binary", "8bit") or (encoding == "7bit" and body.isascii()), f"transfer encoding {encoding}")
    _check("Content-Type" in fields, "a part without Content-Type")
    return Part(fields, _content_id(fields, is_linphone), fields["Content-Type"], body)


def _content_id(fields: dict[str, str], is_linphone: bool) -> str:
    name = "Content-Id" if is_linphone else "Content-ID"
    _check(name in fields, f"a part without {name}: {sorted(fields)}")
    value = fields[name]
    bare = value if is_linphone else value.removeprefix("<").removesuffix(">")
    _check(is_linphone or value == f"<{bare}>", f"a Content-ID without angle brackets: {value}")
    _check(_CONTENT_ID.fullmatch(bare) is not None, f"no Content-ID: {value}")
    return bare


# ---------------------------------------------------------------------------------------------------------------------
# RLMI


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


def _told(content_type: str, body: bytes, is_linphone: bool, seen: set[str]) -> Told:
    media_type, parameters = parameters_of(content_type)
    _check(media_type == MULTIPART, f"the body is {media_type}")
    _check(parameters.get("type", "").strip('"') == RLMI, f"the type of the root is {parameters.get('type')}")
    _check("boundary" in parameters, "no boundary")
    parts = parts_of(body, parameters["boundary"], is_linphone)
    for each in parts:
        _check(each.content_id not in seen, f"two parts have the Content-ID {each.content_id}")
        seen.add(each.content_id)
    root = parts[0]
    _check(root.type == RLMI, f"the first part is {root.type}")
    start = parameters.get("start")
    _check(start in (None, f'"<{root.content_id}>"'), f"start names {start}, the first part is {root.content_id}")
    return _list(_document(root.body), {each.content_id: each for each in parts[1:]}, is_linphone, seen)


def _document(octets: bytes) -> etree._Element:
    try:
        document = etree.fromstring(octets)
    except etree.XMLSyntaxError as error:
        raise Invalid(f"RLMI is not well-formed: {error}") from None
    _check(_schema().validate(document), f"RLMI is not valid: {_schema().error_log.last_error}")
    _check(document.tag == f"{NAMESPACE}list", f"RLMI is a {document.tag}")
    return document


def _list(root: etree._Element, parts: dict[str, Part], is_linphone: bool, seen: set[str]) -> Told:
    referred: list[str] = []
    resources = tuple(_resource(each, parts, referred, is_linphone, seen) for each in root.iterchildren(f"{NAMESPACE}resource"))
    told = Told(
        root.get("uri", ""), int(root.get("version", "-1")), root.get("fullState") in ("true", "1"), _names(root), resources
    )
    _check(len(set(told.uris)) == len(told.uris), f"a resource twice: {told.uris}")
    _check(sorted(referred) == sorted(parts), f"parts {sorted(parts)} are referred to as {sorted(referred)}")
    return told


def _names(parent: etree._Element) -> tuple[tuple[str, str], ...]:
    return tuple((each.get(_LANGUAGE, ""), each.text or "") for each in parent.iterchildren(f"{NAMESPACE}name"))


def _resource(element: etree._Element, parts: dict[str, Part], referred: list[str], is_linphone: bool, seen: set[str]) -> Resource:
    uri = element.get("uri", "")
    instances = []
    for each in element.iterchildren(f"{NAMESPACE}instance"):
        cid, state, reason = each.get("cid"), each.get("state", ""), each.get("reason")
        _check((state == "active") == (cid is not None), f"an {state} instance of {uri} has the cid {cid}")
        _check((state == "terminated") == (reason is not None), f"an {state} instance of {uri} has the reason {reason}")
        _check(reason is None or reason in REASONS, f"{reason} is no registered reason")
        _check(cid is None or cid in parts, f"{cid} is no part of this level, they are {sorted(parts)}")
        part = None if cid is None else parts[cid]
        referred += [] if cid is None else [cid]
        instances.append(
            Instance(each.get("id", ""), state, reason, part and part.content_type, part and _body(part, uri, is_linphone, seen))
        )
    ids = [each.id for each in instances]
    _check(len(set(ids)) == len(ids), f"instances of {uri} have the ids {ids}")
    return Resource(uri, _names(element), tuple(instances))


def _body(part: Part, uri: str, is_linphone: bool, seen: set[str]) -> bytes | Told:
    if part.type == MULTIPART:
        told = _told(part.content_type, part.body, is_linphone, seen)
        _check(told.uri == uri, f"the list that is {uri} calls itself {told.uri}")
        return told
    if part.type.endswith("+xml"):
        try:
            etree.fromstring(part.body)
        except etree.XMLSyntaxError as error:
            raise Invalid(f"the document of {uri} is not well-formed: {error}") from None
    return part.body


# ---------------------------------------------------------------------------------------------------------------------
# Several bodies of one subscription


class Reader:
    """What a subscriber knows of a list, from the bodies of one subscription (RFC 4662 section 5.2).

    Args:
        members: what a full document has to list, in any order; None: whatever it does.
    """

    def __init__(self, members: Iterable[str] | None = None, is_linphone: bool = False) -> None:
        self.members = None if members is None else sorted(members)
        self.is_linphone = is_linphone
        self.version = -1
        self.resources: dict[str, Resource] = {}

    def take(self, content_type: str, body: bytes | str) -> Told:
        """Apply the next body; one may have been missed only before a full one."""
        told = read(content_type, body, self.is_linphone)
        is_next = told.version == self.version + 1 or (told.is_full and told.version > self.version >= 0)
        _check(is_next, f"version {told.version} follows {self.version}")
        _check(told.is_full or told.version > 0, "the first document is not full")
        _check(not told.is_full or self.members in (None, sorted(told.uris)), f"a full document lists {told.uris}")
        self.version = told.version
        if told.is_full:
            self.resources = {}
        self.resources |= {each.uri: each for each in told.resources}
        return told

    def instances(self) -> Iterator[tuple[str, Instance]]:
        """All that is known, as (resource, instance)."""
        yield from ((uri, each) for uri, resource in self.resources.items() for each in resource.instances)
