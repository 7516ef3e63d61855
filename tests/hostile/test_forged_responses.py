"""Responses to requests that were never sent: anybody may send one over UDP, and no worker or notifier is lost by it."""

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
