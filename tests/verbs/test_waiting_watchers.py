"""Watchers that nobody has decided about: pending, waiting, given up (kemi/watcher.py, RFC 3857 section 4.7.1)."""

import pytest

from kemi import reauthorize
from kemi.effects import Log, Wake
from kemi.errors import ServiceUnavailable
from kemi.event_package import Decision
from kemi.subscription import GRACE, TIMER_F
from kemi.watcher import TOLD_WITHIN
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.watched import DAVE, ENDS, WINFO, Watched
from tests.verbs.world import World, state_of
from tests.watcherinfo import Entry, Told, read

DAY = 86400


@pytest.fixture
def watched(world: World) -> Watched:
    """Alice has decided about nobody; NOTIFYs are not held back."""
    world.set(notify_interval=0, max_subscription_expiration=604800)
    world.decide(Decision.CONFIRM)
    return Watched(world)


def fetched(world: World) -> Told:
    (only,) = world.subscribe(ALICE, event=WINFO, expires="0").sent
    world.answer(only)
    return read(only.body)


def the_only(told: Told) -> Entry:
    (entry,) = told.watchers
    return entry


@pytest.mark.rfc("WINFO-007", "WINFO-004", "WINFO-005")
@pytest.mark.parametrize("how", ENDS)
def test_a_pending_watcher_that_ends_waits(watched: Watched, how: str) -> None:
    bob = watched.come(BOB)
    alice = watched.winfo(expires="604800")
    pending = watched.told(alice)
    assert pending.entries == [(BOB, "pending", "subscribe")]
    ENDS[how](watched, bob)
    waiting = watched.told(alice)
    assert (waiting.state, waiting.entries) == ("partial", [(BOB, "waiting", "timeout")])
    assert the_only(waiting).id == the_only(pending).id
    assert the_only(waiting).expiration is None
    watched.pause(2 * DAY)
    assert the_only(fetched(watched.world)).state == (BOB, "waiting", "timeout")
    assert watched.view(alice) == watched.table()


@pytest.mark.rfc("WINFO-007")
def test_it_waits_also_when_nobody_watched_the_watchers(watched: Watched) -> None:
    watched.refresh(watched.come(BOB), expires="0")
    watched.pause(DAY)
    entry = the_only(fetched(watched.world))
    assert (entry.state, entry.duration) == ((BOB, "waiting", "timeout"), DAY)


@pytest.mark.rfc("WINFO-008", "WINFO-004")
def test_who_comes_again_takes_the_place_of_its_waiting_entry(watched: Watched) -> None:
    alice = watched.winfo()
    ids = set()
    for _ in range(3):
        bob = watched.come(BOB)
        watched.refresh(bob, expires="0")
        assert len(watched.view(alice)) == 1
    for told in watched.news(alice)[1:]:
        ids.add(the_only(told).id)
    assert len(ids) == 1
    assert watched.view(alice) == watched.table()
    assert the_only(fetched(watched.world)).state == (BOB, "waiting", "timeout")


@pytest.mark.rfc("WINFO-008")
def test_waiting_entries_of_others_stay(watched: Watched) -> None:
    for watcher, resource in ((BOB, ALICE), (CAROL, ALICE), (BOB, DAVE)):
        watched.refresh(watched.come(watcher, resource=resource), expires="0")
    watched.come(BOB)
    assert sorted(fetched(watched.world).entries) == [(BOB, "pending", "subscribe"), (CAROL, "waiting", "timeout")]
    assert list(watched.table(resource=DAVE).values()) == [(BOB, "waiting", "timeout")]


@pytest.mark.rfc("WINFO-007", "WINFO-013")
def test_a_fetch_by_whom_nobody_has_decided_about_waits(watched: Watched) -> None:
    alice = watched.winfo()
    watched.news(alice)
    watched.come(BOB, expires="0")
    assert watched.told(alice).entries == [(BOB, "waiting", "timeout")]


@pytest.mark.rfc("WINFO-008", "WINFO-012")
def test_who_fetches_again_and_again_is_one_entry(watched: Watched) -> None:
    alice = watched.winfo()
    for _ in range(5):
        watched.come(BOB, expires="0")
        watched.pause(60)
    assert len(watched.table()) == 1
    assert watched.view(alice) == watched.table()
    (again,) = watched.news(alice)[1:]
    assert the_only(again).state == (BOB, "waiting", "timeout")


