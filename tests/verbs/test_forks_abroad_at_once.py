"""Forks, and several processes at once: none holds what another one needs while it waits for that one (PostgreSQL)."""

from collections.abc import Callable
from typing import Any

import pytest

from kemi.b2bua import store
from kemi.b2bua.happening import happens
from kemi.b2bua.outgoing import Phase
from kemi.packages.dialog_info import MEDIA_TYPE
from tests.verbs.abroad import Abroad
from tests.verbs.at_once import overtaken
from tests.verbs.test_forks_abroad import DIALOG, Calls, document


def notify(calls: Calls, tag: str) -> Callable[[], None]:
    """Another process, that takes a NOTIFY of this fork."""

    def take() -> None:
        mine = Abroad(calls.abroad.url)
        mine.now = calls.abroad.now
        try:
            usual: dict[str, Any] = {"event": DIALOG, "content_type": MEDIA_TYPE, "cseq": 2}
            mine.notify_from_far(calls.asked, body=document(2, ""), from_tag=tag, **usual)
        finally:
            mine.close()

    return take


@pytest.mark.rfc("B2B-012")
def test_a_notify_and_the_end_of_all_do_not_wait_for_each_other(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(abroad, "desk", "mobile")
    calls.tell("desk", number=2)
    abroad.refresh(calls.local, expires="0")
    abroad.told()
    with overtaken(store.is_unwanted, notify(calls, "mobile")) as is_unwanted:
        monkeypatch.setattr(store, "is_unwanted", is_unwanted)
        left = abroad.sweep_abroad()
    assert len(left) == 2
    assert {phase for _tag, phase in calls.phases()} == {Phase.LEAVING}


@pytest.mark.rfc("B2B-012")
def test_a_notify_and_refreshes_do_not_wait_for_each_other(abroad: Abroad, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(abroad, "desk")
    for tag in ("mobile", "soft"):
        calls.tell(tag, "active;expires=100")
    abroad.now += 80
    with overtaken(happens, notify(calls, "mobile")) as happening:
        monkeypatch.setattr("kemi.b2bua.sending.happens", happening)
        assert len(abroad.round()) == 2
    assert calls.family()[1].remote_cseq == 2
