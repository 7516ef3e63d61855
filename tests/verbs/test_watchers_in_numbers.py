"""However many subscriptions somebody makes, watcher information does not grow as their square (RFC 3857 section 6.1)."""

import pytest

from kemi import watcher_store
from kemi.errors import ServiceUnavailable
from kemi.event_package import Decision
from kemi.watcher import Status
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.watched import WINFO, Watched
from tests.watcherinfo import Told

MANY = 40
INTERVAL = 5

pytestmark = pytest.mark.rfc("SEC-017")


def somebody(number: int) -> str:
    return f"sip:attacker{number}@example.org"


def entries(documents: list[Told]) -> int:
    return sum(len(each.watchers) for each in documents)


def test_each_watcher_is_told_once_when_it_comes_and_once_when_it_goes(watched: Watched) -> None:
    alice = watched.winfo()
    dialogs = [watched.come(somebody(number)) for number in range(MANY)]
    assert entries(watched.news(alice)) == MANY
    for dialog in dialogs:
        watched.refresh(dialog)
    assert entries(watched.news(alice)) == 0
    for dialog in dialogs:
        watched.refresh(dialog, expires="0")
    assert entries(watched.news(alice)) == MANY


def test_who_comes_within_the_interval_is_told_in_one_document(watched: Watched) -> None:
    watched.world.set(notify_interval=INTERVAL)
    alice = watched.winfo()
    watched.news(alice)
    for number in range(MANY):
        watched.come(somebody(number))
    assert watched.news(alice) == []
    watched.pause(INTERVAL)
    (document,) = watched.news(alice)
    assert len(document.watchers) == MANY


def test_beyond_the_limit_of_one_presentity_nobody_is_told(watched: Watched) -> None:
    watched.world.set(max_watchers=10)
    alice = watched.winfo()
    watched.news(alice)
    for number in range(10):
        watched.come(somebody(number))
    for number in range(10, MANY):
        with pytest.raises(ServiceUnavailable):
            watched.come(somebody(number))
    assert entries(watched.news(alice)) == len(watched.table()) == 10


def test_one_who_watches_its_own_subscriptions_gets_no_more_than_its_limit_allows(watched: Watched) -> None:
    """Each of them is told in each of the others: half and half is the worst."""
    watched.world.set(notify_interval=INTERVAL, max_subscriptions=MANY)
    own = [watched.come(BOB)] + [watched.winfo(BOB) for _ in range(MANY // 2)]
    for dialog in own:
        watched.news(dialog)
    for _ in range(MANY - len(own)):
        watched.come(BOB)
    with pytest.raises(ServiceUnavailable):
        watched.come(BOB)
    watched.pause(INTERVAL)
    told = [document for dialog in own for document in watched.news(dialog)]
    assert len(told) == MANY // 2
    assert entries(told) == (MANY // 2) * (MANY - len(own))


def waiting(watched: Watched, watcher: str = BOB) -> list[str]:
    """For whom a watcher waits without a subscription."""
    with watched.world.database.transaction():
        remembered = watcher_store.over(watched.world.database, float("inf"), float("inf"), 1000)
    return [each.resource for each in remembered if (each.uri, each.status) == (watcher, Status.WAITING)]


@pytest.mark.rfc("SEC-015")
@pytest.mark.parametrize("expires", ["0", "600"])
def test_who_comes_to_many_waits_for_no_more_than_it_may_watch(watched: Watched, expires: str) -> None:
    """Each subscription that ends before anybody has decided leaves an entry, also one to somebody who is not there."""
    watched.world.set(max_subscriptions=5)
    watched.world.decide(Decision.CONFIRM)
    for number in range(MANY):
        dialog = watched.come(BOB, resource=somebody(number), expires=expires)
        if expires != "0":
            watched.refresh(dialog, expires="0")
    assert sorted(waiting(watched)) == sorted(map(somebody, range(5)))
    watched.come(CAROL, resource=somebody(MANY), expires="0")
    assert waiting(watched, CAROL) == [somebody(MANY)]


@pytest.mark.rfc("SEC-015")
def test_of_many_that_end_at_once_no_more_wait(watched: Watched) -> None:
    watched.world.set(max_subscriptions=5)
    watched.world.decide(Decision.CONFIRM)
    watched.come(BOB, resource=somebody(MANY), expires="0")
    for number in range(5):
        watched.come(BOB, resource=somebody(number), expires="600")
        watched.come(CAROL, resource=somebody(number), expires="600")
    watched.pause(601)
    assert (len(waiting(watched)), len(waiting(watched, CAROL))) == (5, 5)
    assert somebody(MANY) in waiting(watched)


@pytest.mark.rfc("SEC-015")
def test_who_waits_for_as_many_as_it_may_goes_on_waiting_for_them(watched: Watched) -> None:
    watched.world.set(max_subscriptions=2)
    watched.world.decide(Decision.CONFIRM)
    for resource in (somebody(1), ALICE, somebody(2)):
        watched.come(BOB, resource=resource, expires="0")
    assert sorted(waiting(watched)) == sorted((somebody(1), ALICE))
    alice = watched.winfo()
    assert watched.told(alice).entries == [(BOB, "waiting", "timeout")]
    watched.refresh(watched.come(BOB), expires="0")
    assert [each.entries for each in watched.news(alice)] == [[(BOB, "pending", "subscribe")], [(BOB, "waiting", "timeout")]]
    watched.come(BOB, expires="0")
    assert watched.view(alice) == watched.table()
    assert list(watched.table().values()) == [(BOB, "waiting", "timeout")]


@pytest.mark.rfc("SEC-015")
def test_whose_place_is_taken_is_told_of_its_end(watched: Watched) -> None:
    watched.world.set(max_subscriptions=1)
    watched.world.decide(Decision.CONFIRM)
    alice = watched.winfo()
    watched.come(BOB, resource=somebody(1), expires="0")
    bob = watched.come(BOB)
    watched.news(alice)
    watched.refresh(bob, expires="0")
    assert watched.told(alice).entries == [(BOB, "terminated", "timeout")]
    assert watched.view(alice) == watched.table() == {}


def test_without_a_limit_there_is_none(watched: Watched) -> None:
    watched.world.set(max_subscriptions=0)
    watched.world.decide(Decision.CONFIRM)
    for number in range(MANY):
        watched.come(BOB, resource=somebody(number), expires="0")
    assert len(waiting(watched)) == MANY


def test_who_comes_again_and_again_waits_once(watched: Watched) -> None:
    watched.world.decide(Decision.CONFIRM)
    for _ in range(MANY):
        watched.come(BOB, expires="0")
    (document,) = watched.news(watched.come("sip:alice@example.org", event=WINFO))
    assert document.entries == [(BOB, "waiting", "timeout")]
