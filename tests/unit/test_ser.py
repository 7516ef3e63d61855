"""SER's script functions: kemi/ser.py, with a real database and a double of Kamailio."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from kemi import offline_winfo, subscribe
from kemi.database import Unavailable
from kemi.presence import online
from tests.ksr import KSR, Response
from tests.unit.kamailio import STRANGER, Server, call
from tests.unit.values import ALICE, BOB, CAROL, pidf

TRUE, FALSE, END = 1, -1, 0
PENDING = {"auth": "implicit"}
WINFO = ("Event", "presence.winfo")
FUNCTIONS = ("handle_subscription", "handle_publish", "handle_registration")
METHODS = dict(zip(FUNCTIONS, ("SUBSCRIBE", "PUBLISH", "REGISTER"), strict=True))
"""Which request each of them handles."""

QUESTIONS = ("target_online", "store_winfo")


@pytest.fixture
def server(scripted: Callable[[str], Server]) -> Server:
    return scripted("kemi.ser")


def handled(server: Server, method: str, *headers: tuple[str, str], identity: str = "", **changes: Any) -> tuple[int, Response]:
    """A request and the function that handles it: what it returns, and the one answer."""
    if method == "PUBLISH":
        changes = {"body": pidf("t1")} | changes
    before = len(server.ksr.responses)
    server.receive(method, *headers, **changes)
    if identity:
        server.ksr.variables["$avp(identity)"] = identity
    (function,) = (name for name, each in METHODS.items() if each == method)
    result = call(server, function, "registrar")
    assert len(server.ksr.responses) == before + 1, server.ksr.logged
    return result, server.ksr.responses[-1]


def set_pa(server: Server, **pa: Any) -> None:
    server.set(pa=replace(server.settings.pa, **pa))


def watcher_list(server: Server) -> str:
    """The newest NOTIFY with watcher information."""
    return next(request[5] for request in reversed(server.ksr.sent) if "watcherinfo" in request[5])


# Requests


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_request_is_answered_in_its_transaction(server: Server, function: str) -> None:
    result, done = handled(server, METHODS[function], ("From", f"<{ALICE}>;tag=1"))
    assert (result, done.status, done.stateful) == (TRUE, 200, True)


def test_our_tag_is_in_the_answer_though_the_script_has_made_the_transaction(server: Server, ksr: KSR) -> None:
    server.receive("SUBSCRIBE")
    assert ksr.call("tm.t_newtran", ()) == 1
    assert call(server, "handle_subscription", "registrar") == TRUE
    assert ksr.responses[-1].to.rpartition(";tag=")[2].startswith("kp-")
    assert len(ksr.sent) == 1


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_retransmission_ends_the_script_without_another_answer(server: Server, ksr: KSR, function: str) -> None:
    ksr.results["tm.t_newtran"] = 0
    server.receive(METHODS[function], body=pidf("t1") if function == "handle_publish" else b"")
    assert call(server, function, "registrar") == END
    assert ksr.responses == []


@pytest.mark.parametrize(("method", "header"), [("SUBSCRIBE", ("Event", "unknown")), ("PUBLISH", ("Event", "unknown"))])
def test_a_refusal_is_false(server: Server, method: str, header: tuple[str, str]) -> None:
    result, done = handled(server, method, header)
    assert (result, done.status) == (FALSE, 489)


def test_a_subscription_is_refused_where_kamailio_keeps_our_tag_out_of_the_answer(server: Server, ksr: KSR) -> None:
    """It applies no changes behind record_route(), which Kamailio's own configuration calls for each SUBSCRIBE."""
    ksr.results["textopsx.msg_apply_changes"] = -1
    server.receive("SUBSCRIBE")
    assert call(server, "handle_subscription", "registrar") == FALSE
    assert (ksr.responses[-1].status, ksr.sent) == (500, [])
    assert "record_route()" in server.lines("warn")[0]


def test_a_publish_for_somebody_else_is_false(server: Server) -> None:
    result, done = handled(server, "PUBLISH", uri=BOB)
    assert (result, done.status) == (FALSE, 403)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_another_domain_of_presentities_is_an_error(server: Server, function: str) -> None:
    server.receive(METHODS[function], ("From", f"<{ALICE}>;tag=1"), body=pidf("t1") if function == "handle_publish" else b"")
    assert call(server, function, "jabber") == FALSE
    assert server.ksr.responses[-1].status == 500
    assert "there is no domain 'jabber'" in server.lines("warn")[0]


