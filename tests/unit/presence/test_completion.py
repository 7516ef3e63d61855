"""What single clients need in every tuple: kemi/presence/completion.py."""

import pytest
from hypothesis import given
from lxml import etree

from kemi.presence import pidf
from kemi.presence.completion import BASIC, CONTACT, complete
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import PIDF, parse
from tests.unit.presence.composed import ENTITY, SCHEMA
from tests.unit.presence.test_composition_of_anything import CLIENTS, published

BOTH = f"{CONTACT} {BASIC}"
IN_TUPLE, IN_STATUS = f"{{{PIDF}}}contact", f"{{{PIDF}}}status/{{{PIDF}}}basic"


def composed(content: str, offline: Offline = Offline.CLOSED) -> bytes:
    document = parse(f'<presence xmlns="{PIDF}" xmlns:v="urn:v">{content}</presence>'.encode(), pidf.MEDIA_TYPE)
    return compose(ENTITY, [Source("one", document, False)], offline).body


def tuples(body: bytes) -> list[tuple[str | None, str | None]]:
    """basic and contact of each tuple of a valid document."""
    root = etree.fromstring(body)
    SCHEMA.assertValid(root)
    return [(each.findtext(IN_STATUS), each.findtext(IN_TUPLE)) for each in root.iterchildren(pidf.TUPLE)]


@pytest.mark.parametrize(
    ("needed", "basic", "contact"),
    [("", None, None), (CONTACT, None, ENTITY), (BASIC, "closed", None), (BOTH, "closed", ENTITY)],
)
def test_only_what_is_needed_is_added(needed: str, basic: str | None, contact: str | None) -> None:
    assert tuples(complete(composed('<tuple id="t"/>'), ENTITY, needed)) == [(basic, contact)]


def test_what_was_published_stays() -> None:
    one = '<tuple id="a"><status><basic>open</basic></status><contact priority="0.5">sip:a@example.net</contact></tuple>'
    other = '<tuple id="b"><status><v:x/></status><v:y/><note>é &amp; ü</note><timestamp>2026-01-27T16:49:29Z</timestamp></tuple>'
    body = complete(composed(one + other), ENTITY, BOTH)
    assert tuples(body) == [("open", "sip:a@example.net"), ("closed", ENTITY)]
    first, second = body.decode().splitlines()[2:4]
    assert first == one
    assert second.startswith('<tuple id="b"><status><basic>closed</basic><v:x/></status><v:y/><contact>')
    assert second.endswith("</contact><note>é &amp; ü</note><timestamp>2026-01-27T16:49:29Z</timestamp></tuple>")


@pytest.mark.parametrize("offline", Offline)
def test_the_document_of_who_is_offline_is_the_same_for_all(offline: Offline) -> None:
    body = compose(ENTITY, [], offline).body
    assert complete(body, ENTITY, BOTH) == body


@pytest.mark.parametrize(
    "content",
    [
        '<tuple id="t"><status><basic>open</basic></status><contact>sip:a@example.net</contact></tuple>',
        "<note>no tuple</note>",
    ],
)
def test_where_nothing_is_missing_not_one_octet_changes(content: str) -> None:
    body = composed(content)
    assert complete(body, ENTITY, BOTH) == body


def test_the_contact_of_a_pres_uri_is_a_sip_uri() -> None:
    body = complete(composed('<tuple id="t"/>'), "pres:alice@example.com", CONTACT)
    assert tuples(body) == [(None, "sip:alice@example.com")]


@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_client_publishes_is_complete_for_all(name: str) -> None:
    source = Source(name, parse(CLIENTS[name].encode(), pidf.MEDIA_TYPE), False)
    body = complete(compose(ENTITY, [source], Offline.NONE).body, ENTITY, BOTH)
    assert all(basic == "open" and contact for basic, contact in tuples(body))


@given(published())
def test_whatever_is_published_every_tuple_is_complete_and_the_document_valid(sources: list[Source]) -> None:
    body = complete(compose(ENTITY, sources, Offline.EMPTY).body, ENTITY, BOTH)
    found = tuples(body)
    assert all(basic and contact is not None for basic, contact in found)
    assert body.count(b"<basic>") == len(found), "in the default namespace, for PJSIP clients"
    assert complete(body, ENTITY, BOTH) == body
