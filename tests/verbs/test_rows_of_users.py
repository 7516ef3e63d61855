"""Which rows statements about accounts and registered contacts mean, and which beside them they do not.

sql/queries/account.sql, location.sql, registration.sql.
"""

from typing import Any

import pytest

from kemi import account_store, store
from kemi.account import Account
from kemi.presence import location
from kemi.presence import store as publications
from tests.unit.values import ALICE, BOB, CAROL, NOW, PUBLICATION, subscription
from tests.verbs.test_registrar import HOME, binding
from tests.verbs.world import World

HERE, THERE, OTHER = (
    Account("alice", "example.org", "1", "2"), Account("alice", "example.com", "3", "4"), Account("bob", "example.org", "5", "6"),
)  # fmt: skip
OVER = int(NOW) + 600
SHOWN = PUBLICATION._replace(source="registrar")


@pytest.mark.rfc("SEC-001")
def test_users_of_one_name_in_two_domains_are_two(world: World) -> None:
    account_store.save(world.database, THERE)
    account_store.save(world.database, OTHER)
    assert account_store.load(world.database, "alice", "example.org") is None
    assert not account_store.remove(world.database, "alice", "example.org")
    assert not account_store.is_user(world.database, ALICE)
    account_store.save(world.database, HERE)
    assert [account_store.load(world.database, "alice", each) for each in ("example.org", "example.com")] == [HERE, THERE]
    assert account_store.is_user(world.database, ALICE)
    assert account_store.remove(world.database, "alice", "example.org")
    assert account_store.list_all(world.database) == [THERE, OTHER]


def test_a_member_of_a_list_is_nobody_that_watches(world: World) -> None:
    for row, is_user in ((subscription(watcher=CAROL, list_id="kp-list-1"), False), (subscription(id="kp-2", watcher=CAROL), True)):
        with world.database.transaction():
            store.create(world.database, row, 0, 0)
        assert account_store.is_user(world.database, CAROL) is is_user


def test_what_others_do_makes_nobody_a_user(world: World) -> None:
    with world.database.transaction():
        store.create(world.database, subscription(), 0, 0)
        location.replace(world.database, BOB, [binding(username="bob")])
        publications.put(world.database, PUBLICATION)
    assert [account_store.is_user(world.database, each) for each in (ALICE, BOB, CAROL)] == [True, True, False]
    for do in (
        lambda: publications.put(world.database, PUBLICATION._replace(presentity=CAROL)),
        lambda: location.replace(world.database, CAROL, [binding(username="carol", ruid="c")]),
    ):
        with world.database.transaction():
            do()
        assert account_store.is_user(world.database, CAROL)
        for table in ("publication", "location"):
            world.database.script(f"DELETE FROM {table}")


def test_contacts_are_of_one_user_and_live_for_their_time(world: World) -> None:
    others = binding(username="bob", ruid="b", expires=OVER + 1)
    with world.database.transaction():
        location.replace(world.database, ALICE, [binding()])
        location.replace(world.database, BOB, [others])
    assert [location.load(world.database, each) for each in (ALICE, BOB)] == [[binding()], [others]]
    assert sorted(location.contacts(world.database, OVER - 1)) == [(ALICE, HOME), (BOB, HOME)]
    assert location.contacts(world.database, OVER) == [(BOB, HOME)]
    assert [location.any_expired(world.database, now) for now in (OVER - 1, OVER)] == [False, True]
    location.remove_expired(world.database, OVER)
    assert [location.load(world.database, each) for each in (ALICE, BOB)] == [[], [others]]
    with world.database.transaction():
        location.replace(world.database, ALICE, [])
    assert location.load(world.database, BOB) == [others]


@pytest.mark.parametrize("beside", [{"presentity": BOB}, {"package": "dialog"}, {"source": "publish", "id": "two"}])
def test_what_shows_a_contact_is_of_the_presentity_the_package_and_the_registrar(world: World, beside: dict[str, Any]) -> None:
    other = SHOWN._replace(**beside)
    with world.database.transaction():
        publications.put(world.database, other)
    assert location.shown(world.database, "presence", ALICE) == set()
    assert location.all_shown(world.database, "presence") - {(BOB, "one")} == set()
    with world.database.transaction():
        publications.put(world.database, SHOWN)
    assert location.shown(world.database, "presence", ALICE) == {"one"}
    assert (ALICE, "one") in location.all_shown(world.database, "presence")
    with world.database.transaction():
        location.hide(world.database, "presence", ALICE, ["one"])
    assert publications.load_many(world.database, other.package, [ALICE, BOB], NOW) == [other]
