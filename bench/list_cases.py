"""What is measured of lists of resources (RFC 4662): SUBSCRIBEs to lists of 100 users, and what changes of these cost then.

Each case has members and watchers of its own; all lists of a case have the same members, who have published. What watchers know in
the end is compared with what was published last.
"""

from __future__ import annotations

import time

import list_messages
from cases import Fanout, Publication, Size, Watched
from http_load import Connection
from load import ClosedLoop, Operation, Wire, succeed
from measure import Work
from messages import Message
from servers import Server

MEMBERS = 100
OUTSTANDING = 4
PATIENCE = 5.0
"""Seconds in which a list has to be told completely; what has come by then counts."""

LAST_NOTIFY = 3.0
BURST_LIMIT = 10.0


class Lists:
    """Lists of one server, each of one watcher, and their members, who publish."""

    def __init__(self, server: Server, wire: Wire, prefix: str) -> None:
        self.wire = wire
        self.members = [Publication(f"{prefix}member{number}", f"{prefix}member{number}-publisher") for number in range(MEMBERS)]
        self.reader = list_messages.Reader()
        self._prefix = prefix
        self._server = server
        self._accepted: dict[str, Message] = {}
        wire.reader = self.reader.take

    def watchers(self, first: int, count: int) -> list[str]:
        """Those who have the lists; Call-IDs are called like them."""
        return [f"{self._prefix}watcher{number}" for number in range(first, first + count)]

    def publish(self, state: str) -> dict[str, int]:
        """All members publish, each a mark of its own; what went wrong, and how often."""
        operations = ((each.callid, self._publication(each, f"{each.user} {state}")) for each in self.members)
        return ClosedLoop(self.wire, OUTSTANDING).run(operations).failures

    def _publication(self, member: Publication, mark: str) -> Operation:
        reply = succeed((yield member.request(self.wire.address, mark)))
        member.etag = reply.header(b"SIP-ETag")

    def put(self, count: int) -> None:
        """Give a list to each watcher."""
        connection = Connection(self._server.http)
        for each in self.watchers(0, count):
            connection.ask(list_messages.put(each, [member.user for member in self.members]))
        connection.close()

    def subscribe(self, first: int, count: int) -> Work:
        """Watchers subscribe to their lists, until each was told of every member; an operation is a member that was told to one."""
        watchers = self.watchers(first, count)
        tally = ClosedLoop(self.wire, OUTSTANDING, PATIENCE).run((each, self._subscription(each)) for each in watchers)
        told = sum(len(self.reader.of(each)) for each in watchers)
        return Work(told, MEMBERS * count, tally.seconds, failures=tally.failures)

    def _subscription(self, watcher: str) -> Operation:
        message = yield list_messages.subscribe(watcher, self.wire.address)
        accepted = False
        while True:
            if message.status:
                self._accepted[watcher] = succeed(message)
                accepted = True
            if accepted and len(self.reader.of(watcher)) == MEMBERS:
                return
            message = yield None

    def unsubscribe(self, first: int, count: int) -> Work:
        """Those who subscribed leave, until each got its last NOTIFY."""
        watchers = [each for each in self.watchers(first, count) if each in self._accepted]
        tally = ClosedLoop(self.wire, OUTSTANDING, PATIENCE).run((each, self._farewell(each)) for each in watchers)
        return Work(tally.done, count, tally.seconds, failures=tally.failures)

    def _farewell(self, watcher: str) -> Operation:
        message = yield list_messages.unsubscribe(watcher, self.wire.address, self._accepted.pop(watcher), 2)
        accepted = ended = False
        while True:
            if message.status:
                succeed(message)
                accepted = True
            ended = ended or message.header(b"Subscription-State").startswith(b"terminated")
            if accepted and ended:
                self.reader.forget(watcher)
                return
            message = yield None

    def right(self, watchers: list[str]) -> int:
        """Of how many members these watchers know the state that was published last, each watcher counted."""
        newest = {(each.user.encode(), each.mark.encode()) for each in self.members}
        return sum(len(newest & self.reader.of(each).items()) for each in watchers)

    def delays(self, watchers: list[str]) -> list[float]:
        """Milliseconds from each member's last PUBLISH to each of these watchers whom it reached."""
        sent = {each.mark.encode(): each.sent for each in self.members}
        wanted = {each.encode() for each in watchers}
        arrived = self.reader.arrived.items()
        return [(when - sent[mark]) / 1_000_000 for (callid, mark), when in arrived if callid in wanted and mark in sent]


