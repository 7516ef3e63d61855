"""Users elsewhere as resources of the event packages served here: the remote side's word stands for the presentity's rules.

Each package is served as before for our own users. For somebody elsewhere, in a domain of `b2b.domains`, asking whether a watcher
may watch makes sure that there is an outgoing subscription (`outside.ensure`), in the transaction that writes the local one; so do
members of lists. Documents are those that came, octet by octet; the number of a numbered one is each subscription's own. Those of
several forks are merged by the package (`forks`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

from kemi import identity, sip
from kemi.b2bua import numbered, outside, store
from kemi.b2bua.outgoing import Key, Shown
from kemi.b2bua.store import Known
from kemi.effects import Effect
from kemi.event_package import Authorization, Decision, Document, EventPackage, View
from kemi.moment import Moment
from kemi.multipart import RELATED
from kemi.settings import Settings
from kemi.subscription import State, Subscription


def with_foreign(packages: Mapping[str, EventPackage], settings: Settings) -> dict[str, EventPackage]:
    """Packages that serve users elsewhere too; the same ones where nobody elsewhere may be watched."""
    if not settings.b2b.reachable:
        return dict(packages)
    return {name: _with_foreign(package, settings) for name, package in packages.items()}


def _with_foreign(package: EventPackage, settings: Settings) -> EventPackage:
    return replace(
        package,
        authorize=partial(_authorize, package),
        also_asks=package.rules,
        authorize_members=partial(_authorize_members, package),
        render=partial(_render, package),
        aspect=partial(_aspect, package, settings),
        awaits=partial(_awaits, package.name),
    )


def with_foreign_lists(packages: Mapping[str, EventPackage], settings: Settings) -> dict[str, EventPackage]:
    """Packages of lists that serve lists elsewhere too: those are not expanded here, their server does that (RFC 4662)."""
    if not settings.b2b.reachable:
        return dict(packages)
    lists = {name: package for name, package in packages.items() if package.is_list}
    return {**packages, **{name: _with_foreign_list(package, settings) for name, package in lists.items()}}


def _with_foreign_list(package: EventPackage, settings: Settings) -> EventPackage:
    return replace(_with_foreign(package, settings), authorize_members=None, populate=partial(_populate, package))


def _populate(package: EventPackage, at: Moment, subscription: Subscription) -> list[Effect]:
    if package.populate is None or identity.reaches(at.settings, subscription.resource):
        return []
    effects = package.populate(at, subscription)
    if subscription.state is State.TERMINATED and at.settings.b2b.fetch_wait:
        store.hold_list(at.database, subscription.id, subscription.watcher, at.now + at.settings.b2b.fetch_wait)
    return effects


def _awaits(name: str, at: Moment, subscription: Subscription) -> float | None:
    """Until when a fetch waits for what somebody elsewhere says."""
    if not at.settings.b2b.fetch_wait or not identity.reaches(at.settings, subscription.resource):
        return None
    is_awaited = outside.is_awaited(at, Key(subscription.watcher, subscription.resource, name))
    return at.now + at.settings.b2b.fetch_wait if is_awaited else None


def _authorize(package: EventPackage, at: Moment, watchers: Sequence[str], resource: str) -> Mapping[str, Authorization]:
    """The package's own rules for our users, the remote side's word for others."""
    if not identity.reaches(at.settings, resource):
        return package.authorize(at, watchers, resource)
    says = _says(at, [Key(watcher, resource, package.name) for watcher in watchers])
    return {key.watcher: authorization for key, authorization in says.items()}


def _says(at: Moment, keys: Sequence[Key]) -> dict[Key, Authorization]:
    found = outside.ensure(at, keys)
    return {key: found[key].authorization for key in keys}


def _authorize_members(package: EventPackage, at: Moment, watcher: str, resources: Sequence[str]) -> Mapping[str, Authorization]:
    foreign = [each for each in resources if identity.reaches(at.settings, each)]
    ours = [each for each in resources if each not in set(foreign)]
    found: dict[str, Authorization] = {}
    if ours and package.authorize_members is not None:
        found |= package.authorize_members(at, watcher, ours)
    elif ours:
        found |= {each: package.authorization(at, watcher, each) for each in ours}
    says = _says(at, [Key(watcher, each, package.name) for each in foreign]) if foreign else {}
    return found | {key.resource: authorization for key, authorization in says.items()}


def _aspect(package: EventPackage, settings: Settings, subscription: Subscription) -> str:
    """The document of somebody elsewhere is its watcher's own."""
    return subscription.watcher if identity.reaches(settings, subscription.resource) else package.aspect(subscription)


def _render(package: EventPackage, at: Moment, views: Sequence[View]) -> Mapping[View, Document]:
    foreign = {
        view: Key(view.aspect, view.resource, package.name) for view in views if identity.reaches(at.settings, view.resource)
    }
    ours = [view for view in views if view not in foreign]
    documents = dict(package.render(at, ours)) if ours else {}
    known = store.shown(at.database, sorted(set(foreign.values())))
    most = numbered.MERGED * at.settings.pa.max_body
    return documents | {view: _document(package, view, _active(known.get(key, []), most), most) for view, key in foreign.items()}


def _active(known: Sequence[Known], most: int) -> Sequence[Known]:
    """Those whose documents are shown, as many as fit; who is alone is shown by the state of each local subscription."""
    if len(known) == 1:
        return known
    active = [each for each in known if each.shown is Shown.ACTIVE and each.content_type]
    sizes = list(accumulate(len(each.body) for each in active))
    return active[: max(1, sum(size <= most for size in sizes))]


def _is_taken(view: View, media_type: str) -> bool:
    """A list is only asked for where it is taken."""
    return media_type in (view.content_type, RELATED)


def _document(package: EventPackage, view: View, active: Sequence[Known], most: int) -> Document:
    """No content where nothing came, or what came is of a type that this watcher does not take, and cannot be written so.

    Args:
        most: octets that the documents of several may become together; if they become more the first one is shown alone.
    """
    nothing = Document("", view.content_type, "none")
    if view.decision is not Decision.ALLOW or not active or not active[0].content_type:
        return nothing
    if len(active) > 1 and package.merge is not None:
        merged = package.merge({each.remote_tag: each.body for each in active}, view.entity)
        if len(merged.encode()) <= most:
            return Document(merged, package.produces[0], _tag(view, merged.encode()))
    known = active[0]
    if not _is_taken(view, sip.media_type(known.content_type)):
        rewritten = package.rewrite(known.body, known.content_type, view.entity, view.content_type) if package.rewrite else None
        return rewritten or nothing
    content = known.body.decode()
    return Document(numbered.unnumbered(content) if known.version >= 0 else content, known.content_type, _tag(view, known.body))


def _tag(view: View, body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8, person=view.content_type.encode()[-16:]).hexdigest()
