"""Lists under circumstances that nobody wishes for: documents that go or break, URIs that change hands, news that never ends."""

from typing import Any

import pytest

from kemi.answer import Answer
from kemi.effects import SendRequest
from kemi.event_package import Decision
from kemi.packages import served
from kemi.rls import store
from tests.multipart import Told
from tests.unit.values import ALICE, BOB, CAROL, SUBSCRIBE
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, Subscriber, decide, entries, publish, user
from tests.verbs.world import state_of, tag_of
from tests.verbs.xcap import ROOT

ACTIVE, PENDING = ("active", None), ("pending", None)
REJECTED, NORESOURCE = ("terminated", "rejected"), ("terminated", "noresource")
MEMBERS = [user(number) for number in range(20)]
SERVICES = f"{ROOT}/rls-services/users/{BOB}/index"
WORK = "sip:work@example.org"
ALL = {"resource": "", "package": "", "watcher": "", "limit": 100}


def subscriptions(lists: Lists) -> list[str]:
    """Ids of all that there are, members too."""
    return [str(each[0]) for each in lists.world.database.execute("administration_subscriptions", ALL).rows()]


def rounds(lists: Lists, subscriber: Subscriber, *waiting: SendRequest) -> list[Told]:
    """Many rounds of the notifier, each answers what the one before has sent."""
    told: list[Told] = []
    answers = [Answer(each.id, each.cseq, 200) for each in waiting]
    for _ in range(30):
        sent = lists.world.notifier(*answers)
        told += [subscriber.take(each) for each in sent if each.id == subscriber.dialog]
        answers = [Answer(each.id, each.cseq, 200) for each in sent]
    return told


def watchers_of(lists: Lists, member: str) -> list[tuple[str, str]]:
    """Who watches a member, as watcher information has it."""
    live = lists.world.database.execute("watcher_list", {"package": "presence"}, [(member,)]).rows()
    return [(row[3], row[5]) for row in live]


# One list in the way of the others


def test_lists_are_told_though_their_members_never_rest(lists: Lists) -> None:
    """Each round of the notifier finds new news of a member."""
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    told = []
    for number in range(6):
        publish(lists, ALICE, f"note {number}")
        told += lists.world.notifier()
    assert [each.id for each in told[:1]] == [subscriber.dialog]


@pytest.mark.parametrize("broken", ["deleted", "too long"])
def test_an_empty_list_that_breaks_stops_nobody(lists: Lists, broken: str) -> None:
    lists.put()
    subscriber = lists.watch()
    other = lists.world.watch(CAROL)
    if broken == "deleted":
        lists.write("DELETE", SERVICES, b"", BOB)
    else:
        lists.world.set_lists(max_members=1)
        lists.put(ALICE, CAROL)
    publish(lists, ALICE, "here")
    subscriber.refresh()
    sent = [*lists.world.told(), *lists.world.told()]
    assert other in {each.id for each in sent}
    assert [subscriber.take(each).uris for each in sent if each.id == subscriber.dialog] == [[]]
    assert subscriber.state.startswith("terminated" if broken == "deleted" else "active")


