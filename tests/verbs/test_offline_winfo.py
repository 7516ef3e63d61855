"""Watchers that came while the presentity was away: kemi/offline_winfo.py on the database (SER handbook section 5.13)."""

import pytest

from kemi import offline_winfo, watcher_store
from kemi.effects import Effect, Log, Status, Wake
from kemi.event_package import Decision
from kemi.presence.online import is_online
from kemi.subscription import Subscription
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.verbs.watched import DAVE, WINFO, Watched
from tests.verbs.world import Accepted, World
from tests.watcherinfo import read

DAY = 86400
KEPT = 3 * DAY


@pytest.fixture
def watched(world: World) -> Watched:
    """NOTIFYs are not held back; everybody has to wait for a decision, and is forgotten long before what is stored."""
    world.set(notify_interval=0, waiting_expiration=60, offline_winfo_expiration=KEPT)
    world.decide(Decision.CONFIRM)
    return Watched(world)


def status_of(done: Accepted) -> Status:
    (found,) = (each for each in done.effects if isinstance(each, Status))
    return found


def left(done: Accepted) -> Subscription:
    return status_of(done).subscription


def store(watched: Watched, watcher: str = BOB, **changes: object) -> None:
    """A watcher comes for a fetch and is stored."""
    world = watched.world
    done = world.subscribe(watcher, **{"expires": "0"} | changes)
    world.answer(*done.sent)
    assert offline_winfo.store(world.moment, left(done))


def tell(watched: Watched) -> tuple[bool, list[Effect]]:
    world = watched.world
    return offline_winfo.tell(world.moment, "presence", ALICE)


def uris(watched: Watched, dialog: str) -> list[str]:
    """Who is in the documents that came in this dialog since the last time."""
    return sorted(each.uri for document in watched.news(dialog) for each in document.watchers)


def forget_waiting(watched: Watched) -> None:
    """The RFC's own memory ends."""
    watched.pause(120)


def test_who_came_is_told_with_the_next_subscribe_of_the_presentity(watched: Watched) -> None:
    watched.world.set(use_offline_winfo=1)
    store(watched)
    store(watched, CAROL, display_name='"Carol"')
    forget_waiting(watched)
    alice = watched.winfo()
    (document,) = watched.news(alice)
    assert [(each.uri, each.name) for each in document.watchers] == [(BOB, None), (CAROL, "Carol")]


def test_who_was_told_is_forgotten_when_the_notify_is_answered(watched: Watched) -> None:
    watched.world.set(use_offline_winfo=1)
    store(watched)
    forget_waiting(watched)
    watched.winfo()
    assert uris(watched, watched.winfo()) == []


def test_what_was_told_to_nobody_who_answered_is_told_again(watched: Watched) -> None:
    watched.world.set(use_offline_winfo=1)
    store(watched)
    forget_waiting(watched)
    (first,) = watched.world.subscribe(ALICE, event=WINFO).sent
    watched.world.answer(first, 481)
    assert uris(watched, watched.winfo()) == [BOB]


def test_without_the_parameter_it_is_told_when_a_script_asks(watched: Watched) -> None:
    store(watched)
    forget_waiting(watched)
    alice = watched.winfo()
    assert uris(watched, alice) == []
    told, effects = tell(watched)
    assert told
    assert any(isinstance(each, Wake) for each in effects)
    watched.flow()
    assert uris(watched, alice) == [BOB]


def test_told_by_a_script_it_is_told_once(watched: Watched) -> None:
    store(watched)
    forget_waiting(watched)
    alice = watched.winfo()
    tell(watched)
    watched.flow()
    watched.news(alice)
    assert tell(watched) == (True, [])
    assert watched.flow() == []


def test_nobody_else_takes_away_what_the_presentity_was_not_told(watched: Watched) -> None:
    watched.world.set(winfo_watchers=(DAVE,))
    store(watched)
    forget_waiting(watched)
    dave = watched.winfo(DAVE)
    assert tell(watched) == (False, [])
    assert watched.flow() == []
    watched.news(dave)
    alice = watched.winfo()
    assert tell(watched)[0]
    watched.flow()
    assert uris(watched, alice) == [BOB]


@pytest.mark.parametrize("status", [481, 0])
def test_the_answer_of_somebody_else_does_not_take_it_away(watched: Watched, status: int) -> None:
    """Dave may see all watchers too, and answers; alice does not."""
    world = watched.world
    world.set(use_offline_winfo=1, winfo_watchers=(DAVE,))
    store(watched)
    forget_waiting(watched)
    dave = watched.winfo(DAVE)
    assert uris(watched, dave) == []
    (first,) = world.subscribe(ALICE, event=WINFO).sent
    watched.come(CAROL)
    assert CAROL in uris(watched, dave)
    watched.flow(world.answer(first, status))
    assert BOB in uris(watched, watched.winfo())


def test_told_in_a_running_subscription_it_is_the_next_partial_document(watched: Watched) -> None:
    store(watched)
    forget_waiting(watched)
    alice = watched.winfo()
    watched.news(alice)
    tell(watched)
    watched.flow()
    assert watched.told(alice).kinds == (1, "partial")


