"""Lists that do not fit into one NOTIFY: what is told first, what follows, and which way it goes (RFC 4662 section 5.2, RFC 3261
section 18.1.1)."""

from html import escape

import pytest

from kemi import dialog, notify
from kemi.effects import Effect, Log, SendRequest, Wake
from kemi.event_package import Decision
from kemi.sip import transport_of
from kemi.subscription import TIMER_F
from tests.unit.values import ALICE, BOB
from tests.verbs.lists import FRIENDS, Lists, Subscriber, all_told, publish

MANY = 700
STREAM = {"contact": "<sip:bob@198.51.100.7:5062;transport=tcp>"}


def long_names(number: int) -> list[str]:
    """Members whose URIs have 85 octets each."""
    return [f"sip:{'member-with-a-long-name' * 3}-{each:03}@example.org" for each in range(number)]


def entries_with_names(members: list[str]) -> str:
    """The same with display names as long."""
    return "".join(f'<entry uri="{each}"><display-name>{"A long name " * 6}&amp;</display-name></entry>' for each in members)


def subscribed(lists: Lists, members: list[str], **changes: str) -> Subscriber:
    return Subscriber(lists.world, lists.dialog(lists.subscribe(**changes)), members)


def way(request: SendRequest) -> str:
    return transport_of(request.next_hop or request.uri)


def a_round(lists: Lists) -> list[Effect]:
    """One round of the notifier, with all that is to be done."""
    world = lists.world
    return notify.notify(world.moment, (), set())[0]


@pytest.mark.rfc("RLS-005", "RLS-006")
def test_members_that_do_not_fit_into_a_datagram_even_by_name_are_told_over_tcp(lists: Lists) -> None:
    """The first NOTIFY has to list all of them; what follows is small enough."""
    members = long_names(MANY)
    publish(lists, members[-1], "the last one")
    lists.put(*members)
    subscriber = subscribed(lists, members)
    told = all_told(lists, subscriber)
    assert (told[0].is_full, any(each.is_full for each in told[1:])) == (True, False)
    first, *others = subscriber.requests
    assert (way(first), first.next_hop.partition(";")[0]) == ("tcp", "sip:bob@198.51.100.7:5062")
    assert dialog.octets_of(first) > dialog.LARGEST_DATAGRAM
    assert {way(each) for each in others} == {"udp"}
    assert all(dialog.octets_of(each) < dialog.LARGEST_DATAGRAM for each in others)
    known = dict(subscriber.reader.instances())
    assert sorted(known) == sorted(members)
    assert b"the last one" in known[members[-1]].body  # type: ignore[operator]


def test_what_goes_another_way_is_logged_with_the_reason(lists: Lists) -> None:
    lists.put(*long_names(MANY))
    lists.subscribe()
    lines = [each.text for each in a_round(lists) if isinstance(each, Log) and "too large" in each.text]
    assert [line.partition(": ")[0] for line in lines] == ["NOTIFY too large for UDP, it goes over TCP"]
    assert f"most={dialog.LARGEST_DATAGRAM} watcher={BOB}" in lines[0]


def test_who_does_not_answer_over_tcp_is_not_tried_for_ever(lists: Lists) -> None:
    lists.put(*long_names(MANY))
    dialog_id = lists.dialog(lists.subscribe())
    assert len(lists.world.notifier()) == 1
    lists.world.now += TIMER_F + 3
    gone = [each.text for each in a_round(lists) if isinstance(each, Log)]
    assert any(line.startswith("subscription removed") and "why=no answer to NOTIFY" in line for line in gone)
    assert not lists.world.has_subscription(dialog_id)
    lists.world.now += 100
    assert lists.world.notifier() == []


def test_what_is_left_is_told_as_soon_as_the_first_part_is_answered(lists: Lists) -> None:
    """Answers wait for each other; that of a NOTIFY with more behind it does not."""
    lists.put(*long_names(MANY))
    lists.subscribe()
    assert Wake(blocked=True) in a_round(lists)


@pytest.mark.rfc("RLS-025")
def test_display_names_give_way_to_members(lists: Lists) -> None:
    """With them a full NOTIFY would not fit into a datagram; they are told with what follows."""
    members = long_names(400)
    lists.put(content=entries_with_names(members))
    subscriber = subscribed(lists, members)
    told = all_told(lists, subscriber)
    assert {way(each) for each in subscriber.requests} == {"udp"}
    assert all(dialog.octets_of(each) < dialog.LARGEST_DATAGRAM for each in subscriber.requests)
    assert [bool(each.names) for each in told[0].resources] == [bool(each.instances) for each in told[0].resources]
    assert all(each.names == (("", f"{'A long name ' * 6}&"),) for each in subscriber.reader.resources.values())
    assert len(list(subscriber.reader.instances())) == len(members)


