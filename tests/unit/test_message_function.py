"""SER's script function authorize_message: kemi/ser.py, with a real database and a double of Kamailio."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kemi import account, account_store, message
from kemi.database import Unavailable
from kemi.event_package import Decision
from kemi.message import Verdict
from tests.ksr import KSR
from tests.unit.kamailio import STRANGER, Server
from tests.unit.values import ALICE, BOB, CAROL

TRUE, FALSE, END = 1, -1, 0
FROM_BOB = ("From", f"<{BOB}>;tag=1")
CREDENTIALS = ("Authorization", 'Digest username="bob", realm="example.org", nonce="n", uri="sip:example.org", response="r"')


@pytest.fixture
def server(scripted: Callable[[str], Server]) -> Server:
    """Bob has a password."""
    running = scripted("kemi.ser")
    new = account.create("bob", "example.org", "secret")
    account_store.save(running.database, new)
    return running


class Asked(list[tuple[Any, ...]]):
    """Who asked for a verdict: senders, recipient, document."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return judged(monkeypatch, Decision.ALLOW)


def judged(monkeypatch: pytest.MonkeyPatch, decision: Decision) -> Asked:
    found = Asked()

    def authorize(_at: object, senders: Any, recipient: str, document: str = "") -> Verdict:
        found.append((senders, recipient, document))
        return Verdict(decision)

    monkeypatch.setattr(message, "authorize", authorize)
    return found


def call(
    server: Server, *headers: tuple[str, str], document: str = "im-rules.xml", identity: str = "", **changes: Any
) -> tuple[int, list[int]]:
    """python_exec for a MESSAGE to alice: what it returns, and what it has answered."""
    before = len(server.ksr.responses)
    own = () if any(name == "From" for name, _ in headers) else (FROM_BOB,)
    server.receive("MESSAGE", *own, *headers, **changes)
    if identity:
        server.ksr.variables["$avp(identity)"] = identity
    result = server.handler.authorize_message(None, document) if document else server.handler.authorize_message(None)
    assert type(result) is int
    return result, [each.status for each in server.ksr.responses[before:]]


@pytest.mark.rfc("MSG-001", "MSG-014")
@pytest.mark.parametrize(
    ("decision", "result"),
    [
        (Decision.ALLOW, (TRUE, [])), (Decision.BLOCK, (FALSE, [])), (Decision.CONFIRM, (END, [480])),
        (Decision.POLITE_BLOCK, (END, [200])),
    ],
)  # fmt: skip
def test_the_script_answers_what_is_blocked_and_nothing_else(
    server: Server, monkeypatch: pytest.MonkeyPatch, decision: Decision, result: tuple[int, list[int]]
) -> None:
    assert judged(monkeypatch, decision) == []
    assert call(server) == result
    assert server.ksr.called("tm.t_relay") == []


def test_without_rules_a_message_is_let_through(server: Server) -> None:
    assert call(server) == (TRUE, [])
    server.set(pa=replace(server.settings.pa, im_rules_default="block"))
    assert call(server) == (FALSE, [])


@pytest.mark.parametrize(("document", "asked_for"), [("im-rules.xml", "im-rules.xml"), (" rules ", "rules"), ("", "")])
def test_the_text_names_the_document(server: Server, asked: Asked, document: str, asked_for: str) -> None:
    assert call(server, document=document) == (TRUE, [])
    assert asked == [((BOB,), ALICE, asked_for)]


@pytest.mark.parametrize("document", ["a/b", "..", ".", "a b", "ä", "x" + "%"])
def test_what_is_no_name_of_a_document_is_an_error(server: Server, asked: Asked, document: str) -> None:
    assert call(server, document=document) == (END, [500])
    assert asked == []
    assert "is no name of a document" in server.lines("warn")[0]


@pytest.mark.rfc("MSG-004")
def test_a_tag_in_to_changes_nothing(server: Server, asked: Asked) -> None:
    assert call(server, ("To", f"<{ALICE}>;tag=2")) == (TRUE, [])
    assert len(asked) == 1


