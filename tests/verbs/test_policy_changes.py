"""What presence rules say changes with their documents, with the presentity's sphere and with the clock (RFC 5025 section 3.2.1).

Live subscriptions and waiting watchers follow at once, without a request of theirs.
"""

import pytest

from kemi import packages
from kemi.effects import Wake
from kemi.errors import Forbidden
from kemi.event_package import Decision
from kemi.subscription import State
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.unit.xcap.rules import external_list, rule
from tests.verbs.ruled import ALL, BOBS, CAROLS, EVERYTHING, PERSONS, Ruled, allow, published, states, told
from tests.verbs.watched import Watched
from tests.verbs.world import state_of

# Documents


@pytest.mark.rfc("AUTH-006", "AUTH-010")
def test_who_is_blocked_now_is_told_so_at_once(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow())
    dialog = world.watch()
    world.set(notify_interval=5)
    assert Wake() in ruled.put(rule(BOBS, "block"))
    last = told(world)
    assert (last.id, state_of(last), last.body) == (dialog, "terminated;reason=rejected", "")
    assert not world.has_subscription(dialog)
    with pytest.raises(Forbidden):
        world.subscribe()


@pytest.mark.rfc("AUTH-007")
def test_who_is_to_be_confirmed_again_gets_one_notify_without_body_and_no_more(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow())
    world.watch()
    ruled.put(rule(BOBS, "confirm"))
    last = told(world)
    assert (states([last]), last.body) == (["pending"], "")
    world.publish(published())
    assert world.told() == []


@pytest.mark.rfc("AUTH-010", "AUTH-011")
@pytest.mark.parametrize("handling", ["allow", "polite-block"])
def test_who_was_pending_becomes_active_with_a_document(ruled: Ruled, handling: str) -> None:
    world = ruled.world
    world.publish(published())
    world.watch()
    ruled.put(rule(BOBS, handling, EVERYTHING))
    now = told(world)
    assert states([now]) == ["active"]
    assert ("happy" in now.body, "closed" in now.body) == ((True, False) if handling == "allow" else (False, True))


@pytest.mark.rfc("AUTH-010")
def test_a_document_that_is_deleted_counts_no_more(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    ruled.put(allow())
    ruled.put(rule(CAROLS, "confirm"), name="more")
    world.watch()
    ruled.remove(name="more")
    assert world.told() == []
    ruled.remove()
    assert states(world.told()) == ["pending"]


@pytest.mark.rfc("AUTH-010")
def test_another_view_alone_is_told_too(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    ruled.put(allow(transformations=ALL))
    dialog = world.watch()
    assert Wake() in ruled.put(allow(transformations=ALL + PERSONS + "<provide-mood>true</provide-mood>"))
    more = told(world)
    assert ("happy" in more.body, states([more])) == (True, ["active"])
    ruled.put(allow(transformations=ALL))
    assert "happy" not in told(world).body
    assert world.subscription(dialog).decision is Decision.ALLOW


def test_another_view_waits_for_the_interval_as_polite_blocking_does(ruled: Ruled) -> None:
    world = ruled.world
    world.set(notify_interval=5)
    world.publish(published())
    ruled.put(allow(transformations=ALL))
    world.watch()
    at = world.now
    world.now += 1
    ruled.put(allow())
    assert world.told() == []
    world.now = at + 5
    assert "happy" in told(world).body


def test_polite_blocking_looks_like_going_away(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(BOBS), allow(CAROLS))
    published_as = world.publish(published()).tag
    polite, honest = world.watch(BOB), world.watch(CAROL)
    ruled.put(rule(BOBS, "polite-block"), allow(CAROLS))
    blocked = told(world)
    world.publish(b"", published_as, expires="0")
    away = told(world)
    assert (blocked.id, away.id) == (polite, honest)
    assert (blocked.body, states([blocked])) == (away.body, states([away]))


def test_a_change_that_changes_nothing_for_a_watcher_is_not_told(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    ruled.put(allow())
    dialog = world.watch()
    before = world.subscription(dialog)
    assert ruled.put(allow(), allow(CAROLS)) == []
    assert world.subscription(dialog) == before


def test_more_may_be_shown_of_what_is_not_there(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(pidf("t1"))
    ruled.put(allow(transformations=ALL))
    world.watch()
    ruled.put(allow(transformations=ALL + PERSONS))
    assert world.told() == []


@pytest.mark.rfc("AUTH-017")
def test_a_document_that_breaks_shows_no_more_than_before(ruled: Ruled) -> None:
    world = ruled.world
    world.set(auth_default="allow")
    world.publish(published())
    ruled.put(allow(transformations=ALL))
    world.watch()
    ruled.put(body=b"<broken")
    last = told(world)
    assert (states([last]), last.body) == (["pending"], "")


def test_other_documents_are_none_of_its_business(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow())
    world.watch()
    with world.counted() as names:
        assert ruled.put(body=b"<x/>", auid="rls-services") == []
        assert ruled.put(allow(), owner=CAROL) == []
    assert "decision_applied" not in names
    assert world.told() == []


def test_a_list_that_rules_refer_to_is_part_of_them(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    ruled.put(allow(external_list(f"/xcap-root/resource-lists/users/{ALICE}/index")), rule(None, "confirm"))
    world.watch()
    members = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list><entry uri="{BOB}"/></list></resource-lists>'
    ruled.put(body=members.encode(), auid="resource-lists")
    assert states(world.told()) == ["active"]
    ruled.remove(auid="resource-lists")
    assert states(world.told()) == ["pending"]


def test_lists_that_rules_do_not_refer_to_cost_one_statement(ruled: Ruled) -> None:
    ruled.put(allow())
    ruled.world.watch()
    with ruled.world.counted() as names:
        ruled.put(body=b"<resource-lists/>", auid="resource-lists")
    assert names == ["lock", "xcap_load", "xcap_create", "policy_documents_with_dialog"]


def test_the_statements_do_not_grow_with_the_watchers(ruled: Ruled) -> None:
    world = ruled.world
    counts = []
    for watchers in (2, 12):
        world.empty()
        ruled.put(rule(None, "confirm"))
        for number in range(watchers):
            world.watch(f"sip:watcher{number}@example.org")
        with world.counted() as names:
            ruled.put(allow(None))
        counts.append(list(names))
    assert counts[0] == counts[1]
    assert counts[0].count("policy_documents") == counts[0].count("decision_made_and_identities") == 1


def test_every_package_that_asks_the_same_rules_follows_them(ruled: Ruled) -> None:
    world = ruled.world
    world.packages = dict(packages.served(world.settings))
    dialog = world.watch(event="dialog", accept=None)
    ruled.put(allow())
    assert world.subscription(dialog).state is State.ACTIVE


@pytest.mark.rfc("AUTH-011")
@pytest.mark.parametrize(("handling", "event"), [("allow", "approved"), ("polite-block", "approved"), ("block", "rejected")])
def test_who_watches_the_watchers_is_told(ruled: Ruled, handling: str, event: str) -> None:
    """Of a pending watcher and of one that waits without a subscription."""
    watched = Watched(ruled.world)
    watched.come(BOB)
    watched.come(CAROL, expires="0")
    dialog = watched.winfo()
    watched.news(dialog)
    ruled.put(rule(None, handling))
    watched.flow()
    found = {entry for document in watched.news(dialog) for entry in document.entries}
    assert {(BOB, "terminated" if handling == "block" else "active", event), (CAROL, "terminated", event)} <= found
