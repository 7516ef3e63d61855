"""What is left of a subscription that ends: kemi/watcher.py, RFC 3857 section 4.7.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import watcher
from kemi.parameters import known
from kemi.subscription import Reason, State, WatcherEvent
from kemi.watcher import FOR_EVER, TOLD_WITHIN, Status
from tests.unit.values import ALICE, BOB, NOW, subscription

DAY = 86400


@pytest.mark.rfc("WINFO-004")
@given(st.text(min_size=1, max_size=40))
def test_an_id_shows_nothing_of_the_tag_and_is_always_the_same(tag: str) -> None:
    found = watcher.opaque(tag)
    assert found == watcher.opaque(tag)
    assert set(found) <= set("0123456789abcdef")
    assert len(found) == 16


@pytest.mark.rfc("WINFO-004", "WINFO-008")
def test_who_took_the_place_of_a_waiting_one_has_its_id() -> None:
    assert watcher.id_of("kp-1", "a7") == "a7"
    assert watcher.id_of("kp-1", "") == watcher.opaque("kp-1")


@pytest.mark.rfc("WINFO-005", "WINFO-007", "WINFO-015")
@pytest.mark.parametrize(
    ("state", "reason", "status", "kept"),
    [
        (State.PENDING, Reason.TIMEOUT, "waiting", DAY),
        (State.PENDING, Reason.GIVEUP, "terminated", TOLD_WITHIN),
        (State.PENDING, Reason.REJECTED, "terminated", TOLD_WITHIN),
        (State.PENDING, Reason.NORESOURCE, "terminated", TOLD_WITHIN),
        (State.PENDING, Reason.DEACTIVATED, "terminated", TOLD_WITHIN),
        (State.ACTIVE, Reason.TIMEOUT, "terminated", TOLD_WITHIN),
        (State.ACTIVE, Reason.REJECTED, "terminated", TOLD_WITHIN),
        (State.ACTIVE, Reason.NORESOURCE, "terminated", TOLD_WITHIN),
    ],
)
def test_what_waits_and_what_is_over(state: State, reason: Reason, status: str, kept: float) -> None:
    left = watcher.ended(subscription(state=state, display_name="Bob", watcher_id="a7"), reason, NOW + 5, DAY)
    assert (left.status.value, left.event.value, left.expires_at) == (status, reason.value, NOW + 5 + kept)
    assert (left.id, left.resource, left.package, left.uri, left.display_name) == ("a7", ALICE, "presence", BOB, "Bob")
    assert left.subscribed_at == NOW


@pytest.mark.rfc("WINFO-012")
def test_without_a_limit_it_waits_for_ever() -> None:
    left = watcher.ended(subscription(state=State.PENDING), Reason.TIMEOUT, NOW, 0)
    assert left.expires_at == NOW + FOR_EVER


@pytest.mark.rfc("WINFO-012", "WINFO-005")
def test_who_is_given_up_is_over() -> None:
    waiting = watcher.ended(subscription(state=State.PENDING), Reason.TIMEOUT, NOW, DAY)
    over = watcher.gave_up(waiting, NOW + DAY)
    assert (over.status, over.event, over.expires_at) == (Status.TERMINATED, WatcherEvent.GIVEUP, NOW + DAY + TOLD_WITHIN)
    assert over._replace(status=waiting.status, event=waiting.event, expires_at=waiting.expires_at) == waiting


@pytest.mark.rfc("WINFO-005", "PA-028")
def test_every_reason_is_an_event_and_the_words_are_those_of_the_rfc() -> None:
    assert {each.value for each in Reason} <= {each.value for each in WatcherEvent}
    assert {each.value for each in WatcherEvent} == {
        "subscribe", "approved", "deactivated", "probation", "rejected", "timeout", "giveup", "noresource",
    }  # fmt: skip
    assert {each.value for each in Status} == {"pending", "active", "waiting", "terminated"}


def test_an_end_is_kept_as_long_as_somebody_may_be_behind() -> None:
    """The longest subscription to watcher information; whoever is not told by then is told everything anyway."""
    assert known()["pa.max_subscription_expiration"].metadata["range"][1] <= TOLD_WITHIN
