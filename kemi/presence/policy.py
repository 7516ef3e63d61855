"""Who may watch a presentity, and what of it (RFC 3856 section 6.6.2, RFC 5025, SER handbook sections 5.2 and 5.6).

Asked in this order, the first that says something counts:

1. the presentity itself may always watch;
2. management (`presencectl authorize`);
3. `pa.auth`: none lets everybody watch everything, implicit leaves it to the presentity (confirm), xcap asks its rules.

    rules (pa.auth = xcap)                         decision                        what is shown
    ---------------------------------------------  ------------------------------  -------------------------------------------
    no document                                    `pa.auth_default`               everything, to those who are allowed
    documents                                      the highest of matching rules,  what all matching rules grant together
                                                   block where none matches
    one of them, or a list that they refer to,     at least confirm: it may grant  what the others grant
    not known (yet), or not readable               more; never allow for it

The package dialog asks the user's rules for dialogs instead, in the same way, where the user has any (`kemi.presence.rules`). They
say nothing of what is shown to those who are allowed.

A watcher is known by one address: that is what is subscribed, and what management decides about. A trusted source may assert more
identities of it (RFC 3325). `identified` keeps these, and rules are asked about all: whoever is named by one of them is meant, and
whoever is excepted by one of them is not (RFC 5025 section 3.1.1.2). They are the watcher's wherever it watches: in another dialog,
in lists, when the rules are asked again, and where it comes with its password. What was said last counts, as long as a subscription
may last that was made then, and at most twice as long.

What the rules say changes with their documents, with the presentity's sphere and with the clock. Then live subscriptions and
waiting watchers are judged again (`kemi.reauthorize`), of all packages that ask these rules; of dialog alone, if it is a document
of rules for dialogs:

    a document was written or deleted     `rules_changed`, in the transaction that does it
    publications may tell another sphere  `published`, in the transaction that changes them
    the clock reaches `changes_at`        the sweep, once a second

SQL: 1 statement (management, identities); with xcap what `kemi.presence.rules` needs, 1 more where a rule asks for the sphere, and
1 more where there are several XCAP roots (`kemi.xcap.roots`). However many watchers are asked about.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from kemi import decision_store, reauthorize
from kemi.database import Database
from kemi.decision_store import Said
from kemi.effects import Effect
from kemi.errors import SipError
from kemi.event_package import Authorization, Decision
from kemi.moment import Moment
from kemi.presence import parsed, privacy, rules, store
from kemi.presence.pidf import PidfDocument
from kemi.presence.rules import Lists, Rules
from kemi.settings import Settings
from kemi.xcap import fetched, pres_rules, roots, usages
from kemi.xcap.conditions import Context
from kemi.xcap.pres_rules import Permissions
from kemi.xcap.ruleset import Ruleset

PACKAGE: Final = fetched.PRESENCE
"""The event package whose rules these are; others may ask them too."""

NO_RULES: Final = "no rules"

KEPT: Final = 512
"""Permissions whose parsed form is kept."""

MAX_IDENTITIES: Final = 8
"""So many identities of a watcher are kept besides its address; RFC 3325 knows one."""


class Asking(NamedTuple):
    """What a presentity's rules are asked with, whoever watches.

    Args:
        documents: the presentity's, with what they say.
        sphere: of the presentity, None where it is not defined, or no rule asks for it.
        default: the decision where there is no document.
    """

    documents: Sequence[Rules]
    sphere: str | None
    lists: Lists
    default: Decision

    @property
    def rulesets(self) -> list[Ruleset[Permissions]]:
        """The rules, document by document."""
        return [each.ruleset for each in self.documents]

    @property
    def is_complete(self) -> bool:
        """Whether all documents and lists are known, and can be read."""
        return self.lists.is_complete and all(each.is_readable for each in self.rulesets)

    def context(self, watcher: str, identities: Sequence[str], now: float) -> Context:
        """As `pres_rules.evaluate` wants it.

        Args:
            identities: what else the watcher is called (RFC 5025 section 3.1.1.2).
        """
        return Context((watcher, *identities), self.sphere, now, self.lists.is_listed)

    def authorization(self, watcher: str, identities: Sequence[str], now: float, package: str) -> Authorization:
        """What is said of a watcher."""
        evaluation = pres_rules.evaluate(self.rulesets, self.context(watcher, identities, now), self.default)
        return pres_rules.authorization(evaluation, self.is_complete, has_transformations(package))


def has_transformations(package: str) -> bool:
    """Whether rules say what is shown to those who are allowed; of calls they do not."""
    return package != fetched.DIALOG


def authorize(at: Moment, watchers: Sequence[str], resource: str, package: str = PACKAGE) -> dict[str, Authorization]:
    """What is said of each watcher.

    Args:
        watchers: canonical URIs, authenticated.
        resource: canonical URI of the presentity.
        package: dialog, where that is watched.
    """
    known = said(at, [each for each in watchers if each != resource], resource)
    says = {each: Authorization(Decision.ALLOW) for each in watchers if each == resource}
    says |= {each: Authorization(decision) for each, decision in known.decisions.items()}
    left = {each: known.identities.get(each, ()) for each in watchers if each not in says}
    if at.settings.pa.asks_rules and left:
        return says | _by_rules(at, left, resource, package)
    return says | dict.fromkeys(left, _without_rules(at.settings))


def _without_rules(settings: Settings) -> Authorization:
    """What is said of a watcher that nothing else is said of, where no rules are asked."""
    return Authorization(Decision.ALLOW if settings.pa.auth == "none" else Decision.CONFIRM)


def said(at: Moment, watchers: Sequence[str], resource: str) -> Said:
    """What management says of watchers; and what else they are called, where rules are asked. One statement."""
    if at.settings.pa.asks_rules:
        return decision_store.said(at.database, PACKAGE, resource, watchers, at.now)
    return Said(decision_store.made(at.database, PACKAGE, resource, watchers), {})


def identified(at: Moment, identities: Sequence[str]) -> None:
    """A trusted source has said who sends a SUBSCRIBE.

    SQL: none for somebody with one identity, 1 statement for others; 3 when they are new, and now and then.

    Args:
        identities: the address that the watcher is known by first.
    """
    if at.settings.pa.asks_rules and len(identities) > 1:
        longest = max(at.settings.pa.max_subscription_expiration, at.settings.rls.max_expiration)
        decision_store.remember(at.database, identities[0], identities[1 : MAX_IDENTITIES + 1], longest, at.now)


def authorize_members(at: Moment, watcher: str, resources: Sequence[str], package: str = PACKAGE) -> dict[str, Authorization]:
    """What is said of one watcher by the rules of several presentities, as of the members of a list.

    SQL: 1 statement (management), 1 more with xcap for the documents of all; what a presentity's rules refer to besides, or where
    they are another server's, as for `authorize`.
    """
    known = _said_of_many(at, [each for each in resources if each != watcher], watcher)
    says = {each: Authorization(Decision.ALLOW) for each in resources if each == watcher}
    says |= {each: Authorization(decision) for each, decision in known.decisions.items()}
    left = [each for each in resources if each not in says]
    if not at.settings.pa.asks_rules or not left:
        return says | dict.fromkeys(left, _without_rules(at.settings))
    loaded = {} if at.settings.xcap.xcap_root else rules.load_many(at, left, package)
    identities = known.identities.get("", ())
    for each in left:
        with_these = asking(at, each, loaded.get(each), package)
        says[each] = with_these.authorization(watcher, identities, at.now, package)
    return says


def _said_of_many(at: Moment, resources: Sequence[str], watcher: str) -> Said:
    if at.settings.pa.asks_rules:
        return decision_store.said_of_many(at.database, PACKAGE, resources, watcher, at.now)
    return Said(decision_store.made_of_many(at.database, PACKAGE, resources, watcher), {})


def matching(at: Moment, watcher: str, resource: str, package: str = PACKAGE) -> str:
    """Which rules speak for a watcher, for people: `pres-rules/index friends`; what is written instead where none does."""
    with_these = asking(at, resource, package=package)
    identities = said(at, (watcher,), resource).identities.get(watcher, ())
    evaluation = pres_rules.evaluate(with_these.rulesets, with_these.context(watcher, identities, at.now), with_these.default)
    if not evaluation.is_policy:
        return NO_RULES
    return (
        ", ".join(f"{each.document} {each.rule}".rstrip() for each in evaluation.asked if each.failed is None) or "no rule matches"
    )


def _by_rules(at: Moment, watchers: Mapping[str, Sequence[str]], resource: str, package: str) -> dict[str, Authorization]:
    with_these = asking(at, resource, package=package)
    return {each: with_these.authorization(each, identities, at.now, package) for each, identities in watchers.items()}


def asking(at: Moment, resource: str, documents: Sequence[Rules] | None = None, package: str = PACKAGE) -> Asking:
    """Load what rules are asked with.

    Args:
        documents: in the place of those that the presentity has.
        package: dialog, where that is watched.
    """
    there = roots.of(at, resource)
    documents = rules.load(there, resource, package) if documents is None else documents
    sphere = sphere_of(at.database, resource, at.now) if any(each.has_sphere for each in documents) else None
    lists = rules.lists(there, resource, documents)
    return Asking(documents, sphere, lists, Decision(at.settings.pa.auth_default))


def sphere_of(database: Database, presentity: str, now: float) -> str | None:
    """The sphere that a presentity publishes, None where it is not defined. One statement."""
    return privacy.sphere_of(list(_published(database, presentity, now)))


def _published(database: Database, presentity: str, now: float) -> Iterator[PidfDocument]:
    """What the presentity published; what an earlier release took and this one cannot read is left out."""
    for each in store.load_many(database, PACKAGE, [presentity], now):
        try:
            yield parsed.parse(each.body, each.content_type)
        except SipError:
            continue


@lru_cache(maxsize=KEPT)
def permissions_of(text: str) -> Permissions:
    """What `Authorization.permissions` says, other than "" (`pres_rules.written`)."""
    (rule,) = pres_rules.parse(text.encode()).rules
    return rule.permissions


# ---------------------------------------------------------------------------------------------------------------------
# What changes what the rules say


def published(at: Moment, package_name: str, presentity: str) -> list[Effect]:
    """Judge again who watches, if the rules ask for the sphere.

    Called when publications were changed, in the same transaction, before watchers are marked due: subscriptions are locked in the
    order of their ids, as everybody does.

    Args:
        package_name: whose publications; only those of presence tell a sphere.

    SQL: none without pa.auth = xcap; 1 statement where nobody watches, 2 where the rules do not ask for the sphere.
    """
    if not at.settings.pa.asks_rules or package_name != PACKAGE or not rules.matter(at.database, presentity):
        return []
    if not rules.has_sphere(roots.of(at, presentity), presentity):
        return []
    return _judge(at, reauthorize.asking_the_same(at.packages, PACKAGE), presentity)


def rules_changed(at: Moment, owner: str, auid: str = "pres-rules") -> list[Effect]:
    """Judge again who watches: a document of ours was written or deleted, in the transaction of the caller, who has locked it.

    Args:
        owner: canonical URI of the user whose document it is.
        auid: application usage of the document; those that rules do not depend on have no effect.
    """
    if not at.settings.pa.asks_rules or at.settings.xcap.xcap_root:
        return []
    if auid == usages.LISTS and not rules.refer_to_lists(at, owner):
        return []
    return _judge(at, fetched.packages_asking(at.packages, auid), owner)


def _judge(at: Moment, names: Sequence[str], presentity: str) -> list[Effect]:
    return [effect for name in names for effect in reauthorize.apply(at, name, presentity)]