class ListSubscribe:
    """A SUBSCRIBE to a list, until everything about every member was told: what each member costs."""

    slices = 1

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self._lists = Lists(server, wire, "s")
        self._early = max(1, server.lists // 10)
        self._count = server.lists

    def prepare(self) -> None:
        """Members publish, watchers get their lists; the first ones subscribe."""
        self._lists.publish("first")
        self._lists.put(self._early + self._count)
        self._lists.subscribe(0, self._early)

    def slice(self, number: int) -> Work:
        """All others."""
        work = self._lists.subscribe(self._early, self._count)
        work.states, work.right = work.expected, self._lists.right(self._lists.watchers(self._early, self._count))
        return work


class ListChange(Fanout):
    """A PUBLISH of each member, one after the other; the next when all lists were told, or none comes."""

    slice_limit = 6.0

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        super().__init__(server, wire, size)
        self._in_lists = InLists(Lists(server, wire, "c"), server.lists)
        self.watched: Watched = self._in_lists
        self.changes = MEMBERS // self.slices

    def slice(self, number: int) -> Work:
        """The next members. At the end of all it is looked at what watchers know."""
        work = super().slice(number)
        if number == self.slices - 1:
            work.states, work.right = self._in_lists.judge()
        return work


class InLists(Watched):
    """Users who are in many lists, and change one after the other."""

    last_notify = LAST_NOTIFY

    def __init__(self, lists: Lists, count: int) -> None:
        super().__init__(lists.wire, "", 0)
        self.callids = lists.watchers(0, count)
        self._lists = lists

    def subscribe(self) -> None:
        """Members publish, watchers get their lists and subscribe; a list that was not told completely is expected all the same."""
        self._lists.publish("first")
        self._lists.put(len(self.callids))
        self.failures |= self._lists.subscribe(0, len(self.callids)).failures

    def change(self) -> list[float]:
        """The next member's change."""
        self.publication = self._lists.members[self._changes % MEMBERS]
        return super().change()

    def judge(self) -> tuple[int, int]:
        """How many states watchers have to know, and how many of these they know."""
        self.wire.drain(LAST_NOTIFY)
        return MEMBERS * len(self.callids), self._lists.right(self.callids)


class ListBurst:
    """All members change at once, until every watcher was told all of it, or nothing comes; an operation is a state that came."""

    slices = 2

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self._lists = Lists(server, wire, "b")
        self._watchers = self._lists.watchers(0, server.lists)

    def prepare(self) -> None:
        """Members publish, watchers get their lists and subscribe."""
        self._lists.publish("first")
        self._lists.put(len(self._watchers))
        self._lists.subscribe(0, len(self._watchers))

    def slice(self, number: int) -> Work:
        """All members change once."""
        started = time.monotonic()
        expected = MEMBERS * len(self._watchers)
        told = len(self._lists.reader.arrived) + expected
        failures = self._lists.publish(f"{number:06d}")
        while len(self._lists.reader.arrived) < told and time.monotonic() - started < BURST_LIMIT:
            if self._lists.wire.receive(LAST_NOTIFY) is None:
                break
        delays = self._lists.delays(self._watchers)
        work = Work(len(delays), expected, time.monotonic() - started, delays_ms=delays, failures=failures)
        work.states, work.right = expected, self._lists.right(self._watchers)
        return work


CASES = {"list-subscribe": ListSubscribe, "list-change": ListChange, "list-burst": ListBurst}
