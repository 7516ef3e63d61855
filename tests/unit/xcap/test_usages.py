"""Which application usages there are (RFC 4825 section 5), and who may do what with their documents."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from kemi import identity
from kemi.xcap import access, usages
from kemi.xcap.access import Forbidden
from kemi.xcap.errors import NotFound
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.usages import USAGES, Generated
from tests.unit.values import ALICE, BOB, settings_of

PAGE = Path(__file__).resolve().parents[3] / "docs" / "xcap.md"
SETTINGS = settings_of()
REALM = identity.realm(SETTINGS)
OWN = DocumentSelector("resource-lists", Tree.USERS, ALICE, "index")
EVERYBODYS = DocumentSelector("resource-lists", Tree.GLOBAL, "", "index")


@pytest.mark.rfc("XCS-042")
@pytest.mark.parametrize(
    ("auid", "media_type", "namespace"),
    [
        ("xcap-caps", "application/xcap-caps+xml", "urn:ietf:params:xml:ns:xcap-caps"),
        ("resource-lists", "application/resource-lists+xml", "urn:ietf:params:xml:ns:resource-lists"),
        ("rls-services", "application/rls-services+xml", "urn:ietf:params:xml:ns:rls-services"),
        ("pres-rules", "application/auth-policy+xml", "urn:ietf:params:xml:ns:pres-rules"),
        ("org.openmobilealliance.pres-rules", "application/auth-policy+xml", "urn:oma:xml:prs:pres-rules"),
        ("im-rules", "application/auth-policy+xml", "urn:iptel:xml:ns:im-rules"),
        ("pidf-manipulation", "application/pidf+xml", "urn:ietf:params:xml:ns:pidf"),
    ],
)
def test_each_usage_has_the_type_and_namespace_of_its_rfc(auid: str, media_type: str, namespace: str) -> None:
    assert (USAGES[auid].media_type, USAGES[auid].namespace) == (media_type, namespace)


@pytest.mark.rfc("XCS-002")
@pytest.mark.parametrize("tree", Tree)
def test_an_unknown_usage_is_not_found(tree: Tree) -> None:
    with pytest.raises(NotFound):
        usages.find("Resource-Lists", tree)


@pytest.mark.rfc("XCS-044")
def test_users_have_no_capabilities() -> None:
    assert usages.find("xcap-caps", Tree.GLOBAL).made == {(Tree.GLOBAL, "index"): Generated.CAPABILITIES}
    with pytest.raises(NotFound):
        usages.find("xcap-caps", Tree.USERS)


@pytest.mark.rfc("XCS-030")
@pytest.mark.parametrize(
    ("xui", "owner"),
    [
        ("sip:alice@example.org", ALICE), ("alice@example.org", ALICE), ("alice", ALICE), ("SIPS:alice@EXAMPLE.ORG", ALICE),
        ("sip:alice@192.0.2.1", ALICE), ("sip:alice@example.org:5060;transport=tcp", ALICE),
        ("alice@example.com", "sip:alice@example.com"),
        ("sip:%61lice@example.org", ALICE), ("Alice", "sip:Alice@example.org"),
    ],
)  # fmt: skip
def test_an_xui_is_an_address_of_record_or_a_user_name(xui: str, owner: str) -> None:
    assert access.owner_of(SETTINGS, REALM, xui) == owner


@pytest.mark.rfc("XCS-002")
@pytest.mark.parametrize(
    "xui", ["sip:alice@example.net", "alice@example.net", "tel:+1", "sip:example.org", "a b", "sip:", "", "@", "alice:secret"]
)
def test_nobody_of_another_domain_is_found(xui: str) -> None:
    with pytest.raises(NotFound):
        access.owner_of(SETTINGS, REALM, xui)


def test_user_names_alone_can_be_switched_off() -> None:
    settings = replace(SETTINGS, xcap=replace(SETTINGS.xcap, user_names=0))
    assert access.owner_of(settings, REALM, "alice@example.org") == ALICE
    with pytest.raises(NotFound):
        access.owner_of(settings, REALM, "alice")


@pytest.mark.rfc("XCS-019")
@pytest.mark.rfc("SEC-005")
def test_everybody_reads_and_writes_at_home_only() -> None:
    for is_write in (False, True):
        access.require(SETTINGS, OWN, None, (BOB, ALICE), is_write)
        with pytest.raises(Forbidden):
            access.require(SETTINGS, OWN, None, (BOB,), is_write)


@pytest.mark.rfc("XCS-019")
def test_global_documents_are_for_everybody_to_read_and_for_some_to_write() -> None:
    access.require(SETTINGS, EVERYBODYS, None, (BOB,), is_write=False)
    with pytest.raises(Forbidden):
        access.require(SETTINGS, EVERYBODYS, None, (BOB,), is_write=True)
    settings = replace(SETTINGS, xcap=replace(SETTINGS.xcap, global_writers=(BOB,)))
    access.require(settings, EVERYBODYS, None, (BOB,), is_write=True)
    with pytest.raises(Forbidden):
        access.require(settings, EVERYBODYS, None, (ALICE,), is_write=True)
    with pytest.raises(Forbidden):
        access.require(settings, OWN, None, (BOB,), is_write=True)


@pytest.mark.rfc("XCS-041")
def test_the_services_of_all_users_are_for_list_servers() -> None:
    selector = DocumentSelector("rls-services", Tree.GLOBAL, "", "index")
    with pytest.raises(Forbidden):
        access.require(SETTINGS, selector, Generated.SERVICES, (BOB,), is_write=False)
    settings = replace(SETTINGS, xcap=replace(SETTINGS.xcap, rls_readers=(BOB,)))
    access.require(settings, selector, Generated.SERVICES, (BOB,), is_write=False)


def test_the_table_in_the_docstring_has_every_usage() -> None:
    assert usages.__doc__ is not None
    assert re.findall(r"^    ([a-z][a-z.-]+[a-z]) {2,}(?:\.\.\.|urn|http)", usages.__doc__, re.MULTILINE) == [
        auid for auid in USAGES if auid != "org.openmobilealliance.xcap-directory"
    ]


def test_the_documentation_has_every_usage_with_its_type() -> None:
    rows = re.findall(r"^\| (`.+`) \| `(application/\S+)` \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    told = {auid: media_type for auids, media_type in rows for auid in re.findall("`(.+?)`", auids)}
    assert told == {auid: usage.media_type for auid, usage in USAGES.items()}
