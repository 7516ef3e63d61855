"""The one place that touches Kamailio (KSR): reading a request, executing effects, passing work between its processes.

Facts of the host that shape this file: every value read costs 0.2 to 0.5 us, so a request is read field by field, only what its
method needs; a header field that stands on several lines is read with `[*]`; a body that is no UTF-8 is read as hexadecimal;
`t_uac_send` takes header lines as text and adds Via, Content-Length and User-Agent itself.
"""

import binascii
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import KSR

from kemi import remote_target, sip
from kemi.answer import Answer
from kemi.effects import Effect, Log, Reply, SendRequest, Wake, WakeSubscriber
from kemi.errors import BadRequest, SipError

SOCKETS = {"ws": "tcp", "wss": "tls"}
"""Transports whose sockets Kamailio knows by another name."""

ONE_MESSAGE = ("udp", "ws", "wss")
"""Transports that say themselves where a message ends: it needs no Content-Length (RFC 3261 section 20.14, RFC 7118 section 5)."""

START_OF_MESSAGE = "$(mb{s.substr,0,1024}{s.encode.hexa})"
"""Enough of the message to hold any Request-URI that is taken; its body may be no text."""

MAX_FIELD = 4096
"""Characters in one header field value."""

BUFFER = 8192
"""Octets of Kamailio's buffer for lists: what a shorter message has fits into it."""

RETRY_AFTER = 5
"""Seconds after which a client may try again, where the database cannot do its work."""

TRANSACTION_IS_THERE = -10
"""Result of t_newtran where a script has made the transaction before."""

CHANGED = "$shv(changed)"
"""The parameters that were changed while the server runs (`kemi.runtime_settings`)."""

PATH = "$(hdr(Presence-Path)[*])"
"""Servers that a subscription came through (`kemi.b2bua.relay`)."""

HURRY = "$shv(hurry)"
"""Until when, seconds since the epoch, every answer to a NOTIFY is settled at once (`answers`)."""

HURRY_SECONDS = 3
"""How long after a change that had to wait for answers; what is answered later waits for the tick."""


class Task(NamedTuple):
    """Work of a group of `async` workers: the callback, the group, and the mark that is 1 while a worker is called for it."""

    callback: str
    group: str
    mark: str


NOTIFIER = Task("ksr_notify", "notify", "$shv(woken)")
FETCHER = Task("ksr_fetch", "fetch", "$shv(fetching)")
SUBSCRIBER = Task("ksr_ask", "notify", "$shv(asking)")

_FIELDS = {
    "from_uri": "$fu",
    "from_tag": "$ft",
    "call_id": "$ci",
    "branch": "$via0(branch)",
    "event": "$hdr(Event)",
    "expires": "$hdr(Expires)",
    "require": "$(hdr(Require)[*])",
}
_FIELDS_OF_METHOD = {
    "NOTIFY": _FIELDS
    | {
        "to_uri": "$tu",
        "to_tag": "$tt",
        "contact": "$(hdr(Contact)[*])",
        "record_route": "$(hdr(Record-Route)[*])",
        "subscription_state": "$hdr(Subscription-State)",
        "entity_tag": "$hdr(SIP-ETag)",
    },
    "PUBLISH": _FIELDS | {"entity_tag": "$(hdr(SIP-If-Match)[*])"},
    "SUBSCRIBE": _FIELDS
    | {
        "to_uri": "$tu",
        "to_tag": "$tt",
        "contact": "$(hdr(Contact)[*])",
        "accept": "$(hdr(Accept)[*])",
        "supported": "$(hdr(Supported)[*])",
        "record_route": "$(hdr(Record-Route)[*])",
        "user_agent": "$ua",
        "suppress": "$hdr(Suppress-If-Match)",
    },
}
_LISTS = {
    f"$(hdr({name})[*])": name
    for name in (
        "Require", "Supported", "Proxy-Require", "SIP-If-Match", "Contact", "Accept", "Via", "Record-Route",
        "P-Asserted-Identity", "Max-Breadth",
    )
}  # fmt: skip
"""Lists that are None when they do not fit into BUFFER, as if they were missing."""

_FIELDS_OF_BODY = {
    "content_type": "$cT",
    "content_encoding": "$hdr(Content-Encoding)",
}

value = KSR.pv.get


def text(name: str) -> str:
    """A value of the message, "" where it is missing or no UTF-8."""
    try:
        found = value(name)
    except UnicodeDecodeError:
        return ""
    return "" if found is None else str(found)


def field(name: str) -> str | None:
    """A header field value on one line, None where it is missing.

    Raises:
        BadRequest: 400, it is too long, no UTF-8, or holds control characters.
    """
    found = _fields({name: name}).get(name)
    if found is None:
        _refuse_hidden([name])
    return found


