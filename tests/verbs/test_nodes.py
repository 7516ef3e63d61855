"""Several nodes on one database: whichever of them tells, a watcher is told the same (RFC 3856 section 6.9)."""

from collections.abc import Callable

import pytest

from tests.unit.values import BOB, CAROL, pidf
from tests.verbs.world import World


@pytest.mark.rfc("PA-033")
def test_every_node_makes_the_same_document(world: World, connect: Callable[..., World]) -> None:
    other = connect()
    world.publish(pidf("phone", note="here"))
    other.publish(pidf("phone", note="there"))
    (first,), (second,) = world.subscribe(BOB).sent, other.subscribe(CAROL).sent
    assert "here" in first.body
    assert "there" in first.body
    assert first.body == second.body
    assert [line for line in first.headers.splitlines() if line.startswith("SIP-ETag")] == [
        line for line in second.headers.splitlines() if line.startswith("SIP-ETag")
    ]
