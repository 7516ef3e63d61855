"""Header fields that are missing, absurd or too long, bodies of the wrong length: a clear refusal, and nothing is stored."""

import socket
from collections.abc import Iterator

import pytest

from tests.hostile.attacker import Attacker, Watch, judge, over_tcp
from tests.hostile.messages import ACCEPTED, DROPPED, MARKER, PIDF, REFUSED, Case, publish
from tests.server import Server

BAD = frozenset({400})
METHODS = ("SUBSCRIBE", "PUBLISH")


def _missing() -> Iterator[Case]:
    for method in METHODS:
        for name in ("From", "To", "Call-ID", "CSeq"):
            yield Case(f"without {name}", BAD | DROPPED, method, {name: None})
            yield Case(f"with empty {name}", BAD | DROPPED, method, {name: ""})
        yield Case("without Via", DROPPED, method, {"Via": None})
        yield Case("with empty Via", DROPPED | BAD, method, {"Via": ""})
        yield Case("without Event", {489}, method, {"Event": None})
        yield Case("with empty Event", {400, 489}, method, {"Event": ""})
        yield Case("without Max-Forwards", ACCEPTED, method, {"Max-Forwards": None})
        yield Case("with empty Max-Forwards", {400, 483}, method, {"Max-Forwards": ""})
        yield Case("without anything", DROPPED, method, dict.fromkeys(_NAMES))
    yield Case("without Contact", BAD, changes={"Contact": None})
    yield Case("with empty Contact", BAD, changes={"Contact": ""})
    yield Case("without Content-Type", {415, 400}, "PUBLISH", {"Content-Type": None})
    yield Case("with empty Content-Type", {415, 400}, "PUBLISH", {"Content-Type": ""})
    yield Case("with empty SIP-If-Match", BAD, "PUBLISH", {"SIP-If-Match": ""})


_NAMES = ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Event", "Contact", "Expires", "Content-Type", "Content-Length")


def _expires() -> Iterator[Case]:
    for method in METHODS:
        for value in (
            "-1",
            "abc",
            "",
            "1e3",
            "0x10",
            "60 60",
            "60,70",
            "\uff16\uff10\uff10",
            "3.5",
            "+60",
            "\t",
            "60;x=1\x0b",
            "'60'",
            '"60"',
        ):
            yield Case(f"Expires {value!r}", BAD, method, {"Expires": value})
        for value in ("4294967296", "4294967295", str(10**30), "9" * 3000, "00000000000000000000600"):
            yield Case(f"Expires {value[:12]}, {len(value)} digits", ACCEPTED, method, {"Expires": value})
        yield Case("Expires of 5000 digits", BAD | ACCEPTED, method, {"Expires": "9" * 5000})
        yield Case("Expires 1", {423}, method, {"Expires": "1"})
        yield Case("Expires 59", {423}, method, {"Expires": "59"})


def _cseq() -> Iterator[Case]:
    for method in METHODS:
        for value in (f"-1 {method}", f"abc {method}", f"1{method}", "1", method, f"4294967296 {method}", f"{10**30} {method}",
                      f"2147483648 {method}", "1 INVITE", f"1 {method.lower()}", f"1 {method} x", f"0x1 {method}"):  # fmt: skip
            yield Case(f"CSeq {value!r}", BAD | DROPPED, method, {"CSeq": value})
        for value in ("-1", "abc", "99999999999", "70 70", "\x01"):
            yield Case(f"Max-Forwards {value!r}", {400, 483}, method, {"Max-Forwards": value})
        yield Case("Max-Forwards 0", {483}, method, {"Max-Forwards": "0"})


def _lengths() -> Iterator[Case]:
    whole = len(PIDF)
    for value in ("-1", "abc", str(whole + 1), "99999999999999999999", "4294967295", "0x10", "1 1", str(10**12)):
        yield Case(f"Content-Length {value}", BAD | DROPPED, "PUBLISH", {"Content-Length": value})
    yield Case("Content-Length too short", {415}, "PUBLISH", {"Content-Length": str(whole - 20)})
    yield Case("Content-Length 0", BAD, "PUBLISH", {"Content-Length": "0"})
    yield Case("Content-Length missing", ACCEPTED, "PUBLISH", {"Content-Length": None})
    yield Case("Content-Length short and long", BAD | DROPPED | ACCEPTED, "PUBLISH", extra=(f"Content-Length: {whole - 9}",))
    yield Case("Content-Length 10 without a body", BAD | DROPPED, changes={"Content-Length": "10"})
    yield Case("a body", {415}, "SUBSCRIBE", {"Content-Type": "application/pidf+xml"}, body=PIDF)
    yield Case("a body without type", {415, 400}, "SUBSCRIBE", body=PIDF)


