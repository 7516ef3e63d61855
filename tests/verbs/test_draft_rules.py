"""Rules as SER's users wrote them, kept by our own XCAP server (pa.draft_rules; SER handbook section 4.3)."""

import pytest

from kemi import packages
from kemi.event_package import Decision
from kemi.presence import explain
from kemi.presence.explain import Trial
from kemi.xcap import own_rules
from kemi.xcap.errors import SchemaValidationError
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.ruled import outcome
from tests.verbs.world import World
from tests.verbs.xcap import Client

INDEX = f"/xcap-root/pres-rules/users/{ALICE}/index"
IDENTITY = "/~~/cp:ruleset/cp:rule/cp:conditions/cp:identity?xmlns(cp=urn:ietf:params:xml:ns:common-policy)"
DRAFT = b"""<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules"><rule id="a">
<conditions><identity><id>sip:bob@example.org</id></identity></conditions>
<actions><pr:sub-handling>allow</pr:sub-handling></actions><transformations/></rule></ruleset>"""


BOTH = pytest.mark.parametrize("draft", [1, 0])


def client(world: World, draft: int) -> Client:
    """Alice's, at a server that takes the draft or does not."""
    world.set(auth="xcap", draft_rules=draft, auth_default="block")
    world.packages = dict(packages.served(world.settings))
    return Client(world)


@pytest.fixture
def alice(world: World) -> Client:
    return client(world, 1)


def test_they_are_taken_as_they_are_and_read(alice: Client) -> None:
    assert alice.put(INDEX, DRAFT).status == 201
    assert alice.get(INDEX).body == DRAFT
    assert (outcome(alice.world), outcome(alice.world, CAROL)) == ("active", "refused")


def test_without_the_parameter_they_are_refused(world: World) -> None:
    reply = client(world, 0).put(INDEX, DRAFT)
    assert (reply.status, b"schema-validation-error" in reply.body) == (409, True)


def test_without_the_parameter_those_that_are_there_let_nobody_in(alice: Client) -> None:
    alice.put(INDEX, DRAFT)
    strict = client(alice.world, 0)
    assert outcome(strict.world) == "refused"
    assert strict.put(INDEX, DRAFT.replace(b"\n", b" ")).status == 409
    assert strict.get(INDEX).body == DRAFT


def test_elements_of_them_are_edited(alice: Client) -> None:
    alice.put(INDEX, DRAFT)
    identity = f'<identity xmlns="urn:ietf:params:xml:ns:common-policy"><id>{CAROL}</id></identity>'.encode()
    assert alice.put(INDEX + IDENTITY, identity).status == 200
    assert (outcome(alice.world), outcome(alice.world, CAROL)) == ("refused", "active")
    assert alice.put(INDEX + IDENTITY, identity.replace(b"id>", b"uri>")).status == 409


@BOTH
@pytest.mark.parametrize("auid", ["org.openmobilealliance.pres-rules", "dialog-rules", "im-rules"])
def test_rules_of_other_applications_may_be_written_so_too(world: World, draft: int, auid: str) -> None:
    reply = client(world, draft).put(INDEX.replace("pres-rules", auid, 1), DRAFT)
    assert reply.status == (201 if draft else 409)


def test_a_rule_of_the_operator_stands_beside_them(alice: Client) -> None:
    alice.put(INDEX, DRAFT)
    after = own_rules.after(DRAFT, CAROL, Decision.ALLOW)
    assert alice.put(INDEX, after).status == 200
    assert (outcome(alice.world), outcome(alice.world, CAROL)) == ("active", "active")


def test_they_are_tried_as_they_are_put(alice: Client) -> None:
    def decision() -> Decision:
        world = alice.world
        trial = Trial("ser.xml", DRAFT)
        found = explain.explain(world.moment, BOB, ALICE, trial)
        return found.authorization.decision

    assert decision() is Decision.ALLOW
    client(alice.world, 0)
    with pytest.raises(SchemaValidationError):
        decision()


def test_other_documents_follow_their_schemas(alice: Client) -> None:
    path = f"/xcap-root/resource-lists/users/{ALICE}/index"
    body = b'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><rule/></resource-lists>'
    assert alice.put(path, body).status == 409
