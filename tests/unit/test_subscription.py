"""The states of a subscription: kemi/subscription.py, RFC 6665 section 4.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import subscription as machine
from kemi.event_package import Authorization, Decision
from kemi.subscription import GRACE, TIMER_F, Reason, Removed, State, Subscription
from tests.unit.values import ALICE, BOB, NOW, subscription

PENDING, ACTIVE, TERMINATED = State.PENDING, State.ACTIVE, State.TERMINATED


@pytest.mark.rfc("PA-026")
@pytest.mark.parametrize(
    ("state", "decision", "after", "reason"),
    [
        (PENDING, Decision.ALLOW, ACTIVE, None),
        (PENDING, Decision.POLITE_BLOCK, ACTIVE, None),
        (PENDING, Decision.CONFIRM, PENDING, None),
        (PENDING, Decision.BLOCK, TERMINATED, Reason.REJECTED),
        (ACTIVE, Decision.ALLOW, ACTIVE, None),
        (ACTIVE, Decision.POLITE_BLOCK, ACTIVE, None),
        (ACTIVE, Decision.CONFIRM, PENDING, None),
        (ACTIVE, Decision.BLOCK, TERMINATED, Reason.REJECTED),
        (TERMINATED, Decision.ALLOW, TERMINATED, Reason.TIMEOUT),
        (TERMINATED, Decision.CONFIRM, TERMINATED, Reason.TIMEOUT),
        (TERMINATED, Decision.BLOCK, TERMINATED, Reason.TIMEOUT),
    ],
)
def test_what_rules_make_of_a_subscription(state: State, decision: Decision, after: State, reason: Reason | None) -> None:
    before = subscription(state=state, reason=Reason.TIMEOUT if state is TERMINATED else None)
    found = machine.decided(before, Authorization(decision), NOW)
    assert (found.state, found.reason) == (after, reason)
    assert state is TERMINATED or found.decision is decision


@pytest.mark.rfc("WINFO-005")
@pytest.mark.parametrize(
    ("state", "decision", "event"),
    [
        (PENDING, Decision.CONFIRM, "deactivated"),
        (ACTIVE, Decision.ALLOW, "deactivated"),
        (PENDING, Decision.ALLOW, "approved"),
        (ACTIVE, Decision.CONFIRM, "subscribe"),
    ],
)
def test_what_led_to_a_state_is_the_same_while_the_state_is(state: State, decision: Decision, event: str) -> None:
    before = subscription(state=state, watcher_event="deactivated")
    assert machine.decided(before, Authorization(decision), NOW).watcher_event == event


@pytest.mark.rfc("WINFO-015")
@pytest.mark.parametrize(
    ("state", "lifetime", "was_reported"),
    [(ACTIVE, 600, True), (ACTIVE, 0, False), (PENDING, 600, True), (PENDING, 0, True), (TERMINATED, 600, False)],
)
def test_an_end_is_news_of_who_was_told_of_as_living_and_of_who_waits_after_a_fetch(
    state: State, lifetime: float, was_reported: bool
) -> None:
    known = Removed("kp-1", "presence", ALICE, BOB, "a7", "", NOW, NOW + lifetime, state)
    assert known.was_reported is was_reported


@pytest.mark.rfc("PA-032", "PA-052")
def test_nothing_is_repeated_faster_than_the_server_tells_changes() -> None:
    rated = subscription(rates="adaptive-min-rate=0.2")
    assert rated.repeated_after((NOW,), 0, NOW) == NOW + 1.25
    assert rated.repeated_after((NOW,), 5, NOW) == NOW + 5


@pytest.mark.rfc("PA-052", "PA-054")
def test_a_rate_that_comes_with_an_answer_counts_the_notify_that_was_answered() -> None:
    rated = subscription(rates="adaptive-min-rate=1", recent="", notified_at=NOW).repeating(0)
    assert (rated.times, rated.repeat_at) == ((NOW,), NOW + 0.25)


@pytest.mark.parametrize("state", [PENDING, ACTIVE])
def test_an_end_leaves_one_notify_to_send(state: State) -> None:
    found = machine.ended(subscription(state=state), Reason.NORESOURCE, NOW + 5)
    assert (found.state, found.reason, found.due_at, found.next_at) == (TERMINATED, Reason.NORESOURCE, NOW + 5, NOW + 5)


@pytest.mark.rfc("PA-028")
def test_the_first_reason_stays() -> None:
    once = machine.ended(subscription(), Reason.REJECTED, NOW)
    assert machine.ended(once, Reason.TIMEOUT, NOW + 1) == once


@pytest.mark.rfc("TRN-025")
def test_what_is_due_waits_for_the_answer_to_the_one_in_flight() -> None:
    assert machine.due(subscription(), NOW + 1).next_at == NOW + 1
    waiting = machine.due(subscription(in_flight_since=NOW, next_at=NOW + 34), NOW + 1)
    assert (waiting.due_at, waiting.next_at) == (NOW + 1, NOW + 34)


@pytest.mark.rfc("PA-012")
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("decision", list(Decision))
def test_who_sees_a_document(state: State, decision: Decision) -> None:
    sees = subscription(state=state, decision=decision).sees_document
    assert sees == (decision in (Decision.ALLOW, Decision.POLITE_BLOCK))


@pytest.mark.rfc("PA-031")
@given(lifetime=st.integers(0, 10**6), passed=st.floats(0, 2 * 10**6))
def test_the_seconds_left_are_never_more_than_granted_nor_negative(lifetime: int, passed: float) -> None:
    left = subscription(expires_at=NOW + lifetime).seconds_left(NOW + passed)
    assert 0 <= left <= lifetime
    assert abs(left - max(0, lifetime - passed)) <= 0.5 + 1e-6


@pytest.mark.rfc("PA-007")
@pytest.mark.rfc("PA-008")
@pytest.mark.rfc("PA-009")
def test_the_answers_that_end_a_subscription_are_those_of_the_rfc_and_silence() -> None:
    ending = {404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604}
    assert {status for status in range(100, 700) if machine.is_ended_by(status)} == ending | {408}


@pytest.mark.rfc("PA-009")
def test_an_answer_is_waited_for_until_timer_f_and_a_little_longer() -> None:
    assert machine.answer_deadline(NOW) == NOW + TIMER_F + GRACE
    assert TIMER_F == 32
    assert GRACE > 0


@pytest.mark.rfc("PA-027")
def test_reasons_are_registered_words() -> None:
    registered = {"deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant", "badfilter"}
    assert {reason.value for reason in Reason} <= registered


Event = tuple[str, Decision | Reason | None]


def step(before: Subscription, event: Event, now: float) -> Subscription:
    name, value = event
    if isinstance(value, Decision):
        return machine.decided(before, Authorization(value), now)
    if isinstance(value, Reason):
        return machine.ended(before, value, now)
    assert name == "due"
    return machine.due(before, now)


EVENTS = st.one_of(
    st.tuples(st.just("decided"), st.sampled_from(Decision)),
    st.tuples(st.just("ended"), st.sampled_from(Reason)),
    st.just(("due", None)),
)


@given(st.lists(EVENTS, max_size=20), st.booleans())
def test_in_any_order_the_end_is_the_end_and_has_one_reason(
    events: list[tuple[str, Decision | Reason | None]], waits: bool
) -> None:
    """In any order of events over the database: tests/verbs/test_any_order.py."""
    found = subscription(in_flight_since=NOW if waits else None, next_at=NOW + 34 if waits else NOW + 600)
    for number, event in enumerate(events):
        before, found = found, step(found, event, NOW + number)
        if before.state is TERMINATED:
            assert (found.state, found.reason) == (TERMINATED, before.reason)
        assert (found.state is TERMINATED) == (found.reason is not None)
        assert found.local_cseq == before.local_cseq
        if waits:
            assert found.next_at == NOW + 34
