"""Which rows each statement about publications means, and that it leaves those beside them alone: sql/queries/publication.sql."""

from typing import Any

import pytest

from kemi.presence import store
from kemi.presence.publication import Publication
from tests.unit.values import ALICE, BOB, NOW, PUBLICATION
from tests.verbs.world import World

OVER = PUBLICATION.expires_at
BESIDE: dict[str, dict[str, Any]] = {
    "another presentity": {"presentity": BOB},
    "another package": {"package": "dialog"},
    "another one of it": {"id": "two", "etag": "two"},
}
"""What stands beside the publication, and differs in one thing."""


def write(world: World, *rows: Publication) -> None:
    with world.database.transaction():
        for each in rows:
            store.put(world.database, each)


def created(world: World, most: int = 0) -> int:
    """How many rows there are more."""
    with world.database.transaction():
        result = store.create(world.database, PUBLICATION, most)
    return result.count


def everything(world: World) -> list[Publication]:
    return [each for package in ("presence", "dialog") for each in store.load_many(world.database, package, [ALICE, BOB], 0)]


@pytest.mark.rfc("PUB-003")
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_an_entity_tag_is_one_of_this_presentity_and_package(world: World, beside: dict[str, Any]) -> None:
    write(world, PUBLICATION._replace(**beside))
    assert not store.has_tag(world.database, "presence", ALICE, "one", NOW)
    assert not store.has_id(world.database, PUBLICATION)
    assert not store.published_since(world.database, PUBLICATION, NOW)
    write(world, PUBLICATION)
    assert store.has_tag(world.database, "presence", ALICE, "one", NOW)
    assert store.has_id(world.database, PUBLICATION)
    assert store.published_since(world.database, PUBLICATION, NOW)


@pytest.mark.rfc("PUB-003")
def test_an_entity_tag_is_one_of_a_live_publication_that_came_by_publish(world: World) -> None:
    write(world, PUBLICATION._replace(source="xcap"))
    assert not store.has_tag(world.database, "presence", ALICE, "one", NOW)
    write(world, PUBLICATION._replace(id="two", etag="two"))
    assert [store.has_tag(world.database, "presence", ALICE, "two", now) for now in (OVER - 1, OVER)] == [True, False]


@pytest.mark.rfc("PUB-011")
def test_a_tag_that_was_given_out_is_known_as_long_as_it_may_be_asked_for(world: World) -> None:
    write(world, PUBLICATION)
    assert not store.published_since(world.database, PUBLICATION, NOW + 1)
    later = PUBLICATION._replace(etag="two", published_at=NOW + 5)
    with world.database.transaction():
        swapped = store.swap(world.database, later, "one")
    assert swapped.count == 1
    first, second = (store.published_since(world.database, each, NOW + 5) for each in (PUBLICATION, later))
    assert (first, second, store.published_since(world.database, PUBLICATION, NOW)) == (False, True, True)


@pytest.mark.rfc("PUB-011")
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE.keys())
def test_a_removal_is_remembered_for_its_own_tag_alone(world: World, beside: dict[str, Any]) -> None:
    with world.database.transaction():
        store.record_removal(world.database, PUBLICATION._replace(**beside), beside.get("etag", "one"))
    assert not store.published_since(world.database, PUBLICATION, NOW)
    assert created(world) == 1


@pytest.mark.rfc("PUB-011")
def test_a_removal_is_forgotten_when_its_time_is_over_and_not_before(world: World) -> None:
    with world.database.transaction():
        store.record_removal(world.database, PUBLICATION, "one")
    store.forget_removals(world.database, NOW)
    assert [store.published_since(world.database, PUBLICATION, since) for since in (NOW, NOW + 1)] == [True, False]
    assert [store.deadlines(world.database, NOW, before) for before in (NOW, NOW + 1)] == [(False, False), (False, True)]
    assert created(world) == 0
    store.forget_removals(world.database, NOW + 1)
    assert not store.published_since(world.database, PUBLICATION, NOW)


@pytest.mark.parametrize("beside", [*BESIDE.values(), {"source": "management"}], ids=[*BESIDE.keys(), "another source"])
def test_what_is_taken_away_is_this_one(world: World, beside: dict[str, Any]) -> None:
    other = PUBLICATION._replace(**{"source": "xcap"} | beside)
    write(world, other)
    with world.database.transaction():
        assert store.take_away(world.database, PUBLICATION._replace(source="xcap")).rows() == []
    assert everything(world) == [other]


@pytest.mark.parametrize(("now", "taken"), [(OVER - 1, True), (OVER, False)])
def test_what_is_over_is_not_taken_away_but_expires(world: World, now: float, taken: bool) -> None:
    write(world, PUBLICATION._replace(source="xcap"))
    with world.database.transaction():
        done = store.take_away(world.database, PUBLICATION._replace(source="xcap", published_at=now))
    assert bool(done.rows()) is taken


@pytest.mark.rfc("PUB-007")
def test_expiry_is_of_what_is_over_and_of_its_presentity_and_package(world: World) -> None:
    rest = [PUBLICATION._replace(id="two", expires_at=OVER + 1), PUBLICATION._replace(presentity=BOB, expires_at=OVER + 1)]
    write(world, PUBLICATION, *rest)
    assert store.expired(world.database, OVER - 1, 9) == []
    assert store.expired(world.database, OVER, 9) == [(ALICE, "presence")]
    over = [PUBLICATION._replace(**each) for each in ({"presentity": BOB, "id": "three"}, {"package": "dialog"})]
    write(world, *over)
    with world.database.transaction():
        removed = store.remove_expired(world.database, ALICE, "presence", OVER, OVER)
    assert removed.count == 1
    assert set(everything(world)) == {*rest, *over}


@pytest.mark.rfc("SEC-015")
@pytest.mark.parametrize(
    ("beside", "count"),
    [
        ({"presentity": BOB}, 1), ({"package": "dialog"}, 1), ({"source": "registrar"}, 1), ({"expires_at": NOW}, 1),
        ({"expires_at": NOW + 1}, 0),
    ],
)  # fmt: skip
def test_a_presentity_has_its_most_of_live_publications_of_a_package(world: World, beside: dict[str, Any], count: int) -> None:
    write(world, PUBLICATION._replace(**{"id": "two", "etag": "two"} | beside))
    assert created(world, 1) == count


def test_what_is_shown_is_of_the_package(world: World) -> None:
    write(world, PUBLICATION, PUBLICATION._replace(package="dialog"))
    assert store.load_many(world.database, "presence", [ALICE], NOW) == [PUBLICATION]


def test_contacts_come_last_however_old_they_are(world: World) -> None:
    old = PUBLICATION._replace(id="r", source="registrar", created_at=NOW - 9)
    write(world, old, PUBLICATION)
    assert [each.id for each in store.load_many(world.database, "presence", [ALICE], NOW)] == ["one", "r"]
