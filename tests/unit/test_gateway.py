"""What is read of Kamailio and asked of it: kemi/gateway.py."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kemi.answer import Answer
from kemi.effects import Log, Reply, SendRequest, Wake
from kemi.errors import BadRequest, Forbidden, IntervalTooBrief
from tests.ksr import KSR, Message, NotInKamailio

VIA = ("Via", "SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK1")
COMMON: list[tuple[str, str | bytes]] = [
    VIA,
    ("From", '"Bob" <sip:bob@example.org>;tag=bob-tag'),
    ("To", "<sip:alice@example.org>"),
    ("Call-ID", "call-1"),
    ("CSeq", "7 SUBSCRIBE"),
]
SEND = SendRequest(
    "kp-1", 3, "NOTIFY", "sip:bob@198.51.100.7:5062", "", 0, "udp:192.0.2.1:5060", "From: <sip:a>\r\nTo: <sip:b>\r\n", ""
)


def receive(ksr: KSR, method: str = "SUBSCRIBE", *headers: tuple[str, str | bytes], **changes: Any) -> None:
    ksr.receive(Message(method, headers=[*COMMON, *headers], **changes))


# The double itself


@pytest.mark.parametrize(
    "use",
    [
        lambda ksr: ksr.pv.get("$nosuch"),
        lambda ksr: ksr.pv.get("hdr(Event)"),
        lambda ksr: ksr.pv.seti("$shv(nosuch)", 1),
        lambda ksr: ksr.pv.seti("$shv(woken)", "1"),
        lambda ksr: ksr.tm.t_no_such(),
        lambda ksr: ksr.presence.handle_publish(),
        lambda ksr: ksr.tm.t_reply("200", "OK"),
        lambda ksr: ksr.tm.t_reply(200, "OK"),
        lambda ksr: ksr.hdr.append("no header line\r\n"),
        lambda ksr: ksr.hdr.append_to_reply("X: y"),
        lambda ksr: ksr.info("no end of line"),
        lambda ksr: ksr.mqueue.mq_add("nosuch", "a", "b"),
    ],
)
def test_the_double_refuses_what_kamailio_does_not_have(ksr: KSR, use: Callable[[Any], Any]) -> None:
    with pytest.raises(NotInKamailio):
        use(ksr)


# Reading requests


def test_a_subscribe_is_read_with_what_it_needs(ksr: KSR, gateway: ModuleType) -> None:
    receive(
        ksr, "SUBSCRIBE", ("o", "presence;id=1"), ("Expires", "600"), ("m", "<sip:bob@198.51.100.7:5062>"), ("Accept", "a/b"),
        ("Accept", "c/d"), ("Record-Route", "<sip:p1;lr>"), ("Record-Route", "<sip:p2;lr>"), ("User-Agent", "test"), VIA,
    )  # fmt: skip
    request = gateway.read_request("SUBSCRIBE")
    assert (request.method, request.uri, request.cseq) == ("SUBSCRIBE", "sip:alice@example.org", 7)
    assert (request.from_uri, request.from_tag, request.to_uri, request.to_tag) == (
        "sip:bob@example.org", "bob-tag", "sip:alice@example.org", None,
    )  # fmt: skip
    assert (request.event, request.expires, request.contact) == ("presence;id=1", "600", "<sip:bob@198.51.100.7:5062>")
    assert (request.accept, request.record_route) == ("a/b,c/d", "<sip:p1;lr>,<sip:p2;lr>")
    assert (request.source_address, request.source_port, request.transport) == ("198.51.100.7", 5062, "udp")
    assert (request.socket, request.connection, request.via_count) == ("udp:192.0.2.1:5060", 0, 2)
    assert (request.call_id, request.branch, request.user_agent, request.body) == ("call-1", "z9hG4bK1", "test", b"")


def test_a_publish_is_read_with_what_it_needs(ksr: KSR, gateway: ModuleType) -> None:
    receive(
        ksr, "PUBLISH", ("Event", "presence"), ("SIP-If-Match", "a"), ("SIP-If-Match", "b"), ("c", "application/pidf+xml"),
        ("e", "gzip"), ("l", "4"), ("Require", "x"), ("Require", "y"), body=b"body",
    )  # fmt: skip
    request = gateway.read_request("PUBLISH")
    assert (request.event, request.entity_tag, request.require, request.expires) == ("presence", "a,b", "x,y", None)
    assert (request.content_type, request.content_encoding, request.body) == ("application/pidf+xml", "gzip", b"body")
    assert not any("Contact" in name for (name,) in ksr.called("pv.get"))


@pytest.mark.parametrize(("transport", "connection", "socket"), [("TCP", 7, "tcp:192.0.2.1:5060"), ("WS", 9, "ws:192.0.2.1:5060")])
def test_over_a_stream_the_connection_is_known(ksr: KSR, gateway: ModuleType, transport: str, connection: int, socket: str) -> None:
    receive(ksr, transport=transport, connection=connection)
    request = gateway.read_request("SUBSCRIBE")
    assert (request.transport, request.connection, request.socket) == (transport.lower(), connection, socket)


def test_an_ipv6_socket_has_brackets(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr, socket=("2001:db8::1", 5060))
    assert gateway.read_request("SUBSCRIBE").socket == "udp:[2001:db8::1]:5060"


@pytest.mark.rfc("TRN-017")
def test_a_request_without_from_tag(ksr: KSR, gateway: ModuleType) -> None:
    ksr.receive(
        Message("SUBSCRIBE", headers=[(name, "sip:bob@example.org" if name == "From" else value) for name, value in COMMON])
    )
    request = gateway.read_request("SUBSCRIBE")
    assert (request.from_uri, request.from_tag or "") == ("sip:bob@example.org", "")


@pytest.mark.rfc("PA-040")
def test_a_pres_uri_that_kamailio_does_not_read_is_shown_to_it_as_sip(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr, uri="pres:alice@example.org")
    assert gateway.read_request("SUBSCRIBE").uri == "pres:alice@example.org"
    assert ksr.message.uri == "sip:alice@example.org"


@pytest.mark.parametrize("name", ["Event", "Expires", "Contact", "Accept", "Record-Route", "User-Agent", "Require", "Call-ID"])
@pytest.mark.parametrize("value", ["x" * 5000, "a\x00b", "a\x0bb", "a\r\nX-Injected: b", b"caf\xe9"])
def test_a_header_field_that_cannot_be_used_is_400(ksr: KSR, gateway: ModuleType, name: str, value: str | bytes) -> None:
    ksr.receive(Message("SUBSCRIBE", headers=[(name, value), *(each for each in COMMON if each[0] != name)]))
    with pytest.raises(BadRequest):
        gateway.read_request("SUBSCRIBE")


def test_of_a_large_message_it_is_looked_whether_lists_are_missing_or_too_long(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr, "SUBSCRIBE", ("X-Unknown", "x" * 9000))
    assert gateway.read_request("SUBSCRIBE").user_agent == ""
    receive(ksr, "SUBSCRIBE", ("Accept", "a/b," * 3000))
    with pytest.raises(BadRequest, match="too long"):
        gateway.read_request("SUBSCRIBE")


@pytest.mark.rfc("TRN-027")
def test_a_folded_header_field_is_one_line(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr, "SUBSCRIBE", ("Event", "presence\r\n ;id=1"))
    assert gateway.read_request("SUBSCRIBE").event == "presence ;id=1"


@pytest.mark.parametrize("cseq", ["2147483648 SUBSCRIBE", "x SUBSCRIBE", "-1 SUBSCRIBE", " SUBSCRIBE"])
def test_a_cseq_that_is_no_number_below_2_to_31(ksr: KSR, gateway: ModuleType, cseq: str) -> None:
    ksr.receive(Message("SUBSCRIBE", headers=[(name, cseq if name == "CSeq" else value) for name, value in COMMON]))
    with pytest.raises(BadRequest, match="CSeq"):
        gateway.read_request("SUBSCRIBE")


@pytest.mark.rfc("TRN-026")
@pytest.mark.parametrize(
    ("transport", "length", "body", "read"),
    [
        ("UDP", None, b"whole", b"whole"),
        ("UDP", "5", b"whole and more", b"whole"),
        ("UDP", "0", b"ignored", b""),
        ("UDP", None, b"", b""),
        ("TCP", None, b"", b""),
        ("TCP", "5", b"whole", b"whole"),
        ("UDP", None, b"\xff\x00\xfe", b"\xff\x00\xfe"),
        ("UDP", "2", b"\xff\x00\xfe", b"\xff\x00"),
        ("UDP", "6", "Grüße".encode(), "Grüß".encode()),
    ],
)
def test_the_body_ends_where_content_length_says(
    ksr: KSR, gateway: ModuleType, transport: str, length: str | None, body: bytes, read: bytes
) -> None:
    receive(ksr, "PUBLISH", *([("Content-Length", length)] if length is not None else []), body=body, transport=transport)
    assert gateway.read_request("PUBLISH").body == read


@pytest.mark.rfc("TRN-026")
def test_a_body_that_is_too_short_is_400(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr, "PUBLISH", ("Content-Length", "9"), body=b"short")
    with pytest.raises(BadRequest, match="Content-Length"):
        gateway.read_request("PUBLISH")


# Answers


def test_a_reply_has_its_header_fields(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr)
    gateway.execute([Reply(200, "OK", (("Expires", "600"), ("SIP-ETag", "a")))])
    (response,) = ksr.responses
    assert (response.status, response.reason) == (200, "OK")
    assert response.headers == {"Expires": ["600"], "SIP-ETag": ["a"]}


def test_a_refusal_says_why_in_a_warning(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr)
    gateway.refuse(Forbidden('not "you"\r\nX-Injected: 1'))
    (response,) = ksr.responses
    (warning,) = response.headers["Warning"]
    assert warning == "399 kemi-presence \"not 'you'??X-Injected: 1\""


def test_a_refusal_without_detail_has_no_warning(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr)
    gateway.refuse(IntervalTooBrief(60))
    assert (ksr.responses[0].status, ksr.responses[0].headers) == (423, {"Min-Expires": ["60"]})


@pytest.mark.rfc("TRN-008")
def test_our_tag_is_in_to_before_the_transaction_is_made(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr)
    gateway.set_to_tag("kp-1")
    assert gateway.begin_transaction() is True
    gateway.execute([Reply(200, "OK")])
    (response,) = ksr.responses
    assert (response.stateful, response.to) == (True, "<sip:alice@example.org>;tag=kp-1")


@pytest.mark.rfc("TRN-009")
def test_a_retransmission_makes_no_transaction(ksr: KSR, gateway: ModuleType) -> None:
    receive(ksr)
    ksr.results["tm.t_newtran"] = 0
    assert gateway.begin_transaction() is False


# Requests of ours


def test_a_request_is_sent_as_it_was_built(ksr: KSR, gateway: ModuleType) -> None:
    assert gateway.execute([SEND]) == []
    assert ksr.sent == [("NOTIFY", SEND.uri, "", "udp:192.0.2.1:5060", SEND.headers, "")]


@pytest.mark.parametrize(
    ("uri", "next_hop", "own", "socket"),
    [
        ("sip:b@h", "", "udp:192.0.2.1:5060", "udp:192.0.2.1:5060"),
        ("sip:b@h;transport=tcp", "", "udp:192.0.2.1:5060", ""),
        ("sip:b@h", "sip:p;transport=tcp", "tcp:192.0.2.1:5060", "tcp:192.0.2.1:5060"),
        ("sip:b@h", "sip:p;transport=ws", "ws:192.0.2.1:8080", "tcp:192.0.2.1:8080"),
        ("sips:b@h", "", "tls:192.0.2.1:5061", "tls:192.0.2.1:5061"),
    ],
)
def test_our_socket_is_used_where_its_transport_fits(
    ksr: KSR, gateway: ModuleType, uri: str, next_hop: str, own: str, socket: str
) -> None:
    gateway.send(SEND._replace(uri=uri, next_hop=next_hop, socket=own))
    assert ksr.sent[0][1:4] == (uri, next_hop, socket)


def test_over_a_connection_that_is_gone_the_target_is_tried_unless_it_is_a_websocket(ksr: KSR, gateway: ModuleType) -> None:
    ksr.results["tcpops.tcp_conid_alive"] = -1
    assert gateway.send(SEND._replace(next_hop="sip:p;transport=tcp", connection=7)) is True
    assert ksr.sent[0][2] == ""
    assert gateway.send(SEND._replace(next_hop="sip:p;transport=ws", connection=7)) is False
    assert len(ksr.sent) == 1


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("uri", ["sip:b@0.0.0.0:22;transport=tcp", "sip:b@[0::0]:22;transport=tcp"])
def test_a_target_that_is_no_machine_is_never_tried(ksr: KSR, gateway: ModuleType, uri: str) -> None:
    """Linux would take this one for it."""
    ksr.results["tcpops.tcp_conid_alive"] = -1
    assert gateway.send(SEND._replace(uri=uri, next_hop="sip:p;transport=tcp", connection=7)) is False
    assert ksr.sent == []


def failing(*_: Any) -> int:
    raise SystemError("no route to host")


@pytest.mark.parametrize("result", [-1, 0, failing])
def test_what_cannot_be_sent_is_answered_with_0(ksr: KSR, gateway: ModuleType, result: Any) -> None:
    ksr.results["tm.t_uac_send"] = result
    assert gateway.execute([SEND, Log("after")]) == [Answer("kp-1", 3, 0)]
    assert ("info", "after") in ksr.logged


# Log


def test_a_log_line_stays_one_line(ksr: KSR, gateway: ModuleType) -> None:
    gateway.execute([Log("state: a\nb\x1b[31m")])
    gateway.warn("refused\r\nerror: forged")
    assert ksr.logged == [("info", "state: a?b?[31m"), ("warn", "refused??error: forged")]


# Between processes


def test_many_wakes_are_one_task_until_the_notifier_looks(ksr: KSR, gateway: ModuleType) -> None:
    gateway.execute([Wake(), Wake()])
    gateway.wake()
    assert ksr.tasks == [("ksr_notify", "notify", "")]
    gateway.woken()
    gateway.wake()
    assert len(ksr.tasks) == 2
