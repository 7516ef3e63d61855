"""What an XCAP server refuses: strangers, wrong bodies, conditions that do not hold (RFC 4825 section 8.2, RFC 9110 section 13)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kemi.xcap import store
from tests.repetitions import repeated
from tests.unit.values import ALICE, BOB
from tests.verbs.world import World
from tests.verbs.xcap import (
    ATTRIBUTE,
    BOB_THERE,
    CAROL,
    ELEMENT,
    ENTRY,
    HOMES,
    INDEX,
    LISTS,
    ROOT,
    Client,
    condition_of,
    etag_of,
    texts,
)

# What is refused


@pytest.mark.rfc("XCS-002")
@pytest.mark.parametrize(
    "path",
    [
        "/unknown/users/sip:alice@example.org/index", "/resource-lists/users/sip:alice@example.net/index",
        "/resource-lists/users/sip:alice@example.org", "/resource-lists/people/sip:alice@example.org/index",
        "/resource-lists/users", "/", "/xcap-caps/users/sip:alice@example.org/index",
        "/resource-lists/users/sip:alice@example.org/index/~~/resource-lists/id(a)",
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_not_there_is_not_found(alice: Client, method: str, path: str) -> None:
    assert alice.ask(method, ROOT + path, LISTS, content_type="application/resource-lists+xml").status == 404


@pytest.mark.rfc("SEC-006")
@pytest.mark.parametrize(
    "name", ["..", "%2e%2E", ".", "", "a//b", "%00", "a%5cb", "a%2Fb", "../../pres-rules/users/sip:alice@example.org/index"]
)
def test_names_are_keys_and_no_file_paths(alice: Client, name: str) -> None:
    assert alice.put(f"{ROOT}/resource-lists/users/{ALICE}/{name}").status == 404
    assert store.directory(alice.world.database, ALICE) == []


@pytest.mark.rfc("SEC-005")
@pytest.mark.rfc("XCS-019")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "xui", [ALICE, "sip%3Aalice%40example.org", "alice@example.org", "alice", "sip:%61lice@example.org", "SIP:alice@Example.ORG"]
)
def test_nobody_else_is_let_in(alice: Client, method: str, xui: str) -> None:
    bob = Client(alice.world, BOB)
    alice.put()
    alice.put(f"{ROOT}/test-app/users/{ALICE}/index", b'<foo xmlns="urn:test:default-namespace"/>')
    for auid, name in (("resource-lists", "index"), ("resource-lists", "other"), ("xcap-directory", "directory.xml")):
        answer = bob.ask(method, f"{ROOT}/{auid}/users/{xui}/{name}", LISTS, content_type="application/resource-lists+xml")
        assert (answer.status, b"friends" in answer.body) == (403, False)
    assert alice.get().body == LISTS
    assert Client(alice.world, "").get().status == 403


@pytest.mark.rfc("XCS-030")
@pytest.mark.parametrize("xui", HOMES)
def test_a_user_has_one_home_however_it_is_written(alice: Client, xui: str) -> None:
    alice.put()
    assert alice.get(f"{ROOT}/resource-lists/users/{xui}/%69ndex").body == LISTS


@pytest.mark.rfc("XCS-006")
@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (INDEX, "application/xml"), (INDEX, None), (INDEX, ELEMENT), (INDEX, "application/auth-policy+xml"),
        (INDEX + CAROL, "application/resource-lists+xml"), (INDEX + CAROL, ATTRIBUTE), (INDEX + BOB_THERE + "/@uri", ELEMENT),
    ],
)  # fmt: skip
def test_another_type_is_refused(alice: Client, path: str, content_type: str | None) -> None:
    alice.put()
    assert alice.put(path, ENTRY, content_type).status == 415


def test_types_are_compared_without_case_and_parameters(alice: Client) -> None:
    assert alice.put(content_type="Application/Resource-Lists+XML; charset=utf-8").status == 201


@pytest.mark.rfc("SEC-010")
def test_an_encoded_body_is_refused(alice: Client) -> None:
    refused = alice.put(content_encoding="gzip")
    assert (refused.status, dict(refused.headers)["Accept-Encoding"]) == (415, "identity")
    assert alice.put(content_encoding="identity").status == 201


@pytest.mark.rfc("XCS-050")
def test_parts_by_range_and_bodies_that_are_too_large_are_refused(world: World) -> None:
    alice = Client(world, max_document=len(LISTS) + 10)
    assert alice.put(content_range="bytes 0-9/100").status == 400
    assert alice.put().status == 201
    assert alice.put(body=LISTS + b" " * 11).status == 413
    assert alice.put(INDEX + CAROL, ENTRY).status == 413
    assert alice.put(length=2_000_000, body=b"").status == 413
    assert alice.get().body == LISTS


@pytest.mark.rfc("XCS-007")
@pytest.mark.rfc("XCS-008")
@pytest.mark.rfc("XCS-020")
@pytest.mark.parametrize(
    ("body", "condition"),
    [
        (b"", "not-well-formed"), (b"<resource-lists>", "not-well-formed"), (LISTS + b"<a/>", "not-well-formed"),
        (LISTS.replace(b"friends", b"\xff"), "not-utf-8"), (LISTS.replace(b"entry", b"member"), "schema-validation-error"),
        (b"<!DOCTYPE a>" + LISTS[22:], "constraint-failure"),
        (LISTS.replace(b"<entry", b"<entry-ref ref='/a'/><entry"), "constraint-failure"),
        (LISTS.replace(b"<entry", b"<entry uri='sip:bob@example.org'/><entry"), "uniqueness-failure"),
    ],
)  # fmt: skip
def test_what_is_no_such_document_is_refused_and_nothing_is_stored(alice: Client, body: bytes, condition: str) -> None:
    assert condition_of(alice.put(body=body)) == condition
    assert (alice.get().status, alice.changes) == (404, [])
    alice.put()
    assert condition_of(alice.put(body=body)) == condition
    assert alice.get().body == LISTS


@pytest.mark.rfc("XCS-051")
def test_there_are_no_folders_below_a_home(alice: Client) -> None:
    refused = alice.put(f"{ROOT}/resource-lists/users/{ALICE}/folder/index")
    assert condition_of(refused) == "no-parent"
    assert list(texts(refused, "ancestor")) == [f"{ROOT}/resource-lists/users/{ALICE}"]
    assert alice.get(f"{ROOT}/resource-lists/users/{ALICE}/folder/index").status == 404


def test_a_user_has_so_many_documents_and_no_more(world: World) -> None:
    alice, bob = Client(world, max_documents=2), Client(world, BOB, max_documents=2)
    names = [f"{ROOT}/resource-lists/users/{ALICE}/{name}" for name in "abc"]
    assert [alice.put(name).status for name in names] == [201, 201, 409]
    assert alice.put(names[0], LISTS.replace(b"bob", b"dave")).status == 200
    assert bob.put(f"{ROOT}/resource-lists/users/{BOB}/a").status == 201
    alice.delete(names[0])
    assert alice.put(names[2]).status == 201
    assert Client(world, max_documents=0).put(names[0]).status == 201


# Conditions


@pytest.mark.rfc("XCS-017")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("node", ["", BOB_THERE])
def test_if_match_lets_only_the_newest_through(alice: Client, method: str, node: str) -> None:
    body = b'<entry uri="sip:bob@example.org" />' if node else LISTS.replace(b"friends", b"others")
    content_type = ELEMENT if node else "application/resource-lists+xml"

    def change(condition: str) -> int:
        return alice.ask(method, INDEX + node, body, content_type=content_type, if_match=condition).status

    assert (change("*"), change('"any"')) == (412, 412)
    tag = etag_of(alice.put())
    assert (change('"other"'), change(f"W/{tag}")) == (412, 412)
    assert (alice.get().body, change(f'"other", {tag}')) == (LISTS, 200)


@pytest.mark.rfc("XCS-018")
def test_if_none_match_creates_only_what_is_not_there(alice: Client) -> None:
    tag = etag_of(alice.put(if_none_match="*"))
    assert alice.put(body=LISTS.replace(b"bob", b"eve"), if_none_match="*").status == 412
    assert alice.put(INDEX + CAROL, ENTRY, if_none_match="*").status == 412
    assert alice.put(INDEX + CAROL, ENTRY, if_none_match=tag).status == 412
    assert alice.delete(if_none_match=tag).status == 412
    assert alice.get().body == LISTS


@pytest.mark.rfc("XCS-018")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_client_has_already_is_not_sent_again(alice: Client, method: str) -> None:
    tag = etag_of(alice.put())
    for path in (INDEX, INDEX + BOB_THERE):
        unchanged = alice.ask(method, path, if_none_match=f'"old", {tag}')
        assert (unchanged.status, etag_of(unchanged), unchanged.body) == (304, tag, b"")
        assert alice.ask(method, path, if_none_match='"old"').status == 200
    assert alice.ask(method, INDEX + CAROL, if_none_match=tag).status == 404
    assert (alice.get(if_match='"old"').status, alice.get(if_match=tag).status) == (412, 200)


def test_conditions_come_before_what_the_body_says(alice: Client) -> None:
    assert alice.put(body=b"no xml", if_match='"old"').status == 412
    alice.put()
    assert alice.put(body=b"no xml", if_none_match="*").status == 412
    assert alice.put(INDEX + CAROL, b"no xml", if_match='"old"').status == 412
    assert alice.put(INDEX, b"no xml", "text/plain", if_match='"old"').status == 415


# Anything


PIECES = st.sampled_from(
    [
        "/", "resource-lists", "users", "global", ALICE, "alice", "index", "~~", "%7e%7E", "list", "entry", "[1]", "%5B", "%",
        "%zz", "@uri", "namespace::*", "*", "xcap-caps", "xcap-directory", "directory.xml", "rls-services", "?", "xmlns(a=b)",
        "a:", "'", '"', "=", "..", "%2e", "%00", "\xe9", "%c3%a9", "%ff", "pidf-manipulation", "test-app",
    ]
)  # fmt: skip
PATHS = st.lists(PIECES, max_size=12).map("".join) | st.lists(PIECES, max_size=8).map("/".join)
BODIES = st.sampled_from([b"", LISTS, ENTRY, b"'a'", b"<a/>", b"\xff", b"<!DOCTYPE a><a/>"]) | st.binary(max_size=20)
TYPES = st.sampled_from([ELEMENT, ATTRIBUTE, "application/resource-lists+xml", "application/xcap-ns+xml", None])


@settings(max_examples=repeated(100, 1000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GET", "HEAD", "PUT", "DELETE"]), PATHS | PATHS.map((INDEX + "/~~/resource-lists/").__add__), BODIES, TYPES)
def test_any_request_gets_one_answer(alice: Client, method: str, path: str, body: bytes, content_type: str | None) -> None:
    alice.put()
    path, _, query = (path if path.startswith(ROOT) else f"{ROOT}/{path}").partition("?")
    answer = alice.ask_plainly(method, path, query, body, content_type)
    assert answer.status in (200, 201, 304, 400, 403, 404, 405, 409, 412, 413, 415)
