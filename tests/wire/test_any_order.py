"""A walk of random steps on the wire: whatever devices, watchers, decisions, delays and crashes come in which order, nobody is
told what is wrong at that moment, and at rest everybody knows what is. SEED=n repeats a walk, SLOW=1 goes many others.

`tests/verbs/test_any_order.py` does the same to the verbs alone. Here are Kamailio's processes, its transactions, and real time.
"""

import random
import time
from collections.abc import Callable, Iterator

import pytest

from tests.repetitions import repeated, seed_of_this_run
from tests.server import Server
from tests.useragent import UserAgent
from tests.wire.crowd import WINFO, Crowd
from tests.wire.observe import rows
from tests.wire.parties import Device, Dialog

PUBLISHERS = ("alice", "anna")
WATCHERS = ("bob", "carol", "dave")
DEVICES = 3
MOST_DIALOGS = 4
LIFETIMES = (1, 2, 600, 600, 600, 600)
COPIES = (1, 1, 1, 2, 3)
DECISIONS = ("allow", "allow", "polite-block", "confirm", "block")
ANSWERS = (200, 200, 202, 481, 500, 503)
STEPS = 200
PATIENCE = 90.0
"""Seconds until everybody has come to rest; it takes three or four."""


class Walk:
    """The steps, each of which draws what it does from one generator."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.chance, self.crowd = server, random.Random(seed), Crowd(server.address)
        agent = self.crowd.network.agent
        for user in PUBLISHERS:
            self.crowd.devices += [Device(agent(user), f"{user}{number}") for number in range(DEVICES)]
        self.agents = {user: (agent(user), agent(user)) for user in (*PUBLISHERS, *WATCHERS)}
        self.steps: dict[Callable[[], None], int] = {
            self.publish: 14, self.delayed: 3, self.open: 8, self.fetch: 2, self.watch_watchers: 2, self.refresh: 5, self.move: 2,
            self.unsubscribe: 3, self.condition: 4, self.old_number: 1, self.answer: 10, self.decide: 3,
        }  # fmt: skip

    def go(self, steps: int, crashes: int) -> None:
        crash_at = {self.chance.randrange(steps // 4, steps) for _ in range(crashes)}
        for number in range(steps):
            self.chance.choices(list(self.steps), list(self.steps.values()))[0]()
            if number in crash_at:
                self.crash()
            self.crowd.network.turn(self.chance.choice((0, 0, 0.01, 0.05)))

    # What may happen

    def publish(self) -> None:
        device = self.chance.choice(self.crowd.devices)
        if device.is_idle:
            operations = ("modify", "modify", "refresh", "remove", "wrong") if device.is_published else ("create",)
            operation = self.chance.choice(operations)
            expires = 0 if operation == "remove" else self.chance.choice(LIFETIMES)
            self.crowd.publish(device, operation, expires, self.chance.choice(COPIES))

    def delayed(self) -> None:
        device = self.chance.choice(self.crowd.devices)
        sent = device.delayed()
        if sent:
            self.crowd.come_again(device, *self.chance.choice(sent))

    def open(self) -> None:
        watcher = self.chance.choice(WATCHERS)
        if sum(each.watcher == watcher and each.phase != "over" for each in self.crowd.dialogs) < MOST_DIALOGS:
            self._open(watcher, self.chance.choice(PUBLISHERS), "presence", self.chance.choice(LIFETIMES))

    def fetch(self) -> None:
        self._open(self.chance.choice(WATCHERS), self.chance.choice(PUBLISHERS), "presence", 0)

    def watch_watchers(self) -> None:
        user = self.chance.choice(PUBLISHERS)
        if sum(each.package == WINFO and each.phase != "over" for each in self.crowd.dialogs) < MOST_DIALOGS:
            self._open(user, user, WINFO, self.chance.choice(LIFETIMES))

    def _open(self, watcher: str, resource: str, package: str, expires: int) -> None:
        agent: UserAgent = self.chance.choice(self.agents[watcher])
        self.crowd.open(agent, resource, package, expires, self.chance.choice(COPIES))

    def _idle(self) -> Iterator[Dialog]:
        """One that something can be asked for in, if there is any."""
        idle = [each for each in self.crowd.dialogs if each.is_idle]
        if idle:
            yield self.chance.choice(idle)

    def refresh(self) -> None:
        for dialog in self._idle():
            self.crowd.subscribe(dialog, self.chance.choice(LIFETIMES), self.chance.choice(COPIES))

    def move(self) -> None:
        for dialog in self._idle():
            if not dialog.has_moved:
                first, second = self.agents[dialog.watcher]
                dialog.agent, dialog.has_moved = second if dialog.agent is first else first, True
                self.crowd.subscribe(dialog, 600, self.chance.choice(COPIES))

    def unsubscribe(self) -> None:
        for dialog in self._idle():
            self.crowd.subscribe(dialog, 0, self.chance.choice(COPIES), self.chance.choice(("", dialog.etag)))

    def condition(self) -> None:
        for dialog in self._idle():
            if dialog.package != WINFO:
                condition = self.chance.choice((dialog.etag, dialog.etag, "*", "another"))
                self.crowd.subscribe(dialog, 600, self.chance.choice(COPIES), condition)

    def old_number(self) -> None:
        for dialog in self._idle():
            if dialog.own_cseq > 1:
                self.crowd.old_number(dialog)

    def answer(self) -> None:
        """How the next NOTIFY is answered."""
        for dialog in self._idle():
            dialog.status, dialog.is_late = self.chance.choice(ANSWERS), self.chance.random() < 0.3

    def decide(self) -> None:
        user, watcher, decision = self.chance.choice(PUBLISHERS), self.chance.choice(WATCHERS), self.chance.choice(DECISIONS)
        self.crowd.decided += 1
        self.crowd.decisions[user, watcher] = decision
        self.server.control("authorize", f"{user}@example.org", f"{watcher}@example.org", decision)
        self.crowd.decided += 1

    def crash(self) -> None:
        self.crowd.crashed_at.append(time.time())
        self.server.kill()
        self.server.start()
        self.crowd.crashed_at.append(time.time())

    # What must hold

    def rest(self) -> None:
        """Wait until nothing is under way, and everybody knows what is.

        Raises:
            TimeoutError: it does not come to that.
        """
        end = time.monotonic() + PATIENCE
        while differences := [*self.crowd.differences(), *self._rows_that_differ()]:
            if self.crowd.problems or time.monotonic() > end:
                raise TimeoutError("\n".join([*self.crowd.problems, *differences]))
            self.crowd.network.turn(0.1)

    def _rows_that_differ(self) -> Iterator[str]:
        """What is stored, and what there is."""
        dialogs = {each.call_id for each in self.crowd.dialogs if each.phase != "over"}
        if {call_id for (call_id,) in rows(self.server, "SELECT call_id FROM subscription")} != dialogs:
            yield "other subscriptions are stored"
        tags = {each.etag for each in self.crowd.devices if each.is_published}
        if {tag for (tag,) in rows(self.server, "SELECT etag FROM publication")} != tags:
            yield "other publications are stored"

    def all_come_again(self) -> None:
        """Whatever was published: one more copy of each request, also of what has been removed or has expired."""
        for device in self.crowd.devices:
            for sent in device.delayed():
                self.crowd.come_again(device, *sent)

    def refresh_all(self) -> None:
        """Each dialog that lives still works, and is told everything again."""
        for dialog in self.crowd.dialogs:
            if dialog.phase == "live":
                dialog.status, dialog.is_late = 200, False
                self.crowd.subscribe(dialog, 600)


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server({"KP_SET": "pa.notify_interval=0;pa.min_expires=1"})


@pytest.mark.crash
@pytest.mark.rfc("PUB-002", "PA-001", "PA-022", "PA-025", "PA-031", "PA-041", "WINFO-003", "TRN-006", "TRN-007", "TRN-010")
@pytest.mark.parametrize("walk", range(repeated(1, 20)))
def test_in_any_order_nobody_is_told_what_is_wrong_and_everybody_ends_with_what_is(server: Server, walk: int) -> None:
    seed = seed_of_this_run() + walk
    print(f"SEED={seed}")
    walking = Walk(server, seed)
    try:
        walking.go(STEPS, crashes=2)
        walking.rest()
        walking.all_come_again()
        walking.refresh_all()
        walking.rest()
        assert walking.crowd.problems == []
    finally:
        walking.crowd.network.close()
    assert "Traceback" not in server.log.read_text(errors="replace")
