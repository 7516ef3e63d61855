"""Documents of another XCAP server in both databases: read, asked for, claimed, saved."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from kemi.parameters import XcapSettings
from kemi.xcap import fetched, fetched_store, store
from kemi.xcap.fetched_document import Availability, Outcome, Reading
from kemi.xcap.path import DocumentSelector, Tree
from tests.unit.values import ALICE, BOB, CAROL
from tests.verbs.fetched import FRESHNESS, ROOT, RULES, SERVER, TIMEOUT, Cache
from tests.verbs.world import World


@pytest.fixture
def cache(world: World) -> Cache:
    return Cache(world)


# Reading


@pytest.mark.rfc("XCC-001", "XCC-002")
def test_a_document_that_was_never_fetched_is_unknown_and_is_to_be_fetched(cache: Cache) -> None:
    assert cache.deadlines == (False, False)
    assert cache.read() == Reading(Availability.UNKNOWN)
    assert cache.deadlines == (True, False)
    (claimed,) = cache.claim()
    assert (claimed.owner, claimed.auid, claimed.uri) == (ALICE, "pres-rules", f"{ROOT}/pres-rules/users/{ALICE}/index")


def test_an_operator_sees_what_is_known_and_asks_for_nothing_by_that(cache: Cache) -> None:
    assert fetched_store.list_all(cache.world.database, "", 10) == []
    cache.fetched()
    cache.read(xui=BOB)
    hers, his = fetched_store.list_all(cache.world.database, "", 10)
    assert (hers.owner, hers.known, hers.size, hers.failures) == (ALICE, "document", len(RULES), 0)
    assert (his.owner, his.known, his.size, his.confirmed_at) == (BOB, "unknown", 0, cache.world.now)
    assert fetched_store.list_all(cache.world.database, BOB, 10) == [his]
    assert fetched_store.list_all(cache.world.database, "", 1) == [hers]
    assert [each.owner for each in cache.claim()] == [BOB]


@pytest.mark.rfc("XCC-002")
def test_however_many_ask_it_is_fetched_once(cache: Cache, connect: Callable[..., World]) -> None:
    other = connect()
    other.settings = cache.world.settings
    for _ in range(3):
        cache.read()
        fetched.document(other.moment, "pres-rules", ALICE)
    assert len(cache.claim()) == 1
    cache.read()
    assert fetched.claim(other.moment, SERVER, 10) == []


@pytest.mark.rfc("XCC-002", "XCC-007")
def test_a_fresh_document_is_read_with_one_statement(cache: Cache) -> None:
    cache.fetched()
    with cache.world.counted() as statements:
        assert cache.read() == Reading(Availability.FRESH, RULES)
    assert statements == ["fetched_load"]


@pytest.mark.rfc("XCC-001", "XCC-007")
def test_a_stale_document_is_used_and_asked_for_once(cache: Cache) -> None:
    cache.fetched()
    cache.world.now += FRESHNESS
    with cache.world.counted() as statements:
        assert [cache.read() for _ in range(3)] == [Reading(Availability.STALE, RULES, is_outdated=True)] * 3
    assert statements == ["fetched_load", "fetched_ask", "fetched_load", "fetched_load"]


@pytest.mark.rfc("XCC-001", "XCC-002", "XCC-007")
def test_several_documents_are_read_with_one_statement(cache: Cache) -> None:
    cache.fetched()
    cache.world.now += FRESHNESS
    cache.fetched(name="work")
    with cache.world.counted() as statements:
        found = cache.read_all("work", "index", "home", "..")
    assert [(each.state, each.body) for each in found] == [
        (Availability.FRESH, RULES), (Availability.STALE, RULES), (Availability.UNKNOWN, b""), (Availability.MISSING, b""),
    ]  # fmt: skip
    assert statements == ["fetched_load_many", "fetched_ask", "fetched_ask_first"]
    assert {each.uri.rpartition("/")[2] for each in cache.claim()} == {"index", "home"}


def test_what_nobody_needs_now_is_not_asked_for(cache: Cache) -> None:
    cache.fetched()
    cache.world.now += FRESHNESS
    with cache.world.counted() as statements:
        found = cache.read_all("index", "home", ask=False)
    assert [each.state for each in found] == [Availability.STALE, Availability.UNKNOWN]
    assert statements == ["fetched_load_many"]
    assert cache.claim() == []


@pytest.mark.rfc("XCC-001")
def test_a_document_that_the_server_does_not_have_is_missing(cache: Cache) -> None:
    cache.fetched(Outcome.MISSING, b"")
    assert cache.read() == Reading(Availability.MISSING)
    assert cache.claim() == []


@pytest.mark.rfc("XCC-002")
def test_where_nothing_is_due_nobody_has_to_wait_for_that(cache: Cache) -> None:
    cache.fetched()
    with cache.world.counted() as statements:
        assert cache.claim() == []
    assert statements == ["fetched_deadlines"]


def test_a_user_who_can_have_no_folder_has_no_document(cache: Cache) -> None:
    assert cache.read("sip:x/../bob@example.org") == Reading(Availability.MISSING)
    assert cache.claim() == []


def test_documents_are_named_as_the_settings_say(cache: Cache) -> None:
    cache.world.set(pres_rules_file="presence-rules.xml")
    xcap = replace(cache.world.settings.xcap, fetch_folder="user")
    cache.world.settings = replace(cache.world.settings, xcap=xcap)
    cache.read()
    cache.read(auid="im-rules", name="im-rules.xml")
    cache.read("", "rls-services")
    assert sorted(each.uri.removeprefix(ROOT) for each in cache.claim()) == [
        "/im-rules/users/alice/im-rules.xml",
        "/pres-rules/users/alice/presence-rules.xml",
        "/rls-services/global/index",
    ]


def test_rules_and_other_documents_have_times_of_their_own(cache: Cache) -> None:
    cache.world.set(auth_rules_refresh_time=60)
    cache.fetched()
    cache.fetched(auid="resource-lists", body=b"<resource-lists/>")
    cache.world.now += 60
    assert (cache.read().state, cache.read(auid="resource-lists").state) == (Availability.STALE, Availability.FRESH)


def test_what_asks_is_undone_with_its_transaction_and_asks_again(cache: Cache) -> None:
    with suppress(ZeroDivisionError), cache.world.database.transaction():
        cache.read()
        raise ZeroDivisionError
    assert cache.claim() == []
    cache.read()
    assert len(cache.claim()) == 1


# Our own documents


def stored(world: World, name: str, tree: Tree = Tree.USERS, xui: str = ALICE) -> bytes:
    """A document of our own server."""
    body = f"<ruleset><!-- {name} --></ruleset>".encode()
    selector = DocumentSelector("pres-rules", tree, xui, name)
    store.create(world.database, store.Stored(selector, name, "application/auth-policy+xml", body, world.now))
    return body


def test_without_another_server_documents_are_our_own(cache: Cache) -> None:
    world = cache.world
    world.database.script("DELETE FROM xcap_document")
    world.settings = replace(world.settings, xcap=XcapSettings())
    first, second, shared = stored(world, "index"), stored(world, "work"), stored(world, "index", Tree.GLOBAL, "")
    assert cache.read() == Reading(Availability.FRESH, first)
    assert cache.read(name="work") == Reading(Availability.FRESH, second)
    assert cache.read("") == Reading(Availability.FRESH, shared)
    assert cache.read(BOB) == Reading(Availability.MISSING)
    assert cache.claim() == []


def test_with_another_server_our_own_do_not_count(cache: Cache) -> None:
    cache.world.database.script("DELETE FROM xcap_document")
    stored(cache.world, "index")
    assert cache.read() == Reading(Availability.UNKNOWN)
    (claimed,) = cache.claim()
    cache.answer(claimed, Outcome.DOCUMENT, RULES)
    assert cache.read() == Reading(Availability.FRESH, RULES)


# Fetching


def test_a_claim_ends_by_itself(cache: Cache) -> None:
    cache.read()
    assert len(cache.claim()) == 1
    cache.world.now += TIMEOUT
    assert cache.claim() == []
    cache.world.now += fetched.GRACE
    assert len(cache.claim()) == 1


def test_as_many_are_claimed_as_are_allowed_the_longest_due_first(cache: Cache) -> None:
    for user in (CAROL, BOB, ALICE):
        cache.read(user)
        cache.world.now += 1
    assert sorted(each.owner for each in cache.claim(2)) == [BOB, CAROL]
    assert [each.owner for each in cache.claim(2)] == [ALICE]


@pytest.mark.rfc("XCC-012")
def test_rules_of_a_watched_user_are_fetched_again_and_again(cache: Cache) -> None:
    cache.world.watch(BOB)
    cache.fetched()
    for _ in range(3):
        cache.world.now += FRESHNESS + 1
        (claimed,) = cache.claim()
        cache.answer(claimed, Outcome.UNCHANGED)


def test_rules_of_nobody_rest_until_they_are_needed(cache: Cache) -> None:
    cache.fetched()
    cache.world.now += FRESHNESS + 1
    assert cache.claim() == []
    assert cache.deadlines == (False, False)
    assert cache.row is not None
    assert cache.row.next_at is None
    assert cache.read().state is Availability.STALE
    assert len(cache.claim()) == 1


@pytest.mark.rfc("XCC-007")
def test_an_unchanged_document_is_fresh_again(cache: Cache) -> None:
    cache.fetched()
    cache.world.now += FRESHNESS
    cache.read()
    (claimed,) = cache.claim()
    assert claimed.etag == '"1"'
    assert cache.answer(claimed, Outcome.UNCHANGED) == []
    assert cache.read() == Reading(Availability.FRESH, RULES)


@pytest.mark.rfc("XCC-001")
@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.SILENT])
def test_a_failure_leaves_the_last_document_and_is_tried_again_later(cache: Cache, outcome: Outcome) -> None:
    cache.fetched()
    cache.world.now += FRESHNESS
    cache.read()
    (claimed,) = cache.claim()
    assert cache.answer(claimed, outcome) == []
    assert cache.read() == Reading(Availability.STALE, RULES)
    assert cache.claim() == []
    cache.world.now += 2
    assert len(cache.claim()) == 1


@pytest.mark.rfc("XCC-002")
def test_nobody_waits_for_who_is_about_to_save(cache: Cache, connect: Callable[..., World]) -> None:
    other, world = connect(), cache.world
    if world.database.engine == "sqlite":
        pytest.skip("all who write take turns there")
    world.watch(BOB)
    cache.fetched()
    world.now += FRESHNESS
    with other.database.transaction():
        assert len(fetched_store.claim(other.database, SERVER, world.now, world.now + 10, 10)) == 1
        assert cache.read() == Reading(Availability.STALE, RULES, is_outdated=True)


def test_an_answer_for_a_document_that_is_not_kept_any_more_is_dropped(cache: Cache) -> None:
    cache.read()
    (claimed,) = cache.claim()
    cache.world.database.script("DELETE FROM fetched")
    assert cache.answer(claimed, Outcome.DOCUMENT, RULES) == []
    assert cache.read() == Reading(Availability.UNKNOWN)


def test_any_octets_are_kept_as_they_came(cache: Cache) -> None:
    body = "<ruleset a='\u00e9'>\r\n\t</ruleset>\n".encode() + bytes(range(1, 256))
    cache.fetched(body=body)
    assert cache.read().body == body
