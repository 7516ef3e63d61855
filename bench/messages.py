"""The SIP messages of the load: what the driver sends, and the little it has to read of what comes back.

Everything is bytes from templates; the driver must cost less than the servers it measures.
"""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN = "example.org"

PIDF = """<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" \
xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:{user}@{domain}">
  <tuple id="t{user}">
    <status><basic>open</basic></status>
    <contact priority="0.8">sip:{user}@192.0.2.1:5060</contact>
    <note>{mark}</note>
  </tuple>
  <dm:person id="p{user}">
    <rpid:activities><rpid:on-the-phone/></rpid:activities>
    <dm:note>In a call</dm:note>
  </dm:person>
</presence>
"""

REQUEST = (
    "{method} sip:{target}@{domain} SIP/2.0\r\n"
    "Via: SIP/2.0/UDP {address};branch=z9hG4bK{callid}.{cseq}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:{sender}@{domain}>;tag={callid}\r\n"
    "To: <sip:{target}@{domain}>\r\n"
    "Call-ID: {callid}\r\n"
    "CSeq: {cseq} {method}\r\n"
    "{extra}"
    "Content-Length: {length}\r\n\r\n"
)

COPIED = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message received, with the kernel's time of arrival in nanoseconds."""

    data: bytes
    arrived: int

    @property
    def status(self) -> int:
        """The status code; 0 for a request."""
        return int(self.data[8:11]) if self.data.startswith(b"SIP/2.0 ") else 0

    @property
    def status_line(self) -> str:
        """The first line, as text."""
        return self.data.split(b"\r\n", 1)[0].decode(errors="replace")

    def header(self, name: bytes) -> bytes:
        """The value of the first header line of that name, as the servers under test spell it; b"" without one."""
        start = self.data.find(b"\r\n" + name + b":")
        if start < 0:
            return b""
        start += len(name) + 3
        return self.data[start : self.data.index(b"\r\n", start)].strip()


def request(method: str, sender: str, target: str, callid: str, cseq: int, address: str, extra: str, body: str = "") -> bytes:
    """One request outside a dialog; extra holds complete header lines."""
    head = REQUEST.format(
        method=method,
        sender=sender,
        target=target,
        domain=DOMAIN,
        callid=callid,
        cseq=cseq,
        address=address,
        extra=extra,
        length=len(body),
    )
    return (head + body).encode()


def publish(user: str, callid: str, cseq: int, address: str, mark: str, etag: bytes = b"") -> bytes:
    """A PUBLISH with a document that holds the mark; a modification when an entity-tag is given."""
    condition = f"SIP-If-Match: {etag.decode()}\r\n" if etag else ""
    extra = f"Event: presence\r\nExpires: 3600\r\n{condition}Content-Type: application/pidf+xml\r\n"
    body = PIDF.format(user=user, domain=DOMAIN, mark=mark)
    return request("PUBLISH", user, user, callid, cseq, address, extra, body)


def subscribe(watcher: str, user: str, callid: str, address: str) -> bytes:
    """A SUBSCRIBE that makes a new dialog."""
    extra = f"Contact: <sip:{watcher}@{address}>\r\nEvent: presence\r\nExpires: 3600\r\nAccept: application/pidf+xml\r\n"
    return request("SUBSCRIBE", watcher, user, callid, 1, address, extra)


def options(address: str, callid: str) -> bytes:
    """An OPTIONS, to ask whether a server is ready."""
    return request("OPTIONS", "bench", "bench", callid, 1, address, "")


def ok(data: bytes) -> bytes:
    """The 200 that answers this request."""
    head = data[: data.index(b"\r\n\r\n")].split(b"\r\n")
    lines = [line for line in head[1:] if line[: line.find(b":") + 1].lower() in COPIED]
    return b"SIP/2.0 200 OK\r\n" + b"\r\n".join(lines) + b"\r\nContent-Length: 0\r\n\r\n"
