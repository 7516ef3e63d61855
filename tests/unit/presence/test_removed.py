"""What transformations took out of a document, for people: kemi/presence/removed.py."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.presence import pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.outline import name_of
from kemi.presence.privacy import filtered, needed
from kemi.presence.removed import ALL, Removed, removed
from kemi.xcap.pres_rules import EVERYTHING, Permissions, UserInput
from tests.unit.presence.test_composition_of_anything import CLIENTS, published
from tests.unit.presence.test_privacy import (
    EMPTY,
    ENTITY,
    FULL,
    OFFLINE,
    PERMISSIONS,
    SETS,
    composed,
    granting,
    presence,
)

COMPONENTS = (pidf.TUPLE, pidf.PERSON, pidf.DEVICE)


def taken(permissions: Permissions, body: bytes, offline: bytes = OFFLINE) -> list[Removed]:
    return removed(body, filtered(body, permissions, offline))


def needs(found: list[Removed], element: str) -> list[str]:
    return [each.needs for each in found if each.element == element]


def test_a_component_that_is_not_shown_is_told_as_a_whole() -> None:
    assert taken(Permissions(), composed(SETS)) == [
        *(Removed(f"tuple t{number}", ALL, "provide-services") for number in (1, 2, 3)),
        *(Removed(f"person p{number}", ALL, "provide-persons") for number in (1, 2)),
        *(Removed(f"device d{number}", ALL, "provide-devices") for number in (1, 2)),
    ]


def test_every_attribute_tells_the_permission_that_it_needs() -> None:
    found = [each for each in taken(granting(), composed(FULL)) if each.part == "tuple t1"]
    assert needs(found, "r:mood") == ["provide-mood", "provide-mood"]
    assert needs(found, "note") == ["provide-note"]
    assert needs(found, "dm:deviceID") == ["provide-deviceID"]
    assert needs(found, "o:willingness") == ["provide-willingness"]
    assert needs(found, "g:geopriv") == ["provide-geopriv"]
    assert needs(found, "r:user-input(in)") == ["provide-user-input"]
    assert needs(found, "v:bar") == ['provide-unknown-attribute ns="urn:vendor" name="bar"']
    assert not {"status(basic)", "contact", "timestamp", "r:service-class"} & {each.element for each in found}


@pytest.mark.parametrize(
    ("level", "gone"),
    [
        (UserInput.BARE, "user-input: @id @idle-threshold @last-input @since @{urn:vendor}x v:in"),
        (UserInput.THRESHOLDS, "user-input: @id @last-input @since @{urn:vendor}x v:in"),
    ],
)
def test_what_is_shown_in_part_tells_what_is_missing(level: UserInput, gone: str) -> None:
    found = taken(granting(user_input=level), composed(FULL))
    assert [each for each in found if each.element.startswith("user-input: ")] == [
        Removed(part, gone, "provide-user-input") for part in ("tuple t1", "person p1", "device d1")
    ]


def test_what_stands_under_presence_is_told_too() -> None:
    body = composed(FULL)
    found = [each for each in taken(granting(), body) if each.part == "presence"]
    assert found == [
        Removed("presence", "note", "provide-note, all-persons"),
        Removed("presence", "v:top", "no permission is about it"),
    ]
    assert taken(EVERYTHING, body) == found[1:]


def test_where_nothing_is_left_everything_is_told() -> None:
    body = composed(presence('<tuple id="t1"><status/></tuple>'))
    for offline in (OFFLINE, EMPTY, b""):
        assert taken(Permissions(), body, offline) == [Removed("tuple t1", ALL, "provide-services")]
    assert removed(b"", b"") == []


def test_values_are_not_told() -> None:
    assert not any("M-" in text for each in taken(Permissions(), composed(FULL)) for text in each)
    assert not any("M-" in text for each in taken(granting(user_input=UserInput.BARE), composed(FULL)) for text in each)


# Whatever comes


def parts_of(body: bytes) -> Iterator[tuple[str, str]]:
    """Everything that may be missing: components, what is in them, and what stands beside them."""
    for child in pidf.tree(body).iterchildren(etree.Element) if body else ():
        part = f"{etree.QName(child).localname} {child.get('id')}"
        yield (part, ALL) if child.tag in COMPONENTS else ("presence", name_of(child))
        for inside in [*child, *child.iterfind(f"{{{pidf.PIDF}}}status/*")] if child.tag in COMPONENTS else ():
            if isinstance(inside.tag, str):
                yield part, etree.QName(inside).localname


@settings(deadline=None)
@given(published(), PERMISSIONS)
def test_what_is_told_is_just_what_is_missing(sources: list[Source], permissions: Permissions) -> None:
    check(compose(ENTITY, sources, Offline.EMPTY).body, permissions)


@settings(deadline=None)
@given(PERMISSIONS, st.sampled_from([FULL, SETS, *CLIENTS.values()]))
def test_of_documents_of_clients_too(permissions: Permissions, body: str) -> None:
    check(composed(body), permissions)


def check(body: bytes, permissions: Permissions) -> None:
    shown = filtered(body, permissions, EMPTY)
    found = [each for each in removed(body, shown) if not each.element.startswith("user-input: ")]
    told = Counter((each.part, local(each.element) if each.part != "presence" else each.element) for each in found)
    whole = {each.part for each in found if each.element == ALL}
    missing = Counter(parts_of(body)) - Counter(parts_of(shown))
    assert told == Counter({name: count for name, count in missing.items() if name[0] not in whole or name[1] == ALL})


def local(element: str) -> str:
    return element.partition("(")[0].rpartition(":")[2]


@pytest.mark.parametrize(
    ("tag", "kind", "permission"),
    [
        (pidf.CONTACT, pidf.TUPLE, ""), (f"{{{pidf.RPID}}}mood", pidf.TUPLE, "provide-mood"),
        (f"{{{pidf.RPID}}}user-input", pidf.PERSON, "provide-user-input"), (pidf.NOTE, pidf.TUPLE, "provide-note"),
        (f"{{{pidf.RPID}}}new", pidf.PERSON, "provide-all-attributes"), (pidf.CONTACT, pidf.PERSON, "provide-all-attributes"),
        ("{urn:v}foo", pidf.DEVICE, 'provide-unknown-attribute ns="urn:v" name="foo"'),
    ],
)  # fmt: skip
def test_the_permission_that_shows_an_attribute_is_told_as_rules_have_it(tag: str, kind: str, permission: str) -> None:
    assert needed(tag, kind) == permission
