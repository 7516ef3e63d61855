"""What happens because time passes: kemi/presence/expire.py and kemi/sweep.py."""

import pytest

from kemi.effects import Log, Wake
from kemi.errors import ConditionalRequestFailed
from kemi.presence import expire
from kemi.subscription import TIMER_F
from tests.unit.values import ALICE, BOB, CAROL, PUBLISH, pidf
from tests.verbs.world import World, state_of

# Publications


@pytest.mark.rfc("PUB-007")
def test_expiry_removes_just_that_publication_and_is_told(world: World) -> None:
    world.set(notify_interval=0)
    world.publish(pidf("t1", note="short"), expires="60")
    kept = world.publish(pidf("t2", note="long"), expires="600").tag
    world.watch()
    world.now += 60
    assert Wake() in world.expire()
    assert [each.etag for each in world.publications()] == [kept]
    (told,) = world.notifier()
    assert "short" not in told.body
    assert "long" in told.body


def test_a_moment_before_expiry_nothing_happens(world: World) -> None:
    world.publish(expires="60")
    world.now += 59.9
    assert world.expire() == []
    assert len(world.publications()) == 1


def test_a_refreshed_publication_lives_on(world: World) -> None:
    tag = world.publish(expires="60").tag
    world.now += 59
    world.publish(b"", tag, expires="60")
    world.now += 59
    assert world.expire() == []


@pytest.mark.rfc("PUB-007")
def test_what_has_expired_is_not_shown_before_it_is_removed_either(world: World) -> None:
    world.publish(pidf("t1", note="over"), expires="60")
    world.now += 60
    (first,) = world.subscribe().sent
    assert "over" not in first.body


@pytest.mark.rfc("PA-032")
def test_expiry_keeps_the_interval_too(world: World) -> None:
    world.set(notify_interval=5)
    world.publish(expires="60")
    world.now += 58
    world.watch()
    world.now += 2
    world.expire()
    assert world.notifier() == []
    world.now += 3
    assert len(world.notifier()) == 1


def test_expiry_is_logged_for_each_presentity(world: World) -> None:
    for presentity in (ALICE, CAROL, CAROL):
        world.publish(presentity=presentity, expires="60")
    world.now += 60
    lines = [effect.text for effect in world.expire() if isinstance(effect, Log)]
    assert [[presentity in line for line in lines].count(True) for presentity in (ALICE, CAROL)] == [1, 1]


def test_more_than_are_looked_after_in_one_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expire, "LIMIT", 2)
    everybody = [f"sip:user{number}@example.org" for number in range(3)]
    for presentity in everybody:
        world.publish(presentity=presentity, expires="60")
    world.now += 60
    left = []
    for _ in range(3):
        world.expire()
        left.append(sum(len(world.publications(presentity)) for presentity in everybody))
    assert left == [1, 0, 0]


def test_a_publication_of_a_package_that_is_served_no_more_does_not_stop_the_others(world: World) -> None:
    world.serve(name="gone")
    world.publish(event="gone", expires="60")
    world.publish(expires="60")
    del world.packages["gone"]
    world.now += 60
    world.expire()
    assert world.publications() == []


def test_one_statement_finds_out_that_there_is_nothing_to_do(world: World) -> None:
    world.publish()
    world.watch()
    with world.counted() as names:
        assert world.tick() == []
    assert names == ["subscription_deadlines", "publication_deadlines"]


@pytest.mark.rfc("PUB-011")
def test_removals_are_forgotten_when_no_retransmission_can_come_any_more(world: World) -> None:
    tag = world.publish().tag
    removal = PUBLISH._replace(entity_tag=tag, body=b"", expires="0", cseq=77)
    first = world.publish_request(removal)
    world.now += 2 * TIMER_F
    world.expire()
    assert world.publish_request(removal).reply == first.reply
    world.now += 1
    with world.counted() as names:
        world.expire()
    assert "publication_forget_removals" in names
    assert world.tick() == []
    with pytest.raises(ConditionalRequestFailed):
        world.publish_request(removal)


# Subscriptions


@pytest.mark.rfc("PA-025")
def test_a_subscription_that_is_not_refreshed_ends_with_a_notify(world: World) -> None:
    world.publish()
    dialog = world.watch(expires="60")
    world.now += 59.9
    assert world.tick() == []
    assert world.notifier() == []
    world.now += 0.1
    assert world.tick() == [Wake()]
    (last,) = world.notifier()
    assert (last.id, state_of(last)) == (dialog, "terminated;reason=timeout")
    assert last.body
    assert world.has_subscription(dialog)
    world.answer(last)
    assert not world.has_subscription(dialog)


@pytest.mark.rfc("PA-025")
@pytest.mark.rfc("PA-023")
def test_a_pending_subscription_expires_without_document(world: World) -> None:
    world.set(auth="implicit")
    world.publish()
    world.watch(expires="60")
    world.now += 60
    assert [(state_of(each), each.body) for each in world.notifier()] == [("terminated;reason=timeout", "")]


@pytest.mark.rfc("PA-025")
def test_a_refresh_moves_the_expiry(world: World) -> None:
    dialog = world.watch(expires="60")
    world.now += 59
    world.refresh(dialog, expires="60")
    (told,) = world.notifier()
    world.answer(told)
    world.now += 59
    assert world.tick() == []
    world.now += 1
    assert len(world.notifier()) == 1


@pytest.mark.rfc("PA-025")
@pytest.mark.rfc("TRN-025")
def test_a_subscription_that_expires_while_a_notify_is_in_flight_ends_after_the_answer(world: World) -> None:
    world.watch(expires="60")
    world.now += 50
    world.publish()
    (told,) = world.notifier()
    world.now += 15
    assert world.notifier() == []
    assert [state_of(each) for each in world.answer(told)] == ["terminated;reason=timeout"]


def test_the_sweep_takes_one_statement_for_any_number_of_deadlines(world: World) -> None:
    for _ in range(3):
        world.watch(BOB, expires="60")
    world.now += 60
    with world.counted() as names:
        assert Wake() in world.tick()
    assert names[0] == "subscription_deadlines"
    assert len(world.notifier()) == 3
