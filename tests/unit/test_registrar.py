"""REGISTER in a double of Kamailio: when it is answered, and what a closed connection does (handler, gateway.bindings)."""

from dataclasses import replace
from types import ModuleType

import pytest

from kemi import database
from kemi.database import Conflict, Unavailable
from kemi.presence import location, store
from tests.ksr import KSR, Message, Response
from tests.unit.kamailio import OWN, Server
from tests.unit.values import ALICE, BOB, settings_of

HOME, OFFICE = "sip:alice@198.51.100.7:5062", "sip:alice@198.51.100.7:5070;transport=tcp"
SOURCE = "sip:198.51.100.7:5062;transport=tcp"


def register(server: Server, *contacts: str, user: str = ALICE, connection: int = 0) -> Response:
    headers = [("From", f"<{user}>;tag=from"), ("To", f"<{user}>"), *(("Contact", each) for each in contacts)]
    return server.request("REGISTER", *headers, transport="TCP" if connection else "UDP", connection=connection)


def stored(server: Server, presentity: str = ALICE) -> list[str]:
    return sorted(each.contact for each in location.load(server.database, presentity))


def close(server: Server) -> None:
    """Kamailio tells that the connection from SOURCE is closed; the notifier is called."""
    server.ksr.receive(Message(transport="TCP"))
    assert server.handler.ksr_tcpops_event(None, "tcp:closed") == 1
    server.run_tasks()


def alive(server: Server, *connections: int) -> None:
    server.ksr.results["tcpops.tcp_conid_alive"] = lambda connection: 1 if connection in connections else -1


# REGISTER


def test_a_register_is_answered_with_its_contacts_when_they_are_stored(server: Server) -> None:
    seen: list[list[str]] = []
    server.ksr.results["registrar.reg_send_reply"] = lambda: (seen.append(stored(server)), server.ksr._registrar_reg_send_reply())[
        1
    ]
    done = register(server, f"<{HOME}>;expires=600", f"<{OFFICE}>;expires=600")
    assert (done.status, done.stateful) == (200, True)
    assert done.headers["Contact"] == [f"<{HOME}>", f"<{OFFICE}>"]
    assert seen == [sorted([HOME, OFFICE])]
    assert len(store.load_many(server.database, "presence", [ALICE], 0.0)) == 2


def test_to_may_name_our_address(server: Server) -> None:
    done = server.request("REGISTER", ("To", f"<sip:alice@{OWN}>"), ("Contact", f"<{HOME}>"))
    assert done.status == 200
    assert server.ksr.called("registrar.save_uri") == [("location", 2, ALICE)]
    assert stored(server) == [HOME]


def test_a_retransmission_is_kamailios_affair(server: Server, ksr: KSR) -> None:
    ksr.results["tm.t_newtran"] = 0
    fields = {"From": f"<{ALICE}>;tag=1", "To": f"<{ALICE}>", "Call-ID": "1", "CSeq": "1 REGISTER", "Contact": f"<{HOME}>"}
    ksr.receive(Message("REGISTER", headers=[*fields.items()]))
    assert server.handler.ksr_request_route(None) == 1
    assert ksr.called("registrar.save_uri") == []
    assert ksr.responses == []


@pytest.mark.parametrize("contact", ["<sip:a@b\x01>", f"<sip:{'a' * 5000}@example.net>", b"<sip:caf\xe9@example.net>"])
def test_a_contact_that_cannot_be_shown_is_refused(server: Server, ksr: KSR, contact: str) -> None:
    assert register(server, contact).status == 400
    assert ksr.called("registrar.save_uri") == []


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "NOTIFY"])
def test_nobody_is_taken_for_unregistered_before_the_stored_bindings_are_read(server: Server, ksr: KSR, method: str) -> None:
    ksr.variables["$shv(loaded)"] = 0
    source = (OWN, 5060) if method == "NOTIFY" else ("198.51.100.7", 5062)
    done = server.request(method, ("Contact", f"<{HOME}>"), source=source)
    assert (done.status, done.headers["Retry-After"]) == (503, ["1"])
    assert ksr.called("registrar.save_uri") == ksr.called("registrar.lookup") == []
    server.handler.ksr_core_event(None, "core:worker-one-init")
    assert register(server, f"<{HOME}>").status == 200


