"""PUBLISH on the database: kemi/presence/publish.py, RFC 3903 section 6."""

from typing import Any

import pytest
from lxml import etree

from kemi.effects import Reply, Wake
from kemi.errors import (
    BadEvent,
    BadRequest,
    BodyTooLarge,
    ConditionalRequestFailed,
    IntervalTooBrief,
    ServiceUnavailable,
    SipError,
    UnsupportedMediaType,
)
from kemi.presence import pidf as documents
from tests.unit.values import BOB, CAROL, PUBLISH, pidf
from tests.verbs.world import World, accepted

CREATE, MODIFY, REFRESH, REMOVE = range(4)


def change(world: World, operation: int, tag: str, **changes: Any) -> str:
    """One operation on the publication that has this tag; its new tag."""
    how: dict[int, dict[str, Any]] = {
        CREATE: {"tag": None},
        MODIFY: {"tag": tag, "body": pidf("t2")},
        REFRESH: {"tag": tag, "body": b""},
        REMOVE: {"tag": tag, "body": b"", "expires": "0"},
    }
    return world.publish(**(how[operation] | changes)).tag


def refused(world: World, kind: type[SipError], *arguments: Any, **changes: Any) -> SipError:
    """The refusal of a PUBLISH, which left every publication as it was."""
    before = world.publications()
    with pytest.raises(kind) as caught:
        world.publish(*arguments, **changes)
    assert world.publications() == before
    return caught.value


# Operations


@pytest.mark.rfc("PUB-001")
def test_initial_publication_leaves_those_of_other_agents_alone(world: World) -> None:
    first = world.publish(pidf("phone"))
    before = world.publications()
    world.now += 1
    second = world.publish(pidf("desk"), expires="300")
    assert (second.reply.status, second.header("Expires")) == (200, "300")
    assert world.publications()[:1] == before
    assert {each.etag for each in world.publications()} == {first.tag, second.tag}


@pytest.mark.rfc("PUB-020")
def test_a_2xx_has_expires_and_one_entity_tag_and_nothing_of_a_dialog(world: World) -> None:
    done = world.publish(contact="<sip:alice@192.0.2.9>", record_route="<sip:192.0.2.8;lr>")
    assert [name for name, _ in done.reply.headers] == ["Expires", "SIP-ETag"]
    assert done.sent == []


@pytest.mark.rfc("PUB-002")
def test_every_2xx_has_an_entity_tag_that_never_was_and_ends_the_one_before(world: World) -> None:
    tags = [world.publish().tag]
    for operation in (REFRESH, MODIFY, REFRESH, MODIFY, REMOVE):
        tags.append(change(world, operation, tags[-1]))
        for old in tags[:-1]:
            refused(world, ConditionalRequestFailed, b"", old)
    assert len(set(tags)) == len(tags)
    refused(world, ConditionalRequestFailed, b"", tags[-1])


@pytest.mark.rfc("PUB-004")
def test_refresh_prolongs_and_changes_no_content(world: World) -> None:
    tag = world.publish(pidf("t1"), expires="100").tag
    world.now += 50
    change(world, REFRESH, tag, expires="200")
    (row,) = world.publications()
    assert (row.body, row.expires_at, row.created_at) == (pidf("t1"), world.now + 200, world.now - 50)


@pytest.mark.rfc("PUB-004")
def test_the_refresh_of_a_publication_tells_nobody(world: World) -> None:
    tag = world.publish().tag
    world.watch()
    done = world.publish(b"", tag)
    assert not any(isinstance(effect, Wake) for effect in done.effects)
    assert world.notifier() == []


@pytest.mark.rfc("PUB-005")
def test_modify_replaces_the_document_as_a_whole(world: World) -> None:
    tag = world.publish(pidf("t1", "t2")).tag
    dialog = world.watch()
    world.set(notify_interval=0)
    world.publish(pidf("t2"), tag)
    (told,) = world.notifier()
    assert told.id == dialog
    assert tuple_ids(told.body) == ["t2"]
    assert [row.body for row in world.publications()] == [pidf("t2")]


