"""MESSAGE on its way through the server: kemi/requests.py and kemi/gateway/, with a real database and a double of Kamailio."""

from dataclasses import replace
from typing import Any

import pytest

from kemi import account, account_store, message
from kemi.database import Conflict, Unavailable
from kemi.event_package import Decision
from kemi.message import Verdict
from kemi.parameters import XcapSettings
from kemi.subscription import TIMER_F
from tests.ksr import KSR, Response
from tests.ksr import Message as Answered
from tests.unit.kamailio import OWN, STRANGER, Server
from tests.unit.values import ALICE, BOB, CAROL

FROM_BOB = ("From", f"<{BOB}>;tag=1")
CREDENTIALS = 'Digest username="bob", realm="example.org", nonce="n", uri="sip:example.org", response="r"'
ELSEWHERE = 'Digest username="bob", realm="example.net", nonce="n", uri="sip:example.net", response="r"'


@pytest.fixture(autouse=True)
def bob(server: Server) -> None:
    """He has a password."""
    new = account.create("bob", "example.org", "secret")
    account_store.save(server.database, new)


def send(server: Server, *headers: tuple[str, str | bytes], **changes: Any) -> Response | None:
    """A MESSAGE to alice; None: it went on."""
    before = len(server.ksr.responses)
    own = () if any(name == "From" for name, _ in headers) else (FROM_BOB,)
    server.receive("MESSAGE", *own, *headers, **changes)
    assert server.handler.ksr_request_route(None) == 1
    new = server.ksr.responses[before:]
    assert len(new) + len(server.ksr.called("tm.t_relay")) == 1, server.ksr.logged
    return new[0] if new else None


def status(server: Server, *headers: tuple[str, str | bytes], **changes: Any) -> int:
    """Of the answer; 0: the message went on."""
    done = send(server, *headers, **changes)
    return done.status if done else 0


def rule(monkeypatch: pytest.MonkeyPatch, decision: Decision, is_complete: bool = True) -> list[tuple[Any, ...]]:
    """Alice's rules say this; who asked is collected."""
    asked: list[tuple[Any, ...]] = []

    def authorize(_at: object, senders: Any, recipient: str, document: str = "") -> Verdict:
        asked.append((senders, recipient, document))
        return Verdict(decision, is_complete)

    monkeypatch.setattr(message, "authorize", authorize)
    return asked


# Delivery


@pytest.mark.rfc("MSG-001")
def test_a_message_without_rules_goes_to_the_registered_contacts(server: Server, ksr: KSR) -> None:
    assert send(server) is None
    assert ksr.called("registrar.lookup") == [("location",)]
    assert ksr.called("tm.t_newtran") == []


@pytest.mark.rfc("TRN-021")
def test_devices_have_less_time_for_their_answer_than_the_sender_waits(server: Server, ksr: KSR) -> None:
    assert send(server) is None
    ((_invite, patience),) = ksr.called("tm.t_set_fr")
    assert 1000 * TIMER_F > patience > 1000
    for (callback,) in ksr.called("tm.t_on_reply") + ksr.called("tm.t_on_failure"):
        assert callable(getattr(server.handler, callback))


@pytest.mark.rfc("TRN-021")
@pytest.mark.parametrize(("answered", "dropped"), [(180, 1), (199, 1), (200, 0), (486, 0)])
def test_a_provisional_answer_goes_no_further(server: Server, ksr: KSR, answered: int, dropped: int) -> None:
    ksr.receive(Answered("MESSAGE", status=answered))
    assert server.handler.ksr_relayed_answer(None) == 1
    assert len(ksr.called("set_drop")) == dropped


@pytest.mark.rfc("TRN-021")
@pytest.mark.parametrize(("best", "said"), [(408, [480]), (486, []), (503, [])])
def test_the_sender_gets_no_408(server: Server, ksr: KSR, best: int, said: list[int]) -> None:
    ksr.receive(Answered("MESSAGE", status=best))
    ksr.results["tm.t_check_status"] = lambda pattern: 1 if pattern == str(best) else -1
    assert server.handler.ksr_relayed_failed(None) == 1
    assert [each.status for each in ksr.responses] == said


@pytest.mark.rfc("MSG-001", "MSG-014")
@pytest.mark.parametrize(
    ("decision", "expected"), [(Decision.BLOCK, 403), (Decision.CONFIRM, 480), (Decision.POLITE_BLOCK, 200), (Decision.ALLOW, 0)]
)
def test_the_rules_decide_about_the_sender_and_the_recipient(
    server: Server, monkeypatch: pytest.MonkeyPatch, decision: Decision, expected: int
) -> None:
    asked = rule(monkeypatch, decision)
    assert status(server) == expected
    assert asked == [((BOB,), ALICE, "")]
    assert (server.ksr.called("registrar.lookup") == []) is (expected != 0)


