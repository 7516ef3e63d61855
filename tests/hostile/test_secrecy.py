"""Credentials, right and wrong: what they do, and that nothing of them is logged."""

import hashlib
import re
from collections.abc import Iterator

import pytest

from tests.hostile.attacker import Attacker, Outcome, Watch
from tests.hostile.messages import MARKER, REFUSED, USER, Case, octets
from tests.server import Server

REALM = "example.org"
METHODS = ("SUBSCRIBE", "PUBLISH")
ZEROS = "0" * 32
BAD_CREDENTIALS = (
    "Digest", "Digest ", "Basic bWFsbG9yeTpzZWNyZXQ=", f"Bearer {MARKER}", f"{MARKER}", "", ",", "Digest ,,,,", "Digest =",
    'Digest username="',
    f'Digest username="mallory", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{MARKER}"',
    f'Digest username="mallory", realm="{REALM}", nonce="", uri="", response=""',
    f'Digest username="mallory", realm="{REALM}", nonce="{MARKER * 100}", uri="sip:x", response="{ZEROS}"',
    f'Digest username="mal\x01lory", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}"',
    f'Digest username="\' OR 1=1 --", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}"',
    octets(b'Digest username="\xff\xfe", realm="example.org", nonce="' + MARKER.encode() + b'", uri="sip:x", response="0"'),
    f'Digest username="mallory", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}", algorithm=none, nc=x',
    f'Digest username="mallory", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}", qop=auth-int',
    f'Digest username="mallory@evil.example", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}"',
    f'Digest username="{"m" * 5000}", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}"',
    f'Digest username="nobody", realm="{REALM}", nonce="{MARKER}", uri="sip:x", response="{ZEROS}"',
    f'Digest username="mallory", realm="evil.example", nonce="{MARKER}", uri="sip:x", response="{ZEROS}"',
)  # fmt: skip


@pytest.fixture
def outsider(guarded: Server) -> Iterator[Attacker]:
    with Attacker(guarded) as attacking:
        yield attacking


def _attack(outsider: Attacker, case: Case) -> Outcome:
    watch = Watch(outsider.server)
    outcome = outsider.attack(case.build(outsider.address))
    watch.check_alive()
    watch.check_nothing_stored()
    return outcome


@pytest.mark.rfc("SEC-013")
@pytest.mark.rfc("SEC-028")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", BAD_CREDENTIALS, ids=lambda value: repr(value[:40]))
def test_credentials_that_cannot_be_read_are_refused_with_one_log_line(outsider: Attacker, method: str, value: str) -> None:
    outcome = _attack(outsider, Case("credentials", method=method, extra=(f"Authorization: {value}",)))
    assert outcome.status in REFUSED - {500}
    assert len(outcome.own_complaints) <= 1, outcome.own_complaints


def _challenge(outsider: Attacker, method: str) -> str:
    outcome = _attack(outsider, Case("no credentials", method=method))
    assert outcome.status == 401
    return outcome.messages[0].get("WWW-Authenticate")


def _credentials(challenge: str, method: str, password: str, username: str = USER, count: int = 1) -> str:
    nonce = re.search(r'nonce="([^"]*)"', challenge)
    assert nonce is not None
    uri = "sip:mallory@example.org"
    first = hashlib.md5(f"{username}:{REALM}:{password}".encode()).hexdigest()
    second = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()
    response = hashlib.md5(f"{first}:{nonce[1]}:{count:08x}:{MARKER}:auth:{second}".encode()).hexdigest()
    return (
        f'Authorization: Digest username="{username}", realm="{REALM}", nonce="{nonce[1]}", uri="{uri}", response="{response}", '
        f'algorithm=MD5, qop=auth, nc={count:08x}, cnonce="{MARKER}"'
    )


@pytest.mark.rfc("SEC-028")
@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_password_is_challenged_again_with_one_log_line(outsider: Attacker, method: str) -> None:
    challenge = _challenge(outsider, method)
    outcome = _attack(outsider, Case("wrong password", method=method, extra=(_credentials(challenge, method, "guess"),)))
    assert outcome.status == 401
    assert len(outcome.own_complaints) == 1


@pytest.mark.rfc("SEC-002")
@pytest.mark.rfc("SEC-003")
@pytest.mark.parametrize("method", METHODS)
def test_from_of_somebody_else(outsider: Attacker, method: str) -> None:
    challenge = _challenge(outsider, method)
    changes = {"From": "<sip:victim@example.org>;tag=1"}
    line = _credentials(challenge, method, "secret")
    outcome = _attack(outsider, Case("spoofed", method=method, changes=changes, extra=(line,)))
    assert outcome.status == 403


@pytest.mark.rfc("SEC-002")
def test_publish_for_somebody_else(outsider: Attacker) -> None:
    challenge = _challenge(outsider, "PUBLISH")
    line = _credentials(challenge, "PUBLISH", "secret")
    outcome = _attack(outsider, Case("spoofed", method="PUBLISH", uri="sip:victim@example.org", extra=(line,)))
    assert outcome.status == 403


@pytest.mark.rfc("SEC-004")
def test_asserted_identity_of_a_stranger(outsider: Attacker) -> None:
    outcome = _attack(outsider, Case("asserted", method="PUBLISH", extra=("P-Asserted-Identity: <sip:mallory@example.org>",)))
    assert outcome.status == 401


@pytest.mark.rfc("SEC-023")
@pytest.mark.rfc("SEC-028")
def test_credentials_that_are_sent_again_are_refused(outsider: Attacker) -> None:
    """The same nonce count a second time, in another request: refused; nothing of it is in the log."""
    challenge = _challenge(outsider, "PUBLISH")
    line = _credentials(challenge, "PUBLISH", "secret")
    watch = Watch(outsider.server)
    first = outsider.attack(Case("right", method="PUBLISH", extra=(line,)).build(outsider.address))
    assert first.status == 200, first.reasons
    second = outsider.attack(Case("replayed", method="PUBLISH", extra=(line,)).build(outsider.address))
    assert second.status == 401
    watch.check_alive()
