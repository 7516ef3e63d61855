"""Which subscriptions to users elsewhere are asked, and which are left: domains take turns, and may be taken away."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kemi.answer import Answer
from kemi.b2bua import outside, sending, store
from kemi.b2bua.outgoing import TIMER_N, Key, Outgoing, Phase, Shown
from kemi.database import Conflict, Database
from kemi.effects import SendRequest
from tests.unit.values import ALICE, BOB, CAROL, fields_of
from tests.verbs.abroad import DAN, Abroad, requests
from tests.verbs.lists import Lists, Subscriber
from tests.verbs.world import state_of

DEAD, ALIVE = "far.example.net", "other.example.net"


@pytest.fixture
def abroad(abroad: Abroad) -> Abroad:
    abroad.parameters({"max_in_flight": 4})
    return abroad


def watch_many(abroad: Abroad, domain: str, number: int) -> None:
    for each in range(number):
        abroad.watch_abroad(f"sip:{domain[0]}{each}@example.org", f"sip:dan@{domain}")


def asked_by_domain(abroad: Abroad, limit: int) -> dict[str, int]:
    domains = [each.uri.rpartition("@")[2] for each in abroad.round(limit=limit)]
    return {each: domains.count(each) for each in sorted(set(domains))}


def test_a_domain_with_many_does_not_take_all_places(abroad: Abroad) -> None:
    abroad.parameters({"max_in_flight": 50})
    watch_many(abroad, DEAD, 30)
    abroad.now += 1
    watch_many(abroad, ALIVE, 3)
    assert asked_by_domain(abroad, 10) == {DEAD: 7, ALIVE: 3}
    assert asked_by_domain(abroad, 10) == {DEAD: 10}


def test_a_domain_that_does_not_answer_takes_no_places(abroad: Abroad) -> None:
    watch_many(abroad, DEAD, 30)
    assert asked_by_domain(abroad, 10) == {DEAD: 4}
    watch_many(abroad, ALIVE, 3)
    assert asked_by_domain(abroad, 3) == {ALIVE: 3}
    assert asked_by_domain(abroad, 10) == {}


def test_who_has_waited_longest_is_asked_first(abroad: Abroad) -> None:
    for number in (3, 1, 2):
        abroad.watch_abroad(f"sip:w{number}@example.org")
        abroad.now += 1
    asked = [fields_of(each.headers)["From"][0] for _ in range(3) for each in abroad.round(limit=1)]
    assert [each[5:7] for each in asked] == ["w3", "w1", "w2"]


def test_time_goes_on_where_no_more_may_be_asked(abroad: Abroad) -> None:
    """An expiry needs no turn: nobody is shown what does not hold any more."""
    abroad.parameters({"max_in_flight": 1})
    abroad.established()
    abroad.now += 3500
    watch_many(abroad, DEAD, 2)
    assert asked_by_domain(abroad, 10) == {DEAD: 1}
    for _ in range(5):
        abroad.now += 20
        with abroad.database.transaction():
            store.save(abroad.database, abroad.known("sip:f0@example.org")._replace(in_flight_until=abroad.now + 30))
        abroad.round()
    assert abroad.known().phase is Phase.WAITING
    abroad.now += 40
    abroad.round()
    assert abroad.known().shown is Shown.UNKNOWN


def test_deadlines_do_not_take_the_places_of_requests(abroad: Abroad) -> None:
    abroad.parameters({"max_in_flight": 50})
    watch_many(abroad, DEAD, 20)
    assert len(abroad.round()) == 20
    abroad.now += 40
    watch_many(abroad, ALIVE, 1)
    assert asked_by_domain(abroad, 1) == {ALIVE: 1}
    assert abroad.known("sip:f0@example.org").phase is Phase.WAITING


# Domains that nobody may be watched in any more


def leave(abroad: Abroad, domains: str) -> list[str]:
    """To whom an unsubscribe goes, at once."""
    abroad.parameters({"domains": domains})
    effects, is_all = sending.leave_unreachable(abroad.at, abroad.chance)
    assert is_all
    left = requests(effects)
    assert all(fields_of(each.headers)["Expires"] == ["0"] for each in left)
    return [each.uri for each in left]


@pytest.mark.parametrize("domains", ["", ALIVE])
def test_a_domain_that_is_taken_away_is_left_at_once(abroad: Abroad, domains: str) -> None:
    local, asked = abroad.established()
    assert leave(abroad, domains) == ["sip:dan@203.0.113.7:5060"]
    (told,) = abroad.told()
    assert (told.id, state_of(told), told.body) == (local, "terminated;reason=noresource", "")
    assert abroad.known().phase is Phase.LEAVING
    abroad.notify_from_far(asked, "terminated;reason=timeout", b"", content_type=None)
    assert abroad.outgoing() is None
    assert leave(abroad, domains) == []


@pytest.mark.parametrize("domains", [f"{DEAD}, {ALIVE}", "*", DEAD])
def test_subscriptions_at_domains_that_are_still_asked_stay(abroad: Abroad, domains: str) -> None:
    abroad.established()
    assert leave(abroad, domains) == []
    assert abroad.told() == []
    assert abroad.known().wanted


def test_what_was_just_asked_is_left_when_it_was_answered(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    assert leave(abroad, ALIVE) == []
    assert abroad.notify_from_far(asked) == []
    (leaving,) = abroad.answered(asked, expires=3600)
    assert fields_of(leaving.headers)["Expires"] == ["0"]


def test_members_of_lists_there_are_nobody_then(abroad: Abroad) -> None:
    abroad.set_lists(timer_interval=0)
    lists = Lists(abroad)
    lists.put(ALICE, DAN)
    subscriber = lists.watch(ALICE, DAN)
    abroad.asked_and_told()
    subscriber.told()
    leave(abroad, "")
    subscriber.told()
    assert subscriber.said()[DAN] == ("terminated", "noresource")
    assert abroad.known(BOB).phase is Phase.LEAVING


# Answers


@contextmanager
def meanwhile(abroad: Abroad, monkeypatch: pytest.MonkeyPatch, work: Callable[[Abroad], object]) -> Iterator[None]:
    """When it was seen inside what the remote side has told so far, another process does this."""
    ensure, threads = outside.ensure, list[threading.Thread]()

    def run() -> None:
        other = Abroad(abroad.url)
        other.now = abroad.now
        work(other)
        other.close()

    def ensured(*arguments: Any) -> Any:
        found = ensure(*arguments)
        threads.append(threading.Thread(target=run))
        threads[0].start()
        threads[0].join(0.5)  # a head start; who has to wait for a lock is done later
        return found

    with monkeypatch.context() as patched:
        patched.setattr(outside, "ensure", ensured)
        yield
    threads[0].join()


def test_who_subscribes_while_a_refusal_comes_is_told_of_it_too(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> None:
    abroad.answer(abroad.watch_abroad().sent[0])
    (asked,) = abroad.round()
    with meanwhile(abroad, monkeypatch, lambda other: other.answered(asked, 403)):
        second = abroad.watch_abroad()
    told = [*abroad.answer(second.sent[0]), *abroad.told()]
    assert [state_of(each) for each in told] == ["terminated;reason=rejected"] * 2


@pytest.mark.rfc("RLS-023")
@pytest.mark.parametrize("is_answered", [True, False])
def test_a_list_that_is_opened_while_a_try_fails_is_told_of_it_too(
    abroad: Abroad, monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    abroad.set_lists(timer_interval=0)
    lists = Lists(abroad)
    lists.put(DAN)
    lists.watch(DAN)
    (asked,) = abroad.round()
    abroad.now += 1 if is_answered else TIMER_N + 1
    with meanwhile(abroad, monkeypatch, lambda other: other.answered(asked, 503) if is_answered else other.round()):
        second = Subscriber(abroad, lists.dialog(lists.subscribe()), [DAN])
    sent = abroad.notifier()
    while sent:
        for each in sent:
            if each.id == second.dialog:
                second.take(each)
        sent = abroad.notifier(*(Answer(each.id, each.cseq, 200) for each in sent))
    assert second.said() == {DAN: ("terminated", "probation")}


@pytest.mark.parametrize(
    "leave", [Abroad.sweep_abroad, lambda abroad: requests(sending.leave_unreachable(abroad.at, abroad.chance)[0])]
)
def test_who_was_left_is_told_also_where_another_one_cannot_be_left(
    abroad: Abroad, monkeypatch: pytest.MonkeyPatch, leave: Callable[[Abroad], list[SendRequest]]
) -> None:
    for watcher in (BOB, CAROL):
        local, _asked = abroad.established(watcher)
        abroad.refresh(local, expires="0")
        abroad.told()
    abroad.parameters({"domains": "other.example.net"})
    left: list[Key] = []

    def load(database: Database, key: Key) -> Outgoing | None:
        if left:
            raise Conflict("a deadlock")
        left.append(key)
        return reads(database, key)

    reads = store.load
    with monkeypatch.context() as patched:
        patched.setattr(store, "load", load)
        (first,) = leave(abroad)
    (second,) = leave(abroad)
    assert {first.uri, second.uri} == {"sip:dan@203.0.113.7:5060"}
    assert first.id != second.id