@pytest.mark.rfc("MSG-004")
def test_a_tag_in_to_helps_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    rule(monkeypatch, Decision.BLOCK)
    assert status(server, ("To", f"<{ALICE}>;tag=2")) == 403


@pytest.mark.rfc("MSG-004")
@pytest.mark.parametrize("uri", ["sip:alice@198.51.100.9:5062", "sip:alice@example.net"])
def test_neither_does_a_route_past_the_rules(server: Server, uri: str) -> None:
    assert status(server, ("Route", f"<sip:{OWN};lr>"), ("To", f"<{ALICE}>;tag=2"), uri=uri) == 404


@pytest.mark.rfc("MSG-014", "MSG-005", "MSG-006")
def test_a_polite_answer_tells_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    rule(monkeypatch, Decision.POLITE_BLOCK)
    done = send(server, ("Record-Route", "<sip:192.0.2.7;lr>"))
    assert done is not None
    assert (done.status, done.reason, done.headers) == (200, "OK", {})
    assert server.ksr.message.all("Record-Route") == []
    assert "why=polite-block" in server.lines("info")[-1]


def test_who_is_not_registered_is_not_available(server: Server, ksr: KSR) -> None:
    ksr.results["registrar.lookup"] = -1
    assert status(server) == 480


def test_until_the_registrations_are_read_nobody_is_taken_for_not_registered(server: Server, ksr: KSR) -> None:
    ksr.variables["$shv(loaded)"] = 0
    done = send(server)
    assert done is not None
    assert (done.status, done.headers["Retry-After"]) == (503, ["1"])


def test_an_address_of_ours_stands_for_the_domain(server: Server, ksr: KSR) -> None:
    assert status(server, uri=f"sip:alice@{OWN}:5060") == 0
    assert ksr.message.uri == ALICE


@pytest.mark.rfc("MSG-013")
def test_an_im_uri_is_looked_up_as_sip(server: Server, ksr: KSR, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rule(monkeypatch, Decision.ALLOW)
    assert status(server, uri="im:alice@example.org", body=b"caf\xe9") == 0
    assert ksr.message.uri == ALICE
    assert asked[0][1] == ALICE


@pytest.mark.parametrize(
    ("uri", "expected"),
    [("sip:alice@example.net", 404), ("sip:example.org", 404), ("tel:+1555", 416), ("sip:a@example.org;gr", 404)],
)
def test_other_request_uris_are_refused(server: Server, uri: str, expected: int) -> None:
    assert status(server, uri=uri) == expected


def test_where_users_are_those_with_a_password_others_do_not_exist(server: Server) -> None:
    server.set(pa=replace(server.settings.pa, presentities="subscriber"))
    assert status(server, uri=ALICE) == 404
    assert status(server, uri=BOB) == 0


@pytest.mark.rfc("MSG-007")
@pytest.mark.parametrize(("error", "expected"), [(Unavailable("locked"), 503), (Conflict("deadlock"), 503), (OSError("disk"), 500)])
def test_rules_that_cannot_be_asked_open_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: int
) -> None:
    def authorize(*_: object) -> Verdict:
        raise error

    monkeypatch.setattr(message, "authorize", authorize)
    assert status(server) == expected


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "Via", "Max-Breadth", "Proxy-Require", "Authorization", "User-Agent"])
def test_octets_that_are_no_utf_8_are_the_senders_mistake_or_nobodys(server: Server, name: str) -> None:
    assert status(server, (name, b"<sip:caf\xe9@example.org>;tag=1")) < 500


# Rules of another XCAP server


@pytest.mark.rfc("MSG-007")
def test_rules_that_are_not_known_are_fetched_at_once(server: Server, ksr: KSR) -> None:
    server.set(xcap=XcapSettings(xcap_root="http://127.0.0.1:9/xcap-root"))
    done = send(server)
    assert done is not None
    assert (done.status, done.headers["Retry-After"]) == (480, ["5"])
    assert ksr.tasks == [("ksr_fetch", "fetch", "")]


@pytest.mark.parametrize(("root", "is_complete"), [("http://127.0.0.1:9/xcap-root", True), ("", False)])
def test_otherwise_nothing_is_fetched(
    server: Server, ksr: KSR, monkeypatch: pytest.MonkeyPatch, root: str, is_complete: bool
) -> None:
    server.set(xcap=XcapSettings(xcap_root=root))
    rule(monkeypatch, Decision.ALLOW, is_complete)
    assert status(server) == 0
    assert ksr.tasks == []


