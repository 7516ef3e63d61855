"""Lists, their documents, their members and several notifiers, all at once: nothing is lost, nobody waits for a circle."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from kemi import administration, store
from kemi.answer import Answer
from kemi.effects import SendRequest
from kemi.event_package import Decision
from kemi.rls import package
from tests.multipart import Told
from tests.unit.values import ALICE, BOB, CAROL, pidf
from tests.verbs.at_once import again, at_once, overtaken
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, Subscriber, entries, user
from tests.verbs.lists import services as document_of
from tests.verbs.world import World, state_of

WORK = "sip:work@example.org"


def ready(world: World) -> World:
    world.set(notify_interval=0)
    world.set_lists(timer_interval=0, auth="none")
    return world


@pytest.fixture
def lists(world: World) -> Lists:
    return Lists(ready(world))


@contextmanager
def meanwhile(
    lists: Lists, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], work: Callable[[Lists], Any]
) -> Iterator[None]:
    """When this function has been called for the first time inside, somebody else does this."""

    def run() -> None:
        other = ready(World(lists.world.url))
        work(Lists(other))
        other.close()

    with overtaken(getattr(*where), run) as called, monkeypatch.context() as patched:
        patched.setattr(*where, called)
        yield


@pytest.mark.rfc("RLS-027")
def test_a_list_that_changes_while_it_is_opened_is_told_as_it_is_then(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    lists.put(ALICE)
    with meanwhile(lists, monkeypatch, (package.members.source, "resolve"), lambda other: other.put(CAROL)):
        dialog = lists.dialog(lists.subscribe())
    subscriber = Subscriber(lists.world, dialog)
    subscriber.told()
    assert subscriber.said()[CAROL] == ("active", None)


@pytest.mark.rfc("RLS-027")
def test_a_list_that_changes_while_it_is_made_anew_is_told_as_it_is_then(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    lists.put(ALICE)
    subscriber = lists.watch()
    with meanwhile(lists, monkeypatch, (package.members.source, "resolve"), lambda other: other.put(CAROL)):
        subscriber.refresh()
    subscriber.told()
    assert subscriber.said()[CAROL] == ("active", None)


@pytest.mark.rfc("RLS-027")
def test_a_list_of_everybody_that_changes_while_it_is_opened_is_told_as_it_is_then(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(lists: Lists, *members: str) -> None:
        lists.world.settings = replace(lists.world.settings, xcap=replace(lists.world.settings.xcap, global_writers=(CAROL,)))
        lists.write("PUT", "/xcap-root/rls-services/global/all", document_of((WORK, entries(members))), CAROL)

    put(lists, ALICE)
    with meanwhile(lists, monkeypatch, (package.members.source, "resolve"), lambda other: put(other, CAROL)):
        dialog = lists.dialog(lists.subscribe(uri=WORK))
    subscriber = Subscriber(lists.world, dialog)
    subscriber.told()
    assert subscriber.said()[CAROL] == ("active", None)


@pytest.mark.rfc("RLS-019")
def test_who_subscribes_while_a_list_appears_is_not_overlooked(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was looked up before the list was there, and its row is not yet to be seen when the list is."""
    with meanwhile(lists, monkeypatch, (store, "create"), lambda other: other.put(ALICE)):
        (first,) = lists.subscribe().sent
    assert lists.world.notifier() == []
    (last,) = lists.world.answer(first)
    assert state_of(last) == "terminated;reason=deactivated"


@pytest.mark.rfc("RLS-018")
@pytest.mark.parametrize("where", [(package.notify, "gather"), (store, "told_parts")])
def test_a_member_that_publishes_while_its_list_is_told_is_told(
    lists: Lists, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str]
) -> None:
    tag = lists.world.publish(pidf("t1", note="one")).tag
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    tag = lists.world.publish(pidf("t1", note="two"), tag).tag
    with meanwhile(lists, monkeypatch, where, lambda other: other.world.publish(pidf("t1", note="three"), tag)):
        subscriber.told()
    subscriber.told()
    assert subscriber.last is not None
    assert "three" in str(subscriber.last.instance(ALICE).body)


