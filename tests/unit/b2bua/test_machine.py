"""The machine of an outgoing subscription, row by row of its table (RFC 6665 section 4.1)."""

import pytest

from kemi.b2bua.outgoing import TIMER_N, Notified, Phase, Shown, Tell, Timing, refresh_after, wait_after
from kemi.errors import OutOfOrder, SubscriptionDoesNotExist
from tests.unit.b2bua.remote import Watching

LOW, HIGH = "0" * 32, "f" * 32


def watching(**timing: int) -> Watching:
    return Watching(Timing(**timing))


# The dialog


def test_who_is_wanted_is_asked_at_once() -> None:
    one = watching().want()
    assert one.phase is Phase.SUBSCRIBING
    (asked,) = one.asked
    assert (asked.local_cseq, asked.asked, asked.remote_tag) == (1, 3600, "")


def test_the_first_subscribe_may_be_put_off_at_random() -> None:
    one = watching(start_delay=30).want()
    assert one.asked == []
    assert len(one.wait(30).asked) == 1


@pytest.mark.rfc("B2B-002", "B2B-023")
def test_the_dialog_comes_from_the_first_notify() -> None:
    one = watching().want().answer(200, to_tag="other", contact="sip:other@192.0.2.9", expires=3600)
    assert (one.phase, one.known.shown) == (Phase.SUBSCRIBING, Shown.UNKNOWN)
    one.notify(remote_tag="far", route_set="<sip:p1;lr>, <sip:p2;lr>")
    assert (one.known.remote_tag, one.known.remote_target) == ("far", "sip:dan@192.0.2.7")
    assert one.known.route_set == "<sip:p1;lr>, <sip:p2;lr>"


@pytest.mark.rfc("B2B-001")
def test_a_notify_before_the_2xx_makes_the_dialog_too() -> None:
    one = watching().want().notify(expires=1800)
    assert one.phase is Phase.ESTABLISHED
    one.answer(202, expires=3600)
    assert one.known.expires_at == one.now + 1800


@pytest.mark.rfc("B2B-012")
def test_of_a_fork_the_first_notify_counts() -> None:
    one = watching().established()
    with pytest.raises(SubscriptionDoesNotExist):
        one.notify(remote_tag="second", cseq=5)
    assert one.known.remote_tag == "far"


@pytest.mark.rfc("B2B-001", "B2B-014")
@pytest.mark.parametrize("wrong", [{"dialog": "kb-other"}, {"call_id": "other"}, {"remote_tag": ""}])
def test_a_notify_of_another_dialog_is_refused(wrong: dict[str, str]) -> None:
    one = watching().want()
    right = Notified(one.known.dialog, one.known.call_id, "far", 1, "active")
    with pytest.raises(SubscriptionDoesNotExist):
        one.happens(right._replace(**wrong))


@pytest.mark.rfc("B2B-013")
def test_an_older_notify_is_refused_and_the_same_one_changes_nothing() -> None:
    one = watching().established().notify(cseq=7)
    before = one.known
    one.notify(cseq=7, body=b"<other/>")
    assert one.known == before
    with pytest.raises(OutOfOrder):
        one.notify(cseq=6)


@pytest.mark.rfc("B2B-013")
def test_a_notify_without_body_leaves_the_document() -> None:
    one = watching().established()
    one.notify(content_type="", body=b"")
    assert one.known.body == b"<presence/>"


# Timer N


@pytest.mark.rfc("B2B-003")
@pytest.mark.parametrize("is_answered", [True, False])
def test_without_notify_the_subscription_has_failed(is_answered: bool) -> None:
    one = watching().want()
    if is_answered:
        one.answer(200, expires=3600)
    one.wait(TIMER_N)
    assert (one.phase, one.known.failures) == (Phase.WAITING, 1)


@pytest.mark.rfc("B2B-003")
def test_without_notify_a_refreshed_subscription_is_over() -> None:
    one = watching().established().wait(3600)
    refresh = one.asked[1]
    assert refresh.remote_tag == "far"
    one = watching().established()
    one.wait(one.known.refresh_at - one.now).answer(200, to_tag="far", expires=3600)  # type: ignore[operator]
    one.wait(TIMER_N)
    assert one.asked[-1].dialog != one.asked[0].dialog


