"""However many subscriptions somebody makes, watcher information does not grow as their square (RFC 3857 section 6.1)."""

import pytest

from kemi.errors import ServiceUnavailable
from kemi.event_package import Decision
from tests.unit.values import BOB
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


def test_who_comes_again_and_again_waits_once(watched: Watched) -> None:
    watched.world.decide(Decision.CONFIRM)
    for _ in range(MANY):
        watched.come(BOB, expires="0")
    (document,) = watched.news(watched.come("sip:alice@example.org", event=WINFO))
    assert document.entries == [(BOB, "waiting", "timeout")]
