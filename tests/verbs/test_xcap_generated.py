"""Documents that the server makes: capabilities, directories, all services (RFC 4825 section 12, RFC 4826 section 4.4)."""

import pytest
from lxml import etree

from kemi import account_store
from kemi.account import Account
from kemi.xcap import validation
from kemi.xcap.usages import USAGES
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.world import World
from tests.verbs.xcap import CAROL as CAROL_THERE
from tests.verbs.xcap import ENTRY, INDEX, LISTS, ROOT, Client, condition_of, etag_of, texts

CAPS = f"{ROOT}/xcap-caps/global/index"
ALL_SERVICES = f"{ROOT}/rls-services/global/index"
FRIENDS = "sip:friends@example.org"


def services_of(user: str, name: str = "index") -> str:
    return f"{ROOT}/rls-services/users/{user}/{name}"


def services(*uris: str, inside: str = "<list/>") -> bytes:
    some = "".join(f'<service uri="{uri}">{inside}<packages><package>presence</package></packages></service>' for uri in uris)
    return f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{some}</rls-services>'.encode()


@pytest.fixture
def bob(world: World) -> Client:
    return Client(world, BOB)


@pytest.fixture
def rls(world: World) -> Client:
    return Client(world, CAROL, rls_readers=(CAROL,))


def known(rls: Client) -> list[str | None]:
    """The services that a list server is told of."""
    found = rls.get(ALL_SERVICES)
    root = validation.read(USAGES["rls-services"], found.body)
    return sorted(each.get("uri") or "" for each in root)