@pytest.mark.rfc("WINFO-012")
def test_who_fetches_again_begins_to_wait_anew(watched: Watched) -> None:
    watched.world.set(waiting_expiration=3 * DAY)
    watched.come(BOB, expires="0")
    first = the_only(fetched(watched.world))
    watched.pause(2 * DAY)
    watched.come(BOB, expires="0")
    watched.pause(2 * DAY)
    assert the_only(fetched(watched.world)).id == first.id
    watched.pause(DAY)
    assert fetched(watched.world).watchers == ()


@pytest.mark.rfc("WINFO-008")
def test_one_entry_waits_also_where_rules_came_and_went_unnoticed(watched: Watched) -> None:
    """It waits still, though it was allowed for a time and came to watch."""
    watched.refresh(watched.come(BOB), expires="0")
    watched.world.decide(Decision.ALLOW)
    bob = watched.come(BOB)
    alice = watched.winfo()
    watched.world.decide(Decision.CONFIRM)
    watched.refresh(bob)
    watched.refresh(bob, expires="0")
    assert list(watched.table().values()) == [(BOB, "waiting", "timeout")]
    assert watched.view(alice) == watched.table()


@pytest.mark.rfc("WINFO-008")
def test_a_fetch_beside_a_subscription_leaves_no_entry(watched: Watched) -> None:
    watched.come(BOB)
    alice = watched.winfo()
    watched.come(BOB, expires="0")
    assert [uri for uri, *_ in watched.view(alice).values()] == [BOB]
    assert fetched(watched.world).entries == [(BOB, "pending", "subscribe")]


@pytest.mark.rfc("WINFO-008", "WINFO-015")
def test_of_several_subscriptions_of_a_watcher_the_last_one_waits(watched: Watched) -> None:
    first, second = watched.come(BOB), watched.come(BOB)
    alice = watched.winfo()
    watched.news(alice)
    watched.refresh(first, expires="0")
    assert watched.told(alice).entries == [(BOB, "terminated", "timeout")]
    watched.refresh(second, expires="0")
    assert watched.told(alice).entries == [(BOB, "waiting", "timeout")]
    assert watched.view(alice) == watched.table()


@pytest.mark.rfc("WINFO-008", "WINFO-015")
def test_of_several_that_end_at_once_one_waits(watched: Watched) -> None:
    for _ in range(3):
        watched.come(BOB, expires="600")
    watched.come(CAROL, expires="600")
    alice = watched.winfo(expires="3600")
    watched.news(alice)
    watched.pause(600)
    assert sorted(watched.view(alice).values()) == [(BOB, "waiting", "timeout"), (CAROL, "waiting", "timeout")]
    assert watched.view(alice) == watched.table()
    watched.come(BOB)
    assert sorted(watched.view(alice).values()) == [(BOB, "pending", "subscribe"), (CAROL, "waiting", "timeout")]
    assert watched.view(alice) == watched.table()


@pytest.mark.rfc("WINFO-008")
def test_who_is_refused_for_want_of_room_goes_on_waiting(watched: Watched) -> None:
    watched.refresh(watched.come(BOB), expires="0")
    alice = watched.winfo()
    watched.news(alice)
    watched.come(CAROL)
    watched.world.set(max_watchers=1)
    with pytest.raises(ServiceUnavailable):
        watched.come(BOB)
    watched.flow()
    assert (BOB, "waiting", "timeout") in watched.view(alice).values()
    assert watched.view(alice) == watched.table()


# Giving up


@pytest.mark.rfc("WINFO-012", "WINFO-005", "WINFO-015")
def test_who_waits_too_long_is_given_up_and_told_once(watched: Watched) -> None:
    watched.world.set(waiting_expiration=3 * DAY)
    watched.refresh(watched.come(BOB), expires="0")
    alice = watched.winfo(expires="604800")
    watched.news(alice)
    watched.pause(3 * DAY - 1)
    assert watched.news(alice) == []
    watched.world.now += 1
    line = Log(f"watcher given up: resource={ALICE} watcher={BOB} event=presence")
    assert watched.world.tick() == [line, Wake()]
    watched.flow()
    assert watched.told(alice).entries == [(BOB, "terminated", "giveup")]
    assert watched.pause(DAY) == []
    assert watched.table() == watched.view(alice) == {}
    assert fetched(watched.world).watchers == ()


