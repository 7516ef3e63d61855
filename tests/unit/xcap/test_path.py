"""The path of an XCAP request, taken apart into document and node selector."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemi.xcap.errors import BadRequest, NotFound
from kemi.xcap.path import DocumentSelector, Tree, decoded, normalised, split
from tests.unit.xcap.documents import status_of

INDEX = DocumentSelector("resource-lists", Tree.USERS, "sip:joe@example.com", "index")


@pytest.mark.rfc("XCS-001")
def test_a_path_without_separator_is_a_document() -> None:
    request = split("/resource-lists/users/sip:joe@example.com/index")
    assert request == (INDEX, None, "/resource-lists/users/sip:joe@example.com/index")


def test_a_global_document_has_no_user() -> None:
    assert split("xcap-caps/global/index").document == DocumentSelector("xcap-caps", Tree.GLOBAL, "", "index")


def test_a_document_may_be_in_folders() -> None:
    assert split("/a/users/joe/one/two/three").document.name == "one/two/three"
    assert split("/a/global/one/two").document.name == "one/two"


@pytest.mark.rfc("XCS-001")
@pytest.mark.parametrize("separator", ["~~", "%7E%7E", "%7e%7e", "~%7E", "%7e~"])
def test_the_separator_may_be_escaped(separator: str) -> None:
    request = split(f"/resource-lists/users/sip:joe@example.com/index/{separator}/resource-lists/list%5b1%5D")
    assert request == (INDEX, "resource-lists/list%5b1%5D", "/resource-lists/users/sip:joe@example.com/index")


@pytest.mark.rfc("XCS-001")
def test_the_first_separator_counts_and_a_later_one_belongs_to_the_node_selector() -> None:
    assert split("/a/users/joe/index/~~/b/~~/c").node == "b/~~/c"
    assert split("/a/users/joe/index/~~~/b").document.name == "index/~~~/b"


@pytest.mark.rfc("XCS-001")
def test_an_escaped_slash_cuts_no_segment() -> None:
    assert split("/a/users/joe%2Fjim/in%2fdex").document == DocumentSelector("a", Tree.USERS, "joe/jim", "in%2Fdex")


def test_nothing_behind_the_separator_is_an_empty_node_selector() -> None:
    assert split("/a/users/joe/index/~~").node == ""
    assert split("/a/users/joe/index/~~/").node == ""


@pytest.mark.rfc("XCS-002")
@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/a", "/a/users", "/a/users/joe", "/a/users/joe/", "/a/global", "/a/global/", "/a/others/joe/index",
        "/a/USERS/joe/x",
        "/a/users//index", "//users/joe/index", "/a/users/joe/index/", "/~~/b", "/a/~~/b", "/a/users/~~/b", "/a/users/joe/~~/b",
        "/a/users/joe/../jim/index", "/a/users/joe/%2e%2E/index", "/a/users/joe/./index", "/a/global/..", "/../a/users/joe/index",
    ],
)  # fmt: skip
def test_what_names_no_document_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        split(path)


@pytest.mark.parametrize(
    "path", ["/a/users/joe%/index", "/a/users/joe%4/index", "/a/users/joe%zz/x", "/a/users/%ff/index", "/a/users/j%00e/index",
             "/a/users/j%0Aoe/index", "/a/users/joe/in%dx", "/a/users/\udc80/index", "/a/users/joe/\ud800"],
)  # fmt: skip
def test_what_cannot_be_decoded_is_a_bad_request(path: str) -> None:
    with pytest.raises(BadRequest):
        split(path)


@pytest.mark.rfc("XCS-030")
@pytest.mark.parametrize(
    "path",
    [
        "/resource-lists/users/sip%3Ajoe%40example.com/index",
        "/resource-lists/users/sip%3ajoe@example.com/index",
        "/resource%2Dlists/%75sers/sip:%6Aoe@example%2Ecom/%69ndex",
    ],
)
def test_equal_paths_are_equal_however_they_are_escaped(path: str) -> None:
    assert split(path).document == INDEX


@pytest.mark.rfc("XCS-030")
@pytest.mark.parametrize(
    "path",
    [
        "/Resource-lists/users/sip:joe@example.com/index",
        "/resource-lists/users/sip:Joe@example.com/index",
        "/resource-lists/users/sip:joe@example.com/Index",
    ],
)
def test_the_case_of_a_path_matters(path: str) -> None:
    assert split(path).document != INDEX


@pytest.mark.rfc("XCS-030")
@pytest.mark.parametrize(
    ("segment", "normal"),
    [("a%2fb", "a%2Fb"), ("a%2Fb", "a%2Fb"), ("%41%7e", "A~"), ("a%3Ab", "a%3Ab"), ("a:b@c", "a:b@c"), ("caf\xe9", "caf%C3%A9"),
     ("caf%c3%a9", "caf%C3%A9"), ("a b", "a%20b"), ("%25", "%25"), ("%ff", "%FF")],
)  # fmt: skip
def test_the_normal_form_of_a_segment(segment: str, normal: str) -> None:
    assert normalised(segment) == normal


@pytest.mark.rfc("XCS-029")
def test_text_is_decoded_once() -> None:
    assert decoded("%2541%5b%5D%22caf%C3%A9+\xe9") == '%41[]"café+é'


@pytest.mark.rfc("XCS-030")
@settings(deadline=None)
@given(st.text())
def test_the_normal_form_is_its_own(segment: str) -> None:
    try:
        once = normalised(segment)
    except BadRequest:
        return
    assert normalised(once) == once
    assert once.isascii()


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["a", "users", "global", "~~", "%7E", "..", "", "%41", "%", "%ff", "\xe9"]) | st.text(max_size=3),
        max_size=8,
    )
)
def test_any_path_is_taken_apart_or_refused(segments: list[str]) -> None:
    assert status_of(split, "/".join(segments)) in (200, 400, 404)
