"""What follows when a document of another XCAP server is another one, or known no longer; and when it is looked for."""

from dataclasses import replace
from typing import Any

import pytest

from kemi.effects import Effect, Log, Status, Wake
from kemi.event_package import Authorization, Decision
from kemi.moment import Moment
from kemi.parameters import XcapSettings
from kemi.presence.package import PRESENCE
from kemi.subscription import State
from kemi.xcap import fetched
from kemi.xcap.fetched_document import Availability, Known, Outcome, Reading
from kemi.xcap.fetching import Fetching, document_changed
from tests.unit.values import ALICE, BOB
from tests.verbs.fetched import FRESHNESS, LIMIT, OTHER, RULES, TIMEOUT, Cache
from tests.verbs.world import World, state_of


@pytest.fixture
def cache(world: World) -> Cache:
    return Cache(world)


@pytest.mark.rfc("XCC-012")
@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (None, (Outcome.DOCUMENT, RULES), True),
        (None, (Outcome.MISSING, b""), True),
        (None, (Outcome.SILENT, b""), False),
        (RULES, (Outcome.DOCUMENT, RULES), False),
        (RULES, (Outcome.DOCUMENT, OTHER), True),
        (RULES, (Outcome.UNCHANGED, b""), False),
        (RULES, (Outcome.MISSING, b""), True),
        (RULES, (Outcome.REFUSED, b""), False),
    ],
)
def test_only_another_document_has_consequences(cache: Cache, first: bytes | None, then: tuple[Outcome, bytes], told: bool) -> None:
    asked: list[tuple[str, str]] = []

    def changed(_at: Moment, auid: str, owner: str) -> list[Effect]:
        asked.append((auid, owner))
        return [Wake()]

    if first is not None:
        cache.fetched(body=first)
        cache.world.now += FRESHNESS
    cache.read()
    (claimed,) = cache.claim()
    effects = cache.answer(claimed, *then, changed)
    assert asked == ([("pres-rules", ALICE)] if told else [])
    assert (Wake() in effects) is told
    assert sum(isinstance(each, Log) for each in effects) == told


def test_what_fails_in_the_consequences_is_not_saved_and_done_again(cache: Cache) -> None:
    def failing(_auid: str, _owner: str, _now: float) -> list[Effect]:
        raise ZeroDivisionError

    cache.read()
    (claimed,) = cache.claim()
    with pytest.raises(ZeroDivisionError):
        cache.answer(claimed, Outcome.DOCUMENT, RULES, failing)
    assert cache.read() == Reading(Availability.UNKNOWN)
    cache.world.now += TIMEOUT + fetched.GRACE
    assert len(cache.claim()) == 1


def decide_by_document(world: World) -> None:
    """Presence rules as simple as can be: unknown and missing are confirm, RULES allow, other documents block."""
    known = {RULES: Decision.ALLOW, b"": Decision.CONFIRM}

    def authorize(at: Moment, watchers: Any, resource: str) -> dict[str, Authorization]:
        body = fetched.document(at, "pres-rules", resource).body
        return dict.fromkeys(watchers, Authorization(known.get(body, Decision.BLOCK)))

    world.packages["presence"] = replace(PRESENCE, authorize=authorize)


@pytest.mark.rfc("XCC-001", "XCC-012", "AUTH-004")
def test_a_watcher_is_pending_until_rules_come_and_follows_them(cache: Cache) -> None:
    world = cache.world
    decide_by_document(world)
    dialog = world.watch(BOB)
    states = [world.subscription(dialog).state]
    for outcome, body in ((Outcome.DOCUMENT, RULES), (Outcome.MISSING, b""), (Outcome.DOCUMENT, OTHER)):
        (claimed,) = cache.claim()
        assert any(isinstance(each, Wake) for each in cache.answer(claimed, outcome, body, document_changed))
        states.append(world.subscription(dialog).state)
        (sent,) = world.told()
        assert state_of(sent).startswith(states[-1].value)
        world.now += FRESHNESS + 31
    active, pending, over = State.ACTIVE, State.PENDING, State.TERMINATED
    assert states == [pending, active, pending, over]


def test_a_list_that_no_rules_refer_to_concerns_lists_of_resources_alone(cache: Cache) -> None:
    world = cache.world
    decide_by_document(world)
    world.watch(BOB)
    with world.counted() as statements:
        assert document_changed(world.moment, "resource-lists", ALICE) == []
    assert statements == ["lock", "list_changed"]


# Forgetting