# The recipient


@pytest.mark.parametrize("uri", ["sip:carol@example.net", "sip:example.org", "tel:+1555"])
def test_who_is_none_of_ours_has_no_rules(server: Server, asked: Asked, uri: str) -> None:
    assert call(server, uri=uri, source=(STRANGER, 5060)) == (TRUE, [])
    assert asked == []


@pytest.mark.rfc("MSG-001")
def test_behind_lookup_it_is_whom_the_request_named_before(server: Server, asked: Asked) -> None:
    assert call(server, uri="sip:alice@198.51.100.9:5062", original_uri=ALICE) == (TRUE, [])
    assert asked == [((BOB,), ALICE, "im-rules.xml")]


def test_a_script_that_rewrites_an_alias_names_the_recipient(server: Server, asked: Asked) -> None:
    assert call(server, uri=ALICE, original_uri=CAROL) == (TRUE, [])
    assert asked == [((BOB,), ALICE, "im-rules.xml")]


@pytest.mark.rfc("MSG-001")
def test_a_temporary_gruu_is_refused(server: Server, asked: Asked) -> None:
    assert call(server, uri="sip:uloc-1-2-3-4@example.org;gr") == (END, [404])
    assert asked == []


# The sender


def test_the_word_of_the_script_counts_first(server: Server, asked: Asked, ksr: KSR) -> None:
    assert call(server, identity=CAROL, source=(STRANGER, 5060)) == (TRUE, [])
    assert asked == [((CAROL,), ALICE, "im-rules.xml")]
    assert ksr.called("tm.t_newtran") == []


@pytest.mark.rfc("AUTH-021")
def test_a_trusted_source_may_assert_several_identities(server: Server, asked: Asked) -> None:
    assert call(server, ("P-Asserted-Identity", f"<tel:+15551234>, <{CAROL}>")) == (TRUE, [])
    assert asked[0][0] == (CAROL, "tel:+15551234")


@pytest.mark.rfc("MSG-001", "SEC-001")
def test_anybody_else_is_asked_for_a_password(server: Server, asked: Asked) -> None:
    assert call(server, source=(STRANGER, 5060)) == (END, [401])
    assert asked == []


def test_who_gave_the_password_is_the_sender_and_the_password_goes_no_further(server: Server, asked: Asked, ksr: KSR) -> None:
    ksr.results["auth.pv_auth_check"] = 1
    assert call(server, CREDENTIALS, source=(STRANGER, 5060)) == (TRUE, [])
    assert asked == [((BOB,), ALICE, "im-rules.xml")]
    assert ksr.message.all("Authorization") == ksr.message.all("Proxy-Authorization") == []


def test_somebody_else_in_from_is_refused_here(server: Server, asked: Asked, ksr: KSR) -> None:
    ksr.results["auth.pv_auth_check"] = 1
    assert call(server, ("From", f"<{CAROL}>;tag=1"), CREDENTIALS, source=(STRANGER, 5060)) == (END, [403])
    assert asked == []


def test_a_retransmission_ends_the_script(server: Server, asked: Asked, ksr: KSR) -> None:
    ksr.results["tm.t_newtran"] = 0
    assert call(server, CREDENTIALS, source=(STRANGER, 5060)) == (END, [])
    assert asked == []


# What goes wrong


@pytest.mark.rfc("MSG-007")
@pytest.mark.parametrize(("error", "status"), [(Unavailable("locked"), 503), (OSError("disk"), 500)])
def test_rules_that_cannot_be_asked_open_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def authorize(*_: object) -> Verdict:
        raise error

    monkeypatch.setattr(message, "authorize", authorize)
    assert call(server) == (END, [status])


def test_what_is_blocked_is_told_in_the_log(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, Decision.BLOCK)
    call(server)
    assert server.lines("info")[-1] == f"message blocked: recipient={ALICE} sender={BOB}"
