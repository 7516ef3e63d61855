"""What is told is not many times what was published: a document that would grow too much is refused when it is published."""

import contextlib
from collections.abc import Iterator

import pytest

from kemi.errors import BodyTooLarge
from kemi.presence import completion, formats, pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import DATA_MODEL, PIDF, RPID
from kemi.presence.privacy import filtered
from kemi.xcap.pres_rules import EVERYTHING
from tests.unit.presence.composed import ENTITY

TIMES = 16
"""A constant, and a small one: markup of what is empty, references, and `pidf.MAX_GROWTH`."""
ELEMENTS = 900
OFFLINE = compose(ENTITY, [], Offline.CLOSED).body


def declared(number: int, octets: int) -> str:
    return "".join(f' xmlns:a{at}="urn:{"x" * (octets // number - 16)}{at}"' for at in range(number))


def presence(content: str, scope: str = "") -> bytes:
    return f'<presence xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}"{scope} entity="{ENTITY}">{content}</presence>'.encode()


def shapes() -> Iterator[tuple[str, bytes]]:
    children = "<a0:b/>" * ELEMENTS
    for number, octets in ((97, 55_000), (1, 55_000), (1, 3_000), (30, 3_000), (1, 300), (97, 1_900)):
        scope = declared(number, octets)
        size = f"{number} declarations of {octets} octets"
        yield f"{size} on the tuple", presence(f'<tuple id="t"{scope}><status/>{children}</tuple>')
        yield f"{size} on the status", presence(f'<tuple id="t"><status{scope}>{children}</status></tuple>')
        yield f"{size} on the person", presence(f'<dm:person id="p"{scope}>{children}</dm:person>')
        yield f"{size} on presence", presence(f'<tuple id="t"><status/>{children}</tuple>', scope)
        yield f"{size} for others", presence(children, scope)
        yield f"{size} that look unused", presence(f"{children}", scope).replace(b"</presence>", b"</presence><!-- xmlns -->")
        yield f"{size} in attributes", presence('<e:b xmlns:e="urn:e" a0:c=""/>' * 90, scope)
        many = "".join(f"a{at}:" for at in range(number))
        yield f"{size} in texts", presence(f'<e:b xmlns:e="urn:e">{many}</e:b>' * 90, scope)
    default = f' xmlns="urn:{"x" * 3_000}"'
    yield (
        "no prefix",
        presence("<e/>" * ELEMENTS)
        .replace(f' xmlns="{PIDF}"'.encode(), default.encode())
        .replace(b"presence", b"p:presence")
        .replace(b"<p:presence", f'<p:presence xmlns:p="{PIDF}"'.encode()),
    )
    yield "one for each", presence("".join(f'<e:b xmlns:e="urn:{at}"/>' for at in range(90)))
    yield "notes and persons", presence(f"<note>{'x' * 30_000}</note>" + '<dm:person id="p"/>' * 900)
    yield "many notes and persons", presence("<note>x</note>" * 450 + '<dm:person id="p"/>' * 450)
    yield "tuples", presence("<tuple/>" * ELEMENTS)
    yield "a word", presence(f'<e:b xmlns:e="urn:e">{"x" * 60_000}</e:b>')


@pytest.mark.rfc("SEC-009")
@pytest.mark.parametrize(("shape", "body"), [*shapes()], ids=[shape for shape, _ in shapes()])
def test_what_is_told_of_whatever_is_taken_is_at_most_a_few_times_as_long(shape: str, body: bytes) -> None:
    prefixes = "".join(f' xmlns:a{number}="urn:other"' for number in range(90))
    other = presence('<dm:person id="p"/>', prefixes)
    with contextlib.suppress(BodyTooLarge):
        sources = [Source(text.decode(), pidf.parse(text, pidf.MEDIA_TYPE), False) for text in (other, body)]
        composed = compose(ENTITY, sources, Offline.CLOSED).body
        shown = filtered(composed, EVERYTHING, OFFLINE)
        completed = completion.complete(shown, ENTITY, f"{completion.BASIC} {completion.CONTACT}")
        for document in (composed, shown, completed):
            told = [len(formats.convert(document, media_type)) for media_type in formats.PRODUCES]
            assert max(told) <= TIMES * (len(body) + len(other)), shape


