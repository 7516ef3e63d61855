"""One published presence document: reading it safely, and what it holds (pure).

PIDF is RFC 3863, person and device come from the data model (RFC 4479 section 5). Everything of other namespaces (RPID
RFC 4480, CIPID RFC 4482, geopriv, vendors) is kept as elements that nobody here understands (RFC 3863 section 4.2.3).

CPIM-PIDF is what PIDF was called in its last drafts: another namespace and media type, all else is equal (SER handbook
section 5.1). It is read as the equal PIDF document, so that nothing behind this module knows it. Its media type is taken
with either namespace (SER did not look at it); PIDF's own media type only with PIDF's namespace, as RFC 3863 has it.

What stops a document: it is not well-formed, not PIDF, in an encoding that is not taken, or has a DOCTYPE (415); it is
larger than the limits below (413). What does not stop it: being schema-invalid. It is used as far as it can be read:
the readers of single values at the end say "" for what cannot.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from lxml import etree

from kemi.errors import BodyTooLarge, UnsupportedMediaType
from kemi.presence import namespaces

MEDIA_TYPE = "application/pidf+xml"
CPIM_MEDIA_TYPE = "application/cpim-pidf+xml"
CONSUMES = (MEDIA_TYPE, CPIM_MEDIA_TYPE)
"""What a publication may be."""

PIDF = "urn:ietf:params:xml:ns:pidf"
DATA_MODEL = "urn:ietf:params:xml:ns:pidf:data-model"
RPID = "urn:ietf:params:xml:ns:pidf:rpid"
CPIM = "urn:ietf:params:xml:ns:cpim-pidf"

PRESENCE = f"{{{PIDF}}}presence"
TUPLE = f"{{{PIDF}}}tuple"
NOTE = f"{{{PIDF}}}note"
STATUS = f"{{{PIDF}}}status"
BASIC = f"{{{PIDF}}}basic"
CONTACT = f"{{{PIDF}}}contact"
TIMESTAMP = f"{{{PIDF}}}timestamp"
PERSON = f"{{{DATA_MODEL}}}person"
DEVICE = f"{{{DATA_MODEL}}}device"

OPEN, CLOSED = "open", "closed"
"""Values of basic (RFC 3863 section 4.1.4)."""

# Many times what clients send. Declarations have their own limits because each one is in scope for all that is below it:
# whoever writes out parts of the document pays elements times octets of declarations.
MAX_ELEMENTS = 1000
MAX_ATTRIBUTES = 2000
MAX_DECLARATIONS = 100
MAX_DEPTH = 32
MAX_GROWTH = 8
"""Times its length that a document may get longer by declarations, if each of its elements has to bring those that it uses."""
MAX_IN_SCOPE = 4_000_000
"""Elements times octets of declarations, where these are many enough to be counted."""

_RESOURCE_LIMIT = 114  # libxml2's XML_ERR_RESOURCE_LIMIT: its own limit of depth, which lxml has no name for

_MARKUP_AHEAD = re.compile(b"[<>]")
_EXCHANGE = {PIDF.encode(): CPIM.encode(), CPIM.encode(): PIDF.encode()}
# In what libxml2 and composition write, "<" is markup wherever it stands. Comments and processing instructions are
# matched so that nothing in them is taken for a start tag. A start tag begins with its declarations, in double quotes.
_MARKUP = re.compile(rb'<!--.*?-->|<\?.*?\?>|<[^\s/>]+(?: xmlns(?::[^\s=]+)?="[^"]*")+', re.DOTALL)
_DECLARED = re.compile(rb'(?<==")(?:' + b"|".join(_EXCHANGE) + rb')(?=")')

_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)')
_DECLARED_ENCODING = re.compile(rb'<\?xml\s[^>]*?\sencoding\s*=\s*["\']([A-Za-z0-9._-]+)')
_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_OTHER_NAMES = re.compile(r"utf-16(?:le|be)?|iso-8859-(?:[1-9]|1[0-9])|windows-125[0-8]")


@dataclass(frozen=True, slots=True, eq=False)
class PidfDocument:
    """A parsed document. Its elements are read, never changed: one document can be composed many times.

    Args:
        root: the presence element, for the namespace declarations in scope.
        tuples, persons, devices: what has an id in a presence document, each in document order.
        notes: the notes directly under presence.
        others: all other elements under presence that have a namespace of their own (PIDF allows no others).
    """

    root: etree._Element
    tuples: tuple[etree._Element, ...]
    persons: tuple[etree._Element, ...]
    devices: tuple[etree._Element, ...]
    notes: tuple[etree._Element, ...]
    others: tuple[etree._Element, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing is said about the presentity."""
        return not (self.tuples or self.persons or self.devices or self.notes or self.others)


