"""What can be watched with xcap-diff, by whom, and how it is asked for (RFC 5875 sections 4.4 and 7)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kemi import packages
from kemi.effects import Wake
from kemi.errors import BadEvent, BadRequest, BodyTooLarge, Forbidden, UnsupportedMediaType
from kemi.event_package import Decision
from kemi.xcap import caps
from tests.unit.values import ALICE, BOB, settings_of
from tests.verbs.diffing import HOME, MORE, RULE, RULES, SEL, User
from tests.verbs.world import World
from tests.verbs.xcap import CAROL, LISTS, ROOT
from tests.xcapdiff import LISTS_TYPE, read, wanted

GLOBAL = "resource-lists/global/everybody"
SERVICES = "rls-services/global/index"
BOBS = f"resource-lists/users/{BOB}/index"


def services(uri: str) -> bytes:
    service = f'<service uri="{uri}"><list/></service>'
    return f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{service}</rls-services>'.encode()


@pytest.fixture
def world(connect: Callable[..., World]) -> World:
    return connect(notify_interval=0).empty()


@pytest.fixture
def alice(world: World) -> User:
    return User(world)


# URIs


@pytest.mark.rfc("XCS-055")
@pytest.mark.parametrize(
    "sel",
    [
        "resource-lists/users/sip%3Aalice%40example.org/index",
        "resource-lists/users/sip:%61lice@EXAMPLE.org/%69ndex",
        "resource-lists/users/alice@example.org/index",
        "resource-lists/users/alice/index",
        f"/{SEL}",
        f"/xcap-root/{SEL}",
        f"http://example.org/xcap-root/{SEL}",
        f"https://xcap.example.org:8443/xcap-root/{SEL}",
        f"http://192.0.2.1/xcap-root/{SEL}",
        f"http%3A//example.org/xcap-root/{SEL}",
    ],
)
def test_a_uri_is_told_as_the_client_wrote_it(alice: User, sel: str) -> None:
    alice.put()
    _, first = alice.watch(sel)
    before = alice.tag()
    assert first.tags == {sel: (None, before)}
    alice.put(body=MORE)
    (told,) = alice.told()
    assert (told.sel, told.tags) == (sel, (before, alice.tag()))


@pytest.mark.rfc("XCS-055")
@pytest.mark.parametrize(
    "sel",
    [
        f"http://example.net/xcap-root/{SEL}",
        f"http://notexample.org/xcap-root/{SEL}",
        f"http://example.org/other/{SEL}",
        "resource-lists/users/sip:alice@example.net/index",
        "resource-lists//index",
        "resource-lists/somewhere/index",
        f"no-usage/users/{ALICE}/index",
        f"resource-lists/users/{ALICE}/%",
        f"resource-lists/users/{ALICE}/../index",
        f"{SEL}/~~/p:a",
        "\u00fc",
        "/",
        "tel:+1",
        f"xcap-directory/users/{ALICE}/directory.xml",
    ],
)
def test_what_is_no_uri_of_a_document_here_is_left_out(alice: User, sel: str) -> None:
    alice.put()
    _, first = alice.watch(sel, SEL)
    assert list(first.tags) == [SEL]


@pytest.mark.rfc("XCS-055")
def test_the_root_is_told_as_the_client_writes_it(alice: User) -> None:
    _, first = alice.watch(SEL, "http://example.net/xcap-root/a", f"https://xcap.example.org:8443/xcap-root/{RULES}")
    assert first.root == "https://xcap.example.org:8443/xcap-root/"


@pytest.mark.rfc("XCS-053", "XCS-055")
@pytest.mark.parametrize("folder", [HOME, "resource-lists/users/", "resource-lists/", f"resource-lists/users/sip%3A{ALICE[4:]}/"])
def test_of_a_collection_all_documents_are_told(alice: User, folder: str) -> None:
    head = folder if folder.count("/") == 3 else HOME
    alice.put()
    alice.put(f"{ROOT}/{RULES}", RULE)
    dialog, first = alice.watch(folder)
    assert first.tags == {f"{head}index": (None, alice.tag())}
    alice.put(f"{ROOT}/{HOME}caf%c3%a9%20")
    (told,) = alice.told()
    assert (told.sel, told.tags) == (f"{head}caf%C3%A9%20", (None, alice.tag(f"{ROOT}/{HOME}caf%c3%a9%20")))
    alice.put(f"{ROOT}/{RULES}", RULE.replace(b"/>", b"></ruleset>"))
    assert alice.world.subscription(dialog).due_at is None
    gone = alice.tag()
    alice.delete()
    (told,) = alice.told()
    assert (told.sel, told.tags) == (f"{head}index", (gone, None))


@pytest.mark.rfc("XCS-055")
def test_a_document_that_is_listed_and_in_a_collection_is_told_once(alice: User) -> None:
    alice.put()
    sel = SEL.replace("@", "%40")
    _, first = alice.watch(HOME, sel, sel)
    assert first.tags == {sel: (None, alice.tag())}
    assert len(first.parts) == 1


def test_an_xui_with_a_percent_sign_is_written_so_that_it_can_be_read(world: World) -> None:
    odd = User(world, "sip:a%20b@example.org")
    path = f"{ROOT}/resource-lists/users/sip:a%2520b@example.org/index"
    odd.put(path)
    _, first = odd.watch("resource-lists/")
    assert first.tags == {path.removeprefix(f"{ROOT}/"): (None, odd.tag(path))}


# Who is told what


@pytest.mark.rfc("XCS-056", "SEC-005")
def test_what_is_not_the_users_own_is_as_if_it_were_not_there(alice: User) -> None:
    bob = User(alice.world, BOB)
    alice.put()
    _, first = bob.watch(SEL, SEL + CAROL, HOME, "resource-lists/users/", f"{SEL}/~~/*/*/@name", BOBS)
    assert first.parts == ()
    alice.put(body=MORE)
    assert not any(isinstance(each, Wake) for each in alice.effects)
    assert alice.world.told() == []
    bob.put(f"{ROOT}/{BOBS}")
    assert [each.sel for each in bob.told()] == [BOBS]


@pytest.mark.rfc("XCS-056", "SEC-005")
def test_nobody_watches_the_documents_of_somebody_else(alice: User) -> None:
    bob = User(alice.world, BOB)
    with pytest.raises(Forbidden):
        bob.subscribe(SEL, resource=ALICE)


@pytest.mark.rfc("XCS-056")
def test_documents_for_everybody_are_told_to_everybody(world: World) -> None:
    operator = User(world, BOB, global_writers=(BOB,))
    alice = User(world)
    alice.settings = world.settings = operator.settings
    _, first = alice.watch(GLOBAL, "resource-lists/global/", mode="aggregate")
    assert first.parts == ()
    for body, inside in ((LISTS, ""), (MORE, "add")):
        operator.put(f"{ROOT}/{GLOBAL}", body)
        (told,) = alice.told()
        assert (told.sel, told.new, told.inside) == (GLOBAL, alice.tag(f"{ROOT}/{GLOBAL}"), inside)


@pytest.mark.rfc("XCS-056")
def test_the_capabilities_can_be_watched(alice: User) -> None:
    sel = "xcap-caps/global/index"
    _, first = alice.watch(sel, f"{sel}/~~/xcap-caps/auids/auid%5b1%5d")
    document, auid = first.parts
    assert document.tags == (None, alice.tag(f"{ROOT}/{sel}"))
    assert "xcap-caps" in auid.inside
    assert caps.document().count(b"<auid>") > 1


@pytest.mark.rfc("XCS-056")
def test_the_services_of_all_users_are_told_to_those_who_may_read_them(world: World) -> None:
    reader = User(world, BOB, rls_readers=(BOB,))
    alice = User(world)
    alice.settings = world.settings = reader.settings
    _, first = reader.watch(SERVICES)
    assert list(first.tags) == [SERVICES]
    assert alice.watch(SERVICES)[1].parts == ()
    alice.put(f"{ROOT}/rls-services/users/{ALICE}/index", services("sip:friends@example.org"))
    (told,) = reader.told()
    assert told.tags == (first.tags[SERVICES][1], reader.tag(f"{ROOT}/{SERVICES}"))


@pytest.mark.rfc("XCS-056")
def test_only_those_who_watch_a_document_are_marked(alice: User) -> None:
    other, _ = alice.watch(RULES)
    bystander = User(alice.world, BOB)
    bystander.watch(BOBS)
    with alice.world.counted() as statements:
        alice.put()
    assert (alice.effects.count(Wake()), statements.count("xcap_diff_mark_due")) == (0, 0)
    mine, _ = alice.watch(SEL + CAROL)
    with alice.world.counted() as statements:
        alice.put(body=MORE)
    assert (alice.effects.count(Wake()), statements.count("xcap_diff_mark_due")) == (1, 1)
    assert [each.id for each in alice.world.told()] == [mine]
    assert alice.world.subscription(other).due_at is None


# Refreshes


@pytest.mark.rfc("XCS-055")
def test_a_new_list_replaces_the_old_one(alice: User) -> None:
    alice.put()
    alice.put(f"{ROOT}/{RULES}", RULE)
    dialog, _ = alice.watch(SEL, mode="aggregate")
    alice.refresh(dialog, RULES)
    (told,) = alice.told()
    assert (told.sel, told.tags) == (RULES, (None, alice.tag(f"{ROOT}/{RULES}")))
    alice.put(body=MORE)
    assert alice.world.told() == []
    alice.delete(f"{ROOT}/{RULES}")
    (told,) = alice.told()
    assert (told.sel, told.new) == (RULES, None)


@pytest.mark.rfc("XCS-055")
def test_a_refresh_without_body_keeps_the_list_and_tells_all_of_it(alice: User) -> None:
    alice.put()
    dialog, _ = alice.watch(SEL)
    alice.refresh(dialog)
    (told,) = alice.told()
    assert (told.sel, told.tags) == (SEL, (None, alice.tag()))


def test_a_new_list_with_a_condition_that_holds_for_anything_forgets_the_old_one(alice: User) -> None:
    alice.put()
    alice.put(f"{ROOT}/{RULES}", RULE)
    dialog, _ = alice.watch(SEL, HOME)
    assert alice.refresh(dialog, RULES, suppress="*").reply.status == 204
    alice.refresh(dialog)
    assert [each.sel for each in alice.told()] == [RULES]
    alice.put(f"{ROOT}/{RULES}", RULE.replace(b"/>", b"></ruleset>"))
    assert [each.sel for each in alice.told()] == [RULES]


# What is refused


@pytest.mark.rfc("XCS-055", "PA-055")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"content_type": "application/simple-filter+xml"}, UnsupportedMediaType),
        ({"content_type": None}, UnsupportedMediaType),
        ({"content_encoding": "deflate"}, UnsupportedMediaType),
        ({"body": b"<resource-lists"}, BadRequest),
        ({"body": b"<list/>"}, BadRequest),
        ({"body": b"\xff"}, BadRequest),
        ({"body": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}, BadRequest),
        ({"body": b" " * 65537}, BodyTooLarge),
        ({"body": wanted(*(f"resource-lists/users/{ALICE}/{number}" for number in range(101)))}, BodyTooLarge),
    ],
)
def test_a_list_that_cannot_be_taken(alice: User, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        alice.subscribe(SEL, **changes)


@pytest.mark.rfc("PA-055")
def test_a_body_that_is_optional_may_be_something_else(alice: User) -> None:
    alice.put()
    first = alice.subscribe(SEL, content_type="text/plain", content_disposition="x; handling = OPTIONAL").sent[0]
    assert read(first.body).parts == ()
    for disposition in ("recipient-list", "x;handling=optional"):
        first = alice.subscribe(SEL, content_disposition=disposition).sent[0]
        assert list(read(first.body).tags) == [SEL]


@pytest.mark.rfc("XCS-055")
def test_of_a_list_only_flat_entries_are_read(alice: User) -> None:
    alice.put()
    alice.put(f"{ROOT}/{RULES}", RULE)
    more = b'<list><entry uri="%b"/></list><entry-ref ref="%b"/><entry/></list>' % (RULES.encode(), RULES.encode())
    nested = wanted(SEL).replace(b"</list>", more)
    first = alice.subscribe(body=nested, content_type=f"{LISTS_TYPE};charset=utf-8").sent[0]
    assert list(read(first.body).tags) == [SEL]


def test_it_is_not_published(alice: User) -> None:
    with pytest.raises(BadEvent):
        alice.world.publish(event="xcap-diff")


def test_it_is_served_where_documents_are_kept_here(world: World) -> None:
    here = settings_of(world.url)
    assert "xcap-diff" in packages.served(here)
    elsewhere = replace(here, xcap=replace(here.xcap, xcap_root="http://xcap.example.org/xcap-root"))
    assert "xcap-diff" not in packages.served(elsewhere)
    alice = User(world)
    alice.put()
    del world.packages["xcap-diff"]
    with world.counted() as statements:
        alice.put(body=MORE)
    assert not [each for each in statements if each.startswith("xcap_diff")]


@pytest.mark.rfc("WINFO-001")
def test_the_user_is_told_who_watches(alice: User) -> None:
    alice.watch(SEL)
    (first,) = alice.world.subscribe(ALICE, event="xcap-diff.winfo").sent
    assert ALICE in first.body
    assert alice.world.subscription(first.id).decision is Decision.ALLOW


def test_other_packages_take_no_body(world: World) -> None:
    with pytest.raises(UnsupportedMediaType):
        world.subscribe(body=wanted(SEL), content_type=LISTS_TYPE)


def test_only_a_first_look_at_documents_for_everybody_waits_for_those_who_change_them(alice: User) -> None:
    with alice.world.counted() as statements:
        dialog, _ = alice.watch(SEL, HOME, "xcap-caps/global/index")
    assert statements.count("lock") == 1
    with alice.world.counted() as statements:
        alice.watch(GLOBAL)
    assert statements.count("lock") == 2
    with alice.world.counted() as statements:
        alice.refresh(dialog, GLOBAL)
        alice.told()
    assert statements.count("lock") == 0
