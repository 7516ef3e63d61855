"""Who asks: digest, trusted sources, From and what it may do. kemi/handler.py with a double of Kamailio."""

from dataclasses import replace
from typing import Any

import pytest

from kemi import account, account_store
from kemi.xcap import store as documents
from kemi.xcap.store import Stored
from tests.ksr import KSR, Response
from tests.unit.kamailio import STRANGER, TRUSTED, Server
from tests.unit.values import ALICE, BOB, pidf
from tests.unit.xcap.rules import document, identity, one, rule
from tests.verbs.ruled import selector_of


@pytest.fixture
def alice(server: Server) -> account.Account:
    new = account.create("alice", "example.org", "secret")
    account_store.save(server.database, new)
    return new


CREDENTIALS = ("Authorization", 'Digest username="alice", realm="example.org", nonce="n", uri="sip:example.org", response="r"')


def proved(server: Server, *headers: tuple[str, str], method: str = "PUBLISH", **changes: Any) -> Response:
    """A request of a stranger with credentials that Kamailio finds right."""
    server.ksr.results["auth.pv_auth_check"] = 1
    body = pidf("t1") if method == "PUBLISH" else b""
    return server.request(method, CREDENTIALS, *headers, body=body, source=(STRANGER, 5060), **changes)


@pytest.mark.rfc("PA-011")
@pytest.mark.rfc("SEC-013")
@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH", "REGISTER"])
def test_a_stranger_is_challenged_without_any_state(server: Server, ksr: KSR, method: str) -> None:
    done = server.request(method, body=pidf("t1") if method == "PUBLISH" else b"", source=(STRANGER, 5060))
    assert (done.status, done.stateful) == (401, False)
    assert 'realm="example.org"' in done.headers["WWW-Authenticate"][0]
    assert ksr.called("tm.t_newtran") == []
    assert ksr.sent == []


@pytest.mark.rfc("SEC-001")
def test_the_password_is_checked_against_the_stored_hash(server: Server, ksr: KSR, alice: account.Account) -> None:
    assert proved(server).status == 200
    assert ksr.called("auth.pv_auth_check") == [("example.org", alice.ha1, 5, 0)]


def test_with_sha_256_the_other_hash_is_used(server: Server, ksr: KSR, alice: account.Account) -> None:
    server.set(auth=replace(server.settings.auth, algorithm="SHA-256"))
    assert proved(server).status == 200
    assert ksr.called("auth.pv_auth_check")[0][1] == alice.ha1_sha256


WHOLE = (CREDENTIALS[0], CREDENTIALS[1].replace("alice", "alice@example.org"))


def test_a_client_may_give_its_whole_address_as_user_name(server: Server, ksr: KSR, alice: account.Account) -> None:
    ksr.results["auth.pv_auth_check"] = 1
    assert server.request("PUBLISH", WHOLE, body=pidf("t1"), source=(STRANGER, 5060)).status == 200
    assert ksr.called("auth.pv_auth_check") == [("example.org", alice.ha1b, 5, 0)]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_hash_that_is_not_known_is_no_password(server: Server, ksr: KSR, alice: account.Account, algorithm: str) -> None:
    server.set(auth=replace(server.settings.auth, algorithm=algorithm))
    account_store.save(server.database, replace(alice, ha1="", ha1_sha256="", ha1b="", ha1b_sha256=""))
    for given in (CREDENTIALS, WHOLE):
        server.request("PUBLISH", given, body=pidf("t1"), source=(STRANGER, 5060))
    hashes = {hashed for _realm, hashed, *_ in ksr.called("auth.pv_auth_check")}
    assert {len(each) for each in hashes} == {len(alice.ha1_for(algorithm, "alice"))}
    assert not hashes & {alice.ha1, alice.ha1_sha256, alice.ha1b, alice.ha1b_sha256}


@pytest.mark.rfc("SEC-023")
@pytest.mark.parametrize(("result", "stale"), [(-2, False), (-4, True), (-6, True)])
def test_wrong_credentials_are_challenged_again(server: Server, ksr: KSR, alice: account.Account, result: int, stale: bool) -> None:
    def check(realm: str, *_: Any) -> int:
        ksr.variables["$avp(digest_challenge)"] = f'WWW-Authenticate: Digest realm="{realm}", nonce="m"\r\n'
        return result

    ksr.results["auth.pv_auth_check"] = check
    done = server.request("PUBLISH", CREDENTIALS, body=pidf("t1"), source=(STRANGER, 5060))
    assert (done.status, "stale=true" in done.headers["WWW-Authenticate"][0]) == (401, stale)
    assert any("authentication failed" in line for line in server.lines("warn")) is not stale


def test_an_unknown_user_is_challenged_like_everybody(server: Server, ksr: KSR) -> None:
    assert proved(server).status == 401


@pytest.mark.rfc("SEC-003")
@pytest.mark.rfc("SEC-001")
def test_from_has_to_be_the_user_who_gave_the_password(server: Server, alice: account.Account) -> None:
    assert proved(server, ("From", f"<{BOB}>;tag=1")).status == 403


@pytest.mark.rfc("PUB-008")
@pytest.mark.rfc("SEC-002")
def test_nobody_publishes_for_somebody_else(server: Server, alice: account.Account) -> None:
    assert proved(server, uri=BOB).status == 403
    server.set(auth=replace(server.settings.auth, check_from=0))
    assert proved(server, ("From", f"<{BOB}>;tag=1"), uri=BOB).status == 403
    assert proved(server, ("From", f"<{BOB}>;tag=1")).status == 200