@pytest.mark.rfc("SEC-009")
@pytest.mark.parametrize("number", [1, 97])
def test_declarations_that_all_elements_below_would_repeat_are_too_large(number: int) -> None:
    body = presence(f'<tuple id="t"{declared(number, 55_000)}><status/>{"<a0:b/>" * ELEMENTS}</tuple>')
    with pytest.raises(BodyTooLarge):
        pidf.read(body, pidf.MEDIA_TYPE)


@pytest.mark.rfc("SEC-009")
def test_letters_outside_of_tags_do_not_hide_declarations() -> None:
    body = presence("<a0:b/>" * ELEMENTS, declared(1, 3_000))
    for hidden in (body, body + b"<!-- xmlns -->", b"<!-- xmlns=' -->" + body, body.replace(b" entity", b' q="xmlns=\'" entity')):
        with pytest.raises(BodyTooLarge):
            pidf.read(hidden, pidf.MEDIA_TYPE)


USUAL = f' xmlns:r="{RPID}" xmlns:c="urn:ietf:params:xml:ns:pidf:caps" xmlns:v="urn:example:vendor:extension"'
FEATURES = "".join(f"<c:{name}>true</c:{name}>" for name in ("audio", "video", "text", "control"))
CONTENT = f"<status><basic>open</basic></status><r:activities><r:busy/></r:activities><c:servcaps>{FEATURES}</c:servcaps><v:e/>"


@pytest.mark.rfc("FMT-005")
@pytest.mark.parametrize("place", ["presence", "tuple"])
def test_many_services_with_many_extensions_are_taken(place: str) -> None:
    on_root, on_tuple = (USUAL, "") if place == "presence" else ("", USUAL)
    number = 90 if place == "presence" else 30
    body = presence("".join(f'<tuple id="t{at}"{on_tuple}>{CONTENT}</tuple>' for at in range(number)), on_root)
    assert len(pidf.parse(body, pidf.MEDIA_TYPE).tuples) == number


@pytest.mark.rfc("FMT-005")
def test_what_a_tuple_declares_is_written_where_it_is_used_only() -> None:
    body = presence(f'<tuple id="t"{USUAL}><status/><v:e/><c:f v:g=""/></tuple>')
    composed = compose(ENTITY, [Source("one", pidf.parse(body, pidf.MEDIA_TYPE), False)], Offline.NONE).body
    assert (composed.count(RPID.encode()), composed.count(b":caps"), composed.count(b":vendor:")) == (0, 1, 2)


@pytest.mark.rfc("FMT-011")
def test_a_note_moves_to_the_first_person_without_one_only() -> None:
    persons = '<dm:person id="a"><dm:note>own</dm:note></dm:person><dm:person id="b"/><dm:person id="c"/>'
    bodies = presence(f"<note>mine</note>{persons}"), presence('<dm:person id="d"/>')
    sources = [Source(body.decode(), pidf.parse(body, pidf.MEDIA_TYPE), False) for body in bodies]
    composed = compose(ENTITY, sources, Offline.NONE).body
    assert composed.count(b"mine") == 1
    assert b'<dm:person id="b"><dm:note>mine</dm:note></dm:person>' in composed


def test_a_long_text_behind_a_declaration_is_no_declaration() -> None:
    icon = f'<x:icon xmlns:x="urn:x">{"A" * 36_000}</x:icon>'
    tuples = "".join(f'<tuple id="t{number}"><status><basic>open</basic></status></tuple>' for number in range(30))
    pidf.read(f'<presence xmlns="{pidf.PIDF}" entity="sip:a@b">{tuples}{icon}</presence>'.encode(), pidf.MEDIA_TYPE)
