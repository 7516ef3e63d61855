"""What a list that is watched costs in memory and in the database, and whether all of it is given back.

Lists of 100 members who have published: nobody watches, then some do, then more; all leave, and as many come again. In the end all
members change at once, several times, so that there is as much to be told as there can be.
"""

from __future__ import annotations

import time

import memory
from cases import Size
from list_cases import Lists
from load import Wire
from measure import Work
from memory import Sample
from servers import Server

FEW, MANY = 100, 400
CHANGES = 5
LULL = 1.0
"""Seconds without a NOTIFY, after which members change again."""

KEPT = 6.0
"""Seconds in which Kamailio still has a transaction that was answered, and a little more."""

LONGEST = 20.0


class ListMemory:
    """Subscriptions to lists that come, are told of a change, and go."""

    slices = 1

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self._server = server
        self._wire = wire
        self._lists = Lists(server, wire, "m")

    def prepare(self) -> None:
        """Members publish, watchers get their lists."""
        self._lists.publish("first")
        self._lists.put(MANY)

    def slice(self, number: int) -> Work:
        """All of it; an operation is a member that was told to a watcher."""
        work = Work(memory=[self._sample("nobody yet", 0)])
        self._come(work, 0, FEW)
        work.memory.append(self._sample("", FEW))
        self._come(work, FEW, MANY)
        work.memory.append(self._sample("", MANY))
        work.failures |= self._lists.unsubscribe(0, MANY).failures
        work.memory.append(self._sample("all have left", 0))
        self._come(work, 0, MANY)
        work.memory.append(self._sample("again", MANY))
        self._change(work)
        work.memory.append(self._sample("changed", MANY))
        return work

    def _come(self, work: Work, first: int, last: int) -> None:
        """Watchers subscribe."""
        came = self._lists.subscribe(first, last - first)
        work.operations += came.operations
        work.expected += came.expected
        work.seconds += came.seconds
        work.failures |= came.failures

    def _change(self, work: Work) -> None:
        """All members change at once, a few times."""
        for number in range(CHANGES):
            work.failures |= self._lists.publish(f"{number:06d}")
            self._wire.drain(LULL)

    def _sample(self, moment: str, lists: int) -> Sample:
        """What is held once transactions are over: when shared memory does not shrink any more."""
        started = time.monotonic()
        self._wire.drain(KEPT)
        last = memory.shared_memory(self._server)["used"]
        while time.monotonic() - started < LONGEST:
            self._wire.drain(1.0)
            before, last = last, memory.shared_memory(self._server)["used"]
            if last >= before:
                break
        return Sample(moment, lists, memory.held(self._server))


CASES = {"list-memory": ListMemory}
