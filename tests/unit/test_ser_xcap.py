"""SER's script functions for the XCAP server that documents are fetched from: kemi/ser_xcap.py, in a double of Kamailio."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kemi.parameters import XcapSettings
from kemi.xcap import fetched_store
from tests.unit.kamailio import Server, call
from tests.unit.values import ALICE, BOB
from tests.verbs.lists import ACCEPT, FRIENDS, entries, services

TRUE, FALSE, END = 1, -1, 0
USUAL, OTHER = "http://xcap.example.org/root", "https://xcap.example.com/root"
FOREIGN = "https://xcap.example.net/root"
LISTS = (("Supported", "eventlist"), ("Accept", ACCEPT))


@pytest.fixture
def server(scripted: Callable[[str], Server]) -> Server:
    """Documents are at two roots."""
    running = scripted("kemi.ser_xcap")
    xcap = XcapSettings(xcap_root=USUAL, other_roots=OTHER)
    running.set(xcap=xcap, pa=replace(running.settings.pa, auth="xcap"))
    return running


def asked(server: Server) -> list[str]:
    """Documents that are to be fetched."""
    now = time.time()
    found = [each for root in ("http://", "https://") for each in fetched_store.claim(server.database, root, now, now + 60, 100)]
    return sorted(each.uri for each in found)


def statuses(server: Server) -> list[int]:
    return [each.status for each in server.ksr.responses]


def known(server: Server, uri: str, body: bytes) -> None:
    """A document is there."""
    now = time.time()
    values = (BOB if "/users/" in uri else "", uri, "rls-services", "document", body, "", now, 0, 0, None)
    (document,) = [fetched_store.document_of(values)]
    fetched_store.ask_first(server.database, document)
    fetched_store.save(server.database, document)


@pytest.mark.parametrize(("root", "result"), [(USUAL, TRUE), (OTHER, TRUE), (f"{OTHER}/", TRUE), (FOREIGN, FALSE), ("", FALSE)])
def test_a_root_has_to_be_one_that_the_operator_has_written_down(server: Server, root: str, result: int) -> None:
    server.receive("SUBSCRIBE")
    assert call(server, "set_xcap_root", root) == result
    assert len(server.lines("err")) == (result == FALSE)
    assert server.ksr.responses == []


def test_the_name_of_a_file_has_no_effect(server: Server) -> None:
    server.receive("SUBSCRIBE")
    assert call(server, "set_xcap_filename", "presence-rules.xml") == TRUE
    assert call(server, "handle_subscription", "registrar") == TRUE
    assert all(each.endswith(("/index", "/pres-rules")) for each in asked(server))


def test_documents_of_a_request_are_below_its_root(server: Server) -> None:
    server.receive("SUBSCRIBE")
    call(server, "set_xcap_root", OTHER)
    assert call(server, "handle_subscription", "registrar") == TRUE
    assert statuses(server) == [200]
    assert asked(server) == [
        f"{OTHER}/org.openmobilealliance.pres-rules/users/{ALICE}/index",
        f"{OTHER}/org.openmobilealliance.pres-rules/users/{ALICE}/pres-rules",
        f"{OTHER}/pres-rules/users/{ALICE}/index",
    ]


def test_the_next_request_has_the_usual_one(server: Server) -> None:
    server.receive("SUBSCRIBE")
    call(server, "set_xcap_root", OTHER)
    server.receive("SUBSCRIBE", uri="sip:carol@example.org")
    assert call(server, "handle_subscription", "registrar") == TRUE
    assert all(each.startswith(USUAL) for each in asked(server))


def test_the_presentity_keeps_it(server: Server) -> None:
    server.receive("SUBSCRIBE")
    call(server, "set_xcap_root", OTHER)
    call(server, "handle_subscription", "registrar")
    asked(server)
    server.receive("SUBSCRIBE")
    assert call(server, "handle_subscription", "registrar") == TRUE
    assert asked(server) == []


def test_the_last_root_that_is_set_counts(server: Server) -> None:
    server.receive("SUBSCRIBE")
    for root in (FOREIGN, USUAL, OTHER):
        call(server, "set_xcap_root", root)
    assert call(server, "handle_subscription", "registrar") == TRUE
    assert all(each.startswith(OTHER) for each in asked(server))


@pytest.mark.rfc("SEC-020")
@pytest.mark.parametrize(
    ("method", "function", "argument", "result"),
    [
        ("SUBSCRIBE", "handle_subscription", ("registrar",), FALSE), ("SUBSCRIBE", "query_rls_services", (), END),
        ("SUBSCRIBE", "query_resource_list", ("work",), END), ("SUBSCRIBE", "handle_rls_subscription", ("0",), TRUE),
        ("MESSAGE", "authorize_message", ("im-rules.xml",), END),
    ],
)  # fmt: skip
def test_with_a_root_that_may_not_be_asked_nothing_is_decided(
    server: Server, method: str, function: str, argument: tuple[str, ...], result: int
) -> None:
    """Neither by that root, nor by the usual one, which the script did not want."""
    server.receive(method, *LISTS, ("From", f"<{BOB}>;tag=from"))
    call(server, "set_xcap_root", FOREIGN)
    assert call(server, function, *argument) == result
    assert statuses(server) == [500]
    assert asked(server) == []


def test_rules_for_messages_are_below_the_root_of_the_request(server: Server) -> None:
    for root in (OTHER, ""):
        server.receive("MESSAGE", ("From", f"<{BOB}>;tag=from"))
        if root:
            call(server, "set_xcap_root", root)
        assert call(server, "authorize_message", "im-rules.xml") == END
    assert statuses(server) == [480, 480]
    assert asked(server) == [f"{USUAL}/im-rules/users/{ALICE}/im-rules.xml", f"{OTHER}/im-rules/users/{ALICE}/im-rules.xml"]


@pytest.mark.parametrize("query", [True, False])
def test_a_list_is_looked_for_below_the_root_of_the_request_and_stays_there(server: Server, query: bool) -> None:
    server.receive("SUBSCRIBE", *LISTS, uri=FRIENDS)
    call(server, "set_xcap_root", OTHER)
    assert call(server, "query_rls_services") == END
    assert statuses(server) == [503]
    assert asked(server) == [f"{OTHER}/rls-services/global/index", f"{OTHER}/rls-services/users/{BOB}/index"]
    known(server, f"{OTHER}/rls-services/users/{BOB}/index", services((FRIENDS, entries([ALICE]))))
    server.receive("SUBSCRIBE", *LISTS, uri=FRIENDS)
    call(server, "set_xcap_root", OTHER)
    if query:
        assert call(server, "query_rls_services") == TRUE
        assert call(server, "handle_rls_subscription", "1") == TRUE
    else:
        assert call(server, "handle_subscription", "registrar") == TRUE
    assert statuses(server) == [503, 200]
    (body,) = [body for (body,) in rows(server, "SELECT body FROM subscription WHERE list_id = ''")]
    assert body == f'{{"root": "{OTHER}"}}'
    assert rows(server, "SELECT presentity FROM presentity_root") == []
    assert [resource for (resource,) in rows(server, "SELECT resource FROM subscription WHERE list_id <> ''")] == [ALICE]


def rows(server: Server, statement: str) -> list[tuple[Any, ...]]:
    return server.database._connection.execute(statement).fetchall()  # type: ignore[attr-defined]
