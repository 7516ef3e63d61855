"""The composed document in other formats: kemi/presence/formats.py."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kemi import sip
from kemi.presence import pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.formats import CONSUMES, PRODUCES, convert
from kemi.presence.pidf import CPIM, CPIM_MEDIA_TYPE, DATA_MODEL, PIDF, parse
from tests.unit.anything import XML_TEXT, escaped
from tests.unit.presence.composed import ENTITY, SCHEMA
from tests.unit.presence.test_composition_of_anything import published

XPIDF, LPIDF, TEXT_LPIDF = "application/xpidf+xml", "application/lpidf+xml", "text/lpidf"
HOSTILE = "a&b<c>\"d'\r\n\t]]>\u0085\u2028é"

XPIDF_DTD = etree.DTD(
    io.StringIO("""
    <!ELEMENT presence (presentity, atom+)>
    <!ELEMENT presentity EMPTY> <!ATTLIST presentity uri CDATA #REQUIRED>
    <!ELEMENT atom (address, note*)> <!ATTLIST atom id CDATA #REQUIRED>
    <!ELEMENT address (status)> <!ATTLIST address uri CDATA #REQUIRED priority CDATA #IMPLIED>
    <!ELEMENT status EMPTY> <!ATTLIST status status (open|closed) #REQUIRED>
    <!ELEMENT note (#PCDATA)>
    """)
)


def composed(content: str, entity: str = ENTITY) -> bytes:
    scope = f'xmlns="{PIDF}" xmlns:p="{PIDF}" xmlns:c="{CPIM}" xmlns:dm="{DATA_MODEL}" xmlns:v="urn:v"'
    document = parse(f"<presence {scope}>{content}</presence>".encode(), pidf.MEDIA_TYPE)
    return compose(entity, [Source("one", document, False)], Offline.EMPTY).body


def basic(value: str, rest: str = "") -> str:
    return f'<tuple id="t-{value}"><status><basic>{value}</basic></status>{rest}</tuple>'


def xpidf(body: bytes) -> etree._Element:
    """The valid document that this one becomes."""
    root = etree.fromstring(convert(body, XPIDF), etree.XMLParser(load_dtd=False, no_network=True))
    XPIDF_DTD.assertValid(root)
    return root


def lpidf(body: bytes) -> list[str]:
    text = convert(body, LPIDF).decode("ascii")
    assert text.endswith("\r\n")
    return text.removesuffix("\r\n").split("\r\n")


# All formats


def test_the_package_takes_two_formats_and_makes_five() -> None:
    assert CONSUMES == ("application/pidf+xml", "application/cpim-pidf+xml")
    assert (*CONSUMES, XPIDF, LPIDF, TEXT_LPIDF) == PRODUCES


@pytest.mark.rfc("PA-016")
def test_pidf_is_the_default_and_is_not_touched() -> None:
    body = b"whatever was composed"
    assert convert(body, PRODUCES[0]) is body
    assert sip.choose_media_type(None, PRODUCES) == sip.choose_media_type("application/*", PRODUCES) == pidf.MEDIA_TYPE


@pytest.mark.rfc("PA-016", "PA-017")
@pytest.mark.parametrize("media_type", PRODUCES)
def test_each_format_is_chosen_by_its_own_name(media_type: str) -> None:
    assert sip.choose_media_type(f"{media_type}, text/plain", PRODUCES) == media_type


@pytest.mark.parametrize("media_type", PRODUCES)
def test_no_body_is_no_body_in_every_format(media_type: str) -> None:
    assert convert(compose(ENTITY, [], Offline.NONE).body, media_type) == b""


@pytest.mark.parametrize("offline", [Offline.CLOSED, Offline.EMPTY])
def test_what_is_said_of_somebody_offline_is_said_in_every_format(offline: Offline) -> None:
    body = compose(ENTITY, [], offline).body
    assert lpidf(body) == [f"To: <{ENTITY}>"]
    assert [status.get("status") for status in xpidf(body).iter("status")] == ["closed"]
    assert etree.fromstring(convert(body, CPIM_MEDIA_TYPE)).get("entity") == ENTITY


# CPIM-PIDF


def renamed(document: bytes, old: str, new: str) -> bytes:
    """For documents in which the quoted name stands in declarations only."""
    return document.replace(f'"{old}"'.encode(), f'"{new}"'.encode())


@pytest.mark.rfc("PA-016")
def test_cpim_pidf_is_the_document_in_another_default_namespace() -> None:
    body = composed(basic("open", "<v:x/><contact priority='0.5'>sip:a@x</contact><note>n</note>"))
    document = convert(body, CPIM_MEDIA_TYPE)
    assert document.startswith(f'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="{CPIM}" '.encode())
    assert document.count(CPIM.encode()) == body.count(PIDF.encode() + b'"')
    assert re.sub(rb' xmlns[^"]*"[^"]*"', b"", document) == re.sub(rb' xmlns[^"]*"[^"]*"', b"", body)


@pytest.mark.rfc("FMT-001", "FMT-005")
@given(published())
def test_every_cpim_pidf_is_valid_pidf_but_for_the_namespace(sources: list[Source]) -> None:
    body = compose(ENTITY, sources, Offline.EMPTY).body
    document = convert(body, CPIM_MEDIA_TYPE)
    assert etree.fromstring(document).tag == f"{{{CPIM}}}presence"
    assert f'"{PIDF}"'.encode() not in document
    back = renamed(document, CPIM, PIDF)
    SCHEMA.assertValid(etree.fromstring(back))
    assert back == body


@pytest.mark.rfc("FMT-005")
def test_texts_that_mention_a_namespace_stay_what_they_are() -> None:
    mention = f' xmlns="{PIDF}" &lt;presence xmlns="{PIDF}"'
    inside = f'<!-- <e xmlns="{PIDF}"/> --><?v <e xmlns="{PIDF}"/> ?><![CDATA[<e xmlns="{PIDF}"/>]]>'
    attribute = mention.replace('"', "&quot;")
    body = composed(f'<note>{mention}</note><v:e b="{attribute}">{inside}</v:e>')
    document = convert(body, CPIM_MEDIA_TYPE)
    wanted, found = etree.fromstring(body), etree.fromstring(document)
    assert found.findtext(f"{{{CPIM}}}note") == wanted.findtext(f"{{{PIDF}}}note")
    ours, theirs = (root.find("{urn:v}e") for root in (wanted, found))
    assert [dict(theirs.attrib), theirs.text] == [dict(ours.attrib), ours.text]
    assert [(node.text, node.tail) for node in theirs] == [(node.text, node.tail) for node in ours]


@pytest.mark.rfc("FMT-005")
def test_must_understand_goes_along_and_never_meets_its_namesake() -> None:
    body = composed('<tuple id="t"><status><v:e p:mustUnderstand="1" c:mustUnderstand="0"/></status></tuple>')
    document = convert(body, CPIM_MEDIA_TYPE)
    (extension,) = etree.fromstring(document).iter("{urn:v}e")
    assert dict(extension.attrib) == {f"{{{CPIM}}}mustUnderstand": "1", f"{{{PIDF}}}mustUnderstand": "0"}
    assert pidf.exchanged(document) == body


# XPIDF


@pytest.mark.rfc("PA-016")
def test_xpidf_has_an_atom_for_each_tuple() -> None:
    body = composed(
        basic("open", "<v:x/><contact priority='0.5'>sip:a@x</contact><note xml:lang='en'>n</note><note>o</note>")
        + basic("closed")
        + '<tuple id="t"><status><v:busy/></status></tuple><note>of the person</note><dm:person id="p"/>'
    )
    assert convert(body, XPIDF).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE presence PUBLIC "-//IETF//DTD RFCxxxx XPIDF 1.0//EN" "xpidf.dtd">\n'
        f'<presence><presentity uri="{ENTITY};method=SUBSCRIBE"/>'
        '<atom id="t-open"><address uri="sip:a@x" priority="0.5"><status status="open"/></address>'
        "<note>n</note><note>o</note></atom>"
        f'<atom id="t-closed"><address uri="{ENTITY}"><status status="closed"/></address></atom>'
        f'<atom id="t"><address uri="{ENTITY}"><status status="closed"/></address></atom></presence>\n'
    )


@pytest.mark.parametrize("content", ["", "<note>n</note>", '<dm:person id="p"><dm:note>n</dm:note></dm:person>'])
def test_xpidf_of_a_document_without_tuples_has_one_closed_atom(content: str) -> None:
    (_, atom) = xpidf(composed(content))
    assert etree.tostring(atom, encoding="unicode") == (
        f'<atom id="none"><address uri="{ENTITY}" priority="1"><status status="closed"/></address></atom>'
    )


def test_xpidf_is_well_formed_with_values_that_would_break_it() -> None:
    text = escaped(HOSTILE).replace(">", "&gt;").replace("\r", "&#13;")
    (presentity, atom) = xpidf(composed(basic("open", f"<note>{text}</note>"), HOSTILE))
    assert presentity.get("uri") == f"{HOSTILE};method=SUBSCRIBE"
    assert atom[0].get("uri") == atom.findtext("note") == HOSTILE


# LPIDF


@pytest.mark.rfc("PA-016")
@pytest.mark.parametrize("media_type", [LPIDF, TEXT_LPIDF])
def test_lpidf_has_a_line_for_each_tuple_that_is_not_closed(media_type: str) -> None:
    body = composed(
        basic("open", "<contact priority='0.5'>sip:a@x;transport=tcp</contact><note>n</note>")
        + basic("closed", "<contact>sip:b@x</contact>")
        + '<tuple id="t"><status><v:busy/></status><contact>tel:+1</contact></tuple><tuple id="u"><status/></tuple>'
    )
    assert convert(body, media_type) == (
        f"To: <{ENTITY}>\r\nContact: <sip:a@x;transport=tcp>;q=0.5\r\nContact: <tel:+1>\r\nContact: <{ENTITY}>\r\n".encode()
    )


def test_lpidf_keeps_the_brackets_of_an_address_and_encodes_what_no_uri_has() -> None:
    body = composed(basic("open", "<contact>sip:é b@[2001:db8::1]:5060?a=%20#c</contact>"), HOSTILE)
    assert lpidf(body) == [
        "To: <a&b%3Cc%3E%22d'%0D%0A%09]]%3E%C2%85%E2%80%A8%C3%A9>",
        "Contact: <sip:%C3%A9%20b@[2001:db8::1]:5060?a=%20#c>",
    ]


# Whatever comes

ANY_ENTITY = XML_TEXT | st.text(st.sampled_from("<>&\"'\r\n\t %;:@[]\u0085\u2028é"), max_size=12)


@given(published(), ANY_ENTITY)
def test_every_document_makes_a_valid_xpidf_with_nothing_lost(sources: list[Source], entity: str) -> None:
    body = compose(entity, sources, Offline.EMPTY).body
    root = xpidf(body)
    tuples = list(etree.fromstring(body).iterchildren(pidf.TUPLE))
    assert root[0].get("uri") == f"{entity};method=SUBSCRIBE"
    assert [atom.get("id") for atom in root[1:]] == [element.get("id") for element in tuples] or not tuples
    assert [note.text or "" for note in root.iter("note")] == [
        note.text or "" for element in tuples for note in element.iterchildren(pidf.NOTE)
    ]


@given(published(), ANY_ENTITY)
def test_no_value_adds_a_line_or_ends_an_address_in_lpidf(sources: list[Source], entity: str) -> None:
    body = compose(entity, sources, Offline.EMPTY).body
    to, *contacts = lpidf(body)
    assert re.fullmatch(r"To: <[!-~]*>", to)
    assert all(re.fullmatch(r"Contact: <[!-~]*>(;q=[01](\.[0-9]{0,3})?)?", line) for line in contacts)
    assert all(line.count("<") == line.count(">") == 1 for line in [to, *contacts])
    statuses = [element.findtext(f".//{{{PIDF}}}basic") for element in etree.fromstring(body).iterchildren(pidf.TUPLE)]
    assert len(contacts) == len([status for status in statuses if status != "closed"])
