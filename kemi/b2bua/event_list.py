"""Documents of lists elsewhere (pure; RFC 4662 section 5): what comes as changes is merged into the list that is here.

A document is multipart/related; its root is RLMI, which names resources, their instances, and the parts that have their states.

the new document is   its version is      what is done
--------------------  ------------------  ----------------------------------------
full                  higher, or first    it takes the place of the one before
partial               the next one        merged: resource by URI, instance by id
partial               higher than that    merged, and a refresh asks for all of it
any                   not higher          thrown away

What is kept is a full document of our own writing, with the parts octet by octet. A list in a list is a part like any other. A part
that cannot be passed on (`told`) is left out: in a partial document its instance keeps the one that it had.
"""

import hashlib
import re
from collections.abc import Callable, Iterable

from lxml import etree

from kemi import multipart, sip
from kemi.b2bua.numbered import NOTHING, Taken, read
from kemi.b2bua.outgoing import Outgoing
from kemi.errors import BadRequest, SipError
from kemi.multipart import RELATED, Part

RLMI = "application/rlmi+xml"
NAMESPACE = "urn:ietf:params:xml:ns:rlmi"
_RESOURCE, _INSTANCE = f"{{{NAMESPACE}}}resource", f"{{{NAMESPACE}}}instance"
MOST_PARTS = 2000
MOST_LEVELS = 20
"""Of lists in lists; no server of ours makes more (`rls.max_list_nesting_level`)."""

Users = frozenset[str] | None
"""Of whom a part tells (`users`); None: it cannot be passed on."""

UsersOf = Callable[[Part], Users]


def taken(outgoing: Outgoing, content_type: str, body: bytes, users_of: UsersOf) -> Taken:
    """What becomes of a document.

    Raises:
        BadRequest: 400, it cannot be read, or is of another list.
        BodyTooLarge: 413, it has too many parts.
    """
    root, parts = _read(content_type, body)
    if not is_about(users([root.get("uri", "")]), outgoing.resource):
        raise BadRequest("the document is about another list")
    version = _version(root)
    if version <= outgoing.version:
        return NOTHING
    left_out = _leave_out(root, parts, users_of)
    if root.get("fullState", "").strip() in ("true", "1"):
        return _written(root, parts, version, is_gapped=False)._replace(left_out=left_out)
    if outgoing.version < 0 or sip.media_type(outgoing.content_type) != RELATED:
        return NOTHING._replace(is_gapped=True, left_out=left_out)
    old, old_parts = _read(outgoing.content_type, outgoing.body)
    merged = _merged(old, old_parts, root, parts)
    return _written(old, merged, version, is_gapped=version > outgoing.version + 1)._replace(left_out=left_out)


def users(uris: Iterable[str]) -> frozenset[str]:
    """Whom these URIs stand for, however they are written; one that is empty stands for nobody in particular."""
    return frozenset(_user(each) for each in uris if each.strip())


def is_about(told: Users, uri: str) -> bool:
    """Whether what tells of these can be passed on as a document of this user."""
    return told is not None and told <= {_user(uri)}


def _user(uri: str) -> str:
    uri = " ".join(uri.split())
    try:
        return sip.address_of_record(sip.parse_uri(uri)).lower()
    except SipError:
        return uri.lower()


def _leave_out(root: etree._Element, parts: dict[str, Part], users_of: UsersOf) -> int:
    """Take the names of unusable parts out of the instances; how many these are."""
    unusable = _unusable(root, parts, users_of, MOST_LEVELS)
    for each in unusable:
        del each.attrib["cid"]
    return len(unusable)


def _unusable(root: etree._Element, parts: dict[str, Part], users_of: UsersOf, levels: int) -> list[etree._Element]:
    """Instances whose parts cannot be passed on. Each part is read once, however many name it."""
    told = {cid: _users_of(part, users_of, levels) for cid, part in parts.items()}
    named = [each for each in root.iter(_INSTANCE) if each.get("cid") in told]
    return [each for each in named if not is_about(told[each.get("cid", "")], _uri_of(each))]


