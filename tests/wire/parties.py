"""Who takes part in a crowd (`tests.wire.crowd`), and the network between them and the server, all in one thread.

Requests are under way side by side: whoever has sent one goes on when its answer comes, and sends it again until then (RFC 3261
section 17.1.2.2).

    device   nothing published  ->  published, until its time is over or it removes that
    dialog   new  ->  live  ->  over: refused, terminated, answered 481, unsubscribed without a NOTIFY
"""

import secrets
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.useragent import Message, UserAgent
from tests.watcherinfo import Reader

T1, T2 = 0.5, 4.0
TURN = 0.02
LONG = 60
"""Seconds: what lives longer does not run out while a crowd is at work. What lives shorter is left alone until it is over."""
UNTOLD = 10**9
"""Seconds left of a subscription of which nothing was said yet."""
SPREAD = 1.0
"""Seconds between the first and the last copy of a first SUBSCRIBE: one that finds the dialog gone again opens another one."""
MAX_LATE = 30.0
"""Seconds after which a PUBLISH does not come again: its sender has given up by then."""


@dataclass
class Request:
    """What waits for its answer."""

    agent: UserAgent
    data: bytes
    answered: Callable[[Message], None]
    again_at: float
    interval: float = T1


@dataclass
class Network:
    """The sockets of all, what is under way, and what comes."""

    server: tuple[str, int]
    notified: Callable[[UserAgent, Message], None]
    agents: list[UserAgent] = field(default_factory=list)
    waiting: dict[str, Request] = field(default_factory=dict)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def agent(self, user: str) -> UserAgent:
        agent = UserAgent(self.server, user)
        self.agents.append(agent)
        self.selector.register(agent.socket, selectors.EVENT_READ, agent)
        return agent

    def close(self) -> None:
        self.selector.close()
        for agent in self.agents:
            agent.close()

    def send(self, agent: UserAgent, data: bytes, copies: int, answered: Callable[[Message], None]) -> None:
        """Send a request that was built last, as often as said, and again until it is answered."""
        for _ in range(copies):
            agent.send_raw(data)
        self.waiting[agent.branch] = Request(agent, data, answered, time.monotonic() + T1)

    def turn(self, seconds: float) -> None:
        """Take what comes within that time, at least what has come."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            self._do_what_is_due(now)
            for key, _ in self.selector.select(max(0.0, min(end - now, TURN))):
                self._take(key.data)
            if time.monotonic() >= end:
                return

    def _do_what_is_due(self, now: float) -> None:
        for each in self.waiting.values():
            if each.again_at <= now:
                each.interval = min(2 * each.interval, T2)
                each.again_at = now + each.interval
                each.agent.send_raw(each.data)
        due, self.later = [each for each in self.later if each[0] <= now], [each for each in self.later if each[0] > now]
        for _, act in due:
            act()

    def _take(self, agent: UserAgent) -> None:
        agent._receive(0)
        while agent.inbox:
            message = agent.inbox.pop(0)
            if message.method == "NOTIFY":
                self.notified(agent, message)
            elif message.status >= 200:
                request = self.waiting.pop(message.get("Via").partition("branch=")[2].partition(";")[0], None)
                if request is not None:
                    request.answered(message)


@dataclass
class Device:
    """One device of a user: at most one publication.

    Args:
        sent: its requests that were answered 200, with the entity-tags.
    """

    agent: UserAgent
    name: str
    etag: str = ""
    note: str = ""
    certain_until: float = 0.0
    gone_after: float = 0.0
    count: int = 0
    is_busy: bool = False
    sent: list[tuple[float, bytes, str, str]] = field(default_factory=list)

    @property
    def user(self) -> str:
        return self.agent.user

    @property
    def is_published(self) -> bool:
        return bool(self.etag) and time.time() < self.certain_until

    @property
    def is_idle(self) -> bool:
        """Whether it may do something: nothing of it is under way, or about to run out."""
        now = time.time()
        return not self.is_busy and (not self.etag or now + LONG < self.certain_until or now > self.gone_after)

    def delayed(self) -> list[tuple[bytes, str, str]]:
        """Requests of which a copy may still come, with their entity-tags and what they did."""
        return [each[1:] for each in self.sent if time.time() - each[0] < MAX_LATE]

    @property
    def is_certain(self) -> bool:
        """Whether it is clear what the server shows of it, and will be for a moment."""
        now = time.time()
        return not self.is_busy and (not self.etag or now + 1 < self.certain_until or now > self.gone_after)


@dataclass
class Dialog:
    """One subscription of a watcher, and what it was told in it."""

    agent: UserAgent
    resource: str
    package: str
    call_id: str = field(default_factory=lambda: secrets.token_hex(6))
    from_tag: str = field(default_factory=lambda: secrets.token_hex(4))
    to_tag: str = ""
    own_cseq: int = 0
    cseq: int = 0
    phase: str = "new"
    word: str = ""
    body: bytes = b""
    etag: str = ""
    condition: str = ""
    left: int = UNTOLD
    not_compared: int = 0
    certain_until: float = 0.0
    gone_after: float = 0.0
    is_busy: bool = False
    has_moved: bool = False
    owes_notify: bool = False
    opened_at: float = field(default_factory=time.time)
    ended_at: float = 0.0
    last_at: float = 0.0
    status: int = 200
    is_late: bool = False
    seen: dict[str, int] = field(default_factory=dict)
    reader: Reader = field(default_factory=Reader)

    @property
    def watcher(self) -> str:
        return self.agent.user

    @property
    def is_idle(self) -> bool:
        """Whether something can be asked for in it."""
        now = time.time()
        return self.phase == "live" and not self.is_busy and now + LONG < self.certain_until and now > self.opened_at + SPREAD

    def __str__(self) -> str:
        return f"{self.watcher} -> {self.resource} {self.package} {self.call_id} ({self.phase} {self.word})"
