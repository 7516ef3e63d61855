"""A proxy records its route in NOTIFYs of the dialogs in whose SUBSCRIBE it did, and in no others (RFC 6665 section 4.3)."""

from collections.abc import Callable

import pytest

from tests.server import Server
from tests.useragent import Agents, Message, UserAgent

pytestmark = pytest.mark.rfc("TRN-029")


def routes(message: Message) -> list[str]:
    """Host and port of each Record-Route."""
    return [value.partition("sip:")[2].partition(";")[0].rstrip(">") for value in message.all("Record-Route")]


def own(server: Server) -> str:
    return "{}:{}".format(*server.address)


def send_notify(sender: UserAgent, to: UserAgent, *lines: str) -> Message:
    """As it arrives at the other one."""
    fields = ("Event: presence", "Subscription-State: active;expires=600", f"Contact: <{sender.contact}>", *lines)
    sender.send_raw(sender.build("NOTIFY", to.contact, *fields, to=f"<{to.aor}>", to_tag="watcher"))
    arrived = to.notify()
    assert sender.response(sender.branch).status == 200
    return arrived


def test_in_front_of_a_presence_server_both_are_recorded(
    server: Server, start_server: Callable[..., Server], agents_of: Agents
) -> None:
    """The watcher learns its route of the first NOTIFY (RFC 6665 section 4.4.1): with it a refresh comes this way too."""
    proxy = start_server({"KP_CONFIGURATION": "examples/forwarding.cfg", "KP_PRESENCE_SERVER": own(server)})
    bob = agents_of(proxy, "record-bob")
    answer = bob.subscribe("sip:record-alice@example.org")
    dialog = {"call_id": bob.call_id, "from_tag": bob.from_tag, "to_tag": answer.to_tag}
    assert (answer.status, routes(answer)) == (200, [own(proxy)])
    first = bob.notify()
    assert routes(first) == [own(proxy)]
    refreshed = bob.subscribe(answer.get("Contact").strip("<>"), f"Route: {first.get('Record-Route')}", cseq=2, **dialog)
    assert (refreshed.status, refreshed.get("Via").count(bob.branch)) == (200, 1)
    assert bob.notify().get("Subscription-State").startswith("active")


@pytest.mark.parametrize("configuration", ["examples/full.cfg", "examples/no-authorization.cfg"])
def test_a_recorded_subscribe_that_goes_through_has_recorded_notifys(
    start_server: Callable[..., Server], agents_of: Agents, configuration: str
) -> None:
    proxy = start_server({"KP_CONFIGURATION": configuration})
    elsewhere, alice = agents_of(proxy, "carol", domain="elsewhere.example.com"), agents_of(proxy, "alice")
    arrived = send_notify(elsewhere, alice, f"Route: <sip:{own(proxy)};lr>")
    assert routes(arrived) == [own(proxy)]


@pytest.mark.parametrize("configuration", ["examples/full.cfg", "examples/no-authorization.cfg"])
def test_a_notify_whose_subscribe_went_another_way_is_not_recorded(
    start_server: Callable[..., Server], agents_of: Agents, configuration: str
) -> None:
    """It is for a user of ours, and goes to where that one has registered."""
    proxy = start_server({"KP_CONFIGURATION": configuration})
    elsewhere, alice = agents_of(proxy, "carol", domain="elsewhere.example.com"), agents_of(proxy, "alice")
    alice.register()
    fields = ("Event: presence", "Subscription-State: active;expires=600", f"Contact: <{elsewhere.contact}>")
    elsewhere.send_raw(elsewhere.build("NOTIFY", alice.aor, *fields, to_tag="watcher"))
    assert routes(alice.notify()) == []
    assert elsewhere.response(elsewhere.branch).status == 200


def test_the_presence_server_records_nothing(server: Server, agents_of: Agents) -> None:
    """It passes on what has its address in Route, which no SUBSCRIBE has got from it."""
    elsewhere, alice = agents_of(server, "carol", domain="elsewhere.example.com"), agents_of(server, "record-none")
    answer = alice.subscribe("sip:record-none@example.org")
    assert (answer.status, routes(answer), routes(alice.notify())) == (200, [], [])
    assert routes(send_notify(elsewhere, alice, f"Route: <sip:{own(server)};lr>")) == []
