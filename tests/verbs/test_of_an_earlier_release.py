"""A document that an earlier release has taken and this one cannot read: it is left out, and all else goes on."""

from collections.abc import Callable

import pytest

from kemi.presence import online, package, store
from tests.unit.values import ALICE, BOB, NOW, PIDF, PUBLICATION, pidf
from tests.unit.xcap.rules import rule
from tests.verbs.ruled import BOBS, WORK, Ruled, allow, sphere, states
from tests.verbs.world import World


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    """NOTIFYs are not held back; alice has published such a document."""
    world = connect(notify_interval=0).empty()
    store.put(world.database, PUBLICATION._replace(id="old", etag="old", body=b"<presence", source="publish"))
    return world


def test_watchers_see_what_else_is_published(world: World) -> None:
    world.publish(pidf("t1", note="here"))
    (first,) = world.subscribe().sent
    assert ">here<" in first.body


def test_rules_see_the_sphere_that_else_is_published(world: World) -> None:
    Ruled(world).put(allow(WORK), rule(BOBS, "confirm"))
    assert states(world.subscribe().sent) == ["pending"]
    world.publish(sphere("work"))
    assert states(world.subscribe().sent) == ["active"]


def test_who_has_published_nothing_else_is_not_online(world: World) -> None:
    assert not online.is_online(world.database, ALICE, NOW)
    closed = b'<tuple id="c"><status><basic>closed</basic></status></tuple>'
    world.publish(pidf("t1").replace(b'<tuple id="t1">', closed + b'<tuple id="t1">'))
    world.publish(pidf("t2").replace(b"open", b"closed"), presentity=BOB)
    assert online.online_among(world.database, [ALICE, BOB], NOW) == {ALICE}


def test_from_elsewhere_there_is_no_other_form_of_it() -> None:
    assert package.rewrite(b"<presence", PIDF, BOB, "application/cpim-pidf+xml") is None
    assert package.rewrite(pidf("t1"), PIDF, BOB, "application/cpim-pidf+xml") is not None
