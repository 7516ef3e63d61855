"""Whatever is published, the composed document is valid and complete: real clients, and documents made at random."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kemi.presence import pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import DATA_MODEL, PIDF, RPID, parse
from tests.unit.anything import EXTENSION, TEXT, XML_TEXT, escaped, several, wrapped
from tests.unit.presence.composed import ENTITY, ids, valid


def extensions(root: etree._Element) -> list[bytes]:
    """The outermost elements of namespaces that are neither PIDF's nor the data model's, in canonical form."""

    def outermost(parent: etree._Element) -> Iterator[etree._Element]:
        for child in parent.iterchildren(etree.Element):
            namespace = etree.QName(child).namespace
            if namespace in (PIDF, DATA_MODEL):
                yield from outermost(child)
            elif namespace:
                yield child

    return [etree.tostring(element, method="c14n", exclusive=True, with_tail=False) for element in outermost(root)]


# Real clients

CLIENTS = {
    "Linphone": f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<presence xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:rpid="{RPID}"
 xmlns:pidfonline="http://www.linphone.org/xsds/pidfonline.xsd" entity="sip:alice@example.com">
  <tuple id="ahmwzr"><status><basic>open</basic><pidfonline:online/></status>
    <contact priority="0.8">sip:alice@example.com;gr=urn:uuid:8d1e</contact><timestamp>2026-01-27T16:49:29Z</timestamp>
  </tuple>
</presence>""",
    "baresip": f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<presence xmlns="{PIDF}"
    xmlns:dm="{DATA_MODEL}"
    xmlns:rpid="{RPID}"
    entity="sip:alice@example.com">
  <dm:person id="p4159">
    <rpid:activities/>
  </dm:person>
  <tuple id="t4109">
    <status>
      <basic>open</basic>
    </status>
    <contact>sip:alice@example.com</contact>
  </tuple>
</presence>
""".replace("\n", "\r\n"),
    "Blink": f"""<?xml version='1.0' encoding='UTF-8'?>
<presence xmlns:agp-pidf="urn:ag-projects:xml:ns:pidf" xmlns="{PIDF}" xmlns:rpid="{RPID}" xmlns:dm="{DATA_MODEL}"
 xmlns:caps="urn:ietf:params:xml:ns:pidf:caps" entity="sip%3Aalice@example.com"><tuple id="SID-8d1e"><status>
<basic>open</basic><agp-pidf:extended>available</agp-pidf:extended></status><agp-pidf:device-info id="8d1e">
<agp-pidf:description>Blink &amp; co</agp-pidf:description><agp-pidf:user-agent>Blink 5.5</agp-pidf:user-agent>
</agp-pidf:device-info><caps:servcaps><caps:audio>true</caps:audio></caps:servcaps>
<rpid:user-input last-input="2026-01-27T16:49:29Z">active</rpid:user-input>
<contact>sip%3A51234@192.0.2.1%3A5060</contact><note>busy</note><timestamp>2026-01-27T16:49:29.123Z</timestamp></tuple>
<dm:person id="PID-8d1e"><rpid:activities><rpid:other>available</rpid:other></rpid:activities>
<dm:timestamp>2026-01-27T16:49:29.123Z</dm:timestamp></dm:person></presence>""",
    "pjsua": f"""<?xml version="1.0" encoding="UTF-8"?>
<presence entity="sip:alice@example.com" xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:rpid="{RPID}">
 <tuple id="pj8d1e">
  <status>
   <basic>open</basic>
  </status>
 </tuple>
 <dm:person id="pj8d1f">
  <rpid:activities>
   <rpid:busy />
  </rpid:activities>
  <dm:note>Busy</dm:note>
 </dm:person>
