"""Kamailio's own trades that a small presence server needs: loose routing, the registrar (RFC 3261 sections 10, 16)."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import KSR

from kemi import sip
from kemi.binding import Binding
from kemi.errors import MaxBreadthExceeded, ServiceUnavailable, TemporarilyUnavailable
from kemi.gateway import field, one_log_line, reply, text, value, wake, warn

LOCATION = "location"
"""The table of bindings, in usrloc and in the database."""

RECEIVED = "$avp(received)"
"""Where module registrar expects the address that a REGISTER came from."""

NO_REPLY = 2
"""Flag of `save`: the answer is sent later."""

CLOSED = "closed"
"""Queue of connections that were closed, of those that somebody registered over."""

MOST_CLOSED = 1000
"""Connections that are taken out of it together."""

NOBODY = "sip:nobody@invalid"

BREADTH = 60
"""To how many a request may be forked that says nothing of it (RFC 5393 section 5.3.3)."""

PATIENCE = 30_000
"""Milliseconds that devices have for their answer: Timer F of who has sent the request fires after 32 s."""

PORTS = {"tls": 5061, "ws": 80, "wss": 443}
"""Ports that Via does not name, where they are others than 5060 (RFC 3261 section 18.1.1, RFC 7118 section 5.2)."""

_SENT_BY = re.compile(r"SIP\s*/\s*2\.0\s*/\s*(\S+)\s+(\[[^\]]*\]|[^\s:;,]+)(?:\s*:\s*([0-9]{1,5}))?", re.IGNORECASE)

FIRST_WORKER_IS_READY = "core:worker-one-init"
LOADED = "$shv(loaded)"
"""1 as soon as usrloc has read the stored bindings."""


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


def core_event(name: str) -> None:
    """When Kamailio's first worker is ready, usrloc has read the stored bindings. An event_route passes no name."""
    if name in ("", FIRST_WORKER_IS_READY):
        KSR.pv.seti(LOADED, 1)


NOT_LOADED = ServiceUnavailable("registrations are being read", 1)


def is_loaded() -> bool:
    """Whether the stored bindings have been read; workers are ready before."""
    return bool(value(LOADED) == 1)


def require_loaded() -> None:
    """Nobody is taken for unregistered while the stored bindings are being read.

    Raises:
        ServiceUnavailable: 503, they are not there yet.
    """
    if not is_loaded():
        raise NOT_LOADED


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


@contextmanager
def registration(presentity: str) -> Iterator[Callable[[], list[Binding]]]:
    """Work on a REGISTER: gives what lets Kamailio's registrar change the bindings, and answers when all inside is done.

    What is sent to a binding made over a stream goes back there: over a WebSocket its Contact cannot be resolved
    (RFC 7118 section 5.2).

    Args:
        presentity: canonical URI of the address of record; To may name our address instead of its domain.

    Raises:
        ServiceUnavailable: 503, the server has only just begun.
        BadRequest: 400, Contact is too long, no UTF-8, or holds control characters.
    """
    require_loaded()
    field("$(hdr(Contact)[*])")
    connection = int(value("$conid") or 0) if text("$pr").lower() != "udp" else 0
    if connection:
        KSR.pv.sets(RECEIVED, text("$su"))
        KSR.tcpops.tcp_enable_closed_event_cid(connection)
    saved: list[int] = []

    def save() -> list[Binding]:
        if not saved:
            saved.append(KSR.registrar.save_uri(LOCATION, NO_REPLY, presentity))
        return bindings_of(presentity)

    try:
        yield save
    except BaseException:
        if saved:
            _forget_answer()
        raise
    KSR.registrar.reg_send_reply()
    if connection and not is_alive(connection):
        connection_closed()


def _forget_answer() -> None:
    """The registrar keeps the contacts for its answer, and would put them into the next one, which may be somebody else's."""
    KSR.hdr.remove("Contact")
    KSR.textopsx.msg_apply_changes()
    KSR.registrar.save_uri(LOCATION, NO_REPLY, NOBODY)


def bindings_of(presentity: str) -> list[Binding]:
    """All bindings that usrloc has for an address of record; some may have expired."""
    return [_binding(index) for index in range(_fetch(presentity))]


def _fetch(presentity: str) -> int:
    """Copy the bindings to where `_of_binding` reads them; their number."""
    if KSR.registrar.reg_fetch_contacts(LOCATION, presentity, "kp") < 0:
        return 0
    return int(value("$ulc(kp=>count)") or 0)


def _of_binding(name: str, index: int) -> str:
    return f"$(ulc(kp=>{name})[{index}])"


def _binding(index: int) -> Binding:
    names = ("ruid", "addr", "received", "callid", "user_agent", "socket", "instance")
    texts = {name: one_log_line(text(_of_binding(name, index))) for name in names}
    username, _, domain = text(_of_binding("aor", index)).rpartition("@")
    methods, q = int(value(_of_binding("methods", index))), int(value(_of_binding("q", index)))
    return Binding(
        ruid=texts["ruid"],
        username=username,
        domain=domain,
        contact=texts["addr"],
        received=texts["received"],
        expires=int(value(_of_binding("expires", index))),
        q=q / 1000 if q >= 0 else -1.0,
        callid=texts["callid"] or "?",
        cseq=int(value(_of_binding("cseq", index))),
        user_agent=texts["user_agent"],
        socket=texts["socket"],
        methods=methods if methods >= 0 else None,
        instance=texts["instance"] or None,
        reg_id=int(value(_of_binding("regid", index))),
    )


def remove_lost(presentity: str) -> list[Binding]:
    """Remove the bindings whose connection is closed; those that are left. One that a restart brought back has none."""
    lost = []
    for index in range(_fetch(presentity)):
        connection = int(value(_of_binding("conid", index)) or 0)
        if connection > 0 and not is_alive(connection):
            lost.append(text(_of_binding("ruid", index)))
    for ruid in lost:
        KSR.registrar.unregister_ruid(LOCATION, presentity, ruid)
    return bindings_of(presentity)


def is_alive(connection: int) -> bool:
    """Whether a connection is open."""
    return bool(KSR.tcpops.tcp_conid_alive(connection) > 0)


def connection_closed() -> None:
    """The connection that Kamailio tells of, or that this REGISTER came over, is closed: the notifier looks after its bindings."""
    queue_closed([text("$su")])
    wake()


def queue_closed(connections: Iterable[str]) -> None:
    """Hand closed connections to the notifier, who looks at them when it is woken."""
    for each in connections:
        KSR.mqueue.mq_add(CLOSED, each, "")


def tick_closed() -> None:
    """Once a second: what lies in the queue is looked at."""
    if KSR.mqueue.mq_size(CLOSED) > 0:
        wake()


def take_closed() -> list[str]:
    """Closed connections that nobody looked after yet, at most MOST_CLOSED of them."""
    closed: list[str] = []
    while len(closed) < MOST_CLOSED and KSR.mqueue.mq_fetch(CLOSED) > 0:
        closed.append(text(f"$mqk({CLOSED})"))
    return closed


def answer_cancel() -> None:
    """200 where the transaction is known, else 481; nothing else happens (RFC 3261 section 9.2, RFC 6665 section 4.6)."""
    if KSR.tm.t_lookup_cancel() > 0:
        reply(200, "canceling")
    else:
        reply(481, "Call/Transaction Does Not Exist")


def is_from_ourselves() -> bool:
    """Whether the request came from this server's own socket."""
    return bool(value("$si") == value("$Ri") and value("$sp") == value("$Rp"))
