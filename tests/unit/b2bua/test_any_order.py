"""The machine under any order of answers, NOTIFYs, time, loss and repetition: what an outgoing subscription never does."""

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from kemi.b2bua.outgoing import TIMER_N, Answered, Event, Notified, Outgoing, Phase, Shown, Timing, Unwanted, Wanted
from kemi.errors import OutOfOrder, SubscriptionDoesNotExist
from tests.unit.b2bua.remote import FOREIGN, Watching
from tests.unit.values import PIDF

STATUSES = (200, 200, 202, 204, 302, 401, 403, 404, 407, 408, 423, 481, 489, 500, 503, 603, 0)
REASONS = ("", "deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant", "unheard-of")
TIMING = Timing(retry=10, longest_wait=100, least_refresh=5)
CHALLENGE = ("WWW-Authenticate: Digest realm=far, nonce=1",)


class Watched(Watching):
    """Checks every step; what came once may come again, late, or never."""

    def __init__(self) -> None:
        super().__init__(TIMING)
        self.past: list[Event] = []
        self.final: str = ""

    def happens(self, event: Event):  # type: ignore[no-untyped-def]
        before = self.outgoing
        number = len(self.asked)
        try:
            actions = super().happens(event)
        except (SubscriptionDoesNotExist, OutOfOrder):
            return ()
        for asked in self.asked[number:]:
            self._asks(before, asked, event)
        self._agrees()
        return actions

    def _asks(self, before: Outgoing | None, asked: Outgoing, event: Event) -> None:
        assert before is not None
        if asked.dialog == before.dialog:
            assert asked.local_cseq == before.local_cseq + 1, "CSeq grows by one"
            is_over = before.in_flight_until is None or before.in_flight_until <= self.now
            assert is_over or isinstance(event, Answered), "one SUBSCRIBE in flight"
        else:
            assert asked.local_cseq == 1
            assert asked.dialog not in {each.dialog for each in self.asked[:-1]}
            assert asked.remote_tag == asked.route_set == asked.remote_target == ""
        assert before.phase is not Phase.STOPPED, "nothing is asked after a final word"
        assert asked.asked == 0 or asked.wanted, "only what is wanted is asked for"

    def _agrees(self) -> None:
        known = self.outgoing
        if known is None:
            return
        assert known.due_at is not None or not known.wanted, "what is wanted has a deadline"
        assert (known.notify_by is None) or known.is_open
        if known.shown in (Shown.PENDING, Shown.ACTIVE):
            assert known.expires_at is not None or known.reason == "invariant", "what is shown has an end"
        if known.shown in (Shown.UNKNOWN, Shown.FAILED) and known.phase is not Phase.LEAVING:
            assert known.phase is not Phase.ESTABLISHED
            assert known.shown is Shown.FAILED or not known.failures, "who was asked in vain is not waited for as at first"


def wants(watched: Watched, chance: Random) -> None:
    if watched.outgoing is None:
        watched.outgoing = FOREIGN
        watched.asked.clear()
    watched.happens(Wanted() if chance.randrange(3) else Unwanted())


def answers(watched: Watched, chance: Random) -> None:
    if watched.asked:
        last = chance.choice(watched.asked[-2:])
        event = Answered(
            last.dialog, last.local_cseq, chance.choice(STATUSES), chance.choice(("far", "far", "other")),
            chance.choice((None, 0, 60, 3600)), chance.choice(("", "sip:dan@192.0.2.9")), chance.choice((0, 0, 7)),
            chance.choice((0, 1800, 10**9)), chance.choice(((), CHALLENGE)),
        )  # fmt: skip
        watched.past.append(event)
        watched.happens(event)


def notifies(watched: Watched, chance: Random) -> None:
    if watched.asked:
        last = chance.choice(watched.asked[-2:])
        event = Notified(
            last.dialog, last.call_id, chance.choice(("far", "far", "far", "other")), chance.randrange(1, 40),
            chance.choice(("active", "active", "pending", "terminated", "unknown")), chance.choice(REASONS),
            chance.choice((None, 0, 5, 60, 3600)), chance.choice((None, 0, 30)), "sip:dan@192.0.2.7", "",
            chance.choice(("", PIDF)), b"<presence/>", is_gapped=not chance.randrange(5),
        )  # fmt: skip
        watched.past.append(event)
        watched.happens(event)


def repeats(watched: Watched, chance: Random) -> None:
    if watched.past:
        watched.happens(chance.choice(watched.past))


def waits(watched: Watched, chance: Random) -> None:
    watched.wait(chance.choice((0.1, 1.0, TIMER_N, 60.0, 600.0, 4000.0)))


EVENTS: tuple[Callable[[Watched, Random], None], ...] = (
    wants,
    answers,
    answers,
    notifies,
    notifies,
    notifies,
    repeats,
    waits,
    waits,
)


@settings(max_examples=300, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 99999)), max_size=50))
def test_whatever_happens_it_comes_to_a_good_end(events: list[tuple[Callable[[Watched, Random], None], int]]) -> None:
    watched = Watched()
    watched.happens(Wanted())
    for event, seed in events:
        event(watched, Random(seed))
    _heals(watched)
    _goes(watched)


def _heals(watched: Watched) -> None:
    """A remote side that works again is found, unless it has said its last word."""
    if watched.outgoing is None:
        watched.outgoing = FOREIGN
    watched.happens(Wanted())
    for _ in range(40):
        if watched.outgoing is None or (watched.known.phase is Phase.STOPPED):
            return
        _works(watched)
        watched.wait(30)
    assert (watched.phase, watched.known.shown) == (Phase.ESTABLISHED, Shown.ACTIVE)


def _works(watched: Watched) -> None:
    """Whatever is asked is answered as it should be."""
    known = watched.known
    if known.in_flight_until is not None:
        watched.happens(Answered(known.dialog, known.local_cseq, 200, known.remote_tag or "far", known.asked))
    known = watched.known
    if known.notify_by is not None or (known.phase is Phase.ESTABLISHED and known.shown is not Shown.ACTIVE):
        state = "active" if known.asked else "terminated"
        tag = known.remote_tag or "far"
        watched.happens(Notified(known.dialog, known.call_id, tag, known.remote_cseq + 1, state, "timeout", known.asked or None))


def _goes(watched: Watched) -> None:
    """Nobody wants it: it is gone soon, also where nothing answers."""
    watched.happens(Unwanted())
    watched.wait(2 * TIMER_N + 2 * TIMING.longest_wait + TIMING.farewell)
    assert watched.outgoing is None


@given(seconds=st.integers(3600, 86400), status=st.sampled_from((0, 500, 503, 408, -1)))
@settings(max_examples=30, deadline=None)
def test_a_dead_remote_side_costs_bounded_work(seconds: int, status: int) -> None:
    """At most a try for each wait that has grown, whether it answers with an error or not at all."""
    watched = Watching(Timing())
    watched.want()
    end = watched.now + seconds
    while watched.now < end:
        if status >= 0 and watched.known.in_flight_until is not None:
            watched.answer(status)
        watched.wait(30)
    assert len(watched.asked) <= 6 + seconds // 3600
