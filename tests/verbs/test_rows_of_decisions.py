"""Which rows statements about decisions and rules mean, and which beside them they do not: sql/queries/decision.sql, policy.sql."""

from typing import Any

import pytest

from kemi import decision_store, store, watcher_store
from kemi.decision_store import ManagementDecision
from kemi.event_package import Decision
from kemi.presence import rules
from kemi.subscription import Reason, State, Subscription, WatcherEvent
from kemi.watcher import RememberedWatcher, Status
from kemi.xcap import store as documents
from kemi.xcap.path import DocumentSelector, Tree
from tests.unit.values import ALICE, BOB, CAROL, NOW, subscription
from tests.unit.xcap.rules import document
from tests.verbs.ruled import BOBS, Ruled, allow
from tests.verbs.world import World

DAVE, TEL = "sip:dave@example.org", "tel:+15551234"
MADE = ManagementDecision(ALICE, "presence", BOB, Decision.BLOCK, NOW)
BESIDE: dict[str, dict[str, Any]] = {
    "another presentity": {"resource": CAROL},
    "another package": {"package": "dialog"},
    "another watcher": {"watcher": DAVE},
}
"""What stands beside the decision, and differs in one thing."""
REFUSED = subscription(
    id="kp-list-1-1", list_id="kp-list-1", state=State.TERMINATED, reason=Reason.REJECTED, decision=Decision.BLOCK, judge_at=NOW
)
"""A member of a list that the rules of alice refuse."""


def write(world: World, *rows: ManagementDecision | Subscription) -> None:
    with world.database.transaction():
        for each in rows:
            if isinstance(each, ManagementDecision):
                decision_store.save(world.database, each)
            else:
                store.create(world.database, each, 0, 0)


def identify(world: World, watcher: str, *identities: str) -> None:
    decision_store.remember(world.database, watcher, identities, 600, NOW)


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_a_decision_is_about_one_presentity_one_package_and_one_watcher(world: World, beside: dict[str, Any]) -> None:
    write(world, MADE._replace(**beside))
    database = world.database
    assert decision_store.made(database, "presence", ALICE, [BOB]) == {}
    assert decision_store.made_of_many(database, "presence", [ALICE], BOB) == {}
    assert decision_store.said(database, "presence", ALICE, [BOB], NOW) == ({}, {})
    assert decision_store.said_of_many(database, "presence", [ALICE], BOB, NOW) == ({}, {})
    write(world, MADE)
    assert decision_store.made(database, "presence", ALICE, [BOB]) == {BOB: Decision.BLOCK}
    assert decision_store.made_of_many(database, "presence", [ALICE], BOB) == {ALICE: Decision.BLOCK}
    assert decision_store.said(database, "presence", ALICE, [BOB], NOW) == ({BOB: Decision.BLOCK}, {})
    assert decision_store.said_of_many(database, "presence", [ALICE], BOB, NOW) == ({ALICE: Decision.BLOCK}, {})


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_what_is_taken_back_is_that_decision_alone(world: World, beside: dict[str, Any]) -> None:
    other = MADE._replace(**beside)
    write(world, MADE, other)
    with world.database.transaction():
        assert decision_store.remove(world.database, "presence", ALICE, BOB)
    assert [*decision_store.list_all(world.database, ALICE), *decision_store.list_all(world.database, CAROL)] == [other]
    with world.database.transaction():
        assert not decision_store.remove(world.database, "presence", ALICE, BOB)


@pytest.mark.rfc("AUTH-021")
def test_what_else_a_watcher_is_called_is_its_own_for_its_time(world: World) -> None:
    identify(world, BOB, TEL)
    identify(world, DAVE, "tel:+1666")
    for now, names in ((NOW + 1199, (TEL,)), (NOW + 1200, None)):
        one = decision_store.said(world.database, "presence", ALICE, [BOB], now)
        many = decision_store.said_of_many(world.database, "presence", [ALICE], BOB, now)
        assert (one.identities.get(BOB), many.identities.get("")) == (names, names)
        assert DAVE not in one.identities


# Subscriptions whose rules are asked again


def asked_again(world: World) -> tuple[list[str], list[tuple[str, str]]]:
    """Ids of those that are asked about when alice's rules change, and what the clock asks about."""
    with world.database.transaction():
        live = [each.id for each in decision_store.live(world.database, "presence", ALICE, "")]
    return live, decision_store.to_judge(world.database, NOW, 9)


