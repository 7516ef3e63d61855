"""Documents of another XCAP server (SER handbook section 4): read from the table `fetched`, and fetched beside SIP. Without such a
server (`xcap.xcap_root`) they are those of our own, as they are now.

Which server, where there are several, the settings that are handed over say: `xcap.xcap_root` in them (`kemi.xcap.roots`).

Who needs a document reads the row and goes on with what it says (`document`). That it was needed is written there, at most once
for each fetch; so is the time when a document of a watched user is due again. What is due is claimed by the process that fetches
(`claim`), and what came is saved (`save`). A claim ends by itself, so a crash loses nothing.

    SIP worker   document   row missing: insert it, due at once; row old: mark it; the answer is what was known
                 documents  the same of several documents of one user
    ticker       deadlines  every second: is something due? Then the group `fetch` is woken; `forget` what is too old
    fetcher      claim      what is due and in use; the rest waits until it is asked for
                 save       the row, and in the same transaction whatever depends on it (`changed`), under the lock of its owner

SQL: `document` and `documents` 1 statement, 1 more for each that is old; `save` 3, and those of `changed` when it is another one.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from kemi import reauthorize
from kemi.effects import Effect, Log
from kemi.event_package import Packages
from kemi.moment import Moment
from kemi.settings import Settings
from kemi.xcap import fetched_document, fetched_store, roots, store, usages
from kemi.xcap.fetched_document import Answer, Availability, FetchedDocument, Outcome, Reading
from kemi.xcap.fetched_store import Deadlines
from kemi.xcap.path import DocumentSelector, Tree

PRESENCE: Final = "presence"
DIALOG: Final = "dialog"
"""The event packages that rules are about; others may ask those of presence."""

GRACE: Final = 5
"""Seconds after the longest fetch until somebody else may try."""

NEVER: Final = 0.0
"""Before all times."""

LIMIT: Final = 100
"""Documents looked after in one tick."""


class Place(NamedTuple):
    """Where a document of a user is, below the application usage and the user's folder."""

    auid: str
    name: str

    @property
    def path(self) -> str:
        """For people, and the same for the same document."""
        return f"{self.auid}/{self.name}"


Changed = Callable[[Moment, str, str], list[Effect]]
"""(at, auid, owner): decisions that were made with this document are made again, in the transaction that saves it."""


def document(at: Moment, auid: str, xui: str, name: str = "") -> Reading:
    """What a user's document says, as far as it is known here; whoever asks never waits.

    Args:
        auid: application usage.
        xui: canonical URI of the user; "" for a document of the global tree.
        name: the document's below the user's folder; "": as usual for this usage, and of another server what the parameters say.

    Returns:
        fresh; stale: to be used, a newer one is being fetched; missing: the user has none; unknown: nothing can be said yet, or any
        more, and the default that gives away least is right until that changes.
    """
    if not at.settings.xcap.xcap_root:
        return _own(at, auid, xui, name or fetched_document.name_of(auid))
    uri = _uri(at.settings, auid, xui, name or _name(at.settings, auid, xui))
    return _read(at, auid, xui, uri, fetched_store.load(at.database, xui, uri)) if uri else Reading(Availability.MISSING)


def documents(at: Moment, places: Sequence[Place], xui: str) -> list[Reading]:
    """What several documents of a user say that another server has; arguments and answers as of `document`."""
    uris = [_uri(at.settings, each.auid, xui, each.name) for each in places]
    found = fetched_store.load_many(at.database, xui, list(filter(None, uris)))
    return [
        _read(at, place.auid, xui, uri, found.get(uri)) if uri else Reading(Availability.MISSING)
        for place, uri in zip(places, uris, strict=True)
    ]


def known(at: Moment, places: Sequence[Place], xui: str) -> list[Reading]:
    """The same as `documents`, of such as nobody needs now: none is asked for. One statement."""
    uris = [_uri(at.settings, each.auid, xui, each.name) for each in places]
    found = fetched_store.load_many(at.database, xui, list(filter(None, uris)))
    return [
        fetched_document.reading(found.get(uri), freshness(at.settings, place.auid), at.settings.xcap.fetch_stale, at.now)
        for place, uri in zip(places, uris, strict=True)
    ]


def place_of(document: FetchedDocument) -> Place:
    """Where a document of a user is."""
    return Place(document.auid, document.uri.rpartition("/")[2])


def _uri(settings: Settings, auid: str, xui: str, name: str) -> str:
    return fetched_document.uri_of(settings.xcap.xcap_root, auid, xui, name, settings.xcap.fetch_folder)