def parse(body: bytes, content_type: str) -> PidfDocument:
    """Read a published document.

    Args:
        body: the octets of the body.
        content_type: the value of Content-Type as it came, with its parameters.

    Raises:
        UnsupportedMediaType: 415, neither PIDF nor CPIM-PIDF, not well-formed, not a presence document, or with a DOCTYPE.
        BodyTooLarge: 413, more elements, attributes, declarations, octets of declarations or levels than the limits.
    """
    return _sorted(read(body, content_type))


def read(body: bytes, content_type: str) -> etree._Element:
    """The root element of a published document, everything checked that `parse` checks; raises the same."""
    media_type, charset = _content_type(content_type)
    encoding = _encoding(body, charset)
    if encoding != "utf-8":
        body = _transcoded(body, encoding)
    elements = _checked_size(body)
    root = tree(body)
    if elements > MAX_DEPTH and _too_deep()(root):
        raise _too_nested()
    if media_type == CPIM_MEDIA_TYPE and root.tag == f"{{{CPIM}}}presence":
        root = tree(exchanged(etree.tostring(root, encoding="utf-8")))
    if root.tag != PRESENCE:
        raise _refusal(f"the root of the body is not a presence element in namespace {PIDF}")
    if elements > MAX_GROWTH and _may_grow(body, elements) and namespaces.octets(root, PIDF) > MAX_GROWTH * len(body):
        raise _too_much_declared()
    return root


def tree(document: bytes) -> etree._Element:
    """The root element of a document in UTF-8; that it is well-formed is all that is checked.

    Raises:
        UnsupportedMediaType: 415, it is not.
        BodyTooLarge: 413, more levels than libxml2 takes.
    """
    try:
        return etree.fromstring(document, _parser())
    except etree.XMLSyntaxError as error:
        if error.code == _RESOURCE_LIMIT:
            raise _too_nested() from None
        # Only the position: libxml2's own text quotes the document.
        line, column = error.position
        raise _refusal(f"the body is not well-formed XML at line {line}, column {column}") from None


def exchanged(document: bytes) -> bytes:
    """The same document with the namespaces of PIDF and CPIM-PIDF in each other's place.

    Only namespace declarations change; prefixes, texts and everything of other namespaces stay octet for octet. Because
    the two change places, no two names become one: the result is as well-formed as the document, and exchanging it again
    gives the document.

    Args:
        document: as libxml2 or `composition.compose` writes it, in UTF-8.
    """
    return _MARKUP.sub(_exchanged_markup, document)


def _exchanged_markup(markup: re.Match[bytes]) -> bytes:
    written = markup[0]
    if written.startswith((b"<!", b"<?")):
        return written
    return _DECLARED.sub(lambda uri: _EXCHANGE[uri[0]], written)