@pytest.mark.parametrize(("changes", "is_cut"), [({}, True), (STREAM, False)])
def test_without_a_limit_only_datagrams_are_cut(lists: Lists, changes: dict[str, str], is_cut: bool) -> None:
    members = long_names(150)
    lists.world.set_lists(max_body=0)
    lists.put(*members)
    subscriber = subscribed(lists, members, **changes)
    assert (len(all_told(lists, subscriber)) > 1) == is_cut
    assert {way(each) for each in subscriber.requests} == {"udp" if is_cut else "tcp"}
    assert len(list(subscriber.reader.instances())) == len(members)


@pytest.mark.rfc("RLS-005", "RLS-006")
@pytest.mark.parametrize("changes", [{}, STREAM])
def test_a_fetch_is_told_whole_whatever_the_limit_is(lists: Lists, changes: dict[str, str]) -> None:
    members = long_names(150)
    lists.world.set_lists(max_body=5000)
    lists.put(*members)
    subscriber = subscribed(lists, members, expires="0", **changes)
    (told,) = all_told(lists, subscriber)
    assert all(each.instances for each in told.resources)
    assert [way(each) for each in subscriber.requests] == ["tcp"]


def test_a_fetch_that_fits_stays_where_it_is(lists: Lists) -> None:
    lists.world.set_lists(max_body=1000)
    lists.put(*long_names(10))
    subscriber = subscribed(lists, long_names(10), expires="0")
    (told,) = all_told(lists, subscriber)
    assert all(each.instances for each in told.resources)
    assert [way(each) for each in subscriber.requests] == ["udp"]


@pytest.mark.rfc("RLS-005", "RLS-020")
def test_a_fetch_is_told_whole_with_the_lists_in_the_list(lists: Lists) -> None:
    members = long_names(60)
    lists.world.set_lists(max_body=5000)
    work = "sip:work@example.org"
    inside = "".join(f'<entry uri="{each}"/>' for each in members)
    lists.put_services((FRIENDS, f'<entry uri="{work}"/><entry uri="{ALICE}"/>'), (work, inside))
    subscriber = subscribed(lists, [work, ALICE], expires="0")
    (told,) = all_told(lists, subscriber)
    nested = told.instance(work).body
    assert all(each.instances for each in nested.resources)  # type: ignore[union-attr]
    assert len(nested.resources) == len(members)  # type: ignore[union-attr]


@pytest.mark.parametrize("changes", [{}, STREAM])
def test_the_last_notify_of_a_dialog_is_cut_and_nothing_follows(lists: Lists, changes: dict[str, str]) -> None:
    members = long_names(60)
    lists.world.set_lists(max_body=5000)
    lists.put(*members)
    subscriber = subscribed(lists, members, **changes)
    all_told(lists, subscriber)
    lists.world.now += 1
    subscriber.refresh(expires="0")
    (told,) = all_told(lists, subscriber)
    assert (told.is_full, subscriber.state) == (True, "terminated;reason=timeout")
    assert not all(each.instances for each in told.resources)
    assert not lists.world.has_subscription(subscriber.dialog)


@pytest.mark.rfc("RLS-006")
def test_members_without_a_document_are_counted_too(lists: Lists) -> None:
    members = long_names(300)
    lists.world.decide(Decision.CONFIRM)
    lists.world.set_lists(max_body=40_000)
    lists.put(*members)
    subscriber = subscribed(lists, members)
    all_told(lists, subscriber)
    assert all(len(each.body) <= 40_000 for each in subscriber.requests)
    assert subscriber.said() == dict.fromkeys(members, ("pending", None))


@pytest.mark.rfc("RLS-006")
@pytest.mark.parametrize("most", [1, 6_000, 20_000, 60_000])
def test_no_body_is_longer_than_it_may_be_but_for_one_member(lists: Lists, most: int) -> None:
    """Names with characters that XML writes as others, and documents of several sizes."""
    members = [f"sip:k&uuml{number}@example.org" for number in range(60)]
    for number, each in enumerate(members):
        publish(lists, each, "ü" * 20 * number)
    inside = "".join(f'<entry uri="{escape(each)}"><display-name>&lt;&#252;&gt;</display-name></entry>' for each in members)
    lists.world.set_lists(max_body=most)
    lists.put(content=inside)
    subscriber = subscribed(lists, members)
    told = all_told(lists, subscriber)
    lengths = [len(each.body.encode()) for each in subscriber.requests]
    instances = [sum(bool(each.instances) for each in document.resources) for document in told]
    names_alone = sum(35 + len(escape(each)) for each in members)
    allowed = [max(most, names_alone) if document.is_full else most for document in told]
    assert [length <= limit or shown == 1 for length, limit, shown in zip(lengths, allowed, instances, strict=True)] == [
        True
    ] * len(told)
    assert sum(instances) == len(members)
