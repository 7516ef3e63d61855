"""Forks of an outgoing subscription: several answer one SUBSCRIBE (RFC 6665 section 5.4.9, RFC 4235 section 3.9)."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemi.b2bua import forks
from kemi.b2bua.machine import step
from kemi.b2bua.outgoing import (
    TIMER_N,
    Answered,
    Ask,
    Due,
    Event,
    Notified,
    Outgoing,
    Phase,
    Replaced,
    Shown,
    Tell,
    Timing,
    Unwanted,
    Wanted,
)
from kemi.errors import OutOfOrder, SubscriptionDoesNotExist
from tests.unit.b2bua.remote import FOREIGN
from tests.unit.values import NOW, token_of

CALLS = FOREIGN._replace(package="dialog")
INFO = "application/dialog-info+xml"
TAGS = ("desk", "mobile", "soft", "door")
TIMING = Timing(retry=10, longest_wait=100, least_refresh=5)
REFRESHED = 31
"""Seconds before the end of a grant: its refresh has been sent, less than Timer N ago."""


class Family:
    """A subscription and its forks, and what another side sends; what `happening` does, without a database."""

    def __init__(self, timing: Timing = TIMING) -> None:
        self.timing = timing
        self.now = NOW
        self.rows: dict[int, Outgoing] = {0: CALLS}
        self.asked: list[Outgoing] = []
        self.told: list[Tell] = []
        self.number = 0

    @property
    def first(self) -> Outgoing:
        return self.rows[0]

    @property
    def seen(self) -> forks.Seen:
        return forks.seen(self.rows)

    @property
    def bodies(self) -> list[bytes]:
        return [body for _type, body in self.seen.documents]

    def token(self) -> str:
        self.number += 1
        return token_of(self.number)

    def happens(self, number: int, event: Event) -> None:
        before = dict(self.rows)
        self._step(number, event)
        for fork, owed in forks.owed(self.rows):
            self._step(fork.fork, owed)
        if 0 in before and 0 in self.rows and self.first.wanted:
            self.told += forks.news(forks.seen(before), self.seen)

    def _step(self, number: int, event: Event) -> None:
        done = step(self.rows[number], event, self.timing, self.now, self.token())
        if done.outgoing is None:
            del self.rows[number]
            return
        self.rows[number] = done.outgoing
        self.asked += [done.outgoing for action in done.actions if isinstance(action, Ask)]

    def want(self) -> "Family":
        if 0 not in self.rows:
            self.rows[0] = CALLS
        self.happens(0, Wanted())
        return self.wait(0)

    def leave(self) -> "Family":
        if 0 in self.rows:
            self.happens(0, Unwanted())
        return self

    def wait(self, seconds: float) -> "Family":
        end = self.now + seconds
        while (due := min((each.due_at or end + 1, each.fork) for each in (*self.rows.values(), CALLS))) and due[0] <= end:
            self.now = max(self.now, due[0])
            self.happens(due[1], Due())
        self.now = end
        return self

    def of(self, tag: str, dialog: str = "") -> Outgoing | None:
        """The one with this tag in a dialog, the newest if nothing is said."""
        dialog = dialog or self.asked[-1].dialog
        found = [each for each in self.rows.values() if each.dialog == dialog and each.remote_tag == tag]
        return found[0] if found else None

    def notify(self, tag: str, state: str = "active", asked: Outgoing | None = None, **more: Any) -> "Family":
        """As `notified` takes one.

        Raises:
            SubscriptionDoesNotExist: 481.
        """
        asked = asked or [each for each in self.asked if each.asked][-1]
        known = self.of(tag, asked.dialog)
        first = self.rows.get(0)
        if known is None and first is not None and first.dialog == asked.dialog:
            known = forks.begun(first, self._forks(), self.now) if first.has_dialog else first
            if known is not None:
                self.rows.setdefault(known.fork, known)
        if known is None:
            raise SubscriptionDoesNotExist("")
        usual = {"expires": 3600, "contact": f"sip:{tag}@192.0.2.7", "content_type": INFO, "body": f"calls of {tag}".encode()}
        if state != "active":
            usual = {}
        cseq = more.pop("cseq", known.remote_cseq + 1)
        try:
            self.happens(known.fork, Notified(asked.dialog, asked.call_id, tag, cseq, state, **(usual | more)))
        finally:
            if self.rows.get(known.fork) == known and known.phase is Phase.SUBSCRIBING and known.fork:
                del self.rows[known.fork]
        return self.wait(0)

    def answer(self, asked: Outgoing, status: int = 200, to_tag: str | None = None, **more: Any) -> "Family":
        """As `sending` takes one."""
        tag = asked.remote_tag if to_tag is None else to_tag
        fork, first = self.of(tag, asked.dialog), self.rows.get(0)
        if fork is None or not fork.fork or asked.local_cseq <= fork.opening:
            fork = first if first is not None and first.dialog == asked.dialog else None
        if fork is not None:
            self.happens(fork.fork, Answered(asked.dialog, asked.local_cseq, status, tag, **more))
        return self.wait(0)

    def _forks(self) -> list[Outgoing]:
        return [each for number, each in self.rows.items() if number]


def forked(*tags: str, **timing: int) -> Family:
    family = Family(Timing(**timing)).want()
    family.answer(family.asked[0], 200, tags[0], expires=3600)
    for tag in tags:
        family.notify(tag)
    return family


@pytest.mark.rfc("B2B-012")
def test_each_that_answers_is_a_subscription_of_its_own() -> None:
    family = forked("desk", "mobile", "soft")
    assert [(each.fork, each.remote_tag, each.phase) for each in family.rows.values()] == [
        (0, "desk", Phase.ESTABLISHED),
        (1, "mobile", Phase.ESTABLISHED),
        (2, "soft", Phase.ESTABLISHED),
    ]
    assert len({(each.dialog, each.call_id) for each in family.rows.values()}) == 1
    assert [each.remote_target for each in family.rows.values()] == [f"sip:{tag}@192.0.2.7" for tag in ("desk", "mobile", "soft")]
    assert family.bodies == [b"calls of desk", b"calls of mobile", b"calls of soft"]
    assert family.told == [Tell(is_urgent=True), Tell(is_urgent=False), Tell(is_urgent=False)]


@pytest.mark.rfc("B2B-012")
def test_each_is_refreshed_in_its_own_dialog() -> None:
    family = forked("desk", "mobile").wait(3600 - REFRESHED)
    refreshes = family.asked[1:]
    assert {(each.fork, each.remote_tag, each.local_cseq) for each in refreshes} == {(0, "desk", 2), (1, "mobile", 2)}
    for each in refreshes:
        family.answer(each, 200, expires=3600)
        family.notify(each.remote_tag, asked=each)
    family.wait(3600 - REFRESHED)
    assert {(each.fork, each.local_cseq) for each in family.asked[3:]} == {(0, 3), (1, 3)}


@pytest.mark.rfc("B2B-012")
def test_who_answers_when_timer_n_is_over_is_none() -> None:
    family = forked("desk").wait(TIMER_N - 1).notify("mobile").wait(1)
    with pytest.raises(SubscriptionDoesNotExist):
        family.notify("soft")
    assert len(family.rows) == 2


def test_timer_n_runs_from_the_request_that_was_accepted() -> None:
    family = Family().want().wait(20)
    family.answer(family.asked[0], 423, "", min_expires=7200).wait(20).notify("desk").notify("mobile")
    assert [each.opening for each in family.rows.values()] == [2, 2]


@pytest.mark.rfc("B2B-012")
def test_there_are_so_many_and_no_more() -> None:
    family = forked(*(f"device{number}" for number in range(forks.MOST + 1)))
    with pytest.raises(SubscriptionDoesNotExist):
        family.notify("one more")


@pytest.mark.rfc("B2B-012", "B2B-007")
@pytest.mark.parametrize("reason", ["deactivated", "timeout", "rejected", "noresource", "giveup", ""])
def test_a_fork_that_ends_is_gone_and_asks_for_nothing(reason: str) -> None:
    family = forked("desk", "mobile").wait(60).notify("mobile", "terminated", reason=reason)
    assert (list(family.rows), family.bodies) == ([0], [b"calls of desk"])
    assert family.told[-1] == Tell(is_urgent=False)
    assert len(family.asked) == 1


@pytest.mark.rfc("B2B-012", "B2B-010")
@pytest.mark.parametrize("status", [404, 481, 489, 503, 0])
def test_a_fork_whose_refresh_fails_is_gone_at_once_or_when_its_time_is_over(status: int) -> None:
    family = forked("desk", "mobile").notify("mobile", expires=600).wait(600 - REFRESHED)
    assert family.asked[-1].fork == 1
    family.answer(family.asked[-1], status)
    assert (1 in family.rows) is (status in (503, 0))
    assert list(family.wait(REFRESHED).rows) == [0]
    assert len({each.dialog for each in family.asked}) == 1


@pytest.mark.rfc("B2B-012")
def test_the_first_one_may_end_and_the_others_speak_on() -> None:
    family = forked("desk", "mobile", retry=600).wait(60).notify("desk", "terminated", reason="rejected")
    assert (family.first.shown, family.seen.shown, family.bodies) == (Shown.TERMINATED, Shown.ACTIVE, [b"calls of mobile"])
    family.notify("mobile", "terminated", reason="noresource")
    assert (family.seen.shown, family.seen.reason) == (Shown.TERMINATED, "rejected")
    assert family.told[-1] == Tell(is_urgent=True)


@pytest.mark.rfc("B2B-012")
def test_in_a_new_dialog_everybody_is_heard_once() -> None:
    """What the old ones told is shown until they have ended, so that nobody sees a gap."""
    family = forked("desk", "mobile").wait(60).notify("desk", "terminated", reason="deactivated")
    old, new = family.asked[0], family.asked[-1]
    assert (new.dialog != old.dialog, family.bodies) == (True, [b"calls of desk", b"calls of mobile"])
    family.notify("mobile2", asked=new, body=b"calls of mobile")
    left = family.asked[-1]
    assert (left.fork, left.dialog, left.remote_tag, left.asked) == (1, old.dialog, "mobile", 0)
    assert family.bodies == [b"calls of mobile", b"calls of mobile"]
    family.answer(left, 200).notify("mobile", "terminated", asked=old, reason="timeout")
    assert (list(family.rows), family.bodies) == ([0], [b"calls of mobile"])


def test_what_is_replaced_while_a_refresh_is_in_flight_is_left_after_its_answer() -> None:
    family = forked("desk", "mobile").notify("mobile", expires=100).wait(100 - REFRESHED)
    refresh = family.asked[-1]
    assert refresh.fork == 1
    family.notify("desk", "terminated", reason="deactivated").notify("desk2")
    assert family.rows[1].phase is Phase.ESTABLISHED
    family.answer(refresh, 200, expires=3600)
    assert (family.rows[1].phase, family.asked[-1].asked) == (Phase.LEAVING, 0)


@pytest.mark.rfc("B2B-012", "B2B-011")
def test_all_are_left_together() -> None:
    family = forked("desk", "mobile", "soft").leave()
    assert {(each.remote_tag, each.asked) for each in family.asked[1:]} == {("desk", 0), ("mobile", 0), ("soft", 0)}
    for each in family.asked[1:]:
        family.notify(each.remote_tag, "terminated", asked=each, reason="timeout")
    assert family.rows == {}


def test_where_the_first_one_waits_for_an_answer_the_others_are_left_with_it() -> None:
    """Who comes back meanwhile finds all of them."""
    family = forked("desk", "mobile").notify("desk", expires=100).wait(100 - REFRESHED)
    refresh = family.asked[-1]
    family.leave()
    assert {each.phase for each in family.rows.values()} == {Phase.ESTABLISHED}
    family.want().answer(refresh, 200, expires=100)
    assert {each.phase for each in family.rows.values()} == {Phase.ESTABLISHED}
    family.leave()
    assert {each.phase for each in family.rows.values()} == {Phase.LEAVING}


def test_nobody_new_is_heard_when_it_is_left() -> None:
    family = forked("desk").leave()
    with pytest.raises(SubscriptionDoesNotExist):
        family.notify("mobile", asked=family.asked[0])


def test_the_answer_to_the_first_request_is_the_first_one_s_whoever_gives_it() -> None:
    family = Family().want().notify("desk").notify("mobile")
    family.answer(family.asked[0], 200, "mobile", expires=3600)
    assert [each.in_flight_until for each in family.rows.values()] == [None, None]


def test_an_answer_that_comes_twice_is_not_taken_for_another_s() -> None:
    family = forked("desk", "mobile").wait(3600 - REFRESHED)
    refreshes = {each.remote_tag: each for each in family.asked[1:]}
    family.answer(refreshes["mobile"], 481).answer(refreshes["mobile"], 481)
    assert (list(family.rows), family.first.phase) == ([0], Phase.ESTABLISHED)
    assert family.first.in_flight_until is not None


def test_pending_and_active_are_active() -> None:
    family = forked("desk").notify("mobile", "pending")
    assert family.seen.shown is Shown.ACTIVE
    family.notify("desk", "pending")
    assert family.seen.shown is Shown.PENDING
    family.notify("mobile")
    assert (family.seen.shown, family.told[-1]) == (Shown.ACTIVE, Tell(is_urgent=True))


def test_what_never_changes_is_shown_until_there_is_another_dialog() -> None:
    family = forked("desk", "mobile").notify("mobile", "terminated", reason="invariant", content_type=INFO, body=b"for ever")
    family.wait(60).notify("desk", "terminated", reason="deactivated")
    assert family.bodies == [b"calls of desk", b"for ever"]
    assert family.notify("desk2").bodies == [b"calls of desk2"]
    with pytest.raises(KeyError):
        family.happens(1, Replaced())


# In any order


class Checked(Family):
    """What never happens."""

    def happens(self, number: int, event: Event) -> None:
        told, sent = len(self.told), len(self.asked)
        before = self.seen if 0 in self.rows and self.first.wanted else None
        super().happens(number, event)
        for asked in self.asked[sent:]:
            assert asked.fork == 0 or asked.remote_tag, "a fork opens no dialog"
            assert asked.fork == 0 or asked.local_cseq > asked.opening
        for fork in self._forks():
            self._agrees(fork)
        tags = [(each.dialog, each.remote_tag) for each in self.rows.values() if each.has_dialog]
        assert len(set(tags)) == len(tags), "each dialog is one"
        if before is not None and 0 in self.rows and self.first.wanted and before != self.seen:
            is_seen = before.shown is not self.seen.shown or self.seen.shown in (Shown.ACTIVE, Shown.TERMINATED)
            assert not is_seen or len(self.told) > told, "what changes is told"

    def _agrees(self, fork: Outgoing) -> None:
        first = self.rows.get(0)
        assert fork.phase not in (Phase.WAITING, Phase.SUBSCRIBING) or fork.due_at is None
        is_left = fork.phase is Phase.LEAVING or not fork.wanted
        if first is None or first.phase is Phase.LEAVING:
            assert is_left, "all are left"
        elif first.has_dialog and first.dialog != fork.dialog:
            assert is_left, "what another dialog tells is not told twice for long"
        if not is_left and fork.phase is not Phase.STOPPED:
            assert fork.phase is not Phase.ESTABLISHED or fork.due_at is not None


def notifies(family: Checked, chance: Random) -> None:
    asked = chance.choice(family.asked[-6:])
    state = chance.choice(("active", "active", "active", "pending", "terminated"))
    more: dict[str, Any] = {"body": chance.choice((b"one", b"two")), "content_type": INFO} if state == "active" else {}
    more |= {"reason": chance.choice(("", "deactivated", "rejected", "invariant", "timeout")), "cseq": chance.randrange(1, 40)}
    more |= {"expires": chance.choice((None, 0, 5, 60, 3600)), "is_gapped": not chance.randrange(6)}
    try:
        family.notify(chance.choice(TAGS), state, asked=asked, **more)
    except (SubscriptionDoesNotExist, OutOfOrder):
        return


def answers(family: Checked, chance: Random) -> None:
    status = chance.choice((200, 200, 200, 204, 403, 408, 481, 500, 0))
    asked = chance.choice(family.asked[-6:])
    family.answer(asked, status, chance.choice((None, *TAGS)), expires=chance.choice((None, 0, 60, 3600)))


def wants(family: Checked, chance: Random) -> None:
    family.want() if chance.randrange(3) else family.leave()


def moves(family: Checked, chance: Random) -> None:
    """The first one ends; somebody answers in the dialog that it opens then."""
    if 0 in family.rows and family.first.phase is Phase.ESTABLISHED and family.first.wanted:
        opening = next(each for each in family.asked if each.dialog == family.first.dialog)
        family.notify(family.first.remote_tag, "terminated", opening, reason="timeout")
        family.wait(13)
        notifies(family, chance)


def waits(family: Checked, chance: Random) -> None:
    family.wait(chance.choice((0.1, 1.0, 5.0, TIMER_N, 60.0, 4000.0)))


EVENTS: tuple[Callable[[Checked, Random], None], ...] = (notifies, notifies, notifies, answers, answers, moves, wants, waits, waits)


@pytest.mark.rfc("B2B-012")
@settings(max_examples=300, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 99999)), max_size=50))
def test_whatever_happens_forks_come_to_a_good_end(events: list[tuple[Callable[[Checked, Random], None], int]]) -> None:
    family = Checked()
    family.want().notify("desk").notify("mobile")
    for event, seed in events:
        event(family, Random(seed))
    family.leave().wait(2 * TIMER_N + 300)
    assert family.rows == {}, "nobody wants it: all are gone soon, also where nothing answers"