@pytest.mark.rfc("SEC-012")
@pytest.mark.parametrize("case", [*_missing()], ids=str)
def test_a_missing_header_field_is_refused_unless_it_may_be_missing(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.rfc("SEC-012")
@pytest.mark.parametrize("case", [*_expires(), *_cseq()], ids=str)
def test_an_absurd_number_is_refused_or_counts_as_far_as_allowed(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.rfc("TRN-026")
@pytest.mark.parametrize("case", [*_lengths()], ids=str)
def test_a_body_of_another_length_than_content_length_says_is_refused(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.parametrize("octets", [0, 1, 2, 4, 100, 1300])
@pytest.mark.parametrize("method", METHODS)
def test_a_datagram_that_is_cut_off_is_refused_or_dropped(attacker: Attacker, method: str, octets: int) -> None:
    data = Case("cut", method=method).build(attacker.address)
    watch = Watch(attacker.server)
    outcome = attacker.attack(data[: min(octets, len(data) // 2)])
    watch.check_alive()
    watch.check_nothing_stored()
    assert outcome.status in REFUSED | DROPPED


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\0" * 100, b"\xff" * 1000, b"GET / HTTP/1.0\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n",
                                  b" SUBSCRIBE sip:a@example.org SIP/2.0\r\n\r\n", b"\r\n" * 30000, b":" * 60000,
                                  b"A: b\r\n" * 10000, b"SUBSCRIBE" * 7000],
                         ids=lambda data: repr(data[:20]))  # fmt: skip
def test_no_request_at_all(attacker: Attacker, data: bytes) -> None:
    watch = Watch(attacker.server)
    outcome = attacker.attack(data)
    watch.check_alive()
    watch.check_nothing_stored()
    assert outcome.status in REFUSED | DROPPED


def _large(octets: int) -> bytes:
    note = MARKER.encode() + b"x" * (octets - len(PIDF))
    return PIDF.replace(MARKER.encode(), note)


@pytest.mark.rfc("SEC-009")
def test_body_of_60_kb_over_udp_is_taken(attacker: Attacker) -> None:
    judge(attacker, publish("60 kB", _large(60_000), ACCEPTED))


@pytest.mark.rfc("SEC-009")
@pytest.mark.parametrize("octets", [66_000, 1 << 20])
def test_large_body_over_tcp(target: Server, octets: int) -> None:
    watch = Watch(target)
    answer = over_tcp(target, [publish("large", _large(octets)).build("127.0.0.1:5060", "tcp")])
    assert answer is not None
    assert answer.status == 413
    watch.check_alive()
    watch.check_nothing_stored()


@pytest.mark.rfc("SEC-009")
def test_endless_body_over_tcp(target: Server) -> None:
    """More than the server is willing to read: it closes the connection or refuses, and goes on with others."""
    watch = Watch(target)
    answer = over_tcp(target, [publish("endless", _large(4 << 20)).build("127.0.0.1:5060", "tcp")])
    assert answer is None or answer.status == 413
    watch.check_alive()
    watch.check_nothing_stored()
    again = over_tcp(target, [Case("after it").build("127.0.0.1:5060", "tcp")])
    assert again is not None
    assert again.status == 200


@pytest.mark.rfc("TRN-026")
@pytest.mark.parametrize("value", ["-1", "abc", "99999999999999999999", "4294967295", ""])
def test_content_length_over_tcp(target: Server, value: str) -> None:
    """Where the message ends cannot be known: no answer is right, and closing the connection. Others are served."""
    watch = Watch(target)
    case = Case("length", method="PUBLISH", changes={"Content-Length": value})
    with socket.create_connection(target.address) as connection:
        connection.sendall(case.build("127.0.0.1:5060", "tcp"))
        after = over_tcp(target, [Case("after it", {400}, changes={"Contact": None}).build("127.0.0.1:5060", "tcp")])
    assert after is not None
    assert after.status == 400
    watch.check_alive()
    watch.check_nothing_stored()


LONG = {"Record-Route": ", ".join(["<sip:127.0.0.1:9;lr>"] * 1400)}


def test_very_many_header_fields_do_no_harm(attacker: Attacker) -> None:
    for count in (100, 1000):
        judge(attacker, Case("many", ACCEPTED | REFUSED, extra=tuple(f"X-{number}: {number}" for number in range(count))))


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Event", "Expires", "Accept", "Require",
                                  "Record-Route", "X-Unknown"])  # fmt: skip
def test_header_field_of_30_kb(attacker: Attacker, name: str) -> None:
    """What is not looked at may be long; what is stored may not."""
    allowed = REFUSED | DROPPED | (ACCEPTED if name == "X-Unknown" else frozenset())
    judge(attacker, Case(f"long {name}", allowed, changes={name: LONG.get(name, "a" * 30_000)}))


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Contact", "Event", "Expires", "Max-Forwards", "Via"])
@pytest.mark.parametrize("method", METHODS)
def test_of_a_field_that_may_stand_once_the_first_counts_or_all_is_refused(attacker: Attacker, method: str, name: str) -> None:
    """Fields that may stand once only: the first counts or the request is refused; nothing falls over."""
    twice = {"From": "<sip:eve@example.org>;tag=2", "To": "<sip:eve@example.org>", "Contact": "<sip:eve@127.0.0.1:9>",
             "CSeq": f"2 {method}", "Call-ID": "other", "Event": "conference", "Expires": "0", "Max-Forwards": "0",
             "Via": "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx"}  # fmt: skip
    judge(attacker, Case(f"two {name}", REFUSED | ACCEPTED | DROPPED, method, extra=(f"{name}: {twice[name]}",)))
