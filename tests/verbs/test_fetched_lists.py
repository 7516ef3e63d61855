"""Documents of another XCAP server that lists are made of: when they are fetched, and what follows for members."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from kemi import account_store
from kemi.account import Account
from kemi.effects import Status
from kemi.rls.source import NotFetchedYet
from kemi.xcap.fetched_document import Outcome
from kemi.xcap.fetching import Fetching, document_changed
from tests.unit.values import ALICE, BOB, CAROL, NOW, fields_of
from tests.unit.xcap.rules import document, identity, one, rule
from tests.verbs.fetched import FRESHNESS, LIMIT, ROOT, Cache
from tests.verbs.lists import FRIENDS, Lists, Subscriber, entries, services
from tests.verbs.world import World, state_of

OWN, INDEX = f"{ROOT}/rls-services/users/{BOB}/index", f"{ROOT}/rls-services/global/index"
LISTS = f"{ROOT}/resource-lists/users/{BOB}/index"
ALLOW, BLOCK = (document(rule(identity(one(BOB)), handling)) for handling in ("allow", "block"))
ACTIVE, PENDING, REJECTED = ("active", None), ("pending", None), ("terminated", "rejected")


class Fetched(Cache):
    """The other server, with the documents that a test says."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        world.set(notify_interval=0)
        world.set_lists(timer_interval=0)
        self.lists = Lists(world)
        self.documents: dict[str, bytes] = {}

    def put(self, *members: str, where: str = OWN) -> None:
        self.documents[where] = services((FRIENDS, entries(members)))

    def rules(self, presentity: str, body: bytes) -> None:
        self.documents[f"{ROOT}/pres-rules/users/{presentity}/index"] = body

    def fetch(self) -> list[str]:
        """All that is due comes, or is not there: what was asked for."""
        asked = list[str]()
        while claimed := self.claim(100):
            for each in claimed:
                asked.append(each.uri)
                body = self.documents.get(each.uri, b"")
                self.answer(each, Outcome.DOCUMENT if body else Outcome.MISSING, body, document_changed)
        return sorted(asked)

    def pass_time(self) -> list[str]:
        """All documents become old: what is asked for then."""
        self.world.now += FRESHNESS * 1.1 + 1
        return self.fetch()

    def watch(self, *members: str, **changes: str) -> Subscriber:
        """Bob watches the list, after it was known: all that it is made of."""
        with pytest.raises(NotFetchedYet):
            self.lists.subscribe(**changes)
        self.fetch()
        with suppress(NotFetchedYet):
            self.lists.subscribe(**changes | {"expires": "0"})
        self.fetch()
        self.world.told()
        subscriber = self.lists.watch(*members, **{"expires": "7200"} | changes)
        self.fetch()
        subscriber.told()
        return subscriber


@pytest.fixture
def fetched(world: World) -> Fetched:
    return Fetched(world)


# When


@pytest.mark.rfc("XCC-002")
def test_a_list_that_is_not_known_is_looked_for_in_both_documents_at_once(fetched: Fetched) -> None:
    fetched.put(ALICE, where=INDEX)
    with pytest.raises(NotFetchedYet):
        fetched.lists.subscribe()
    assert fetched.fetch() == [INDEX, OWN]
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


# Users, while nobody knows what is a list


def has_account(world: World) -> None:
    account_store.save(world.database, Account("alice", "example.org", "", ""))


def has_device(world: World) -> None:
    world.database.execute("location_save", {}, [(ALICE, "1", "alice", "example.org", "sip:a@192.0.2.1", *LOCATION)])


def publishes(world: World) -> None:
    world.publish()


def watches(world: World) -> None:
    world.watch(ALICE, resource=CAROL)


LOCATION = ("", NOW + 600, -1.0, "call", 1, "agent", "", None, None, 0)


@pytest.mark.rfc("XCC-001")
@pytest.mark.parametrize("does", [has_account, has_device, publishes, watches])
def test_a_user_is_watched_while_another_server_does_not_answer(fetched: Fetched, does: Callable[[World], None]) -> None:
    does(fetched.world)
    (first,) = fetched.lists.subscribe(uri=ALICE).sent
    assert "Require" not in fields_of(first.headers)
    assert state_of(first).startswith("active")
    assert fetched.fetch() == [INDEX, OWN]
    with pytest.raises(NotFetchedYet):
        fetched.lists.subscribe(CAROL, uri=FRIENDS)


