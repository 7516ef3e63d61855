"""SER's script functions for lists of resources: kemi/ser_lists.py, with a real database and a double of Kamailio."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from kemi import account, account_store, packages
from kemi.moment import Moment
from tests.ksr import KSR, Response
from tests.multipart import Told, read
from tests.unit.kamailio import STRANGER, Server, call
from tests.unit.values import ALICE, BOB, CAROL, NOW
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, entries

TRUE, FALSE, END = 1, -1, 0
OWN = "sip:bob-list@example.org"
LISTS = (("Supported", "eventlist"), ("Accept", ACCEPT))
CREDENTIALS = 'Digest username="bob", realm="example.org", nonce="n", uri="sip:example.org", response="r"'
BROUGHT = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>{entries([ALICE])}</list></resource-lists>'.encode()
BRINGING = (
    ("Require", "recipient-list-subscribe"),
    ("Content-Disposition", "recipient-list"),
    ("Content-Type", "application/resource-lists+xml"),
    ("Content-Length", str(len(BROUGHT))),
)


@pytest.fixture
def server(scripted: Callable[[str], Server]) -> Server:
    return scripted("kemi.ser_lists")


@pytest.fixture
def lists(server: Server) -> Lists:
    """Bob has a service of two members, and two lists of his own."""
    at = Moment(server.database, server.settings, packages.served(server.settings), NOW)
    world: Any = SimpleNamespace(**at._asdict(), moment=at)
    made = Lists(world)
    made.put(ALICE, CAROL)
    made.put_lists(f'<list name="work">{entries([ALICE])}</list><list name="family">{entries([CAROL, BOB])}</list>')
    return made


def comes(server: Server, uri: str = FRIENDS, *headers: tuple[str, str], **changes: Any) -> None:
    """A SUBSCRIBE of Bob's that supports lists, unless it says otherwise."""
    given = {name for name, _ in headers}
    server.receive("SUBSCRIBE", *(each for each in LISTS if each[0] not in given), *headers, **{"uri": uri} | changes)


def handle(server: Server, send_errors: str = "1") -> tuple[int, Response | None]:
    """What the function returns, and its answer."""
    before = len(server.ksr.responses)
    result = call(server, "handle_rls_subscription", send_errors)
    answers = server.ksr.responses[before:]
    assert len(answers) <= 1, answers
    return result, answers[0] if answers else None


def answered(server: Server, send_errors: str = "1") -> tuple[int, int]:
    """Value and status; status 0: no answer."""
    result, answer = handle(server, send_errors)
    return result, answer.status if answer else 0


def told(server: Server) -> Told:
    """The newest NOTIFY."""
    server.run_tasks()
    headers, body = server.ksr.sent[-1][4:]
    (content_type,) = (line.partition(": ")[2] for line in headers.split("\r\n") if line.startswith("Content-Type"))
    return read(content_type, body)


# Which list it is


@pytest.mark.parametrize(("template", "uri", "is_it"), [
    ("$uid-list", OWN, TRUE), ("$uid-list", "sip:BOB-List@EXAMPLE.org", TRUE), ("$uid-list", "sip:alice-list@example.org", FALSE),
    ("$uid-list", "sip:bob-list@example.com", FALSE), ("contact-list", "sip:contact-list@example.org", TRUE),
    ("$uid-list", "tel:+49", FALSE), ("", OWN, FALSE),
])  # fmt: skip
def test_the_senders_own_list_by_its_uri(server: Server, template: str, uri: str, is_it: int) -> None:
    comes(server, uri)
    assert call(server, "is_simple_rls_target", template) == is_it
    assert server.ksr.responses == []


def test_without_a_template_the_parameter_counts(server: Server) -> None:
    server.set(rls=replace(server.settings.rls, simple_list="$uid-list"))
    comes(server, OWN)
    assert call(server, "is_simple_rls_target") == TRUE


