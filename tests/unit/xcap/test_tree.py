"""The tree over a document's octets: what is refused, and that every offset is exact."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.xcap import tree
from kemi.xcap.errors import ConstraintFailure, ContentTooLarge, NotUtf8, NotWellFormed, NotXmlFrag, XcapError
from kemi.xcap.tree import Element, attribute_value, parse, parse_fragment, scope_of
from tests.unit.xcap.documents import DOCUMENTS, LISTS, SECTION_6_4, status_of


def every(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from every(child)


def expanded_name(tag: str) -> str:
    namespace, _, local = tag.rpartition("}")
    return f"{namespace[1:]}\n{local}" if namespace else local


@pytest.mark.parametrize(
    "octets", [LISTS, SECTION_6_4, b"\xef\xbb\xbf<a/>", b"<a></a>", b"<a>/></a>", b"<a b='/>'></a>", b"<a ><b/></a >"]
)
def test_names_and_octets_are_those_of_another_parser(octets: bytes) -> None:
    agrees(octets)


@settings(deadline=None)
@given(DOCUMENTS)
def test_names_and_octets_of_any_document_are_those_of_another_parser(octets: bytes) -> None:
    agrees(octets)


def agrees(octets: bytes) -> None:
    """Each element's octets, read alone in the scope of its parent, are the element that lxml sees at this place."""
    document = parse(octets)
    theirs = list(etree.fromstring(octets).iter(etree.Element))
    ours = list(every(document.root))
    assert [element.name for element in ours] == [expanded_name(element.tag) for element in theirs]
    for element, their in zip(ours, theirs, strict=True):
        assert element.attributes == {expanded_name(name): value for name, value in their.items()}
        outer = {
            prefix: uri for prefix, uri in (their.getparent().nsmap if their.getparent() is not None else {}).items() if prefix
        }
        default = (their.getparent().nsmap if their.getparent() is not None else {}).get(None)
        declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in outer.items()) + (f' xmlns="{default}"' if default else "")
        alone = etree.fromstring(f"<_{declared}>".encode() + document.written(element) + b"</_>")
        assert c14n(alone[0]) == c14n(their)


def c14n(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True, with_tail=False)


@pytest.mark.rfc("XCS-033")
def test_attributes_are_found_where_they_are_written() -> None:
    document = parse(LISTS)
    trail = [document.root, document.root.children[0]]
    found = document.attribute(trail[-1], "name", scope_of(trail))
    assert found is not None
    assert (found[0], found[2]) == (b" name = 'fri\"ends'", b"'fri\"ends'")
    entry = trail[-1].children[0]
    rank = document.attribute(entry, "urn:x\nrank", scope_of([*trail, entry]))
    assert rank is not None
    assert rank[2] == b"'>'"


def test_a_declaration_is_no_attribute() -> None:
    document = parse(b'<a xmlns="xmlns" xmlns:p="None" p:p="1"/>')
    assert document.attribute(document.root, "xmlns", scope_of([document.root])) is None
    assert document.root.attributes == {"None\np": "1"}


# What is refused


