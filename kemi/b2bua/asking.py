"""When others are asked, and by which process: what the handler calls. Where no domain elsewhere is named there is little to do.

ticker            tick   something is due, or answers lie in the queue: the group `notify` is woken. Now and then a sweep
group `notify`    run    rounds of `sending`
worker of SIP     heard  NOTIFY
"""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

from kemi import sip
from kemi.b2bua import notified, outside, relay, sending, store
from kemi.b2bua.happening import Setting, Show
from kemi.b2bua.outgoing import Answered
from kemi.b2bua.sending import Round
from kemi.effects import Effect
from kemi.moment import Moment

SWEEP: Final = 5
"""Seconds between two looks for subscriptions that nobody wants any more."""

ANSWERS: Final = 500
"""Taken in one round."""

Execute = Callable[[list[Effect]], None]
Again = Callable[[Callable[[], Round]], Round]


class Asking:
    """What one process does about subscriptions of the server's own.

    Args:
        secret: of the installation.
        execute: carries out effects.
        again: runs a verb, once more where another transaction was in its way.
        take: answers that came in, so many at most.
        show: makes a publication of what a user's own device has told.
        wake: calls the group `notify`.
    """

    def __init__(
        self,
        secret: bytes,
        execute: Execute,
        again: Again,
        take: Callable[[int], list[Answered]],
        show: Show,
        wake: Callable[[], None],
    ) -> None:
        self.name = relay.name_of(secret)
        self._execute = execute
        self._again = again
        self._take = take
        self._show = show
        self._wake = wake
        self._untaken: list[Answered] = []
        self._second, self._used = 0, 0
        self._swept_at = 0.0
        self._reachable: tuple[str, ...] | None = None

    def tick(self, at: Moment, has_answers: bool) -> None:
        """Once a second, in one process.

        Args:
            has_answers: some lie in the queue.
        """
        is_sweep = at.now >= self._swept_at + SWEEP
        if is_sweep:
            self._swept_at = at.now
        if is_sweep or has_answers or store.is_due(at.database, at.now):
            self._wake()

    def run(self, moment: Callable[[], Moment]) -> None:
        """Send what is due, no more than so many in a second; the rest waits for the next tick.

        Args:
            moment: what verbs are given, as it is when it is called.

        Raises:
            Unavailable: of the database.
        """
        at = self._setting(moment())
        if at.now >= self._swept_at + SWEEP - 1:
            self._swept_at = at.now
            self._execute([*sending.sweep(at, chance), *sending.sources(at, chance)])
        self._leave_unreachable(at)
        more = True
        while more:
            self._untaken += self._take(ANSWERS)
            answers, at = list(self._untaken), self._setting(moment())
            done = self._again(partial(sending.send, at, answers, chance, self._room(at)))
            self._untaken.clear()
            self._used += done.asked
            self._execute(done.effects)
            more = len(answers) == ANSWERS

    def _leave_unreachable(self, at: Setting) -> None:
        """Once after each change of `b2b.domains`, and after the start."""
        reachable = at.settings.b2b.reachable
        if reachable != self._reachable:
            left = sending.leave_unreachable(at, chance)
            self._reachable = reachable if left.is_all else None
            self._execute(left.effects)

    def _room(self, at: Setting) -> int:
        """How many more may be asked in this second."""
        if int(at.now) != self._second:
            self._second, self._used = int(at.now), 0
        return at.settings.b2b.max_subscribes - self._used

    def heard(self, at: Moment, request: sip.Request) -> list[Effect]:
        """A NOTIFY in one of our dialogs.

        Raises:
            SipError: it is refused.
        """
        return notified.notified(self._setting(at), request, chance())

    def _setting(self, at: Moment) -> Setting:
        return Setting(*at, outside.ourselves(at.settings, self.name), self._show)


def chance() -> str:
    """32 random hexadecimal digits."""
    return secrets.token_hex(16)
