"""Which rows statements about documents mean, and which beside them they do not: sql/queries/xcap.sql, xcap_diff.sql."""

from dataclasses import dataclass
from typing import Any

import pytest

from kemi import store as subscriptions
from kemi.subscription import State
from kemi.xcap import diff_store, services, store
from kemi.xcap.diff_store import KEPT, MAX_CHANGES, Recorded
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.store import Stored
from tests.unit.values import ALICE, BOB, CAROL, NOW, subscription
from tests.verbs.world import World

INDEX = DocumentSelector("resource-lists", Tree.USERS, ALICE, "index")
BESIDE: dict[str, dict[str, Any]] = {
    "below global": {"tree": Tree.GLOBAL},
    "another user": {"xui": BOB},
    "another usage": {"auid": "pres-rules"},
    "another name": {"name": "other"},
}
"""What stands beside the document, and differs in one thing."""


@dataclass(frozen=True)
class Documents:
    """Those of a world."""

    world: World

    def write(self, *selectors: DocumentSelector, body: bytes = b"<x/>") -> None:
        with self.world.database.transaction():
            for each in selectors:
                store.create(self.world.database, stored(each, body))


def stored(selector: DocumentSelector, body: bytes = b"<x/>", etag: str = "one") -> Stored:
    return Stored(selector, etag, "application/xml", body, NOW)


@pytest.fixture
def documents(world: World) -> Documents:
    return Documents(world)


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_a_document_is_of_one_tree_user_usage_and_name(documents: Documents, beside: dict[str, Any]) -> None:
    other, database = INDEX._replace(**beside), documents.world.database
    documents.write(other)
    assert store.load(database, INDEX) is None
    documents.write(INDEX)
    with database.transaction():
        store.replace(database, stored(INDEX, b"<y/>", "two"))
    assert [store.load(database, each) for each in (INDEX, other)] == [stored(INDEX, b"<y/>", "two"), stored(other)]
    with database.transaction():
        store.remove(database, INDEX)
    assert [store.load(database, each) for each in (INDEX, other)] == [None, stored(other)]


@pytest.mark.parametrize("beside", [each for name, each in BESIDE.items() if name != "another name"])
def test_the_documents_of_a_user_are_no_others(documents: Documents, beside: dict[str, Any]) -> None:
    database = documents.world.database
    documents.write(INDEX, INDEX._replace(**beside))
    assert store.documents(database, "resource-lists", ALICE) == [stored(INDEX)]
    shown = [each.auid for each in store.directory(database, ALICE)]
    assert shown == (["pres-rules", "resource-lists"] if "auid" in beside else ["resource-lists"])
    assert [each.selector for each in store.list_all(database, ALICE, "resource-lists", 9)] == [INDEX]
    users = {INDEX, INDEX._replace(**beside)} if "xui" not in beside else {INDEX}
    assert diff_store.entity_tags(database, [ALICE]).keys() == users
    assert diff_store.bodies(database, [INDEX]).keys() == {INDEX}


def test_the_services_of_all_are_those_of_documents_called_index(documents: Documents) -> None:
    usage = INDEX._replace(auid="rls-services")
    body = '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip:{}@example.org"/></rls-services>'
    rows = {usage: "a", usage._replace(name="more"): "b", usage._replace(tree=Tree.GLOBAL): "c", usage._replace(xui=CAROL): "d"}
    rows |= {usage._replace(auid="x"): "e"}
    for selector, name in rows.items():
        documents.write(selector, body=body.format(name).encode())
    create = documents.world.database.execute
    create("xcap_service_create", {"xui": ALICE, "name": "index"}, [("sip:a@example.org",)])
    create("xcap_service_create", {"xui": CAROL, "name": "more"}, [("sip:b@example.org",)])
    together = services.union(documents.world.database)
    assert [name for name in "abcde" if f"sip:{name}@".encode() in together] == ["a"]


# Who watches documents


@pytest.mark.parametrize("changes", [{"package": "presence"}, {"state": State.PENDING}, {"watcher": BOB}])
def test_who_is_told_of_documents_watches_them_now(world: World, changes: dict[str, Any]) -> None:
    rows = [subscription(id=tag, package="xcap-diff", watcher=ALICE) for tag in ("kp-1", "kp-2")]
    with world.database.transaction():
        for each in (rows[0]._replace(**changes), rows[1]):
            subscriptions.create(world.database, each, 0, 0)
    assert [each.id for each in diff_store.watching(world.database, [ALICE])] == ["kp-2"]
    everybody = ["kp-1", "kp-2"] if "watcher" in changes else ["kp-2"]
    assert sorted(each.id for each in diff_store.watching(world.database, None)) == everybody


def test_who_is_marked_is_active_and_named(world: World) -> None:
    rows = [subscription(id="kp-1"), subscription(id="kp-2"), subscription(id="kp-3", state=State.PENDING)]
    with world.database.transaction():
        for each in rows:
            subscriptions.create(world.database, each, 0, 0)
    with world.database.transaction():
        assert len(diff_store.mark_due(world.database, ["kp-1", "kp-3"], NOW + 9, 0).rows()) == 1
    assert [world.subscription(each.id).due_at for each in rows] == [NOW + 9, None, None]


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_a_document_has_its_most_of_changes_for_itself(world: World, beside: dict[str, Any]) -> None:
    other = INDEX._replace(**beside)
    with world.database.transaction():
        for number in range(MAX_CHANGES + 1):
            diff_store.record(world.database, other, f"{number}", Recorded(f"{number + 1}", ""), NOW)
        diff_store.record(world.database, INDEX, "0", Recorded("1", ""), NOW)
    kept = diff_store.changes(world.database, [other, INDEX])
    assert (len(kept[other]), kept[INDEX]) == (MAX_CHANGES, {"0": Recorded("1", "")})


def test_changes_are_forgotten_after_their_time(world: World) -> None:
    with world.database.transaction():
        for number, now in enumerate((NOW, NOW + KEPT, NOW + KEPT + 1)):
            diff_store.record(world.database, INDEX, f"{number}", Recorded(f"{number + 1}", ""), now)
            assert ("0" in diff_store.changes(world.database, [INDEX])[INDEX]) == (now <= NOW + KEPT)
