"""Event rate control from SUBSCRIBE to the last NOTIFY (RFC 6446); what rates are adopted: tests/unit/test_rate_control.py."""

from collections.abc import Callable
from typing import Any

import pytest

from kemi import reauthorize
from kemi.effects import SendRequest
from kemi.event_package import Decision
from kemi.rate_control import PERIODS
from tests.unit.values import ALICE, BOB, CAROL, fields_of, pidf
from tests.verbs.world import World, state_of


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    """The server itself holds nothing back; alice has published."""
    world = connect(notify_interval=0).empty()
    world.publish(pidf("t1", note="start"), expires="3600")
    return world


def change(world: World, note: str) -> None:
    (known,) = world.publications()
    world.publish(pidf("t1", note=note), known.etag, expires="3600")


def watch(world: World, rates: str, watcher: str = BOB, event: str = "presence", **changes: Any) -> str:
    return world.watch(watcher, event=f"{event};{rates}", **{"expires": "3600"} | changes)


def passing(world: World, seconds: int) -> list[tuple[int, SendRequest]]:
    """Seconds go by one by one; what is told when."""
    told = []
    for second in range(1, seconds + 1):
        world.now += 1
        if world.tick():
            told += [(second, each) for each in world.told()]
    return told


def times(world: World, seconds: int) -> list[int]:
    """At which of the next seconds something is told."""
    return [second for second, _ in passing(world, seconds)]


def rates_of(request: SendRequest) -> str:
    """Parameters of Subscription-State beside expires and reason."""
    parameters = state_of(request).split(";")[1:]
    return ";".join(each for each in parameters if not each.startswith(("expires=", "reason=")))


# max-rate


@pytest.mark.rfc("PA-048")
def test_changes_that_come_faster_are_merged(world: World) -> None:
    watch(world, "max-rate=0.1")
    change(world, "one")
    assert world.notifier() == []
    world.now += 4
    change(world, "two")
    ((second, told),) = passing(world, 30)
    assert second == 6
    assert ">two<" in told.body
    change(world, "three")
    assert len(world.told()) == 1
    change(world, "four")
    assert times(world, 30) == [10]


@pytest.mark.rfc("PA-048")
def test_what_a_subscribe_causes_waits_for_nobody(world: World) -> None:
    dialog = watch(world, "max-rate=0.1")
    world.now += 1
    world.refresh(dialog, event="presence;max-rate=0.1", expires="3600")
    assert len(world.told()) == 1
    world.now += 1
    change(world, "two")
    assert times(world, 30) == [9]
    world.refresh(dialog, event="presence;max-rate=0.1", expires="0")
    assert [state_of(each) for each in world.told()] == ["terminated;reason=timeout;max-rate=0.1"]


@pytest.mark.rfc("PA-048", "PA-024")
def test_a_decision_waits_for_nobody(world: World) -> None:
    world.decide(Decision.CONFIRM)
    watch(world, "max-rate=0.01")
    for decision, state in ((Decision.ALLOW, "active"), (Decision.BLOCK, "terminated")):
        world.decide(decision)
        reauthorize.reauthorize(world.moment, "presence", ALICE)
        assert [state_of(each).partition(";")[0] for each in world.told()] == [state]


@pytest.mark.rfc("PA-048", "PA-025")
def test_the_end_waits_for_nobody(world: World) -> None:
    watch(world, "max-rate=0.02", expires="70")
    world.now += 51
    change(world, "one")
    assert len(world.told()) == 1
    change(world, "two")
    ((second, last),) = passing(world, 30)
    assert second == 19
    assert state_of(last).startswith("terminated")
    assert ">two<" in last.body


@pytest.mark.rfc("PA-050")
def test_a_rate_too_slow_for_the_subscription_is_raised(world: World) -> None:
    dialog = watch(world, "max-rate=0.001", expires="2000")
    assert world.subscription(dialog).least_gap == 1000
    world.refresh(dialog, event="presence;max-rate=0.001", expires="100")
    (told,) = world.told()
    assert rates_of(told) == "max-rate=0.01"
    world.now += 50
    world.refresh(dialog, event="presence;max-rate=0.001", expires="80")
    (told,) = world.told()
    assert rates_of(told) == "max-rate=0.0125"
    change(world, "one")
    ((second, last),) = passing(world, 100)
    assert second == 80
    assert ">one<" in last.body