def test_a_member_that_publishes_while_a_list_is_refreshed_waits_for_nobody(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever publishes holds its lock before its watchers' rows: so does who writes members."""
    if lists.world.database.engine == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    lists.put(ALICE, CAROL)
    subscriber = lists.watch(ALICE, CAROL)
    with meanwhile(lists, monkeypatch, (package.store, "members"), lambda other: other.world.publish()):
        subscriber.refresh()
    subscriber.told()
    assert subscriber.last is not None
    assert "open" in str(subscriber.last.instance(ALICE).body)


def test_news_of_a_member_whose_list_somebody_works_on_stays(lists: Lists) -> None:
    """It is passed on later; the notifier does not turn in circles meanwhile."""
    if lists.world.database.engine == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    lists.put(ALICE)
    subscriber = lists.watch(ALICE)
    lists.world.publish()
    busy = ready(World(lists.world.url))
    with busy.database.transaction():
        assert store.load(busy.database, subscriber.dialog) is not None
        assert [lists.world.notifier() for _ in range(3)] == [[], [], []]
    busy.close()
    lists.world.now += 1
    assert len(subscriber.told()) == 1


class Listener(Subscriber):
    """A subscriber that remembers all that it was told."""

    def __init__(self, world: World, dialog: str) -> None:
        super().__init__(world, dialog)
        self.heard: list[Told] = []

    def take(self, request: SendRequest) -> Told:
        self.heard.append(super().take(request))
        return self.heard[-1]


class Notifier:
    """One of several: answers what it sends, in its next round."""

    def __init__(self, done: threading.Event) -> None:
        self.done = done
        self.sent: list[SendRequest] = []

    def run(self, mine: World) -> None:
        ready(mine)
        answers: list[Answer] = []
        idle = 0
        while idle < 3 or answers:
            sent = again(lambda answers=answers: mine.notifier(*answers))
            self.sent += sent
            answers = [Answer(each.id, each.cseq, 200) for each in sent]
            idle = idle + 1 if self.done.is_set() and not sent else 0
            if not sent:
                self.done.wait(0.005)


MEMBERS, WATCHERS = (ALICE, CAROL, user(1)), (BOB, user(2), user(3))
STEPS = 12


def publishing(*presentities: str) -> Callable[[World], None]:
    """Members that publish again and again."""

    def work(mine: World) -> None:
        tags: dict[str, str | None] = dict.fromkeys(presentities)
        for step in range(1, STEPS + 1):
            for each in presentities:
                body = pidf("t1", note=f"{step}")
                tags[each] = again(lambda each=each, body=body: mine.publish(body, tags[each], each)).tag

    return work


def services(lists: Lists, *more: str) -> None:
    lists.put_services((FRIENDS, entries([*MEMBERS, WORK, *more])), (WORK, entries(MEMBERS[1:])))


def changing(mine: World) -> None:
    """The list has a member more or less."""
    for step in range(6):
        again(lambda step=step: services(Lists(mine), *[user(9)][: step % 2]))


def judging(mine: World) -> None:
    """What a watcher may see changes, and is everything in the end."""
    for decision in (Decision.CONFIRM, Decision.POLITE_BLOCK, Decision.CONFIRM, Decision.ALLOW):
        again(partial(administration.decide, mine.moment, "presence", CAROL, WATCHERS[1], decision))


def refreshing(dialogs: Sequence[str]) -> Callable[[World], None]:
    """Watchers refresh."""

    def work(mine: World) -> None:
        for each in dialogs * 4:
            again(lambda each=each: mine.refresh(each, supported="eventlist", accept=ACCEPT))

    return work


@pytest.mark.rfc("RLS-018", "RLS-005", "RLS-004")
def test_everybody_ends_with_the_newest_state_of_every_member(lists: Lists) -> None:
    """Two notifiers tell meanwhile; nobody but them repairs what was missed."""
    services(lists)
    subscribers = [Listener(lists.world, lists.dialog(lists.subscribe(each))) for each in WATCHERS]
    done = threading.Event()
    notifiers = [Notifier(done), Notifier(done)]
    works = [publishing(ALICE), publishing(*MEMBERS[1:]), changing, judging, refreshing([each.dialog for each in subscribers])]
    all_done = threading.Barrier(len(works), action=done.set)

    def until_all_are_done(work: Callable[[World], None]) -> Callable[[World], None]:
        def run(mine: World) -> None:
            try:
                work(ready(mine))
            finally:
                all_done.wait(60)

        return run

    at_once(lists.world.url, [*(each.run for each in notifiers), *map(until_all_are_done, works)])
    sent = sorted((each for notifier in notifiers for each in notifier.sent), key=lambda each: each.cseq)
    for subscriber in subscribers:
        for request in sent:
            if request.id == subscriber.dialog:
                subscriber.take(request)
    for each in subscribers:
        each.told()
    newest = {each.dialog: [f">{STEPS}<" in body for body in bodies_of(each)] for each in subscribers}
    assert newest == dict.fromkeys(newest, [True] * (len(MEMBERS) + 2))


def bodies_of(subscriber: Listener) -> list[str]:
    """Of every member that publishes, and of those of them in the list in the list."""
    outer = dict(subscriber.reader.instances())
    inner: dict[str, Any] = {}
    for told in subscriber.heard:
        nested = told.instance(WORK).body if WORK in told.uris else None
        inner |= {each.uri: each.instances[0] for each in nested.resources if each.instances} if isinstance(nested, Told) else {}
    return [str(outer[each].body) for each in MEMBERS] + [str(inner[each].body) for each in MEMBERS[1:]]
