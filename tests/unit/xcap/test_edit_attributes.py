"""GET, PUT and DELETE of attributes: only the octets of one attribute change."""

import pytest

from kemi.xcap.edit import Edited, delete, get, put
from kemi.xcap.errors import CannotInsert, ContentTooLarge, NotFound, NotUtf8, NotXmlAttValue
from kemi.xcap.tree import MAX_OCTETS, parse
from tests.unit.xcap.documents import LISTS, RESOURCE_LISTS, selector

OCTETS = b"""<r>
  <e\ta = 'x&amp;"y'\n     b="2"  /><!-- a="1" -->
  <e b="3">a="4"</e >
</r>"""


def put_value(text: str, body: bytes, octets: bytes = OCTETS, query: str = "") -> Edited:
    return put(parse(octets), selector(text, query), body)


@pytest.mark.rfc("XCS-011", "XCS-052")
def test_get_gives_the_value_as_it_is_written_with_its_quotes() -> None:
    document = parse(OCTETS)
    assert get(document, selector("r/e[1]/@a")) == b"'x&amp;\"y'"
    assert get(document, selector("r/e[2]/@b")) == b'"3"'
    assert selector("r/e[2]/@b").target == "application/xcap-att+xml"


@pytest.mark.rfc("XCS-011", "XCS-012")
@pytest.mark.parametrize("text", ["r/e[2]/@a", "r/e/@b", "r/x/@b", "r/e[3]/@b", "r/@a", "r/e[1]/@A"])
def test_an_attribute_that_is_not_there_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        get(parse(OCTETS), selector(text))
    with pytest.raises(NotFound):
        delete(parse(OCTETS), selector(text))


@pytest.mark.rfc("XCS-010", "XCS-033")
def test_put_replaces_the_value_and_nothing_else() -> None:
    assert put_value("r/e[1]/@a", b'"new"') == (OCTETS.replace(b"'x&amp;\"y'", b'"new"'), False)
    assert put_value("r/e[@b='3']/@b", b"'&#51;'") == (OCTETS.replace(b'"3"', b"'&#51;'"), False)


@pytest.mark.rfc("XCS-010", "XCS-033")
def test_put_creates_an_attribute_behind_the_last_one() -> None:
    assert put_value("r/e[1]/@c", b'"1>"') == (OCTETS.replace(b'b="2"  />', b'b="2" c="1>"  />'), True)
    assert put_value("r/e[2]/@a", b"''") == (OCTETS.replace(b'b="3">', b"b=\"3\" a=''>"), True)
    assert put_value("r/@a", b'"1"') == (OCTETS.replace(b"<r>", b'<r a="1">'), True)
    assert put_value("a/@b", b'"1"', b"<a/>") == (b'<a b="1"/>', True)


@pytest.mark.rfc("XCS-052")
@pytest.mark.parametrize(
    ("body", "written"),
    [(b"new", b'"new"'), (b"sip:a@b?x&amp;y", b'"sip:a@b?x&amp;y"'), (b'say "hi"', b"'say \"hi\"'"), (b"it's", b'"it\'s"'),
     (b' "a b" \r\n', b'"a b"'),
     (b"\tnew\n", b'"new"'), ("caf\xe9".encode(), '"caf\xe9"'.encode())],
)  # fmt: skip
def test_a_value_without_quotes_is_taken_and_gets_some(body: bytes, written: bytes) -> None:
    edited = put_value("r/e[1]/@b", body)
    assert edited == (OCTETS.replace(b'"2"', written), False)
    assert get(parse(edited.octets), selector("r/e[1]/@b")) == written


@pytest.mark.rfc("XCS-010")
@pytest.mark.parametrize(
    "body",
    [b"", b" ", b'"', b'"a', b"'a\"", b'"a" "b"', b'"a"b', b'"<"', b"a<b", b'"&"', b"a&b", b'"&nbsp;"', b'"&#0;"', b"it's \"x\"",
     b'"\x01"', b"a\x00b", b'"a" c="1"', b'"/><e a="'],
)  # fmt: skip
@pytest.mark.parametrize("text", ["r/e[1]/@a", "r/e[1]/@c"])
def test_a_body_that_is_no_attribute_value_is_refused(text: str, body: bytes) -> None:
    with pytest.raises(NotXmlAttValue):
        put_value(text, body)


def test_a_value_that_is_not_in_utf8_is_refused() -> None:
    with pytest.raises(NotUtf8):
        put_value("r/e[1]/@a", b'"\xe9"')


@pytest.mark.rfc("XCS-014")
def test_an_attribute_that_a_predicate_needs_keeps_its_value() -> None:
    for text in ("r/e[@b='2']/@b", "r/e[1][@b='2']/@b", "r/*[@b='2']/@b"):
        with pytest.raises(CannotInsert):
            put_value(text, b'"7"')
        assert put_value(text, b'"&#50;"').octets == OCTETS.replace(b'"2"', b'"&#50;"')
    assert put_value("r/e[@b='2']/@a", b'"7"').octets == OCTETS.replace(b"'x&amp;\"y'", b'"7"')


