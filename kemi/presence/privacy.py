"""Privacy filtering: from the composed document to what one watcher may see of it (pure; RFC 5025 sections 3.3 and 4).

Filtering only takes away. What it is asked with are the `Permissions` of `kemi.xcap.pres_rules`; what it does:

* A tuple, person or device is shown if its set is all of them, or has a member that it fits. Members compare as written, but
  service-uri and deviceID, which compare as URIs. occurrence-id is the id in the composed document.
* Of what is shown these stay: in a tuple status with basic, contact, service-class and timestamp, in a person timestamp, in a
  device deviceID and timestamp. Everything else goes unless it is granted, also inside of status, where PIDF has its
  extensions.
* A component that is shown for its class alone keeps the class, even where provide-class is missing (and its
  service-description if it is shown for OMA's service-id). Otherwise filtering the result once more would take the component
  away, and the result has to be its own result (section 4). The watcher learns no more than why he sees it.
* provide-unknown-attribute opens no element for which there is a permission, and none of PIDF, the data model and RPID.
* A note under presence describes the presentity (RFC 4479 section 5): it needs provide-note and all persons. Notes inside of
  activities, mood and so on are part of these.
* Any other element under presence is neither component nor attribute of one: there is no permission for it, it goes.
* Elements that stay are written as they stand in the tree, so that no name in them can come to mean something else. Of the
  declarations of presence those stay that what is left may use: the others would tell about what went.

A document of which nothing is left is the offline document, for a watcher who may see any service: whether the presentity is
offline, shows this watcher nothing, or blocks him politely, the octets are the same. A watcher without services sees the
empty document in each of the first two cases.
"""

from collections.abc import Container, Mapping, Sequence

from lxml import etree

from kemi.presence import namespaces, pidf
from kemi.presence.pidf import (
    BASIC,
    CONTACT,
    DATA_MODEL,
    DEVICE,
    NOTE,
    PERSON,
    PIDF,
    RPID,
    STATUS,
    TIMESTAMP,
    TUPLE,
    PidfDocument,
)
from kemi.xcap import uri
from kemi.xcap.errors import escaped
from kemi.xcap.pres_rules import ALL, Member, Permissions, UserInput

OMA = "urn:oma:xml:prs:pidf:oma-pres"
GEOPRIV = "urn:ietf:params:xml:ns:pidf:geopriv10"

_CLASS = f"{{{RPID}}}class"
_DEVICE_ID, _USER_INPUT = f"{{{DATA_MODEL}}}deviceID", f"{{{RPID}}}user-input"
_SERVICE_DESCRIPTION = f"{{{OMA}}}service-description"
_SERVICE_ID = f"{_SERVICE_DESCRIPTION}/{{{OMA}}}service-id"

_ALWAYS: Mapping[str, frozenset[str]] = {
    TUPLE: frozenset({STATUS, BASIC, CONTACT, f"{{{RPID}}}service-class", TIMESTAMP}),
    PERSON: frozenset({f"{{{DATA_MODEL}}}timestamp"}),
    DEVICE: frozenset({f"{{{DATA_MODEL}}}timestamp", _DEVICE_ID}),
}
_RPID_ATTRIBUTES = (
    "activities", "class", "mood", "place-is", "place-type", "privacy", "relationship", "sphere", "status-icon", "time-offset",
)  # fmt: skip
_OMA_ATTRIBUTES = ("barring-state", "network-availability", "registration-state", "session-participation", "willingness")
_ANYWHERE = {
    **{f"{{{RPID}}}{name}": name for name in _RPID_ATTRIBUTES},
    **{f"{{{OMA}}}{name}": name for name in _OMA_ATTRIBUTES},
    f"{{{OMA}}}overriding-willingness": "willingness",
    f"{{{GEOPRIV}}}geopriv": "geopriv",
}
_PERMISSION: Mapping[str, Mapping[str, str]] = {
    TUPLE: _ANYWHERE | {_DEVICE_ID: "deviceID", NOTE: "note"},
    PERSON: _ANYWHERE | {f"{{{DATA_MODEL}}}note": "note"},
    DEVICE: _ANYWHERE | {f"{{{DATA_MODEL}}}note": "note"},
}
"""The permission that an attribute needs, by kind of component."""

