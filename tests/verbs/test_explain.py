"""Why a watcher sees what it sees: kemi/presence/explain.py, on rules in a real database."""

import random

import pytest

from kemi import decision_store
from kemi.decision_store import ManagementDecision
from kemi.event_package import Decision
from kemi.presence import explain, policy
from kemi.presence.explain import MANAGEMENT, OWN, Explained, Trial
from kemi.presence.removed import ALL, Removed
from kemi.xcap.errors import ConstraintFailure, SchemaValidationError, XcapError
from kemi.xcap.fetched_document import Outcome
from tests.unit.values import ALICE, BOB, CAROL, NOW
from tests.unit.xcap.rules import document, external_list, identity, many, rule, validity
from tests.verbs import ruled as values
from tests.verbs.fetched import FRESHNESS, Cache
from tests.verbs.ruled import BOBS, CAROLS, EVERYTHING, Ruled, allow, published, sphere, time
from tests.verbs.world import World

STATEMENTS = ("decision_made", "decision_made_and_identities", "policy_documents", "publication_load_many")
SERVICES = "<provide-services><all-services/></provide-services>"


def explained(world: World, watcher: str = BOB, trial: bytes | None = None) -> Explained:
    tried = None if trial is None else Trial("new.xml", trial)
    return explain.explain(world.moment, watcher, ALICE, tried)


def matching(found: Explained) -> list[str]:
    assert found.by_rules is not None
    return [f"{each.document} {each.rule}" for each in found.by_rules.explanation.matching]


def why(found: Explained) -> list[str]:
    assert found.by_rules is not None
    return [condition.why for each in found.by_rules.explanation.rules for condition in each.conditions]


# What counts


@pytest.mark.parametrize(("auth", "decision"), [("none", Decision.ALLOW), ("implicit", Decision.CONFIRM)])
def test_where_no_rules_are_asked_that_is_said(ruled: Ruled, auth: str, decision: Decision) -> None:
    ruled.put(rule(BOBS, "block"))
    ruled.world.set(auth=auth)
    found = explained(ruled.world)
    assert (found.authorization.decision, found.because, found.by_rules) == (decision, f"pa.auth = {auth}", None)


def test_the_presentity_itself_and_management_come_before_the_rules(ruled: Ruled) -> None:
    ruled.put(rule(BOBS, "block"))
    world = ruled.world
    found = explained(world, ALICE)
    assert (found.because, found.authorization.decision, found.is_by_rules) == (OWN, Decision.ALLOW, False)
    decision_store.save(world.database, ManagementDecision(ALICE, "presence", BOB, Decision.POLITE_BLOCK, NOW))
    found = explained(world)
    assert (found.because, found.authorization.decision, found.is_by_rules) == (MANAGEMENT, Decision.POLITE_BLOCK, False)
    assert matching(found) == ["pres-rules/index r"]


@pytest.mark.parametrize("default", ["allow", "confirm", "polite-block", "block"])
def test_without_documents_the_default_counts(ruled: Ruled, default: str) -> None:
    ruled.world.set(auth_default=default)
    found = explained(ruled.world)
    assert found.by_rules is not None
    assert (found.authorization.decision.value, found.by_rules.explanation.is_policy) == (default, False)


@pytest.mark.rfc("AUTH-001")
def test_all_documents_and_all_their_rules_are_told(ruled: Ruled) -> None:
    ruled.put(rule(BOBS, "confirm", name="a"), rule(CAROLS, name="b"))
    ruled.put(allow(identity(many())), name="more")
    ruled.put(rule("<ocp:other-identity/>", "block", name="c"), auid="org.openmobilealliance.pres-rules")
    found = explained(ruled.world)
    assert found.authorization.decision is Decision.ALLOW
    assert matching(found) == ["pres-rules/index a", "pres-rules/more r"]
    assert why(found)[0] == "another rule names it, or may name it"
    assert found.by_rules is not None
    assert [(each.document, each.matches) for each in found.by_rules.explanation.rules] == [
        ("org.openmobilealliance.pres-rules/index", False), ("pres-rules/index", True), ("pres-rules/index", False),
        ("pres-rules/more", True),
    ]  # fmt: skip


