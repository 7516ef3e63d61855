"""HTTP in the double of KSR: module xhttp, and what is written to a connection past it."""

import re
from dataclasses import dataclass
from typing import Any

XHTTP: dict[str, dict[str, tuple[type, ...]]] = {
    "xhttp": {"xhttp_reply": (int, str, str, str)},
    "websocket": {"handle_handshake": ()},
    "corex": {"send_data": (str, str)},
}


@dataclass(frozen=True)
class HttpResponse:
    """An answer as the client gets it; header fields by name in lower case."""

    status: int
    reason: str
    headers: dict[str, list[str]]
    body: str


def fields(text: str) -> dict[str, list[str]]:
    """Header lines as values by name in lower case."""
    found: dict[str, list[str]] = {}
    for line in text.split("\r\n")[:-1]:
        name, separator, value = line.partition(": ")
        assert separator, line
        assert re.fullmatch(r"[A-Za-z-]+", name), line
        assert value.isprintable(), line
        found.setdefault(name.lower(), []).append(value)
    return found


class Xhttp:
    """The functions, and the answers that they gave."""

    message: Any
    _reply_headers: str

    def __init__(self) -> None:
        super().__init__()
        self.http: list[HttpResponse] = []
        self.closing = False

    def set_reply_close(self) -> int:
        """The connection is closed behind the answer."""
        self.closing = True
        return 1

    def _xhttp_xhttp_reply(self, status: int, reason: str, content_type: str, body: str) -> int:
        if " " in reason:
            raise AssertionError(f"module sl would log this answer: {status} {reason}")
        found = fields(self._reply_headers)
        found |= {"content-type": [content_type]} if content_type else {}
        self.http.append(HttpResponse(status, reason, found | {"content-length": [str(len(body.encode()))]}, body))
        self._reply_headers = ""
        return 1

    def _corex_send_data(self, uri: str, data: str) -> int:
        """An answer that is written to the connection of the request."""
        ip, port = self.message.source
        if uri != f"sip:{ip}:{port};transport={self.message.transport.lower()}":
            raise AssertionError(f"{uri} is no peer")
        line, _, rest = data.partition("\r\n")
        lines, end, body = rest.partition("\r\n\r\n")
        if not end:
            raise AssertionError(f"no answer: {data!r}")
        version, status, reason = line.split(" ", 2)
        found = fields(f"{lines}\r\n")
        self.http.append(HttpResponse(int(status) if version == "HTTP/1.1" else 0, reason, found, body))
        return 1
