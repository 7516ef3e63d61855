"""Several publications become one document: kemi/presence/composition.py."""

import re

import pytest
from lxml import etree

from kemi.presence import pidf
from kemi.presence.composition import Composition, Offline, Source, compose
from kemi.presence.pidf import DATA_MODEL, PIDF, RPID, parse
from tests.unit.presence.composed import ENTITY, ids, valid

NAMES = {"p": PIDF, "dm": DATA_MODEL, "r": RPID, "v": "urn:vendor"}
IN_SCOPE = f'xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:r="{RPID}" xmlns:v="urn:vendor"'


def source(content: str, token: str = "one", qualified: bool = False, scope: str = IN_SCOPE) -> Source:
    body = f"<presence {scope} entity='sip:other@example.org'>{content}</presence>"
    return Source(token, parse(body.encode(), pidf.MEDIA_TYPE), qualified)


def composed(*contents: str) -> etree._Element:
    """The valid document that these publications make."""
    sources = [source(content, f"token-{number}") for number, content in enumerate(contents)]
    return valid(compose(ENTITY, sources, Offline.NONE))


def find(root: etree._Element, path: str) -> list[etree._Element]:
    return root.findall(path, NAMES)


# The document


@pytest.mark.rfc("FMT-001")
def test_the_document_is_utf8_pidf_in_the_default_namespace() -> None:
    body = compose(ENTITY, [source('<note>Grüße</note><tuple id="t"/>')], Offline.NONE).body
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" ')
    assert "Grüße".encode() in body


@pytest.mark.rfc("FMT-004")
def test_entity_is_the_uri_that_the_watcher_subscribed_to() -> None:
    uri = "sip:a&b<\"'@example.com"
    document = etree.fromstring(compose(uri, [source("<note/>")], Offline.NONE).body)
    assert document.get("entity") == uri


@pytest.mark.rfc("FMT-002")
def test_tuples_come_first_then_notes_then_the_rest() -> None:
    one = '<v:x/><dm:device id="d1"><dm:deviceID>urn:d</dm:deviceID></dm:device><note>a</note><tuple id="t1"/>'
    two = '<dm:person id="p2"><dm:note>c</dm:note></dm:person><tuple id="t2"/>'
    root = composed(two, one.replace("<note>a</note>", ""), '<note>b</note><tuple id="t3"/>')
    names = [etree.QName(child).localname for child in root]
    assert names == ["tuple", "tuple", "tuple", "person", "device", "x", "person"]
    names = [etree.QName(child).localname for child in composed(one, one.replace("1", "2"))]
    assert names == ["tuple", "tuple", "note", "note", "device", "x", "device", "x"]


@pytest.mark.rfc("FMT-002", "FMT-016")
def test_the_children_of_a_tuple_are_put_in_order() -> None:
    root = composed(
        '<tuple id="t"><timestamp>2026-01-27T16:49:29Z</timestamp><note>n</note><contact>sip:a@x</contact>'
        "<v:b/><status><v:c/><basic>open</basic></status><v:a/></tuple>"
    )
    (tuple_,) = root
    names = [etree.QName(child).localname for child in tuple_]
    assert names == ["status", "b", "a", "contact", "note", "timestamp"]
    assert [etree.QName(child).localname for child in tuple_[0]] == ["basic", "c"]


@pytest.mark.rfc("FMT-016", "FMT-012", "FMT-008")
@pytest.mark.parametrize("status", ["", "<status/>", "<status><basic>busy</basic></status>", '<status><x xmlns=""/></status>'])
def test_a_status_that_cannot_be_read_is_not_made_up(status: str) -> None:
    (found,) = find(composed(f'<tuple id="t">{status}</tuple>'), "p:tuple/p:status")
    assert len(found) == 0