@pytest.mark.rfc("B2B-003", "B2B-024")
def test_a_204_stops_timer_n() -> None:
    one = watching().established()
    one.wait(one.known.refresh_at - one.now).answer(204, to_tag="far", expires=3600)  # type: ignore[operator]
    one.wait(3 * TIMER_N)
    assert one.phase is Phase.ESTABLISHED
    assert len(one.asked) == 2


# Refresh


@pytest.mark.rfc("B2B-006")
def test_expires_of_the_notify_counts_not_that_of_the_2xx() -> None:
    one = watching().want().answer(200, expires=3600).notify(expires=120)
    assert one.known.expires_at == one.now + 120
    one.wait(100)
    assert len(one.asked) == 2


@pytest.mark.rfc("B2B-009")
def test_a_refresh_goes_out_in_the_dialog_before_the_end() -> None:
    one = watching(delta=30).established()
    one.wait(3600 - 61)
    assert len(one.asked) == 1
    one.wait(31)
    first, refresh = one.asked
    assert (refresh.dialog, refresh.call_id, refresh.remote_tag, refresh.local_cseq) == (first.dialog, first.call_id, "far", 2)


@pytest.mark.parametrize("token", [LOW, HIGH])
@pytest.mark.parametrize("lifetime", [1, 30, 31, 60, 90, 3600, 604800])
def test_a_refresh_comes_before_the_end_and_not_too_often(lifetime: int, token: str) -> None:
    after = refresh_after(lifetime, Timing(), token)
    assert 0 < after < lifetime
    assert after >= min(30, lifetime / 2)


@pytest.mark.rfc("B2B-018")
def test_contact_of_a_2xx_of_the_same_notifier_and_of_each_notify_is_the_target() -> None:
    one = watching().established()
    one.wait(one.known.refresh_at - one.now)  # type: ignore[operator]
    one.answer(200, to_tag="far", contact="sip:dan@192.0.2.8", expires=60)
    assert one.known.remote_target == "sip:dan@192.0.2.8"
    assert one.notify(contact="sip:dan@192.0.2.9").known.remote_target == "sip:dan@192.0.2.9"


@pytest.mark.rfc("B2B-017")
def test_a_2xx_with_expires_0_is_taken() -> None:
    one = watching().want().answer(202, expires=0)
    assert one.phase is Phase.SUBSCRIBING
    one.notify("terminated", reason="timeout")
    assert one.phase is Phase.WAITING


@pytest.mark.rfc("B2B-010")
@pytest.mark.parametrize("status", [405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604, 404])
def test_these_answers_to_a_refresh_end_the_dialog(status: int) -> None:
    one = watching().established()
    one.wait(one.known.refresh_at - one.now)  # type: ignore[operator]
    one.answer(status)
    assert one.phase in (Phase.STOPPED, Phase.SUBSCRIBING)
    if one.phase is Phase.SUBSCRIBING:
        assert one.asked[-1].dialog != one.asked[0].dialog


@pytest.mark.rfc("B2B-010")
@pytest.mark.parametrize("status", [403, 408, 500, 503, 600, 0])
def test_other_answers_to_a_refresh_leave_it_until_its_end(status: int) -> None:
    one = watching().established()
    one.wait(one.known.refresh_at - one.now)  # type: ignore[operator]
    one.answer(status)
    assert (one.phase, one.known.shown) == (Phase.ESTABLISHED, Shown.ACTIVE)
    assert one.asked[-1].dialog == one.asked[0].dialog
    one.wait(one.known.expires_at - one.now)  # type: ignore[operator]
    assert one.asked[-1].dialog != one.asked[0].dialog
    assert one.known.shown is Shown.FAILED


# Errors


@pytest.mark.rfc("B2B-008")
def test_after_a_failure_everything_of_the_dialog_is_new() -> None:
    one = watching().established()
    one.notify("terminated", reason="probation", retry_after=10).wait(13)
    first, second = one.asked[0], one.asked[-1]
    assert second.dialog != first.dialog
    assert second.call_id != first.call_id
    assert (second.remote_tag, second.route_set, second.local_cseq) == ("", "", 1)


def test_waits_after_errors_grow_and_differ() -> None:
    timing = Timing(retry=100, longest_wait=1000)
    waits = [wait_after(number, 0, timing, LOW) for number in range(1, 7)]
    assert waits == [100, 200, 400, 800, 1000, 1000]
    assert 100 < wait_after(1, 0, timing, HIGH) <= 120


