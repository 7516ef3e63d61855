"""Where the NOTIFYs of a new subscription go: Contact, what it may be, and the flow (kemi/remote_target.py)."""

from dataclasses import replace
from typing import Any

import pytest

from kemi import remote_target
from kemi.errors import BadRequest
from tests.verbs.world import World


@pytest.mark.rfc("TRN-017")
@pytest.mark.parametrize("contact", [None, "", "*", "<sip:a@192.0.2.7>, <sip:b@192.0.2.7>", "<>", "sip:a b@c"])
def test_exactly_one_contact_is_needed(world: World, contact: str | None) -> None:
    with pytest.raises(BadRequest):
        world.subscribe(contact=contact)
    world.now += 100_000
    assert world.notifier() == []


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize(
    "contact",
    [
        "<pres:bob@example.org>",
        "<sip:192.0.2.1:5060>",
        "<sip:bob@192.0.2.1>",
        "<sip:bob@127.0.0.1:5062>",
        "<sip:bob@[::1]:5062>",
        "<sip:bob@localhost>",
        "<sip:bob@localhost.>",
        "<sip:bob@pc.localhost>",
        "<sip:bob@127.000.000.001:5062>",
        "<sip:bob@[::ffff:127.0.0.1]:5062>",
        "<sip:192.000.002.001:5060>",
        "<sip:bob@0127.0.0.1:5062>",
        "<sip:bob@383.0.0.1:5062>",
        "<sip:bob@224.0.0.1:5062>",
        "<sip:bob@255.255.255.255:5062>",
        "<sip:bob@198.51.100.7;maddr=127.0.0.1>",
        "<sip:bob@198.51.100.7;maddr=192.0.2.1>",
        "<sip:bob@198.51.100.7;maddr=224.0.0.1>",
    ],
)
def test_a_contact_that_no_notify_may_go_to(world: World, contact: str) -> None:
    with pytest.raises(BadRequest):
        world.subscribe(contact=contact)
    world.now += 100_000
    assert world.notifier() == []


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("contact", ["sip:bob@192.0.2.9", "sip:bob@[2001:DB8::9]:5070", "sips:bob@192.0.2.9"])
def test_a_contact_that_is_another_listener_of_ours(world: World, contact: str) -> None:
    """Neither in a SUBSCRIBE nor in the answer to a NOTIFY."""
    listening = (("udp", "192.0.2.9", 5060), ("tls", "192.0.2.9", 5061), ("udp", "2001:db8::9", 5070))
    world.settings = replace(world.settings, listening=listening)
    with pytest.raises(BadRequest, match="Contact is this server"):
        world.subscribe(contact=f"<{contact}>")
    assert remote_target.of_answer(contact, world.settings) == ""
    assert remote_target.of_answer("sip:bob@192.0.2.9:5080", world.settings) == "sip:bob@192.0.2.9:5080"


@pytest.mark.parametrize(
    ("transport", "contact", "is_ours"),
    [
        ("tcp", "sip:bob@192.0.2.9:8080", False),
        ("tcp", "sip:bob@192.0.2.9:8080;transport=UDP", False),
        ("tcp", "sip:bob@192.0.2.9:8080;transport=tcp", True),
        ("tls", "sips:bob@192.0.2.9:8080", True),
        ("tls", "sip:bob@192.0.2.9:8080;transport=ws", True),
        ("udp", "sip:bob@192.0.2.9:8080;transport=tcp", False),
    ],
)
def test_udp_at_the_number_of_our_tcp_port_is_a_client_on_this_machine(
    world: World, transport: str, contact: str, is_ours: bool
) -> None:
    world.settings = replace(world.settings, listening=((transport, "192.0.2.9", 8080),))
    assert (remote_target.of_answer(contact, world.settings) == "") == is_ours
    if not is_ours:
        assert world.subscribe(contact=f"<{contact}>").reply.status == 200


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("host", ["0.0.0.0:0", "[::]", "[::ffff:0.0.0.0]", "192.0.2.8;maddr=0.0.0.0"])
@pytest.mark.parametrize(
    ("changes", "flow"),
    [
        ({}, "sip:198.51.100.7:5062"),
        ({"transport": "tcp", "connection": 7}, "sip:198.51.100.7:5062;transport=tcp"),
        ({"via_count": 2, "record_route": "<sip:p.example.net;lr>"}, ""),
        ({"via_count": 2}, None),
    ],
)
def test_who_does_not_know_its_own_address_is_reached_otherwise_or_refused(
    world: World, host: str, changes: dict[str, Any], flow: str | None
) -> None:
    """Nothing goes to 0.0.0.0, which is this machine."""
    if flow is None:
        with pytest.raises(BadRequest, match="no machine"):
            world.subscribe(contact=f"<sip:bob@{host}>", **changes)
    else:
        assert world.subscription(world.subscribe(contact=f"<sip:bob@{host}>", **changes).dialog).flow == flow


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize(
    "host", ["0.0.0.0", "[::]", "224.0.0.1", "[::ffff:127.0.0.1]", "127.000.000.001", "198.51.100.7;maddr=127.0.0.1"]
)
def test_an_answer_that_names_such_an_address_moves_nothing(world: World, host: str) -> None:
    assert remote_target.of_answer(f"sip:bob@{host}", world.settings) == ""


