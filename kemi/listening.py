"""The sockets that a configuration has Kamailio listen on, tried before it is started: each is bound and closed again.

What Kamailio finds out by itself only while it starts, and says in many lines: a port that another program has, an address that is
not this machine's, a port that this user may not take, two sockets of one address. What `listen` names otherwise than by an
address, as `eth0`, is left to Kamailio.
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from kemi import sip
from kemi.configuration_file import ConfigurationFile
from kemi.errors import ConfigurationError
from kemi.settings import Settings

LISTEN: Final = re.compile(r"(?:(udp|tcp|tls):)?(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::([0-9]+))?")
PORTS: Final = {"udp": ("port", "5060"), "tcp": ("port", "5060"), "tls": ("tls_port_no", "5061")}
"""Where the configuration says which port is meant that is not named, and which one it is without that."""

VARIABLES: Final = {"udp": ("KP_PORT",), "tcp": ("KP_PORT", "KP_HTTP_PORT"), "tls": ("KP_TLS_PORT",)}
ON: Final = ("yes", "true", "on", "enable", "1")
UNPRIVILEGED: Final = 1024
FREE_BIND: Final = {"ip_free_bind", "ipfreebind", "ip_nonlocal_bind"}
"""Names by which Kamailio may listen on an address that is not there yet."""

FOR_NOW: Final = (errno.EADDRINUSE, errno.EACCES)
"""What depends on when and by whom it is tried."""


class Listener(NamedTuple):
    """One socket; `place` is where the configuration names it."""

    transport: str
    address: str
    port: int
    place: str

    @property
    def kind(self) -> socket.SocketKind:
        """TLS is TCP."""
        return socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM

    def __str__(self) -> str:
        return f"{self.transport}:{sip.bracketed(self.address)}:{self.port}"


class Refused(NamedTuple):
    """A socket that cannot be had, and why in the system's words."""

    listener: Listener
    error: OSError


def listeners(file: ConfigurationFile) -> list[Listener]:
    """The sockets that are named by an address, each once, as Kamailio takes them; not those of what is switched off."""
    read = (_listener(str(each.value), each.place, file.core) for each in file.listen)
    first: dict[str, Listener] = {}
    for each in read:
        if each is not None and _is_opened(each, file.core):
            first.setdefault(str(each), each)
    return list(first.values())


def _is_opened(listener: Listener, core: Mapping[str, str]) -> bool:
    """Link-local addresses depend on an interface that Kamailio finds."""
    if listener.kind is socket.SOCK_STREAM and core.get("disable_tcp") in ON:
        return False
    if listener.transport == "tls" and core.get("enable_tls", core.get("tls_enable")) not in ON:
        return False
    return not (":" in listener.address and ipaddress.ip_address(listener.address).is_link_local)


def _listener(value: str, place: str, core: Mapping[str, str]) -> Listener | None:
    match = LISTEN.fullmatch(value)
    if match is None:
        return None
    transport = match[1] or "udp"
    port = match[3] or core.get(*PORTS[transport])
    try:
        return Listener(transport, str(ipaddress.ip_address(match[2].strip("[]"))), int(port), place)
    except ValueError:
        return None


def successors(file: ConfigurationFile, sockets: Iterable[str]) -> dict[str, str]:
    """Which of these sockets, as udp:192.0.2.1:5060, Kamailio does not listen on any more, and what takes the place of each.

    That is the first one of the same transport, of IPv4 or IPv6 as the other was, and public or private if there is one. What
    other machines have reached goes on at no loopback address.
    None where the configuration names one otherwise than by an address, or none: which there are is not known before Kamailio runs.
    """
    if any(_listener(str(each.value), each.place, file.core) is None for each in file.listen):
        return {}
    ours = listeners(file)
    before = {name: found for name in sockets if (found := _listener(name, "", {}))}
    gone = {name: each for name, each in before.items() if not any(each[:3] == one[:3] for one in ours)}
    return {name: str(found) for name, each in gone.items() if (found := _successor(each, ours))}


def _successor(gone: Listener, ours: Sequence[Listener]) -> Listener | None:
    there = ipaddress.ip_address(gone.address)
    similar = {
        each: here
        for each in ours
        if each.transport == gone.transport
        and (here := ipaddress.ip_address(each.address)).version == there.version
        and (there.is_loopback or not here.is_loopback)
    }
    return max(similar, key=lambda each: similar[each].is_private == there.is_private, default=None)


def refuse_doubled(found: Settings, sockets: Sequence[Listener]) -> None:
    """Make sure that no two of them want the same.

    Raises:
        ConfigurationError: two do.
    """
    seen: dict[tuple[object, ...], Listener] = {}
    for each in sockets:
        other = seen.setdefault((each.kind, each.address, each.port), each)
        if other is not each:
            raise ConfigurationError(f"{named(found, each)}: {other} uses it ({named(found, other)}); another port is needed")


def tried(file: ConfigurationFile, sockets: Sequence[Listener]) -> list[Refused]:
    """Those that cannot be had now."""
    if file.core.get("tcp_reuse_port") in ON:
        sockets = [each for each in sockets if each.transport == "udp"]
    passed_over = errno.EADDRNOTAVAIL if set(file.core) & FREE_BIND else 0
    errors = [(each, _bound(each)) for each in sockets]
    return [Refused(each, error) for each, error in errors if error and error.errno != passed_over]


def _bound(listener: Listener) -> OSError | None:
    """Bind it and give it back.

    A TCP port is tried as Kamailio takes it: old connections of it do not count. A UDP port is tried more strictly, as Linux
    lets two programs have one that both allow it, and gives each request to one of them.
    """
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    try:
        with socket.socket(family, listener.kind) as trial:
            if listener.kind is socket.SOCK_STREAM:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((listener.address, listener.port))
    except OSError as error:
        return error
    return None


def words(found: Settings, refused: Refused) -> str:
    """Which value it is, what is wrong, what to do."""
    listener, error = refused
    if error.errno == errno.EADDRINUSE:
        return f"{named(found, listener)}: {listener} is in use (ss -tulpn shows by whom); end that, or take another port"
    if error.errno == errno.EACCES:
        more = f"a port below {UNPRIVILEGED} needs root or CAP_NET_BIND_SERVICE" if listener.port < UNPRIVILEGED else "not allowed"
        return f"{named(found, listener)}: {listener}: {more}"
    name = f"KP_IP = {found.address!r}" if listener.address == found.address else listener.place
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{name}: not an address of this machine; one that `ip address` lists is needed"
    return f"{name}: {listener} cannot be listened on: {error.strerror}"


def named(found: Settings, listener: Listener) -> str:
    """The value that a port comes from."""
    ports = {"KP_PORT": found.port, "KP_HTTP_PORT": found.http_port, "KP_TLS_PORT": found.tls_port}
    for name in VARIABLES[listener.transport]:
        if ports[name] == listener.port:
            return f"{name} = {listener.port}"
    return listener.place
