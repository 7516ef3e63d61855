"""The event package `presence` (RFC 3856): who may watch, and the document a watcher gets."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from kemi import decision_store
from kemi.client_profile import STANDARD, profile_of
from kemi.database import Database
from kemi.errors import SipError
from kemi.event_package import STANDARD_INTERVAL, Decision, Document, EventPackage, View
from kemi.presence import completion, formats, pidf, store
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.publication import Publication
from kemi.settings import Settings
from kemi.subscription import Subscription

NAME = "presence"
MAX_KEPT = 8192
"""Octets of a document that is worth keeping when parsed."""


def authorize(database: Database, settings: Settings, watcher: str, resource: str) -> Decision:
    """The presentity itself may always watch. Of others management decides first (`presencectl authorize`), then `pa.auth`: none
    lets everybody watch; implicit asks the presentity (SER handbook 5.2).
    """
    if watcher == resource:
        return Decision.ALLOW
    made = decision_store.made(database, NAME, resource, watcher)
    if made is not None:
        return made
    return Decision.ALLOW if settings.pa.auth == "none" else Decision.CONFIRM


def check_body(body: bytes, content_type: str) -> None:
    """Refuse what cannot be composed later.

    Raises:
        UnsupportedMediaType: 415, it is no PIDF document.
    """
    pidf.read(body, content_type)


def parse(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Read a published document (`pidf.parse`); small ones that were read last are kept."""
    return _kept(body, content_type) if len(body) <= MAX_KEPT else pidf.parse(body, content_type)


@lru_cache(maxsize=512)
def _kept(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Kept by content, so it cannot be stale: the same bytes are the same document."""
    return pidf.parse(body, content_type)


def _source(publication: Publication) -> Source | None:
    """One input of the composition; a document that an earlier release took and this one cannot read is left out."""
    try:
        return Source(publication.id, parse(publication.body, publication.content_type), publication.qualified)
    except SipError:
        return None


def aspect(subscription: Subscription) -> str:
    """What its client needs in every tuple, in the words of `completion`."""
    profile = profile_of(subscription.user_agent)
    if profile is STANDARD:
        return ""
    needed = ((profile.tuple_contact, completion.CONTACT), (profile.tuple_basic, completion.BASIC))
    return " ".join(word for is_needed, word in needed if is_needed)


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
        needed = view.aspect if settings.pa.client_profiles else ""
        body = formats.convert(completion.complete(composition.body, view.entity, needed), view.content_type)
        documents[view] = Document(body.decode(), view.content_type, _tag(body, view.content_type))
    if clashing:
        store.qualify(database, sorted(clashing))
    return documents


def _tag(body: bytes, content_type: str) -> str:
    """The same for the same document of the same type, and for no other (RFC 5839 section 6.1)."""
    return hashlib.blake2b(body, digest_size=8, person=content_type.encode()[-16:]).hexdigest()


PRESENCE = EventPackage(
    name=NAME,
    default_expires=0,
    produces=formats.PRODUCES,
    consumes=formats.CONSUMES,
    minimum_interval=STANDARD_INTERVAL,
    authorize=authorize,
    render=render,
    check_body=check_body,
    aspect=aspect,
)
