"""What docs/installing.md has operators do: a backup while the server writes, and a unit that starts it whatever comes up later."""

import configparser
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_docs import DOCS, blocks

PATIENCE = 20
"""Seconds: it takes a fraction of one."""

ROWS = 5000
"""Of a page each: more than is copied between two writes."""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """One to which somebody writes all the time, as the server does."""
    file, over = tmp_path / "presence.db", threading.Event()
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, text BLOB)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO kept (text) VALUES (zeroblob(?))", [(4000,)] * ROWS)
    connection.execute("COMMIT")

    def write() -> None:
        while not over.is_set():
            connection.execute("UPDATE kept SET text = randomblob(4000) WHERE id = 1")

    writer = threading.Thread(target=write)
    writer.start()
    yield file
    over.set()
    writer.join()
    connection.close()


def test_a_backup_ends_however_much_is_written_meanwhile(database: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backups" / "presence.db"
    backup.parent.mkdir()
    for _ in range(2):
        assert back_up(database, backup) == 0
    assert [path.name for path in backup.parent.iterdir()] == [backup.name]
    assert backup.stat().st_mode & 0o077 == 0
    with sqlite3.connect(backup) as copied:
        assert copied.execute("SELECT COUNT(*) FROM kept").fetchone() == (ROWS,)
    copied.close()


def test_a_backup_that_fails_leaves_the_last_one(tmp_path: Path) -> None:
    broken, backup = tmp_path / "presence.db", tmp_path / "backups" / "presence.db"
    backup.parent.mkdir()
    backup.write_text("the last one")
    broken.write_text("no database " * 100)
    assert back_up(broken, backup) != 0
    assert backup.read_text() == "the last one"


def back_up(database: Path, backup: Path) -> int:
    """As an operator types it."""
    (told,) = (text for text in blocks(DOCS / "installing.md", "bash") if "/var/backups" in text)
    told = told.replace("/var/lib/kemi-presence", str(database.parent)).replace("/var/backups", str(backup.parent))
    return subprocess.run(["bash", "-uc", told], stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False).returncode


def test_the_service_is_started_until_it_can() -> None:
    """systemd gives up what fails five times in ten seconds, unless it is told not to (systemd.unit(5), StartLimitIntervalSec)."""
    unit = configparser.ConfigParser(strict=False)
    unit.read_string(blocks(DOCS / "installing.md", "ini")[0])
    assert (unit["Unit"]["StartLimitIntervalSec"], unit["Service"]["Restart"]) == ("0", "always")
