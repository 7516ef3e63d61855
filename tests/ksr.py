"""A strict double of KSR, Kamailio's module inside its Python: what Kamailio does not have, or would not take, raises.

One message is worked on at a time (`message`). Names and arguments are those of Kamailio 5.6; a module counts as there only when
kamailio.cfg, or the file that it includes, loads it, a shared variable, queue or table only when they define it.
"""

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.usrloc import REGISTRAR, SENT_BY, Registrar
from tests.xhttp import XHTTP, Xhttp

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = "".join((ROOT / name).read_text() for name in ("kamailio.cfg", "kemi-presence.cfg"))
COMPACT = {"o": "event", "k": "supported", "c": "content-type", "l": "content-length", "m": "contact", "f": "from", "t": "to",
           "i": "call-id", "v": "via", "u": "allow-events", "e": "content-encoding"}  # fmt: skip

CORE = {"pv", "hdr"}
FUNCTIONS: dict[str, dict[str, tuple[type, ...]]] = {
    "pv": {"get": (str,), "seti": (str, int), "sets": (str, str)},
    "hdr": {"append": (str,), "insert": (str,), "remove": (str,), "append_to_reply": (str,), "is_present": (str,)},
    "tm": {
        "t_newtran": (), "t_relay": (), "t_check_trans": (), "t_lookup_cancel": (), "t_reply": (int, str),
        "t_uac_send": (str, str, str, str, str, str),
        "t_set_fr": (int, int), "t_on_reply": (str,), "t_on_failure": (str,), "t_check_status": (str,),
    },
    "tmx": {"t_precheck_trans": ()}, "textopsx": {"msg_apply_changes": ()},
    "sl": {"send_reply": (int, str), "sl_send_reply": (int, str), "sl_reply_error": ()},
    "maxfwd": {"process_maxfwd": (int,)}, "sanity": {"sanity_check": (int, int)}, "rr": {"loose_route": ()},
    "registrar": {"lookup": (str,), **REGISTRAR},
    "auth": {"pv_auth_check": (str, str, int, int)}, "htable": {"sht_inc": (str, str)},
    "mqueue": {"mq_add": (str, str, str), "mq_size": (str,), "mq_fetch": (str,)},
    "tcpops": {"tcp_conid_alive": (int,), "tcp_enable_closed_event_cid": (int,), "tcp_close_connection_id": (int,)},
    "async": {"task_group_data": (str, str, str)},
    **XHTTP,
}  # fmt: skip


class NotInKamailio(BaseException):
    """Kamailio has no such function, variable or argument; nothing may catch this by accident."""


@dataclass
class Message:
    """A request or response as it came; header values may be octets that are no UTF-8."""

    method: str = "OPTIONS"
    uri: str = "sip:alice@example.org"
    headers: list[tuple[str, str | bytes]] = field(default_factory=list)
    body: bytes = b""
    status: int = 0
    source: tuple[str, int] = ("198.51.100.7", 5062)
    socket: tuple[str, int] = ("192.0.2.1", 5060)
    transport: str = "UDP"
    connection: int = 0
    http_uri: str = ""
    original_uri: str = ""  # of a request whose script has written another one

    def all(self, name: str) -> list[str | bytes]:
        wanted = COMPACT.get(name.lower(), name.lower())
        return [value for key, value in self.headers if COMPACT.get(key.lower(), key.lower()) == wanted]

    def first(self, name: str) -> str | None:
        return next(map(decoded, self.all(name)), None)


@dataclass(frozen=True)
class Response:
    """An answer; `to` is the To that it carries."""

    status: int
    reason: str
    headers: dict[str, list[str]]
    stateful: bool
    to: str


def decoded(value: str | bytes) -> str:
    """As Kamailio hands text to Python: UTF-8 or nothing."""
    return value.decode() if isinstance(value, bytes) else value


def fields(text: str) -> dict[str, list[str]]:
    """Header lines as values by name."""
    found: dict[str, list[str]] = {}
    for line in text.split("\r\n")[:-1]:
        name, separator, value = line.partition(":")
        if not separator or not re.fullmatch(r"[A-Za-z-]+", name) or not value.isprintable():
            raise NotInKamailio(f"no header line: {line!r}")
        found.setdefault(name, []).append(value.strip())
    if text and not text.endswith("\r\n"):
        raise NotInKamailio(f"header lines without end: {text!r}")
    return found


