"""What is measured beside another XCAP server: how fast SIP requests are answered while presence rules are fetched from it.

At a fixed rate come OPTIONS, PUBLISHes, SUBSCRIBEs of users to themselves, none of which needs a document, and SUBSCRIBEs to users
whose rules nobody asked for before, so that for each one document is to be fetched. The rate is far from what the server could do:
what is looked for is waiting, not the end of its strength.
"""

from __future__ import annotations

from collections.abc import Iterator

import messages
from cases import Size
from load import Wire
from measure import Work, work_of
from open_load import OpenLoop, Timed
from servers import Server

RATE = 200
WARM_UP = 100
NEEDS_DOCUMENT, OPTIONS, PUBLISH, SUBSCRIBE = "needs", "options", "publish", "subscribe"
MIX = (NEEDS_DOCUMENT, OPTIONS, PUBLISH, SUBSCRIBE, OPTIONS, PUBLISH, SUBSCRIBE, PUBLISH)


class Beside:
    """Requests that need no document of the other server."""

    name = "beside"
    counted = frozenset({OPTIONS, PUBLISH, SUBSCRIBE})

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self.slices = size.http_slices
        self._wire = wire
        self._count = int(size.seconds * RATE)

    def prepare(self) -> None:
        """Let the server begin to fetch, and find out how the other one is."""
        self._run(self.slices, WARM_UP)

    def slice(self, number: int) -> Work:
        """The next seconds."""
        return self._run(number, self._count)

    def _run(self, number: int, count: int) -> Work:
        loop = OpenLoop(self._wire, RATE)
        work = work_of(loop.run(self._requests(number * self._count, count)))
        work.delays_ms = loop.delays_ms
        return work

    def _requests(self, first: int, count: int) -> Iterator[Timed]:
        for number in range(first, first + count):
            kind = MIX[number % len(MIX)]
            callid = f"{self.name}-{number}"
            yield Timed(callid, self._request(kind, callid), kind in self.counted)

    def _request(self, kind: str, user: str) -> bytes:
        """Every request is of another user; the Call-ID is called like it."""
        address = self._wire.address
        if kind == OPTIONS:
            return messages.options(address, user)
        if kind == PUBLISH:
            return messages.publish(user, user, 1, address, "here")
        return messages.subscribe(user if kind == SUBSCRIBE else "watcher", user, user, address)


class Needed(Beside):
    """Those that need one; they are answered by what is known, and never wait."""

    name = "needed"
    counted = frozenset({NEEDS_DOCUMENT})


CASES = {"beside": Beside, "needed": Needed}