@pytest.mark.rfc("SEC-024")
def test_credentials_made_for_another_server_are_not_taken(server: Server, alice: account.Account) -> None:
    for_another = (CREDENTIALS[0], CREDENTIALS[1].replace("sip:example.org", "sip:example.net"))
    server.ksr.results["auth.pv_auth_check"] = 1
    assert server.request("PUBLISH", for_another, body=pidf("t1"), source=(STRANGER, 5060)).status == 401


@pytest.mark.rfc("SEC-004")
def test_an_asserted_identity_counts_from_a_trusted_source_only(server: Server, alice: account.Account) -> None:
    asserted = ("P-Asserted-Identity", f'"B" <{BOB}>')
    assert server.request("PUBLISH", asserted, body=pidf("t1"), uri=BOB).status == 200
    assert server.request("PUBLISH", asserted, body=pidf("t1")).status == 403
    assert proved(server, asserted, uri=BOB).status == 403


ASSERTED = ("P-Asserted-Identity", f'"B" <{BOB}>, <tel:+15551234>')


@pytest.mark.rfc("AUTH-021")
@pytest.mark.parametrize("header", [ASSERTED, ("P-Asserted-Identity", f"<tel:+1-555-1234>, <{BOB}>")])
def test_presence_rules_are_asked_about_all_asserted_identities(server: Server, header: tuple[str, str]) -> None:
    rules = document(rule(identity(one("tel:+15551234")), "allow"))
    server.set(pa=replace(server.settings.pa, auth="xcap"))
    documents.create(server.database, Stored(selector_of(), "1", "application/auth-policy+xml", rules, 0.0))
    assert server.request("SUBSCRIBE").status == 403
    assert server.request("SUBSCRIBE", header).status == 200


@pytest.mark.rfc("SEC-004")
def test_what_a_stranger_asserts_besides_is_not_kept(server: Server, alice: account.Account) -> None:
    server.set(pa=replace(server.settings.pa, auth="xcap"), auth=replace(server.settings.auth, check_from=0))
    assert proved(server, ASSERTED, method="SUBSCRIBE").status == 200
    assert server.database.execute("decision_identities", {"watcher": ALICE}).rows() == []


@pytest.mark.parametrize("method", ["PUBLISH", "SUBSCRIBE"])
def test_identities_are_kept_of_watchers_whose_rules_may_ask(server: Server, method: str) -> None:
    body = pidf("t1") if method == "PUBLISH" else b""
    for auth, kept in (("none", 0), ("xcap", 1 if method == "SUBSCRIBE" else 0)):
        server.set(pa=replace(server.settings.pa, auth=auth))
        assert server.request(method, ASSERTED, body=body, uri=BOB).status == 200
        assert len(server.database.execute("decision_identities", {"watcher": BOB}).rows()) == kept


def test_a_user_registers_only_itself(server: Server, ksr: KSR, alice: account.Account) -> None:
    assert server.request("REGISTER", ("To", f"<{BOB}>")).status == 403
    assert ksr.called("registrar.save_uri") == []


# Whom requests are forwarded for


def passing(server: Server, method: str, source: str, *headers: tuple[str, str]) -> None:
    """A request in somebody's dialog, with our address in Route."""
    route = ("Route", "<sip:192.0.2.1:5060;lr>")
    uri = "sip:victim@203.0.113.77"
    server.receive(method, route, ("To", f"<{uri}>;tag=z"), *headers, uri=uri, source=(source, 5062))
    assert server.handler.ksr_request_route(None) == 1


@pytest.mark.parametrize("method", ["INFO", "INVITE", "BYE", "SUBSCRIBE", "PUBLISH", "NOTIFY"])
def test_nothing_is_forwarded_for_a_stranger(server: Server, ksr: KSR, method: str) -> None:
    """A tag in To proves no dialog: this would be an open relay."""
    passing(server, method, STRANGER)
    assert ksr.called("tm.t_relay") == []
    assert [each.status for each in ksr.responses] == [401]


@pytest.mark.parametrize("method", ["INFO", "INVITE", "BYE", "SUBSCRIBE", "PUBLISH", "NOTIFY"])
def test_what_a_trusted_proxy_sends_in_a_dialog_goes_on(server: Server, ksr: KSR, method: str) -> None:
    passing(server, method, TRUSTED)
    assert len(ksr.called("tm.t_relay")) == 1


# What is required


@pytest.mark.rfc("TRN-015")
@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER"])
def test_an_extension_that_is_not_there_is_refused(server: Server, method: str) -> None:
    refused = server.request(method, ("Require", "foo, bar"), uri="sip:example.org")
    assert (refused.status, refused.headers["Unsupported"]) == (420, ["foo, bar"])


def test_a_register_for_another_registrar_is_refused(server: Server) -> None:
    assert server.request("REGISTER", uri="sip:other.example.net").status == 404


@pytest.mark.parametrize(
    "uri", ["sip:example.org", "sip:sip.example.org", "sip:192.0.2.1", "sip:203.0.113.5:5070", "sip:[2001:db8::5]"]
)
def test_a_registrar_may_be_known_by_a_name_below_its_domain_or_by_an_address(server: Server, uri: str) -> None:
    assert server.request("REGISTER", uri=uri).status == 200
