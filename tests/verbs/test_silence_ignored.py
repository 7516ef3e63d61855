"""`pa.ignore_408_on_notify`: who says nothing to a NOTIFY goes on watching, or does not (SER handbook section 5.2)."""

import pytest

from kemi.subscription import GRACE, TIMER_F
from tests.unit.values import pidf
from tests.verbs.world import World


@pytest.fixture
def quick(world: World) -> World:
    """NOTIFYs are not held back."""
    world.set(notify_interval=0)
    return world


@pytest.mark.parametrize("ignored", [0, 1])
def test_silence_ends_the_subscription_unless_it_is_ignored(quick: World, ignored: int) -> None:
    quick.set(ignore_408_on_notify=ignored)
    (first,) = quick.subscribe().sent
    quick.now += TIMER_F + GRACE
    again = quick.notifier()
    assert quick.has_subscription(first.id) is bool(ignored)
    quick.publish(pidf("t1"))
    assert [each.id for each in again or quick.notifier()] == [first.id] * ignored


@pytest.mark.parametrize("ignored", [0, 1])
def test_a_408_ends_the_subscription_unless_it_is_ignored(quick: World, ignored: int) -> None:
    quick.set(ignore_408_on_notify=ignored)
    (first,) = quick.subscribe().sent
    quick.answer(first, 408)
    assert quick.has_subscription(first.id) is bool(ignored)


def test_other_ends_are_ends(quick: World) -> None:
    quick.set(ignore_408_on_notify=1)
    (first,) = quick.subscribe().sent
    quick.answer(first, 481)
    assert not quick.has_subscription(first.id)


def test_it_may_be_changed_while_a_notify_is_in_flight(quick: World) -> None:
    (first,) = quick.subscribe().sent
    quick.set(ignore_408_on_notify=1)
    quick.now += TIMER_F + GRACE
    quick.notifier()
    assert quick.has_subscription(first.id)
