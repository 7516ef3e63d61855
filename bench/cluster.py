"""A throw-away PostgreSQL cluster: own port, own data folder, one database, gone when it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

BINARIES = Path("/usr/lib/postgresql")
USER = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "log_min_messages": "fatal",
}


class NoCluster(Exception):
    """PostgreSQL cannot be started here; the text says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster: its first process, and the URL of its one database."""

    pid: int
    url: str


def load(url: str, files: list[Path]) -> None:
    """Run SQL files."""
    with psycopg.connect(url, autocommit=True) as connection:
        for file in files:
            connection.execute(file.read_bytes())


@contextlib.contextmanager
def running(folder: Path, port: int) -> Iterator[Cluster]:
    """A cluster in this folder, which the database's user must be able to enter."""
    binaries = _binaries()
    as_user = _as_user()
    data = folder / "pgdata"
    data.mkdir(mode=0o700)
    if as_user:
        shutil.chown(data, USER, USER)
    _initialise(as_user, binaries, data)
    options = [word for name, value in (SETTINGS | {"port": str(port)}).items() for word in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "INT", *as_user, "--", binaries / "postgres", "-D", data, *options],
        cwd=data,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        url = f"postgresql://{USER}@127.0.0.1:{port}/{USER}"
        _await_ready(url, process)
        yield Cluster(process.pid, url)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then without mercy."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _binaries() -> Path:
    versions = sorted(BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise NoCluster(f"no PostgreSQL below {BINARIES}")
    return versions[-1].parent


def _as_user() -> list[str]:
    """Options of setpriv that drop root, which PostgreSQL refuses."""
    return ["--reuid", USER, "--regid", USER, "--clear-groups"] if os.geteuid() == 0 else []


def _initialise(as_user: list[str], binaries: Path, data: Path) -> None:
    arguments = ["-D", str(data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = ["setpriv", *as_user, "--", str(binaries / "initdb"), *arguments]
    result = subprocess.run(command, cwd=data, capture_output=True, text=True, check=False)
    if result.returncode:
        raise NoCluster(result.stderr.strip())


def _await_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(150):
        if process.poll() is not None:
            raise NoCluster(f"postgres ended with {process.returncode}")
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=2).close()
            return
        time.sleep(0.1)
    raise NoCluster("postgres does not answer")
