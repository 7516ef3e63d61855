"""A presentity whose watchers are watched: every NOTIFY is answered at once, every document read as a client reads it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from kemi import watcher_store
from kemi.answer import Answer
from kemi.effects import SendRequest
from kemi.subscription import GRACE, TIMER_F
from kemi.watcher import Status
from tests.unit.values import ALICE, BOB, fields_of
from tests.verbs.world import Accepted, World
from tests.watcherinfo import WATCHERINFO, Reader, Told

WINFO = "presence.winfo"
DAVE = "sip:dave@example.org"


class Watched:
    """A world, and what each of those who watch the watchers was told so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.readers: dict[str, Reader] = defaultdict(Reader)
        self._news: dict[str, list[Told]] = defaultdict(list)

    def come(self, watcher: str = BOB, **changes: Any) -> str:
        """A new subscription; its dialog."""
        (first,) = self.world.subscribe(watcher, **changes).sent
        self.flow([first])
        return first.id

    def winfo(self, watcher: str = ALICE, **changes: Any) -> str:
        """A new subscription to who watches alice; its dialog."""
        return self.come(watcher, **{"event": WINFO} | changes)

    def refresh(self, dialog: str, **changes: Any) -> Accepted:
        """A SUBSCRIBE in the dialog, and what follows."""
        done = self.world.refresh(dialog, **changes)
        self.flow()
        return done

    def pause(self, seconds: float) -> list[SendRequest]:
        """Time goes by, and what has to happen then happens."""
        self.world.now += seconds
        self.world.tick()
        return self.flow()

    def flow(self, waiting: Sequence[SendRequest] = ()) -> list[SendRequest]:
        """Rounds of the notifier until nothing more goes out, everything answered 200: all that was sent.

        One that removes subscriptions may send nothing, and wake the notifier for who watches the watchers.
        """
        sent: list[SendRequest] = []
        waiting = waiting or self._round() or self._round()
        while waiting:
            sent += waiting
            for each in waiting:
                self.read(each)
            waiting = self._round(*(Answer(each.id, each.cseq, 200) for each in waiting)) or self._round()
        return sent

    def _round(self, *answers: Answer) -> list[SendRequest]:
        return self.world.notifier(*answers)

    def read(self, request: SendRequest) -> None:
        """A document has arrived."""
        if fields_of(request.headers).get("Content-Type") == [WATCHERINFO]:
            self._news[request.id].append(self.readers[request.id].take(request.body))

    def news(self, dialog: str) -> list[Told]:
        """The documents that came in this dialog since they were asked for last."""
        return self._news.pop(dialog, [])

    def told(self, dialog: str) -> Told:
        """The only one of them."""
        (document,) = self.news(dialog)
        return document

    def view(self, dialog: str) -> dict[str, tuple[str, str, str]]:
        """What the client knows: URI, status and event by id."""
        return self.readers[dialog].view

    def table(self, package: str = "presence", resource: str = ALICE) -> dict[str, tuple[str, str, str]]:
        """What the server knows: the same."""
        watchers = watcher_store.list_all(self.world.database, package, [resource])
        return {
            each.id: (each.uri, each.status.value, each.event.value)
            for each in watchers
            if each.status is not Status.TERMINATED and not each.stored
        }


def silent(watched: Watched, dialog: str, status: int) -> None:
    """The watcher does not answer its next NOTIFY, or like this."""
    watched.world.refresh(dialog)
    (notify,) = (each for each in watched.world.notifier() if each.id == dialog)
    if status:
        watched.flow(watched.world.answer(notify, status))
    watched.pause(TIMER_F + GRACE)


ENDS: dict[str, Callable[[Watched, str], object]] = {
    "unsubscribe": lambda watched, dialog: watched.refresh(dialog, expires="0"),
    "expiry": lambda watched, _dialog: watched.pause(600),
    "481": lambda watched, dialog: silent(watched, dialog, 481),
    "silence": lambda watched, dialog: silent(watched, dialog, 0),
}
"""How a subscription of 600 seconds ends."""
