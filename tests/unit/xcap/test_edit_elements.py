"""GET, PUT and DELETE of elements: what is spliced, where, and what is refused."""

import pytest

from kemi.xcap import tree
from kemi.xcap.edit import Edited, delete, get, put
from kemi.xcap.errors import (
    CannotDelete,
    CannotInsert,
    ContentTooLarge,
    MethodNotAllowed,
    NoParent,
    NotFound,
    NotUtf8,
    NotXmlFrag,
    SchemaValidationError,
)
from kemi.xcap.tree import Document, parse
from tests.unit.xcap.documents import DEFAULT, LISTS, RESOURCE_LISTS, SECTION_6_4, SECTION_8_2_3, URI, selector

ROOT = parse(SECTION_8_2_3)


def put_text(octets: bytes | Document, text: str, body: bytes, query: str = "", namespace: str = "") -> Edited:
    document = octets if isinstance(octets, Document) else parse(octets)
    return put(document, selector(text, query, namespace), body)


def changed(old: bytes, new: bytes, octets: bytes = SECTION_8_2_3) -> bytes:
    assert octets.count(old) == 1
    return octets.replace(old, new)


# GET


@pytest.mark.rfc("XCS-011", "XCS-033")
def test_get_gives_exactly_the_octets_of_the_element() -> None:
    document = parse(LISTS)
    entry = selector("resource-lists/list[1]/entry[1]", "", RESOURCE_LISTS)
    assert get(document, entry) == (
        b"<rl:entry uri=\"sip:bob@example.com?a=1&amp;b=2\" x:rank='>'>"
        b'<rl:display-name xml:lang="de">B&#246;b</rl:display-name></rl:entry>'
    )
    whole = get(document, selector("resource-lists", "", RESOURCE_LISTS))
    assert whole == LISTS[LISTS.index(b"<rl:resource-lists") : LISTS.index(b"\n<!-- the end")]
    assert entry.target == "application/xcap-el+xml"


@pytest.mark.rfc("XCS-026")
def test_get_of_the_namespace_bindings_gives_one_element_with_all_declarations() -> None:
    query = "xmlns(df=urn:test:default-namespace)xmlns(df2=urn:test:namespace1-uri)"
    bindings = selector("df:foo/df2:bar/df2:baz/namespace::*", query)
    assert get(parse(SECTION_6_4), bindings) == b'<baz xmlns="urn:test:namespace1-uri" xmlns:ns1="urn:test:namespace1-uri"/>'
    assert bindings.target == "application/xcap-ns+xml"


@pytest.mark.rfc("XCS-026")
def test_the_namespace_bindings_keep_the_prefix_and_leave_out_what_is_not_bound() -> None:
    assert get(parse(LISTS), selector("resource-lists/list[2]/namespace::*", "", RESOURCE_LISTS)) == (
        b'<rl:list xmlns:rl="urn:ietf:params:xml:ns:resource-lists" xmlns="urn:other" xmlns:x="urn:x"/>'
    )
    document = parse(b'<a xmlns="urn:a"><b xmlns="" xmlns:p="x&amp;&quot;&#9;y"/></a>')
    assert get(document, selector("d:a/b/namespace::*", "xmlns(d=urn:a)")) == b'<b xmlns:p="x&amp;&quot;&#9;y"/>'
    assert get(parse(b"<a/>"), selector("a/namespace::*")) == b"<a/>"


@pytest.mark.rfc("XCS-027")
def test_the_namespace_bindings_can_only_be_read() -> None:
    bindings = selector("root/namespace::*")
    for change in (lambda: put(ROOT, bindings, b"<root/>"), lambda: delete(ROOT, bindings)):
        with pytest.raises(MethodNotAllowed) as refused:
            change()
        assert refused.value.headers == (("Allow", "GET"),)


# PUT that creates: the worked examples of RFC 4825 section 8.2.3


@pytest.mark.rfc("XCS-031", "XCS-032", "XCS-009")
@pytest.mark.parametrize("text", ['root/el1[@att="third"]', 'root/el1[3][@att="third"]', 'root/*[3][@att="third"]', "root/el1[3]"])
def test_example_1_a_third_el1_goes_directly_behind_the_second(text: str) -> None:
    expected = changed(b'<el1 att="second"/>', b'<el1 att="second"/><el1 att="third"/>')
    assert put_text(ROOT, text, b'<el1 att="third"/>') == (expected, True)


@pytest.mark.rfc("XCS-031")
def test_example_2_the_first_el3_goes_behind_all_other_nodes() -> None:
    assert put_text(ROOT, 'root/el3[@att="first"]', b'<el3 att="first"/>') == (
        changed(b"\n</root>", b'\n<el3 att="first"/></root>'),
        True,
    )


