"""SUBSCRIBE in a dialog, on the database: kemi/subscribe.py, RFC 6665 section 4.2.1."""

from typing import Any

import pytest

from kemi.answer import Answer
from kemi.effects import Wake
from kemi.errors import Forbidden, OutOfOrder, SubscriptionDoesNotExist
from kemi.event_package import Decision, Document
from kemi.subscription import GRACE, TIMER_F
from tests.unit.values import BOB, CAROL, PIDF, fields_of, pidf
from tests.verbs.world import Refused, World, state_of


@pytest.mark.rfc("PA-001")
@pytest.mark.rfc("PA-003")
def test_a_refresh_prolongs_and_is_told_at_once_though_nothing_is_new(world: World) -> None:
    world.publish()
    dialog = world.watch(expires="600")
    world.now += 1
    done = world.refresh(dialog, expires="300")
    assert (done.reply.status, done.header("Expires")) == (200, "300")
    assert Wake(blocked=False) in done.effects
    (told,) = world.notifier()
    assert (told.cseq, state_of(told)) == (2, "active;expires=300")
    assert told.body


@pytest.mark.rfc("TRN-025")
def test_a_refresh_is_told_after_the_answer_to_the_notify_in_flight(world: World) -> None:
    done = world.subscribe()
    again = world.refresh(done.dialog)
    assert Wake(blocked=True) in again.effects
    assert world.notifier() == []
    assert [each.cseq for each in world.answer(done.sent[0])] == [2]


@pytest.mark.rfc("PA-001")
@pytest.mark.parametrize(
    "moved",
    [
        {"contact": "<sip:bob@198.51.100.7:5070>"},
        {"contact": "<sip:bob@192.0.2.9>", "source_port": 5070},
        {"transport": "tcp", "socket": "tcp:192.0.2.1:5060", "connection": 9},
    ],
)
@pytest.mark.parametrize(("expires", "state"), [("600", "active;expires=600"), ("0", "terminated;reason=timeout")])
def test_who_has_moved_is_told_though_a_notify_to_where_it_was_has_no_answer(
    world: World, moved: dict[str, Any], expires: str, state: str
) -> None:
    done = world.subscribe()
    world.now += TIMER_F
    world.refresh(done.dialog, expires=expires, **moved)
    (told,) = world.notifier()
    assert (told.cseq, state_of(told)) == (2, state)
    world.now += GRACE
    assert world.notifier(Answer(done.dialog, 1, 500)) == []
    assert world.has_subscription(done.dialog)


@pytest.mark.rfc("PA-005")
def test_unsubscribe_keeps_the_dialog_until_its_last_notify_is_answered(world: World) -> None:
    world.publish()
    dialog = world.watch()
    done = world.refresh(dialog, expires="0")
    assert (done.reply.status, done.header("Expires")) == (200, "0")
    (last,) = world.notifier()
    assert state_of(last) == "terminated;reason=timeout"
    assert last.body
    assert world.has_subscription(dialog)
    assert world.answer(last) == []
    assert not world.has_subscription(dialog)


@pytest.mark.rfc("PA-005", "TRN-009")
def test_unsubscribe_that_comes_again_after_a_crash_is_answered_again(world: World) -> None:
    """No transaction of Kamailio's knows it any more, the row does. Another SUBSCRIBE finds nothing."""
    dialog = world.watch()
    again = {"cseq": 5, "branch": "z9hG4bK-last", "expires": "0"}
    first = world.refresh(dialog, **again)
    world.now += 3
    assert world.refresh(dialog, **again).reply == first.reply
    for changes in ({"branch": "z9hG4bK-other"}, {"cseq": 6}, {"expires": "600"}):
        with pytest.raises(SubscriptionDoesNotExist):
            world.refresh(dialog, **again | changes)
    assert len(world.notifier()) == 1


@pytest.mark.rfc("PA-005")
def test_unsubscribe_while_a_notify_is_in_flight(world: World) -> None:
    done = world.subscribe()
    world.refresh(done.dialog, expires="0")
    (last,) = world.answer(done.sent[0])
    assert state_of(last) == "terminated;reason=timeout"
    world.answer(last)
    assert not world.has_subscription(done.dialog)


