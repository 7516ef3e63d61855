"""What is measured over SIP. A case prepares a server once and is then run in slices, so that servers can take turns.

The cases of one server follow each other in the order of CASES, on the same store: the later ones meet one that is not
empty, and the presentities that the first one published are those the second one subscribes to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import messages
from load import PATIENCE, ClosedLoop, Operation, Tally, Wire, publish_twice, subscribe_once
from measure import Work, work_of
from messages import Message
from servers import Server

LAST_NOTIFY = 1.5
SLICE_LIMIT = 4.0
PACE = 0.002


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each case one slice does."""

    slices: int
    users: int
    subscriptions: int
    watchers: int
    changes: int
    samples: int
    http_slices: int
    requests: int
    seconds: float
    outstanding: int = 8


FULL = Size(slices=4, users=400, subscriptions=500, watchers=500, changes=4, samples=60, http_slices=2, requests=400, seconds=1.5)
QUICK = Size(slices=2, users=150, subscriptions=200, watchers=500, changes=2, samples=30, http_slices=1, requests=200, seconds=1.0)


class Case(Protocol):
    """One thing that is measured on one server, in so many slices."""

    slices: int

    def __init__(self, server: Server, wire: Wire, size: Size) -> None: ...

    def prepare(self) -> None:
        """Do what is not measured, and warm up."""

    def slice(self, number: int) -> Work:
        """Do one piece of what is measured."""


class Publish:
    """PUBLISH, initial and then a modification, while nobody watches."""

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self.slices = size.slices
        self.wire = wire
        self.size = size

    def prepare(self) -> None:
        """Warm up with users of its own."""
        self._run("warm", 0, self.size.users // 2)

    def slice(self, number: int) -> Work:
        """The next users."""
        return work_of(self._run("user", number * self.size.users, self.size.users), requests=2)

    def _run(self, prefix: str, first: int, count: int) -> Tally:
        return ClosedLoop(self.wire, self.size.outstanding).run(self._operations(prefix, first, count))

    def _operations(self, prefix: str, first: int, count: int) -> Iterator[tuple[str, Operation]]:
        for number in range(first, first + count):
            callid = f"publish-{prefix}{number}"
            yield callid, publish_twice(self.wire, f"{prefix}{number}", callid)


class Subscribe:
    """SUBSCRIBE with its first NOTIFY and the 200 to that; every watcher is new and watches one presentity."""

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self.slices = size.slices
        self.wire = wire
        self.size = size

    def prepare(self) -> None:
        """Warm up with watchers of their own."""
        self._run("early", 0, self.size.subscriptions // 4)

    def slice(self, number: int) -> Work:
        """The next watchers."""
        return work_of(self._run("watcher", number * self.size.subscriptions, self.size.subscriptions))

    def _run(self, prefix: str, first: int, count: int) -> Tally:
        return ClosedLoop(self.wire, self.size.outstanding).run(self._operations(prefix, first, count))

    def _operations(self, prefix: str, first: int, count: int) -> Iterator[tuple[str, Operation]]:
        for number in range(first, first + count):
            callid = f"subscribe-{prefix}{number}"
            user = f"user{number % (self.size.users * self.size.slices)}"
            yield callid, subscribe_once(self.wire, f"{prefix}{number}", user, callid)


class Fanout:
    """One PUBLISH after the other to a presentity with many watchers; the next when all were told, or none comes."""

    user = "popular"
    slice_limit = SLICE_LIMIT

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self.slices = size.slices
        self.wire = wire
        self.changes = size.changes
        self.watched = Watched(wire, self.user, size.watchers)

    def prepare(self) -> None:
        """Subscribe the watchers, and change the state once."""
        self.watched.subscribe()
        self.watched.change()

    def slice(self, number: int) -> Work:
        """The next changes."""
        before, started = self.wire.notifies, time.monotonic()
        work = Work()
        for _ in range(self.changes):
            self._change(work)
            if time.monotonic() - started > self.slice_limit:
                break
        work.operations = len(work.delays_ms)
        work.seconds = time.monotonic() - started
        work.repeated = self.wire.notifies - before - work.operations
        work.failures, self.watched.failures = self.watched.failures, {}
        return work

    def _change(self, work: Work) -> None:
        work.expected += len(self.watched.callids)
        work.delays_ms += self.watched.change()


class Latency(Fanout):
    """PUBLISH to NOTIFY with one watcher, one after the other, with a pause in between."""

    user = "single"

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        super().__init__(server, wire, size)
        self.changes = size.samples
        self.watched = Watched(wire, self.user, 1)

    def _change(self, work: Work) -> None:
        super()._change(work)
        time.sleep(PACE)


CASES: dict[str, type[Case]] = {"publish": Publish, "subscribe": Subscribe, "fanout": Fanout, "latency": Latency}


@dataclass(slots=True)
class Publication:
    """What one user publishes, PUBLISH after PUBLISH: the newest state, when it was sent, and the entity-tag that came back."""

    user: str
    callid: str
    cseq: int = 0
    mark: str = ""
    sent: int = 0
    etag: bytes = b""

    def request(self, address: str, mark: str) -> bytes:
        """The PUBLISH of the next state, which is to be sent now."""
        self.cseq += 1
        self.mark, self.sent = mark, time.time_ns()
        return messages.publish(self.user, self.callid, self.cseq, address, mark, self.etag)


class Watched:
    """A presentity with a number of watchers, changed one PUBLISH at a time."""

    last_notify = LAST_NOTIFY

    def __init__(self, wire: Wire, user: str, watchers: int) -> None:
        self.wire = wire
        self.callids = [f"{user}-{number}" for number in range(watchers)]
        self.failures: dict[str, int] = {}
        self.publication = Publication(user, f"{user}-publisher")
        self._changes = 0

    def subscribe(self) -> None:
        """Subscribe them all."""
        user = self.publication.user
        operations = ((callid, subscribe_once(self.wire, callid, user, callid)) for callid in self.callids)
        self.failures |= ClosedLoop(self.wire, 8).run(operations).failures

    def change(self) -> list[float]:
        """PUBLISH the next state; the milliseconds until it reached each of the watchers that it reached."""
        self._changes += 1
        mark = f"state {self._changes:06d}"
        self.wire.send(self.publication.request(self.wire.address, mark))
        return [(arrived - self.publication.sent) / 1_000_000 for arrived in self._arrivals(mark.encode())]

    def _arrivals(self, mark: bytes) -> list[int]:
        publication = self.publication
        waiting = {callid.encode() for callid in self.callids}
        arrivals: list[int] = []
        answered = False
        while waiting or not answered:
            message = self.wire.receive(self.last_notify if answered else PATIENCE)
            if message is None:
                break
            callid = message.header(b"Call-ID")
            if callid == publication.callid.encode():
                answered = answered or message.header(b"CSeq").startswith(b"%d " % publication.cseq)
                self._note(message)
            elif callid in waiting and mark in message.data:
                waiting.remove(callid)
                arrivals.append(message.arrived)
        if not answered:
            self._fail("no answer")
        return arrivals

    def _note(self, reply: Message) -> None:
        if reply.status == 200:
            self.publication.etag = reply.header(b"SIP-ETag")
        else:
            self._fail(reply.status_line)

    def _fail(self, why: str) -> None:
        """Count a failure; whatever the server made of it, the next PUBLISH is an initial one."""
        self.failures[why] = self.failures.get(why, 0) + 1
        self.publication.etag = b""
