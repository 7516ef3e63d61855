"""The event package `presence` (RFC 3856): who may watch, and the document a watcher gets."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from kemi.client_profile import STANDARD, profile_of
from kemi.errors import SipError
from kemi.event_package import STANDARD_INTERVAL, Decision, Document, EventPackage, View
from kemi.moment import Moment
from kemi.presence import completion, formats, parsed, pidf, plain, policy, privacy, store
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.publication import Publication
from kemi.subscription import Subscription
from kemi.xcap.pres_rules import EVERYTHING

NAME = "presence"


def check_body(body: bytes, content_type: str) -> None:
    """Refuse what cannot be composed later.

    Raises:
        UnsupportedMediaType: 415, it is no PIDF document.
    """
    pidf.read(body, content_type)


def aspect(subscription: Subscription) -> str:
    """What its client needs in every tuple, in the words of `completion`; behind a line feed what its watcher may see."""
    profile = profile_of(subscription.user_agent)
    if profile is STANDARD:
        return aspect_of("", subscription.permissions)
    needed = ((profile.tuple_contact, completion.CONTACT), (profile.tuple_basic, completion.BASIC))
    return aspect_of(" ".join(word for is_needed, word in needed if is_needed), subscription.permissions)


def aspect_of(needed: str, permissions: str) -> str:
    """The aspect of a view from its two parts; permissions have one line (`pres_rules.written`)."""
    return f"{needed}\n{permissions}" if permissions else needed


def render(at: Moment, views: Sequence[View]) -> dict[View, Document]:
    """The composed document of each view; one statement loads what all of them need."""
    resources = {view.resource for view in views if view.decision is Decision.ALLOW}
    publications: dict[str, list[Publication]] = defaultdict(list)
    if resources:
        for publication in store.load_many(at.database, NAME, sorted(resources), at.now):
            publications[publication.presentity].append(publication)
    offline = Offline[at.settings.pa.offline_document.upper()]
    clashing: set[tuple[str, str, str]] = set()
    documents = {}
    for view in views:
        told = tuple(map(_input, publications[view.resource])) if view.decision is Decision.ALLOW else ()
        needed, _, permissions = view.aspect.partition("\n")
        make = _kept if sum(len(each.body) for each in told) <= parsed.LARGEST_KEPT else _made
        made = make(told, view.entity, view.content_type, needed if at.settings.pa.client_profiles else "", permissions, offline)
        documents[view] = made.document
        clashing |= {(view.resource, NAME, each) for each in made.newly_qualified}
    if clashing:
        store.qualify(at.database, sorted(clashing))
    return documents


def foresee(at: Moment, resource: str) -> None:
    """Ask ahead for what `render` will need of this presentity (`Database.foresee`)."""
    store.foresee_many(at.database, NAME, [resource], at.now)


def rewrite(body: bytes, content_type: str, entity: str, media_type: str) -> Document | None:
    """A document from elsewhere in one of the old formats: read and written as if it were the one publication of its presentity."""
    try:
        parsed.parse(body, content_type)
    except SipError:
        return None
    make = _kept if len(body) <= parsed.LARGEST_KEPT else _made
    return make((_Input(entity, body, content_type, False),), entity, media_type, "", "", Offline.EMPTY).document


class _Input(NamedTuple):
    """All of a publication that a document depends on."""

    id: str
    body: bytes
    content_type: str
    qualified: bool


class _Made(NamedTuple):
    """A document, and the publications whose ids clashed in it."""

    document: Document
    newly_qualified: frozenset[str]


def _input(publication: Publication) -> _Input:
    return _Input(publication.id, publication.body, publication.content_type, publication.qualified)


def _made(told: tuple[_Input, ...], entity: str, content_type: str, needed: str, permissions: str, offline: Offline) -> _Made:
    """The document that follows from these, and from nothing else."""
    as_published = _as_published(told, entity, content_type, needed, permissions)
    if as_published:
        return _Made(Document(as_published, content_type, _tag(as_published.encode(), content_type)), frozenset())
    sources = [source for source in map(_source, told) if source is not None]
    composition = compose(entity, sources, offline)
    shown = _filtered(entity, sources, composition.body, permissions, offline)
    body = formats.convert(completion.complete(shown, entity, needed), content_type)
    return _Made(Document(body.decode(), content_type, _tag(body, content_type)), composition.newly_qualified)


def _as_published(told: tuple[_Input, ...], entity: str, content_type: str, needed: str, permissions: str) -> str:
    """The one publication, where that is the document; "" where it has to be composed, or changed for this watcher."""
    if len(told) != 1 or told[0].qualified or needed or content_type != pidf.MEDIA_TYPE:
        return ""
    if permissions and policy.permissions_of(permissions) != EVERYTHING:
        return ""
    return plain.told(told[0].body, told[0].content_type, entity, with_others=not permissions)


_kept = lru_cache(maxsize=parsed.KEPT)(_made)
"""The documents that were made last; equal inputs are the same document."""


def _source(told: _Input) -> Source | None:
    """One input of the composition; a document that an earlier release took and this one cannot read is left out."""
    try:
        return Source(told.id, parsed.parse(told.body, told.content_type), told.qualified)
    except SipError:
        return None


def _filtered(entity: str, sources: Sequence[Source], body: bytes, permissions: str, offline: Offline) -> bytes:
    """What of the composed document this watcher may see. Where everything is granted, all goes but what no permission is about."""
    if not permissions:
        return body
    granted = policy.permissions_of(permissions)
    if granted == EVERYTHING and not any(source.document.others for source in sources):
        return body
    return privacy.filtered(body, granted, compose(entity, [], offline).body)


def _tag(body: bytes, content_type: str) -> str:
    """The same for the same document of the same type, and for no other (RFC 5839 section 6.1)."""
    return hashlib.blake2b(body, digest_size=8, person=content_type.encode()[-hashlib.blake2b.PERSON_SIZE :]).hexdigest()


PRESENCE = EventPackage(
    name=NAME,
    default_expires=0,
    produces=formats.PRODUCES,
    consumes=formats.CONSUMES,
    minimum_interval=STANDARD_INTERVAL,
    authorize=policy.authorize,
    render=render,
    check_body=check_body,
    aspect=aspect,
    authorize_members=policy.authorize_members,
    rewrite=rewrite,
    foresee=foresee,
)
