"""The SUBSCRIBE of an outgoing subscription (pure; RFC 6665 section 4.1.2, RFC 3261 section 12.2.1.1, SER handbook section 7.4)."""

from typing import NamedTuple

from kemi import dialog, sip
from kemi.b2bua import credentials
from kemi.b2bua.credentials import Secret
from kemi.b2bua.outgoing import Outgoing
from kemi.effects import SendRequest
from kemi.event_package import LIST
from kemi.multipart import RELATED

PATH = "Presence-Path"
"""Header field with the opaque names of the servers that passed a subscription on: who finds its own refuses (`relay`)."""

EVENT_LIST = (RELATED, "application/rlmi+xml")
"""Body types of lists (RFC 4662 section 4.3)."""

MOST_NAMES = 100
"""Servers named in PATH at most; a subscription has gone in a circle long before."""


class Ourselves(NamedTuple):
    """What a SUBSCRIBE says of this server.

    Args:
        address: IP address that is listened on, in brackets where it is IPv6.
        route: preset Route of a first SUBSCRIBE, "" for none.
        outbound_proxy: its next hop, "" for none.
        headers: further header lines, CRLF after each.
        name: opaque, for PATH.
    """

    address: str
    port: int
    tls_port: int
    route: str = ""
    outbound_proxy: str = ""
    headers: str = ""
    name: str = ""
    secrets: tuple[Secret, ...] = ()


def subscribe(outgoing: Outgoing, types: tuple[str, ...], us: Ourselves, cnonce: str) -> SendRequest:
    """The SUBSCRIBE that the subscription describes.

    Args:
        types: body types that NOTIFY may have.
        cnonce: random, for credentials.
    """
    uri, next_hop, route = _routing(outgoing, us)
    transport = sip.transport_of(next_hop or uri)
    port = us.tls_port if transport in ("tls", "wss") else us.port
    socket = f"{transport}:{us.address}:{port}"
    remote_tag = f";tag={outgoing.remote_tag}" if outgoing.remote_tag else ""
    contact = dialog.contact(socket, outgoing.watcher, uri[:5].lower() == "sips:")
    path = ", ".join([*sip.split_list(outgoing.path), us.name][-MOST_NAMES:])
    headers = (
        f"From: <{outgoing.watcher}>;tag={outgoing.dialog}\r\n"
        f"To: <{outgoing.resource}>{remote_tag}\r\n"
        f"Call-ID: {outgoing.call_id}\r\n"
        f"CSeq: {outgoing.local_cseq} SUBSCRIBE\r\n"
        f"Contact: <{contact}>\r\n"
        f"Max-Forwards: {outgoing.max_forwards}\r\n"
        f"Event: {outgoing.package.removesuffix(LIST)}\r\n"
        f"Expires: {outgoing.asked}\r\n"
        f"Accept: {', '.join((*types, *EVENT_LIST) if outgoing.is_list else types)}\r\n"
        f"{PATH}: {path}\r\n"
    )
    headers += "Supported: eventlist\r\n" if outgoing.is_list else ""
    headers += f"Suppress-If-Match: {outgoing.etag}\r\n" if _is_conditional(outgoing) else ""
    headers += route + us.headers
    if outgoing.challenge:
        headers += credentials.authorization(outgoing.challenge, us.secrets, "SUBSCRIBE", uri, outgoing.nonce_count, cnonce)
    return SendRequest(outgoing.id, outgoing.local_cseq, "SUBSCRIBE", uri, next_hop, 0, socket, headers, "")


def _is_conditional(outgoing: Outgoing) -> bool:
    """A refresh need not bring a document that is here already (RFC 5839 section 5.3); changes of documents are asked for whole."""
    return bool(outgoing.has_dialog and outgoing.asked and outgoing.etag and outgoing.version < 0)


def _routing(outgoing: Outgoing, us: Ourselves) -> tuple[str, str, str]:
    """Request-URI, next hop and Route: in the dialog its own, before what the operator has set."""
    if outgoing.has_dialog:
        return dialog.route(outgoing.remote_target, outgoing.route_set, "")
    if outgoing.source:
        return outgoing.resource, f"sip:{us.address}:{us.port}", ""
    if outgoing.redirect:
        return outgoing.redirect, us.outbound_proxy, ""
    uri, next_hop, route = dialog.route(outgoing.resource, us.route, "")
    return uri, us.outbound_proxy or next_hop, route