def test_retry_after_is_believed_and_after_several_failures_not_alone() -> None:
    timing = Timing(retry=100)
    assert wait_after(1, 5, timing, LOW) == 5
    assert wait_after(1, 5000, timing, LOW) == 5000
    assert wait_after(3, 5, timing, LOW) == 400


@pytest.mark.parametrize("status", [500, 503, 408, 0, 480, 481])
def test_a_first_subscribe_that_fails_is_tried_again_later(status: int) -> None:
    one = watching(retry=120).want().answer(status)
    assert (one.phase, one.known.failures) == (Phase.WAITING, 1)
    one.wait(119)
    assert len(one.asked) == 1
    one.wait(26)
    assert len(one.asked) == 2


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "rejected"), (603, "rejected"), (404, "noresource"), (604, "noresource"), (489, "giveup")]
)
def test_a_refusal_is_told_inward_and_not_asked_again(status: int, reason: str) -> None:
    one = watching().want().answer(status)
    assert (one.phase, one.known.shown, one.known.reason) == (Phase.STOPPED, Shown.TERMINATED, reason)
    assert one.told == [Tell(is_urgent=True)]
    assert len(one.wait(86400).asked) == 1


def test_who_wants_it_after_a_refusal_has_been_kept_for_a_while_asks_anew() -> None:
    one = watching(retry=120).want().answer(403).leave()
    one.want()
    assert (one.phase, len(one.asked)) == (Phase.STOPPED, 1)
    one.leave().wait(119)
    assert one.outgoing is not None
    assert one.wait(2).outgoing is None


@pytest.mark.rfc("B2B-016")
def test_423_is_asked_again_for_as_long_as_needed() -> None:
    one = watching(expiration=600).want().answer(423, min_expires=1800)
    assert [each.asked for each in one.asked] == [600, 1800]
    assert one.answer(423, min_expires=1800).phase is Phase.WAITING


@pytest.mark.rfc("B2B-015")
def test_a_challenge_is_answered_once_and_again_when_only_the_nonce_is_old() -> None:
    asking = ("WWW-Authenticate: Digest realm=far, nonce=1",)
    one = watching().want().answer(401, challenges=asking)
    assert [each.local_cseq for each in one.asked] == [1, 2]
    assert one.asked[1].nonce_count == 1
    one.answer(401, challenges=("WWW-Authenticate: Digest realm=far, nonce=2, stale=TRUE",))
    assert len(one.asked) == 3
    assert one.answer(401, challenges=asking).phase is Phase.WAITING


@pytest.mark.rfc("B2B-015")
def test_credentials_that_were_taken_are_sent_again_with_the_refresh() -> None:
    one = watching().want().answer(401, challenges=("WWW-Authenticate: Digest realm=far, nonce=1",))
    one.answer(200, expires=3600).notify()
    one.wait(one.known.refresh_at - one.now)  # type: ignore[operator]
    assert one.asked[-1].nonce_count == 2
    one.answer(401, challenges=("WWW-Authenticate: Digest realm=far, nonce=2",))
    assert one.asked[-1].nonce_count == 3
    assert one.asked[-1].challenge == "2 WWW-Authenticate: Digest realm=far, nonce=2", "counted from then on"


def test_a_redirection_is_followed_once() -> None:
    one = watching().want().answer(302, contact="sip:dan@192.0.2.20")
    assert one.asked[-1].redirect == "sip:dan@192.0.2.20"
    assert one.asked[-1].call_id == one.asked[0].call_id
    assert one.answer(302, contact="sip:dan@192.0.2.21").phase is Phase.WAITING


# Terminated


@pytest.mark.rfc("B2B-007")
@pytest.mark.parametrize("reason", ["deactivated", "timeout"])
def test_after_these_reasons_a_new_subscription_is_made_at_once(reason: str) -> None:
    one = watching().established().wait(60)
    one.notify("terminated", reason=reason)
    assert (one.phase, len(one.asked)) == (Phase.SUBSCRIBING, 2)
    assert one.known.shown is Shown.ACTIVE


