"""Watchers come, go and are given up while others begin to watch the watchers: in the end each of these knows what is so."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from queue import Empty, Queue
from typing import Any

import pytest

from kemi import sweep
from kemi.answer import Answer
from kemi.database import Conflict
from kemi.effects import SendRequest
from kemi.event_package import Decision
from tests.unit.values import ALICE, BOB
from tests.verbs.at_once import at_once, overtaken
from tests.verbs.watched import WINFO, Watched
from tests.verbs.world import World
from tests.watcherinfo import Reader

TRIES = 20
ROUNDS = 6
WAITING_EXPIRATION = 60


def again(work: Callable[[], Any]) -> Any:
    """As the handler does it, and after it the client."""
    for _ in range(TRIES):
        try:
            return work()
        except Conflict:
            continue
    return work()


class Network:
    """What was sent, by whomever, and what of it is not answered yet; and how many are still busy with requests."""

    def __init__(self, busy: int) -> None:
        self._busy = busy
        self._lock = threading.Lock()
        self._waiting: Queue[SendRequest] = Queue()
        self.sent: list[SendRequest] = []

    def carry(self, requests: list[SendRequest]) -> None:
        self.sent.extend(requests)
        for each in requests:
            self._waiting.put(each)

    def answers(self) -> list[Answer]:
        """200 to everything that waits."""
        found = []
        while True:
            try:
                request = self._waiting.get_nowait()
            except Empty:
                return found
            found.append(Answer(request.id, request.cseq, 200))

    def done(self) -> None:
        with self._lock:
            self._busy -= 1

    @property
    def is_busy(self) -> bool:
        return self._busy > 0

    def finish(self, world: World) -> None:
        """Until nothing more goes out."""
        while True:
            answers = self.answers()
            sent = world.notifier(*answers)
            if not sent and not answers:
                return
            self.carry(sent)

    def views(self) -> list[dict[str, tuple[str, str, str]]]:
        """What each reader knows after all its documents, in order."""
        documents: dict[str, dict[int, str]] = defaultdict(dict)
        for each in self.sent:
            if "watcherinfo" in each.body:
                documents[each.id][each.cseq] = each.body
        found = []
        for bodies in documents.values():
            reader = Reader()
            for cseq in sorted(bodies):
                reader.take(bodies[cseq])
            found.append(reader.view)
        return found


Job = Callable[[World], None]


def coming_and_going(network: Network, number: int, decision: Decision) -> Job:
    """A watcher who subscribes and leaves again, but for the last time."""

    def live(mine: World) -> None:
        mine.decide(decision)
        for left in reversed(range(ROUNDS)):
            done = again(lambda: mine.subscribe(f"sip:watcher{number}@example.org"))
            network.carry(done.sent)
            again(lambda dialog=done.dialog: mine.refresh(dialog))
            if left:
                again(lambda dialog=done.dialog: mine.refresh(dialog, expires="0"))
        network.done()

    return live


def asking(network: Network) -> Job:
    """Alice, who opens one subscription after the other."""

    def live(mine: World) -> None:
        for _ in range(ROUNDS):
            network.carry(again(lambda: mine.subscribe(ALICE, event=WINFO)).sent)
        network.done()

    return live


def notifying(network: Network) -> Job:
    def live(mine: World) -> None:
        while network.is_busy:
            answers = network.answers()
            network.carry(again(lambda answers=answers: mine.notifier(*answers)))

    return live


def giving_up(network: Network) -> Job:
    """The sweep, at a time when who waits has waited too long."""

    def live(mine: World) -> None:
        mine.now += WAITING_EXPIRATION
        while network.is_busy:
            again(lambda: sweep.give_up(mine.moment))

    return live


@pytest.mark.rfc("WINFO-003", "WINFO-010", "WINFO-015", "TRN-025")
@pytest.mark.parametrize("is_given_up", [False, True])
def test_who_watches_the_watchers_ends_with_what_is_so(world: World, is_given_up: bool) -> None:
    network = Network(4)
    jobs = [
        coming_and_going(network, 1, Decision.ALLOW),
        coming_and_going(network, 2, Decision.CONFIRM),
        coming_and_going(network, 3, Decision.CONFIRM),
        asking(network),
        notifying(network),
        notifying(network),
        *([giving_up(network)] if is_given_up else []),
    ]
    at_once(world.url, jobs, notify_interval=0, waiting_expiration=WAITING_EXPIRATION)
    world.set(notify_interval=0)
    network.finish(world)
    table = Watched(world).table()
    assert sorted(status for _, status, _ in table.values()) == ["active", "pending", "pending"]
    assert network.views() == [table] * ROUNDS


def unsubscribe(mine: World, dialog: str) -> object:
    return again(lambda: mine.refresh(dialog, expires="0"))


def expire(mine: World, _dialog: str) -> object:
    mine.now += 600
    return again(mine.notifier)


def give_up(mine: World, _dialog: str) -> object:
    mine.now += WAITING_EXPIRATION
    return again(lambda: sweep.give_up(mine.moment))


@pytest.mark.rfc("WINFO-009", "WINFO-015")
@pytest.mark.parametrize(
    ("decision", "change"), [(Decision.ALLOW, unsubscribe), (Decision.CONFIRM, expire), (Decision.CONFIRM, give_up)]
)
def test_an_end_that_overtakes_the_first_document_is_told(
    world: World, decision: Decision, change: Callable[[World, str], object]
) -> None:
    """It comes after the document was made, and before the subscription that it is for can be seen."""
    world.set(notify_interval=0, waiting_expiration=WAITING_EXPIRATION)
    world.decide(decision)
    watched = Watched(world)
    bob = watched.come(BOB, expires="600")
    if change is give_up:
        watched.refresh(bob, expires="0")

    def work() -> None:
        other = World(world.url, notify_interval=0, waiting_expiration=WAITING_EXPIRATION)
        other.decide(decision)
        change(other, bob)
        other.close()

    template = world.packages[WINFO]
    with overtaken(template.render, work) as render:
        world.packages[WINFO] = replace(template, render=render)
        alice = watched.winfo(expires="3600")
    watched.pause(WAITING_EXPIRATION if change is give_up else 600)
    watched.pause(0)
    assert watched.view(alice) == watched.table()
    assert len(watched.news(alice)) > 1