@pytest.mark.rfc("AUTH-024")
def test_the_sphere_of_now_and_when_it_ends(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(rule('<cp:sphere value="work"/>', "allow"))
    assert why(explained(world)) == ["it is not defined"]
    world.publish(published())
    world.publish(sphere("work"), expires="60")
    found = explained(world)
    assert found.by_rules is not None
    assert (why(found), found.by_rules.asking.sphere, found.by_rules.sphere_until) == (["it is work"], "work", world.now + 60)
    ruled.put(allow())
    found = explained(world)
    assert found.by_rules is not None
    assert (found.by_rules.asking.sphere, found.by_rules.sphere_until) == (None, None)


@pytest.mark.rfc("AUTH-027")
def test_the_next_moment_is_the_one_at_which_the_sweep_judges(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(BOBS + validity(time(NOW - 60), time(NOW + 60))), rule(BOBS, "polite-block"))
    dialog = world.watch()
    found = explained(world)
    assert found.by_rules is not None
    then = found.by_rules.explanation.then
    assert then is not None
    assert (then.at, then.decision) == (world.subscription(dialog).judge_at, Decision.POLITE_BLOCK)
    world.now = then.at
    world.tick()
    assert world.subscription(dialog).decision is then.decision is explained(world).authorization.decision


def test_lists_are_looked_into(ruled: Ruled) -> None:
    anchor = f"http://xcap.example.org/xcap-root/resource-lists/users/{ALICE}/index"
    ruled.put(allow(external_list(anchor)))
    scope = 'xmlns="urn:ietf:params:xml:ns:resource-lists"'
    ruled.put(body=f'<resource-lists {scope}><list><entry uri="{BOB}"/></list></resource-lists>'.encode(), auid="resource-lists")
    assert (why(explained(ruled.world)), why(explained(ruled.world, CAROL))) == ([f"it is in {anchor}"], ["it is in none of them"])
    ruled.put(allow(external_list(anchor.replace("alice", "dave"))))
    found = explained(ruled.world)
    assert (found.authorization.decision, found.by_rules and found.by_rules.asking.is_complete) == (Decision.CONFIRM, False)


def test_documents_that_cannot_be_read_say_so(ruled: Ruled) -> None:
    ruled.put(body=b"<ruleset>")
    found = explained(ruled.world)
    assert found.by_rules is not None
    (only,) = found.by_rules.asking.documents
    assert (only.ruleset.document, only.note.startswith("it cannot be read: line 1")) == ("pres-rules/index", True)
    assert (found.authorization.decision, matching(found)) == (Decision.CONFIRM, [])


def test_documents_of_another_server(world: World) -> None:
    cache = Cache(world)
    world.set(auth="xcap")
    found = explained(world)
    assert found.by_rules is not None
    assert [each.note for each in found.by_rules.asking.documents] == ["it is not known what the other server has"] * 3
    for each in cache.claim():
        is_ietf = each.auid == "pres-rules"
        cache.answer(each, Outcome.DOCUMENT if is_ietf else Outcome.MISSING, document(allow()) if is_ietf else b"")
    found = explained(world)
    assert (matching(found), found.authorization.decision) == (["pres-rules/index r"], Decision.ALLOW)
    world.now += FRESHNESS + 1
    found = explained(world)
    assert found.by_rules is not None
    assert [each.note for each in found.by_rules.asking.documents] == ["old, to be fetched again"]


# What is seen


@pytest.mark.rfc("AUTH-013")
def test_what_the_transformations_removed(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published(more="<x:top/>"))
    ruled.put(allow(BOBS, SERVICES + values.PERSONS))
    assert explained(world).seen.removed == [
        Removed("person p1", "r:mood(happy)", "provide-mood"),
        Removed("presence", "x:top", "no permission is about it"),
    ]
    ruled.put(allow(BOBS, SERVICES))
    assert explained(world).seen.removed[0] == Removed("person p1", ALL, "provide-persons")
    ruled.put(allow(BOBS, EVERYTHING))
    found = explained(world)
    assert [each.element for each in found.seen.removed] == ["x:top"]
    assert found.seen.shown is not None
    assert found.seen.shown.content == values.first(world).body


@pytest.mark.parametrize(("handling", "is_shown"), [("polite-block", True), ("confirm", False), ("block", False)])
def test_who_is_not_allowed_has_nothing_removed(ruled: Ruled, handling: str, is_shown: bool) -> None:
    ruled.world.publish(published())
    ruled.put(rule(BOBS, handling))
    found = explained(ruled.world)
    assert (found.seen.removed, found.seen.shown is not None) == ([], is_shown)
    assert "<basic>open</basic>" in found.seen.composed.content


# Rules that are tried


def test_a_trial_changes_nothing(ruled: Ruled) -> None:
    ruled.put(rule(BOBS, "block"))
    world = ruled.world
    with world.counted() as statements:
        found = explained(world, trial=document(allow()))
    assert (found.authorization.decision, found.now.decision) == (Decision.ALLOW, Decision.BLOCK)
    assert matching(found) == ["new.xml r"]
    assert not [name for name in statements if name not in STATEMENTS]
    assert explained(world).authorization.decision is Decision.BLOCK


def test_a_trial_takes_the_place_of_the_document_called_index(ruled: Ruled) -> None:
    ruled.put(allow())
    ruled.put(rule(BOBS, "polite-block"), name="more")
    ruled.put(rule(CAROLS, "confirm"), auid="org.openmobilealliance.pres-rules")
    found = explained(ruled.world, trial=document())
    assert (found.authorization.decision, matching(found)) == (Decision.POLITE_BLOCK, ["pres-rules/more r"])
    assert explained(ruled.world, CAROL, trial=document()).authorization.decision is Decision.CONFIRM


@pytest.mark.parametrize("auth", ["none", "implicit"])
def test_rules_may_be_tried_before_they_are_asked(ruled: Ruled, auth: str) -> None:
    ruled.world.set(auth=auth)
    found = explained(ruled.world, trial=document(rule(BOBS, "polite-block")))
    assert found.authorization.decision is Decision.POLITE_BLOCK
    assert found.now.decision is (Decision.ALLOW if auth == "none" else Decision.CONFIRM)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (document(rule(BOBS, "later")), SchemaValidationError), (b"<ruleset/>", SchemaValidationError),
        (b"<!DOCTYPE a><a/>", ConstraintFailure),
    ],
)  # fmt: skip
def test_what_could_not_be_put_cannot_be_tried(ruled: Ruled, body: bytes, error: type[XcapError]) -> None:
    with pytest.raises(error):
        explained(ruled.world, trial=body)


