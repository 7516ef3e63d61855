"""Lists that mix members of ours with users elsewhere (RFC 4662, SER handbook section 7.6)."""

import pytest

from kemi.b2bua.outgoing import Phase
from tests.unit.values import ALICE, BOB, pidf
from tests.verbs.abroad import DAN, DOCUMENT, EVE, Abroad
from tests.verbs.lists import Lists

ACTIVE, PENDING = ("active", None), ("pending", None)
NOBODY = "sip:nobody@elsewhere.example"


@pytest.fixture
def abroad(database_url: str) -> Abroad:
    return Abroad(database_url).empty()


@pytest.fixture
def lists(abroad: Abroad) -> Lists:
    abroad.set_lists(timer_interval=0)
    return Lists(abroad)


def test_a_list_mixes_members_of_ours_and_others(lists: Lists, abroad: Abroad) -> None:
    abroad.publish(pidf("t1", note="near"))
    lists.put(ALICE, DAN, NOBODY)
    subscriber = lists.watch(ALICE, DAN, NOBODY)
    assert subscriber.said() == {ALICE: ACTIVE, DAN: PENDING, NOBODY: ("terminated", "noresource")}
    (asked,) = abroad.round()
    assert asked.uri == DAN
    abroad.answered(asked, expires=3600)
    abroad.notify_from_far(asked)
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
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    abroad.notify_from_far(asked)
    subscriber.told()
    subscriber.refresh(expires="0")
    abroad.told()
    (leaving,) = abroad.sweep_abroad()
    assert leaving.id == asked.id
    assert abroad.known(BOB, DAN).phase is Phase.LEAVING
