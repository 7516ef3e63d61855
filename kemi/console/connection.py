"""The database of a server that may be running, opened; all that `presencectl run` needs of it."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kemi import database, schema
from kemi.database import Database, Unavailable
from kemi.errors import ConfigurationError
from kemi.settings import Settings


@contextmanager
def connected(found: Settings) -> Iterator[Database]:
    """A connection to the database; whatever it complains of is told together with its URL.

    Raises:
        ConfigurationError: it is a file that this user may not use.
        Unavailable: it does not do what it is asked.
    """
    refuse_foreign_file(found)
    try:
        with closing(database.connect(found)) as connection:
            yield connection
    except Unavailable as error:
        url = shown_url(found)
        raise type(error)(str(error) if url in str(error) else f"{url}: {error}") from error


@contextmanager
def opened(found: Settings) -> Iterator[Database]:
    """The same, with the folder it may need."""
    try:
        found.var.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"KP_VAR = {str(found.var)!r}: it cannot be made: {error.strerror}") from None
    with connected(found) as connection:
        yield connection


@contextmanager
def current(found: Settings) -> Iterator[Database]:
    """A connection to a database of this release; nothing in it is made or brought up to date.

    Raises:
        ConfigurationError: there is no database yet, or it is of another release.
    """
    if is_missing(found):
        raise ConfigurationError(f"{shown_url(found)} is not there yet; presencectl run or migrate creates it")
    with connected(found) as connection:
        refuse_other_release(found, schema.state(connection))
        yield connection


@contextmanager
def current_or_new(found: Settings) -> Iterator[Database]:
    """The same; where there is nothing yet, it is made."""
    with opened(found) as connection:
        state = schema.state(connection)
        if state.applied:
            refuse_other_release(found, state)
        else:
            schema.migrate(connection)
        yield connection


def refuse_other_release(found: Settings, state: schema.SchemaState) -> None:
    """Make sure that the schema is that of this code.

    Raises:
        ConfigurationError: it is not.
    """
    if state.unknown:
        raise ConfigurationError(f"{shown_url(found)} has {state.unknown[-1]}: a newer release made it")
    if state.missing:
        raise ConfigurationError(f"{shown_url(found)} has not {state.missing[0]} yet; presencectl run or migrate applies it")


def is_missing(found: Settings) -> bool:
    """Whether the database is a file that is not there.

    Raises:
        ConfigurationError: this user may not know.
    """
    refuse_foreign_file(found)
    file = file_of(found)
    return file is not None and not file.exists()


def file_of(found: Settings) -> Path | None:
    """The file that is the database; None: it is none."""
    file = found.db_url.removeprefix("sqlite:///")
    return Path(file) if file != found.db_url else None


def refuse_foreign_file(found: Settings) -> None:
    """Make sure that this user may use the file that is the database: who runs presencectl is not always who runs the server.

    Raises:
        ConfigurationError: it is another user's.
    """
    file = file_of(found)
    if file is None:
        return
    there = next(each for each in (file, *file.parents) if os.path.lexists(each))
    if not os.access(there, os.R_OK | os.W_OK if there == file else os.X_OK):
        whose = f"{there} belongs to {owner_of(there)}; it has to belong to the server's user, and presencectl to run as that user"
        raise ConfigurationError(f"{shown_url(found)}: this user may not use it; {whose}")


def owner_of(path: Path) -> str:
    """Name of the user whose a file is, or the number of one without a name."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def shown_url(found: Settings) -> str:
    """The URL of the database without its password."""
    return found.shown_db_url