@pytest.mark.rfc("PA-048", "PA-032")
@pytest.mark.parametrize(("rate", "gap"), [("1", 5), ("0.1", 10)])
def test_the_slower_of_watcher_and_server_counts(world: World, rate: str, gap: int) -> None:
    world.set(notify_interval=5)
    watch(world, f"max-rate={rate}")
    change(world, "one")
    assert times(world, 20) == [gap]


def test_each_subscription_has_its_own_pace(world: World) -> None:
    slow, fast = watch(world, "max-rate=0.1", CAROL), world.watch(BOB)
    change(world, "one")
    assert [each.id for each in world.told()] == [fast]
    assert [(second, each.id) for second, each in passing(world, 20)] == [(10, slow)]


# min-rate


@pytest.mark.rfc("PA-051")
def test_after_a_silence_the_state_is_told_again_as_a_whole(world: World) -> None:
    watch(world, "min-rate=0.05")
    told = passing(world, 65)
    assert [second for second, _ in told] == [20, 40, 60]
    assert all(">start<" in each.body for _, each in told)


@pytest.mark.rfc("PA-051")
def test_a_change_begins_a_new_silence(world: World) -> None:
    watch(world, "min-rate=0.05")
    world.now += 15
    change(world, "one")
    world.told()
    assert times(world, 45) == [20, 40]


@pytest.mark.rfc("PA-051", "PA-025")
def test_the_end_is_not_put_off_by_a_silence(world: World) -> None:
    watch(world, "min-rate=0.01", expires="70")
    assert [(second, state_of(each).partition(";")[0]) for second, each in passing(world, 90)] == [(70, "terminated")]


@pytest.mark.rfc("PA-051", "PA-053")
def test_the_state_is_not_told_again_faster_than_the_server_tells_changes(world: World) -> None:
    world.set(notify_interval=5)
    (first,) = world.subscribe(event="presence;min-rate=1").sent
    assert rates_of(first) == "min-rate=0.2"
    world.answer(first)
    assert times(world, 12) == [5, 10]


@pytest.mark.rfc("PA-051", "PA-053")
def test_nor_faster_than_the_watcher_wants(world: World) -> None:
    (first,) = world.subscribe(event="presence;max-rate=0.1;min-rate=0.5").sent
    assert rates_of(first) == "max-rate=0.1;min-rate=0.1"
    world.answer(first)
    assert times(world, 25) == [10, 20]


@pytest.mark.rfc("PA-051", "PA-008")
def test_a_repetition_that_failed_is_not_the_last(world: World) -> None:
    watch(world, "min-rate=0.05")
    world.now += 20
    (failed,) = world.notifier()
    assert world.answer(failed, 500) == []
    assert times(world, 45) == [20, 40]


@pytest.mark.rfc("PA-051", "PA-012")
def test_who_is_not_decided_about_is_told_again_that_it_waits(world: World) -> None:
    world.decide(Decision.CONFIRM)
    watch(world, "min-rate=0.05")
    assert [(second, state_of(each).partition(";")[0], each.body) for second, each in passing(world, 25)] == [(20, "pending", "")]


# adaptive-min-rate


@pytest.mark.rfc("PA-052")
def test_with_an_adaptive_rate_a_burst_buys_silence_afterwards(world: World) -> None:
    """At 0.1 the period is PERIODS * 10 s; so many NOTIFYs as were sent in it, times 10 / PERIODS s, are the next silence."""
    assert PERIODS == 4
    watch(world, "adaptive-min-rate=0.1")
    assert times(world, 8) == [3, 8]
    world.now += 100
    world.told()
    for number in range(4):
        change(world, f"{number}")
        world.told()
        world.now += 0.01
    (next_one, *_) = times(world, 20)
    assert next_one >= 10


@pytest.mark.rfc("PA-052")
def test_over_time_an_adaptive_rate_is_kept(world: World) -> None:
    watch(world, "adaptive-min-rate=0.1")
    assert 18 <= len(times(world, 200)) <= 24


@pytest.mark.rfc("PA-052", "PA-048")
def test_an_adaptive_rate_is_not_faster_than_the_watcher_wants(world: World) -> None:
    watch(world, "max-rate=0.1;adaptive-min-rate=0.1")
    assert times(world, 35) == [10, 20, 30]


# What is told of it