@pytest.mark.rfc("XCS-031", "XCS-032")
@pytest.mark.parametrize("text", ['root/el2[@att="2"]', 'root/el2[2][@att="2"]', 'root/*[@att="2"]', 'root/*[4][@att="2"]'])
def test_example_3_a_second_el2_goes_directly_behind_the_first(text: str) -> None:
    expected = changed(b'<el2 att="first"/>', b'<el2 att="first"/><el2 att="2"/>')
    assert put_text(ROOT, text, b'<el2 att="2"/>') == (expected, True)


@pytest.mark.rfc("XCS-032", "XCS-036")
def test_example_4_the_second_of_all_elements_goes_directly_behind_the_first() -> None:
    expected = changed(b'<el1 att="first"/>', b'<el1 att="first"/><el2 att="2"/>')
    assert put_text(ROOT, 'root/*[2][@att="2"]', b'<el2 att="2"/>') == (expected, True)


@pytest.mark.rfc("XCS-032")
def test_example_5_a_new_first_el2_goes_directly_before_the_old_one() -> None:
    expected = changed(b'<el2 att="first"/>', b'<el2 att="2"/><el2 att="first"/>')
    assert put_text(ROOT, 'root/el2[1][@att="2"]', b'<el2 att="2"/>') == (expected, True)


@pytest.mark.rfc("XCS-032")
def test_the_first_element_of_a_name_that_is_not_there_goes_behind_all_other_nodes() -> None:
    assert put_text(ROOT, "root/el3[1]", b"<el3/>") == (changed(b"\n</root>", b"\n<el3/></root>"), True)
    assert put_text(b"<a>text<!-- c --></a>", "a/*[1]", b"<b/>") == (b"<a>text<!-- c --><b/></a>", True)


@pytest.mark.rfc("XCS-031", "XCS-033")
def test_a_new_element_goes_before_what_follows_its_sibling() -> None:
    octets = b"<a><b><c/></b > text <!-- c --><d/></a>"
    assert put_text(octets, 'a/b[@n="2"]', b'<b n="2"/>').octets == b'<a><b><c/></b ><b n="2"/> text <!-- c --><d/></a>'


@pytest.mark.rfc("XCS-031", "XCS-024")
def test_siblings_are_of_the_same_name_whatever_their_prefix() -> None:
    octets = b'<a xmlns="urn:d" xmlns:p="urn:d"><p:b/><b xmlns=""/></a>'
    put_b = put_text(octets, 'a/b[@n="2"]', b'<b n="2"/>', namespace="urn:d")
    assert put_b.octets == b'<a xmlns="urn:d" xmlns:p="urn:d"><p:b/><b n="2"/><b xmlns=""/></a>'


@pytest.mark.rfc("XCS-009")
@pytest.mark.parametrize(
    ("parent", "opened"),
    [("<list/>", "<list>{}</list>"), ("<list />", "<list >{}</list>"), ("<list></list>", "<list>{}</list>"),
     ("<list\n></list\n>", "<list\n>{}</list\n>"),
     ("<list a='/>'/>", "<list a='/>'>{}</list>"), ("<list> </list>", "<list> {}</list>"),
     ("<list>/></list>", "<list>/>{}</list>")],
)  # fmt: skip
def test_a_parent_without_content_is_opened(parent: str, opened: str) -> None:
    octets, wanted = f"<r>{parent}<z/></r>".encode(), f"<r>{opened.format('<e/>')}<z/></r>".encode()
    assert put_text(octets, "r/list/e", b"<e/>") == (wanted, True)


def test_an_opened_parent_keeps_its_prefix() -> None:
    octets = b'<p:r xmlns:p="urn:p"/>'
    assert put_text(octets, "p:r/e", b"<e/>", "xmlns(p=urn:p)").octets == b'<p:r xmlns:p="urn:p"><e/></p:r>'


# PUT that replaces


@pytest.mark.rfc("XCS-009")
@pytest.mark.parametrize("text", ["root/el1[1]", "root/*[1]"])
def test_a_replacement_is_complete_and_in_the_same_place(text: str) -> None:
    assert put_text(ROOT, text, b'<el1 att="third"><x/></el1>') == (
        changed(b'<el1 att="first"/>', b'<el1 att="third"><x/></el1>'),
        False,
    )


