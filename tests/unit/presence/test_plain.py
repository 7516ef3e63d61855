"""Plain documents are told as they were published: they say what composition would say, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kemi.errors import SipError
from kemi.presence import pidf, plain
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import DATA_MODEL, MEDIA_TYPE, PIDF, RPID
from tests.unit.presence.composed import ENTITY, SCHEMA
from tests.unit.presence.test_composition_of_anything import CLIENTS

SCOPE = f'xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:r="{RPID}" xmlns:v="urn:v"'
START = f'<?xml version="1.0" encoding="UTF-8"?><presence {SCOPE} entity="{ENTITY}">'
TUPLE = '<tuple id="t1"><status><basic>open</basic></status><contact priority="0.8">sip:alice@example.com</contact></tuple>'
PERSON = '<dm:person id="p1"><r:activities><r:away/></r:activities><dm:note>away</dm:note></dm:person>'


def document(content: str, start: str = START) -> bytes:
    return f"{start}{content}</presence>\n".encode()


def told(body: bytes, content_type: str = MEDIA_TYPE, with_others: bool = True) -> str:
    return plain.told(body, content_type, ENTITY, with_others)


def said(element: etree._Element) -> tuple[object, ...]:
    """What an element says: white space between elements, prefixes and declarations say nothing."""
    text = (element.text or "").strip(" \t\r\n") if len(element) else element.text or ""
    return (element.tag, sorted(element.attrib.items()), text, [said(child) for child in element])


@pytest.mark.parametrize("name", ["Linphone", "pjsua"])
def test_what_clients_write_by_the_schema_is_told_octet_by_octet(name: str) -> None:
    published = CLIENTS[name].replace('entity="sip:alice@example.com"', f'entity="{ENTITY}"')
    assert told(published.encode()) == published


@pytest.mark.parametrize("name", ["baresip", "Blink"])
def test_what_clients_write_otherwise_is_composed(name: str) -> None:
    assert told(CLIENTS[name].encode()) == ""


def test_a_plain_document_may_have_all_that_the_schemas_have() -> None:
    whole = (
        '<tuple id="t1"><status><basic>closed</basic><v:s>x</v:s></status><r:privacy/><v:x v:a="&gt; /&gt;">y<v:z/></v:x>'
        '<contact>tel:+1-2</contact><note xml:lang="de-DE">wörtlich &lt;</note><note></note>'
        "<timestamp>2026-01-27T16:49:29.5Z</timestamp>"
        '</tuple><tuple id="t2"><status></status></tuple><note>for all</note>'
        '<dm:person id="p1"><r:mood><r:note>m</r:note></r:mood><dm:note>n</dm:note>'
        "<dm:timestamp>2026-01-27T16:49:29Z</dm:timestamp></dm:person><v:other><v:more>1</v:more></v:other>"
    )
    assert told(document(whole)) == document(whole).decode()


CHANGES = {
    "the entity is another one": (START, START.replace(ENTITY, "sip:other@example.com")),
    "the entity is escaped": (START, START.replace(ENTITY, f"&#115;{ENTITY[1:]}")),
    "presence has another attribute": ("<presence ", '<presence v:a="1" '),
    "an attribute only begins like a declaration": ("<presence ", '<presence xmlnsv="1" '),
    "PIDF has a prefix": (TUPLE, f'<v:x xmlns:p="{PIDF}"><p:tuple/></v:x>{TUPLE}'),
    "PIDF has a prefix in the root": ("<presence ", f'<presence xmlns:p="{PIDF}" '),
    "PIDF has a prefix in the root, escaped": ("<presence ", f'<presence xmlns:p="{PIDF[:-1]}&#{ord(PIDF[-1])};" '),
    "RPID has two prefixes, one escaped": ("<presence ", f'<presence xmlns:q="{RPID[:-1]}&#{ord(RPID[-1])};" '),
    "PIDF is not the default namespace": (f'xmlns="{PIDF}"', 'xmlns="urn:other"'),
    "declarations are further down": (TUPLE, f'{TUPLE}<v:x xmlns:w="urn:w"/>'),
    "there is a comment": (TUPLE, f"<!-- -->{TUPLE}"),
    "there is a comment in an extension": (PERSON, f"{PERSON}<v:x><!-- </v:x> --></v:x>"),
    "there is a processing instruction": (PERSON, f"{PERSON}<v:x><?p i?></v:x>"),
    "there is CDATA": ("<dm:note>away", "<dm:note><![CDATA[away]]>"),
    "an id is there twice": (PERSON, PERSON.replace("p1", "t1")),
    "an id is no name": ('id="t1"', 'id="1"'),
    "an id is missing": (' id="t1"', ""),
    "basic has no known value": ("open", "busy"),
    "status is missing": ("<status><basic>open</basic></status>", ""),
    "the priority is none": ("0.8", "1.5"),
    "the contact is no URI": ("sip:alice@example.com</contact>", "alice</contact>"),
    "contacts are two": ("<contact", "<contact>sip:b@example.com</contact><contact"),
    "a time is no day": ("</contact>", "</contact><timestamp>2026-02-30T00:00:00Z</timestamp>"),
    "a note is before the contact": ("<contact", "<note>n</note><contact"),
    "a person is before the tuple": (TUPLE, f"{PERSON.replace('p1', 'p2')}{TUPLE}"),
    "a person is in a tuple": ("<contact", f"{PERSON.replace('p1', 'p2')}<contact"),
    "a person of another namespace": (PERSON, '<v:person id="p1"></v:person>'),
    "a person has a deviceID": ("<dm:note>", "<dm:deviceID>urn:x</dm:deviceID><dm:note>"),
    "a device": (PERSON, '<dm:device id="d1"><dm:deviceID>urn:x</dm:deviceID></dm:device>'),
    "the data model has no such element": ("<r:activities>", "<dm:mood/><r:activities>"),
    "RPID allows it once": ("<r:activities>", "<r:activities/><r:activities>"),
    "an extension has one of the same name in it": (PERSON, f"{PERSON}<v:x><v:x></v:x><tuple/></v:x>"),
    "an element without namespace prefix": (PERSON, f"{PERSON}<unheard-of/>"),
    "text between elements": (PERSON, f"text{PERSON}"),
    "nothing is said": (TUPLE + PERSON, ""),
    "quotes are single": ('id="t1"', "id='t1'"),
    "the encoding is not said": (' encoding="UTF-8"', ""),
}


@pytest.mark.parametrize("why", CHANGES)
def test_it_is_composed_where(why: str) -> None:
    published = document(TUPLE + PERSON).decode()
    assert told(published.encode()) == published
    changed = published.replace(*CHANGES[why], 1)
    assert changed != published
    assert told(changed.encode()) == ""


def test_a_prefix_that_is_called_id_is_nobodys_id() -> None:
    start = START.replace("<presence ", '<presence xmlns:id="urn:id" ')
    assert told(document("", start)) == ""
    assert told(document(TUPLE, start)) == document(TUPLE, start).decode()


def test_an_entity_that_only_looks_like_it_is_composed() -> None:
    """An ampersand may stand in a user part (RFC 3261 section 25.1); in XML it is escaped."""
    entity = "sip:a&amp;b@example.com"
    assert plain.told(document(TUPLE, START.replace(ENTITY, entity)), MEDIA_TYPE, entity) == ""


def test_what_is_larger_than_what_is_kept_is_looked_at_too() -> None:
    large = TUPLE + PERSON + f"<v:x>{'x' * plain.LARGEST_KEPT}</v:x>"
    assert told(document(large)) == document(large).decode()
    assert told(document(large + "<r:mood/><r:mood/>")) == ""


@pytest.mark.parametrize("content_type", [f"{MEDIA_TYPE};charset=iso-8859-1", "application/cpim-pidf+xml"])
def test_other_content_types_are_composed(content_type: str) -> None:
    assert told(document(TUPLE), content_type) == ""
    assert told(document(TUPLE), f" {MEDIA_TYPE.upper()}") == document(TUPLE).decode()


def test_octets_that_are_no_utf_8_are_composed() -> None:
    assert told(document(TUPLE).replace(b"alice", b"al\xffce")) == ""


def test_what_no_permission_is_about_is_told_only_where_no_rule_was_asked() -> None:
    body = document(f"{TUPLE}<v:other/>")
    assert told(body) == body.decode()
    assert told(body, with_others=False) == ""
    assert told(document(TUPLE), with_others=False) == document(TUPLE).decode()


# Documents that are nearly plain

EXTENSION = st.recursive(
    st.sampled_from(["<v:a/>", "<r:away/>", "<v:b>text</v:b>", '<r:c until="x"/>', "<dm:note>n</dm:note>", "<v:a></v:a>", "<x/>"]),
    lambda inner: st.builds(
        "<{0}>{1}</{0}>".format, st.sampled_from(["v:a", "v:b", "r:c"]), st.lists(inner, max_size=3).map("".join)
    ),
    max_leaves=5,
)
ID = st.sampled_from(["t1", "t2", "t3", "p1", "1"])
NOTE = st.sampled_from(["<note>n</note>", '<note xml:lang="en">&amp;</note>', "<note><v:a/></note>", "<note/>"])
PARTS = st.lists(
    st.one_of(
        EXTENSION,
        NOTE,
        st.sampled_from(["<contact>sip:a@b</contact>", "<timestamp>2026-01-27T16:49:29Z</timestamp>", "\r\n ", "t"]),
    ),
    max_size=4,
).map("".join)
STATUS = st.builds("<status>{}{}</status>".format, st.sampled_from(["", "<basic>open</basic>"]), EXTENSION | st.just(""))
NEARLY = st.lists(
    st.one_of(
        st.builds('<tuple id="{}">{}{}</tuple>'.format, ID, STATUS, PARTS),
        st.builds('<dm:person id="{}">{}</dm:person>'.format, ID, st.lists(EXTENSION, max_size=3).map("".join)),
        NOTE,
        EXTENSION,
    ),
    max_size=4,
).map("".join)


@pytest.mark.rfc("FMT-001", "FMT-002", "FMT-005")
@given(NEARLY)
def test_what_is_told_as_published_is_valid_and_says_what_composition_says(content: str) -> None:
    body = document(content)
    try:
        parsed = pidf.parse(body, MEDIA_TYPE)
    except SipError:
        return
    if told(body):
        root = etree.fromstring(body)
        SCHEMA.assertValid(root)
        composed = compose(ENTITY, [Source("token", parsed, False)], Offline.NONE)
        assert said(etree.fromstring(composed.body)) == said(root)