# Who sent it


@pytest.mark.rfc("MSG-001", "SEC-013")
def test_a_stranger_is_asked_for_a_password(server: Server, ksr: KSR) -> None:
    done = send(server, source=(STRANGER, 5060))
    assert done is not None
    assert (done.status, done.stateful) == (401, False)
    assert ksr.called("tm.t_newtran") == []


@pytest.mark.rfc("MSG-001", "SEC-001")
def test_the_sender_is_who_gave_the_password(server: Server, ksr: KSR, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rule(monkeypatch, Decision.ALLOW)
    ksr.results["auth.pv_auth_check"] = 1
    server.set(auth=replace(server.settings.auth, check_from=0))
    carol = ("From", f"<{CAROL}>;tag=1")
    assert status(server, carol, ("Authorization", CREDENTIALS), source=(STRANGER, 5060)) == 0
    assert asked[0][0] == (BOB,)


@pytest.mark.rfc("SEC-003")
def test_from_has_to_be_who_gave_the_password(server: Server, ksr: KSR) -> None:
    ksr.results["auth.pv_auth_check"] = 1
    carol = ("From", f"<{CAROL}>;tag=1")
    assert status(server, carol, ("Authorization", CREDENTIALS), source=(STRANGER, 5060)) == 403


def test_credentials_for_us_go_no_further_and_those_for_others_do(server: Server, ksr: KSR) -> None:
    ksr.results["auth.pv_auth_check"] = 1
    given = [("Authorization", ELSEWHERE), ("Authorization", CREDENTIALS), ("Proxy-Authorization", ELSEWHERE)]
    assert status(server, *given, source=(STRANGER, 5060)) == 0
    assert ksr.message.all("Authorization") == [ELSEWHERE]
    assert ksr.message.all("Proxy-Authorization") == [ELSEWHERE]


def test_the_answer_to_somebody_with_a_password_is_kept_for_a_retransmission(
    server: Server, ksr: KSR, monkeypatch: pytest.MonkeyPatch
) -> None:
    ksr.results["auth.pv_auth_check"] = 1
    rule(monkeypatch, Decision.BLOCK)
    done = send(server, ("Authorization", CREDENTIALS), source=(STRANGER, 5060))
    assert done is not None
    assert (done.status, done.stateful) == (403, True)


def test_a_retransmission_is_not_judged_again(server: Server, ksr: KSR, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = rule(monkeypatch, Decision.ALLOW)
    ksr.results["tm.t_check_trans"] = 0
    server.receive("MESSAGE", FROM_BOB, ("Authorization", CREDENTIALS), source=(STRANGER, 5060))
    assert server.handler.ksr_request_route(None) == 1
    assert (asked, ksr.responses, ksr.called("tm.t_relay")) == ([], [], [])


@pytest.mark.rfc("AUTH-021", "SEC-004")
@pytest.mark.parametrize("asserted", [f"<{CAROL}>, <tel:+15551234>", f'<tel:+15551234>, "Carol" <{CAROL}>'])
def test_a_trusted_source_may_assert_several_identities(server: Server, monkeypatch: pytest.MonkeyPatch, asserted: str) -> None:
    asked = rule(monkeypatch, Decision.ALLOW)
    assert status(server, ("P-Asserted-Identity", asserted)) == 0
    assert asked[0][0] == (CAROL, "tel:+15551234")
    assert server.ksr.message.all("P-Asserted-Identity") == [asserted]


def test_a_number_alone_is_no_sender(server: Server) -> None:
    assert status(server, ("P-Asserted-Identity", "<tel:+15551234>")) == 416


@pytest.mark.rfc("SEC-004")
@pytest.mark.parametrize("name", ["P-Asserted-Identity", "P-Preferred-Identity"])
def test_what_a_stranger_asserts_is_neither_believed_nor_passed_on(
    server: Server, ksr: KSR, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked = rule(monkeypatch, Decision.ALLOW)
    ksr.results["auth.pv_auth_check"] = 1
    assert status(server, (name, f"<{CAROL}>"), ("Authorization", CREDENTIALS), source=(STRANGER, 5060)) == 0
    assert asked[0][0] == (BOB,)
    assert ksr.message.all(name) == []


# What a proxy has to do


@pytest.mark.rfc("TRN-031")
def test_a_message_with_too_many_hops_is_answered_with_483(server: Server, ksr: KSR) -> None:
    ksr.results["maxfwd.process_maxfwd"] = -1
    assert status(server) == 483


@pytest.mark.rfc("TRN-015")
def test_an_extension_that_proxies_have_to_know_is_refused(server: Server) -> None:
    done = send(server, ("Proxy-Require", "privacy"), ("Proxy-Require", "x"))
    assert done is not None
    assert (done.status, done.headers["Unsupported"]) == (420, ["privacy, x"])


@pytest.mark.rfc("SEC-021")
@pytest.mark.parametrize(
    ("via", "expected"),
    [
        (f"SIP/2.0/UDP {OWN}:5060;branch=z9hG4bK1", 482), (f"SIP/2.0/UDP {OWN};branch=z9hG4bK1", 482),
        (f"SIP / 2.0 / TCP {OWN} : 5060 ;branch=z9hG4bK1", 482), (f"SIP/2.0/TLS {OWN};branch=z9hG4bK1", 482),
        (f"SIP/2.0/UDP a.example.org;branch=z9hG4bK1, SIP/2.0/UDP {OWN}:5060;branch=z9hG4bK1", 482),
        (f"SIP/2.0/UDP {OWN}:5070;branch=z9hG4bK1", 0), (f"SIP/2.0/WS {OWN};branch=z9hG4bK1", 0),
        ("SIP/2.0/UDP [2001:db8::9:10]:5070;branch=z9hG4bK1", 0), (f"SIP/2.0/UDP 198.51.100.7;received={OWN}", 0),
    ],
)  # fmt: skip
def test_a_message_that_was_here_before_goes_no_further(server: Server, via: str, expected: int) -> None:
    assert status(server, ("Via", "SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK2"), ("Via", via)) == expected


@pytest.mark.rfc("SEC-021")
def test_via_that_is_too_long_to_be_searched_is_refused(server: Server) -> None:
    assert status(server, ("Via", "SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bK" + 5000 * "a")) == 400


def looked_up(ksr: KSR, *contacts: str) -> None:
    """The registrar finds these."""

    def lookup(_table: str) -> int:
        ksr.message.uri = contacts[0]
        ksr.variables |= {f"$(branch(uri)[{index}])": each for index, each in enumerate(contacts[1:])}
        ksr.variables["$branch(count)"] = len(contacts) - 1
        return 1

    ksr.results["registrar.lookup"] = lookup


@pytest.mark.rfc("SEC-021")
@pytest.mark.parametrize(
    ("given", "contacts", "left"),
    [(None, 1, "60"), (None, 3, "20"), ("7", 2, "3"), ("2", 2, "1"), ("x", 2, "30"), ("0060", 1, "60")],
)
def test_contacts_share_how_far_a_message_may_be_forked(
    server: Server, ksr: KSR, given: str | None, contacts: int, left: str
) -> None:
    looked_up(ksr, *(f"sip:alice@198.51.100.{each}" for each in range(contacts)))
    assert status(server, *([("Max-Breadth", given)] if given else [])) == 0
    ksr.call("textopsx.msg_apply_changes", ())
    assert ksr.message.all("Max-Breadth") == [left]


@pytest.mark.rfc("SEC-021")
@pytest.mark.parametrize(("given", "contacts"), [("1", 2), ("0", 1), (None, 61)])
def test_more_contacts_than_that_are_refused(server: Server, ksr: KSR, given: str | None, contacts: int) -> None:
    looked_up(ksr, *(f"sip:alice@198.51.100.{each}" for each in range(contacts)))
    assert status(server, *([("Max-Breadth", given)] if given else [])) == 440


@pytest.mark.rfc("SEC-025")
@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        (["sips:alice@198.51.100.7"], 0), (["sips:alice@198.51.100.7", "SIPS:alice@198.51.100.8"], 0),
        (["sip:alice@198.51.100.7"], 480), (["sips:alice@198.51.100.7", "sip:alice@198.51.100.8"], 480),
    ],
)  # fmt: skip
def test_what_is_to_go_by_sips_goes_no_other_way(server: Server, ksr: KSR, contacts: list[str], expected: int) -> None:
    looked_up(ksr, *contacts)
    assert status(server, uri="sips:alice@example.org") == expected


def test_message_is_in_allow(server: Server) -> None:
    assert "MESSAGE" in server.request("OPTIONS", uri=f"sip:{OWN}:5060").headers["Allow"][0].split(", ")
    assert "text/plain" not in server.request("OPTIONS", uri=f"sip:{OWN}:5060").headers["Accept"][0]
