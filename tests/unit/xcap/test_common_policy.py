"""Conditions, and how all rules become one answer: kemi/xcap/common_policy.py, conditions.py and ruleset.py."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.event_package import Decision
from kemi.xcap import pres_rules
from kemi.xcap.conditions import Context
from kemi.xcap.errors import ConstraintFailure, ContentTooLarge, NotUtf8, NotWellFormed, SchemaValidationError, XcapError
from kemi.xcap.ruleset import Ruleset
from tests.unit.xcap import rules
from tests.unit.xcap.rules import (
    BOB,
    CAROL,
    NOW,
    RULES,
    context,
    decided,
    document,
    evaluated,
    external_list,
    identity,
    many,
    matches,
    one,
    rule,
    validity,
)

OTHER, ANONYMOUS = "<ocp:other-identity/>", "<ocp:anonymous-request/>"
NOBODY = context()


def sphere(value: str) -> str:
    return f'<cp:sphere value="{value}"/>'


def out(**attributes: str) -> str:
    return "<cp:except" + "".join(f' {name}="{value}"' for name, value in attributes.items()) + "/>"


# Identity


@pytest.mark.rfc("AUTH-015", "AUTH-020")
def test_one_is_this_user_and_no_other() -> None:
    assert matches(identity(one(CAROL), one(BOB)))
    assert not matches(identity(one(CAROL)))
    assert matches(identity(one("sip%3Abob%40example.org")))


@pytest.mark.rfc("AUTH-015", "AUTH-018")
@pytest.mark.parametrize("nobody", [(), ("sip:eve@anonymous.invalid",), ("sip:anonymous@example.org",), ("no uri",)])
@pytest.mark.parametrize("children", [many(), many("example.org"), many("anonymous.invalid"), one("sip:anonymous@example.org")])
def test_who_is_not_known_is_neither_one_nor_many(children: str, nobody: tuple[str, ...]) -> None:
    assert not matches(identity(children), context(*nobody))


@pytest.mark.rfc("AUTH-018")
def test_many_is_everybody_known_or_everybody_of_a_domain() -> None:
    assert matches(identity(many()), context("tel:+1"))
    assert matches(identity(many("EXAMPLE.org")))
    assert not matches(identity(many("example.org")), context(CAROL))
    assert not matches(identity(many("example.org")), context("tel:+1"))
    assert not matches(identity(many("")))


@pytest.mark.rfc("AUTH-018", "AUTH-019")
@pytest.mark.parametrize("domain", ["abc.com", "org", "example.orgx", "*", "*.org", "xn--"])
def test_a_domain_of_the_same_length_or_a_part_of_it_is_another_domain(domain: str) -> None:
    assert not matches(identity(many(domain)), context("sip:eve@abc.org"))


@pytest.mark.rfc("AUTH-018")
def test_except_takes_users_out_of_many() -> None:
    assert not matches(identity(many(None, out(id=BOB))))
    assert not matches(identity(many("example.org", out(id=CAROL), out(id="sip%3Abob%40example.org"))))
    assert not matches(identity(many(None, out(domain="example.org"))))
    assert not matches(identity(many(None, out(id=CAROL, domain="example.org"))))
    assert matches(identity(many(None, out(id=CAROL), out(domain="ample.org"))))


def test_who_is_taken_out_of_one_many_may_be_in_another_child() -> None:
    assert matches(identity(many(None, out(id=BOB)), one(BOB)))


@pytest.mark.rfc("AUTH-021", "AUTH-023")
def test_any_of_several_identities_counts() -> None:
    both = context("sip:anonymous@anonymous.invalid", "tel:+1-555", BOB)
    assert matches(identity(one("tel:+1555")), both)
    assert matches(identity(one(BOB)), both)
    assert matches(identity(many("example.org")), both)
    assert not matches(identity(many("example.org", out(id="tel:+1555"))), both)


@pytest.mark.rfc("AUTH-022")
def test_a_number_does_not_match_a_sip_uri_with_the_same_number() -> None:
    assert not matches(identity(one("tel:+1555")), context("sip:+1555@example.org;user=phone"))
    assert not matches(identity(one("sips:bob@example.org")))


@pytest.mark.rfc("AUTH-014")
@pytest.mark.parametrize("who", [context(BOB), NOBODY])
def test_a_rule_without_identity_is_for_everybody(who: Context) -> None:
    assert matches(None, who)
    assert matches("", who)
    assert matches(sphere("work"), replace(who, sphere="work"))


@pytest.mark.rfc("AUTH-016")
def test_an_identity_without_children_is_nobody() -> None:
    assert not matches(identity())
    assert not matches(identity(), NOBODY)


@pytest.mark.rfc("AUTH-016")
def test_an_unknown_condition_is_false_and_an_unknown_child_of_identity_names_nobody() -> None:
    assert not matches(identity(one(BOB)) + "<x:weather/>")
    assert not matches("<cp:weather/>")
    assert not matches("<identity/>")
    assert matches(identity("<x:group/>", one(BOB)))
    assert not matches(identity("<x:group/>", "<cp:group/>"))


@pytest.mark.rfc("AUTH-017")
@pytest.mark.parametrize(
    "child",
    [f'<cp:one id="{BOB}"><x:if/></cp:one>', "<cp:many><x:if/></cp:many>", "<cp:many><cp:except/></cp:many>",
     '<cp:many><cp:except entity="carol"/></cp:many>', f'<cp:many><cp:except id="{CAROL}"><x:if/></cp:except></cp:many>',
     "<cp:one/>"],
)  # fmt: skip
def test_what_may_narrow_and_is_not_understood_names_nobody(child: str) -> None:
    assert not matches(identity(child))


# Sphere and validity


@pytest.mark.rfc("AUTH-024")
def test_sphere_is_one_of_the_words() -> None:
    assert matches(sphere("home Work"), context(BOB, sphere="wORK"))
    assert not matches(sphere("home working"), context(BOB, sphere="work"))
    assert not matches(sphere(""), context(BOB, sphere=""))


@pytest.mark.rfc("AUTH-024", "AUTH-025")
def test_the_sphere_is_not_inverted_and_undefined_is_false() -> None:
    assert not matches(sphere("work"), context(BOB, sphere="home"))
    assert not matches(sphere("work"), context(BOB, sphere=None))


@pytest.mark.rfc("AUTH-026")
def test_validity_begins_with_from_and_ends_before_until() -> None:
    hour = validity("2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z")
    assert [matches(hour, context(BOB, now=NOW + late)) for late in (-1, 0, 3599, 3600)] == [False, True, True, False]
    two = validity("2027-01-14T00:00:00Z", "2027-01-14T01:00:00Z", "2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z")
    assert matches(two)


@pytest.mark.rfc("AUTH-026")
@pytest.mark.parametrize(
    "since",
    ["2027-01-15T08:00:00Z", "2027-01-15T09:00:00+01:00", "2027-01-14T18:00:00-14:00", "2027-01-15T08:00:00.0000000Z",
     " 2027-01-15T08:00:00 ", "<!-- c -->2027-01-15T08:00&#58;00Z"],
)  # fmt: skip
def test_times_with_and_without_zone(since: str) -> None:
    condition = validity(since, "9999-12-31T23:59:59Z")
    assert [matches(condition, context(BOB, now=NOW + late)) for late in (-0.5, 0)] == [False, True]


def test_midnight_may_be_24_hours_of_the_day_before() -> None:
    condition = validity("2027-01-14T24:00:00Z", "2027-01-15T24:00:00.0Z")
    midnight = NOW - 8 * 3600
    assert [matches(condition, context(BOB, now=midnight + late)) for late in (-1, 0, 86399, 86400)] == [False, True, True, False]


@pytest.mark.rfc("AUTH-026")
@pytest.mark.parametrize(
    "since",
    ["", "now", "2027-02-30T00:00:00Z", "20270115T080000Z", "2027-01-15", "2027-01-15T08:00Z", "2027-01-15t08:00:00z",
     "2027-01-15T08:00:60Z", "2027-01-15T24:00:01Z", "2027-01-15T08:00:00+14:01", "-0001-01-01T00:00:00Z", "<x/>"],
)  # fmt: skip
def test_a_time_that_cannot_be_read_makes_no_period(since: str) -> None:
    assert not matches(validity(since, "9999-12-31T23:59:59Z"))


@pytest.mark.parametrize("names", ["from", "until", "from from", "until from", "from x until"])
def test_bounds_that_make_no_pair_make_no_period(names: str) -> None:
    bounds = "".join(f"<cp:{name}>2027-01-15T0{hour}:00:00Z</cp:{name}>" for hour, name in enumerate(names.split(), 7))
    assert not matches(f"<cp:validity>{bounds}</cp:validity>")


def test_bounds_in_another_namespace_are_no_bounds() -> None:
    hour = validity("2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z")
    assert not matches(hour.replace("cp:from", "x:from"))
    assert not matches(hour.replace("cp:until", "x:until"))


@pytest.mark.rfc("AUTH-027")
def test_the_next_bound_of_a_rule_that_only_time_can_change() -> None:
    near, far = validity("2027-01-15T08:00:00Z", "2027-01-15T09:00:00Z"), validity("2027-01-16T08:00:00Z", "2027-01-17T08:00:00Z")
    assert evaluated(document(rule(near), rule(far))).changes_at == NOW + 3600
    assert evaluated(document(rule(far)), document(rule(None))).changes_at == NOW + 86400
    assert evaluated(document(rule(near)), by=context(BOB, now=NOW + 3600)).changes_at is None
    assert evaluated(document(rule(near + identity(one(CAROL))))).changes_at is None
    assert evaluated(document(rule(near + sphere("work")), rule(far))).changes_at == NOW + 86400
    assert evaluated(document(rule(None))).changes_at is None


@pytest.mark.rfc("AUTH-027")
@given(st.lists(RULES, max_size=4), rules.CONTEXTS, st.floats(0, 3))
def test_nothing_changes_by_itself_before_the_time_that_was_said(written: list[str], who: Context, later: float) -> None:
    now = evaluated(document(*written), by=who)
    then = evaluated(document(*written), by=replace(who, now=who.now + later))
    assert now.permissions == then.permissions or (now.changes_at is not None and now.changes_at <= who.now + later)
    assert now.changes_at is None or now.changes_at > who.now


# OMA


def test_external_list_is_whoever_is_in_one_of_the_lists() -> None:
    asked: list[tuple[str, str]] = []

    def is_listed(anchor: str, who: str) -> bool:
        asked.append((anchor, who))
        return anchor == 'http://x/list[@name="friends"]'

    anchors = external_list("http://x/blocked", "http%3A//x/list%5B%40name%3D%22friends%22%5D")
    assert matches(anchors, context("sip:BOB%40example.org", "BOB@example.org", is_listed=is_listed))
    assert asked == [("http://x/blocked", "sip:BOB@example.org"), ('http://x/list[@name="friends"]', "sip:BOB@example.org")]
    assert not matches(external_list("http://x/blocked"), context(BOB, is_listed=is_listed))
    assert not matches(anchors, context(is_listed=is_listed))
    assert not matches(external_list())


def test_other_identity_is_somebody_known_whom_no_rule_names() -> None:
    def allowed(*named: str, by: Context | None = None) -> bool:
        return decided(document(rule(OTHER), *(rule(each, "block") for each in named)), by=by) is Decision.ALLOW

    assert allowed()
    assert allowed(identity(one(CAROL)), external_list("friends"), ANONYMOUS, sphere("work"))
    assert not allowed(by=NOBODY)
    assert not allowed(identity(one(BOB)))
    assert not allowed(identity(many("example.org")))
    assert not allowed(identity(one(BOB)) + sphere("work"))
    assert not allowed(external_list("friends"), by=context(BOB, is_listed=lambda *_: True))


@pytest.mark.rfc("AUTH-017")
def test_other_identity_is_false_while_nobody_knows_whom_the_rules_name() -> None:
    other = document(rule(OTHER))
    assert (
        decided(other, document(rule(external_list("lost"), "block")), by=context(BOB, is_listed=lambda *_: None)) is Decision.BLOCK
    )
    assert decided(other, document(rule(identity("<x:group/>"), "block"))) is Decision.BLOCK
    broken: Ruleset[pres_rules.Permissions] = Ruleset("broken", (), is_readable=False)
    evaluation = pres_rules.evaluate([pres_rules.parse(other), broken], context(BOB), Decision.ALLOW)
    assert evaluation.permissions.decision is Decision.BLOCK


def test_anonymous_request_is_who_is_not_known() -> None:
    assert matches(ANONYMOUS, NOBODY)
    assert matches(ANONYMOUS, context("sip:anonymous@anonymous.invalid"))
    assert not matches(ANONYMOUS)


@pytest.mark.parametrize(
    ("who", "lists", "decision"),
    [
        (rules.ALICE, (), Decision.ALLOW), (BOB, ("granted",), Decision.ALLOW), (BOB, ("blocked",), Decision.POLITE_BLOCK),
        (BOB, (), Decision.CONFIRM), ("sip:anonymous@anonymous.invalid", (), Decision.BLOCK),
    ],
)  # fmt: skip
def test_the_rules_of_blink(who: str, lists: Sequence[str], decision: Decision) -> None:
    body = document(
        rule(identity(one("sip%3Aalice%40example.org")), "allow"), rule(external_list("http%3A//x/granted"), "allow"),
        rule(external_list("http%3A//x/blocked"), "polite-block"), rule(OTHER, "confirm"), rule(ANONYMOUS, "block"),
    )  # fmt: skip
    asker = context(who, is_listed=lambda anchor, _: anchor.removeprefix("http://x/") in lists)
    assert decided(body, by=asker) is decision


# Combining


@pytest.mark.rfc("AUTH-001", "AUTH-004")
def test_all_matching_rules_count_not_the_first_one() -> None:
    block, allow = rule(identity(one(BOB)), "block"), rule(identity(many()), "allow")
    assert decided(document(block, allow)) is decided(document(allow, block)) is Decision.ALLOW


@pytest.mark.rfc("AUTH-001")
def test_all_conditions_of_a_rule_have_to_hold() -> None:
    assert not matches(identity(one(BOB)) + sphere("work"), context(BOB, sphere="home"))
    assert not matches(identity(one(BOB)) + identity(one(CAROL)))


@pytest.mark.rfc("AUTH-005", "AUTH-035")
def test_documents_without_matching_rule_block_and_no_document_is_the_default() -> None:
    assert decided(default=Decision.ALLOW) is Decision.ALLOW
    assert decided(default=Decision.CONFIRM) is Decision.CONFIRM
    assert decided(document(), default=Decision.ALLOW) is Decision.BLOCK
    assert decided(document(rule(identity(one(CAROL)))), default=Decision.ALLOW) is Decision.BLOCK
    assert decided(document(rule(identity(one(CAROL)))), document(rule(None)), default=Decision.CONFIRM) is Decision.ALLOW


@given(st.lists(RULES, max_size=5), RULES, rules.CONTEXTS, st.booleans())
def test_a_rule_more_never_takes_a_permission_away(written: list[str], more: str, who: Context, generous: bool) -> None:
    before = evaluated(document(*written), by=who, generous=generous).permissions
    after = evaluated(document(*written, more), by=who, generous=generous).permissions
    assert after | before == after


@pytest.mark.rfc("AUTH-001", "AUTH-035")
@given(st.data(), st.lists(RULES | st.just(rule(OTHER)), max_size=6), rules.CONTEXTS)
def test_neither_the_order_of_rules_nor_their_documents_have_influence(
    data: st.DataObject, written: list[str], who: Context
) -> None:
    shuffled = data.draw(st.permutations(written))
    cut = data.draw(st.integers(0, len(written)))
    assert (
        evaluated(document(*written), by=who).permissions
        == evaluated(document(*shuffled[:cut]), document(*shuffled[cut:]), by=who).permissions
    )


# Why


def test_each_rule_says_why_it_does_not_match() -> None:
    body = document(
        rule(identity(one(BOB)), name="yes"), rule(identity(one(CAROL), many("example.com", out(id=BOB))), name="who"),
        rule(sphere("work"), name="where"), rule(validity("2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"), name="when"),
        rule("<x:weather/>", name="what"), rule(external_list("http://x/friends"), name="list"), rule(ANONYMOUS, name="anonymous"),
        rule(OTHER, name="other"),
    )  # fmt: skip
    asked = {each.rule: each.failed and str(each.failed) for each in evaluated(body).asked}
    assert asked == {
        "yes": None,
        "who": f"identity is {CAROL}, everybody of example.com except {BOB}",
        "where": "sphere is work",
        "when": "time is from 2026-01-01T00:00:00+00:00 until 2026-01-01T01:00:00+00:00",
        "what": "{urn:unknown}weather is no condition that is known here",
        "list": "identity is in http://x/friends",
        "anonymous": "identity is unknown",
        "other": "identity is known and in no other rule",
    }


def test_long_lists_are_cut_in_words() -> None:
    crowd = identity(*(one(f"sip:user{number}@example.com") for number in range(1000)))
    (asked,) = evaluated(document(rule(crowd))).asked
    assert str(asked.failed).endswith(" and 995 more")


def test_a_document_that_cannot_be_read_says_so() -> None:
    evaluation = pres_rules.evaluate([Ruleset("index", (), is_readable=False)], context(BOB), Decision.ALLOW)
    assert evaluation.is_policy
    assert evaluation.asked == (("index", "", "the document cannot be read"),)
    assert not evaluated().is_policy


# Reading


@pytest.mark.rfc("AUTH-017")
@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"", NotWellFormed), (b"<ruleset>", NotWellFormed), (b"\xff", NotUtf8), (b"<ruleset/>", SchemaValidationError),
        (document().replace(b"ruleset", b"rules"), SchemaValidationError),
        (b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', ConstraintFailure), (b"<a>" * 100 + b"</a>" * 100, ContentTooLarge),
        (b"<a>" + b"<b/>" * 10_001 + b"</a>", ContentTooLarge),
    ],
)  # fmt: skip
def test_what_is_no_ruleset_is_refused(octets: bytes, error: type[XcapError]) -> None:
    with pytest.raises(error):
        pres_rules.parse(octets)


@given(st.binary(max_size=40), st.integers(0, 900), st.integers(0, 20))
def test_damaged_documents_raise_nothing_else(noise: bytes, start: int, length: int) -> None:
    body = document(rule(identity(one(BOB)) + validity("2026-01-01T00:00:00Z", "x") + sphere("a")), rule(external_list("a")))
    with contextlib.suppress(XcapError):
        pres_rules.parse(body[:start] + noise + body[start + length :], draft=True)
