"""The registrar as a source of presence: a registered contact is an open tuple (SER handbook section 5.8, `pa.use_callbacks`).

Kamailio's module usrloc holds the bindings in memory. Two things here follow it, whatever it was that changed it:

    location      the bindings as rows: what usrloc reads when Kamailio starts
    publication   for each binding a document with one tuple, source `registrar`; composed, expired and told like a published one

A REGISTER is saved, stored and marked in one transaction, before it is answered; the lost connection of a binding likewise. The
lock of the presentity is held while usrloc changes, so that of two changes the later one stores what is true after both. After a
crash in between, usrloc knows only what is stored, and who was not answered registers again.

A binding's document names nothing but its contact and priority, so a refresh moves its lifetime and no watcher is told. Its id is
a keyed hash: no PUBLISH can name it. A restart breaks all connections; bindings made over them stay until their lifetime is over
or the client registers again.

SQL: 4 statements a REGISTER, one more for bindings that are gone, one more when watchers have to be told; two round trips on
PostgreSQL.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from functools import partial
from html import escape

from kemi import store as subscriptions
from kemi.binding import Binding
from kemi.database import Database
from kemi.effects import Effect, Log
from kemi.event_package import interval_of
from kemi.moment import Moment
from kemi.presence import location, pidf
from kemi.presence.package import NAME
from kemi.presence.publication import Publication, timestamp
from kemi.report import wakes
from kemi.settings import Settings


def synchronize(at: Moment, secret: bytes, presentity: str, change: Callable[[], Sequence[Binding]]) -> list[Effect]:
    """Change a presentity's bindings, store them and show them.

    Args:
        secret: key of the ids.
        presentity: canonical URI.
        change: does it in usrloc, and gives all bindings that there are then; called once the presentity is locked.

    Raises:
        Unavailable: nothing is stored, and the change may have been made.
    """
    with at.database.transaction():
        at.database.lock(presentity)
        shown = location.shown(at.database, NAME, presentity)
        bindings = [each for each in change() if each.expires > at.now]
        location.replace(at.database, presentity, bindings)
        wanted = _publications(at.settings, secret, presentity, bindings, at.now)
        if wanted:
            location.show(at.database, wanted)
        gone = shown.difference(each.id for each in wanted)
        if gone:
            location.hide(at.database, NAME, presentity, sorted(gone))
        is_changed = bool(gone) or any(each.id not in shown for each in wanted)
        if is_changed:
            interval = interval_of(at.packages.get(NAME), at.settings)
            marked = subscriptions.mark_due(at.database, NAME, presentity, at.now, interval)
    if not is_changed:
        return []
    return [*wakes(marked), Log(f"registration changed: presentity={presentity} contacts={len(bindings)}")]


def reconcile(at: Moment, secret: bytes) -> list[Effect]:
    """Show what is stored, where it is not shown or shown otherwise: `pa.use_callbacks` or the priority was changed."""
    wanted: set[tuple[str, str]] = set()
    if at.settings.pa.use_callbacks:
        stored = location.contacts(at.database, at.now)
        wanted = {(presentity, _publication_id(at.settings, secret, presentity, contact)) for presentity, contact in stored}
    effects: list[Effect] = []
    for presentity in sorted({each for each, _name in wanted ^ location.all_shown(at.database, NAME)}):
        stored_bindings = partial(location.load, at.database, presentity)
        effects += synchronize(at, secret, presentity, stored_bindings)
    return effects


def forget(database: Database, now: float) -> None:
    """Remove stored bindings whose time is over; usrloc forgets them itself, and what shows them expires like a publication."""
    if location.any_expired(database, now):
        location.remove_expired(database, now)


def received_over(database: Database, connections: Collection[str]) -> list[str]:
    """The presentities that have to be synchronized because these connections (`Binding.received`) are lost."""
    return location.received_over(database, sorted(connections)) if connections else []


def _publications(settings: Settings, secret: bytes, presentity: str, bindings: Sequence[Binding], now: float) -> list[Publication]:
    """What shows these bindings, one for each contact; nothing where that is switched off."""
    if not settings.pa.use_callbacks:
        return []
    lifetimes: dict[str, int] = {}
    for each in bindings:
        lifetimes[each.contact] = max(each.expires, lifetimes.get(each.contact, 0))
    return [_publication(settings, secret, presentity, contact, expires, now) for contact, expires in lifetimes.items()]


def _publication(settings: Settings, secret: bytes, presentity: str, contact: str, expires: int, now: float) -> Publication:
    name = _publication_id(settings, secret, presentity, contact)
    return Publication(
        presentity=presentity, package=NAME, id=name, etag=name, content_type=pidf.MEDIA_TYPE,
        body=document(presentity, name, contact, settings.pa.default_priority_percentage, now),
        published_at=now, created_at=now, expires_at=float(expires), qualified=False, source=location.SOURCE,
    )  # fmt: skip


def _publication_id(settings: Settings, secret: bytes, presentity: str, contact: str) -> str:
    """The same for every refresh, and another one where the document would be another one."""
    named = "\n".join(("registrar", presentity, contact, str(settings.pa.default_priority_percentage)))
    return _hash(named, secret)


def document(presentity: str, name: str, contact: str, percentage: int, now: float) -> bytes:
    """A presence document with one open tuple (RFC 3863 section 4).

    Args:
        name: of the publication; the tuple's id is made from it and does not tell it.
        percentage: priority of the contact.
        now: when it was registered, seconds since the epoch.
    """
    return (
        f'<presence xmlns="{pidf.PIDF}" entity="{escape(presentity)}"><tuple id="r{_hash(name)}">'
        f'<status><basic>open</basic></status><contact priority="{percentage / 100:g}">{escape(contact)}</contact>'
        f"<timestamp>{timestamp(now)}</timestamp></tuple></presence>"
    ).encode()


def _hash(text: str, key: bytes = b"") -> str:
    return hashlib.blake2b(text.encode(), key=key, digest_size=10).hexdigest()