@pytest.mark.rfc("XCS-009", "XCS-033")
def test_the_root_can_be_replaced_and_what_is_around_it_stays() -> None:
    new = b'<l:resource-lists xmlns:l="urn:ietf:params:xml:ns:resource-lists"/>'
    octets, created = put_text(LISTS, "resource-lists", new, namespace=RESOURCE_LISTS)
    start, end = LISTS.index(b"<rl:resource-lists"), LISTS.index(b"\n<!-- the end")
    assert (octets, created) == (LISTS[:start] + new + LISTS[end:], False)


@pytest.mark.rfc("XCS-034")
def test_declarations_of_the_body_are_kept_also_redundant_ones() -> None:
    body = b'<el1 xmlns="" xmlns:x="urn:x" xmlns:y="urn:x"><el1 xmlns=""/></el1>'
    assert put_text(ROOT, "root/el1[1]", body).octets == changed(b'<el1 att="first"/>', body)
    assert put_text(ROOT, "root/el1[3]", body).octets == changed(b'<el1 att="second"/>', b'<el1 att="second"/>' + body)


def test_a_body_may_use_prefixes_of_its_parent_or_declare_its_own() -> None:
    for body in (
        b"<rl:list x:note=''/>",
        b'<l:list xmlns:l="urn:ietf:params:xml:ns:resource-lists" xmlns="urn:x"><rl:list/></l:list>',
    ):
        edited = put_text(LISTS, "resource-lists/list[4]", body, namespace=RESOURCE_LISTS)
        assert edited == (LISTS.replace(b"</rl:list>\n</rl:res", b"</rl:list>" + body + b"\n</rl:res"), True)


def test_content_of_unknown_namespaces_is_taken() -> None:
    body = b'<el1 att="first" v:b="1" xmlns:v="urn:vendor"><v:c>text</v:c></el1>'
    edited = put_text(ROOT, 'root/el1[@att="first"]', body)
    assert get(parse(edited.octets), selector('root/el1[@att="first"]')) == body


def test_white_space_around_the_body_is_left_out() -> None:
    assert put_text(ROOT, "root/el1[1]", b"\r\n <el1/>\n").octets == changed(b'<el1 att="first"/>', b"<el1/>")


# PUT that is refused


@pytest.mark.rfc("XCS-009")
@pytest.mark.parametrize(
    "body",
    [b"", b"  ", b"text", b"<el1>", b"<el1/><el1/>", b"<el1/>text", b"<!-- c --><el1/>", b"<x:el1/>", b"</root><root>",
     b"<?xml version='1.0'?><el1/>", b"\xef\xbb\xbf<el1/>", b"<el1>&nbsp;</el1>"],
)  # fmt: skip
@pytest.mark.parametrize("text", ["root/el1[1]", "root/el1[3]"])
def test_a_body_that_is_not_one_element_is_refused(text: str, body: bytes) -> None:
    with pytest.raises(NotXmlFrag):
        put_text(ROOT, text, body)


def test_a_body_that_is_not_in_utf8_is_refused() -> None:
    with pytest.raises(NotUtf8):
        put_text(ROOT, "root/el1[1]", b"<el1>\xe9</el1>")


@pytest.mark.rfc("XCS-014")
@pytest.mark.parametrize(
    ("text", "body"),
    [
        ('root/el1[@att="third"]', b'<el1 att="fourth"/>'),
        ('root/el1[3][@att="third"]', b'<el1 att="fourth"/>'),
        ('root/*[3][@att="third"]', b"<el1/>"),
        ('root/el1[@att="first"]', b'<el1 att="third"/>'),
        ('root/el1[1][@att="first"]', b"<el1/>"),
        ('root/*[1][@att="first"]', b'<el1 att="third"/>'),
        ("root/el1[1]", b"<el2/>"),
        ('root/el1[@att="first"]', b'<el2 att="first"/>'),
        ("root/el3", b"<el1/>"),
        ("root/el1[3]", b'<el1 xmlns="urn:other"/>'),
        ("root", b"<other/>"),
        ("other", b"<other/>"),
        ("other", b"<root/>"),
        ("*[2]", b"<root/>"),
    ],
)
def test_a_body_that_get_would_not_return_is_refused(text: str, body: bytes) -> None:
    with pytest.raises(CannotInsert):
        put_text(ROOT, text, body)


@pytest.mark.rfc("XCS-014", "XCS-022")
@pytest.mark.parametrize("text", ["root/el1", "root/*", 'root/*[@att="first"]'])
def test_a_selector_that_selects_several_is_refused(text: str) -> None:
    with pytest.raises(CannotInsert):
        put_text(ROOT, text, b'<el1 att="first"/>')


@pytest.mark.rfc("XCS-032")
@pytest.mark.parametrize(
    "text", ['root/el1[4][@att="third"]', "root/*[5]", "root/el3[2]", 'root/*[0][@att="third"]', "root/el1[0]"]
)
def test_a_position_beyond_the_next_one_is_refused(text: str) -> None:
    with pytest.raises(CannotInsert):
        put_text(ROOT, text, b'<el1 att="third"/>')


