"""presencectl beside a running server: what it changes is told to watchers on the wire."""

import subprocess
from collections.abc import Callable

import pytest

from tests.server import ROOT, Server
from tests.useragent import Agents, pidf
from tests.wire import validity
from tests.wire.commands import control
from tests.wire.observe import wait_until

MOMENT = 30.0
"""Seconds until something has to be there."""


@pytest.fixture
def with_watcher_information(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its documents are not presence: they have a schema of their own."""
    errors_of = validity.errors_of
    monkeypatch.setattr(validity, "errors_of", lambda body: "" if b"<watcherinfo " in body else errors_of(body))


def test_a_publication_by_management_is_told(server: Server, agents: Agents) -> None:
    bob = agents("ctl-bob1")
    bob.subscribe("sip:ctl-alice1@example.org")
    assert b"closed" in bob.notify().body
    done = control(server, "publish", "ctl-alice1@example.org", "open", "--note", "from the desk", "--activity", "meeting")
    assert (done["operation"], done["subscriptions"], done["server"]) == ("created", 1, "told")
    told = bob.notify().body
    assert b"<basic>open</basic>" in told
    assert b"from the desk" in told
    assert b"meeting" in told
    assert control(server, "unpublish", "ctl-alice1@example.org")["server"] == "told"
    assert b"from the desk" not in bob.notify().body


def test_it_stands_beside_what_a_device_has_published(server: Server, agents: Agents) -> None:
    alice, bob = agents("ctl-alice2"), agents("ctl-bob2")
    bob.subscribe(alice.aor)
    bob.notify()
    assert alice.publish(pidf(user=alice.user, note="at my desk")).status == 200
    assert b"at my desk" in bob.notify().body
    control(server, "publish", alice.aor, "closed", "--note", "says the operator")
    told = bob.notify().body
    assert b"at my desk" in told
    assert b"says the operator" in told
    assert control(server, "presentity", "show", alice.aor)["publications"][1]["source"] == "management"


def test_who_is_blocked_is_told_so_and_refused_until_that_is_taken_back(server: Server, agents: Agents) -> None:
    bob, resource = agents("ctl-bob3"), "sip:ctl-alice3@example.org"
    bob.subscribe(resource)
    bob.notify()
    done = control(server, "authorize", resource, bob.aor, "block")
    assert (done["decision"], done["server"]) == ("block", "told")
    last = bob.notify()
    assert (last.state, last.body) == ("terminated;reason=rejected", b"")
    assert bob.subscribe(resource).status == 403
    assert control(server, "authorize", resource, bob.aor, "--remove")["decision"] == "allow"
    assert bob.subscribe(resource).status == 200
    assert bob.notify().state == "active"


def test_who_is_polite_blocked_sees_somebody_go_away(server: Server, agents: Agents) -> None:
    alice, bob = agents("ctl-alice4"), agents("ctl-bob4")
    bob.subscribe(alice.aor)
    away = bob.notify()
    alice.publish(pidf(user=alice.user))
    bob.notify()
    control(server, "authorize", alice.aor, bob.aor, "polite-block")
    told = bob.notify()
    assert (told.body, told.state) == (away.body, "active")


@pytest.mark.rfc("WINFO-005")
@pytest.mark.usefixtures("with_watcher_information")
def test_who_is_allowed_gets_the_document_and_the_presentity_hears_of_it(
    start_server: Callable[..., Server], agents_of: Agents
) -> None:
    server = start_server({"KP_SET": "pa.notify_interval=0;pa.auth=implicit"})
    alice, bob = agents_of(server, "alice"), agents_of(server, "bob")
    alice.publish(pidf(note="only for friends"))
    alice.subscribe(alice.aor, event="presence.winfo")
    alice.notify()
    bob.subscribe(alice.aor)
    first = bob.notify()
    assert (first.state, first.body) == ("pending", b"")
    assert b'status="pending"' in alice.notify().body
    assert control(server, "authorize", alice.aor, bob.aor)["server"] == "told"
    told = bob.notify()
    assert told.state == "active"
    assert b"only for friends" in told.body
    assert b'status="active" event="approved"' in alice.notify().body
    assert [each["event"] for each in control(server, "watchers", alice.aor)] == ["approved"]


def test_what_is_changed_while_no_server_runs_is_told_by_its_start(start_server: Callable[..., Server], agents_of: Agents) -> None:
    server = start_server()
    bob = agents_of(server, "bob")
    bob.subscribe("sip:alice@example.org")
    bob.notify()
    wait_until(lambda: control(server, "subscriptions")[0]["in_flight_since"] is None, "the answer is settled", MOMENT)
    server.stop()
    done = control(server, "publish", "alice@example.org", "open", "--note", "meanwhile")
    assert (done["subscriptions"], done["server"]) == (1, "not running")
    server.start()
    assert b"meanwhile" in bob.notify().body


def test_trace_shows_a_live_dialog(server: Server, agents: Agents) -> None:
    bob, resource = agents("ctl-bob5"), "sip:ctl-alice5@example.org"
    bob.subscribe(resource, "User-Agent: Test/1")
    bob.notify()
    wait_until(lambda: control(server, "trace", resource)["watchers"][0]["deadline"] == "expiry", "it is settled", MOMENT)
    page = server.control("trace", resource)
    for words in (
        f"{bob.aor}  active",
        "CSeq 1,",
        f"call-id={bob.call_id}",
        f"target      {bob.contact}",
        "Test/1",
        "pa.auth = none",
    ):
        assert words in page
    (listed,) = control(server, "subscriptions", "--resource", resource)
    assert (listed["watcher"], listed["remote_target"], listed["local_cseq"]) == (bob.aor, bob.contact, 1)
    assert resource in {each["presentity"] for each in control(server, "presentity", "list")}


def test_a_shell_completes_its_words(server: Server) -> None:
    script = """
        eval "$(.venv/bin/presencectl completion bash)" 2>/dev/null
        COMP_WORDS=(presencectl presentity sh) COMP_CWORD=2
        _presencectl_completion .venv/bin/presencectl
        echo "${COMPREPLY[@]}"
    """
    environment = server.environment | {"PATH": f"{ROOT}/.venv/bin:{server.environment['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "show\n"