@pytest.mark.rfc("PA-010")
@pytest.mark.parametrize("changes", [{"to_tag": "kp-unknown"}, {"call_id": "other"}, {"from_tag": "other"}])
def test_a_dialog_that_is_not_known(world: World, changes: dict[str, Any]) -> None:
    dialog = world.watch()
    before = world.subscription(dialog)
    with pytest.raises(SubscriptionDoesNotExist):
        world.refresh(dialog, **changes)
    assert world.subscription(dialog) == before


@pytest.mark.rfc("PA-010")
def test_a_subscription_that_is_over_is_not_brought_back(world: World) -> None:
    dialog = world.watch()
    world.refresh(dialog, expires="0")
    with pytest.raises(SubscriptionDoesNotExist):
        world.refresh(dialog)
    (last,) = world.notifier()
    with pytest.raises(SubscriptionDoesNotExist):
        world.refresh(dialog)
    assert state_of(last) == "terminated;reason=timeout"


@pytest.mark.rfc("TRN-007")
def test_an_old_cseq_is_refused_and_changes_nothing(world: World) -> None:
    dialog = world.watch()
    world.refresh(dialog, cseq=10)
    before = world.subscription(dialog)
    with pytest.raises(OutOfOrder) as caught:
        world.refresh(dialog, cseq=9, expires="60")
    assert caught.value.status == 500
    assert world.subscription(dialog) == before
    assert world.refresh(dialog, cseq=99).reply.status == 200


@pytest.mark.rfc("PA-018")
@pytest.mark.rfc("PA-036")
@pytest.mark.parametrize(
    ("first", "second"),
    [("presence", "presence;id=1"), ("presence;id=1", "presence"), ("presence;id=a", "presence;id=A"), ("presence", "other")],
)
def test_another_event_in_the_dialog_is_refused_and_leaves_the_first(world: World, first: str, second: str) -> None:
    world.serve(name="other")
    dialog = world.watch(event=first)
    before = world.subscription(dialog)
    with pytest.raises(Forbidden):
        world.refresh(dialog, event=second)
    assert world.subscription(dialog) == before


@pytest.mark.rfc("SEC-001")
def test_the_dialog_of_another_watcher(world: World) -> None:
    dialog = world.watch(BOB)
    before = world.subscription(dialog)
    request = {"from_uri": BOB, "from_tag": before.remote_tag, "call_id": before.call_id, "to_tag": dialog, "cseq": 9}
    with pytest.raises(Forbidden):
        world.subscribe(CAROL, **request)
    assert world.subscription(dialog) == before


# What a refresh brings


@pytest.mark.rfc("PA-016")
def test_a_refresh_with_another_accept_changes_the_type_from_the_next_notify_on(world: World) -> None:
    world.serve(
        name="two",
        produces=(PIDF, "text/x-other"),
        render=lambda _at, views: {view: Document("body", view.content_type, "1") for view in views},
    )
    dialog = world.watch(event="two")
    world.refresh(dialog, event="two", accept="text/x-other")
    (told,) = world.notifier()
    assert fields_of(told.headers)["Content-Type"] == ["text/x-other"]


@pytest.mark.rfc("TRN-004")
def test_the_contact_of_a_refresh_is_the_new_remote_target(world: World) -> None:
    dialog = world.watch()
    world.refresh(dialog, contact="<sip:bob@198.51.100.7:5070>")
    assert [each.uri for each in world.notifier()] == ["sip:bob@198.51.100.7:5070"]


@pytest.mark.rfc("TRN-004")
def test_the_contact_of_a_refused_refresh_is_not(world: World) -> None:
    dialog = world.watch()
    world.decide(Decision.BLOCK)
    with pytest.raises(Refused):
        world.refresh(dialog, contact="<sip:mallory@198.51.100.7:5070>")
    assert [each.uri for each in world.notifier()] == ["sip:bob@198.51.100.7:5062"]


@pytest.mark.rfc("TRN-003")
def test_record_route_of_a_refresh_is_ignored(world: World) -> None:
    routed = world.watch(record_route="<sip:p1.example.net;lr>")
    world.refresh(routed, record_route="<sip:p2.example.net;lr>")
    (told,) = world.notifier()
    assert fields_of(told.headers)["Route"] == ["<sip:p1.example.net;lr>"]