@pytest.mark.rfc("XCS-044")
def test_everybody_reads_the_capabilities_and_nobody_writes_them(alice: Client, bob: Client) -> None:
    found = alice.get(CAPS)
    assert (found.status, found.content_type) == (200, "application/xcap-caps+xml")
    assert set(USAGES) == set(texts(found, "auid"))
    assert etag_of(found) == etag_of(bob.get(CAPS))
    assert alice.get(CAPS, if_none_match=etag_of(found)).status == 304
    assert alice.get(CAPS + "/~~/xcap-caps/auids/auid[1]").body == b"<auid>xcap-caps</auid>"
    writer = Client(alice.world, global_writers=(ALICE,))
    for answer in (writer.put(CAPS, found.body, "application/xcap-caps+xml"), writer.delete(CAPS)):
        assert (answer.status, dict(answer.headers)["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("auid", ["xcap-directory", "org.openmobilealliance.xcap-directory"])
def test_a_directory_lists_the_documents_of_its_user(alice: Client, bob: Client, auid: str) -> None:
    path = f"{ROOT}/{auid}/users/{ALICE}/directory.xml"
    assert etree.fromstring(alice.get(path).body).getchildren() == []
    tag = etag_of(alice.put())
    alice.put(INDEX + "%20two")
    alice.put(services_of(ALICE), services())
    bob.put(services_of(BOB), services())
    found = alice.get(path)
    root = validation.read(USAGES[auid], found.body)
    assert [(folder.get("auid"), len(folder)) for folder in root] == [("resource-lists", 2), ("rls-services", 1)]
    uri = f"http://xcap.example.org{INDEX}"
    assert dict(root[0][0].attrib) == {"uri": uri, "etag": tag, "last-modified": "1970-01-12T13:46:40Z", "size": str(len(LISTS))}
    assert root[0][1].get("uri") == f"{uri}%20two"
    assert alice.put(path, found.body, "application/vnd.oma.xcap-directory+xml").status == 405
    assert (bob.get(path).status, bob.delete(path).status) == (403, 403)


@pytest.mark.rfc("XCS-041")
def test_the_services_of_all_users_are_one_document(alice: Client, bob: Client, rls: Client) -> None:
    assert known(rls) == []
    alice.put(services_of(ALICE), services(FRIENDS, "sip:family@example.org"))
    bob.put(services_of(BOB), services("sip:team@example.org"))
    bob.put(services_of(BOB, "other"), services("sip:not-in-index@example.org"))
    assert known(rls) == ["sip:family@example.org", FRIENDS, "sip:team@example.org"]
    found = rls.get(ALL_SERVICES + f'/~~/rls-services/service[@uri="{FRIENDS}"]/packages/package')
    assert found.body == b"<package>presence</package>"
    tag = etag_of(rls.get(ALL_SERVICES))
    assert etag_of(found) == tag
    bob.delete(services_of(BOB))
    assert known(rls) == ["sip:family@example.org", FRIENDS]
    assert etag_of(rls.get(ALL_SERVICES)) != tag


@pytest.mark.rfc("XCS-041")
def test_the_services_of_all_users_are_for_list_servers_only(alice: Client, rls: Client) -> None:
    alice.put(services_of(ALICE), services(FRIENDS))
    assert [alice.ask(method, ALL_SERVICES).status for method in ("GET", "HEAD", "PUT", "DELETE")] == [403] * 4
    assert [rls.ask(method, ALL_SERVICES).status for method in ("PUT", "DELETE")] == [405] * 2


@pytest.mark.rfc("XCS-039")
@pytest.mark.parametrize("spelt", [FRIENDS, "sip%3Afriends%40example.org", "sips:friends@EXAMPLE.org"])
def test_a_service_has_its_uri_alone_on_the_server(alice: Client, bob: Client, rls: Client, spelt: str) -> None:
    alice.put(services_of(ALICE), services(FRIENDS, "sip:friends-2@example.org"))
    refused = bob.put(services_of(BOB), services("sip:team@example.org", spelt))
    assert condition_of(refused) == "uniqueness-failure"
    assert b'field="rls-services/service%5B2%5D/@uri"' in refused.body
    assert list(texts(refused, "alt-value")) == [f"sip:friends-{number}@example.org" for number in (1, 3, 4)]
    assert condition_of(alice.put(services_of(ALICE, "other"), services(spelt))) == "uniqueness-failure"
    assert (bob.get(services_of(BOB)).status, len(known(rls))) == (404, 2)
    assert alice.put(services_of(ALICE), services()).status == 200
    assert bob.put(services_of(BOB), services("sip:team@example.org", spelt)).status == 201


@pytest.mark.rfc("XCS-039")
def test_a_service_is_nobody_else(world: World, alice: Client, bob: Client) -> None:
    account_store.save(world.database, Account("carol", "example.org", "0" * 32, "0" * 64))
    world.publish(presentity="sip:dave@example.org")
    bob.put(f"{ROOT}/resource-lists/users/{BOB}/index")
    for taken in (CAROL, "sip:dave@example.org", BOB):
        refused = alice.put(services_of(ALICE), services(taken))
        assert condition_of(refused) == "uniqueness-failure"
        assert len(list(texts(refused, "alt-value"))) == 3


def test_a_service_keeps_its_uri_when_its_document_changes(alice: Client, rls: Client) -> None:
    alice.put(services_of(ALICE), services(FRIENDS))
    assert alice.put(services_of(ALICE), services("sip:new@example.org", FRIENDS)).status == 200
    path = services_of(ALICE) + f'/~~/rls-services/service[@uri="{FRIENDS}"]'
    assert alice.put(path, f'<service uri="{FRIENDS}"><list name="a"/></service>'.encode()).status == 200
    assert alice.delete(path).status == 200
    assert known(rls) == ["sip:new@example.org"]


@pytest.mark.rfc("XCS-040")
def test_a_service_uses_lists_of_its_owner_on_this_server(alice: Client) -> None:
    node = "/~~/resource-lists/list%5B@name=%22friends%22%5D"
    link = f"<resource-list>http://{{host}}{INDEX.replace('alice', '{user}')}{node}</resource-list>"
    for host, user, condition in (
        ("xcap.example.org", "alice", ""),  # Host of the request
        ("example.com", "alice", ""),  # a served domain
        ("192.0.2.1:8080", "alice", ""),  # our address
        ("example.net", "alice", "constraint-failure"),
        ("xcap.example.org", "bob", "constraint-failure"),
    ):
        answer = alice.put(services_of(ALICE), services(FRIENDS, inside=link.format(host=host, user=user)))
        assert (condition_of(answer) if answer.status == 409 else "") == condition


@pytest.mark.rfc("XCS-037")
def test_lists_are_checked_where_an_element_is_put(alice: Client) -> None:
    alice.put()
    alice.put(INDEX + CAROL_THERE, ENTRY)
    refused = alice.put(INDEX + "/~~/resource-lists/list/entry[3]", ENTRY)
    assert condition_of(refused) == "uniqueness-failure"
    assert b'field="resource-lists/list/entry%5B3%5D/@uri"' in refused.body