def values_of(name: str, most: int) -> list[str]:
    """The values of a header field, one for each line that has it; those behind the first `most` are not looked at."""
    number = min(int(value(f"$hdrc({name})") or 0), most)
    return [text(f"$(hdr({name})[{index}])") for index in range(number)]


def _refuse_hidden(missing: Iterable[str]) -> None:
    """A list that is missing is one that did not fit into BUFFER, if it is there."""
    if any(name in _LISTS and KSR.hdr.is_present(_LISTS[name]) > 0 for name in missing):
        raise BadRequest("a header field is too long")


def _fields(variables: Mapping[str, str]) -> dict[str, Any]:
    """Header field values by key, as `field` gives them; without those that are missing, or do not fit into BUFFER.

    Args:
        variables: Kamailio's name for each value, by key.
    """
    fields = {}
    try:
        for name, variable in variables.items():
            found = value(variable)
            if found is not None:
                fields[name] = found if found.isprintable() and len(found) <= MAX_FIELD else _one_line(found)
    except UnicodeDecodeError:
        raise BadRequest("a header field is no UTF-8") from None
    return fields


def _one_line(found: str) -> str:
    if len(found) > MAX_FIELD:
        raise BadRequest("a header field is too long")
    return sip.one_line(found)


def read_request(method: str) -> sip.Request:
    """The request that Kamailio is working on, only what its method needs.

    Raises:
        BadRequest: 400, a value cannot be used.
    """
    transport = text("$pr").lower()
    variables = _FIELDS_OF_METHOD[method]
    fields = _fields(variables)
    if (value("$ml") or 0) >= BUFFER:
        _refuse_hidden([variable for name, variable in variables.items() if name not in fields])
    body = read_body(transport)
    if body:
        fields |= _fields(_FIELDS_OF_BODY)
        if method == "SUBSCRIBE":
            fields["content_disposition"] = field("$hdr(Content-Disposition)")
    if method == "SUBSCRIBE":
        fields |= _way_back(transport)
    cseq = text("$cs")
    if not fields.get("call_id"):
        raise BadRequest("Call-ID is empty")
    if not sip.is_cseq_number(cseq):
        raise BadRequest("CSeq is no number below 2**31")
    return sip.Request(
        method=method,
        uri=request_uri(),
        cseq=int(cseq),
        source_address=text("$si"),
        source_port=value("$sp") or 0,
        transport=transport,
        body=body,
        **fields,
    )


def request_uri() -> str:
    """The Request-URI. Kamailio reads no pres and im URIs: they are shown to it as sip (RFC 3859 section 3.2.1)."""
    known = field("$ru")
    if known is not None:
        return known
    original = [*bytes.fromhex(text(START_OF_MESSAGE)).decode(errors="replace").split(" "), "", ""][1]
    scheme, _, rest = original.partition(":")
    if scheme.lower() in ("pres", "im"):
        KSR.pv.sets("$ru", f"sip:{rest}")
    return sip.one_line(original)


def forget_record_route() -> None:
    """A PUBLISH makes no dialog: its answer has no Record-Route (RFC 3903 section 6)."""
    if KSR.hdr.is_present("Record-Route") > 0:
        KSR.hdr.remove("Record-Route")
        apply_changes()


def _way_back(transport: str) -> dict[str, Any]:
    """Where a SUBSCRIBE came in, for the NOTIFYs that go back; and a name for its sender, as far as it can be read."""
    return {
        "display_name": text("$fn"),
        "socket": f"{transport}:{sip.bracketed(text('$Ri'))}:{text('$Rp')}",
        "connection": int(value("$conid") or 0) if transport != "udp" else 0,
        "via_count": len(sip.split_list(text("$(hdr(Via)[*])"))) or 2,  # there are many where they do not fit into BUFFER
    }


def read_body(transport: str) -> bytes:
    """The body as it came, cut at Content-Length (RFC 3261 section 18.3).

    Raises:
        BadRequest: 400, it is shorter than Content-Length says.
    """
    length = int(value("$cl") or 0)
    if not length and transport not in ONE_MESSAGE:
        return b""
    try:
        found = value("$rb")
        body = found.encode() if found else b""
    except UnicodeDecodeError:
        body = binascii.unhexlify(value("$(rb{s.encode.hexa})") or "")
    if len(body) < length:
        raise BadRequest("the body is shorter than Content-Length")
    if body and not length and KSR.hdr.is_present("Content-Length") < 0:
        return body
    return body[:length]


