"""Which rows statements about documents of other servers mean, and which beside them they do not: sql/queries/fetched.sql."""

from typing import Any

import pytest

from kemi import store as subscriptions
from kemi.rls import store as lists
from kemi.subscription import Reason, State
from kemi.xcap import fetched_store as store
from kemi.xcap.fetched_document import FetchedDocument, Known
from tests.unit.values import ALICE, BOB, NOW, subscription
from tests.verbs.world import World

SERVER = "https://xcap.example.net"
URI = f"{SERVER}/pres-rules/users/{ALICE}/index"
OLD = FetchedDocument(ALICE, URI, "pres-rules", Known.UNKNOWN, b"", "", NOW, False, 0, NOW + 60)
BESIDE: dict[str, dict[str, Any]] = {"another owner": {"owner": BOB}, "another URI": {"uri": f"{URI}2"}}
IN_USE: dict[str, tuple[dict[str, Any], bool]] = {
    "watched": ({}, True),
    "another is watched": ({"resource": BOB}, False),
    "was watched": ({"state": State.TERMINATED, "reason": Reason.TIMEOUT}, False),
    "refused as a member": ({"state": State.TERMINATED, "reason": Reason.REJECTED, "list_id": "kp-list-1"}, True),
}


def keep(world: World, *documents: FetchedDocument) -> None:
    with world.database.transaction():
        for each in documents:
            store.ask_first(world.database, each)
            store.save(world.database, each)


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_a_document_is_of_one_owner_and_uri(world: World, beside: dict[str, Any]) -> None:
    other = OLD._replace(etag="x", **beside)
    keep(world, other)
    assert store.load(world.database, ALICE, URI) is None
    assert store.load_many(world.database, ALICE, [URI]) == {}
    keep(world, OLD)
    with world.database.transaction():
        store.ask(world.database, OLD, NOW)
    asked = OLD._replace(asked=True)
    assert store.load(world.database, ALICE, URI) == asked
    assert store.load_many(world.database, ALICE, [URI]) == {URI: asked}
    assert store.load(world.database, other.owner, other.uri) == other


def test_what_is_asked_for_already_is_fetched_as_it_was_to_be(world: World) -> None:
    keep(world, OLD._replace(next_at=None, asked=True))
    with world.database.transaction():
        store.ask(world.database, OLD, NOW)
    found = store.load(world.database, ALICE, URI)
    assert found is not None
    assert found.next_at is None


@pytest.mark.parametrize(("changes", "is_used"), IN_USE.values(), ids=IN_USE.keys())
def test_what_is_due_and_not_in_use_rests_and_is_forgotten_where_nothing_is_known(
    world: World, changes: dict[str, Any], is_used: bool
) -> None:
    keep(world, OLD)
    with world.database.transaction():
        subscriptions.create(world.database, subscription(**changes), 0, 0)
    assert is_left(world) is is_used


@pytest.mark.parametrize(("document", "is_used"), [(f"pres-rules/{ALICE}", True), (f"pres-rules/{BOB}", False), ("", False)])
def test_what_a_list_is_made_of_is_in_use(world: World, document: str, is_used: bool) -> None:
    keep(world, OLD)
    with world.database.transaction():
        lists.save_made_of(world.database, "kp-list-1", [document], {})
    assert is_left(world) is is_used


def is_left(world: World) -> bool:
    """Whether the document is fetched again, and its row stays."""
    with world.database.transaction():
        store.rest(world.database, OLD.next_at or 0)
    (found,) = store.load_many(world.database, ALICE, [URI]).values()
    with world.database.transaction():
        store.remove_over(world.database, NOW)
    (left,) = {found.next_at is not None, store.load(world.database, ALICE, URI) is not None}
    return left


def test_what_is_not_due_or_asked_for_does_not_rest(world: World) -> None:
    asked = OLD._replace(uri=f"{URI}2", asked=True)
    keep(world, OLD, asked)
    with world.database.transaction():
        store.rest(world.database, NOW + 59)
    assert store.load_many(world.database, ALICE, [URI]) == {URI: OLD}
    with world.database.transaction():
        store.rest(world.database, NOW + 60)
    assert store.load(world.database, ALICE, asked.uri) == asked


def test_what_was_confirmed_since_or_is_known_is_not_forgotten(world: World) -> None:
    known = OLD._replace(uri=f"{URI}2", known=Known.MISSING)
    later = OLD._replace(uri=f"{URI}3", since=NOW + 1)
    keep(world, OLD, known, later)
    assert {each.uri for each in store.over(world.database, NOW, 9)} == {OLD.uri, known.uri}
    with world.database.transaction():
        store.remove_over(world.database, NOW)
    assert store.load_many(world.database, ALICE, [each.uri for each in (OLD, known, later)]).keys() == {known.uri, later.uri}
