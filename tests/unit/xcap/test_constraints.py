"""What application usages ask beyond their schemas (RFC 4826 sections 3.4.5 and 4.4.5)."""

import pytest
from lxml import etree

from kemi.xcap import constraints
from kemi.xcap.constraints import RESOURCE_LISTS, RLS_SERVICES, Place
from kemi.xcap.errors import ConstraintFailure, NotFound, UniquenessFailure
from kemi.xcap.root_uri import Root

ALICE = "sip:alice@example.org"
XUIS = {ALICE: ALICE, "alice@example.org": ALICE, "sip:bob@example.org": "sip:bob@example.org"}
HOME = "http://xcap.example.org:8080/xcap-root/resource-lists/users/sip:alice@example.org"
LINK = f"{HOME}/index/~~/resource-lists/list%5B@name=%22friends%22%5D"


def owner_of(xui: str) -> str:
    if xui not in XUIS:
        raise NotFound
    return XUIS[xui]


PLACE = Place(ALICE, Root("/xcap-root", lambda host: host in ("xcap.example.org", "[2001:db8::1]"), owner_of))


def lists(inside: str) -> None:
    root = etree.fromstring(f'<resource-lists xmlns="{RESOURCE_LISTS}">{inside}</resource-lists>')
    constraints.resource_lists(root, PLACE)


def services(inside: str) -> None:
    scope = f'xmlns="{RLS_SERVICES}" xmlns:rl="{RESOURCE_LISTS}"'
    constraints.rls_services(etree.fromstring(f"<rls-services {scope}>{inside}</rls-services>"), PLACE)


def service(link: str = LINK, uri: str = "sip:friends@example.org") -> str:
    return f'<service uri="{uri}"><resource-list>{link}</resource-list></service>'


@pytest.mark.rfc("XCS-037")
@pytest.mark.parametrize(
    ("inside", "field"),
    [
        ('<list name="a"/><list name="a"/>', "resource-lists/list%5B2%5D/@name"),
        ('<list><list name="a"/><entry uri="u"/><list name="a"/></list>', "resource-lists/list/list%5B2%5D/@name"),
        ('<list><entry uri="sip:a@b"/><entry uri="sip:a@b"/></list>', "resource-lists/list/entry%5B2%5D/@uri"),
        ('<list/><list><entry-ref ref="a"/><entry-ref ref="a"/></list>', "resource-lists/list%5B2%5D/entry-ref%5B2%5D/@ref"),
        ('<list><external anchor="http://a"/><external anchor="http://a"/></list>', "resource-lists/list/external%5B2%5D/@anchor"),
    ],
)
def test_siblings_share_no_name(inside: str, field: str) -> None:
    with pytest.raises(UniquenessFailure) as refusal:
        lists(inside)
    assert [each.field for each in refusal.value.exists] == [field]


@pytest.mark.rfc("XCS-037")
@pytest.mark.parametrize(
    "inside",
    [
        "", "<list/><list/>", '<list name="a"/><list name="A"/>', '<list name="a"><list name="a"/></list>',
        '<list name="a"><entry uri="a"/></list><list name="b"><entry uri="a"/></list>',
        '<list><entry uri="sip:a@b"/><entry uri="sip%3Aa%40b"/><external/><external/></list>',
        '<list><x:list xmlns:x="urn:x" name="a"/><x:list xmlns:x="urn:x" name="a"/></list>',
    ],
)  # fmt: skip
def test_names_are_compared_as_text_and_among_siblings_only(inside: str) -> None:
    lists(inside)


@pytest.mark.rfc("XCS-038")
@pytest.mark.parametrize("ref", ["resource-lists/users/sip:bill@example.com/index/~~/resource-lists/list/entry", "a", "./a:b"])
def test_a_ref_is_a_relative_path(ref: str) -> None:
    lists(f'<list><entry-ref ref="{ref}"/></list>')


