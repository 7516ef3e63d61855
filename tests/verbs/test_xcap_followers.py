"""A change of a document looks closer only where somebody may be whom it concerns."""

from collections.abc import Callable

import pytest

from tests.unit.values import ALICE, BOB, pidf
from tests.unit.xcap.rules import document
from tests.verbs.diffing import RULES, SEL, User
from tests.verbs.ruled import allow
from tests.verbs.world import World
from tests.verbs.xcap import INDEX, LISTS, ROOT

MORE = LISTS.replace(b"bob", b"carol")
PUT = ["xcap_load_to_change", "xcap_replace"]
DOCUMENTS = {
    "lists": (INDEX, LISTS, MORE),
    "rules": (f"{ROOT}/{RULES}", document(allow()), document(allow()) + b"\n"),
    "hard state": (f"{ROOT}/pidf-manipulation/users/{ALICE}/index", pidf("a"), pidf("b")),
}


@pytest.fixture
def alice(connect: Callable[..., World]) -> User:
    return User(connect(auth="xcap", notify_interval=0).empty())


def statements_of(alice: User, kind: str) -> list[str]:
    """Those of a change, but for locks."""
    path, before, after = DOCUMENTS[kind]
    alice.put(path, before)
    with alice.world.counted() as statements:
        assert alice.put(path, after).status == 200
    return [each for each in statements if each != "lock"]


@pytest.mark.parametrize(("kind", "more"), [("lists", []), ("rules", []), ("hard state", ["publication_put"])])
def test_where_nobody_is_concerned_a_change_costs_what_storing_it_costs(alice: User, kind: str, more: list[str]) -> None:
    assert statements_of(alice, kind) == [*PUT, *more]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_nor_does_it_cost_more_for_those_who_watch_somebody_else(alice: User, kind: str) -> None:
    before = statements_of(alice, kind)
    alice.world.subscribe(BOB, "sip:carol@example.org")
    User(alice.world, BOB).watch(SEL.replace(ALICE, BOB))
    assert statements_of(alice, kind) == before


@pytest.mark.rfc("AUTH-010")
@pytest.mark.parametrize("is_over", [False, True])
def test_rules_are_asked_again_for_who_is_pending_and_for_who_waits(alice: User, is_over: bool) -> None:
    world = alice.world
    world.answer(world.subscribe().sent[0])
    if is_over:
        world.now += 7200
        world.tick()
        assert world.told()
    path, rules, _ = DOCUMENTS["rules"]
    with world.counted() as statements:
        assert alice.put(path, rules).status == 201
    assert any(each.startswith("decision_made") for each in statements)


@pytest.mark.rfc("XCS-056")
def test_who_watches_own_documents_is_looked_for(alice: User) -> None:
    alice.watch(RULES)
    assert statements_of(alice, "lists") == [*PUT, "policy_documents_with_dialog", "xcap_diff_watching"]
