"""URIs below the XCAP root, and what they name: kemi/xcap/root_uri.py, RFC 4825 section 6."""

import pytest

from kemi.xcap import root_uri
from kemi.xcap.errors import NotFound
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Below, Named, Root

ALICE = "sip:alice@example.org"
INDEX = DocumentSelector("resource-lists", Tree.USERS, ALICE, "index")
PATH = "/resource-lists/users/sip:alice@example.org/index"
HOME = f"http://xcap.example.org/xcap-root{PATH}"


def owner_of(xui: str) -> str:
    if not xui.endswith("alice@example.org"):
        raise NotFound
    return ALICE


OURS = Root("/xcap-root", lambda host: host in ("xcap.example.org", "[2001:db8::1]"), owner_of)
"""Of our own server, which has several names."""

ANOTHER = Root("https://XCAP.example.net:8443/root/", OURS.is_our_host, owner_of)


# Below the root


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        (HOME, "http://xcap.example.org"),
        (HOME.replace("http://xcap.example.org", "HTTPS://XCAP.Example.org:8080"), "HTTPS://XCAP.Example.org:8080"),
        (HOME.replace("xcap.example.org", "[2001:DB8::1]:80"), "http://[2001:DB8::1]:80"),
        (HOME.replace("xcap.example.org", "me:x@xcap.example.org"), "http://me:x@xcap.example.org"),
        (f"{HOME}#a/b?c", "http://xcap.example.org"),
        (f"{HOME}#", "http://xcap.example.org"),
    ],
)
def test_a_uri_is_below_the_root_whatever_says_nothing_about_where(uri: str, server: str) -> None:
    assert root_uri.below(uri, OURS) == Below(server, PATH, "")
    assert root_uri.resolved(uri, OURS) == Below(server, PATH, "")


@pytest.mark.parametrize(
    "uri",
    [
        "", "/", PATH, f"/xcap-root{PATH}", "xcap.example.org/xcap-root/a", "//xcap.example.org/xcap-root/a",
        HOME.replace("http:", "ftp:"), HOME.replace("http:", "sip:"), HOME.replace("http://", "http:/"), f" {HOME}",
        HOME.replace("xcap.example.org", "xcap.example.net"), HOME.replace("xcap.example.org", "xcap.example.org.example.net"),
        HOME.replace("xcap.example.org", "xcap.example.org@example.net"), HOME.replace("xcap.example.org", ""),
        HOME.replace("xcap.example.org", "xcap.example.org:80a"), HOME.replace("xcap.example.org", "xcap.example.org:80:80"),
        HOME.replace("/xcap-root/", "/xcap-root"), HOME.replace("/xcap-root/", "/xcap-root2/"), HOME.replace("/xcap-root", ""),
        HOME.replace("/xcap-root/", "/XCAP-root/"), HOME.replace("/xcap-root/", "/a/xcap-root/"), "http://xcap.example.org/xcap-root",
        "http://xcap.example.org", "http://xcap.example.org?/xcap-root/a", "http://xcap.example.org#/xcap-root/a",
        "http://example.net/#@xcap.example.org/xcap-root/a", "http://example.net\\@xcap.example.org:x/xcap-root/a",
    ],
)  # fmt: skip
def test_other_uris_are_not_below_the_root(uri: str) -> None:
    assert root_uri.below(uri, OURS) is None


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("https://xcap.example.net:8443/root/a", "/a"),
        ("HTTPS://me@Xcap.Example.NET:8443/root/a/", "/a/"),
        ("https://xcap.example.net:8443/root/", "/"),
    ],
)
def test_the_server_of_a_root_is_compared_as_uris_are(uri: str, path: str) -> None:
    found = root_uri.below(uri, ANOTHER)
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize(
    "uri",
    [
        "http://xcap.example.net:8443/root/a", "https://xcap.example.net/root/a", "https://xcap.example.net:443/root/a",
        "https://xcap.example.org:8443/root/a", "https://xcap.example.net:8443/a", "https://xcap.example.net:8443/Root/a",
        "http://xcap.example.org/root/a",
    ],
)  # fmt: skip
def test_another_server_is_another_root(uri: str) -> None:
    """Even one that is ours: whose documents count says the root."""
    assert root_uri.below(uri, ANOTHER) is None


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("http://a", "http://a:80/b"), ("http://a:80/", "http://A/b"), ("https://a:443", "https://a/b"), ("https://a", "https://a:/b"),
        ("/", "http://xcap.example.org/b"), ("/xcap-root/", "http://xcap.example.org/xcap-root/b"),
    ],
)  # fmt: skip
def test_a_port_that_is_not_there_is_the_usual_one_and_a_last_slash_says_nothing(root: str, uri: str) -> None:
    assert root_uri.below(uri, OURS._replace(uri=root)) == Below(uri.removesuffix("/xcap-root/b").removesuffix("/b"), "/b", "")


