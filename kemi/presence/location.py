"""Rows of the table location, as values, and those of publication that show them. No decisions.

Queries in sql/queries/location.sql and registration.sql.
"""

from collections.abc import Sequence

from kemi.binding import Binding
from kemi.database import Database, Result, Row
from kemi.presence.publication import Publication, SourceKind

SOURCE = SourceKind.REGISTRAR.value


def load(database: Database, presentity: str) -> list[Binding]:
    """The stored bindings of an address of record, live or not."""
    return [Binding(*row) for row in database.execute("location_load", {"presentity": presentity}).rows()]


def replace(database: Database, presentity: str, bindings: Sequence[Binding]) -> None:
    """Store these bindings of an address of record, and no others."""
    database.execute("location_remove", {"presentity": presentity})
    if bindings:
        database.execute("location_save", {}, [(presentity, *each) for each in bindings])


def contacts(database: Database, now: float) -> list[tuple[str, str]]:
    """(presentity, contact) of all live bindings."""
    return [(presentity, contact) for presentity, contact in database.execute("location_all", {"now": int(now)}).rows()]


def received_over(database: Database, connections: Sequence[str]) -> list[str]:
    """Presentities that have a binding made over one of these connections, by their URIs (`Binding.received`)."""
    rows = database.execute("location_received_over", {}, [(each,) for each in connections]).rows()
    return [presentity for (presentity,) in rows]


def any_expired(database: Database, now: float) -> bool:
    """Whether there is work for `remove_expired`; takes no lock."""
    return bool(database.execute("location_any_expired", {"now": int(now)}).rows()[0][0])


def remove_expired(database: Database, now: float) -> None:
    """Delete the bindings whose time is over."""
    database.execute("location_remove_expired", {"now": int(now)})


def shown(database: Database, package: str, presentity: str) -> set[str]:
    """Ids of the publications that show a presentity's bindings; waits for the lock that was asked for before."""
    parameters = {"presentity": presentity, "package": package, "source": SOURCE}
    return {name for (name,) in database.execute("registration_shown", parameters).rows()}


def all_shown(database: Database, package: str) -> set[tuple[str, str]]:
    """(presentity, id) of all publications that show bindings."""
    rows = database.execute("registration_all_shown", {"package": package, "source": SOURCE}).rows()
    return {(presentity, name) for presentity, name in rows}


def show(database: Database, publications: Sequence[Publication]) -> Result:
    """Insert publications; of those that are there already only the lifetime changes."""
    return database.execute("registration_show", {}, [_row(each) for each in publications])


def _row(publication: Publication) -> Row:
    return tuple((publication._asdict() | {"qualified": int(publication.qualified)}).values())


def hide(database: Database, package: str, presentity: str, ids: Sequence[str]) -> None:
    """Delete publications of a presentity."""
    database.execute("registration_hide", {"presentity": presentity, "package": package}, [(each,) for each in ids])
