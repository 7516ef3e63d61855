"""Watchers come, go and are given up while others begin to watch the watchers: in the end each of these knows what is so."""

import threading
from collections import defaultdict
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any

import pytest

from kemi.database import Conflict
from kemi.effects import SendRequest
from kemi.event_package import Decision
from kemi.notify import Answer
from kemi.watcher import Status
from tests.unit.values import ALICE
from tests.verbs.test_concurrency import HEAD_START, at_once, quiescent
from tests.verbs.watched import WINFO, Watched
from tests.verbs.world import World
from tests.watcherinfo import Reader

TRIES = 20
ROUNDS = 6


def again(work: Callable[[], Any]) -> Any:
    """As the handler does it, and the client after it."""
    for _ in range(TRIES):
        try:
            return work()
        except Conflict:
            continue
    return work()


class Network:
    """What was sent and not answered yet, whoever sent it, and all that was sent."""

    def __init__(self, busy: int) -> None:
        self.busy = threading.Semaphore(0)
        self._left = busy
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
            self._left -= 1

    @property
    def is_busy(self) -> bool:
        return self._left > 0


def settled(world: World, network: Network) -> None:
    """Nothing is left to tell; the readers of each dialog, and the table, agree."""
    last = quiescent(world, [each for each in network.sent if is_in_flight(world, each)])
    del last


def is_in_flight(world: World, request: SendRequest) -> bool:
    return world.has_subscription(request.id) and world.subscription(request.id).in_flight_since is not None


def coming_and_going(network: Network, number: int, decision: Decision) -> Callable[[World], None]:
    """A watcher who subscribes and leaves, each time but the last."""

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


def asking(network: Network) -> Callable[[World], None]:
    """Alice, who opens one subscription after the other."""

    def live(mine: World) -> None:
        for _ in range(ROUNDS):
            network.carry(again(lambda: mine.subscribe(ALICE, event=WINFO)).sent)
        network.done()

    return live


def notifying(network: Network) -> Callable[[World], None]:
    def live(mine: World) -> None:
        while network.is_busy:
            answers = network.answers()
            network.carry(again(lambda answers=answers: mine.notifier(*answers)))

    return live


def giving_up(network: Network) -> Callable[[World], None]:
    """The sweep of a time when nobody waits any more."""

    def live(mine: World) -> None:
        mine.now += 100_000_000
        while network.is_busy:
            from kemi import sweep

            again(lambda: sweep.give_up(mine.database, mine.settings, mine.packages, mine.now))

    return live


def views(sent: list[SendRequest]) -> dict[str, dict[str, tuple[str, str, str]]]:
    """What each reader knows, by dialog, after all its documents in order."""
    by_dialog: dict[str, dict[int, SendRequest]] = defaultdict(dict)
    for each in sent:
        if "watcherinfo" in each.body:
            by_dialog[each.id][each.cseq] = each
    readers: dict[str, Reader] = defaultdict(Reader)
    for dialog, requests in by_dialog.items():
        for cseq in sorted(requests):
            readers[dialog].take(requests[cseq].body)
    return {dialog: reader.view for dialog, reader in readers.items()}


def finish(world: World, network: Network) -> None:
    """Answer and tell until nothing is left."""
    while True:
        answers = network.answers()
        sent = world.notifier(*answers)
        if not sent and not answers:
            return
        network.carry(sent)


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
    ]
    if is_given_up:
        jobs.append(giving_up(network))
    at_once(world.url, jobs, notify_interval=0)
    world.set(notify_interval=0)
    finish(world, network)
    known = views(network.sent)
    assert len(known) == ROUNDS
    table = Watched(world).table()
    assert sorted(status for _, status, _ in table.values()) == ["active", "pending", "pending"]
    assert all(view == table for view in known.values())
