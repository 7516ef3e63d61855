"""Figures: what a piece of work gave, the CPU it cost, and their sum over the pieces of a round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

import cpu
from load import Tally, Wire
from memory import Sample
from servers import Server

QUIET = 0.1
AT_REST_NS = 2_000_000
MOST_WAITS = 15


@dataclass(slots=True)
class Work:
    """What one piece of work gave. Operations are PUBLISHes, SUBSCRIBEs, or NOTIFYs that arrived.

    `states`: of how many users watchers have to know the state in the end, each of each; `right`: of how many they know the newest.
    """

    operations: int = 0
    expected: int = 0
    seconds: float = 0.0
    repeated: int = 0
    delays_ms: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    states: int = 0
    right: int = 0
    memory: list[Sample] = field(default_factory=list)


def work_of(tally: Tally, requests: int = 1) -> Work:
    """What a number of operations gave, of so many requests each."""
    asked = tally.done + tally.failed
    return Work(tally.done * requests, asked * requests, tally.seconds, failures=tally.failures)


@dataclass(slots=True)
class Figures:
    """The sum of the pieces of one case, one server and one round."""

    operations: int = 0
    expected: int = 0
    seconds: float = 0.0
    repeated: int = 0
    server_ns: int = 0
    database_ns: int = 0
    delays_ms: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    states: int = 0
    right: int = 0
    memory: list[Sample] = field(default_factory=list)

    def add(self, work: Work, server_ns: int, database_ns: int) -> None:
        """Add one piece."""
        self.operations += work.operations
        self.expected += work.expected
        self.seconds += work.seconds
        self.repeated += work.repeated
        self.server_ns += server_ns
        self.database_ns += database_ns
        self.delays_ms += work.delays_ms
        self.states += work.states
        self.right += work.right
        self.memory += work.memory
        for why, count in work.failures.items():
            self.failures[why] = self.failures.get(why, 0) + count

    @property
    def server_us(self) -> float:
        """CPU of the server's own processes for one operation."""
        return self.server_ns / 1000 / self.operations if self.operations else 0.0

    @property
    def database_us(self) -> float:
        """CPU of PostgreSQL for one operation."""
        return self.database_ns / 1000 / self.operations if self.operations else 0.0

    @property
    def total_us(self) -> float:
        """Both together."""
        return self.server_us + self.database_us

    @property
    def rate(self) -> float:
        """Operations done in a second."""
        return self.operations / self.seconds if self.seconds else 0.0

    @property
    def arrived(self) -> float:
        """Per cent of the expected operations that were done."""
        return 100.0 * self.operations / self.expected if self.expected else 0.0

    def percentile(self, which: int) -> float:
        """A percentile of the delays in milliseconds; 0 without delays."""
        if len(self.delays_ms) < 2:
            return sum(self.delays_ms)
        return statistics.quantiles(self.delays_ms, n=100, method="inclusive")[which - 1]

    def as_dict(self) -> dict[str, object]:
        """What goes to the results file."""
        return {
            "operations": self.operations,
            "expected": self.expected,
            "arrived_percent": round(self.arrived, 2),
            "repeated": self.repeated,
            "per_second": round(self.rate, 1),
            "server_us": round(self.server_us, 2),
            "database_us": round(self.database_us, 2),
            "total_us": round(self.total_us, 2),
            "p50_ms": round(self.percentile(50), 3),
            "p99_ms": round(self.percentile(99), 3),
            "failures": self.failures,
            "states": self.states,
            "right": self.right,
            "memory": [sample.as_dict() for sample in self.memory],
        }


class Meter:
    """CPU of a server and of its database from one moment until the server has come to rest again."""

    def __init__(self, server: Server, wire: Wire) -> None:
        self.server = server
        self.wire = wire
        self.before = self._read()

    def stop(self) -> tuple[int, int]:
        """Wait until nothing moves any more; nanoseconds of the server and of its database."""
        now = self._read()
        for _ in range(MOST_WAITS):
            self.wire.drain(QUIET)
            last, now = now, self._read()
            if sum(now) - sum(last) < AT_REST_NS:
                break
        return now[0] - self.before[0], now[1] - self.before[1]

    def _read(self) -> tuple[int, int]:
        database = self.server.database_pid
        return cpu.spent(self.server.pid), cpu.spent(database) if database else 0