def test_what_goes_wrong_with_one_list_is_not_the_others(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    other = lists.world.watch(user(1))
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.put(CAROL, owner=CAROL, uri=WORK)
    lists.dialog(lists.subscribe(CAROL, WORK))
    lists.world.told()
    through = store.members_due

    def failing(database: object, wanted: list[str]) -> object:
        if len(wanted) > 1 or wanted != [subscriber.dialog]:
            raise ValueError("a document that cannot be made")
        return through(database, wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "members_due", failing)
    publish(lists, ALICE, "here")
    publish(lists, CAROL, "here")
    sent = {each.id for _ in range(3) for each in lists.world.notifier()}
    assert sent == {other, subscriber.dialog}


# Bodies that are too small


def crowd(lists: Lists, *telling: str, **changes: Any) -> Subscriber:
    """A subscription to more members than a body has room for; these tell something of themselves."""
    for each in telling:
        publish(lists, each, f"of {each}")
    lists.world.set_lists(max_body=5000)
    lists.put(*MEMBERS)
    return Subscriber(lists.world, lists.dialog(lists.subscribe(**changes)), MEMBERS)


@pytest.mark.rfc("RLS-006", "RLS-026")
def test_after_a_refresh_what_does_not_fit_follows_again(lists: Lists) -> None:
    subscriber = crowd(lists, *MEMBERS)
    rounds(lists, subscriber)
    subscriber.refresh()
    rounds(lists, subscriber)
    assert {uri: uri in str(instance.body) for uri, instance in subscriber.reader.instances()} == dict.fromkeys(MEMBERS, True)


@pytest.mark.rfc("RLS-035")
def test_what_does_not_fit_waits_as_max_rate_asks(lists: Lists) -> None:
    subscriber = crowd(lists, event="presence;max-rate=0.1")
    told = []
    for _ in range(5):
        told.append(len(rounds(lists, subscriber)))
        lists.world.now += 10
    assert told[:2] == [1, 1]
    assert len(dict(subscriber.reader.instances())) == 20


@pytest.mark.rfc("RLS-006")
def test_nothing_follows_the_last_notify(lists: Lists) -> None:
    subscriber = crowd(lists, expires="0")
    assert len(rounds(lists, subscriber)) == 1
    assert subscriptions(lists) == []


@pytest.mark.rfc("RLS-036")
def test_a_condition_holds_nothing_back_that_had_no_room(lists: Lists) -> None:
    subscriber = crowd(lists, *MEMBERS)
    (first,) = lists.world.notifier() or lists.world.notifier()
    subscriber.take(first)
    subscriber.refresh(suppress=tag_of(first))
    rounds(lists, subscriber, first)
    assert {uri: uri in str(instance.body) for uri, instance in subscriber.reader.instances()} == dict.fromkeys(MEMBERS, True)


# Lists that go, or are another's


@pytest.mark.rfc("RLS-027", "PA-028")
def test_a_list_that_is_deleted_ends_with_all_its_members(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch()
    lists.write("DELETE", SERVICES, b"", BOB)
    assert [each.is_full for each in subscriber.told()] == [True]
    assert subscriber.state == "terminated;reason=noresource"
    assert subscriber.said() == {ALICE: NORESOURCE, CAROL: NORESOURCE}
    assert watchers_of(lists, ALICE) == []
    assert subscriptions(lists) == []
    lists.put(ALICE)
    assert lists.watch(ALICE).said() == {ALICE: ACTIVE}


@pytest.mark.rfc("RLS-027")
def test_a_service_that_leaves_a_document_of_somebody_else_ends_too(lists: Lists) -> None:
    lists.world.set_lists(auth="none")
    lists.put(ALICE, owner=CAROL)
    subscriber = lists.watch()
    lists.put(ALICE, owner=CAROL, uri=WORK)
    subscriber.told()
    assert subscriber.state == "terminated;reason=noresource"


@pytest.mark.rfc("RLS-027")
def test_a_list_that_is_there_again_at_once_goes_on(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch()
    lists.write("DELETE", SERVICES, b"", BOB)
    lists.put(CAROL)
    subscriber.told()
    assert subscriber.state.startswith("active")
    assert subscriber.said() == {ALICE: NORESOURCE, CAROL: ACTIVE}


@pytest.mark.rfc("RLS-027")
@pytest.mark.parametrize("status", [200, 500])
def test_a_list_that_is_deleted_while_a_notify_is_in_flight_ends_after_it(lists: Lists, status: int) -> None:
    lists.put(ALICE)
    subscriber = lists.watch()
    publish(lists, ALICE, "here")
    lists.world.notifier()
    (sent,) = lists.world.notifier()
    subscriber.take(sent)
    lists.write("DELETE", SERVICES, b"", BOB)
    for last in lists.world.answer(sent, status):
        subscriber.take(last)
    assert subscriber.state == "terminated;reason=noresource"


@pytest.mark.rfc("RLS-033")
def test_a_list_without_members_is_none_that_is_deleted(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch()
    lists.put()
    subscriber.told()
    assert subscriber.state.startswith("active")
    assert subscriber.said() == {ALICE: NORESOURCE}


def test_a_refresh_waits_only_for_members_that_are_new(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch()
    lists.put(ALICE, CAROL, user(1))
    for locked in (1, 0):
        with lists.world.counted() as names:
            subscriber.refresh()
        assert names.count("list_lock_resources") == locked


@pytest.mark.rfc("RLS-011")
def test_a_list_that_is_another_users_now_is_not_shown(lists: Lists) -> None:
    """Not even when something changes before the watcher refreshes."""
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.put(ALICE, uri=WORK)
    subscriber.told()
    lists.put(user(7), owner=CAROL)
    lists.put(ALICE, user(1), uri=WORK)
    subscriber.told()
    assert not any(user(7) in each.body for each in subscriber.requests)
    assert watchers_of(lists, user(7)) == []


@pytest.mark.rfc("RLS-010", "RLS-020")
def test_who_makes_a_member_a_list_sees_no_more_of_the_user(lists: Lists) -> None:
    """A service may have the URI of somebody who is not one of our users with a password."""
    decide(lists, BOB, Decision.CONFIRM, CAROL)
    lists.put(CAROL)
    subscriber = lists.watch()
    assert subscriber.said() == {CAROL: PENDING}
    lists.put_services((FRIENDS, entries([CAROL])), (CAROL, entries([ALICE])))
    publish(lists, CAROL, "secret")
    subscriber.told()
    assert not any("secret" in each.body for each in subscriber.requests)
    inner = subscriber.last and subscriber.last.instance(CAROL).body
    assert isinstance(inner, Told)
    assert inner.uris == [ALICE]
    assert watchers_of(lists, CAROL) == []


@pytest.mark.rfc("RLS-020")
def test_a_member_that_is_a_list_no_more_is_a_user_again(lists: Lists) -> None:
    lists.put_services((FRIENDS, entries([WORK])), (WORK, entries([ALICE])))
    subscriber = lists.watch()
    lists.put(WORK)
    publish(lists, WORK, "at work")
    subscriber.told()
    body = subscriber.last and subscriber.last.instance(WORK).body
    assert isinstance(body, bytes)
    assert b"at work" in body
    assert watchers_of(lists, ALICE) == []


@pytest.mark.rfc("RLS-020")
def test_a_list_that_leaves_a_list_leaves_nothing_behind(lists: Lists) -> None:
    lists.put_services((FRIENDS, entries([WORK, CAROL])), (WORK, entries([ALICE])))
    subscriber = lists.watch()
    lists.put_services((FRIENDS, entries([CAROL])), (WORK, entries([ALICE])))
    subscriber.told()
    assert watchers_of(lists, ALICE) == []
    publish(lists, ALICE, "here")
    deadlines = lists.world.database.execute("subscription_deadlines", {"now": lists.world.now, "cleaned": 0.0})
    assert not deadlines.rows()[0][0]


# Ends and refreshes


@pytest.mark.rfc("RLS-036", "WINFO-019")
def test_who_leaves_with_a_condition_leaves_nothing_behind(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    (first,) = lists.world.subscribe(ALICE, ALICE, event="presence.winfo").sent
    lists.world.answer(first)
    assert subscriber.refresh(expires="0", suppress=tag_of(subscriber.requests[-1])).reply.status == 204
    documents = lists.world.database.execute("list_changed", {"document": f"rls-services/{BOB}", "now": lists.world.now}).rows()
    assert (documents, len(subscriptions(lists))) == ([], 1)
    (told,) = lists.world.told()
    assert 'status="terminated"' in told.body


@pytest.mark.rfc("RLS-026")
def test_a_refresh_reaches_the_members_of_lists_in_lists(lists: Lists) -> None:
    lists.put_services((FRIENDS, entries([WORK])), (WORK, entries([ALICE])))
    subscriber = lists.watch()
    lists.world.now += 100
    subscriber.refresh(accept="application/cpim-pidf+xml, application/rlmi+xml, multipart/related", user_agent="Other/1.0")
    subscriber.told()
    after = lists.world.subscription(subscriber.dialog)
    assert after.user_agent == "Other/1.0"
    (inner,) = store.members(lists.world.database, [subscriber.dialog])
    (member,) = store.members(lists.world.database, [inner.id])
    for each in (inner, member):
        assert (each.expires_at, each.accept, each.user_agent) == (after.expires_at, after.accept, after.user_agent)


@pytest.mark.rfc("WINFO-019")
def test_a_change_that_a_refresh_finds_is_told_to_who_watches_the_watchers(lists: Lists) -> None:
    lists.world.decide(Decision.CONFIRM)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    (first,) = lists.world.subscribe(ALICE, ALICE, event="presence.winfo").sent
    lists.world.answer(first)
    lists.world.decide(Decision.ALLOW)
    subscriber.refresh()
    told = [each for each in lists.world.told() if each.id == first.id]
    assert ['status="active"' in each.body for each in told] == [True]


@pytest.mark.rfc("WINFO-019", "WINFO-008")
def test_who_waits_already_is_not_told_of_twice(lists: Lists) -> None:
    lists.world.decide(Decision.CONFIRM)
    lists.world.subscribe(BOB, ALICE, expires="0")
    recorded = lists.world.database.execute("watcher_list_recorded", {"package": "presence"}, [(ALICE,)]).rows()
    lists.put(ALICE)
    lists.watch(ALICE)
    assert lists.world.database.execute("watcher_list_recorded", {"package": "presence"}, [(ALICE,)]).rows() == []
    (live,) = lists.world.database.execute("watcher_list", {"package": "presence"}, [(ALICE,)]).rows()
    assert [each[1] for each in recorded] == [live[2]]


@pytest.mark.rfc("WINFO-019")
def test_a_fetch_of_a_list_is_no_watcher(lists: Lists) -> None:
    """As a fetch of each member's own state is none (RFC 3857 section 4.7.1)."""
    lists.put(ALICE)
    (first,) = lists.world.subscribe(ALICE, ALICE, event="presence.winfo").sent
    lists.world.answer(first)
    dialog = lists.dialog(lists.subscribe(expires="0"))
    assert watchers_of(lists, ALICE) == []
    assert {each.id for _ in range(3) for each in lists.world.told()} == {dialog}
    assert len(subscriptions(lists)) == 1


def test_who_is_refused_takes_no_watchers_place(lists: Lists) -> None:
    lists.world.set(max_watchers=1)
    decide(lists, BOB, Decision.BLOCK, ALICE)
    lists.put(ALICE)
    assert lists.watch(ALICE).said() == {ALICE: REJECTED}
    assert lists.world.watch(CAROL)


@pytest.mark.rfc("RLS-005", "RLS-026")
def test_documents_that_are_changes_are_full_in_a_full_list(lists: Lists) -> None:
    lists.world.packages = served(lists.world.settings)
    lists.world.set(winfo_auth="none")
    lists.put(ALICE)
    subscriber = lists.watch(ALICE, event="presence.winfo", accept="*/*")
    lists.world.watch(CAROL)
    subscriber.told()
    subscriber.refresh()
    (told,) = subscriber.told()
    body = told.instance(ALICE).body
    assert isinstance(body, bytes)
    assert b'state="full"' in body
    assert CAROL.encode() in body


@pytest.mark.rfc("TRN-009")
def test_a_list_subscribe_that_is_seen_again_is_answered_again(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    request = SUBSCRIBE._replace(
        uri=FRIENDS, to_uri=FRIENDS, from_uri=BOB, supported="eventlist", accept=ACCEPT
    )  # fmt: skip
    first = lists.world.subscribe_request(request, BOB, FRIENDS)
    again = lists.world.subscribe_request(request, BOB, FRIENDS)
    assert first.reply == again.reply
    assert len(store.members(lists.world.database, [lists.dialog(first)])) == 2
    assert len(lists.world.told()) == 1


def test_the_last_word_of_a_list_is_said_once(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    subscriber.refresh(expires="0")
    publish(lists, ALICE, "here")
    told = rounds(lists, subscriber)
    assert (len(told), state_of(subscriber.requests[-1])) == (1, "terminated;reason=timeout")
