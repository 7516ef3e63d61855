"""Dialog information: what a document says, reading and writing it (pure; RFC 4235 section 4).

PIDF's habits are kept (`kemi.presence.pidf`): what stops a document is that it is not well-formed, not dialog information, not
UTF-8, has a DOCTYPE (415) or is too large (413); not that it is schema-invalid. Elements of RFC 4235 are written anew in schema
order and in the default namespace, without values that the schema forbids; those of other namespaces are kept as they are.
Session descriptions are not kept.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from lxml import etree

from kemi.errors import BodyTooLarge, UnsupportedMediaType
from kemi.event_package import VERSION
from kemi.presence import pidf
from kemi.xcap.errors import escaped

MEDIA_TYPE = "application/dialog-info+xml"
NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
MAX_GROWTH = 4
"""Times that the parts kept of a document may be longer than it: each extension brings the declarations it needs with it."""

EVENTS = ("cancelled", "rejected", "replaced", "local-bye", "remote-bye", "error", "timeout")
DIRECTIONS = ("initiator", "recipient")

_ROOT = f"{{{NAMESPACE}}}dialog-info"
_DIALOG = f"{{{NAMESPACE}}}dialog"
_TOO_DEEP = etree.XPath("boolean(" + "/*" * (pidf.MAX_DEPTH + 1) + ")")
_NUMBER = re.compile("[0-9]{1,18}")
_CODE = re.compile("[1-6][0-9]{2}")
_START_TAG = re.compile(r'(<[^\s/>]+)(?: xmlns(?::[^\s=]+)?="[^"]*")*')
# What the serialiser writes first in a start tag: all declarations, in double quotes.


class DialogState(Enum):
    """The states of a dialog, in the order in which it takes them (section 3.7.1)."""

    TRYING = "trying"
    PROCEEDING = "proceeding"
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


_RANK = {state: rank for rank, state in enumerate(DialogState)}
_STATES = {state.value: state for state in DialogState}


class Dialog(NamedTuple):
    """One dialog; "" stands for what is not known of it.

    Args:
        content: its child elements, written.
    """

    id: str
    call_id: str
    local_tag: str
    remote_tag: str
    direction: str
    state: DialogState
    content: str

    @property
    def rank(self) -> int:
        """How advanced it is."""
        return _RANK[self.state]


class DialogInfo(NamedTuple):
    """What a document says; `extensions` are elements beside the dialogs, written."""

    dialogs: tuple[Dialog, ...] = ()
    extensions: tuple[str, ...] = ()


# Writing


def write(entity: str, document: DialogInfo) -> str:
    """The document with all dialogs, numbered by VERSION (section 4.1).

    Args:
        entity: URI of who is watched, as it was asked for.
    """
    start = f'<dialog-info xmlns="{NAMESPACE}" version="{VERSION}" state="full"{_attribute("entity", entity)}>'
    lines = ('<?xml version="1.0" encoding="UTF-8"?>', start, *map(_written, document.dialogs), *document.extensions)
    return "\n".join((*lines, "</dialog-info>\n"))


def _written(dialog: Dialog) -> str:
    values = {
        "call-id": dialog.call_id,
        "local-tag": dialog.local_tag,
        "remote-tag": dialog.remote_tag,
        "direction": dialog.direction,
    }
    attributes = "".join(_attribute(name, value) for name, value in values.items() if value)
    return f"<dialog{_attribute('id', dialog.id)}{attributes}>{dialog.content}</dialog>"


def _attribute(name: str, value: str) -> str:
    return f' {name}="{escaped(value)}"'


def _element(name: str, value: str, attributes: str = "") -> str:
    return f"<{name}{attributes}>{escaped(value)}</{name}>"


# Reading


def parse(body: bytes) -> DialogInfo:
    """Read a published document. Full or partial, it says all that its publication says.

    Raises:
        UnsupportedMediaType: 415, not UTF-8, not well-formed, not dialog information, or with a DOCTYPE.
        BodyTooLarge: 413, more elements, attributes, declarations or levels than PIDF may have.
    """
    root = _root(body)
    elements = list(root.iterchildren(_DIALOG))
    dialogs = [_dialog(element, number) for number, element in enumerate(elements, 1)]
    _, others = pidf.split(root, NAMESPACE)
    document = DialogInfo(tuple(filter(None, dialogs)), tuple(map(_fragment, others)))
    size = sum(len(dialog.content) for dialog in document.dialogs) + sum(map(len, document.extensions))
    if size > MAX_GROWTH * len(body):
        raise BodyTooLarge("the elements of the body need too many namespace declarations")
    return document


def _root(body: bytes) -> etree._Element:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal("the body is not UTF-8") from None
    if "<!DOCTYPE" in text:
        raise _refusal("the body has a DOCTYPE, which is not accepted")
    if "\0" in text:
        raise _refusal("the body has characters that no XML document has")
    for what, number, most in (
        ("elements", text.count("<") - text.count("</"), pidf.MAX_ELEMENTS),
        ("attributes", text.count("="), pidf.MAX_ATTRIBUTES),
        ("namespace declarations", text.count("xmlns"), pidf.MAX_DECLARATIONS),
    ):
        if number > most:
            raise BodyTooLarge(f"the body has more than {most} {what}")
    try:
        root = pidf.tree(body)
    except UnsupportedMediaType as refused:
        raise _refusal(refused.detail) from None
    if _TOO_DEEP(root):
        raise BodyTooLarge(f"the elements of the body are nested more than {pidf.MAX_DEPTH} levels deep")
    if root.tag != _ROOT:
        raise _refusal(f"the root of the body is not a dialog-info element in namespace {NAMESPACE}")
    return root


def _refusal(detail: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(detail, accept=(MEDIA_TYPE,))


def _dialog(element: etree._Element, number: int) -> Dialog | None:
    """A dialog whose state can be read; one without an id is known by its place."""
    own, extensions = pidf.split(element, NAMESPACE)
    states = [(each, state) for each in own.get("state", ()) if (state := _state(each)) is not None]
    if not states:
        return None
    direction = element.get("direction") or ""
    return Dialog(
        id=element.get("id") or f"dialog{number}",
        call_id=element.get("call-id") or "",
        local_tag=element.get("local-tag") or "",
        remote_tag=element.get("remote-tag") or "",
        direction=direction if direction in DIRECTIONS else "",
        state=states[0][1],
        content="".join(
            (
                _element("state", states[0][1].value, _why(states[0][0])),
                *_first(own, "duration", _number),
                *_first(own, "replaces", _replaces),
                *_first(own, "referred-by", _address),
                *_first(own, "route-set", _route_set),
                *_first(own, "local", _participant),
                *_first(own, "remote", _participant),
                *map(_fragment, extensions),
            )
        ),
    )


_Children = dict[str, list[etree._Element]]


def _first(own: _Children, name: str, read: Callable[[str, etree._Element], str]) -> list[str]:
    """The first child of that name that can be read, written."""
    return list(filter(None, (read(name, element) for element in own.get(name, ()))))[:1]


def _state(element: etree._Element) -> DialogState | None:
    return _STATES.get(pidf.text(element).strip().lower())


def _why(state: etree._Element) -> str:
    """The event and the status code that led to the state (section 4.1.3)."""
    event, code = state.get("event") or "", (state.get("code") or "").strip()
    written = _attribute("event", event) if event in EVENTS else ""
    return written + (_attribute("code", code) if _CODE.fullmatch(code) else "")


def _number(name: str, element: etree._Element) -> str:
    digits = pidf.text(element).strip()
    return _element(name, digits) if _NUMBER.fullmatch(digits) else ""


def _replaces(name: str, element: etree._Element) -> str:
    values = {each: element.get(each) for each in ("call-id", "local-tag", "remote-tag")}
    known = {each: value for each, value in values.items() if value is not None}
    return f"<{name}{''.join(_attribute(*each) for each in known.items())}/>" if len(known) == len(values) else ""


def _address(name: str, element: etree._Element) -> str:
    """A URI with the display name that belongs to it; clients write `display`, some `display-name`."""
    uri = pidf.uri(element)
    names = [(each, value) for each in ("display", "display-name") if (value := element.get(each)) is not None]
    return _element(name, uri, "".join(_attribute(*each) for each in names[:1])) if uri else ""


def _route_set(name: str, element: etree._Element) -> str:
    own, _ = pidf.split(element, NAMESPACE)
    hops = "".join(_element("hop", pidf.text(hop).strip()) for hop in own.get("hop", ()))
    return f"<{name}>{hops}</{name}>" if hops else ""


def _participant(name: str, element: etree._Element) -> str:
    own, extensions = pidf.split(element, NAMESPACE)
    parts = (
        *_first(own, "identity", _address),
        *_first(own, "target", _target),
        *_first(own, "cseq", _number),
        *map(_fragment, extensions),
    )
    return f"<{name}>{''.join(parts)}</{name}>"


def _target(name: str, element: etree._Element) -> str:
    """Where requests of the dialog go, with the parameters of Contact (section 4.1.6.2); FreeSWITCH writes pvalue."""
    uri = element.get("uri")
    if uri is None:
        return ""
    own, _ = pidf.split(element, NAMESPACE)
    values = [(param.get("pname"), param.get("pval") or param.get("pvalue") or "") for param in own.get("param", ())]
    written = "".join(f"<param{_attribute('pname', key)}{_attribute('pval', value)}/>" for key, value in values if key)
    return f"<{name}{_attribute('uri', uri)}>{written}</{name}>"


def _fragment(element: etree._Element) -> str:
    """An element of another namespace, with the declarations of the prefixes that stand anywhere in it."""
    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    return _START_TAG.sub(lambda tag: tag[1] + _declarations(element, tag[1] + text[tag.end() :]), text, count=1)


def _declarations(element: etree._Element, content: str) -> str:
    """Names without prefix are those of RFC 4235 where it will stand, whatever they were before."""
    scope = {None: ""} | element.nsmap
    return "".join(
        f' xmlns:{prefix}="{escaped(uri)}"' if prefix else f' xmlns="{escaped(uri)}"'
        for prefix, uri in scope.items()
        if (f"{prefix}:" in content if prefix else uri != NAMESPACE)
    )
