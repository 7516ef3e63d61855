"""SUBSCRIBEs that are seen again, and the refusals that look alike: kemi/subscribe.py, kemi/refresh.py, RFC 3261 section 17.2.2."""

import pytest

from kemi import subscribe
from kemi.effects import Status, Wake
from kemi.errors import ServiceUnavailable
from kemi.event_package import Decision
from kemi.subscribe import RETRY_AFTER
from tests.unit.values import BOB, CAROL, SUBSCRIBE
from tests.verbs.watched import Watched
from tests.verbs.world import Refused, World


@pytest.mark.rfc("TRN-009")
@pytest.mark.parametrize("condition", [None, "something-else"])
def test_a_refresh_that_is_seen_again_is_answered_with_what_is_left_and_told_once(world: World, condition: str | None) -> None:
    dialog = world.watch()
    world.refresh(dialog, cseq=5, branch="z9hG4bK-again", expires="600", suppress=condition)
    assert len(world.told()) == 1
    before = world.subscription(dialog)
    world.now += 10
    again = world.refresh(dialog, cseq=5, branch="z9hG4bK-again", expires="600", suppress=condition)
    assert (again.reply.status, again.header("Expires")) == (200, "590")
    assert world.subscription(dialog) == before
    assert world.notifier() == []


@pytest.mark.rfc("TRN-009")
def test_the_first_subscribe_is_the_same_one_also_after_a_refresh(world: World) -> None:
    """A late copy of it; the row has the branch of the refresh."""
    done = world.subscribe_request(SUBSCRIBE)
    world.answer(done.sent[0])
    world.refresh(done.dialog, branch="z9hG4bK-refresh")
    before = world.subscription(done.dialog)
    assert world.subscribe_request(SUBSCRIBE).reply.status == 200
    assert world.subscription(done.dialog) == before


def test_over_the_limit_a_client_that_supports_lists_waits_as_long_as_others(world: World) -> None:
    world.set(max_subscriptions=1)
    world.watch(BOB)
    with pytest.raises(ServiceUnavailable) as caught:
        world.subscribe(BOB, supported="eventlist")
    assert ("Retry-After", str(RETRY_AFTER)) in caught.value.headers
    assert world.subscribe(CAROL, supported="eventlist").reply.status == 200


def test_a_refusal_in_the_dialog_is_told_to_scripts_and_who_watches_the_watchers(world: World) -> None:
    watched = Watched(world)
    dialog, alice = watched.come(), watched.winfo()
    watched.news(alice)
    world.decide(Decision.BLOCK)
    world.set(notify_interval=0)
    with pytest.raises(Refused) as caught:
        world.refresh(dialog)
    assert [each.word for each in caught.value.effects if isinstance(each, Status)] == ["rejected"]
    assert [each for each in caught.value.effects if isinstance(each, Wake)] == [Wake(), Wake()]
    watched.flow()
    assert watched.told(alice).entries == [(BOB, "terminated", "rejected")]


@pytest.mark.rfc("TRN-003", "TRN-025")
def test_a_refresh_in_a_dialog_with_a_route_waits_for_the_notify_in_flight(world: World) -> None:
    routed = {"record_route": "<sip:p1.example.net;lr>", "contact": "<sip:bob@10.0.0.7>"}
    (first,) = world.subscribe(**routed).sent
    world.refresh(first.id)
    assert world.notifier() == []
    assert [each.cseq for each in world.answer(first)] == [2]


@pytest.mark.rfc("TRN-013")
def test_notifies_go_out_where_the_last_subscribe_came_in(world: World) -> None:
    dialog = world.watch()
    world.refresh(dialog, socket="udp:192.0.2.2:5060")
    assert [each.socket for each in world.told()] == ["udp:192.0.2.2:5060"]


@pytest.mark.parametrize(
    ("expires", "is_last"), [(None, False), ("", True), ("0", True), (" 0 ", True), ("00", True), ("1", False), ("10", False)]
)
def test_nothing_is_left_of_a_fetch_and_after_the_end(expires: str | None, is_last: bool) -> None:
    assert subscribe.is_last(SUBSCRIBE._replace(expires=expires)) is is_last
