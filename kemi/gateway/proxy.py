"""Kamailio's own trades that a small presence server needs: loose routing, the registrar, WebSocket (RFC 3261 sections 10, 16)."""

import KSR

from kemi.gateway import begin_transaction, reply, text, value, warn

RECEIVED = "$avp(received)"
"""Where module registrar expects the address that a REGISTER came from."""


def is_sane(checks: int) -> bool:
    """Max-Forwards and Kamailio's sanity checks (RFC 3261 section 16.3); False: it was answered."""
    if KSR.maxfwd.process_maxfwd(70) < 0:
        warn(f"refused: 483 Max-Forwards is used up: method={text('$rm')} source={text('$si')}")
        reply(483, "Too Many Hops")
        return False
    if KSR.sanity.sanity_check(checks, 0) > 0:
        return True
    warn(f"refused as malformed: method={text('$rm')} source={text('$si')}")
    return False


def has_route() -> bool:
    """Whether a Route header field is there."""
    return bool(KSR.hdr.is_present("Route") > 0)


def loose_route() -> bool:
    """Take ourselves out of Route (RFC 3261 section 16.4)."""
    return bool(KSR.rr.loose_route() > 0)


def relay() -> None:
    """Forward the request in a transaction."""
    if KSR.tm.t_relay() < 0:
        KSR.sl.sl_reply_error()


def relay_acknowledgement() -> None:
    """An ACK goes with its transaction, or nowhere."""
    if KSR.tm.t_check_trans() > 0:
        KSR.tm.t_relay()


def relay_to_registered() -> bool:
    """Forward to the bindings of the Request-URI's user, GRUU included; False: there are none."""
    if KSR.registrar.lookup("location") < 0:
        return False
    relay()
    return True


def save_registration() -> None:
    """Let Kamailio's registrar change the bindings; it answers, and its transaction answers retransmissions.

    What is sent to a binding made over a stream goes back there: over a WebSocket its Contact cannot be resolved
    (RFC 7118 section 5.2).
    """
    if begin_transaction():
        if text("$pr").lower() != "udp":
            KSR.pv.sets(RECEIVED, text("$su"))
        KSR.registrar.save("location", 0)


def answer_cancel() -> None:
    """200 where the transaction is known, else 481; nothing else happens (RFC 3261 section 9.2, RFC 6665 section 4.6)."""
    if KSR.tm.t_lookup_cancel() > 0:
        reply(200, "canceling")
    else:
        reply(481, "Call/Transaction Does Not Exist")


def is_from_ourselves() -> bool:
    """Whether the request came from this server's own socket."""
    return bool(value("$si") == value("$Ri") and value("$sp") == value("$Rp"))


def answer_http(websocket_path: str) -> None:
    """Accept a WebSocket for SIP on its path (RFC 7118 section 4), 404 everything else."""
    if text("$hu").partition("?")[0] == websocket_path and text("$hdr(Upgrade)").lower() == "websocket":
        KSR.websocket.handle_handshake()
    else:
        KSR.xhttp.xhttp_reply(404, "Not Found", "text/plain", "kemi-presence: nothing here\n")