def _read(at: Moment, auid: str, xui: str, uri: str, found: FetchedDocument | None) -> Reading:
    """What a row says; that it is missing or old is noted."""
    if found is None:
        fetched_store.ask_first(at.database, fetched_document.asked_first(xui, uri, auid, at.now))
    elif fetched_document.is_wanted(found, freshness(at.settings, auid), at.now):
        fetched_store.ask(at.database, found, at.now)
    return fetched_document.reading(found, freshness(at.settings, auid), at.settings.xcap.fetch_stale, at.now)


def _own(at: Moment, auid: str, xui: str, name: str) -> Reading:
    found = store.load(at.database, DocumentSelector(auid, Tree.USERS if xui else Tree.GLOBAL, xui, name))
    return Reading(Availability.FRESH, found.body) if found else Reading(Availability.MISSING)


def _name(settings: Settings, auid: str, xui: str) -> str:
    """Of a user's document; SER has names of its own."""
    names = {usages.PRES_RULES: settings.pa.pres_rules_file, usages.LISTS: settings.rls.resource_lists_file}
    return names.get(auid, "") if xui else ""


def freshness(settings: Settings, auid: str) -> float:
    """Seconds until a document of this usage is old."""
    is_of_rules = auid in usages.RULES | usages.DIALOG_RULES
    configured = settings.pa.auth_rules_refresh_time if is_of_rules else settings.xcap.fetch_freshness
    return min(configured, settings.xcap.fetch_stale)


def packages_asking(packages: Packages, auid: str) -> list[str]:
    """Names of the packages whose watchers are judged again when a document of this application usage changes."""
    if auid in usages.DIALOG_RULES:
        return [DIALOG] if DIALOG in packages else []
    return reauthorize.asking_the_same(packages, PRESENCE) if auid in usages.RULES or auid == usages.LISTS else []


def deadlines(at: Moment) -> Deadlines:
    """Whether there is something to fetch, and something to forget. One statement."""
    return fetched_store.deadlines(at.database, at.now, at.now - at.settings.xcap.fetch_stale)


def begin(at: Moment) -> None:
    """The process that fetches starts: what other roots had is not asked for any more."""
    fetched_store.remove_foreign(at.database, at.settings.xcap.roots)


def claim(at: Moment, server: str, limit: int) -> list[FetchedDocument]:
    """Take up to `limit` documents of one server (`fetched_document.server_of`) that are to be fetched now.

    It is asked again and again while there are fetches; where nothing is due nobody else has to wait for that.
    """
    if not fetched_store.deadlines(at.database, at.now, NEVER).is_due:
        return []
    with at.database.transaction():
        claimed = fetched_store.claim(at.database, server, at.now, at.now + at.settings.xcap.fetch_timeout + GRACE, limit)
        if len(claimed) < limit:
            fetched_store.rest(at.database, at.now)
    return claimed


def save(at: Moment, claimed: FetchedDocument, answer: Answer, changed: Changed, chance: float) -> list[Effect]:
    """Take over what a fetch has brought.

    Args:
        claimed: the document that was fetched.
        chance: 0 to 1, spreads the next fetches.
    """
    with at.database.transaction():
        at.database.lock(claimed.owner)
        before = fetched_store.load(at.database, claimed.owner, claimed.uri)
        if before is None:
            return []
        saved = fetched_document.after(before, answer, freshness(at.settings, claimed.auid), at.now, chance)
        fetched_store.save(at.database, saved)
        differs = fetched_document.differs(before, saved)
        effects = changed(at, claimed.auid, claimed.owner) if differs else []
    return [_log(before, saved, answer), *effects] if differs else effects


def _log(before: FetchedDocument, saved: FetchedDocument, answer: Answer) -> Log:
    word = "missing" if answer.outcome is Outcome.MISSING else "fetched"
    return Log(f"document {word}: uri={saved.uri} octets={len(saved.body)} was={before.known.value}")


def forget(at: Moment, changed: Changed) -> list[Effect]:
    """What nobody confirmed for `xcap.fetch_stale` seconds is not known any more; what nobody uses either is removed."""
    before = at.now - at.settings.xcap.fetch_stale
    fetched_store.remove_over(at.database, before)
    roots.forget(at)
    effects: list[Effect] = []
    for each in fetched_store.over(at.database, before, LIMIT):
        effects += _forget(at, each, before, changed)
    return effects


def _forget(at: Moment, old: FetchedDocument, before: float, changed: Changed) -> list[Effect]:
    with at.database.transaction():
        at.database.lock(old.owner)
        found = fetched_store.load(at.database, old.owner, old.uri)
        if found is None or found.since > before:
            return []
        forgotten = fetched_document.forgotten(found, at.now)
        fetched_store.save(at.database, forgotten)
        if not fetched_document.differs(found, forgotten):
            return []
        effects = changed(at, found.auid, found.owner)
    return [Log(f"document forgotten: uri={found.uri} why=not confirmed since {found.since:.0f}"), *effects]
