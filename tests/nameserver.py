"""A DNS server for tests (RFC 1035), and a server that asks it: names exist in its own mount namespace only.

Whom Kamailio's resolver asks stands in /etc/resolv.conf, without a port; so it is port 53 of a loopback address that nobody else
has, and the file is another one in the namespace of the server that is tested (`Resolving`). Who may not open that port or not make
a namespace, cannot play this.
"""

import os
import socket
import struct
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.presencectl import PRESENCECTL, ROOT
from tests.server import Server

PORT = 53
ADDRESSES = [f"127.0.53.{number}" for number in range(1, 255)]
A, SRV, NAPTR = 1, 33, 35
INTERNET = 1
LIFETIME = 600
"""Seconds that an answer may be kept."""

NO_SUCH_NAME = 3
CONFIGURATION = "nameserver {}\noptions timeout:2 attempts:2\n"


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def _text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


class Nameserver:
    """Knows the names that it was told, no others; remembers what it was asked."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, int], list[bytes]] = defaultdict(list)
        self.asked: list[tuple[str, int]] = []
        self._is_over = False
        self._socket = _open()
        self.own_address: str = self._socket.getsockname()[0]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def address(self, name: str, address: str) -> None:
        self._records[name, A].append(socket.inet_aton(address))

    def service(self, name: str, priority: int, port: int, target: str) -> None:
        """An SRV record (RFC 2782)."""
        self._records[name, SRV].append(struct.pack("!HHH", priority, 1, port) + _name(target))

    def pointer(self, name: str, order: int, service: str, replacement: str) -> None:
        """A NAPTR record that leads to SRV records (RFC 3263 section 4.1)."""
        fields = _text("s") + _text(service) + _text("")
        self._records[name, NAPTR].append(struct.pack("!HH", order, 10) + fields + _name(replacement))

    def close(self) -> None:
        """Nobody is answered any more."""
        self._is_over = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.own_address, PORT))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._is_over:
            query, sender = self._socket.recvfrom(4096)
            if query:
                self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        (kind,) = struct.unpack_from("!H", query, at + 1)
        key = ".".join(labels), kind
        self.asked.append(key)
        found = self._records.get(key, [])
        is_known = any(name == key[0] for name, _ in self._records)
        flags = 0x8580 | (0 if is_known else NO_SUCH_NAME)
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        records = (struct.pack("!HHHLH", 0xC00C, kind, INTERNET, LIFETIME, len(data)) + data for data in found)
        return head + query[12 : at + 5] + b"".join(records)


class Resolving(Server):
    """A server that asks this name server."""

    def __init__(self, asked: Nameserver, variables: Mapping[str, str], folder: Path) -> None:
        super().__init__(variables, folder)
        self._asked = asked.own_address

    def started(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        configuration = self.folder / "resolv.conf"
        configuration.write_text(CONFIGURATION.format(self._asked))
        program = f"mount --bind {configuration} /etc/resolv.conf && exec {PRESENCECTL} run"
        return subprocess.Popen(
            [*_namespace(), "sh", "-c", program],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _open() -> socket.socket:
    """Port 53 of an address that nobody else has: tests run in several processes.

    Raises:
        PermissionError: that port is not for us.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for address in ADDRESSES:
        try:
            opened.bind((address, PORT))
        except PermissionError:
            opened.close()
            raise
        except OSError:
            continue
        return opened
    raise RuntimeError(f"no address of {ADDRESSES[0]} to {ADDRESSES[-1]} is free")


def _namespace() -> list[str]:
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def why_not(folder: Path) -> str:
    """Why this machine lets nobody play it; "" where it does."""
    file = folder / "resolv.conf"
    file.write_text(CONFIGURATION.format(ADDRESSES[0]))
    trial = [*_namespace(), "mount", "--bind", str(file), "/etc/resolv.conf"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        return "no mount namespace may be made here"
    try:
        _open().close()
    except PermissionError:
        return "port 53 may not be opened here"
    return ""


@contextmanager
def nameserver() -> Iterator[Nameserver]:
    """One that answers as long as it is needed."""
    running = Nameserver()
    try:
        yield running
    finally:
        running.close()
