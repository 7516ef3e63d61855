"""Administration: decisions about watchers by management, and what presencectl shows."""

from collections.abc import Callable, Iterator

import pytest

from kemi import administration, decision_store, packages
from kemi.effects import Effect, Wake
from kemi.errors import SipError
from kemi.event_package import Decision
from kemi.presence import manage
from kemi.subscription import State, WatcherEvent
from kemi.watcher import Status
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.verbs.world import World, state_of


@pytest.fixture
def world(connect: Callable[..., World]) -> Iterator[World]:
    """All packages are served; nothing is decided before and after."""
    made = connect(notify_interval=0).empty()
    made.packages = dict(packages.served(made.settings))
    made.database.script("DELETE FROM decision")
    yield made
    made.database.script("DELETE FROM decision")


def decide(world: World, decision: Decision | None, watcher: str = BOB, package: str = "presence") -> list[Effect]:
    return administration.decide(world.moment, package, ALICE, watcher, decision)


def decided(world: World) -> list[tuple[str, Decision]]:
    return [(each.watcher, each.decision) for each in decision_store.list_all(world.database, ALICE)]


# Decisions


def test_who_is_blocked_gets_403_though_everybody_may_watch(world: World) -> None:
    assert world.settings.pa.auth == "none"
    decide(world, Decision.BLOCK)
    with pytest.raises(SipError) as refusal:
        world.subscribe(BOB)
    assert refusal.value.status == 403
    assert world.subscribe(CAROL).sent[0].body


def test_who_is_allowed_is_active_though_the_presentity_was_not_asked(world: World) -> None:
    world.set(auth="implicit")
    world.publish(pidf("t1", note="here"))
    decide(world, Decision.ALLOW)
    assert "here" in world.subscribe(BOB).sent[0].body
    assert state_of(world.subscribe(CAROL).sent[0]).startswith("pending")


def test_who_is_polite_blocked_sees_somebody_who_is_away(world: World) -> None:
    offline = world.subscribe(CAROL).sent[0].body
    world.publish()
    decide(world, Decision.POLITE_BLOCK)
    (first,) = world.subscribe(BOB).sent
    assert (first.body, state_of(first).partition(";")[0]) == (offline, "active")


def test_confirm_means_pending(world: World) -> None:
    decide(world, Decision.CONFIRM)
    (first,) = world.subscribe(BOB).sent
    assert (first.body, state_of(first).partition(";")[0]) == ("", "pending")


def test_a_decision_is_applied_to_subscriptions_that_are_there(world: World) -> None:
    dialog = world.watch(BOB)
    effects = decide(world, Decision.BLOCK)
    assert Wake() in effects
    (notify,) = world.notifier()
    assert (notify.id, state_of(notify)) == (dialog, "terminated;reason=rejected")


def test_a_decision_counts_until_it_is_taken_away(world: World) -> None:
    world.set(auth="implicit")
    dialog = world.watch(BOB)
    decide(world, Decision.ALLOW)
    world.answer(*world.notifier())
    world.refresh(dialog)
    assert world.subscription(dialog).state is State.ACTIVE
    decide(world, None)
    assert world.subscription(dialog).state is State.PENDING
    assert decided(world) == []


def test_a_decision_that_is_not_there_cannot_be_taken_away(world: World) -> None:
    """Somebody has mistyped a name, or decided about another package."""
    decide(world, Decision.ALLOW)
    decide(world, None)
    with pytest.raises(ValueError, match=f"^nothing is decided about {BOB} for {ALICE}, presence; "):
        decide(world, None)
    administration.decide_messages(world.database, ALICE, BOB, Decision.BLOCK, world.now)
    with pytest.raises(ValueError, match="nothing is decided"):
        decide(world, None)
    administration.decide_messages(world.database, ALICE, BOB, None, world.now)
    with pytest.raises(ValueError, match=f"^nothing is decided about {BOB} for {ALICE}, MESSAGE; "):
        administration.decide_messages(world.database, ALICE, BOB, None, world.now)


