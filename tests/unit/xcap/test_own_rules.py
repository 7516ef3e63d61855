"""Rules that the operator keeps in a user's document: kemi/xcap/own_rules.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kemi.event_package import Decision
from kemi.xcap import own_rules, pres_rules, usages, validation
from kemi.xcap.conditions import Context
from kemi.xcap.errors import NoParent, NotWellFormed
from kemi.xcap.own_rules import after
from kemi.xcap.path import Tree
from kemi.xcap.pres_rules import EVERYTHING
from tests.unit.xcap.rules import BOB, CAROL, CONTEXTS, RULES, context, document, evaluated, identity, many, one, rule

ALLOW, POLITE, CONFIRM, BLOCK = Decision.ALLOW, Decision.POLITE_BLOCK, Decision.CONFIRM, Decision.BLOCK
EVE = "sip:eve@example.net"
ANONYMOUS = "sip:anonymous@anonymous.invalid"
NAMES = {"cp": "urn:ietf:params:xml:ns:common-policy"}


def said(octets: bytes, *watchers: str) -> list[Decision]:
    """What the document says of each of them; it has to be valid."""
    validation.read(usages.find("pres-rules", Tree.USERS), octets)
    return [evaluated(octets, by=context(each)).permissions.decision for each in watchers]


def names_in(octets: bytes) -> list[str]:
    return [str(each.get("id")) for each in etree.fromstring(octets).findall("cp:rule", NAMES)]


def ones_in(octets: bytes, decision: Decision) -> list[str]:
    path = f"cp:rule[@id='{own_rules.id_of(decision)}']//cp:one"
    return [str(each.get("id")) for each in etree.fromstring(octets).findall(path, NAMES)]


@pytest.mark.parametrize("decision", Decision)
def test_the_first_document_names_the_watcher(decision: Decision) -> None:
    octets = after(None, BOB, decision)
    assert said(octets, BOB, CAROL, ANONYMOUS) == [decision, BLOCK, BLOCK]
    assert names_in(octets) == [f"presencectl-{decision.value}"]


def test_who_is_allowed_sees_everything_and_nobody_else_anything() -> None:
    octets = after(after(None, BOB, ALLOW), CAROL, POLITE)
    assert evaluated(octets, by=context(BOB)).permissions == EVERYTHING
    assert evaluated(octets, by=context(CAROL)).permissions == pres_rules.Permissions(POLITE)


@pytest.mark.parametrize("default", [CONFIRM, POLITE, ALLOW])
def test_what_is_said_of_all_others_stays_as_it_was(default: Decision) -> None:
    octets = after(None, BOB, BLOCK, default)
    assert said(octets, BOB, CAROL, ANONYMOUS) == [BLOCK, default, default]
    assert evaluated(octets, by=context(CAROL)).permissions == pres_rules.without_policy(default)
    octets = after(octets, CAROL, CONFIRM, default)
    assert said(octets, BOB, CAROL, EVE) == [BLOCK, CONFIRM, default]


def test_rules_for_others_come_with_the_first_document_only() -> None:
    assert names_in(after(document(), BOB, ALLOW, CONFIRM)) == ["presencectl-allow"]


@given(st.lists(st.tuples(st.sampled_from([BOB, CAROL, EVE]), st.sampled_from(Decision)), min_size=1, max_size=8))
def test_the_last_decision_about_a_watcher_counts(decisions: list[tuple[str, Decision]]) -> None:
    octets = None
    for watcher, decision in decisions:
        octets = after(octets, watcher, decision, CONFIRM)
    assert octets is not None
    last = dict(decisions)
    assert said(octets, *last) == list(last.values())
    assert sorted(each for decision in Decision for each in ones_in(octets, decision)) == sorted(last)
    assert all(ones_in(octets, each) for each in Decision if own_rules.id_of(each) in names_in(octets))


@given(st.lists(RULES, max_size=4), st.lists(st.sampled_from(Decision), min_size=1, max_size=3), CONTEXTS)
def test_the_rules_of_others_are_untouched(written: list[str], decisions: list[Decision], who: Context) -> None:
    """Octet for octet, and whatever they grant is still granted."""
    before = octets = document(*written)
    for decision in decisions:
        octets = after(octets, BOB, decision)
    start = octets.index(b'<rule xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr=')
    assert octets[:start] + octets[octets.index(b"</rule>", start) + len(b"</rule>") :] == before
    granted = evaluated(octets, by=who).permissions
    assert granted | evaluated(before, by=who).permissions == granted


@given(st.sampled_from([None, document(), document(rule(identity(one(BOB)), "allow"))]), st.sampled_from(Decision))
def test_the_same_decision_again_changes_nothing(before: bytes | None, decision: Decision) -> None:
    octets = after(before, BOB, decision)
    assert after(octets, BOB, decision) == octets


@pytest.mark.parametrize(
    "root",
    [
        '<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>',
        '<?xml version="1.0"?><p:ruleset xmlns:p="urn:ietf:params:xml:ns:common-policy" xmlns="urn:x" />',
        '<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:other"><!-- mine --></ruleset>',
    ],
)
def test_prefixes_of_the_document_are_in_nobodys_way(root: str) -> None:
    octets = after(root.encode(), BOB, ALLOW)
    octets = after(octets, CAROL, ALLOW)
    assert said(octets, BOB, CAROL, EVE) == [ALLOW, ALLOW, BLOCK]


def test_a_watcher_is_found_however_it_is_written() -> None:
    octets = after(None, BOB, ALLOW).replace(BOB.encode(), b"sip%3Abob%40example.org")
    assert after(octets, BOB, ALLOW) == octets
    assert said(after(octets, BOB, BLOCK), BOB) == [BLOCK]
    assert names_in(after(octets, BOB, BLOCK)) == ["presencectl-block"]


@pytest.mark.parametrize("watcher", ["sip:a&b@example.org", "sip:a'b@example.org", "sip:a%22b@example.org", "tel:+15551234"])
def test_any_uri_can_be_written(watcher: str) -> None:
    octets = after(after(after(None, EVE, ALLOW), watcher, ALLOW), watcher, BLOCK)
    octets = after(octets, watcher, ALLOW)
    assert said(octets, watcher, EVE) == [ALLOW, ALLOW]
    assert said(after(octets, watcher, BLOCK), watcher, EVE) == [BLOCK, ALLOW]


def test_what_somebody_adds_to_the_rule_stays() -> None:
    """The user hides a mood from those whom the operator has let in: it stays hidden from those who follow."""
    octets = after(None, BOB, ALLOW).replace(b"<pr:provide-all-attributes/>", b"<pr:provide-note>true</pr:provide-note>")
    octets = after(octets, CAROL, ALLOW)
    assert [evaluated(octets, by=context(each)).permissions.attributes for each in (BOB, CAROL)] == [frozenset({"note"})] * 2
    assert b"provide-all-attributes" not in octets


def test_a_rule_of_which_somebody_made_something_else_takes_no_user() -> None:
    octets = after(None, BOB, ALLOW)
    start, stop = octets.index(b"<identity>"), octets.index(b"</identity>") + len(b"</identity>")
    without = octets[:start] + octets[stop:]
    with pytest.raises(NoParent):
        after(without, BOB, ALLOW)
    narrowed = octets.replace(b"</identity>", b"</identity><identity><many/></identity>")
    with pytest.raises(NoParent):
        after(narrowed, CAROL, ALLOW)
    assert names_in(after(narrowed, BOB, BLOCK)) == ["presencectl-block"]


def test_who_is_one_of_many_is_named_all_the_same() -> None:
    octets = document(rule(identity(many()), "confirm", name="presencectl-confirm"))
    assert said(after(octets, BOB, CONFIRM), BOB, CAROL) == [CONFIRM, CONFIRM]
    assert ones_in(after(octets, BOB, CONFIRM), CONFIRM) == [BOB]
    assert after(after(octets, BOB, CONFIRM), BOB, BLOCK).count(b"many") == octets.count(b"many")


def test_a_document_that_cannot_be_read_is_not_changed() -> None:
    with pytest.raises(NotWellFormed):
        after(b"<ruleset", BOB, ALLOW)
