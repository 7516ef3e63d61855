"""Rows and values: kemi/store.py and kemi/presence/store.py."""

from collections.abc import Callable
from typing import Any

import pytest

from kemi import store
from kemi.event_package import Decision
from kemi.presence import store as publications
from kemi.presence.publication import Publication
from kemi.subscription import Reason, Removed, State, Subscription
from tests.unit.values import ALICE, BOB, CAROL, NOW, PUBLICATION, SUBSCRIPTION, subscription
from tests.verbs.world import World

FULL = subscription(
    event_id="a7", decision=Decision.POLITE_BLOCK, state=State.TERMINATED, reason=Reason.NORESOURCE, route_set="<sip:p;lr>",
    local_cseq=2**31 - 1, remote_cseq=2**31 - 1, flow="sip:192.0.2.7;transport=ws", connection=2**40, due_at=NOW + 0.25,
    in_flight_since=NOW - 0.125, remote_uri="sip:bob%20ü@example.org", user_agent="it's \"quoted\" -- ü;", next_at=NOW + 0.5,
    watcher_id="a7", display_name="Bob \"the\" <Builder> ü", watcher_event="approved", event_parameters="sip-profile=x",
    version=2**40, changes=2**40, told=2**40 - 1, suppress="*", rates="max-rate=0.5;adaptive-min-rate=0.1", recent="1.25 2.5",
    least_gap=2.0, repeat_at=NOW + 0.75, permissions='<"&ü>\n', judge_at=NOW + 0.25,
    body='<"&ü>\n', known='{"<&ü>": "\\n"}',
)  # fmt: skip


def create(world: World, *rows: Subscription) -> list[int]:
    with world.database.transaction():
        results = [store.create(world.database, row, 0, 0) for row in rows]
    return [result.count for result in results]


# Subscriptions


@pytest.mark.parametrize("value", [SUBSCRIPTION, FULL])
def test_a_subscription_comes_back_as_it_was(world: World, value: Subscription) -> None:
    assert create(world, value) == [1]
    assert world.subscription(value.id) == value


def test_a_refresh_saves_what_it_may_change_and_nothing_else(world: World) -> None:
    create(world, SUBSCRIPTION)
    every = FULL._asdict() | {"id": SUBSCRIPTION.id, "remote_cseq": 9}
    with world.database.transaction():
        store.refresh(world.database, Subscription(**every))
    saved = world.subscription(SUBSCRIPTION.id)
    changed = {name for name in Subscription._fields if getattr(saved, name) != getattr(SUBSCRIPTION, name)}
    allowed = {
        "decision",
        "state",
        "reason",
        "accept",
        "expires_at",
        "remote_target",
        "in_flight_since",
        "remote_cseq",
        "socket",
        "flow",
        "connection",
        "user_agent",
        "due_at",
        "notified_tag",
        "next_at",
        "watcher_event",
        "event_parameters",
        "suppress",
        "rates",
        "recent",
        "least_gap",
        "repeat_at",
        "permissions",
        "judge_at",
        "body",
    }
    assert changed <= allowed
    assert {"remote_cseq", "state", "due_at"} <= changed


def test_one_id_is_one_row(world: World) -> None:
    assert create(world, SUBSCRIPTION, SUBSCRIPTION._replace(watcher=CAROL)) == [1, 0]
    assert world.subscription(SUBSCRIPTION.id) == SUBSCRIPTION


@pytest.mark.rfc("SEC-015")
@pytest.mark.parametrize(
    ("limits", "counts"), [((0, 0), [1, 1, 1]), ((2, 0), [1, 1, 0]), ((0, 1), [1, 0, 0]), ((1, 1), [1, 0, 0]), ((3, 3), [1, 1, 1])]
)
def test_limits_are_kept_within_one_transaction(world: World, limits: tuple[int, int], counts: list[int]) -> None:
    with world.database.transaction():
        results = [store.create(world.database, subscription(id=f"kp-{number}"), *limits) for number in range(3)]
    assert [result.count for result in results] == counts


def test_claims_are_the_earliest_deadlines_that_have_come(world: World) -> None:
    create(world, *(subscription(id=f"kp-{number}", next_at=NOW + number) for number in (3, 1, 4, 2)))
    with world.database.transaction():
        assert [each.id for each in store.claim(world.database, NOW + 3, 2)] == ["kp-1", "kp-2"]
        assert [each.id for each in store.claim(world.database, NOW + 3, 9)] == ["kp-1", "kp-2", "kp-3"]
    assert store.deadlines(world.database, NOW + 1, NOW) == (True, False, False)
    assert store.deadlines(world.database, NOW + 0.9, NOW) == (False, False, False)


