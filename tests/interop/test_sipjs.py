"""SIP.js in node, over WebSocket (RFC 7118): its Contact is nowhere, so NOTIFYs have to come back on its connection."""

import re
import uuid
from collections.abc import Callable

import pytest

from tests.interop.sipjs_client import SipJs
from tests.interop.waiting import until
from tests.server import Server
from tests.useragent import UserAgent, pidf

QUICKLY = 3.0
"""Seconds; the time-out of a NOTIFY without an answer is ten times as long."""

pytestmark = [
    pytest.mark.interop,
    pytest.mark.timeout(60),
    pytest.mark.parametrize("engine", ["sqlite"], indirect=True),
]


@pytest.fixture
def strict_server(start_server: Callable[..., Server]) -> Server:
    """A server that believes nobody without a password."""
    server = start_server({"KP_TRUSTED": ""})
    for user in ("alice", "bob"):
        server.control("user", "add", f"{user}@example.org", "--password", f"{user}'s")
    return server


def watching(client: SipJs, user: str) -> SipJs:
    """The client, once it has subscribed and the first NOTIFY is there."""
    client.do("subscribe", target=f"sip:{user}@example.org")
    client.wait_for_state("subscription", "Subscribed")
    return client


def test_it_registers_watches_and_publishes_with_a_password(strict_server: Server, start_sipjs: Callable[..., SipJs]) -> None:
    alice = start_sipjs(strict_server, "alice", "alice's")
    alice.do("register")
    alice.wait_for_state("registration", "Registered")
    watching(alice, "bob").wait_for_notify("<basic>closed</basic>")
    assert re.search(r"^Contact: <sip:\w+@\w+\.invalid;transport=ws>", alice.messages("sent", "SUBSCRIBE")[0], re.MULTILINE)

    bob = start_sipjs(strict_server, "bob", "bob's")
    bob.do("publish", body=pidf("open", "bob", note="at my desk").decode())
    bob.wait_for_state("publication", "Published")
    notify = alice.wait_for_notify("<basic>open</basic>", "at my desk")
    assert notify["type"] == "application/pidf+xml"
    assert notify["state"].startswith("active;expires=")

    bob.do("publish", body=pidf("open", "bob", note="gone to lunch").decode())
    alice.wait_for_notify("<basic>open</basic>", "gone to lunch")
    bob.do("unpublish")
    alice.wait_for_notify("<basic>closed</basic>")
    assert_one_connection_with_a_password(alice)
    assert_one_connection_with_a_password(bob)


def assert_one_connection_with_a_password(client: SipJs) -> None:
    """It was asked for a password, and everything went over the connection that it had opened first."""
    assert client.messages("received", "SIP/2.0 401")
    assert len([each for each in client.seen if each["event"] == "connected"]) == 1
    assert not [each for each in client.seen if each["event"] in ("disconnected", "error")]


def test_a_wrong_password_is_refused(strict_server: Server, start_sipjs: Callable[..., SipJs]) -> None:
    alice = start_sipjs(strict_server, "alice", "bob's")
    alice.do("register")
    alice.wait_for_state("registration", "Unregistered")
    challenges = alice.messages("received", "SIP/2.0 401")
    assert len(challenges) == 2
    assert "stale" not in "".join(challenges)


def test_a_client_that_stops_is_told_the_end_of_its_subscription(strict_server: Server, start_sipjs: Callable[..., SipJs]) -> None:
    """Stopping un-REGISTERs, with a nonce used before, and unsubscribes; the last NOTIFY still finds its way."""
    alice = start_sipjs(strict_server, "alice", "alice's")
    alice.do("register")
    alice.wait_for_state("registration", "Registered")
    watching(alice, "bob").do("stop")
    alice.wait_for_state("registration", "Unregistered")
    assert "stale=true" in alice.messages("received", "SIP/2.0 401")[-1]
    alice.wait("received", lambda found: "Subscription-State: terminated;reason=timeout" in found["message"])
    until(lambda: "why=ended" in strict_server.log.read_text(), "the subscription is removed")


def test_its_gruu_leads_back_to_the_websocket(server: Server, start_sipjs: Callable[..., SipJs]) -> None:
    """Registered with an instance id, its Contact is the GRUU; the binding behind that is nowhere, but its WebSocket is open."""
    watcher = start_sipjs(server, "wendy", "", str(uuid.uuid4()))
    watcher.do("register")
    watcher.wait_for_state("registration", "Registered")
    watching(watcher, "wilbur").wait_for_notify("<basic>closed</basic>")
    assert "\nContact: <sip:wendy@example.org;gr=urn:uuid:" in watcher.messages("sent", "SUBSCRIBE")[0]

    wilbur = UserAgent(server.address, "wilbur")
    assert wilbur.publish(pidf("open", "wilbur")).status == 200
    watcher.wait_for_notify("<basic>open</basic>")


@pytest.mark.parametrize("instance", [(), (str(uuid.uuid4()),)], ids=["contact", "gruu"])
def test_a_closed_websocket_harms_nobody_else(server: Server, start_sipjs: Callable[..., SipJs], instance: tuple[str, ...]) -> None:
    """Its NOTIFY fails at once: no time-out, no resolving of .invalid; the other watcher is told at once, every time."""
    watched = f"walter{len(instance)}"
    gone = start_sipjs(server, "wanda", "", *instance)
    gone.do("register")
    gone.wait_for_state("registration", "Registered")
    watching(gone, watched)
    other = UserAgent(server.address, "wilma")
    assert other.subscribe(f"sip:{watched}@example.org").status == 200
    other.notify()
    lines = len(server.log.read_text().splitlines())
    gone.stop()

    publisher = UserAgent(server.address, watched)
    for note in ("first", "second"):
        assert publisher.publish(pidf("open", watched, note, note)).status == 200
        assert note.encode() in other.notify(QUICKLY).body
    assert "resolve" not in "\n".join(server.log.read_text().splitlines()[lines:])
    assert server.answers()