def _refusal(detail: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(detail, accept=CONSUMES)


def _too_much_declared() -> BodyTooLarge:
    return BodyTooLarge("the elements of the body need too many octets of namespace declarations")


def _too_nested() -> BodyTooLarge:
    return BodyTooLarge(f"the elements of the body are nested more than {MAX_DEPTH} levels deep")


# ---------------------------------------------------------------------------------------------------------------------
# Encoding: byte order mark, else charset of Content-Type, else XML declaration (RFC 7303 section 3, RFC 3863 section 7)


@lru_cache(maxsize=64)
def _content_type(content_type: str) -> tuple[str, str]:
    """The media type, and the charset or "", both in lower case. Clients send few different values: they are remembered."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in CONSUMES:
        raise _refusal(f"the body is neither {MEDIA_TYPE} nor {CPIM_MEDIA_TYPE}")
    for name, value in _PARAMETER.findall(content_type):
        if name.lower() == "charset":
            return media_type, str(value).strip('"').lower()
    return media_type, ""


def _encoding(body: bytes, charset: str) -> str:
    """The name of a Python codec. us-ascii is read as UTF-8, which it is part of and which is always accepted."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if body.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    name = charset or _declared(body)
    if name in _UTF8_NAMES:
        return "utf-8"
    if not _OTHER_NAMES.fullmatch(name):
        raise _refusal("the character encoding of the body is not supported, use UTF-8")
    if name == "utf-16":
        return "utf-16-le" if body[1:2] == b"\0" else "utf-16-be"
    return name


def _declared(body: bytes) -> str:
    if body[:2] in (b"<\0", b"\0<"):
        return "utf-16"
    declaration = _DECLARED_ENCODING.match(body)
    return declaration[1].decode("ascii").lower() if declaration else "utf-8"


def _transcoded(body: bytes, encoding: str) -> bytes:
    """The body in UTF-8: everything below looks at one encoding only, so that none can hide a DOCTYPE."""
    try:
        return body.decode(encoding).encode("utf-8")
    except (UnicodeError, LookupError):
        raise _refusal(f"the body cannot be read as {encoding}") from None


# ---------------------------------------------------------------------------------------------------------------------
# Safety: everything is decided on the octets before libxml2 builds anything


def _checked_size(body: bytes) -> int:
    """An upper bound of the number of elements, after the limits and the DOCTYPE were looked at.

    A DOCTYPE is refused wherever the letters stand. In a comment they would be harmless, but no client writes that,
    and a search that understands comments is a search that can be deceived.
    """
    if b"<!DOCTYPE" in body:
        raise _refusal("the body has a DOCTYPE, which is not accepted")
    elements = body.count(b"<") - body.count(b"</")
    for what, number, limit in (
        ("elements", elements, MAX_ELEMENTS),
        ("attributes", body.count(b"="), MAX_ATTRIBUTES),
        ("namespace declarations", body.count(b"xmlns"), MAX_DECLARATIONS),
    ):
        if number > limit:
            raise BodyTooLarge(f"the body has more than {limit} {what}")
    return elements


def _may_grow(body: bytes, elements: int) -> bool:
    """Whether declarations have to be looked at: all of them for each element could be more than the limit.

    What is counted is never less than what is declared, wherever the letters stand: no declaration has a "<" or a ">". Clients
    declare in the first start tag, so that mostly a look at its length is enough.
    """
    end = body.find(b"<", body.rfind(b"xmlns"))
    if end >= 0 and elements * end <= MAX_GROWTH * len(body):
        return False
    octets = sum(len(" xmlns") + len(_MARKUP_AHEAD.split(piece, maxsplit=1)[0]) for piece in body.split(b"xmlns")[1:])
    if elements * octets > MAX_IN_SCOPE:
        raise _too_much_declared()
    return elements * octets > MAX_GROWTH * len(body)


@lru_cache(maxsize=1)
def _parser() -> etree.XMLParser:
    """One for all documents of the process: UTF-8 whatever the declaration says, no DTD, no entity, no network."""
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, collect_ids=False
    )


@lru_cache(maxsize=1)
def _too_deep() -> etree.XPath:
    return etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")


# ---------------------------------------------------------------------------------------------------------------------
# Elements


