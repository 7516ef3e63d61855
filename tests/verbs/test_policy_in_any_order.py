"""Documents, publications, management and the clock in any order: who watches has always what a new SUBSCRIBE would get."""

from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kemi import administration
from kemi.errors import Forbidden
from kemi.event_package import Decision
from tests.repetitions import repeated
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import rule, validity
from tests.verbs.ruled import ALL, EVERYTHING, MOOD, PERSONS, Ruled, published, sphere, time
from tests.verbs.world import World, state_of

NOWHERE = "<cp:identity><x:unknown/></cp:identity>"
WATCHERS = (BOB, CAROL)
EVENTS = ("write", "write", "remove", "publish", "publish", "unpublish", "wait", "wait", "decide", "watch", "watch")

Told = tuple[str, str]
"""State and body of a NOTIFY."""


class Story:
    """What happens, and what each watcher was told last."""

    def __init__(self, ruled: Ruled, chance: Random) -> None:
        self.ruled, self.world, self.chance = ruled, ruled.world, chance
        self.told: dict[str, Told] = {}
        self.watchers: dict[str, str] = {}
        self.documents: set[str] = set()
        self.decided: set[str] = set()
        self.tag: str | None = None

    def write(self) -> None:
        name = self.chance.choice("ab")
        self.documents.add(name)
        if self.chance.random() < 0.1:
            self.ruled.put(body=b"<broken", name=name)
            return
        otherwise = [rule(None, "confirm")] if self.chance.random() < 0.9 else []
        self.ruled.put(*(self._rule() for _ in range(self.chance.randrange(3))), *otherwise, name=name)

    def _rule(self) -> str:
        moments = sorted(self.world.now + self.chance.randrange(-20, 60) for _ in range(2))
        conditions = [
            self.chance.choice(("", "", NOWHERE, *(f'<cp:identity><cp:one id="{each}"/></cp:identity>' for each in WATCHERS))),
            self.chance.choice(("", '<cp:sphere value="work"/>', '<cp:sphere value="work"/>', validity(*map(time, moments)))),
        ]
        handling = self.chance.choice(("block", "confirm", "polite-block", "allow", "allow"))
        return rule("".join(conditions), handling, self.chance.choice(("", ALL, PERSONS + ALL, EVERYTHING)))

    def remove(self) -> None:
        if self.documents:
            name = self.chance.choice(sorted(self.documents))
            self.documents.remove(name)
            self.ruled.remove(name=name)

    def publish(self) -> None:
        body = self.chance.choice((sphere("work"), sphere("home"), published(MOOD)))
        live = self.tag if self._is_live() and self.chance.random() < 0.7 else None
        self.tag = self.world.publish(body, live, expires=self.chance.choice(("60", "600"))).tag

    def unpublish(self) -> None:
        if self._is_live():
            self.world.publish(b"", self.tag, expires="0")

    def _is_live(self) -> bool:
        return any(each.etag == self.tag for each in self.world.publications(at=self.world.now))

    def wait(self) -> None:
        self.world.now += self.chance.choice((1, 10, 30, 60))

    def decide(self) -> None:
        world, watcher = self.world, self.chance.choice(WATCHERS)
        decision = self.chance.choice((None, None, *Decision) if watcher in self.decided else tuple(Decision))
        self.decided = self.decided - {watcher} if decision is None else self.decided | {watcher}
        administration.decide(world.moment, "presence", ALICE, watcher, decision)

    def watch(self) -> None:
        watcher = self.chance.choice(WATCHERS)
        try:
            (first,) = self.world.subscribe(watcher, expires="3000").sent
        except Forbidden:
            return
        self.watchers[first.id] = watcher
        self.told[first.id] = (state_of(first).partition(";")[0], first.body)
        assert self.world.answer(first) == []

    def settle(self) -> None:
        """Time does what it has to, and all NOTIFYs go out."""
        self.world.tick()
        for each in self.world.told():
            self.told[each.id] = (state_of(each).partition(";")[0], each.body)

    def check(self) -> None:
        """Everybody has what a fetch of now gives; who is refused is gone."""
        expected = {watcher: self._fetched(watcher) for watcher in WATCHERS}
        for dialog, watcher in self.watchers.items():
            now, (state, body) = expected[watcher], self.told[dialog]
            if state != "terminated":
                assert now is not None, f"{watcher} is refused and still {state}"
                assert body == now

    def _fetched(self, watcher: str) -> str | None:
        try:
            (sent,) = self.world.subscribe(watcher, expires="0").sent
        except Forbidden:
            return None
        self.world.answer(sent)
        return sent.body


@settings(
    max_examples=repeated(15, 500),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1), default=st.sampled_from(["confirm", "allow", "polite-block"]))
@pytest.mark.rfc("AUTH-010", "AUTH-025", "AUTH-027")
def test_who_watches_has_what_a_new_subscribe_would_get(world: World, seed: int, default: str) -> None:
    story = Story(Ruled(world.empty(), auth_default=default), Random(seed))
    story.watch()
    for _ in range(25):
        getattr(story, story.chance.choice(EVENTS))()
        story.settle()
        story.check()
