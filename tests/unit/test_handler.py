"""Kamailio's callbacks: kemi/handler.py, with a real database and a double of Kamailio. Who asks: test_handler_identity.py."""

import re
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kemi import subscribe
from kemi.database import Conflict, Unavailable
from kemi.presence import publish
from tests.ksr import CONFIGURATION, KSR, Message
from tests.unit.kamailio import OWN, TRUSTED, Server
from tests.unit.values import ALICE, pidf

# The round of a document


@pytest.mark.rfc("PA-001")
@pytest.mark.rfc("TRN-008")
def test_a_subscribe_is_answered_and_told_with_one_tag(server: Server, ksr: KSR) -> None:
    done = server.request("SUBSCRIBE")
    assert (done.status, done.stateful, done.headers["Expires"]) == (200, False, ["600"])
    ((method, uri, _, _, headers, _),) = ksr.sent
    assert (method, uri) == ("NOTIFY", f"sip:bob@{TRUSTED}:5062")
    tag = done.to.rpartition(";tag=")[2]
    assert f"From: <{ALICE}>;tag={tag}\r\n" in headers
    assert len(tag) >= 16


@pytest.mark.rfc("PA-022")
def test_a_publish_is_told_to_the_watcher_when_it_has_answered(server: Server, ksr: KSR) -> None:
    server.request("SUBSCRIBE")
    assert server.request("PUBLISH", body=pidf("t1", note="here")).status == 200
    server.run_tasks()
    assert len(ksr.sent) == 1
    server.answer(ksr.sent[0], 200)
    server.run_tasks()
    assert len(ksr.sent) == 2
    assert "here" in ksr.sent[1][5]


@pytest.mark.rfc("TRN-009")
def test_a_retransmitted_subscribe_gets_the_same_answer_and_no_second_notify(server: Server, ksr: KSR) -> None:
    same = [("Call-ID", "call"), ("CSeq", "1 SUBSCRIBE"), ("Via", f"SIP/2.0/UDP {TRUSTED}:5062;branch=z9hG4bKsame")]
    first, second = server.request("SUBSCRIBE", *same), server.request("SUBSCRIBE", *same)
    assert (first.status, first.to, first.headers) == (second.status, second.to, second.headers)
    assert len(ksr.sent) == 1


@pytest.mark.rfc("TRN-009")
def test_a_retransmitted_fetch_is_left_to_its_transaction(server: Server, ksr: KSR) -> None:
    ksr.results["tm.t_newtran"] = 0
    with pytest.raises(AssertionError):
        server.request("SUBSCRIBE", ("Expires", "0"))
    assert (ksr.responses, ksr.sent) == ([], [])


def test_a_notify_that_cannot_be_sent_is_taken_note_of(server: Server, ksr: KSR) -> None:
    ksr.results["tm.t_uac_send"] = -1
    done = server.request("SUBSCRIBE")
    assert done.status == 200
    server.run_tasks()
    ((due, waiting),) = server.database._connection.execute(  # type: ignore[attr-defined]
        "SELECT due_at, in_flight_since FROM subscription"
    )
    assert due is not None
    assert waiting is None


@pytest.mark.parametrize(
    ("method", "tag", "status", "passed"),
    [("NOTIFY", "kp-1", 200, 1), ("NOTIFY", "kp-1", 180, 0), ("NOTIFY", "other", 200, 0), ("OPTIONS", "kp-1", 200, 0)],
)
def test_only_final_answers_to_our_own_notifies_are_passed_on(
    server: Server, ksr: KSR, method: str, tag: str, status: int, passed: int
) -> None:
    headers: list[tuple[str, str | bytes]] = [("From", f"<{ALICE}>;tag={tag}"), ("CSeq", f"1 {method}")]
    ksr.receive(Message(method, headers=headers, status=status))
    assert server.handler.ksr_reply_route(None) == 1
    assert len(ksr.queue) == passed


# Answers that go wrong


@pytest.mark.parametrize("header", [("Contact", b'"Ren\xe9" <sip:bob@198.51.100.7:5062>'), ("Contact", "<sip:\x00>")])
def test_an_answer_with_a_strange_contact_settles_its_notify_too(server: Server, ksr: KSR, header: tuple[str, str | bytes]) -> None:
    server.request("SUBSCRIBE")
    server.answer(ksr.sent[0], 200, header)
    assert len(ksr.queue) == 1


