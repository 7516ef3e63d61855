"""Which rows statements about subscriptions of our own mean, and which beside them they do not: sql/queries/outgoing.sql."""

from typing import Any

import pytest

from kemi import store as subscriptions
from kemi.b2bua import store as outgoing
from kemi.b2bua.outgoing import Key, Outgoing, Phase
from kemi.presence import location
from kemi.presence import store as publications
from kemi.subscription import Reason, State, Subscription
from tests.unit.b2bua.remote import DAN, FOREIGN
from tests.unit.values import ALICE, BOB, CAROL, NOW, PUBLICATION, subscription
from tests.verbs.abroad import Abroad
from tests.verbs.test_registrar import binding

WANTED = FOREIGN._replace(wanted=True)
LOCAL = subscription(resource=DAN, local_cseq=1)
OVER = int(NOW) + 600


def create(abroad: Abroad, *rows: Outgoing | Subscription) -> None:
    with abroad.database.transaction():
        for each in rows:
            if isinstance(each, Outgoing):
                outgoing.create(abroad.database, each)
            else:
                subscriptions.create(abroad.database, each, 0, 0)


def test_a_fork_is_not_the_first_one(abroad: Abroad) -> None:
    create(abroad, FOREIGN._replace(fork=1))
    assert outgoing.look(abroad.database, FOREIGN.key) is None
    assert outgoing.look(abroad.database, FOREIGN.key, 1) == FOREIGN._replace(fork=1)
    assert not outgoing.is_unwanted(abroad.database, FOREIGN.key)
    with abroad.database.transaction():
        assert outgoing.load(abroad.database, FOREIGN.key) is None


@pytest.mark.parametrize("beside", [{"watcher": CAROL}, {"resource": "sip:eve@far.example.net"}, {"package": "dialog"}])
def test_a_subscription_of_our_own_is_of_one_watcher_resource_and_package(abroad: Abroad, beside: dict[str, Any]) -> None:
    other = FOREIGN._replace(**beside)
    with abroad.database.transaction():
        outgoing.create(abroad.database, other)
        assert outgoing.family(abroad.database, FOREIGN.key) == {}
        assert outgoing.load(abroad.database, FOREIGN.key) is None
    assert outgoing.look(abroad.database, FOREIGN.key) is None
    with abroad.database.transaction():
        outgoing.create(abroad.database, FOREIGN)
        assert outgoing.family(abroad.database, FOREIGN.key) == {0: FOREIGN}
        assert outgoing.load(abroad.database, FOREIGN.key) == FOREIGN
    assert outgoing.look(abroad.database, FOREIGN.key) == FOREIGN


@pytest.mark.parametrize(
    "beside", [{"watcher": CAROL}, {"resource": "sip:eve@far.example.net"}, {"package": "dialog"}, {"fork": 1}]
)
def test_what_is_removed_is_that_one(abroad: Abroad, beside: dict[str, Any]) -> None:
    other = FOREIGN._replace(**beside)
    create(abroad, FOREIGN, other)
    with abroad.database.transaction():
        outgoing.remove(abroad.database, FOREIGN)
    assert outgoing.listed(abroad.database) == [other]
    assert outgoing.shown(abroad.database, [FOREIGN.key]).keys() == ({FOREIGN.key} if "fork" in beside else set())


# Who wants it


def is_unwanted(abroad: Abroad) -> bool:
    """What the sweep finds, and what is asked again before it is left, say the same."""
    (found,) = {outgoing.unwanted(abroad.database, 9) == [WANTED.key], outgoing.is_unwanted(abroad.database, WANTED.key)}
    return found


@pytest.mark.parametrize(
    ("changes", "unwanted"),
    [
        ({}, False), ({"state": State.PENDING}, False), ({"resource": ALICE}, True), ({"package": "dialog"}, True),
        ({"watcher": CAROL}, True), ({"state": State.TERMINATED}, True), ({"state": State.TERMINATED, "local_cseq": 0}, False),
        ({"state": State.TERMINATED, "local_cseq": 0, "list_id": "kp-list-1"}, True),
        ({"state": State.TERMINATED, "reason": Reason.PROBATION, "list_id": "kp-list-1"}, False),
        ({"state": State.TERMINATED, "reason": Reason.PROBATION, "list_id": "kp-list-1", "expires_at": 0}, True),
        ({"state": State.TERMINATED, "reason": Reason.REJECTED, "list_id": "kp-list-1"}, True),
        ({"state": State.TERMINATED, "reason": Reason.PROBATION}, True),
    ],
)  # fmt: skip
def test_it_is_wanted_while_its_watcher_has_a_subscription_that_goes_on(
    abroad: Abroad, changes: dict[str, Any], unwanted: bool
) -> None:
    create(abroad, WANTED, WANTED._replace(fork=1), LOCAL._replace(**changes))
    assert is_unwanted(abroad) is unwanted


def test_who_wants_one_wants_no_other(abroad: Abroad) -> None:
    beside = [{"watcher": CAROL}, {"resource": "sip:eve@far.example.net"}, {"package": "dialog"}]
    others = [WANTED._replace(**each) for each in beside]
    create(abroad, WANTED, LOCAL, *others)
    assert not outgoing.is_unwanted(abroad.database, WANTED.key)
    assert set(outgoing.unwanted(abroad.database, 9)) == {each.key for each in others}