@pytest.mark.rfc("WINFO-012", "PA-028")
def test_who_is_pending_too_long_is_given_up_with_its_refresh(watched: Watched) -> None:
    watched.world.set(waiting_expiration=DAY)
    bob = watched.come(BOB, expires="604800")
    alice = watched.winfo(expires="604800")
    watched.news(alice)
    watched.pause(DAY - 1)
    watched.refresh(bob, expires="604800")
    assert watched.news(alice) == []
    watched.world.now += 1
    watched.world.refresh(bob, expires="604800")
    last = {each.id: each for each in watched.flow()}[bob]
    assert (state_of(last), last.body) == ("terminated;reason=giveup", "")
    assert watched.told(alice).entries == [(BOB, "terminated", "giveup")]
    assert not watched.world.has_subscription(bob)


@pytest.mark.rfc("WINFO-012")
def test_for_ever_is_for_ever(watched: Watched) -> None:
    watched.world.set(waiting_expiration=0)
    bob = watched.come(BOB, expires="604800")
    for _ in range(10):
        watched.pause(604799)
        watched.refresh(bob, expires="604800")
    assert the_only(fetched(watched.world)).state == (BOB, "pending", "subscribe")
    watched.refresh(bob, expires="0")
    watched.pause(20 * 365 * DAY)
    assert the_only(fetched(watched.world)).state == (BOB, "waiting", "timeout")


def test_where_nobody_watches_the_watchers_giving_up_leaves_no_row(watched: Watched) -> None:
    watched.refresh(watched.come(BOB), expires="0")
    watched.pause(4 * DAY)
    assert rows(watched.world) == 0


def test_where_nobody_watches_the_watchers_no_end_is_kept(watched: Watched) -> None:
    watched.world.decide(Decision.ALLOW)
    watched.refresh(watched.come(BOB), expires="0")
    assert rows(watched.world) == 0


@pytest.mark.rfc("WINFO-015")
def test_an_end_is_forgotten_when_all_who_watch_the_watchers_were_told(watched: Watched) -> None:
    watched.world.decide(Decision.ALLOW)
    watched.world.set(winfo_watchers=(DAVE,))
    alice, dave = watched.winfo(ALICE), watched.winfo(DAVE)
    (bobs,) = watched.world.subscribe(BOB).sent
    waiting = {each.id: each for each in watched.world.answer(bobs)}
    watched.world.refresh(bobs.id, expires="0")
    watched.flow([waiting[alice]])
    assert rows(watched.world) == 1
    watched.flow([waiting[dave]])
    assert rows(watched.world) == 0
    assert watched.view(alice) == watched.view(dave) == {}


@pytest.mark.rfc("WINFO-015")
def test_an_end_that_nobody_could_be_told_of_is_forgotten_and_is_no_other_one(watched: Watched) -> None:
    watched.world.decide(Decision.ALLOW)
    bob = watched.come(BOB)
    watched.winfo(ALICE)
    watched.world.refresh(bob, expires="0")
    assert len(watched.world.notifier()) == 2
    watched.world.now += TIMER_F + GRACE
    watched.world.notifier()
    assert rows(watched.world) == 1
    watched.world.now += TOLD_WITHIN
    assert watched.world.tick() == []
    assert rows(watched.world) == 0


def rows(world: World) -> int:
    """Entries that are remembered."""
    with world.database.transaction():
        return len(world.database.execute("watcher_over", {"now": float("inf"), "cleaned": float("inf"), "limit": 1000}).rows())


# Decisions


@pytest.mark.rfc("WINFO-007", "WINFO-005")
@pytest.mark.parametrize(("decision", "event"), [(Decision.ALLOW, "approved"), (Decision.BLOCK, "rejected")])
def test_a_decision_ends_the_waiting(watched: Watched, decision: Decision, event: str) -> None:
    world = watched.world
    watched.refresh(watched.come(BOB), expires="0")
    alice = watched.winfo()
    watched.news(alice)
    world.decide(decision)
    reauthorize.reauthorize(world.moment, "presence", ALICE)
    watched.flow()
    assert watched.told(alice).entries == [(BOB, "terminated", event)]
    assert watched.view(alice) == watched.table() == {}


@pytest.mark.rfc("WINFO-005", "PA-026")
def test_whose_approval_is_taken_back_is_pending_again(watched: Watched) -> None:
    bob = watched.come(BOB)
    alice = watched.winfo()
    watched.world.decide(Decision.ALLOW)
    watched.refresh(bob)
    watched.world.decide(Decision.CONFIRM)
    watched.refresh(bob)
    watched.refresh(bob, expires="0")
    told = watched.news(alice)
    assert [the_only(each).state[1:] for each in told] == [
        ("pending", "subscribe"), ("active", "approved"), ("pending", "subscribe"), ("waiting", "timeout"),
    ]  # fmt: skip
    assert len({the_only(each).id for each in told}) == 1
