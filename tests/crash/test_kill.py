"""kill -9 of the whole server while clients work, start it again, and look whether every promise was kept."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.crash.load import FIRST_RETRANSMISSION, Failure, Publisher, Watcher, keep_acting, open_socket
from tests.repetitions import repeated, seed_of_this_run
from tests.server import Server

USERS = ("anna", "bert", "carl")
ROUNDS = {"sqlite": repeated(6, 40), "postgresql": repeated(3, 40)}
GIVEN_UP = 0.25
CONVERGENCE = 30.0


class Crowd:
    """Three users with three devices each, six watchers each; some of the devices give up what a crash leaves unanswered."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.publishers: list[Publisher] = []
        self.watchers: list[Watcher] = []

    def _own(self) -> random.Random:
        return random.Random(self.chance.random())

    async def open(self, server: tuple[str, int]) -> None:
        for user in USERS:
            for device in range(3):
                self.publishers.append(Publisher(await open_socket(server), user, f"{user}{device}", self._own()))
            for number in range(6):
                watcher = Watcher(await open_socket(server), f"{user}-watcher{number}", user, self._own())
                watcher.socket.on_notify = watcher.on_notify
                self.watchers.append(watcher)
        await asyncio.gather(*(watcher.subscribe() for watcher in self.watchers))

    def close(self) -> None:
        for socket in (*(each.socket for each in self.publishers), *(each.socket for each in self.watchers)):
            socket.transport.close()

    async def round(self, server: Server) -> None:
        """Work, crash, restart while the clients go on, and come to rest."""
        async with self._working():
            await asyncio.sleep(self.chance.uniform(0.1, 0.5))
            server.kill()
            await asyncio.to_thread(server.start)
            await asyncio.sleep(self.chance.uniform(0.0, 0.2))

    async def work(self, seconds: float) -> None:
        """Work for a while."""
        async with self._working():
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        workers = [asyncio.create_task(keep_acting(each.act, stop, self._own())) for each in self.watchers]
        workers += [asyncio.create_task(keep_acting(self._hasty(each), stop, self._own())) for each in self.publishers]
        yield
        stop.set()
        await asyncio.gather(*workers)

    def _hasty(self, publisher: Publisher) -> Callable[[], Awaitable[None]]:
        """A device that waits for every answer, or one that now and then sends once and gives up."""

        async def act() -> None:
            gives_up = self.chance.random() < GIVEN_UP
            await publisher.act(FIRST_RETRANSMISSION if gives_up else 20.0)

        return act

    async def check(self) -> None:
        """Every watcher has the newest state by NOTIFYs alone; then every tag and every dialog still works."""
        await self._converge()
        await asyncio.gather(*(publisher.check() for publisher in self.publishers))
        await asyncio.gather(*(watcher.refresh() for watcher in self.watchers if watcher.to_tag))
        await self._converge()
        failures = [failure for watcher in self.watchers for failure in watcher.failures]
        if failures:
            raise Failure("; ".join(failures))

    async def _converge(self) -> None:
        for watcher in self.watchers:
            if watcher.to_tag:
                await self._until_newest(watcher)

    async def _until_newest(self, watcher: Watcher) -> None:
        publishers = [each for each in self.publishers if each.user == watcher.user]
        certain = {each.note for each in publishers if each.note}
        possible = certain | {note for each in publishers for note in each.maybe}
        try:
            async with asyncio.timeout(CONVERGENCE):
                while not (certain <= watcher.latest <= possible):
                    watcher.told.clear()
                    await watcher.told.wait()
        except TimeoutError:
            missing, stale = certain - watcher.latest, watcher.latest - possible
            raise Failure(f"{watcher.name} CSeq {watcher.cseq}: missing {missing}, stale {stale}") from None


async def _rounds(server: Server, seed: int, rounds: int) -> None:
    crowd = Crowd(seed)
    try:
        await crowd.open(server.address)
        for number in range(rounds):
            try:
                await crowd.round(server)
                await crowd.check()
            except Failure as failure:
                pytest.fail(f"round {number + 1} of {rounds}, seed {seed}: {failure}")
        acknowledged = sum(each.acknowledged for each in crowd.publishers)
        given_up = sum(len(each.maybe) for each in crowd.publishers)
        notifies = sum(each.notifies for each in crowd.watchers)
        print(f"{rounds} rounds: {acknowledged} PUBLISH answered, {given_up} given up, {notifies} NOTIFY")
    finally:
        crowd.close()


async def _quiet_rounds(server: Server, seed: int, rounds: int) -> None:
    """The same without a crash."""
    crowd = Crowd(seed)
    try:
        await crowd.open(server.address)
        for number in range(rounds):
            await crowd.work(1.0)
            try:
                await crowd.check()
            except Failure as failure:
                pytest.fail(f"round {number + 1} of {rounds}, seed {seed}: {failure}")
    finally:
        crowd.close()


def test_no_update_is_lost_under_load(server: Server) -> None:
    """Changes that come while NOTIFYs about earlier ones are made: every watcher ends with the newest state."""
    seed = seed_of_this_run()
    print(f"SEED={seed}")
    asyncio.run(_quiet_rounds(server, seed, 2))


@pytest.mark.crash
@pytest.mark.rfc("TRN-010")
def test_nothing_acknowledged_is_lost(start_server: Callable[..., Server], engine: str) -> None:
    seed = seed_of_this_run()
    print(f"SEED={seed}")
    server = start_server({"KP_SET": "pa.notify_interval=0;pa.max_publications=0"})
    asyncio.run(_rounds(server, seed, int(os.environ.get("ROUNDS") or ROUNDS[engine])))
    assert "Traceback" not in server.log.read_text(errors="replace")