def test_one_strange_answer_does_not_lose_the_others(server: Server, ksr: KSR) -> None:
    for _ in range(3):
        server.request("SUBSCRIBE")
    for request, retry_after in zip(list(ksr.sent), ("5", "²", "5"), strict=True):
        server.answer(request, 500, ("Retry-After", retry_after))
    server.run_tasks()
    assert waiting(server) == 0


def test_answers_are_not_lost_when_the_database_cannot_take_them(
    server: Server, ksr: KSR, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else their subscriptions would be removed as if nobody had answered."""
    server.request("SUBSCRIBE")
    server.answer(ksr.sent[0], 200)
    with monkeypatch.context() as broken:
        broken.setattr(handler.notify, "notify", raising(Unavailable("locked")))
        server.handler.ksr_notify(None)
    assert any("locked" in line for line in server.lines("err"))
    server.handler.ksr_notify(None)
    assert waiting(server) == 0


def waiting(server: Server) -> int:
    """Subscriptions whose NOTIFY nobody has answered yet."""
    ((count,),) = server.database._connection.execute(  # type: ignore[attr-defined]
        "SELECT COUNT(*) FROM subscription WHERE in_flight_since IS NOT NULL"
    )
    return int(count)


def raising(error: Exception) -> Callable[..., Any]:
    def work(*_: Any, **__: Any) -> Any:
        raise error

    return work


# Refusals


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (Unavailable("locked"), 503, {"Retry-After": ["5"]}),
        (ZeroDivisionError("secret"), 500, {}),
        (OSError("disk"), 500, {}),
    ],
)
@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_what_escapes_is_answered_once_and_logged(
    server: Server, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, status: int, headers: Any
) -> None:
    monkeypatch.setattr({"SUBSCRIBE": subscribe, "PUBLISH": publish}[method], method.lower(), raising(error))
    done = server.request(method, body=pidf("t1") if method == "PUBLISH" else b"")
    assert (done.status, done.headers) == (status, headers)
    assert len(server.lines("err")) == 1


def test_a_database_that_refuses_every_request_is_one_line_and_one_later(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "publish", raising(Unavailable("locked")))
    monkeypatch.setattr(subscribe, "subscribe", raising(Unavailable("full")))
    for method in ("PUBLISH", "SUBSCRIBE") * 3:
        assert server.request(method, body=pidf("t1") if method == "PUBLISH" else b"").status == 503
    assert server.lines("err") == ["database: locked", "database: full"]
    later = time.monotonic() + 3600
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert server.request("PUBLISH", body=pidf("t1")).status == 503
    assert server.lines("err") == ["database: locked", "database: full", "database: locked"]


def test_a_conflict_is_tried_once_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = publish.publish, []

    def once(*arguments: Any) -> Any:
        tried.append(1)
        if len(tried) == 1:
            raise Conflict("deadlock")
        return real(*arguments)

    monkeypatch.setattr(publish, "publish", once)
    assert server.request("PUBLISH", body=pidf("t1")).status == 200
    monkeypatch.setattr(publish, "publish", raising(Conflict("deadlock")))
    assert server.request("PUBLISH", body=pidf("t1")).status == 503


@pytest.mark.parametrize("name", ["From", "To", "Event", "Call-ID", "Contact", "User-Agent"])
@pytest.mark.parametrize("method", ["SUBSCRIBE", "INFO", "REGISTER"])
def test_octets_that_are_no_utf_8_are_the_senders_mistake_or_nobodys(server: Server, method: str, name: str) -> None:
    done = server.request(method, (name, b"<sip:caf\xe9@example.org>;tag=1"))
    assert done.status < 500


@pytest.mark.rfc("TRN-008")
def test_a_name_in_to_that_is_no_utf_8_leaves_no_answer_without_to(server: Server) -> None:
    done = server.request("SUBSCRIBE", ("To", b'"Ren\xe9" <sip:alice@example.org>'))
    assert done.status in (200, 400)
    assert f"<{ALICE}>" in done.to


@pytest.mark.rfc("TRN-018")
@pytest.mark.parametrize(("uri", "status"), [("tel:+1", 416), ("sip:bob@example.net", 404), ("sip:example.org", 404)])
def test_a_request_uri_that_is_not_served(server: Server, uri: str, status: int) -> None:
    assert server.request("PUBLISH", body=pidf("t1"), uri=uri).status == status


@pytest.mark.rfc("TRN-015")
@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_a_required_extension_is_refused(server: Server, method: str) -> None:
    done = server.request(method, ("Require", "100rel"), ("Require", "x"), body=pidf("t1") if method == "PUBLISH" else b"")
    assert (done.status, done.headers["Unsupported"]) == (420, ["100rel, x"])


@pytest.mark.rfc("TRN-018")
def test_a_method_that_is_not_served(server: Server) -> None:
    done = server.request("INFO")
    assert done.status == 405
    assert {"SUBSCRIBE", "PUBLISH", "OPTIONS"} <= set(done.headers["Allow"][0].split(", "))


@pytest.mark.rfc("PUB-026")
@pytest.mark.rfc("PA-038")
def test_options_tells_what_is_served(server: Server) -> None:
    done = server.request("OPTIONS", uri=f"sip:{OWN}:5060")
    assert done.status == 200
    assert done.headers["Allow-Events"] == ["presence, dialog, message-summary, xcap-diff"]
    assert "application/pidf+xml" in done.headers["Accept"][0].split(", ")
    assert {"SUBSCRIBE", "PUBLISH", "NOTIFY"} <= set(done.headers["Allow"][0].split(", "))


@pytest.mark.rfc("PA-010")
def test_a_notify_for_us_has_no_subscription(server: Server) -> None:
    assert server.request("NOTIFY").status == 481


@pytest.mark.rfc("PA-037")
@pytest.mark.parametrize(("known", "status"), [(1, 200), (-1, 481)])
def test_cancel_is_answered_and_does_nothing_else(server: Server, ksr: KSR, known: int, status: int) -> None:
    ksr.results["tm.t_lookup_cancel"] = known
    assert server.request("CANCEL").status == status


@pytest.mark.rfc("TRN-031")
def test_a_request_with_too_many_hops_is_answered_with_483(server: Server, ksr: KSR) -> None:
    ksr.results["maxfwd.process_maxfwd"] = -1
    assert server.request("SUBSCRIBE").status == 483


@pytest.mark.rfc("SEC-028")
def test_a_refusal_is_one_line_without_body_or_credentials(server: Server) -> None:
    server.request("PUBLISH", ("Authorization", 'Digest response="abc"'), ("Event", "unknown"), body=pidf("t1", note="private"))
    (line,) = server.lines("warn")
    assert "489" in line
    assert not any(word in line for word in ("private", "abc", "\n"))


# Time and tasks


@pytest.mark.parametrize("callback", ["ksr_notify", "ksr_timer_tick"])
@pytest.mark.parametrize("error", [Unavailable("locked"), ZeroDivisionError("x")])
def test_work_that_nobody_waits_for_logs_what_escapes(
    server: Server, handler: ModuleType, monkeypatch: pytest.MonkeyPatch, callback: str, error: Exception
) -> None:
    monkeypatch.setattr(handler.notify, "notify", raising(error))
    monkeypatch.setattr(handler.sweep, "sweep", raising(error))
    assert getattr(server.handler, callback)(None) == 1
    assert len(server.lines("err")) == 1


def test_a_database_that_is_gone_is_one_line_and_one_when_it_is_back(
    server: Server, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as gone:
        gone.setattr(handler.sweep, "sweep", raising(Unavailable("gone")))
        for _ in range(3):
            server.handler.ksr_timer_tick(None)
    assert (server.lines("err"), server.lines("warn")) == (["database: gone"], [])
    for _ in range(3):
        server.handler.ksr_timer_tick(None)
    assert server.lines("warn") == ["database: works again"]
    monkeypatch.setattr(handler.sweep, "sweep", raising(Unavailable("gone")))
    server.handler.ksr_timer_tick(None)
    assert server.lines("err") == ["database: gone"] * 2


def test_work_without_the_database_does_not_say_that_it_works_again(
    server: Server, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether connections were closed is asked of Kamailio alone."""
    monkeypatch.setattr(handler.notify, "notify", raising(Unavailable("gone")))
    for _ in range(3):
        server.handler.ksr_notify(None)
    assert (server.lines("err"), server.lines("warn")) == (["database: gone"], [])


def test_the_notifier_may_be_called_again_as_soon_as_it_looks(
    server: Server, ksr: KSR, handler: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler.gateway.wake()
    ksr.tasks.clear()
    monkeypatch.setattr(handler.notify, "notify", lambda *_: (handler.gateway.wake(), ([], False))[1])
    server.handler.ksr_notify(None)
    assert len(ksr.tasks) == 1


def test_every_callback_that_the_configuration_names_is_there(server: Server) -> None:
    """Kamailio calls one that is missing nowhere, and says nothing."""
    named = set(re.findall(r"\bksr_\w+", CONFIGURATION))
    assert named
    assert {name for name in named if not callable(getattr(server.handler, name, None))} == set()