@pytest.mark.parametrize(
    "octets",
    [b"", b" ", b"text", b"<a>", b"<a></b>", b"<a/><b/>", b"<a>&foo;</a>", b"<a b=c/>", b"<a b='1' b='2'/>", b"<p:a/>",
     b"<a p:b=''/>",
     b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", b"<a xmlns:p=''/>", b" <?xml version='1.0'?><a/>", b"<a>&#0;</a>",
     b"<a>\x01</a>",
     b"<a><!-- -- --></a>", b"<a>]]></a>", "<a>\ufffe</a>".encode()],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused(octets: bytes) -> None:
    with pytest.raises(NotWellFormed):
        parse(octets)


def test_the_phrase_says_where_and_quotes_nothing() -> None:
    with pytest.raises(NotWellFormed, match=r"^line 2, column 3: mismatched tag$"):
        parse(b"<secret>\n</a><secret/>")


@pytest.mark.rfc("XCS-007")
@pytest.mark.parametrize(
    "octets",
    ["<a>\xe9</a>".encode("latin-1"), "<a/>".encode("utf-16"), b"<a>\xed\xa0\x80</a>",
     b"<?xml version='1.0' encoding='latin-1'?><a/>",
               b"<?xml version='1.0' encoding='UTF-16'?><a/>", b"<a>\xc0\xaf</a>"],
)  # fmt: skip
def test_what_is_not_utf8_or_says_so_is_refused(octets: bytes) -> None:
    with pytest.raises(NotUtf8):
        parse(octets)


@pytest.mark.parametrize(
    "declaration",
    [b"", b"<?xml version='1.0'?>", b'<?xml version="1.0" encoding="utf-8"?>', b"<?xml version='1.0' encoding='UTF-8'?>"],
)
def test_utf8_may_be_declared_and_may_have_a_byte_order_mark(declaration: bytes) -> None:
    octets = b"\xef\xbb\xbf" + declaration + "<a>\xe9</a>".encode()
    document = parse(octets)
    assert document.written(document.root) == "<a>\xe9</a>".encode()


@pytest.mark.parametrize(
    "octets",
    [b"<!DOCTYPE a><a/>", b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
     b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"],
)  # fmt: skip
def test_a_doctype_is_refused(octets: bytes) -> None:
    with pytest.raises(ConstraintFailure):
        parse(octets)


def test_the_letters_of_a_doctype_in_a_comment_are_text() -> None:
    assert parse(b"<a><!-- <!DOCTYPE a> --></a>").root.children == []


@pytest.mark.parametrize(
    "octets",
    [b"<a>" * (tree.MAX_DEPTH + 1) + b"</a>" * (tree.MAX_DEPTH + 1), b"<r>" + b"<a/>" * tree.MAX_ELEMENTS + b"</r>",
     b"<a>" + b" " * tree.MAX_OCTETS + b"</a>"],
    ids=["depth", "elements", "octets"],
)  # fmt: skip
def test_what_is_above_the_limits_is_too_large(octets: bytes) -> None:
    with pytest.raises(ContentTooLarge):
        parse(octets)


def test_the_limits_themselves_are_fine() -> None:
    depth = b"<a>" * tree.MAX_DEPTH + b"</a>" * tree.MAX_DEPTH
    assert parse(depth).written(parse(depth).root) == depth
    assert len(parse(b"<r>" + b"<a/>" * (tree.MAX_ELEMENTS - 1) + b"</r>").root.children) == tree.MAX_ELEMENTS - 1


# Fragments


@pytest.mark.rfc("XCS-009")
@pytest.mark.parametrize(
    "octets",
    [b"", b"text", b"<a>", b"</a>", b"<a/><b/>", b"x<a/>", b"<a/>x", b"<!-- c --><a/>", b"<a/><?p i?>", b"<![CDATA[]]>", b"</_><_>",
     b"</_><_><a/>",
     b"<a/></_><_>", b"<a/></_>", b"<?xml version='1.0'?><a/>", b"\xef\xbb\xbf<a/>", b"<!DOCTYPE a><a/>", b"<a/><!--",
     b"<a><![CDATA[</a>",
     b"<r:a/>", b"<a r:b=''/>", b"<a>&foo;</a>"],
)  # fmt: skip
def test_what_is_not_exactly_one_balanced_element_is_no_fragment(octets: bytes) -> None:
    with pytest.raises(NotXmlFrag):
        parse_fragment(octets, scope_of([]), 9)


@pytest.mark.rfc("XCS-007")
def test_a_fragment_is_in_utf8() -> None:
    with pytest.raises(NotUtf8):
        parse_fragment("<a>\xe9</a>".encode("latin-1"), scope_of([]), 9)


def test_a_fragment_is_read_in_the_scope_that_it_gets() -> None:
    scope = scope_of([parse(b'<a xmlns="urn:d" xmlns:p="u&#38;&quot;&lt;"/>').root])
    found = parse_fragment(b'<b p:c="1" xmlns:q="urn:q"><q:d/></b>', scope, 2)
    assert (found.name, found.attributes, found.children[0].name) == ("urn:d\nb", {'u&"<\nc': "1"}, "urn:q\nd")


def test_a_fragment_may_be_no_deeper_than_is_left() -> None:
    assert parse_fragment(b"<a><b/></a>", {}, 2).name == "a"
    with pytest.raises(ContentTooLarge):
        parse_fragment(b"<a><b/></a>", {}, 1)


# Attribute values


@pytest.mark.rfc("XCS-028", "XCS-052")
@pytest.mark.parametrize(
    ("written", "value"),
    [('"a"', "a"), ("'a'", "a"), ('""', ""), ("'\"'", '"'), ('"&lt;&gt;&amp;&quot;&apos;"', "<>&\"'"), ('"&#65;&#x42;"', "AB"),
     ('"a\tb\r\nc"', "a b c"),
     ('"a&#10;b"', "a\nb"), ('">"', ">"), ('"\xe9&#x4e2d;"', "\xe9\u4e2d")],
)  # fmt: skip
def test_references_in_an_attribute_value_are_resolved(written: str, value: str) -> None:
    assert attribute_value(written) == value


@pytest.mark.rfc("XCS-010")
@pytest.mark.parametrize(
    "written",
    ["", "a", '"', '"a', 'a"', "\"a'", '"a"b"', '"<"', '"&"', '"&foo;"', '"&#0;"', '"&#xD800;"', '"&#99999999999999999999;"',
     '"\x01"', '"\ud800"',
     '"\ufffe"', '"a" b="c"', '"a"/><_ _="b"'],
)  # fmt: skip
def test_what_is_no_attribute_value_has_none(written: str) -> None:
    assert attribute_value(written) is None


# Whatever comes

MARKUP = st.sampled_from(
    ["<a", "<b>", "</a>", "</b>", "/>", ">", "<", ' i="', '"', "'", "&amp;", "&", "<!--", "-->", "<![CDATA[", "]]>", "<?x", "?>",
     "<!DOCTYPE", " xmlns:p='u'", "p:", "\xe9", " ", "\0"],
)  # fmt: skip
JUNK = st.lists(MARKUP | st.text(max_size=3), max_size=12).map(
    lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
) | st.binary(max_size=40)


@settings(deadline=None)
@given(st.sampled_from([LISTS, SECTION_6_4]), JUNK, st.data())
def test_whatever_comes_is_read_or_refused(octets: bytes, junk: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(octets)))
    damaged = octets[:at] + junk + octets[at + data.draw(st.integers(0, 9)) :]
    for each in (junk, damaged):
        for read in (parse, lambda fragment: parse_fragment(fragment, {"p": "urn:p"}, 9)):
            assert status_of(read, each) in (200, 409, 413)


@settings(deadline=None)
@given(st.binary(max_size=30).map(lambda octets: b"<a>" + octets) | JUNK)
def test_what_is_taken_another_parser_takes_too(octets: bytes) -> None:
    try:
        document = parse(octets)
    except XcapError:
        return
    assert len(list(every(document.root))) == len(list(etree.fromstring(octets).iter(etree.Element)))
