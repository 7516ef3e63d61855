"""Lists that presence rules refer to, rules of another XCAP server, and rules as SER had them (OMA-TS-XDM_Core section 6.6.2)."""

import pytest

from kemi.xcap.fetched_document import Outcome
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import document, external_list, identity, one, rule
from tests.verbs.fetched import FRESHNESS, ROOT, Cache
from tests.verbs.ruled import BOBS, CAROLS, MOOD, Ruled, allow, first, outcome, published

HOME = f"https://xcap.example.net/xcap-root/resource-lists/users/{ALICE}/index"
FRIENDS = '/~~/resource-lists/list[@name="friends"]'
ENCODED = "/~~/resource-lists/list%5B%40name=%22friends%22%5D"


# Lists


def lists(*members: str, name: str = "friends", more: str = "") -> bytes:
    """A document with one list."""
    entries = "".join(f'<entry uri="{each}"/>' for each in members)
    scope = 'xmlns="urn:ietf:params:xml:ns:resource-lists"'
    return f'<resource-lists {scope}><list name="{name}">{entries}{more}</list></resource-lists>'.encode()


@pytest.mark.parametrize(
    "anchor",
    [
        HOME + FRIENDS.replace('"', "&quot;"),
        HOME + ENCODED,
        HOME.replace(ALICE, "sip%3Aalice%40example.org") + ENCODED.replace("~~", "%7E%7E"),
        HOME.replace(ALICE, "alice@example.org"),
        HOME.replace(":", "%3A").replace("/", "%2F"),
        HOME.replace("https://", "http://alice@") + f"{ENCODED}#x",
        f"/xcap-root/resource-lists/users/{ALICE}/index{ENCODED}",
        f"resource-lists/users/{ALICE}/index{ENCODED}",
    ],
)
def test_members_of_a_list_that_a_rule_refers_to(ruled: Ruled, anchor: str) -> None:
    ruled.put(allow(external_list(anchor)))
    assert outcome(ruled.world) == "refused"
    ruled.put(body=lists("sip:dave@example.org", "sip%3Abob%40example.org"), auid="resource-lists")
    assert (outcome(ruled.world), outcome(ruled.world, CAROL)) == ("active", "refused")


def test_lists_and_entries_that_a_list_refers_to(ruled: Ruled) -> None:
    ruled.put(allow(external_list(HOME + ENCODED)))
    entry = f'resource-lists/users/{ALICE}/others/~~/resource-lists/list/entry[@uri="{CAROL}"]'.replace('"', "&quot;")
    around = f'<external anchor="{HOME}{ENCODED}"/>'
    ruled.put(body=lists(more=f'<entry-ref ref="{entry}"/><external anchor="{HOME}2"/>{around}'), auid="resource-lists")
    assert (outcome(ruled.world), outcome(ruled.world, CAROL)) == ("refused", "refused")
    ruled.put(body=lists(CAROL, "sip:dave@example.org"), auid="resource-lists", name="others")
    ruled.put(body=lists(BOB), auid="resource-lists", name="index2")
    assert (outcome(ruled.world), outcome(ruled.world, CAROL)) == ("active", "active")
    assert outcome(ruled.world, "sip:dave@example.org") == "refused"


@pytest.mark.parametrize("anchor", [HOME.replace(ALICE, CAROL), HOME.replace("/xcap-root", "/other"), HOME.replace("users/", "")])
def test_lists_of_others_are_not_looked_into(ruled: Ruled, anchor: str) -> None:
    """Nobody can say who is in them: it is left to the user."""
    others = rule("<ocp:other-identity/>", "allow")
    ruled.put(body=lists(BOB), auid="resource-lists", owner=CAROL)
    ruled.put(body=lists(BOB), auid="resource-lists")
    ruled.put(allow(external_list(anchor)), others)
    assert outcome(ruled.world) == "pending"


def test_oma_rules_as_clients_write_them(ruled: Ruled) -> None:
    """As Blink does: granted, politely blocked, everybody else is asked about, nobody knows who it is."""
    granted, blocked = (HOME + f"/~~/resource-lists/list%5B@name=%22oma_{each}contacts%22%5D" for each in ("granted", "blocked"))
    ruled.put(
        allow(external_list(granted)),
        rule(external_list(blocked), "polite-block"),
        rule("<ocp:other-identity/>", "confirm"),
        rule("<ocp:anonymous-request/>", "block"),
        allow(identity(one(ALICE))),
        auid="org.openmobilealliance.pres-rules",
    )
    assert outcome(ruled.world) == "pending"
    ruled.put(body=lists(BOB, name="oma_grantedcontacts"), auid="resource-lists")
    assert (outcome(ruled.world), outcome(ruled.world, CAROL)) == ("active", "pending")
    assert outcome(ruled.world, "sip:anonymous@anonymous.invalid") == "refused"


