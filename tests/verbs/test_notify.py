"""The notifier on the database: kemi/notify.py, RFC 6665 section 4.2.2. What answers do: test_answers.py."""

import pytest

from kemi import notify, store
from kemi.answer import Answer
from kemi.database import Unavailable
from kemi.event_package import Decision
from kemi.presence.package import PRESENCE
from tests.unit.values import ALICE, BOB, CAROL, fields_of, pidf
from tests.verbs.world import World, state_of


@pytest.fixture
def prompt(world: World) -> World:
    """A world in which NOTIFYs are not held back."""
    world.set(notify_interval=0)
    return world


def spoiled(world: World, *dialogs: str) -> None:
    """Subscriptions that no NOTIFY can be made for, whatever the reason."""
    for each in dialogs:
        world.database.script(f"UPDATE subscription SET route_set = '<sip:x' WHERE id = '{each}'")


# Who cannot be told


def test_one_that_cannot_be_told_keeps_nobody_else_waiting(prompt: World) -> None:
    dialogs = {prompt.watch(f"sip:watcher{number}@example.org") for number in range(7)}
    spoiled(prompt, lost := min(dialogs))
    prompt.publish()
    assert {each.id for each in prompt.notifier()} == dialogs - {lost}


def test_one_that_cannot_be_told_is_tried_again_later(prompt: World) -> None:
    spoiled(prompt, lost := prompt.watch())
    prompt.publish()
    assert prompt.notifier() == []
    assert prompt.subscription(lost).next_at == prompt.now + notify.PUT_OFF
    prompt.database.script("UPDATE subscription SET route_set = ''")
    prompt.now += notify.PUT_OFF
    assert [each.id for each in prompt.notifier()] == [lost]


def test_one_that_cannot_be_told_goes_when_its_time_is_over(prompt: World) -> None:
    spoiled(prompt, lost := prompt.watch())
    prompt.now += 4000
    assert prompt.notifier() == []
    assert not prompt.has_subscription(lost)