def test_everybody_may_watch_himself_meanwhile(fetched: Fetched) -> None:
    assert len(fetched.lists.subscribe(uri=BOB).sent) == 1


def test_others_and_who_requires_a_list_come_back(fetched: Fetched) -> None:
    with pytest.raises(NotFetchedYet):
        fetched.lists.subscribe(uri=ALICE)
    fetched.world.publish()
    with pytest.raises(NotFetchedYet):
        fetched.lists.subscribe(uri=ALICE, require="eventlist")


def test_what_is_known_to_be_a_list_is_one_whoever_has_its_name(fetched: Fetched) -> None:
    fetched.put(ALICE)
    fetched.world.publish(presentity=FRIENDS)
    first = fetched.lists.subscribe()
    assert len(first.sent) == 1
    fetched.fetch()
    assert fetched.lists.watch(ALICE).said() == {ALICE: ACTIVE}


def test_what_a_user_is_costs_a_statement_only_while_lists_are_not_known(fetched: Fetched) -> None:
    fetched.world.publish()
    for expected in (1, 0):
        with fetched.world.counted() as statements:
            fetched.lists.subscribe(uri=ALICE)
        assert statements.count("account_is_user") == expected
        fetched.fetch()


@pytest.mark.rfc("XCC-012", "RLS-027")
@pytest.mark.parametrize("where", [OWN, INDEX])
def test_documents_of_a_watched_list_are_fetched_again_and_again(fetched: Fetched, where: str) -> None:
    """So a change shows, though nobody asks."""
    fetched.put(ALICE, where=where)
    subscriber = fetched.watch()
    for members in ((ALICE, CAROL), (CAROL,), (CAROL, ALICE)):
        fetched.put(*members, where=where)
        assert set(fetched.pass_time()) == {OWN, INDEX}
        subscriber.told()
        assert {uri for uri, said in subscriber.said().items() if said == ACTIVE} == set(members)


@pytest.mark.rfc("XCC-012")
def test_a_document_that_a_list_refers_to_is_too(fetched: Fetched) -> None:
    anchor = f'<external anchor="{LISTS}/~~/resource-lists/list"/>'
    fetched.documents[OWN] = services((FRIENDS, anchor))
    subscriber = fetched.watch()
    assert subscriber.said() == {}
    of_lists = '<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>{}</list></resource-lists>'
    fetched.documents[LISTS] = of_lists.format(entries([ALICE])).encode()
    assert LISTS in fetched.pass_time()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


def test_documents_of_a_list_that_nobody_watches_any_more_rest(fetched: Fetched) -> None:
    fetched.put(ALICE)
    subscriber = fetched.watch()
    subscriber.refresh(expires="0")
    subscriber.told()
    assert fetched.pass_time() == []
    assert fetched.deadlines == (False, False)


def test_documents_of_a_watched_list_are_looked_for_however_long_it_takes(fetched: Fetched) -> None:
    fetched.world.set_lists(max_expiration=604800)
    fetched.put(ALICE)
    subscriber = fetched.watch(expires="604800")
    fetched.world.now += LIMIT
    fetched.forget()
    fetched.world.now += LIMIT
    fetched.forget()
    assert fetched.deadlines == (True, False)
    fetched.put(CAROL)
    assert {OWN, INDEX} <= set(fetched.fetch())
    subscriber.told()
    assert subscriber.said()[CAROL] == ACTIVE


def test_a_list_that_another_document_gets_later_is_found(fetched: Fetched) -> None:
    """A list of the watcher's own comes before one for everybody."""
    fetched.put(ALICE, where=INDEX)
    subscriber = fetched.watch()
    fetched.put(CAROL)
    fetched.pass_time()
    subscriber.told()
    assert {uri for uri, said in subscriber.said().items() if said == ACTIVE} == {CAROL}