@pytest.mark.parametrize(("function", "argument", "found"), [
    ("query_resource_list", ("work",), TRUE), ("query_resource_list", (" work ",), TRUE), ("query_resource_list", ("",), TRUE),
    ("query_resource_list", (), TRUE), ("query_resource_list", ("other",), FALSE), ("query_rls_services", (), TRUE),
])  # fmt: skip
@pytest.mark.usefixtures("lists")
def test_a_query_is_remembered_for_its_message(server: Server, function: str, argument: tuple[str, ...], found: int) -> None:
    comes(server)
    assert call(server, "have_flat_list") == FALSE
    assert call(server, function, *argument) == found
    assert call(server, "have_flat_list") == found
    comes(server)
    assert call(server, "have_flat_list") == FALSE


@pytest.mark.usefixtures("lists")
def test_a_query_that_fails_forgets_what_was_found(server: Server) -> None:
    comes(server)
    assert call(server, "query_rls_services") == TRUE
    assert call(server, "query_resource_list", "other") == FALSE
    assert call(server, "have_flat_list") == FALSE


@pytest.mark.parametrize("uri", ["sip:nobody@example.org", "sip:friend@example.org", "sip:friends@elsewhere.example"])
@pytest.mark.usefixtures("lists")
def test_a_uri_that_is_no_list(server: Server, uri: str) -> None:
    comes(server, uri)
    assert call(server, "query_rls_services") == FALSE
    assert server.ksr.responses == []


@pytest.mark.usefixtures("lists")
def test_another_users_lists_are_not_found(server: Server) -> None:
    comes(server, FRIENDS, ("From", f"<{CAROL}>;tag=1"))
    assert call(server, "query_resource_list", "work") == FALSE


@pytest.mark.usefixtures("lists")
def test_who_is_not_known_is_asked_for_a_password_before_anything_is_told(server: Server) -> None:
    for function in ("query_resource_list", "query_rls_services", "handle_rls_subscription"):
        comes(server, source=(STRANGER, 5060))
        assert call(server, function) == END
        assert server.ksr.responses[-1].status == 401
        assert call(server, "have_flat_list") == FALSE


@pytest.mark.parametrize("last", ["handle_rls_subscription", "handle_subscription"])
@pytest.mark.usefixtures("lists")
def test_a_password_is_checked_once(server: Server, ksr: KSR, last: str) -> None:
    """A nonce count that came twice would be refused."""
    bob = account.create("bob", "example.org", "secret")
    account_store.save(server.database, bob)
    ksr.results["auth.pv_auth_check"] = 1
    comes(server, FRIENDS, ("Authorization", CREDENTIALS), source=(STRANGER, 5060))
    assert call(server, "query_resource_list", "work") == TRUE
    assert call(server, "query_rls_services") == TRUE
    assert call(server, last) == TRUE
    assert len(ksr.called("auth.pv_auth_check")) == 1


# Handling


@pytest.mark.usefixtures("lists")
def test_the_list_that_was_found_is_subscribed_to(server: Server) -> None:
    comes(server, OWN)
    assert call(server, "query_resource_list", "family") == TRUE
    result, answer = handle(server)
    assert answer is not None
    assert (result, answer.status, answer.headers["Require"]) == (TRUE, 200, ["eventlist"])
    assert told(server).uris == [CAROL, BOB]


@pytest.mark.usefixtures("lists")
def test_all_lists_of_the_document_together(server: Server) -> None:
    comes(server, OWN)
    call(server, "query_resource_list", "")
    assert answered(server) == (TRUE, 200)
    assert told(server).uris == [ALICE, CAROL, BOB]


@pytest.mark.parametrize("query", [True, False])
@pytest.mark.usefixtures("lists")
def test_a_service_is_subscribed_to_with_and_without_a_query(server: Server, query: bool) -> None:
    comes(server)
    if query:
        assert call(server, "query_rls_services") == TRUE
    assert answered(server, "0") == (TRUE, 200)
    assert told(server).uris == [ALICE, CAROL]


def test_a_list_that_the_request_brings(server: Server) -> None:
    comes(server, "sip:lists@example.org", *BRINGING, body=BROUGHT)
    assert answered(server, "0") == (TRUE, 200)
    assert told(server).uris == [ALICE]


