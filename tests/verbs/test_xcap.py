"""XCAP documents and what is in them: GET, HEAD, PUT, DELETE (RFC 4825 section 8)."""

from collections.abc import Callable

import pytest

from kemi.effects import Log
from kemi.xcap.path import DocumentSelector, Tree
from tests.unit.values import ALICE, BOB
from tests.verbs.world import World
from tests.verbs.xcap import (
    ATTRIBUTE,
    BOB_THERE,
    CAROL,
    ELEMENT,
    ENTRY,
    INDEX,
    LISTS,
    ROOT,
    Client,
    condition_of,
    etag_of,
    texts,
)

# Documents


@pytest.mark.rfc("XCS-003")
@pytest.mark.rfc("XCS-004")
@pytest.mark.rfc("XCS-005")
def test_the_life_of_a_document(alice: Client) -> None:
    assert alice.get().status == 404
    created = alice.put()
    assert (created.status, created.body) == (201, b"")
    found = alice.get()
    assert (found.status, found.content_type, found.body) == (200, "application/resource-lists+xml", LISTS)
    assert etag_of(found) == etag_of(created) is not None
    replaced = alice.put(body=LISTS.replace(b"bob", b"carol"))
    assert (replaced.status, replaced.body) == (200, b"")
    assert b"carol" in alice.get().body
    assert (alice.delete().status, alice.get().status, alice.delete().status) == (200, 404, 404)


@pytest.mark.rfc("XCS-033")
def test_a_document_comes_back_octet_for_octet(alice: Client) -> None:
    declaration = "\ufeff<?xml version='1.0' encoding=\"UTF-8\"?>\r\n"
    body = f"{declaration}<foo  xmlns='urn:test:default-namespace' >\xe9<!-- a --><?b c?>\t</foo >\n".encode()
    path = f"{ROOT}/test-app/users/{ALICE}/index"
    assert alice.put(path, body).status == 201
    assert alice.get(path).body == body


@pytest.mark.rfc("XCS-016")
def test_every_change_has_an_entity_tag_of_its_own(alice: Client) -> None:
    tags = [etag_of(alice.put(body=body)) for body in (LISTS, LISTS.replace(b"bob", b"carol"), LISTS)]
    alice.delete()
    tags += [etag_of(alice.put()), etag_of(alice.put(INDEX + CAROL, ENTRY)), etag_of(alice.delete(INDEX + CAROL))]
    assert len(set(tags)) == 6
    for path in (INDEX, INDEX + BOB_THERE, INDEX + BOB_THERE + "/@uri", INDEX + BOB_THERE + "/namespace::*"):
        assert etag_of(alice.get(path)) == tags[-1]
    assert etag_of(alice.ask("HEAD", INDEX)) == tags[-1]


def test_an_equal_document_is_no_change(alice: Client) -> None:
    created = alice.put()
    alice.world.now += 1
    again = alice.put()
    assert (again.status, etag_of(again), len(alice.changes)) == (200, etag_of(created), 1)
    same = alice.put(INDEX + BOB_THERE, b'<entry uri="sip:bob@example.org"/>')
    assert (same.status, etag_of(same), len(alice.changes)) == (200, etag_of(created), 1)


@pytest.mark.rfc("XCS-046")
def test_head_says_what_get_says(alice: Client) -> None:
    alice.put()
    assert alice.ask("HEAD", INDEX) == alice.get()
    assert alice.ask("HEAD", INDEX + CAROL) == alice.get(INDEX + CAROL)


@pytest.mark.rfc("XCS-049")
def test_no_answer_is_to_be_cached(alice: Client) -> None:
    answers = [
        alice.put(),
        alice.get(),
        alice.get(if_none_match="*"),
        alice.get(INDEX + CAROL),
        alice.put(body=b""),
        alice.delete(),
    ]
    assert [answer.status for answer in answers] == [201, 200, 304, 404, 409, 200]
    assert all(("Cache-Control", "no-cache") in answer.headers for answer in answers)


# Elements and attributes


@pytest.mark.rfc("XCS-009")
@pytest.mark.rfc("XCS-011")
@pytest.mark.rfc("XCS-012")
def test_the_life_of_an_element(alice: Client) -> None:
    alice.put()
    assert alice.get(INDEX + CAROL).status == 404
    assert alice.put(INDEX + CAROL, ENTRY).status == 201
    found = alice.get(INDEX + CAROL)
    assert (found.status, found.content_type, found.body) == (200, ELEMENT, ENTRY)
    named = ENTRY.replace(b"/>", b"><display-name>C</display-name></entry>")
    assert (alice.put(INDEX + CAROL, named).status, alice.get(INDEX + CAROL).body) == (200, named)
    assert alice.get().body == LISTS.replace(b"</list>", named + b"</list>")
    assert (alice.delete(INDEX + CAROL).status, alice.delete(INDEX + CAROL).status) == (200, 404)
    assert alice.get().body == LISTS


@pytest.mark.rfc("XCS-010")
@pytest.mark.rfc("XCS-052")
def test_the_life_of_an_attribute(alice: Client) -> None:
    alice.put()
    path = INDEX + "/~~/resource-lists/list/@name"
    found = alice.get(path)
    assert (found.status, found.content_type, found.body) == (200, ATTRIBUTE, b"'friends'")
    assert alice.put(path, b'"others"', ATTRIBUTE).status == 200
    assert alice.delete(path).status == 200
    assert alice.put(path, b"others", ATTRIBUTE).status == 201
    assert condition_of(alice.put(path, b'"a', ATTRIBUTE)) == "not-xml-att-value"
    assert b'<list name="others"' in alice.get().body


