"""Reading one published document: kemi/presence/pidf.py."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.errors import BodyTooLarge, UnsupportedMediaType
from kemi.presence import pidf
from kemi.presence.pidf import PidfDocument, parse

TYPE = "application/pidf+xml"
NOTE = "Grüße"
DOCUMENT = f'<presence xmlns="{pidf.PIDF}" entity="sip:a@x"><note>{NOTE}</note></presence>'
DOCTYPE = "<!DOCTYPE presence>"


def declared(encoding: str, document: str = DOCUMENT) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>' + document


def note_of(document: PidfDocument) -> str:
    return pidf.text(document.notes[0])


def presence(content: str) -> bytes:
    return (
        f'<presence xmlns="{pidf.PIDF}" xmlns:dm="{pidf.DATA_MODEL}" xmlns:v="urn:v" entity="sip:a@x">{content}</presence>'
    ).encode()


def refused(body: bytes, content_type: str = TYPE) -> UnsupportedMediaType:
    with pytest.raises(UnsupportedMediaType) as caught:
        parse(body, content_type)
    return caught.value


# What is in a document


@pytest.mark.rfc("FMT-009")
def test_tuples_persons_devices_notes_and_others_are_told_apart() -> None:
    document = parse(
        presence('<dm:person id="p"/><v:a/><tuple id="t"/><note>n</note><dm:device id="d"/><tuple id="u"/><dm:new/>'),
        TYPE,
    )
    assert [element.get("id") for element in document.tuples] == ["t", "u"]
    assert [element.get("id") for element in document.persons] == ["p"]
    assert [element.get("id") for element in document.devices] == ["d"]
    assert [element.text for element in document.notes] == ["n"]
    assert [element.tag for element in document.others] == ["{urn:v}a", f"{{{pidf.DATA_MODEL}}}new"]
    assert not document.is_empty


@pytest.mark.rfc("FMT-009", "FMT-016")
def test_a_person_inside_a_tuple_is_read_as_if_it_stood_beside_it() -> None:
    document = parse(presence('<tuple id="t"><status/><dm:person id="p"/><dm:device id="d"/></tuple>'), TYPE)
    assert [element.get("id") for element in document.persons + document.devices] == ["p", "d"]


@pytest.mark.rfc("FMT-016")
@pytest.mark.parametrize("content", ["", "<!-- nothing -->", '<alien xmlns=""/>', "<unheard-of/>", "text"])
def test_a_document_without_anything_to_say_is_empty_not_an_error(content: str) -> None:
    assert parse(presence(content), TYPE).is_empty


@pytest.mark.rfc("FMT-016")
def test_a_document_without_entity_is_read() -> None:
    assert parse(f'<presence xmlns="{pidf.PIDF}"/>'.encode(), TYPE).is_empty


def test_prefixed_pidf_is_the_same_as_unprefixed() -> None:
    document = parse(f'<p:presence xmlns:p="{pidf.PIDF}"><p:tuple id="t"/></p:presence>'.encode(), TYPE)
    assert len(document.tuples) == 1


# What is refused


@pytest.mark.rfc("PUB-013")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1",
        b"<presence",
        presence("<tuple>"),
        presence("<x:unbound/>"),
        presence("&undefined;"),
        presence("&#1;"),
        presence("") + b"<more/>",
        presence("").replace(pidf.PIDF.encode(), b"urn:ietf:params:xml:ns:pidf-diff"),
        b"<presence/>",
        f'<tuple xmlns="{pidf.PIDF}"/>'.encode(),
    ],
)
def test_what_is_not_a_presence_document_is_refused_with_accept(body: bytes) -> None:
    error = refused(body)
    assert (error.status, error.headers) == (415, (("Accept", f"{TYPE}, application/cpim-pidf+xml"),))
    assert error.detail
    assert "\n" not in error.detail


@pytest.mark.rfc("PUB-013")
@pytest.mark.parametrize("content_type", ["text/xml", "application/xml", "application/pidf-diff+xml", ""])
def test_the_content_type_decides_not_only_that_it_is_xml(content_type: str) -> None:
    refused(presence(""), content_type)


@pytest.mark.parametrize("content_type", ["Application/PIDF+XML", " application/pidf+xml ; x=y", f"{TYPE};CHARSET=UTF-8"])
def test_the_content_type_is_compared_as_sip_does(content_type: str) -> None:
    assert parse(presence(""), content_type).is_empty


def test_the_refusal_tells_where_and_nothing_of_the_body() -> None:
    detail = refused(presence("\n  <secret:diary/>")).detail
    assert detail == "the body is not well-formed XML at line 2, column 16"


# Encodings


@pytest.mark.rfc("FMT-015")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (DOCUMENT.encode(), TYPE),
        (declared("UTF-8").encode(), TYPE),
        (b"\xef\xbb\xbf" + DOCUMENT.encode(), TYPE),
        (declared("ISO-8859-1").encode("iso-8859-1"), TYPE),
        (declared("windows-1252").encode("cp1252"), TYPE),
        (declared("UTF-16").encode("utf-16"), TYPE),
        (DOCUMENT.encode("utf-16-be"), TYPE),
        (DOCUMENT.encode("utf-16-le"), TYPE),
        (DOCUMENT.encode("iso-8859-15"), f"{TYPE};charset=iso-8859-15"),
        (DOCUMENT.encode("utf-16-be"), f"{TYPE};charset=utf-16"),
        (DOCUMENT.encode("utf-16-le"), f'{TYPE}; charset="UTF-16LE"'),
        (DOCUMENT.encode(), f"{TYPE};charset=us-ascii"),
    ],
)
def test_sensible_encodings_are_read(body: bytes, content_type: str) -> None:
    assert note_of(parse(body, content_type)) == NOTE


@pytest.mark.rfc("FMT-015")
@pytest.mark.parametrize(
    ("declaration", "charset"),
    [("ISO-8859-1", "utf-8"), ("UTF-8", "iso-8859-1"), ("UTF-16", "utf-8"), ("x-odd", "utf-8")],
)
def test_the_charset_of_content_type_wins_over_the_declaration(declaration: str, charset: str) -> None:
    body = declared(declaration).encode(charset)
    assert note_of(parse(body, f"{TYPE};charset={charset}")) == NOTE


@pytest.mark.rfc("FMT-015")
def test_a_byte_order_mark_wins_over_the_charset() -> None:
    assert note_of(parse(DOCUMENT.encode("utf-16"), f"{TYPE};charset=utf-8")) == NOTE


@pytest.mark.rfc("FMT-015")
def test_a_charset_inside_another_quoted_parameter_is_not_the_charset() -> None:
    assert note_of(parse(DOCUMENT.encode(), f'{TYPE};x="a;charset=utf-16"')) == NOTE


@pytest.mark.rfc("FMT-015", "PUB-013")
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (DOCUMENT.encode("utf-7"), f"{TYPE};charset=utf-7"),
        (declared("UTF-7").encode("utf-7"), TYPE),
        (declared("IBM037").encode("cp037"), TYPE),
        (DOCUMENT.encode("utf-32"), TYPE),
        (DOCUMENT.encode(), f"{TYPE};charset=rot13"),
        (DOCUMENT.encode(), f"{TYPE};charset=iso-8859-12"),
        (DOCUMENT.encode("iso-8859-1"), TYPE),
        (DOCUMENT.encode("iso-8859-1"), f"{TYPE};charset=utf-8"),
        (DOCUMENT.encode("utf-16-le") + b"\0", f"{TYPE};charset=utf-16le"),
    ],
)
def test_what_cannot_be_decoded_is_refused(body: bytes, content_type: str) -> None:
    refused(body, content_type)


# Attacks

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE presence [<!ENTITY l0 "lol">{LAUGHS}]>'
QUADRATIC = f'<!DOCTYPE presence [<!ENTITY a "{"a" * 20000}">]>'


@pytest.mark.rfc("SEC-008")
@pytest.mark.parametrize(
    "document",
    [
        DOCTYPE + DOCUMENT,
        BOMB + DOCUMENT.replace(NOTE, "&l9;"),
        QUADRATIC + DOCUMENT.replace(NOTE, "&a;" * 1000),
        QUADRATIC + DOCUMENT.replace("sip:a@x", "&a;" * 1000),
        '<!DOCTYPE presence [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + DOCUMENT.replace(NOTE, "&x;"),
        '<!DOCTYPE presence SYSTEM "http://127.0.0.1:9/pidf.dtd">' + DOCUMENT,
        '<!DOCTYPE presence [<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;]>' + DOCUMENT,
        "<!-- before -->\n" + DOCTYPE + DOCUMENT,
        DOCUMENT + DOCTYPE,
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "iso-8859-1"])
def test_a_doctype_is_refused_in_every_encoding(document: str, encoding: str) -> None:
    error = refused(declared(encoding.removesuffix("-le"), document).encode(encoding))
    assert "DOCTYPE" in error.detail


@pytest.mark.rfc("SEC-008")
def test_a_declared_encoding_cannot_hide_a_doctype() -> None:
    hidden = declared("UTF-16LE", DOCTYPE + DOCUMENT).encode("ascii", "replace")
    refused(hidden)
    refused(hidden, f"{TYPE};charset=utf-8")


@pytest.mark.rfc("SEC-008")
def test_xinclude_is_an_element_like_any_other() -> None:
    include = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
    (other,) = parse(presence(include), TYPE).others
    assert len(other) == 0
    assert not other.text


@pytest.mark.rfc("SEC-009")
@pytest.mark.parametrize(
    "content",
    [
        "<v:e/>" * pidf.MAX_ELEMENTS,
        "<!---->" * pidf.MAX_ELEMENTS,
        "<v:e>" * pidf.MAX_DEPTH + "</v:e>" * pidf.MAX_DEPTH,
        "<v:e>" * 999 + "</v:e>" * 999,
        "<v:e" + "".join(f' a{n}=""' for n in range(pidf.MAX_ATTRIBUTES)) + "/>",
        "".join(f'<v:e xmlns:n{n}="urn:n"/>' for n in range(pidf.MAX_DECLARATIONS)),
    ],
)
def test_more_than_the_limits_is_too_large(content: str) -> None:
    with pytest.raises(BodyTooLarge):
        parse(presence(content), TYPE)


@pytest.mark.rfc("SEC-009")
def test_the_depth_that_is_allowed_is_read() -> None:
    levels = pidf.MAX_DEPTH - 1
    parse(presence("<v:e>" * levels + "</v:e>" * levels), TYPE)
    with pytest.raises(BodyTooLarge):
        parse(presence("<v:e>" * (levels + 1) + "</v:e>" * (levels + 1)), TYPE)


@pytest.mark.rfc("SEC-008", "PUB-013")
@given(st.binary() | st.builds(lambda at, what: presence("<v:e/>")[:at] + what, st.integers(0, 200), st.binary()))
def test_octets_at_random_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(UnsupportedMediaType, BodyTooLarge):
        parse(body, TYPE)


# Values


def element(content: str, attributes: str = "") -> object:
    return parse(presence(f"<note {attributes}>{content}</note>"), TYPE).notes[0]


@pytest.mark.rfc("FMT-008")
@pytest.mark.parametrize(("content", "value"), [("open", "open"), (" Closed\n", "closed"), ("busy", ""), ("", "")])
def test_basic_is_open_or_closed(content: str, value: str) -> None:
    assert pidf.basic(element(content)) == value


@pytest.mark.rfc("FMT-013")
@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("2026-01-27T16:49:29Z", "2026-01-27T16:49:29Z"),
        (" 2026-01-27t16:49:29.1234567z ", "2026-01-27T16:49:29.1234567Z"),
        ("2024-02-29T16:49:29+14:00", "2024-02-29T16:49:29+14:00"),
        ("2023-02-29T16:49:29Z", ""),
        ("2026-01-27T16:49:29", ""),
        ("2026-01-27 16:49:29Z", ""),
        ("2026-01-27T24:00:00Z", ""),
        ("2026-01-27T23:59:60Z", ""),
        ("2026-01-27T16:49:29+15:00", ""),
        ("0000-01-27T16:49:29Z", ""),
        ("\u0662026-01-27T16:49:29Z", ""),
        ("Tue Jan 27 2026", ""),
        ("1769532569", ""),
    ],
)
def test_a_timestamp_is_rfc_3339_or_nothing(content: str, value: str) -> None:
    assert pidf.timestamp(element(content)) == value


@pytest.mark.rfc("FMT-014")
@pytest.mark.parametrize("value", ["0", "1", "0.8", "0.125", "1.000", "0."])
def test_a_priority_within_0_and_1_is_read(value: str) -> None:
    assert pidf.priority(element("", f'priority="{value}"')) == value


@pytest.mark.rfc("FMT-014")
@pytest.mark.parametrize("value", ["1.1", "-1", "2", "", "high", "1.001", "0,5", "NaN", "0.1234"])
def test_a_priority_outside_0_and_1_is_absent(value: str) -> None:
    assert pidf.priority(element("", f'priority="{value}"')) == ""


@pytest.mark.rfc("FMT-016")
@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("sip:alice@192.0.2.1:5060;transport=tcp", "sip:alice@192.0.2.1:5060;transport=tcp"),
        ("sip:alice@[2001:db8::1]:5060", "sip:alice@[2001:db8::1]:5060"),
        ("\n  tel:+1-201-555-0123 ", "tel:+1-201-555-0123"),
        ("sip%3Aalice@example.com", "sip%3Aalice@example.com"),
        ("&lt;sip:alice@example.com&gt;", "sip:alice@example.com"),
        ("sip:100%@example.com", "sip:100%25@example.com"),
        ("http://www.example.com/~alice?a=b#c", "http://www.example.com/~alice?a=b#c"),
        ("urn:uuid:48662e19-5fbf-43fc-a2fd-d23002787599", "urn:uuid:48662e19-5fbf-43fc-a2fd-d23002787599"),
        ("sip:al<!-- no -->ice@x", "sip:alice@x"),
        ("", ""),
        (":x", ""),
        ("http://x:port/", ""),
        ("sip:a#b#c", ""),
    ],
)
def test_a_uri_is_kept_repaired_or_nothing(content: str, value: str) -> None:
    assert pidf.uri(element(content)) == value


@pytest.mark.parametrize(("value", "read"), [("en", "en"), ("de-DE-1996", "de-DE-1996"), ("en_US", ""), ("", "")])
def test_a_language_is_a_language_tag(value: str, read: str) -> None:
    assert pidf.language(element("", f'xml:lang="{value}"')) == read
