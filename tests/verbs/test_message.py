"""Whose messages a user takes: kemi/message.py with the rules of users, on our own server and another one (RFC 4745, RFC 3428)."""

from dataclasses import replace
from typing import Any

import pytest

from kemi import administration, message
from kemi.event_package import Decision
from kemi.message import Verdict
from kemi.xcap.fetched_document import Outcome
from tests.unit.values import ALICE, BOB, CAROL, NOW
from tests.unit.xcap.rules import SCOPE, external_list, identity, many, one, validity
from tests.verbs.fetched import ROOT, Cache
from tests.verbs.ruled import BOBS, CAROLS, Ruled, outcome, sphere, time
from tests.verbs.world import World

ALLOW, POLITE, CONFIRM, BLOCK = Decision.ALLOW, Decision.POLITE_BLOCK, Decision.CONFIRM, Decision.BLOCK
ANYBODY = ""
TEL = "tel:+15551234"
LISTS = "urn:ietf:params:xml:ns:resource-lists"
FRIENDS = f'<resource-lists xmlns="{LISTS}"><list name="friends"><entry uri="{BOB}"/></list></resource-lists>'
ANCHOR = f"/xcap-root/resource-lists/users/{ALICE}/index/~~/resource-lists/list%5B@name=%22friends%22%5D"


def rule(conditions: str, handling: str) -> str:
    return (
        f'<cp:rule id="r"><cp:conditions>{conditions}</cp:conditions>'
        f"<cp:actions><im:im-handling>{handling}</im:im-handling></cp:actions></cp:rule>"
    )


def document(*rules: str) -> bytes:
    return f'<cp:ruleset {SCOPE} xmlns:im="urn:iptel:xml:ns:im-rules">{"".join(rules)}</cp:ruleset>'.encode()