@pytest.mark.rfc("PUB-005")
def test_a_publication_keeps_its_id_through_modifications(world: World) -> None:
    tag = world.publish().tag
    (before,) = world.publications()
    change(world, REFRESH, change(world, MODIFY, tag))
    (after,) = world.publications()
    assert (after.id, after.created_at) == (before.id, before.created_at)


@pytest.mark.rfc("PUB-006")
@pytest.mark.parametrize("body", [b"", pidf("t1"), b"no matter what"])
def test_remove_deletes_at_once_and_watchers_see_it(world: World, body: bytes) -> None:
    tag = world.publish(pidf("t1")).tag
    world.watch()
    world.set(notify_interval=0)
    done = world.publish(body, tag, expires="0")
    assert (done.reply.status, done.header("Expires")) == (200, "0")
    assert world.publications() == []
    (told,) = world.notifier()
    assert tuple_ids(told.body) == ["offline"]


@pytest.mark.rfc("PUB-019")
def test_initial_publication_for_no_time_stores_nothing(world: World) -> None:
    assert world.publish(expires="0").header("Expires") == "0"
    assert world.publications() == []


# Expires


@pytest.mark.rfc("PUB-017")
def test_without_expires_the_default_is_granted(world: World) -> None:
    world.set(default_expires=1800)
    assert world.publish(expires=None).header("Expires") == "1800"
    assert world.publications()[0].expires_at == world.now + 1800


@pytest.mark.rfc("PUB-017")
def test_the_default_is_not_above_the_most_that_is_granted(world: World) -> None:
    world.set(default_expires=3600, max_publish_expiration=600)
    assert world.publish(expires=None).header("Expires") == "600"


@pytest.mark.rfc("PUB-017")
@pytest.mark.parametrize(("asked", "granted"), [("60", "60"), ("3599", "3599"), ("3601", "3600"), ("4294967296", "3600")])
def test_granted_time_is_never_longer_than_asked_for(world: World, asked: str, granted: str) -> None:
    assert world.publish(expires=asked).header("Expires") == granted


@pytest.mark.rfc("PUB-018")
@pytest.mark.parametrize("asked", ["1", "59"])
def test_too_short_an_expiry_is_told_the_minimum(world: World, asked: str) -> None:
    assert refused(world, IntervalTooBrief, expires=asked).headers == (("Min-Expires", "60"),)


@pytest.mark.parametrize("asked", ["", "soon", "-1", "1.5"])
def test_expires_that_is_no_number(world: World, asked: str) -> None:
    refused(world, BadRequest, expires=asked)


# SIP-If-Match


@pytest.mark.rfc("PUB-003")
@pytest.mark.parametrize("operation", [MODIFY, REFRESH, REMOVE])
@pytest.mark.parametrize("fault", ["unknown", "replaced", "expired", "removed", "of another presentity", "of another package"])
def test_an_entity_tag_that_does_not_match_changes_nothing(world: World, operation: int, fault: str) -> None:
    world.serve(name="other")
    tag = world.publish(expires="60").tag
    if fault == "unknown":
        tag = "unknown"
    elif fault == "replaced":
        change(world, MODIFY, tag)
    elif fault == "expired":
        world.now += 60
    elif fault == "removed":
        change(world, REMOVE, tag)
    elif fault == "of another presentity":
        tag = world.publish(presentity=CAROL).tag
    else:
        tag = world.publish(event="other").tag
    before = [world.publications(*which) for which in ((), (CAROL,), ("sip:alice@example.org", "other"))]
    with pytest.raises(ConditionalRequestFailed):
        change(world, operation, tag)
    assert [world.publications(*which) for which in ((), (CAROL,), ("sip:alice@example.org", "other"))] == before


