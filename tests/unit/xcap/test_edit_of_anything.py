"""What holds for every document, selector and body: GET after PUT, GET after DELETE, idempotency, octets that nobody touches."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.xcap.edit import delete, get, put
from kemi.xcap.errors import NotFound
from kemi.xcap.selector import NodeSelector
from kemi.xcap.tree import parse
from tests.repetitions import repeated
from tests.unit.xcap.documents import (
    DOCUMENTS,
    ELEMENTS,
    NAMES,
    NAMESPACES,
    PATHS,
    QUERY,
    STEPS,
    VALUES,
    PlainStep,
    selector,
    status_of,
    written,
)

ATTRIBUTE_BODIES = st.sampled_from([f'"{value}"'.encode() for value in VALUES.values()] + [b"'1'", b"'\"'", b'"&#50;"'])
TERMINALS = st.sampled_from(["/@i", "/@j", "/@p:i", "/@new", "/@q:new"])
ELEMENT_BODIES = ELEMENTS.map(str.encode)
BODIES = ELEMENT_BODIES | ATTRIBUTE_BODIES


@st.composite
def paths_into(draw: st.DrawFn, octets: bytes) -> list[PlainStep]:
    """Steps that lead somewhere: down a way that is there, with predicates that mostly hold, then perhaps beside it."""
    siblings, path = [etree.fromstring(octets)], []
    while siblings and (not path or draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(siblings) - 1))
        path.append(draw(steps_to(siblings, at)))
        siblings = list(siblings[at].iterchildren(etree.Element))
    return path + draw(st.lists(PATHS.map(lambda found: found[0]), max_size=1)) if draw(st.booleans()) else path


@st.composite
def steps_to(draw: st.DrawFn, siblings: list[etree._Element], at: int) -> PlainStep:
    name = etree.QName(siblings[at])
    prefix = {"urn:p": "p:", "urn:q": "q:"}.get(name.namespace, "n:")
    same = [each for each in siblings[: at + 1] if each.tag == siblings[at].tag]
    anything = draw(st.booleans())
    position = draw(st.sampled_from([at + 1 if anything else len(same)] * 3 + [None, 1]))
    attribute, value = draw(
        st.sampled_from([(None, "")] * 3 + [(key, value) for key, value in siblings[at].items() if key[0] != "{"])
    )
    return PlainStep("*" if anything else prefix + name.localname, position, attribute, value)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, NodeSelector]:
    octets = draw(DOCUMENTS)
    path = draw(paths_into(octets) | PATHS)
    return octets, selector(written(path, draw(st.just("") | st.just("") | TERMINALS)), QUERY)


@st.composite
def puts(draw: st.DrawFn) -> tuple[bytes, NodeSelector, bytes]:
    """Mostly with a body that can be put."""
    octets = draw(DOCUMENTS)
    path = draw(paths_into(octets) | paths_into(octets).map(lambda found: [*found, draw(STEPS)]))
    terminal = draw(st.just("") | st.just("") | TERMINALS)
    return octets, selector(written(path, terminal), QUERY), draw((ATTRIBUTE_BODIES if terminal else bodies_for(path[-1])) | BODIES)


@st.composite
def bodies_for(draw: st.DrawFn, step: PlainStep) -> bytes:
    name = draw(st.sampled_from(NAMES)) if step.name == "*" else step.name
    prefix, _, local = name.rpartition(":")
    # Not by the prefixes of the surroundings, which may be bound again.
    declared = f' xmlns:v="{NAMESPACES[prefix]}"' if NAMESPACES.get(prefix) else ' xmlns=""'
    tag = f"v:{local}" if NAMESPACES.get(prefix) else local
    value = step.value.replace("&", "&amp;").replace("<", "&lt;")
    attribute = f' {step.attribute}="{value}"' if step.attribute else ""
    return f"<{tag}{declared} xmlns:p='urn:p' xmlns:q='urn:q'{attribute}>{draw(ELEMENTS)}</{tag}>".encode()


def kept(old: bytes, new: bytes) -> int:
    """How many octets at the beginning and at the end are the same."""
    before = common(old, new)
    return before + common(old[before:][::-1], new[before:][::-1])


def common(one: bytes, other: bytes) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@pytest.mark.rfc("XCS-009", "XCS-010", "XCS-014")
@settings(max_examples=repeated(100, 2000))
@given(puts())
def test_get_after_put_returns_the_body_and_the_rest_is_untouched(request: tuple[bytes, NodeSelector, bytes]) -> None:
    octets, chosen, body = request
    document = parse(octets)
    status = status_of(put, document, chosen, body)
    assert status in (200, 409)
    if status == 409:
        return
    edited = put(document, chosen, body)
    event(f"{chosen.target.name.lower()} {'created' if edited.created else 'replaced'}")
    again = parse(edited.octets)
    assert get(again, chosen) == body
    assert put(again, chosen, body) == (edited.octets, False)
    if edited.created:
        with pytest.raises(NotFound):
            get(document, chosen)
        # Of an empty-element tag "/>" becomes ">".
        assert kept(octets, edited.octets) >= len(octets) - 1
    else:
        assert kept(octets, edited.octets) >= len(octets) - len(get(document, chosen))


@pytest.mark.rfc("XCS-012", "XCS-015")
@settings(max_examples=repeated(100, 2000))
@given(requests())
def test_get_after_delete_finds_nothing_and_the_rest_is_untouched(request: tuple[bytes, NodeSelector]) -> None:
    octets, chosen = request
    document = parse(octets)
    status = status_of(delete, document, chosen)
    assert status in (200, 404, 409)
    assert (status == 404) == (status_of(get, document, chosen) == 404)
    if status != 200:
        return
    left = delete(document, chosen)
    event(f"{chosen.target.name.lower()} deleted")
    with pytest.raises(NotFound):
        get(parse(left), chosen)
    with pytest.raises(NotFound):
        delete(parse(left), chosen)
    assert kept(octets, left) == len(left)


@pytest.mark.rfc("XCS-009", "XCS-010", "XCS-033")
@given(requests())
def test_put_of_what_get_gave_changes_nothing(request: tuple[bytes, NodeSelector]) -> None:
    octets, chosen = request
    document = parse(octets)
    if status_of(get, document, chosen) == 404:
        return
    event(chosen.target.name.lower())
    assert put(document, chosen, get(document, chosen)) == (octets, False)


@pytest.mark.rfc("XCS-031", "XCS-033")
@given(puts())
def test_delete_of_what_put_created_gives_the_document_back(request: tuple[bytes, NodeSelector, bytes]) -> None:
    octets, chosen, body = request
    document = parse(octets)
    if status_of(put, document, chosen, body) != 200:
        return
    edited = put(document, chosen, body)
    if not edited.created or status_of(delete, parse(edited.octets), chosen) != 200:
        return
    event("given back")
    left = delete(parse(edited.octets), chosen)
    # But for a parent that had no end tag, and for a declaration that came with an attribute.
    assert left == octets or kept(octets, left) >= len(octets) - 1


@pytest.mark.rfc("XCS-026")
@given(requests())
def test_the_namespace_bindings_are_those_that_another_parser_has_in_scope(request: tuple[bytes, NodeSelector]) -> None:
    octets, chosen = request
    if chosen.attribute or status_of(get, parse(octets), chosen) == 404:
        return
    bindings = chosen._replace(target=selector("a/namespace::*").target)
    found = etree.fromstring(get(parse(octets), bindings))
    marked = put(parse(octets), selector("a/@found")._replace(steps=chosen.steps), b'"1"').octets
    (their,) = etree.fromstring(marked).xpath("//*[@found]")
    assert (found.tag, found.prefix) == (their.tag, their.prefix)
    assert found.nsmap == {prefix: uri for prefix, uri in their.nsmap.items() if uri}


@given(requests(), st.binary(max_size=20) | st.text(max_size=10).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_body_is_taken_or_refused(request: tuple[bytes, NodeSelector], body: bytes) -> None:
    octets, chosen = request
    assert status_of(put, parse(octets), chosen, body) in (200, 409)