@pytest.mark.parametrize("domain", ["registrar", "Registrar", " registrar "])
def test_the_domain_is_read_as_ser_read_it(server: Server, domain: str) -> None:
    server.receive("PUBLISH", body=pidf("t1"))
    assert call(server, "handle_publish", domain) == TRUE


def test_the_domain_may_be_left_out(server: Server) -> None:
    server.receive("PUBLISH", body=pidf("t1"))
    assert call(server, "handle_publish") == TRUE


def test_a_function_called_for_another_method_is_an_error(server: Server) -> None:
    server.receive("PUBLISH", body=pidf("t1"))
    assert call(server, "handle_subscription", "registrar") == FALSE
    assert server.ksr.responses[-1].status == 500
    assert "this function handles SUBSCRIBE" in server.lines("warn")[0]


def test_options_tells_what_is_served(server: Server, handler: ModuleType) -> None:
    server.receive("OPTIONS")
    assert call(server, "handle_options") == TRUE
    assert "presence" in server.ksr.responses[-1].headers["Allow-Events"][0].split(", ")


def test_presencectl_wakes_the_notifier_by_options(server: Server, ksr: KSR) -> None:
    server.receive("OPTIONS", uri="sip:192.0.2.1:5060;wake", source=("192.0.2.1", 40000))
    assert call(server, "handle_options") == TRUE
    assert [task[0] for task in ksr.tasks] == ["ksr_notify"]


# Who asks


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_stranger_is_asked_for_a_password(server: Server, function: str) -> None:
    result, done = handled(server, METHODS[function], source=(STRANGER, 5060))
    assert (result, done.status, done.stateful) == (FALSE, 401, True)
    assert done.headers["WWW-Authenticate"][0].startswith('Digest realm="example.org"')


@pytest.mark.parametrize("source", [STRANGER, "198.51.100.7"])
def test_who_the_script_names_is_who_asks(server: Server, source: str) -> None:
    """Whatever From says, and whether the source is trusted."""
    result, done = handled(server, "PUBLISH", identity=BOB, uri=BOB, source=(source, 5060))
    assert (result, done.status) == (TRUE, 200)
    result, done = handled(server, "PUBLISH", identity=BOB, source=(source, 5060))
    assert (result, done.status) == (FALSE, 403)


def test_what_the_script_names_has_to_be_a_uri(server: Server) -> None:
    result, done = handled(server, "PUBLISH", identity="alice")
    assert (result, done.status) == (FALSE, 400)


def test_a_script_that_names_nobody_cannot_be_deceived_by_a_header(server: Server) -> None:
    result, done = handled(server, "PUBLISH", ("Identity", ALICE), ("P-Asserted-Identity", f"<{ALICE}>"), source=(STRANGER, 5060))
    assert (result, done.status) == (FALSE, 401)


# What became of it


@pytest.mark.parametrize(
    ("pa", "headers", "status"),
    [
        ({}, [], "active"),
        (PENDING, [], "pending"),
        ({}, [("Expires", "0")], "terminated"),
        (PENDING, [("Expires", "0")], "terminated"),
        ({}, [("Event", "unknown")], "rejected"),
        ({}, [("Accept", "text/plain")], "rejected"),
        ({}, [WINFO], "rejected"),
    ],
)
def test_the_status_of_a_new_subscription(server: Server, pa: dict[str, str], headers: list[tuple[str, str]], status: str) -> None:
    set_pa(server, **pa)
    handled(server, "SUBSCRIBE", *headers)
    words = ("pending", "active", "rejected", "terminated")
    assert {word for word in words if call(server, "check_subscription_status", word) == TRUE} == {status}


@pytest.mark.parametrize(("word", "result"), [("Active", TRUE), (" ACTIVE ", TRUE), ("Pending", FALSE), ("whatever", FALSE)])
def test_words_are_compared_without_case(server: Server, word: str, result: int) -> None:
    handled(server, "SUBSCRIBE")
    assert call(server, "check_subscription_status", word) == result


def test_any_other_word_means_pending(server: Server) -> None:
    set_pa(server, **PENDING)
    handled(server, "SUBSCRIBE")
    assert call(server, "check_subscription_status", "whatever") == TRUE


