"""Kamailio's registrar (module registrar, bindings in usrloc): REGISTER, and connections that are lost (RFC 3261 section 10.3).

usrloc reads the stored bindings when Kamailio starts. Workers take requests before it has done so: until then whoever needs
bindings is refused (`require_loaded`). A closed connection that somebody registered over lies in the queue `closed` until the
notifier removes its bindings.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import KSR

from kemi import sip
from kemi.binding import Binding
from kemi.errors import ServiceUnavailable, SipError
from kemi.gateway import field, one_log_line, text, value, wake

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
"""An address of record that has no bindings."""

FIRST_WORKER_IS_READY = "core:worker-one-init"
"""Kamailio's name for that event."""

LOADED = "$shv(loaded)"
"""1 as soon as usrloc has read the stored bindings."""

NOT_LOADED = ServiceUnavailable("registrations are being read", 1)


def core_event(name: str) -> None:
    """When Kamailio's first worker is ready, usrloc has read the stored bindings. An event_route passes no name."""
    if name in ("", FIRST_WORKER_IS_READY):
        KSR.pv.seti(LOADED, 1)


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


@contextmanager
def registration(presentity: str) -> Iterator[Callable[[], list[Binding]]]:
    """Work on a REGISTER: gives what lets Kamailio's registrar change the bindings, and answers when all inside is done.

    What is sent to a binding made over a stream goes back there: over a WebSocket its Contact cannot be resolved
    (RFC 7118 section 5.2). So it does over UDP where a client is behind a NAT.

    Args:
        presentity: canonical URI of the address of record; To may name our address instead of its domain.

    Raises:
        ServiceUnavailable: 503, the server has only just begun.
        BadRequest: 400, Contact is too long, no UTF-8, or holds control characters.
    """
    require_loaded()
    contact = field("$(hdr(Contact)[*])") or ""
    connection = int(value("$conid") or 0) if text("$pr").lower() != "udp" else 0
    if connection:
        KSR.pv.sets(RECEIVED, text("$su"))
        KSR.tcpops.tcp_enable_closed_event_cid(connection)
    elif _is_behind_nat(contact):
        KSR.pv.sets(RECEIVED, text("$su"))
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


def _is_behind_nat(contact: str) -> bool:
    """Whether who registers over UDP believes to be, by Via and Contact, at an address that its request has not come from.

    Who registers for another device is in Via itself, and who comes through a proxy has a second one. One address is kept for all
    contacts of a REGISTER: none of them may be another place.
    """
    own = sip.bracketed(text("$via0(host)"))
    if not own or own == sip.bracketed(text("$si")) or not sip.is_address(own) or text("$via1(host)"):
        return False
    return {own} == {_host_of(each) for each in sip.split_list(contact)}


def _host_of(address: str) -> str:
    try:
        return sip.parse_uri(sip.address_uri(address)).host
    except SipError:
        return ""


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
