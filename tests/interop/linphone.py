"""One real Linphone: linphonec, headless, with a folder of its own as home, controlled by lines on its standard input.

Its contacts are watched by one subscription to a list: to `rls_uri`, with the list in the body (RFC 5367), or to `bodyless_lists`,
whose members are the server's. It says each change of somebody's presence on its standard output, and nothing more of that.
"""

import re
import subprocess
from pathlib import Path

from tests.interop.waiting import until

PROGRAM = Path("/usr/bin/linphonec")

CONFIGURATION = """\
[sip]
bind_address=127.0.0.1
sip_port=-1
sip_tcp_port=-1
sip_tls_port=0
guess_hostname=0
default_proxy=0
{lists}
[net]
friendlist_subscription_enabled=1

[proxy_0]
reg_proxy=<sip:{server}:{port};transport={transport}>
reg_route=<sip:{server}:{port};transport={transport}>
reg_identity=sip:{user}@{domain}
reg_expires=600
reg_sendregister=1
publish=1

[auth_info_0]
username={user}
passwd={password}
realm={domain}
domain={domain}
"""
FRIEND = """
[friend_{number}]
url="{name}" <{uri}>
pol=accept
subscribe=1
"""
FOLDERS = (".local/share/linphone", ".config/linphone")
"""It opens its databases there, and does not make them."""

SHOWN = re.compile(r'^(?:linphonec> *)*Friend "[^"]*" <(?P<uri>[^>]+)> is (?P<status>.+)$', re.MULTILINE)
ANSWERED = re.compile(r"^SIP/2\.0 200 Ok\r?\n(?:\S.*\n)*?CSeq: \d+ NOTIFY\r?$", re.MULTILINE)
REFUSED = re.compile(r"^SIP/2\.0 [456]\d\d .*?(?=\r?$)", re.MULTILINE)


class Linphone:
    """A Linphone of one user."""

    def __init__(self, folder: Path, server: tuple[str, int], address: str, password: str, transport: str = "udp") -> None:
        self.folder = folder
        self.printed = folder / "printed"
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None
        user, _, domain = address.partition("@")
        self._settings = {"user": user, "domain": domain, "password": password, "transport": transport}
        self._settings |= {"server": server[0], "port": str(server[1])}
        for each in FOLDERS:
            (folder / each).mkdir(parents=True)

    def watch(self, rls_uri: str, *friends: str) -> "Linphone":
        """Start it with contacts that it sends along as a list."""
        known = "".join(
            FRIEND.format(number=number, uri=uri, name=uri[4:].partition("@")[0].title()) for number, uri in enumerate(friends)
        )
        return self._start(f"rls_uri={rls_uri}\n", known)

    def watch_list(self, uri: str) -> "Linphone":
        """Start it without contacts; those of a list of the server's become its own."""
        return self._start(f"bodyless_lists={uri}\n", "")

    def _start(self, lists: str, known: str) -> "Linphone":
        file = self.folder / "linphonerc"
        file.write_text(CONFIGURATION.format(lists=lists, **self._settings) + known)
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [PROGRAM, "-c", file, "-d", "6", "-l", self.log],
                env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                cwd=self.folder, stdin=subprocess.PIPE, stdout=printed, stderr=printed,
            )  # fmt: skip
        return self

    def shows(self) -> dict[str, str]:
        """What it has said last of each contact: Online, Offline, Away and so on."""
        return {each["uri"]: each["status"].strip() for each in SHOWN.finditer(self.printed.read_text(errors="replace"))}

    def wait_until_it_shows(self, expected: dict[str, str]) -> None:
        """Wait until what it shows is this, and nothing besides."""
        until(lambda: self._alive() and self.shows() == expected, f"Linphone shows {expected}")

    def _alive(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise ChildProcessError(f"Linphone ended: {self.trace()[-2000:]}")
        return True

    def trace(self) -> str:
        """Its log, with the SIP messages; without what is compressed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def refused(self) -> list[str]:
        """The refusals that it got, and gave."""
        return REFUSED.findall(self.trace())

    def answered(self) -> int:
        """How many NOTIFYs it has answered with 200."""
        return len(ANSWERED.findall(self.trace()))

    def quit(self) -> int:
        """Close it as its user does; gives its exit status."""
        assert self.process is not None
        self.process.communicate(b"quit\n", 10)
        return self.process.returncode

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
