"""A SIP user agent for tests, over UDP or TCP: sends exactly what it is told, hands over what comes, answers when asked to.

Not a SIP stack: no retransmissions, no transactions, nothing corrected. Waiting always has a deadline.
"""

import secrets
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

CRLF = "\r\n"
PATIENCE = 30.0
"""Seconds that something which has to come is waited for."""

LONG = {"o": "event", "k": "supported", "c": "content-type", "l": "content-length", "m": "contact", "f": "from", "t": "to",
        "i": "call-id", "v": "via", "u": "allow-events", "e": "content-encoding"}  # fmt: skip


@dataclass
class Message:
    """A request or response as it came."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes = b""

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return "" if self.status else self.start.split(" ")[0]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if LONG.get(key.lower(), key.lower()) == name.lower()]

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def cseq(self) -> int:
        return int(self.get("CSeq").split()[0])

    @property
    def to_tag(self) -> str:
        return self.get("To").rpartition(";tag=")[2] if ";tag=" in self.get("To") else ""

    @property
    def from_tag(self) -> str:
        return self.get("From").rpartition(";tag=")[2] if ";tag=" in self.get("From") else ""

    @property
    def state(self) -> str:
        """Subscription-State, but for its seconds."""
        return self.get("Subscription-State").partition(";expires")[0]


def parse(raw: bytes) -> Message:
    head, _, body = raw.partition(b"\r\n\r\n")
    start, *lines = head.decode("utf-8", "replace").split(CRLF)
    headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Message(start, headers, body, raw)


@dataclass
class UserAgent:
    """One socket of one user."""

    server: tuple[str, int]
    user: str = "bob"
    domain: str = "example.org"
    transport: str = "udp"
    inbox: list[Message] = field(default_factory=list)
    answer_notify: int = 200
    answer_headers: str = ""

    def __post_init__(self) -> None:
        if self.transport == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((self.server[0], 0))
        else:
            self.socket = socket.create_connection(self.server)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self._buffer = b""
        self._answered: set[bytes] = set()

    def close(self) -> None:
        self.socket.close()

    @property
    def aor(self) -> str:
        return f"sip:{self.user}@{self.domain}"

    @property
    def contact(self) -> str:
        parameter = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:{self.user}@{self.address}{parameter}"

    def send_raw(self, data: bytes) -> None:
        if self.transport == "udp":
            self.socket.sendto(data, self.server)
        else:
            self.socket.sendall(data)

    def build(
        self,
        method: str,
        uri: str,
        *lines: str,
        to: str | None = None,
        from_: str | None = None,
        call_id: str | None = None,
        from_tag: str | None = None,
        to_tag: str = "",
        cseq: int = 1,
        branch: str | None = None,
        body: bytes = b"",
        length: bool = True,
    ) -> bytes:
        """A request; `lines` are further header lines."""
        self.call_id = call_id or secrets.token_hex(8)
        self.from_tag = secrets.token_hex(4) if from_tag is None else from_tag
        self.branch = branch or "z9hG4bK" + secrets.token_hex(8)
        tag = f";tag={to_tag}" if to_tag else ""
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport.upper()} {self.address};branch={self.branch};rport",
            f"From: {from_ or f'<{self.aor}>'}" + (f";tag={self.from_tag}" if self.from_tag else ""),
            f"To: {to or f'<{uri}>'}{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            *lines,
        ]
        if length:
            head.append(f"Content-Length: {len(body)}")
        return CRLF.join(head).encode() + b"\r\n\r\n" + body

    def request(self, method: str, uri: str, *lines: str, **kwargs: object) -> Message:
        """Send a request and wait for its final response."""
        data = self.build(method, uri, *lines, **kwargs)  # type: ignore[arg-type]
        self.send_raw(data)
        self.sent = data
        return self.response(self.branch)

    def response(self, branch: str, timeout: float = PATIENCE) -> Message:
        return self.wait(lambda message: message.status >= 200 and branch in message.get("Via"), timeout)

    def notify(self, timeout: float = PATIENCE, call_id: str | None = None) -> Message:
        """Wait for a NOTIFY, answer it with `answer_notify` (0: not at all). One answered before is answered again only."""
        while True:
            message = self.wait(lambda m: m.method == "NOTIFY" and (call_id is None or m.get("Call-ID") == call_id), timeout)
            if not self.answer_notify:
                return message
            self.respond(message, self.answer_notify, self.answer_headers)
            if message.raw not in self._answered:
                self._answered.add(message.raw)
                return message

    def no_notify(self, seconds: float) -> bool:
        """Whether none comes for that long."""
        try:
            self.notify(seconds)
        except TimeoutError:
            return True
        return False

    def drain(self) -> None:
        """Answer what has come, and forget it."""
        while self._receive(0):
            pass
        for message in self.inbox:
            if message.method == "NOTIFY":
                self.respond(message, self.answer_notify, self.answer_headers)
        self.inbox.clear()

    def respond(self, request: Message, status: int, headers: str = "") -> None:
        lines = [f"SIP/2.0 {status} Whatever"]
        lines += [f"Via: {value}" for value in request.all("Via")]
        lines += [f"{name}: {request.get(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
        self.send_raw((CRLF.join(lines) + CRLF + headers + "Content-Length: 0\r\n\r\n").encode())

    def wait(self, wanted: object, timeout: float = PATIENCE) -> Message:
        end = time.monotonic() + timeout
        while True:
            for message in self.inbox:
                if wanted(message):  # type: ignore[operator]
                    self.inbox.remove(message)
                    return message
            left = end - time.monotonic()
            if left <= 0 or not self._receive(left):
                raise TimeoutError(f"not within {timeout} s; waiting: {[m.start for m in self.inbox]}")

    def _receive(self, seconds: float) -> bool:
        if not select.select([self.socket], [], [], seconds)[0]:
            return False
        data = self.socket.recv(65536)
        if self.transport == "udp":
            self.inbox.append(parse(data))
            return True
        if not data:
            return False
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head = self._buffer.partition(b"\r\n\r\n")[0]
            length = len(head) + 4 + int(parse(head + b"\r\n\r\n").get("Content-Length") or 0)
            if len(self._buffer) < length:
                break
            self.inbox.append(parse(self._buffer[:length]))
            self._buffer = self._buffer[length:]
        return True

    def subscribe(self, uri: str, *lines: str, expires: int | None = 600, event: str = "presence", **kwargs: object) -> Message:
        extra = [f"Event: {event}", f"Contact: <{self.contact}>"]
        if expires is not None:
            extra.append(f"Expires: {expires}")
        return self.request("SUBSCRIBE", uri, *extra, *lines, **kwargs)

    def publish(self, body: bytes, *lines: str, etag: str = "", expires: int | None = 600, **kwargs: object) -> Message:
        extra = ["Event: presence"]
        if expires is not None:
            extra.append(f"Expires: {expires}")
        if etag:
            extra.append(f"SIP-If-Match: {etag}")
        if body:
            extra.append("Content-Type: application/pidf+xml")
        return self.request("PUBLISH", self.aor, *extra, *lines, body=body, **kwargs)

    def register(self, expires: int = 600) -> None:
        """Its own Contact; it has to be taken."""
        fields = (f"Contact: <{self.contact}>", f"Expires: {expires}")
        assert self.request("REGISTER", f"sip:{self.domain}", *fields, to=f"<{self.aor}>").status == 200


Agents = Callable[..., UserAgent]
"""Makes the user agents of a test: the fixtures agents and agents_of."""


def pidf(basic: str = "open", user: str = "alice", tuple_id: str = "t1", note: str = "", domain: str = "example.org") -> bytes:
    """A small presence document."""
    text = f"<note>{note}</note>" if note else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{user}@{domain}">'
        f'<tuple id="{tuple_id}"><status><basic>{basic}</basic></status>'
        f"<contact>sip:{user}@192.0.2.1</contact>{text}</tuple></presence>"
    ).encode()
