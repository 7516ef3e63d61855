"""What is in a list, as clients write it: kemi/rls/resource_list.py."""

import pytest

from kemi import sip
from kemi.rls import resource_list
from kemi.rls.resource_list import Member, inside, kind_of, member, names_of
from kemi.xcap import tree
from tests.unit.rls.lists import BOB, entry, external, listed, lists, parsed, reference


@pytest.mark.rfc("RLS-013", "RLS-016")
@pytest.mark.parametrize(
    ("written", "shown", "resource"),
    [
        (BOB, BOB, BOB),
        ("bob%40example.org", BOB, BOB),
        ("bob@example.org", BOB, BOB),
        ("sip%3Abob%40example.org", BOB, BOB),
        ("sip:bob%40example.org", BOB, BOB),
        ("sip%3Aalice%2Bpresence%40example.org", "sip:alice+presence@example.org", "sip:alice+presence@example.org"),
        ("  sip:bob@example.org\n", BOB, BOB),
        ("SIP:%62ob@EXAMPLE.org;user=phone", "SIP:%62ob@EXAMPLE.org;user=phone", BOB),
        ("sip:+421@example.org;user=phone", "sip:+421@example.org;user=phone", "sip:+421@example.org"),
        ("sip:bob%40work@example.org", "sip:bob%40work@example.org", "sip:bob%40work@example.org"),
        ("sips:bob@example.org", "sips:bob@example.org", "sips:bob@example.org"),
        ("pres:bob@example.org", "pres:bob@example.org", "pres:bob@example.org"),
        ("sip:example.org", "sip:example.org", "sip:example.org"),
    ],
)
def test_a_member_is_shown_as_it_is_meant_and_known_by_its_canonical_uri(written: str, shown: str, resource: str) -> None:
    assert member(written) == Member(shown, resource)


@pytest.mark.rfc("RLS-013")
@pytest.mark.parametrize(
    "written", ["", "bob", "tel:+421", "im:bob@example.org", "mailto:bob@example.org", "http://example.org/", "sip:", "sip%3Abob%4",
                "sip:bob@exa mple.org", "sip:b\0b@example.org", "sip:" + "b" * 600 + "@example.org"],
)  # fmt: skip
def test_what_nobody_can_subscribe_to_is_no_member(written: str) -> None:
    assert member(written) is None


def test_users_whose_names_differ_in_case_are_two() -> None:
    assert member("sip:bob@example.org") != member("sip:Bob@example.org")


@pytest.mark.rfc("RLS-013")
def test_nested_lists_are_walked_in_the_order_of_the_document() -> None:
    _, element = parsed(
        listed("it", entry("a@b"), listed("inner", entry("c@d"), listed("innermost", external("http://x"))), reference("e"), "<x/>")
    )
    assert [kind_of(each) for each in inside(element)] == ["entry", "entry", "external", "entry-ref"]
    assert [each.attributes.get("uri") for each in inside(element)] == ["a@b", "c@d", None, None]


def test_elements_of_other_namespaces_are_nothing() -> None:
    document = tree.parse(
        lists(listed("it", '<x:entry xmlns:x="urn:x" uri="a@b"/><x:list xmlns:x="urn:x"><entry uri="a@b"/></x:list>'))
    )
    assert list(inside(document.root)) == []
    assert kind_of(document.root) == resource_list.ROOT


def test_elements_may_have_no_namespace() -> None:
    document = tree.parse(b'<list><entry uri="a@b"><display-name>A</display-name></entry></list>')
    (found,) = inside(document.root)
    assert names_of(document, found) == (("", "A"),)


@pytest.mark.rfc("RLS-025")
def test_the_names_of_a_list_have_their_languages() -> None:
    document, element = parsed(
        "<list><display-name xml:lang='en-GB'>Friends</display-name><display-name xml:lang='d e'>Freunde</display-name>"
        "<display-name> </display-name><display-name/><display-name>Druzi</display-name><entry uri='a@b'/></list>"
    )
    assert names_of(document, element) == (("en-GB", "Friends"), ("", "Freunde"), ("", "Druzi"))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("<a/>", ""),
        ("<a></a>", ""),
        ("<a> Bob\n</a>", "Bob"),
        ("<a>B&#xf6;b &amp; &lt;Co&gt;</a>", "B\xf6b & <Co>"),
        ("<a><![CDATA[<b>]]><!-- no --><?no no?></a>", "<b>"),
        ("<a>1<x:b xmlns:x='urn:x'>2<x:c/></x:b>\r\n3</a>", "12\n3"),
        ("<x:a xmlns:x='urn:x'>1<x:b>2</x:b></x:a>", "12"),
    ],
)
def test_text_is_what_xml_says_it_is(written: str, text: str) -> None:
    document = tree.parse(written.encode())
    assert document.text_of(document.root) == text


def test_a_name_has_a_limit() -> None:
    document, element = parsed(listed("it", entry("a@b", "n" * 9999)))
    (found,) = inside(element)
    assert names_of(document, found) == (("", "n" * sip.MAX_NAME),)
