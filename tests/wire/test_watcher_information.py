"""Watcher information on the wire, where a story of SIPp is not enough: over a restart, and with names that are hard to write."""

from collections.abc import Callable

import pytest

from tests.server import Server
from tests.useragent import Agents, Message, UserAgent
from tests.watcherinfo import Reader
from tests.wire.observe import rows

WINFO = "presence.winfo"


def winfo_until(agent: UserAgent, reader: Reader, wanted: Callable[[Reader], bool]) -> Message:
    """NOTIFYs are taken until the reader knows what is wanted."""
    while True:
        message = agent.notify()
        reader.take(message.body)
        if wanted(reader):
            return message


@pytest.mark.rfc("WINFO-003", "WINFO-010", "TRN-010")
def test_after_a_crash_alice_goes_on_where_she_was(start_server: Callable[..., Server], agents_of: Agents) -> None:
    server = start_server()
    alice, bob, carol = (agents_of(server, user) for user in ("alice", "bob", "carol"))
    reader = Reader()
    alice.subscribe(alice.aor, event=WINFO)
    winfo_until(alice, reader, lambda known: known.version == 0)
    bob.subscribe(alice.aor)
    bob.notify()
    winfo_until(alice, reader, lambda known: len(known.view) == 1)
    server.kill()
    server.start()
    carol.subscribe(alice.aor)
    carol.notify()
    winfo_until(alice, reader, lambda known: len(known.view) == 2)
    assert sorted(uri for uri, *_ in reader.view.values()) == ["sip:bob@example.org", "sip:carol@example.org"]
    assert reader.version >= 2


@pytest.mark.rfc("WINFO-017", "WINFO-018")
@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('"\u00fc & \u4e2d"'.encode(), "\u00fc & \u4e2d"),
        ('"a\ufffeb\uffff"'.encode(), "a b"),
        (b'"Andr\xe9"', None),
        (b'"x \\"y\\" <z>"', 'x "y" <z>'),
        (b'"a\tb"', "a b"),
        (b"Bob  Builder", "Bob  Builder"),
        (b'"' + b"<" * 3000 + b'"', "<" * 128),
    ],
)
def test_a_name_does_no_harm(server: Server, agents_of: Agents, written: bytes, told: str | None) -> None:
    user = f"named-{abs(hash(written))}"
    alice, bob = agents_of(server, user), agents_of(server, "bob")
    data = bob.build(
        "SUBSCRIBE", alice.aor, "Event: presence", f"Contact: <{bob.contact}>", "Expires: 600", from_=f"NAME<{bob.aor}>"
    )
    bob.send_raw(data.replace(b"NAME", written))
    assert bob.response(bob.branch).status == 200
    bob.notify()
    reader = Reader()
    alice.subscribe(alice.aor, event=WINFO, expires=0)
    document = reader.take(alice.notify().body)
    assert [(each.uri, each.name) for each in document.watchers] == [(bob.aor, told)]


@pytest.mark.rfc("WINFO-011", "SEC-001")
def test_who_has_proved_nothing_is_told_to_nobody(start_server: Callable[..., Server], agents_of: Agents) -> None:
    server = start_server({"KP_TRUSTED": ""})
    bob = agents_of(server, "bob")
    assert bob.subscribe("sip:alice@example.org").status == 401
    assert bob.subscribe("sip:alice@example.org", expires=0).status == 401
    assert rows(server, "SELECT id FROM subscription") == rows(server, "SELECT id FROM watcher") == []
