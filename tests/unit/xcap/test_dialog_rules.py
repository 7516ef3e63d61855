"""Rules for the package dialog: kemi/xcap/dialog_rules.py."""

import pytest

from kemi.event_package import Decision
from kemi.xcap import dialog_rules, pres_rules
from kemi.xcap.errors import XcapError
from kemi.xcap.pres_rules import EVERYTHING, Permissions
from kemi.xcap.usages import USAGES
from tests.unit.xcap.rules import BOB, CAROL, context, document, identity, one, rule

OWN = '<sub-handling xmlns="http://openxcap.org/ns/dialog-rules">{}</sub-handling>'


def calls(handling: str, conditions: str | None = None) -> str:
    """A rule as clients write it, in the namespace of the application usage."""
    return rule(conditions, "x").replace("<sub-handling>x</sub-handling>", OWN.format(handling))


def granted(body: bytes, who: str = BOB) -> Permissions:
    return pres_rules.evaluate([dialog_rules.parse(body)], context(who), Decision.CONFIRM).permissions


@pytest.mark.parametrize("decision", Decision)
def test_sub_handling_of_either_namespace_decides(decision: Decision) -> None:
    for written in (calls(decision.value), rule(None, decision.value)):
        assert granted(document(written)).decision is decision


def test_of_several_the_highest_counts() -> None:
    both = rule(None, "confirm").replace("</cp:actions>", f"{OWN.format('polite-block')}</cp:actions>")
    assert granted(document(both)).decision is Decision.POLITE_BLOCK
    assert granted(document(calls("confirm"), calls("allow", identity(one(BOB))))).decision is Decision.ALLOW
    assert granted(document(calls("confirm"), calls("allow", identity(one(BOB)))), CAROL).decision is Decision.CONFIRM


@pytest.mark.parametrize("written", [calls("Allow"), calls(""), rule(None, ""), calls("allow", "<x:weather/>")])
def test_what_is_not_understood_lets_nobody_in(written: str) -> None:
    assert granted(document(written)) == Permissions(Decision.BLOCK)


def test_transformations_of_presence_mean_nothing_to_dialogs() -> None:
    written = rule(None, "allow", "<provide-persons/>")
    assert granted(document(written)) == granted(document(calls("allow"))) == EVERYTHING
    assert granted(document(rule(None, "confirm", "<provide-all-attributes/>"))) == Permissions(Decision.CONFIRM)


def test_they_may_be_written_as_sers_were() -> None:
    body = rule(f"<identity><id>{BOB}</id></identity>", "allow")
    body = f'<ruleset xmlns="urn:ietf:params:xml:ns:common-policy">{body.replace("cp:", "")}</ruleset>'
    for draft, decision in ((True, Decision.ALLOW), (False, Decision.BLOCK)):
        found = pres_rules.evaluate([dialog_rules.parse(body.encode(), draft=draft)], context(BOB), Decision.CONFIRM)
        assert found.permissions.decision is decision


def test_what_is_no_ruleset_is_refused() -> None:
    with pytest.raises(XcapError):
        dialog_rules.parse(b"<dialog-rules/>")


def test_the_namespace_is_that_of_the_application_usages() -> None:
    assert {USAGES[auid].namespace for auid in ("dialog-rules", "org.openxcap.dialog-rules")} == {dialog_rules.NAMESPACE}
