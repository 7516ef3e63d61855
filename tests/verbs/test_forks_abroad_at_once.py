"""Forks, and several processes at once: none holds what another one needs while it waits for that one (PostgreSQL)."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from kemi.b2bua import store
from kemi.b2bua.happening import happens
from kemi.b2bua.outgoing import Phase
from kemi.packages.dialog_info import MEDIA_TYPE
from tests.verbs.abroad import Abroad
from tests.verbs.test_forks_abroad import DIALOG, Calls, document

HEAD_START = 0.5
"""Seconds at most that a NOTIFY is given; when it has to wait for a lock they all pass."""


class Overtaking:
    """Another process takes a NOTIFY while this one is in the middle of its transaction."""

    def __init__(self, calls: Calls, tag: str) -> None:
        self.calls, self.tag = calls, tag
        self.pool = ThreadPoolExecutor(1)
        self.started: list[Future[None]] = []

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The work, and the NOTIFY that has got as far as it can before it is done the second time."""

        def overtaken(*arguments: Any) -> Any:
            done = work(*arguments)
            if not self.started:
                self.started.append(self.pool.submit(self._notify))
                wait(self.started, HEAD_START)
            return done

        return overtaken

    def _notify(self) -> None:
        mine = Abroad(self.calls.abroad.url)
        mine.now = self.calls.abroad.now
        try:
            usual: dict[str, Any] = {"event": DIALOG, "content_type": MEDIA_TYPE, "cseq": 2}
            mine.notify_from_far(self.calls.asked, body=document(2, ""), from_tag=self.tag, **usual)
        finally:
            mine.close()

    def end(self) -> None:
        """Raises what the other process did."""
        self.pool.shutdown()
        self.started[0].result()


@pytest.mark.rfc("B2B-012")
def test_a_notify_and_the_end_of_all_do_not_wait_for_each_other(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(abroad, "desk", "mobile")
    calls.tell("desk", number=2)
    abroad.refresh(calls.local, expires="0")
    abroad.told()
    other = Overtaking(calls, "mobile")
    monkeypatch.setattr(store, "is_unwanted", other.before(store.is_unwanted))
    left = abroad.sweep_abroad()
    other.end()
    assert len(left) == 2
    assert {phase for _tag, phase in calls.phases()} == {Phase.LEAVING}


@pytest.mark.rfc("B2B-012")
def test_a_notify_and_refreshes_do_not_wait_for_each_other(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(abroad, "desk")
    for tag in ("mobile", "soft"):
        calls.tell(tag, "active;expires=100")
    abroad.now += 80
    other = Overtaking(calls, "mobile")
    monkeypatch.setattr("kemi.b2bua.sending.happens", other.before(happens))
    assert len(abroad.round()) == 2
    other.end()
    assert calls.family()[1].remote_cseq == 2
