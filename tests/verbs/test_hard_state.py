"""The presence document that a user keeps by XCAP (RFC 4827)."""

from collections.abc import Callable

import pytest

from kemi.effects import Effect, Log, Wake
from kemi.errors import ConditionalRequestFailed
from kemi.presence import hard_state
from kemi.subscription import State
from kemi.xcap.serve import Change
from tests.unit.values import ALICE, pidf
from tests.unit.xcap.rules import rule
from tests.verbs.ruled import BOBS, WORK, Ruled, allow, sphere
from tests.verbs.world import World
from tests.verbs.xcap import ROOT, Client, condition_of

AWAY = pidf("hard", note="on holiday")
PATH = f"{ROOT}/pidf-manipulation/users/{ALICE}/index"


class Alice(Client):
    """Her changes reach her presence, as in the server."""

    def _changed(self, change: Change) -> list[Effect]:
        super()._changed(change)
        return hard_state.change(self.world.moment, change)


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    return connect(notify_interval=0).empty()


@pytest.fixture
def alice(world: World) -> Alice:
    return Alice(world)


@pytest.mark.rfc("XCS-043")
def test_watchers_are_told_of_every_change_at_once(alice: Alice) -> None:
    alice.world.watch()
    for body, seen in ((AWAY, "on holiday"), (AWAY.replace(b"holiday", b"leave"), "on leave")):
        assert alice.put(PATH, body).status in (200, 201)
        assert Wake() in alice.effects
        (notify,) = alice.world.told()
        assert seen in notify.body
    assert alice.put(PATH + "/~~/presence/note", b"<note>back</note>").status == 200
    (notify,) = alice.world.told()
    assert "<note>back</note>" in notify.body
    assert alice.delete(PATH).status == 200
    (notify,) = alice.world.told()
    assert "hard" not in notify.body


@pytest.mark.rfc("PUB-027")
def test_it_stands_beside_what_devices_publish_and_outlives_it(alice: Alice) -> None:
    alice.put(PATH, AWAY)
    alice.world.publish(pidf("soft", note="here"))
    (first,) = alice.world.subscribe().sent
    assert ("on holiday" in first.body, "here" in first.body) == (True, True)
    alice.world.now += 30 * 86400
    alice.world.tick()
    (first,) = alice.world.subscribe().sent
    assert ("on holiday" in first.body, "here" in first.body) == (True, False)


def test_no_publish_can_change_it(alice: Alice) -> None:
    alice.put(PATH, AWAY)
    (stored,) = alice.world.publications(at=alice.world.now)
    assert (stored.source, stored.body) == ("xcap", AWAY)
    with pytest.raises(ConditionalRequestFailed):
        alice.world.publish(tag=stored.etag)


@pytest.mark.rfc("XCS-043")
def test_there_is_one_document_and_it_is_called_index(alice: Alice) -> None:
    assert condition_of(alice.put(PATH.replace("index", "other"), AWAY)) == "constraint-failure"
    assert alice.world.publications(at=alice.world.now) == []


def test_what_cannot_be_published_is_not_stored_either(alice: Alice) -> None:
    alice.put(PATH, AWAY)
    too_much = pidf(*(f"t{number}" for number in range(600)))
    assert condition_of(alice.put(PATH, too_much)) == "constraint-failure"
    assert alice.get(PATH).body == AWAY
    (stored,) = alice.world.publications(at=alice.world.now)
    assert stored.body == AWAY


def test_an_equal_document_wakes_nobody(alice: Alice) -> None:
    alice.world.watch()
    alice.put(PATH, AWAY)
    assert len(alice.world.told()) == 1
    alice.put(PATH, AWAY)
    assert (Wake() in alice.effects, alice.world.told()) == (False, [])


def test_documents_below_global_are_nobodys_presence(alice: Alice) -> None:
    writer = Alice(alice.world, global_writers=(ALICE,))
    assert writer.put(f"{ROOT}/pidf-manipulation/global/index", AWAY).status == 201
    assert [alice.world.publications(each) for each in (ALICE, "")] == [[], []]


@pytest.mark.rfc("AUTH-025")
def test_a_sphere_in_it_decides_who_may_watch(alice: Alice) -> None:
    Ruled(alice.world).put(allow(WORK), rule(BOBS, "confirm"))
    dialog = alice.world.watch()
    alice.put(PATH, sphere("work"))
    assert alice.world.subscription(dialog).state is State.ACTIVE
    assert any(isinstance(each, Log) and each.text.startswith("subscription decided: ") for each in alice.effects)
