"""Several identities of one watcher, and presence rules: kemi/presence/policy.py (RFC 3325, RFC 5025 section 3.1.1.2)."""

import pytest

from kemi import administration, reauthorize
from kemi.event_package import Decision
from kemi.presence import explain, policy
from kemi.xcap.fetched_document import Outcome
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import document, external_list, identity, many, one, rule
from tests.verbs.fetched import Cache
from tests.verbs.lists import Lists
from tests.verbs.ruled import BOBS, Ruled, allow, outcome
from tests.verbs.world import World, state_of

TEL, OTHER = "tel:+1-555-1234", "tel:+15559999"
TELS = identity(one("tel:+15551234"))
LONGEST = 7200.0
"""Seconds of the longest subscription: `rls.max_expiration`."""


class Asserted(Ruled):
    """A world whose watchers may have several identities."""

    def identify(self, *identities: str) -> list[str]:
        """A trusted source has said so; the statements that it took."""
        with self.world.counted() as statements:
            policy.identified(self.world.moment, identities or (BOB, TEL))
        return statements

    def decision(self, watcher: str = BOB) -> Decision:
        world = self.world
        return policy.authorize(world.moment, (watcher,), ALICE)[watcher].decision


@pytest.fixture
def asserted(world: World) -> Asserted:
    return Asserted(world)


# Who is meant


@pytest.mark.rfc("AUTH-021", "AUTH-022")
def test_a_rule_may_name_any_identity_of_a_watcher(asserted: Asserted) -> None:
    asserted.put(allow(TELS))
    assert outcome(asserted.world) == "refused"
    asserted.identify()
    assert (outcome(asserted.world), outcome(asserted.world, CAROL)) == ("active", "refused")
    asserted.put(allow(BOBS))
    assert outcome(asserted.world) == "active"


@pytest.mark.rfc("AUTH-021")
@pytest.mark.parametrize("excepted", ["tel:+15551234", BOB])
def test_who_is_excepted_by_one_identity_is_not_meant_by_another(asserted: Asserted, excepted: str) -> None:
    asserted.put(allow(identity(many(None, f'<cp:except id="{excepted}"/>'))), allow(identity(many("example.net"))))
    asserted.identify()
    assert (outcome(asserted.world), outcome(asserted.world, CAROL)) == ("refused", "active")
    asserted.put(allow(identity(many("example.org", f'<cp:except id="{excepted}"/>'))))
    assert outcome(asserted.world) == "refused"


def test_who_has_been_excepted_does_not_come_back_by_another_way(asserted: Asserted) -> None:
    """A SUBSCRIBE with a password has one identity; the others are the watcher's all the same."""
    asserted.put(allow(identity(many(None, f'<cp:except id="{TEL}"/>'))))
    assert outcome(asserted.world) == "active"
    asserted.identify()
    assert outcome(asserted.world) == "refused"
    asserted.identify(BOB)
    assert outcome(asserted.world) == "refused"


def test_other_identity_is_nobody_who_is_named_by_any_identity(asserted: Asserted) -> None:
    asserted.put(rule(TELS, "block"), rule("<ocp:other-identity/>", "allow"))
    assert asserted.decision() is Decision.ALLOW
    asserted.identify()
    assert asserted.decision() is Decision.BLOCK


def test_lists_of_the_presentity_may_have_any_identity(asserted: Asserted) -> None:
    anchor = f"http://xcap.example.org/xcap-root/resource-lists/users/{ALICE}/index"
    asserted.put(allow(external_list(anchor)))
    scope = 'xmlns="urn:ietf:params:xml:ns:resource-lists"'
    asserted.put(body=f'<resource-lists {scope}><list><entry uri="{TEL}"/></list></resource-lists>'.encode(), auid="resource-lists")
    assert asserted.decision() is Decision.BLOCK
    asserted.identify()
    assert asserted.decision() is Decision.ALLOW


def test_management_decides_before_all_identities(asserted: Asserted) -> None:
    world = asserted.world
    asserted.put(allow(TELS))
    asserted.identify()
    administration.decide(world.moment, "presence", ALICE, BOB, Decision.BLOCK)
    assert asserted.decision() is Decision.BLOCK


def test_rules_of_another_server_are_asked_about_all_identities(asserted: Asserted) -> None:
    cache = Cache(asserted.world)
    asserted.decision()
    for each in cache.claim():
        cache.answer(each, Outcome.DOCUMENT, document(allow(TELS)))
    assert asserted.decision() is Decision.BLOCK
    asserted.identify()
    assert asserted.decision() is Decision.ALLOW


# Where, and how long


def test_rules_that_are_asked_again_are_asked_about_all_identities(asserted: Asserted) -> None:
    world = asserted.world
    asserted.put(allow(TELS))
    asserted.identify()
    dialog = world.watch()
    asserted.put(rule(TELS, "polite-block"), rule(BOBS, "confirm"))
    assert world.subscription(dialog).decision is Decision.POLITE_BLOCK
    asserted.put(allow(identity(many(None, f'<cp:except id="{TEL}"/>'))))
    (told,) = world.told()
    assert state_of(told) == "terminated;reason=rejected"


