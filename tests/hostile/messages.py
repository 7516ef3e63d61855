"""Requests to spoil: valid ones, whose header fields can be replaced, taken away and added one by one."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MARKER = "kept-out-of-logs"
"""Stands in every body and every credential that these tests send."""

PIDF = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:mallory@example.org">'
    '<tuple id="t1"><status><basic>open</basic></status><contact>sip:mallory@192.0.2.1</contact>'
    f"<note>{MARKER}</note></tuple></presence>"
).encode()

USER = "mallory"
AOR = f"sip:{USER}@example.org"
REFUSED = frozenset(range(400, 600))
ACCEPTED = frozenset({200})
DROPPED = frozenset({0})
"""No answer at all: what RFC 3261 asks for where a request cannot even be answered."""


@dataclass(frozen=True)
class Case:
    """One hostile request and the statuses that are right for it.

    Args:
        changes: header fields by name; None takes one away, "" leaves it empty.
        extra: further header lines.
        start: a request line instead of the usual one.
    """

    name: str
    allowed: Iterable[int] = REFUSED
    method: str = "SUBSCRIBE"
    changes: Mapping[str, str | None] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    start: str = ""
    uri: str = AOR
    body: bytes | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.name}"

    def build(self, address: str, transport: str = "udp") -> bytes:
        """The request as it is sent from `address`."""
        body = self.body if self.body is not None else PIDF if self.method == "PUBLISH" else b""
        lines = [f"{name}: {value}" for name, value in self._fields(address, transport, len(body)).items() if value is not None]
        start = self.start or f"{self.method} {self.uri} SIP/2.0"
        return encoded("\r\n".join([start, *lines, *self.extra]) + "\r\n\r\n") + body

    def _fields(self, address: str, transport: str, length: int) -> dict[str, str | None]:
        token = secrets.token_hex(6)
        own: dict[str, str | None] = {
            "Via": f"SIP/2.0/{transport.upper()} {address};branch=z9hG4bK{token};rport",
            "From": f"<{AOR}>;tag={token}",
            "To": f"<{AOR}>",
            "Call-ID": f"hostile-{token}",
            "CSeq": f"1 {self.method}",
            "Max-Forwards": "70",
            "Event": "presence",
            "Contact": f"<sip:{USER}@{address}>" if self.method == "SUBSCRIBE" else None,
            "Expires": "600",
            "Content-Type": "application/pidf+xml" if self.method == "PUBLISH" else None,
            "Content-Length": str(length),
        }
        return own | dict(self.changes)


def encoded(text: str) -> bytes:
    """Text whose surrogate escapes stand for raw octets."""
    return text.encode("utf-8", "surrogateescape")


def octets(raw: bytes) -> str:
    """Raw octets for use inside of text; see `encoded`."""
    return raw.decode("utf-8", "surrogateescape")


def publish(name: str, body: bytes, allowed: Iterable[int] = REFUSED, **changes: str | None) -> Case:
    """A PUBLISH with another body; `content_type` and the like change header fields."""
    return Case(name, allowed, "PUBLISH", {key.replace("_", "-").title(): value for key, value in changes.items()}, body=body)