_KNOWN = (PIDF, DATA_MODEL, RPID)
_THRESHOLD = "idle-threshold"


def filtered(body: bytes, permissions: Permissions, offline: bytes) -> bytes:
    """What the watcher sees.

    Args:
        body: as `composition.compose` made it, or a result of this function.
        permissions: the watcher's.
        offline: the composed document of the same entity when nothing is published; b"": there is none.

    Returns:
        A valid document. b"" only if `offline` is.
    """
    if not body or body == offline:
        return _nothing(permissions, offline)
    root = pidf.tree(body)
    if _may_see_all(permissions) and not _has_others(root):
        return body
    for child in list(root):
        if not _is_shown(child, permissions):
            root.remove(child)
    return _written(root) if len(root) else _nothing(permissions, offline)


def _nothing(permissions: Permissions, offline: bytes) -> bytes:
    if permissions.services or not offline:
        return offline
    return _document(pidf.tree(offline).get("entity") or "", "", "\n")


def _may_see_all(permissions: Permissions) -> bool:
    return permissions.all_attributes and permissions.services == permissions.persons == permissions.devices == ALL


def _has_others(root: etree._Element) -> bool:
    return any(child.tag not in (TUPLE, PERSON, DEVICE, NOTE) for child in root)


def _is_shown(child: etree._Element, permissions: Permissions) -> bool:
    """Whether a child of presence is shown; what is not granted is taken out of one that is."""
    sets = {TUPLE: permissions.services, PERSON: permissions.persons, DEVICE: permissions.devices}
    if child.tag == NOTE:
        return permissions.persons == ALL and (permissions.all_attributes or "note" in permissions.attributes)
    kinds = {member.kind for member in sets.get(child.tag, ()) if _fits(child, member)}
    if not kinds:
        return False
    reasons = [_reason(kind) for kind in kinds]
    kept = {tag for reason in reasons for tag in reason} if all(reasons) else set[str]()
    _prune(child, child.tag, permissions, kept)
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Components


def _fits(component: etree._Element, member: Member) -> bool:
    match member.kind:
        case "all":
            return True
        case "occurrence-id":
            identifier: str = component.get("id", "")
            return identifier == member.value
        case "class":
            return member.value in _texts(component, _CLASS)
        case "service-id":
            return member.value in _texts(component, _SERVICE_ID)
        case "service-uri":
            return any(uri.equivalent(text, member.value) for text in _texts(component, CONTACT))
        case "service-uri-scheme":
            return any(uri.scheme_of(uri.plain(text)) == member.value for text in _texts(component, CONTACT))
        case "deviceID":
            return any(uri.equivalent(text, member.value) for text in _texts(component, _DEVICE_ID))
        case _:
            return False


def _texts(component: etree._Element, path: str) -> list[str]:
    return [pidf.text(element).strip() for element in component.iterfind(path)]


def _reason(kind: str) -> tuple[str, ...]:
    """What has to stay in a component that is shown for a member of this kind, besides what always stays."""
    return {"class": (_CLASS,), "service-id": (_SERVICE_DESCRIPTION,)}.get(kind, ())


# ---------------------------------------------------------------------------------------------------------------------
# Attributes


def _prune(parent: etree._Element, kind: str, permissions: Permissions, kept: Container[str]) -> None:
    """Take what is not granted out of a component, or out of its status.

    Args:
        kind: the tag of the component.
        kept: tags that stay besides those that always do.
    """
    for child in list(parent):
        is_comment = not isinstance(child.tag, str)
        if is_comment or not _is_granted(child.tag, kind, permissions, kept):
            parent.remove(child)
        elif child.tag == STATUS:
            _prune(child, kind, permissions, kept)
        elif child.tag == _USER_INPUT:
            _reduce(child, permissions.user_input)


