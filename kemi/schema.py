"""The schema of the database: numbered migrations, applied in order, each in a transaction of its own.

The table `migration` says which were applied. A database that has more of them than this code knows belongs to a newer release
and is left alone.
"""

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from kemi.database import SQL, Database
from kemi.errors import ConfigurationError

MIGRATIONS = SQL / "migrations"
VERSION_TABLE = "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)"
LOCK = "schema"
"""Held while something is applied: who comes at the same time waits, and finds it done."""


@dataclass(frozen=True)
class SchemaState:
    """Names of the migrations that are applied, missing, and unknown to this code."""

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def migrations(engine: str) -> dict[str, Path]:
    """Migration files by name; `0002_name.postgresql.sql` is for that engine only."""
    files = (path for path in sorted(MIGRATIONS.glob("*.sql")) if path.suffixes[:-1] in ([], [f".{engine}"]))
    return {path.name.partition(".")[0]: path for path in files}


def state(database: Database) -> SchemaState:
    """What is applied and what is not."""
    database.script(VERSION_TABLE)
    applied = _applied(database)
    known = migrations(database.engine)
    missing = tuple(name for name in known if name not in applied)
    unknown = tuple(name for name in applied if name not in known)
    return SchemaState(tuple(applied), missing, unknown)


def _applied(database: Database) -> list[str]:
    return [name for (name,) in database.execute("schema_applied").rows()]


def migrate(database: Database) -> list[str]:
    """Apply what is missing; several processes may do it at once.

    Returns:
        Names of the migrations that this one has applied now.

    Raises:
        ConfigurationError: the schema is newer than this code.
    """
    with database.transaction():
        database.lock(LOCK)
        database.script(VERSION_TABLE)
    found = state(database)
    if found.unknown:
        raise ConfigurationError(
            f"the database has the migration {found.unknown[-1]}, which this release does not know: install the newer release"
        )
    files = migrations(database.engine)
    applied = [name for name in found.missing if _apply(database, name, files[name])]
    with database.transaction():
        database.execute("server_initialise", {"name": "secret", "value": secrets.token_hex(32)})
    return applied


def _apply(database: Database, name: str, file: Path) -> bool:
    """Whether it was still missing."""
    with database.transaction():
        database.lock(LOCK)
        if name in _applied(database):
            return False
        database.script(file.read_text())
        database.execute("schema_record", {"name": name})
    return True


def secret(database: Database) -> bytes:
    """The key under which this installation makes its tags; the same on every node and after every start."""
    return bytes.fromhex(database.execute("server_value", {"name": "secret"}).rows()[0][0])


def nonce_secret(database: Database) -> str:
    """The key for digest nonces, so that a client's nonce outlives a restart (RFC 7616 section 3.3)."""
    return hashlib.blake2b(b"nonce", key=secret(database), digest_size=24).hexdigest()
