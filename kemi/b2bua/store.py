"""Rows of the table outgoing, as values (see `outgoing`); queries in sql/queries/outgoing.sql. No decisions.

What is named by a key is the first one of several forks, if nothing else is said.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kemi.b2bua import forks
from kemi.b2bua.outgoing import Key, Outgoing, Phase, Shown
from kemi.database import Database, Result, Row

_COLUMNS = Outgoing._fields
_PHASE, _SHOWN, _BODY = _COLUMNS.index("phase"), _COLUMNS.index("shown"), _COLUMNS.index("body")
_FLAGS = tuple(_COLUMNS.index(name) for name in ("wanted", "is_list"))


class Known(NamedTuple):
    """What one notifier has told, for those who watch here.

    Args:
        remote_tag: names it among others.
        began_at, fork: as in `Outgoing`.
    """

    shown: Shown
    content_type: str
    body: bytes
    version: int
    remote_tag: str
    began_at: float
    fork: int


class Standing(NamedTuple):
    """How one stands, in the words of `Outgoing`; `shown` is of all its forks together."""

    wanted: bool
    shown: Shown
    failures: int
    reason: str
    why: str


class Told(NamedTuple):
    """What local subscriptions become, in the words of their columns.

    Args:
        reason, member_reason: why they are terminated; None: they are not, and a fetch keeps its own.
        quiet: those in this state are not told, but members of lists are.
        token: random, for ids of members that come back.
    """

    decision: str
    state: str
    reason: str | None
    member_state: str
    member_reason: str | None
    quiet: str
    token: str


class DomainDue(NamedTuple):
    """Of one domain: SUBSCRIBEs that are to be sent, and those that wait for their answers."""

    domain: str
    due: int
    in_flight: int


def _outgoing(row: Row) -> Outgoing:
    values = list(row)
    values[_PHASE], values[_SHOWN], values[_BODY] = Phase(values[_PHASE]), Shown(values[_SHOWN]), bytes(values[_BODY])
    for index in _FLAGS:
        values[index] = bool(values[index])
    return Outgoing._make(values)


def _parameters(outgoing: Outgoing) -> dict[str, Any]:
    values = outgoing._asdict() | {"phase": outgoing.phase.value, "shown": outgoing.shown.value}
    return values | {_COLUMNS[index]: int(values[_COLUMNS[index]]) for index in _FLAGS}


def _key(key: Key) -> dict[str, Any]:
    return key._asdict()


def create(database: Database, outgoing: Outgoing) -> None:
    """Insert it, unless there is one with its key."""
    database.execute("outgoing_create", _parameters(outgoing))


def load(database: Database, key: Key) -> Outgoing | None:
    """The one with this key, locked until the transaction ends."""
    return _first(database.execute("outgoing_load", _key(key)))


def family(database: Database, key: Key) -> dict[int, Outgoing]:
    """The one with this key and its forks, by number, locked until the transaction ends."""
    return {each.fork: each for each in map(_outgoing, database.execute("outgoing_family", _key(key)).rows())}


def look(database: Database, key: Key, fork: int = 0) -> Outgoing | None:
    """The one with this key, or a fork of it; takes no lock."""
    return _first(database.execute("outgoing_look", _key(key) | {"fork": fork}))


def of_dialog(database: Database, dialog: str, remote_tag: str) -> list[Outgoing]:
    """The one whose newest dialog has our tag, and then the fork with both tags, locked until the transaction ends."""
    return [_outgoing(row) for row in database.execute("outgoing_of_dialog", {"dialog": dialog, "remote_tag": remote_tag}).rows()]


def resource_of(database: Database, dialog: str) -> str:
    """Who is watched in it, "" where it is not known; takes no lock."""
    rows = database.execute("outgoing_resource_of", {"dialog": dialog}).rows()
    return str(rows[0][0]) if rows else ""


def is_ours(database: Database, dialog: str) -> bool:
    """Whether that is our tag in a dialog of now."""
    return resource_of(database, dialog) != ""


def _first(result: Result) -> Outgoing | None:
    rows = result.rows()
    return _outgoing(rows[0]) if rows else None


def claim(database: Database, now: float, limit: int) -> list[Outgoing]:
    """Those of which a deadline has come, but that to ask, earliest first, locked until the transaction ends."""
    return [_outgoing(row) for row in database.execute("outgoing_claim", {"now": now, "limit": limit}).rows()]


def told_of(database: Database, dialogs: Sequence[str], now: float, limit: int) -> set[str]:
    """Who is watched in these dialogs, and in those that `claim` finds; takes no lock."""
    rows = [(each,) for each in dialogs or ("-",)]
    return {str(row[0]) for row in database.execute("outgoing_told_of", {"now": now, "limit": limit}, rows).rows()}


def domains_due(database: Database, now: float, limit: int) -> list[DomainDue]:
    """Domains that SUBSCRIBEs are to be sent to; counts no more than `limit` for each."""
    return [DomainDue(*row) for row in database.execute("outgoing_domains_due", {"now": now, "limit": limit}).rows()]


def claim_of(database: Database, numbers: Mapping[str, int], now: float) -> list[Outgoing]:
    """Those that have waited longest to ask, so many of each domain, locked until the transaction ends. One statement for each."""
    asked = [
        database.execute("outgoing_claim_domain", {"domain": domain, "now": now, "limit": number})
        for domain, number in numbers.items()
    ]
    return [_outgoing(row) for each in asked for row in each.rows()]


def save(database: Database, outgoing: Outgoing) -> None:
    """Write it as it is now."""
    database.execute("outgoing_save", _parameters(outgoing))


def remove(database: Database, outgoing: Outgoing) -> None:
    """Delete it."""
    database.execute("outgoing_remove", _parameters(outgoing))


def count(database: Database, watcher: str, domain: str) -> tuple[int, int]:
    """How many there are of a watcher, and of a domain."""
    of_watcher, of_domain = database.execute("outgoing_count", {"watcher": watcher, "domain": domain}).rows()[0]
    return of_watcher, of_domain


def full(database: Database, per_watcher: int, per_domain: int) -> list[tuple[str, str]]:
    """Who has as many as the limits allow: the parameter, and the watcher or domain. Reads the whole table."""
    found = database.execute("outgoing_full", {"per_watcher": per_watcher, "per_domain": per_domain}).rows()
    return [(parameter, whose) for parameter, whose in found]


def unwanted(database: Database, limit: int) -> list[Key]:
    """Keys of those that nobody here watches any more, and that do not know it."""
    return [Key._make(row) for row in database.execute("outgoing_unwanted", {"limit": limit}).rows()]


def unreachable(database: Database, reachable: Sequence[str], limit: int) -> list[Key]:
    """Keys of those that are wanted, in other domains than these."""
    rows = [(each,) for each in reachable or ("",)]
    return [Key._make(row) for row in database.execute("outgoing_unreachable", {"limit": limit}, rows).rows()]


def is_unwanted(database: Database, key: Key) -> bool:
    """Whether nobody here watches any more."""
    return bool(database.execute("outgoing_is_unwanted", _key(key)).rows())


def sourceless(database: Database, watcher: str, now: float, limit: int) -> list[str]:
    """Users of ours who are watched, registered by a device that may be subscribed to, and publish nothing."""
    parameters = {"watcher": watcher, "now": now, "limit": limit}
    return [str(row[0]) for row in database.execute("outgoing_sourceless", parameters).rows()]


def unsourced(database: Database, watcher: str, now: float, limit: int) -> list[Key]:
    """Keys of those that are a source, and need not be any more; `watcher` "": none need be."""
    rows = database.execute("outgoing_unsourced", {"watcher": watcher, "now": now, "limit": limit}).rows()
    return [Key._make(row) for row in rows]


def is_source(database: Database, dialog: str) -> bool:
    """Whether that is our tag in a dialog with a user of ours."""
    return bool(database.execute("outgoing_is_source", {"dialog": dialog}).rows())


def is_due(database: Database, now: float) -> bool:
    """Whether there is work for `claim`; takes no lock."""
    return bool(database.execute("outgoing_deadline", {"now": now}).rows()[0][0])


def shown(database: Database, keys: Sequence[Key]) -> Mapping[Key, list[Known]]:
    """What is known of many, in one statement; of several forks those of an older dialog come first."""
    found: dict[Key, list[Known]] = {}
    for row in database.execute("outgoing_shown", {}, keys).rows() if keys else []:
        known = Known(Shown(row[3]), row[4], bytes(row[5]), *row[6:])
        found.setdefault(Key._make(row[:3]), []).append(known)
    for several in found.values():
        several.sort(key=lambda known: (known.began_at, known.fork))
    return found


def standing(database: Database, keys: Sequence[Key]) -> dict[Key, Standing]:
    """How many of them stand, in one statement; those that are not there are left out."""
    rows = database.execute("outgoing_standing", {}, keys).rows() if keys else []
    found: dict[Key, Standing] = {}
    of_forks: list[tuple[Key, Shown]] = []
    for watcher, resource, package, fork, wanted, shown_word, *rest in rows:
        key, seen = Key(watcher, resource, package), Shown(shown_word)
        if fork:
            of_forks.append((key, seen))
        else:
            found[key] = Standing(bool(wanted), seen, *rest)
    for key, seen in of_forks:
        if key in found:
            found[key] = found[key]._replace(shown=forks.together(found[key].shown, [seen]))
    return found


def resume(database: Database, now: float) -> None:
    """After a start: what was in flight in a dialog is asked again."""
    database.execute("outgoing_resume", {"now": now})


def tell_state(database: Database, key: Key, told: Told, now: float) -> Result:
    """Give the local subscriptions another state, and mark them due; gives for each whether a NOTIFY is in flight."""
    return database.execute("outgoing_tell_state", _key(key) | told._asdict() | {"now": now})


def hold_list(database: Database, list_id: str, watcher: str, until: float) -> None:
    """The fetch of a list is told at `until`, if it has members elsewhere that are not known yet."""
    database.execute("outgoing_hold_list", {"id": list_id, "watcher": watcher, "until": until})


def release_lists(database: Database, watcher: str, now: float) -> Result:
    """Lists that this watcher fetches are told now, if all their members are known; gives a row for each."""
    return database.execute("outgoing_release_lists", {"watcher": watcher, "now": now})


def tell_document(database: Database, key: Key, now: float, interval: float) -> Result:
    """Mark the local subscriptions due, at once or when `interval` seconds since their last NOTIFY are over; as `tell_state`."""
    return database.execute("outgoing_tell_document", _key(key) | {"now": now, "interval": interval})


def listed(database: Database, watcher: str = "", resource: str = "", domain: str = "", limit: int = 1000) -> list[Outgoing]:
    """Those of a watcher, to a resource, in a domain; "": of any."""
    parameters = {"watcher": watcher, "resource": resource, "domain": domain, "limit": limit}
    return [_outgoing(row) for row in database.execute("outgoing_list", parameters).rows()]
