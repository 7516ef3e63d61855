"""Presence rules decide who may watch, and what of a presentity (pa.auth = xcap; RFC 5025, RFC 4745)."""

from dataclasses import replace

import pytest

from kemi import administration
from kemi.event_package import Decision
from kemi.parameters import XcapSettings
from kemi.subscription import State
from tests.unit.values import ALICE, BOB, CAROL, fields_of
from tests.unit.xcap.rules import document, identity, many, rule
from tests.verbs.ruled import ALL, BOBS, CAROLS, EVERYTHING, MOOD, PERSONS, Ruled, allow, first, outcome, published
from tests.verbs.world import state_of

# The decision


@pytest.mark.rfc("AUTH-005")
def test_without_a_matching_rule_the_watcher_is_refused(ruled: Ruled) -> None:
    ruled.put(rule(CAROLS), rule("<x:weather/>"))
    assert outcome(ruled.world) == "refused"
    assert outcome(ruled.world, CAROL) == "active"
    assert outcome(ruled.world, ALICE) == "active"


@pytest.mark.rfc("AUTH-005")
def test_a_document_without_rules_is_policy_too(ruled: Ruled) -> None:
    ruled.put()
    assert outcome(ruled.world) == "refused"


@pytest.mark.rfc("AUTH-005")
@pytest.mark.parametrize(
    ("default", "expected"), [("block", "refused"), ("confirm", "pending"), ("polite-block", "active"), ("allow", "active")]
)
def test_without_any_document_the_operator_decides(ruled: Ruled, default: str, expected: str) -> None:
    ruled.world.set(auth_default=default)
    ruled.world.publish(published())
    assert outcome(ruled.world) == expected
    if expected == "active":
        assert ("happy" in first(ruled.world).body) is (default == "allow")


def test_without_any_document_and_parameter_the_watcher_is_pending(ruled: Ruled) -> None:
    assert outcome(ruled.world) == "pending"


@pytest.mark.parametrize(
    ("handling", "expected"), [("block", "refused"), ("confirm", "pending"), ("polite-block", "active"), ("allow", "active")]
)
@pytest.mark.rfc("AUTH-004", "AUTH-007")
def test_the_rules_decide_what_a_watcher_may_see(ruled: Ruled, handling: str, expected: str) -> None:
    ruled.put(rule(BOBS, handling))
    assert outcome(ruled.world) == expected
    if expected == "pending":
        assert first(ruled.world).body == ""


@pytest.mark.rfc("AUTH-035")
def test_all_documents_of_the_user_count_together(ruled: Ruled) -> None:
    ruled.world.publish(published())
    ruled.put(rule(BOBS, "confirm"))
    ruled.put(allow(transformations=ALL), name="more")
    assert "happy" not in first(ruled.world).body
    ruled.put(rule(BOBS, "block", PERSONS + "<provide-mood>true</provide-mood>"), auid="org.openmobilealliance.pres-rules")
    notify = first(ruled.world)
    assert "open" in notify.body
    assert "happy" in notify.body


def test_rules_of_one_user_say_nothing_of_another(ruled: Ruled) -> None:
    ruled.put(allow(None), owner=CAROL)
    assert outcome(ruled.world) == "pending"
    assert outcome(ruled.world, resource=CAROL) == "active"
    ruled.put(rule(None, "block"))
    assert outcome(ruled.world, resource=CAROL) == "active"


def test_other_documents_of_a_user_are_no_rules(ruled: Ruled) -> None:
    ruled.put(allow(None), auid="dialog-rules")
    assert outcome(ruled.world) == "pending"


@pytest.mark.parametrize("auth", ["none", "implicit"])
def test_rules_are_asked_only_where_the_operator_says_so(ruled: Ruled, auth: str) -> None:
    ruled.put(rule(BOBS, "block"))
    ruled.world.set(auth=auth)
    assert outcome(ruled.world) == ("active" if auth == "none" else "pending")


