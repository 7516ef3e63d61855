"""SIP Identity (RFC 8224) is not relied upon: whoever brings it is treated as without it."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.server import Server
from tests.useragent import Agents, pidf

pytestmark = pytest.mark.rfc("SEC-027")

ALICE = "sip:alice@example.org"


def part(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def identity_of(user: str) -> str:
    """A PASSporT that says that this user has sent the request; nobody can have signed it."""
    certificate = "https://cert.example.org/passport.cer"
    head = part({"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": certificate})
    claims = part({"dest": {"uri": [ALICE]}, "iat": 1443208345, "orig": {"uri": f"sip:{user}@example.org"}})
    return f"Identity: {head}.{claims}.{part(64 * b'a')};info=<{certificate}>;alg=ES256"


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH", "REGISTER", "MESSAGE"])
def test_it_takes_no_password_away(start_server: Callable[..., Server], agents_of: Agents, method: str) -> None:
    server = start_server({"KP_TRUSTED": ""})
    server.control("user", "add", "alice@example.org", "--password", "secret")
    alice = agents_of(server, "alice")
    fields = ("Event: presence", f"Contact: <{alice.contact}>", "Expires: 600", "Content-Type: application/pidf+xml")
    with_it = alice.request(method, ALICE, identity_of("alice"), "Date: Fri, 25 Sep 2015 19:12:25 GMT", *fields, body=pidf())
    without = alice.request(method, ALICE, *fields, body=pidf())
    assert (with_it.status, without.status) == (401, 401)
    assert with_it.get("WWW-Authenticate").partition("nonce")[0] == without.get("WWW-Authenticate").partition("nonce")[0]


def test_it_makes_nobody_somebody_else(start_server: Callable[..., Server], agents_of: Agents) -> None:
    """Where a source is trusted, its From counts: mallory is mallory, and a broken Identity of its own does no harm."""
    server = start_server()
    mallory, alice = agents_of(server, "mallory"), agents_of(server, "alice")
    publication = ("Event: presence", "Content-Type: application/pidf+xml")
    assert mallory.request("PUBLISH", ALICE, *publication, identity_of("alice"), body=pidf()).status == 403
    assert mallory.subscribe(ALICE, identity_of("alice")).status == 200
    mallory.notify()
    assert alice.subscribe(ALICE, event="presence.winfo").status == 200
    told = alice.notify().body
    assert b"sip:mallory@example.org" in told
    assert b"sip:alice@example.org</watcher>" not in told
    assert mallory.publish(pidf(user="mallory"), "Identity: nonsense").status == 200
