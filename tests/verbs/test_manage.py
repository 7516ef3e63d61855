"""Manage: publications by the operator (SER handbook section 3, pa.publish)."""

from collections.abc import Callable

import pytest

from kemi.effects import Log, Wake
from kemi.errors import SipError
from kemi.presence import manage, pidf
from kemi.presence.manage import Managed
from kemi.presence.publication import Operation
from tests.unit.values import ALICE, BOB, PIDF
from tests.unit.values import pidf as document_of
from tests.verbs.world import World


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    return connect(notify_interval=0).empty()


def publish(world: World, body: bytes | None = None, lifetime: int = 600, content_type: str = PIDF) -> Managed:
    body = manage.document(ALICE, "open", "here", [], world.now) if body is None else body
    return manage.publish(world.moment, ALICE, body, content_type, lifetime)


def unpublish(world: World) -> Managed:
    return manage.unpublish(world.moment, ALICE)


def test_watchers_are_told_at_once(world: World) -> None:
    dialog = world.watch()
    done = publish(world)
    assert (done.operation, done.due, Wake() in done.effects) == (Operation.CREATE, 1, True)
    (notify,) = world.notifier()
    assert (notify.id, "here" in notify.body) == (dialog, True)


def test_nobody_is_woken_where_nobody_watches(world: World) -> None:
    done = publish(world)
    assert (done.due, [each for each in done.effects if isinstance(each, Wake)]) == (0, [])


def test_it_stands_beside_what_devices_publish(world: World) -> None:
    world.publish(document_of("t1", note="device"))
    publish(world)
    (first,) = world.subscribe().sent
    assert "device" in first.body
    assert "here" in first.body


def test_publishing_again_replaces_it(world: World) -> None:
    first = publish(world)
    world.now += 1
    second = publish(world, manage.document(ALICE, "closed", "gone", [], world.now))
    assert (second.operation, second.publication.created_at) == (Operation.MODIFY, first.publication.created_at)
    assert second.publication.etag != first.publication.etag
    (found,) = world.publications(at=world.now)
    assert (found.etag, found.source, b"gone" in found.body) == (second.publication.etag, "management", True)


def test_one_that_ran_out_is_not_replaced_but_made(world: World) -> None:
    publish(world, lifetime=60)
    world.now += 60
    done = publish(world)
    assert (done.operation, done.publication.created_at) == (Operation.CREATE, world.now)


def test_it_expires_like_any_other(world: World) -> None:
    world.watch()
    publish(world, lifetime=60)
    world.answer(*world.notifier())
    world.now += 60
    assert Wake() in world.tick()
    (notify,) = world.notifier()
    assert "here" not in notify.body


def test_without_a_lifetime_it_stays_until_it_is_removed(world: World) -> None:
    publish(world, lifetime=0)
    world.now += 20 * 365 * 86400
    world.tick()
    assert len(world.publications(at=world.now)) == 1
    unpublish(world)
    assert world.publications() == []


def test_removing_it_leaves_the_others(world: World) -> None:
    world.publish(document_of("t1", note="device"))
    publish(world)
    world.watch()
    done = unpublish(world)
    assert (done.operation, done.due) == (Operation.REMOVE, 1)
    (notify,) = world.notifier()
    assert ("device" in notify.body, "here" in notify.body) == (True, False)


def test_removing_nothing_is_an_error_and_marks_nobody(world: World) -> None:
    dialog = world.watch()
    with pytest.raises(ValueError, match=r"nothing is published for .* by management"):
        unpublish(world)
    assert world.subscription(dialog).due_at is None


@pytest.mark.parametrize("body", [b"", document_of("t1")])
def test_no_publish_can_touch_it(world: World, body: bytes) -> None:
    etag = publish(world).publication.etag
    for name in (etag, manage.ID):
        with pytest.raises(SipError) as refusal:
            world.publish(body, name)
        assert refusal.value.status == 412
    assert len(world.publications(at=world.now)) == 1


def test_limits_of_publications_are_for_clients(world: World) -> None:
    world.set(max_publications=1, max_publish_expiration=3600)
    world.publish()
    assert publish(world, lifetime=7200).publication.expires_at == world.now + 7200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"<presence/>", PIDF, 415),
        (b"no xml", PIDF, 415),
        (b"", PIDF, 415),
        (document_of("t1"), "text/plain", 415),
        (document_of("t1", note="x" * 65536), PIDF, 413),
    ],
)
def test_a_document_is_checked_as_that_of_a_publish(world: World, body: bytes, content_type: str, status: int) -> None:
    with pytest.raises(SipError) as refusal:
        publish(world, body, content_type=content_type)
    assert (refusal.value.status, world.publications()) == (status, [])


def test_it_is_two_statements(world: World) -> None:
    with world.counted() as names:
        publish(world)
    assert names == ["lock", "publication_put", "subscription_mark_due"]


def test_the_log_shows_no_document(world: World) -> None:
    (line,) = (each.text for each in publish(world).effects if isinstance(each, Log))
    assert "here" not in line
    assert f"presentity={ALICE}" in line


def test_a_watcher_who_subscribes_later_is_told(world: World) -> None:
    publish(world)
    assert "here" in world.subscribe(BOB).sent[0].body


# The document


def test_the_document_says_what_was_asked_for() -> None:
    written = manage.document(ALICE, "closed", "<Back> & forth", ["away", "other", "away"], 1_700_000_000.9)
    root = pidf.read(written, PIDF)
    names = {"p": pidf.PIDF, "dm": pidf.DATA_MODEL, "rp": pidf.RPID}
    assert root.get("entity") == ALICE
    assert root.findtext("p:tuple/p:status/p:basic", namespaces=names) == "closed"
    assert root.findtext("p:tuple/p:note", namespaces=names) == "<Back> & forth"
    assert root.findtext("p:tuple/p:timestamp", namespaces=names) == "2023-11-14T22:13:20Z"
    assert [each.tag for each in root.iterfind("dm:person/rp:activities/*", names)] == [
        f"{{{pidf.RPID}}}away",
        f"{{{pidf.RPID}}}other",
    ]
    assert root.findtext("dm:person/rp:activities/rp:other", namespaces=names) == "<Back> & forth"
    assert root.findtext("dm:person/dm:note", namespaces=names) == "<Back> & forth"


def test_there_is_no_person_where_nothing_is_said_of_one() -> None:
    assert b"person" not in manage.document(ALICE, "open", "", [], 0.0)


def test_activities_that_rpid_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="'dancing' is no activity; appointment, away, "):
        manage.document(ALICE, "open", "", ["away", "dancing"], 0.0)
    with pytest.raises(ValueError, match="unknown stands alone"):
        manage.document(ALICE, "open", "", ["away", "unknown"], 0.0)


@pytest.mark.parametrize("activity", manage.ACTIVITIES)
def test_every_activity_makes_a_document_that_can_be_published(activity: str) -> None:
    pidf.parse(manage.document(ALICE, "open", "note", [activity], 0.0), PIDF)
