"""Which rows statements about one subscription change, and which deadline is the next: sql/queries/subscription.sql."""

import pytest

from kemi import store
from kemi.subscription import Subscription
from tests.unit.values import NOW, subscription
from tests.verbs.world import World

OVER, ANSWER = NOW + 600, NOW + 34
OTHER = subscription(id="kp-other", next_at=NOW + 9)


def create(world: World, *rows: Subscription) -> None:
    with world.database.transaction():
        for each in rows:
            store.create(world.database, each, 0, 0)


@pytest.mark.rfc("PA-054", "TRN-025")
@pytest.mark.parametrize(
    ("in_flight_since", "due_at", "repeat_at", "next_at"),
    [
        (NOW, NOW + 3, NOW + 5, ANSWER), (None, NOW + 3, NOW + 5, NOW + 3), (None, NOW + 5, NOW + 3, NOW + 3),
        (None, None, NOW + 5, NOW + 5), (None, None, None, OVER), (None, NOW + 5, None, NOW + 5), (None, OVER + 5, None, OVER),
        (None, None, OVER + 5, OVER), (None, OVER + 5, OVER + 9, OVER),
    ],
)  # fmt: skip
def test_a_rate_that_comes_with_an_answer_is_of_that_subscription_and_moves_its_deadline(
    world: World, in_flight_since: float | None, due_at: float | None, repeat_at: float | None, next_at: float
) -> None:
    before = subscription(in_flight_since=in_flight_since, due_at=due_at, next_at=ANSWER)
    create(world, before, OTHER)
    asked = {"rates": "min-rate=0.2", "recent": "1.5", "least_gap": 2.0, "repeat_at": repeat_at}
    with world.database.transaction():
        store.rate(world.database, before._replace(**asked))
    assert world.subscription(before.id) == before._replace(**asked, next_at=next_at)
    assert world.subscription(OTHER.id) == OTHER


@pytest.mark.parametrize(("until", "next_at"), [(NOW + 60, NOW + 60), (OVER + 60, OVER)])
def test_what_is_put_off_is_so_until_its_end_at_most(world: World, until: float, next_at: float) -> None:
    create(world, subscription(), OTHER)
    with world.database.transaction():
        store.put_off(world.database, "kp-1", until)
    assert [world.subscription(each).next_at for each in ("kp-1", OTHER.id)] == [next_at, OTHER.next_at]


def test_after_a_start_who_was_waited_for_is_told_again_and_nobody_else(world: World) -> None:
    create(world, subscription(in_flight_since=NOW, next_at=ANSWER), OTHER)
    with world.database.transaction():
        store.resume(world.database, NOW + 5)
    again = world.subscription("kp-1")
    assert (again.in_flight_since, again.due_at, again.next_at, again.notified_tag) == (None, NOW + 5, NOW + 5, "")
    kept = world.subscription(OTHER.id)
    assert (kept.due_at, kept.next_at, kept.notified_tag) == (None, OTHER.next_at, OTHER.notified_tag)
