"""What a client wants to hear of, as it writes it: kemi/xcap/watched.py."""

import pytest

from kemi.xcap import watched
from kemi.xcap.errors import NotFound
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Root
from kemi.xcap.selector import Target
from kemi.xcap.watched import Watched

ALICE = "sip:alice@example.org"
INDEX = DocumentSelector("resource-lists", Tree.USERS, ALICE, "index")
EVERYBODY = DocumentSelector("resource-lists", Tree.GLOBAL, "", "index")


def owner_of(xui: str) -> str:
    if not xui.endswith("@example.org"):
        raise NotFound("no such user")
    return xui if xui.startswith("sip:") else f"sip:{xui}"


ROOT = Root("/xcap-root", "example.org".__eq__, owner_of)


def one(uri: str) -> Watched:
    (found,) = watched.read(uri, ROOT)
    assert found.sel == uri
    return found


@pytest.mark.rfc("XCS-055")
@pytest.mark.parametrize(
    "uri",
    [
        "resource-lists/users/sip:alice@example.org/index",
        "resource-lists/users/sip%3Aalice%40example.org/%69ndex",
        "/resource-lists/users/alice@example.org/index",
        "/xcap-root/resource-lists/users/alice@example.org/index",
        "HTTP://user@example.org:8080/xcap-root/resource-lists/users/alice@example.org/index",
        "https%3A//example.org/xcap-root/resource-lists/users/sip%3Aalice%40example.org/index",
        "http://example.org/xcap-root/resource-lists/users/alice@example.org/index#a",
        "resource-lists/users/alice@example.org/index#a/",
    ],
)
def test_ways_to_write_a_document(uri: str) -> None:
    found = one(uri)
    assert (found.document, found.node) == (INDEX, None)
    assert found.covers(INDEX)
    assert not found.covers(INDEX._replace(name="other"))
    assert not found.covers(INDEX._replace(xui="sip:bob@example.org"))


@pytest.mark.rfc("XCS-055")
def test_a_watched_attribute_is_read_with_its_document_and_steps() -> None:
    found = one("resource-lists/users/alice@example.org/index/~~/resource-lists/p:a%5b1%5d/@b?xmlns(p=urn:p)")
    assert (found.document, found.node and found.node.target) == (INDEX, Target.ATTRIBUTE)
    assert found.node is not None
    assert [step.name for step in found.node.steps] == ["urn:ietf:params:xml:ns:resource-lists\nresource-lists", "urn:p\na"]
    assert found.covers(INDEX)


@pytest.mark.rfc("XCS-055")
@pytest.mark.parametrize(
    ("uri", "index", "everybody"),
    [
        ("resource-lists/", "users/sip:alice@example.org/index", "global/index"),
        ("resource-lists/users/", "sip:alice@example.org/index", None),
        ("resource-lists/users/sip%3Aalice%40example.org/", "index", None),
        ("http://example.org/xcap-root/resource-lists/global/", None, "index"),
        ("pres-rules/", None, None),
        ("resource-lists/users/alice@example.org/folder/", None, None),
    ],
)
def test_a_collection_covers_the_documents_below_it(uri: str, index: str | None, everybody: str | None) -> None:
    found = one(uri)
    for document, rest in ((INDEX, index), (EVERYBODY, everybody)):
        assert found.covers(document) == (rest is not None)
        if rest is not None:
            assert found.sel_of(document) == uri + rest


@pytest.mark.rfc("XCS-055")
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/",
        "index",
        "http://example.com/xcap-root/resource-lists/global/index",
        "http://example.org/resource-lists/global/index",
        "http://example.org/xcap-root/",
        "http://example.org/xcap-root",
        "resource-lists/users/alice@example.com/index",
        "resource-lists/users/alice@example.com/",
        "resource-lists/users/%ff/",
        "resource-lists/users//index",
        "unknown/global/index",
        "resource-lists/global/index/~~/p:a",
        "resource-lists/global/index/~~/",
        "resource-lists/#a",
        "resource-lists/?a",
    ],
)
def test_a_uri_that_names_nothing_here_is_not_watched(uri: str) -> None:
    assert watched.read(uri, ROOT) == []


def test_the_root_is_that_of_the_first_absolute_uri() -> None:
    text = "a/b\nhttp://example.com/xcap-root/a\nhttps://example.org:443/xcap-root/a\nhttp://example.org/xcap-root/b"
    assert watched.root_of(text, ROOT) == "https://example.org:443/xcap-root/"
    assert watched.root_of("a/b", ROOT) == ""
