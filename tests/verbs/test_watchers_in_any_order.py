"""Whatever order watchers, decisions, answers, time and crashes come in: who watches the watchers knows what the server knows."""

from collections.abc import Callable, Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kemi import reauthorize, store
from kemi.answer import Answer
from kemi.effects import SendRequest
from kemi.errors import SipError
from kemi.event_package import Decision
from tests.repetitions import repeated
from tests.unit.values import ALICE, BOB, CAROL, fields_of
from tests.verbs.watched import DAVE, WINFO, Watched
from tests.verbs.world import World
from tests.watcherinfo import read

WATCHERS = (BOB, CAROL, DAVE)
ENDING = (404, 408, 481)
STATUSES = (200, 200, 200, 202, *ENDING, 500, 503, 0)
RULES = (Decision.ALLOW, Decision.CONFIRM, Decision.CONFIRM, Decision.BLOCK)


class Watching(Watched):
    """Alice and bob watch the watchers, bob those that are himself. What arrives is read when it is answered 2xx."""

    def __init__(self, world: World) -> None:
        super().__init__(world.empty())
        world.set(notify_interval=0, waiting_expiration=400, min_expires=1, winfo_watchers=())
        self.rules = Decision.ALLOW
        self.world.decide(self.rules)
        self.asking: dict[str, str] = {}
        self.watching: list[str] = []
        self.in_flight: dict[str, SendRequest] = {}
        self.versions: dict[str, int] = {}
        self.tags: dict[str, str] = {}
        self.owes_all: set[str] = set()
        self.watch_watchers(Random(0))

    def sent(self, requests: Sequence[SendRequest]) -> None:
        for request in requests:
            assert request.id not in self.in_flight, "one NOTIFY in flight"
            self.in_flight[request.id] = request
            if request.id not in self.asking or not request.body:
                continue
            document = read(request.body)
            assert document.version == self.versions.get(request.id, -1) + 1, "each document is one version up"
            self.versions[request.id] = document.version
            if request.id in self.owes_all:
                assert document.state == "full", "a document that failed is followed by a full one"
                self.owes_all.discard(request.id)

    # What may happen

    def subscribe(self, chance: Random) -> None:
        expires = chance.choice(("60", "600", "600", "0"))
        try:
            self.sent(self.world.subscribe(chance.choice(WATCHERS), expires=expires).sent)
        except SipError:
            assert self.rules is Decision.BLOCK
            return
        self.watching.append(list(self.in_flight)[-1])

    def refresh(self, chance: Random) -> None:
        known = [dialog for dialog in self.watching if self.world.has_subscription(dialog)]
        if known:
            self.again(chance.choice(known), chance.choice(("60", "600", "0")))

    def again(self, dialog: str, expires: str, **changes: str) -> None:
        status = 200
        try:
            self.world.refresh(dialog, expires=expires, **changes)
        except SipError as refusal:
            status = refusal.status
        assert status in (200, 403, 481)

    def watch_watchers(self, chance: Random) -> None:
        who = chance.choice((ALICE, ALICE, BOB))
        if BOB not in {uri for uri, *_ in self.table().values()}:
            who = ALICE
        (first,) = self.world.subscribe(who, event=WINFO, expires=chance.choice(("600", "3600", "0"))).sent
        self.asking[first.id] = who
        self.sent([first])

    def refresh_watching(self, chance: Random) -> None:
        """Sometimes with the entity-tag of what the client has."""
        known = [dialog for dialog in self.asking if self.world.has_subscription(dialog)]
        if known:
            dialog = chance.choice(known)
            condition = chance.choice(("", self.tags.get(dialog, "")))
            self.again(dialog, chance.choice(("600", "3600", "0")), **({"suppress": condition} if condition else {}))

    def decide(self, chance: Random) -> None:
        """Sometimes live subscriptions hear of it at once."""
        self.rules = chance.choice(RULES)
        self.world.decide(self.rules)
        if chance.random() < 0.5:
            world = self.world
            reauthorize.reauthorize(world.moment, "presence", ALICE)

    def notify(self, chance: Random) -> None:
        self.sent(self.world.notifier())

    def answer(self, chance: Random) -> None:
        if self.in_flight:
            self.answered(chance.choice(list(self.in_flight)), chance.choice(STATUSES))

    def answered(self, dialog: str, status: int) -> None:
        request = self.in_flight.pop(dialog)
        if 200 <= status < 300:
            self.read(request)
            self.tags[dialog] = fields_of(request.headers)["SIP-ETag"][0]
        elif request.body:
            self.owes_all.add(dialog)
        self.sent(self.world.notifier(Answer(request.id, request.cseq, status, "", 5 if status == 503 else 0)))

    def all_is_answered(self, chance: Random) -> None:
        """Until nothing more goes out."""
        self.sent(self.world.notifier())
        while self.in_flight:
            self.answered(next(iter(self.in_flight)), 200)

    def time_passes(self, chance: Random) -> None:
        self.world.now += chance.choice((0.5, 5.0, 30.0, 40.0, 61.0, 401.0))
        self.world.tick()
        silent = [each for each in self.in_flight if self.is_over(each)]
        self.sent([each for each in self.world.notifier() if each.id not in silent])
        for each in silent:
            del self.in_flight[each]

    def is_over(self, dialog: str) -> bool:
        """Nobody waits for the answer any more; or the watcher left with a condition that held, and there is no row."""
        return not self.world.has_subscription(dialog) or self.world.subscription(dialog).next_at <= self.world.now

    def hold_back(self, chance: Random) -> None:
        self.world.set(notify_interval=chance.choice((0, 5, 60)))

    def crash(self, chance: Random) -> None:
        with self.world.database.transaction():
            store.resume(self.world.database, self.world.now)
        self.owes_all |= {each.id for each in self.in_flight.values() if each.body}
        self.in_flight.clear()

    # What must hold

    def agrees(self) -> None:
        """Who has nothing outstanding knows everything."""
        for dialog, who in self.asking.items():
            if dialog in self.in_flight or not self.world.has_subscription(dialog):
                continue
            known = self.world.subscription(dialog)
            if known.due_at is None and known.notified_tag:
                assert self.view(dialog) == self.visible(who), f"{who} {dialog}"

    def visible(self, who: str) -> dict[str, tuple[str, str, str]]:
        return {key: entry for key, entry in self.table().items() if who in (ALICE, entry[0])}

    def one_entry_waits(self) -> None:
        waiting = [uri for uri, status, _ in self.table().values() if status == "waiting"]
        assert len(waiting) == len(set(waiting))

    def ends_well(self) -> None:
        """Somebody else comes, everything is answered: all that was lost is made good."""
        self.world.set(notify_interval=0)
        self.world.decide(Decision.ALLOW)
        self.sent(self.world.subscribe("sip:eve@example.org", expires="3600").sent)
        for pause in (0, 5, 5, 40, 0, 0):
            self.world.now += pause
            self.world.tick()
            self.all_is_answered(Random())
        for dialog, who in self.asking.items():
            if self.world.has_subscription(dialog):
                assert self.view(dialog) == self.visible(who)


EVENTS_OF_A_STORY = 80
Event = Callable[[Watching, Random], None]
EVENTS: tuple[Event, ...] = (
    Watching.subscribe, Watching.subscribe, Watching.refresh, Watching.refresh, Watching.watch_watchers, Watching.refresh_watching,
    Watching.decide, Watching.notify, Watching.notify, Watching.answer, Watching.answer, Watching.answer, Watching.time_passes,
    Watching.all_is_answered, Watching.all_is_answered, Watching.all_is_answered, Watching.hold_back, Watching.crash,
)  # fmt: skip


@pytest.mark.rfc("WINFO-003", "WINFO-004", "WINFO-008", "WINFO-010", "WINFO-015")
@settings(
    max_examples=repeated(20, 500),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1))
def test_watchers_in_any_order_of_events(world: World, seed: int) -> None:
    chance = Random(seed)
    watching = Watching(world)
    for _ in range(EVENTS_OF_A_STORY):
        chance.choice(EVENTS)(watching, chance)
        watching.agrees()
        watching.one_entry_waits()
    watching.ends_well()
