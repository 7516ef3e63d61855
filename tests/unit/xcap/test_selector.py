"""Node selectors: what is understood, and that they find what XPath would find."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.xcap.edit import get, put
from kemi.xcap.errors import BadRequest, NotFound
from kemi.xcap.selector import AttributeName, Step, Target, bindings_of, parse
from kemi.xcap.tree import XML
from kemi.xcap.tree import parse as parse_document
from tests.unit.xcap.documents import (
    DEFAULT,
    DOCUMENTS,
    LISTS,
    NAMESPACES,
    PATHS,
    QUERY,
    RESOURCE_LISTS,
    SECTION_6_4,
    URI,
    PlainStep,
    selector,
    status_of,
    written,
)


def steps(text: str, query: str = "", namespace: str = "") -> list[tuple[str | None, int | None, str | None, str]]:
    return [step[1:] for step in selector(text, query, namespace).steps]


@pytest.mark.rfc("XCS-021")
@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("a", ("a", None, None, "")),
        ("*", (None, None, None, "")),
        ("a[2]", ("a", 2, None, "")),
        ("*[10]", (None, 10, None, "")),
        ('a[@b="c"]', ("a", None, "b", "c")),
        ("*[@b='c']", (None, None, "b", "c")),
        ('a[2][@b="c"]', ("a", 2, "b", "c")),
        ('*[2][@b="c"]', (None, 2, "b", "c")),
        ("a[007]", ("a", 7, None, "")),
        ("a-b.c_1", ("a-b.c_1", None, None, "")),
    ],
)
def test_every_form_of_a_step_is_understood(text: str, step: tuple[str | None, int | None, str | None, str]) -> None:
    assert steps(text) == [step]
    assert steps(f"x/{text}/y") == [("x", None, None, ""), step, ("y", None, None, "")]


@pytest.mark.rfc("XCS-021")
def test_an_attribute_or_the_namespace_bindings_may_end_a_selector() -> None:
    found = selector("a/b[1]/@p:c", "xmlns(p=urn:p)")
    assert (len(found.steps), found.target, found.attribute) == (2, Target.ATTRIBUTE, AttributeName("urn:p", "c", "p"))
    assert selector("a/@c").attribute == AttributeName("", "c", "")
    found = selector("a/namespace::*")
    assert (len(found.steps), found.target, found.attribute) == (1, Target.NAMESPACES, None)
    assert selector("a").target is Target.ELEMENT


@pytest.mark.rfc("XCS-002", "XCS-021", "SEC-007")
@pytest.mark.parametrize(
    "text",
    ["@a", "namespace::*", "a/@b/c", "a/namespace::*/b", "a/namespace::a", "a[]", "a[-1]", "a[+1]", "a[1.0]", "a[ 1]", "a[last()]",
     "a[1][2]", "a[@b]",
     "a[@b=c]", "a[@b='c\"]", "a[@b='c'][1]", "a[@b='c'][@d='e']", "a[b='c']", "a[1", "a]", "p:*", "a:b:c", ":a", "1a", "-a", "a b",
     "a()", "a|b",
     "a[@b='<']", "a[@b='&']", "a[@b='&foo;']", "a[@b='&#0;']", "text()", ".", "..", "a/..", "a[9999999999]", "a[\u0661]", "a/@",
     "a/@*", "a/@b[1]"],
)  # fmt: skip
def test_other_forms_are_extensions_that_nobody_understands(text: str) -> None:
    with pytest.raises(NotFound):
        selector(text)


@pytest.mark.parametrize("text", ["", "/", "/a", "a/", "a//b", "a//@b", "a[1]/"])
def test_an_empty_step_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        selector(text)


# Names and namespaces


@pytest.mark.rfc("XCS-024")
def test_unprefixed_elements_are_of_the_default_document_namespace_and_attributes_of_none() -> None:
    assert steps('a[@b="c"]', namespace="urn:d") == [("urn:d\na", None, "b", "c")]
    assert selector("a/@b", namespace="urn:d").attribute == AttributeName("", "b", "")


@pytest.mark.rfc("XCS-024")
def test_the_default_namespace_of_the_document_itself_does_not_matter() -> None:
    chosen = selector("resource-lists/list[2]", namespace=RESOURCE_LISTS)
    assert get(parse_document(LISTS), chosen) == b'<rl:list name="empty" x:note="&#x22;"/>'
    with pytest.raises(NotFound):
        get(parse_document(LISTS), selector("resource-lists/list[2]", namespace="urn:other"))


@pytest.mark.rfc("XCS-025")
def test_prefixes_mean_what_the_query_binds_them_to() -> None:
    query = "xmlns(p=urn:p)xmlns(q=urn:q)"
    assert steps('p:a[@q:b="c"]/d', query, "urn:d") == [("urn:p\na", None, "urn:q\nb", "c"), ("urn:d\nd", None, None, "")]


@pytest.mark.rfc("XCS-025")
def test_the_example_of_section_6_4_finds_its_element() -> None:
    document = parse_document(SECTION_6_4)
    query = "xmlns(a=urn:test:namespace1-uri)xmlns(b=urn:test:namespace2-uri)xmlns(df=urn:test:default-namespace)"
    assert get(document, selector("foo/a:bar/b:baz", query, DEFAULT)) == b'<ns2:baz xmlns:ns2="urn:test:namespace2-uri"/>'
    assert get(document, selector("df:foo/a:bar/a:baz", query, "urn:unused")) == b"<baz/>"


@pytest.mark.rfc("XCS-025")
@pytest.mark.parametrize("text", ["p:a", 'a[@p:b="c"]', "a/@p:b", "a/p:b/c"])
@pytest.mark.parametrize("query", ["", "xmlns(q=urn:q)", "xpointer(xmlns(p=urn:p))"])
def test_a_prefix_that_is_not_bound_is_a_bad_request(text: str, query: str) -> None:
    with pytest.raises(BadRequest):
        selector(text, query)


@pytest.mark.rfc("XCS-025")
@pytest.mark.parametrize(
    ("query", "bound"),
    [
        ("xmlns(p=urn:p)", {"p": "urn:p"}),
        ("xmlns(p=urn:p)xmlns(q=urn:q)", {"p": "urn:p", "q": "urn:q"}),
        ("%20xmlns(p=urn:p)%20xmlns(q%20=%20urn:q)%20", {"p": "urn:p", "q": "urn:q"}),
        ("xmlns(p=urn:1)xmlns(p=urn:2)", {"p": "urn:2"}),
        ("xmlns%28p%3Durn%3Ap%29", {"p": "urn:p"}),
        ("xmlns(p=urn:caf%C3%A9+)", {"p": "urn:caf\xe9+"}),
        ("xmlns(p=urn:(x))", {"p": "urn:(x)"}),
        ("xmlns(p=a^)b^(^^)", {"p": "a)b(^"}),
        ("xpointer(//a[@b='(c)'])xmlns(p=urn:p)x:other()", {"p": "urn:p"}),
        ("xmlns(xml=urn:p)", {}),
    ],
)
def test_the_query_binds_prefixes(query: str, bound: dict[str, str]) -> None:
    assert bindings_of(query) == {**bound, "xml": XML, "xmlns": "http://www.w3.org/2000/xmlns/"}


@pytest.mark.rfc("XCS-025")
@pytest.mark.parametrize(
    "query",
    ["p", "a=b", "xmlns", "xmlns(p=urn:p", "xmlns(p)", "xmlns(=u)", "xmlns(1=u)", "xmlns(p=a(b)", "(p=u)", "xmlns(p=u)&", "%zz",
     "xmlns(p=%ff)", "xmlns(p=^)"],
)  # fmt: skip
def test_a_query_that_is_no_xpointer_is_a_bad_request(query: str) -> None:
    with pytest.raises(BadRequest):
        selector("a", query)


def test_the_prefix_xml_needs_no_binding() -> None:
    document = parse_document(b"<a xml:lang='de'/>")
    assert get(document, selector("a/@xml:lang")) == b"'de'"
    assert get(document, selector("*[@xml:lang='de']")) == document.octets


# Percent-encoding and values


@pytest.mark.rfc("XCS-029")
@pytest.mark.parametrize(
    "node",
    [
        'a/b[@c="d/e"]',
        "a/b%5B@c=%22d/e%22%5D",
        "a/b%5b@c=%22d%2Fe%22%5d",
        "a/b[%40c%3D'd%2fe']",
        "%61/%62[@%63=%27d/e%27]",
    ],
)
def test_a_selector_is_decoded_once_and_a_slash_in_quotes_cuts_no_step(node: str) -> None:
    assert [step[1:] for step in parse(node, "").steps] == [("a", None, None, ""), ("b", None, "c", "d/e")]


@pytest.mark.rfc("XCS-001", "XCS-029")
def test_an_escaped_slash_outside_of_quotes_cuts_no_step_either() -> None:
    with pytest.raises(NotFound):
        parse("a%2Fb", "")


@pytest.mark.rfc("XCS-029")
def test_names_may_be_of_any_script() -> None:
    document = parse_document("<caf\xe9><\u4e2d \u6587='\xfc'/></caf\xe9>".encode())
    assert get(document, parse("caf%C3%A9/%e4%b8%ad[@%E6%96%87=%22%C3%BC%22]", "")) == "<\u4e2d \u6587='\xfc'/>".encode()
    assert get(document, parse("caf\xe9/\u4e2d/@\u6587", "")) == "'\xfc'".encode()


@pytest.mark.rfc("XCS-029")
def test_what_was_escaped_twice_is_decoded_once() -> None:
    document = parse_document(b'<a><b c="sip:x%2541"/><b c="sip:x%41"/></a>')
    assert get(document, parse("a/b[@c=%22sip:x%2541%22]", "")) == b'<b c="sip:x%41"/>'


@pytest.mark.parametrize("node", ["a%", "a%4", "a%zz", "%ff", "a[@b='%c3']", "a%00b", "a[@b='\udc80']"])
def test_what_cannot_be_decoded_is_a_bad_request(node: str) -> None:
    with pytest.raises(BadRequest):
        parse(node, "")


@pytest.mark.rfc("XCS-028")
def test_references_in_a_predicate_are_resolved_and_case_matters() -> None:
    document = parse_document(LISTS)
    start = "resource-lists/list[1]/entry"
    for value in ["sip:bob@example.com?a=1&amp;b=2", "sip:bob@example.com?a=1&#38;b=2", "sip:bob@ex&#x61;mple.com?a=1&#x26;b=2"]:
        assert get(document, selector(f'{start}[@uri="{value}"]/@x:rank', "xmlns(x=urn:x)", RESOURCE_LISTS)) == b"'>'"
    with pytest.raises(NotFound):
        get(document, selector(f'{start}[@uri="sip:Bob@example.com?a=1&amp;b=2"]', namespace=RESOURCE_LISTS))


@pytest.mark.rfc("XCS-028")
def test_either_quote_delimits_and_may_hold_the_other() -> None:
    document = parse_document(LISTS)
    assert get(document, selector("resource-lists/list[@name='fri\"ends']/@name", namespace=RESOURCE_LISTS)) == b"'fri\"ends'"
    assert get(document, selector('resource-lists/list[@name="fri&quot;ends"]/@name', namespace=RESOURCE_LISTS)) == b"'fri\"ends'"


@pytest.mark.rfc("XCS-028")
@pytest.mark.parametrize(
    "text",
    [
        "foo[@xmlns='urn:test:default-namespace']",
        "foo/*[@xmlns:ns1='urn:test:namespace1-uri']",
        "foo/@xmlns",
        "foo/*[1]/@xmlns:ns1",
    ],
)
def test_declarations_are_no_attributes(text: str) -> None:
    with pytest.raises(NotFound):
        get(parse_document(SECTION_6_4), selector(text, "", DEFAULT))


# Positions


@pytest.mark.rfc("XCS-023")
def test_the_position_counts_what_the_name_test_leaves_and_comes_before_the_attribute() -> None:
    document = parse_document(b'<r><x/><a i="1"/><!-- <a/> --><b/><a i="2"/><a i="2"/></r>')
    assert get(document, selector("r/a[1]")) == b'<a i="1"/>'
    assert get(document, selector("r/*[2]")) == b'<a i="1"/>'
    assert get(document, selector('r/a[2][@i="2"]')) == b'<a i="2"/>'
    assert get(document, selector('r/*[4][@i="2"]')) == b'<a i="2"/>'
    for nothing in ('r/a[1][@i="2"]', 'r/*[1][@i="1"]', "r/a[4]", "r/a[0]", "r/c[1]"):
        with pytest.raises(NotFound):
            get(document, selector(nothing))


@pytest.mark.rfc("XCS-022")
@pytest.mark.parametrize("text", ["r/a", "r/*", "r/a/b", 'r/*[@i="2"]', "r/c", "x", "r/a[3]/b", "*/*/b"])
def test_a_step_that_selects_none_or_several_finds_nothing(text: str) -> None:
    document = parse_document(b'<r><a i="2"><b/></a><a i="2"><b/></a></r>')
    with pytest.raises(NotFound):
        get(document, selector(text))


@pytest.mark.rfc("XCS-013")
def test_the_uri_of_the_first_steps_is_percent_encoded() -> None:
    found = parse("p:a/b[@c=%22d%2Fe%25%22]/caf%C3%A9/@d", "", "xmlns(p=u)", URI)
    assert found.uri_of(0) == URI
    assert found.uri_of(1) == f"{URI}/~~/p:a?xmlns(p=u)"
    assert found.uri_of(3) == f"{URI}/~~/p:a/b%5B@c=%22d%2Fe%25%22%5D/caf%C3%A9?xmlns(p=u)"
    assert parse("a/b", "").uri_of(1) is None


# Whatever comes


def xpath(path: list[PlainStep]) -> str:
    return "".join("/" + xpath_step(step) for step in path)


def xpath_step(step: PlainStep) -> str:
    prefix, _, local = step.name.rpartition(":")
    namespace = NAMESPACES.get(prefix, "")
    name = "*" if step.name == "*" else f"*[local-name()='{local}' and namespace-uri()='{namespace}']"
    position = "" if step.position is None else f"[{step.position}]"
    quote = '"' if "'" in step.value else "'"
    prefix, _, local = (step.attribute or "").rpartition(":")
    test = f"@*[local-name()='{local}' and namespace-uri()='{NAMESPACES[prefix]}']={quote}{step.value}{quote}"
    return name + position + (f"[{test}]" if step.attribute else "")


@pytest.mark.rfc("XCS-021", "XCS-022", "XCS-023")
@settings(deadline=None)
@given(DOCUMENTS, PATHS)
def test_it_finds_what_xpath_finds(octets: bytes, path: list[PlainStep]) -> None:
    root = etree.fromstring(octets)
    # Each step has to select exactly one, not the whole path.
    each = [root.xpath(xpath(path[:length])) for length in range(1, len(path) + 1)]
    document, chosen = parse_document(octets), selector(written(path), QUERY)
    if any(len(found) != 1 for found in each):
        with pytest.raises(NotFound):
            get(document, chosen)
        return
    # An attribute that nothing else has tells which element was found.
    marked = put(document, selector(written(path, "/@found"), QUERY), b'"1"').octets
    numbers = [number for number, element in enumerate(etree.fromstring(marked).iter()) if element.get("found")]
    assert numbers == [list(root.iter()).index(each[-1][0])]


TEXTS = st.lists(
    st.sampled_from(
        [
            "a",
            "*",
            "/",
            "[",
            "]",
            "1",
            "@",
            "=",
            '"',
            "'",
            "b",
            "p:",
            "namespace::*",
            "%2F",
            "%",
            "%00",
            "&amp;",
            "&",
            "<",
            "\xe9",
            "[@i='1']",
        ]
    )
    | st.text(max_size=3),
    max_size=10,
).map("".join)


@settings(deadline=None)
@given(st.sampled_from([LISTS, SECTION_6_4]), TEXTS, TEXTS | st.sampled_from([QUERY, "xmlns(p=u", "xmlns((", "^"]))
def test_any_selector_selects_or_is_refused(octets: bytes, text: str, query: str) -> None:
    assert status_of(lambda: get(parse_document(octets), parse(text, "", query))) in (200, 400, 404)


def test_a_step_says_how_it_was_written() -> None:
    assert selector('a[1][@b="&#99;"]').steps == (Step('a[1][@b="&#99;"]', "a", 1, "b", "c"),)
