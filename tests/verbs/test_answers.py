"""What becomes of a subscription when its NOTIFY is answered, or is not: kemi/notify.py, RFC 6665 section 4.2.2."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kemi.answer import Answer
from kemi.database import Unavailable
from kemi.effects import SendRequest
from kemi.subscription import GRACE, TIMER_F
from tests.unit.values import CAROL, pidf
from tests.verbs.world import Counting, World, state_of

ENDING = [404, 405, 410, 416, *range(480, 486), 489, 501, 604]
KEEPING = [300, 302, 400, 401, 403, 406, 407, 413, 415, 420, 423, 486, 488, 491, 500, 502, 503, 504, 600, 603, 606]

GRUU, DEVICE = "sip:bob@example.org;gr=1", "sip:bob@198.51.100.7:5062"


@contextmanager
def silent_at_the_end(world: World) -> Iterator[None]:
    """What is done inside is committed, and nobody gets to know."""
    plain, counting = world.database, Counting(world.database)

    @contextmanager
    def transaction() -> Iterator[None]:
        with plain.transaction():
            yield
        raise Unavailable("silent")

    counting.transaction = transaction  # type: ignore[method-assign,assignment]
    world.database = counting
    try:
        yield
    finally:
        world.database = plain


@pytest.fixture
def first(world: World) -> SendRequest:
    """The first NOTIFY of a subscription, in flight."""
    world.set(notify_interval=0)
    world.publish()
    (request,) = world.subscribe().sent
    return request


@pytest.mark.rfc("PA-007")
@pytest.mark.parametrize("status", ENDING)
def test_an_answer_that_ends_the_subscription(world: World, first: SendRequest, status: int) -> None:
    assert world.answer(first, status) == []
    assert not world.has_subscription(first.id)
    world.publish(pidf("t2"))
    assert world.notifier() == []


@pytest.mark.rfc("PA-007")
def test_an_ending_answer_to_an_older_notify_says_nothing(world: World, first: SendRequest) -> None:
    """The watcher has moved since, and somebody else may be where it was."""
    (told,) = world.refresh(first.id, contact="<sip:bob@198.51.100.9>").sent or world.notifier()
    assert told.cseq == 2
    assert world.answer(first, 481) == []
    assert world.answer(told) == []
    assert world.has_subscription(first.id)


@pytest.mark.rfc("PA-007")
def test_an_ending_answer_to_an_older_notify_says_nothing_of_one_that_is_lost(world: World, first: SendRequest) -> None:
    world.refresh(first.id, contact="<sip:bob@198.51.100.9>")
    (told,) = world.notifier()
    world.notifier(Answer(first.id, first.cseq, 481), Answer(told.id, told.cseq, 500))
    assert world.subscription(first.id).in_flight_since is None


@pytest.mark.rfc("PA-007")
@pytest.mark.parametrize(
    "answer", [{"status": 481}, {"status": 408}, {"contact": DEVICE}, {"event": "presence;max-rate=0.01"}]
)  # fmt: skip
@pytest.mark.parametrize("condition", [None, "*"])
def test_an_answer_from_where_the_watcher_was_says_nothing(
    world: World, first: SendRequest, answer: dict[str, Any], condition: str | None
) -> None:
    """Also when it comes before the next NOTIFY, which has another CSeq, or there is none: the condition holds."""
    moved = world.refresh(first.id, contact="<sip:bob@198.51.100.9>", suppress=condition)
    told = world.answer(first, **answer)
    assert (moved.reply.status, len(told)) == ((200, 1) if condition is None else (204, 0))
    known = world.subscription(first.id)
    assert (known.remote_target, known.rates) == ("sip:bob@198.51.100.9", "")


@pytest.mark.rfc("PA-008")
@pytest.mark.rfc("TRN-024")
@pytest.mark.parametrize("status", KEEPING)
def test_an_answer_that_loses_just_that_notify(world: World, first: SendRequest, status: int) -> None:
    assert world.answer(first, status) == []
    world.publish(pidf("t2"))
    (told,) = world.notifier()
    assert (told.id, told.cseq) == (first.id, 2)


@pytest.mark.rfc("PA-008")
def test_what_was_lost_is_told_with_the_next_change_also_if_that_leads_back(world: World, first: SendRequest) -> None:
    world.answer(first)
    tag = world.publish(pidf("t2")).tag
    (lost,) = world.notifier()
    world.answer(lost, 500)
    world.publish(b"", tag, expires="0")
    (told,) = world.notifier()
    assert "t2" not in told.body


@pytest.mark.rfc("PA-008")
def test_a_failure_while_something_is_due_is_followed_by_it(world: World, first: SendRequest) -> None:
    world.publish(pidf("t2"))
    assert [each.cseq for each in world.answer(first, 500)] == [2]


@pytest.mark.rfc("PA-009")
def test_a_proxys_word_for_silence_ends_the_subscription(world: World, first: SendRequest) -> None:
    world.answer(first, 408)
    assert not world.has_subscription(first.id)


@pytest.mark.rfc("PA-009")
def test_silence_ends_the_subscription_without_farewell(world: World, first: SendRequest) -> None:
    world.publish(pidf("t2"))
    world.now += TIMER_F + GRACE - 0.1
    assert world.tick() == []
    assert world.notifier() == []
    assert world.has_subscription(first.id)
    world.now += 0.1
    assert world.tick() != []
    assert world.notifier() == []
    assert not world.has_subscription(first.id)


@pytest.mark.rfc("PA-009")
def test_a_silent_watcher_does_not_hold_up_the_others(world: World, first: SendRequest) -> None:
    other = world.watch()
    world.now += TIMER_F + GRACE
    world.publish(pidf("t2"))
    assert [each.id for each in world.notifier()] == [other]


@pytest.mark.parametrize("status", [200, 202, 299])
def test_a_2xx_settles_the_notify(world: World, first: SendRequest, status: int) -> None:
    assert world.answer(first, status) == []
    kept = world.subscription(first.id)
    assert (kept.in_flight_since, kept.next_at) == (None, kept.expires_at)


@pytest.mark.rfc("TRN-004")
def test_contact_in_a_2xx_is_the_new_remote_target(world: World, first: SendRequest) -> None:
    world.answer(first, contact="sip:bob@198.51.100.9:5070")
    world.publish(pidf("t2"))
    (told,) = world.notifier()
    assert told.uri == "sip:bob@198.51.100.9:5070"
    world.answer(told)
    world.publish(pidf("t3"))
    assert [each.uri for each in world.notifier()] == ["sip:bob@198.51.100.9:5070"]


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize(
    "contact", ["sip:bob@127.0.0.1:25", "sip:bob@localhost", "sip:bob@192.0.2.1", "sip:bob@192.0.2.1:5060;transport=tcp"]
)
def test_a_2xx_leads_no_notify_to_where_no_contact_may_be(world: World, first: SendRequest, contact: str) -> None:
    world.answer(first, contact=contact)
    world.publish(pidf("t2"))
    assert [each.uri for each in world.notifier()] == [first.uri]


@pytest.mark.parametrize(("before", "answered"), [(GRUU, DEVICE), (DEVICE, GRUU)])
def test_a_2xx_brings_no_dialog_to_the_location_table_and_takes_none_from_it(world: World, before: str, answered: str) -> None:
    world.set(notify_interval=0)
    (first,) = world.subscribe(contact=f"<{before}>").sent
    world.answer(first, contact=answered)
    world.publish(pidf("t2"))
    (told,) = world.notifier()
    assert (told.uri, told.next_hop) == (first.uri, first.next_hop)


@pytest.mark.rfc("TRN-004")
def test_contact_in_a_failure_is_not(world: World, first: SendRequest) -> None:
    world.answer(first, 302, contact="sip:bob@198.51.100.9:5070")
    assert world.subscription(first.id).remote_target == first.uri


# Trying again


def test_retry_after_says_when_the_notify_is_tried_again(world: World, first: SendRequest) -> None:
    assert world.answer(first, 503, retry_after=20) == []
    world.now += 19
    assert world.notifier() == []
    world.now += 1
    (again,) = world.notifier()
    assert (again.cseq, again.body) == (2, first.body)


@pytest.mark.rfc("PA-025")
def test_retry_after_beyond_the_expiry_does_not_delay_the_end(world: World, first: SendRequest) -> None:
    world.answer(first, 503, retry_after=86400)
    world.now += 600
    assert [state_of(each) for each in world.notifier()] == ["terminated;reason=timeout"]


def test_what_could_not_be_sent_is_tried_again_later(world: World, first: SendRequest) -> None:
    assert world.answer(first, 0) == []
    world.now += TIMER_F
    (again,) = world.notifier()
    assert (again.id, again.cseq, again.body) == (first.id, 2, first.body)


def test_a_failed_notify_that_is_tried_again_carries_the_newest_state(world: World, first: SendRequest) -> None:
    world.answer(first, 503, retry_after=20)
    world.now += 20
    world.publish(pidf("t1", note="newest"))
    assert ["newest" in each.body for each in world.notifier()] == [True]


# The last NOTIFY


@pytest.mark.rfc("PA-005")
@pytest.mark.parametrize("status", [200, 481, 408, 500, 603, 302, 401, 0])
def test_what_is_terminated_goes_with_its_last_notify_whatever_the_answer(world: World, status: int) -> None:
    (only,) = world.subscribe(expires="0").sent
    assert world.answer(only, status) == []
    assert not world.has_subscription(only.id)


@pytest.mark.rfc("PA-005")
def test_a_watcher_cannot_keep_what_is_terminated_by_asking_for_another_time(world: World) -> None:
    (only,) = world.subscribe(expires="0").sent
    world.answer(only, 503, retry_after=86400)
    assert not world.has_subscription(only.id)


# Answers that are not to the NOTIFY in flight


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_to_an_earlier_notify_settles_nothing(world: World, first: SendRequest, status: int) -> None:
    world.answer(first)
    world.publish(pidf("t2"))
    (second,) = world.notifier()
    before = world.subscription(first.id)
    assert world.answer(first, status) == []
    assert world.subscription(first.id) == before
    assert world.answer(second) == []


def test_an_answer_that_comes_twice(world: World, first: SendRequest) -> None:
    twice = [Answer(first.id, first.cseq, 200)] * 2
    assert world.notifier(*twice) == []
    assert world.notifier(*twice) == []
    world.publish(pidf("t2"))
    assert [each.cseq for each in world.notifier()] == [2]


def test_an_answer_in_a_dialog_that_is_gone(world: World, first: SendRequest) -> None:
    world.answer(first, 481)
    for status in (200, 481, 500, 0):
        assert world.answer(first, status) == []


def test_answers_of_many_are_settled_together(world: World, first: SendRequest) -> None:
    """One statement locks, one is for what was answered, one for what failed, one for what has ended, two report it."""
    requests = [first, *(world.subscribe(CAROL).sent[0] for _ in range(5))]
    statuses = (200, 200, 500, 503, 481, 604)
    with world.counted() as names:
        world.notifier(*(Answer(each.id, each.cseq, status) for each, status in zip(requests, statuses, strict=True)))
    assert names == [
        "subscription_lock",
        "subscription_answered",
        "subscription_failed",
        "subscription_remove",
        "subscription_mark_telling",
        "watcher_record",
        "subscription_claim",
    ]
    assert [world.has_subscription(each.id) for each in requests] == [True] * 4 + [False] * 2


@pytest.mark.rfc("PA-009")
def test_what_was_written_down_as_told_and_not_sent_is_told_at_last(world: World, first: SendRequest) -> None:
    """A database that falls silent while it commits may have done so all the same: nobody was told, and nobody ends by that."""
    world.answer(first)
    world.publish(pidf("t2"))
    with silent_at_the_end(world), pytest.raises(Unavailable):
        world.notifier()
    assert world.subscription(first.id).in_flight_since == world.now
    world.now += TIMER_F + GRACE
    (told,) = world.notifier() or world.notifier()
    assert (told.cseq, "t2" in told.body) == (3, True)
    world.now += TIMER_F + GRACE
    assert world.notifier() == []
    assert not world.has_subscription(first.id)
