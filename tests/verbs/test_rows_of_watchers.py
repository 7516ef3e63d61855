"""Which rows statements about watchers without a subscription mean, and which beside them they do not: sql/queries/watcher.sql."""

from typing import Any

import pytest

from kemi import decision_store, store, watcher_store
from kemi.subscription import State, Subscription, WatcherEvent
from kemi.watcher import RememberedWatcher, Status
from tests.unit.values import ALICE, BOB, CAROL, NOW, subscription
from tests.verbs.world import World

OVER = NOW + 600
AWAY = RememberedWatcher("a7", ALICE, "presence", BOB, "", Status.WAITING, WatcherEvent.TIMEOUT, NOW, OVER)
BESIDE: dict[str, dict[str, Any]] = {"another presentity": {"resource": CAROL}, "another package": {"package": "dialog"}}
"""What stands beside the entry, and differs in one thing."""
TELLING = subscription(id="kp-w", package="presence.winfo", watcher=ALICE)


def keep(world: World, *entries: RememberedWatcher) -> None:
    """As for presentities that are away."""
    with world.database.transaction():
        watcher_store.store(world.database, entries)


def record(world: World, *entries: RememberedWatcher) -> None:
    """As what has ended."""
    with world.database.transaction():
        watcher_store.record(world.database, entries, 0, NOW)


def create(world: World, *rows: Subscription) -> None:
    with world.database.transaction():
        for each in rows:
            store.create(world.database, each, 0, 0)


def dumped(world: World, now: float = NOW) -> int:
    """How many entries are told of from now on."""
    with world.database.transaction():
        result = watcher_store.dump(world.database, "presence", ALICE, now)
    return result.count


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_what_is_stored_is_so_for_one_presentity_and_package(world: World, beside: dict[str, Any]) -> None:
    keep(world, AWAY._replace(**beside))
    assert not watcher_store.has_stored(world.database, "presence", ALICE, NOW)
    assert dumped(world) == 0
    keep(world, AWAY._replace(id="a8"))
    assert watcher_store.has_stored(world.database, "presence", ALICE, NOW)
    assert dumped(world) == 1


def test_what_is_stored_is_told_of_once_and_in_its_time(world: World) -> None:
    keep(world, AWAY)
    assert not watcher_store.has_stored(world.database, "presence", ALICE, OVER)
    assert dumped(world, OVER) == 0
    assert watcher_store.has_stored(world.database, "presence", ALICE, OVER - 1)
    assert [dumped(world, OVER - 1), dumped(world, OVER - 1)] == [1, 0]
    assert not watcher_store.has_stored(world.database, "presence", ALICE, NOW)


def test_what_waits_is_not_stored(world: World) -> None:
    record(world, AWAY)
    assert not watcher_store.has_stored(world.database, "presence", ALICE, NOW)
    assert dumped(world) == 0


def test_what_is_stored_is_told_of_as_the_newest_change_of_its_presentity_and_package(world: World) -> None:
    others = [{"id": "kp-x", "resource": CAROL, "changes": 9}, {"id": "kp-y", "package": "dialog.winfo", "changes": 9}]
    create(world, TELLING._replace(changes=3), *(TELLING._replace(**each) for each in others))
    keep(world, AWAY)
    dumped(world)
    (entry,) = watcher_store.list_all(world.database, "presence", [ALICE])
    assert (entry.sequence, entry.stored) == (3, True)


@pytest.mark.parametrize(
    "changes",
    [{"resource": CAROL}, {"package": "dialog.winfo"}, {"state": State.PENDING}, {"watcher": BOB}, {"package": "presence"}],
)
def test_who_watches_itself_is_told_now_of_its_own_watchers(world: World, changes: dict[str, Any]) -> None:
    create(world, TELLING._replace(**changes))
    assert not watcher_store.watches_itself(world.database, "presence", ALICE)
    create(world, TELLING._replace(id="kp-z"))
    assert watcher_store.watches_itself(world.database, "presence", ALICE)


@pytest.mark.parametrize(
    ("now", "cleaned", "is_stored", "is_over"),
    [(OVER, 0, False, True), (OVER - 1, 0, False, False), (OVER, OVER - 1, True, False), (OVER, OVER, True, True)],
)
def test_what_is_over_waits_no_more_and_what_is_stored_is_cleaned_later(
    world: World, now: float, cleaned: float, is_stored: bool, is_over: bool
) -> None:
    (keep if is_stored else record)(world, AWAY)
    with world.database.transaction():
        found = watcher_store.over(world.database, now, cleaned, 9)
    assert [each.id for each in found] == (["a7"] if is_over else [])


@pytest.mark.parametrize("beside", [*BESIDE.values(), {"status": Status.TERMINATED}], ids=[*BESIDE.keys(), "one that has ended"])
def test_who_is_decided_about_waits_for_this_presentity_and_package(world: World, beside: dict[str, Any]) -> None:
    keep(world, AWAY._replace(**beside))
    for each in ("", BOB):
        with world.database.transaction():
            assert decision_store.waiting(world.database, "presence", ALICE, each) == []
            assert watcher_store.waiting(world.database, "presence", ALICE, BOB) == ""
    keep(world, AWAY._replace(id="a8"))
    with world.database.transaction():
        assert [each.id for each in decision_store.waiting(world.database, "presence", ALICE, BOB)] == ["a8"]
        assert watcher_store.waiting(world.database, "presence", ALICE, BOB) == "a8"