@pytest.mark.rfc("PUB-003")
def test_a_refused_publish_notifies_nobody(world: World) -> None:
    world.publish()
    world.watch()
    world.set(notify_interval=0)
    with pytest.raises(ConditionalRequestFailed):
        world.publish(pidf("t2"), "unknown")
    assert world.notifier() == []


@pytest.mark.rfc("PUB-016")
@pytest.mark.parametrize("value", ["", " ", "a,b", "a, b", '"a"', "a b", "<a>"])
def test_if_match_that_is_not_one_token(world: World, value: str) -> None:
    world.publish()
    refused(world, BadRequest, tag=value)


@pytest.mark.rfc("PUB-016")
def test_an_asterisk_is_a_token_that_matches_nothing(world: World) -> None:
    world.publish()
    refused(world, ConditionalRequestFailed, tag="*")


# Event and body


@pytest.mark.rfc("PUB-012")
@pytest.mark.parametrize("event", [None, "dialog", "Presence", "presence.winfo", "watched"])
def test_a_package_that_is_not_published_here(world: World, event: str | None) -> None:
    world.serve(name="watched", consumes=())
    assert refused(world, BadEvent, event=event).headers == (("Allow-Events", "presence"),)


@pytest.mark.rfc("PUB-013")
@pytest.mark.rfc("SEC-008")
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", pidf("t1")),
        ("application/xml", pidf("t1")),
        (None, pidf("t1")),
        ("application/pidf+xml", b"<presence"),
        ("application/pidf+xml", b"<presence/>"),
        ("application/pidf+xml", b"<!DOCTYPE p>" + pidf("t1")),
        ("application/pidf+xml;charset=klingon", pidf("t1")),
        ("application/pidf+xml", b"\xff\x00\x00"),
    ],
)
def test_a_body_that_is_not_taken_is_told_what_is(world: World, content_type: str | None, body: bytes) -> None:
    refusal = refused(world, UnsupportedMediaType, body, content_type=content_type)
    assert ("Accept", "application/pidf+xml, application/cpim-pidf+xml") in refusal.headers


@pytest.mark.rfc("SEC-010")
def test_an_encoded_body_is_told_the_encodings(world: World) -> None:
    refusal = refused(world, UnsupportedMediaType, content_encoding="gzip")
    assert ("Accept-Encoding", "identity") in refusal.headers
    assert world.publish(content_encoding="Identity").reply.status == 200


@pytest.mark.rfc("SEC-009")
def test_a_body_above_the_limit(world: World) -> None:
    world.set(max_body=1024)
    refused(world, BodyTooLarge, pidf("t1", note="x" * 1024))
    assert world.publish(pidf("t1").ljust(1024)).reply.status == 200


@pytest.mark.rfc("PUB-014")
@pytest.mark.parametrize("expires", [None, "600", "0"])
def test_neither_entity_tag_nor_body(world: World, expires: str | None) -> None:
    refused(world, BadRequest, b"", expires=expires)


@pytest.mark.rfc("PUB-021")
@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"event": "dialog", "tag": "a,b", "expires": "1", "body": b"bad"}, BadEvent),
        ({"tag": "a,b", "expires": "1", "body": b"bad"}, BadRequest),
        ({"tag": "unknown", "expires": "1", "body": b"bad"}, ConditionalRequestFailed),
        ({"tag": "unknown", "expires": "soon"}, ConditionalRequestFailed),
        ({"tag": "unknown", "body": b"bad"}, ConditionalRequestFailed),
        ({"tag": "unknown", "content_type": "text/plain"}, ConditionalRequestFailed),
        ({"tag": "known", "expires": "1", "body": b"bad"}, IntervalTooBrief),
        ({"expires": "1", "body": b"bad"}, IntervalTooBrief),
        ({"tag": "known", "body": b"bad"}, UnsupportedMediaType),
    ],
)
def test_the_first_check_that_fails_decides(world: World, changes: dict[str, Any], kind: type[SipError]) -> None:
    known = world.publish().tag
    tag = known if changes.get("tag") == "known" else changes.get("tag")
    assert type(refused(world, kind, **(changes | {"tag": tag}))) is kind


