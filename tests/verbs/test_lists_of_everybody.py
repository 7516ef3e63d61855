"""Lists below global, lists that appear under URIs that are watched already, and lists of ours that do not count (RFC 4662)."""

from dataclasses import replace

import pytest

from kemi.errors import ExtensionRequired, ServiceUnavailable
from kemi.subscribe import ABLE_TAG
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import document, identity, one, rule
from tests.verbs.fetched import ROOT as ELSEWHERE
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, entries, services, user
from tests.verbs.world import World, state_of
from tests.verbs.xcap import ROOT, Client, condition_of

ACTIVE, REJECTED, NORESOURCE = ("active", None), ("terminated", "rejected"), ("terminated", "noresource")
COMPANY = "sip:company@example.org"
PATH = f"{ROOT}/rls-services/global/company"
OWN = f"{ROOT}/rls-services/users/{BOB}/index"
ABLE = {"supported": "eventlist", "accept": ACCEPT}
DEACTIVATED = "terminated;reason=deactivated"


@pytest.fixture
def lists(world: World) -> Lists:
    """Alice may write below global."""
    world.set(notify_interval=0)
    world.set_lists(timer_interval=0)
    world.settings = replace(world.settings, xcap=replace(world.settings.xcap, global_writers=(ALICE,)))
    return Lists(world)


def put(lists: Lists, *members: str, uri: str = COMPANY, content: str = "") -> None:
    """The list of everybody."""
    lists.write("PUT", PATH, services((uri, entries(members) + content)), ALICE)


def ended(lists: Lists) -> list[tuple[str, str]]:
    """Who is told an end now."""
    return [(each.id, state_of(each)) for each in lists.world.told() if state_of(each).startswith("terminated")]


# Below global


@pytest.mark.rfc("RLS-011", "RLS-016")
@pytest.mark.parametrize("auth", ["owner", "implicit", "none"])
def test_a_list_below_global_is_for_everybody(lists: Lists, auth: str) -> None:
    """It has no owner, and everybody may read it."""
    lists.world.set_lists(auth=auth)
    put(lists, ALICE, CAROL)
    for watcher in (ALICE, BOB, user(1)):
        assert lists.watch(ALICE, CAROL, watcher=watcher, uri=COMPANY).said() == {ALICE: ACTIVE, CAROL: ACTIVE}
    with pytest.raises(ExtensionRequired):
        lists.world.subscribe(BOB, COMPANY)


@pytest.mark.rfc("RLS-010")
def test_its_members_are_shown_as_their_own_rules_say(lists: Lists) -> None:
    lists.world.set(auth="xcap", auth_default="block")
    put(lists, ALICE, CAROL)
    body = document(rule(identity(one(BOB)), "allow"))
    lists.write("PUT", f"{ROOT}/pres-rules/users/{CAROL}/index", body, CAROL)
    assert lists.watch(uri=COMPANY).said() == {ALICE: REJECTED, CAROL: ACTIVE}
    assert lists.watch(uri=COMPANY, watcher=user(1)).said() == {ALICE: REJECTED, CAROL: REJECTED}


@pytest.mark.rfc("RLS-027")
def test_it_follows_its_document_and_ends_with_it(lists: Lists) -> None:
    put(lists, ALICE)
    subscribers = [lists.watch(watcher=each, uri=COMPANY) for each in (BOB, CAROL)]
    for uri, members in ((COMPANY, {ALICE: ACTIVE, user(1): ACTIVE}), (FRIENDS, {ALICE: NORESOURCE, user(1): NORESOURCE})):
        put(lists, ALICE, user(1), uri=uri)
        sent = {each.id: each for each in lists.world.told()}
        for each in subscribers:
            assert each.take(sent[each.dialog]).is_full
            assert each.said() == members
    assert {each.state for each in subscribers} == {"terminated;reason=noresource"}


@pytest.mark.rfc("RLS-020")
def test_a_list_below_global_may_stand_in_one_of_a_user(lists: Lists) -> None:
    put(lists, ALICE)
    lists.put(COMPANY, CAROL)
    subscriber = lists.watch(COMPANY, CAROL)
    assert subscriber.last is not None
    assert subscriber.last.instance(COMPANY).body.uris == [ALICE]  # type: ignore[union-attr]


def test_it_may_refer_to_the_lists_of_users(lists: Lists) -> None:
    lists.put_lists(f"<list>{entries([CAROL])}</list>")
    put(lists, ALICE, content=f'<entry-ref ref="resource-lists/users/{BOB}/index/~~/resource-lists/list/entry"/>')
    assert lists.watch(watcher=user(1), uri=COMPANY).said() == {ALICE: ACTIVE, CAROL: ACTIVE}