</presence>
""",
}


def client(name: str) -> Source:
    return Source(name, parse(CLIENTS[name].encode(), pidf.MEDIA_TYPE), False)


@pytest.mark.rfc("FMT-005", "FMT-001")
@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_client_publishes_comes_out_with_its_extensions(name: str) -> None:
    composition = compose(ENTITY, [client(name)], Offline.NONE)
    assert extensions(valid(composition)) == extensions(client(name).document.root)
    assert composition.newly_qualified == frozenset()


@pytest.mark.rfc("FMT-005", "FMT-001", "FMT-003")
def test_all_clients_together_keep_their_ids_and_extensions() -> None:
    composition = compose(ENTITY, [client(name) for name in CLIENTS], Offline.NONE)
    root = valid(composition)
    assert ids(root) == ["ahmwzr", "t4109", "SID-8d1e", "pj8d1e", "p4159", "PID-8d1e", "pj8d1f"]
    assert sorted(extensions(root)) == sorted(one for name in CLIENTS for one in extensions(client(name).document.root))
    assert composition.newly_qualified == frozenset()


# Whatever comes


IDS = st.sampled_from(["t1", "t2", "p1", "a-2", "a", "", "1", "x:y", "a b", "é", None]) | XML_TEXT
URIS = st.sampled_from(["sip:a@x", "sip:100%@x", "http://x:y/", "", "//", "a:b#c#d", "tel:+1", "<sip:b@x>"]) | XML_TEXT
STAMPS = st.sampled_from(["2026-01-27T16:49:29Z", "2026-02-30T00:00:00Z", "2026-01-27T16:49:29.5+01:00", "now", ""])
BASICS = st.sampled_from(["open", "closed", "OPEN", "busy", ""])
PRIORITIES = st.sampled_from(["0.5", "1", "1.5", "-1", "x"])
LANGUAGES = st.sampled_from(["en", "de-DE", "en_US", ""])
JUNK = st.sampled_from(["<unheard-of/>", '<none xmlns=""/>', "<!-- c -->", "<?p i?>", " text ", "<p:q/>"])


def noted(prefix: str) -> list[st.SearchStrategy[str]]:
    lang = wrapped(prefix + "note", TEXT).flatmap(
        lambda note: LANGUAGES.map(lambda tag: note.replace(">", f' xml:lang="{tag}">', 1))
    )
    return [lang, wrapped(prefix + "timestamp", STAMPS), EXTENSION, JUNK]


STATUS = wrapped("p:status", several(wrapped("p:basic", BASICS), EXTENSION, JUNK))
TUPLE = wrapped("p:tuple", several(STATUS, wrapped("p:contact", URIS.map(escaped), priority=PRIORITIES), *noted("p:")), id=IDS)
PERSON = wrapped("dm:person", several(*noted("dm:")), id=IDS)
DEVICE = wrapped("dm:device", several(*noted("dm:")).map("<dm:deviceID>urn:d</dm:deviceID>{}".format), id=IDS)
CONTENT = several(TUPLE, PERSON, DEVICE, wrapped("p:note", TEXT), EXTENSION, JUNK)
SCOPES = st.sampled_from(
    [
        f'xmlns:p="{PIDF}" xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:v="urn:v1"',
        f'xmlns:p="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:v="urn:v2"',
        f'xmlns:p="{PIDF}" xmlns="urn:default" xmlns:dm="{DATA_MODEL}" xmlns:v="urn:v1" xmlns:q="urn:else"',
    ]
)


@st.composite
def published(draw: st.DrawFn) -> list[Source]:
    bodies = draw(st.lists(st.tuples(SCOPES, CONTENT, st.booleans()), min_size=1, max_size=4))
    sources = []
    for number, (scope, content, qualified) in enumerate(bodies):
        body = f"<p:presence {scope}>{content}</p:presence>".encode()
        sources.append(Source(f"token-{number}", parse(body, pidf.MEDIA_TYPE), qualified))
    return sources


@pytest.mark.rfc("FMT-001", "FMT-002", "FMT-003", "FMT-016")
@given(published())
def test_every_composed_document_is_valid_and_its_ids_are_unique(sources: list[Source]) -> None:
    root = valid(compose(ENTITY, sources, Offline.EMPTY))
    assert len(set(ids(root))) == len(ids(root))


@pytest.mark.rfc("FMT-005", "FMT-010")
@given(published())
def test_every_extension_of_every_publication_is_there_unchanged(sources: list[Source]) -> None:
    root = valid(compose(ENTITY, sources, Offline.EMPTY))
    assert sorted(extensions(root)) == sorted(one for source in sources for one in extensions(source.document.root))


@given(published())
def test_the_same_publications_give_the_same_octets(sources: list[Source]) -> None:
    assert compose(ENTITY, sources, Offline.EMPTY) == compose(ENTITY, sources, Offline.EMPTY)


@pytest.mark.rfc("FMT-003", "PUB-022")
@given(published(), st.data())
def test_ids_stay_when_another_publication_goes_away(sources: list[Source], data: st.DataObject) -> None:
    newly = compose(ENTITY, sources, Offline.EMPTY).newly_qualified
    remembered = [Source(s.publication_id, s.document, s.qualified or s.publication_id in newly) for s in sources]
    before = compose(ENTITY, remembered, Offline.EMPTY)
    assert before.newly_qualified == frozenset()
    assert before.body == compose(ENTITY, sources, Offline.EMPTY).body
    gone = data.draw(st.sampled_from(remembered))
    rest = [one for one in remembered if one is not gone]
    after = compose(ENTITY, rest, Offline.EMPTY)
    assert after.newly_qualified == frozenset()
    assert set(ids(valid(after))) <= set(ids(valid(before)))