def test_management_decides_before_the_rules(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(rule(BOBS, "block"), allow(CAROLS))
    world.publish(published())
    for watcher, decision in ((BOB, Decision.ALLOW), (CAROL, Decision.BLOCK)):
        administration.decide(world.moment, "presence", ALICE, watcher, decision)
    assert "happy" in first(world).body
    assert outcome(world, CAROL) == "refused"


def test_a_refresh_asks_the_rules_too(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    dialog = world.watch()
    with world.database.transaction():
        world.database.execute("xcap_create", stored_rules(allow(transformations=ALL)))
    world.refresh(dialog)
    (told,) = world.told()
    assert (state_of(told).partition(";")[0], "open" in told.body, "happy" in told.body) == ("active", True, False)


def stored_rules(*rules: str) -> dict[str, object]:
    """Parameters of a statement that writes alice's rules, so that nobody notices."""
    return {
        "tree": "users", "xui": ALICE, "auid": "pres-rules", "name": "index", "etag": "1", "content_type": "",
        "body": document(*rules), "changed_at": 0.0, "max_documents": 0,
    }  # fmt: skip


@pytest.mark.rfc("AUTH-017")
@pytest.mark.parametrize("default", ["confirm", "allow"])
@pytest.mark.parametrize("body", [b"", b"<ruleset", b"<ruleset/>", b'<!DOCTYPE a SYSTEM "b"><a/>', b"\xff\xfe"])
def test_a_document_that_cannot_be_read_opens_nothing(ruled: Ruled, default: str, body: bytes) -> None:
    ruled.world.set(auth_default=default)
    ruled.put(body=body)
    assert outcome(ruled.world) == "pending"
    ruled.put(allow(transformations=ALL), name="readable")
    assert (outcome(ruled.world), outcome(ruled.world, CAROL)) == ("active", "pending")


# What is shown


@pytest.mark.rfc("AUTH-009")
def test_who_is_allowed_sees_what_the_transformations_leave(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published(more="<x:top/>"))
    plain = first(world, ALICE).body
    ruled.put(allow(BOBS), allow(CAROLS, ALL))
    bob, carol = first(world, BOB).body, first(world, CAROL).body
    assert "happy" in bob
    assert "x:top" in plain
    assert "x:top" not in bob + carol
    assert ("open" in carol, "person" in carol) == (True, False)


@pytest.mark.rfc("AUTH-012")
def test_without_permission_for_components_nothing_is_shown(ruled: Ruled) -> None:
    ruled.put(allow(transformations="<provide-all-attributes/>"))
    ruled.world.publish(published())
    assert "<tuple" not in first(ruled.world).body
    assert "person" not in first(ruled.world).body


@pytest.mark.rfc("AUTH-013")
def test_without_permission_for_attributes_none_is_shown(ruled: Ruled) -> None:
    ruled.put(allow(transformations=ALL + PERSONS))
    ruled.world.publish(published(MOOD + "<dm:note>away</dm:note>", "<r:relationship><r:friend/></r:relationship>"))
    body = first(ruled.world).body
    assert "open" in body
    assert "person" in body
    assert not {word for word in ("happy", "away", "friend") if word in body}


def test_a_lone_extension_hides_with_its_permission_only(ruled: Ruled) -> None:
    granted = '<provide-unknown-attribute ns="urn:extension" name="a">true</provide-unknown-attribute>'
    ruled.put(allow(transformations=PERSONS + granted))
    ruled.world.publish(published("<x:a>seen</x:a><x:b>hidden</x:b>"))
    body = first(ruled.world).body
    assert ("seen" in body, "hidden" in body) == (True, False)


def test_watchers_with_equal_permissions_share_one_document(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(BOBS, ALL), allow(CAROLS, ALL + "<provide-mood>false</provide-mood>"))
    dialogs = [world.watch(BOB), world.watch(CAROL)]
    assert len({world.subscription(each).permissions for each in dialogs}) == 1
    world.publish(published())
    bodies = {each.body for each in world.told()}
    assert len(bodies) == 1


@pytest.mark.rfc("AUTH-008")
def test_polite_block_is_what_everybody_sees_of_somebody_offline(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(rule(BOBS, "polite-block", PERSONS), allow(CAROLS))
    offline = first(world, CAROL)
    world.publish(published())
    polite = first(world)
    assert polite.body == offline.body
    assert polite.body.count("<tuple") == polite.body.count("<basic>closed</basic>") == 1
    assert "person" not in polite.body
    assert "device" not in polite.body
    same = {"Subscription-State", "Event", "Content-Type", "SIP-ETag", "Allow-Events"}
    one_head, other_head = fields_of(polite.headers), fields_of(offline.headers)
    assert one_head.keys() == other_head.keys() >= same
    assert {name: one_head[name] for name in same} == {name: other_head[name] for name in same}


@pytest.mark.rfc("AUTH-008")
def test_who_is_politely_blocked_is_told_nothing_more(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(rule(BOBS, "polite-block"))
    world.watch()
    tag = world.publish(published()).tag
    assert world.told() == []
    world.publish(published("<r:mood><r:sad/></r:mood>"), tag)
    assert world.told() == []


@pytest.mark.parametrize("offline", ["closed", "empty", "none"])
def test_a_watcher_who_is_shown_nothing_sees_somebody_offline(ruled: Ruled, offline: str) -> None:
    world = ruled.world
    world.set(offline_document=offline)
    nothing = "<provide-services><class>work</class></provide-services>"
    ruled.put(allow(BOBS, nothing), allow(CAROLS))
    away = first(world, CAROL).body
    world.publish(published())
    assert first(world).body == away


# Statements


@pytest.mark.parametrize(
    ("auth", "asked"), [("none", ["decision_made"]), ("xcap", ["decision_made_and_identities", "policy_documents"])]
)
def test_rules_in_documents_are_one_statement_more_of_a_subscribe(ruled: Ruled, auth: str, asked: list[str]) -> None:
    ruled.put(allow(identity(many("example.org"))))
    ruled.world.set(auth=auth)
    with ruled.world.counted() as names:
        ruled.world.subscribe()
    assert names == ["lock", *asked, "subscription_mark_telling", "publication_load_many", "subscription_create"]


def test_a_fetch_is_decided_as_a_subscription_is(ruled: Ruled) -> None:
    world = ruled.world
    world.settings = replace(world.settings, xcap=XcapSettings())
    ruled.put(allow(transformations=ALL))
    world.publish(published())
    (sent,) = world.subscribe(expires="0").sent
    assert (state_of(sent), "open" in sent.body, "happy" in sent.body) == ("terminated;reason=timeout", True, False)
    assert world.subscription(sent.id).state is State.TERMINATED


def test_everything_is_everything_but_what_no_permission_is_about(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(BOBS, EVERYTHING))
    world.publish(published("<x:a>seen</x:a>", "<x:b>too</x:b>"))
    assert first(world).body == first(world, ALICE).body
