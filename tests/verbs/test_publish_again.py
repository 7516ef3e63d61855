"""PUBLISH that comes again, comes late, or fails half-way: kemi/presence/publish.py."""

from collections.abc import Sequence
from typing import Any

import pytest

from kemi.database import NOTHING, Parameters, Result, Row, Unavailable
from kemi.errors import ConditionalRequestFailed
from kemi.presence.publication import RETRANSMITTED_FOR
from tests.unit.values import PUBLISH, pidf
from tests.verbs.test_publish import CREATE, MODIFY, REFRESH, REMOVE, change
from tests.verbs.world import Counting, World

# The same request again


@pytest.mark.rfc("PUB-011")
@pytest.mark.parametrize("operation", [CREATE, MODIFY, REFRESH, REMOVE])
def test_a_request_that_comes_again_gets_the_same_answer(world: World, operation: int) -> None:
    tag = None if operation == CREATE else world.publish().tag
    body = pidf("t2") if operation in (CREATE, MODIFY) else b""
    request = PUBLISH._replace(entity_tag=tag, body=body, cseq=77, expires="0" if operation == REMOVE else "600")
    first = world.publish_request(request)
    before = world.publications()
    world.now += 1
    assert world.publish_request(request).reply == first.reply
    assert world.publications() == before
    assert len(before) == (0 if operation == REMOVE else 1)


@pytest.mark.rfc("PUB-002")
def test_the_entity_tag_of_a_removal_matches_nothing(world: World) -> None:
    gone = change(world, REMOVE, world.publish().tag)
    for operation in (MODIFY, REFRESH, REMOVE):
        with pytest.raises(ConditionalRequestFailed):
            change(world, operation, gone)
    assert world.publications() == []


@pytest.mark.rfc("PUB-011")
@pytest.mark.parametrize("since", [MODIFY, REFRESH])
def test_a_retransmission_that_comes_late_makes_no_second_publication(world: World, since: int) -> None:
    """Over UDP the second copy of an initial PUBLISH may arrive after what the client did next."""
    tag = world.publish_request(PUBLISH).tag
    world.now += 0.6
    change(world, since, tag)
    before = world.publications()
    world.now += 0.1
    assert world.publish_request(PUBLISH).reply.status == 200
    assert world.publications() == before


@pytest.mark.rfc("PUB-002", "PUB-011")
def test_a_retransmission_that_comes_late_does_not_bring_back_what_has_expired(world: World) -> None:
    """As long as it may come; then it is a client that counts from the same start again."""
    world.set(min_expires=1)
    request = PUBLISH._replace(expires="3")
    first = world.publish_request(request)
    change(world, MODIFY, first.tag, expires="3")
    for pause in (4, RETRANSMITTED_FOR - 5):
        world.now += pause
        world.tick()
        assert world.publish_request(request).reply == first.reply
        assert world.publications() == []
    world.now += 2
    world.tick()
    assert world.publish_request(request).reply.status == 200
    assert len(world.publications()) == 1


@pytest.mark.rfc("PUB-011")
def test_a_retransmission_that_comes_late_does_not_bring_back_what_was_removed(world: World) -> None:
    tag = world.publish_request(PUBLISH).tag
    world.now += 0.6
    change(world, REMOVE, tag)
    world.now += 0.1
    assert world.publish_request(PUBLISH).reply.status == 200
    assert world.publications() == []


@pytest.mark.rfc("PUB-002")
def test_a_client_that_counts_from_the_same_start_again_gets_another_publication(world: World) -> None:
    """Its first publication lives on under the tag that this request would have given."""
    first = world.publish_request(PUBLISH)
    world.now += 100
    second = world.publish_request(PUBLISH)
    assert second.tag != first.tag
    assert {each.etag for each in world.publications()} == {first.tag, second.tag}
    assert change(world, REFRESH, second.tag) not in (first.tag, second.tag)


# All or nothing


class BreaksAt(Counting):
    """A database that fails when this statement comes."""

    def __init__(self, inner: Any, name: str) -> None:
        super().__init__(inner)
        self._name = name

    def execute(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> Result:
        if name == self._name:
            raise Unavailable("the disk is full")
        return super().execute(name, parameters, rows)


@pytest.mark.rfc("PUB-009")
@pytest.mark.parametrize("operation", [CREATE, MODIFY, REMOVE])
def test_when_the_watchers_cannot_be_marked_nothing_is_published(world: World, operation: int) -> None:
    tag = world.publish().tag
    before = world.publications()
    plain, world.database = world.database, BreaksAt(world.database, "subscription_mark_due")
    with pytest.raises(Unavailable):
        change(world, operation, tag)
    world.database = plain
    assert world.publications() == before
    assert change(world, REFRESH, tag)
