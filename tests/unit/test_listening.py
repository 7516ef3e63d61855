"""The sockets that a configuration names: which there are, which can be had, and what is said of the others."""

import errno
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemi import configuration_file, listening, settings, startup
from kemi.configuration_file import ConfigurationFile
from kemi.errors import ConfigurationError
from kemi.listening import Listener, Refused
from kemi.settings import Settings

FOREIGN = "192.0.2.9"


@pytest.fixture
def found(tmp_path: Path) -> Settings:
    (tmp_path / "kamailio.cfg").write_text("")
    return settings.load({"KP_VAR": str(tmp_path)}, tmp_path / "kamailio.cfg")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on over TCP and over UDP."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        yield port


def read(folder: Path, text: str) -> ConfigurationFile:
    (folder / "kamailio.cfg").write_text(text)
    return configuration_file.read(folder / "kamailio.cfg", {}, {})


def names(file: ConfigurationFile) -> list[str]:
    return [str(each) for each in listening.listeners(file)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "enable_tls = yes\nlisten = udp:127.0.0.1:5070\nlisten=tcp:[::1]:5071;listen=tls:192.0.2.1",
            "udp:127.0.0.1:5070 tcp:[::1]:5071 tls:192.0.2.1:5061",
        ),
        ("port = 5080\nlisten = 127.0.0.1\n", "udp:127.0.0.1:5080"),
        ("listen = udp:192.0.2.1:5060 advertise 198.51.100.1:5060\n", "udp:192.0.2.1:5060"),
        ("#!ifdef WITH_TLS\nlisten = tls:127.0.0.1:5061\n#!endif\n# listen = udp:127.0.0.1:5060\n", ""),
        ("#!define HERE 192.0.2.1:5062\nlisten = tcp:HERE\n", "tcp:192.0.2.1:5062"),
        ('#!define IP 192.0.2.1\n#!substdef "!HERE!$def(IP):5062!g"\nlisten = tcp:HERE\n', "tcp:192.0.2.1:5062"),
        ("listen = udp:eth0:5060\nlisten = udp:*:5060\nlisten = udp:sip.example.org:5060\nlisten = sctp:127.0.0.1:5060\n", ""),
        ("port = 5080\nenable_tls = 1\nlisten=\ttls:192.0.2.1\n", "tls:192.0.2.1:5061"),
        ("listen = tls:[::1]\ntls_port_no = 5099\nenable_tls = yes\n", "tls:[::1]:5099"),
        ("listen = tls:192.0.2.1:5061\n", ""),
        ("disable_tcp = yes\nenable_tls = yes\nlisten = udp:[::1]:9\nlisten = tcp:[::1]:9\nlisten = tls:[::1]:9\n", "udp:[::1]:9"),
        ("listen = tcp:192.0.2.1:5062\nlisten = tcp:192.0.2.1:5062\n", "tcp:192.0.2.1:5062"),
        ("bind_ipv6_link_local = 1\nlisten = udp:[fe80::1]:5060\n", ""),
        ("route { listen = 1; }\nlisten = udp:999.0.0.1:5060\n", ""),
    ],
)
def test_addresses_that_are_named(tmp_path: Path, text: str, expected: str) -> None:
    assert names(read(tmp_path, text)) == expected.split()


def test_addresses_of_this_project_are_those_of_its_settings() -> None:
    configuration = startup.PROJECT / "kamailio.cfg"
    outer = {"KP_IP": "::1", "KP_PORT": "5070", "KP_HTTP_PORT": "", "KP_TLS_PORT": "5071", "KP_DEFINES": "WITH_TLS"}
    file = startup.read(settings.load(outer, configuration), configuration, outer)
    assert names(file) == ["udp:[::1]:5070", "tcp:[::1]:5070", "tcp:[::1]:8080", "tls:[::1]:5071"]


LISTENED = "enable_tls = yes\nlisten = udp:[2001:db8::1]:5070\nlisten = udp:192.0.2.1:5060\nlisten = tls:192.0.2.1:5061\n"