@pytest.mark.parametrize("word", ["pending", "active", "rejected", "terminated"])
def test_the_status_is_that_of_this_message_only(server: Server, word: str) -> None:
    assert call(server, "check_subscription_status", word) == FALSE
    handled(server, "SUBSCRIBE")
    server.receive("OPTIONS")
    assert call(server, "check_subscription_status", word) == FALSE


def test_a_database_that_fails_leaves_rejected(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribe, "subscribe", raising(Unavailable("locked")))
    result, done = handled(server, "SUBSCRIBE")
    assert (result, done.status) == (FALSE, 503)
    assert call(server, "check_subscription_status", "rejected") == TRUE


def raising(error: Exception) -> Callable[..., Any]:
    def work(*_: Any, **__: Any) -> Any:
        raise error

    return work


# Online


def test_online_is_who_has_an_open_tuple(server: Server) -> None:
    server.receive("SUBSCRIBE")
    assert call(server, "target_online", "registrar") == FALSE
    handled(server, "PUBLISH")
    assert call(server, "target_online", "registrar") == TRUE
    server.receive("SUBSCRIBE", uri=BOB)
    assert call(server, "target_online", "registrar") == FALSE


@pytest.mark.parametrize("basic", ["closed", "", "busy"])
def test_who_has_no_open_tuple_is_not_online(server: Server, basic: str) -> None:
    body = pidf("t1").replace(b"<basic>open</basic>", f"<basic>{basic}</basic>".encode())
    handled(server, "PUBLISH", body=body)
    assert call(server, "target_online", "registrar") == FALSE


def test_one_of_several_publications_is_enough(server: Server) -> None:
    handled(server, "PUBLISH", body=pidf("t1").replace(b"open", b"closed"))
    handled(server, "PUBLISH", body=pidf("t2"))
    assert call(server, "target_online", "registrar") == TRUE


def test_a_registered_contact_is_online_for_its_register_too(server: Server) -> None:
    handled(server, "REGISTER", ("Contact", "<sip:alice@198.51.100.7:5062>"), uri="sip:example.org")
    assert call(server, "target_online", "registrar") == TRUE


def test_who_is_not_ours_is_not_online(server: Server) -> None:
    server.receive("MESSAGE", uri="sip:alice@example.net")
    assert call(server, "target_online", "registrar") == FALSE
    assert "this domain is not served here" in server.lines("err")[0]


@pytest.mark.parametrize("function", QUESTIONS)
def test_a_question_about_another_domain_is_an_error_and_answers_nothing(server: Server, function: str) -> None:
    server.receive("SUBSCRIBE")
    assert call(server, function, "jabber") == FALSE
    assert "there is no domain 'jabber'" in server.lines("err")[0]
    assert server.ksr.responses == []


def test_a_database_that_fails_is_false_and_logged(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online.store, "load_many", raising(Unavailable("locked")))
    server.receive("SUBSCRIBE")
    assert call(server, "target_online", "registrar") == FALSE
    assert "locked" in server.lines("err")[0]


# Who came meanwhile


def test_who_came_is_stored_and_told_when_the_script_asks(server: Server) -> None:
    handled(server, "SUBSCRIBE", ("Expires", "0"), ("From", f'"Bob" <{BOB}>;tag=1'))
    assert call(server, "store_winfo", "registrar") == TRUE
    handled(server, "SUBSCRIBE", WINFO, ("From", f"<{ALICE}>;tag=1"))
    assert BOB not in watcher_list(server)
    server.answer(server.ksr.sent[-1], 200)
    assert call(server, "dump_stored_winfo", "registrar,presence") == TRUE
    server.run_tasks()
    assert watcher_list(server).count(BOB) == 1
    assert 'status="terminated" event="timeout" display-name="Bob"' in watcher_list(server)


def test_a_watcher_is_stored_once(server: Server) -> None:
    for _ in range(3):
        handled(server, "SUBSCRIBE", ("Expires", "0"))
        assert call(server, "store_winfo", "registrar") == TRUE
    assert stored(server) == [(ALICE, BOB, "terminated")]


def test_another_watcher_is_another_entry(server: Server) -> None:
    for watcher in (BOB, CAROL):
        handled(server, "SUBSCRIBE", ("From", f"<{watcher}>;tag=1"))
        assert call(server, "store_winfo", "registrar") == TRUE
    assert stored(server) == [(ALICE, BOB, "active"), (ALICE, CAROL, "active")]