def test_what_is_stored_is_forgotten_without_a_word(watched: Watched) -> None:
    store(watched)
    forget_waiting(watched)
    watched.pause(KEPT - 700)
    alice = watched.winfo(expires="3600")
    watched.news(alice)
    watched.world.now += 700
    assert [each for each in watched.world.tick() if isinstance(each, Log)] == []
    assert watched.flow() == []
    assert watched.world.has_subscription(alice)
    assert tell(watched) == (True, [])


def test_a_watcher_is_told_once_however_often_it_came(watched: Watched) -> None:
    watched.world.set(use_offline_winfo=1)
    for _ in range(3):
        store(watched)
    forget_waiting(watched)
    assert uris(watched, watched.winfo()) == [BOB]


def test_who_watches_now_is_told_as_that(watched: Watched) -> None:
    watched.world.set(use_offline_winfo=1)
    store(watched)
    watched.come(BOB)
    (document,) = watched.news(watched.winfo())
    assert [(each.uri, each.status) for each in document.watchers] == [(BOB, "pending")]


def is_stored(watched: Watched) -> bool:
    """Whether there is a row, told or not."""
    with watched.world.database.transaction():
        found = watcher_store.over(watched.world.database, 1e12, 1e12, 10)
    return any(each.uri == BOB for each in found)


@pytest.mark.parametrize("timer", [1, 600, 3600, 86400])
def test_what_ran_out_is_cleaned_up_all_that_interval(watched: Watched, timer: int) -> None:
    """At whole multiples of it, whenever the server began."""
    world = watched.world
    world.set(offline_winfo_timer=timer)
    store(watched)
    forget_waiting(watched)
    ran_out = world.now - 120 + KEPT
    next_cleaning = ran_out - ran_out % -timer
    world.now = ran_out - 0.5
    world.tick()
    assert is_stored(watched)
    world.now = max(ran_out, next_cleaning - 0.5)
    world.tick()
    assert is_stored(watched) is (world.now < next_cleaning)
    world.now = next_cleaning
    world.tick()
    assert not is_stored(watched)


def test_the_interval_may_change_meanwhile(watched: Watched) -> None:
    watched.world.set(offline_winfo_timer=86400)
    store(watched)
    forget_waiting(watched)
    watched.world.now = watched.world.now - watched.world.now % 86400 + KEPT + 86400 - 10
    watched.world.tick()
    assert is_stored(watched)
    watched.world.set(offline_winfo_timer=60)
    watched.world.tick()
    assert not is_stored(watched)


def test_what_was_told_and_ran_out_before_an_answer_is_not_told_again(watched: Watched) -> None:
    watched.world.set(use_offline_winfo=1, offline_winfo_timer=86400)
    store(watched)
    forget_waiting(watched)
    (first,) = watched.world.subscribe(ALICE, event=WINFO, expires="3600").sent
    assert [each.uri for each in read(first.body).watchers] == [BOB]
    watched.world.answer(first, 500)
    watched.world.now += KEPT
    assert uris(watched, watched.winfo()) == []


@pytest.mark.parametrize(("seconds", "who"), [(KEPT - 10, [BOB]), (KEPT + 10, [])])
def test_what_is_too_old_is_not_told(watched: Watched, seconds: int, who: list[str]) -> None:
    watched.world.set(use_offline_winfo=1)
    store(watched)
    watched.world.now += seconds
    watched.world.tick()
    assert uris(watched, watched.winfo()) == who


def test_the_others_of_the_package_are_not_told(watched: Watched) -> None:
    """Who may see only itself sees itself only, stored or not."""
    watched.world.set(use_offline_winfo=1)
    store(watched)
    watched.come(CAROL)
    (document,) = watched.world.subscribe(CAROL, event=WINFO, expires="0").sent
    assert [each.uri for each in read(document.body).watchers] == [CAROL]


@pytest.mark.parametrize(
    ("use", "decision", "changes", "worth"),
    [
        (1, Decision.CONFIRM, {}, True),
        (0, Decision.CONFIRM, {}, False),
        (1, Decision.ALLOW, {}, False),
        (1, Decision.POLITE_BLOCK, {}, False),
        (1, Decision.CONFIRM, {"expires": "0"}, False),
    ],
)
def test_only_who_has_to_wait_is_worth_storing_by_itself(
    world: World, use: int, decision: Decision, changes: dict[str, str], worth: bool
) -> None:
    world.set(use_offline_winfo=use)
    world.decide(decision)
    assert offline_winfo.is_worth_storing(world.settings, status_of(world.subscribe(**changes))) is worth


def test_a_refresh_is_nobody_new(world: World) -> None:
    world.set(use_offline_winfo=1)
    world.decide(Decision.CONFIRM)
    refreshed = world.refresh(world.watch())
    assert not offline_winfo.is_worth_storing(world.settings, status_of(refreshed))


def test_to_ask_who_is_online_is_one_statement_and_nothing_is_composed(world: World) -> None:
    world.publish(pidf("t1").replace(b"open", b"closed"))
    world.publish(pidf("t1"))
    with world.counted() as names:
        assert is_online(world.database, ALICE, world.now)
    assert names == ["publication_load_many"]


def test_who_has_expired_is_not_online(world: World) -> None:
    world.publish(expires="60")
    assert is_online(world.database, ALICE, world.now + 59)
    assert not is_online(world.database, ALICE, world.now + 61)
