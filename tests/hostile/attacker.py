"""Sends what is hostile and sees what comes of it: answers, log lines, rows, processes."""

import itertools
import re
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from tests import useragent
from tests.hostile.messages import MARKER, Case
from tests.server import Server
from tests.useragent import Message
from tests.wire.observe import LogTail, processes, stored

PATIENCE = 30.0
_NUMBERS = itertools.count(1)


PARSER_DUMP = re.compile(
    r"^ ?\d+\(\d+\) [A-Z]+: <core> \[core/(?:parser/|tcp_read|receive).*?(?=^ ?\d+\(\d+\) [A-Z]+:|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Outcome:
    """What a server did with a request; `complaints` are its log lines at WARNING and above."""

    statuses: tuple[int, ...]
    messages: tuple[Message, ...]
    complaints: tuple[str, ...]

    @property
    def own_complaints(self) -> list[str]:
        """Log lines of ours; the others are Kamailio's, whose parser says more than one about one request."""
        return [line for line in self.complaints if "sr_kemi_core" in line]

    @property
    def reasons(self) -> list[str]:
        """What the responses say for people."""
        return [f"{message.start} {message.get('Warning')}" for message in self.messages if message.status]

    @property
    def status(self) -> int:
        """Of the only response; 0: there was none."""
        assert len(self.statuses) <= 1, f"{len(self.statuses)} responses: {self.statuses}"
        return next(iter(self.statuses), 0)


class Attacker:
    """One UDP socket. The server has one UDP worker, so an answered OPTIONS means that all before it was worked off."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((server.address[0], 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.address = "{}:{}".format(*self.socket.getsockname())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def attack(self, data: bytes) -> Outcome:
        """Send one datagram and wait until the server is done with it."""
        log = LogTail(self.server)
        self.socket.sendto(data, self.server.address)
        messages = self.barrier()
        for message in messages:
            if message.method == "NOTIFY":
                self._answer(message)
        statuses = tuple(message.status for message in messages if message.status)
        return Outcome(statuses, tuple(messages), tuple(log.complaints()))

    def barrier(self) -> list[Message]:
        """Everything that comes before the answer to an OPTIONS sent now."""
        branch = f"z9hG4bKbarrier{next(_NUMBERS)}"
        self.socket.sendto(self._options(branch), self.server.address)
        found: list[Message] = []
        while True:
            message = useragent.parse(self._receive())
            if branch in message.get("Via") and message.status == 200:
                return found
            found.append(message)

    def _receive(self) -> bytes:
        assert select.select([self.socket], [], [], PATIENCE)[0], "the server does not answer any more"
        return self.socket.recv(65536)

    def _options(self, branch: str) -> bytes:
        return (
            f"OPTIONS sip:{self.server.address[0]}:{self.server.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.address};branch={branch};rport\r\n"
            f"From: <sip:barrier@example.org>;tag=1\r\nTo: <sip:example.org>\r\nCall-ID: {branch}\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def _answer(self, request: Message) -> None:
        lines = ["SIP/2.0 200 OK", *(f"Via: {value}" for value in request.all("Via"))]
        lines += [f"{name}: {request.get(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
        self.socket.sendto(("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode(), self.server.address)


def without_parser_dumps(log: str) -> str:
    """The log without what Kamailio's core quotes of a message that is no SIP: no setting of its keeps it from that."""
    return PARSER_DUMP.sub("", log)


class Watch:
    """What must be the same after an attack: the rows, the processes; and what must not be in the log."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.log = LogTail(server)
        self.processes = processes(server)
        self.stored = stored(server)

    def check_alive(self) -> None:
        """No process lost, no traceback, nothing secret logged."""
        assert processes(self.server) == self.processes, "a process was lost or replaced"
        text = self.log.text
        assert "Traceback" not in text, text[text.index("Traceback") :][:3000]
        assert MARKER not in without_parser_dumps(text), f"a body or a credential was logged: {self._first_secret()}"

    def _first_secret(self) -> str:
        lines = self.log.lines
        number = next(number for number, line in enumerate(lines) if MARKER in line)
        return " | ".join(line[:150] for line in lines[max(0, number - 25) : number + 1] if "ERROR" in line or MARKER in line)

    def check_nothing_stored(self) -> None:
        """No new row."""
        assert stored(self.server) - self.stored == set()


def judge(attacker: Attacker, case: Case) -> Outcome:
    """Send a case: a right answer, one log line of ours at most, nothing stored unless accepted."""
    watch = Watch(attacker.server)
    outcome = attacker.attack(case.build(attacker.address))
    watch.check_alive()
    assert outcome.status in set(case.allowed), f"{outcome.status} is not right: {outcome.reasons}"
    if outcome.status != 200:
        watch.check_nothing_stored()
        assert len(outcome.own_complaints) <= 1, f"{len(outcome.own_complaints)} log lines"
        assert outcome.complaints or not outcome.status, "no log line"
    return outcome


def over_tcp(server: Server, pieces: Iterable[bytes], timeout: float = PATIENCE) -> Message | None:
    """The first response on a new connection; None: it was closed without one."""
    end = time.monotonic() + timeout
    with socket.create_connection(server.address) as connection:
        connection.settimeout(timeout)
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while b"\r\n\r\n" not in received and time.monotonic() < end:
                data = connection.recv(65536)
                if not data:
                    break
                received += data
        except (ConnectionError, TimeoutError):
            return None
    return useragent.parse(received) if received else None