# Composition


def tuple_ids(body: str) -> list[str]:
    return [str(each.get("id")) for each in etree.fromstring(body.encode()).iterchildren(documents.TUPLE)]


@pytest.mark.rfc("PUB-022")
def test_two_agents_may_use_the_same_tuple_id(world: World) -> None:
    world.publish(pidf("t1", note="phone"))
    world.publish(pidf("t1", note="desk"))
    (first,) = world.subscribe().sent
    names = tuple_ids(first.body)
    assert (len(names), len(set(names))) == (2, 2)
    assert "phone" in first.body
    assert "desk" in first.body


@pytest.mark.rfc("PUB-022")
def test_a_tuple_keeps_its_composed_id_when_the_other_agent_goes(world: World) -> None:
    world.set(notify_interval=0)
    phone = world.publish(pidf("t1")).tag
    world.now += 1
    world.publish(pidf("t1"))
    (both,) = world.subscribe().sent
    world.answer(both)
    change(world, REMOVE, phone)
    (alone,) = world.notifier()
    assert tuple_ids(alone.body) == tuple_ids(both.body)[1:]


@pytest.mark.rfc("PUB-023")
@pytest.mark.rfc("PA-034")
def test_publishing_what_is_known_already_causes_no_notify(world: World) -> None:
    world.set(notify_interval=0)
    tag = world.publish(pidf("t1")).tag
    dialog = world.watch()
    world.now += 10
    done = world.publish(pidf("t1"), tag)
    assert Wake() in done.effects
    assert world.notifier() == []
    assert world.subscription(dialog).due_at is None


# Limits, cost


@pytest.mark.rfc("SEC-015")
def test_the_most_publications_of_a_presentity(world: World) -> None:
    world.set(max_publications=2)
    tag = world.publish().tag
    world.publish()
    refusal = refused(world, ServiceUnavailable)
    assert [name for name, _ in refusal.headers] == ["Retry-After"]
    assert world.publish(presentity=CAROL).reply.status == 200
    assert change(world, MODIFY, tag)


@pytest.mark.rfc("SEC-015")
def test_a_retransmission_is_answered_also_when_no_more_publications_fit(world: World) -> None:
    world.set(max_publications=1)
    first = world.publish_request(PUBLISH)
    assert world.publish_request(PUBLISH).reply == first.reply


@pytest.mark.parametrize(
    ("operation", "statements"),
    [
        (CREATE, ["publication_create", "subscription_mark_due"]),
        (MODIFY, ["publication_modify", "subscription_mark_due"]),
        (REFRESH, ["publication_refresh"]),
        (REMOVE, ["publication_remove", *["publication_record_removal"] * 2, "subscription_mark_due"]),
    ],
)
def test_a_publish_costs_the_same_statements_however_many_watch(world: World, operation: int, statements: list[str]) -> None:
    tag = world.publish().tag
    for _ in range(5):
        world.watch()
    with world.counted() as names:
        change(world, operation, tag)
    assert names == ["lock", *statements]


def test_the_notifier_is_called_only_when_somebody_watches(world: World) -> None:
    assert not any(isinstance(effect, Wake) for effect in world.publish().effects)
    world.watch()
    world.subscribe(BOB, CAROL)
    assert [effect for effect in world.publish().effects if isinstance(effect, Wake)] == [Wake(blocked=False)]


def test_the_notifier_is_told_that_it_has_to_wait_for_an_answer(world: World) -> None:
    world.watch()
    world.subscribe()
    assert Wake(blocked=True) in world.publish().effects


def test_the_answer_comes_before_everything_else(world: World) -> None:
    world.watch()
    done = world.publish()
    assert isinstance(done.effects[0], Reply)
    assert accepted(done.effects).reply is done.reply