def test_what_could_not_be_stored_is_not_acknowledged(server: Server, handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its contacts are not in the next answer, which is somebody else's."""

    def fail(_database: object, _presentity: object, _bindings: object) -> None:
        raise Unavailable("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(handler.registrar.location, "replace", fail)
        done = register(server, f"<{HOME}>")
    assert (done.status, done.headers["Retry-After"]) == (503, ["5"])
    done = register(server, "*", user=BOB)
    assert done.status == 200
    assert "Contact" not in done.headers


def test_a_conflict_is_tried_again_without_saving_again(
    server: Server, handler: ModuleType, ksr: KSR, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_bindings, conflicts = handler.registrar.location.replace, [Conflict("deadlock")]

    def once(*arguments: object) -> None:
        if conflicts:
            raise conflicts.pop()
        store_bindings(*arguments)

    monkeypatch.setattr(handler.registrar.location, "replace", once)
    assert register(server, f"<{HOME}>").status == 200
    assert len(ksr.called("registrar.save_uri")) == 1
    assert stored(server) == [HOME]


def test_what_usrloc_tells_of_a_binding_is_stored(server: Server, ksr: KSR) -> None:
    told = {"received": SOURCE, "q": 700, "methods": 5535, "instance": "<urn:uuid:1>", "regid": 1, "cseq": 9, "user_agent": "x"}
    ksr.usrloc.add(ALICE, HOME, **told)
    ksr.usrloc.add(ALICE, OFFICE)
    register(server)
    home, office = sorted(location.load(server.database, ALICE), key=lambda each: each.q, reverse=True)
    assert (home.contact, home.received, home.q, home.methods) == (HOME, SOURCE, 0.7, 5535)
    assert (home.instance, home.reg_id, home.cseq, home.user_agent) == ("<urn:uuid:1>", 1, 9, "x")
    assert (home.username, home.domain) == ("alice", "example.org")
    assert (office.q, office.methods, office.instance) == (-1.0, None, None)


def test_what_no_database_takes_is_not_stored(server: Server, ksr: KSR) -> None:
    ksr.usrloc.add(ALICE, HOME, callid="a\0b", user_agent="x\r\ny")
    register(server)
    (binding,) = location.load(server.database, ALICE)
    assert (binding.callid, binding.user_agent) == ("a?b", "x??y")


# Connections


def test_a_closed_connection_ends_the_bindings_made_over_it(server: Server, ksr: KSR) -> None:
    alive(server, 7)
    register(server, f"<{OFFICE}>", connection=7)
    assert ksr.called("tcpops.tcp_enable_closed_event_cid") == [(7,)]
    register(server, f"<{HOME}>")
    alive(server)
    close(server)
    assert stored(server) == [HOME]
    assert [each["addr"] for each in ksr.usrloc.bindings[ALICE]] == [HOME]
    close(server)
    assert stored(server) == [HOME]


def test_a_closed_connection_that_was_the_last_leaves_nothing(server: Server) -> None:
    alive(server, 7)
    register(server, f"<{OFFICE}>", connection=7)
    alive(server)
    close(server)
    assert stored(server) == []
    assert store.load_many(server.database, "presence", [ALICE], 0.0) == []


def test_a_binding_that_moved_to_a_new_connection_stays(server: Server, ksr: KSR) -> None:
    alive(server, 7, 8)
    register(server, f"<{OFFICE}>", connection=7)
    ksr.usrloc.bindings[ALICE][0]["conid"] = 8
    alive(server, 8)
    close(server)
    assert stored(server) == [OFFICE]


def test_a_binding_that_a_restart_brought_back_has_no_connection_to_lose(server: Server, ksr: KSR) -> None:
    ksr.usrloc.add(ALICE, OFFICE, received=SOURCE, conid=-1)
    register(server)
    alive(server)
    close(server)
    assert stored(server) == [OFFICE]


def test_over_udp_there_is_no_connection(server: Server, ksr: KSR) -> None:
    register(server, f"<{HOME}>")
    assert ksr.called("tcpops.tcp_enable_closed_event_cid") == []
    (binding,) = location.load(server.database, ALICE)
    assert binding.received == ""


def test_a_connection_that_closes_while_its_register_is_worked_on_is_not_missed(server: Server) -> None:
    alive(server)
    assert register(server, f"<{OFFICE}>", connection=7).status == 200
    assert stored(server) == [OFFICE]
    server.run_tasks()
    assert stored(server) == []


def test_closed_connections_wait_for_a_database_that_is_not_there(
    server: Server, handler: ModuleType, ksr: KSR, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive(server, 7)
    register(server, f"<{OFFICE}>", connection=7)
    alive(server)

    def fail(_database: object, _connections: object) -> list[str]:
        raise Unavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(handler.registrar.location, "received_over", fail)
        close(server)
    assert stored(server) == [OFFICE]
    assert server.handler.ksr_timer_tick(None) == 1
    server.run_tasks()
    assert stored(server) == []
    assert not ksr.closed


# The start


def test_kamailios_driver_is_told_the_database_in_the_environment_only() -> None:
    """Of PostgreSQL; it knows the file of SQLite by its URL."""
    assert database.environment(settings_of("sqlite:////var/presence.db")) == {}
    url = "postgresql://presence:p%40ss%2F%22w@db.example.org:5433/kp?sslmode=require"
    assert database.environment(replace(settings_of(), db_url=url)) == {
        "PGHOST": "db.example.org", "PGPORT": "5433", "PGUSER": "presence", "PGPASSWORD": 'p@ss/"w', "PGDATABASE": "kp",
        "PGSSLMODE": "require",
    }  # fmt: skip


def test_a_tick_forgets_stored_bindings_whose_time_is_over(server: Server, ksr: KSR) -> None:
    register(server, f"<{HOME}>")
    server.database.script("UPDATE location SET expires = 1")
    assert server.handler.ksr_timer_tick(None) == 1
    assert stored(server) == []
