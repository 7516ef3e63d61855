"""Members of lists that cannot be watched now: rules that refuse, limits, and decisions that nobody makes (RFC 4662 section 4.5).

As soon as the member may be watched the list that is watched tells it, as a subscription to that user alone would.
"""

from typing import Any

import pytest

from kemi import administration, decision_store, reauthorize
from kemi.effects import Log
from kemi.event_package import Decision
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.unit.xcap.rules import identity, one, rule, validity
from tests.verbs.lists import FRIENDS, Lists, Subscriber, notes, publish, user
from tests.verbs.ruled import BOBS, Ruled, allow, sphere, time
from tests.verbs.watched import WINFO, Watched

ACTIVE, PENDING = ("active", None), ("pending", None)
REJECTED, NORESOURCE = ("terminated", "rejected"), ("terminated", "noresource")
GIVEUP, PROBATION = ("terminated", "giveup"), ("terminated", "probation")
WORK = "sip:work@example.org"
DAY = 86400


@pytest.fixture
def ruled(lists: Lists) -> Ruled:
    return Ruled(lists.world, auth_default="block")


def decide(lists: Lists, decision: Decision | None, watcher: str = BOB, member: str = ALICE) -> list[str]:
    """What management says; the lines about it."""
    world = lists.world
    effects = administration.decide(world.moment, "presence", member, watcher, decision)
    return [each.text for each in effects if isinstance(each, Log)]


# Rules


@pytest.mark.rfc("RLS-023", "RLS-024", "AUTH-024")
@pytest.mark.parametrize(
    ("decision", "said"), [(Decision.ALLOW, ACTIVE), (Decision.POLITE_BLOCK, ACTIVE), (Decision.CONFIRM, PENDING), (None, ACTIVE)]
)
def test_who_was_refused_is_told_at_once_when_it_is_let(
    lists: Lists, decision: Decision | None, said: tuple[str, str | None]
) -> None:
    publish(lists, ALICE, "secret")
    decide(lists, Decision.BLOCK)
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    assert subscriber.said() == {ALICE: REJECTED, CAROL: ACTIVE}
    (line,) = decide(lists, decision)
    assert line.endswith(f"state={said[0]} was=terminated")
    (told,) = subscriber.told()
    assert (told.uris, told.is_full, subscriber.said()[ALICE]) == ([ALICE], False, said)
    shows = decision in (Decision.ALLOW, None)
    assert ("secret" in notes(told).values()) is shows
    publish(lists, ALICE, "more")
    assert [each.uris for each in subscriber.told()] == ([[ALICE]] if shows else [])


@pytest.mark.rfc("AUTH-024")
def test_rules_that_refuse_and_let_again_and_again(lists: Lists) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    for decision, said in ((Decision.BLOCK, REJECTED), (Decision.ALLOW, ACTIVE), (Decision.BLOCK, REJECTED), (None, ACTIVE)):
        decide(lists, decision)
        assert [each.uris for each in subscriber.told()] == [[ALICE]]
        assert subscriber.said() == {ALICE: said}


def test_nothing_is_told_where_rules_refuse_still(lists: Lists) -> None:
    decide(lists, Decision.BLOCK)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    decide(lists, Decision.ALLOW, watcher=CAROL)
    assert decide(lists, Decision.BLOCK) == []
    assert subscriber.told() == []


@pytest.mark.rfc("AUTH-024", "AUTH-025")
def test_rules_that_the_member_writes_and_its_sphere_count_at_once(lists: Lists, ruled: Ruled) -> None:
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    assert subscriber.said() == {ALICE: REJECTED}
    ruled.put(allow(f'{BOBS}<cp:sphere value="work"/>'), rule(BOBS, "block"))
    assert subscriber.told() == []
    tag = lists.world.publish(sphere("work")).tag
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}
    lists.world.publish(sphere("home"), tag)
    subscriber.told()
    assert subscriber.said() == {ALICE: REJECTED}


@pytest.mark.rfc("AUTH-024")
def test_rules_that_the_clock_changes_count_at_once(lists: Lists, ruled: Ruled) -> None:
    now = lists.world.now
    ruled.put(allow(f"{BOBS}{validity(time(now + 60), time(now + 120))}"), rule(BOBS, "block"))
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    said = [subscriber.said()[ALICE]]
    for _ in range(3):
        lists.world.now += 50
        lists.world.tick()
        subscriber.told()
        said.append(subscriber.said()[ALICE])
    assert said == [REJECTED, REJECTED, ACTIVE, REJECTED]
    lists.world.now += 50
    assert lists.world.tick() == []


def test_a_member_that_left_the_list_is_not_let_in_again(lists: Lists) -> None:
    decide(lists, Decision.BLOCK)
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    lists.put(CAROL)
    decide(lists, Decision.ALLOW)
    subscriber.reader.members = None
    subscriber.told()
    assert subscriber.said() == {ALICE: NORESOURCE, CAROL: ACTIVE}


