"""Decisions about watchers in the presentity's own rules: kemi/presence/decide.py, and what follows from them."""

from dataclasses import replace
from itertools import count

import pytest

from kemi import consequences, identity
from kemi.effects import Wake
from kemi.event_package import Decision
from kemi.presence import decide
from kemi.presence.decide import Decided
from kemi.subscription import State
from kemi.xcap import store
from kemi.xcap.errors import ConstraintFailure, NoParent, NotFound, PreconditionFailed, SchemaValidationError
from kemi.xcap.serve import Change
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap import rules
from tests.unit.xcap.rules import document, many, rule
from tests.verbs.fetched import Cache
from tests.verbs.ruled import BOBS, Ruled, allow, first, outcome, published, selector_of
from tests.verbs.world import World, state_of

ALLOW, POLITE, CONFIRM, BLOCK = Decision.ALLOW, Decision.POLITE_BLOCK, Decision.CONFIRM, Decision.BLOCK
EVE = "sip:eve@example.net"

_tags = count(1)


def decided(world: World, watcher: str, decision: Decision, presentity: str = ALICE) -> Decided:
    changed = consequences.follow(world.moment)
    realm, tag = identity.realm(world.settings), f"decided-{next(_tags)}"
    return decide.decide(world.moment, realm, presentity, watcher, decision, tag, changed)


def written(world: World, owner: str = ALICE) -> bytes:
    found = store.load(world.database, selector_of(owner=owner))
    assert found is not None
    return found.body


def test_the_first_decision_makes_a_document_that_says_of_others_what_was_said(ruled: Ruled) -> None:
    world = ruled.world
    assert [outcome(world, each) for each in (BOB, CAROL)] == ["pending", "pending"]
    done = decided(world, BOB, ALLOW)
    assert (done.result.status, done.default) == (201, CONFIRM)
    assert [outcome(world, each) for each in (BOB, CAROL, EVE)] == ["active", "pending", "pending"]
    done = decided(world, BOB, BLOCK)
    assert (done.result.status, done.default) == (200, None)
    assert [outcome(world, each) for each in (BOB, CAROL)] == ["refused", "pending"]


@pytest.mark.parametrize(("default", "others"), [("allow", "active"), ("block", "refused")])
def test_whatever_the_default_is(ruled: Ruled, default: str, others: str) -> None:
    ruled.world.set(auth_default=default)
    decided(ruled.world, BOB, BLOCK if default == "allow" else ALLOW)
    assert outcome(ruled.world) == ("refused" if default == "allow" else "active")
    assert outcome(ruled.world, CAROL) == others


def test_where_there_are_rules_nothing_is_added_for_others(ruled: Ruled) -> None:
    ruled.put(allow(rules.identity(many("example.org"))), auid="org.openmobilealliance.pres-rules")
    done = decided(ruled.world, BOB, ALLOW)
    assert (done.result.status, done.default) == (201, None)
    assert [outcome(ruled.world, each) for each in (BOB, CAROL, EVE)] == ["active", "active", "refused"]


def test_rules_of_the_user_stay_octet_for_octet_and_count(ruled: Ruled) -> None:
    before = document(rule(BOBS, "polite-block", name="mine"), "<!-- \u00fc -->").replace(b"<cp:ruleset", b"<cp:ruleset\n ")
    ruled.put(body=before)
    decided(ruled.world, BOB, BLOCK)
    head, _, tail = before.partition(b"<!--")
    assert written(ruled.world).startswith(head)
    assert written(ruled.world).endswith(tail)
    assert state_of(first(ruled.world)).startswith("active")


