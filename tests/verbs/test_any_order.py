"""Whatever order requests, answers, decisions, time and crashes come in: what a subscription never does."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from kemi import store
from kemi.effects import SendRequest
from kemi.errors import SipError
from kemi.event_package import Decision
from kemi.notify import Answer
from tests.unit.values import NOW, pidf
from tests.verbs.world import World, state_of

STATUSES = st.sampled_from([200, 200, 200, 202, 302, 401, 408, 481, 489, 500, 503, 603, 0])
DECISIONS = st.sampled_from(list(Decision))
SEES = (Decision.ALLOW, Decision.POLITE_BLOCK)
OVER = {404, 405, 408, 481, 489}


class Watching(RuleBasedStateMachine):
    """One presentity, one publication, any number of dialogs of one watcher."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.empty()
        self.world.set(notify_interval=0, max_subscriptions=0, max_watchers=0)
        self.world.now = NOW
        self.rules = Decision.ALLOW
        self.world.decide(self.rules)
        self.edition = 0
        self.decided: dict[str, Decision] = {}
        self.told: dict[str, list[SendRequest]] = {}
        self.in_flight: dict[str, SendRequest] = {}
        self.over: set[str] = set()

    @initialize()
    def publish_first(self) -> None:
        self.tag = self.world.publish(self.document(), expires="3600").tag

    def document(self) -> bytes:
        return pidf("t1", note=f"edition {self.edition}")

    def sent(self, requests: list[SendRequest]) -> None:
        """Every NOTIFY that goes out passes here, and has to be one that may."""
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

    @rule(expires=st.sampled_from(["0", "60", "600"]))
    def subscribe(self, expires: str) -> None:
        if self.rules is Decision.BLOCK:
            with pytest.raises(SipError):
                self.world.subscribe(expires=expires)
            return
        done = self.world.subscribe(expires=expires)
        self.decided[done.dialog] = self.rules
        self.sent(done.sent)

    @precondition(lambda self: self.told)
    @rule(data=st.data(), expires=st.sampled_from(["0", "60", "600"]))
    def refresh(self, data: Any, expires: str) -> None:
        dialog = data.draw(st.sampled_from(list(self.told)))
        if not self.world.has_subscription(dialog):
            return
        status = 200
        try:
            self.world.refresh(dialog, expires=expires)
        except SipError as refusal:
            status = refusal.status
        assert status in (403 if self.rules is Decision.BLOCK else 200, 481)
        if status != 481:
            self.decided[dialog] = self.rules

    @rule(expires=st.sampled_from(["60", "600"]))
    def publish(self, expires: str) -> None:
        self.edition += 1
        if not self.world.publications(at=self.world.now):
            self.tag = self.world.publish(self.document(), expires=expires).tag
        else:
            self.tag = self.world.publish(self.document(), self.tag, expires=expires).tag

    @rule(decision=DECISIONS)
    def decide(self, decision: Decision) -> None:
        self.rules = decision
        self.world.decide(decision)

    @rule()
    def notifier(self) -> None:
        self.sent(self.world.notifier())

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), status=STATUSES, retry_after=st.sampled_from([0, 0, 5]))
    def answer(self, data: Any, status: int, retry_after: int) -> None:
        request = self.in_flight.pop(data.draw(st.sampled_from(list(self.in_flight))))
        if status in OVER or state_of(request).startswith("terminated"):
            self.over.add(request.id)
        self.sent(self.world.notifier(Answer(request.id, request.cseq, status, "", retry_after)))

    @rule(seconds=st.sampled_from([0.5, 5, 30, 40, 61, 601]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.tick()
        # After Timer F nobody is in flight any more, and who was silent is gone.
        silent = [each for each in self.in_flight if not self.still_waits(each)]
        self.sent(self.world.notifier())
        for each in silent:
            self.over.add(each)
            self.in_flight.pop(each, None)

    def still_waits(self, dialog: str) -> bool:
        return self.world.subscription(dialog).next_at > self.world.now if self.world.has_subscription(dialog) else False

    @rule()
    def crash(self) -> None:
        """What was in flight is not waited for any more; the dialogs go on."""
        with self.world.database.transaction():
            store.resume(self.world.database, self.world.now)
        self.in_flight.clear()

    @invariant()
    def rows_agree(self) -> None:
        for dialog in self.over:
            assert not self.world.has_subscription(dialog)
        for dialog, request in self.in_flight.items():
            assert self.world.subscription(dialog).local_cseq == request.cseq

    def teardown(self) -> None:
        """Once everything is answered, who may see it was told the newest state last."""
        self.world.now += 5
        self.world.tick()
        waiting = list(self.in_flight.values())
        for _ in range(20):
            self.in_flight.clear()
            waiting = self.world.notifier(*(Answer(each.id, each.cseq, 200) for each in waiting))
            self.sent(waiting)
        assert waiting == []
        live = self.world.publications(at=self.world.now)
        for dialog, told in self.told.items():
            if self.world.has_subscription(dialog) and self.decided[dialog] is Decision.ALLOW:
                shown = f"edition {self.edition}<" in told[-1].body
                assert shown == bool(live), "the newest state"


def test_a_subscription_in_any_order_of_events(world: World) -> None:
    class Here(Watching):
        pass

    Here.world = world
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Here,
        settings=settings(
            max_examples=60, stateful_step_count=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
        ),
    )