def _is_granted(tag: str, kind: str, permissions: Permissions, kept: Container[str]) -> bool:
    if permissions.all_attributes or tag in _ALWAYS[kind] or tag in kept:
        return True
    if tag == _USER_INPUT:
        return permissions.user_input is not UserInput.FALSE
    if tag in _PERMISSION[kind]:
        return _PERMISSION[kind][tag] in permissions.attributes
    namespace, _, name = tag[1:].rpartition("}")
    return namespace not in _KNOWN and (namespace, name) in permissions.unknown


def needed(tag: str, kind: str) -> str:
    """The permissions that show an attribute of a component, by their names in rules, for people; "": it always stays.

    Args:
        tag: of the attribute.
        kind: the tag of the component.
    """
    namespace, _, name = tag[1:].rpartition("}")
    if tag in _ALWAYS[kind]:
        return ""
    if tag == _USER_INPUT:
        return "provide-user-input"
    if tag in _PERMISSION[kind]:
        return f"provide-{_PERMISSION[kind][tag]}"
    return "provide-all-attributes" if namespace in _KNOWN else f'provide-unknown-attribute ns="{namespace}" name="{name}"'


def _reduce(user_input: etree._Element, level: UserInput) -> None:
    """RFC 5025 section 3.3.2.12; RFC 4480 calls since last-input. What nobody defined there goes with them."""
    if level is UserInput.FULL:
        return
    threshold = user_input.get(_THRESHOLD)
    text = user_input.text
    user_input.clear()
    user_input.text = text
    etree.cleanup_namespaces(user_input)
    if level is UserInput.THRESHOLDS and threshold is not None:
        user_input.set(_THRESHOLD, threshold)


# ---------------------------------------------------------------------------------------------------------------------
# Writing


def _written(root: etree._Element) -> bytes:
    """What is left in the tree, in the form that composition writes; its start tag has the declarations that are still used."""
    scope, used = root.nsmap, namespaces.used(root, wordless=(PIDF, DATA_MODEL))
    text: str = etree.tostring(root, encoding="unicode")
    declarations = "".join(f' xmlns:{prefix}="{escaped(scope[prefix])}"' for prefix in sorted(used))
    # In an attribute value the serialiser writes ">" as a reference: the first one ends the start tag.
    return _document(root.get("entity") or "", declarations, text.partition(">")[2].removesuffix("</presence>"))


def _document(entity: str, declarations: str, content: str) -> bytes:
    start = f'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="{PIDF}"{declarations} entity="{escaped(entity)}">'
    return f"{start}{content}</presence>\n".encode()


# ---------------------------------------------------------------------------------------------------------------------
# The sphere


_SPHERE = f"{{{RPID}}}sphere"


def sphere_of(documents: Sequence[PidfDocument]) -> str | None:
    """The sphere that the presentity is in (RFC 5025 section 3.1.2, RFC 4480 section 3.9).

    Args:
        documents: everything that the presentity published.

    Returns:
        In lower case; None, undefined: no person says it, or not all that do say the same, or it is said to be unknown, or only
        for some time (from, until), which nobody here watches.
    """
    elements = [each for document in documents for person in document.persons for each in person.iterchildren(_SPHERE)]
    if any(element.get("from") is not None or element.get("until") is not None for element in elements):
        return None
    said = {_sphere(element) for element in elements} - {""}
    return said.pop() if len(said) == 1 and said != {"unknown"} else None


def _sphere(element: etree._Element) -> str:
    """A child element names it, other has it as text; older clients write the text only."""
    children = [child for child in element.iterchildren(etree.Element) if child.tag != f"{{{RPID}}}note"]
    if not children:
        return (element.text or "").strip().casefold()
    name = etree.QName(children[0]).localname
    return pidf.text(children[0]).strip().casefold() if name == "other" else name.casefold()