@pytest.mark.rfc("AUTH-010", "AUTH-011")
def test_who_watches_is_judged_at_once(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    dialog = world.watch()
    assert world.subscription(dialog).state is State.PENDING
    done = decided(world, BOB, ALLOW)
    assert [each for each in done.result.effects if isinstance(each, Wake)]
    (told,) = world.told()
    assert (state_of(told).partition(";")[0], "<basic>open</basic>" in told.body) == ("active", True)
    decided(world, BOB, POLITE)
    (told,) = world.told()
    assert (state_of(told).partition(";")[0], "<basic>closed</basic>" in told.body) == ("active", True)
    decided(world, BOB, BLOCK)
    (told,) = world.told()
    assert state_of(told) == "terminated;reason=rejected"


def test_who_waits_is_told_and_others_are_not(ruled: Ruled) -> None:
    world = ruled.world
    bobs, carols = world.watch(BOB), world.watch(CAROL)
    decided(world, BOB, ALLOW)
    (told,) = world.told()
    assert told.id == bobs
    assert world.subscription(carols).state is State.PENDING


def test_the_same_decision_again_has_no_effect(ruled: Ruled) -> None:
    first_time = decided(ruled.world, BOB, ALLOW).result
    again = decided(ruled.world, BOB, ALLOW).result
    assert (again.status, again.etag, again.effects) == (200, first_time.etag, ())


def test_it_is_put_on_the_condition_that_nobody_has_changed_it_meanwhile(ruled: Ruled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody puts another document between reading and writing: what was put is read anew, and stays."""
    world, plain = ruled.world, decide.own_rules.after
    left = [allow(rules.identity(many("example.org")))]

    def after(*arguments: object) -> bytes:
        made = plain(*arguments)  # type: ignore[arg-type]
        if left:
            ruled.put(left.pop())
        return made

    monkeypatch.setattr(decide.own_rules, "after", after)
    done = decided(world, BOB, ALLOW)
    assert (done.result.status, done.default) == (200, None)
    assert [outcome(world, each) for each in (BOB, CAROL, EVE)] == ["active", "active", "refused"]
    busy = [rule(BOBS, name=f"r{number}") for number in range(decide.ATTEMPTS)]
    monkeypatch.setattr(decide.own_rules, "after", lambda *each: (ruled.put(busy.pop()), plain(*each))[1])
    with pytest.raises(PreconditionFailed):
        decided(world, CAROL, ALLOW)


def test_limits_and_checks_are_those_of_a_client(ruled: Ruled) -> None:
    world = ruled.world
    world.settings = replace(world.settings, xcap=replace(world.settings.xcap, max_documents=1))
    ruled.put(allow(), name="other")
    with pytest.raises(ConstraintFailure):
        decided(world, BOB, ALLOW)
    ruled.remove(name="other")
    ruled.put(body=document(rule(BOBS, "later")))
    with pytest.raises(SchemaValidationError):
        decided(world, BOB, ALLOW)
    ruled.put(rule(None, name="presencectl-allow"))
    with pytest.raises(NoParent):
        decided(world, BOB, ALLOW)


def test_the_presentity_itself_and_documents_of_another_server_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="the presentity itself may always watch"):
        decided(world, ALICE, BLOCK)
    Cache(world)
    with pytest.raises(NotFound, match=r"xcap\.xcap_root"):
        decided(world, BOB, BLOCK)


def test_the_consequences_are_told_with_the_whole_document(ruled: Ruled) -> None:
    world = ruled.world
    changes: list[Change] = []
    realm = identity.realm(world.settings)

    def changed(change: Change) -> list[object]:
        changes.append(change)
        return []

    decide.decide(world.moment, realm, ALICE, BOB, ALLOW, "t", changed)  # type: ignore[arg-type]
    (change,) = changes
    assert (change.selector, change.etag, change.body) == (selector_of(), "t", written(world))


@pytest.mark.parametrize("user", ["sip:a%2Fb@example.org", "sip:a%25b@example.org", "sip:a&b@example.org"])
def test_any_user_has_a_document(ruled: Ruled, user: str) -> None:
    presentity = identity.realm(ruled.world.settings).presentity(user)
    decided(ruled.world, BOB, ALLOW, presentity)
    assert outcome(ruled.world, BOB, presentity) == "active"
    assert b"presencectl-allow" in written(ruled.world, presentity)
