"""Why rules say what they say: kemi/xcap/explanation.py, and `why` of kemi/xcap/conditions.py."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.event_package import Decision
from kemi.xcap import explanation, pres_rules
from kemi.xcap.conditions import Context
from kemi.xcap.explanation import MAX_MOMENTS, Explanation, Later, Shown
from kemi.xcap.ruleset import Ruleset
from tests.unit.xcap import rules
from tests.unit.xcap.rules import (
    BOB,
    CAROL,
    NOW,
    RULES,
    context,
    document,
    external_list,
    identity,
    many,
    one,
    rule,
    validity,
)

OTHER, ANONYMOUS = "<ocp:other-identity/>", "<ocp:anonymous-request/>"
HOUR = validity("2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z")
NOBODY = context()
BROKEN: Ruleset[pres_rules.Permissions] = Ruleset("broken", (), is_readable=False)
ALL_SERVICES = "<provide-services><all-services/></provide-services>"


def explained(
    *documents: bytes, by: Context | None = None, default: Decision = Decision.CONFIRM, is_complete: bool = True
) -> Explanation:
    rulesets = [pres_rules.parse(each, f"document {number}") for number, each in enumerate(documents)]
    return explanation.explain(rulesets, by or context(BOB), default, is_complete)


def why(conditions: str, by: Context | None = None, *more: str) -> list[tuple[bool, str]]:
    """What is said of each condition of a rule, beside which others may stand."""
    found = explained(document(rule(conditions), *(rule(each) for each in more)), by=by).rules[0]
    return [(each.holds, each.why) for each in found.conditions]


# The same as what counts


@given(st.lists(RULES | st.just(rule(OTHER)), max_size=5), rules.CONTEXTS, st.booleans())
def test_nothing_is_said_that_is_not_so(written: list[str], who: Context, is_complete: bool) -> None:
    rulesets = [pres_rules.parse(document(*written)), BROKEN]
    evaluation = pres_rules.evaluate(rulesets, who, Decision.CONFIRM)
    found = explanation.explain(rulesets, who, Decision.CONFIRM, is_complete)
    assert found.authorization == pres_rules.authorization(evaluation, is_complete)
    assert [each.matches for each in found.rules] == [each.failed is None for each in evaluation.asked[:-1]]
    for each in found.rules:
        assert each.matches is all(condition.holds for condition in each.conditions)
    assert found.above(Decision.BLOCK) == [each for each in found.matching if each.decision is not Decision.BLOCK]


@pytest.mark.rfc("AUTH-027")
@given(st.lists(RULES, max_size=4), rules.CONTEXTS)
def test_the_moment_is_the_first_at_which_something_else_is_said(written: list[str], who: Context) -> None:
    now = explained(document(*written), by=who)
    if now.then is None:
        return
    at = explained(document(*written), by=replace(who, now=now.then.at))
    before = explained(document(*written), by=replace(who, now=now.then.at - 0.01))
    assert (at.authorization.decision, at.shows) == (now.then.decision, now.then.shows)
    assert (before.authorization.decision, before.authorization.permissions) == now.authorization[:2]
    assert (at.authorization.decision, at.authorization.permissions) != now.authorization[:2]


@pytest.mark.rfc("AUTH-027")
def test_a_moment_that_changes_nothing_is_passed_over() -> None:
    bobs, always = identity(one(BOB)), identity(many())
    later = validity("2027-01-15T08:00:00Z", "2027-01-15T10:00:00Z")
    assert explained(document(rule(bobs + HOUR), rule(always))).then is None
    found = explained(document(rule(bobs + HOUR), rule(bobs + later)))
    assert found.then == Later(NOW + 7200, Decision.BLOCK, Shown((), (), (), ()))
    assert [each.changes_at for each in found.rules] == [NOW + 3600, NOW + 7200]


def test_not_all_moments_are_looked_at() -> None:
    """It is said that something is asked then, and what comes of it."""
    bounds = [f"2028-01-{1 + number // 1440:02}T{number // 60 % 24:02}:{number % 60:02}:00Z" for number in range(MAX_MOMENTS * 2)]
    found = explained(document(rule(validity(*bounds), "allow"), rule(None, "allow")))
    assert found.then is not None
    assert found.then.decision is found.authorization.decision


def test_without_documents_the_default_is_said() -> None:
    found = explained(default=Decision.ALLOW)
    assert (found.is_policy, found.rules, found.then) == (False, (), None)
    assert found.shows == Shown(("all",), ("all",), ("all",), ("all",))


def test_what_is_not_known_is_at_least_confirmed() -> None:
    assert explained(document(), is_complete=False).authorization.decision is Decision.CONFIRM
    assert explained(document(), is_complete=True).authorization.decision is Decision.BLOCK


# Why


def test_identities_say_which_of_them_it_is() -> None:
    assert why(identity(one(CAROL), one(BOB))) == [(True, f"it is {BOB}")]
    assert why(identity(one(CAROL), many("example.org"))) == [(True, "it is everybody of example.org")]
    assert why(identity(one(CAROL))) == [(False, "it is none of them")]
    assert why(identity(many("example.com"))) == [(False, "it is none of them")]
    assert why(identity(one(BOB)), NOBODY) == [(False, "nobody knows who it is")]
    assert why(identity("<x:group/>")) == [(False, "it is none of them; a part is not understood")]


def test_an_exception_is_named() -> None:
    out = f'<cp:except id="{BOB}"/>'
    assert why(identity(many(None, out))) == [(False, f"it is known, but {BOB} is excepted")]
    assert why(identity(many("example.org", '<cp:except domain="example.org"/>'))) == [
        (False, "it is of example.org, but example.org is excepted")
    ]
    assert why(identity(many("example.com", out))) == [(False, "it is none of them")]
    assert why(identity(many(None, out), one(BOB))) == [(True, f"it is {BOB}")]


def test_the_sphere_of_now_is_told() -> None:
    sphere = '<cp:sphere value="work home"/>'
    assert why(sphere, context(BOB, sphere="home")) == [(True, "it is home")]
    assert why(sphere, context(BOB, sphere="beach")) == [(False, "it is beach")]
    assert why(sphere) == [(False, "it is not defined")]


def test_a_validity_tells_its_next_bound() -> None:
    two = validity("2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z", "2027-01-16T08:00:00Z", "2027-01-16T09:00:00Z")
    assert why(two) == [(True, "it is until 2027-01-15T09:00:00+00:00")]
    assert why(two, context(BOB, now=NOW - 1)) == [(False, "it is not before 2027-01-15T08:00:00+00:00")]
    assert why(two, context(BOB, now=NOW + 3600)) == [(False, "it is not before 2027-01-16T08:00:00+00:00")]
    assert why(two, context(BOB, now=NOW + 90000)) == [(False, "it is over, or never was")]
    assert why(validity("2027-01-16T09:00:00Z", "2027-01-16T08:00:00Z")) == [(False, "it is over, or never was")]


def test_lists_tell_which_has_it_and_which_are_not_known() -> None:
    def is_listed(anchor: str, _who: str) -> bool | None:
        return {"yes": True, "no": False}.get(anchor)

    who = context(BOB, is_listed=is_listed)
    assert why(external_list("no", "yes"), who) == [(True, "it is in yes")]
    assert why(external_list("no"), who) == [(False, "it is in none of them")]
    assert why(external_list("no", "lost"), who) == [(False, "nobody knows who is in lost")]
    assert why(external_list("yes"), context(is_listed=is_listed)) == [(False, "nobody knows who it is")]


def test_conditions_of_oma_and_unknown_ones() -> None:
    assert why(OTHER) == [(True, "no rule names it")]
    assert why(OTHER, None, identity(one(BOB))) == [(False, "another rule names it, or may name it")]
    assert why(OTHER, NOBODY) == [(False, "nobody knows who it is")]
    assert why(ANONYMOUS) == [(False, "it is known")]
    assert why(ANONYMOUS, NOBODY) == [(True, "nobody knows who it is")]
    assert why("<x:weather/>") == [(False, "what is not understood is false")]


def test_every_condition_is_told_not_only_the_first_that_is_false() -> None:
    (found,) = explained(document(rule(identity(one(CAROL)) + '<cp:sphere value="work"/>' + HOUR + "<x:weather/>"))).rules
    assert not found.matches
    assert [(each.condition, each.holds) for each in found.conditions] == [
        ("identity", False), ("sphere", False), ("validity", True), ("{urn:unknown}weather", False),
    ]  # fmt: skip
    assert found.conditions[0].asks == f"identity is {CAROL}"


# Permissions in words


def test_permissions_are_told_one_by_one() -> None:
    granted = (
        "<provide-services><class>work</class><service-uri-scheme>sip</service-uri-scheme></provide-services>"
        "<provide-persons><all-persons/></provide-persons><provide-mood>true</provide-mood><provide-note>true</provide-note>"
        "<provide-user-input>bare</provide-user-input>"
        '<provide-unknown-attribute ns="urn:vendor" name="foo">true</provide-unknown-attribute>'
    )
    (found,) = explained(document(rule(None, "allow", granted))).rules
    assert found.shows == Shown(
        ("class work", "service-uri-scheme sip"), ("all",), (), ("mood", "note", "user-input (bare)", "{urn:vendor}foo")
    )


def test_what_several_rules_grant_is_told_together() -> None:
    found = explained(
        document(rule(None, "allow", ALL_SERVICES), rule(None, "confirm", "<provide-all-attributes/>")),
        document(rule(identity(one(CAROL)), "allow", "<provide-persons><all-persons/></provide-persons>")),
    )
    assert found.shows == Shown(("all",), (), (), ("all",))
    assert [(each.document, each.decision.value) for each in found.matching] == [("document 0", "allow"), ("document 0", "confirm")]
    assert found.above(Decision.CONFIRM) == [found.rules[0]]
