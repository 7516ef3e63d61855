"""Subscriptions of the server's own in a double of Kamailio: requests, answers and NOTIFYs between its processes."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from kemi.b2bua import store
from kemi.b2bua.outgoing import Key, Phase
from kemi.parameters import B2buaSettings
from tests.ksr import KSR, Message
from tests.unit.kamailio import TRUSTED, Server
from tests.unit.values import ALICE, PIDF, fields_of, pidf

DAN = "sip:dan@far.example.net"


@pytest.fixture
def abroad(server: Server) -> Server:
    server.set(b2b=B2buaSettings(domains="far.example.net"))
    return server


def watch(server: Server, ksr: KSR, **changes: object) -> tuple[str, dict[str, list[str]]]:
    """Bob watches dan; the SUBSCRIBE that goes out for that."""
    done = server.request("SUBSCRIBE", ("To", f"<{DAN}>"), uri=DAN, **changes)
    assert done.status == 200
    server.run_tasks()
    (sent,) = [each for each in ksr.sent if each[0] == "SUBSCRIBE"]
    ksr.sent.clear()
    return sent[1], fields_of(sent[4])


def answer(server: Server, ksr: KSR, fields: dict[str, list[str]], status: int, *headers: tuple[str, str]) -> None:
    usual = [(name, fields[name][0]) for name in ("From", "To", "Call-ID", "CSeq")]
    ksr.receive(Message("SUBSCRIBE", headers=[*usual, *headers], status=status))
    server.handler.ksr_reply_route(None)
    server.run_tasks()


def far(*tuples: str, note: str = "") -> bytes:
    """A presence document of whom is watched there."""
    return pidf(*tuples, note=note).replace(ALICE.encode(), b"sip:dan@far.example.net")


def notify(server: Server, fields: dict[str, list[str]], *headers: tuple[str, str], body: bytes = b"", cseq: int = 1) -> int:
    lines = [
        ("From", f"<{DAN}>;tag=far"), ("To", fields["From"][0]), ("Call-ID", fields["Call-ID"][0]), ("CSeq", f"{cseq} NOTIFY"),
        ("Event", "presence"), ("Subscription-State", "active;expires=600"), ("Contact", f"<sip:dan@{TRUSTED}>"),
    ]  # fmt: skip
    lines += [("Content-Type", PIDF), ("Content-Length", str(len(body)))] if body else []
    return server.request("NOTIFY", *lines, *headers, uri="sip:192.0.2.1:5060", body=body).status


def test_what_is_asked_and_told_goes_around(abroad: Server, ksr: KSR) -> None:
    uri, fields = watch(abroad, ksr)
    assert uri == DAN
    answer(abroad, ksr, fields, 200, ("Expires", "600"), ("Contact", f"<sip:dan@{TRUSTED}>"))
    assert notify(abroad, fields, body=far("t1", note="far away")) == 200
    abroad.run_tasks()
    rows = abroad.database.execute("outgoing_standing", {}, [("sip:bob@example.org", DAN, "presence")]).rows()
    assert rows == [("sip:bob@example.org", DAN, "presence", 0, 1, "active", 0, "", "")]


@pytest.mark.rfc("B2B-004")
def test_a_notify_of_no_dialog_gets_481(abroad: Server, ksr: KSR) -> None:
    _, fields = watch(abroad, ksr)
    assert notify(abroad, fields | {"Call-ID": ["other"]}) == 481
    assert notify(abroad, fields | {"From": ["<sip:bob@example.org>;tag=kb-none"]}) == 481
    assert notify(abroad, fields | {"From": ["<sip:bob@example.org>;tag=other"]}) == 481


@pytest.mark.rfc("B2B-019")
def test_what_was_not_asked_for_is_refused(abroad: Server, ksr: KSR) -> None:
    _, fields = watch(abroad, ksr)
    assert notify(abroad, fields, ("Require", "unheard-of")) == 420
    assert notify(abroad, fields, body=b"\xff\xfe") == 415


def test_a_request_that_cannot_be_sent_is_a_failure(abroad: Server, ksr: KSR) -> None:
    ksr.results["tm.t_uac_send"] = lambda *arguments: 1 if arguments[0] == "NOTIFY" else -1
    abroad.request("SUBSCRIBE", ("To", f"<{DAN}>"), uri=DAN)
    abroad.run_tasks()
    found = store.look(abroad.database, Key("sip:bob@example.org", DAN, "presence"))
    assert found is not None
    assert (found.phase, found.why) == (Phase.WAITING, "not sent")


def test_answers_are_read_as_they_came(ksr: KSR, gateway: ModuleType) -> None:
    from kemi.gateway import outgoing

    ksr.receive(
        Message(
            "SUBSCRIBE",
            headers=[
                ("From", "<sip:bob@example.org>;tag=kb-1"), ("To", f"<{DAN}>;tag=far"), ("CSeq", "7 SUBSCRIBE"),
                ("Retry-After", "120 (in maintenance);duration=60"), ("Min-Expires", "x"),
                ("Contact", "<sip:a b>, <sip:dan@192.0.2.7>"),
                ("WWW-Authenticate", 'Digest realm="one"'), ("Proxy-Authenticate", 'Digest realm="two"'),
            ],
            status=503,
        )
    )  # fmt: skip
    assert outgoing.is_answer()
    outgoing.pass_answer()
    assert ksr.tasks == [("ksr_ask", "notify", "")]
    (answered,) = outgoing.take_answers(10)
    assert (answered.dialog, answered.cseq, answered.status, answered.to_tag) == ("kb-1", 7, 503, "far")
    assert answered.retry_after == 120
    assert (answered.expires, answered.min_expires, answered.contact) == (None, 0, "sip:dan@192.0.2.7")
    assert answered.challenges == ('WWW-Authenticate: Digest realm="one"', 'Proxy-Authenticate: Digest realm="two"')
    assert outgoing.take_answers(10) == []


@pytest.mark.parametrize(
    ("method", "tag", "status"), [("SUBSCRIBE", "kp-1", 200), ("SUBSCRIBE", "kb-1", 100), ("NOTIFY", "kb-1", 200)]
)
def test_other_responses_are_left_alone(ksr: KSR, gateway: ModuleType, method: str, tag: str, status: int) -> None:
    from kemi.gateway import outgoing

    ksr.receive(Message(method, headers=[("From", f"<sip:bob@example.org>;tag={tag}"), ("CSeq", f"1 {method}")], status=status))
    assert not outgoing.is_answer()


def test_where_nobody_elsewhere_is_named_it_is_404(server: Server) -> None:
    assert server.request("SUBSCRIBE", ("To", f"<{DAN}>"), uri=DAN).status == 404
    server.set(b2b=replace(B2buaSettings(domains="*"), handle_presence_subscriptions=0))
    assert server.request("SUBSCRIBE", ("To", f"<{DAN}>"), uri=DAN).status == 404


def test_a_circle_is_seen(abroad: Server, ksr: KSR) -> None:
    _, fields = watch(abroad, ksr)
    (path,) = fields["Presence-Path"]
    assert abroad.request("SUBSCRIBE", ("To", "<sip:eve@far.example.net>"), ("Presence-Path", path),
                          uri="sip:eve@far.example.net").status == 482  # fmt: skip
    assert abroad.request("SUBSCRIBE", ("To", "<sip:eve@far.example.net>"), ("From", fields["From"][0]),
                          uri="sip:eve@far.example.net").status == 482  # fmt: skip


def test_a_domain_that_is_named_no_more_is_left_in_the_next_round(abroad: Server, ksr: KSR) -> None:
    _, fields = watch(abroad, ksr)
    answer(abroad, ksr, fields, 200, ("Expires", "600"), ("Contact", f"<sip:dan@{TRUSTED}>"))
    assert notify(abroad, fields, body=far("t1")) == 200
    abroad.run_tasks()
    ksr.sent.clear()
    abroad.set(b2b=B2buaSettings(domains=""))
    abroad.handler.ksr_ask(None)
    (leaving,) = [each for each in ksr.sent if each[0] == "SUBSCRIBE"]
    assert fields_of(leaving[4])["Expires"] == ["0"]
    abroad.handler.ksr_ask(None)
    assert [each[0] for each in ksr.sent].count("SUBSCRIBE") == 1


@pytest.mark.rfc("B2B-015")
def test_a_proxy_and_then_the_server_get_their_passwords_in_one_request(abroad: Server, ksr: KSR, tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("hop proxy-user one\nfar server-user two\n")
    abroad.set(b2b=B2buaSettings(domains="far.example.net", credentials=str(tmp_path / "secrets")))
    _, fields = watch(abroad, ksr)
    proxy, server = ("Proxy-Authenticate", 'Digest realm="hop", nonce="a"'), ("WWW-Authenticate", 'Digest realm="far", nonce="b"')
    for status, line in ((407, proxy), (401, server)):
        answer(abroad, ksr, fields, status, line)
        fields = fields_of(next(each for each in ksr.sent if each[0] == "SUBSCRIBE")[4])
        ksr.sent.clear()
    assert 'username="proxy-user", realm="hop"' in fields["Proxy-Authorization"][0]
    assert 'username="server-user", realm="far"' in fields["Authorization"][0]
    assert fields["CSeq"] == ["3 SUBSCRIBE"]
