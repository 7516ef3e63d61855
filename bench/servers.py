"""The servers under test: how each is started, found ready, and stopped."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import documents
import messages
from cluster import load
from cluster import running as running_cluster

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SCHEMAS = Path("/usr/share/kamailio")
SCHEMA_FILES = ("standard-create.sql", "presence-create.sql", "rls-create.sql")
SETTINGS = "pa.notify_interval=0;rls.timer_interval=0;pa.max_watchers=0;pa.max_subscriptions=0"
FULL = f"{SETTINGS};db.synchronous=full"
RULES = f"{SETTINGS};pa.auth=xcap"
GUARD = ["setpriv", "--pdeathsig", "TERM", "--"]
START_LIMIT = 20.0

PRESENCE, XCAP, LISTS, MEMORY, BESIDE = "presence", "xcap", "lists", "memory", "beside"
"""Groups of cases; a server is measured in those of its groups."""


class CannotStart(Exception):
    """A server that does not come up; the text says why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One server in one configuration.

    With `origin` it fetches documents of another XCAP server, which behaves like that; `lists`: how many are watched at a time.
    """

    name: str
    ours: bool
    engine: str
    workers: int
    about: str
    peer_cfg: str = ""
    journal: str = "delete"
    by_default: bool = True
    settings: str = SETTINGS
    groups: tuple[str, ...] = (PRESENCE,)
    origin: str = ""
    lists: int = 100


BOTH = (PRESENCE, XCAP)
SETUPS = [
    Setup("ours-sqlite-1", True, "sqlite", 1, "kemi-presence, SQLite, 1 worker"),
    Setup(
        "ours-sqlite-full", True, "sqlite", 1, "kemi-presence, SQLite, safe from power cuts, 1 worker", settings=FULL, groups=BOTH
    ),
    Setup("ours-sqlite", True, "sqlite", 2, "kemi-presence, SQLite", groups=(*BOTH, LISTS, MEMORY)),
    Setup("ours-pg", True, "pg", 2, "kemi-presence, PostgreSQL", groups=(PRESENCE, LISTS, MEMORY)),
    Setup("peer-memory", False, "", 2, "C presence, memory only, nothing durable", "memory.cfg"),
    Setup("peer-sqlite-1", False, "sqlite", 1, "C presence, SQLite as shipped, 1 worker", "sqlite.cfg"),
    Setup("peer-sqlite-wal", False, "sqlite", 1, "C presence, SQLite in WAL mode, 1 worker", "sqlite.cfg", "wal"),
    Setup("peer-pg", False, "pg", 2, "C presence, PostgreSQL, default (hybrid)", "pg.cfg"),
    Setup("peer-pg-dbonly", False, "pg", 2, "C presence, PostgreSQL, DB only, notifier process", "pg-dbonly.cfg"),
    Setup("peer-pg-direct", False, "pg", 2, "C presence, PostgreSQL, DB only, no notifier", "pg-direct.cfg"),
    Setup("peer-sqlite-2", False, "sqlite", 2, "C presence, SQLite as shipped", "sqlite.cfg", by_default=False),
    Setup("peer-xcap", False, "sqlite", 2, "C xcap_server, SQLite as shipped", "xcap.cfg", groups=(XCAP,)),
    Setup("peer-xcap-wal", False, "sqlite", 1, "C xcap_server, SQLite in WAL mode, 1 worker", "xcap.cfg", "wal", groups=(XCAP,)),
    Setup("peer-rls", False, "pg", 2, "C rls, PostgreSQL, DB only; 4 lists", "rls.cfg", groups=(LISTS,), lists=4),
    Setup("alone", True, "sqlite", 2, "rules of its own", settings=RULES, groups=(BESIDE,)),
    *(
        Setup(f"beside-{origin}", True, "sqlite", 2, about, settings=RULES, groups=(BESIDE,), origin=origin)
        for origin, about in documents.ABOUT.items()
    ),
]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `database` is a URL as `KP_DB_URL` takes it, `database_pid` 0 with SQLite."""

    address: tuple[str, int]
    http: tuple[str, int]
    pid: int
    database: str
    database_pid: int
    log: Path
    lists: int

    def complaints(self) -> list[str]:
        """The lines of its log that tell of something gone wrong; of a traceback the last one."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if not line.startswith(" " * 4)]
        found = []
        for line, following in itertools.pairwise([*lines, ""]):
            if "ERROR" in line or "CRITICAL" in line:
                found.append(following if line.endswith("(most recent call last):") else line)
        return found


def free_port() -> int:
    """A port that is free for UDP and TCP on the loopback."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            port = int(udp.getsockname()[1])
            try:
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextlib.contextmanager
def running(setup: Setup, folder: Path) -> Iterator[Server]:
    """The server of this setup, ready, with a database of its own; both ended afterwards."""
    folder.mkdir()
    folder.chmod(0o711)
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(folder, free_port())) if setup.engine == "pg" else None
        ports = Ports.free()
        url = cluster.url if cluster else f"sqlite:///{folder}/presence.db"
        start = _Start(setup, folder, ports, url)
        root = stack.enter_context(documents.running(setup.origin, free_port())) if setup.origin else ""
        command, environment = start.ours(root) if setup.ours else start.peer()
        process = _spawn(command, environment, folder / "log")
        stack.callback(_stop, process)
        _await_ready(process, ports.sip, folder / "log")
        addresses = (("127.0.0.1", port) for port in ports)
        yield Server(*addresses, process.pid, url, cluster.pid if cluster else 0, folder / "log", setup.lists)