@pytest.mark.rfc("XCS-013")
@pytest.mark.rfc("XCS-022")
def test_what_an_element_goes_into_has_to_be_there(alice: Client) -> None:
    refused = alice.put(INDEX + CAROL, ENTRY)
    assert condition_of(refused) == "no-parent"
    assert list(texts(refused, "ancestor")) == [f"{ROOT}/resource-lists/users/{ALICE}"]
    alice.put()
    refused = alice.put(INDEX + '/~~/resource-lists/list[@name="none"]/entry[1]', ENTRY)
    assert (condition_of(refused), list(texts(refused, "ancestor"))) == ("no-parent", [INDEX + "/~~/resource-lists"])


@pytest.mark.rfc("XCS-008")
@pytest.mark.rfc("XCS-014")
@pytest.mark.rfc("XCS-015")
@pytest.mark.rfc("XCS-037")
@pytest.mark.parametrize(
    ("method", "node", "body", "condition"),
    [
        ("PUT", "/~~/resource-lists/list/entry[2]", b'<entry uri="sip:bob@example.org"/>', "uniqueness-failure"),
        ("PUT", "/~~/resource-lists/list/member", b"<member/>", "schema-validation-error"),
        ("PUT", "/~~/resource-lists/list/entry[@uri='a']", ENTRY, "cannot-insert"), ("PUT", CAROL, ENTRY + ENTRY, "not-xml-frag"),
        ("DELETE", "/~~/resource-lists/list/entry[1]/@uri", b"", "schema-validation-error"),
        ("DELETE", "/~~/resource-lists", b"", "schema-validation-error"),
    ],
)  # fmt: skip
def test_a_change_that_would_not_do_changes_nothing(alice: Client, method: str, node: str, body: bytes, condition: str) -> None:
    alice.put()
    assert condition_of(alice.ask(method, INDEX + node, body, content_type=ELEMENT)) == condition
    assert (alice.get().body, len(alice.changes)) == (LISTS, 1)


@pytest.mark.rfc("XCS-026")
@pytest.mark.rfc("XCS-027")
def test_namespace_bindings_can_only_be_read(alice: Client) -> None:
    alice.put()
    path = INDEX + "/~~/resource-lists/list/namespace::*"
    found = alice.get(path)
    assert (found.content_type, found.body) == ("application/xcap-ns+xml", b'<list xmlns="urn:ietf:params:xml:ns:resource-lists"/>')
    for method in ("PUT", "DELETE"):
        refused = alice.ask(method, path, b"<a/>", content_type="application/xcap-ns+xml")
        assert (refused.status, dict(refused.headers)["Allow"]) == (405, "GET")


@pytest.mark.rfc("XCS-024")
@pytest.mark.rfc("XCS-025")
def test_prefixes_are_bound_by_the_query(alice: Client) -> None:
    alice.put()
    assert alice.get(INDEX + "/~~/r:resource-lists/list?xmlns(r=urn:ietf:params:xml:ns:resource-lists)").status == 200
    assert alice.get(INDEX + "/~~/r:resource-lists/list?xmlns(r=urn:x)").status == 404
    assert alice.get(INDEX + "/~~/r:resource-lists/list").status == 400


# Below global


@pytest.mark.rfc("XCS-019")
def test_global_documents_are_written_by_some_and_read_by_all(world: World) -> None:
    path = f"{ROOT}/resource-lists/global/index"
    assert Client(world).put(path).status == 403
    writer = Client(world, global_writers=(ALICE,))
    assert (writer.put(path).status, Client(world, BOB).get(path).body) == (201, LISTS)
    assert Client(world, BOB).delete(path).status == 403
    assert Client(world, "").get(path).status == 403


# What the rest of the server is told


def test_every_change_is_told_with_what_it_made(alice: Client) -> None:
    selector = DocumentSelector("resource-lists", Tree.USERS, ALICE, "index")
    created = alice.put()
    assert any(isinstance(effect, Log) and "document stored" in effect.text for effect in alice.effects)
    alice.put(INDEX + CAROL, ENTRY)
    alice.delete()
    assert [(each.selector, each.body and len(each.body)) for each in alice.changes] == [
        (selector, len(LISTS)), (selector, len(LISTS) + len(ENTRY)), (selector, None)
    ]  # fmt: skip
    assert (f'"{alice.changes[0].etag}"', alice.changes[2].etag) == (etag_of(created), None)


def test_no_log_line_holds_what_a_document_says(alice: Client) -> None:
    alice.put(body=LISTS.replace(b"friends", b"secret"))
    alice.put(body=LISTS.replace(b"<list", b"<secret"))
    assert not [effect for effect in alice.effects if isinstance(effect, Log) and "secret" in effect.text]


# Statements


@pytest.mark.parametrize(
    ("act", "statements"),
    [
        (lambda alice: alice.get(), ["xcap_load"]), (lambda alice: alice.get(INDEX + BOB_THERE), ["xcap_load"]),
        (lambda alice: alice.put(body=LISTS + b" "), ["lock", "lock", "xcap_load_to_change", "xcap_replace"]),
        (lambda alice: alice.put(INDEX + CAROL, ENTRY), ["lock", "lock", "xcap_load_to_change", "xcap_replace"]),
        (lambda alice: alice.put(INDEX + "2"), ["lock", "lock", "xcap_load_to_change", "xcap_create"]),
        (lambda alice: alice.delete(), ["lock", "lock", "xcap_load_to_change", "xcap_remove"]),
    ],
)  # fmt: skip
def test_few_statements_are_run(alice: Client, act: Callable[[Client], object], statements: list[str]) -> None:
    alice.put()
    with alice.world.counted() as run:
        act(alice)
    assert run == statements
