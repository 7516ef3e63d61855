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

import messages
from cluster import load
from cluster import running as running_cluster

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SCHEMAS = Path("/usr/share/kamailio")
SCHEMA_FILES = ("standard-create.sql", "presence-create.sql")
SETTINGS = "pa.notify_interval=0;pa.max_watchers=0;pa.max_subscriptions=0"
FULL = f"{SETTINGS};db.synchronous=full"
GUARD = ["setpriv", "--pdeathsig", "TERM", "--"]
START_LIMIT = 20.0


class CannotStart(Exception):
    """A server that does not come up; the text says why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One server in one configuration."""

    name: str
    ours: bool
    engine: str
    workers: int
    about: str
    peer_cfg: str = ""
    journal: str = "delete"
    by_default: bool = True
    settings: str = SETTINGS


SETUPS = [
    Setup("ours-sqlite-1", True, "sqlite", 1, "kemi-presence, SQLite, 1 worker"),
    Setup("ours-sqlite-full", True, "sqlite", 1, "kemi-presence, SQLite, safe from power cuts, 1 worker", settings=FULL),
    Setup("ours-sqlite", True, "sqlite", 2, "kemi-presence, SQLite"),
    Setup("ours-pg", True, "pg", 2, "kemi-presence, PostgreSQL"),
    Setup("peer-memory", False, "", 2, "C presence, memory only, nothing durable", "memory.cfg"),
    Setup("peer-sqlite-1", False, "sqlite", 1, "C presence, SQLite as shipped, 1 worker", "sqlite.cfg"),
    Setup("peer-sqlite-wal", False, "sqlite", 1, "C presence, SQLite in WAL mode, 1 worker", "sqlite.cfg", "wal"),
    Setup("peer-pg", False, "pg", 2, "C presence, PostgreSQL, default (hybrid)", "pg.cfg"),
    Setup("peer-pg-dbonly", False, "pg", 2, "C presence, PostgreSQL, DB only, notifier process", "pg-dbonly.cfg"),
    Setup("peer-pg-direct", False, "pg", 2, "C presence, PostgreSQL, DB only, no notifier", "pg-direct.cfg"),
    Setup("peer-sqlite-2", False, "sqlite", 2, "C presence, SQLite as shipped", "sqlite.cfg", by_default=False),
]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    address: tuple[str, int]
    pid: int
    database_pid: int
    log: Path

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
        port = free_port()
        command, environment = (_ours if setup.ours else _peer)(setup, folder, port, cluster.url if cluster else "")
        process = _spawn(command, environment, folder / "log")
        stack.callback(_stop, process)
        _await_ready(process, port, folder / "log")
        yield Server(("127.0.0.1", port), process.pid, cluster.pid if cluster else 0, folder / "log")


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


def _ours(setup: Setup, folder: Path, port: int, database: str) -> tuple[list[str], dict[str, str]]:
    command = Path(sys.executable).parent / "presencectl"
    if not command.exists():
        raise CannotStart(f"{command} does not exist")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KP_")}
    environment |= {
        "KP_IP": "127.0.0.1",
        "KP_PORT": str(port),
        "KP_HTTP_PORT": str(free_port()),
        "KP_DB_URL": database or f"sqlite:///{folder}/presence.db",
        "KP_VAR": str(folder),
        "KP_DOMAINS": messages.DOMAIN,
        "KP_TRUSTED": "127.0.0.1",
        "KP_WORKERS": str(setup.workers),
        "KP_SET": setup.settings,
        "KP_DEFINES": "LOG_LEVEL=1",  # the peer writes no line for a request either
    }
    return [str(command), "run"], environment


def _peer(setup: Setup, folder: Path, port: int, database: str) -> tuple[list[str], dict[str, str]]:
    url = database.replace("postgresql:", "postgres:")
    if setup.engine == "sqlite":
        _create_sqlite(folder / "presence.db", setup.journal)
        url = f"sqlite:///{folder}/presence.db"
    elif setup.engine == "pg":
        load(database, [SCHEMAS / "postgres" / name for name in SCHEMA_FILES])
    command = ["kamailio", "-DD", "-E", "-x", "fm", "-X", "fm", "-m", "1024", "-M", "32"]
    command += ["-f", str(HERE / "peer" / setup.peer_cfg), "-l", f"udp:127.0.0.1:{port}", "-n", str(setup.workers)]
    command += ["-Y", str(folder)]
    return command, os.environ | {"BENCH_DB_URL": url}


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
