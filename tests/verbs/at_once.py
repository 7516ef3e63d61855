"""Several processes at once, each with a connection of its own: all together, or one that overtakes another."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from kemi.database import Conflict
from tests.verbs.world import World

HEAD_START = 0.5
"""Seconds at most that who overtakes is given; where it has to wait for a lock they all pass."""


def at_once(url: str, jobs: Sequence[Callable[[World], Any]], **pa: Any) -> list[Any]:
    """Run each job in a thread with a connection of its own; all of them start together."""
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[World], Any]) -> Any:
        mine = World(url, **pa)
        try:
            barrier.wait(30)
            return job(mine)
        finally:
            mine.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def again(work: Callable[[], Any]) -> Any:
    """As the handler does it: once more when another transaction was in the way."""
    try:
        return work()
    except Conflict:
        return work()


@contextmanager
def overtaken(through: Callable[..., Any], work: Callable[[], Any]) -> Iterator[Callable[..., Any]]:
    """A function, as it is, during whose first call somebody else does this work: it has its result, and has not returned.

    In the end the work is done, and what it raises is raised.
    """
    first = iter([True])
    overtaking: list[Future[Any]] = []

    def called(*arguments: Any, **named: Any) -> Any:
        result = through(*arguments, **named)
        if next(first, False):
            overtaking.append(pool.submit(work))
            wait(overtaking, HEAD_START)
        return result

    with ThreadPoolExecutor(1) as pool:
        yield called
    (done,) = overtaking
    done.result()