@pytest.mark.rfc("FMT-016", "FMT-008")
def test_the_first_value_that_can_be_read_is_used() -> None:
    root = composed(
        '<tuple id="t"><status><basic>busy</basic><basic> Open </basic></status>'
        "<status><basic>closed</basic><v:s/></status>"
        "<contact/><contact priority='1.5'>sip:a@x</contact><contact>sip:b@x</contact>"
        "<timestamp>now</timestamp><timestamp>2026-01-27T16:49:29Z</timestamp></tuple>"
    )
    assert [basic.text for basic in find(root, ".//p:basic")] == ["open"]
    assert [contact.text for contact in find(root, ".//p:contact")] == ["sip:a@x"]
    assert [stamp.text for stamp in find(root, ".//p:timestamp")] == ["2026-01-27T16:49:29Z"]
    assert find(root, "p:tuple/p:status/v:s")


@pytest.mark.rfc("FMT-014")
def test_a_priority_out_of_range_is_dropped_and_the_contact_stays() -> None:
    root = composed('<tuple id="t"><contact priority="7">sip:a@x</contact></tuple>')
    (contact,) = find(root, "p:tuple/p:contact")
    assert (contact.text, contact.attrib) == ("sip:a@x", {})


@pytest.mark.rfc("FMT-001")
def test_what_the_schema_forbids_on_own_elements_is_dropped() -> None:
    root = composed(
        '<tuple id="t" v:a="1" b="2"><status v:a="1"><basic v:a="1">open</basic></status><plain xmlns=""/><new/>'
        '<note xml:lang="en_US" v:a="1">n<v:b>o</v:b></note></tuple>'
        '<dm:person id="p" v:a="1"><plain xmlns=""/></dm:person>'
    )
    assert [note.text for note in find(root, "p:tuple/p:note")] == ["no"]


def test_characters_that_need_escaping_stay_what_they_are() -> None:
    root = composed("<note>&lt;b&gt; &amp; ]]&gt; &#13; \"'</note>")
    assert root[0].text == "<b> & ]]> \r \"'"


# Ids


@pytest.mark.rfc("FMT-003")
def test_published_ids_are_kept_when_they_are_free() -> None:
    root = composed('<tuple id="a"/><dm:person id="Grüße-1.x_y"/>', '<tuple id="b"/>')
    assert ids(root) == ["a", "b", "Grüße-1.x_y"]


@pytest.mark.rfc("FMT-003", "PUB-022")
def test_the_later_publication_gives_way_with_all_its_ids_and_for_ever() -> None:
    one, two = source('<tuple id="t1"/>', "one"), '<tuple id="t1"/><tuple id="t2"/><dm:person id="p"/>'
    first = compose(ENTITY, [one, source(two, "two")], Offline.NONE)
    assert first.newly_qualified == {"two"}
    kept, *qualified = ids(valid(first))
    assert kept == "t1"
    assert all(re.fullmatch(r"(t1|t2|p)\.[0-9a-f]{12}", name) for name in qualified)
    alone = compose(ENTITY, [source(two, "two", qualified=True)], Offline.NONE)
    assert (ids(valid(alone)), alone.newly_qualified) == (qualified, frozenset())


@pytest.mark.rfc("FMT-003")
def test_an_id_is_unique_over_tuples_persons_and_devices() -> None:
    device = '<dm:device id="x"><dm:deviceID>urn:d</dm:deviceID></dm:device>'
    assert ids(composed('<tuple id="x"/><tuple id="x-2"/><dm:person id="x"/>' + device)) == ["x", "x-2", "x-3", "x-4"]
    assert len(set(ids(composed('<tuple id="x"/>', '<dm:person id="x"/>', device)))) == 3


@pytest.mark.rfc("FMT-003", "FMT-016")
@pytest.mark.parametrize(
    ("published", "name"),
    [
        ("1", "_1"),
        ("urn:uuid:a-b", "urn_uuid_a-b"),
        (" a b ", "a_b"),
        ("-", "_-"),
        ("a&lt;&quot;b", "a__b"),
        ("😀", "_"),
    ],
)
def test_an_id_that_is_no_ncname_is_repaired(published: str, name: str) -> None:
    assert ids(composed(f'<tuple id="{published}"/>')) == [name]