@pytest.mark.rfc("XCS-044")
def test_nobody_takes_its_uri_nor_it_that_of_a_user(lists: Lists) -> None:
    put(lists, ALICE)
    assert condition_of(Client(lists.world, BOB).put(OWN, services((COMPANY, "")))) == "uniqueness-failure"
    lists.put(CAROL)
    other = f"{ROOT}/rls-services/global/other"
    assert condition_of(Client(lists.world, ALICE).put(other, services((FRIENDS, "")))) == "uniqueness-failure"
    assert lists.watch(ALICE, uri=COMPANY).said() == {ALICE: ACTIVE}
    assert lists.watch(CAROL).said() == {CAROL: ACTIVE}


# A URI becomes a list


@pytest.mark.rfc("RLS-019", "PA-028")
def test_who_watches_what_becomes_a_list_comes_again_and_gets_it(lists: Lists) -> None:
    """As a client that subscribes to its own list before it has written its first document."""
    single = lists.world.watch(BOB, resource=FRIENDS, **ABLE)
    assert single.startswith(ABLE_TAG)
    lists.put(ALICE)
    assert ended(lists) == [(single, DEACTIVATED)]
    assert not lists.world.has_subscription(single)
    assert lists.watch(ALICE).said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-019")
def test_it_does_so_when_an_element_brings_the_service(lists: Lists) -> None:
    lists.put(ALICE, uri="sip:work@example.org")
    single = lists.world.watch(BOB, resource=FRIENDS, **ABLE)
    element = f'<service uri="{FRIENDS}"><list/></service>'.encode()
    lists.write("PUT", f'{OWN}/~~/rls-services/service[@uri="{FRIENDS}"]', element, BOB)
    assert ended(lists) == [(single, DEACTIVATED)]


def test_who_does_not_know_lists_goes_on(lists: Lists) -> None:
    """It would be refused."""
    plain = lists.world.watch(BOB, resource=FRIENDS)
    lists.put(ALICE)
    assert ended(lists) == []
    assert lists.world.has_subscription(plain)


def test_subscriptions_that_the_list_does_not_concern_go_on(lists: Lists) -> None:
    """Who watches another URI, and who watches a list already."""
    other = lists.world.watch(BOB, resource=CAROL, **ABLE)
    lists.put(ALICE)
    subscriber = lists.watch()
    lists.put(ALICE, user(1))
    subscriber.told()
    assert subscriber.state.startswith("active")
    assert lists.world.has_subscription(other)


def test_an_end_waits_for_the_notify_before(lists: Lists) -> None:
    (first,) = lists.world.subscribe(BOB, FRIENDS, **ABLE).sent
    lists.put(ALICE)
    assert lists.world.told() == []
    (last,) = lists.world.answer(first)
    assert state_of(last) == DEACTIVATED
    lists.world.answer(last)
    assert not lists.world.has_subscription(first.id)


@pytest.mark.rfc("WINFO-005")
def test_who_watches_the_watchers_is_told_of_the_end(lists: Lists) -> None:
    world = lists.world
    world.watch(BOB, resource=FRIENDS, **ABLE)
    told = world.watch(FRIENDS, resource=FRIENDS, event="presence.winfo")
    lists.put(ALICE)
    (sent,) = [each for each in world.told() if each.id == told]
    assert 'event="deactivated"' in sent.body
    assert 'status="terminated"' in sent.body


def test_who_comes_while_a_list_appears_comes_again(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows lists: nobody says otherwise."""
    lists.put(ALICE)
    monkeypatch.setattr(World, "_is_for_list", lambda *_: False)
    with pytest.raises(ServiceUnavailable):
        lists.world.subscribe(BOB, FRIENDS, **ABLE)


def test_what_is_no_new_service_asks_for_nobody(lists: Lists) -> None:
    lists.put(ALICE)
    with lists.world.counted() as statements:
        lists.put(ALICE, CAROL)
    assert "list_singly" not in statements


# With another server ours do not count


@pytest.mark.rfc("RLS-017")
def test_services_of_ours_are_no_lists_where_another_server_has_them(lists: Lists) -> None:
    lists.put(ALICE)
    world = lists.world
    world.settings = replace(world.settings, xcap=replace(world.settings.xcap, xcap_root=ELSEWHERE))
    (first,) = world.subscribe(BOB, FRIENDS).sent
    assert state_of(first).startswith("active")
    single = world.watch(CAROL, resource="sip:work@example.org")
    lists.put(ALICE, uri="sip:work@example.org")
    assert ended(lists) == []
    assert world.has_subscription(single)
