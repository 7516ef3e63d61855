"""Lists that mix members of ours with users elsewhere (RFC 4662, SER handbook section 7.6)."""

import pytest

from kemi.b2bua.outgoing import TIMER_N, Phase
from kemi.effects import Log
from kemi.parameters import B2buaSettings, ResourceListSettings
from tests.unit.values import ALICE, BOB, pidf
from tests.verbs.abroad import DAN, DOCUMENT, EVE, Abroad
from tests.verbs.lists import Lists, Subscriber
from tests.verbs.world import World, state_of

ACTIVE, PENDING = ("active", None), ("pending", None)
PROBATION, NORESOURCE, REJECTED = (("terminated", each) for each in ("probation", "noresource", "rejected"))
NOBODY = "sip:nobody@elsewhere.example"


@pytest.fixture
def world(abroad: Abroad) -> World:
    return abroad


def test_a_list_mixes_members_of_ours_and_others(lists: Lists, abroad: Abroad) -> None:
    abroad.publish(pidf("t1", note="near"))
    lists.put(ALICE, DAN, NOBODY)
    subscriber = lists.watch(ALICE, DAN, NOBODY)
    assert subscriber.said() == {ALICE: ACTIVE, DAN: PENDING, NOBODY: ("terminated", "noresource")}
    assert abroad.asked_and_told().uri == DAN
    (told,) = subscriber.told()
    assert (told.is_full, told.uris) == (False, [DAN])
    assert told.instance(DAN).body == DOCUMENT
    assert subscriber.said()[DAN] == ACTIVE


def test_the_last_word_about_a_member_is_told_in_the_list(lists: Lists, abroad: Abroad) -> None:
    lists.put(ALICE, DAN, EVE)
    subscriber = lists.watch(ALICE, DAN, EVE)
    of_dan, of_eve = sorted(abroad.round(), key=lambda each: each.uri)
    abroad.answered(of_eve, 404)
    abroad.notify_from_far(of_dan, "terminated;reason=rejected", b"", content_type=None)
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, DAN: ("terminated", "rejected"), EVE: ("terminated", "noresource")}


def test_a_member_and_a_subscription_of_its_own_share_what_is_asked(lists: Lists, abroad: Abroad) -> None:
    abroad.established()
    lists.put(ALICE, DAN)
    subscriber = lists.watch(ALICE, DAN)
    assert abroad.round() == []
    assert subscriber.said()[DAN] == ACTIVE


def test_when_the_list_ends_its_members_elsewhere_are_left(lists: Lists, abroad: Abroad) -> None:
    lists.put(ALICE, DAN)
    subscriber = lists.watch(ALICE, DAN)
    asked = abroad.asked_and_told()
    subscriber.told()
    subscriber.refresh(expires="0")
    abroad.told()
    (leaving,) = abroad.sweep_abroad()
    assert leaving.id == asked.id
    assert abroad.known(BOB, DAN).phase is Phase.LEAVING


# What keeps a member from being watched


@pytest.mark.rfc("RLS-022", "RLS-023", "RLS-024")
@pytest.mark.parametrize("status", [503, 408, 0, None])
def test_a_member_whose_server_fails_is_on_probation_until_it_does_not(lists: Lists, abroad: Abroad, status: int | None) -> None:
    """Not before the first try has failed; and it comes back as another instance."""
    lists.put(DAN)
    subscriber = lists.watch(DAN, expires="7200")
    (asked,) = abroad.round()
    assert subscriber.told() == []
    assert subscriber.said() == {DAN: PENDING}
    before = instance(subscriber, DAN)
    if status is None:
        abroad.now += TIMER_N + 1
        assert abroad.round() == []
    else:
        abroad.answered(asked, status)
    assert len(subscriber.told()) == 1
    assert (subscriber.said(), instance(subscriber, DAN)) == ({DAN: PROBATION}, before)
    assert abroad.sweep_abroad() == []
    for _ in range(2):
        abroad.now += 300
        (asked,) = abroad.round()
        abroad.answered(asked, 503)
        assert subscriber.told() == []
    abroad.now += 600
    abroad.asked_and_told()
    subscriber.told()
    assert subscriber.said() == {DAN: ACTIVE}
    after = instance(subscriber, DAN)
    assert after != before
    abroad.now += 60
    subscriber.refresh()
    subscriber.told()
    assert (subscriber.said(), instance(subscriber, DAN)) == ({DAN: ACTIVE}, after)


