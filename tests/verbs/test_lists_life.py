"""What a subscription to a list is told over its life: rules, rates, conditions, refreshes and ends (RFC 4662 sections 4 and 5)."""

from collections.abc import Sequence
from typing import Any

import pytest

from kemi import reauthorize
from kemi.answer import Answer
from kemi.errors import SipError
from kemi.event_package import Decision
from kemi.packages import served
from kemi.packages.dialog_info import MEDIA_TYPE, NAMESPACE
from tests.unit.values import ALICE, BOB, CAROL, NOW, fields_of, pidf
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, Subscriber, decide, notes, publish, user
from tests.verbs.world import state_of

ACTIVE, PENDING = ("active", None), ("pending", None)
REJECTED, NORESOURCE = ("terminated", "rejected"), ("terminated", "noresource")
ALL = {"resource": "", "package": "", "watcher": "", "limit": 1000}


def rows(lists: Lists) -> Sequence[object]:
    """All subscriptions and all that lists are made of."""
    return [
        *lists.world.database.execute("administration_subscriptions", ALL).rows(),
        *lists.world.database.execute("list_changed", {"document": f"rls-services/{BOB}", "now": lists.world.now}).rows(),
    ]


def call(lists: Lists, state: str) -> None:
    """Carol has a call in this state."""
    inside = f'<dialog id="d"><state>{state}</state></dialog>'
    body = f'<dialog-info xmlns="{NAMESPACE}" version="1" state="full" entity="{CAROL}">{inside}</dialog-info>'
    lists.world.publish(body.encode(), event="dialog", content_type=MEDIA_TYPE, presentity=CAROL)


# Rules


@pytest.mark.rfc("RLS-010", "RLS-031", "SEC-019")
def test_each_watcher_is_judged_by_the_rules_of_each_member(lists: Lists) -> None:
    """The same list, three watchers, at the same time."""
    lists.world.set_lists(auth="none")
    publish(lists, ALICE, "secret")
    decide(lists, CAROL, Decision.BLOCK)
    decide(lists, user(1), Decision.POLITE_BLOCK)
    decide(lists, user(2), Decision.CONFIRM)
    lists.put(ALICE)
    dialogs = {who: lists.dialog(lists.subscribe(who)) for who in (BOB, CAROL, user(1), user(2))}
    subscribers = {dialog: Subscriber(lists.world, dialog, [ALICE]) for dialog in dialogs.values()}
    for request in lists.world.told():
        subscribers[request.id].take(request)
    said = {who: subscribers[dialog].said()[ALICE] for who, dialog in dialogs.items()}
    assert said == {BOB: ACTIVE, CAROL: REJECTED, user(1): ACTIVE, user(2): PENDING}
    told = {who: subscribers[dialog].last for who, dialog in dialogs.items()}
    assert {who for who, each in told.items() if each is not None and "secret" in str(notes(each))} == {BOB}


@pytest.mark.rfc("RLS-024", "RLS-023")
def test_a_change_of_rules_is_told_of_that_member(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    for decision, said in ((Decision.CONFIRM, PENDING), (Decision.ALLOW, ACTIVE), (Decision.BLOCK, REJECTED)):
        decide(lists, BOB, decision)
        (told,) = subscriber.told()
        assert (told.uris, told.is_full, subscriber.said()[ALICE]) == ([ALICE], False, said)
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: REJECTED, CAROL: ACTIVE}
    decide(lists, BOB, None)
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: ACTIVE}


@pytest.mark.rfc("RLS-010")
def test_who_is_politely_blocked_is_told_nothing_of_changes(lists: Lists) -> None:
    decide(lists, BOB, Decision.POLITE_BLOCK)
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    assert subscriber.last is not None
    away = subscriber.last.instance(ALICE)
    assert away.body.replace(ALICE.encode(), b"") == subscriber.last.instance(CAROL).body.replace(CAROL.encode(), b"")  # type: ignore[union-attr, arg-type]
    publish(lists, ALICE, "here")
    assert subscriber.told() == []