# Documents of another server


@pytest.mark.rfc("AUTH-017", "XCC-001")
@pytest.mark.parametrize("default", ["confirm", "allow"])
def test_what_another_server_has_not_said_yet_opens_nothing(ruled: Ruled, default: str) -> None:
    world = ruled.world
    ruled.put(allow())
    cache = Cache(world)
    world.set(auth_default=default)
    assert outcome(world) == "pending"
    *others, last = cache.claim()
    for each in others:
        cache.answer(each, Outcome.MISSING)
        assert outcome(world) == "pending"
    cache.answer(last, Outcome.MISSING)
    assert outcome(world) == ("active" if default == "allow" else "pending")


def test_rules_and_lists_of_another_server(ruled: Ruled) -> None:
    cache, world = Cache(ruled.world), ruled.world
    body = document(allow(external_list(f"{ROOT}/resource-lists/users/{ALICE}/index{ENCODED}")), rule(CAROLS, "confirm"))
    assert outcome(world) == "pending"
    for each in cache.claim():
        known = each.auid == "pres-rules"
        cache.answer(each, Outcome.DOCUMENT if known else Outcome.MISSING, body if known else b"")
    assert outcome(world) == "pending"
    (lists_of_alice,) = cache.claim()
    cache.answer(lists_of_alice, Outcome.DOCUMENT, lists(BOB))
    assert (outcome(world), outcome(world, CAROL)) == ("active", "pending")
    assert outcome(world, "sip:dave@example.org") == "refused"


def test_rules_of_another_server_are_fetched_again_though_they_refuse_everybody(ruled: Ruled) -> None:
    cache, world = Cache(ruled.world), ruled.world
    assert outcome(world) == "pending"
    for each in cache.claim():
        cache.answer(each, Outcome.DOCUMENT, document())
    world.database.script("DELETE FROM subscription")
    world.now += FRESHNESS
    assert outcome(world) == "refused"
    assert len(cache.claim()) == 3


OMA = "org.openmobilealliance.pres-rules"
BARE = rule(BOBS, "allow")
EMPTY = BARE.replace("</cp:rule>", "<cp:transformations/></cp:rule>")


@pytest.mark.rfc("AUTH-012")
@pytest.mark.parametrize(
    ("value", "shown"), [("nothing", (False, False)), ("oma", (False, True)), ("all", (True, True))], ids=["nothing", "oma", "all"]
)
def test_what_a_rule_without_transformations_shows_is_the_operators_choice(
    ruled: Ruled, value: str, shown: tuple[bool, bool]
) -> None:
    world = ruled.world
    world.set(rules_without_transformations=value)
    world.publish(published())
    for written, wanted in ((BARE, shown), (EMPTY, (False, False))):
        found = []
        for auid in ("pres-rules", OMA):
            ruled.put(written, auid=auid)
            found.append(MOOD in first(world).body)
            ruled.remove(auid=auid)
        assert tuple(found) == wanted


@pytest.mark.rfc("AUTH-012")
@pytest.mark.parametrize("value", ["nothing", "oma", "all"])
def test_rules_of_another_server_without_transformations(ruled: Ruled, value: str) -> None:
    cache, world = Cache(ruled.world), ruled.world
    world.set(rules_without_transformations=value)
    world.publish(published())
    assert outcome(world) == "pending"
    for each in cache.claim():
        cache.answer(each, Outcome.DOCUMENT, document(BARE) if each.auid == OMA else document())
    assert (MOOD in first(world).body) is (value != "nothing")


def test_the_choice_counts_for_the_next_subscribe_and_refresh(ruled: Ruled) -> None:
    world = ruled.world
    world.publish(published())
    ruled.put(BARE)
    dialog = world.watch()
    world.set(rules_without_transformations="all")
    assert MOOD in first(world).body
    world.refresh(dialog)
    assert MOOD in next(each for each in world.told() if each.id == dialog).body
    world.set(rules_without_transformations="nothing")
    assert MOOD not in first(world).body


def test_rules_as_ser_had_them(ruled: Ruled) -> None:
    world = ruled.world
    rules = (
        '<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"><rule id="b"><conditions><identity><id>sip:bob@example.org</id>'
        '</identity></conditions><actions><pr:sub-handling xmlns:pr="urn:ietf:params:xml:ns:pres-rules">allow</pr:sub-handling>'
        "</actions></rule></ruleset>"
    )
    ruled.put(body=rules.encode())
    assert outcome(world) == "refused"
    world.set(draft_rules=1)
    assert (outcome(world), outcome(world, CAROL)) == ("active", "refused")
