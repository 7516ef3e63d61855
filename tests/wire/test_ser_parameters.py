"""SER's parameters of module pa (SER handbook section 5.2), each changed by kamcmd while the server runs: what watchers see of it.

Those that need another XCAP server: test_xcap_client.py. Those that count from the next start on: test_subscribe_to_users.py.
"""

import time
from collections.abc import Callable

import pytest

from kemi import parameters
from tests.server import Server
from tests.useragent import Agents, Message, UserAgent, pidf
from tests.wire.commands import kamcmd
from tests.wire.observe import change, rows, wait_until

ALICE = "sip:alice@example.org"
WINFO = "presence.winfo"
ELSEWHERE = "sip:elsewhere@192.0.2.99"


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server({"KP_SET": "pa.notify_interval=0"})


@pytest.fixture
def alice(agents: Agents) -> UserAgent:
    return agents("alice")


@pytest.fixture
def bob(agents: Agents) -> UserAgent:
    return agents("bob")


def set_now(server: Server, name: str, value: int | str) -> None:
    """A parameter is changed, and is in force."""
    group, _, own = name.partition(".")
    kind = "int" if isinstance(value, int) else "string"
    kamcmd(server, f"cfg.set_now_{kind}", group, own, str(value) or "s:")
    line = f"parameter changed: {name}={value!r} was="
    wait_until(lambda: line in server.log.read_text(errors="replace"), line)


def fetched(agent: UserAgent, event: str = "presence") -> Message:
    assert agent.subscribe(ALICE, expires=0, event=event).status == 200
    return agent.notify(call_id=agent.call_id)


def test_the_lifetimes_count_from_the_next_request_on(server: Server, alice: UserAgent, bob: UserAgent) -> None:
    set_now(server, "pa.default_expires", 120)
    assert bob.subscribe(ALICE, expires=None).get("Expires") == "120"
    assert alice.publish(pidf(), expires=None).get("Expires") == "120"
    set_now(server, "pa.max_subscription_expiration", 200)
    set_now(server, "pa.max_publish_expiration", 300)
    for event in ("presence", WINFO):
        assert alice.subscribe(ALICE, expires=3600, event=event).get("Expires") == "200"
    assert alice.publish(pidf(), expires=3600).get("Expires") == "300"


def test_auth_and_auth_default_decide_the_next_subscription(server: Server, alice: UserAgent, bob: UserAgent) -> None:
    alice.publish(pidf())
    assert b"<presence" in fetched(bob).body
    set_now(server, "pa.auth", "implicit")
    assert (fetched(bob).body, b"<presence" in fetched(alice).body) == (b"", True)
    set_now(server, "pa.auth", "xcap")
    set_now(server, "pa.auth_default", "block")
    assert bob.subscribe(ALICE, expires=0).status == 403


def test_winfo_auth_decides_who_sees_watchers(server: Server, bob: UserAgent) -> None:
    assert bob.subscribe(ALICE, expires=0, event=WINFO).status == 403
    set_now(server, "pa.winfo_auth", "none")
    assert b"<watcherinfo" in fetched(bob, WINFO).body


def test_without_watcherinfo_notify_the_package_is_unknown(server: Server, alice: UserAgent) -> None:
    assert b"<watcherinfo" in fetched(alice, WINFO).body
    set_now(server, "pa.watcherinfo_notify", 0)
    assert alice.subscribe(ALICE, expires=0, event=WINFO).status == 489


def test_use_callbacks_and_default_priority_percentage(server: Server, alice: UserAgent, bob: UserAgent) -> None:
    alice.register()
    assert f'<contact priority="0">{alice.contact}</contact>'.encode() in fetched(bob).body
    set_now(server, "pa.default_priority_percentage", 35)
    wait_until(lambda: b'<contact priority="0.35">' in fetched(bob).body, "it has the new priority")
    set_now(server, "pa.use_callbacks", 0)
    wait_until(lambda: alice.contact.encode() not in fetched(bob).body, "nobody sees it")


