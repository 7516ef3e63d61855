"""Many watchers of large lists, and every member changes: everybody ends with the right state of each (RFC 4662 section 4.5)."""

import pytest

from kemi.answer import Answer
from kemi.rls import store
from tests.unit.values import fields_of, pidf
from tests.verbs.lists import Lists, Subscriber, user
from tests.verbs.world import World

WATCHERS, MEMBERS = 10, 30


@pytest.mark.rfc("RLS-018", "RLS-005")
def test_everybody_ends_with_the_state_of_every_member(world: World) -> None:
    world.set(notify_interval=0)
    world.set_lists(timer_interval=0)
    lists = Lists(world)
    members = [user(number) for number in range(MEMBERS)]
    subscribers: dict[str, Subscriber] = {}
    for number in range(WATCHERS):
        owner, uri = f"sip:watcher{number}@example.org", f"sip:list{number}@example.org"
        lists.put(*members, owner=owner, uri=uri)
        dialog = lists.dialog(lists.subscribe(owner, uri))
        subscribers[dialog] = Subscriber(world, dialog, members)
    take(world, subscribers)
    for number, member in enumerate(members):
        world.publish(pidf("t1", note=f"news of {number}"), presentity=member)
        if number % 3 == 0:
            take(world, subscribers)
    take(world, subscribers)
    for subscriber in subscribers.values():
        known = {uri: instance.body for uri, instance in subscriber.reader.instances()}
        assert {uri: f"news of {number}".encode() in known[uri] for number, uri in enumerate(members)} == dict.fromkeys(
            members, True
        )
    assert store.members_due(world.database, list(subscribers)) == []


def take(world: World, subscribers: dict[str, Subscriber]) -> None:
    """All rounds of the notifier that are needed."""
    answers: list[Answer] = []
    silent = 0
    while silent < 3 or answers:
        sent = world.notifier(*answers)
        for each in sent:
            assert fields_of(each.headers)["Require"] == ["eventlist"]
            subscribers[each.id].take(each)
        answers = [Answer(each.id, each.cseq, 200) for each in sent]
        silent = 0 if sent else silent + 1
