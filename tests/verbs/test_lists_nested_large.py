"""Lists that name each other are no larger than one list may be, however they change (kemi/rls/nested.py, RFC 4662 section 7.4)."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kemi.effects import Log
from kemi.errors import SipError
from kemi.rls import store
from kemi.rls.expansion import ListTooLarge
from tests.multipart import Told
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.lists import FRIENDS, Lists, Subscriber, entries, user
from tests.verbs.world import World

WORK, FAMILY, CLUB = "sip:work@example.org", "sip:family@example.org", "sip:club@example.org"
INDEX = f"resource-lists/users/{BOB}/index"
BROKEN = f'<entry-ref ref="{INDEX}/~~/resource-lists/list"/>'
"""It refers to what is no entry: 502."""

ALL = {"resource": "", "package": "", "watcher": "", "limit": 100}

pytestmark = pytest.mark.rfc("SEC-015", "RLS-021")


def name_each_other(lists: Lists, number: int) -> str:
    """As many lists, each with all of them; one of them."""
    uris = [f"sip:list{each}@example.org" for each in range(number)]
    lists.put_services(*((each, entries(uris)) for each in uris))
    return uris[0]


def below(lists: Lists, *dialogs: str) -> int:
    """How many members there are in these lists and the lists in them."""
    members = [each for found in store.shown(lists.world.database, dialogs).values() for each in found]
    inner = [each.id for each in members if each.is_list]
    return len(members) + (below(lists, *inner) if inner else 0)


def tree(lists: Lists, work: int, family: int, uri: str = FRIENDS) -> None:
    """A list of two lists with as many members."""
    members = [[user(each) for each in range(number)] for number in (work, family)]
    lists.put_services((uri, entries([WORK, FAMILY])), *zip((WORK, FAMILY), map(entries, members), strict=True))


def inner(subscriber: Subscriber, uri: str) -> int:
    """How many members of a list in the list were told of last."""
    assert subscriber.last is not None
    body = subscriber.last.instance(uri).body
    assert isinstance(body, Told)
    return len(body.uris)


@pytest.mark.parametrize("number", [6, 9])
def test_lists_that_name_each_other_are_refused_where_they_are_too_many(lists: Lists, number: int) -> None:
    uri = name_each_other(lists, number)
    with lists.world.counted() as statements, pytest.raises(SipError) as refused:
        lists.subscribe(uri=uri)
    assert refused.value.status == 403
    assert "1000 entries" in str(refused.value)
    assert statements.count("list_service") == 1 + number, "once to know that it is a list, then once for each"
    assert lists.world.database.execute("administration_subscriptions", ALL).rows() == []


def test_a_few_that_name_each_other_end_where_each_would_stand_in_itself(lists: Lists) -> None:
    lists.watch(uri=name_each_other(lists, 3))
    dialog = lists.dialog(lists.subscribe(uri="sip:list0@example.org"))
    assert below(lists, dialog) == 3 + 2 * 3 + 2 * 3


@pytest.mark.parametrize(("most", "status"), [(12, 200), (11, 403)])
def test_entries_of_the_lists_in_a_list_count(lists: Lists, most: int, status: int) -> None:
    lists.world.set_lists(max_members=most)
    tree(lists, 4, 6)
    if status == 200:
        assert below(lists, lists.watch(WORK, FAMILY).dialog) == most
        return
    with pytest.raises(SipError) as refused:
        lists.subscribe()
    assert refused.value.status == status


def test_a_list_counts_in_each_place_where_it_stands(lists: Lists) -> None:
    lists.world.set_lists(max_members=7)
    many = entries([ALICE, CAROL])
    lists.put_services((FRIENDS, entries([WORK, FAMILY])), (WORK, many), (FAMILY, entries([WORK])))
    assert below(lists, lists.watch(WORK, FAMILY).dialog) == 7
    lists.world.set_lists(max_members=6)
    with pytest.raises(SipError):
        lists.subscribe()


def test_a_list_in_a_list_that_grows_too_long_leaves_all_as_it_was(lists: Lists) -> None:
    lists.world.set_lists(max_members=12)
    tree(lists, 4, 6)
    subscriber = lists.watch(WORK, FAMILY)
    tree(lists, 3, 8)
    lists.world.told()
    assert below(lists, subscriber.dialog) == 12
    subscriber.refresh()
    subscriber.told()
    assert (inner(subscriber, WORK), inner(subscriber, FAMILY)) == (4, 6)
    tree(lists, 2, 8)
    subscriber.told()
    assert below(lists, subscriber.dialog) == 12


def test_what_is_left_as_it_was_says_so_in_the_log(lists: Lists) -> None:
    lists.world.set_lists(max_members=3)
    tree(lists, 1, 0)
    subscriber = lists.watch(WORK, FAMILY)
    tree(lists, 1, 1)
    lines = [each.text for each in subscriber.refresh().effects if isinstance(each, Log)]
    assert any("list not usable" in each and "more than 3 entries with those of the lists in it" in each for each in lines)


def test_a_list_that_breaks_keeps_its_members_and_they_count(lists: Lists) -> None:
    lists.world.set_lists(max_members=12)
    lists.put_lists("<list/>")
    tree(lists, 4, 6)
    subscriber = lists.watch(WORK, FAMILY)
    for number, left in ((3, 11), (5, 11), (4, 12)):
        members = entries(user(each) for each in range(number))
        lists.put_services((FRIENDS, entries([WORK, FAMILY])), (WORK, members), (FAMILY, BROKEN))
        subscriber.told()
        assert below(lists, subscriber.dialog) == left


def test_what_a_list_that_breaks_keeps_has_lists_in_it(lists: Lists) -> None:
    lists.world.set_lists(max_members=12)
    lists.put_lists("<list/>")
    root, club = (FRIENDS, entries([WORK, FAMILY])), (CLUB, entries(user(each) for each in range(5)))
    lists.put_services(root, (WORK, entries([ALICE])), (FAMILY, entries([CLUB])), club)
    subscriber = lists.watch(WORK, FAMILY)
    for number, left in ((5, 9), (4, 12)):
        lists.put_services(root, (WORK, entries(user(each) for each in range(number))), (FAMILY, BROKEN), club)
        subscriber.told()
        assert below(lists, subscriber.dialog) == left


NAMES = (FRIENDS, WORK, FAMILY, CLUB)
CONTENT = st.one_of(
    st.just(BROKEN), st.lists(st.sampled_from((*NAMES, ALICE, CAROL, *map(user, range(6)))), unique=True, max_size=7).map(entries)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(4, 25), st.lists(st.dictionaries(st.sampled_from(NAMES[1:]), CONTENT), min_size=1, max_size=5))
def test_whatever_lists_become_there_are_no_more_members_than_a_list_may_have(
    world: World, most: int, documents: list[dict[str, str]]
) -> None:
    lists = Lists(world.empty())
    world.set(notify_interval=0)
    world.set_lists(timer_interval=0, max_members=most)
    lists.put_lists("<list/>")
    subscriber = None
    for each in documents:
        lists.put_services((FRIENDS, entries(NAMES)), *each.items())
        with suppress(ListTooLarge):
            subscriber = subscriber or lists.watch()
        if subscriber is None:
            continue
        subscriber.told()
        assert below(lists, subscriber.dialog) <= most