def test_with_use_offline_winfo_who_came_is_stored_for_its_time(server: Server, bob: UserAgent) -> None:
    set_now(server, "pa.auth", "implicit")
    assert bob.subscribe(ALICE).status == 200
    assert rows(server, "SELECT watcher FROM watcher WHERE stored = 1") == []
    set_now(server, "pa.use_offline_winfo", 1)
    set_now(server, "pa.offline_winfo_expiration", 7200)
    begun = time.time()
    assert bob.subscribe(ALICE).status == 200
    ((watcher, expires_at),) = rows(server, "SELECT watcher, expires_at FROM watcher WHERE stored = 1")
    assert watcher == bob.aor
    assert begun + 7199 < expires_at < time.time() + 7201


def test_offline_winfo_timer_says_how_often_is_cleaned_up(server: Server, bob: UserAgent) -> None:
    """What ran out stays until the next cleaning; with a shorter interval there was one already."""
    set_now(server, "pa.offline_winfo_timer", 86400)
    set_now(server, "pa.auth", "implicit")
    set_now(server, "pa.use_offline_winfo", 1)
    assert bob.subscribe(ALICE).status == 200
    now = time.time()
    change(server, f"UPDATE watcher SET expires_at = {max(now - 10, now - now % 86400 + 1)}")
    set_now(server, "pa.watcherinfo_notify", 0)
    assert rows(server, "SELECT watcher FROM watcher WHERE stored = 1") == [(bob.aor,)]
    set_now(server, "pa.offline_winfo_timer", 1)
    wait_until(lambda: not rows(server, "SELECT watcher FROM watcher WHERE stored = 1"), "it is cleaned up")


def test_with_notify_is_refresh_an_answer_changes_the_remote_target(
    server: Server, alice: UserAgent, bob: UserAgent, agents: Agents
) -> None:
    moved = agents("bob")
    bob.answer_headers = f"Contact: <{moved.contact}>\r\n"
    set_now(server, "pa.notify_is_refresh", 0)
    bob.subscribe(ALICE)
    bob.notify()
    tag = alice.publish(pidf()).get("SIP-ETag")
    assert b"open" in bob.notify().body
    set_now(server, "pa.notify_is_refresh", 1)
    tag = alice.publish(pidf(note="here"), etag=tag).get("SIP-ETag")
    assert b"here" in bob.notify().body
    wait_until(
        lambda: rows(server, "SELECT remote_target FROM subscription") == [(moved.contact,)], "it is where the next one goes"
    )
    alice.publish(pidf(note="there"), etag=tag)
    assert b"there" in moved.notify().body


OTHER = {
    "pa.default_expires": 3000, "pa.max_body": 70000, "pa.auth": "implicit", "pa.auth_default": "allow", "rls.auth": "none",
    "pa.winfo_auth": "none", "pa.presentities": "subscriber", "pa.offline_document": "empty", "pa.dialog_details": "all",
    "pa.im_rules_default": "block", "xcap.root": "/other", "rls.simple_list": "$uid-list", "b2b.domains": "far.example.net",
    "b2b.presence_route": "<sip:192.0.2.1;lr>", "b2b.presence_outbound_proxy": "sip:192.0.2.1",
    "b2b.additional_presence_headers": "X-Own: 1", "rls.default_expiration": 3000,
}  # fmt: skip
"""Another value of those where the one below is none, or contradicts another parameter."""


def another(name: str) -> int | str:
    """A value that differs from the default."""
    parameter = parameters.known()[name]
    if name in OTHER:
        return OTHER[name]
    if "choices" in parameter.metadata:
        return str(next(each for each in parameter.metadata["choices"] if each != parameter.default))
    if "range" in parameter.metadata:
        _least, most = parameter.metadata["range"]
        return int(parameter.default + 1 if parameter.default < most else parameter.default - 1)
    return "sip:somebody@example.org" if "uris" in parameter.metadata else "another"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_every_parameter_that_may_change_does(server: Server) -> None:
    changing = [name for name, each in parameters.known().items() if each.metadata["runtime"] and name != "pa.notify_interval"]
    for name in changing:
        value = another(name)
        group, _, own = name.partition(".")
        kamcmd(server, f"cfg.set_now_{'int' if isinstance(value, int) else 'string'}", group, own, str(value))
    expected = {f"parameter changed: {name}={another(name)!r} was=" for name in changing}

    def missing() -> set[str]:
        text = server.log.read_text(errors="replace")
        return {line for line in expected if line not in text}

    try:
        wait_until(lambda: not missing(), "all are taken over", 10)
    except TimeoutError:
        assert missing() == set()
