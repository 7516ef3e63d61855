"""Where the remote side may send our requests: not to addresses that only we or our network reach (RFC 3856 section 9.5).

Contact of a NOTIFY, of a 2xx and of a 3xx, and Record-Route, name the next hop of a SUBSCRIBE. Checked is the one that it would go
to: a target behind a proxy may have any address. Names are left to DNS, but for those that mean an address here.

the next hop is             asked if
--------------------------  --------------------------------------------------------------------------
one of our own sockets      never
loopback, this host         we listen on such an address, or the remote side sends from one
private                     the same
link-local, multicast, ...  KP_TRUSTED names it
any of these                KP_TRUSTED names it
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

from kemi import dialog, sip
from kemi.errors import SipError
from kemi.identity import realm
from kemi.settings import Settings

KEPT = 1024
"""Hosts remembered with their kind."""

_RANGES: Final = {
    "loopback": ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    "special": ("169.254.0.0/16", "224.0.0.0/3", "fe80::/10", "ff00::/8"),
}
_NETWORKS: Final = [(kind, ipaddress.ip_network(text)) for kind, texts in _RANGES.items() for text in texts]
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
"""A name that ends so is read as an address by some resolvers (127.1, 0x7f000001)."""


def after(target: str, route_set: str) -> str:
    """The URI that a request with this remote target and route set is sent to (RFC 3261 section 12.2.1.1).

    Raises:
        BadRequest: 400, the first route cannot be read.
    """
    first = sip.address_uri(sip.split_list(route_set)[0]) if route_set else target
    return dialog.maddr_of(first) or first


def is_allowed(settings: Settings, uri: str, near: str = "", may_be_own: bool = False) -> bool:
    """Whether a request may be sent there because the remote side says so.

    Args:
        uri: of the next hop.
        near: address that the remote side sends from, "" where it is not known.
        may_be_own: the dialog is with a user of ours, and may lead through ourselves.
    """
    try:
        there = sip.parse_uri(uri)
    except SipError:
        return False
    if realm(settings).is_own(there) and not may_be_own:
        return False
    kind = _kind(there.host)
    is_same = kind in (_kind(settings.address), _kind(near)) and kind != "special"
    return kind == "" or is_same or _is_listed(settings, there.host)


@lru_cache(maxsize=KEPT)
def _kind(host: str) -> str:
    """Which of the ranges above; "" where it is any other address, or a name."""
    address = _address(host)
    if address is not None:
        return next((kind for kind, network in _NETWORKS if address in network), "")
    name = host.rstrip(".").lower()
    is_here = name == "localhost" or name.endswith(".localhost") or _NUMBER.fullmatch(name)
    return "loopback" if is_here and name else ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_listed(settings: Settings, host: str) -> bool:
    address = _address(host)
    return address is not None and any(address in network for network in settings.trusted)
