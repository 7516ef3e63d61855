"""The load: one UDP socket, one thread, a fixed number of operations outstanding (closed loop).

An operation is a generator: it yields the request to send (or None to go on waiting) and is given the next message of
its Call-ID; it returns when it is done and raises Refused when the answer is wrong. NOTIFYs are answered with 200
before anything else looks at them. Times of arrival are the kernel's, so the driver's own queueing is not measured.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

import messages
from messages import Message

RECEIVE_BUFFER = 8 * 1024 * 1024
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
PATIENCE = 5.0
HOPELESS = 16

Operation = Generator[bytes | None, Message, None]


class Refused(Exception):
    """The server answered an operation with something other than success."""


@dataclass(slots=True)
class Tally:
    """What became of a number of operations."""

    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    failures: dict[str, int] = field(default_factory=dict)

    def fail(self, why: str) -> None:
        """Count one that went wrong."""
        self.failed += 1
        self.failures[why] = self.failures.get(why, 0) + 1


class Wire:
    """A UDP socket between the driver and the server under test."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._widen()
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(server)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.notifies = 0
        self.reader: Callable[[Message], None] | None = None
        """Is given every NOTIFY, once it is answered."""

    def _widen(self) -> None:
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send a datagram; a server that has gone shows as a missing answer."""
        with contextlib.suppress(ConnectionRefusedError):
            self.socket.send(data)

    def receive(self, timeout: float) -> Message | None:
        """The next message, a NOTIFY already answered; None when none comes in time."""
        self.socket.settimeout(timeout)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(65535, 64)
        except (TimeoutError, ConnectionRefusedError):
            return None
        message = Message(data, _arrival(ancillary))
        if data.startswith(b"NOTIFY "):
            self.send(messages.ok(data))
            self.notifies += 1
            if self.reader:
                self.reader(message)
        return message

    def drain(self, quiet: float) -> None:
        """Go on answering until nothing has come for a while."""
        while self.receive(quiet):
            pass


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> int:
    if ancillary and len(ancillary[0][2]) == 16:
        seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
        return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()


@dataclass(slots=True)
class _Running:
    operation: Operation
    deadline: float


class ClosedLoop:
    """Runs operations with a fixed number of them outstanding; stops starting new ones when too many time out."""

    def __init__(self, wire: Wire, outstanding: int, patience: float = PATIENCE) -> None:
        self.wire = wire
        self.outstanding = outstanding
        self.patience = patience
        self.running: dict[bytes, _Running] = {}
        self.tally = Tally()
        self.timed_out = 0

    def run(self, operations: Iterable[tuple[str, Operation]]) -> Tally:
        """Run them all; each comes with its Call-ID."""
        started = time.monotonic()
        for callid, operation in operations:
            while len(self.running) >= self.outstanding:
                self._turn()
            if self.timed_out >= HOPELESS:
                break
            self._start(callid.encode(), operation)
        while self.running:
            self._turn()
        self.tally.seconds = time.monotonic() - started
        return self.tally

    def _start(self, callid: bytes, operation: Operation) -> None:
        self.running[callid] = _Running(operation, time.monotonic() + self.patience)
        first = next(operation)
        if first:
            self.wire.send(first)

    def _turn(self) -> None:
        message = self.wire.receive(0.25)
        if message is None:
            self._give_up()
            return
        callid = message.header(b"Call-ID")
        entry = self.running.get(callid)
        if entry:
            self._advance(callid, entry.operation, message)

    def _advance(self, callid: bytes, operation: Operation, message: Message) -> None:
        try:
            following = operation.send(message)
        except StopIteration:
            self.tally.done += 1
        except Refused as refused:
            self.tally.fail(str(refused))
        else:
            if following:
                self.wire.send(following)
            return
        del self.running[callid]

    def _give_up(self) -> None:
        now = time.monotonic()
        for callid in [callid for callid, entry in self.running.items() if entry.deadline < now]:
            del self.running[callid]
            self.timed_out += 1
            self.tally.fail("no answer")


def succeed(message: Message) -> Message:
    """The message, which has to be a 2xx."""
    if not 200 <= message.status < 300:
        raise Refused(message.status_line)
    return message


def publish_twice(wire: Wire, user: str, callid: str) -> Operation:
    """An initial PUBLISH, and a modification with the entity-tag that came back."""
    reply = succeed((yield messages.publish(user, callid, 1, wire.address, f"{user} first")))
    etag = reply.header(b"SIP-ETag")
    succeed((yield messages.publish(user, callid, 2, wire.address, f"{user} second", etag)))


def subscribe_once(wire: Wire, watcher: str, user: str, callid: str) -> Operation:
    """A SUBSCRIBE, until its 200 and its first NOTIFY have both come, in whichever order."""
    message = yield messages.subscribe(watcher, user, callid, wire.address)
    accepted = notified = False
    while True:
        if message.status:
            succeed(message)
            accepted = True
        else:
            notified = True
        if accepted and notified:
            return
        message = yield None