@pytest.mark.rfc("TRN-003")
def test_record_route_of_a_refresh_gives_a_direct_dialog_no_route(world: World) -> None:
    connection: dict[str, Any] = {"transport": "ws", "socket": "ws:192.0.2.1:8080", "contact": "<sip:x@y.invalid>", "connection": 7}
    dialog = world.watch(**connection)
    world.refresh(dialog, **connection, record_route="<sip:p2.example.net;lr>")
    (told,) = world.notifier()
    assert "Route" not in fields_of(told.headers)
    assert (told.next_hop, told.connection) == ("sip:198.51.100.7:5062;transport=ws", 7)


@pytest.mark.rfc("TRN-013")
def test_a_refresh_over_a_new_connection_moves_the_flow(world: World) -> None:
    websocket: dict[str, Any] = {"transport": "ws", "socket": "ws:192.0.2.1:8080", "contact": "<sip:x@y.invalid>"}
    dialog = world.watch(**websocket, connection=7)
    world.refresh(dialog, **websocket, connection=9, source_port=4711)
    (told,) = world.notifier()
    assert (told.next_hop, told.connection) == ("sip:198.51.100.7:4711;transport=ws", 9)


# Rules of now


@pytest.mark.rfc("PA-026")
def test_a_refresh_that_the_rules_of_now_refuse_ends_the_subscription(world: World) -> None:
    world.publish()
    dialog = world.watch()
    world.decide(Decision.BLOCK)
    with pytest.raises(Refused) as caught:
        world.refresh(dialog)
    assert caught.value.status == 403
    assert Wake(blocked=False) in caught.value.effects
    (last,) = world.notifier()
    assert (state_of(last), last.body) == ("terminated;reason=rejected", "")
    world.answer(last)
    assert not world.has_subscription(dialog)


@pytest.mark.rfc("PA-026")
def test_a_refresh_of_whom_nobody_has_decided_about_any_more_is_pending_without_document(world: World) -> None:
    world.publish()
    dialog = world.watch()
    world.decide(Decision.CONFIRM)
    world.refresh(dialog)
    (told,) = world.notifier()
    assert (state_of(told), told.body) == ("pending;expires=600", "")
    world.set(notify_interval=0)
    world.answer(told)
    world.publish(pidf("t2"))
    assert world.notifier() == []


@pytest.mark.rfc("PA-024")
def test_who_is_allowed_now_gets_the_whole_document(world: World) -> None:
    world.publish(pidf("t1", note="here"))
    world.decide(Decision.CONFIRM)
    dialog = world.watch()
    world.decide(Decision.ALLOW)
    world.refresh(dialog)
    (told,) = world.notifier()
    assert state_of(told) == "active;expires=600"
    assert "here" in told.body


# Several dialogs


def test_dialogs_of_one_watcher_live_and_end_on_their_own(world: World) -> None:
    first, second = world.watch(), world.watch()
    world.refresh(first, expires="0")
    (last,) = world.notifier()
    world.answer(last)
    assert not world.has_subscription(first)
    world.set(notify_interval=0)
    world.publish()
    assert [each.id for each in world.notifier()] == [second]


def test_the_same_refresh_again_is_harmless(world: World) -> None:
    """Seen by another worker, or after a crash: CSeq is not lower than the last one."""
    dialog = world.watch()
    first = world.refresh(dialog, cseq=5)
    assert world.refresh(dialog, cseq=5).reply == first.reply
    assert len(world.notifier()) == 1


def test_a_refresh_is_two_statements(world: World) -> None:
    """Besides what the rules need. The first load is the test's own, which makes the request."""
    world.decide(Decision.ALLOW)
    dialog = world.watch()
    with world.counted() as names:
        world.refresh(dialog)
    assert names == ["subscription_load", "subscription_load", "subscription_refresh"]


@pytest.mark.parametrize(
    ("decision", "expires", "reported"),
    [
        (Decision.CONFIRM, "600", ["subscription_mark_telling", "subscription_number"]),
        (Decision.ALLOW, "0", ["subscription_mark_telling", "watcher_record"]),
    ],
)
def test_a_change_of_state_and_an_end_are_two_statements_more(
    world: World, decision: Decision, expires: str, reported: list[str]
) -> None:
    world.decide(Decision.ALLOW)
    dialog = world.watch()
    world.decide(decision)
    with world.counted() as names:
        world.refresh(dialog, expires=expires)
    assert names == ["subscription_load", "subscription_load", *reported, "subscription_refresh"]