@pytest.mark.rfc("XCC-001")
def test_what_nobody_confirmed_for_too_long_is_forgotten_and_has_consequences(cache: Cache) -> None:
    told: list[str] = []

    def changed(_at: Moment, auid: str, _owner: str) -> list[Effect]:
        told.append(auid)
        return []

    cache.fetched()
    over = []
    for seconds in (LIMIT - 1, 1):
        cache.world.now += seconds
        over.append(cache.deadlines[1])
    assert over == [False, True]
    (line,) = cache.forget(changed)
    assert isinstance(line, Log)
    assert line.text.startswith("document forgotten: ")
    assert told == ["pres-rules"]
    assert not cache.deadlines[1]
    assert cache.row is not None
    assert cache.row.known is Known.UNKNOWN
    assert cache.read() == Reading(Availability.UNKNOWN)
    assert len(cache.claim()) == 1


def test_a_silent_server_makes_a_watcher_pending_in_the_end(cache: Cache) -> None:
    world = cache.world
    world.set(max_subscription_expiration=604800)
    decide_by_document(world)
    cache.fetched()
    dialog = world.watch(BOB, expires="604800")
    assert world.subscription(dialog).state is State.ACTIVE
    world.now += LIMIT
    for claimed in cache.claim():
        cache.answer(claimed, Outcome.SILENT)
    assert world.subscription(dialog).state is State.ACTIVE
    cache.forget(document_changed)
    assert world.subscription(dialog).state is State.PENDING


def test_what_nobody_needs_is_removed_in_the_end(cache: Cache) -> None:
    cache.fetched()
    cache.world.now += LIMIT
    cache.forget()
    cache.world.now += LIMIT
    assert cache.forget() == []
    assert cache.deadlines == (False, False)
    assert cache.row is None


def test_what_a_watched_user_lacks_is_looked_for_however_long_it_takes(cache: Cache) -> None:
    world = cache.world
    world.set(max_subscription_expiration=604800)
    world.watch(BOB, expires="604800")
    cache.read()
    world.now += LIMIT
    assert cache.forget() == []
    assert cache.deadlines == (True, False)
    assert len(cache.claim()) == 1


def test_what_another_root_had_is_not_asked_for(cache: Cache) -> None:
    cache.read()
    xcap = replace(cache.world.settings.xcap, xcap_root="http://xcap.example.org/xcap-root2/")
    cache.world.settings = replace(cache.world.settings, xcap=xcap)
    cache.read(BOB)
    fetched.begin(cache.world.moment)
    assert [each.owner for each in cache.claim()] == [BOB]


# When the group `fetch` is called


@pytest.fixture
def woken() -> list[str]:
    return []


@pytest.fixture
def fetching(woken: list[str]) -> Fetching:
    return Fetching(lambda verb: verb(), lambda: woken.append("woken"), woken.append, lambda *_: None)


def test_the_tick_wakes_it_when_something_is_due(cache: Cache, fetching: Fetching, woken: list[str]) -> None:
    world = cache.world
    fetching.tick(world.moment)
    assert woken == []
    cache.read()
    fetching.tick(world.moment)
    assert woken == ["woken"]


def test_the_tick_forgets_what_was_known_too_long(cache: Cache, fetching: Fetching, woken: list[str]) -> None:
    world = cache.world
    cache.fetched()
    world.now += LIMIT
    fetching.tick(world.moment)
    assert cache.row is not None
    assert cache.row.known is Known.UNKNOWN


@pytest.mark.parametrize(("decision", "expected"), [(Decision.CONFIRM, ["woken"]), (Decision.ALLOW, [])])
def test_a_pending_watcher_wakes_it_at_once(
    cache: Cache, fetching: Fetching, woken: list[str], decision: Decision, expected: list[str]
) -> None:
    cache.world.decide(decision)
    (status,) = (each for each in cache.world.subscribe(BOB).effects if isinstance(each, Status))
    fetching.subscribed(cache.world.settings, status)
    fetching.subscribed(cache.world.settings, None)
    assert woken == expected


def test_without_another_server_nothing_is_done(cache: Cache, fetching: Fetching, woken: list[str]) -> None:
    world = cache.world
    cache.read()
    world.decide(Decision.CONFIRM)
    (status,) = (each for each in world.subscribe(BOB).effects if isinstance(each, Status))
    world.settings = replace(world.settings, xcap=XcapSettings())
    with world.counted() as statements:
        fetching.tick(world.moment)
        fetching.run(world.moment)
        fetching.subscribed(world.settings, status)
    assert (statements, woken) == ([], [])
