"""A fetch (Expires: 0) of somebody elsewhere waits for the state, not for ever, and is told once (RFC 6665 section 4.4.3)."""

from collections.abc import Callable

import pytest

from kemi import subscribe
from kemi.b2bua import relay
from kemi.b2bua.outgoing import Phase
from kemi.b2bua.relay import Wish
from kemi.event_package import LIST
from kemi.subscribe import tag_of
from tests.unit.values import ALICE, BOB, CAROL, SUBSCRIBE, fields_of, pidf
from tests.verbs.abroad import DAN, DOCUMENT, EVE, Abroad
from tests.verbs.lists import ACCEPT, Lists, Subscriber
from tests.verbs.world import SECRET, World, accepted, state_of

WAIT = 5
OVER = "terminated;reason=timeout"


@pytest.fixture
def world(abroad: Abroad) -> World:
    return abroad


def test_a_fetch_waits_for_the_document(abroad: Abroad) -> None:
    fetched = abroad.watch_abroad(expires="0")
    assert fetched.reply.status == 200
    assert fetched.header("Expires") == "0"
    assert fetched.sent == []
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    assert abroad.told() == []
    abroad.notify_from_far(asked)
    (told,) = abroad.told()
    assert state_of(told) == OVER
    assert told.body.encode() == DOCUMENT
    assert abroad.told() == []
    assert not abroad.has_subscription(told.id)


def test_what_a_fetch_has_begun_is_left_when_it_was_told(abroad: Abroad) -> None:
    abroad.watch_abroad(expires="0")
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    assert abroad.sweep_abroad() == [], "it still waits"
    abroad.notify_from_far(asked)
    abroad.told()
    (leaving,) = abroad.sweep_abroad()
    assert fields_of(leaving.headers)["Expires"] == ["0"]
    assert abroad.known().phase is Phase.LEAVING


def test_nothing_is_told_when_nothing_came_in_time(abroad: Abroad) -> None:
    abroad.watch_abroad(expires="0")
    abroad.round()
    abroad.now += WAIT - 1
    assert abroad.told() == []
    abroad.now += 1
    (told,) = abroad.told()
    assert (state_of(told), told.body) == (OVER, "")
    assert abroad.told() == []


def test_a_fetch_that_waits_outlives_a_restart(abroad: Abroad, connect: Callable[..., World]) -> None:
    abroad.watch_abroad(expires="0")
    abroad.round()
    other = connect()
    other.packages = abroad.packages
    other.now = abroad.now + WAIT
    (told,) = other.told()
    assert state_of(told) == OVER


def test_what_is_known_is_told_at_once(abroad: Abroad) -> None:
    abroad.established()
    (told,) = abroad.watch_abroad(expires="0").sent
    assert (state_of(told), told.body.encode()) == (OVER, DOCUMENT)
    assert abroad.round() == []


def test_pending_there_is_an_answer_too(abroad: Abroad) -> None:
    abroad.watch_abroad(expires="0")
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, "pending;expires=600", b"", content_type=None)
    (told,) = abroad.told()
    assert (state_of(told), told.body) == (OVER, "")


@pytest.mark.parametrize(("status", "reason"), [(403, "rejected"), (404, "noresource"), (489, "giveup")])
def test_a_refusal_is_told_for_what_it_is(abroad: Abroad, status: int, reason: str) -> None:
    abroad.watch_abroad(expires="0")
    (asked,) = abroad.round()
    abroad.answered(asked, status)
    (told,) = abroad.told()
    assert (state_of(told), told.body) == (f"terminated;reason={reason}", "")


