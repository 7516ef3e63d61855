"""OPTIONS, sent by this program to its own server over UDP: whether it answers, and that it look for due subscriptions now.

`presencectl` changes the database of a running server, and has no other way to its processes. An OPTIONS whose Request-URI has
the parameter `wake` has the notifier look at once instead of at the next tick. It is answered like any other (RFC 3261 section
11); from another host the parameter means nothing. It is for the server's own address, which every `request_route` knows for its
own (`uri == myself`), with or without an alias for the domain.
"""

import ipaddress
import socket
import time
from typing import Final

from kemi import sip
from kemi.settings import Settings

WAKE: Final = "wake"
PATIENCE: Final = (0.25, 0.5, 1.0)
"""Seconds to wait for an answer, try by try (RFC 3261 section 17.1.2.1)."""


def is_wake(request_uri: str, source: str, own: str) -> bool:
    """Whether an OPTIONS is one that wakes.

    Args:
        source: address it came from.
        own: address of ours that it came in on.

    Raises:
        SipError: the Request-URI cannot be read.
    """
    is_near = source == own or ipaddress.ip_address(source.strip("[]")).is_loopback
    return is_near and sip.parse_uri(request_uri).parameter(WAKE) is not None


def wake(found: Settings) -> bool:
    """Have the server look for due subscriptions now; False: none answers."""
    try:
        with connected(found) as client:
            return any(_is_answered_within(seconds, client, found) for seconds in PATIENCE)
    except OSError:
        return False


def _is_answered_within(seconds: float, client: socket.socket, found: Settings) -> bool:
    client.settimeout(seconds)
    try:
        return is_answered(client, found, WAKE)
    except TimeoutError:
        return False


def connected(found: Settings) -> socket.socket:
    """A socket to the server's own address."""
    client = socket.socket(socket.AF_INET6 if ":" in found.address else socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((found.address, found.port))
    return client


def is_answered(client: socket.socket, found: Settings, parameter: str = "") -> bool:
    """Send one OPTIONS request, and wait for its 200 as long as the socket's time-out says.

    Raises:
        OSError: nobody listens there, or nothing came.
    """
    host, port = client.getsockname()[:2]
    host = sip.bracketed(host)
    token = f"{time.monotonic_ns():x}"
    uri = f"sip:{sip.bracketed(found.address)}:{found.port}"
    request = (
        f"OPTIONS {uri}{f';{parameter}' if parameter else ''} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{token}\r\nMax-Forwards: 1\r\n"
        f"From: <sip:presencectl@{found.domains[0]}>;tag={token}\r\nTo: <{uri}>\r\n"
        f"Call-ID: {token}@{host}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    client.send(request.encode())
    return client.recv(65535).startswith(b"SIP/2.0 200")
