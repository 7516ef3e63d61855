"""Responses to requests that were never sent, which anybody may send, and broken ones: no worker or notifier is lost by them."""

import pytest

from tests.hostile.attacker import Attacker
from tests.server import Server
from tests.useragent import UserAgent, pidf

NUMBERS = ["99999999999999999999", "2147483648", "4294967296", "abc", "-1", "", "9" * 5000]
TAGS = {"NOTIFY": "kp-zzz", "SUBSCRIBE": "kb-zzz"}


@pytest.mark.parametrize("method", TAGS)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12] or "none")
def test_a_forged_response_holds_no_notify_back(target: Server, attacker: Attacker, method: str, number: str) -> None:
    alice, bob = (UserAgent(target.address, f"{name}-{method}-{number[:12]}".lower(), "example.org") for name in ("alice", "bob"))
    bob.subscribe(alice.aor)
    bob.notify()
    attacker.attack(
        f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {attacker.address};branch=z9hG4bKforged\r\nFrom: <sip:x@y>;tag={TAGS[method]}\r\n"
        f"To: <sip:a@b>;tag=1\r\nCall-ID: forged\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert alice.publish(pidf(user=alice.user)).status == 200
    assert b"open" in bob.notify().body
    alice.close()
    bob.close()


@pytest.mark.rfc("PA-008")
@pytest.mark.parametrize(
    "field",
    [
        "Retry-After: Mon, 21 Jul 1997 18:48:34 GMT", "Retry-After: 99999999999", "Retry-After: 0\r\n (now)", "no header field",
    ],
)  # fmt: skip
def test_an_answer_counts_that_is_broken_behind_its_cseq(target: Server, field: str) -> None:
    """Kamailio reads no header field by name then; the transaction is over all the same, and the subscription is not."""
    user = f"broken-{len(field)}"
    alice, bob = UserAgent(target.address, f"alice-{user}"), UserAgent(target.address, f"bob-{user}")
    bob.answer_notify, bob.answer_headers = 503, f"{field}\r\n"
    bob.subscribe(alice.aor)
    bob.notify()
    bob.answer_notify, bob.answer_headers = 200, ""
    assert alice.publish(pidf(user=alice.user)).status == 200
    assert b"open" in bob.notify().body
    alice.close()
    bob.close()