@pytest.mark.rfc("B2B-007")
def test_a_remote_side_that_always_deactivates_is_not_asked_always() -> None:
    one = watching(retry=120).established().notify("terminated", reason="deactivated")
    assert one.phase is Phase.WAITING
    one.wait(119)
    assert len(one.asked) == 1


@pytest.mark.rfc("B2B-007")
@pytest.mark.parametrize("reason", ["probation", "giveup", "", "somewhat"])
def test_after_these_reasons_a_new_one_waits(reason: str) -> None:
    one = watching(retry=120).established().wait(60).notify("terminated", reason=reason, retry_after=600)
    one.wait(599)
    assert len(one.asked) == 1
    one.wait(122)
    assert len(one.asked) == 2
    one = watching(retry=120).established().wait(60).notify("terminated", reason=reason).wait(119)
    assert len(one.asked) == 1
    one.wait(26)
    assert len(one.asked) == 2


@pytest.mark.rfc("B2B-007")
@pytest.mark.parametrize("reason", ["rejected", "noresource"])
def test_after_these_reasons_nothing_is_asked_by_itself(reason: str) -> None:
    one = watching().established().notify("terminated", reason=reason)
    assert (one.known.shown, one.known.reason, one.known.body) == (Shown.TERMINATED, reason, b"")
    assert len(one.wait(86400).asked) == 1


@pytest.mark.rfc("B2B-007")
def test_what_never_changes_is_shown_for_ever() -> None:
    one = watching().established().notify("terminated", reason="invariant", content_type="text/plain", body=b"last")
    one.wait(86400)
    assert (one.known.shown, one.known.body, len(one.asked)) == (Shown.ACTIVE, b"last", 1)


def test_what_was_shown_is_forgotten_when_no_new_dialog_comes() -> None:
    one = watching().established().wait(60).notify("terminated", reason="deactivated")
    one.wait(33)
    assert one.known.shown is Shown.ACTIVE
    one.wait(2)
    assert (one.known.shown, one.known.body) == (Shown.FAILED, b"")
    assert one.told[-1] == Tell(is_urgent=True)


# Leaving


@pytest.mark.rfc("B2B-011")
def test_unsubscribed_it_stays_until_the_last_notify() -> None:
    one = watching(farewell=30).established().leave()
    assert (one.phase, one.asked[-1].asked) == (Phase.LEAVING, 0)
    one.answer(200, expires=0).wait(29)
    one.notify()
    assert one.phase is Phase.LEAVING
    assert one.notify("terminated", reason="timeout").outgoing is None


@pytest.mark.rfc("B2B-011")
@pytest.mark.parametrize("is_answered", [True, False])
def test_the_last_notify_is_waited_for_so_long(is_answered: bool) -> None:
    one = watching(farewell=30).established().leave()
    if is_answered:
        one.answer(200, expires=0)
    assert one.wait(29).outgoing is not None
    assert one.wait(6).outgoing is None


def test_who_is_wanted_again_while_leaving_is_asked_anew() -> None:
    one = watching().established().leave().answer(200, expires=0).want()
    one.notify("terminated", reason="timeout")
    assert (one.phase, one.asked[-1].asked) == (Phase.SUBSCRIBING, 3600)


def test_unwanted_before_the_first_notify_it_is_left_with_it() -> None:
    one = watching().want().leave()
    assert len(one.asked) == 1
    one.answer(200, expires=3600).notify()
    assert (one.phase, one.asked[-1].asked) == (Phase.LEAVING, 0)


def test_unwanted_while_a_refresh_is_in_flight_it_is_left_after_its_answer() -> None:
    one = watching().established()
    one.wait(one.known.refresh_at - one.now).leave()  # type: ignore[operator]
    assert one.phase is Phase.ESTABLISHED
    one.answer(200, to_tag="far", expires=3600)
    assert one.phase is Phase.LEAVING


def test_who_comes_back_does_not_get_around_the_wait() -> None:
    one = watching(retry=120).want().answer(503).leave().want()
    one.wait(100)
    assert len(one.asked) == 1


@pytest.mark.rfc("B2B-021", "B2B-022")
def test_a_gap_is_closed_by_a_refresh() -> None:
    one = watching().established().notify(is_gapped=True, body=b"<merged/>")
    assert one.known.body == b"<merged/>"
    assert len(one.wait(2).asked) == 2
