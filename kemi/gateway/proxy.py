"""What a proxy does (RFC 3261 section 16): checks, loose routing, and relaying to the contacts of our users."""

import re

import KSR

from kemi import sip
from kemi.errors import MaxBreadthExceeded, TemporarilyUnavailable
from kemi.gateway import field, reply, text, value, warn
from kemi.gateway.bindings import LOCATION, require_loaded

BREADTH = 60
"""To how many a request may be forked that says nothing of it (RFC 5393 section 5.3.3)."""

PATIENCE = 30_000
"""Milliseconds that devices have for their answer: Timer F of who has sent the request fires after 32 s."""

PORTS = {"tls": 5061, "ws": 80, "wss": 443}
"""Ports that Via does not name, where they are others than 5060 (RFC 3261 section 18.1.1, RFC 7118 section 5.2)."""

_SENT_BY = re.compile(r"SIP\s*/\s*2\.0\s*/\s*(\S+)\s+(\[[^\]]*\]|[^\s:;,]+)(?:\s*:\s*([0-9]{1,5}))?", re.IGNORECASE)


def is_sane(checks: int) -> bool:
    """Max-Forwards and Kamailio's sanity checks (RFC 3261 section 16.3); False: it was answered."""
    if KSR.maxfwd.process_maxfwd(sip.MAX_FORWARDS) < 0:
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


def answer_in_time() -> None:
    """What is relayed next gets no provisional answer from its devices, and is answered before Timer F fires at the sender.

    No element sends these, nor 408, to a request that is no INVITE (RFC 4320 sections 4.1 and 4.2).
    """
    KSR.tm.t_set_fr(0, PATIENCE)
    KSR.tm.t_on_reply("ksr_relayed_answer")
    KSR.tm.t_on_failure("ksr_relayed_failed")


def drop_provisional() -> None:
    """The response that Kamailio is working on goes no further, where it is a provisional one."""
    if value("$rs") < 200:
        KSR.set_drop()


def has_no_answer() -> bool:
    """Whether the best that the devices have said is 408, or they have said nothing."""
    return bool(KSR.tm.t_check_status("408") > 0)


def relay_acknowledgement() -> None:
    """An ACK goes with its transaction, or nowhere."""
    if KSR.tm.t_check_trans() > 0:
        KSR.tm.t_relay()


def relay_to_registered() -> bool:
    """Forward to the bindings of the Request-URI's user, GRUU included; False: there are none.

    Raises:
        ServiceUnavailable: 503, the server has only just begun.
        TemporarilyUnavailable: 480, it is to go by SIPS, and one of them is none (RFC 5630 section 5.3).
        MaxBreadthExceeded: 440, there are more of them than the request may be forked to.
    """
    require_loaded()
    is_secure = _is_sips(text("$ru"))
    if KSR.registrar.lookup(LOCATION) < 0:
        return False
    contacts = _targets()
    if is_secure and not all(map(_is_sips, contacts)):
        raise TemporarilyUnavailable("a contact is not reached by SIPS")
    _share_breadth(len(contacts))
    relay()
    return True


def _is_sips(uri: str) -> bool:
    return uri[:5].lower() == "sips:"


def _targets() -> list[str]:
    """Where the request goes now."""
    return [text("$ru"), *(text(f"$(branch(uri)[{index}])") for index in range(value("$branch(count)") or 0))]


def _share_breadth(contacts: int) -> None:
    """Part what is left of Max-Breadth among all contacts (RFC 5393 section 5.3.3)."""
    given = field("$(hdr(Max-Breadth)[*])")
    left = int(given) if given and re.fullmatch("[0-9]{1,9}", given) else BREADTH
    if left < contacts:
        raise MaxBreadthExceeded("there are more contacts than that")
    if given is not None:
        KSR.hdr.remove("Max-Breadth")
    KSR.hdr.append(f"Max-Breadth: {left // contacts}\r\n")


def retarget(uri: str) -> None:
    """Write another Request-URI."""
    KSR.pv.sets("$ru", uri)


def hops() -> list[sip.Uri]:
    """The addresses that a request was sent by, as Via says (RFC 3261 section 18.1.1).

    Raises:
        BadRequest: 400, Via is too long, no UTF-8, or holds control characters.
    """
    found = _SENT_BY.findall(field("$(hdr(Via)[*])") or "")
    return [
        sip.Uri("sip", "", host.lower(), int(port or PORTS.get(transport.lower(), 5060)), "") for transport, host, port in found
    ]


def answer_cancel() -> None:
    """200 where the transaction is known, else 481; nothing else happens (RFC 3261 section 9.2, RFC 6665 section 4.6)."""
    if KSR.tm.t_lookup_cancel() > 0:
        reply(200, "canceling")
    else:
        reply(481, "Call/Transaction Does Not Exist")


def is_from_ourselves() -> bool:
    """Whether the request came from the socket that it came in on."""
    return bool(value("$si") == value("$Ri") and value("$sp") == value("$Rp"))


def source() -> tuple[str, str, int]:
    """Transport, address and port that the request came from."""
    return text("$pr").lower(), text("$si"), int(value("$sp") or 0)