def uri_of(address: str | None) -> str | None:
    if address is None:
        return None
    match = re.search(r"<([^>]*)>", address)
    return match[1] if match else address.partition(";")[0].strip()


def tag_of(address: str | None) -> str | None:
    match = re.search(r";\s*tag=([^;\s]+)", (address or "").rpartition(">")[2])
    return match[1] if match else None


def name_of(address: str | None) -> str | None:
    """The display name, as it is written."""
    return ((address or "").partition("<")[0].strip() if "<" in (address or "") else "") or None


class KSR(Xhttp, Registrar):
    """What Python sees as KSR, and what tests see of what was done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.message = Message()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.results: dict[str, Any] = {}
        """Results of functions by name, e.g. {"tm.t_newtran": 0}; a callable is called."""
        self.responses: list[Response] = []
        self.sent: list[tuple[str, ...]] = []
        self.logged: list[tuple[str, str]] = []
        self.tasks: list[tuple[str, str, str]] = []
        self.queue: deque[tuple[str, str]] = deque()
        self.closed: deque[tuple[str, str]] = deque()
        self.subscribed: deque[tuple[str, str]] = deque()
        self.parameters: dict[str, str] = {}
        """Our parameters as Kamailio has them, by `group.name`."""
        self.variables: dict[str, Any] = {f"$shv({name})": int(start) for name, start in defined(r'"shvset", "(\w+)=i:(\d+)"')}
        self._fetched = ("", "")
        self._changes: list[Callable[[Message], None]] = []
        self._reply_headers = ""
        self._transaction = False
        self._counts: Counter[str] = Counter()
        self._number = 0
        self.set_drop = lambda: self.call("set_drop", ())

    def receive(self, message: Message) -> None:
        """The next message is worked on; what was left over of the one before is gone."""
        self.message, self._changes, self._reply_headers, self._transaction = message, [], "", False
        self._number += 1
        self.variables = {"$branch(count)": 0} | {name: value for name, value in self.variables.items() if name.startswith("$shv")}

    def __getattr__(self, module: str) -> "Module":
        if module in ("info", "warn", "err"):
            return lambda text: self._log(module, text)  # type: ignore[return-value]
        loaded = module in CORE or f'loadmodule "{module}.so"' in CONFIGURATION
        if module not in FUNCTIONS or not loaded:
            raise NotInKamailio(f"KSR.{module}")
        return Module(self, module)

    def _log(self, level: str, text: str) -> None:
        if type(text) is not str or not text.endswith("\n"):
            raise NotInKamailio(f"log: {text!r}")
        self.logged.append((level, text.removesuffix("\n")))

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.calls.append((name, arguments))
        done = getattr(type(self), "_" + name.replace(".", "_"), lambda *_: 1)
        if name in self.results and name != "pv.get":
            result = self.results[name]
            return result(*arguments) if callable(result) else result
        return done(self, *arguments)

    def called(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for each, arguments in self.calls if each == name]

    # Variables

    def _pv_get(self, name: str) -> Any:
        if name in self.variables:
            return self.variables[name]
        header = re.fullmatch(r"\$(?:hdr\(([\w-]+)\)|\(hdr\(([\w-]+)\)(?:\[(\*|\d+)\])?\))", name)
        if header:
            return self._header(header[1] or header[2], header[3])
        count = re.fullmatch(r"\$hdrc\(([\w-]+)\)", name)
        if count:
            return len(self.message.all(count[1]))
        if name == "$mi":
            return self._number
        if re.fullmatch(r"\$avp\(\w+\)", name):
            return None
        if definition := re.fullmatch(r"\$def\((\w+)\)", name):
            return "" if defined(rf"(?m)^#!define {definition[1]}$") else None
        parameter = re.fullmatch(r"\$sel\(cfg_get\.([\w.]+)\)", name)
        if parameter and parameter[1] in self.parameters:
            return self.parameters[parameter[1]]
        contact = re.fullmatch(r"\$\(?ulc\(kp=>(\w+)\)(?:\[(\d+)\]\))?", name)
        if contact:
            return self.usrloc.value(contact[1], int(contact[2] or 0))
        if name not in VARIABLES:
            raise NotInKamailio(name)
        return VARIABLES[name](self.message, self._fetched)

    def _header(self, name: str, index: str | None) -> str | None:
        values = list(map(decoded, self.message.all(name)))
        if index == "*":
            return ",".join(values) if 0 < len(",".join(values)) < 8192 else None  # Kamailio's buffer
        return values[int(index or 0)] if len(values) > int(index or 0) else None

    def _pv_seti(self, name: str, value: int) -> None:
        if name not in self.variables or not name.startswith("$shv"):
            raise NotInKamailio(f"{name} is no shared variable of kamailio.cfg")
        self.variables[name] = value

    def _pv_sets(self, name: str, value: str) -> None:
        if name == "$ru":
            self.message.uri = value
        elif re.fullmatch(r"\$avp\(\w+\)", name) or (name.startswith("$shv") and name in self.variables):
            self.variables[name] = value
        else:
            raise NotInKamailio(f"{name} cannot be written")

    # Header fields: changes are seen when they are applied

    def _hdr_append(self, lines: str, at: int = 10_000) -> int:
        added: list[tuple[str, str | bytes]] = [(name, each) for name, values in fields(lines).items() for each in values]
        self._changes.append(lambda message: message.headers.__setitem__(slice(at, at), added))
        return 1

    def _hdr_insert(self, lines: str) -> int:
        return self._hdr_append(lines, 0)

    def _hdr_remove(self, name: str) -> int:
        def change(message: Message) -> None:
            message.headers = [(key, value) for key, value in message.headers if key.lower() != name.lower()]

        self._changes.append(change)
        return 1

    def _hdr_append_to_reply(self, lines: str) -> int:
        fields(lines)
        self._reply_headers += lines
        return 1

    def _hdr_is_present(self, name: str) -> int:
        return 1 if self.message.all(name) else -1

    def _textopsx_msg_apply_changes(self) -> int:
        while self._changes:
            self._changes.pop(0)(self.message)
        return 1

    # Transactions and answers

    def _tm_t_newtran(self) -> int:
        if self._changes:
            raise NotInKamailio("changes are not seen by the transaction")
        if self._transaction:
            return -10
        self._transaction = True
        return 1

    def _to(self) -> str:
        """To as it stands in the message; Kamailio itself does not mind what it is written in."""
        found = next(iter(self.message.all("To")), "")
        return found if isinstance(found, str) else found.decode(errors="replace")

    def _answer(self, status: int, reason: str, stateful: bool) -> int:
        self.responses.append(Response(status, reason, fields(self._reply_headers), stateful, self._to()))
        self._reply_headers = ""
        return 1

    def _sl_send_reply(self, status: int, reason: str) -> int:
        return self._answer(status, reason, self._transaction)

    def _sl_sl_send_reply(self, status: int, reason: str) -> int:
        return self._answer(status, reason, False)

    def _tm_t_reply(self, status: int, reason: str) -> int:
        if not self._transaction:
            raise NotInKamailio("no transaction to answer")
        return self._answer(status, reason, True)

    def _tm_t_uac_send(self, *arguments: str) -> int:
        lines = fields(arguments[4])
        missing = {"From", "To", *({"Content-Type"} if arguments[5] else ())} - set(lines)
        if missing or {"Content-Length", "Via"} & set(lines):
            raise NotInKamailio(f"t_uac_send: {arguments[4]!r}")
        self.sent.append(arguments)
        return 1

    def _tm_t_check_trans(self) -> int:
        return 0 if self._transaction else -1

    def _tm_t_lookup_cancel(self) -> int:
        return -1

    _tmx_t_precheck_trans = _tm_t_lookup_cancel

    # Between processes

    def _mqueue_mq_add(self, queue: str, key: str, value: str) -> int:
        self._queue(queue).append((key, value))
        return 1

    def _mqueue_mq_size(self, queue: str) -> int:
        return len(self._queue(queue))

    def _mqueue_mq_fetch(self, queue: str) -> int:
        if not self._queue(queue):
            return -1
        self._fetched = self._queue(queue).popleft()
        return 1

    def _queue(self, name: str) -> deque[tuple[str, str]]:
        known(name, r'"mqueue", "name=(\w+)')
        return {"closed": self.closed, "subscribed": self.subscribed}.get(name, self.queue)

    def _htable_sht_inc(self, table: str, key: str) -> int:
        known(table, r'"htable", "(\w+)=>')
        self._counts[key] += 1
        return self._counts[key]

    def _async_task_group_data(self, method: str, group: str, data: str) -> int:
        known(group, r'async_workers_group = "name=(\w+)')
        self.tasks.append((method, group, data))
        return 1

    def _auth_pv_auth_check(self, realm: str, password: str, flags: int, checks: int) -> int:
        header = "WWW-Authenticate" if self.message.method == "REGISTER" else "Proxy-Authenticate"
        self.variables["$avp(digest_challenge)"] = f'{header}: Digest realm="{realm}", nonce="n", qop="auth"\r\n'
        return -5


class Module:
    """One module of KEMI: its functions, each with the arguments that it takes."""

    def __init__(self, ksr: KSR, name: str) -> None:
        self._ksr, self._name = ksr, name

    def __getattr__(self, function: str) -> Callable[..., Any]:
        if function not in FUNCTIONS[self._name]:
            raise NotInKamailio(f"KSR.{self._name}.{function}")
        types = FUNCTIONS[self._name][function]

        def call(*arguments: Any) -> Any:
            if tuple(map(type, arguments)) != types:
                raise NotInKamailio(f"KSR.{self._name}.{function}{arguments!r} takes {types}")
            return self._ksr.call(f"{self._name}.{function}", arguments)

        return call


def defined(pattern: str) -> list[Any]:
    return re.findall(pattern, CONFIGURATION)


def known(name: str, pattern: str) -> None:
    if name not in defined(pattern):
        raise NotInKamailio(f"kamailio.cfg has no {name}")


def content_length(message: Message) -> int | None:
    found = message.first("Content-Length")
    return None if found is None else int(found)


def request_uri(message: Message) -> str | None:
    """Kamailio reads no other schemes."""
    return message.uri if message.uri.partition(":")[0] in ("sip", "sips", "tel", "urn") else None


VARIABLES: dict[str, Callable[[Message, tuple[str, str]], Any]] = SENT_BY | {
    "$rm": lambda message, _: message.method,
    "$ru": lambda message, _: request_uri(message),
    "$ou": lambda message, _: message.original_uri or message.uri,
    "$rs": lambda message, _: message.status,
    "$ml": lambda message, _: len(message.body) + sum(len(name) + len(value) + 4 for name, value in message.headers),
    "$fu": lambda message, _: uri_of(message.first("From")),
    "$ft": lambda message, _: tag_of(message.first("From")),
    "$fn": lambda message, _: name_of(message.first("From")),
    "$tu": lambda message, _: uri_of(message.first("To")),
    "$tt": lambda message, _: tag_of(message.first("To")),
    "$ci": lambda message, _: message.first("Call-ID"),
    "$cs": lambda message, _: (message.first("CSeq") or "").partition(" ")[0],
    "$cT": lambda message, _: message.first("Content-Type"),
    "$cl": lambda message, _: content_length(message),
    "$ua": lambda message, _: message.first("User-Agent"),
    "$rb": lambda message, _: message.body.decode() if message.body else None,
    "$(rb{s.encode.hexa})": lambda message, _: message.body.hex(),
    "$(mb{s.substr,0,1024}{s.encode.hexa})": lambda message, _: f"{message.method} {message.uri} SIP/2.0\r\n"[:1024].encode().hex(),
    "$si": lambda message, _: message.source[0],
    "$sp": lambda message, _: message.source[1],
    "$su": lambda message, _: f"sip:{message.source[0]}:{message.source[1]};transport={message.transport.lower()}",
    "$Ri": lambda message, _: message.socket[0],
    "$Rp": lambda message, _: message.socket[1],
    "$pr": lambda message, _: message.transport.lower(),
    "$conid": lambda message, _: message.connection or None,
    "$hu": lambda message, _: message.http_uri,
    "$via0(branch)": lambda message, _: (re.findall(r"branch=([^;]+)", message.first("Via") or "") or [None])[0],
    **{f"$mqk({queue})": lambda _, fetched: fetched[0] for queue in ("answers", "closed", "subscribed")},
    **{f"$mqv({queue})": lambda _, fetched: fetched[1] for queue in ("answers", "subscribed")},
}
