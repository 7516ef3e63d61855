"""The event package `presence` (RFC 3856): who may watch, and the document a watcher gets."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from kemi.database import Database
from kemi.errors import SipError
from kemi.event_package import Decision, Document, EventPackage, View
from kemi.presence import pidf, store
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.publication import Publication
from kemi.settings import Settings

NAME = "presence"
PIDF = "application/pidf+xml"
MAX_KEPT = 8192
"""Octets of a document that is worth keeping when parsed."""


def authorize(database: Database, settings: Settings, watcher: str, resource: str) -> Decision:
    """`pa.auth`: none lets everybody watch; implicit asks the presentity about everybody else (SER handbook 5.2)."""
    if settings.pa.auth == "none" or watcher == resource:
        return Decision.ALLOW
    return Decision.CONFIRM


def check_body(body: bytes, content_type: str) -> None:
    """Refuse what cannot be composed later.

    Raises:
        UnsupportedMediaType: 415, it is no PIDF document.
    """
    pidf.read(body, content_type)


def _parse(body: bytes, content_type: str) -> pidf.PidfDocument:
    return _kept(body, content_type) if len(body) <= MAX_KEPT else pidf.parse(body, content_type)


@lru_cache(maxsize=512)
def _kept(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Kept by content, so it cannot be stale: the same bytes are the same document."""
    return pidf.parse(body, content_type)


def _source(publication: Publication) -> Source | None:
    """One input of the composition; a document that an earlier release took and this one cannot read is left out."""
    try:
        return Source(publication.id, _parse(publication.body, publication.content_type), publication.qualified)
    except SipError:
        return None


def render(database: Database, settings: Settings, views: Sequence[View], now: float) -> dict[View, Document]:
    """The composed document of each view; one statement loads what all of them need."""
    resources = {view.resource for view in views if view.decision is Decision.ALLOW}
    publications: dict[str, list[Publication]] = defaultdict(list)
    if resources:
        for publication in store.load_many(database, NAME, sorted(resources), now):
            publications[publication.presentity].append(publication)
    offline = Offline[settings.pa.offline_document.upper()]
    clashing: set[tuple[str, str, str]] = set()
    documents = {}
    for view in views:
        shown = publications[view.resource] if view.decision is Decision.ALLOW else []
        sources = [source for source in map(_source, shown) if source is not None]
        composition = compose(view.entity, sources, offline)
        clashing |= {(view.resource, NAME, each) for each in composition.newly_qualified}
        documents[view] = Document(composition.body.decode(), PIDF, _tag(composition.body))
    if clashing:
        store.qualify(database, sorted(clashing))
    return documents


def _tag(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()


PRESENCE = EventPackage(
    name=NAME,
    default_expires=0,
    produces=(PIDF,),
    consumes=(PIDF,),
    minimum_interval=True,
    authorize=authorize,
    render=render,
    check_body=check_body,
)
