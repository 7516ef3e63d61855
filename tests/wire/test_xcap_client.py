"""Documents that a plain web server has, Debian's nginx, in the running server: fetched beside SIP, however slow that is."""

from collections.abc import Callable

import pytest

from tests.nginx import Nginx, Silence
from tests.server import Server
from tests.useragent import Agents, pidf
from tests.wire.observe import rows, wait_until
from tests.wire.plainfiles import (
    ALICE,
    ALLOW,
    BLOCK,
    BROKEN,
    RULES_FILE,
    ask,
    known,
    nginx,
    serve,
    silence,
    state_told,
)

__all__ = ["nginx", "serve", "silence"]

# Without rules: what is in the table


@pytest.mark.rfc("XCC-001", "XCC-002", "XCC-007")
def test_documents_come_change_and_go_as_the_files_do(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents) -> None:
    nginx.put(RULES_FILE, ALLOW)
    nginx.start()
    server = serve()
    watcher = agents_of(server, "bob")
    assert watcher.subscribe(ALICE).status == 200
    watcher.notify()
    ask(server, nginx)
    wait_until(lambda: known(server) == f"document of {len(ALLOW)}", "the document is there")
    wait_until(lambda: any('" 304 ' in line for line in nginx.requests), "it is asked for again, by its ETag")
    nginx.put(RULES_FILE, b"<ruleset/>")
    wait_until(lambda: known(server) == "document of 10", "the other document is there")
    nginx.put(RULES_FILE, BROKEN)
    wait_until(lambda: "no pres-rules document" in server.log.read_text(), "a broken document is told")
    assert known(server) == "document of 10"
    nginx.put(RULES_FILE, None)
    wait_until(lambda: known(server) == "missing", "there is none any more")


@pytest.mark.rfc("XCC-002")
def test_requests_are_answered_while_the_other_server_says_nothing(
    serve: Callable[..., Server], nginx: Nginx, silence: Silence, agents_of: Agents
) -> None:
    nginx.put(RULES_FILE, ALLOW)
    server = serve(xcap__fetch_timeout=60)
    for user in range(20):
        ask(server, nginx, f"pres-rules/users/user{user}/presence-rules.xml")
    wait_until(lambda: rows(server, "SELECT 1 FROM fetched WHERE next_at > 0"), "they are being fetched")
    for user in range(20):
        watcher = agents_of(server, f"bob{user}")
        assert watcher.subscribe(f"sip:user{user}@example.org").status == 200
        assert watcher.notify().get("Subscription-State").startswith(("active", "pending"))
        assert agents_of(server, f"user{user}").publish(pidf(user=f"user{user}")).status == 200


@pytest.mark.rfc("XCC-001")
def test_documents_come_when_the_other_server_is_back(serve: Callable[..., Server], nginx: Nginx, silence: Silence) -> None:
    nginx.put(RULES_FILE, ALLOW)
    server = serve(xcap__fetch_timeout=1)
    ask(server, nginx)
    wait_until(lambda: "XCAP server silent" in server.log.read_text(), "its silence is told")
    assert known(server) == "unknown"
    silence.close()
    nginx.start()
    wait_until(lambda: known(server) == f"document of {len(ALLOW)}", "the document is there")
    assert server.log.read_text().count("XCAP server answers again") == 1


# With rules


@pytest.mark.rfc("XCC-001", "XCC-002", "XCC-012")
def test_a_watcher_is_pending_while_the_other_server_says_nothing_and_active_when_it_is_back(
    serve: Callable[..., Server], nginx: Nginx, silence: Silence, agents_of: Agents
) -> None:
    nginx.put(RULES_FILE, ALLOW)
    server = serve(pa__auth="xcap", xcap__fetch_timeout=1)
    watcher = agents_of(server, "bob")
    assert watcher.subscribe(ALICE).status == 200
    assert state_told(watcher) == "pending"
    wait_until(lambda: "XCAP server silent" in server.log.read_text(), "its silence is told")
    silence.close()
    nginx.start()
    assert state_told(watcher) == "active"


@pytest.mark.rfc("XCC-012", "AUTH-004", "AUTH-005")
def test_who_watches_follows_the_file(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents) -> None:
    nginx.put(RULES_FILE, ALLOW)
    nginx.start()
    server = serve(pa__auth="xcap")
    watcher = agents_of(server, "bob")
    assert watcher.subscribe(ALICE).status == 200
    assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]
    nginx.put(RULES_FILE, None)
    assert state_told(watcher) == "pending"
    nginx.put(RULES_FILE, ALLOW)
    assert state_told(watcher) == "active"
    nginx.put(RULES_FILE, BROKEN)
    wait_until(lambda: "no pres-rules document" in server.log.read_text(), "a broken document is told")
    nginx.put(RULES_FILE, BLOCK)
    assert state_told(watcher) == "terminated"


@pytest.mark.rfc("XCC-012")
@pytest.mark.parametrize("name", ["index", "pres-rules"])
def test_rules_of_omas_clients_have_either_name(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents, name: str) -> None:
    nginx.put(f"org.openmobilealliance.pres-rules/users/alice/{name}", ALLOW)
    nginx.start()
    watcher = agents_of(serve(pa__auth="xcap"), "bob")
    assert watcher.subscribe(ALICE).status == 200
    assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]


def test_what_the_operator_does_not_name_is_not_asked_for(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents) -> None:
    nginx.put(RULES_FILE, ALLOW)
    nginx.put("org.openxcap.dialog-rules/users/alice/index", BLOCK)
    nginx.start()
    watcher = agents_of(serve(pa__auth="xcap", pa__oma_pres_rules_files="", pa__dialog_rules_file=""), "bob")
    assert watcher.subscribe(ALICE, event="dialog").status == 200
    assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]
    assert all("/pres-rules/users/alice/presence-rules.xml " in line for line in nginx.requests)


def test_who_sees_calls_follows_the_file(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents) -> None:
    nginx.put(RULES_FILE, ALLOW)
    nginx.start()
    watcher = agents_of(serve(pa__auth="xcap"), "bob")
    assert watcher.subscribe(ALICE, event="dialog").status == 200
    assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]
    nginx.put("org.openxcap.dialog-rules/users/alice/index", BLOCK)
    assert state_told(watcher) == "terminated"
