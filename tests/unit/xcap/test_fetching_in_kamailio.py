"""Which of Kamailio's processes does what about documents of another server, and what it is called by."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kemi.effects import Effect
from kemi.moment import Moment
from kemi.parameters import XcapSettings
from kemi.xcap import fetched, pres_rules
from kemi.xcap.fetched_document import FetchedDocument, Reading
from tests.unit.kamailio import Server
from tests.unit.values import ALICE, BOB
from tests.unit.xcap.webclient import RULES, Serve, serve
from tests.verbs.lists import ACCEPT
from tests.webserver import Told

__all__ = ["serve"]

TASK = ("ksr_fetch", "fetch", "")


def use(server: Server, root: str, auth: str = "none", **xcap: Any) -> None:
    """Documents are at this root from now on."""
    settings = server.handler.settings
    server.set(pa=replace(settings.pa, auth=auth), xcap=XcapSettings(xcap_root=root, **xcap))


def ask(server: Server, user: str = ALICE) -> Reading:
    return fetched.document(Moment(server.database, server.handler.settings, {}, time.time()), "pres-rules", user)


@pytest.mark.rfc("XCC-002")
def test_a_pending_watcher_calls_the_group_fetch_once(server: Server) -> None:
    use(server, "http://xcap.example.org", auth="implicit")
    for _ in range(3):
        assert server.request("SUBSCRIBE").status == 200
    assert [task for task in server.ksr.tasks if task[1] == "fetch"] == [TASK]


@pytest.mark.parametrize(("root", "auth"), [("", "implicit"), ("http://xcap.example.org", "none")])
def test_otherwise_a_subscribe_calls_nobody(server: Server, root: str, auth: str) -> None:
    use(server, root, auth=auth)
    assert server.request("SUBSCRIBE").status == 200
    assert TASK not in server.ksr.tasks


@pytest.mark.rfc("XCC-002")
def test_a_list_that_is_not_known_yet_is_fetched_while_the_client_waits(server: Server, serve: Serve) -> None:
    use(server, serve(Told(404)).url)
    lists = (("Supported", "eventlist"), ("Accept", ACCEPT))
    answer = server.request("SUBSCRIBE", *lists)
    assert (answer.status, answer.headers["Retry-After"]) == (503, ["2"])
    assert server.ksr.tasks == [TASK]
    server.run_tasks()
    assert server.request("SUBSCRIBE", *lists).status == 200


def test_the_tick_calls_it_and_it_saves_what_comes(server: Server, serve: Serve) -> None:
    use(server, serve(Told(200, RULES)).url)
    ask(server)
    assert server.handler.ksr_timer_tick(None) == 1
    assert TASK in server.ksr.tasks
    server.run_tasks()
    assert ask(server).body == RULES
    assert server.handler.ksr_timer_tick(None) == 1
    assert TASK not in server.ksr.tasks
    assert any(line.startswith("document fetched: ") for line in server.lines("info"))


def test_rules_are_read_before_the_transaction_in_which_they_are_asked(
    server: Server, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for module, name in ((pres_rules, "parse"), (fetched, "save")):
        monkeypatch.setattr(module, name, noting(order, getattr(module, name)))
    use(server, serve(Told(200, RULES + b"<!-- nobody has read these before -->")).url, auth="xcap")
    assert server.request("SUBSCRIBE").status == 200
    server.run_tasks()
    assert order == ["parse", "save"] * 3


def noting(order: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and its name is written down."""

    def noted(*arguments: Any) -> Any:
        order.append(function.__name__)
        return function(*arguments)

    return noted


@pytest.mark.rfc("SEC-028")
def test_a_file_that_cannot_be_used_is_told_in_one_line(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("s3cret")
    use(server, "http://xcap.example.org", fetch_credentials=str(file))
    ask(server)
    assert server.handler.ksr_fetch(None) == 1
    assert server.lines("err") == []
    assert server.lines("warn") == [f"nothing is fetched: xcap.fetch_credentials: {file}: one line user:password is needed"]


def test_one_document_that_cannot_be_saved_does_not_stop_the_others(
    server: Server, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = fetched.save

    def failing(at: Any, claimed: FetchedDocument, *others: Any) -> list[Effect]:
        if claimed.owner == ALICE:
            raise ZeroDivisionError
        return save(at, claimed, *others)

    monkeypatch.setattr(fetched, "save", failing)
    use(server, serve(Told(200, RULES)).url)
    for user in (ALICE, BOB):
        ask(server, user)
    assert server.handler.ksr_fetch(None) == 1
    assert (ask(server, ALICE).body, ask(server, BOB).body) == (b"", RULES)
    assert "ZeroDivisionError" in "".join(server.lines("err"))
