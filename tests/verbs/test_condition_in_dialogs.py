"""Suppress-If-Match beside a NOTIFY in flight, an end or rules that refuse (RFC 5839 sections 5.7, 6.3); kemi/refresh.py."""

from collections.abc import Callable

import pytest

from kemi.effects import Log, Wake
from kemi.event_package import Decision
from kemi.subscription import GRACE, TIMER_F
from tests.unit.values import ALICE, BOB, pidf
from tests.verbs.watched import WINFO, Watched
from tests.verbs.world import Refused, World, state_of, tag_of


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    """NOTIFYs are not held back; alice has published."""
    world = connect(notify_interval=0).empty()
    world.publish(pidf("t1", note="A"), expires="3600")
    return world


@pytest.mark.rfc("PA-009", "PA-042")
def test_who_knows_what_is_on_its_way_and_does_not_answer_it_is_gone(world: World) -> None:
    (first,) = world.subscribe().sent
    assert world.refresh(first.id, suppress=tag_of(first)).reply.status == 204
    world.now += TIMER_F + GRACE
    assert world.notifier() == []
    assert not world.has_subscription(first.id)


@pytest.mark.rfc("PA-042", "TRN-025")
def test_what_is_on_its_way_is_known_however_often_it_is_said(world: World) -> None:
    (first,) = world.subscribe().sent
    assert [world.refresh(first.id, suppress=tag_of(first)).reply.status for _ in range(3)] == [204] * 3


@pytest.mark.rfc("PA-042")
def test_a_204_leaves_nothing_to_look_for(world: World) -> None:
    (first,) = world.subscribe().sent
    world.answer(first)
    world.refresh(first.id, suppress=tag_of(first))
    assert world.tick() == []


@pytest.mark.rfc("PA-026", "PA-045")
def test_who_leaves_and_is_refused_is_told_so_though_its_condition_holds(world: World) -> None:
    dialog = world.watch()
    world.decide(Decision.BLOCK)
    with pytest.raises(Refused) as caught:
        world.refresh(dialog, expires="0", suppress="*")
    assert caught.value.status == 403
    (last,) = world.told()
    assert state_of(last) == "terminated;reason=rejected"


@pytest.mark.rfc("PA-046")
def test_who_leaves_without_a_notify_leaves_nothing_to_look_for(world: World) -> None:
    done = world.refresh(world.watch(), expires="0", suppress="*")
    assert not any(isinstance(each, Wake) for each in done.effects)


@pytest.mark.rfc("PA-046", "WINFO-015")
def test_who_leaves_without_a_notify_wakes_the_notifier_for_who_watches_the_watchers(world: World) -> None:
    watched = Watched(world)
    dialog = watched.come()
    watched.winfo()
    done = world.refresh(dialog, expires="0", suppress="*")
    assert Wake() in done.effects
    assert any(each.text.startswith(f"subscription removed: id={dialog} ") for each in done.effects if isinstance(each, Log))


@pytest.mark.rfc("PA-042", "WINFO-009")
def test_after_a_numbered_document_that_was_lost_all_is_told_whatever_the_watcher_knows(world: World) -> None:
    """The next partial one would be made for who has the one that was lost."""
    watched = Watched(world)
    alice = watched.winfo()
    world.subscribe(BOB)
    (lost,) = world.notifier()
    assert (lost.id, world.answer(lost, 500)) == (alice, [])
    assert world.refresh(alice, suppress=tag_of(lost)).reply.status == 200
    (told,) = world.notifier()
    assert 'state="full"' in told.body


@pytest.mark.rfc("PA-042")
def test_after_another_document_that_was_lost_who_knows_it_is_told_nothing(world: World) -> None:
    (lost,) = world.subscribe().sent
    world.answer(lost, 500)
    assert world.refresh(lost.id, suppress=tag_of(lost)).reply.status == 204


@pytest.mark.rfc("PA-042")
def test_who_knows_a_numbered_document_is_told_nothing(world: World) -> None:
    (first,) = world.subscribe(ALICE, event=WINFO).sent
    world.answer(first)
    assert world.refresh(first.id, suppress=tag_of(first)).reply.status == 204