def test_the_newest_decision_counts(world: World) -> None:
    for decision in (Decision.ALLOW, Decision.BLOCK, Decision.CONFIRM):
        decide(world, decision)
    decide(world, Decision.ALLOW, CAROL)
    assert decided(world) == [(BOB, Decision.CONFIRM), (CAROL, Decision.ALLOW)]


def test_packages_that_ask_the_same_rules_follow(world: World) -> None:
    """Who may not see whether somebody is there may not see with whom it speaks either."""
    dialog = world.watch(BOB, event="dialog", accept="application/dialog-info+xml")
    decide(world, Decision.BLOCK)
    assert world.subscription(dialog).state is State.TERMINATED


@pytest.mark.parametrize(
    ("watcher", "package", "complaint"),
    [
        (ALICE, "presence", "the presentity itself may always watch"),
        (BOB, "no-such-package", "^the package no-such-package is not served; [a-z, -]+ are, and .winfo of each$"),
        (BOB, "message-summary", "message-summary takes no decisions of its own by management"),
        (BOB, "presence.winfo", "presence.winfo takes no decisions of its own by management"),
        (BOB, "dialog", "dialog takes no decisions of its own by management"),
    ],
)
def test_a_decision_that_would_not_count_is_refused(world: World, watcher: str, package: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decide(world, Decision.ALLOW, watcher, package)
    assert decided(world) == []


def test_the_presentity_itself_costs_no_look_for_decisions(world: World) -> None:
    with world.counted() as names:
        world.subscribe(ALICE)
    assert "decision_made" not in names
    with world.counted() as names:
        world.subscribe(BOB)
    assert names.count("decision_made") == 1


# What there is to see


def test_presentities_are_who_publishes_or_is_watched(world: World) -> None:
    dave = "sip:dave@example.org"
    world.publish()
    world.publish(pidf("t2"))
    manage.publish(world.moment, ALICE, pidf("t3"), "application/pidf+xml", 60)
    world.watch(BOB, resource=CAROL)
    world.watch(BOB, resource=CAROL)
    world.watch(dave, resource=CAROL)
    found = administration.presentities(world.database, "presence", world.now)
    assert [(each.uri, each.publications, each.watchers) for each in found] == [
        (ALICE, {"management": 1, "publish": 2}, 0),
        (CAROL, {}, 2),
    ]
    assert [each.uri for each in administration.presentities(world.database, "presence", world.now, 1)] == [ALICE]
    world.now += 60
    (alice, _) = administration.presentities(world.database, "presence", world.now)
    assert alice.publications == {"publish": 2}


def test_a_presentity_of_whom_nothing_is_known_can_be_described(world: World) -> None:
    (found,) = administration.described(world.database, "presence", [CAROL], world.now)
    assert (found.uri, found.publications, found.watchers) == (CAROL, {}, 0)
    assert administration.described(world.database, "presence", [], world.now) == []


def test_subscriptions_are_found_by_either_side_and_package(world: World) -> None:
    first, second = world.watch(BOB), world.watch(CAROL)
    third = world.watch(BOB, resource=CAROL)
    fourth = world.watch(BOB, event="dialog", accept="application/dialog-info+xml")

    def found(**filters: str) -> set[str]:
        return {each.id for each in administration.subscriptions(world.database, **filters)}

    assert found() == {first, second, third, fourth}
    assert found(resource=ALICE) == {first, second, fourth}
    assert found(watcher=BOB) == {first, third, fourth}
    assert found(watcher=BOB, package="presence") == {first, third}
    assert found(resource=CAROL, watcher=CAROL) == set()
    assert len(administration.subscriptions(world.database, limit=2)) == 2
    assert world.subscription(first) in administration.subscriptions(world.database)


def test_watchers_that_wait_are_remembered(world: World) -> None:
    world.set(auth="implicit")
    world.subscribe(BOB, expires="0", display_name='"Bob"')
    (found,) = administration.recorded(world.database, ALICE, "presence")
    assert (found.uri, found.status, found.event, found.display_name) == (BOB, Status.WAITING, WatcherEvent.TIMEOUT, "Bob")
    assert not found.stored
    assert administration.recorded(world.database, ALICE) == [found]
    assert administration.recorded(world.database, ALICE, "dialog") == []