@pytest.mark.rfc("SEC-014")
def test_loopback_is_fine_where_the_server_itself_listens_on_it(world: World) -> None:
    assert world.subscribe(contact="<sip:bob@127.0.0.1:5062>", socket="udp:127.0.0.1:5060").reply.status == 200


@pytest.mark.rfc("TRN-013")
@pytest.mark.parametrize(
    ("changes", "flow", "connection"),
    [
        ({}, "", 0),
        ({"contact": "<sip:bob@10.0.0.7>"}, "sip:198.51.100.7:5062", 0),
        ({"contact": "<sip:bob@[2001:db8::7]>", "source_address": "2001:db8::8"}, "sip:[2001:db8::8]:5062", 0),
        ({"contact": "<sip:bob@[2001:DB8::7]>", "source_address": "2001:db8::7"}, "", 0),
        ({"contact": "<sip:bob@phone.example.net>"}, "", 0),
        ({"contact": "<sip:bob@phone.example.net;maddr=198.51.100.7>"}, "", 0),
        ({"contact": "<sip:bob@phone.example.net;maddr=10.0.0.7>"}, "sip:198.51.100.7:5062", 0),
        ({"contact": "<sip:bob@198.51.100.7;maddr=203.0.113.9>"}, "sip:198.51.100.7:5062", 0),
        ({"contact": "<sip:bob@example.org;gr=urn:uuid:1>"}, "sip:192.0.2.1:5060", 0),
        ({"contact": "<sip:bob@example.org:5060>"}, "sip:192.0.2.1:5060", 0),
        ({"contact": "<sip:pbx@example.org:5080>"}, "", 0),
        ({"contact": "<sip:bob@10.0.0.7>", "via_count": 2}, "", 0),
        ({"contact": "<sip:bob@10.0.0.7>", "record_route": "<sip:p.example.net;lr>"}, "", 0),
        ({"transport": "tcp", "connection": 7}, "sip:198.51.100.7:5062;transport=tcp", 7),
        ({"transport": "ws", "connection": 8, "contact": "<sip:x@y.invalid>"}, "sip:198.51.100.7:5062;transport=ws", 8),
    ],
)
def test_notifies_go_to_the_contact_or_where_the_request_came_from(
    world: World, changes: dict[str, Any], flow: str, connection: int
) -> None:
    found = world.subscription(world.subscribe(**changes).dialog)
    assert (found.flow, found.connection) == (flow, connection)


@pytest.mark.rfc("TRN-013")
@pytest.mark.parametrize(("host", "flow"), [("192.0.2.1", ""), ("192.0.2.2", "sip:192.0.2.1:5062")])
def test_a_client_on_the_machine_of_a_server_whose_domain_is_its_address(world: World, host: str, flow: str) -> None:
    """At another port than ours it is no registered user."""
    world.settings = replace(world.settings, domains=("192.0.2.1",))
    contact, uri = f"<sip:bob@{host}:5062>", "sip:alice@192.0.2.1"
    found = world.subscription(world.subscribe(contact=contact, uri=uri, source_address="192.0.2.1").dialog)
    assert (found.flow, found.remote_target) == (flow, contact.strip("<>"))