def _spawn(command: list[str], environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            GUARD + command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class Ports(NamedTuple):
    """Where a server listens."""

    sip: int
    http: int

    @classmethod
    def free(cls) -> Ports:
        """Two that are free, and not the same."""
        sip = http = free_port()
        while http == sip:
            http = free_port()
        return cls(sip, http)


class _Start(NamedTuple):
    """What a command line is made of."""

    setup: Setup
    folder: Path
    ports: Ports
    database: str

    def ours(self, root: str) -> tuple[list[str], dict[str, str]]:
        """Command and environment; `root` is the other XCAP server, "" for none."""
        command = Path(sys.executable).parent / "presencectl"
        if not command.exists():
            raise CannotStart(f"{command} does not exist")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KP_")}
        environment |= {
            "KP_IP": "127.0.0.1",
            "KP_PORT": str(self.ports.sip),
            "KP_HTTP_PORT": str(self.ports.http),
            "KP_DB_URL": self.database,
            "KP_VAR": str(self.folder),
            "KP_DOMAINS": messages.DOMAIN,
            "KP_TRUSTED": "127.0.0.1",
            "KP_WORKERS": str(self.setup.workers),
            "KP_SET": f"{self.setup.settings};xcap.xcap_root={root}" if root else self.setup.settings,
            "KP_DEFINES": "LOG_LEVEL=1",  # the peer writes no line for a request either
        }
        return [str(command), "run"], environment

    def peer(self) -> tuple[list[str], dict[str, str]]:
        """Command and environment, with the peer's tables made."""
        setup, folder = self.setup, self.folder
        url = self.database.replace("postgresql:", "postgres:")
        if setup.engine == "sqlite":
            _create_sqlite(folder / "presence.db", setup.journal)
        elif setup.engine == "pg":
            load(self.database, [SCHEMAS / "postgres" / name for name in SCHEMA_FILES])
        command = ["kamailio", "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "1024", "-M", "32"]
        command += ["-f", str(HERE / "peer" / setup.peer_cfg), "-n", str(setup.workers), "-Y", str(folder)]
        command += ["-l", f"udp:127.0.0.1:{self.ports.sip}"]
        if PRESENCE not in setup.groups:
            command += ["-l", f"tcp:127.0.0.1:{self.ports.http}"]
        return command, os.environ | {"BENCH_DB_URL": url, "BENCH_ADDRESS": f"127.0.0.1:{self.ports.sip}"}


def _create_sqlite(path: Path, journal: str) -> None:
    """The peer's tables; the journal mode stays with the file (set by every process at once, it makes starts fail)."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        for name in SCHEMA_FILES:
            connection.executescript((SCHEMAS / "db_sqlite" / name).read_text())
        connection.commit()


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        probe.settimeout(0.1)
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise CannotStart(f"ended with {process.returncode}: {_tail(log)}")
            probe.sendto(messages.options(address, f"ready-{time.monotonic_ns()}"), ("127.0.0.1", port))
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                if probe.recv(65535).startswith(b"SIP/2.0 200"):
                    return
            time.sleep(0.05)
    raise CannotStart(f"does not answer OPTIONS: {_tail(log)}")


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:])[-500:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the server, then SIGKILL to what is left of its session."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
