"""Where the NOTIFYs of a dialog go: the Contact of a SUBSCRIBE, checked, and the flow that leads there (RFC 3261 section 12)."""

import ipaddress
from functools import lru_cache

from kemi import sip
from kemi.errors import BadRequest, UnsupportedUriScheme
from kemi.settings import Settings

KEPT = 1024
"""Addresses remembered as loopback or not."""


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
    own = request.socket.partition(":")[2]
    if _place(uri) == own and uri.host not in settings.domains:
        raise BadRequest("Contact is this server")
    if _is_loopback(uri.host) and not _is_loopback(own.rpartition(":")[0]) and not _is_loopback(request.source_address):
        raise BadRequest("Contact is a loopback address")
    return text


def of_answer(contact: str, settings: Settings) -> str:
    """The Contact of a 2xx to NOTIFY, if the next one may go there, else "" (RFC 3261 section 12.2.1.2).

    What a SUBSCRIBE is refused for leads nowhere here either. Whether a dialog goes through our own location table says its last
    SUBSCRIBE: an answer brings none there, and takes none away (`store.answered`).
    """
    if not contact or not settings.pa.notify_is_refresh:
        return ""
    uri = sip.parse_uri(contact)
    is_here = uri.host in settings.domains or f"sip:{_place(uri)}" == ourselves(settings)
    is_local = _is_loopback(uri.host) and not _is_loopback(settings.address)
    return "" if is_here or is_local else contact


def _place(uri: sip.Uri) -> str:
    return f"{uri.host}:{uri.port or (5061 if uri.scheme == 'sips' else 5060)}"


def ourselves(settings: Settings) -> str:
    """The next hop of what our own location table has to find."""
    return f"sip:{sip.bracketed(settings.address)}:{settings.port}"


@lru_cache(maxsize=KEPT)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def flow_of(request: sip.Request, contact: str, settings: Settings) -> tuple[str, int]:
    """Where NOTIFYs go when not to the Contact itself (RFC 5626 section 5.3, RFC 5923 section 8.2).

    A Contact in a domain of ours, such as a GRUU, is found by our own location table: the NOTIFY goes through ourselves. A watcher
    that came directly over a stream is answered on its connection; over UDP its source address is used when the Contact names
    another host, as behind a NAT. Through a proxy (more than one Via) the route set decides.

    Returns:
        Next hop, "": follow the Contact; and Kamailio's id of the connection that it needs, 0: none.
    """
    if request.record_route or request.via_count > 1:
        return "", 0
    host = sip.parse_uri(contact).host
    if host in settings.domains:
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
