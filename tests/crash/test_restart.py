"""What a restart does, and what it does not do."""

import subprocess
import time
from collections.abc import Callable

import pytest

from tests.server import ROOT, Server, free_port
from tests.useragent import Agents, Message, UserAgent, pidf
from tests.wire.observe import change, rows, wait_until, wait_until_settled

pytestmark = pytest.mark.crash
ALICE = "sip:alice@example.org"
LIFETIME = 3
"""Seconds: long enough to subscribe and be told, short enough to wait for."""


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server()


def _crash(server: Server) -> None:
    server.kill()
    server.start()


def _again(agent: UserAgent) -> Message:
    """Send the last request once more, octet by octet."""
    agent.send_raw(agent.sent)
    return agent.response(agent.branch)


def _count(server: Server, table: str) -> int:
    return int(rows(server, f"SELECT COUNT(*) FROM {table}")[0][0])


def _published(agent: UserAgent, operation: str) -> Message:
    """Publish something, and then do that with it."""
    created = agent.publish(pidf())
    tag = created.get("SIP-ETag")
    if operation == "modify":
        return agent.publish(pidf("closed"), etag=tag)
    if operation == "refresh":
        return agent.publish(b"", etag=tag)
    return agent.publish(b"", etag=tag, expires=0) if operation == "remove" else created


@pytest.mark.rfc("TRN-010")
def test_publish_is_answered_again(server: Server, agents: Agents) -> None:
    """A 200 that is lost in a crash: the retransmission gets it again, and nothing happens twice."""
    devices = {operation: agents("alice") for operation in ("create", "modify", "refresh", "remove")}
    answers = {operation: _published(agent, operation) for operation, agent in devices.items()}
    _crash(server)
    for _ in range(2):
        again = {operation: _again(agent) for operation, agent in devices.items()}
        assert {operation: answer.status for operation, answer in again.items()} == dict.fromkeys(devices, 200)
        for operation in ("create", "modify", "refresh"):
            assert again[operation].get("SIP-ETag") == answers[operation].get("SIP-ETag")
    assert _count(server, "publication") == 3


@pytest.mark.rfc("TRN-009")
@pytest.mark.rfc("TRN-010")
def test_subscribe_is_answered_again(server: Server, agents: Agents) -> None:
    """The first one and a refresh: same dialog, one row."""
    new, refreshing = agents("new"), agents("refreshing")
    first = new.subscribe(ALICE)
    new.notify()
    second = refreshing.subscribe(ALICE)
    refreshing.notify()
    refreshing.subscribe(ALICE, cseq=2, call_id=refreshing.call_id, from_tag=refreshing.from_tag, to_tag=second.to_tag)
    refreshing.notify()
    wait_until_settled(server)
    _crash(server)
    answer = _again(new)
    assert (answer.status, answer.to_tag) == (200, first.to_tag)
    assert _again(refreshing).status == 200
    assert _count(server, "subscription") == 2


def test_notify_without_answer_is_sent_again(server: Server, agents: Agents) -> None:
    """Its transaction died with the server; the newest state goes out, with a higher number."""
    alice, bob = agents("alice"), agents("bob")
    bob.subscribe(ALICE)
    bob.notify()
    wait_until_settled(server)
    bob.answer_notify = 0
    alice.publish(pidf("open", note="first"))
    lost = bob.notify()
    alice.publish(pidf("open", tuple_id="t2", note="second"))
    server.kill()
    bob.inbox.clear()
    bob.answer_notify = 200
    server.start()
    again = bob.wait(lambda message: message.method == "NOTIFY" and message.cseq > lost.cseq)
    bob.respond(again, 200)
    assert b"first" in again.body
    assert b"second" in again.body


def test_notify_that_was_held_back_is_sent(start_server: Callable[..., Server]) -> None:
    """A change that waits for `pa.notify_interval` to be over waits through a crash."""
    server = start_server({"KP_SET": "pa.notify_interval=2"})
    alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
    bob.subscribe(ALICE)
    first = bob.notify()
    wait_until_settled(server)
    alice.publish(pidf("open", note="held-back"))
    _crash(server)
    later = bob.notify()
    assert later.cseq > first.cseq
    assert b"held-back" in later.body


def test_what_expired_meanwhile_is_ended(start_server: Callable[..., Server]) -> None:
    server = start_server({"KP_SET": "pa.notify_interval=0;pa.min_expires=1"})
    alice, bob, carl = (UserAgent(server.address, user) for user in ("alice", "bob", "carl"))
    alice.publish(pidf("open", note="short"), expires=LIFETIME)
    bob.subscribe(ALICE, expires=LIFETIME)
    bob.notify()
    carl.subscribe(ALICE)
    assert b"short" in carl.notify().body
    wait_until_settled(server)
    server.kill()
    over = time.time() + LIFETIME
    wait_until(lambda: time.time() > over, "the lifetimes are over")
    server.start()
    assert bob.wait(lambda message: message.method == "NOTIFY").get("Subscription-State") == "terminated;reason=timeout"
    assert b"short" not in carl.notify().body
    assert _count(server, "publication") == 0


def test_idle_subscriptions_hear_nothing(server: Server, agents: Agents) -> None:
    """Who is up to date is left alone: of eleven watchers only the one whose NOTIFY got lost gets one."""
    idle = [agents(f"idle{number}") for number in range(10)]
    for agent in idle:
        agent.subscribe(ALICE)
        agent.notify()
    wait_until_settled(server)
    owed = agents("owed")
    owed.answer_notify = 0
    owed.subscribe(ALICE)
    lost = owed.notify()
    for restart in (_crash, _stop_and_start):
        restart(server)
        again = owed.wait(lambda message, last=lost: message.method == "NOTIFY" and message.cseq > last.cseq)
        lost = again
    assert all(agent.no_notify(0) for agent in idle)


def _stop_and_start(server: Server) -> None:
    server.stop()
    server.start()


def _refused_start(server: Server, **variables: str) -> list[str]:
    """Try to start another server; the lines it ends with."""
    done = subprocess.run(
        [ROOT / ".venv/bin/presencectl", "run"],
        cwd=ROOT, env=server.environment | variables, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stderr.splitlines()


def test_second_server_is_refused(server: Server, agents: Agents) -> None:
    complaint = _refused_start(server, KP_PORT=str(free_port()), KP_HTTP_PORT=str(free_port()))
    assert len(complaint) == 1
    assert "already running" in complaint[0]
    assert agents("bob").subscribe(ALICE).status == 200


@pytest.mark.parametrize("command", ["run", "check"])
def test_newer_schema_is_refused(server: Server, command: str) -> None:
    change(server, "INSERT INTO migration (name) VALUES ('9999_future')")
    server.kill()
    done = subprocess.run(
        [ROOT / ".venv/bin/presencectl", command],
        cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "9999_future" in done.stdout + done.stderr
    if command == "run":
        assert len(done.stderr.splitlines()) == 1
