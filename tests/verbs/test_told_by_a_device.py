"""What a user's own device has told the server is published for the user: kemi/presence/subscribed.py."""

from collections.abc import Callable

import pytest

from kemi.effects import Effect, Log, Wake
from kemi.errors import ConditionalRequestFailed
from kemi.presence import subscribed
from tests.unit.values import ALICE, PIDF, pidf
from tests.unit.xcap.rules import rule
from tests.verbs.ruled import BOBS, WORK, Ruled, allow, sphere, states
from tests.verbs.world import World

YEARS = 10 * 365 * 86400


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    """NOTIFYs are not held back."""
    return connect(notify_interval=0).empty()


def show(world: World, body: bytes, content_type: str = PIDF) -> list[Effect]:
    with world.database.transaction():
        world.database.lock(ALICE)
        return subscribed.show(world.moment, ALICE, content_type, body)


def test_watchers_are_told_what_it_says_last_and_the_log_says_so(world: World) -> None:
    world.watch()
    for note in ("here", "there"):
        effects = show(world, pidf("d1", note=note))
        assert Wake() in effects
        (line,) = (each.text for each in effects if isinstance(each, Log))
        assert line.startswith("publication modified: etag=")
        assert line.endswith(f" event=presence presentity={ALICE} source=subscription")
        (told,) = world.told()
        assert f">{note}<" in told.body


def test_it_stands_beside_what_is_published_as_long_as_the_device_says_something(world: World) -> None:
    show(world, pidf("d1", note="here"))
    world.now += YEARS
    world.tick()
    world.publish(pidf("t1", note="published"))
    (first,) = world.subscribe().sent
    assert (">here<" in first.body, ">published<" in first.body) == (True, True)


@pytest.mark.parametrize("body", [b"", b"<presence", b"<x/>"])
def test_what_says_nothing_or_cannot_be_read_takes_it_away(world: World, body: bytes) -> None:
    world.watch()
    show(world, pidf("d1", note="here"))
    world.told()
    effects = show(world, body)
    assert Wake() in effects
    assert any(each.text.startswith("publication removed: ") for each in effects if isinstance(each, Log))
    (told,) = world.told()
    assert ">here<" not in told.body
    assert world.publications() == []


@pytest.mark.rfc("PUB-003")
def test_no_publish_can_name_it(world: World) -> None:
    show(world, pidf("d1"))
    (known,) = world.publications()
    with pytest.raises(ConditionalRequestFailed):
        world.publish(b"", known.etag, expires="0")
    assert world.publications() == [known]


@pytest.mark.rfc("AUTH-025")
def test_a_sphere_in_it_decides_who_may_watch(world: World) -> None:
    ruled = Ruled(world)
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    world.watch()
    show(world, sphere("work"))
    assert states(world.told()) == ["active"]