@pytest.mark.parametrize(
    ("changes", "is_asked"),
    [
        ({}, True), ({"reason": Reason.GIVEUP}, True), ({"reason": Reason.TIMEOUT}, False), ({"expires_at": 0}, False),
        ({"list_id": ""}, False), ({"list_id": "", "state": State.ACTIVE, "reason": None, "expires_at": NOW - 1}, True),
        ({"state": State.ACTIVE, "reason": None}, True),
    ],
)  # fmt: skip
def test_who_is_asked_about_lives_or_is_a_refused_member_of_a_list(world: World, changes: dict[str, Any], is_asked: bool) -> None:
    write(world, REFUSED._replace(**changes))
    assert asked_again(world) == ((["kp-list-1-1"], [(ALICE, "presence")]) if is_asked else ([], []))


def test_a_refused_member_that_is_a_list_now_is_not_asked_about(world: World) -> None:
    write(world, REFUSED)
    services = {"xui": CAROL, "name": "index"}
    world.database.execute("xcap_service_create", services, [("sip:other@example.org",)])
    assert asked_again(world) == (["kp-list-1-1"], [(ALICE, "presence")])
    world.database.execute("xcap_service_create", services, [(ALICE,)])
    assert asked_again(world) == ([], [])


@pytest.mark.parametrize("changes", [{"resource": CAROL}, {"package": "dialog"}])
def test_rules_are_about_one_presentity_and_package(world: World, changes: dict[str, Any]) -> None:
    write(world, subscription(id="kp-2", judge_at=NOW + 1, **changes))
    assert asked_again(world) == ([], [])
    assert decision_store.watchers(world.database, "presence", ALICE, 9) == 0


@pytest.mark.rfc("SEC-015")
def test_watchers_are_counted_without_members_of_lists_that_were_refused(world: World) -> None:
    ended = subscription(id="kp-2", state=State.TERMINATED, reason=Reason.TIMEOUT)
    write(world, REFUSED, ended, REFUSED._replace(id="kp-list-1-2", state=State.ACTIVE, reason=None))
    assert [decision_store.watchers(world.database, "presence", ALICE, most) for most in (9, 1)] == [2, 1]


# Documents


def test_rules_are_documents_of_the_user_and_of_no_other_application(world: World) -> None:
    ruled = Ruled(world)
    ruled.put(allow(BOBS), owner=CAROL)
    ruled.put(allow(BOBS), auid="resource-lists")
    for auid in ("pres-rules", "dialog-rules", "im-rules"):
        selector = DocumentSelector(auid, Tree.GLOBAL, ALICE, "index")
        with world.database.transaction():
            documents.create(world.database, documents.Stored(selector, auid, "application/auth-policy+xml", document(), NOW))
    for package in ("presence", "dialog"):
        assert rules.load(world.moment, ALICE, package) == []
        assert rules.load_many(world.moment, [ALICE], package) == {ALICE: []}
    assert rules.message_documents(world.database, ALICE, "") == []
    ruled.put(allow(BOBS))
    for package in ("presence", "dialog"):
        (found,) = rules.load(world.moment, ALICE, package)
        assert rules.load_many(world.moment, [ALICE, DAVE], package) == {ALICE: [found], DAVE: []}


@pytest.mark.parametrize(
    ("row", "matters"),
    [
        (subscription(), True), (subscription(package="dialog"), True), (subscription(resource=CAROL), False), (REFUSED, True),
        (subscription(state=State.TERMINATED, reason=Reason.TIMEOUT), False),
    ],
)  # fmt: skip
def test_rules_matter_where_somebody_watches_or_was_refused_as_a_member(world: World, row: Subscription, matters: bool) -> None:
    write(world, row)
    assert rules.matter(world.database, ALICE) is matters


@pytest.mark.parametrize(
    ("changes", "matters"), [({}, True), ({"resource": CAROL}, False), ({"status": Status.TERMINATED, "stored": True}, False)]
)
def test_rules_matter_where_somebody_waits(world: World, changes: dict[str, Any], matters: bool) -> None:
    entry = RememberedWatcher("a7", ALICE, "presence", BOB, "", Status.WAITING, WatcherEvent.TIMEOUT, NOW, NOW + 600)
    watcher_store.store(world.database, [entry._replace(**changes)])
    assert rules.matter(world.database, ALICE) is matters