def test_a_watcher_that_waits_is_approved_by_any_identity(asserted: Asserted) -> None:
    world = asserted.world
    asserted.put(rule(None, "confirm"))
    asserted.identify()
    dialog = world.watch()
    world.refresh(dialog, expires="0")
    world.told()
    asserted.put(allow(TELS))
    assert policy.authorize(world.moment, (BOB,), ALICE)[BOB].decision is Decision.ALLOW
    assert world.database.execute("decision_waiting", {"package": "presence", "resource": ALICE, "watcher": ""}).rows() == []


def test_members_of_lists_are_asked_about_all_identities(asserted: Asserted) -> None:
    asserted.put(allow(TELS))
    asserted.put(allow(identity(many(None, f'<cp:except id="{TEL}"/>'))), owner=CAROL)
    asserted.identify()
    lists = Lists(asserted.world)
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    assert subscriber.said() == {ALICE: ("active", None), CAROL: ("terminated", "rejected")}


def test_identities_count_as_long_as_a_subscription_lasts(asserted: Asserted) -> None:
    world = asserted.world
    asserted.put(allow(TELS))
    asserted.identify()
    world.now += LONGEST
    assert asserted.decision() is Decision.ALLOW
    assert len(asserted.identify()) == 1
    world.now += LONGEST - 1
    assert asserted.decision() is Decision.ALLOW
    asserted.identify()
    world.now += LONGEST
    assert asserted.decision() is Decision.ALLOW
    world.now += LONGEST
    assert asserted.decision() is Decision.BLOCK


def test_identities_count_as_long_as_the_longest_subscription_of_any_kind(asserted: Asserted) -> None:
    asserted.world.set(max_subscription_expiration=2 * int(LONGEST))
    asserted.put(allow(TELS))
    asserted.identify()
    asserted.world.now += 4 * LONGEST - 1
    assert asserted.decision() is Decision.ALLOW


def test_what_was_said_last_counts(asserted: Asserted) -> None:
    asserted.put(allow(TELS))
    asserted.identify()
    asserted.identify(BOB, OTHER)
    assert asserted.decision() is Decision.BLOCK
    asserted.put(allow(identity(one(OTHER))))
    assert asserted.decision() is Decision.ALLOW


def test_what_is_over_is_removed_when_somebody_else_comes(asserted: Asserted) -> None:
    asserted.identify(CAROL, OTHER)
    asserted.world.now += 2 * LONGEST
    asserted.identify()
    assert asserted.world.database.execute("decision_identities", {"watcher": CAROL}).rows() == []
    assert len(asserted.world.database.execute("decision_identities", {"watcher": BOB}).rows()) == 1


def test_a_flood_of_identities_is_cut(asserted: Asserted) -> None:
    asserted.identify(BOB, *(f"tel:+{number}" for number in range(1000, 1100)))
    rows = asserted.world.database.execute("decision_identities", {"watcher": BOB}).rows()
    assert len(rows) == policy.MAX_IDENTITIES


# Why, and what it costs


def test_explain_knows_all_identities(asserted: Asserted) -> None:
    world = asserted.world
    asserted.put(allow(TELS))
    asserted.identify()
    found = explain.explain(world.moment, BOB, ALICE)
    assert found.by_rules is not None
    ((condition,),) = [each.conditions for each in found.by_rules.explanation.rules]
    assert (found.authorization.decision, condition.why) == (Decision.ALLOW, "it is tel:+15551234")
    assert policy.matching(world.moment, BOB, ALICE) == "pres-rules/index r"


@pytest.mark.parametrize(("auth", "statement"), [("none", "decision_made"), ("xcap", "decision_made_and_identities")])
def test_who_has_one_identity_pays_no_statement(asserted: Asserted, auth: str, statement: str) -> None:
    world = asserted.world
    world.set(auth=auth)
    assert asserted.identify(BOB) == []
    with world.counted() as statements:
        asserted.decision()
    assert statements == [statement, *(["policy_documents"] if auth == "xcap" else [])]


def test_who_has_several_pays_when_they_are_new(asserted: Asserted) -> None:
    assert [len(asserted.identify()) for _ in range(3)] == [3, 1, 1]
    assert len(asserted.identify(BOB, TEL, OTHER)) == 3
    asserted.world.set(auth="implicit")
    assert asserted.identify(CAROL, TEL) == []


def test_all_watchers_are_asked_about_in_one_statement(asserted: Asserted) -> None:
    world = asserted.world
    asserted.put(allow(TELS), allow(identity(one(CAROL))))
    asserted.identify()
    dialogs = [world.watch(each) for each in (BOB, CAROL)]
    with world.counted() as statements:
        reauthorize.reauthorize(world.moment, "presence", ALICE)
    assert statements.count("decision_made_and_identities") == 1
    assert {world.subscription(each).decision for each in dialogs} == {Decision.ALLOW}
