"""Watchers whose Contact is the GRUU that REGISTER gave them (RFC 5627): NOTIFYs go through the location table, as for Linphone."""

import re
from typing import Any

import pytest

from tests.server import Server
from tests.useragent import Message, UserAgent, pidf

INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"

pytestmark = pytest.mark.interop


def register(agent: UserAgent, expires: int = 600, cseq: int = 1, binding: str = "") -> Message:
    """REGISTER as a client that knows GRUUs."""
    contact = f'Contact: <{binding or agent.contact}>;expires={expires};+sip.instance="<{INSTANCE}>"'
    return agent.request("REGISTER", f"sip:{agent.domain}", contact, "Supported: gruu", to=f"<{agent.aor}>", cseq=cseq)


def public_gruu(response: Message) -> str:
    """The pub-gruu in the Contact of a 200."""
    match = re.search(r'pub-gruu="([^"]+)"', response.get("Contact"))
    assert match, f"no pub-gruu in {response.get('Contact')}"
    return match[1]


def subscribe(agent: UserAgent, uri: str, contact: str, *lines: str, expires: int = 600, **dialog: Any) -> Message:
    """SUBSCRIBE with a Contact of one's own."""
    event = ("Event: presence", f"Expires: {expires}")
    return agent.request("SUBSCRIBE", uri, *event, f"Contact: <{contact}>", *lines, **dialog)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_notify_finds_the_binding_of_a_gruu(server: Server, transport: str) -> None:
    watcher = UserAgent(server.address, f"gina-{transport}", transport=transport)
    registered = register(watcher)
    assert registered.status == 200
    gruu = public_gruu(registered)
    assert gruu == f"sip:gina-{transport}@example.org;gr={INSTANCE}"

    answer = subscribe(watcher, f"sip:gwen-{transport}@example.org", gruu)
    assert answer.status == 200
    first = watcher.notify()
    assert_reached(first, answer, watcher)
    assert b"<basic>closed</basic>" in first.body

    publisher = UserAgent(server.address, f"gwen-{transport}")
    assert publisher.publish(pidf("open", f"gwen-{transport}")).status == 200
    second = watcher.notify()
    assert_reached(second, answer, watcher)
    assert b"<basic>open</basic>" in second.body
    assert second.cseq == first.cseq + 1

    target = re.sub(r"^<|>.*$", "", answer.get("Contact"))
    dialog = {"call_id": first.get("Call-ID"), "from_tag": first.to_tag, "to_tag": first.from_tag, "cseq": 2}
    ended = subscribe(watcher, target, gruu, expires=0, to=f"<sip:gwen-{transport}@example.org>", **dialog)
    assert ended.status == 200
    assert watcher.notify().get("Subscription-State").startswith("terminated")


def test_a_watcher_with_a_gruu_may_answer_by_its_address(server: Server) -> None:
    """The Contact of its 2xx is that of the binding: the NOTIFYs go through the location table all the same."""
    watcher = UserAgent(server.address, "gail", answer_headers="Contact: <sip:gail@192.0.2.7:5060>\r\n")
    gruu = public_gruu(register(watcher))
    answer = subscribe(watcher, "sip:gabe@example.org", gruu)
    publisher = UserAgent(server.address, "gabe")
    published = publisher.publish(pidf("open", "gabe"))
    first = watcher.notify()
    while b"<basic>closed</basic>" in first.body:
        first = watcher.notify()
    assert publisher.publish(pidf("open", "gabe", note="away"), etag=published.get("SIP-ETag")).status == 200
    second = watcher.notify()
    assert_reached(second, answer, watcher)
    assert b"away" in second.body


def test_a_binding_behind_nat_is_reached_on_its_connection(server: Server) -> None:
    """The Contact registered over TCP is an address that nobody can reach (RFC 5626 section 5.3)."""
    watcher = UserAgent(server.address, "gill", transport="tcp")
    registered = register(watcher, binding="sip:gill@192.0.2.7:5060;transport=tcp")
    assert registered.status == 200
    assert subscribe(watcher, "sip:gus@example.org", public_gruu(registered)).status == 200
    assert watcher.notify().start.startswith("NOTIFY sip:gill@192.0.2.7:5060;transport=tcp ")


def assert_reached(notify: Message, answer: Message, watcher: UserAgent) -> None:
    """The NOTIFY is of this dialog, and its Request-URI is the binding."""
    assert notify.start.split()[1].startswith(f"sip:{watcher.user}@{watcher.address}")
    assert notify.get("Call-ID") == answer.get("Call-ID")
    assert notify.from_tag == answer.to_tag
    assert notify.get("Subscription-State").startswith("active;expires=")


def test_a_gruu_that_nobody_is_registered_with_harms_nobody(server: Server) -> None:
    """The NOTIFY for it gets an answer from the server itself; another watcher is told."""
    lost = UserAgent(server.address, "grace")
    assert register(lost).status == 200
    assert subscribe(lost, "sip:grant@example.org", public_gruu(register(lost, cseq=2))).status == 200
    lost.notify()
    assert register(lost, expires=0, cseq=3).status == 200

    other = UserAgent(server.address, "greta")
    assert other.subscribe("sip:grant@example.org").status == 200
    other.notify()
    grant = UserAgent(server.address, "grant")
    assert grant.publish(pidf("open", "grant")).status == 200
    assert b"<basic>open</basic>" in other.notify().body
    assert lost.no_notify(1.0)