@pytest.mark.parametrize(
    ("socket", "successor"),
    [
        ("udp:192.0.2.1:5060", None), ("udp:[2001:DB8:0:0:0:0:0:1]:5070", None), ("tls:192.0.2.1:5061", None),
        ("udp:192.0.2.2:5060", "udp:192.0.2.1:5060"), ("udp:192.0.2.1:5062", "udp:192.0.2.1:5060"),
        ("udp:[2001:db8::2]:5060", "udp:[2001:db8::1]:5070"), ("tls:[2001:db8::1]:5061", None),
        ("tls:192.0.2.1:5060", "tls:192.0.2.1:5061"), ("tcp:192.0.2.1:5060", None), ("ws:192.0.2.2:8080", None), ("", None),
    ],
)  # fmt: skip
def test_a_socket_that_is_gone_has_a_successor_of_its_transport(tmp_path: Path, socket: str, successor: str | None) -> None:
    assert listening.successors(read(tmp_path, LISTENED), [socket]).get(socket) == successor


SEVERAL = "".join(f"listen = udp:{each}:5060\n" for each in ("127.0.0.1", "10.0.0.1", "8.8.8.8", "10.0.0.2"))


@pytest.mark.parametrize(
    ("text", "socket", "successor"),
    [
        (SEVERAL, "udp:8.8.4.4:5060", "udp:8.8.8.8:5060"),
        (SEVERAL, "udp:10.0.0.9:5060", "udp:10.0.0.1:5060"),
        (SEVERAL, "udp:127.0.0.1:5070", "udp:127.0.0.1:5060"),
        ("listen = udp:127.0.0.1:5060\nlisten = udp:10.0.0.1:5060\n", "udp:8.8.4.4:5060", "udp:10.0.0.1:5060"),
        ("listen = udp:127.0.0.1:5060\n", "udp:8.8.4.4:5060", None),
    ],
)
def test_a_successor_is_one_that_watchers_can_reach(tmp_path: Path, text: str, socket: str, successor: str | None) -> None:
    assert listening.successors(read(tmp_path, text), [socket]).get(socket) == successor


@pytest.mark.parametrize("text", ["", "listen = udp:eth0:5060\nlisten = udp:192.0.2.1:5060\n"])
def test_where_it_is_not_known_what_is_listened_on_no_socket_is_gone(tmp_path: Path, text: str) -> None:
    assert listening.successors(read(tmp_path, text), ["udp:192.0.2.2:5060"]) == {}


def test_a_port_that_somebody_has_is_refused(tmp_path: Path, found: Settings, taken: int) -> None:
    file = read(tmp_path, f"listen = udp:127.0.0.1:{taken}\nlisten = tcp:127.0.0.1:{taken}\nlisten = tcp:127.0.0.2:{taken}\n")
    refused = listening.tried(file, listening.listeners(file))
    assert [(str(each.listener), each.error.errno) for each in refused] == [
        (f"udp:127.0.0.1:{taken}", errno.EADDRINUSE),
        (f"tcp:127.0.0.1:{taken}", errno.EADDRINUSE),
    ]
    with pytest.raises(ConfigurationError) as refusal:
        startup.refuse_taken_sockets(found, file)
    said = f"udp:127.0.0.1:{taken} is in use (ss -tulpn shows by whom); end that, or take another port"
    assert str(refusal.value) == f"{tmp_path}/kamailio.cfg line 1: {said}"


def test_a_check_says_so_and_refuses_nothing(tmp_path: Path, found: Settings, taken: int) -> None:
    """It must be possible beside the server that runs."""
    file = read(tmp_path, f"listen = tcp:127.0.0.1:{taken}\n")
    with pytest.raises(startup.NotNow, match=r"^a start now would fail: .* is in use"):
        startup.state_of_sockets(found, file)


