"""Starting and stopping the real server for tests: own ports, own folder, only its own processes ended."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tests import presencectl
from tests.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0
STEP = 0.02


class Server:
    """One kemi-presence on free ports of 127.0.0.1."""

    def __init__(self, variables: Mapping[str, str] | None = None, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="kemi-presence-test-"))
        self.port, self.http_port = free_port(), free_port()
        self.log = self.folder / "server.log"
        self.variables = {
            "KP_IP": "127.0.0.1",
            "KP_PORT": str(self.port),
            "KP_HTTP_PORT": str(self.http_port),
            "KP_VAR": str(self.folder),
            "KP_TRUSTED": "127.0.0.1",
            "KP_SET": "pa.notify_interval=0;rls.timer_interval=0",
            **(variables or {}),
        }
        self.port = int(self.variables["KP_PORT"])
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def environment(self) -> dict[str, str]:
        outer = {name: value for name, value in os.environ.items() if not name.startswith("KP_")}
        return outer | self.variables

    def start(self) -> "Server":
        """Start and wait until it answers OPTIONS over UDP, and over TCP where it listens: the last process to start reads that."""
        with self.log.open("ab") as log:
            self.process = self.started(log)
        self._wait_until(self.answers)
        self._wait_until(lambda: not self._listens_to_tcp() or self.answers(socket.SOCK_STREAM))
        return self

    def started(self, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        """Its first process, the leader of a group of its own."""
        return presencectl.started(("run",), self.environment, log)

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + START_TIMEOUT
        while not ready():
            if self.process is None or self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the server does not start:\n{self.tail()}")
            time.sleep(STEP)

    def _listens_to_tcp(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def answers(self, kind: socket.SocketKind = socket.SOCK_DGRAM) -> bool:
        """Whether it answers OPTIONS within a fifth of a second."""
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.settimeout(0.2)
            try:
                probe.connect(self.address)
                probe.send(self._options("UDP" if kind is socket.SOCK_DGRAM else "TCP", probe.getsockname()[1]))
                return probe.recv(4096).startswith(b"SIP/2.0 200")
            except OSError:
                return False

    def _options(self, transport: str, port: int) -> bytes:
        return (
            f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:{port};branch=z9hG4bKready{port}\r\n"
            f"From: <sip:ready@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1:{self.port}>\r\nCall-ID: ready{port}\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def stop(self) -> None:
        """End it as an operator does (SIGTERM), or for good when that takes too long."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        """kill -9 of all its processes at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def control(self, *arguments: str) -> str:
        """Run presencectl against this server."""
        return presencectl.done(arguments, self.environment)


if __name__ == "__main__":
    sys.exit("this is a part of the tests: run make test")
