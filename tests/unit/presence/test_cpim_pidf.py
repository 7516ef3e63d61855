"""Reading CPIM-PIDF, the name and namespace of PIDF's last drafts: kemi/presence/pidf.py."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kemi.errors import BodyTooLarge, UnsupportedMediaType
from kemi.presence import pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import PidfDocument, parse
from tests.unit.presence.composed import ENTITY
from tests.unit.presence.test_composition_of_anything import CLIENTS, published

PIDF_TYPE, CPIM_TYPE = "application/pidf+xml", "application/cpim-pidf+xml"
NOTE = "Grüße"


def presence(content: str = "", namespace: str = pidf.CPIM) -> bytes:
    return f'<presence xmlns="{namespace}">{content}</presence>'.encode()


def cpim(body: bytes) -> bytes:
    """For bodies in which the quoted namespace stands in declarations only."""
    return body.replace(f'"{pidf.PIDF}"'.encode(), f'"{pidf.CPIM}"'.encode())


def composed(*documents: PidfDocument) -> bytes:
    sources = [Source(f"token-{number}", document, False) for number, document in enumerate(documents)]
    return compose(ENTITY, sources, Offline.EMPTY).body


@pytest.mark.rfc("FMT-005", "FMT-016")
@given(published())
def test_cpim_pidf_is_read_as_the_equal_pidf_document(sources: list[Source]) -> None:
    bodies = [etree.tostring(source.document.root) for source in sources]
    read = [parse(cpim(body), CPIM_TYPE) for body in bodies]
    assert composed(*read) == composed(*(parse(body, PIDF_TYPE) for body in bodies))
    assert [document.root.nsmap for document in read] == [source.document.root.nsmap for source in sources]


@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_client_publishes_may_be_cpim_pidf(name: str) -> None:
    body = CLIENTS[name].encode()
    assert composed(parse(cpim(body), CPIM_TYPE)) == composed(parse(body, PIDF_TYPE))


@pytest.mark.parametrize(
    "start",
    [
        f"<presence xmlns='{pidf.CPIM}'>",
        f'<presence\n  xmlns = "{pidf.CPIM}" >',
        '<presence xmlns="urn:ietf:params:xml:ns:cpim&#45;pidf">',
    ],
)
def test_the_namespace_of_cpim_pidf_may_be_spelt_in_every_way_of_xml(start: str) -> None:
    body = f'<!-- c -->{start}<note>{NOTE} xmlns="{pidf.CPIM}"</note></presence>'
    for encoding in ("utf-8", "utf-16"):
        document = parse(f'<?xml version="1.0" encoding="{encoding}"?>{body}'.encode(encoding), CPIM_TYPE)
        assert pidf.text(document.notes[0]) == f'{NOTE} xmlns="{pidf.CPIM}"'


def test_cpim_pidf_and_pidf_in_one_document_stay_apart() -> None:
    body = f'<presence xmlns="{pidf.CPIM}" xmlns:p="{pidf.PIDF}"><p:tuple id="t"/><note c="1" p:a="2"/></presence>'
    document = parse(body.encode(), CPIM_TYPE)
    assert document.tuples == ()
    assert [element.tag for element in document.others] == [f"{{{pidf.CPIM}}}tuple"]
    assert dict(document.notes[0].attrib) == {"c": "1", f"{{{pidf.CPIM}}}a": "2"}


def test_the_type_of_cpim_pidf_may_carry_the_namespace_of_pidf() -> None:
    document = parse(presence(f"<note>{NOTE}</note>", pidf.PIDF), " Application/CPIM-PIDF+xml ;charset=utf-8")
    assert pidf.text(document.notes[0]) == NOTE


@pytest.mark.rfc("PUB-013")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (presence(), PIDF_TYPE),
        (presence(namespace="urn:ietf:params:xml:ns:pidf-diff"), CPIM_TYPE),
        (f'<tuple xmlns="{pidf.CPIM}"/>'.encode(), CPIM_TYPE),
        (b"<presence/>", CPIM_TYPE),
        (presence("<tuple>"), CPIM_TYPE),
        (b"<!DOCTYPE presence>" + presence(), CPIM_TYPE),
    ],
)
def test_neither_type_takes_what_is_not_its_own(body: bytes, content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        parse(body, content_type)
    assert caught.value.headers == (("Accept", f"{PIDF_TYPE}, {CPIM_TYPE}"),)


@pytest.mark.rfc("SEC-009")
@pytest.mark.parametrize("content", ["<e/>" * pidf.MAX_ELEMENTS, "<e>" * pidf.MAX_DEPTH + "</e>" * pidf.MAX_DEPTH])
def test_the_limits_are_those_of_pidf(content: str) -> None:
    with pytest.raises(BodyTooLarge):
        parse(presence(content), CPIM_TYPE)


@pytest.mark.rfc("SEC-008", "PUB-013")
@given(st.binary() | st.builds(lambda at, what: presence("<note><e/></note>")[:at] + what, st.integers(0, 99), st.binary()))
def test_octets_at_random_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(UnsupportedMediaType, BodyTooLarge):
        parse(body, CPIM_TYPE)
