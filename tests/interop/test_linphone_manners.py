"""What Linphone 5.1 does that other clients do not, on the wire."""

from typing import Any

import pytest

from tests.server import Server
from tests.useragent import Message, UserAgent, pidf

USER_AGENT = "User-Agent: Linphone Desktop/5.1.2 (belle-sip/5.2.0)"

pytestmark = pytest.mark.interop


def subscribe(agent: UserAgent, uri: str, *lines: str, expires: int = 600, suffix: str = "", **dialog: Any) -> Message:
    """SUBSCRIBE for a friend: no Accept, and over UDP no Content-Length."""
    contact = f"Contact: <{agent.contact}>{suffix}"
    manners = ("Event: presence", f"Expires: {expires}", contact, USER_AGENT, *lines)
    return agent.request("SUBSCRIBE", uri, *manners, length=agent.transport != "udp", **dialog)


def dialog_of(notify: Message) -> dict[str, Any]:
    """What the watcher's next request in the dialog carries."""
    return {"call_id": notify.get("Call-ID"), "from_tag": notify.to_tag, "to_tag": notify.from_tag}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_friend_is_watched_and_left(server: Server, transport: str) -> None:
    friend = f"lisa-{transport}"
    uri = f"sip:{friend}@example.org"
    watcher = UserAgent(server.address, f"linus-{transport}", transport=transport)
    opened = subscribe(watcher, uri)
    assert opened.status == 200
    assert b"Content-Length" not in watcher.sent or transport == "tcp"
    first = watcher.notify()
    assert first.get("Content-Type") == "application/pidf+xml"

    publisher = UserAgent(server.address, friend)
    assert publisher.publish(pidf("open", friend), length=True).status == 200
    assert b"<basic>open</basic>" in watcher.notify().body

    target = opened.get("Contact").strip("<>")
    dialog = dialog_of(first) | {"to": f"<{uri}>"}
    refreshed = subscribe(watcher, target, cseq=2, **dialog)
    assert refreshed.status == 200
    assert watcher.notify().get("Subscription-State").startswith("active")

    watcher.answer_notify = 481
    ended = subscribe(watcher, target, expires=0, suffix=";expires=0", cseq=3, **dialog)
    assert ended.status == 200
    assert ended.get("Expires") == "0"
    assert watcher.notify().get("Subscription-State") == "terminated;reason=timeout"
    assert_forgotten(server, watcher, publisher, subscribe(watcher, target, cseq=4, **dialog))


def assert_forgotten(server: Server, watcher: UserAgent, publisher: UserAgent, again: Message) -> None:
    """The 481 to the last NOTIFY was no error: the dialog is gone, nobody is told any more, nothing was logged as wrong."""
    assert again.status == 481
    assert publisher.publish(pidf("open", publisher.user, "t2", note="later")).status == 200
    assert watcher.no_notify(0.5)
    about = [line for line in server.log.read_text().splitlines() if watcher.user in line or "Traceback" in line]
    assert not [line for line in about if "Traceback" in line or " ERROR" in line]


def test_publications_without_content_length(server: Server) -> None:
    """PUBLISH and the body-less un-PUBLISH, over UDP."""
    agent = UserAgent(server.address, "lena")
    created = agent.publish(pidf("open", "lena"), USER_AGENT, length=False)
    assert created.status == 200
    refreshed = agent.publish(b"", USER_AGENT, etag=created.get("SIP-ETag"), length=False)
    assert refreshed.status == 200
    removed = agent.publish(b"", USER_AGENT, etag=refreshed.get("SIP-ETag"), expires=0, length=False)
    assert removed.status == 200
    assert removed.get("Expires") == "0"


def test_register_without_content_length(server: Server) -> None:
    agent = UserAgent(server.address, "lola")
    contact = f"Contact: <{agent.contact}>;expires=600"
    request = ("REGISTER", "sip:example.org", contact, USER_AGENT)
    answer = agent.request(*request, to=f"<{agent.aor}>", length=False)
    assert answer.status == 200
    assert agent.address in answer.get("Contact")
