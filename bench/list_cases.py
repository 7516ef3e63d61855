"""What is measured of lists of resources (RFC 4662): SUBSCRIBEs to lists of 100 users, and what a change of one user costs then.

Each case has members and watchers of its own; all members of the lists of a case are the same, and all have published.
"""

from __future__ import annotations

import list_messages
from cases import Fanout, Size, Watched
from http_load import Connection
from load import ClosedLoop, Operation, Wire, publish_twice, succeed
from measure import Work
from servers import Server

MEMBERS = 100
OUTSTANDING = 4
PATIENCE = 5.0
"""Seconds in which a list has to be told completely; what has come by then counts."""

LAST_NOTIFY = 3.0


class Lists:
    """Lists of one server, each of one watcher, and their members, who publish."""

    def __init__(self, server: Server, wire: Wire, prefix: str) -> None:
        self._wire = wire
        self._prefix = prefix
        self._server = server
        self._told: dict[str, set[bytes]] = {}
        self.members = [f"{prefix}member{number}" for number in range(MEMBERS)]

    def watchers(self, first: int, count: int) -> list[str]:
        """Those who have the lists."""
        return [f"{self._prefix}watcher{number}" for number in range(first, first + count)]

    def publish(self) -> None:
        """All members publish."""
        operations = ((f"{each}-publish", publish_twice(self._wire, each, f"{each}-publish")) for each in self.members)
        ClosedLoop(self._wire, OUTSTANDING).run(operations)

    def put(self, count: int) -> None:
        """Give a list to each watcher."""
        connection = Connection(self._server.http)
        for each in self.watchers(0, count):
            connection.ask(list_messages.put(each, self.members))
        connection.close()

    def subscribe(self, first: int, count: int) -> Work:
        """Watchers subscribe to their lists, until each was told of every member; an operation is a member that was told to one."""
        watchers = self.watchers(first, count)
        tally = ClosedLoop(self._wire, OUTSTANDING, PATIENCE).run((each, self._subscription(each)) for each in watchers)
        told = sum(len(self._told.get(each, ())) for each in watchers)
        return Work(told, MEMBERS * count, tally.seconds, failures=tally.failures)

    def _subscription(self, watcher: str) -> Operation:
        message = yield list_messages.subscribe(watcher, self._wire.address)
        accepted, told = False, self._told.setdefault(watcher, set())
        while True:
            if message.status:
                accepted = bool(succeed(message))
            else:
                told |= list_messages.told_of(message.data)
            if accepted and len(told) == MEMBERS:
                return
            message = yield None


class ListSubscribe:
    """A SUBSCRIBE to a list, until everything about every member was told: what each member costs."""

    slices = 1

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self._lists = Lists(server, wire, "s")
        self._early = max(1, server.lists // 10)
        self._count = server.lists // 2

    def prepare(self) -> None:
        """Members publish, watchers get their lists; the first ones subscribe."""
        self._lists.publish()
        self._lists.put(self._early + self._count)
        self._lists.subscribe(0, self._early)

    def slice(self, number: int) -> Work:
        """All others."""
        return self._lists.subscribe(self._early, self._count)


class ListChange(Fanout):
    """One PUBLISH after the other of a user who is in all the lists; the next when all lists were told, or none comes."""

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        super().__init__(server, wire, size)
        self.watched: Watched = InLists(Lists(server, wire, "c"), wire, server.lists)
        self.slices = 1


class InLists(Watched):
    """A user who is in many lists."""

    last_notify = LAST_NOTIFY

    def __init__(self, lists: Lists, wire: Wire, count: int) -> None:
        super().__init__(wire, lists.members[0], 0)
        self.callids = lists.watchers(0, count)
        self._lists = lists

    def subscribe(self) -> None:
        """Members publish, watchers get their lists and subscribe; a list that was not told completely is expected all the same."""
        self._lists.publish()
        self._lists.put(len(self.callids))
        self.failures |= self._lists.subscribe(0, len(self.callids)).failures


CASES = {"list-subscribe": ListSubscribe, "list-change": ListChange}
