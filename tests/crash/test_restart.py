"""What a restart does, and what it does not do."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server import ROOT, Server, free_port
from tests.useragent import PATIENCE, Agents, Message, UserAgent, pidf
from tests.wire.observe import change, rows, wait_until, wait_until_settled

pytestmark = pytest.mark.crash
ALICE = "sip:alice@example.org"
LIFETIME = 3
"""Seconds: long enough to subscribe and be told, short enough to wait for."""
MANY = 20
"""Connections: more than a start is asked over whether it is ready."""


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


def test_who_watches_is_told_from_the_address_that_the_server_has_now(server: Server, agents: Agents) -> None:
    """Another KP_IP or KP_PORT, or a backup on another machine: Contact of the next NOTIFY is where a refresh goes."""
    bob = agents("bob")
    tag, before = bob.subscribe(ALICE).to_tag, bob.notify()
    wait_until_settled(server)
    server.stop()
    server.port = free_port()
    server.variables["KP_PORT"] = str(server.port)
    server.start()
    bob.server = server.address
    told = bob.notify()
    contact = told.get("Contact").strip("<>")
    assert (told.cseq > before.cseq, contact.partition(";")[0]) == (True, f"sip:127.0.0.1:{server.port}")
    dialog = {"to": f"<{ALICE}>", "call_id": bob.call_id, "from_tag": bob.from_tag, "to_tag": tag}
    assert bob.subscribe(contact, cseq=2, **dialog).status == 200
    assert bob.notify().cseq > told.cseq


@pytest.mark.rfc("TRN-013")
def test_a_connection_of_before_is_not_taken_for_one_of_now(server: Server, agents: Agents) -> None:
    """Kamailio numbers connections anew: who comes first has the number of bob's, which is gone. He is told at his Contact."""
    others = [agents(f"other{number}", "tcp") for number in range(MANY)]
    assert {each.request("OPTIONS", "sip:example.org").status for each in others} == {200}
    bob, alice = agents("bob", "tcp"), agents("alice")
    with socket.create_server((server.address[0], 0)) as listening:
        listening.settimeout(PATIENCE)
        contact = "sip:bob@{}:{};transport=tcp".format(*listening.getsockname())
        assert bob.request("SUBSCRIBE", ALICE, "Event: presence", f"Contact: <{contact}>", "Expires: 600").status == 200
        bob.notify()
        wait_until_settled(server)
        ((number,),) = rows(server, "SELECT connection FROM subscription WHERE watcher = 'sip:bob@example.org'")
        _crash(server)
        for _ in range(2 * MANY):
            assert agents("carl", "tcp").subscribe("sip:carl@example.org").status == 200
        assert (number,) in rows(server, "SELECT connection FROM subscription WHERE watcher = 'sip:carl@example.org'")
        alice.publish(pidf("open", note="after"))
        with listening.accept()[0] as connection:
            assert connection.recv(4096).startswith(f"NOTIFY {contact} SIP/2.0".encode())


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


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_process_that_does_not_end_is_not_waited_for_long(server: Server) -> None:
    """As one that had only just begun, and has missed its signal."""
    main = server.process
    assert main is not None
    hanging = int(Path(f"/proc/{main.pid}/task/{main.pid}/children").read_text().split()[0])
    os.kill(hanging, signal.SIGSTOP)
    wait_until(lambda: "no child has stopped" in server.log.read_text(), "Kamailio has looked, and waits for its next signal")
    main.send_signal(signal.SIGTERM)
    main.wait(PATIENCE + 10)
    server.start()
