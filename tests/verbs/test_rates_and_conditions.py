"""Event rate control (RFC 6446) together with conditions (RFC 5839) and with watcher information (RFC 3857)."""

from collections.abc import Callable

import pytest

from tests.unit.values import BOB, CAROL, fields_of, pidf
from tests.verbs.test_rates import change, rates_of, times
from tests.verbs.watched import WINFO, Watched
from tests.verbs.world import World


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    """The server itself holds nothing back; alice has published."""
    world = connect(notify_interval=0).empty()
    world.publish(pidf("t1", note="start"), expires="3600")
    return world


@pytest.mark.rfc("PA-051", "PA-042")
def test_what_a_condition_suppresses_is_not_told_again_either(world: World) -> None:
    (first,) = world.subscribe(event="presence;min-rate=0.05", expires="3600").sent
    world.answer(first)
    known = fields_of(first.headers)["SIP-ETag"][0]
    world.refresh(first.id, event="presence;min-rate=0.05", suppress=known, expires="3600")
    assert times(world, 100) == []
    change(world, "one")
    (told,) = world.told()
    assert rates_of(told) == "min-rate=0.05"
    assert times(world, 45) == [20, 40]


@pytest.mark.rfc("PA-051", "PA-042", "PA-034")
def test_what_a_condition_suppresses_is_not_told_again_with_a_change_that_is_none(world: World) -> None:
    (first,) = world.subscribe(event="presence;min-rate=0.05", expires="3600").sent
    world.answer(first)
    world.refresh(first.id, event="presence;min-rate=0.05", suppress=fields_of(first.headers)["SIP-ETag"][0], expires="3600")
    world.now += 25
    change(world, "start")
    assert world.notifier() == []


@pytest.mark.rfc("PA-051", "PA-043", "PA-054")
@pytest.mark.parametrize(("asked", "answered"), [(";min-rate=0.05", ""), ("", "presence;min-rate=0.05")])
def test_what_a_new_subscription_suppresses_is_not_told_again_either(world: World, asked: str, answered: str) -> None:
    (known,) = world.subscribe(expires="0").sent
    world.answer(known)
    (first,) = world.subscribe(event=f"presence{asked}", suppress=fields_of(known.headers)["SIP-ETag"][0], expires="3600").sent
    assert first.body == ""
    world.answer(first, event=answered)
    assert times(world, 50) == []
    change(world, "one")
    assert len(world.told()) == 1
    assert times(world, 45) == [20, 40]


@pytest.mark.rfc("PA-048", "WINFO-014")
def test_watcher_information_keeps_to_the_rate(world: World) -> None:
    watched = Watched(world)
    alice = watched.winfo(event=f"{WINFO};max-rate=0.1", expires="3600")
    watched.news(alice)
    watched.come(BOB)
    watched.come(CAROL)
    watched.pause(9)
    assert watched.news(alice) == []
    watched.pause(1)
    assert sorted(uri for uri, *_ in watched.told(alice).entries) == [BOB, CAROL]


@pytest.mark.rfc("PA-051", "WINFO-003")
def test_watcher_information_is_told_again_as_what_has_changed_since(world: World) -> None:
    """Nothing: RFC 6446 section 6.2 lets a notifier that tells changes tell them alone."""
    watched = Watched(world)
    watched.come(BOB)
    alice = watched.winfo(event=f"{WINFO};min-rate=0.05", expires="3600")
    watched.pause(20)
    full, again = watched.news(alice)
    assert (len(full.watchers), again.kinds, again.watchers) == (1, (1, "partial"), ())
