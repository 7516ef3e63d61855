"""Where the NOTIFYs of a dialog go: the Contact of a SUBSCRIBE, checked, and the flow that leads there (RFC 3261 section 12)."""

import ipaddress
from functools import lru_cache

from kemi import dialog, sip
from kemi.errors import BadRequest, UnsupportedUriScheme
from kemi.settings import Settings

KEPT = 1024
"""Addresses of which it is remembered what they are."""


def contact_of(request: sip.Request, settings: Settings) -> str:
    """The one URI in Contact (RFC 3261 section 8.1.1.8), checked to be somewhere that a NOTIFY may go.

    Raises:
        BadRequest: 400, there is none, or more than one, or it is one that leads nowhere or to this server.
    """
    contacts = sip.split_list(sip.one_line(request.contact or ""))
    if len(contacts) != 1 or contacts[0] == "*":
        raise BadRequest("exactly one Contact is needed")
    text = sip.request_uri_of(sip.address_uri(contacts[0]))
    try:
        uri = sip.parse_uri(text)
    except UnsupportedUriScheme:
        raise BadRequest("Contact is no sip or sips URI") from None
    if uri.scheme not in ("sip", "sips"):
        raise BadRequest("Contact is no sip or sips URI")
    if request.uri[:5].lower() == "sips:" and uri.scheme != "sips":
        raise BadRequest("a subscription to a sips URI needs a sips Contact")
    _refuse_own(uri, request, settings)
    if maddr := dialog.maddr_of(text):
        _refuse_own(sip.parse_uri(maddr), request, settings)
    return text


def _refuse_own(uri: sip.Uri, request: sip.Request, settings: Settings) -> None:
    """Make sure that what goes there goes to another machine.

    Raises:
        BadRequest: 400, it does not.
    """
    own = request.socket.partition(":")[2]
    if (_place(uri) == own or _is_listened_on(uri, settings)) and not _is_found_here(uri, settings):
        raise BadRequest("Contact is this server")
    if _is_of_many(uri.host):
        raise BadRequest("Contact is an address of many machines")
    if _is_loopback(uri.host) and not _is_loopback(own.rpartition(":")[0]) and not _is_loopback(request.source_address):
        raise BadRequest("Contact is a loopback address")


def of_answer(contact: str, settings: Settings) -> str:
    """The Contact of a 2xx to NOTIFY, if the next one may go there, else "" (RFC 3261 section 12.2.1.2).

    What a SUBSCRIBE is refused for leads nowhere here either. Whether a dialog goes through our own location table says its last
    SUBSCRIBE: an answer brings none there, and takes none away (`store.answered`).
    """
    if not contact or not settings.pa.notify_is_refresh:
        return ""
    places = (sip.parse_uri(each) for each in (contact, dialog.maddr_of(contact)) if each)
    return "" if any(_leads_nowhere(each, settings) for each in places) else contact


def _leads_nowhere(uri: sip.Uri, settings: Settings) -> bool:
    """Whether what goes there stays here, or gets lost."""
    is_here = _is_found_here(uri, settings) or _is_listened_on(uri, settings) or f"sip:{_place(uri)}" == ourselves(settings)
    is_local = _is_loopback(uri.host) and not _is_loopback(settings.address)
    return is_here or is_local or _is_of_many(uri.host) or is_unspecified(uri.host)


def _place(uri: sip.Uri) -> str:
    return f"{uri.host}:{_port(uri)}"


def _port(uri: sip.Uri) -> int:
    return uri.port or (5061 if uri.scheme == "sips" else 5060)


def _is_listened_on(uri: sip.Uri, settings: Settings) -> bool:
    """At the same port UDP may be another program's than TCP, which TLS and WebSocket are carried by."""
    is_udp = uri.scheme == "sip" and (uri.parameter("transport") or "udp").lower() == "udp"
    place = uri.host.strip("[]"), _port(uri)
    return any(place == (address, port) and is_udp == (transport == "udp") for transport, address, port in settings.listening)


def ourselves(settings: Settings) -> str:
    """The next hop of what our own location table has to find."""
    return f"sip:{sip.bracketed(settings.address)}:{settings.port}"


def _is_found_here(uri: sip.Uri, settings: Settings) -> bool:
    """Whether our own location table knows the way: it is in a domain of ours. At another port is another server, or a client."""
    return uri.host in settings.domains and uri.port in (None, settings.port, settings.http_port, settings.tls_port)


@lru_cache(maxsize=KEPT)
def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is None:
        return f".{host.rstrip('.')}".endswith(".localhost")
    return address.is_loopback


@lru_cache(maxsize=KEPT)
def _is_of_many(host: str) -> bool:
    """Multicast or broadcast."""
    address = _address(host)
    return address is not None and (address.is_multicast or str(address) == "255.255.255.255")


def is_unspecified(host: str) -> bool:
    """Whether the host of a URI is what a client writes that does not know its own address; Linux takes it for itself."""
    return host in ("0.0.0.0", "[::]", "[::ffff:0:0]")  # noqa: S104 nothing is bound to it


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that the host of a URI is, None where it is a name."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def flow_of(request: sip.Request, contact: str, settings: Settings) -> tuple[str, int]:
    """Where NOTIFYs go when not to the Contact itself (RFC 5626 section 5.3, RFC 5923 section 8.2).

    A Contact in a domain of ours, such as a GRUU, is found by our own location table: the NOTIFY goes through ourselves. A watcher
    that came directly over a stream is answered on its connection; over UDP its source address is used when the Contact, or its
    maddr, is another address, as behind a NAT or of a client that does not know its own. Through a proxy (more than one Via) the
    route set decides.

    Returns:
        Next hop, "": follow the Contact; and Kamailio's id of the connection that it needs, 0: none.

    Raises:
        BadRequest: 400, the Contact is to be followed and is 0.0.0.0.
    """
    if request.record_route:
        return "", 0
    host = sip.parse_uri(dialog.maddr_of(contact) or contact).host
    if request.via_count > 1:
        if is_unspecified(host):
            raise BadRequest("Contact is an address of no machine")
        return "", 0
    if _is_found_here(sip.parse_uri(contact), settings):
        return ourselves(settings), 0
    source = f"{sip.bracketed(request.source_address)}:{request.source_port}"
    if request.transport != "udp":
        return f"sip:{source};transport={request.transport}", request.connection
    differs = host.strip("[]") != request.source_address and sip.is_address(host)
    return (f"sip:{source}", 0) if differs else ("", 0)


def route_set_of(request: sip.Request) -> str:
    """Record-Route, as requests in the dialog can follow it (RFC 3261 section 12.1.1).

    Raises:
        BadRequest: 400, there is a URI in it that nothing can be sent to.
    """
    if not request.record_route:
        return ""
    routes = sip.split_list(request.record_route)
    for each in routes:
        sip.parse_uri(sip.address_uri(each))
    return ", ".join(routes)
