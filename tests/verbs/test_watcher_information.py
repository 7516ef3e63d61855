"""Watcher information on the database: kemi/watcher_information.py, RFC 3857, RFC 3858. Waiting: test_waiting_watchers.py."""

import re
from collections.abc import Callable

import pytest

from kemi import notify as notifier
from kemi import store
from kemi.effects import Wake
from kemi.errors import Forbidden
from kemi.event_package import Decision
from kemi.subscription import GRACE, TIMER_F
from tests.unit.values import ALICE, BOB, CAROL, fields_of
from tests.verbs.watched import DAVE, ENDS, WINFO, Watched
from tests.verbs.world import Refused, World, state_of
from tests.watcherinfo import WATCHERINFO, Told, read


def fetched(world: World, watcher: str = ALICE, event: str = WINFO) -> Told:
    """What a fetch gives."""
    (only,) = world.subscribe(watcher, event=event, expires="0").sent
    world.answer(only)
    return read(only.body)


# The documents of one subscription


@pytest.mark.rfc("WINFO-001", "WINFO-003", "WINFO-009", "WINFO-018")
def test_the_first_document_is_full_and_tells_all_watchers(watched: Watched) -> None:
    watched.come(BOB)
    watched.pause(7)
    watched.come(CAROL, display_name='"Carol"', expires="300")
    watched.pause(3)
    (first,) = watched.world.subscribe(ALICE, event=WINFO).sent
    assert fields_of(first.headers)["Content-Type"] == [WATCHERINFO]
    document = read(first.body)
    assert (document.kinds, document.resource, document.package) == ((0, "full"), ALICE, "presence")
    assert document.entries == [(BOB, "active", "subscribe"), (CAROL, "active", "subscribe")]
    bob, carol = document.watchers
    assert (bob.name, bob.expiration, bob.duration) == (None, 590, 10)
    assert (carol.name, carol.expiration, carol.duration) == ("Carol", 297, 3)


@pytest.mark.rfc("WINFO-001")
def test_of_a_presentity_that_nobody_watches_the_list_is_empty(watched: Watched) -> None:
    assert fetched(watched.world).watchers == ()


@pytest.mark.rfc("WINFO-003", "WINFO-010", "PA-063")
def test_later_documents_are_partial_one_version_up_with_who_has_changed(watched: Watched) -> None:
    watched.come(BOB)
    alice = watched.winfo()
    watched.come(CAROL)
    watched.come(DAVE)
    full, first, second = watched.news(alice)
    assert (full.kinds, full.entries) == ((0, "full"), [(BOB, "active", "subscribe")])
    assert (first.kinds, first.entries) == ((1, "partial"), [(CAROL, "active", "subscribe")])
    assert (second.kinds, second.entries) == ((2, "partial"), [(DAVE, "active", "subscribe")])
    assert watched.view(alice) == watched.table()


@pytest.mark.rfc("WINFO-009", "PA-063")
def test_after_a_subscribe_the_document_is_full_and_its_version_one_up(watched: Watched) -> None:
    watched.come(BOB)
    alice = watched.winfo()
    watched.refresh(alice)
    watched.come(CAROL)
    assert [each.kinds for each in watched.news(alice)] == [(0, "full"), (1, "full"), (2, "partial")]


@pytest.mark.rfc("WINFO-009")
def test_a_fetch_gets_the_full_document_and_leaves_nothing(watched: Watched) -> None:
    watched.come(BOB)
    (only,) = watched.world.subscribe(ALICE, event=WINFO, expires="0").sent
    assert state_of(only) == "terminated;reason=timeout"
    document = read(only.body)
    assert (document.kinds, document.entries) == ((0, "full"), [(BOB, "active", "subscribe")])
    watched.flow([only])
    assert not watched.world.has_subscription(only.id)


@pytest.mark.rfc("WINFO-003", "TRN-010")
def test_versions_go_on_after_a_restart_with_a_full_document(watched: Watched, connect: Callable[..., World]) -> None:
    alice = watched.winfo()
    watched.world.subscribe(BOB)
    (lost,) = watched.world.notifier()
    assert read(lost.body).kinds == (1, "partial")
    after = Watched(connect(notify_interval=0))
    after.world.now = watched.world.now + 5
    with after.world.database.transaction():
        store.resume(after.world.database, after.world.now)
    after.readers = watched.readers
    after.flow()
    again = after.told(alice)
    assert (again.kinds, again.entries) == ((2, "full"), [(BOB, "active", "subscribe")])


@pytest.mark.rfc("WINFO-003")
@pytest.mark.parametrize("status", [500, 503, 603, 0])
def test_a_notify_that_failed_is_followed_by_a_full_one(watched: Watched, status: int) -> None:
    alice = watched.winfo()
    watched.news(alice)
    (bobs,) = watched.world.subscribe(BOB).sent
    (lost,) = watched.world.answer(bobs)
    assert watched.world.answer(lost, status) == []
    watched.pause(TIMER_F)
    watched.come(CAROL)
    again = watched.news(alice)[0]
    assert (again.kinds[1], again.entries[0]) == ("full", (BOB, "active", "subscribe"))
    watched.news(alice)
    watched.come(DAVE)
    assert watched.told(alice).state == "partial"
    assert watched.view(alice) == watched.table()