@pytest.mark.rfc("XCS-013", "XCS-022")
@pytest.mark.parametrize(
    ("text", "ancestor"),
    [
        ("other/a", URI),
        ("root/x/a", f"{URI}/~~/root"),
        ("root/el1/a", f"{URI}/~~/root"),
        ('root/el1[@att="first"]/x/y/z', f"{URI}/~~/root/el1%5B@att=%22first%22%5D"),
        ("root/el2/x/@b", f"{URI}/~~/root/el2"),
        ("root/el1/@b", f"{URI}/~~/root"),
    ],
)
def test_a_parent_that_is_not_there_is_told_with_the_closest_ancestor(text: str, ancestor: str) -> None:
    with pytest.raises(NoParent) as refused:
        put_text(ROOT, text, b"<not-even-looked-at")
    assert refused.value.ancestor == ancestor


def test_the_new_document_keeps_the_limits() -> None:
    deep = b"<a>" * tree.MAX_DEPTH + b"</a>" * tree.MAX_DEPTH
    with pytest.raises(ContentTooLarge):
        put_text(deep, "/".join(["a"] * tree.MAX_DEPTH + ["b"]), b"<b/>")
    assert put_text(deep, "/".join(["a"] * (tree.MAX_DEPTH - 1) + ["b"]), b"<b/>").created
    with pytest.raises(ContentTooLarge):
        put_text(b"<a>" + b" " * (tree.MAX_OCTETS - 9) + b"</a>", "a/b", b"<b/>")
    with pytest.raises(ContentTooLarge):
        put_text(b"<a>" + b"<c/>" * (tree.MAX_ELEMENTS - 1) + b"</a>", "a/b", b"<b/>")


# DELETE


@pytest.mark.rfc("XCS-012", "XCS-033")
def test_delete_removes_the_element_and_white_space_stays() -> None:
    assert delete(ROOT, selector('root/el1[@att="first"]')) == changed(b' <el1 att="first"/>\n', b" \n")
    lists = delete(parse(LISTS), selector("resource-lists/list[@name='fri\"ends']", "", RESOURCE_LISTS))
    assert lists == LISTS[: LISTS.index(b"<rl:list name = ")] + LISTS[LISTS.index(b'\n  <rl:list name="empty"') :]


@pytest.mark.rfc("XCS-012", "XCS-022")
@pytest.mark.parametrize(
    "text", ["root/el1", "root/*", "root/x", "x", "root/el1/x", "root/el1[3]", 'root/el1[1][@att="second"]', "root/el1[0]"]
)
def test_delete_of_none_or_several_finds_nothing(text: str) -> None:
    with pytest.raises(NotFound):
        delete(ROOT, selector(text))


@pytest.mark.rfc("XCS-015")
@pytest.mark.parametrize("text", ["root/item[1]", "root/item[2]", "root/*[3]"])
def test_delete_is_refused_if_the_uri_would_select_the_next_one(text: str) -> None:
    with pytest.raises(CannotDelete):
        delete(parse(b"<root><item/><item/><item/><other/></root>"), selector(text))


@pytest.mark.rfc("XCS-015")
@pytest.mark.parametrize("text", ["root/item[3]", "root/*[4]", 'root/item[2][@a="2"]', "root/other"])
def test_delete_is_fine_if_the_uri_selects_nothing_then(text: str) -> None:
    octets = b'<root><item/><item a="2"/><item/><other/></root>'
    left = delete(parse(octets), selector(text))
    assert len(parse(left).root.children) == 3


def test_the_root_cannot_be_deleted() -> None:
    with pytest.raises(SchemaValidationError):
        delete(ROOT, selector("root"))


def test_names_of_the_default_namespace_work_in_every_method() -> None:
    document = parse(SECTION_6_4)
    query = "xmlns(a=urn:test:namespace1-uri)xmlns(c=urn:test:namespace3-uri)"
    there = selector("foo/c:hi/c:there", query, DEFAULT)
    with pytest.raises(NotFound):  # it is of the default namespace, as foo is
        get(document, there)
    assert delete(document, selector("foo/c:hi/there", query, DEFAULT)) == SECTION_6_4.replace(b"<there/>", b"")
    body = b'<ns3:there xmlns:ns3="urn:test:namespace3-uri"/>'
    assert put(document, there, body) == (SECTION_6_4.replace(b"\n  </ns3:hi>", b"\n  " + body + b"</ns3:hi>"), True)