def test_who_is_told_is_told_though_another_cannot_even_be_put_off(prompt: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written down already that they are."""
    dialogs = {prompt.watch(f"sip:watcher{number}@example.org") for number in range(7)}
    spoiled(prompt, lost := min(dialogs))
    prompt.publish()

    def unavailable(*_: object) -> None:
        raise Unavailable("locked")

    monkeypatch.setattr(store, "put_off", unavailable)
    assert {each.id for each in prompt.notifier()} == dialogs - {lost}


def test_an_answer_that_cannot_be_taken_in_is_left_out_and_the_others_are_not(prompt: World) -> None:
    dialog = prompt.watch()
    first = prompt.publish()
    (sent,) = prompt.notifier()
    prompt.publish(pidf("t9"), first.tag)
    told = prompt.notifier(Answer(sent.id, 2**80, 200), Answer(sent.id, sent.cseq, 200))
    assert [each.id for each in told] == [dialog]


# What goes out


@pytest.mark.rfc("PA-022")
@pytest.mark.rfc("PA-021")
def test_a_change_is_told_to_every_active_watcher_as_a_whole(prompt: World) -> None:
    tag = prompt.publish(pidf("t1", "t2")).tag
    dialogs = {prompt.watch(), prompt.watch(CAROL)}
    prompt.publish(pidf("t1", "t2", note="away"), tag)
    told = prompt.notifier()
    assert {each.id for each in told} == dialogs
    for each in told:
        assert all(word in each.body for word in ('id="t1"', 'id="t2"', "away"))


@pytest.mark.rfc("PA-022")
def test_watchers_of_others_hear_nothing(prompt: World) -> None:
    prompt.watch(BOB, resource=CAROL)
    prompt.publish(presentity=ALICE)
    assert prompt.notifier() == []


@pytest.mark.rfc("PA-018")
def test_watchers_of_another_package_hear_nothing(prompt: World) -> None:
    prompt.serve(name="other")
    prompt.watch(event="other")
    prompt.publish()
    assert prompt.notifier() == []


@pytest.mark.rfc("PA-004")
def test_expires_is_the_time_left_at_the_moment_of_sending(prompt: World) -> None:
    prompt.watch(expires="600")
    prompt.now += 100
    prompt.publish()
    assert [state_of(each) for each in prompt.notifier()] == ["active;expires=500"]


@pytest.mark.rfc("TRN-006")
def test_cseq_grows_by_one_with_every_notify(prompt: World) -> None:
    done = prompt.subscribe()
    seen = [done.sent[0]]
    for number in range(3):
        assert prompt.answer(seen[-1]) == []
        prompt.publish(pidf(f"t{number}"))
        seen += prompt.notifier()
    assert [each.cseq for each in seen] == [1, 2, 3, 4]
    assert [fields_of(each.headers)["CSeq"] for each in seen] == [[f"{number} NOTIFY"] for number in (1, 2, 3, 4)]


@pytest.mark.rfc("TRN-025")
def test_the_next_notify_waits_for_the_answer_and_carries_the_newest_state(prompt: World) -> None:
    (first,) = prompt.subscribe().sent
    tag = prompt.publish(pidf("t1", note="one")).tag
    tag = prompt.publish(pidf("t1", note="two"), tag).tag
    assert prompt.notifier() == []
    prompt.publish(pidf("t1", note="three"), tag)
    (second,) = prompt.answer(first)
    assert "three" in second.body
    assert prompt.answer(second) == []


def test_what_was_told_is_not_told_again(prompt: World) -> None:
    prompt.watch()
    prompt.publish()
    (told,) = prompt.notifier()
    assert prompt.notifier() == []
    assert prompt.answer(told) == []


# When it goes out


@pytest.mark.rfc("PA-032")
def test_changes_within_the_interval_are_merged_and_told_when_it_ends(world: World) -> None:
    world.set(notify_interval=5)
    tag = world.publish(pidf("t1")).tag
    world.watch()
    for word in ("one", "two", "three"):
        world.now += 1
        tag = world.publish(pidf("t1", note=word), tag).tag
        assert world.notifier() == []
    world.now += 1.9
    assert world.tick() == []
    world.now += 0.1
    assert world.tick() != []
    (told,) = world.notifier()
    assert "three" in told.body
    world.answer(told)
    world.now += 5
    assert world.notifier() == []


@pytest.mark.rfc("PA-032")
def test_a_change_after_the_interval_is_told_at_once(world: World) -> None:
    world.set(notify_interval=5)
    world.watch()
    world.now += 5
    world.publish()
    assert len(world.notifier()) == 1


def test_a_clock_that_was_set_back_keeps_no_change_back(world: World) -> None:
    """The last NOTIFY seems to go out an hour from now."""
    world.set(notify_interval=5)
    world.watch()
    world.now -= 3600
    world.publish()
    assert len(world.notifier()) == 1


@pytest.mark.rfc("PA-032")
def test_a_package_without_interval_is_told_at_once(world: World) -> None:
    world.set(notify_interval=5)
    world.serve(name="presence", minimum_interval=0)
    world.watch()
    world.publish()
    assert len(world.notifier()) == 1


@pytest.mark.rfc("PA-032")
@pytest.mark.parametrize("expires", ["600", "0"])
def test_a_subscribe_is_told_at_once_also_within_the_interval(world: World, expires: str) -> None:
    world.set(notify_interval=5)
    dialog = world.watch()
    world.publish()
    world.refresh(dialog, expires=expires)
    assert len(world.notifier()) == 1


@pytest.mark.rfc("PA-032")
def test_a_held_back_change_does_not_delay_the_end(world: World) -> None:
    """The subscription expires before the interval is over."""
    world.set(notify_interval=300)
    dialog = world.watch(expires="60")
    world.now += 58
    world.publish()
    world.now += 2
    assert [(each.id, state_of(each)) for each in world.notifier()] == [(dialog, "terminated;reason=timeout")]


@pytest.mark.rfc("PA-034")
def test_a_change_that_a_watcher_does_not_see_is_not_told(prompt: World) -> None:
    tag = prompt.publish(pidf("t1")).tag
    dialog = prompt.watch()
    prompt.publish(pidf("t2"), prompt.publish(pidf("t2"), tag).tag)
    (told,) = prompt.notifier()
    prompt.answer(told)
    prompt.publish(pidf("t1"))
    assert len(prompt.notifier()) == 1
    assert prompt.subscription(dialog).due_at is None


@pytest.mark.rfc("PA-034")
def test_there_and_back_again_before_anybody_was_told_is_no_news(prompt: World) -> None:
    tag = prompt.publish(pidf("t1")).tag
    dialog = prompt.watch()
    tag = prompt.publish(pidf("t2"), tag).tag
    prompt.publish(pidf("t1"), tag)
    assert prompt.notifier() == []
    kept = prompt.subscription(dialog)
    assert (kept.due_at, kept.next_at) == (None, kept.expires_at)


@pytest.mark.rfc("PA-012")
@pytest.mark.rfc("PA-035")
def test_a_polite_blocked_watcher_hears_nothing_of_changes(prompt: World) -> None:
    prompt.decide(Decision.POLITE_BLOCK)
    prompt.watch()
    prompt.publish(pidf("t1", note="private"))
    assert prompt.notifier() == []


# Batches


def test_a_batch_that_is_full_says_that_there_may_be_more(prompt: World) -> None:
    from kemi import notify

    prompt.set(notify_batch=2)
    for _ in range(3):
        prompt.watch()
    prompt.publish()
    rounds = [notify.notify(prompt.moment, (), set()) for _ in range(3)]
    assert [(len(effects), more) for effects, more in rounds] == [(2, True), (1, False), (0, False)]


def test_a_fan_out_costs_the_same_statements_however_many_watch(prompt: World) -> None:
    costs = []
    for watchers in (1, 200):
        prompt.empty()
        first = [prompt.subscribe().sent[0] for _ in range(watchers)]
        prompt.notifier(*(Answer(each.id, each.cseq, 200) for each in first))
        prompt.publish()
        with prompt.counted() as names:
            told = prompt.notifier()
        assert len(told) == watchers
        with prompt.counted() as settling:
            prompt.notifier(*(Answer(each.id, each.cseq, 200) for each in told))
        costs.append((names, settling))
    assert costs[0] == costs[1]
    assert costs[0][0] == ["subscription_claim", "publication_load_many", "subscription_sent"]
    assert costs[0][1] == ["subscription_lock", "subscription_answered", "subscription_claim"]


def test_many_presentities_at_once_are_one_load(prompt: World) -> None:
    resources = [f"sip:user{number}@example.org" for number in range(20)]
    for resource in resources:
        prompt.watch(resource=resource)
    for resource in resources:
        prompt.publish(pidf("t1", note=resource), presentity=resource)
    with prompt.counted() as names:
        told = prompt.notifier()
    assert names.count("publication_load_many") == 1
    assert sorted(resource for each in told for resource in resources if f">{resource}<" in each.body) == sorted(resources)


def test_a_body_is_made_once_for_all_who_see_the_same(prompt: World) -> None:
    asked = []

    def render(at, views):  # type: ignore[no-untyped-def]
        asked.append(list(views))
        return PRESENCE.render(at, views)

    for _ in range(5):
        prompt.watch()
    prompt.watch(uri="pres:alice@example.org")
    prompt.serve(render=render)
    prompt.publish()
    assert len(prompt.notifier()) == 6
    assert [sorted(view.entity for view in views) for views in asked] == [["pres:alice@example.org", ALICE]]


# What must not stop the others


def test_a_stored_document_that_cannot_be_read_is_left_out(prompt: World) -> None:
    prompt.serve(check_body=None)
    prompt.watch()
    prompt.publish(b"<presence")
    prompt.publish(pidf("t1", note="good"))
    assert ["good" in each.body for each in prompt.notifier()] == [True]


def test_a_subscription_to_a_package_that_is_served_no_more_does_not_stop_the_others(prompt: World) -> None:
    prompt.serve(name="gone")
    prompt.watch(event="gone")
    dialog = prompt.watch()
    prompt.publish(event="gone")
    prompt.publish()
    del prompt.packages["gone"]
    states = {each.id: state_of(each) for each in prompt.notifier()}
    assert states.pop(dialog).startswith("active")
    assert set(states.values()) <= {"terminated;reason=noresource"}


# After a crash


@pytest.mark.rfc("TRN-010")
def test_a_notify_that_a_crash_left_in_flight_is_sent_again_with_the_next_cseq(prompt: World) -> None:
    prompt.publish()
    dialog = prompt.subscribe().dialog
    prompt.now += 1
    with prompt.database.transaction():
        store.resume(prompt.database, prompt.now)
    (told,) = prompt.notifier()
    assert (told.id, told.cseq) == (dialog, 2)
    assert told.body
    assert prompt.answer(told._replace(cseq=1)) == []
    assert prompt.subscription(dialog).in_flight_since == prompt.now


@pytest.mark.rfc("PA-005")
def test_a_farewell_that_a_crash_left_in_flight_is_said_again(prompt: World) -> None:
    dialog = prompt.subscribe(expires="0").dialog
    with prompt.database.transaction():
        store.resume(prompt.database, prompt.now)
    (told,) = prompt.notifier()
    assert (told.id, state_of(told)) == (dialog, "terminated;reason=timeout")
    prompt.answer(told)
    assert not prompt.has_subscription(dialog)


@pytest.mark.rfc("TRN-013")
def test_a_connection_ends_with_the_server(prompt: World) -> None:
    """Its number is somebody else's after the start; a dialog without one has none then either."""
    stream = prompt.subscribe(transport="tcp", socket="tcp:192.0.2.1:5060", connection=9).dialog
    datagram = prompt.subscribe().dialog
    with prompt.database.transaction():
        store.resume(prompt.database, prompt.now)
    told = {each.id: each.connection for each in prompt.notifier()}
    assert told == {stream: store.GONE, datagram: 0}


def test_a_change_that_a_crash_left_untold_is_told(prompt: World) -> None:
    dialog = prompt.watch()
    prompt.publish()
    with prompt.database.transaction():
        store.resume(prompt.database, prompt.now)
    assert [each.id for each in prompt.notifier()] == [dialog]
