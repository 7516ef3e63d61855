"""Explain: what is said of a watcher and why, and what it sees, by the rules of now or by ones that are tried.

What counts is `policy.authorize`; why, and when time changes it, is `kemi.xcap.explanation`. Nothing is decided here. Of other
packages that ask these rules, as dialog, it is not said what is seen.

SQL: what `policy.authorize` needs twice, 1 statement for decisions of management, 1 for the documents, 1 where a rule asks for the
sphere.
"""

from typing import NamedTuple

from kemi import decision_store
from kemi.database import Database
from kemi.errors import SipError
from kemi.event_package import Authorization, Decision, Document, View
from kemi.moment import Moment
from kemi.presence import parsed, pidf, policy, privacy, rules, store
from kemi.presence.package import NAME, aspect_of
from kemi.presence.policy import Asking
from kemi.presence.publication import Publication
from kemi.presence.removed import Removed, removed
from kemi.presence.rules import Rules
from kemi.settings import Settings
from kemi.xcap import explanation, fetched, roots, usages, validation
from kemi.xcap.errors import SchemaValidationError
from kemi.xcap.explanation import Explanation
from kemi.xcap.path import Tree

AUID, DIALOG_AUID = "pres-rules", "dialog-rules"
"""Which document rules are tried as, of presence and of dialog."""

OWN, MANAGEMENT = "the presentity itself", "presencectl authorize"
"""What counts before all rules."""

SEEING = (Decision.ALLOW, Decision.POLITE_BLOCK)


class Trial(NamedTuple):
    """A document of rules that is not stored: in the place of the presentity's document `index`. `name` is for people."""

    name: str
    body: bytes


class ByRules(NamedTuple):
    """What the rules say, whether they are asked or not.

    Args:
        sphere_until: when the next publication that tells the sphere ends, seconds since the epoch; None: there is none, or no
            rule asks for it.
    """

    asking: Asking
    explanation: Explanation
    sphere_until: float | None


class Seen(NamedTuple):
    """The document of now.

    Args:
        composed: all that is published.
        shown: what the watcher gets of it; None: no document.
        removed: what the transformations took out of it.
    """

    composed: Document
    shown: Document | None
    removed: list[Removed]


class Explained(NamedTuple):
    """What is said of a watcher.

    Args:
        because: OWN, MANAGEMENT, or the value of pa.auth, what counts.
        authorization: by the rules that are tried, if there are any.
        now: what counts now, without them.
        by_rules: None: no rules are asked.
        seen: None: it is another package than presence.
        trial: name of the document that is tried, "" for none.
    """

    because: str
    authorization: Authorization
    now: Authorization
    by_rules: ByRules | None
    seen: Seen | None
    trial: str = ""
    package: str = NAME

    @property
    def is_by_rules(self) -> bool:
        """Whether the rules say what is said."""
        return self.by_rules is not None and self.because not in (OWN, MANAGEMENT)


def explain(at: Moment, watcher: str, presentity: str, trial: Trial | None = None, package: str = NAME) -> Explained:
    """Say what is said of a watcher, and why.

    Args:
        watcher, presentity: canonical URIs.
        trial: rules to be tried; they are asked whatever pa.auth is.
        package: what is watched.

    Raises:
        XcapError: these rules could not be stored, 409 or 413.
        ValueError: this package asks other rules.
    """
    if package not in at.packages or at.packages[package].rules is not at.packages[NAME].rules:
        raise ValueError(f"the package {package} is not served, or does not ask these rules")
    counts = policy.authorize(at, (watcher,), presentity, package)[watcher]
    because = _because(at, watcher, presentity)
    by_rules = None
    if trial is not None or at.settings.pa.asks_rules:
        by_rules = _by_rules(at, watcher, presentity, trial, package)
    says = counts if by_rules is None or because in (OWN, MANAGEMENT) else by_rules.explanation.authorization
    seen = _seen(at, presentity, says) if package == NAME else None
    return Explained(because, says, counts, by_rules, seen, trial.name if trial else "", package)


def _because(at: Moment, watcher: str, presentity: str) -> str:
    if watcher == presentity:
        return OWN
    made = decision_store.made(at.database, NAME, presentity, (watcher,))
    return MANAGEMENT if watcher in made else f"pa.auth = {at.settings.pa.auth}"


def _by_rules(at: Moment, watcher: str, presentity: str, trial: Trial | None, package: str) -> ByRules:
    documents = None
    if trial is not None:
        there = roots.of(at, presentity)
        documents = _tried(at.settings, rules.load(there, presentity, package), trial, package)
    asking = policy.asking(at, presentity, documents, package)
    identities = decision_store.said(at.database, NAME, presentity, (watcher,), at.now).identities.get(watcher, ())
    context = asking.context(watcher, identities, at.now)
    found = explanation.explain(asking.rulesets, context, asking.default, asking.is_complete, policy.has_transformations(package))
    asks_for_sphere = any(each.has_sphere for each in asking.documents)
    return ByRules(asking, found, _sphere_until(at.database, presentity, at.now) if asks_for_sphere else None)


def _tried(settings: Settings, documents: list[Rules], trial: Trial, package: str) -> list[Rules]:
    """All documents that count, with this one in its place; checked as our server checks it, another one has its own ways."""
    auid, auids = (DIALOG_AUID, usages.DIALOG_RULES) if package == fetched.DIALOG else (AUID, usages.RULES)
    if not settings.xcap.xcap_root:
        usage = usages.find(auid, Tree.USERS)
        validation.read(usages.with_draft(usage) if settings.pa.draft_rules else usage, trial.body)
    read = rules.read(settings, auid, trial.body, trial.name)
    if not read.ruleset.is_readable:
        raise SchemaValidationError(read.note)
    name = rules.place_of(settings, auid).path
    others = [each for each in documents if each.ruleset.document != name]
    return [read, *(each for each in others if each.ruleset.document.partition("/")[0] in auids)]


def _sphere_until(database: Database, presentity: str, now: float) -> float | None:
    published = store.load_many(database, NAME, [presentity], now)
    return min((each.expires_at for each in published if _tells_sphere(each)), default=None)


def _tells_sphere(publication: Publication) -> bool:
    try:
        document = parsed.parse(publication.body, publication.content_type)
    except SipError:
        return False
    return privacy.sphere_of([document]) is not None


def _seen(at: Moment, presentity: str, says: Authorization) -> Seen:
    whole = View(presentity, presentity, pidf.MEDIA_TYPE, Decision.ALLOW)
    part = whole._replace(decision=says.decision, aspect=aspect_of("", says.permissions))
    documents = at.packages[NAME].render(at, [whole, part])
    if says.decision not in SEEING:
        return Seen(documents[whole], None, [])
    contents = [documents[each].content.encode() for each in (whole, part)]
    return Seen(documents[whole], documents[part], removed(*contents) if says.decision is Decision.ALLOW else [])
