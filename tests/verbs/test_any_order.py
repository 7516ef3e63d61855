"""Whatever order requests, answers, decisions, time and crashes come in: what a subscription never does."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kemi import store
from kemi.answer import Answer
from kemi.effects import SendRequest
from kemi.errors import SipError
from kemi.event_package import Decision
from kemi.subscription import TIMER_F
from tests.repetitions import repeated
from tests.unit.values import pidf
from tests.verbs.world import World, state_of

SEES = (Decision.ALLOW, Decision.POLITE_BLOCK)
ENDING = (404, 405, 408, 481, 489)
STATUSES = (200, 200, 202, *ENDING, 302, 401, 500, 503, 603, 0)


class Watching:
    """One presentity with one publication, any number of dialogs of one watcher; what is told is checked as it goes out.

    Each event takes what makes its choices.
    """

    def __init__(self, world: World) -> None:
        self.world = world.empty()
        self.world.set(notify_interval=0, max_subscriptions=0, max_watchers=0)
        self.rules = Decision.ALLOW
        self.world.decide(self.rules)
        self.edition = 0
        self.tag = self.world.publish(self.document(), expires="3600").tag
        self.decided: dict[str, Decision] = {}
        self.told: dict[str, list[SendRequest]] = {}
        self.in_flight: dict[str, SendRequest] = {}
        self.over: set[str] = set()

    def document(self) -> bytes:
        return pidf("t1", note=f"edition {self.edition}")

    def sent(self, requests: Sequence[SendRequest]) -> None:
        for request in requests:
            before = self.told.setdefault(request.id, [])
            assert request.id not in self.over, "nothing is sent after the end"
            assert request.id not in self.in_flight, "one NOTIFY in flight"
            assert request.cseq > max((each.cseq for each in before), default=0), "CSeq only grows"
            if self.decided[request.id] not in SEES:
                assert request.body == "", "no document without the presentity's consent"
            if self.decided[request.id] is not Decision.ALLOW:
                assert "edition" not in request.body, "nothing of the real state without allow"
            before.append(request)
            self.in_flight[request.id] = request

    # What may happen

    def subscribe(self, chance: Random) -> None:
        expires = chance.choice(("600", "60", "600", "0"))
        if self.rules is Decision.BLOCK:
            with pytest.raises(SipError):
                self.world.subscribe(expires=expires)
            return
        done = self.world.subscribe(expires=expires)
        self.decided[done.dialog] = self.rules
        self.sent(done.sent)

    def refresh(self, chance: Random) -> None:
        known = [dialog for dialog in self.told if self.world.has_subscription(dialog)]
        if not known:
            return
        dialog, status = chance.choice(known), 200
        try:
            self.world.refresh(dialog, expires=chance.choice(("600", "60", "0")))
        except SipError as refusal:
            status = refusal.status
        assert status in (403 if self.rules is Decision.BLOCK else 200, 481)
        if status != 481:
            self.decided[dialog] = self.rules

    def publish(self, chance: Random) -> None:
        self.edition += chance.randrange(2)
        live = bool(self.world.publications(at=self.world.now))
        self.tag = self.world.publish(self.document(), self.tag if live else None, expires=chance.choice(("60", "600"))).tag

    def decide(self, chance: Random) -> None:
        self.rules = chance.choice(tuple(Decision))
        self.world.decide(self.rules)

    def notify(self, chance: Random) -> None:
        self.sent(self.world.notifier())

    def answer(self, chance: Random) -> None:
        if not self.in_flight:
            return
        request = self.in_flight.pop(chance.choice(tuple(self.in_flight)))
        status, retry_after = chance.choice(STATUSES), chance.choice((0, 0, 5))
        if status in ENDING or state_of(request).startswith("terminated"):
            self.over.add(request.id)
        self.sent(self.world.notifier(Answer(request.id, request.cseq, status, "", retry_after)))

    def time_passes(self, chance: Random) -> None:
        """After Timer F nobody is in flight any more: who was silent is gone."""
        self.world.now += chance.choice((0.5, 5.0, 30.0, 40.0, 61.0, 601.0))
        self.world.tick()
        silent = [each for each in self.in_flight if self.world.subscription(each).next_at <= self.world.now]
        self.sent(self.world.notifier())
        self.over.update(silent)
        for each in silent:
            del self.in_flight[each]

    def crash(self, chance: Random) -> None:
        """What was in flight is not waited for any more; the dialogs go on."""
        with self.world.database.transaction():
            store.resume(self.world.database, self.world.now)
        self.in_flight.clear()

    # What must hold

    def agrees(self) -> None:
        for dialog in self.over:
            assert not self.world.has_subscription(dialog)
        for dialog, request in self.in_flight.items():
            assert self.world.subscription(dialog).local_cseq == request.cseq

    def ends_with_the_newest_state(self) -> None:
        """Once everything is answered, and tried again where that is due, who may see it was told the newest state last."""
        waiting = list(self.in_flight.values())
        for pause in (0, 0, 0, TIMER_F, 0, 0):
            self.world.now += pause
            self.world.tick()
            self.in_flight.clear()
            waiting = self.world.notifier(*(Answer(each.id, each.cseq, 200) for each in waiting))
            self.sent(waiting)
        assert waiting == []
        live = bool(self.world.publications(at=self.world.now))
        for dialog, told in self.told.items():
            if self.world.has_subscription(dialog) and self.decided[dialog] is Decision.ALLOW:
                assert (f"edition {self.edition}<" in told[-1].body) == live, "the newest state"


Event = Callable[[Watching, Random], None]
EVENTS: tuple[Event, ...] = (
    Watching.subscribe, Watching.refresh, Watching.refresh, Watching.publish, Watching.publish, Watching.decide, Watching.notify,
    Watching.answer, Watching.answer, Watching.answer, Watching.time_passes, Watching.crash,
)  # fmt: skip


@pytest.mark.rfc("TRN-025")
@pytest.mark.rfc("PA-012")
@settings(
    max_examples=repeated(60, 1000),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 9999)), min_size=20, max_size=60))
def test_a_subscription_in_any_order_of_events(world: World, events: list[tuple[Event, int]]) -> None:
    watching = Watching(world)
    for event, seed in events:
        event(watching, Random(seed))
        watching.agrees()
    watching.ends_with_the_newest_state()