def execute(effects: Iterable[Effect]) -> list[Answer]:
    """Do what a verb decided, in order.

    Returns:
        One Answer with status 0 for each request that could not be sent.
    """
    unsent = []
    for effect in effects:
        if isinstance(effect, SendRequest):
            if not send(effect):
                unsent.append(Answer(effect.id, effect.cseq, 0))
        elif isinstance(effect, Reply):
            reply(effect.status, effect.reason, effect.headers)
        elif isinstance(effect, Wake):
            if effect.blocked:
                KSR.pv.seti(HURRY, int(time.time()) + HURRY_SECONDS)
            wake()
        elif isinstance(effect, WakeSubscriber):
            wake(SUBSCRIBER)
        elif isinstance(effect, Log):
            log(effect)
    return unsent


def log(line: Log) -> None:
    """One line at INFO."""
    KSR.info(f"{one_log_line(line.text)}\n")


def one_log_line(line: str) -> str:
    """Text from outside cannot begin a line of its own in the log."""
    return line if line.isprintable() else re.sub(r"[^ -~]", "?", line)


def warn(line: str) -> None:
    """One line at WARNING: a refusal, or something that an operator should look at."""
    KSR.warn(f"{one_log_line(line)}\n")


def error(line: str) -> None:
    """Lines at ERROR: a traceback."""
    KSR.err(f"{line}\n")


def reply(status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
    """Answer the request: in its transaction if it has one, else nothing is kept of it."""
    lines = "".join([f"{name}: {content}\r\n" for name, content in headers])
    if lines:
        KSR.hdr.append_to_reply(lines)
    KSR.sl.send_reply(status, reason)


def refuse(refusal: SipError) -> None:
    """Answer with a refusal; its detail goes into Warning (RFC 3261 section 20.43)."""
    headers = refusal.headers
    if refusal.detail:
        detail = one_log_line(refusal.detail).replace('"', "'")
        headers = (*headers, ("Warning", f'399 kemi-presence "{detail}"'))
    reply(refusal.status, refusal.reason, headers)


def set_to_tag(tag: str) -> None:
    """Have all responses to this request carry our tag in To; before a transaction is made."""
    to_field = field("$hdr(To)")
    KSR.hdr.remove("To")
    KSR.hdr.append(f"To: {to_field};tag={tag}\r\n")
    apply_changes()


def apply_changes() -> None:
    """Have changes of the request's header fields count, here and for Kamailio's modules.

    Raises:
        SipError: 500, Kamailio does not do that behind record_route() of a script.
    """
    if KSR.textopsx.msg_apply_changes() < 0:
        raise SipError("the script has to leave record_route() to requests that it relays")


def begin_transaction() -> bool:
    """Create the server transaction, so that retransmissions are answered by Kamailio (RFC 3261 section 17.2.2).

    Returns:
        False: it is a retransmission; there is nothing more to do.
    """
    result = KSR.tm.t_newtran()
    return bool(result > 0 or result == TRANSACTION_IS_THERE)


def max_forwards() -> int:
    """Max-Forwards of the request as it came; that of a new request where it says nothing."""
    number = text("$hdr(Max-Forwards)").strip()
    return int(number) if re.fullmatch("[0-9]{1,3}", number) else sip.MAX_FORWARDS


def message_number() -> int:
    """Tells the message that is worked on from the others of this process."""
    return int(value("$mi"))


def send(request: SendRequest) -> bool:
    """Send a request of ours; False where Kamailio cannot."""
    next_hop = request.next_hop
    if request.connection and next_hop and not KSR.tcpops.tcp_conid_alive(request.connection) > 0:
        if "transport=ws" in next_hop or remote_target.is_unspecified(sip.parse_uri(request.uri).host):
            return False
        next_hop = ""
    socket = _socket_for(next_hop or request.uri, request.socket)
    try:
        sent = KSR.tm.t_uac_send(request.method, request.uri, next_hop, socket, request.headers, request.body)
    except Exception as failure:
        warn(f"{request.method} not sent: id={request.id} why={failure}")
        return False
    return sent is None or sent > 0


def _socket_for(uri: str, socket: str) -> str:
    """Our own socket for what goes to this URI; "": any of its transport."""
    if socket[:4] == "udp:" and uri[:4] == "sip:" and ";" not in uri:
        return socket
    transport, _, address = socket.partition(":")
    return f"{SOCKETS.get(transport, transport)}:{address}" if transport == sip.transport_of(uri) else ""


def wake(task: Task = NOTIFIER) -> None:
    """Have a worker do this task, unless one is called already.

    The mark is taken away before that worker looks, so a commit made before this call is seen in any case.
    """
    if value(task.mark) != 1:
        KSR.pv.seti(task.mark, 1)
        getattr(KSR, "async").task_group_data(task.callback, task.group, "")


def woken(task: Task = NOTIFIER) -> None:
    """A worker is about to do this task: from now on one has to be called again."""
    KSR.pv.seti(task.mark, 0)


def pass_changes(changes: str) -> None:
    """Let all processes know which parameters are changed."""
    KSR.pv.sets(CHANGED, changes)
