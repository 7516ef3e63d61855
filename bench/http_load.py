"""The load over HTTP: some connections that stay open, one request outstanding on each, one thread (closed loop)."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from load import HOPELESS, PATIENCE, Tally

END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to an HTTP request."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.head[9:12])

    @property
    def status_line(self) -> str:
        """The first line, as text."""
        return self.head.split(b"\r\n", 1)[0].decode(errors="replace")

    def header(self, name: bytes) -> bytes:
        """The value of a header field, as the servers under test spell its name; b"" without one."""
        _, found, rest = self.head.partition(b"\r\n" + name + b": ")
        return rest.split(b"\r\n", 1)[0] if found else b""


class Connection:
    """One connection to the server; opened again when the server has closed it."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._received = b""
        self.deadline = 0.0
        self.socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.create_connection(self._server, PATIENCE)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def reopen(self) -> None:
        """Give this connection up and make another one."""
        self.close()
        self._received = b""
        self.socket = self._open()

    def close(self) -> None:
        """Close it."""
        self.socket.close()

    def send(self, request: bytes) -> None:
        """Send a request; one that the server has closed meanwhile shows as a missing answer."""
        self.deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(OSError):
            self.socket.sendall(request)

    def receive(self) -> Answer | None:
        """The answer, as soon as all of it is there; reads once.

        Raises:
            OSError: the connection is closed.
        """
        octets = self.socket.recv(65536)
        if not octets:
            raise ConnectionResetError("closed by the server")
        self._received += octets
        head, found, body = self._received.partition(END_OF_HEAD)
        answer = Answer(head, body)
        length = 0 if not found or answer.status == 304 else int(answer.header(b"Content-Length"))
        if not found or len(body) < length:
            return None
        self._received = body[length:]
        return answer

    def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer."""
        self.send(request)
        while True:
            answer = self.receive()
            if answer is not None:
                return answer


class Connections:
    """Some connections, each of which is given the next request when its last one is answered."""

    def __init__(self, server: tuple[str, int], number: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._all = [Connection(server) for _ in range(number)]
        self._asking: set[Connection] = set()
        self._timed_out = 0

    def close(self) -> None:
        """Close them."""
        self._selector.close()
        for each in self._all:
            each.close()

    def run(self, requests: Iterable[bytes], right: frozenset[int]) -> Tally:
        """Send them all; those that are answered with one of the right statuses are done."""
        tally = Tally()
        started = time.monotonic()
        left = iter(requests)
        for each in self._all:
            self._selector.register(each.socket, selectors.EVENT_READ, each)
            self._next(each, left)
        while self._asking:
            self._turn(left, right, tally)
        for each in self._all:
            self._selector.unregister(each.socket)
        tally.seconds = time.monotonic() - started
        return tally

    def _next(self, connection: Connection, left: Iterable[bytes]) -> None:
        request = next(iter(left), None) if self._timed_out < HOPELESS else None
        if request is None:
            self._asking.discard(connection)
        else:
            self._asking.add(connection)
            connection.send(request)

    def _turn(self, left: Iterable[bytes], right: frozenset[int], tally: Tally) -> None:
        for key, _ in self._selector.select(0.25):
            try:
                answer = key.data.receive()
            except OSError:
                self._lost(key.data, left, tally, "closed without an answer")
                continue
            if answer is not None:
                _count(answer, right, tally)
                self._next(key.data, left)
        for each in [each for each in self._asking if each.deadline < time.monotonic()]:
            self._timed_out += 1
            self._lost(each, left, tally, "no answer")

    def _lost(self, connection: Connection, left: Iterable[bytes], tally: Tally, why: str) -> None:
        if connection in self._asking:
            tally.fail(why)
        self._selector.unregister(connection.socket)
        connection.reopen()
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._next(connection, left)


def _count(answer: Answer, right: frozenset[int], tally: Tally) -> None:
    if answer.status in right:
        tally.done += 1
    else:
        tally.fail(answer.status_line)