@pytest.mark.rfc("FMT-003", "FMT-016")
def test_a_missing_id_is_made_from_the_publication() -> None:
    content = '<tuple/><tuple id=" "/><dm:person/>'
    root = composed(content, content)
    assert len(set(ids(root))) == 6
    assert ids(composed(content)) == ids(composed(content))
    assert compose(ENTITY, [source(content, "a"), source(content, "b")], Offline.NONE).newly_qualified == frozenset()


@pytest.mark.rfc("FMT-003")
def test_a_publication_that_echoes_a_qualified_id_gives_way_itself() -> None:
    before = [source('<tuple id="t"/>', "one"), source('<tuple id="t"/>', "two", qualified=True)]
    echoed = ids(valid(compose(ENTITY, before, Offline.NONE)))[1]
    echo = source(f'<tuple id="{echoed}"/>', "zero")
    after = compose(ENTITY, [echo, *before], Offline.NONE)
    assert after.newly_qualified == {"zero"}
    assert ids(valid(after))[1:] == ["t", echoed]


# Namespaces


@pytest.mark.rfc("FMT-005")
def test_a_prefix_that_is_only_in_a_value_keeps_its_declaration() -> None:
    scope = f'xmlns="{PIDF}" xmlns:v="urn:v" xmlns:x="urn:types" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    extension = '<v:a xsi:type="x:foo">x:bar</v:a>'
    other = source("<note>n</note>", "two", scope=f'xmlns="{PIDF}" xmlns:x="urn:other"')
    for sources in ([source(extension, scope=scope)], [other, source(extension, scope=scope)]):
        # Not validated: nobody has the schema of the type.
        (found,) = find(etree.fromstring(compose(ENTITY, sources, Offline.NONE).body), "{urn:v}a")
        assert found.nsmap["x"] == "urn:types"
        assert found.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "x:foo"


@pytest.mark.rfc("FMT-005")
def test_equal_prefixes_for_different_namespaces_stay_apart() -> None:
    sources = [source("<v:a/>", uri, scope=f'xmlns="{PIDF}" xmlns:v="{uri}"') for uri in ("urn:1", "urn:2", "urn:1")]
    root = valid(compose(ENTITY, sources, Offline.NONE))
    assert [child.tag for child in root] == ["{urn:1}a", "{urn:2}a", "{urn:1}a"]
    assert all(child.prefix == "v" for child in root)


@pytest.mark.rfc("FMT-005")
def test_mixed_content_comments_and_order_pass_through() -> None:
    inside = 'a<v:x b="&lt;&quot;&#10;>">c</v:x>d<!-- e --><v:y/> f <?g h?><![CDATA[<i>]]>&#13;<v:x/>j'
    root = composed(f'<tuple id="t"><v:e>{inside}</v:e></tuple>')
    expected = etree.fromstring(f"<v:e {IN_SCOPE}>{inside}</v:e>")
    assert etree.tostring(root[0][1], method="c14n", exclusive=True) == etree.tostring(expected, method="c14n", exclusive=True)


@pytest.mark.rfc("FMT-005")
def test_declarations_that_the_root_has_are_not_repeated() -> None:
    body = compose(ENTITY, [source('<tuple id="t"><v:a/></tuple><v:b/><r:mood/>', str(n)) for n in (1, 2)], Offline.NONE).body
    assert body.count(b"xmlns") == 4
    assert body.count(b"<v:b/>") == 2


