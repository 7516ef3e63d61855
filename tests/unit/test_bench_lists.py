"""What the benchmark believes about lists: what watchers know, how they leave, what is measured once."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kemi.event_package import Document
from kemi.rls import aggregate_state
from kemi.rls.rlmi import Instance, ListState, Resource
from kemi.subscription import State
from tests.unit.values import ALICE, pidf

BENCH = Path(__file__).resolve().parents[2] / "bench"
ADDRESS = "127.0.0.1:5099"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its modules, which are scripts of one folder."""
    monkeypatch.syspath_prepend(str(BENCH))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def told(bench: Any, *members: tuple[str, str], is_full: bool, silent: tuple[str, ...] = (), at: int = 1) -> Any:
    """A NOTIFY as the server writes it: (member, note) of each that has an instance."""
    resources = [
        Resource(
            f"sip:{name}@example.org",
            (),
            (Instance("1", State.ACTIVE, None, Document(document(name, note), "application/pidf+xml", "tag")),),
        )
        for name, note in members
    ]
    resources += [Resource(f"sip:{name}@example.org") for name in silent]
    body = aggregate_state.write(ListState("sip:bob-list@example.org", tuple(resources), is_full=is_full, version=0), f"t{at}")
    head = f"NOTIFY sip:bob@{ADDRESS} SIP/2.0\r\nCall-ID: bob\r\nContent-Type: {body.content_type}\r\n\r\n"
    return bench("messages").Message((head + body.content).encode(), at)


def document(name: str, note: str) -> str:
    return pidf("t1", note=note).decode().replace(ALICE, f"sip:{name}@example.org")


def test_a_watcher_knows_the_newest_state_of_each_member(bench: Any) -> None:
    reader = bench("list_messages").Reader()
    reader.take(told(bench, ("carol", "one"), ("dave", "one of dave"), is_full=True))
    reader.take(told(bench, ("carol", "two"), is_full=False, at=2))
    assert reader.of("bob") == {b"carol": b"two", b"dave": b"one of dave"}
    assert reader.arrived == {(b"bob", b"one"): 1, (b"bob", b"one of dave"): 1, (b"bob", b"two"): 2}


def test_nothing_is_known_of_who_has_no_instance_in_a_full_document(bench: Any) -> None:
    reader = bench("list_messages").Reader()
    reader.take(told(bench, ("carol", "one"), ("dave", "one of dave"), is_full=True))
    reader.take(told(bench, ("carol", "two"), is_full=True, silent=("dave",), at=2))
    assert reader.of("bob") == {b"carol": b"two"}


def test_a_watcher_leaves_in_its_dialog(bench: Any) -> None:
    accepted = bench("messages").Message(
        b"SIP/2.0 200 OK\r\nTo: <sip:bob-list@example.org>;tag=kp-list-1\r\nCall-ID: bob\r\n\r\n", 1
    )
    request = bench("list_messages").unsubscribe("bob", ADDRESS, accepted, 2).decode()
    lines = request.split("\r\n")
    assert lines[0] == "SUBSCRIBE sip:bob-list@example.org SIP/2.0"
    assert {"To: <sip:bob-list@example.org>;tag=kp-list-1", "CSeq: 2 SUBSCRIBE", "Expires: 0", "Call-ID: bob"} <= set(lines)


def test_memory_is_measured_in_the_first_round_only(bench: Any) -> None:
    groups = bench("groups")
    _, cases = groups.chosen(["list"])
    assert cases == ["list-subscribe", "list-change", "list-burst", "list-memory"]
    assert groups.cases_of(1, cases) == cases
    assert groups.cases_of(2, cases) == ["list-subscribe", "list-change", "list-burst"]
