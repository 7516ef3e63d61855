"""An outgoing subscription and what a remote side may do to it, step by step: for tests of the machine."""

from typing import Any

from kemi.b2bua.machine import step
from kemi.b2bua.outgoing import (
    Action,
    Answered,
    Ask,
    Due,
    Event,
    Notified,
    Outgoing,
    Phase,
    Tell,
    Timing,
    Unwanted,
    Wanted,
)
from tests.unit.values import NOW, PIDF, token_of

BOB, DAN = "sip:bob@example.org", "sip:dan@far.example.net"
TIMING = Timing(start_delay=0)
FOREIGN = Outgoing(watcher=BOB, resource=DAN, package="presence", domain="far.example.net", created_at=NOW)


class Watching:
    """One outgoing subscription, the time, and what it asked for and told."""

    def __init__(self, timing: Timing = TIMING, outgoing: Outgoing | None = FOREIGN) -> None:
        self.timing = timing
        self.now = NOW
        self.outgoing = outgoing
        self.asked: list[Outgoing] = []
        self.told: list[Tell] = []
        self.number = 0

    @property
    def known(self) -> Outgoing:
        assert self.outgoing is not None
        return self.outgoing

    def token(self) -> str:
        self.number += 1
        return token_of(self.number)

    def happens(self, event: Event) -> tuple[Action, ...]:
        if self.outgoing is None:
            return ()
        self.outgoing, actions = step(self.outgoing, event, self.timing, self.now, self.token())
        for action in actions:
            if isinstance(action, Ask):
                self.asked.append(self.known)
            else:
                self.told.append(action)
        return actions

    def wait(self, seconds: float) -> "Watching":
        """Time passes, deadline by deadline."""
        end = self.now + seconds
        while self.outgoing is not None and self.outgoing.due_at is not None and self.outgoing.due_at <= end:
            self.now = max(self.now, self.outgoing.due_at)
            before = self.outgoing
            self.happens(Due())
            assert self.outgoing != before or self.outgoing is None, "a deadline that nothing comes of"
        self.now = end
        return self

    def want(self) -> "Watching":
        self.happens(Wanted())
        return self.wait(0)

    def leave(self) -> "Watching":
        self.happens(Unwanted())
        return self.wait(0)

    def answer(self, status: int = 200, **more: Any) -> "Watching":
        """The SUBSCRIBE sent last gets its answer."""
        last = self.asked[-1]
        self.happens(Answered(last.dialog, last.local_cseq, status, **more))
        return self.wait(0)

    def notify(self, state: str = "active", cseq: int | None = None, remote_tag: str = "far", **more: Any) -> "Watching":
        known = self.known
        number = known.remote_cseq + 1 if cseq is None else cseq
        usual = {"expires": 3600, "contact": "sip:dan@192.0.2.7", "content_type": PIDF, "body": b"<presence/>"}
        if state == "terminated":
            usual = {}
        self.happens(Notified(known.dialog, known.call_id, remote_tag, number, state, **(usual | more)))
        return self.wait(0)

    def established(self) -> "Watching":
        return self.want().answer(200, expires=3600).notify()

    @property
    def phase(self) -> Phase | None:
        return None if self.outgoing is None else self.outgoing.phase
