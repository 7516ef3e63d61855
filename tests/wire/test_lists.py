"""Lists of resources from end to end: a list is put by HTTP, watched by SIP, and told in multipart/related (RFC 4662)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.multipart import Reader, Told
from tests.server import Server
from tests.unit.xcap.rules import document, identity, one, rule
from tests.useragent import Message, UserAgent, pidf
from tests.verbs.lists import ACCEPT, entries, services

FRIENDS, COMPANY = "sip:friends@example.org", "sip:company@example.org"
PATH = "/xcap-root/rls-services/users/sip:bob@example.org/index"
TYPE = {"Content-Type": "application/rls-services+xml", "X-3GPP-Asserted-Identity": '"sip:bob@example.org"'}
ACTIVE = ("active", None)


def user(name: str) -> str:
    return f"sip:{name}@example.org"


@pytest.fixture
def server(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Server]:
    parameters = f"pa.notify_interval=0;rls.timer_interval=0;xcap.global_writers={user('alice')}"
    server = Server({"KP_DB_URL": new_database(tmp_path), "KP_SET": parameters}, tmp_path)
    server.start()
    yield server
    server.stop()


def put(server: Server, *members: str) -> int:
    """Bob's list has these members."""
    return write(server, PATH, services((FRIENDS, entries(members))))


def write(server: Server, path: str, body: bytes, who: str = "bob") -> int:
    """A document of services; without a body it is deleted."""
    headers = TYPE | {"X-3GPP-Asserted-Identity": f'"{user(who)}"'}
    with httpx.Client(base_url=f"http://{server.address[0]}:{server.http_port}", headers=headers) as web:
        return (web.put(path, content=body) if body else web.delete(path)).status_code


def taken(reader: Reader, message: Message) -> Told:
    assert (message.get("Require"), message.get("Event")) == ("eventlist", "presence")
    return reader.take(message.get("Content-Type"), message.body)


@pytest.mark.rfc("RLS-002", "RLS-018", "RLS-027", "RLS-032")
def test_a_list_is_put_watched_and_changed(server: Server) -> None:
    alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
    alice.publish(pidf(note="first"))
    assert put(server, user("alice"), user("carol")) == 201
    answer = bob.subscribe(FRIENDS, "Supported: eventlist", f"Accept: {ACCEPT}")
    assert (answer.status, answer.get("Require")) == (200, "eventlist")
    reader = Reader()
    first = taken(reader, bob.notify())
    assert (first.is_full, sorted(first.uris)) == (True, [user("alice"), user("carol")])
    assert b"first" in first.instance(user("alice")).body
    alice.publish(pidf(tuple_id="t2", note="second"))
    second = taken(reader, bob.notify())
    assert (second.is_full, second.uris, second.version) == (False, [user("alice")], 1)
    assert put(server, user("carol"), user("dave")) == 200
    third = taken(reader, bob.notify())
    assert third.is_full
    assert third.instance(user("alice")).said == ("terminated", "noresource")
    assert third.instance(user("dave")).said == ACTIVE


@pytest.mark.rfc("RLS-011", "RLS-016", "RLS-027")
def test_a_list_below_global_is_watched_by_everybody_until_it_is_deleted(server: Server) -> None:
    path = "/xcap-root/rls-services/global/company"
    body = services((COMPANY, entries([user("alice"), user("dave")])))
    assert (write(server, path, body), write(server, path, body, "alice")) == (403, 201)
    watchers = [(UserAgent(server.address, name), Reader()) for name in ("bob", "carol")]
    for each, reader in watchers:
        assert each.subscribe(COMPANY, "Supported: eventlist", f"Accept: {ACCEPT}").status == 200
        told = taken(reader, each.notify())
        assert (told.is_full, told.uris, told.instance(user("dave")).said) == (True, [user("alice"), user("dave")], ACTIVE)
    assert write(server, path, b"", "alice") == 200
    for each, reader in watchers:
        last = each.notify()
        assert last.get("Subscription-State") == "terminated;reason=noresource"
        taken(reader, last)
        assert {each.said for _, each in reader.instances()} == {("terminated", "noresource")}


@pytest.mark.rfc("RLS-019", "PA-028")
def test_a_client_that_subscribes_before_its_list_is_there_gets_it(server: Server) -> None:
    bob = UserAgent(server.address, "bob")
    fields = ("Supported: eventlist", f"Accept: {ACCEPT}")
    assert bob.subscribe(FRIENDS, *fields).status == 200
    assert bob.notify().get("Content-Type") == "application/pidf+xml"
    assert put(server, user("alice")) == 201
    assert bob.notify().get("Subscription-State") == "terminated;reason=deactivated"
    assert bob.subscribe(FRIENDS, *fields).status == 200
    assert taken(Reader([user("alice")]), bob.notify()).is_full


@pytest.mark.rfc("AUTH-024", "RLS-024")
def test_a_member_that_refused_is_told_as_soon_as_its_rules_let_the_watcher_in(start_server: Callable[..., Server]) -> None:
    server = start_server({"KP_SET": "pa.notify_interval=0;rls.timer_interval=0;pa.auth=xcap;pa.auth_default=block"})
    alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
    alice.publish(pidf(note="here"))
    assert put(server, user("alice")) == 201
    bob.subscribe(FRIENDS, "Supported: eventlist", f"Accept: {ACCEPT}")
    reader = Reader([user("alice")])
    assert taken(reader, bob.notify()).instance(user("alice")).said == ("terminated", "rejected")
    with httpx.Client(base_url=f"http://{server.address[0]}:{server.http_port}") as web:
        everything = "<provide-services><all-services/></provide-services><provide-all-attributes/>"
        rules = document(rule(identity(one(user("bob"))), "allow", everything))
        path = "/xcap-root/pres-rules/users/sip:alice@example.org/index"
        fields = {"Content-Type": "application/auth-policy+xml", "X-3GPP-Asserted-Identity": '"sip:alice@example.org"'}
        assert web.put(path, content=rules, headers=fields).status_code == 201
    told = taken(reader, bob.notify())
    assert (told.is_full, told.instance(user("alice")).said) == (False, ACTIVE)
    assert b"here" in told.instance(user("alice")).body


@pytest.mark.rfc("RLS-001")
def test_a_list_is_not_told_to_who_does_not_support_lists(server: Server) -> None:
    assert put(server, user("alice")) == 201
    bob = UserAgent(server.address, "bob")
    answer = bob.subscribe(FRIENDS)
    assert (answer.status, answer.get("Require")) == (421, "eventlist")


@pytest.mark.rfc("RLS-004")
def test_a_list_subscription_goes_on_after_a_crash(server: Server) -> None:
    alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
    assert put(server, user("alice")) == 201
    bob.subscribe(FRIENDS, "Supported: eventlist", f"Accept: {ACCEPT}")
    reader = Reader([user("alice")])
    taken(reader, bob.notify())
    server.kill()
    server.start()
    alice.publish(pidf(note="afterwards"))
    while b"afterwards" not in (told := taken(reader, bob.notify())).instance(user("alice")).body:
        pass
    assert told.version >= 1
