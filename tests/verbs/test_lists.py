"""Subscriptions to lists of resources (RFC 4662): who is in them, and what is told of each."""

import re

import pytest

from kemi.errors import ExtensionRequired, Forbidden, NotAcceptable
from kemi.event_package import Decision
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.verbs.lists import FRIENDS, Lists, Subscriber, user

ACTIVE, PENDING = ("active", None), ("pending", None)
REJECTED, NORESOURCE = ("terminated", "rejected"), ("terminated", "noresource")


@pytest.mark.rfc("RLS-002", "RLS-003", "RLS-005")
def test_the_first_notify_tells_of_every_member(lists: Lists) -> None:
    lists.world.publish()
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    assert subscriber.last is not None
    assert subscriber.last.is_full
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: ACTIVE}
    assert b"open" in subscriber.last.instance(ALICE).body


@pytest.mark.rfc("RLS-018", "RLS-004")
def test_a_change_tells_of_that_member_alone(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    lists.world.publish(pidf("t1", note="here"), presentity=CAROL)
    (told,) = subscriber.told()
    assert (told.version, told.is_full, told.uris) == (1, False, [CAROL])
    assert subscriber.told() == []


@pytest.mark.rfc("RLS-026")
def test_a_refresh_tells_everything_again(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    subscriber.refresh()
    (told,) = subscriber.told()
    assert (told.version, told.is_full) == (1, True)


@pytest.mark.rfc("RLS-033")
def test_an_empty_list_is_served(lists: Lists) -> None:
    lists.put()
    subscriber = lists.watch()
    assert subscriber.last is not None
    assert (subscriber.last.is_full, subscriber.last.uris) == (True, [])


@pytest.mark.rfc("RLS-001")
def test_who_does_not_support_lists_is_told_so(lists: Lists) -> None:
    lists.put(ALICE)
    with pytest.raises(ExtensionRequired):
        lists.subscribe(supported=None)


@pytest.mark.rfc("RLS-011")
def test_a_list_is_its_owners(lists: Lists) -> None:
    lists.put(ALICE)
    with pytest.raises(Forbidden):
        lists.subscribe(CAROL)


@pytest.mark.rfc("RLS-028")
@pytest.mark.parametrize("accept", [None, "application/pidf+xml", "multipart/related", "application/rlmi+xml", "text/plain"])
def test_who_takes_no_lists_gets_none(lists: Lists, accept: str | None) -> None:
    lists.put(ALICE)
    with pytest.raises(NotAcceptable):
        lists.subscribe(accept=accept)


@pytest.mark.rfc("RLS-023", "RLS-007")
@pytest.mark.parametrize(
    ("decision", "said"),
    [(Decision.ALLOW, ACTIVE), (Decision.POLITE_BLOCK, ACTIVE), (Decision.CONFIRM, PENDING), (Decision.BLOCK, REJECTED)],
)
def test_what_the_rules_of_a_member_say(lists: Lists, decision: Decision, said: tuple[str, str | None]) -> None:
    lists.world.decide(decision)
    lists.put(ALICE)
    assert lists.watch(ALICE).said() == {ALICE: said}


@pytest.mark.rfc("AUTH-012", "RLS-010")
def test_who_is_politely_blocked_cannot_tell_it_from_a_member_who_is_away(lists: Lists) -> None:
    """Octet by octet: the first document, and the one after a change."""

    def told(decision: Decision, is_there: bool) -> list[str]:
        lists.world.empty()
        lists.world.decide(decision)
        if is_there:
            lists.world.publish()
        lists.put(ALICE)
        subscriber = lists.watch(ALICE)
        lists.world.publish(presentity=CAROL)
        if is_there:
            lists.world.publish(pidf("t2"))
        subscriber.refresh()
        subscriber.told()
        return [re.sub(subscriber.dialog, "dialog", each.body) for each in subscriber.requests]

    bodies = told(Decision.POLITE_BLOCK, is_there=True)
    assert [parts(each) for each in bodies] == [parts(each) for each in told(Decision.ALLOW, is_there=False)]


def parts(body: str) -> list[str]:
    """A body without its boundary and the ids of its parts, which are other ones for each subscription."""
    return re.sub(r"[0-9a-f]{20}", "token", body).splitlines()


@pytest.mark.rfc("RLS-023")
def test_a_member_elsewhere_is_nobody_here(lists: Lists) -> None:
    lists.put(ALICE, "sip:dora@elsewhere.example")
    assert lists.watch().said()["sip:dora@elsewhere.example"] == NORESOURCE


@pytest.mark.rfc("RLS-027")
def test_a_change_of_the_list_is_told_in_full(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch()
    lists.put(CAROL, user(1))
    (told,) = subscriber.told()
    assert told.is_full
    assert subscriber.said() == {ALICE: NORESOURCE, CAROL: ACTIVE, user(1): ACTIVE}
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {CAROL: ACTIVE, user(1): ACTIVE}


@pytest.mark.rfc("RLS-005")
def test_an_unsubscribed_list_is_told_once_more_and_gone(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    subscriber.refresh(expires="0")
    (told,) = subscriber.told()
    assert (subscriber.state, told.is_full) == ("terminated;reason=timeout", True)
    assert lists.world.database.execute("administration_subscriptions", ALL).rows() == []


@pytest.mark.rfc("RLS-005")
def test_a_fetch_tells_everything_and_leaves_nothing(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = Subscriber(lists.world, lists.dialog(lists.subscribe(expires="0")), (ALICE, CAROL))
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: ACTIVE}
    assert lists.world.database.execute("administration_subscriptions", ALL).rows() == []


@pytest.mark.rfc("RLS-020")
def test_a_list_in_a_list_is_a_part_of_its_own(lists: Lists) -> None:
    work = "sip:work@example.org"
    lists.put_services((FRIENDS, f'<entry uri="{ALICE}"/><entry uri="{work}"/>'), (work, f'<entry uri="{CAROL}"/>'))
    subscriber = lists.watch(ALICE, work)
    assert subscriber.said() == {ALICE: ACTIVE, work: ACTIVE}
    lists.world.publish(presentity=CAROL)
    (told,) = subscriber.told()
    nested = told.instance(work).body
    assert told.uris == [work]
    assert (nested.version, nested.is_full, nested.uris) == (1, False, [CAROL])  # type: ignore[union-attr]


@pytest.mark.rfc("RLS-021")
def test_lists_in_each_other_end(lists: Lists) -> None:
    work = "sip:work@example.org"
    lists.put_services((FRIENDS, f'<entry uri="{work}"/>'), (work, f'<entry uri="{FRIENDS}"/>'))
    subscriber = lists.watch(work)
    assert subscriber.last is not None
    nested = subscriber.last.instance(work).body
    assert nested.instance(FRIENDS).said == NORESOURCE  # type: ignore[union-attr]


@pytest.mark.rfc("RLS-038")
def test_a_list_may_come_with_the_subscribe(lists: Lists) -> None:
    body = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list><entry uri="{ALICE}"/></list></resource-lists>'
    more = {"content_type": "application/resource-lists+xml", "content_disposition": "recipient-list", "body": body.encode()}
    subscriber = lists.watch(ALICE, uri="sip:lists@example.org", require="recipient-list-subscribe", **more)
    assert subscriber.said() == {ALICE: ACTIVE}


@pytest.mark.rfc("WINFO-019")
def test_who_watches_by_a_list_is_a_watcher(lists: Lists) -> None:
    lists.put(ALICE)
    (first,) = lists.world.subscribe(ALICE, ALICE, event="presence.winfo").sent
    lists.world.answer(first)
    lists.watch(ALICE)
    live = lists.world.database.execute("watcher_list", {"package": "presence"}, [(ALICE,)]).rows()
    assert [(row[3], row[5]) for row in live] == [(BOB, "active")]


ALL = {"resource": "", "package": "", "watcher": "", "limit": 100}
