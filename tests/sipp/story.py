"""SIPp stories: what the README of a folder says, and how its scenarios are played against a server.

The README's first line says which rule is shown. Further lines, each where it is needed:

    rfc: PA-001, PA-004               lines of the conformance list that it covers
    set: pa.notify_interval=5         parameters of ours: the story gets a server of its own
    env: KP_TRUSTED=                  other variables of the server, likewise
    user: alice@example.org secret    a user who has a password before the story begins
    document: im-rules/index a.xml    an XCAP document of the user [service], from a file of the folder; [service] in it too
    transport: tcp                    instead of UDP
    slow: waits for Timer F, 32 s     left out unless SLOW=1

A folder with one `scenario.xml` is one SIPp, which plays watcher and publisher in turn; several files `NN-role.xml` are
played one after another. In each scenario `[service]` is a user name that no other story has. What a scenario does not
expect makes it fail, retransmissions too; a pause in it means that nothing comes for so long.

Whoever has answered a NOTIFY waits a moment before the next request. The notifier, another process of the server, is done with that
answer then; it could as well meet what the request has changed, and tell it before the request itself is answered.

SIPp does not look into the bodies of lists (RFC 4662): that each of them is as it should is checked afterwards (`multiparts`).
"""

import re
import secrets
import subprocess
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.request import Request, urlopen

from kemi.xcap import usages
from kemi.xcap.path import Tree
from tests.server import Server, free_port
from tests.sipp import multiparts

ANSWER_AND_REQUEST = re.compile(r"(\[last_CSeq:\][^<]*</send>\s*(?:<!--[^<]*-->\s*)?)(<send[^>]*>\s*<!\[CDATA\[\s*[A-Z]+ )")
MOMENT = '<pause milliseconds="100"/>'
FIELD = re.compile(r"(rfc|set|env|user|document|transport|slow): ?(.*)")
RECEIVE_TIMEOUT = 30_000
"""Milliseconds that a scenario waits for each message."""

STORY_TIMEOUT = 120
"""Seconds; a story marked slow has its own."""

SLOW_TIMEOUT = 180
PATIENCE = 10
"""Seconds that SIPp has for its end when its time is over."""

TAIL = 120
"""Lines of a message log that are shown when a story fails."""


@dataclass(frozen=True, slots=True)
class Story:
    """One folder; times in seconds."""

    folder: Path
    rule: str
    rfc: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    users: tuple[tuple[str, str], ...]
    documents: tuple[tuple[str, str], ...]
    transport: str
    slow: str

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def scenarios(self) -> list[Path]:
        return sorted(set(self.folder.glob("*.xml")) - {self.folder / file for _, file in self.documents})

    @property
    def timeout(self) -> int:
        return SLOW_TIMEOUT if self.slow else STORY_TIMEOUT


class StoryFailed(AssertionError):
    """What the logs say about it."""


def read(folder: Path) -> Story:
    """Read the README of a story."""
    lines = (folder / "README.md").read_text().splitlines()
    found: dict[str, list[str]] = {}
    for match in filter(None, map(FIELD.fullmatch, lines)):
        found.setdefault(match[1], []).append(match[2].strip())
    variables = dict(text.split("=", 1) for text in found.get("env", []))
    if "set" in found:
        variables["KP_SET"] = ";".join(["pa.notify_interval=0", "rls.timer_interval=0", *found["set"]])
    return Story(
        folder=folder,
        rule=lines[0],
        rfc=tuple(name.strip() for text in found.get("rfc", []) for name in text.split(",")),
        variables=tuple(sorted(variables.items())),
        users=tuple((text.split()[0], text.split()[1]) for text in found.get("user", [])),
        documents=tuple((text.split()[0], text.split()[1]) for text in found.get("document", [])),
        transport="t1" if found.get("transport") == ["tcp"] else "u1",
        slow="".join(found.get("slow", [])),
    )


def read_all(folder: Path) -> list[Story]:
    """All stories below a folder; those that can share a server stand together."""
    stories = [read(readme.parent) for readme in folder.glob("*/README.md")]
    return sorted(stories, key=lambda story: (story.variables, story.name))


def play(story: Story, server: Server, folder: Path) -> None:
    """Play a story; its logs stay in `folder`.

    Raises:
        StoryFailed: a message was missing, unexpected, or not what it must be.
    """
    user = f"{story.name}-{secrets.token_hex(3)}"
    for path, file in story.documents:
        _put(server, f"sip:{user}@example.org", path, (story.folder / file).read_bytes().replace(b"[service]", user.encode()))
    for scenario in story.scenarios:
        (folder / scenario.name).write_text(ANSWER_AND_REQUEST.sub(rf"\1{MOMENT}\2", scenario.read_text()))
        status = _run(_command(story, server, user, scenario), folder / f"{scenario.stem}.screen.log", story.timeout)
        if status != 0:
            raise StoryFailed(_report(story, server, folder, scenario, status))
    for log in sorted(folder.glob("*.messages.log")):
        multiparts.check(log, is_linphone="linphone" in story.name)


def _put(server: Server, owner: str, path: str, body: bytes) -> None:
    """Put a document of this user, by the word of a trusted source."""
    auid, name = path.split("/")
    usage = usages.find(auid, Tree.USERS)
    fields = {"Content-Type": usage.media_type, "X-3GPP-Asserted-Identity": f'"{owner}"'}
    root = f"http://{server.address[0]}:{server.http_port}/xcap-root"
    put = Request(f"{root}/{auid}/users/{owner}/{name}", body, fields, method="PUT")
    with urlopen(put, timeout=RECEIVE_TIMEOUT / 1000) as done:
        if done.status != HTTPStatus.CREATED:
            raise StoryFailed(f"PUT {put.full_url}: {done.status}")


def _command(story: Story, server: Server, user: str, scenario: Path) -> list[str]:
    address, port = server.address
    return [
        "sipp", f"{address}:{port}", "-sf", scenario.name, "-s", user, "-m", "1",
        "-i", address, "-p", str(free_port()), "-t", story.transport,
        "-nostdin", "-nr", "-default_behaviors", "abortunexp",
        "-recv_timeout", str(RECEIVE_TIMEOUT), "-timeout", str(story.timeout), "-timeout_error",
        "-trace_err", "-error_file", f"{scenario.stem}.errors.log",
        "-trace_msg", "-message_file", f"{scenario.stem}.messages.log",
    ]  # fmt: skip


def _run(command: list[str], screen: Path, timeout: int) -> int | None:
    """Its exit status, None where SIPp did not keep to its own time limit."""
    with screen.open("wb") as output:
        process = subprocess.Popen(command, cwd=screen.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            return process.wait(timeout + PATIENCE)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()
            process.wait()


def _report(story: Story, server: Server, folder: Path, scenario: Path, status: int | None) -> str:
    parts = {
        f"{story.name}/{scenario.name}: SIPp ended with {status}": story.rule,
        "errors": _tail(folder / f"{scenario.stem}.errors.log"),
        "last messages": _tail(folder / f"{scenario.stem}.messages.log"),
        "end of the server's log": server.tail(),
    }
    return "\n".join(f"--- {title}\n{text}" for title, text in parts.items())


def _tail(file: Path) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-TAIL:]) if file.exists() else "(nothing)"