def test_rules_of_another_server_are_tried_as_it_may_have_them(world: World) -> None:
    Cache(world)
    world.set(auth="xcap", draft_rules=1)
    body = b'<ruleset><rule id="a"><conditions><identity><id>sip:bob@example.org</id></identity></conditions><actions>'
    body += b"<sub-handling>allow</sub-handling></actions></rule></ruleset>"
    assert explained(world, trial=body).authorization.decision is Decision.ALLOW
    with pytest.raises(SchemaValidationError):
        explained(world, trial=b"<rules/>")


# Always


@pytest.mark.parametrize("seed", range(6))
def test_what_is_explained_is_what_counts(ruled: Ruled, seed: int) -> None:
    chance, world = random.Random(seed), ruled.world
    conditions = [BOBS, CAROLS, identity(many("example.org")), '<cp:sphere value="work"/>', "<ocp:other-identity/>",
                  validity(time(NOW - 9), time(NOW + 9)), "<x:weather/>", None]  # fmt: skip
    for _ in range(8):
        name = chance.choice(["index", "more"])
        picked = [chance.choice(conditions) for _ in range(3)]
        ruled.put(*(rule(each, chance.choice([*(d.value for d in Decision)])) for each in picked), name=name)
        world.publish(sphere(chance.choice(["work", "home"])))
        world.now += chance.choice([0, 5, 20])
        for watcher in (ALICE, BOB, CAROL):
            counts = policy.authorize(world.moment, (watcher,), ALICE)[watcher]
            found = explained(world, watcher)
            assert found.authorization == found.now == counts
