"""MESSAGE: whose rules are asked, and what is answered. kemi/message.py; what rules say: tests/verbs/test_message.py."""

from dataclasses import replace

import pytest

from kemi import identity, message
from kemi.effects import Log, Reply
from kemi.errors import BadRequest, Forbidden, NotFound, TemporarilyUnavailable
from kemi.event_package import Decision
from kemi.message import Verdict
from kemi.parameters import XcapSettings
from kemi.settings import Settings
from tests.unit.values import ALICE, BOB, settings_of

SETTINGS = settings_of()
REALM = identity.realm(SETTINGS)
FETCHING = replace(SETTINGS, xcap=XcapSettings(xcap_root="http://xcap.example.org/root"))


# The recipient


@pytest.mark.parametrize(
    "uri",
    [
        ALICE, "sips:alice@example.org", "im:alice@example.org", "sip:%61lice@EXAMPLE.org:5070;transport=tcp?Subject=x",
        "sip:alice:password@example.org", "sip:alice@192.0.2.1", "sip:alice@192.0.2.1:5060;user=phone",
        "sip:alice@example.org;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "sip:alice@example.org;maddr=198.51.100.7",
    ],
)  # fmt: skip
@pytest.mark.rfc("MSG-013")
def test_the_recipient_is_whom_the_request_uri_names(uri: str) -> None:
    assert message.recipient_of(REALM, uri) == ALICE


@pytest.mark.rfc("MSG-001")
@pytest.mark.parametrize(
    ("uri", "recipient"),
    [
        ("sip:%2B1555@example.org", "sip:+1555@example.org"), ("sip:%2b1555@example.org", "sip:+1555@example.org"),
        ("sip:a%3Db%26c%24d%2Ce%3Bf%3Fg%2Fh@example.org", "sip:a=b&c$d,e;f?g/h@example.org"),
        ("sip:a%40b@example.org", "sip:a%40b@example.org"), ("sip:%252B1@example.org", "sip:%252B1@example.org"),
        ("sip:ALICE@example.org", "sip:ALICE@example.org"),
    ],
)  # fmt: skip
def test_the_rules_are_those_of_the_user_that_the_registrar_finds(uri: str, recipient: str) -> None:
    """Kamailio's registrar takes out all escapes, and then compares octets."""
    assert message.recipient_of(REALM, uri) == recipient


@pytest.mark.parametrize(
    "uri", ["sip:alice@example.net", "sip:example.org", "sip:192.0.2.1:5060", "tel:+1555", "sip:a@192.0.2.1:7"]
)
def test_who_is_none_of_ours_is_no_recipient(uri: str) -> None:
    assert message.recipient_of(REALM, uri) == ""


@pytest.mark.rfc("MSG-001")
@pytest.mark.parametrize(
    "uri", ["sip:uloc-6b036c70-44c5-1-87ff11ea@example.org;gr", "sip:alice@example.com;GR", "sip:a@example.org;gr="]
)
def test_a_temporary_gruu_does_not_tell_whose_rules_to_ask(uri: str) -> None:
    with pytest.raises(NotFound):
        message.recipient_of(REALM, uri)


@pytest.mark.parametrize(("uri", "error"), [("alice", BadRequest), ("", BadRequest), ("sip::password@example.org", NotFound)])
def test_what_names_nobody_is_refused(uri: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        message.recipient_of(REALM, uri)


# The answer


def test_what_is_allowed_is_not_answered_here() -> None:
    assert message.answer(SETTINGS, Verdict(Decision.ALLOW), (BOB,), ALICE) == []
    assert message.answer(FETCHING, Verdict(Decision.ALLOW, is_complete=False), (BOB,), ALICE) == []


@pytest.mark.rfc("MSG-014", "MSG-005", "MSG-006")
def test_a_polite_answer_is_that_of_a_delivered_message() -> None:
    reply, log = message.answer(SETTINGS, Verdict(Decision.POLITE_BLOCK), (BOB,), ALICE)
    assert reply == Reply(200, "OK")
    assert isinstance(log, Log)
    assert (ALICE in log.text, BOB in log.text) == (True, True)


@pytest.mark.rfc("MSG-001")
def test_what_is_blocked_is_refused() -> None:
    with pytest.raises(Forbidden):
        message.answer(SETTINGS, Verdict(Decision.BLOCK), (BOB,), ALICE)


@pytest.mark.rfc("MSG-006", "MSG-007")
@pytest.mark.parametrize(
    ("settings", "is_complete", "headers"),
    [
        (SETTINGS, True, ()), (SETTINGS, False, ()), (FETCHING, True, ()), (FETCHING, False, (("Retry-After", "5"),)),
    ],
)  # fmt: skip
def test_what_is_not_decided_may_come_again(settings: Settings, is_complete: bool, headers: object) -> None:
    with pytest.raises(TemporarilyUnavailable) as refused:
        message.answer(settings, Verdict(Decision.CONFIRM, is_complete), (BOB,), ALICE)
    assert (refused.value.status, refused.value.headers) == (480, headers)
