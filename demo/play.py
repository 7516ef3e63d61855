"""A short story played against the real server: bob watches alice, alice publishes. Run by `make demo`.

The server runs on spare ports with a folder of its own, both gone afterwards. The clients are SIPp with bob.xml and alice.xml.
What is printed is read from SIPp's message traces: what really went over the network, with the time at which it did.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import FrameType

from lxml import etree
from rich.console import Console
from rich.markup import escape

from kemi import settings, startup
from kemi.errors import ConfigurationError

HERE = Path(__file__).resolve().parent
CONTROL = startup.PROJECT / ".venv/bin/presencectl"
LOG = "server.log"
PATIENCE = 20.0
"""Seconds that the start, and then the story, may take at most."""

PASSWORD = "made up for the demo"
SPACES = {
    "pidf": "urn:ietf:params:xml:ns:pidf",
    "dm": "urn:ietf:params:xml:ns:pidf:data-model",
    "rpid": "urn:ietf:params:xml:ns:pidf:rpid",
}
TRACED = re.compile(rb"^-{20,} (\S+ \S+)\nUDP message (sent|received) [(\[](\d+)[)\]]? bytes\)? ?:\n\n", re.MULTILINE)
STORY = [
    "alice is closed (offline)",
    "alice is open",
    'alice is open, away, and says "Back at three"',
    "alice is closed (offline)",
    "the subscription is over (timeout)",
]
"""What bob has to be told, in this order."""

console = Console(highlight=False)


class Failed(Exception):
    """The story did not go as it should."""


@dataclass(frozen=True, order=True)
class Message:
    """A SIP message of a trace."""

    at: float
    sent: bool
    start: str
    head: str
    body: bytes

    def header(self, name: str) -> str:
        found = re.search(rf"^{name}: *(.*?)\r?$", self.head, re.MULTILINE)
        return found[1] if found else ""


def main() -> int:
    """Play, and say how it went."""
    signal.signal(signal.SIGTERM, _stop)
    with tempfile.TemporaryDirectory(prefix="kemi-presence-demo-") as name:
        folder = Path(name)
        try:
            with server(folder) as found:
                console.print(f"A server of its own listens on {found.address}:{found.port}; bob and alice are SIPp.\n")
                told = play(folder, found)
                if told != STORY:
                    raise Failed(f"bob was told {told}, not {STORY}")
        except (Failed, ConfigurationError) as failure:
            console.print(f"\n[red]The demo failed:[/red] {escape(str(failure))}", soft_wrap=True)
            return 1
        except KeyboardInterrupt:
            console.print("\nInterrupted; everything is stopped and removed.")
            return 130
    console.print("\nBob was told all of it. The server is stopped, its folder removed.")
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def server(folder: Path) -> Iterator[settings.Settings]:
    """A server with two users that answers; stopped afterwards. Its values do not depend on what kamailio.cfg was changed to.

    Raises:
        Failed: it does not start.
    """
    port, http_port, tls_port = free_ports(3)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("KP_")}
    variables |= {
        "KP_IP": "127.0.0.1",
        "KP_PORT": str(port),
        "KP_HTTP_PORT": str(http_port),
        "KP_TLS_PORT": str(tls_port),
        "KP_DOMAINS": "example.org",
        "KP_TRUSTED": "192.0.2.1",
        "KP_VAR": str(folder),
        "KP_DB_URL": f"sqlite:///{folder}/presence.db",
        "KP_SET": "pa.auth=none;pa.offline_document=closed;pa.notify_interval=0;auth.algorithm=MD5",
    }
    found = settings.load(variables, startup.PROJECT / "kamailio.cfg")
    for user in ("alice", "bob"):
        if control(folder, variables, "user", "add", f"{user}@example.org").wait(PATIENCE):
            raise Failed(f"the user {user} cannot be added: {tail(folder / LOG, 1)}")
    process = control(folder, variables, "run")
    try:
        deadline = time.monotonic() + PATIENCE
        while not startup.answers(found, process.pid, time.monotonic() + 0.5):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("the server does not answer")
        yield found
    except Failed as failure:
        raise Failed(f"{failure}\n\nEnd of the server's log:\n{tail(folder / LOG)}") from failure
    finally:
        end(process)


def control(folder: Path, variables: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """Start presencectl; a session of its own keeps Ctrl-C away from it."""
    with (folder / LOG).open("ab") as output:
        return subprocess.Popen(
            [CONTROL, *arguments], cwd=startup.PROJECT, env={**variables, "PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def sipp(user: str, folder: Path, found: settings.Settings) -> subprocess.Popen[bytes]:
    """Start a client that plays its scenario and traces its messages into `USER.trace`."""
    command = ["sipp", "-sf", str(HERE / f"{user}.xml"), "-au", user, "-ap", PASSWORD, "-m", "1", "-nostdin", "-i", found.address]
    command += ["-trace_msg", "-message_file", str(folder / f"{user}.trace"), "-recv_timeout", "8000"]
    try:
        return subprocess.Popen(
            [*command, f"{found.address}:{found.port}"], cwd=folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise Failed("sipp is not installed; make demo installs it") from None


def play(folder: Path, found: settings.Settings) -> list[str]:
    """Let bob watch, then alice publish; print what happens as it happens.

    Returns:
        What bob was told.

    Raises:
        Failed: a client was not content, or the time is over.
    """
    begin, deadline = time.time(), time.monotonic() + PATIENCE
    clients = {"bob": sipp("bob", folder, found)}
    seen: set[Message] = set()
    told: list[str] = []
    try:
        while True:
            running = [user for user, client in clients.items() if client.poll() is None]
            new = sorted(message for user in clients for message in messages(folder / f"{user}.trace") if message not in seen)
            seen.update(new)
            for message in new:
                tell(message, begin, told)
            if told and "alice" not in clients:
                clients["alice"] = sipp("alice", folder, found)
            elif not running:
                break
            if time.monotonic() > deadline:
                raise Failed(f"{' and '.join(running)} still waiting after {PATIENCE:.0f} seconds")
            time.sleep(0.02)
        unhappy = [user for user, client in clients.items() if client.returncode]
        if unhappy:
            raise Failed(f"something that {' and '.join(unhappy)} expected did not come")
    finally:
        for client in clients.values():
            end(client)
    return told


def messages(trace: Path) -> list[Message]:
    """The messages that are wholly written."""
    data = trace.read_bytes() if trace.exists() else b""
    found = []
    for match in TRACED.finditer(data):
        text = data[match.end() : match.end() + int(match[3])]
        if len(text) == int(match[3]):
            head, _, body = text.partition(b"\r\n\r\n")
            start, _, headers = head.decode().partition("\r\n")
            at = datetime.fromisoformat(match[1].decode()).astimezone().timestamp()
            found.append(Message(at, match[2] == b"sent", start, headers, body))
    return found


def tell(message: Message, begin: float, told: list[str]) -> None:
    """Print one message in words; challenges and answers say nothing new."""
    method, user, what = message.start.partition(" ")[0], "bob", ""
    if method == "NOTIFY":
        what = f"is told: {news(message)}"
        told.append(news(message))
    elif message.sent and message.header("Authorization") and method == "SUBSCRIBE":
        what = "stops watching" if message.header("Expires") == "0" else "watches alice"
    elif message.sent and message.header("Authorization") and method == "PUBLISH":
        user = "alice"
        what = f"publishes: {described(message.body)}" if message.body else "removes what she published"
    if what:
        colour = "green" if method == "NOTIFY" else "cyan"
        console.print(f"[dim]{max(0.0, message.at - begin):4.1f} s[/dim]  [{colour}]{user:<5}[/{colour}] {escape(what)}")


def news(notify: Message) -> str:
    """What a NOTIFY says."""
    state, _, reason = notify.header("Subscription-State").partition(";reason=")
    return f"the subscription is over ({reason})" if state == "terminated" else f"alice is {described(notify.body)}"


def described(body: bytes) -> str:
    """A presence document in words."""
    document = etree.fromstring(body)
    basic = document.findtext("pidf:tuple/pidf:status/pidf:basic", "unknown", SPACES)
    words = [basic if basic == "open" else f"{basic} (offline)"]
    words += [etree.QName(activity).localname for activity in document.iterfind("dm:person/rpid:activities/*", SPACES)]
    words += [f'and says "{note.text}"' for note in document.iterfind("dm:person/dm:note", SPACES)]
    return ", ".join(words)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses for TCP or UDP, below those that the system gives to whoever asks for any."""
    return list(islice(filter(is_free, random.sample(range(20_000, 32_000), 200)), count))


def is_free(port: int) -> bool:
    """Whether nobody uses a port, neither for TCP nor for UDP."""
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM; when that takes too long, SIGKILL for the process and its own children."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
