"""Lists in lists: each is full and partial by itself, and so is what did not fit (RFC 4662 sections 4.6 and 5.2)."""

import pytest

from kemi.answer import Answer
from tests.multipart import Told
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.lists import FRIENDS, Lists, Subscriber, all_told, notes, publish, user

WORK = "sip:work@example.org"


def nest(lists: Lists, *members: str) -> None:
    """Alice, and a list of these members."""
    inside = "".join(f'<entry uri="{each}"/>' for each in members)
    lists.put_services((FRIENDS, f'<entry uri="{ALICE}"/><entry uri="{WORK}"/>'), (WORK, inside))


def inner(told: Told) -> Told:
    """What is told of the list in the list."""
    body = told.instance(WORK).body
    assert isinstance(body, Told)
    return body


@pytest.mark.rfc("RLS-020", "RLS-026")
@pytest.mark.parametrize("why", ["refresh", "lost"])
def test_where_everything_is_told_it_is_so_of_lists_in_lists(lists: Lists, why: str) -> None:
    nest(lists, CAROL, BOB)
    subscriber = lists.watch(ALICE, WORK)
    publish(lists, CAROL, "one")
    if why == "refresh":
        subscriber.told()
        subscriber.refresh()
    else:
        for _ in range(3):
            if sent := lists.world.notifier():
                break
        subscriber.take(sent[0])
        lists.world.notifier(Answer(sent[0].id, sent[0].cseq, 500))
        publish(lists, ALICE, "two")
    (told,) = subscriber.told()
    assert told.is_full
    assert (inner(told).is_full, inner(told).version, inner(told).uris) == (True, 2, [CAROL, BOB])
    assert "one" in notes(inner(told))[CAROL]


@pytest.mark.rfc("RLS-006", "RLS-020")
def test_what_does_not_fit_of_a_list_in_a_list_is_told_next(lists: Lists) -> None:
    members = [user(number) for number in range(20)]
    for each in members:
        publish(lists, each, f"of {each}")
    lists.world.set_lists(max_body=3000)
    nest(lists, *members)
    subscriber = Subscriber(lists.world, lists.dialog(lists.subscribe()), [ALICE, WORK])
    said: dict[str, bool] = {}
    for told in all_told(lists, subscriber):
        if WORK in told.uris and told.of(WORK).instances:
            said |= {each.uri: each.uri in str(each.instances) for each in inner(told).resources}
    assert said == dict.fromkeys(members, True)
