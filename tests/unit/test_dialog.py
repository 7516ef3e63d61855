"""The requests of a subscription dialog: kemi/dialog.py, RFC 3261 section 12.2.1.1, RFC 6665 section 4.2.2."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import dialog, sip
from kemi.event_package import VERSION, Document
from kemi.subscription import Reason, State
from tests.unit.values import ALICE, BOB, DOCUMENT, NOW, PIDF, fields_of, subscription

TARGET = "sip:bob@198.51.100.7:5062"


def notify(document: Document | None = DOCUMENT, tag: str = "d1", **changes: Any) -> tuple[dict[str, list[str]], Any]:
    request = dialog.notify(subscription(**changes), 7, document, tag, "presence, dialog", NOW)
    return fields_of(request.headers), request


# NOTIFY


@pytest.mark.rfc("TRN-006")
def test_from_and_to_are_those_of_the_subscribe_turned_round() -> None:
    fields, request = notify()
    assert fields["From"] == [f"<{ALICE}>;tag=kp-1"]
    assert fields["To"] == [f"<{BOB}>;tag=bob-tag"]
    assert fields["Call-ID"] == ["call-1"]
    assert fields["CSeq"] == ["7 NOTIFY"]
    assert (request.id, request.cseq, request.method) == ("kp-1", 7, "NOTIFY")


@pytest.mark.rfc("TRN-017")
def test_a_subscribe_without_from_tag_gets_a_to_without_one() -> None:
    assert notify(remote_tag="")[0]["To"] == [f"<{BOB}>"]


@pytest.mark.rfc("PA-004")
@pytest.mark.rfc("PA-039")
@pytest.mark.rfc("TRN-031")
def test_every_header_field_that_a_notify_needs_is_there_once() -> None:
    fields, _ = notify()
    assert {name: len(values) for name, values in fields.items()} == dict.fromkeys(
        ["From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Event", "Subscription-State", "SIP-ETag", "Allow-Events",
         "Content-Type"], 1,
    )  # fmt: skip
    assert fields["Max-Forwards"] == ["70"]


@pytest.mark.rfc("PA-038")
def test_it_tells_all_packages_that_are_served() -> None:
    assert notify()[0]["Allow-Events"] == ["presence, dialog"]


@pytest.mark.rfc("PA-041")
@pytest.mark.parametrize("document", [DOCUMENT, None])
def test_it_has_an_entity_tag_with_and_without_a_body(document: Document | None) -> None:
    assert notify(document, tag="a7")[0]["SIP-ETag"] == ["a7"]


@pytest.mark.rfc("PA-063")
@pytest.mark.parametrize("version", [0, 1, 2**40])
def test_a_numbered_document_tells_how_many_there_were_before_it(version: int) -> None:
    _, request = notify(Document(f'<x version="{VERSION}"/>', "text/x", "d1"), version=version)
    assert request.body == f'<x version="{version}"/>'


@pytest.mark.rfc("PA-019")
@pytest.mark.parametrize(("event_id", "event"), [(None, "presence"), ("a7", "presence;id=a7")])
def test_it_repeats_package_and_id(event_id: str | None, event: str) -> None:
    assert notify(event_id=event_id)[0]["Event"] == [event]


@pytest.mark.parametrize("document", [None, Document("", PIDF, "empty")])
def test_without_body_there_is_no_content_type(document: Document | None) -> None:
    fields, request = notify(document)
    assert "Content-Type" not in fields
    assert request.body == ""


def test_with_body_its_type_is_told_and_its_length_is_left_to_the_stack() -> None:
    fields, request = notify()
    assert fields["Content-Type"] == [PIDF]
    assert "Content-Length" not in fields
    assert request.body == DOCUMENT.content


@pytest.mark.rfc("PA-004")
@pytest.mark.rfc("PA-027")
@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, "active;expires=600"),
        ({"expires_at": NOW + 59.6}, "active;expires=60"),
        ({"expires_at": NOW - 5}, "active;expires=0"),
        ({"state": State.PENDING}, "pending;expires=600"),
        ({"rates": "max-rate=0.5;min-rate=0.01"}, "active;expires=600;max-rate=0.5;min-rate=0.01"),
        ({"rates": "max-rate=0.5", "state": State.PENDING}, "pending;expires=600;max-rate=0.5"),
        ({"rates": "max-rate=0.5", "state": State.TERMINATED, "reason": Reason.TIMEOUT}, "terminated;reason=timeout;max-rate=0.5"),
        ({"state": State.TERMINATED, "reason": Reason.REJECTED}, "terminated;reason=rejected"),
        ({"state": State.TERMINATED, "reason": None}, "terminated;reason=timeout"),
    ],
)
def test_subscription_state_has_what_is_left_or_the_reason_and_the_rates(changes: dict[str, Any], value: str) -> None:
    assert notify(**changes)[0]["Subscription-State"] == [value]


# Where it goes


@pytest.mark.rfc("TRN-005")
@pytest.mark.parametrize("flow", ["", "sip:198.51.100.7:4711;transport=ws"])
def test_without_routes_it_goes_to_the_target_by_the_flow(flow: str) -> None:
    fields, request = notify(flow=flow, connection=7)
    assert (request.uri, request.next_hop, request.connection) == (TARGET, flow, 7)
    assert "Route" not in fields


@pytest.mark.rfc("TRN-005")
@pytest.mark.parametrize(
    "first", ["<sip:p1.example.net;lr>", "<sip:p1.example.net;transport=tcp;LR=on>", '"P, 1" <sip:p1.example.net;lr>;x']
)
def test_loose_routes_are_followed_in_their_order(first: str) -> None:
    route_set = f"{first}, <sip:p2.example.net;lr>"
    fields, request = notify(route_set=route_set, connection=7)
    assert request.uri == TARGET
    assert request.next_hop == sip.address_uri(first)
    assert fields["Route"] == [route_set]
    assert request.connection == 0


@pytest.mark.rfc("TRN-005")
@pytest.mark.parametrize(
    "first",
    ["sip:p.example.net;transport=tcp", "sip:p.example.net;lrx=1", "sip:p.example.net;maddr=", "sip:x;lr@p.example.net"],
)
def test_a_strict_route_is_the_request_uri_and_the_target_goes_last(first: str) -> None:
    fields, request = notify(route_set=f"<{first}>, <sip:p2.example.net;lr>")
    assert request.uri == first
    assert request.next_hop == ""
    assert fields["Route"] == [f"<sip:p2.example.net;lr>, <{TARGET}>"]


MADDR = "sip:p.example.net:5070;transport=tcp;maddr=192.0.2.9"


@pytest.mark.rfc("TRN-023")
@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        ({"remote_target": MADDR}, MADDR),
        ({"route_set": f"<{MADDR};lr>, <sip:p2.example.net;lr>"}, TARGET),
        ({"route_set": f"<{MADDR}>, <sip:p2.example.net;lr>"}, MADDR),
    ],
)
def test_maddr_says_where_it_goes_and_the_host_who_it_is(fields: dict[str, str], uri: str) -> None:
    """RFC 3263 section 4."""
    _, request = notify(**fields)
    assert (request.uri, request.next_hop) == (uri, "sip:192.0.2.9:5070;transport=tcp")


@pytest.mark.rfc("TRN-023")
@pytest.mark.parametrize(
    ("uri", "next_hop"),
    [
        ("sips:p.example.net;MADDR=[2001:db8::9]", "sips:[2001:db8::9]"),
        ("sip:p.example.net;maddr=other.example.net", "sip:other.example.net"),
        ("sip:maddr=192.0.2.9@p.example.net", ""),
        ("sip:p.example.net?maddr=192.0.2.9", ""),
        ("sip:p.example.net;maddr=a b", ""),
        ("sip:p.example.net;maddr=a%20b", ""),
        ("sip:p.example.net;maddr", ""),
        ("tel:+1;maddr=192.0.2.9", ""),
    ],
)
def test_what_maddr_names(uri: str, next_hop: str) -> None:
    assert dialog.maddr_of(uri) == next_hop


@pytest.mark.rfc("TRN-005")
def test_what_a_request_uri_may_not_have_is_taken_off_a_strict_route() -> None:
    """RFC 3261 section 19.1.1, table 1: method and headers."""
    _, request = notify(route_set="<sip:p1.example.net;method=NOTIFY;transport=tcp?Subject=x>")
    assert request.uri == "sip:p1.example.net;transport=tcp"


LARGE = Document("ä" * 33_000, PIDF, "large")


@pytest.mark.parametrize(
    ("target", "flow", "next_hop"),
    [
        (TARGET, "", f"{TARGET};transport=tcp"),
        ("sip:bob@192.0.2.7;transport=UDP;ob", "", "sip:bob@192.0.2.7;ob;transport=tcp"),
        ("sip:b?b;x@192.0.2.7?Subject=x", "", "sip:b?b;x@192.0.2.7;transport=tcp"),
        ("sip:192.0.2.7", "", "sip:192.0.2.7;transport=tcp"),
        ("sip:b;transport=tcp@192.0.2.7;x=@", "", "sip:b;transport=tcp@192.0.2.7;x=@;transport=tcp"),
        (TARGET, "sip:[2001:db8::1]:4711", "sip:[2001:db8::1]:4711;transport=tcp"),
        (TARGET, "sip:198.51.100.7:4711;transport=ws", "sip:198.51.100.7:4711;transport=ws"),
        ("sip:bob@192.0.2.7;transport=tcp", "", ""),
        ("sips:bob@192.0.2.7", "", ""),
    ],
)
def test_what_is_too_large_for_a_datagram_goes_over_tcp(target: str, flow: str, next_hop: str) -> None:
    _, request = notify(LARGE, remote_target=target, flow=flow)
    assert (request.uri, request.next_hop) == (target, next_hop)


def test_the_first_proxy_is_asked_over_tcp_too() -> None:
    fields, request = notify(LARGE, route_set="<sip:p1.example.net;lr>, <sip:p2.example.net;lr>")
    assert request.next_hop == "sip:p1.example.net;lr;transport=tcp"
    assert fields["Route"] == ["<sip:p1.example.net;lr>, <sip:p2.example.net;lr>"]


@pytest.mark.parametrize("octets", [dialog.SMALL - 1, dialog.SMALL, 64_000])
def test_what_fits_into_a_datagram_stays_there(octets: int) -> None:
    _, request = notify(Document("x" * octets, PIDF, "fits"))
    assert request.next_hop == ""


# Our Contact


@pytest.mark.rfc("TRN-014")
@pytest.mark.parametrize(
    ("socket", "secure", "start"),
    [
        ("udp:192.0.2.1:5060", False, "sip:192.0.2.1:5060;gr="),
        ("tcp:192.0.2.1:5060", False, "sip:192.0.2.1:5060;transport=tcp;gr="),
        ("ws:192.0.2.1:8080", False, "sip:192.0.2.1:8080;transport=ws;gr="),
        ("udp:[2001:db8::1]:5060", False, "sip:[2001:db8::1]:5060;gr="),
        ("tls:192.0.2.1:5061", True, "sips:192.0.2.1:5061;gr="),
    ],
)
def test_our_contact_is_the_socket_and_a_gruu(socket: str, secure: bool, start: str) -> None:
    assert dialog.contact(socket, ALICE, secure).startswith(start)


@pytest.mark.rfc("TRN-020")
def test_our_contact_is_sips_where_the_dialog_is() -> None:
    fields, _ = notify(socket="tls:192.0.2.1:5061", remote_target="sips:bob@198.51.100.7")
    assert fields["Contact"][0].startswith("<sips:192.0.2.1:5061;")


@pytest.mark.rfc("TRN-020")
@pytest.mark.parametrize(
    ("route_set", "scheme"),
    [
        ("<sips:p1.example.net;lr>, <sip:p2.example.net;lr>", "sips"),
        ('"P" <SIPS:p1.example.net;lr>', "sips"),
        ("<sip:p1.example.net;lr>, <sips:p2.example.net;lr>", "sip"),
    ],
)
def test_our_contact_is_sips_where_the_first_proxy_is(route_set: str, scheme: str) -> None:
    """RFC 3261 section 12.1.1: the top Record-Route decides."""
    fields, _ = notify(socket="tls:192.0.2.1:5061", route_set=route_set)
    assert fields["Contact"][0].startswith(f"<{scheme}:192.0.2.1:5061;")


@pytest.mark.rfc("TRN-010")
@pytest.mark.rfc("TRN-014")
@given(st.text(alphabet="abcXYZ019-_.!~*'()&=+$,;?/", min_size=1, max_size=40))
def test_our_contact_names_the_presentity_for_ever(user: str) -> None:
    resource = sip.address_of_record(sip.parse_uri(f"sip:{user}@example.org"))
    uri = sip.parse_uri(dialog.contact("udp:192.0.2.1:5060", resource, secure=False))
    assert dialog.resource_of_contact(uri) == resource


@pytest.mark.parametrize("token", ["", "=", "!", "ä", "a", "AAAA", "_w", "c2lwOg", "dGVsOisx", "x" * 700])
def test_a_contact_that_is_not_ours_names_nobody(token: str) -> None:
    assert dialog.resource_of_contact(sip.Uri("sip", "", "192.0.2.1", None, f";gr={token}")) is None


def test_without_gr_nobody_is_named() -> None:
    assert dialog.resource_of_contact(sip.parse_uri("sip:192.0.2.1;transport=tcp")) is None