@pytest.mark.rfc("WINFO-014", "PA-067")
def test_changes_within_the_interval_are_merged(watched: Watched) -> None:
    watched.world.set(notify_interval=5)
    alice = watched.winfo()
    watched.news(alice)
    watched.come(BOB)
    watched.pause(1)
    carol = watched.come(CAROL)
    watched.pause(1)
    watched.refresh(carol, expires="0")
    watched.come(DAVE)
    watched.pause(2.9)
    assert watched.news(alice) == []
    watched.world.now += 0.1
    assert Wake() in watched.world.tick()
    watched.flow()
    only = watched.told(alice)
    assert only.kinds == (1, "partial")
    assert {each.uri for each in only.watchers if each.status == "active"} == {BOB, DAVE}
    watched.pause(100)
    assert watched.news(alice) == []
    assert watched.view(alice) == watched.table()


def test_who_comes_and_goes_before_it_was_told_is_no_news(watched: Watched) -> None:
    watched.world.set(notify_interval=5)
    alice = watched.winfo()
    watched.news(alice)
    watched.refresh(watched.come(BOB), expires="0")
    watched.pause(5)
    assert watched.news(alice) == []


def test_a_refresh_of_a_watcher_is_no_news(watched: Watched) -> None:
    bob = watched.come(BOB)
    alice = watched.winfo()
    watched.news(alice)
    watched.refresh(bob)
    assert watched.news(alice) == []


@pytest.mark.rfc("WINFO-013")
def test_a_fetch_by_who_may_watch_is_no_news(watched: Watched) -> None:
    alice = watched.winfo()
    watched.news(alice)
    watched.come(BOB, expires="0")
    assert watched.news(alice) == []
    assert fetched(watched.world).watchers == ()


def test_who_watches_somebody_else_or_another_package_is_no_news(watched: Watched) -> None:
    watched.world.serve(name="other")
    alice = watched.winfo()
    watched.news(alice)
    watched.come(BOB, resource=CAROL)
    watched.come(BOB, event="other")
    assert watched.news(alice) == []


def test_of_two_who_watch_the_watchers_each_is_told_what_it_does_not_know(watched: Watched) -> None:
    """One is behind: its NOTIFY is not answered yet."""
    world = watched.world
    world.set(winfo_watchers=(DAVE,))
    alice, dave = watched.winfo(ALICE), watched.winfo(DAVE)
    (bobs,) = world.subscribe(BOB).sent
    both = {each.id: each for each in world.answer(bobs)}
    assert set(both) == {alice, dave}
    watched.flow([both[alice]])
    watched.come(CAROL)
    watched.flow([both[dave]])
    assert [each.kinds for each in watched.news(dave)] == [(0, "full"), (1, "partial"), (2, "partial")]
    assert watched.view(alice) == watched.view(dave) == watched.table()


def test_one_who_begins_later_counts_from_its_own_beginning(watched: Watched) -> None:
    """Even when those before it, who have been told more often, are gone."""
    early = watched.winfo()
    for watcher in (BOB, CAROL):
        watched.come(watcher)
    late = watched.winfo()
    watched.refresh(early, expires="0")
    watched.news(late)
    watched.come(DAVE)
    only = watched.told(late)
    assert (only.kinds, only.entries) == ((1, "partial"), [(DAVE, "active", "subscribe")])


# Ids


@pytest.mark.rfc("WINFO-004")
def test_ids_are_tokens_that_show_nothing_of_the_dialog(watched: Watched) -> None:
    known = watched.world.subscription(watched.come(BOB))
    (entry,) = fetched(watched.world).watchers
    assert re.fullmatch(r"[A-Za-z0-9.!%*_+`'~-]+", entry.id)
    for secret in (known.id, known.call_id, known.remote_tag, known.branch):
        assert secret not in entry.id
        assert entry.id not in secret


@pytest.mark.rfc("WINFO-004")
def test_the_subscriptions_of_one_watcher_are_told_apart_and_keep_their_ids(watched: Watched) -> None:
    watched.come(BOB)
    alice = watched.winfo()
    watched.come(BOB)
    watched.refresh(alice)
    first, second, both = watched.news(alice)
    assert [each.uri for each in both.watchers] == [BOB, BOB]
    ids = {each.id for each in both.watchers}
    assert ids == {first.watchers[0].id, second.watchers[0].id}
    assert len(ids) == 2
    assert {each.id for each in fetched(watched.world).watchers} == ids


@pytest.mark.rfc("WINFO-004", "WINFO-005", "PA-024")
def test_an_approved_watcher_keeps_its_id(watched: Watched) -> None:
    watched.world.decide(Decision.CONFIRM)
    bob = watched.come(BOB)
    alice = watched.winfo()
    watched.world.decide(Decision.ALLOW)
    watched.refresh(bob)
    watched.refresh(bob, expires="0")
    pending, approved, ended = watched.news(alice)
    assert pending.entries == [(BOB, "pending", "subscribe")]
    assert (approved.state, approved.entries) == ("partial", [(BOB, "active", "approved")])
    assert (ended.state, ended.entries) == ("partial", [(BOB, "terminated", "timeout")])
    assert len({document.watchers[0].id for document in (pending, approved, ended)}) == 1


