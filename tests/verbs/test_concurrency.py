"""Several processes at once, each with its own connection: what must hold whoever comes first."""

import threading
from collections.abc import Callable, Sequence

import pytest

from kemi.answer import Answer
from kemi.database import Conflict, Unavailable
from kemi.effects import SendRequest
from kemi.errors import ConditionalRequestFailed
from kemi.presence.package import PRESENCE
from tests.unit.values import BOB, pidf
from tests.verbs.at_once import again, at_once, overtaken
from tests.verbs.world import World

WORKERS = 6


def quiescent(world: World, sent: Sequence[SendRequest] = ()) -> dict[str, SendRequest]:
    """Answer every NOTIFY until nothing is left to tell; the last one of each dialog."""
    last: dict[str, SendRequest] = {}
    waiting = list(sent)
    while True:
        last |= {each.id: each for each in waiting}
        answers = [Answer(each.id, each.cseq, 200) for each in waiting]
        waiting = world.notifier(*answers)
        if not waiting:
            return last


@pytest.mark.rfc("PUB-010")
def test_of_many_modifications_of_one_tag_exactly_one_wins(world: World) -> None:
    for _ in range(5):
        tag = world.publish().tag

        def modify(mine: World, tag: str = tag) -> str:
            try:
                return mine.publish(pidf("t2"), tag).tag
            except ConditionalRequestFailed:
                return ""

        won = [each for each in at_once(world.url, [modify] * WORKERS) if each]
        assert len(won) == 1
        assert [row.etag for row in world.publications() if row.body == pidf("t2")] == won
        world.publish(b"", won[0], expires="0")


@pytest.mark.rfc("PUB-010")
def test_many_devices_of_one_presentity_lose_and_double_nothing(world: World) -> None:
    world.watch()

    def device(number: int) -> Callable[[World], str]:
        def live(mine: World) -> str:
            tag = again(lambda: mine.publish(pidf(f"d{number}"))).tag
            for step in range(10):
                body = pidf(f"d{number}", note=f"step {step}")
                tag = again(lambda body=body, tag=tag: mine.publish(body, tag)).tag
            return str(tag)

        return live

    tags = at_once(world.url, [device(number) for number in range(WORKERS)])
    rows = world.publications()
    assert sorted(row.etag for row in rows) == sorted(tags)
    assert all(b"step 9" in row.body for row in rows)


@pytest.mark.rfc("PA-022")
def test_a_watcher_who_comes_while_devices_publish_ends_with_the_newest_state(world: World) -> None:
    """Whatever overtakes what: SUBSCRIBE and PUBLISH for one presentity come one wholly before the other."""
    tags = [world.publish(pidf(f"d{number}")).tag for number in range(3)]

    def device(number: int) -> Callable[[World], list[SendRequest]]:
        def live(mine: World) -> list[SendRequest]:
            tag = tags[number]
            for step in range(8):
                tag = again(lambda tag=tag, step=step: mine.publish(pidf(f"d{number}", note=f"{number}-{step}"), tag)).tag
            return []

        return live

    def watcher(mine: World) -> list[SendRequest]:
        return [again(mine.subscribe).sent[0] for _ in range(8)]

    sent = at_once(world.url, [device(0), device(1), device(2), watcher, watcher], notify_interval=0)
    last = quiescent(world, [each for several in sent for each in several])
    assert len(last) == 16
    for told in last.values():
        assert all(f">{number}-7<" in told.body for number in range(3))


@pytest.mark.rfc("PA-022")
def test_a_publish_that_overtakes_the_notifier_is_told(world: World) -> None:
    """It commits after the notifier has read the old state, and before the notifier commits what it will send."""
    world.set(notify_interval=0)
    tag = world.publish(pidf("t1", note="one")).tag
    dialog = world.watch()
    tag = world.publish(pidf("t1", note="two"), tag).tag

    def publish() -> None:
        other = World(world.url, notify_interval=0)
        again(lambda: other.publish(pidf("t1", note="three"), tag))
        other.close()

    with overtaken(PRESENCE.render, publish) as render:
        world.serve(render=render)
        sent = world.notifier()
    assert [each.id for each in sent] == [dialog]
    assert "three" in quiescent(world, sent)[dialog].body


@pytest.mark.rfc("TRN-025")
def test_notifiers_that_work_at_once_send_each_notify_once(world: World) -> None:
    watchers = 120
    first = [world.subscribe(BOB).sent[0] for _ in range(watchers)]
    world.notifier(*(Answer(each.id, each.cseq, 200) for each in first))
    world.set(notify_interval=0)
    world.publish()

    def tell(mine: World) -> list[SendRequest]:
        sent: list[SendRequest] = []
        while told := again(mine.notifier):
            sent += told
        return sent

    sent = [each for several in at_once(world.url, [tell] * 4, notify_interval=0, notify_batch=10) for each in several]
    assert sorted(each.id for each in sent) == sorted(each.id for each in first)
    assert {each.cseq for each in sent} == {2}


@pytest.mark.rfc("TRN-009")
def test_one_subscribe_seen_by_many_workers_is_one_subscription(world: World) -> None:
    from tests.unit.values import SUBSCRIBE

    done = at_once(world.url, [lambda mine: again(lambda: mine.subscribe_request(SUBSCRIBE))] * WORKERS)
    assert len({each.header("Contact") for each in done}) == 1
    assert [len(each.sent) for each in done].count(1) == 1
    assert sum(len(each.sent) for each in done) == 1


def test_two_who_wait_for_each_other_are_parted_and_told_that_it_was_a_conflict(world: World) -> None:
    if world.database.engine == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    both_hold = threading.Barrier(2)

    def crosswise(mine_first: str, then: str) -> Callable[[World], str]:
        def lock(mine: World) -> str:
            try:
                with mine.database.transaction():
                    mine.database.lock(mine_first)
                    mine.database.execute("server_value", {"name": "secret"}).rows()
                    both_hold.wait(30)
                    mine.database.lock(then)
            except Conflict:
                return "conflict"
            return "done"

        return lock

    assert sorted(at_once(world.url, [crosswise("a", "b"), crosswise("b", "a")])) == ["conflict", "done"]


def test_a_lock_that_does_not_come_free_makes_the_database_unavailable(world: World) -> None:
    from dataclasses import replace

    from kemi import database

    settings = replace(world.settings, db=replace(world.settings.db, busy_timeout=1))
    hasty = database.connect(settings)
    with world.database.transaction():
        world.database.lock("a")
        world.database.execute("server_value", {"name": "secret"}).rows()
        with pytest.raises(Unavailable), hasty.transaction():
            hasty.lock("a")
    with hasty.transaction():
        hasty.lock("a")
    hasty.close()