class Messages:
    """Messages to alice, and her rules for them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rules = Ruled(world)

    def put(self, *rules: str, **of: Any) -> None:
        self._rules.put(body=document(*rules), **{"auid": "im-rules", "name": "im-rules.xml"} | of)

    def put_list(self) -> None:
        self._rules.put(body=FRIENDS.encode(), auid="resource-lists")

    def manage(self, decision: Decision | None, sender: str = BOB) -> None:
        administration.decide_messages(self.world.database, ALICE, sender, decision, self.world.now)

    def verdict(self, *senders: str, recipient: str = ALICE, name: str = "") -> Verdict:
        world = self.world
        return message.authorize(world.moment, senders or (BOB,), recipient, name)

    def decision(self, *senders: str, **of: Any) -> Decision:
        return self.verdict(*senders, **of).decision


@pytest.fixture
def messages(world: World) -> Messages:
    return Messages(world)


# The decision


def test_without_rules_messages_are_taken(messages: Messages) -> None:
    assert messages.verdict() == Verdict(ALLOW, is_complete=True)


@pytest.mark.parametrize("default", list(Decision))
def test_without_rules_the_operator_decides(messages: Messages, default: Decision) -> None:
    messages.world.set(im_rules_default=default.value)
    assert messages.decision() is default


@pytest.mark.rfc("MSG-001", "MSG-002", "MSG-014")
@pytest.mark.parametrize("handling", list(Decision))
def test_the_rules_decide_what_happens_to_a_message(messages: Messages, handling: Decision) -> None:
    messages.put(rule(BOBS, handling.value))
    assert messages.verdict() == Verdict(handling)


@pytest.mark.rfc("MSG-002")
def test_without_a_matching_rule_the_message_is_blocked(messages: Messages) -> None:
    messages.put(rule(CAROLS, "allow"))
    assert messages.verdict() == Verdict(BLOCK)
    assert messages.decision(CAROL) is ALLOW
    messages.world.set(im_rules_default="allow")
    assert messages.decision() is BLOCK


@pytest.mark.rfc("MSG-002")
def test_all_documents_of_the_user_count_together(messages: Messages) -> None:
    messages.put(rule(BOBS, "block"))
    messages.put(rule(BOBS, "polite-block"), name="index")
    assert messages.decision() is POLITE
    messages.put(rule(ANYBODY, "allow"), name="more/rules")
    assert messages.decision() is ALLOW


@pytest.mark.parametrize(("name", "decision"), [("im-rules.xml", BLOCK), ("index", POLITE), ("none", ALLOW)])
def test_a_script_may_name_the_one_document_that_counts(messages: Messages, name: str, decision: Decision) -> None:
    messages.put(rule(BOBS, "block"))
    messages.put(rule(BOBS, "polite-block"), name="index")
    assert messages.decision(name=name) is decision


@pytest.mark.parametrize("of", [{"owner": CAROL}, {"auid": "pres-rules"}, {"auid": "dialog-rules"}])
def test_rules_of_others_and_for_other_things_say_nothing(messages: Messages, of: dict[str, str]) -> None:
    messages.put(rule(ANYBODY, "block"), **of)
    assert messages.decision() is ALLOW


def test_users_may_always_send_to_themselves(messages: Messages) -> None:
    messages.put(rule(BOBS, "allow"))
    with messages.world.counted() as statements:
        assert messages.verdict(ALICE) == Verdict(ALLOW)
    assert statements == []


@pytest.mark.parametrize("auth", ["none", "implicit"])
def test_who_may_watch_says_nothing_about_messages(messages: Messages, auth: str) -> None:
    messages.put(rule(BOBS, "block"))
    messages.world.set(auth=auth)
    assert messages.decision() is BLOCK


def test_rules_as_ser_had_them(messages: Messages) -> None:
    body = (
        b"<ruleset><rule id='a'><conditions><identity><id>sip:bob@example.org</id></identity></conditions>"
        b"<actions><im-handling>block</im-handling></actions></rule></ruleset>"
    )
    messages._rules.put(body=body, auid="im-rules", name="im-rules.xml")
    assert messages.verdict() == Verdict(CONFIRM, is_complete=False)
    messages.world.set(draft_rules=1)
    assert messages.verdict() == Verdict(BLOCK)


# Management


@pytest.mark.rfc("MSG-001")
@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize("handling", ["allow", "block"])
def test_management_decides_before_all_rules(messages: Messages, decision: Decision, handling: str) -> None:
    messages.put(rule(ANYBODY, handling))
    messages.manage(decision)
    with messages.world.counted() as statements:
        assert messages.verdict() == Verdict(decision)
    assert statements == ["decision_made"]
    others = [messages.decision(CAROL), messages.decision(recipient=CAROL)]
    assert [each.value for each in others] == [handling, "allow"]
    messages.manage(None)
    assert messages.decision().value == handling


def test_management_decides_where_a_script_names_a_document_too(messages: Messages) -> None:
    messages.put(rule(BOBS, "allow"), name="index")
    messages.manage(BLOCK)
    assert messages.decision(name="index") is BLOCK


def test_what_management_says_of_one_identity_counts_for_all(messages: Messages) -> None:
    messages.manage(BLOCK)
    assert messages.decision(CAROL, BOB) is BLOCK
    messages.manage(ALLOW, CAROL)
    assert messages.decision(CAROL, BOB) is messages.decision(BOB, CAROL) is BLOCK


def test_decisions_about_watching_and_about_messages_are_two(messages: Messages) -> None:
    world = messages.world
    administration.decide(world.moment, "presence", ALICE, BOB, BLOCK)
    assert (messages.decision(), outcome(world)) == (ALLOW, "refused")
    administration.decide(world.moment, "presence", ALICE, BOB, None)
    messages.manage(BLOCK)
    assert (messages.decision(), outcome(world)) == (BLOCK, "pending")


def test_management_takes_nobodys_messages_to_its_own_devices(messages: Messages) -> None:
    with pytest.raises(ValueError, match="own devices"):
        messages.manage(BLOCK, ALICE)
    assert messages.decision(ALICE) is ALLOW


# Conditions


@pytest.mark.rfc("AUTH-021", "AUTH-022")
def test_any_of_several_identities_may_be_meant(messages: Messages) -> None:
    messages.put(rule(identity(one(TEL)), "allow"))
    assert messages.decision(BOB) is BLOCK
    assert messages.decision(BOB, TEL) is ALLOW
    messages.put(rule(identity(many(None, f'<cp:except id="{TEL}"/>')), "allow"))
    assert messages.decision(BOB) is ALLOW
    assert messages.decision(BOB, "tel:+1-555-1234") is BLOCK


@pytest.mark.rfc("AUTH-015")
def test_somebody_anonymous_is_nobody(messages: Messages) -> None:
    messages.put(rule(identity(many()), "allow"))
    assert messages.decision("sip:anonymous@anonymous.invalid") is BLOCK


@pytest.mark.rfc("AUTH-025")
def test_the_sphere_is_what_the_recipient_publishes(messages: Messages) -> None:
    messages.put(rule('<cp:sphere value="work"/>', "allow"))
    assert messages.decision() is BLOCK
    etag = messages.world.publish(sphere("work")).tag
    assert messages.decision() is ALLOW
    messages.world.publish(sphere("home"), etag)
    assert messages.decision() is BLOCK


@pytest.mark.rfc("AUTH-026")
def test_a_period_begins_and_ends(messages: Messages) -> None:
    messages.put(rule(validity(time(NOW + 10), time(NOW + 20)), "allow"))
    found = []
    for messages.world.now in (NOW + 9, NOW + 10, NOW + 19, NOW + 20):
        found.append(messages.decision())
    assert found == [BLOCK, ALLOW, ALLOW, BLOCK]


def test_members_of_a_list_may_be_meant(messages: Messages) -> None:
    messages.put_list()
    messages.put(rule(external_list(f"http://xcap.example.org{ANCHOR}"), "allow"))
    assert messages.verdict() == Verdict(ALLOW)
    assert messages.verdict(CAROL) == Verdict(BLOCK)


@pytest.mark.rfc("MSG-007")
def test_a_list_that_cannot_be_read_leaves_it_undecided(messages: Messages) -> None:
    messages.put(rule(external_list("http://elsewhere.example.com/list"), "allow"), rule(CAROLS, "allow"))
    assert messages.verdict() == Verdict(CONFIRM, is_complete=False)
    assert messages.decision(CAROL) is ALLOW


# What cannot be read


@pytest.mark.rfc("MSG-007")
@pytest.mark.parametrize("body", [b"", b"<ruleset", b'<!DOCTYPE a><ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>'])
@pytest.mark.parametrize("default", ["allow", "polite-block", "block"])
def test_a_document_that_cannot_be_read_opens_nothing(messages: Messages, body: bytes, default: str) -> None:
    messages.world.set(im_rules_default=default)
    messages._rules.put(body=body, auid="im-rules", name="index")
    assert messages.verdict() == Verdict(CONFIRM, is_complete=False)
    messages.put(rule(BOBS, "allow"))
    assert messages.decision() is ALLOW


@pytest.mark.parametrize("octets", [0, 20_000])
def test_a_document_that_changes_counts_at_once_however_long_it_is(messages: Messages, octets: int) -> None:
    for handling in (BLOCK, ALLOW, POLITE, BLOCK):
        messages.put(f"<!--{' ' * octets}-->", rule(BOBS, handling.value))
        assert messages.decision() is handling


# Another XCAP server


@pytest.fixture
def cache(messages: Messages) -> Cache:
    return Cache(messages.world)


def fetched(cache: Cache, outcome: Outcome, *rules: str, name: str = "im-rules.xml") -> None:
    cache.fetched(outcome, document(*rules) if outcome is Outcome.DOCUMENT else b"", auid="im-rules", name=name)


@pytest.mark.rfc("MSG-007")
@pytest.mark.parametrize("default", list(Decision))
def test_rules_that_are_not_fetched_yet_leave_it_undecided(messages: Messages, cache: Cache, default: Decision) -> None:
    messages.world.set(im_rules_default=default.value)
    assert messages.verdict() == Verdict(CONFIRM, is_complete=False)
    assert [each.uri for each in cache.claim()] == [f"{ROOT}/im-rules/users/{ALICE}/im-rules.xml"]


def test_rules_that_are_fetched_decide(messages: Messages, cache: Cache) -> None:
    fetched(cache, Outcome.DOCUMENT, rule(BOBS, "allow"))
    assert (messages.verdict(), messages.verdict(CAROL)) == (Verdict(ALLOW), Verdict(BLOCK))


def test_rules_that_are_old_decide_and_are_asked_for_anew(messages: Messages, cache: Cache) -> None:
    fetched(cache, Outcome.DOCUMENT, rule(BOBS, "allow"))
    messages.world.now += messages.world.settings.xcap.fetch_freshness + 1
    assert messages.verdict() == Verdict(ALLOW)
    assert len(cache.claim()) == 1


def test_without_rules_there_the_operator_decides(messages: Messages, cache: Cache) -> None:
    fetched(cache, Outcome.MISSING)
    assert messages.verdict() == Verdict(ALLOW)


@pytest.mark.parametrize("by_script", [True, False])
def test_the_one_document_there_has_the_name_that_was_set(messages: Messages, cache: Cache, by_script: bool) -> None:
    if not by_script:
        messages.world.set(im_rules_file="messages")
    assert messages.verdict(name="messages" if by_script else "") == Verdict(CONFIRM, is_complete=False)
    assert [each.uri for each in cache.claim()] == [f"{ROOT}/im-rules/users/{ALICE}/messages"]


def test_our_own_documents_do_not_count_then(messages: Messages) -> None:
    messages.put(rule(BOBS, "block"))
    cache = Cache(messages.world)
    fetched(cache, Outcome.MISSING)
    assert messages.decision() is ALLOW


def test_what_is_fetched_is_not_kept_for_ever(messages: Messages, cache: Cache) -> None:
    messages.world.settings = replace(messages.world.settings, xcap=replace(messages.world.settings.xcap, fetch_stale=600))
    fetched(cache, Outcome.DOCUMENT, rule(BOBS, "allow"))
    messages.world.now += 600
    assert messages.verdict() == Verdict(CONFIRM, is_complete=False)


# Statements


def test_a_message_costs_two_statements(messages: Messages) -> None:
    for handling in Decision:
        messages.put(rule(BOBS, handling.value))
        with messages.world.counted() as statements:
            messages.decision()
        assert statements == ["decision_made", "policy_message_documents"]


def test_sphere_and_lists_cost_one_more_each(messages: Messages) -> None:
    messages.put(rule('<cp:sphere value="work"/>', "allow"))
    with messages.world.counted() as statements:
        messages.decision()
    assert len(statements) == 3
    messages.put(rule(external_list(ANCHOR), "allow"), name="more")
    with messages.world.counted() as statements:
        messages.decision()
    assert len(statements) == 4


def test_a_document_of_another_server_costs_two_statements_and_one_more_when_it_is_old(messages: Messages, cache: Cache) -> None:
    fetched(cache, Outcome.DOCUMENT, rule(BOBS, "allow"))
    world = messages.world
    for pause, number in ((0.0, 2), (1000.0, 3), (0.0, 2)):
        world.now += pause
        with world.counted() as statements:
            messages.decision()
        assert len(statements) == number
