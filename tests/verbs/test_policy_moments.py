"""What presence rules say changes with the sphere and with the clock, without a request of anybody (RFC 4745 section 7)."""

from dataclasses import replace

import pytest

from kemi.effects import Wake
from kemi.presence import manage
from kemi.subscription import State
from tests.unit.values import ALICE, BOB, PIDF
from tests.unit.xcap.rules import identity, one, rule, validity
from tests.verbs.ruled import ALL, BOBS, EVERYTHING, MOOD, PERSONS, WORK, Ruled, allow, published, sphere, states, time, told

# The sphere


@pytest.mark.rfc("AUTH-024", "AUTH-025", "AUTH-027")
def test_the_sphere_that_is_published_decides(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    assert states(world.subscribe().sent) == ["pending"]
    dialog = world.watch()
    first = world.publish(sphere("work"))
    assert [each for each in first.effects if isinstance(each, Wake)]
    sent = {each.id: each for each in world.notifier()}
    assert states([sent[dialog]]) == ["active"]
    assert "work" in sent[dialog].body
    world.answer(sent[dialog])
    world.publish(sphere("travel"), first.tag)
    assert world.subscription(dialog).state is State.PENDING
    assert states(world.subscribe().sent) == ["pending"]


@pytest.mark.rfc("AUTH-025")
def test_publications_that_do_not_agree_say_no_sphere(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    dialog = world.watch()
    world.publish(sphere("work"))
    other = world.publish(sphere("home"))
    assert world.subscription(dialog).state is State.PENDING
    world.publish(b"", other.tag, expires="0")
    assert world.subscription(dialog).state is State.ACTIVE


@pytest.mark.rfc("AUTH-025", "AUTH-027")
def test_a_sphere_ends_with_its_publication(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    dialog = world.watch(expires="3600")
    world.publish(sphere("work"), expires="600")
    assert states(world.told()) == ["active"]
    world.now += 600
    assert Wake() in world.tick()
    assert states(world.told()) == ["pending"]
    assert world.subscription(dialog).state is State.PENDING


def test_management_publishes_a_sphere_too(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    dialog = world.watch()
    manage.publish(world.moment, ALICE, sphere("home"), PIDF, 0)
    assert world.subscription(dialog).state is State.ACTIVE
    manage.unpublish(world.moment, ALICE)
    assert world.subscription(dialog).state is State.PENDING


def test_a_publication_costs_what_it_has_to(ruled: Ruled) -> None:
    world = ruled.world
    costs = {}
    for auth in ("none", "xcap"):
        world.set(auth=auth)
        with world.counted() as names:
            world.publish(published())
        costs[auth] = list(names)
    *written, marked = costs["none"]
    assert costs["xcap"] == [*written, "policy_watched", marked]
    ruled.put(allow())
    world.watch()
    with world.counted() as names:
        tag = world.publish(published()).tag
    assert names == [*written, "policy_watched", "policy_documents_with_dialog", marked]
    with world.counted() as names:
        world.publish(b"", tag)
    assert "policy_watched" not in names


# The clock


@pytest.mark.rfc("AUTH-026", "AUTH-027")
def test_a_rule_begins_and_ends_with_its_time(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    begin, end = world.now + 100, world.now + 200
    ruled.put(allow(BOBS + validity(time(begin), time(end))), rule(BOBS, "confirm"))
    dialog = world.watch()
    assert world.subscription(dialog).judge_at == begin
    world.now = begin - 0.5
    assert world.tick() == []
    world.now = begin
    assert Wake() in world.tick()
    assert states(world.told()) == ["active"]
    assert world.subscription(dialog).judge_at == end
    world.now = end - 0.5
    world.tick()
    assert world.subscription(dialog).state is State.ACTIVE
    world.now = end
    world.tick()
    assert states(world.told()) == ["pending"]
    assert world.subscription(dialog).judge_at is None
    with world.counted() as names:
        world.tick()
    assert names == ["subscription_deadlines", "publication_deadlines"]


@pytest.mark.rfc("AUTH-026")
def test_one_of_several_periods_is_enough(ruled: Ruled) -> None:
    world = ruled.world
    now = world.now
    ruled.put(allow(BOBS + validity(time(now), time(now + 10), time(now + 20), time(now + 30))), rule(BOBS, "confirm"))
    dialog = world.watch()
    seen = []
    for moment in (0, 10, 19, 20, 29.5, 30):
        world.now = now + moment
        world.tick()
        seen.append(world.subscription(dialog).state is State.ACTIVE)
    assert seen == [True, False, False, True, True, False]


@pytest.mark.rfc("AUTH-027")
def test_time_changes_what_is_shown_too(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    end = world.now + 100
    ruled.put(allow(transformations=ALL), allow(BOBS + validity(time(world.now), time(end)), PERSONS + EVERYTHING))
    (first,) = world.subscribe().sent
    world.answer(first)
    assert "happy" in first.body
    world.now = end
    world.tick()
    assert "happy" not in told(world).body


def test_a_refresh_remembers_the_next_moment(ruled: Ruled) -> None:
    world = ruled.world
    dialog = world.watch()
    assert world.subscription(dialog).judge_at is None
    ruled.put(allow(BOBS + validity(time(world.now + 50), time(world.now + 60))), rule(BOBS, "confirm"))
    assert world.subscription(dialog).judge_at == world.now + 50
    ruled.put(allow(BOBS + validity(time(world.now + 55), time(world.now + 60))), rule(BOBS, "confirm"))
    world.refresh(dialog)
    assert world.subscription(dialog).judge_at == world.now + 55


def test_a_subscription_that_has_ended_is_judged_no_more(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(BOBS + validity(time(world.now), time(world.now + 5))))
    dialog = world.watch()
    world.refresh(dialog, expires="0")
    world.now += 5
    with world.counted() as names:
        world.tick()
    assert "decision_to_judge" not in names


def test_without_rules_no_moment_is_waited_for_any_more(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(identity(one(BOB)) + validity(time(world.now), time(world.now + 5))))
    dialog = world.watch()
    world.settings = replace(world.settings, pa=replace(world.settings.pa, auth="none"))
    world.now += 5
    world.tick()
    assert world.subscription(dialog).judge_at is None
    assert world.subscription(dialog).state is State.ACTIVE


def test_who_sees_everything_of_a_person_sees_the_mood(ruled: Ruled) -> None:
    """What is shown counts with the next document as with the first."""
    world = ruled.world
    ruled.put(allow(transformations=PERSONS + "<provide-mood>true</provide-mood>"))
    world.watch()
    world.publish(published(MOOD + "<dm:note>hidden</dm:note>"))
    sent = told(world)
    assert ("happy" in sent.body, "hidden" in sent.body, "<tuple" in sent.body) == (True, False, False)
