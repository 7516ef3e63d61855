"""Which list a URI stands for: kemi/rls/service.py."""

import pytest

from kemi.errors import BadEvent
from kemi.rls import resource_list, service
from kemi.xcap import tree
from tests.unit.rls.lists import ALICE, BOB, entry, listed, lists, services

DOCUMENT = tree.parse(
    services(
        f'<service uri="sip:bob2@example.org"><list><rl:entry uri="{BOB}"/></list></service>',
        '<service uri="sip%3Abob%2Bfriends%40example.org"><resource-list> http://x/a?b&amp;c </resource-list>'
        "<packages><package>presence</package><package> dialog </package></packages></service>",
        '<service uri="bob@example.org"><list/><packages/></service>',
        '<service uri="sip:bob@example.org"><resource-list>http://x/second</resource-list></service>',
        '<service uri="tel:+421"><list/></service>',
        '<service uri=""><list/></service>',
    )
)


@pytest.mark.rfc("RLS-016")
@pytest.mark.parametrize(
    "request_uri",
    ["sip:bob+friends@example.org", "sip:bob+friends@EXAMPLE.org:5060;transport=tcp", "sips:bob+friends@example.org?Subject=x",
     "sip:%62ob+friends@example.org;a=1;b=2", "sip:bob+friends@example.org;b=2;a=1", "pres:bob+friends@example.org"],
)  # fmt: skip
def test_a_service_is_found_by_any_form_of_its_uri(request_uri: str) -> None:
    found = service.find(DOCUMENT, request_uri)
    assert found is not None
    assert (found.uri, found.link, found.element) == ("sip:bob+friends@example.org", "http://x/a?b&c", None)


@pytest.mark.rfc("RLS-016", "RLS-009")
@pytest.mark.parametrize(
    "uri",
    ["sip:bob+friend@example.org", "sip:bo@example.org", "sip:Bob@example.org", "sip:bob2@example.or", "sip:bob22@example.org", "",
     "tel:+421", "nonsense", "sip:bob%2bfriends@example.org"],
)  # fmt: skip
def test_a_part_of_a_uri_is_another_uri(uri: str) -> None:
    assert service.find(DOCUMENT, uri) is None


def test_the_first_of_two_services_counts() -> None:
    found = service.find(DOCUMENT, BOB)
    assert found is not None
    assert found.link == ""
    assert found.element is not None


@pytest.mark.rfc("RLS-012")
def test_a_service_without_packages_is_for_all() -> None:
    found = service.find(DOCUMENT, "sip:bob2@example.org")
    assert found is not None
    found.require_package("anything", [])
    assert found.element is not None
    assert [resource_list.kind_of(each) for each in resource_list.inside(found.element)] == ["entry"]


@pytest.mark.rfc("RLS-012")
def test_a_service_is_for_its_packages_and_for_no_others() -> None:
    found = service.find(DOCUMENT, "sip:bob+friends@example.org")
    assert found is not None
    found.require_package("presence", [])
    found.require_package("dialog", [])
    for other in ("pres", "Presence", "presence.winfo", "message-summary"):
        with pytest.raises(BadEvent) as raised:
            found.require_package(other, ["message-summary", "presence"])
        assert raised.value.headers == (("Allow-Events", "presence"),)


@pytest.mark.rfc("RLS-012")
def test_a_service_with_no_package_in_its_packages_is_for_none() -> None:
    found = service.find(DOCUMENT, BOB)
    assert found is not None
    with pytest.raises(BadEvent) as raised:
        found.require_package("presence", ["presence", "dialog"])
    assert raised.value.headers == (("Allow-Events", "presence, dialog"),)


def test_documents_of_ser_have_no_namespace() -> None:
    document = tree.parse(
        b'<rls-services><service uri="sip:a@b"><list><entry uri="sip:c@d"/></list><packages><package>presence</package></packages>'
        b"</service></rls-services>"
    )
    found = service.find(document, "sip:a@b")
    assert found is not None
    assert found.packages == frozenset({"presence"})
    assert found.element is not None


# Lists without a service


def test_a_list_has_a_name_or_is_all_of_the_document() -> None:
    document = tree.parse(lists(listed("a", listed("inner")), "<list/>", listed("b", entry(BOB)), listed("a")))
    assert service.list_named(document, "") is document.root
    assert service.list_named(document, "a") is document.root.children[0]
    assert service.list_named(document, "b") is document.root.children[2]
    assert service.list_named(document, "inner") is None


@pytest.mark.parametrize(
    ("template", "target", "expected"),
    [
        ("$uid-list", "sip:alice-list@example.org", True),
        ("$uid-list", "sip:ALICE-List@example.org", True),
        ("buddies-of-$uid", "sip:buddies-of-alice@example.org", True),
        ("$uid-$uid", "sip:alice-alice@example.org", True),
        ("friends", "sip:friends@example.org", True),
        ("$uid-list", "sip:alice-list@example.com", False),
        ("$uid-list", "sip:bob-list@example.org", False),
        ("$uid-list", "sip:alice@example.org", False),
        ("$uid-list", "sip:-list@example.org", False),
        ("", "sip:alice@example.org", False),
        ("", "sip:example.org", False),
    ],
)
def test_everybody_has_an_implicit_list(template: str, target: str, expected: bool) -> None:
    assert service.is_implicit(template, ALICE, target) is expected
    assert service.is_implicit(template, "sip:example.org", target) is False