def _sorted(root: etree._Element) -> PidfDocument:
    kinds: dict[str, list[etree._Element]] = {TUPLE: [], PERSON: [], DEVICE: [], NOTE: []}
    others: list[etree._Element] = []
    for child in root:
        tag = child.tag
        if tag in kinds:
            kinds[tag].append(child)
        elif isinstance(tag, str) and tag[0] == "{" and not tag.startswith(f"{{{PIDF}}}"):
            others.append(child)
    for element in kinds[TUPLE]:
        # Seen under a tuple although they belong beside it (RFC 4479 section 5): read as if they stood there.
        kinds[PERSON].extend(element.iterchildren(PERSON))
        kinds[DEVICE].extend(element.iterchildren(DEVICE))
    return PidfDocument(root, tuple(kinds[TUPLE]), tuple(kinds[PERSON]), tuple(kinds[DEVICE]), tuple(kinds[NOTE]), tuple(others))


def split(parent: etree._Element, namespace: str) -> tuple[dict[str, list[etree._Element]], list[etree._Element]]:
    """The children that are of `namespace`, by local name, and those of other namespaces.

    Neither PIDF nor the data model allows children without namespace: they are left out, as comments are.
    """
    own: dict[str, list[etree._Element]] = {}
    others: list[etree._Element] = []
    for child in parent:
        if not isinstance(child.tag, str):
            continue
        uri, _, name = child.tag[1:].rpartition("}")
        if uri == namespace:
            own.setdefault(name, []).append(child)
        elif uri:
            others.append(child)
    return own, others


# ---------------------------------------------------------------------------------------------------------------------
# Values of single elements, "" where the schema would not have them

_IP_LITERAL = re.compile(r"(?<=[@/:])\[[0-9A-Fa-f:.]+\]")
_STRAY_BRACKET = re.compile(r"[\[\]]")
_PRIORITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)
# xs:anyURI takes nearly everything. It stops at a stray percent sign, a second fragment, and a scheme or an authority
# that cannot be one. Square brackets are fine (XLink section 5.4): libxml2 is wrong to refuse sip:alice@[2001:db8::1].
_ANY_URI = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?://(?:[^/?#@%:\[\]]*@)?(?:[^/?#@%:\[\]]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    r"(?=[/?#]|$)|(?!//))|(?!//|[^/?#]*:))"
    r"(?:[^%#]|%[0-9A-Fa-f]{2})*(?:#(?:[^%#]|%[0-9A-Fa-f]{2})*)?"
)
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def text(element: etree._Element) -> str:
    """The characters in an element, those of its children too, without comments."""
    if len(element) == 0:
        return element.text or ""
    characters: str = etree.tostring(element, method="text", encoding="unicode", with_tail=False)
    return characters


def basic(element: etree._Element) -> str:
    """open or closed, however it was spelt (RFC 3863 section 4.1.4)."""
    value = text(element).strip().lower()
    return value if value in (OPEN, CLOSED) else ""


def uri(element: etree._Element) -> str:
    """The URI of a contact or deviceID. Angle brackets around it, as in SIP's name-addr, are taken off."""
    value = " ".join(text(element).split()).removeprefix("<").removesuffix(">")
    if _STRAY_BRACKET.search(_IP_LITERAL.sub("", value, count=1)):
        return ""
    if _ANY_URI.fullmatch(value):
        return value
    repaired = _STRAY_PERCENT.sub("%25", value)
    return repaired if _ANY_URI.fullmatch(repaired) else ""


def priority(contact: etree._Element) -> str:
    """0 to 1 with at most three decimals (RFC 3863 section 4.1.5)."""
    value = (contact.get("priority") or "").strip()
    return value if _PRIORITY.fullmatch(value) else ""


def language(note: etree._Element) -> str:
    """The xml:lang of a note."""
    value = note.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
    return value if _LANGUAGE.fullmatch(value) else ""


def timestamp(element: etree._Element) -> str:
    """RFC 3339 with capital T and Z (RFC 3863 section 4.1.7), on a day that the calendar has."""
    value = text(element).strip().upper()
    return value if is_timestamp(value) else ""


def is_timestamp(value: str) -> bool:
    """Whether it is one as above."""
    if not _TIMESTAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True
