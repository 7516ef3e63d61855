"""Who a URI is to this server: kemi/identity.py."""

import ipaddress
from collections.abc import Callable
from dataclasses import replace

import pytest

from kemi import dialog, identity, sip
from kemi.errors import BadRequest, NotFound, SipError, UnsupportedUriScheme
from kemi.identity import Realm
from tests.unit.values import ALICE, settings_of

REALM = identity.realm(settings_of())
"""example.org and example.com at 192.0.2.1, ports 5060, 5061 and 8080."""


@pytest.mark.rfc("TRN-028")
@pytest.mark.rfc("PA-040")
@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:alice@example.org", ALICE),
        ("sips:%61lice@EXAMPLE.org:5061;transport=tls", ALICE),
        ("pres:alice@example.org", ALICE),
        ("sip:alice@192.0.2.1", ALICE),
        ("sip:alice@192.0.2.1:5060", ALICE),
        ("sip:alice@example.com", "sip:alice@example.com"),
    ],
)
@pytest.mark.parametrize("asked", [Realm.address_of_record, Realm.presentity])
def test_one_presentity_is_one_address(asked: Callable[[Realm, str], str], uri: str, address: str) -> None:
    assert asked(REALM, uri) == address


@pytest.mark.parametrize("uri", ["sip:bob@example.net", "sip:bob@192.0.2.2", "sip:bob@192.0.2.1:9999"])
def test_users_of_others_keep_their_domain(uri: str) -> None:
    assert REALM.address_of_record(uri) == uri.removesuffix(":9999")


@pytest.mark.rfc("PUB-015")
@pytest.mark.parametrize(
    "uri",
    [
        "sip:bob@example.net",
        "sip:bob@192.0.2.2",
        "sip:example.org",
        "sip:192.0.2.1",
        "sip:192.0.2.1:5060;gr=!",
        "sip:bob@sub.example.org",
    ],
)
def test_who_is_not_a_presentity_here(uri: str) -> None:
    with pytest.raises(NotFound):
        REALM.presentity(uri)


@pytest.mark.parametrize(("uri", "kind"), [("", BadRequest), ("sip:a b@c", BadRequest), ("tel:+1", UnsupportedUriScheme)])
def test_what_cannot_be_read(uri: str, kind: type[SipError]) -> None:
    for asked in (REALM.presentity, REALM.address_of_record):
        with pytest.raises(kind):
            asked(uri)


@pytest.mark.rfc("TRN-014")
def test_our_own_contact_names_the_presentity_also_outside_the_dialog() -> None:
    for transport in ("udp", "tcp", "ws"):
        contact = dialog.contact(f"{transport}:192.0.2.1:{8080 if transport == 'ws' else 5060}", ALICE, secure=False)
        assert REALM.presentity(contact) == ALICE


@pytest.mark.rfc("TRN-014")
def test_a_contact_of_another_server_names_nobody_here() -> None:
    with pytest.raises(NotFound):
        REALM.presentity(dialog.contact("udp:192.0.2.2:5060", ALICE, secure=False))


@pytest.mark.rfc("PUB-015")
@pytest.mark.parametrize("resource", ["sip:bob@example.net", "sip:example.org", "sip:192.0.2.1"])
def test_a_contact_made_up_by_somebody_opens_no_other_domain(resource: str) -> None:
    with pytest.raises(NotFound):
        REALM.presentity(dialog.contact("udp:192.0.2.1:5060", resource, secure=False))


@pytest.mark.parametrize(
    ("uri", "served"),
    [
        ("sip:x@example.com", True),
        ("sip:192.0.2.1:8080", True),
        ("sip:192.0.2.1", True),
        ("sip:192.0.2.1:9999", False),
        ("sip:example.net", False),
    ],
)
def test_what_is_for_us(uri: str, served: bool) -> None:
    assert REALM.is_served(sip.parse_uri(uri)) is served


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("example.com", True),
        ("xcap.example.com", True),
        ("192.0.2.1", True),
        ("notexample.com", False),
        ("example.net", False),
        ("[2001:db8::1]", False),
    ],
)
def test_a_host_is_ours_by_address_or_by_domain(host: str, ours: bool) -> None:
    assert REALM.is_host(host) is ours


def test_an_ipv6_address_is_ours_with_its_brackets() -> None:
    realm = identity.realm(replace(settings_of(), address="2001:db8::1"))
    assert realm.is_host("[2001:db8::1]")
    assert realm.address_of_record("sip:alice@[2001:DB8::1]:5060") == ALICE
    assert realm.presentity(dialog.contact("udp:[2001:db8::1]:5060", ALICE, secure=False)) == ALICE


@pytest.mark.parametrize(
    ("uri", "realm"),
    [("sip:a@example.com", "example.com"), ("sip:a@192.0.2.1", "example.org"), ("sip:a@example.net", "example.org")],
)
def test_the_realm_of_a_challenge_is_the_domain_of_who_is_asked(uri: str, realm: str) -> None:
    assert REALM.of(sip.parse_uri(uri)) == realm


@pytest.mark.rfc("SEC-001")
@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("192.0.2.7", True),
        ("10.1.2.3", True),
        ("2001:db8::5", True),
        ("192.0.2.8", False),
        ("2001:db9::5", False),
        ("127.0.0.1", False),
    ],
)
def test_sources_that_are_believed(address: str, trusted: bool) -> None:
    networks = tuple(ipaddress.ip_network(each) for each in ("192.0.2.7", "10.0.0.0/8", "2001:db8::/32"))
    assert identity.make_is_trusted(networks)(address) is trusted
    assert identity.make_is_trusted(())(address) is False