# The end of a watcher


@pytest.mark.rfc("WINFO-005", "WINFO-015", "PA-028")
@pytest.mark.parametrize("how", ENDS)
def test_who_ends_is_told_once(watched: Watched, how: str) -> None:
    bob = watched.come(BOB, expires="600")
    alice = watched.winfo(expires="3600")
    watched.news(alice)
    ENDS[how](watched, bob)
    ended = watched.told(alice)
    assert (ended.state, ended.entries) == ("partial", [(BOB, "terminated", "timeout")])
    watched.come(CAROL)
    watched.refresh(alice, expires="3600")
    partial, full = watched.news(alice)
    assert [each.uri for each in partial.watchers + full.watchers] == [CAROL, CAROL]


def test_an_end_by_silence_calls_the_notifier_for_who_watches_the_watchers(watched: Watched) -> None:
    """In the round that found the silence they are not due yet."""
    world = watched.world
    world.subscribe(BOB)
    watched.winfo(expires="3600")
    world.now += TIMER_F + GRACE
    effects, _more = notifier.notify(world.moment, (), set())
    assert Wake() in effects


@pytest.mark.rfc("WINFO-015")
@pytest.mark.parametrize("how", ENDS)
def test_who_has_ended_is_not_told_to_those_who_ask_later(watched: Watched, how: str) -> None:
    bob = watched.come(BOB, expires="600")
    watched.winfo(expires="3600")
    ENDS[how](watched, bob)
    assert fetched(watched.world).watchers == ()


@pytest.mark.rfc("WINFO-015")
def test_an_end_that_was_held_back_is_told_with_the_full_document_of_a_refresh(watched: Watched) -> None:
    watched.world.set(notify_interval=30)
    bob = watched.come(BOB)
    alice = watched.winfo()
    watched.news(alice)
    watched.refresh(bob, expires="0")
    watched.refresh(alice)
    full = watched.told(alice)
    assert (full.kinds, full.entries) == ((1, "full"), [(BOB, "terminated", "timeout")])


@pytest.mark.rfc("WINFO-015", "WINFO-014")
@pytest.mark.parametrize("interval", [600, 3600])
def test_however_long_it_is_held_back_an_end_is_told(watched: Watched, interval: int) -> None:
    watched.world.set(notify_interval=interval, max_subscription_expiration=604800)
    bob = watched.come(BOB)
    alice = watched.winfo(expires="604800")
    watched.news(alice)
    watched.refresh(bob, expires="0")
    for _ in range(10):
        watched.pause(interval / 10)
    assert watched.told(alice).entries == [(BOB, "terminated", "timeout")]
    assert watched.view(alice) == watched.table() == {}


@pytest.mark.rfc("WINFO-005", "PA-026", "PA-028")
def test_who_is_refused_is_told_as_rejected(watched: Watched) -> None:
    bob = watched.come(BOB)
    alice = watched.winfo()
    watched.news(alice)
    watched.world.decide(Decision.BLOCK)
    with pytest.raises(Refused):
        watched.refresh(bob)
    watched.flow()
    assert watched.told(alice).entries == [(BOB, "terminated", "rejected")]


@pytest.mark.rfc("WINFO-011")
def test_who_is_refused_at_once_is_not_told_of(watched: Watched) -> None:
    alice = watched.winfo()
    watched.news(alice)
    watched.world.decide(Decision.BLOCK)
    with pytest.raises(Forbidden):
        watched.come(BOB)
    watched.flow()
    assert watched.news(alice) == []
    assert fetched(watched.world).watchers == ()


# With a condition


@pytest.mark.rfc("PA-042", "WINFO-003")
def test_after_a_204_it_goes_on_with_partial_documents(watched: Watched) -> None:
    watched.come(BOB)
    (first,) = watched.world.subscribe(ALICE, event=WINFO).sent
    watched.flow([first])
    (known,) = fields_of(first.headers)["SIP-ETag"]
    assert watched.refresh(first.id, suppress=known).reply.status == 204
    watched.come(CAROL)
    _, partial = watched.news(first.id)
    assert (partial.kinds, partial.entries) == ((1, "partial"), [(CAROL, "active", "subscribe")])


@pytest.mark.rfc("PA-043", "WINFO-003")
def test_documents_that_were_not_sent_are_not_counted(watched: Watched) -> None:
    watched.come(BOB)
    (fetch,) = watched.world.subscribe(ALICE, event=WINFO, expires="0").sent
    (known,) = fields_of(fetch.headers)["SIP-ETag"]
    (first,) = watched.world.subscribe(ALICE, event=WINFO, suppress=known).sent
    assert (first.body, fields_of(first.headers)["SIP-ETag"]) == ("", [known])
    watched.flow([fetch, first])
    watched.come(CAROL)
    only = watched.told(first.id)
    assert (only.kinds, len(only.watchers)) == ((0, "full"), 2)
