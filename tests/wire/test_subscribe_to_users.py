"""A user whose device cannot PUBLISH is subscribed to, and what the device says becomes presence (SER handbook section 5.2)."""

from collections.abc import Callable, Iterator

import pytest

from tests.server import Server
from tests.useragent import UserAgent, pidf
from tests.wire.federation import Remote, seen
from tests.wire.observe import rows, wait_until

ALICE = "sip:alice@example.org"
SET = "pa.notify_interval=0;pa.subscribe_to_users=1;pa.pa_subscription_uri=sip:presence@example.org;b2b.on_error_retry_time=1"


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server({"KP_SET": SET})


@pytest.fixture
def device(server: Server) -> Iterator[Remote]:
    made = Remote(server.address, "alice", "example.org")
    yield made
    made.close()


@pytest.fixture
def bob(server: Server) -> Iterator[UserAgent]:
    made = UserAgent(server.address, "bob")
    yield made
    made.close()


def register(device: Remote, expires: int = 600, allow: str = "INVITE, ACK, BYE, CANCEL, SUBSCRIBE, NOTIFY") -> None:
    lines = [f"Contact: <{device.contact}>", f"Expires: {expires}", f"Allow: {allow}"]
    assert device.request("REGISTER", "sip:example.org", *lines, to=f"<{ALICE}>").status == 200


def test_a_device_that_cannot_publish_is_a_source(server: Server, device: Remote, bob: UserAgent) -> None:
    register(device)
    bob.subscribe(ALICE)
    asked = device.asked(20)
    assert asked.get("From").startswith("<sip:presence@example.org>")
    assert asked.get("To") == f"<{ALICE}>"
    device.accept(asked)
    assert device.tell(asked, "active;expires=600", 1, pidf(note="from the device")).status == 200
    seen(bob, b"from the device")
    assert device.tell(asked, "active;expires=600", 2, pidf(note="and again")).status == 200
    seen(bob, b"and again")
    assert rows(server, "SELECT source FROM publication WHERE id = 'subscription'") == [("subscription",)]
    register(device, 0)
    leaving = device.asked(20)
    assert leaving.get("Expires") == "0"
    device.accept(leaving)
    device.tell(asked, "terminated;reason=timeout", 3)
    wait_until(lambda: not rows(server, "SELECT id FROM publication"), "nothing is published any more")
    wait_until(lambda: not rows(server, "SELECT dialog FROM outgoing"), "nobody is asked any more")


def test_who_publishes_is_not_asked(server: Server, device: Remote, bob: UserAgent) -> None:
    register(device)
    assert device.publish(pidf(note="by itself")).status == 200
    bob.subscribe(ALICE)
    seen(bob, b"by itself")
    with pytest.raises(TimeoutError):
        device.asked(8)


def test_a_device_that_could_publish_is_left_alone(server: Server, device: Remote, bob: UserAgent) -> None:
    register(device, allow="SUBSCRIBE, NOTIFY, PUBLISH")
    bob.subscribe(ALICE)
    with pytest.raises(TimeoutError):
        device.asked(8)