@pytest.mark.rfc("FMT-005")
def test_prefixed_pidf_comes_out_unprefixed() -> None:
    scope = f'xmlns:p="{PIDF}" xmlns:m="{DATA_MODEL}" xmlns:v="urn:v"'
    body = (
        f'<p:presence {scope}><p:tuple id="t"><p:status><p:basic>open</p:basic></p:status><v:a><b/></v:a>'
        "<p:contact>sip:a@x</p:contact></p:tuple><p:note>n</p:note>"
        '<m:person id="p"><m:note>o</m:note></m:person></p:presence>'
    )
    composition = compose(ENTITY, [Source("one", parse(body.encode(), pidf.MEDIA_TYPE), False)], Offline.NONE)
    root = valid(composition)
    assert not re.search(rb"</?p:", composition.body)
    assert [element.text for element in find(root, "p:tuple//p:basic") + find(root, "p:note")] == ["open", "n"]
    assert [child.tag for child in find(root, "p:tuple/{urn:v}a")[0]] == ["b"]


@pytest.mark.rfc("FMT-005")
@pytest.mark.parametrize("uri", ["http://x/?a=1&amp;b=2", "urn:it's", "relative"])
def test_unusual_namespace_names_survive(uri: str) -> None:
    scope = f'xmlns="{PIDF}" xmlns:w="{uri}"'
    root = valid(compose(ENTITY, [source("<w:a/>", scope=scope), source(f'<w:a xmlns:w="{uri}"/>', "two")], Offline.NONE))
    assert [etree.QName(child).namespace for child in root] == [uri.replace("&amp;", "&")] * 2


@pytest.mark.rfc("FMT-005")
def test_the_prefix_dm_may_mean_something_else_to_a_publisher() -> None:
    scope = f'xmlns="{PIDF}" xmlns:dm="urn:else" xmlns:m="{DATA_MODEL}"'
    root = valid(compose(ENTITY, [source('<m:person id="p"><dm:x/></m:person><dm:y/>', scope=scope)], Offline.NONE))
    assert [child.tag for child in root] == [pidf.PERSON, "{urn:else}y"]
    assert root[0][0].tag == "{urn:else}x"


# Meaning


@pytest.mark.rfc("FMT-010")
def test_persons_and_equal_contacts_of_different_publications_stay_apart() -> None:
    content = '<tuple id="t{0}"><contact>sip:a@x</contact></tuple><dm:person id="p{0}"/>'
    assert ids(composed(content.format(1), content.format(2))) == ["t1", "t2", "p1", "p2"]


@pytest.mark.rfc("FMT-011")
def test_a_note_moves_to_its_own_person_when_another_publication_has_one() -> None:
    noted = '<note xml:lang="en">mine</note><dm:person id="a"/><dm:person id="b"><dm:note>own</dm:note></dm:person>'
    root = composed(noted, '<dm:person id="c"/>')
    assert not find(root, "p:note")
    assert [[note.text for note in person] for person in find(root, "dm:person")] == [["mine"], ["own"], []]


@pytest.mark.rfc("FMT-011")
@pytest.mark.parametrize("persons", ["", '<dm:person id="b"><dm:note>own</dm:note></dm:person>'])
def test_a_note_without_a_person_of_its_own_gets_one(persons: str) -> None:
    root = composed("<note>mine</note>" + persons, '<dm:person id="c"/>')
    assert not find(root, "p:note")
    described = [person for person in find(root, "dm:person") if [note.text for note in person] == ["mine"]]
    assert len(described) == 1


@pytest.mark.rfc("FMT-011")
def test_a_note_stays_where_it_was_while_no_other_publication_has_persons() -> None:
    assert find(composed('<note>n</note><dm:person id="p"/>'), "p:note")
    assert [note.text for note in find(composed("<note>a</note>", "<note>b</note>"), "p:note")] == ["a", "b"]
    assert find(composed('<note>n</note><dm:person id="p"/>', '<tuple id="t"/>'), "p:note")


