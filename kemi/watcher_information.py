"""Watcher information: the template package `.winfo` of any package (RFC 3857, RFC 3858).

`winfo_of(package)` makes the package; `kemi.packages.served` says which are served. Who may watch the watchers:

pa.winfo_auth  the user itself, pa.winfo_watchers   somebody who watches   anybody else
-------------  -----------------------------------  ---------------------  ------------
implicit       all watchers                         only its own entries   403
none           all watchers                         all watchers           all watchers

The first document of a subscription and every one after a SUBSCRIBE or a NOTIFY that failed is full; the others hold what has
changed since (RFC 3857 section 4.7.2): each change has a number, and a subscription knows up to which it was told. A watcher that
ended is told once.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape

from kemi import watcher_store
from kemi.event_package import (
    STANDARD_INTERVAL,
    VERSION,
    WATCHER_INFORMATION,
    Authorization,
    Decision,
    Document,
    EventPackage,
    View,
)
from kemi.moment import Moment
from kemi.settings import Settings
from kemi.subscription import Subscription
from kemi.watcher import Status, Watcher

WATCHERINFO = "application/watcherinfo+xml"
NAMESPACE = "urn:ietf:params:xml:ns:watcherinfo"
DEFAULT_EXPIRES = 3600
FULL, PARTIAL = "full", "partial"
OLD_NEWS = 2**62
"""A number above that of every change."""


def winfo_of(watched: EventPackage) -> EventPackage:
    """The package that tells who watches `watched`; of its own watchers only the user itself is told (RFC 3857 section 4.6)."""
    package = watched.name
    is_nested = package.endswith(WATCHER_INFORMATION)

    def authorize(at: Moment, watchers: Sequence[str], resource: str) -> dict[str, Authorization]:
        allowed = {each for each in watchers if _sees_all(at.settings, each, resource) and not (is_nested and each != resource)}
        if not is_nested and not allowed.issuperset(watchers):
            known = watcher_store.list_all(at.database, package, [resource])
            allowed |= {each.uri for each in known if each.status is not Status.TERMINATED}
        return {each: Authorization(Decision.ALLOW if each in allowed else Decision.BLOCK) for each in watchers}

    def render(at: Moment, views: Sequence[View]) -> dict[View, Document]:
        watchers = defaultdict[str, list[Watcher]](list)
        for each in watcher_store.list_all(at.database, package, sorted({view.resource for view in views})):
            watchers[each.resource].append(each)
        return {view: _document(view, package, watchers[view.resource], at.settings, at.now) for view in views}

    return EventPackage(
        name=package + WATCHER_INFORMATION,
        default_expires=DEFAULT_EXPIRES,
        produces=(WATCHERINFO,),
        consumes=(),
        minimum_interval=STANDARD_INTERVAL,
        authorize=authorize,
        render=render,
        aspect=aspect,
    )


def aspect(subscription: Subscription) -> str:
    """Who asks, what it was told, and whether it gets everything; to one that was told nothing yet every end is old news."""
    kind = PARTIAL if subscription.notified_tag and subscription.version else FULL
    told = subscription.told if subscription.version else OLD_NEWS
    return f"{kind} {told} {subscription.watcher}"


def _sees_all(settings: Settings, watcher: str, resource: str) -> bool:
    return settings.pa.winfo_auth == "none" or watcher == resource or watcher in settings.pa.winfo_watchers


def _document(view: View, package: str, watchers: Sequence[Watcher], settings: Settings, now: float) -> Document:
    kind, told, asking = view.aspect.split(" ", 2)
    seen = watchers if _sees_all(settings, asking, view.resource) else [each for each in watchers if each.uri == asking]
    shown = list(_current(seen, int(told), now))
    news = [each for each in shown if kind == FULL or each.sequence > int(told)]
    newest = max([each.sequence for each in watchers], default=0)
    return Document(write(view.entity, package, kind, news, now), WATCHERINFO, _tag(view.entity, shown), newest)


def _current(watchers: Sequence[Watcher], told: int, now: float) -> Iterable[Watcher]:
    """Without those whose end was told, and without what was stored too long ago, or of one who is told of anyway."""
    present = {each.uri for each in watchers if each.status is not Status.TERMINATED and not each.stored}
    for each in watchers:
        if each.stored:
            if each.uri not in present and each.expires_at > now:
                yield each
        elif each.status is not Status.TERMINATED or each.sequence > told:
            yield each


def _tag(entity: str, watchers: Iterable[Watcher]) -> str:
    """Names the whole state, without those who have ended: how they ended is news, not state. Stored ones are state until told."""
    lasting = [each for each in watchers if each.stored or each.status is not Status.TERMINATED]
    state = [(each.id, each.status.value, each.event.value) for each in lasting]
    return hashlib.blake2b(repr((entity, sorted(state))).encode(), digest_size=8).hexdigest()


def write(entity: str, package: str, kind: str, watchers: Iterable[Watcher], now: float) -> str:
    """A watcherinfo document (RFC 3858 section 3).

    Args:
        entity: URI of who is watched, as it was asked for.
        package: whose watchers these are.
        kind: full or partial.
        now: seconds since the epoch; durations in the document count from it.
    """
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<watcherinfo xmlns="{NAMESPACE}" version="{VERSION}" state="{kind}">\n'
        f'<watcher-list resource="{escape(entity)}" package="{escape(package)}">\n'
        f"{''.join(_element(each, now) for each in watchers)}"
        "</watcher-list>\n</watcherinfo>\n"
    )


def _element(watcher: Watcher, now: float) -> str:
    name = f' display-name="{escape(watcher.display_name)}"' if watcher.display_name else ""
    left = max(0, round(watcher.expires_at - now))
    expiration = f' expiration="{left}"' if watcher.status in (Status.ACTIVE, Status.PENDING) and not watcher.stored else ""
    duration = max(0, round(now - watcher.subscribed_at))
    return (
        f'<watcher id="{watcher.id}" status="{watcher.status.value}" event="{watcher.event.value}"'
        f'{name}{expiration} duration-subscribed="{duration}">{escape(watcher.uri)}</watcher>\n'
    )


def with_templates(packages: Iterable[EventPackage], depth: int) -> dict[str, EventPackage]:
    """Packages by name, each with its template package, and that one's, `depth` deep (RFC 3857 section 4.6)."""
    served: dict[str, EventPackage] = {}
    for package in packages:
        nested = package
        for _ in range(depth + 1):
            served[nested.name] = nested
            nested = winfo_of(nested)
    return served
