"""What presence rules say changes with their documents, with the presentity's sphere and with the clock (RFC 5025 section 3.2.1).

Live subscriptions and waiting watchers follow at once, without a request of theirs.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kemi import packages
from kemi.effects import SendRequest, Wake
from kemi.errors import Forbidden
from kemi.event_package import Decision
from kemi.presence import manage
from kemi.subscription import State
from tests.unit.values import ALICE, BOB, CAROL, PIDF, pidf
from tests.unit.xcap.rules import external_list, identity, one, rule, validity
from tests.verbs.ruled import ALL, BOBS, CAROLS, EVERYTHING, MOOD, PERSONS, Ruled, allow, published, sphere, time
from tests.verbs.watched import Watched
from tests.verbs.world import World, state_of

WORK = f'{BOBS}<cp:sphere value="Work home"/>'


@pytest.fixture
def ruled(world: World) -> Ruled:
    return Ruled(world)


def states(sent: Sequence[SendRequest]) -> list[str]:
    return [state_of(each).split(";expires")[0] for each in sent]


def told(world: World) -> SendRequest:
    """The only NOTIFY that is due; answered 200."""
    (sent,) = world.told()
    return sent


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
    assert names == ["lock", "xcap_load", "xcap_create", "policy_documents"]


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
    assert counts[0].count("policy_documents") == counts[0].count("decision_made") == 1


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
    found = {(uri, status, how) for uri, status, how in watched.view(dialog).values()}
    is_over = (BOB, "terminated" if handling == "block" else "active", event)
    assert found == {is_over, (CAROL, "terminated", event)}


# The sphere


@pytest.mark.rfc("AUTH-024", "AUTH-025", "AUTH-027")
def test_the_sphere_that_is_published_decides(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    assert states(world.subscribe().sent) == ["pending"]
    dialog = world.watch()
    first = world.publish(sphere("work"))
    assert [each for each in first.effects if isinstance(each, Wake)]
    sent = {each.id: each for each in world.notifier()}
    assert states([sent[dialog]]) == ["active"]
    assert "work" in sent[dialog].body
    world.answer(sent[dialog])
    world.publish(sphere("travel"), first.tag)
    assert world.subscription(dialog).state is State.PENDING
    assert states(world.subscribe().sent) == ["pending"]


@pytest.mark.rfc("AUTH-025")
def test_publications_that_do_not_agree_say_no_sphere(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    dialog = world.watch()
    world.publish(sphere("work"))
    other = world.publish(sphere("home"))
    assert world.subscription(dialog).state is State.PENDING
    world.publish(b"", other.tag, expires="0")
    assert world.subscription(dialog).state is State.ACTIVE


@pytest.mark.rfc("AUTH-025", "AUTH-027")
def test_a_sphere_ends_with_its_publication(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    dialog = world.watch(expires="3600")
    world.publish(sphere("work"), expires="600")
    assert states(world.told()) == ["active"]
    world.now += 600
    assert Wake() in world.tick()
    assert states(world.told()) == ["pending"]
    assert world.subscription(dialog).state is State.PENDING


def test_management_publishes_a_sphere_too(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(WORK), rule(BOBS, "confirm"))
    dialog = world.watch()
    manage.publish(world.database, world.settings, world.packages, ALICE, sphere("home"), PIDF, 0, world.now)
    assert world.subscription(dialog).state is State.ACTIVE
    manage.unpublish(world.database, world.settings, world.packages, ALICE, world.now)
    assert world.subscription(dialog).state is State.PENDING


def test_a_publication_costs_what_it_has_to(ruled: Ruled) -> None:
    world = ruled.world
    costs = {}
    for auth in ("none", "xcap"):
        world.set(auth=auth)
        with world.counted() as names:
            world.publish(published())
        costs[auth] = list(names)
    assert costs["xcap"] == [*costs["none"], "policy_watched"]
    ruled.put(allow())
    world.watch()
    with world.counted() as names:
        tag = world.publish(published()).tag
    assert names == [*costs["none"], "policy_watched", "policy_documents"]
    with world.counted() as names:
        world.publish(b"", tag)
    assert "policy_watched" not in names


# The clock


@pytest.mark.rfc("AUTH-026", "AUTH-027")
def test_a_rule_begins_and_ends_with_its_time(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    begin, end = world.now + 100, world.now + 200
    ruled.put(allow(BOBS + validity(time(begin), time(end))), rule(BOBS, "confirm"))
    dialog = world.watch()
    assert world.subscription(dialog).judge_at == begin
    world.now = begin - 0.5
    assert world.tick() == []
    world.now = begin
    assert Wake() in world.tick()
    assert states(world.told()) == ["active"]
    assert world.subscription(dialog).judge_at == end
    world.now = end - 0.5
    world.tick()
    assert world.subscription(dialog).state is State.ACTIVE
    world.now = end
    world.tick()
    assert states(world.told()) == ["pending"]
    assert world.subscription(dialog).judge_at is None
    with world.counted() as names:
        world.tick()
    assert names == ["subscription_deadlines", "publication_deadlines"]


@pytest.mark.rfc("AUTH-026")
def test_one_of_several_periods_is_enough(ruled: Ruled) -> None:
    world = ruled.world
    now = world.now
    ruled.put(allow(BOBS + validity(time(now), time(now + 10), time(now + 20), time(now + 30))), rule(BOBS, "confirm"))
    dialog = world.watch()
    seen = []
    for moment in (0, 10, 19, 20, 29.5, 30):
        world.now = now + moment
        world.tick()
        seen.append(world.subscription(dialog).state is State.ACTIVE)
    assert seen == [True, False, False, True, True, False]


@pytest.mark.rfc("AUTH-027")
def test_time_changes_what_is_shown_too(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    end = world.now + 100
    ruled.put(allow(transformations=ALL), allow(BOBS + validity(time(world.now), time(end)), PERSONS + EVERYTHING))
    (first,) = world.subscribe().sent
    world.answer(first)
    assert "happy" in first.body
    world.now = end
    world.tick()
    assert "happy" not in told(world).body


def test_a_refresh_remembers_the_next_moment(ruled: Ruled) -> None:
    world = ruled.world
    dialog = world.watch()
    assert world.subscription(dialog).judge_at is None
    ruled.put(allow(BOBS + validity(time(world.now + 50), time(world.now + 60))), rule(BOBS, "confirm"))
    assert world.subscription(dialog).judge_at == world.now + 50
    ruled.put(allow(BOBS + validity(time(world.now + 55), time(world.now + 60))), rule(BOBS, "confirm"))
    world.refresh(dialog)
    assert world.subscription(dialog).judge_at == world.now + 55


def test_a_subscription_that_has_ended_is_judged_no_more(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(BOBS + validity(time(world.now), time(world.now + 5))))
    dialog = world.watch()
    world.refresh(dialog, expires="0")
    world.now += 5
    with world.counted() as names:
        world.tick()
    assert "decision_to_judge" not in names


def test_without_rules_no_moment_is_waited_for_any_more(ruled: Ruled) -> None:
    world = ruled.world
    ruled.put(allow(identity(one(BOB)) + validity(time(world.now), time(world.now + 5))))
    dialog = world.watch()
    world.settings = replace(world.settings, pa=replace(world.settings.pa, auth="none"))
    world.now += 5
    world.tick()
    assert world.subscription(dialog).judge_at is None
    assert world.subscription(dialog).state is State.ACTIVE


def test_who_sees_everything_of_a_person_sees_the_mood(ruled: Ruled) -> None:
    """What is shown counts with the next document as with the first."""
    world = ruled.world
    ruled.put(allow(transformations=PERSONS + "<provide-mood>true</provide-mood>"))
    world.watch()
    world.publish(published(MOOD + "<dm:note>hidden</dm:note>"))
    sent = told(world)
    assert ("happy" in sent.body, "hidden" in sent.body, "<tuple" in sent.body) == (True, False, False)
