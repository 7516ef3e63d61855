"""Common policy: rules that say who may what, and how all rules of a user become one answer (pure; RFC 4745).

A rule has conditions, and permissions that it grants if all of its conditions are true. All rules of all documents are asked,
and what the matching ones grant is combined; their order means nothing (section 10). What is granted is not known here: an
application of common policy (`pres_rules`, `im_rules`) brings a `Vocabulary` that reads permissions and combines them.

Rules only ever grant, so whatever cannot be understood is read as granting nothing: an unknown condition is false, and an
unknown child of identity names nobody (section 7); an unknown child of one, many or except, which could only narrow it, makes it
name nobody; unknown actions and transformations are left out. There is one trap: OMA's other-identity is true for those whom
no rule names. Where a document or a list cannot be read, nobody is sure not to be named, and it is false.

A rule names somebody when its identity or its external-list is true. Its other conditions do not matter for that: somebody
with a rule for working hours is no other-identity after work.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

from kemi.event_package import Decision
from kemi.xcap import uri
from kemi.xcap.conditions import Case, Condition, Context, ExternalList, Identity, OtherIdentity, Validity
from kemi.xcap.ruleset import Node, Ruleset, Vocabulary

HANDLING = {Decision.BLOCK: 0, Decision.CONFIRM: 10, Decision.POLITE_BLOCK: 20, Decision.ALLOW: 30}
"""The order of the action that all applications here have in some form (RFC 5025 section 3.2.1)."""

_BY_VALUE = {decision.value: decision for decision in HANDLING}

P = TypeVar("P")


class Asked(NamedTuple):
    """One rule that was asked.

    Args:
        rule: its id; "" for a document that cannot be read.
        failed: the first condition that is false; None: the rule matches. As text it is words for people, which are made only
            when they are asked for, because lists may be long.
    """

    document: str
    rule: str
    failed: Condition | str | None


@dataclass(frozen=True, slots=True)
class Evaluation(Generic[P]):
    """What all rules say together.

    Args:
        permissions: what is granted.
        is_policy: there are documents; if not, `permissions` are the default.
        asked: every rule, in document order.
        changes_at: seconds since the epoch of the next moment at which this may change by itself; None: never.
    """

    permissions: P
    is_policy: bool
    asked: tuple[Asked, ...]
    changes_at: float | None


# ---------------------------------------------------------------------------------------------------------------------
# Evaluating


def evaluate(vocabulary: Vocabulary[P], rulesets: Sequence[Ruleset[P]], context: Context, default: P) -> Evaluation[P]:
    """Ask all rules of all documents of a user (RFC 4745 section 10).

    Args:
        vocabulary: that the documents were parsed with.
        rulesets: all documents of the user, in any order; one that cannot be read has `is_readable` False.
        context: who asks.
        default: what is granted where there is no document at all.
    """
    if not rulesets:
        return Evaluation(default, False, (), None)
    case = case_of(rulesets, context)
    permissions = vocabulary.lowest
    asked: list[Asked] = []
    for ruleset in rulesets:
        if not ruleset.is_readable:
            asked.append(Asked(ruleset.document, "", "the document cannot be read"))
        for rule in ruleset.rules:
            failed = next((condition for condition in rule.conditions if not condition.holds(case)), None)
            asked.append(Asked(ruleset.document, rule.id, failed))
            if failed is None:
                permissions = vocabulary.combine(permissions, rule.permissions)
    bounds = [rule_changes_at(rule.conditions, case) for ruleset in rulesets for rule in ruleset.rules]
    changes_at = min((bound for bound in bounds if bound is not None), default=None)
    return Evaluation(permissions, True, tuple(asked), changes_at)


def case_of(rulesets: Sequence[Ruleset[P]], context: Context) -> Case:
    """A context as the conditions of these rules are asked it."""
    identities = frozenset(filter(_is_somebody, map(uri.canonical, context.identities)))
    case = Case(identities, context.sphere, context.now, context.is_listed, is_named=True)
    conditions = [condition for ruleset in rulesets for rule in ruleset.rules for condition in rule.conditions]
    if not any(isinstance(condition, OtherIdentity) for condition in conditions):
        return case  # nobody asks, and looking into lists is dear
    naming = (condition for condition in conditions if isinstance(condition, Identity | ExternalList))
    is_readable = all(ruleset.is_readable for ruleset in rulesets)
    return replace(case, is_named=not is_readable or any(condition.may_hold(case) for condition in naming))


def _is_somebody(identity: str) -> bool:
    """Not what an unknown user is written as (RFC 5025 section 3.1.1.1, RFC 3323 section 4.1.1.3)."""
    user, _, host = identity.partition(":")[2].rpartition("@")
    return bool(identity) and user.lower() != "anonymous" and host != "anonymous.invalid"


def rule_changes_at(conditions: Sequence[Condition], case: Case) -> float | None:
    """When time may change whether they are true, seconds since the epoch: only if nothing but their time can be false."""
    times = [condition for condition in conditions if isinstance(condition, Validity)]
    if not times or not all(each.holds(case) for each in conditions if not isinstance(each, Validity)):
        return None
    bounds = [condition.changes_at(case.now) for condition in times]
    return min((bound for bound in bounds if bound is not None), default=None)


# ---------------------------------------------------------------------------------------------------------------------
# The action


def handling(actions: Iterable[Node], namespace: str, name: str) -> Decision:
    """The highest that the actions of this name say, block if they say nothing; a value that is none says nothing."""
    values = [node.text for node in actions if (node.namespace, node.name) == (namespace, name)]
    return highest(_BY_VALUE[value] for value in values if value in _BY_VALUE)


def highest(decisions: Iterable[Decision]) -> Decision:
    """The one that wins over the others."""
    return max(decisions, key=HANDLING.__getitem__, default=Decision.BLOCK)