@pytest.mark.rfc("RLS-023")
def test_a_watcher_of_its_own_stays_pending_and_hears_nothing_of_failures(lists: Lists, abroad: Abroad) -> None:
    lists.put(DAN)
    local = abroad.watch_abroad()
    abroad.answer(local.sent[0])
    subscriber = lists.watch(DAN)
    (asked,) = abroad.round()
    abroad.answered(asked, 503)
    assert {each.id for _ in range(3) for each in abroad.told()} == {subscriber.dialog}
    abroad.refresh(local.dialog)
    assert [state_of(each)[:7] for each in abroad.told()] == ["pending"]


@pytest.mark.rfc("RLS-023")
def test_what_was_known_of_a_member_holds_until_the_new_try_has_failed(lists: Lists, abroad: Abroad) -> None:
    lists.put(DAN)
    subscriber = lists.watch(DAN)
    asked = abroad.asked_and_told()
    subscriber.told()
    before = instance(subscriber, DAN)
    abroad.now += 60
    abroad.notify_from_far(asked, "terminated;reason=deactivated", b"", content_type=None)
    (again,) = abroad.round()
    abroad.answered(again, 503)
    assert subscriber.told() == []
    abroad.now += 40
    abroad.round()
    subscriber.told()
    assert (subscriber.said(), instance(subscriber, DAN)) == ({DAN: PROBATION}, before)


@pytest.mark.rfc("RLS-023")
def test_a_refusal_keeps_its_reason_when_the_list_is_asked_again(lists: Lists, abroad: Abroad) -> None:
    lists.put(DAN, EVE)
    subscriber = lists.watch(DAN, EVE)
    of_dan, of_eve = sorted(abroad.round(), key=lambda each: each.uri)
    abroad.answered(of_dan, 404)
    abroad.answered(of_eve, 489)
    subscriber.told()
    known = {DAN: NORESOURCE, EVE: ("terminated", "giveup")}
    assert subscriber.said() == known
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == known


@pytest.mark.rfc("RLS-023")
def test_a_failure_that_turns_into_a_refusal_is_told(lists: Lists, abroad: Abroad) -> None:
    lists.put(DAN)
    subscriber = lists.watch(DAN)
    (asked,) = abroad.round()
    abroad.answered(asked, 503)
    abroad.now += 300
    (asked,) = abroad.round()
    abroad.answered(asked, 403)
    subscriber.told()
    assert subscriber.said() == {DAN: REJECTED}
    assert len(abroad.sweep_abroad()) == 0


@pytest.mark.rfc("RLS-023")
@pytest.mark.parametrize(("limit", "name"), [({"max_per_watcher": 2}, "watcher"), ({"max_per_domain": 2}, "domain")])
def test_members_over_a_limit_are_on_probation_until_the_list_is_asked_again(
    lists: Lists, abroad: Abroad, limit: dict[str, int], name: str
) -> None:
    abroad.parameters(limit)
    others = [f"sip:u{number}@far.example.net" for number in range(5)]
    lists.put(*others)
    opened = lists.subscribe()
    lines = [each.text for each in opened.effects if isinstance(each, Log) and "limit=" in each.text]
    assert [line.partition("limit=")[2] for line in lines] == [f"b2b.max_per_{name} members=3"]
    subscriber = Subscriber(abroad, lists.dialog(opened), others)
    subscriber.told()
    assert list(subscriber.said().values()) == [PENDING] * 2 + [PROBATION] * 3
    assert len(abroad.round()) == 2
    abroad.parameters({"max_per_watcher": 0, "max_per_domain": 0})
    before = instance(subscriber, others[4])
    subscriber.refresh()
    subscriber.told()
    assert set(subscriber.said().values()) == {PENDING}
    assert instance(subscriber, others[4]) != before
    assert len(abroad.round()) == 3


def test_a_list_of_our_longest_fits_into_the_usual_limits() -> None:
    usual = B2buaSettings()
    assert ResourceListSettings().max_members <= usual.max_per_watcher <= usual.max_per_domain


def instance(subscriber: Subscriber, uri: str) -> str:
    """Id of the one instance of a resource, as it was told last."""
    (found,) = (each.id for resource, each in subscriber.reader.instances() if resource == uri)
    return found
