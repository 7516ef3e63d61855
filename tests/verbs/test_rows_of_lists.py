"""Which rows statements about lists mean, and which beside them they do not: sql/queries/list.sql."""

from typing import Any

import pytest

from kemi import account_store, watcher_store
from kemi import store as subscriptions
from kemi.account import Account
from kemi.rls import store
from kemi.subscription import Reason, State, Subscription, WatcherEvent
from kemi.watcher import RememberedWatcher, Status
from tests.unit.values import ALICE, BOB, CAROL, NOW, subscription
from tests.verbs.world import World

OVER = NOW + 600
FRIENDS = subscription(id="kp-list-1", package="presence;list", resource="sip:friends@example.org")
WORK = FRIENDS._replace(id="kp-list-2")
MEMBER = subscription(id="kp-list-1-1", list_id="kp-list-1", due_at=NOW)


def create(world: World, *rows: Subscription) -> None:
    with world.database.transaction():
        for each in rows:
            subscriptions.create(world.database, each, 0, 0)


def test_what_becomes_of_a_list_becomes_of_no_other(world: World) -> None:
    create(world, FRIENDS, WORK)
    with world.database.transaction():
        store.end(world.database, FRIENDS.id)
        subscriptions.go_on(world.database, [FRIENDS.id], NOW + 9)
    ended = FRIENDS._replace(state=State.TERMINATED, reason=Reason.NORESOURCE, changes=1, due_at=NOW + 9)
    assert [world.subscription(each.id) for each in (FRIENDS, WORK)] == [ended, WORK]


@pytest.mark.parametrize(
    ("changes", "due_at", "next_at"),
    [
        ({}, NOW + 5, NOW + 5), ({"state": State.PENDING}, None, OVER), ({"repeat_at": NOW + 3}, NOW + 5, NOW + 3),
        ({"repeat_at": NOW + 9}, NOW + 5, NOW + 5), ({"expires_at": NOW + 2}, NOW + 5, NOW + 2),
        ({"in_flight_since": NOW, "next_at": NOW + 34}, NOW + 5, NOW + 34),
    ],
)  # fmt: skip
def test_news_of_a_member_are_of_its_list_when_its_interval_is_over(
    world: World, changes: dict[str, Any], due_at: float | None, next_at: float
) -> None:
    other = MEMBER._replace(id="kp-list-2-1", list_id=WORK.id)
    create(world, FRIENDS._replace(**changes), WORK, MEMBER, other)
    with world.database.transaction():
        assert subscriptions.pass_on(world.database, [(MEMBER.id, FRIENDS.id)], NOW + 1, 5) == 1
    marked = world.subscription(FRIENDS.id)
    assert (marked.due_at, marked.next_at) == (due_at, next_at)
    assert world.subscription(MEMBER.id).next_at > NOW + 10**9
    assert [world.subscription(each.id) for each in (WORK, other)] == [WORK, other]


@pytest.mark.rfc("WINFO-008")
@pytest.mark.parametrize("beside", [{"resource": CAROL}, {"package": "dialog"}, {"uri": ALICE}, {"status": Status.TERMINATED}])
def test_a_member_takes_the_place_of_the_entry_of_its_watcher_that_waits_for_it(world: World, beside: dict[str, Any]) -> None:
    entry = RememberedWatcher("a7", ALICE, "presence", BOB, "", Status.WAITING, WatcherEvent.TIMEOUT, NOW, OVER)
    other = entry._replace(**beside)
    with world.database.transaction():
        watcher_store.store(world.database, [other, entry._replace(id="a8")])
    with world.database.transaction():
        assert store.take_waiting(world.database, "presence", BOB, [ALICE]) == {ALICE: "a8"}
    with world.database.transaction():
        assert [each.id for each in watcher_store.over(world.database, OVER, OVER, 9)] == ["a7"]


def test_users_of_one_name_in_two_domains_are_two(world: World) -> None:
    for name, domain in (("alice", "example.com"), ("bob", "example.org")):
        account_store.save(world.database, Account(name, domain, "1", "2"))
    assert store.known_users(world.database, [ALICE, BOB, "sip:bob@example.com", "sip:example.org"]) == {BOB}


def test_members_are_counted_and_shown_with_their_list(world: World) -> None:
    gone = MEMBER._replace(id="kp-list-1-2", expires_at=0, due_at=None)
    other = MEMBER._replace(id="kp-list-2-1", list_id=WORK.id, state=State.PENDING)
    create(world, FRIENDS, WORK, MEMBER, gone, other)
    assert store.states(world.database, [FRIENDS.id, WORK.id]) == {FRIENDS.id: {"active": 1}, WORK.id: {"pending": 1}}
    assert store.states(world.database, [WORK.id]) == {WORK.id: {"pending": 1}}
    shown = store.shown(world.database, [FRIENDS.id])
    assert [each.id for each in shown[FRIENDS.id]] == [MEMBER.id, gone.id]
    with world.database.transaction():
        assert [each.id for each in store.members(world.database, [WORK.id])] == [other.id]
        assert [each.id for each in store.members_due(world.database, [FRIENDS.id])] == [MEMBER.id]
    assert [store.active(world.database, each.id) for each in (FRIENDS, WORK)] == [{ALICE}, set()]
