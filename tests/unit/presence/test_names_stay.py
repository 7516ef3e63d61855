"""Names keep their namespaces, whatever prefixes are declared where: composing, completing, filtering, converting change none."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.presence import completion, formats, pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import DATA_MODEL, PIDF, RPID
from kemi.presence.privacy import filtered
from kemi.xcap.pres_rules import EVERYTHING, Permissions, UserInput
from tests.unit.presence.composed import ENTITY
from tests.unit.presence.test_privacy import PERMISSIONS

OFFLINE = compose(ENTITY, [], Offline.CLOSED).body
URIS = st.sampled_from(["urn:1", "urn:2", "urn:it's?a=1&amp;b=2", PIDF, DATA_MODEL, RPID])
PREFIXES = ("a", "b", "dm", "r")
NAMES = st.sampled_from(["e", "note", "note", "person", "tuple", "status", "deviceID", "user-input", "mood"])
TEXTS = st.sampled_from(["", "a:x", "b:y dm:z", "sip:a@x", "text"])
DECLARED = st.dictionaries(st.sampled_from(PREFIXES), URIS, max_size=2)
DEFAULT = st.sampled_from([None, None, None, PIDF, PIDF, "", "urn:1"])
DEPTH = 2
KNOWN = frozenset({(uri, name) for uri in ("urn:1", "urn:2", "urn:it's?a=1&b=2") for name in ("e", "note", "mood", "status")})
VIEWS = st.one_of(
    PERMISSIONS.map(lambda permissions: permissions | Permissions(unknown=KNOWN)),
    st.just(EVERYTHING),
    st.just(replace(EVERYTHING, services=frozenset())),
    st.just(replace(EVERYTHING, all_attributes=False, attributes=frozenset({"note", "mood", "deviceID"}), unknown=KNOWN)),
)


def written(declared: Mapping[str, str], default: str | None) -> str:
    return "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in declared.items()) + (
        "" if default is None else f' xmlns="{default}"'
    )


def element(draw: st.DrawFn, numbers: Iterator[int], bound: frozenset[str], depth: int = 0) -> str:
    """An element with a number, as which it is known again, and attributes that have its number as value."""
    declared = draw(DECLARED)
    bound |= declared.keys()
    choices = ["", *(f"{prefix}:" for prefix in sorted(bound))]
    number, name = next(numbers), draw(st.sampled_from(choices)) + draw(NAMES)
    attributes = draw(st.lists(st.sampled_from(choices), max_size=2))
    start = "".join(f' {prefix}x{at}="{number}"' for at, prefix in enumerate(attributes))
    children = [element(draw, numbers, bound, depth + 1) for _ in range(draw(st.integers(0, 2 if depth < DEPTH else 0)))]
    inside = draw(TEXTS) + "".join(children)
    return f'<{name}{written(declared, draw(DEFAULT))} n="{number}"{start}>{inside}</{name}>'


@st.composite
def published(draw: st.DrawFn) -> list[Source]:
    numbers = itertools.count(1)
    sources = []
    for token in range(draw(st.integers(1, 3))):
        declared = draw(DECLARED)
        parts = []
        for at in range(draw(st.integers(1, 3))):
            kind = draw(st.sampled_from(["m:person", "p:tuple", "m:device", ""]))
            inner = draw(DECLARED)
            bound = frozenset({*declared, *inner})
            content = "".join(element(draw, numbers, bound) for _ in range(draw(st.integers(1, 2))))
            if kind == "p:tuple" and draw(st.booleans()):
                content = f"<p:status{written(draw(DECLARED), draw(DEFAULT))}>{content}</p:status>"
            start = f'{kind} id="i{at}"{written(inner, draw(DEFAULT))}'
            parts.append(f"<{start}>{content}</{kind}>" if kind else element(draw, numbers, frozenset(declared)))
        default = draw(st.sampled_from([PIDF, PIDF, None, "urn:1"]))
        scope = f'xmlns:p="{PIDF}" xmlns:m="{DATA_MODEL}"{written(declared, default)}'
        body = f"<p:presence {scope}>{''.join(parts)}</p:presence>".encode()
        sources.append(Source(f"token-{token}", pidf.parse(body, pidf.MEDIA_TYPE), False))
    return sources


def names(*roots: etree._Element) -> dict[str, tuple[str, dict[str, str], str | None]]:
    """What each numbered element is called, its attributes, and the number of the element that it is in."""
    return {
        each.get("n"): (each.tag, dict(each.attrib), each.getparent().get("n"))
        for root in roots
        for each in root.iter(etree.Element)
        if each.get("n")
    }


def hold(document: bytes, sources: Sequence[Source]) -> None:
    known = names(*(source.document.root for source in sources))
    for number, found in names(etree.fromstring(document)).items():
        tag, attributes, parent = known[number]
        assert found == (tag, attributes, parent if found[2] else None)


@pytest.mark.rfc("FMT-005", "AUTH-034")
@settings(deadline=None, max_examples=200)
@given(published(), VIEWS)
def test_what_is_composed_and_filtered_is_well_formed_and_every_name_in_it_is_what_it_was(
    sources: list[Source], permissions: Permissions
) -> None:
    body = compose(ENTITY, sources, Offline.CLOSED).body
    shown = filtered(body, permissions, OFFLINE)
    completed = completion.complete(shown, ENTITY, f"{completion.BASIC} {completion.CONTACT}")
    for document in (body, shown, completed):
        hold(document, sources)
        hold(pidf.exchanged(pidf.exchanged(document)), sources)
        for media_type in formats.PRODUCES:
            converted = formats.convert(document, media_type)
            assert "lpidf" in media_type or etree.fromstring(converted) is not None
    assert filtered(shown, permissions, OFFLINE) == shown


@pytest.mark.rfc("FMT-005")
@given(published())
def test_every_element_of_another_namespace_under_presence_is_composed_with_all_that_is_in_it(sources: list[Source]) -> None:
    root = etree.fromstring(compose(ENTITY, sources, Offline.CLOSED).body)
    published = [element for source in sources for element in source.document.others]
    assert (
        names(root).items()
        >= {
            number: (tag, attributes, parent)
            for element in published
            for number, (tag, attributes, parent) in names(element).items()
        }.items()
    )


NOTED = [
    '<note xmlns:y="urn:y"><y:q/></note>', '<note xmlns:y="urn:y" y:q="1">n</note>', "<note><a:q/></note>", '<note a:q="1"/>',
    '<status xmlns:y="urn:y"><y:q/></status>', '<a:e xmlns:a="urn:y"><a:q/></a:e>', '<a:e xmlns:dm="urn:y"><dm:q/></a:e>',
    '<note xmlns:dm="urn:y"><dm:q/></note>', '<tuple id="t" xmlns:y="urn:y"><note><y:q/></note></tuple>',
]  # fmt: skip


@pytest.mark.rfc("FMT-005", "AUTH-033")
@pytest.mark.parametrize("inside", NOTED)
@pytest.mark.parametrize("permissions", [EVERYTHING, replace(EVERYTHING, services=frozenset())], ids=["all", "no services"])
def test_an_element_of_pidf_inside_of_a_person_keeps_what_its_children_and_attributes_need(
    inside: str, permissions: Permissions
) -> None:
    scope = f'xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:a="urn:a"'
    body = f'<presence {scope}><dm:person id="p">{inside}</dm:person><z:z xmlns:z="urn:z"/></presence>'.encode()
    source = Source("one", pidf.parse(body, pidf.MEDIA_TYPE), False)
    shown = filtered(compose(ENTITY, [source], Offline.CLOSED).body, permissions, OFFLINE)
    (person,) = etree.fromstring(shown)
    expected = etree.fromstring(f"<r {scope}>{inside}</r>")[0]
    assert etree.tostring(person[0], method="c14n", exclusive=True) == etree.tostring(expected, method="c14n", exclusive=True)
    assert etree.fromstring(formats.convert(shown, "application/xpidf+xml")) is not None


@pytest.mark.rfc("AUTH-030")
def test_user_input_that_is_reduced_does_not_tell_of_the_namespaces_of_what_went() -> None:
    reduced = '<r:user-input xmlns:s="urn:secret" s:at="1" idle-threshold="600">idle<s:s/></r:user-input>'
    body = f'<presence xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:r="{RPID}"><dm:person id="p">{reduced}</dm:person></presence>'
    source = Source("one", pidf.parse(body.encode(), pidf.MEDIA_TYPE), False)
    bare = replace(EVERYTHING, all_attributes=False, user_input=UserInput.BARE)
    shown = filtered(compose(ENTITY, [source], Offline.CLOSED).body, bare, OFFLINE)
    assert b"<r:user-input>idle</r:user-input>" in shown
    assert b"secret" not in shown