@pytest.mark.rfc("XCS-014", "XCS-028")
@pytest.mark.parametrize("text", ["r/@xmlns", "r/@xmlns:p", "r/e[1]/@xmlns"])
def test_a_declaration_cannot_be_put(text: str) -> None:
    with pytest.raises(CannotInsert):
        put_value(text, b'"urn:p"')


def test_a_name_that_no_document_can_have_is_refused() -> None:
    with pytest.raises(CannotInsert):
        put_value("r/@\u218a", b'"1"')
    with pytest.raises(CannotInsert):
        put_value("r/@p:a", b'"1"', query="xmlns(p=urn:%0Ap)")


def test_the_new_document_keeps_the_limits() -> None:
    with pytest.raises(ContentTooLarge):
        put_value("a/@b", b"x" * MAX_OCTETS, b"<a b=''/>")


@pytest.mark.rfc("XCS-012", "XCS-033")
def test_delete_removes_the_attribute_with_the_white_space_before_it() -> None:
    assert delete(parse(OCTETS), selector("r/e[1]/@a")) == OCTETS.replace(b"\ta = 'x&amp;\"y'", b"")
    assert delete(parse(OCTETS), selector("r/e[1]/@b")) == OCTETS.replace(b'\n     b="2"', b"")
    assert delete(parse(OCTETS), selector("r/e[2]/@b")) == OCTETS.replace(b' b="3"', b"")


@pytest.mark.rfc("XCS-015")
def test_an_attribute_that_a_predicate_needs_can_be_deleted_because_the_uri_selects_nothing_then() -> None:
    octets = delete(parse(OCTETS), selector("r/e[@b='2']/@b"))
    with pytest.raises(NotFound):
        get(parse(octets), selector("r/e[@b='2']/@b"))


# Prefixes


@pytest.mark.rfc("XCS-024", "XCS-025")
def test_an_attribute_of_a_namespace_is_found_by_its_namespace() -> None:
    note = selector("resource-lists/list[2]/@any:note", "xmlns(any=urn:x)", RESOURCE_LISTS)
    assert get(parse(LISTS), note) == b'"&#x22;"'
    assert put(parse(LISTS), note, b'"1"') == (LISTS.replace(b'"&#x22;"', b'"1"'), False)
    assert delete(parse(LISTS), note) == LISTS.replace(b' x:note="&#x22;"', b"")
    with pytest.raises(NotFound):
        get(parse(LISTS), selector("resource-lists/list[2]/@note", "", RESOURCE_LISTS))


@pytest.mark.rfc("XCS-010", "XCS-024")
@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b'<a xmlns:q="urn:p"/>', b'<a xmlns:q="urn:p" q:b="1"/>'),
        (b"<a/>", b'<a xmlns:p="urn:p" p:b="1"/>'),
        (b'<a xmlns="urn:p"/>', None),
        (b'<n:a xmlns="urn:p" xmlns:n="urn:n"/>', None),
        (b'<a xmlns:p="urn:other"/>', b'<a xmlns:p="urn:other" xmlns:p1="urn:p" p1:b="1"/>'),
        (b'<a xmlns:p="urn:other" xmlns:p1="urn:1"><c/></a>',
         b'<a xmlns:p="urn:other" xmlns:p1="urn:1" xmlns:p2="urn:p" p2:b="1"><c/></a>'),
        (b'<a b="0" xml:lang="de"/>', b'<a b="0" xml:lang="de" xmlns:p="urn:p" p:b="1"/>'),
    ],
)  # fmt: skip
def test_a_new_attribute_gets_a_prefix_that_means_its_namespace(octets: bytes, expected: bytes | None) -> None:
    edited = put_value("*/@p:b", b'"1"', octets, "xmlns(p=urn:p)")
    assert edited == (expected or octets.replace(b"/>", b' xmlns:p="urn:p" p:b="1"/>'), True)
    assert get(parse(edited.octets), selector("*/@p:b", "xmlns(p=urn:p)")) == b'"1"'


def test_a_prefix_that_is_bound_again_inside_does_not_count() -> None:
    octets = b'<a xmlns:q="urn:p"><c xmlns:q="urn:other"/></a>'
    edited = put_value("a/c/@q:b", b'"1"', octets, "xmlns(q=urn:p)")
    assert edited.octets == b'<a xmlns:q="urn:p"><c xmlns:q="urn:other" xmlns:q1="urn:p" q1:b="1"/></a>'


def test_the_namespace_of_a_new_attribute_is_escaped() -> None:
    edited = put_value("a/@p:b", b'"1"', b"<a/>", 'xmlns(p=u"&<)')
    assert edited.octets == b'<a xmlns:p="u&quot;&amp;&lt;" p:b="1"/>'


def test_xml_needs_no_declaration() -> None:
    assert put_value("a/@xml:lang", b'"de"', b"<a/>").octets == b'<a xml:lang="de"/>'
