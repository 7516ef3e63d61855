"""Waiting for something to become true, never longer than told."""

import time
from collections.abc import Callable

PAUSE = 0.05
"""Seconds between two looks."""


def until(condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
    """Look again and again until the condition holds.

    Raises:
        TimeoutError: it does not hold in time; `what` says what was waited for.
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s: {what}")
        time.sleep(PAUSE)
