"""Publishers and watchers at work, all in one asyncio loop; they go on, as real ones do, while the server is dead.

Every client remembers what was acknowledged. A request is sent again with the same branch until it is answered; one that is given
up may or may not have happened.
"""

import asyncio
import random
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from tests import useragent
from tests.useragent import Message, pidf

NOTE = re.compile(rb"<note>([^<]*)</note>")
FIRST_RETRANSMISSION = 0.1
LONGEST_INTERVAL = 0.8
GIVE_UP = 20.0


class Failure(Exception):
    """Something that was promised did not hold."""


class Socket(asyncio.DatagramProtocol):
    """One UDP socket: transactions of requests sent, and a handler for those that come."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.waiting: dict[str, asyncio.Future[Message]] = {}
        self.on_notify: Callable[[Message], int] = lambda _message: 200
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, _source: tuple[str, int]) -> None:
        message = useragent.parse(data)
        if message.method == "NOTIFY":
            status = self.on_notify(message)
            if status:
                self.respond(message, status)
        elif message.status >= 200:
            branch = message.get("Via").partition("branch=")[2].partition(";")[0]
            answer = self.waiting.get(branch)
            if answer is not None and not answer.done():
                answer.set_result(message)

    def respond(self, request: Message, status: int) -> None:
        lines = [f"SIP/2.0 {status} OK", *(f"Via: {value}" for value in request.all("Via"))]
        lines += [f"{name}: {request.get(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
        self.transport.sendto(("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode(), self.server)

    async def request(self, head: str, body: bytes = b"", patience: float = GIVE_UP) -> Message | None:
        """Send a request, again and again, until it is answered; None: it never was."""
        branch = "z9hG4bK" + secrets.token_hex(8)
        start, _, fields = head.partition("\r\n")
        via = f"Via: SIP/2.0/UDP {self.address};branch={branch};rport\r\nMax-Forwards: 70\r\n"
        data = f"{start}\r\n{via}{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body
        answer = self.waiting[branch] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(patience):
                return await self._until_answered(data, answer)
        except TimeoutError:
            return None
        finally:
            del self.waiting[branch]

    async def _until_answered(self, data: bytes, answer: asyncio.Future[Message]) -> Message:
        interval = FIRST_RETRANSMISSION
        while True:
            self.transport.sendto(data, self.server)
            done, _ = await asyncio.wait([answer], timeout=interval)
            if done:
                return answer.result()
            interval = min(2 * interval, LONGEST_INTERVAL)


async def open_socket(server: tuple[str, int]) -> Socket:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(lambda: Socket(server), local_addr=("127.0.0.1", 0))
    return protocol


@dataclass
class Publisher:
    """One device of a user: at most one publication at a time.

    Args:
        etag, note: of the publication that was acknowledged last; "": none.
        maybe: notes of requests that were given up: published or not, nobody can tell.
    """

    socket: Socket
    user: str
    device: str
    random: random.Random
    etag: str = ""
    note: str = ""
    maybe: set[str] = field(default_factory=set)
    count: int = 0
    acknowledged: int = 0

    async def act(self, patience: float = GIVE_UP) -> None:
        """One random PUBLISH: create, or refresh, modify, remove."""
        choice = self.random.random() if self.etag else 1.0
        if choice < 0.3:
            await self._refresh(patience)
        elif choice < 0.45:
            await self._remove(patience)
        else:
            await self._write(patience)

    async def _write(self, patience: float) -> None:
        self.count += 1
        note = f"{self.device}-{self.count}"
        answer = await self._publish(600, pidf("open", self.user, self.device, note), patience)
        if answer is None:
            self._lost(note)
        else:
            self.note, self.etag = note, self._tag_of(answer)

    async def _refresh(self, patience: float) -> None:
        answer = await self._publish(600, b"", patience)
        if answer is None:
            self._lost("")
        else:
            self.etag = self._tag_of(answer)

    async def _remove(self, patience: float) -> None:
        answer = await self._publish(0, b"", patience)
        if answer is None:
            self._lost("")
            return
        self._expect(answer, 200)
        self.note = self.etag = ""

    async def check(self) -> None:
        """What was acknowledged is there: a refresh with its tag gives 200."""
        if self.etag:
            await self._refresh(GIVE_UP)

    def _lost(self, note: str) -> None:
        """The device starts again, with a new publication; what it had may live on."""
        self.maybe |= {self.note, note} - {""}
        self.note = self.etag = ""

    async def _publish(self, expires: int, body: bytes, patience: float) -> Message | None:
        aor = f"sip:{self.user}@example.org"
        condition = f"SIP-If-Match: {self.etag}\r\n" if self.etag else ""
        content = "Content-Type: application/pidf+xml\r\n" if body else ""
        return await self.socket.request(
            f"PUBLISH {aor} SIP/2.0\r\nFrom: <{aor}>;tag={secrets.token_hex(4)}\r\nTo: <{aor}>\r\n"
            f"Call-ID: {secrets.token_hex(8)}\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: {expires}\r\n{condition}{content}",
            body,
            patience,
        )

    def _tag_of(self, answer: Message) -> str:
        self._expect(answer, 200)
        return answer.get("SIP-ETag")

    def _expect(self, answer: Message, status: int) -> None:
        self.acknowledged += 1
        if answer.status != status:
            raise Failure(f"{self.device}: {answer.start} instead of {status} to PUBLISH, tag {self.etag!r}")


@dataclass
class Watcher:
    """One subscription at a time to one user.

    Args:
        latest: the notes in the newest NOTIFY of the dialog.
        cseq: the highest number of a NOTIFY in the dialog.
    """

    socket: Socket
    name: str
    user: str
    random: random.Random
    call_id: str = ""
    from_tag: str = ""
    to_tag: str = ""
    own_cseq: int = 0
    cseq: int = 0
    branches: set[str] = field(default_factory=set)
    latest: frozenset[str] = frozenset()
    lost: float = 0.05
    failures: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    notifies: int = 0

    def on_notify(self, message: Message) -> int:
        """Check order, take over the state; now and then a NOTIFY is lost."""
        if message.get("Call-ID") != self.call_id:
            return 481 if self.call_id else 200
        if self.random.random() < self.lost:
            return 0
        branch = message.get("Via")
        if branch in self.branches:
            return 200
        self.branches.add(branch)
        self.notifies += 1
        if message.cseq <= self.cseq:
            self.failures.append(f"{self.name}: CSeq {message.cseq} after {self.cseq} in {self.call_id}")
        self.cseq = message.cseq
        self.latest = frozenset(note.decode() for note in NOTE.findall(message.body))
        self.told.set()
        return 200

    async def act(self) -> None:
        """One random SUBSCRIBE: new, refresh, or the end."""
        if not self.to_tag:
            await self.subscribe()
        elif self.random.random() < 0.15:
            await self.unsubscribe()
        else:
            await self.refresh()

    async def subscribe(self) -> None:
        self.call_id, self.from_tag = secrets.token_hex(8), secrets.token_hex(4)
        self.own_cseq = self.cseq = 0
        self.latest = frozenset()
        answer = await self._request(600)
        if answer is not None:
            self._expect(answer)
            self.to_tag = answer.to_tag

    async def refresh(self) -> None:
        answer = await self._request(600)
        if answer is not None:
            self._expect(answer)

    async def unsubscribe(self) -> None:
        answer = await self._request(0)
        if answer is not None and answer.status not in (200, 481):
            self._expect(answer)
        self.to_tag = ""

    async def _request(self, expires: int) -> Message | None:
        self.own_cseq += 1
        aor = f"sip:{self.user}@example.org"
        to = f"<{aor}>" + (f";tag={self.to_tag}" if self.to_tag else "")
        return await self.socket.request(
            f"SUBSCRIBE {aor} SIP/2.0\r\nFrom: <sip:{self.name}@example.org>;tag={self.from_tag}\r\nTo: {to}\r\n"
            f"Call-ID: {self.call_id}\r\nCSeq: {self.own_cseq} SUBSCRIBE\r\nEvent: presence\r\nExpires: {expires}\r\n"
            f"Contact: <sip:{self.name}@{self.socket.address}>\r\n"
        )

    def _expect(self, answer: Message) -> None:
        if answer.status != 200:
            raise Failure(f"{self.name}: {answer.start} instead of 200 to SUBSCRIBE {self.call_id} CSeq {self.own_cseq}")


async def keep_acting(act: Callable[[], Awaitable[None]], stop: asyncio.Event, chance: random.Random) -> None:
    """Act, with short random pauses, until told to stop; what was begun is ended."""
    while not stop.is_set():
        await act()
        await asyncio.sleep(chance.uniform(0, 0.03))