# Relative to the root


@pytest.mark.parametrize("root", [OURS, ANOTHER])
@pytest.mark.parametrize("uri", ["a/b", "/a/b", "{root}/a/b", "a/b#c", "./a:c/../b"])
def test_a_reference_may_be_relative_to_the_root(root: Root, uri: str) -> None:
    written = uri.format(root=root.path)
    expected = written.removeprefix(root.path).removeprefix("/").partition("#")[0]
    assert root_uri.resolved(written, root) == Below("", f"/{expected}", "")


@pytest.mark.parametrize(
    "uri", ["sip:alice@example.org", "ftp://xcap.example.org/xcap-root/a", "http://example.net/xcap-root/a", "http:a"]
)
def test_an_absolute_uri_is_not_relative(uri: str) -> None:
    assert root_uri.resolved(uri, OURS) is None


def test_a_reference_to_another_host_names_nothing_here() -> None:
    found = root_uri.resolved(f"//example.net/xcap-root{PATH}", OURS)
    assert found is not None
    assert root_uri.named_or_none(found, OURS) is None


# What it names


@pytest.mark.rfc("XCC-006")
@pytest.mark.parametrize(
    ("behind", "node", "query"),
    [
        ("", None, ""),
        ("/~~/a/b%5B1%5D", "a/b%5B1%5D", ""),
        ("/%7e~/a/@b?xmlns(p=urn:p)#c", "a/@b", "xmlns(p=urn:p)"),
        ("/~~/", "", ""),
        ("?x", None, "x"),
    ],
)
def test_a_uri_names_a_document_or_a_node_of_it(behind: str, node: str | None, query: str) -> None:
    assert root_uri.read(HOME + behind, OURS) == Named(INDEX, node, query)
    assert root_uri.read(HOME.replace("sip:alice@", "sip%3Aalice%40") + behind, OURS) == Named(INDEX, node, query)


def test_the_global_tree_is_nobodys() -> None:
    found = root_uri.read("http://xcap.example.org/xcap-root/resource-lists/global/a/b", OURS)
    assert found == Named(DocumentSelector("resource-lists", Tree.GLOBAL, "", "a/b"), None, "")


@pytest.mark.parametrize(
    "uri",
    [
        HOME.replace("alice@example.org", "bob@example.org"), HOME.replace("/index", ""), HOME.replace("/index", "/"),
        HOME.replace("/users", ""), HOME.replace("/users/", "/users/../users/"), HOME.replace("/index", "/%zz"),
        HOME.replace("alice@example.org", "alice@example.org%00"), HOME.replace("/resource-lists", "//resource-lists"),
    ],
)  # fmt: skip
def test_what_is_below_the_root_may_name_nothing(uri: str) -> None:
    assert root_uri.below(uri, OURS) is not None
    assert root_uri.read(uri, OURS) is None


@pytest.mark.parametrize("uri", ["http://a", "HTTPS://a:1/b?c#d", "http://[2001:db8::1]/a", "http://me@a/b", "http://a b/c"])
def test_an_absolute_http_uri(uri: str) -> None:
    assert root_uri.is_http(uri)


@pytest.mark.parametrize("uri", ["", "a/b", "//a/b", "http:/a", "http:///a", "ftp://a/b", "file:///a", "http://a:b/c", " http://a"])
def test_no_absolute_http_uri(uri: str) -> None:
    assert not root_uri.is_http(uri)