def test_a_rule_that_ends_by_itself_is_asked_again(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.decide(Decision.CONFIRM)
    world = lists.world
    reauthorize.reauthorize(world.moment, "presence", ALICE)
    subscriber.told()
    assert subscriber.said() == {ALICE: PENDING}


# One dialog


@pytest.mark.rfc("RLS-019")
def test_a_subscription_stays_what_it_is(lists: Lists) -> None:
    """Though its URI becomes a list's, or is one no more before that was told; or the client says no more that it knows lists."""
    single = lists.world.watch(BOB, resource=FRIENDS)
    lists.put(ALICE)
    lists.world.refresh(single, supported="eventlist", accept=ACCEPT)
    (told,) = lists.world.told()
    assert fields_of(told.headers)["Content-Type"] == ["application/pidf+xml"]
    subscriber = lists.watch(ALICE)
    subscriber.refresh(supported=None)
    assert len(subscriber.told()) == 1
    lists.write("DELETE", f"/xcap-root/rls-services/users/{BOB}/index", b"", BOB)
    subscriber.refresh()
    assert [each.uris for each in subscriber.told()] == [[ALICE]]
    assert subscriber.state == "terminated;reason=noresource"


@pytest.mark.rfc("RLS-029")
@pytest.mark.parametrize(("event", "granted"), [("presence", "1800"), ("dialog", "3600")])
def test_the_default_duration_is_that_of_the_package(lists: Lists, event: str, granted: str) -> None:
    lists.world.packages = served(lists.world.settings)
    lists.world.set_lists(default_expiration=1800)
    lists.put(ALICE)
    accepted = lists.subscribe(expires=None, event=event, accept="*/*")
    assert accepted.header("Expires") == granted
    (first,) = lists.world.told()
    assert "expires" not in first.body, "nothing of the lifetime of members is told"


@pytest.mark.parametrize(("asked", "granted"), [("60", "60"), ("7200", "7200"), ("999999", "7200")])
def test_lifetimes_of_lists_are_their_own(lists: Lists, asked: str, granted: str) -> None:
    lists.put(ALICE)
    assert lists.subscribe(expires=asked).header("Expires") == granted


def test_who_asks_for_too_short_a_time_is_told_the_least(lists: Lists) -> None:
    lists.world.set_lists(min_expiration=300)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    for ask in (lists.subscribe, subscriber.refresh):
        with pytest.raises(SipError) as refused:
            ask(expires="299")
        assert refused.value.headers == (("Min-Expires", "300"),)


@pytest.mark.rfc("RLS-034")
def test_a_list_is_watched_by_two_packages_at_once(lists: Lists) -> None:
    lists.world.packages = served(lists.world.settings)
    lists.put(ALICE, CAROL)
    presence = lists.watch(ALICE, CAROL)
    calls = lists.watch(ALICE, CAROL, event="dialog", accept="*/*")
    publish(lists, ALICE, "here")
    assert ([each.uris for each in presence.told()], calls.told()) == ([[ALICE]], [])
    call(lists, "early")
    assert [each.uris for each in calls.told()] == [[CAROL]]
    assert presence.told() == []
    assert calls.last is not None
    assert {each.instances[0].content_type for each in calls.last.resources} == {MEDIA_TYPE}


@pytest.mark.rfc("RLS-034", "PA-037")
def test_documents_that_are_numbered_are_so_for_each_member(lists: Lists) -> None:
    lists.world.packages = served(lists.world.settings)
    lists.put(ALICE, CAROL)
    calls = lists.watch(ALICE, CAROL, event="dialog", accept="*/*")
    for number, state in enumerate(("trying", "early", "confirmed"), 1):
        call(lists, state)
        (told,) = calls.told()
        assert f'version="{number}"'.encode() in told.instance(CAROL).body  # type: ignore[operator]


@pytest.mark.rfc("RLS-030")
def test_a_members_document_is_what_its_own_watcher_gets(lists: Lists) -> None:
    """Octet by octet, whatever is in it."""
    strange = pidf("t1", note="Grüße &amp; 漢字 --kp0x").replace(
        b"</presence>", b'<x:y xmlns:x="urn:x">\r\n  <![CDATA[<>]]></x:y></presence>'
    )
    lists.world.publish(strange, presentity=ALICE)
    (single,) = lists.world.subscribe(BOB, ALICE).sent
    lists.world.answer(single)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    assert subscriber.last is not None
    assert subscriber.last.instance(ALICE).body == single.body.encode()


# Failures and ends


def lose(lists: Lists, subscriber: Subscriber, status: int) -> None:
    """A NOTIFY is sent, and answered so."""
    (lost,) = lists.world.notifier() or lists.world.notifier()
    subscriber.take(lost)
    lists.world.notifier(Answer(lost.id, lost.cseq, status))


@pytest.mark.rfc("RLS-005", "RLS-026")
def test_after_a_notify_that_was_lost_everything_is_told(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    publish(lists, ALICE, "one")
    lose(lists, subscriber, 500)
    publish(lists, CAROL, "two")
    (told,) = subscriber.told()
    assert (told.version, told.is_full) == (2, True)
    assert "one" in notes(told)[ALICE]


def test_changes_while_a_notify_is_in_flight_are_told_after_it(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = Subscriber(lists.world, lists.dialog(lists.subscribe()), (ALICE, CAROL))
    (first,) = lists.world.notifier() or lists.world.notifier()
    subscriber.take(first)
    publish(lists, ALICE, "one")
    publish(lists, CAROL, "two")
    assert [*lists.world.notifier(), *lists.world.notifier()] == []
    sent = [*lists.world.answer(first), *lists.world.notifier()]
    assert [sorted(subscriber.take(each).uris) for each in sent] == [[ALICE, CAROL]]


@pytest.mark.parametrize("status", [481, 489, 408])
def test_a_watcher_that_is_gone_takes_everything_with_it(lists: Lists, status: int) -> None:
    lists.put_services(
        (FRIENDS, f'<entry uri="{ALICE}"/><entry uri="sip:work@example.org"/>'), ("sip:work@example.org", f'<entry uri="{CAROL}"/>')
    )
    subscriber = lists.watch()
    publish(lists, CAROL, "one")
    for _ in range(3):
        if sent := lists.world.notifier():
            break
    subscriber.take(sent[0])
    lists.world.notifier(Answer(sent[0].id, sent[0].cseq, status))
    assert rows(lists) == []


@pytest.mark.rfc("RLS-005")
def test_a_list_that_expires_is_told_once_more_and_gone(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE, expires="600")
    lists.world.now = NOW + 601
    lists.world.tick()
    assert len(subscriber.told()) == 1
    assert state_of(subscriber.requests[-1]) == "terminated;reason=timeout"
    assert rows(lists) == []


@pytest.mark.rfc("RLS-023")
def test_management_ends_nothing_but_its_member(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    decide(lists, BOB, Decision.BLOCK)
    subscriber.told()
    assert (subscriber.said(), subscriber.state.partition(";")[0]) == ({ALICE: REJECTED}, "active")


@pytest.mark.rfc("RLS-006")
def test_what_does_not_fit_is_told_next(lists: Lists) -> None:
    members = [user(number) for number in range(20)]
    for each in members:
        publish(lists, each, f"of {each}")
    lists.world.set_lists(max_body=5000)
    lists.put(*members)
    subscriber = Subscriber(lists.world, lists.dialog(lists.subscribe()), members)
    told = []
    sent = lists.world.notifier() or lists.world.notifier()
    while sent:
        told += [subscriber.take(each) for each in sent]
        sent = lists.world.notifier(*(Answer(each.id, each.cseq, 200) for each in sent)) or lists.world.notifier()
    assert len(told) > 2
    assert [each.is_full for each in told] == [True, *([False] * (len(told) - 1))]
    assert all(len(each.body) < 6000 + 100 * len(members) for each in subscriber.requests)
    assert {uri: uri in str(instance.body) for uri, instance in subscriber.reader.instances()} == dict.fromkeys(members, True)


@pytest.mark.rfc("RLS-022")
def test_instances_keep_their_ids(lists: Lists) -> None:
    lists.put(ALICE, CAROL)
    subscriber = lists.watch()
    ids = {uri: instance.id for uri, instance in subscriber.reader.instances()}
    lists.put(user(1), CAROL, ALICE)
    publish(lists, CAROL, "one")
    subscriber.told()
    subscriber.refresh()
    subscriber.told()
    after = {uri: instance.id for uri, instance in subscriber.reader.instances()}
    assert {uri: after[uri] for uri in ids} == ids
    assert len(set(after.values())) == len(after)


@pytest.mark.parametrize("changes", [{"event": "presence;id=7"}, {"user_agent": "Twinkle/1.10.2"}])
def test_what_else_a_subscription_has(lists: Lists, changes: dict[str, Any]) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE, **changes)
    publish(lists, ALICE, "one")
    assert len(subscriber.told()) == 1
    assert fields_of(subscriber.requests[-1].headers)["Event"] == [changes.get("event", "presence")]


def test_linphone_gets_its_own_form(lists: Lists) -> None:
    lists.put(ALICE)
    agent = {"user_agent": "Linphone Desktop/5.1.2 (belle-sip/5.2.0)", "event": "Presence"}
    subscriber = Subscriber(lists.world, lists.dialog(lists.subscribe(**agent)), [ALICE], is_linphone=True)
    assert len(subscriber.told()) == 1
    assert fields_of(subscriber.requests[-1].headers)["Event"] == ["Presence"]
    publish(lists, ALICE, "one")
    assert len(subscriber.told()) == 1