def stored(server: Server) -> list[tuple[str, str, str]]:
    """Presentity, watcher, status of what is stored and not told yet."""
    rows = server.database._connection.execute(  # type: ignore[attr-defined]
        "SELECT resource, watcher, status FROM watcher WHERE stored = 1 AND sequence IS NULL ORDER BY watcher"
    )
    return list(rows)


@pytest.mark.parametrize("header", [("Event", "unknown"), ("Accept", "text/plain")])
def test_who_was_refused_is_not_stored(server: Server, header: tuple[str, str]) -> None:
    handled(server, "SUBSCRIBE", header)
    assert call(server, "store_winfo", "registrar") == FALSE
    assert stored(server) == []


def test_the_watcher_of_another_message_is_not_stored(server: Server) -> None:
    handled(server, "SUBSCRIBE")
    server.receive("OPTIONS")
    assert call(server, "store_winfo", "registrar") == FALSE
    assert stored(server) == []


def test_nothing_is_stored_when_watchers_are_told_to_nobody(server: Server) -> None:
    set_pa(server, watcherinfo_notify=0)
    handled(server, "SUBSCRIBE")
    assert call(server, "store_winfo", "registrar") == FALSE
    assert stored(server) == []


def test_what_is_stored_is_kept_while_the_presentity_does_not_watch(server: Server) -> None:
    set_pa(server, winfo_watchers=(CAROL,))
    handled(server, "SUBSCRIBE")
    call(server, "store_winfo", "registrar")
    handled(server, "SUBSCRIBE", WINFO, ("From", f"<{CAROL}>;tag=1"))
    assert call(server, "dump_stored_winfo", "registrar,presence") == FALSE
    assert len(stored(server)) == 1


def test_nothing_stored_is_nothing_left_to_be_told(server: Server) -> None:
    handled(server, "SUBSCRIBE", WINFO, ("From", f"<{ALICE}>;tag=1"))
    assert call(server, "dump_stored_winfo", "registrar,presence") == TRUE
    assert len(server.ksr.sent) == 1


@pytest.mark.parametrize("argument", ["registrar", "registrar,", "registrar,presence.winfo.winfo", "jabber,presence", ""])
def test_what_is_told_has_to_be_named(server: Server, argument: str) -> None:
    server.receive("SUBSCRIBE", WINFO)
    assert call(server, "dump_stored_winfo", argument) == FALSE
    assert len(server.lines("err")) == 1


# By itself, in the script that is in Python


@pytest.mark.parametrize(("use_offline_winfo", "is_online", "auth", "kept"), [
    (1, False, "implicit", 1), (1, True, "implicit", 0), (1, False, "none", 0), (0, False, "implicit", 0),
])  # fmt: skip
def test_who_waits_for_somebody_who_is_away_is_stored_by_itself(
    server: Server, use_offline_winfo: int, is_online: bool, auth: str, kept: int
) -> None:
    set_pa(server, use_offline_winfo=use_offline_winfo, auth=auth)
    if is_online:
        server.request("PUBLISH", body=pidf("t1"))
    assert server.request("SUBSCRIBE").status == 200
    assert len(stored(server)) == kept


def test_it_is_stored_before_the_answer(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    set_pa(server, use_offline_winfo=1, auth="implicit")
    monkeypatch.setattr(offline_winfo, "store", raising(Unavailable("locked")))
    assert server.request("SUBSCRIBE").status == 503


def test_a_publisher_may_publish_for_everybody(server: Server) -> None:
    set_pa(server, publishers=(CAROL,))
    assert server.request("PUBLISH", ("From", f"<{CAROL}>;tag=1"), body=pidf("t1")).status == 200
    assert server.request("PUBLISH", ("From", f"<{BOB}>;tag=1"), body=pidf("t1")).status == 403


def test_a_function_that_is_not_there_is_false_and_logged(server: Server) -> None:
    """Kamailio itself says nothing more to a process in which it has missed one."""
    server.receive("PUBLISH", body=pidf("t1"))
    assert call(server, "handle_publsh", "registrar") == FALSE
    assert any("calls handle_publsh, which is no function of this server" in line for _, line in server.ksr.logged)
    assert call(server, "handle_publish", "registrar") == TRUE
