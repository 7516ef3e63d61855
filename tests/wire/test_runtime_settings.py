"""Parameters that kamcmd changes while the server runs, seen from outside: UDP and TCP workers, the notifier, the log."""

from collections.abc import Callable

import pytest

from tests.server import Server
from tests.useragent import Agents, UserAgent, pidf
from tests.wire.commands import kamcmd
from tests.wire.observe import wait_until

ALICE = "sip:alice@example.org"


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server({"KP_SET": "pa.notify_interval=0;pa.auth=none;pa.timer_interval=10"})


def fetched(agent: UserAgent, presentity: str = ALICE) -> bytes:
    """The document of a subscription for once."""
    assert agent.subscribe(presentity, expires=0).status == 200
    return agent.notify(call_id=agent.call_id).body


def test_numbers_and_words_are_in_force_in_every_worker(server: Server, agents: Agents) -> None:
    udp, tcp = agents("bob"), agents("carol", "tcp")
    assert fetched(udp).count(b"<tuple") == fetched(tcp).count(b"<tuple") == 1
    kamcmd(server, "cfg.set_now_string", "pa", "auth", "implicit")
    kamcmd(server, "cfg.set_now_int", "pa", "min_expires", "600")
    wait_until(lambda: udp.subscribe(ALICE, expires=599).status == 423, "min_expires counts")
    refused = tcp.subscribe(ALICE, expires=599)
    assert (refused.status, refused.get("Min-Expires")) == (423, "600")
    assert [fetched(udp), fetched(tcp)] == [b"", b""]
    kamcmd(server, "cfg.set_now_string", "pa", "auth", "none")
    wait_until(lambda: fetched(udp), "auth is none again")
    assert fetched(tcp) == fetched(udp)


def test_the_notifier_has_new_values_too(server: Server, agents: Agents) -> None:
    alice, bob = agents("alice"), agents("bob")
    tag = alice.publish(pidf()).get("SIP-ETag")
    bob.subscribe(ALICE)
    assert b"<tuple" in bob.notify().body
    kamcmd(server, "cfg.set_now_string", "pa", "offline_document", "empty")
    wait_until(lambda: b"<tuple" not in fetched(bob, "sip:zoe@example.org"), "a worker has it")
    assert alice.publish(b"", etag=tag, expires=0).status == 200
    told = bob.notify().body
    assert b"<presence" in told
    assert b"<tuple" not in told


def test_what_cannot_be_used_is_one_line_in_the_log(server: Server, agents: Agents) -> None:
    kamcmd(server, "cfg.set_now_int", "pa", "max_publish_expiration", "600")
    kamcmd(server, "cfg.set_now_string", "auth", "algorithm", "SHA-256")
    kamcmd(server, "cfg.set_now_int", "pa", "notify_interval", "3601")
    complaints = [
        "must not be above pa.max_publish_expiration = 600; pa.max_publish_expiration = 3600 stays",
        "kamcmd: auth.algorithm = 'SHA-256': it changes with the next start only; auth.algorithm = 'MD5' stays",
        "kamcmd: pa.notify_interval = '3601': out of range; 0 to 3600 seconds is allowed; pa.notify_interval = 0 stays",
    ]
    wait_until(lambda: all(line in log(server) for line in complaints), "all three are told")
    assert agents("alice").publish(pidf(), expires=3600).get("Expires") == "3600"
    assert [log(server).count(line) for line in complaints] == [1, 1, 1]


def test_names_of_ser_without_effect_are_told_at_the_start(server: Server) -> None:
    assert "KP_SET: pa.timer_interval has no effect: changes are told at once" in log(server)


def test_lists_of_uris_are_set_and_made_empty(server: Server) -> None:
    kamcmd(server, "cfg.set_now_string", "pa", "publishers", "sip:VM@Example.org,sip:b@example.com")
    expected = "parameter changed: pa.publishers='sip:VM@example.org,sip:b@example.com' was=''"
    wait_until(lambda: expected in log(server), "they are taken over")
    kamcmd(server, "cfg.set_now_string", "pa", "publishers", "s:")
    expected = "parameter changed: pa.publishers='' was='sip:VM@example.org,sip:b@example.com'"
    wait_until(lambda: expected in log(server), "there are none")


def log(server: Server) -> str:
    return server.log.read_text(errors="replace")


def test_presencectl_decides_by_what_is_in_force(server: Server, agents: Agents) -> None:
    """What kamcmd has set keeps bob waiting: that nobody decides about him any more lets him in nowhere."""
    bob = agents("bob")
    kamcmd(server, "cfg.set_now_string", "pa", "auth", "implicit")
    wait_until(lambda: not fetched(bob), "auth is implicit")
    assert "implicit" in server.control("parameters", "pa.auth")
    server.control("authorize", ALICE, bob.aor, "confirm")
    bob.subscribe(ALICE)
    assert bob.notify().state.startswith("pending")
    assert "confirm" in server.control("authorize", ALICE, bob.aor, "--remove")
    assert fetched(bob) == b""
