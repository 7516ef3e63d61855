"""The messages of the load about lists of resources (RFC 4662): a list is put by HTTP, watched by SIP, told of all its members."""

from __future__ import annotations

import re
from collections.abc import Iterable

import messages
from messages import DOMAIN

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
_ENTITY = re.compile(rb'entity="sip:([^"@]+)@')


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


def told_of(body: bytes) -> set[bytes]:
    """Those whose documents are in a NOTIFY."""
    return set(_ENTITY.findall(body))
