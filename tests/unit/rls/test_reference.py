"""What references name: kemi/rls/reference.py."""

import pytest

from kemi.rls.reference import Reference, entry_reference, list_reference, owner_of
from kemi.xcap.path import DocumentSelector, Tree
from tests.unit.rls.lists import ALICE, BOB, place, selector

INDEX = f"resource-lists/users/{BOB}/index"
NODE = "resource-lists/list%5B@name=%22list1%22%5D"


@pytest.mark.rfc("RLS-014")
@pytest.mark.parametrize(
    ("anchor", "node"),
    [
        (f"http://xcap.example.org/xcap-root/{INDEX}", ""),
        (f"https://XCAP.example.org:8443/xcap-root/{INDEX}/~~/", ""),
        (f"http://xcap.example.org/xcap-root/{INDEX}/~~/{NODE}", NODE),
        (f"http://xcap.example.org/xcap-root/{INDEX}/%7e~/resource-lists/list%5b@name=%22list1%22%5d", NODE),
        (f'http://xcap.example.org/xcap-root/{INDEX}/~~/resource-lists/list[@name="list1"]#here', NODE),
        (f"http://xcap.example.org/xcap-root/resource-lists/users/bob%40example.org/index/~~/{NODE}", NODE),
        (f"http://example.org/xcap-root/resource-lists/users/sip%3Abob%40EXAMPLE.org/index/~~/{NODE}", NODE),
        (f"http://alice@xcap.example.org/xcap-root/{INDEX}/~~/{NODE}", NODE),
    ],
)
def test_what_is_below_our_root_is_read_there(anchor: str, node: str) -> None:
    assert list_reference(anchor, place()) == Reference(selector(BOB), node)


def test_the_global_tree_has_no_owner() -> None:
    assert list_reference("http://example.org/xcap-root/resource-lists/global/a/b", place()) == Reference(
        DocumentSelector("resource-lists", Tree.GLOBAL, "", "a/b")
    )


@pytest.mark.rfc("RLS-014")
@pytest.mark.parametrize(
    "anchor",
    [
        "http://xcap.example.org/xcap-root/resource-lists/users/../x/index",
        "http://xcap.example.org/xcap-root/resource-lists/users/sip:mallory@example.com/index",
        "http://xcap.example.org/xcap-root/resource-lists",
        "http://xcap.example.org/xcap-root/%zz/global/index",
        "http://xcap.example.org/xcap-root//resource-lists/global/index",
    ],
)
def test_what_cannot_be_below_our_root_is_not_fetched_either(anchor: str) -> None:
    assert list_reference(anchor, place()) is None


@pytest.mark.rfc("RLS-014")
@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ("http://xcap.example.net/xcap-root/a/b", Reference("http://xcap.example.net/xcap-root/a/b")),
        ("HTTPS://Xcap.example.net", Reference("https://xcap.example.net")),
        ("http://xcap.example.org/xcap-root2/a", Reference("http://xcap.example.org/xcap-root2/a")),
        ("http://x/a/~~/b%5b1%5d?xmlns(p=urn:p)", Reference("http://x/a", "b%5B1%5D", "xmlns(p=urn:p)")),
        ("http://x/a/~~/b/~~/c", Reference("http://x/a", "b/~~/c")),
        ("http://x/a?b=c#d", Reference("http://x/a?b=c")),
        ("http://[2001:db8::1]:8080/%61 b\n\xe9", Reference("http://[2001:db8::1]:8080/a%20b%0A%C3%A9")),
    ],
)
def test_what_is_elsewhere_is_a_document_and_a_node_of_it(anchor: str, expected: Reference) -> None:
    assert list_reference(anchor, place()) == expected


@pytest.mark.parametrize(
    "anchor",
    ["", "a", "/xcap-root/resource-lists/global/index", "ftp://x/a", "http:///a", "http://user@x/a", "http://x y/a", "http://x/a?\r\n",
     "http://x/%zz", "http://x:80a/"],
)  # fmt: skip
def test_an_anchor_that_is_no_absolute_http_uri_names_nothing(anchor: str) -> None:
    assert list_reference(anchor, place()) is None


def test_the_root_may_be_that_of_another_server() -> None:
    root = "https://XCAP.example.net:8443/root/"
    anchor = f"https://xcap.example.net:8443/root/{INDEX}"
    assert list_reference(anchor, place(root=root)) == Reference(selector(BOB))
    other = list_reference(f"http://xcap.example.org/root/{INDEX}", place(root=root))
    assert other == Reference(f"http://xcap.example.org/root/{INDEX}")
    assert list_reference(f"https://xcap.example.net:8443/{INDEX}", place(root="https://xcap.example.net:8443")) == Reference(
        selector(BOB)
    )


@pytest.mark.rfc("RLS-015", "XCC-006")
@pytest.mark.parametrize("root", ["/xcap-root", "https://xcap.example.net/"])
def test_an_entry_ref_is_relative_to_the_root(root: str) -> None:
    ref = f'{INDEX}/~~/resource-lists/list/entry[@uri="{ALICE}"]'
    node = "resource-lists/list/entry%5B@uri=%22sip:alice@example.org%22%5D"
    assert entry_reference(ref, place(root=root)) == Reference(selector(BOB), node)
    assert entry_reference(f"{INDEX}/~~/p:a?xmlns(p=urn:p)", place(root=root)) == Reference(selector(BOB), "p:a", "xmlns(p=urn:p)")


@pytest.mark.rfc("RLS-015")
@pytest.mark.parametrize(
    "ref", ["", f"/{INDEX}", f"../{INDEX}", f"http://example.org/xcap-root/{INDEX}", f"{INDEX}/~~/a%zz", "resource-lists"]
)
def test_an_entry_ref_of_another_form_names_nothing(ref: str) -> None:
    assert entry_reference(ref, place()) is None


def test_who_wrote_a_document() -> None:
    assert owner_of(selector(BOB)) == BOB
    assert owner_of(selector("")) == ""
    assert owner_of("http://x") is None