@pytest.mark.parametrize("changes", [{"wanted": False}, {"source": DAN}])
def test_what_is_left_already_or_is_a_source_is_not_found_by_the_sweep(abroad: Abroad, changes: dict[str, Any]) -> None:
    create(abroad, WANTED._replace(**changes))
    assert outgoing.unwanted(abroad.database, 9) == outgoing.unreachable(abroad.database, [], 9) == []


def test_who_may_not_be_watched_any_more_is_found_by_its_domain(abroad: Abroad) -> None:
    create(abroad, WANTED, WANTED._replace(fork=1), WANTED._replace(resource="sip:x@near.example.net", domain="near.example.net"))
    assert outgoing.unreachable(abroad.database, ["near.example.net"], 9) == [WANTED.key]


def test_limits_are_those_of_watchers_and_domains_without_forks(abroad: Abroad) -> None:
    near = {"resource": "sip:x@near.example.net", "domain": "near.example.net"}
    create(abroad, FOREIGN, FOREIGN._replace(fork=1), FOREIGN._replace(watcher=CAROL), FOREIGN._replace(**near))
    watchers, domains = [("b2b.max_per_watcher", BOB)], [("b2b.max_per_domain", "far.example.net")]
    assert [outgoing.full(abroad.database, *limits) for limits in ((0, 0), (2, 0), (0, 2), (3, 3))] == [[], watchers, domains, []]
    assert outgoing.full(abroad.database, 1, 0) == [*watchers, ("b2b.max_per_watcher", CAROL)]


# A source: a user's own device


SOURCE = WANTED._replace(watcher="sip:example.org", resource=ALICE, domain="example.org", source=ALICE)


def is_source_still(abroad: Abroad, watcher: str = SOURCE.watcher) -> bool:
    return outgoing.unsourced(abroad.database, watcher, NOW, 9) == []


def with_a_device(abroad: Abroad, **changes: Any) -> None:
    create(abroad, SOURCE, subscription(**changes))
    with abroad.database.transaction():
        location.replace(abroad.database, ALICE, [binding()])


@pytest.mark.parametrize("changes", [{"wanted": False}, {"source": ""}])
def test_what_is_left_already_or_was_never_a_source_stops_being_none(abroad: Abroad, changes: dict[str, Any]) -> None:
    create(abroad, SOURCE._replace(**changes))
    assert is_source_still(abroad)


@pytest.mark.parametrize("changes", [{"resource": CAROL}, {"package": "dialog"}, {"state": State.PENDING}])
def test_a_source_is_one_as_long_as_somebody_watches_its_user(abroad: Abroad, changes: dict[str, Any]) -> None:
    with_a_device(abroad, **changes)
    assert not is_source_still(abroad)
    create(abroad, subscription(id="kp-2"))
    assert is_source_still(abroad)
    assert not is_source_still(abroad, "")


def test_a_source_is_one_as_long_as_its_device_is_registered(abroad: Abroad) -> None:
    with_a_device(abroad)
    assert [outgoing.unsourced(abroad.database, SOURCE.watcher, now, 9) for now in (OVER - 1, OVER)] == [[], [SOURCE.key]]
    with abroad.database.transaction():
        location.replace(abroad.database, ALICE, [])
        location.replace(abroad.database, BOB, [binding(username="bob")])
    assert not is_source_still(abroad)


@pytest.mark.parametrize("beside", [{"presentity": BOB}, {"package": "dialog"}, {"source": "subscription"}])
def test_a_source_is_one_as_long_as_its_user_publishes_nothing(abroad: Abroad, beside: dict[str, Any]) -> None:
    with_a_device(abroad)
    with abroad.database.transaction():
        publications.put(abroad.database, PUBLICATION._replace(**beside))
    assert is_source_still(abroad)
    with abroad.database.transaction():
        publications.put(abroad.database, PUBLICATION._replace(id="two"))
    assert not is_source_still(abroad)


# Time


@pytest.mark.parametrize("deadline", ["next_at", "ask_at"])
def test_there_is_work_when_a_deadline_has_come(abroad: Abroad, deadline: str) -> None:
    create(abroad, FOREIGN._replace(**{"next_at": None, "ask_at": None, deadline: NOW + 5}))
    due = outgoing.is_due(abroad.database, NOW + 4), outgoing.is_due(abroad.database, NOW + 5)
    assert due == (False, True)


@pytest.mark.parametrize(
    ("changes", "asked_again"),
    [
        ({"phase": Phase.ESTABLISHED, "in_flight_until": NOW + 9}, True), ({"phase": Phase.ESTABLISHED}, False),
        ({"phase": Phase.SUBSCRIBING, "in_flight_until": NOW + 9}, False),
    ],
)  # fmt: skip
def test_after_a_start_what_was_in_flight_in_a_dialog_is_asked_again(
    abroad: Abroad, changes: dict[str, Any], asked_again: bool
) -> None:
    before = FOREIGN._replace(**changes)
    create(abroad, before)
    with abroad.database.transaction():
        outgoing.resume(abroad.database, NOW + 5)
    after = outgoing.look(abroad.database, Key(*FOREIGN.key))
    assert after is not None
    assert (after.refresh_at == NOW + 5, after == before) == (asked_again, not asked_again)
