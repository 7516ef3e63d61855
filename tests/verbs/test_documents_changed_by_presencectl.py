"""`presencectl allow` as a client of our own XCAP server, when it is refused: kemi/presence/decide.py (RFC 4825 section 7)."""

from dataclasses import replace

import pytest

from kemi import consequences, identity
from kemi.event_package import Decision
from kemi.presence import decide
from kemi.xcap import store
from kemi.xcap.errors import ConstraintFailure
from tests.unit.values import ALICE, BOB
from tests.unit.xcap import rules
from tests.unit.xcap.rules import many
from tests.verbs.ruled import Ruled, allow, outcome, selector_of
from tests.verbs.world import World


def decided(world: World) -> None:
    changed = consequences.follow(world.moment)
    realm = identity.realm(world.settings)
    decide.decide(world.moment, realm, ALICE, BOB, Decision.ALLOW, "new", changed)


@pytest.mark.rfc("XCC-008")
def test_after_a_412_the_document_is_read_anew_and_put_on_its_new_tag(ruled: Ruled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else changes it between reading and writing."""
    world, plain = ruled.world, decide.own_rules.after
    ruled.put(allow(rules.identity(many("example.net"))))
    read: list[bytes | None] = []

    def after(body: bytes | None, *arguments: object) -> bytes:
        read.append(body)
        if len(read) == 1:
            ruled.put(allow(rules.identity(many("example.com"))))
        return plain(body, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(decide.own_rules, "after", after)
    decided(world)
    assert [b"example.net" in (body or b"") for body in read] == [True, False]
    found = store.load(world.database, selector_of())
    assert found is not None
    assert b"example.com" in found.body
    assert outcome(world) == "active"


@pytest.mark.rfc("XCC-009")
def test_what_is_refused_with_409_is_not_tried_again(ruled: Ruled) -> None:
    world = ruled.world
    world.settings = replace(world.settings, xcap=replace(world.settings.xcap, max_documents=1))
    ruled.put(allow(), name="other")
    with world.counted() as statements, pytest.raises(ConstraintFailure):
        decided(world)
    assert statements.count("xcap_load_to_change") == 1