@pytest.mark.rfc("FMT-017")
def test_an_rpid_element_without_from_and_until_occurs_once() -> None:
    once, timed = "<r:mood><r:happy/></r:mood>", '<r:mood from="2026-01-01T00:00:00Z"/>'
    twice = f"{once}<r:mood><r:sad/></r:mood>{timed}<r:sphere/><v:a/><v:a/>"
    root = composed(f'<dm:person id="p">{twice}</dm:person><tuple id="t"><status>{twice}</status>{twice}</tuple>')
    for parent in (*find(root, "dm:person"), *find(root, "p:tuple"), *find(root, "p:tuple/p:status")):
        names = [etree.QName(child).localname for child in parent if child.tag != f"{{{PIDF}}}status"]
        assert names == ["mood", "mood", "sphere", "a", "a"]
        assert find(parent, "r:mood/r:happy")


@pytest.mark.rfc("FMT-018", "FMT-019")
def test_extensions_stay_in_the_parent_where_they_were_published() -> None:
    root = composed(
        '<tuple id="t"><status><basic>open</basic></status>'
        '<t:timed-status xmlns:t="urn:ietf:params:xml:ns:pidf:timed-status" from="2026-01-27T16:49:29Z">'
        "<basic>closed</basic></t:timed-status><v:servcaps/></tuple>"
        '<dm:device id="d"><v:devcaps/><dm:deviceID>urn:d</dm:deviceID></dm:device>'
    )
    (timed,) = find(root, "p:tuple/{urn:ietf:params:xml:ns:pidf:timed-status}timed-status")
    assert [(child.tag, child.text) for child in timed] == [(f"{{{PIDF}}}basic", "closed")]
    assert find(root, "p:tuple/v:servcaps")
    assert find(root, "dm:device/v:devcaps")


@pytest.mark.rfc("FMT-012")
def test_a_device_without_device_id_does_not_get_one() -> None:
    body = compose(ENTITY, [source('<dm:device id="d"><v:a/></dm:device>')], Offline.NONE).body
    assert b'<dm:device id="d"><v:a/></dm:device>' in body


# Nothing published


@pytest.mark.parametrize("sources", [[], [source("")], [source("<!-- a -->"), source('<x xmlns=""/>', "two")]])
def test_nothing_published_is_what_the_operator_chose(sources: list[Source]) -> None:
    assert compose(ENTITY, sources, Offline.NONE) == Composition(b"", frozenset())
    assert len(valid(compose(ENTITY, sources, Offline.EMPTY))) == 0
    (closed,) = valid(compose(ENTITY, sources, Offline.CLOSED))
    assert closed.get("id") == "offline"
    assert [element.text for element in find(closed, "p:status/p:basic") + find(closed, "p:contact")] == [
        "closed",
        ENTITY,
    ]


@pytest.mark.parametrize(
    ("entity", "contact"),
    [
        ("sip:a@x", "sip:a@x"),
        ("sips:a@x", "sips:a@x"),
        ("pres:a@x", "sip:a@x"),
        ("a@x", "sip:a@x"),
        ("sip:a&b@x", "sip:a&b@x"),
    ],
)
def test_the_offline_contact_is_a_sip_uri(entity: str, contact: str) -> None:
    assert find(valid(compose(entity, [], Offline.CLOSED)), ".//p:contact")[0].text == contact


@pytest.mark.rfc("FMT-006", "FMT-007")
def test_an_unknown_child_of_status_is_handed_on_whole_even_when_it_must_be_understood() -> None:
    inner = '<v:must p:mustUnderstand="true" xmlns:p="urn:ietf:params:xml:ns:pidf"><basic>open</basic><v:x/></v:must>'
    (status,) = find(composed(f'<tuple id="t"><status><basic>closed</basic>{inner}</status></tuple>'), ".//p:status")
    assert [element.text for element in status.findall(f"{{{PIDF}}}basic")] == ["closed"]
    (unknown,) = find(status, "v:must")
    assert unknown.get(f"{{{PIDF}}}mustUnderstand") == "true"
    assert [etree.QName(child).localname for child in unknown] == ["basic", "x"]