@pytest.mark.rfc("RLS-011")
def test_another_users_list_in_a_list_is_let_by_no_rule_about_its_uri(lists: Lists) -> None:
    lists.put(CAROL, owner=ALICE, uri=WORK)
    lists.put(WORK)
    subscriber = lists.watch(WORK)
    assert subscriber.said() == {WORK: REJECTED}
    assert decide(lists, Decision.ALLOW, member=WORK) == []
    assert subscriber.told() == []


def test_a_list_in_a_list_tells_it_too(lists: Lists) -> None:
    decide(lists, Decision.BLOCK)
    lists.put_services((FRIENDS, f'<entry uri="{WORK}"/>'), (WORK, f'<entry uri="{ALICE}"/>'))
    subscriber = lists.watch(WORK)
    decide(lists, Decision.ALLOW)
    (told,) = subscriber.told()
    assert told.instance(WORK).body.instance(ALICE).said == ACTIVE  # type: ignore[union-attr]


# What watcher information says of it


@pytest.fixture
def watched(lists: Lists) -> Watched:
    return Watched(lists.world)


@pytest.mark.rfc("WINFO-019", "WINFO-015")
def test_watcher_information_tells_who_is_refused_and_let_again(lists: Lists, watched: Watched) -> None:
    lists.put(ALICE)
    lists.subscribe()
    dialog = watched.winfo()
    watched.flow()
    assert list(watched.view(dialog).values()) == [(BOB, "active", "subscribe")]
    ids = set(watched.view(dialog))
    for decision, now in (
        (Decision.BLOCK, []),
        (Decision.CONFIRM, [(BOB, "pending", "subscribe")]),
        (Decision.ALLOW, [(BOB, "active", "approved")]),
    ):
        decide(lists, decision)
        watched.flow()
        assert list(watched.view(dialog).values()) == now
        assert watched.table() == watched.view(dialog)
        ids |= set(watched.view(dialog))
    assert len(ids) == 2, "one that has ended does not come again, it is a new one"


@pytest.mark.rfc("WINFO-015")
def test_who_is_let_again_before_anybody_was_told_of_the_end_is_there_once(lists: Lists, watched: Watched) -> None:
    lists.put(ALICE)
    lists.subscribe()
    watched.flow()
    dialog = watched.winfo()
    decide(lists, Decision.BLOCK)
    decide(lists, None)
    watched.flow()
    assert [each[:2] for each in watched.view(dialog).values()] == [(BOB, "active")]
    lists.world.now += 10
    decide(lists, Decision.BLOCK)
    watched.flow()
    assert watched.view(dialog) == {}


# How many may watch


def crowded(lists: Lists, watchers: int, most: int) -> None:
    """Alice has so many watchers."""
    lists.world.set(max_watchers=0)
    for number in range(watchers):
        lists.world.watch(user(number))
    lists.world.set(max_watchers=most)


@pytest.mark.rfc("RLS-023")
def test_a_member_with_too_many_watchers_is_not_watched_by_lists_either(lists: Lists) -> None:
    crowded(lists, 3, most=3)
    publish(lists, ALICE, "secret")
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    assert subscriber.said() == {ALICE: PROBATION, CAROL: ACTIVE}
    publish(lists, ALICE, "more")
    assert subscriber.told() == []
    lists.world.set(max_watchers=4)
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE, CAROL: ACTIVE}


def test_who_watches_already_stays(lists: Lists) -> None:
    crowded(lists, 2, most=3)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.set(max_watchers=1)
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


def test_lists_take_a_place_each(lists: Lists) -> None:
    crowded(lists, 1, most=3)
    said = []
    for number in range(3):
        owner, uri = f"sip:owner{number}@example.org", f"sip:list{number}@example.org"
        lists.put(ALICE, owner=owner, uri=uri)
        said.append(lists.watch(ALICE, watcher=owner, uri=uri).said()[ALICE])
    assert said == [ACTIVE, ACTIVE, PROBATION]


def test_no_more_are_let_in_than_may_watch(lists: Lists) -> None:
    lists.world.decide(Decision.BLOCK)
    subscribers = []
    for number in range(3):
        owner, uri = f"sip:owner{number}@example.org", f"sip:list{number}@example.org"
        lists.put(ALICE, owner=owner, uri=uri)
        subscribers.append(Subscriber(lists.world, lists.dialog(lists.subscribe(owner, uri)), [ALICE]))
    take(lists, subscribers)
    lists.world.set(max_watchers=2)
    lists.world.decide(Decision.ALLOW)
    reauthorized(lists)
    take(lists, subscribers)
    assert sorted(each.said()[ALICE] for each in subscribers) == [ACTIVE, ACTIVE, REJECTED]