@pytest.mark.rfc("XCS-038")
@pytest.mark.parametrize(
    ("element", "attribute", "value"),
    [
        ("entry-ref", "ref", "/resource-lists/users/a"), ("entry-ref", "ref", "http://a/b"), ("entry-ref", "ref", ""),
        ("entry-ref", "ref", "sip%3Aa"),
        ("entry-ref", "ref", "http%3A//a/b"), ("external", "anchor", "a/b"), ("external", "anchor", "ftp://a/b"),
        ("external", "anchor", "http:/a"), ("external", "anchor", "//a/b"), ("external", "anchor", ""),
        ("external", "anchor", "http%3A/a"), ("external", "anchor", "file:///etc/passwd"),
    ],
)  # fmt: skip
def test_references_are_of_the_right_form(element: str, attribute: str, value: str) -> None:
    with pytest.raises(ConstraintFailure):
        lists(f'<list><{element} {attribute}="{value}"/></list>')


@pytest.mark.parametrize("anchor", ["http://a", "HTTPS://a:1/b?c", "http%3A//a/b", "http://[2001:db8::1]/a", "http://me@a/b"])
def test_an_anchor_is_an_absolute_http_uri_also_when_it_is_encoded(anchor: str) -> None:
    lists(f'<list><external anchor="{anchor}"/></list>')


@pytest.mark.rfc("XCS-040")
@pytest.mark.parametrize(
    "link",
    [
        LINK, f"  {LINK}\n", LINK.replace("sip:alice@", "sip%3Aalice%40"),
        LINK.replace("sip:alice@example.org", "alice@example.org"),
        f"{HOME}/index", LINK.replace("http://xcap.example.org:8080", "HTTPS://XCAP.example.org"),
        LINK.replace("xcap.example.org:8080", "[2001:db8::1]"), LINK.replace("%5B", "[").replace("%5D", "]").replace("%22", "'"),
        LINK.replace(":", "%3A").replace("@", "%40"),
    ],
)  # fmt: skip
def test_a_service_may_use_a_list_of_its_owner(link: str) -> None:
    services(service(link))


@pytest.mark.rfc("XCS-040")
@pytest.mark.parametrize(
    "link",
    [
        "", "resource-lists/users/sip:alice@example.org/index", LINK.replace("sip:alice@", "sip:bob@"),
        LINK.replace("sip:alice@", "sip:carol@"), LINK.replace("xcap.example.org", "xcap.example.net"),
        LINK.replace("/xcap-root/", "/other/"), LINK.replace("/xcap-root/", "/xcap-root"),
        LINK.replace("/resource-lists/users", "/pres-rules/users"),
        LINK.replace("/users/", "/global/"), LINK.replace("http:", "ftp:"), LINK.replace("/users/", "/users/../users/"),
        LINK.replace("sip:alice@example.org", "sip:alice@example.org%00"),
        LINK.replace("xcap.example.org", "xcap.example.org@evil.example"),
    ],
)  # fmt: skip
def test_a_service_uses_no_other_list(link: str) -> None:
    with pytest.raises(ConstraintFailure):
        services(service(link))


@pytest.mark.rfc("XCS-039")
@pytest.mark.parametrize("other", ["sip:friends@example.org", "sip%3Afriends%40example.org", "sips:friends@EXAMPLE.org;x=y"])
def test_a_service_has_its_uri_alone(other: str) -> None:
    with pytest.raises(UniquenessFailure) as refusal:
        services(service() + service(uri=other))
    assert [each.field for each in refusal.value.exists] == ["rls-services/service%5B2%5D/@uri"]


@pytest.mark.parametrize("uri", ["", "tel:+1", "http://a/b", "sip:example.org", "%"])
def test_a_service_has_a_uri_that_sip_can_ask_for(uri: str) -> None:
    with pytest.raises(ConstraintFailure):
        services(service(uri=uri))


def test_lists_inside_of_services_obey_the_rules_of_lists() -> None:
    services('<service uri="sip:a@b"><list><rl:entry uri="x"/></list></service>')
    with pytest.raises(UniquenessFailure) as refusal:
        services('<service uri="sip:a@b"><list><rl:entry uri="x"/><rl:entry uri="x"/></list></service>')
    assert [each.field for each in refusal.value.exists] == ["rls-services/service/list/*%5B2%5D/@uri"]
