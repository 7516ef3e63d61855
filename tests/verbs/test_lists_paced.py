"""Rates and conditions of subscriptions to lists: they are for the list as a whole (RFC 6446 section 5.4, RFC 5839 section 6.5)."""

import pytest

from tests.unit.values import ALICE, CAROL
from tests.verbs.lists import Lists, passing, publish, user
from tests.verbs.world import tag_of

ACTIVE = ("active", None)


@pytest.mark.rfc("RLS-035")
def test_max_rate_holds_for_the_list_as_a_whole(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL, event="presence;max-rate=0.1")
    lists.world.now += 10
    publish(lists, ALICE, "one")
    assert len(subscriber.told()) == 1
    publish(lists, ALICE, "two")
    publish(lists, CAROL, "three")
    publish(lists, user(1), "nobody's")
    assert passing(lists, subscriber, 9) == []
    publish(lists, CAROL, "four")
    assert passing(lists, subscriber, 3) == [1]
    assert subscriber.last is not None
    assert not subscriber.last.is_full
    assert subscriber.last.version == 2
    assert sorted(subscriber.last.uris) == [ALICE, CAROL]
    assert b"four" in subscriber.last.instance(CAROL).body


@pytest.mark.rfc("RLS-035")
def test_min_rate_repeats_though_nothing_is_new(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE, event="presence;min-rate=0.1")
    assert passing(lists, subscriber, 25) == [10, 20]
    assert subscriber.last is not None
    assert (subscriber.last.version, subscriber.said()) == (2, {ALICE: ACTIVE})


@pytest.mark.parametrize("interval", [0, 7])
def test_the_interval_of_lists_is_their_own(lists: Lists, interval: int) -> None:
    lists.world.set(notify_interval=3600)
    lists.world.set_lists(timer_interval=interval)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    publish(lists, ALICE, "one")
    assert len(subscriber.told()) == (interval == 0)
    assert passing(lists, subscriber, 9) == [interval][: bool(interval)]


@pytest.mark.rfc("RLS-036")
def test_a_condition_stands_for_all_members(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    publish(lists, CAROL, "one")
    subscriber.told()
    known = tag_of(subscriber.requests[-1])
    assert subscriber.refresh(suppress=known).reply.status == 204
    assert subscriber.told() == []
    publish(lists, ALICE, "two")
    assert len(subscriber.told()) == 1, "a change ends the condition"
    assert tag_of(subscriber.requests[-1]) != known
    assert subscriber.refresh(suppress=known).reply.status == 200
    assert [each.is_full for each in subscriber.told()] == [True]


@pytest.mark.rfc("RLS-036")
def test_a_condition_is_kept_over_changes_that_are_taken_back(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    before = tag_of(subscriber.requests[-1])
    tag = lists.world.publish(presentity=ALICE).tag
    subscriber.told()
    assert tag_of(subscriber.requests[-1]) != before
    lists.world.publish(b"", tag, expires="0", presentity=ALICE, content_type=None)
    subscriber.told()
    assert tag_of(subscriber.requests[-1]) == before


@pytest.mark.rfc("RLS-036")
def test_a_list_is_polled_with_what_is_known_of_it(lists: Lists) -> None:
    """RFC 5839 section 6.2: outside of a dialog a condition that holds leads to a NOTIFY without body."""
    lists.put(ALICE, CAROL)
    bodies = []
    tag = ""
    for note in ("", "", "one", ""):
        if note:
            publish(lists, ALICE, note)
        lists.subscribe(expires="0", **({"suppress": tag} if tag else {}))
        (last,) = lists.world.told()
        tag = tag_of(last)
        bodies.append(bool(last.body))
    assert bodies == [True, False, True, False]