def test_who_was_asked_in_vain_is_not_waited_for(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    abroad.answered(asked, 503)
    (told,) = abroad.watch_abroad(expires="0").sent
    assert (state_of(told), told.body) == (OVER, "")


def test_no_fetch_waits_where_none_is_to(abroad: Abroad) -> None:
    abroad.parameters({"fetch_wait": 0})
    (told,) = abroad.watch_abroad(expires="0").sent
    assert (state_of(told), told.body) == (OVER, "")


def test_a_subscription_beside_it_goes_on(abroad: Abroad) -> None:
    """The state is the fetch's own; the other device of the same watcher is active."""
    lasting = abroad.watch_abroad()
    abroad.answer(lasting.sent[0])
    fetched = abroad.watch_abroad(expires="0")
    assert fetched.sent == []
    (asked,) = abroad.round()
    abroad.notify_from_far(asked)
    told = {each.id: state_of(each).partition(";")[0] for each in abroad.told()}
    assert sorted(told.values()) == ["active", "terminated"]
    assert told[lasting.dialog] == "active"


def test_another_watcher_s_answer_tells_nothing(abroad: Abroad) -> None:
    abroad.watch_abroad(BOB, expires="0")
    abroad.watch_abroad(CAROL, expires="0")
    of_bob, of_carol = sorted(abroad.round(), key=lambda each: fields_of(each.headers)["From"])
    abroad.notify_from_far(of_carol)
    assert len(abroad.told()) == 1
    abroad.notify_from_far(of_bob)
    assert len(abroad.told()) == 1


def test_a_condition_that_holds_then_leaves_the_document_out(abroad: Abroad) -> None:
    _local, known = abroad.established()
    (first,) = abroad.watch_abroad(expires="0").sent
    (tag,) = fields_of(first.headers)["SIP-ETag"]
    abroad.watch_abroad(CAROL, expires="0", suppress=tag)
    (asked,) = abroad.round()
    assert asked.id != known.id
    abroad.notify_from_far(asked)
    (told,) = [each for each in abroad.told() if each.id != first.id]
    assert (state_of(told), told.body, fields_of(told.headers)["SIP-ETag"]) == (OVER, "", [tag])


# Lists


def fetch_list(lists: Lists, *members: str) -> Subscriber:
    return Subscriber(lists.world, lists.dialog(lists.subscribe(expires="0")), members)


def test_the_fetch_of_a_list_waits_for_all_members_elsewhere(lists: Lists, abroad: Abroad) -> None:
    abroad.publish(pidf("t1", note="near"))
    lists.put(ALICE, DAN, EVE)
    subscriber = fetch_list(lists, ALICE, DAN, EVE)
    assert subscriber.told() == []
    of_dan, of_eve = sorted(abroad.round(), key=lambda each: each.uri)
    abroad.notify_from_far(of_dan)
    assert subscriber.told() == []
    assert abroad.sweep_abroad() == [], "it still waits"
    abroad.answered(of_eve, 404)
    (told,) = subscriber.told()
    assert told.is_full
    assert told.instance(DAN).body == DOCUMENT
    assert subscriber.said()[EVE] == ("terminated", "noresource")
    assert state_of(subscriber.requests[-1]) == OVER
    assert not abroad.has_subscription(subscriber.dialog)


def test_the_fetch_of_a_list_does_not_wait_for_ever(lists: Lists, abroad: Abroad) -> None:
    lists.put(ALICE, DAN)
    subscriber = fetch_list(lists, ALICE, DAN)
    abroad.round()
    abroad.now += WAIT
    (told,) = subscriber.told()
    assert told.is_full
    assert subscriber.said()[DAN] == ("pending", None)


def test_a_list_of_users_here_is_told_at_once(lists: Lists, abroad: Abroad) -> None:
    abroad.watch_abroad(BOB, DAN)
    lists.put(ALICE)
    assert len(fetch_list(lists, ALICE).told()) == 1


def test_a_list_whose_members_elsewhere_are_known_is_told_at_once(lists: Lists, abroad: Abroad) -> None:
    abroad.established()
    lists.put(ALICE, DAN)
    (told,) = fetch_list(lists, ALICE, DAN).told()
    assert told.instance(DAN).body == DOCUMENT


def test_a_user_who_is_fetched_besides_does_not_hold_a_list(lists: Lists, abroad: Abroad) -> None:
    lists.put(ALICE, DAN)
    subscriber = fetch_list(lists, ALICE, DAN)
    alone = abroad.watch_abroad(BOB, EVE, expires="0")
    of_dan, _of_eve = sorted(abroad.round(), key=lambda each: each.uri)
    abroad.notify_from_far(of_dan)
    assert len(subscriber.told()) == 1
    assert alone.sent == abroad.told() == []


def test_the_fetch_of_a_list_elsewhere_waits_too(abroad: Abroad) -> None:
    abroad.set_lists(timer_interval=0)
    team = "sip:team@far.example.net"
    arguments = (BOB, team, "presence" + LIST, Wish("tag"), relay.name_of(SECRET))
    relay.want(abroad.moment, *arguments)
    request = SUBSCRIBE._replace(uri=team, to_uri=team, supported="eventlist", accept=ACCEPT, expires="0")
    tag = tag_of(request, SECRET, is_list=True)
    assert accepted(subscribe.subscribe(abroad.moment, request, team, BOB, tag)).sent == []
    assert abroad.told() == []
    (asked,) = abroad.round()
    document = DOCUMENT.replace(b"dan", b"team")
    abroad.notify_from_far(asked, body=document)
    (told,) = abroad.told()
    assert (state_of(told), told.body.encode()) == (OVER, document)
