"""The messages of the load about lists of resources (RFC 4662): a list is put by HTTP, watched by SIP, told of all its members."""

from __future__ import annotations

import re
from collections.abc import Iterable

import messages
from messages import DOMAIN, Message

SERVICES = (
    '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">'
    '<service uri="sip:{name}@{domain}"><list>{entries}</list>'
    "<packages><package>presence</package></packages></service></rls-services>"
)
PUT = (
    "PUT /xcap-root/rls-services/users/sip:{owner}@{domain}/index HTTP/1.1\r\n"
    "Host: xcap.{domain}\r\n"
    'X-3GPP-Asserted-Identity: "sip:{owner}@{domain}"\r\n'
    "Content-Type: application/rls-services+xml\r\n"
    "Content-Length: {length}\r\n\r\n"
)
SUBSCRIBE = (
    "Contact: <sip:{watcher}@{address}>\r\nEvent: presence\r\nExpires: 3600\r\nSupported: eventlist\r\n"
    "Accept: application/pidf+xml, application/rlmi+xml, multipart/related\r\n"
)
_STATE = re.compile(rb'<presence [^>]*entity="sip:([^"@]+)@.*?<note>([^<]*)</note>', re.DOTALL)
_FULL = b'fullState="true"'


def list_of(owner: str) -> str:
    """The name of a user's only list."""
    return f"{owner}-list"


def put(owner: str, members: Iterable[str]) -> bytes:
    """A PUT of a user's list."""
    entries = "".join(f'<rl:entry uri="sip:{each}@{DOMAIN}"/>' for each in members)
    body = SERVICES.format(name=list_of(owner), domain=DOMAIN, entries=entries)
    return (PUT.format(owner=owner, domain=DOMAIN, length=len(body)) + body).encode()


def subscribe(owner: str, address: str) -> bytes:
    """A SUBSCRIBE to one's own list; its Call-ID is called like the user."""
    extra = SUBSCRIBE.format(watcher=owner, address=address)
    return messages.request("SUBSCRIBE", owner, list_of(owner), owner, 1, address, extra)


def unsubscribe(owner: str, address: str, accepted: Message, cseq: int) -> bytes:
    """The end of a subscription, of which the 200 is at hand."""
    extra = SUBSCRIBE.format(watcher=owner, address=address).replace("Expires: 3600", "Expires: 0")
    outside = messages.request("SUBSCRIBE", owner, list_of(owner), owner, cseq, address, extra)
    target = outside[: outside.index(b"\r\n")].split(b" ")[1]
    return outside.replace(b"To: <%s>" % target, b"To: " + accepted.header(b"To"))


class Reader:
    """What the watchers of lists were told last, by Call-ID and member, and when each state of a member came first."""

    def __init__(self) -> None:
        self.known: dict[bytes, dict[bytes, bytes]] = {}
        self.arrived: dict[tuple[bytes, bytes], int] = {}

    def take(self, message: Message) -> None:
        """Read the next NOTIFY. A full one that leaves a member out says that nothing is known of it (RFC 4662 section 5.2)."""
        callid = message.header(b"Call-ID")
        known = self.known.setdefault(callid, {})
        if _FULL in message.data:
            known.clear()
        for member, mark in _STATE.findall(message.data):
            known[member] = mark
            self.arrived.setdefault((callid, mark), message.arrived)

    def of(self, callid: str) -> dict[bytes, bytes]:
        """What one watcher knows."""
        return self.known.get(callid.encode(), {})

    def forget(self, callid: str) -> None:
        """A watcher has left."""
        self.known.pop(callid.encode(), None)
