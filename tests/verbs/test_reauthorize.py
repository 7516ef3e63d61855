"""Reauthorize: rules that changed are asked again for live subscriptions and waiting watchers (RFC 5025 section 3.2.1)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from kemi import packages, reauthorize
from kemi.answer import Answer
from kemi.effects import Effect, Log, SendRequest, Wake
from kemi.event_package import Authorization, Decision
from kemi.subscription import Reason, State
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.verbs.world import World, state_of

WINFO = "presence.winfo"


@pytest.fixture
def world(connect: Callable[..., World]) -> Iterator[World]:
    """Nobody is decided about, alice may see who watches her, and NOTIFYs are not held back."""
    made = connect(notify_interval=0).empty()
    made.packages = dict(packages.served(made.settings))
    made.decide(Decision.CONFIRM)
    yield made
    made.empty()


def ask_again(world: World, package: str = "presence") -> list[Effect]:
    return reauthorize.reauthorize(world.moment, package, ALICE)


def ask_about_bob(world: World) -> list[Effect]:
    with world.database.transaction():
        world.database.lock(ALICE)
        return reauthorize.apply(world.moment, "presence", ALICE, BOB)


def run(world: World, *answers: Answer) -> dict[str, SendRequest]:
    """Rounds of the notifier until there is nothing more to tell; the last NOTIFY of each dialog, all answered 200."""
    told: dict[str, SendRequest] = {}
    sent = world.notifier(*answers)
    while sent:
        told |= {each.id: each for each in sent}
        sent = world.notifier(*(Answer(each.id, each.cseq, 200) for each in sent))
    return told


def watch(world: World, watcher: str = BOB, **changes: Any) -> str:
    """A subscription whose first NOTIFY is answered; its dialog. Who watches the watchers is told of it."""
    (first,) = world.subscribe(watcher, **changes).sent
    run(world, Answer(first.id, first.cseq, 200))
    return first.id


def watch_watchers(world: World) -> str:
    """Alice watches her watchers; the dialog."""
    return watch(world, ALICE, event=WINFO)


@pytest.mark.rfc("PA-012")
def test_who_is_allowed_becomes_active_and_gets_the_document_at_once(world: World) -> None:
    world.publish(pidf("t1", note="here"))
    dialog = world.watch()
    assert "here" not in world.subscribe(CAROL).sent[0].body
    world.set(notify_interval=5)
    world.decide(Decision.ALLOW)
    effects = ask_again(world)
    assert Wake() in effects or Wake(blocked=True) in effects
    (notify,) = (each for each in world.notifier() if each.id == dialog)
    assert state_of(notify).startswith("active;expires=")
    assert "here" in notify.body


def test_who_is_refused_gets_the_last_notify_at_once(world: World) -> None:
    world.decide(Decision.ALLOW)
    world.publish()
    dialog = world.watch()
    world.set(notify_interval=5)
    world.decide(Decision.BLOCK)
    ask_again(world)
    (notify,) = world.notifier()
    assert (notify.id, state_of(notify), notify.body) == (dialog, "terminated;reason=rejected", "")
    world.answer(notify)
    assert not world.has_subscription(dialog)


def test_who_was_allowed_and_is_not_decided_about_sees_nothing_more(world: World) -> None:
    world.decide(Decision.ALLOW)
    world.publish()
    world.watch()
    world.decide(Decision.CONFIRM)
    ask_again(world)
    (notify,) = world.notifier()
    assert (state_of(notify).partition(";")[0], notify.body) == ("pending", "")


@pytest.mark.parametrize(("first", "second"), [(Decision.ALLOW, Decision.POLITE_BLOCK), (Decision.POLITE_BLOCK, Decision.ALLOW)])
def test_another_document_waits_for_the_interval_like_any_change(world: World, first: Decision, second: Decision) -> None:
    """So that a polite-blocked watcher sees what it would see if the presentity went away, and when it would see it."""
    world.set(notify_interval=5)
    world.decide(first)
    world.publish()
    dialog = world.watch()
    at = world.now
    world.now += 2
    world.decide(second)
    ask_again(world)
    assert world.notifier() == []
    assert world.subscription(dialog).next_at == at + 5
    world.now = at + 5
    (notify,) = world.notifier()
    assert state_of(notify).startswith("active")


@pytest.mark.rfc("PA-048")
def test_another_document_waits_as_long_as_the_watcher_has_asked_for(world: World) -> None:
    world.decide(Decision.ALLOW)
    world.publish()
    world.watch(event="presence;max-rate=0.1")
    world.now += 1
    world.decide(Decision.POLITE_BLOCK)
    ask_again(world)
    world.now += 8
    assert world.notifier() == []
    world.now += 1
    assert len(world.notifier()) == 1


@pytest.mark.rfc("PA-001")
def test_what_a_refresh_is_to_be_told_does_not_wait_because_the_document_is_another_one(world: World) -> None:
    world.set(notify_interval=5)
    world.decide(Decision.ALLOW)
    world.publish()
    dialog = world.watch()
    world.refresh(dialog)
    world.decide(Decision.POLITE_BLOCK)
    ask_again(world)
    assert len(world.notifier()) == 1


@pytest.mark.rfc("TRN-025")
def test_another_document_waits_for_the_answer_to_the_notify_in_flight(world: World) -> None:
    world.decide(Decision.ALLOW)
    world.publish()
    (first,) = world.subscribe().sent
    world.decide(Decision.POLITE_BLOCK)
    assert Wake(blocked=True) in ask_again(world)
    world.now += 5
    assert world.notifier() == []
    (second,) = world.answer(first)
    assert (second.cseq, state_of(second).partition(";")[0]) == (first.cseq + 1, "active")


def test_another_document_does_not_wait_where_the_clock_was_set_back(world: World) -> None:
    """As any change: the last NOTIFY seems to go out an hour from now."""
    world.set(notify_interval=5)
    world.decide(Decision.ALLOW)
    world.publish()
    world.watch()
    world.now -= 3600
    world.decide(Decision.POLITE_BLOCK)
    ask_again(world)
    assert len(world.notifier()) == 1


def test_polite_block_is_told_as_going_away_is(world: World) -> None:
    world.decide(Decision.ALLOW)
    published = world.publish()
    polite, honest = world.watch(BOB), world.watch(CAROL)
    rules = world.packages["presence"].authorize
    world.decide(Decision.POLITE_BLOCK)
    ask_about_bob(world)
    (blocked,) = world.notifier()
    world.answer(blocked)
    world.packages["presence"] = replace(world.packages["presence"], authorize=rules)
    world.publish(b"", published.tag, expires="0")
    (away,) = (each for each in world.notifier() if each.id == honest)
    assert (blocked.id, blocked.body, state_of(blocked)) == (polite, away.body, state_of(away))


def test_what_stays_as_it_was_is_left_alone(world: World) -> None:
    dialog = world.watch()
    before = world.subscription(dialog)
    assert ask_again(world) == []
    assert world.subscription(dialog) == before
    assert ask_again(world, package="no-such-package") == []


def test_a_notify_in_flight_comes_first(world: World) -> None:
    (first,) = world.subscribe().sent
    deadline = world.subscription(first.id).next_at
    world.decide(Decision.ALLOW)
    assert Wake(blocked=True) in ask_again(world)
    assert world.notifier() == []
    assert world.subscription(first.id).next_at == deadline
    (second,) = world.answer(first)
    assert (second.cseq, state_of(second).partition(";")[0]) == (first.cseq + 1, "active")


def test_every_dialog_of_the_watcher_is_decided_and_nobody_elses(world: World) -> None:
    dialogs = [world.watch(BOB), world.watch(BOB), world.watch(CAROL)]
    world.decide(Decision.ALLOW)
    effects = ask_about_bob(world)
    assert [world.subscription(each).state for each in dialogs] == [State.ACTIVE, State.ACTIVE, State.PENDING]
    assert len([each for each in effects if isinstance(each, Log)]) == 2


def test_subscriptions_that_have_ended_stay_ended(world: World) -> None:
    dialog = world.watch()
    world.refresh(dialog, expires="0")
    world.decide(Decision.ALLOW)
    ask_again(world)
    found = world.subscription(dialog)
    assert (found.state, found.reason) == (State.TERMINATED, Reason.TIMEOUT)


# Watcher information


@pytest.mark.rfc("WINFO-005")
def test_watcher_information_tells_of_approval(world: World) -> None:
    dialog = watch_watchers(world)
    watch(world)
    world.decide(Decision.ALLOW)
    ask_again(world)
    document = run(world)[dialog].body
    assert 'status="active" event="approved"' in document
    assert 'state="partial"' in document


def test_watcher_information_tells_of_rejection_once(world: World) -> None:
    dialog = watch_watchers(world)
    watch(world)
    world.decide(Decision.BLOCK)
    ask_again(world)
    assert 'status="terminated" event="rejected"' in run(world)[dialog].body
    ask_again(world)
    assert run(world) == {}


def test_a_change_that_watchers_do_not_see_is_not_told_to_who_watches_them(world: World) -> None:
    world.decide(Decision.ALLOW)
    world.watch()
    dialog = watch_watchers(world)
    world.decide(Decision.POLITE_BLOCK)
    ask_again(world)
    assert dialog not in run(world)


@pytest.mark.parametrize(
    ("decision", "told"), [(Decision.ALLOW, "approved"), (Decision.POLITE_BLOCK, "approved"), (Decision.BLOCK, "rejected")]
)
def test_who_waits_does_not_wait_any_more(world: World, decision: Decision, told: str) -> None:
    world.subscribe(expires="0")
    dialog = watch_watchers(world)
    world.decide(decision)
    assert Wake() in ask_again(world)
    assert f'status="terminated" event="{told}"' in run(world)[dialog].body
    assert ask_again(world) == []


def test_who_waits_and_is_not_decided_about_waits(world: World) -> None:
    world.subscribe(expires="0")
    assert ask_again(world) == []
    assert 'status="waiting"' in world.subscribe(ALICE, event=WINFO, from_uri=ALICE).sent[0].body


def test_who_is_asked_about_is_the_only_one_whose_waiting_ends(world: World) -> None:
    for each in (BOB, CAROL):
        world.subscribe(each, expires="0")
    world.decide(Decision.ALLOW)
    assert [each.text for each in ask_about_bob(world) if isinstance(each, Log)] == [
        f"watcher approved: resource={ALICE} watcher={BOB} event=presence"
    ]


def test_that_the_rules_are_to_be_asked_at_another_time_is_noted_and_told_nobody(world: World) -> None:
    dialog = watch(world)
    world.serve(
        authorize=lambda _at, watchers, _resource: dict.fromkeys(watchers, Authorization(Decision.CONFIRM, "", world.now + 60))
    )
    assert ask_again(world) == []
    assert world.subscription(dialog).judge_at == world.now + 60


def test_a_package_that_is_not_served_has_no_rules(world: World) -> None:
    assert ask_again(world, "other") == []


def test_a_publish_comes_wholly_before_or_after(world: World) -> None:
    watch(world)
    with world.counted() as names:
        ask_again(world)
    assert names[0] == "lock"


def test_the_statements_do_not_grow_with_the_watchers(world: World) -> None:
    counts = []
    for watchers in (2, 12):
        world.empty()
        world.decide(Decision.CONFIRM)
        watch_watchers(world)
        for number in range(watchers):
            watch(world, f"sip:watcher{number}@example.org")
        world.decide(Decision.ALLOW)
        with world.counted() as names:
            ask_again(world)
        counts.append(list(names))
    assert counts[0] == counts[1]
    assert counts[0].count("decision_applied") == 1
