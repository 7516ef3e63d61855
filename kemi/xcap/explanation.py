"""Explanation: why rules say what they say of a watcher, rule by rule, and when time changes it (pure; RFC 4745, RFC 5025).

Nothing is decided here: what matches, what is granted together and when to ask again are the answers of `pres_rules.evaluate`,
whether a condition is true is that of the condition (`conditions`). They are only laid side by side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from kemi.event_package import Authorization, Decision
from kemi.xcap import common_policy, pres_rules
from kemi.xcap.common_policy import HANDLING, Asked
from kemi.xcap.conditions import (
    AnonymousRequest,
    Case,
    Condition,
    Context,
    ExternalList,
    Identity,
    OtherIdentity,
    Sphere,
    UnknownCondition,
    Validity,
)
from kemi.xcap.pres_rules import ALL, Member, Permissions, UserInput
from kemi.xcap.ruleset import Rule, Ruleset

MAX_MOMENTS = 100
"""How many moments at which time may change something are looked at."""

_NAMES: Mapping[type, str] = {
    Identity: "identity",
    Sphere: "sphere",
    Validity: "validity",
    ExternalList: "external-list",
    OtherIdentity: "other-identity",
    AnonymousRequest: "anonymous-request",
}


class ConditionExplained(NamedTuple):
    """One condition.

    Args:
        condition: its name in rules.
        asks: what it asks for, in words.
        holds: whether it is true.
        why: what makes it true or false, in words.
    """

    condition: str
    asks: str
    holds: bool
    why: str


class Shown(NamedTuple):
    """Permissions in words, each a list of what is granted: which components, and which attributes of them."""

    services: tuple[str, ...]
    persons: tuple[str, ...]
    devices: tuple[str, ...]
    attributes: tuple[str, ...]


class RuleExplained(NamedTuple):
    """One rule.

    Args:
        document: the name of the one that it is in.
        matches: whether it grants what it has.
        decision, shows: its action and its transformations.
        changes_at: seconds since the epoch of the next moment at which time may change whether it matches; None: there is none.
        is_bare: it has no transformations at all (`pa.rules_without_transformations`).
    """

    document: str
    rule: str
    matches: bool
    conditions: tuple[ConditionExplained, ...]
    decision: Decision
    shows: Shown
    changes_at: float | None
    is_bare: bool


class Later(NamedTuple):
    """What will be said, and granted in words, from a time on, seconds since the epoch."""

    at: float
    decision: Decision
    shows: Shown


class Explanation(NamedTuple):
    """All rules together.

    Args:
        rules: in the order of their documents.
        is_policy: there are documents; if not, what is said is the default.
        authorization: what is said of the watcher.
        shows: what is granted, in words.
        then: the next moment at which time changes that; None: time changes nothing.
    """

    rules: tuple[RuleExplained, ...]
    is_policy: bool
    authorization: Authorization
    shows: Shown
    then: Later | None

    @property
    def matching(self) -> list[RuleExplained]:
        """The rules that match."""
        return [each for each in self.rules if each.matches]

    def above(self, decision: Decision) -> list[RuleExplained]:
        """The rules that match and give more than this."""
        return [each for each in self.matching if HANDLING[each.decision] > HANDLING[decision]]


def explain(
    rulesets: Sequence[Ruleset[Permissions]],
    context: Context,
    default: Decision,
    is_complete: bool,
    has_transformations: bool = True,
) -> Explanation:
    """Ask all rules, and say why they say what they say.

    Args:
        rulesets: all documents of the presentity.
        context: who watches, and when.
        default: the decision where there is no document at all.
        is_complete: all documents and lists are known (`pres_rules.authorization`).
        has_transformations: as there.
    """

    def says(now: float) -> tuple[Authorization, Permissions]:
        then = pres_rules.evaluate(rulesets, replace(context, now=now), default)
        return pres_rules.authorization(then, is_complete, has_transformations), then.permissions

    evaluation = pres_rules.evaluate(rulesets, context, default)
    authorization = pres_rules.authorization(evaluation, is_complete, has_transformations)
    case = common_policy.case_of(rulesets, context)
    asked = iter([each for each in evaluation.asked if not isinstance(each.failed, str)])
    rules = [_rule(rule, next(asked), case) for ruleset in rulesets for rule in ruleset.rules]
    shows = in_words(evaluation.permissions)
    return Explanation(tuple(rules), evaluation.is_policy, authorization, shows, _then(authorization, says))


def _rule(rule: Rule[Permissions], asked: Asked, case: Case) -> RuleExplained:
    conditions = tuple([_condition(each, case) for each in rule.conditions])
    changes_at = common_policy.rule_changes_at(rule.conditions, case)
    decision, shows = rule.permissions.decision, in_words(rule.permissions)
    return RuleExplained(asked.document, rule.id, asked.failed is None, conditions, decision, shows, changes_at, rule.is_bare)


def _condition(condition: Condition, case: Case) -> ConditionExplained:
    name = condition.name if isinstance(condition, UnknownCondition) else _NAMES[type(condition)]
    return ConditionExplained(name, str(condition), condition.holds(case), condition.why(case))


def _then(first: Authorization, says: Callable[[float], tuple[Authorization, Permissions]]) -> Later | None:
    """Not every moment changes something: another rule may grant the same."""
    at = first.changes_at
    found = None
    for _ in range(MAX_MOMENTS):
        if at is None:
            return None
        later, permissions = says(at)
        found = Later(at, later.decision, in_words(permissions))
        if (later.decision, later.permissions) != (first.decision, first.permissions):
            break
        at = later.changes_at
    return found


def in_words(permissions: Permissions) -> Shown:
    """What permissions show."""
    attributes = sorted(permissions.attributes)
    if permissions.all_attributes:
        attributes = ["all"]
    elif permissions.user_input is not UserInput.FALSE:
        attributes.append(f"user-input ({permissions.user_input.name.lower()})")
    unknown = [f"{{{namespace}}}{name}" for namespace, name in sorted(permissions.unknown)]
    return Shown(
        _members(permissions.services), _members(permissions.persons), _members(permissions.devices), tuple(attributes + unknown)
    )


def _members(members: frozenset[Member]) -> tuple[str, ...]:
    return ("all",) if members == ALL else tuple(f"{kind} {value}" for kind, value in sorted(members))