def test_a_check_names_the_server_of_the_same_folder(tmp_path: Path, found: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    file = read(tmp_path, "listen = udp:127.0.0.1:39999\n")
    monkeypatch.setattr(startup, "processes_with", lambda _pid_file: ["4711"])
    with pytest.raises(startup.NotNow, match=r"^a start now would fail: process 4711, with other ports, has KP_VAR = "):
        startup.state_of_sockets(found, file)


def test_ports_are_given_back(tmp_path: Path, found: Settings, taken: int) -> None:
    file = read(tmp_path, f"listen = udp:127.0.0.2:{taken}\nlisten = tcp:127.0.0.2:{taken}\n")
    startup.refuse_taken_sockets(found, file)
    startup.refuse_taken_sockets(found, file)
    assert startup.state_of_sockets(found, file) == f"udp:127.0.0.2:{taken}, tcp:127.0.0.2:{taken}"


@pytest.mark.parametrize("try_it", [startup.refuse_taken_sockets, startup.state_of_sockets])
def test_an_address_of_another_machine_is_refused_in_any_case(tmp_path: Path, found: Settings, try_it: object) -> None:
    file = read(tmp_path, f"listen = udp:{FOREIGN}:5060\n")
    with pytest.raises(ConfigurationError, match=r"line 1: not an address of this machine; one that `ip address` lists is needed$"):
        try_it(found, file)  # type: ignore[operator]


def test_an_address_that_may_come_later_is_not_tried(tmp_path: Path, found: Settings) -> None:
    startup.refuse_taken_sockets(found, read(tmp_path, f"ip_free_bind = yes\nlisten = udp:{FOREIGN}:5060\n"))


def test_a_tcp_port_that_may_be_shared_is_not_tried(tmp_path: Path, found: Settings, taken: int) -> None:
    startup.refuse_taken_sockets(found, read(tmp_path, f"tcp_reuse_port = yes\nlisten = tcp:127.0.0.1:{taken}\n"))


def test_one_port_for_two_is_refused(tmp_path: Path, found: Settings) -> None:
    text = "listen = udp:127.0.0.1:5060\nlisten = tcp:127.0.0.1:5060\nlisten = tls:127.0.0.1:5060\nenable_tls = yes\n"
    file = read(tmp_path, text)
    with pytest.raises(ConfigurationError) as refusal:
        listening.refuse_doubled(found, listening.listeners(file))
    used = "tcp:127.0.0.1:5060 uses it (KP_PORT = 5060)"
    assert str(refusal.value) == f"{tmp_path}/kamailio.cfg line 3: {used}; another port is needed"


@pytest.mark.parametrize(
    ("listener", "number", "complaint"),
    [
        (("udp", "127.0.0.1", 5060), errno.EADDRINUSE, "KP_PORT = 5060: udp:127.0.0.1:5060 is in use (ss"),
        (("tcp", "127.0.0.1", 8080), errno.EADDRINUSE, "KP_HTTP_PORT = 8080: tcp:127.0.0.1:8080 is in use (ss"),
        (("tls", "127.0.0.1", 5061), errno.EADDRINUSE, "KP_TLS_PORT = 5061: tls:127.0.0.1:5061 is in use (ss"),
        (("tls", "127.0.0.1", 443), errno.EACCES, "here: tls:127.0.0.1:443: a port below 1024 needs root or CAP_NET_BIND_SERVICE"),
        (("udp", "127.0.0.1", 5060), errno.EACCES, "KP_PORT = 5060: udp:127.0.0.1:5060: not allowed"),
        (("udp", "127.0.0.1", 5060), errno.EADDRNOTAVAIL, "KP_IP = '127.0.0.1': not an address of this machine; one that"),
        (("udp", FOREIGN, 5060), errno.EADDRNOTAVAIL, "here: not an address of this machine; one that"),
        (("udp", "fe80::1", 5060), errno.EINVAL, "here: udp:[fe80::1]:5060 cannot be listened on: Invalid argument"),
    ],
)
def test_what_is_said_names_the_value(found: Settings, listener: tuple[str, str, int], number: int, complaint: str) -> None:
    said = listening.words(found, Refused(Listener(*listener, "here"), OSError(number, "Invalid argument")))
    assert said.startswith(complaint)


def test_a_machine_that_counts_what_is_reserved_is_asked_for_the_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "OVERCOMMIT", tmp_path / "overcommit_memory")
    usual = startup.shared_memory()
    startup.OVERCOMMIT.write_text("2\n")
    assert startup.shared_memory() == startup.LEAST_SHARED <= usual
    startup.OVERCOMMIT.write_text("0\n")
    assert startup.shared_memory() == usual


def test_connections_leave_a_quarter_of_the_shared_memory_to_all_else() -> None:
    """Each of them holds a buffer there, even if it says nothing."""
    text = startup.INCLUDED.read_text()
    buffer = int(re.findall(r"^tcp_rd_buf_size = ([0-9]+)$", text, re.MULTILINE)[0])
    usual = int(re.findall(r"^#!define TCP_CONNECTIONS ([0-9]+)$", text, re.MULTILINE)[0])
    assert usual * buffer <= startup.LEAST_SHARED * 2**20 * 3 / 4
    assert usual <= startup.connections() <= startup.shared_memory() * 2**20 * 3 / 4 / buffer