def test_who_is_not_let_in_for_want_of_room_is_not_judged_again_each_second(lists: Lists, ruled: Ruled) -> None:
    now, other = lists.world.now, user(1)
    lists.world.set(max_watchers=1)
    begun = f"{BOBS}{validity(time(now + 60), time(now + 120))}"
    ruled.put(allow(identity(one(other))), allow(begun), rule(BOBS, "block"))
    lists.world.watch(other)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.now += 70
    lists.world.tick()
    assert subscriber.told() == []
    assert decision_store.to_judge(lists.world.database, lists.world.now, 10) == []
    assert [resource for resource, _ in decision_store.to_judge(lists.world.database, now + 121, 10)] == [ALICE]
    lists.world.set(max_watchers=2)
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


def take(lists: Lists, subscribers: list[Subscriber]) -> None:
    """Everybody takes what is told."""
    by_dialog, silent = {each.dialog: each for each in subscribers}, 0
    while silent < 3:
        sent = lists.world.told()
        for each in sent:
            by_dialog[each.id].take(each)
        silent = 0 if sent else silent + 1


def reauthorized(lists: Lists) -> None:
    world = lists.world
    reauthorize.reauthorize(world.moment, "presence", ALICE)


# Who waits for a decision


@pytest.mark.rfc("WINFO-012", "RLS-023")
def test_who_waits_too_long_in_a_list_gives_up(lists: Lists, watched: Watched) -> None:
    lists.world.set(waiting_expiration=DAY)
    lists.world.decide(Decision.CONFIRM)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE, expires="7200")
    for _ in range(13):
        lists.world.now += 7000
        subscriber.refresh(expires="7200")
        subscriber.told()
    assert subscriber.said() == {ALICE: GIVEUP}
    assert watched.table() == {}
    lists.world.now += 7000
    subscriber.refresh(expires="7200")
    subscriber.told()
    assert subscriber.said() == {ALICE: PENDING}, "its list asks for it anew"


@pytest.mark.rfc("WINFO-012")
def test_who_gave_up_is_told_when_somebody_decides(lists: Lists) -> None:
    lists.world.set(waiting_expiration=60)
    decide(lists, Decision.CONFIRM)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.now += 100
    subscriber.refresh()
    subscriber.told()
    assert subscriber.said() == {ALICE: GIVEUP}
    assert decide(lists, Decision.CONFIRM) == []
    decide(lists, Decision.ALLOW)
    subscriber.told()
    assert subscriber.said() == {ALICE: ACTIVE}


@pytest.mark.rfc("WINFO-007")
def test_who_waits_in_a_list_goes_on_waiting_when_that_ends(lists: Lists, watched: Watched) -> None:
    lists.world.set(waiting_expiration=DAY)
    lists.world.decide(Decision.CONFIRM)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.now += 10
    subscriber.refresh(expires="0")
    subscriber.told()
    assert list(watched.table().values()) == [(BOB, "waiting", "timeout")]
    watched.pause(DAY + 20)
    assert watched.table() == {}


# Who comes while a member is away


def stored(lists: Lists) -> list[Any]:
    """Watchers that are kept for those who are away: (watched, watcher, status)."""
    found = []
    for member in (ALICE, CAROL):
        parameters = {"resource": member, "package": "presence"}
        rows = lists.world.database.execute("administration_recorded", parameters).rows()
        found += [(row[1], row[3], row[5]) for row in rows if row[-1]]
    return found


@pytest.mark.parametrize(
    ("decision", "use", "changes", "kept"),
    [
        (Decision.CONFIRM, 1, {}, [(ALICE, BOB, "pending")]),
        (Decision.CONFIRM, 0, {}, []),
        (Decision.ALLOW, 1, {}, []),
        (Decision.BLOCK, 1, {}, []),
        (Decision.CONFIRM, 1, {"expires": "0"}, []),
    ],
)
def test_members_that_are_away_are_told_later_who_came(
    lists: Lists, decision: Decision, use: int, changes: dict[str, str], kept: list[tuple[str, str, str]]
) -> None:
    """As by a SUBSCRIBE to each of them: carol is there."""
    lists.world.set(use_offline_winfo=use)
    lists.world.publish(pidf("t1"), presentity=CAROL)
    lists.world.decide(decision)
    lists.put(ALICE, CAROL)
    lists.subscribe(**changes)
    assert stored(lists) == kept


def test_who_came_by_a_list_is_told_once(lists: Lists, watched: Watched) -> None:
    lists.world.set(use_offline_winfo=1, waiting_expiration=60)
    lists.world.decide(Decision.CONFIRM)
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    subscriber.refresh()
    subscriber.told()
    lists.world.now += 10
    subscriber.refresh(expires="0")
    subscriber.told()
    watched.pause(120)
    assert stored(lists) == [(ALICE, BOB, "pending")]
    dialog = watched.winfo()
    assert [each.uri for document in watched.news(dialog) for each in document.watchers] == [BOB]
    assert stored(lists) == []
    assert lists.world.subscription(dialog).package == WINFO