def _users_of(part: Part, users_of: UsersOf, levels: int) -> Users:
    """Of a list in a list: itself, if all in it can be passed on."""
    if sip.media_type(part.content_type) != RELATED:
        return users_of(part)
    try:
        root, parts = _read(part.content_type, part.content)
    except SipError:
        return None
    if not levels or _unusable(root, parts, users_of, levels - 1):
        return None
    return users([root.get("uri", "")])


def _uri_of(instance: etree._Element) -> str:
    resource = instance.getparent()
    return "" if resource is None else resource.get("uri", "")


def _read(content_type: str, body: bytes) -> tuple[etree._Element, dict[str, Part]]:
    """The RLMI root, and the other parts by their Content-ID."""
    parts = list(multipart.read(content_type, body, MOST_PARTS))
    if not parts:
        raise BadRequest("a multipart body has no parts")
    root = multipart.root_of(content_type, parts)
    if sip.media_type(root.content_type) != RLMI:
        raise BadRequest("the root of a list's document is no RLMI")
    return read(root.content), {each.content_id: each for each in parts if each is not root and each.content_id}


def _version(root: etree._Element) -> int:
    text = root.get("version", "").strip()
    if not re.fullmatch("[0-9]{1,18}", text):
        raise BadRequest("the version of a list cannot be read")
    return int(text)


def _merged(old: etree._Element, old_parts: dict[str, Part], new: etree._Element, parts: dict[str, Part]) -> dict[str, Part]:
    """Take resources of the new document into the old one; the parts of both, under names that do not clash."""
    for instance in old.iter(_INSTANCE):
        if "cid" in instance.attrib:
            instance.set("cid", "old " + instance.get("cid", ""))
    known = {each.get("uri"): each for each in old.iterchildren(_RESOURCE)}
    for resource in list(new.iterchildren(_RESOURCE)):
        before = known.get(resource.get("uri"))
        if before is None:
            old.append(resource)
        else:
            _take_instances(before, resource)
    return {f"old {cid}": part for cid, part in old_parts.items()} | parts


def _take_instances(before: etree._Element, resource: etree._Element) -> None:
    """Instances that are over go; one that is told without a document keeps the one that it has."""
    instances = {each.get("id"): each for each in before.iterchildren(_INSTANCE)}
    for instance in list(resource.iterchildren(_INSTANCE)):
        known = instances.get(instance.get("id"))
        if known is None:
            before.append(instance)
            continue
        if "cid" not in instance.attrib and "cid" in known.attrib and instance.get("state") == "active":
            instance.set("cid", known.get("cid", ""))
        before.replace(known, instance)


def _written(root: etree._Element, parts: dict[str, Part], version: int, is_gapped: bool) -> Taken:
    """A full document; parts get names of their own."""
    root.set("version", str(version))
    root.set("fullState", "true")
    named: dict[str, Part] = {}
    for instance in root.iter(_INSTANCE):
        cid = instance.attrib.pop("cid", "")
        if cid in parts:
            part = named.setdefault(cid, parts[cid]._replace(content_id=f"part{len(named) + 1}@list"))
            instance.set("cid", part.content_id)
    rlmi = Part(etree.tostring(root, encoding="UTF-8", xml_declaration=True), f'{RLMI};charset="UTF-8"', "list@list")
    used = [rlmi, *named.values()]
    token = hashlib.blake2b(b"\n".join(each.content for each in used), digest_size=12).hexdigest()
    written = [(multipart.fields_of(each.content_type, each.content_id), each.content.decode()) for each in used]
    boundary = multipart.boundary_for([content for _, content in written], token)
    body = multipart.write(written, boundary).encode()
    return Taken(multipart.related(RLMI, boundary, rlmi.content_id), body, version, is_gapped)