def test_two_notifiers_do_not_claim_one_row(world: World, connect: Callable[..., World]) -> None:
    if world.database.engine == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    create(world, *(subscription(id=f"kp-{number}", next_at=NOW) for number in range(4)))
    other = connect()
    with world.database.transaction():
        first = store.claim(world.database, NOW, 3)
        with other.database.transaction():
            second = store.claim(other.database, NOW, 3)
    assert sorted(each.id for each in first + second) == ["kp-0", "kp-1", "kp-2", "kp-3"]


@pytest.mark.parametrize(
    ("changes", "due", "deadline"),
    [
        ({}, NOW, NOW),
        ({"notified_at": NOW - 3}, NOW + 2, NOW + 2),
        ({"notified_at": NOW - 5}, NOW, NOW),
        ({"due_at": NOW + 9, "next_at": NOW + 9}, NOW, NOW),
        ({"due_at": NOW - 1, "next_at": NOW - 1}, NOW - 1, NOW - 1),
        ({"in_flight_since": NOW - 1, "next_at": NOW + 33}, NOW, NOW + 33),
        ({"state": State.PENDING}, None, NOW + 600),
        ({"state": State.TERMINATED}, None, NOW + 600),
        ({"resource": CAROL}, None, NOW + 600),
        ({"package": "other"}, None, NOW + 600),
    ],
)
def test_active_subscriptions_are_marked_due_when_their_interval_allows(
    world: World, changes: dict[str, Any], due: float | None, deadline: float
) -> None:
    create(world, subscription(**({"notified_at": 0.0} | changes)))
    with world.database.transaction():
        store.mark_due(world.database, "presence", ALICE, NOW, 5.0).rows()
    kept = world.subscription(SUBSCRIPTION.id)
    assert (kept.due_at, kept.next_at) == (due, deadline)


def test_marking_due_tells_which_wait_for_an_answer(world: World) -> None:
    create(world, subscription(id="kp-1"), subscription(id="kp-2", in_flight_since=NOW))
    with world.database.transaction():
        rows = store.mark_due(world.database, "presence", ALICE, NOW, 0.0).rows()
    assert sorted(bool(waiting) for (waiting,) in rows) == [False, True]


def test_removing_tells_what_is_gone(world: World) -> None:
    create(world, SUBSCRIPTION)
    with world.database.transaction():
        gone = store.remove(world.database, ["kp-1", "kp-unknown"])
    assert gone == [Removed("kp-1", "presence", ALICE, BOB, "", "", NOW, NOW + 600, State.ACTIVE)]
    assert not world.has_subscription("kp-1")


# Publications


@pytest.mark.parametrize("body", [b"", bytes(range(256)), "\u00fc\ufeff".encode()])
def test_a_publication_comes_back_as_it_was(world: World, body: bytes) -> None:
    value = PUBLICATION._replace(body=body, content_type='application/pidf+xml; charset="ISO-8859-1"', expires_at=NOW + 0.25)
    with world.database.transaction():
        publications.create(world.database, value, 0)
    assert world.publications() == [value]


def test_publications_of_many_come_oldest_first(world: World) -> None:
    rows = [PUBLICATION._replace(id=f"{number}", created_at=NOW - number, published_at=NOW - number) for number in range(3)]
    rows.append(PUBLICATION._replace(presentity=CAROL))
    with world.database.transaction():
        for row in rows:
            publications.create(world.database, row, 0)
    found = publications.load_many(world.database, "presence", [ALICE, CAROL, "sip:nobody@example.org"], NOW)
    assert [each.id for each in found if each.presentity == ALICE] == ["2", "1", "0"]
    assert [each.presentity for each in found if each.id == "one"] == [CAROL]


def test_what_is_qualified_stays_so_through_a_modification(world: World) -> None:
    with world.database.transaction():
        publications.create(world.database, PUBLICATION, 0)
        publications.qualify(world.database, [(ALICE, "presence", "one")])
    with world.database.transaction():
        done = publications.swap(world.database, PUBLICATION._replace(etag="two", body=b"new"), "one")
    assert done.count == 1
    assert [(each.id, each.etag, each.body, each.qualified) for each in world.publications()] == [("one", "two", b"new", True)]


def test_every_column_of_a_row_is_a_field(world: World) -> None:
    """Nothing in the table is forgotten when a row becomes a value."""
    for table, kind in (("subscription", Subscription), ("publication", Publication)):
        assert set(columns(world, table)) == set(kind._fields)


def columns(world: World, table: str) -> list[str]:
    database: Any = world.database
    connection = database._connection if database.engine == "sqlite" else database._pipeline.connection
    return [column[0] for column in connection.execute(f"SELECT * FROM {table}").description]
