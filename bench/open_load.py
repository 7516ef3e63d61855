"""The load at a fixed rate: requests are sent at their times, whatever came back by then; so a server that stands still is seen."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from load import PATIENCE, Tally, Wire

SHORTEST_WAIT = 0.00005


class Timed(NamedTuple):
    """A request, and whether the time until its answer counts."""

    callid: str
    request: bytes
    counts: bool


class OpenLoop:
    """Sends requests at a rate, and notes how long the answers to those that count took."""

    def __init__(self, wire: Wire, rate: float) -> None:
        self.wire = wire
        self.rate = rate
        self.delays_ms: list[float] = []
        self.tally = Tally()
        self._waiting: dict[bytes, tuple[int, bool]] = {}

    def run(self, requests: Iterable[Timed]) -> Tally:
        """Send them all and wait for the last answers; the tally has those that count."""
        started = time.monotonic()
        for number, each in enumerate(requests):
            while time.monotonic() < started + number / self.rate:
                self._receive(started + number / self.rate)
            self._waiting[each.callid.encode()] = time.time_ns(), each.counts
            self.wire.send(each.request)
        until = time.monotonic() + PATIENCE
        while self._waiting and time.monotonic() < until:
            self._receive(until)
        for _, counts in self._waiting.values():
            if counts:
                self.tally.fail("no answer")
        self.tally.seconds = time.monotonic() - started
        return self.tally

    def _receive(self, until: float) -> None:
        message = self.wire.receive(max(until - time.monotonic(), SHORTEST_WAIT))
        if message is None or message.status < 200:
            return
        sent, counts = self._waiting.pop(message.header(b"Call-ID"), (0, False))
        if counts and message.status < 300:
            self.tally.done += 1
            self.delays_ms.append((message.arrived - sent) / 1_000_000)
        elif counts:
            self.tally.fail(message.status_line)