def test_lists_of_a_user_may_have_sers_name(fetched: Fetched) -> None:
    fetched.world.set_lists(simple_list="$uid-list", resource_lists_file="resource-list.xml")
    body = f"<resource-lists><list>{entries([ALICE])}</list></resource-lists>"
    fetched.documents[LISTS.replace("index", "resource-list.xml")] = body.encode()
    assert fetched.watch(ALICE, uri="sip:bob-list@example.org").said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-005")
def test_a_user_whose_lists_are_not_known_is_not_told_that_they_are_empty(fetched: Fetched) -> None:
    fetched.world.set_lists(simple_list="$uid-list")
    with pytest.raises(NotFetchedYet):
        fetched.lists.subscribe(uri="sip:bob-list@example.org")
    assert fetched.fetch() == [LISTS]
    subscriber = fetched.lists.watch(uri="sip:bob-list@example.org")
    assert (subscriber.said(), subscriber.state[:6]) == ({}, "active"), "now it is known that there are none"


# Members


@pytest.mark.rfc("RLS-010", "XCC-012")
def test_rules_of_members_are_those_of_that_server(fetched: Fetched) -> None:
    fetched.world.set(auth="xcap")
    fetched.put(ALICE, CAROL)
    fetched.rules(ALICE, ALLOW)
    fetched.rules(CAROL, BLOCK)
    subscriber = fetched.watch(ALICE, CAROL)
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: REJECTED}
    del fetched.documents[f"{ROOT}/pres-rules/users/{ALICE}/index"]
    fetched.pass_time()
    subscriber.told()
    assert subscriber.said() == {ALICE: PENDING, CAROL: REJECTED}
    fetched.rules(ALICE, ALLOW)
    fetched.pass_time()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: REJECTED}


@pytest.mark.rfc("XCC-001")
def test_a_member_whose_rules_are_not_known_is_pending(fetched: Fetched) -> None:
    fetched.world.set(auth="xcap")
    fetched.put(ALICE)
    with pytest.raises(NotFetchedYet):
        fetched.lists.subscribe()
    fetched.fetch()
    fetched.rules(ALICE, ALLOW)
    subscriber = fetched.lists.watch(ALICE)
    assert subscriber.said() == {ALICE: PENDING}
    fetched.fetch()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


# One document for one user


@pytest.mark.rfc("XCC-011")
@pytest.mark.parametrize("uri", [
    "sip:alice@EXAMPLE.org", "sip:%61lice@example.org", "sip:alice@example.org:5060;transport=tcp", "sips:alice@example.org",
    "pres:alice@example.org",
])  # fmt: skip
def test_a_member_has_one_document_however_it_is_written(fetched: Fetched, uri: str) -> None:
    fetched.world.set(auth="xcap")
    fetched.put(uri)
    fetched.rules(ALICE, ALLOW)
    subscriber = fetched.watch()
    assert list(subscriber.said().values()) == [ACTIVE]


@pytest.mark.rfc("XCC-011")
@pytest.mark.parametrize(
    "xui", ["sip:bob@EXAMPLE.org", "sip%3Abob%40example.org", "bob@example.org", "bob", "sip:b%6Fb@example.org"]
)
def test_a_reference_leads_to_one_document_however_its_user_is_written(fetched: Fetched, xui: str) -> None:
    anchor = f'<external anchor="{ROOT}/resource-lists/users/{xui}/index/~~/resource-lists/list"/>'
    fetched.documents[OWN] = services((FRIENDS, anchor))
    body = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list>{entries([ALICE])}</list></resource-lists>'
    fetched.documents[LISTS] = body.encode()
    assert fetched.watch().said() == {ALICE: ACTIVE}


# Who is woken


@pytest.mark.parametrize("has_root", [True, False])
def test_a_subscribe_to_a_list_has_its_documents_fetched_at_once(fetched: Fetched, has_root: bool) -> None:
    woken: list[str] = []
    fetching = Fetching(lambda verb: verb(), lambda: woken.append("woken"), woken.append, lambda *_: None)
    fetched.put(ALICE)
    fetched.watch()
    (status,) = (each for each in fetched.lists.subscribe().effects if isinstance(each, Status))
    xcap = fetched.world.settings.xcap
    fetching.subscribed(replace(fetched.world.settings, xcap=xcap if has_root else replace(xcap, xcap_root="")), status)
    assert woken == ["woken"] * has_root