@pytest.mark.rfc("RLS-001", "RLS-017", "RLS-028")
@pytest.mark.parametrize(("uri", "headers", "status"), [
    (FRIENDS, (("Supported", "path"),), 421),
    (FRIENDS, (("Accept", "application/pidf+xml"),), 406),
    (FRIENDS, (("Event", "unknown"),), 489),
    (FRIENDS, (("Contact", "*"),), 400),
    ("sip:nobody@example.org", (), 404),
])  # fmt: skip
@pytest.mark.usefixtures("lists")
def test_what_is_for_no_list_is_refused_or_left_to_others(
    server: Server, uri: str, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    comes(server, uri, *headers)
    assert answered(server, "1") == (FALSE, status)
    comes(server, uri, *headers)
    assert answered(server, "0") == (FALSE, 0)
    assert server.ksr.message.first("To") == f"<{ALICE}>"


@pytest.mark.rfc("RLS-011")
@pytest.mark.parametrize("send_errors", ["0", "1"])
@pytest.mark.parametrize(("headers", "status"), [
    ((("Expires", "10"),), 423), ((("From", f"<{CAROL}>;tag=1"),), 403), ((("Require", "unknown"),), 420),
])  # fmt: skip
@pytest.mark.usefixtures("lists")
def test_what_is_refused_as_a_lists_is_answered_in_any_case(
    server: Server, headers: tuple[tuple[str, str], ...], status: int, send_errors: str
) -> None:
    comes(server, FRIENDS, *headers)
    assert answered(server, send_errors) == (TRUE, status)


@pytest.mark.usefixtures("lists")
def test_what_was_left_can_be_handled_otherwise(server: Server) -> None:
    """In full_ps what is in a dialog is a list's, or else a presentity's."""
    comes(server, ALICE)
    assert answered(server, "0") == (FALSE, 0)
    assert call(server, "handle_subscription", "registrar") == TRUE
    tag = server.ksr.responses[-1].to.rpartition(";tag=")[2]
    number = server.ksr.message.first("Call-ID") or ""
    comes(server, ALICE, ("To", f"<{ALICE}>;tag={tag}"), ("Call-ID", number))
    assert answered(server, "0") == (FALSE, 0)
    assert call(server, "handle_subscription", "registrar") == TRUE


@pytest.mark.usefixtures("lists")
def test_a_lists_dialog_goes_on_by_the_same_function(server: Server) -> None:
    comes(server, OWN)
    call(server, "query_resource_list", "work")
    _result, answer = handle(server)
    assert answer is not None
    assert told(server).version == 0
    server.answer(server.ksr.sent[-1], 200)
    comes(server, OWN, ("To", answer.to), ("Call-ID", "call-1"))
    assert answered(server, "0") == (TRUE, 200)
    assert (told(server).version, told(server).uris) == (1, [ALICE])
    comes(server, OWN, ("To", f"<{OWN}>;tag=kp-list-000000000000000000000000"), ("Call-ID", "call-1"))
    assert answered(server, "0") == (FALSE, 0)
    comes(server, OWN, ("To", f"<{OWN}>;tag=kp-list-000000000000000000000000"), ("Call-ID", "call-1"))
    assert answered(server, "1") == (FALSE, 481)


@pytest.mark.rfc("RLS-012")
@pytest.mark.usefixtures("lists")
def test_a_service_for_other_packages_is_489(server: Server, lists: Lists) -> None:
    """SER's query was false then, and its scripts said 404."""
    lists.put(ALICE, packages="<packages><package>dialog</package></packages>")
    comes(server)
    assert call(server, "query_rls_services") == TRUE
    result, answer = handle(server, "0")
    assert answer is not None
    assert (result, answer.status, answer.headers["Allow-Events"]) == (TRUE, 489, ["dialog"])


def test_a_retransmission_ends_the_script_without_another_answer(server: Server, ksr: KSR) -> None:
    ksr.results["tm.t_newtran"] = 0
    comes(server)
    assert answered(server) == (END, 0)


@pytest.mark.parametrize("argument", ["2", "yes", ""])
def test_an_argument_that_means_nothing_is_an_error(server: Server, argument: str) -> None:
    comes(server)
    assert answered(server, argument) == (TRUE, 500)