@pytest.mark.rfc("PA-049")
@pytest.mark.parametrize(
    "rates", ["max-rate=0.5", "min-rate=0.01", "adaptive-min-rate=0.02", "max-rate=0.5;min-rate=0.01;adaptive-min-rate=0.02"]
)
def test_every_notify_reflects_the_rates(world: World, rates: str) -> None:
    (first,) = world.subscribe(event=f"presence;{rates};other=1").sent
    assert fields_of(first.headers)["Event"] == ["presence"]
    world.answer(first)
    world.now += 2
    change(world, "one")
    (second,) = world.told()
    world.refresh(first.id, event=f"presence;{rates}", expires="0")
    (last,) = world.told()
    assert [rates_of(each) for each in (first, second, last)] == [rates] * 3


@pytest.mark.rfc("PA-049")
def test_a_fetch_reflects_them_too(world: World) -> None:
    (only,) = world.subscribe(event="presence;min-rate=0.01", expires="0").sent
    assert state_of(only).startswith("terminated;reason=timeout")


@pytest.mark.rfc("PA-049")
def test_a_rate_that_a_refresh_does_not_name_is_over(world: World) -> None:
    dialog = watch(world, "max-rate=0.1;min-rate=0.05")
    world.refresh(dialog, event="presence;max-rate=0.1", expires="3600")
    (told,) = world.told()
    assert rates_of(told) == "max-rate=0.1"
    assert times(world, 60) == []
    world.refresh(dialog, event="presence", expires="3600")
    (told,) = world.told()
    assert rates_of(told) == ""
    change(world, "one")
    assert len(world.told()) == 1
    assert times(world, 60) == []


@pytest.mark.rfc("PA-053")
@pytest.mark.parametrize(
    "rates", ["max-rate=0", "max-rate=-1", "max-rate=fast", "max-rate", "max-rate=1e-1", "max-rate=0.1;max-rate=0.1"]
)
def test_what_is_no_rate_is_not_adopted(world: World, rates: str) -> None:
    (first,) = world.subscribe(event=f"presence;{rates}").sent
    assert rates_of(first) == ""
    world.answer(first)
    change(world, "one")
    assert len(world.told()) == 1


@pytest.mark.rfc("PA-049")
def test_rates_outlast_a_restart(world: World, connect: Callable[..., World]) -> None:
    watch(world, "max-rate=0.1;min-rate=0.05")
    after = connect(notify_interval=0)
    after.now = world.now
    assert times(after, 45) == [20, 40]
    change(after, "one")
    assert times(after, 20) == [5]


# In the 2xx to NOTIFY


@pytest.mark.rfc("PA-054")
def test_a_2xx_to_notify_sets_the_rates(world: World) -> None:
    (first,) = world.subscribe(expires="3600").sent
    world.answer(first, event="presence;max-rate=0.1;other=1")
    change(world, "one")
    ((second, told),) = passing(world, 20)
    assert (second, rates_of(told)) == (10, "max-rate=0.1")


@pytest.mark.rfc("PA-054", "PA-051")
def test_a_silence_that_a_2xx_asks_for_begins_with_its_notify(world: World) -> None:
    (first,) = world.subscribe(expires="3600").sent
    world.now += 1
    world.answer(first, event="presence;min-rate=0.05")
    assert times(world, 45) == [19, 39]


@pytest.mark.rfc("PA-054", "PA-049")
def test_a_2xx_can_change_the_rates(world: World) -> None:
    (first,) = world.subscribe(expires="3600", event="presence;min-rate=0.05").sent
    world.answer(first, event="presence;max-rate=0.1")
    assert times(world, 60) == []
    change(world, "one")
    (told,) = world.notifier()
    assert rates_of(told) == "max-rate=0.1"
    world.answer(told, event="presence;min-rate=0.1")
    assert times(world, 25) == [10, 20]


@pytest.mark.rfc("PA-054", "PA-050")
def test_a_rate_in_a_2xx_that_is_too_slow_is_raised(world: World) -> None:
    (first,) = world.subscribe(expires="100").sent
    world.now += 20
    world.answer(first, event="presence;max-rate=0.001")
    change(world, "one")
    told = passing(world, 90)
    assert [(second, rates_of(each)) for second, each in told] == [(60, "max-rate=0.0125"), (80, "max-rate=0.0125")]
    assert ">one<" in told[0][1].body


@pytest.mark.rfc("PA-054")
@pytest.mark.parametrize("event", ["", "dialog;max-rate=0.1", "presence.winfo;max-rate=0.1", "max-rate=0.1", "a b;max-rate=0.1"])
def test_a_2xx_of_another_event_sets_nothing(world: World, event: str) -> None:
    (first,) = world.subscribe(event="presence;max-rate=0.5").sent
    world.answer(first, event=event)
    assert world.subscription(first.id).rates == "max-rate=0.5"
