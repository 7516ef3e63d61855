"""One real baresip: headless, own configuration folder, controlled by JSON over its TCP port (module ctrl_tcp).

Its publisher sends a first PUBLISH 10 ms after the module `presence` is loaded, another when it is registered, and one more with
each change of state, whatever is outstanding. Two without an entity-tag at once are two publications (RFC 3903 section 4.1):
baresip keeps the tag of the one answered last, so the other one says "open" until it expires, and baresip as a watcher reads the
first tuple only. Whether 10 ms or the registration are over first is luck. So the module is loaded when it is registered, and
nothing else is published before the answer is there.
"""

import contextlib
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.interop.waiting import until
from tests.server import free_port

MODULES = Path("/usr/lib/baresip/modules")
PUBLISHED = re.compile(r"^SIP/2\.0 200 OK\r?\n(?:\S.*\n)*?CSeq: \d+ PUBLISH\r?$", re.MULTILINE)
REPLY_TIMEOUT = 5.0

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
module_path {modules}
module g711.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{port}
"""
ACCOUNT = (
    '<sip:{user};transport={transport}>;outbound="sip:{server}:{port};transport={transport}"'
    ";auth_pass={password};regint=600;pubint=600;audio_codecs=pcma\n"
)
CONTACT = '"{user}" <sip:{user}>;presence=p2p\n'


class Baresip:
    """A baresip of one user who watches others."""

    def __init__(self, folder: Path, server: tuple[str, int], user: str, password: str, transport: str, *watched: str) -> None:
        self.user = user
        self.folder = folder
        self.log = folder / "baresip.log"
        self.control_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._unread = b""
        folder.mkdir()
        (folder / "config").write_text(CONFIG.format(modules=MODULES, port=self.control_port))
        account = ACCOUNT.format(user=user, transport=transport, server=server[0], port=server[1], password=password)
        (folder / "accounts").write_text(account)
        (folder / "contacts").write_text("".join(CONTACT.format(user=each) for each in watched))

    def start(self) -> "Baresip":
        """Start it with its trace of SIP messages on, and wait until it is registered and has published that it is online."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/usr/bin/baresip", "-s", "-f", self.folder], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._connect, f"baresip of {self.user} listens on its control port")
        until(self.is_registered, f"{self.user} is registered")
        self.publish("insmod", "presence")
        self.publish("presence_online")
        return self

    def _connect(self) -> bool:
        with contextlib.suppress(OSError):
            self._control = socket.create_connection(("127.0.0.1", self.control_port))
            self._control.settimeout(REPLY_TIMEOUT)
        return self._control is not None

    def command(self, name: str, parameters: str = "") -> str:
        """Run one of baresip's commands; gives what it prints, without colours."""
        assert self._control is not None
        message = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self._control.sendall(b"%d:%s," % (len(message), message))
        while True:
            answer = self._read()
            if answer.get("response") and answer.get("token") == name:
                return re.sub(r"\x1b\[[0-9;]*m", "", answer["data"])

    def publish(self, command: str, parameters: str = "") -> None:
        """Run a command that makes it publish, and wait until that is accepted."""
        before = self._published()
        self.command(command, parameters)
        until(lambda: self._published() > before, f"{self.user} has published after {command}")

    def _published(self) -> int:
        return len(PUBLISHED.findall(self.trace()))

    def _read(self) -> dict[str, Any]:
        """The next netstring: an answer or an event."""
        assert self._control is not None
        while not (head := re.match(rb"(\d+):", self._unread)) or len(self._unread) <= head.end() + int(head[1]):
            received = self._control.recv(65536)
            if not received:
                raise ConnectionError(f"baresip of {self.user} is gone")
            self._unread += received
        start, end = head.end(), head.end() + int(head[1])
        content, self._unread = self._unread[start:end], self._unread[end + 1 :]
        answer: dict[str, Any] = json.loads(content)
        return answer

    def shows(self, user: str) -> str:
        """What its list of contacts shows of somebody: Online, Offline, Busy, Unknown."""
        match = re.search(rf"^>?\s*(\w+)\s.*<sip:{re.escape(user)}>", self.command("contacts"), re.MULTILINE)
        assert match, f"{user} is no contact of {self.user}"
        return match[1]

    def is_registered(self) -> bool:
        """Whether its account is."""
        return re.search(rf"sip:{re.escape(self.user)}\s+OK\b", self.command("reginfo")) is not None

    def wait_until_it_shows(self, user: str, status: str) -> None:
        """Wait until its list of contacts shows this of somebody."""
        until(lambda: self.shows(user) == status, f"{self.user} sees {user} as {status}")

    def trace(self) -> str:
        """What it has printed so far, SIP messages included."""
        return self.log.read_text(errors="replace")

    def quit(self) -> int:
        """Close it as its user does; gives its exit status."""
        assert self.process is not None
        with contextlib.suppress(OSError):
            self.command("quit")
        return self.process.wait(10)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._control is not None:
            self._control.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
