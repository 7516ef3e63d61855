"""Rules for MESSAGE, and documents as SER's users wrote them: kemi/xcap/im_rules.py, the draft in kemi/xcap/ruleset.py."""

import pytest

from kemi.event_package import Decision
from kemi.xcap import im_rules
from kemi.xcap.conditions import Context
from tests.unit.xcap import rules
from tests.unit.xcap.rules import BOB, CAROL, context, matches, rule, validity

ALLOW, POLITE, CONFIRM, BLOCK = Decision.ALLOW, Decision.POLITE_BLOCK, Decision.CONFIRM, Decision.BLOCK

SER = b"""<?xml version="1.0"?>
<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:im="urn:iptel:xml:ns:im-rules">
 <rule id="whitelist">
  <conditions><identity><id>sip:bob@example.org</id><id entity="sip:carol@example.com"/></identity></conditions>
  <actions><im:im-handling>allow</im:im-handling></actions><transformations/>
 </rule>
 <rule id="blacklist">
  <conditions><identity><id>sip:bob@example.org</id><id>sip:eve@example.com</id></identity></conditions>
  <actions><im:im-handling>block</im:im-handling></actions><transformations/>
 </rule>
</ruleset>"""


def document(*handlings: str) -> bytes:
    inside = "".join(
        f'<cp:rule id="r"><cp:actions><im:im-handling>{each}</im:im-handling></cp:actions></cp:rule>' for each in handlings
    )
    return f'<cp:ruleset {rules.SCOPE} xmlns:im="urn:iptel:xml:ns:im-rules">{inside}</cp:ruleset>'.encode()


def decided(*documents: bytes, by: Context | None = None, default: Decision = ALLOW, draft: bool = False) -> Decision:
    rulesets = [im_rules.parse(each, draft=draft) for each in documents]
    return im_rules.evaluate(rulesets, by or context(BOB), default).permissions


@pytest.mark.rfc("MSG-002", "MSG-014")
def test_the_highest_handling_wins() -> None:
    assert decided(document("block", "allow")) is decided(document("allow"), document("block")) is ALLOW
    assert decided(document("polite-block", "confirm", "block")) is POLITE
    assert decided(document("block", "confirm")) is CONFIRM


@pytest.mark.rfc("MSG-002", "MSG-007")
def test_without_matching_rule_messages_are_blocked_and_without_document_the_default_holds() -> None:
    assert decided(document()) is decided(document("now and then")) is BLOCK
    assert decided(default=ALLOW) is ALLOW
    assert decided(default=BLOCK) is BLOCK


def test_handling_of_presence_says_nothing_about_messages() -> None:
    assert decided(rules.document(rule(None, "allow"))) is BLOCK


# SER's documents


def test_a_document_of_ser() -> None:
    who = {
        name: decided(SER, by=context(f"sip:{name}"), draft=True)
        for name in ("bob@example.org", "carol@example.com", "eve@example.com")
    }
    assert who == {"bob@example.org": ALLOW, "carol@example.com": ALLOW, "eve@example.com": BLOCK}
    assert decided(SER, by=context("sip:dave@example.org"), draft=True) is BLOCK


def test_the_draft_is_read_only_where_it_is_asked_for() -> None:
    assert decided(SER) is BLOCK


@pytest.mark.parametrize("namespace", ["", ' xmlns="urn:iptel:any"'])
def test_names_of_the_draft_count_without_their_namespace(namespace: str) -> None:
    body = (
        SER.decode()
        .replace(' xmlns="urn:ietf:params:xml:ns:common-policy"', namespace)
        .replace("urn:iptel:xml:ns:im-rules", "urn:x")
    )
    assert decided(body.encode(), draft=True) is ALLOW


def test_a_matching_rule_without_actions_ends_and_grants_nothing() -> None:
    body = b"<ruleset><rule id='a'><conditions/></rule><rule id='b'><actions/></rule></ruleset>"
    assert decided(body, draft=True) is BLOCK


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        ('<domain domain="example.org"/>', BOB), ("<any-identity/>", CAROL), ("<any-identity/>", "tel:+1"),
        ('<any-identity><domain domain="example.org"/><domain domain="example.com"/></any-identity>', CAROL),
        ('<any-identity><except-domain domain="example.com"/></any-identity>', BOB),
        ('<domain domain="example.org"/><except entity="carol"/>', BOB),
        ('<id>sip:bob@example.org</id><except entity="bob"/>', BOB), ('<one id="sip:bob@example.org"/>', BOB),
    ],
)  # fmt: skip
def test_whom_the_draft_names(identity: str, who: str) -> None:
    assert matches(f"<identity>{identity}</identity>", context(who), draft=True)


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        ('<domain domain="example.com"/>', BOB), ("<any-identity/>", "sip:anonymous@anonymous.invalid"), ("<domain/>", BOB),
        ('<any-identity><domain domain="example.org"/></any-identity>', CAROL), ("<group/>", BOB), ("<id/>", BOB),
        ('<any-identity><except-domain domain="example.com"/></any-identity>', CAROL),
        ('<domain domain="example.org"/><except entity="bob"/>', BOB), ("", BOB),
        ('<any-identity/><except entity="sip:bob@example.org"/>', BOB), ('<except entity="carol"/>', BOB),
    ],
)  # fmt: skip
def test_whom_the_draft_does_not_name(identity: str, who: str) -> None:
    assert not matches(f"<identity>{identity}</identity>", context(who), draft=True)


def test_sphere_and_validity_are_heeded_in_documents_of_the_draft_too() -> None:
    assert not matches('<sphere value="work"/>', context(BOB, sphere="home"), draft=True)
    day = validity("2027-01-15T00:00:00Z", "2027-01-16T00:00:00Z", until="to")
    assert [matches(day, draft=True), matches(day)] == [True, False]
    assert not matches(validity("2027-01-16T00:00:00Z", "2027-01-17T00:00:00Z", until="to"), draft=True)
    assert not matches("<weather/>", draft=True)


def test_conditions_of_oma_are_read_beside_the_draft() -> None:
    assert matches("<ocp:anonymous-request/>", context(), draft=True)
