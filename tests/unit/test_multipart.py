"""Bodies of several parts are read and written: kemi/multipart.py, RFC 2046 section 5.1 and RFC 2387."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import multipart
from kemi.errors import BadRequest, BodyTooLarge
from kemi.multipart import DEFAULT_TYPE, Part, boundary_for, fields_of, parameters, related, root_of, write

MIXED = "multipart/mixed;boundary=cut"
MOST = 5000


def read(body: bytes, content_type: str = MIXED, most: int = MOST) -> list[Part]:
    return list(multipart.read(content_type, body, most))


def contents(body: bytes, content_type: str = MIXED) -> list[bytes]:
    return [each.content for each in read(body, content_type)]


def body_of(*parts: bytes, boundary: bytes = b"cut") -> bytes:
    """Parts without header fields."""
    return b"".join(b"--" + boundary + b"\r\n\r\n" + each + b"\r\n" for each in parts) + b"--" + boundary + b"--\r\n"


ONE = body_of(b"one")


# Parameters


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("multipart/mixed", {}),
        ("multipart/mixed;boundary=cut", {"boundary": "cut"}),
        ("multipart/mixed ; BOUNDARY = cut ; x", {"boundary": "cut", "x": ""}),
        ('multipart/mixed;boundary="cut (it)=?; here"', {"boundary": "cut (it)=?; here"}),
        (r'multipart/mixed;boundary="c\"u\\t"', {"boundary": 'c"u\\t'}),
        ('multipart/related;type="a;boundary=no";boundary=cut', {"type": "a;boundary=no", "boundary": "cut"}),
        ('multipart/related;start="<a@b>";boundary=""', {"start": "<a@b>", "boundary": ""}),
        ('multipart/mixed;boundary="', {"boundary": '"'}),
        ('multipart/mixed;boundary="cut', {"boundary": '"cut'}),
        ("", {}),
    ],
)
def test_parameters_are_read_without_their_quotes(value: str, expected: dict[str, str]) -> None:
    assert parameters(value) == expected


# Framing


@pytest.mark.parametrize(
    "body",
    [
        ONE,
        b"\r\n" + ONE,
        b"preamble\r\n" + ONE,
        b"--cutter\r\n\r\nno part\r\n" + ONE,
        ONE + b"epilogue",
        ONE + b"--cut\r\n\r\nmore\r\n--cut--",
        ONE.removesuffix(b"\r\n"),
        ONE.replace(b"\r\n", b"\n"),
        ONE.replace(b"--cut\r\n", b"--cut \t \r\n").replace(b"--cut--", b"--cut-- "),
    ],
    ids=range(9),
)
def test_what_is_around_the_parts_says_nothing(body: bytes) -> None:
    assert contents(body) == [b"one"]


def test_the_line_end_before_a_delimiter_is_no_content() -> None:
    assert contents(body_of(b"one\r\n", b"", b"\r\n\r\n")) == [b"one\r\n", b"", b"\r\n\r\n"]


@pytest.mark.parametrize(
    "content", [b"--cutter", b"--cut x", b"--cu", b"x--cut", b" --cut", b"-- cut", b"--CUT", b"--cut--x", b"\r--cut"]
)
def test_a_boundary_that_is_not_the_whole_line_is_content(content: bytes) -> None:
    body = b"a\r\n" + content + b"\r\nb"
    assert contents(body_of(body)) == [body]


def test_a_boundary_on_a_line_of_its_own_ends_the_part_wherever_it_comes_from() -> None:
    assert contents(body_of(b"a\r\n--cut\r\n\r\nb")) == [b"a", b"b"]
    assert contents(body_of(b"a\n--cut--\nb", b"c")) == [b"a"]


@pytest.mark.parametrize("boundary", ["cut here", "=_(1)+.*[x]?", "a/b:c", "'", "0" * 70, "--", "cut--", "\xe9"])
def test_a_quoted_boundary_is_taken_as_it_is(boundary: str) -> None:
    body = body_of(b"one", b"two", boundary=boundary.encode())
    assert contents(body, f'multipart/mixed;boundary="{boundary}"') == [b"one", b"two"]


@pytest.mark.parametrize(
    "content_type", ["multipart/mixed", "multipart/mixed;boundary=", 'multipart/mixed;boundary=""', "", "boundary=cut"]
)
def test_without_a_boundary_there_are_no_parts(content_type: str) -> None:
    with pytest.raises(BadRequest):
        read(ONE, content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"one", b"--cut", b"--cut\r\n", b"--cut\r\n\r\none", b"--cut\r\n\r\none\r\n", b"--cut\r\n\r\none\r\n--cut\r\n\r\ntwo",
        b"--cut\r\n\r\none--cut--", b"--cut\r\n\r\none\r\n--cut--more", b"\r--cut\r\n\r\none\r\n--cut", b"--\r\n--cu\r\n--cut-",
    ],
)  # fmt: skip
def test_a_body_that_does_not_end_was_cut_off(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body)


def test_a_body_may_have_no_parts() -> None:
    assert read(b"--cut--") == []


def test_a_boundary_that_no_octets_can_be_is_in_no_body() -> None:
    with pytest.raises(BadRequest):
        read(ONE, "multipart/mixed;boundary=\udce9")


# Parts


def test_a_part_has_header_fields() -> None:
    fields = (
        b"CONTENT-TYPE : application/pidf+xml;\r\n charset=UTF-8\r\nContent-ID:<1@example.org>\r\nContent-Disposition: render\r\n"
        b"Content-Encoding: gzip\r\nContent-Transfer-Encoding: 8bit\r\nX-Other: a:b\r\nnothing"
    )
    (found,) = read(b"--cut\r\n" + fields + b"\r\n\r\n<a/>\r\n--cut--")
    assert found == Part(b"<a/>", "application/pidf+xml; charset=UTF-8", "1@example.org", "render", "gzip", "8bit")


def test_a_part_without_header_fields_is_plain_text() -> None:
    assert read(ONE) == [Part(b"one", DEFAULT_TYPE)]
    assert read(body_of(b"a\r\n\r\nb")) == [Part(b"a\r\n\r\nb")]


@pytest.mark.parametrize("part", [b"Content-Type: text/plain", b"Content-Type: text/plain\r\n", b"", b"\xff\r\nx"])
def test_header_fields_have_an_end(part: bytes) -> None:
    with pytest.raises(BadRequest):
        read(b"--cut\r\n" + part + b"\r\n--cut--")


def test_no_header_field_goes_beyond_its_line() -> None:
    (found,) = read(b"--cut\r\nContent-Type: a/b\rContent-ID: c\x0bX: \xff\r\n\r\n\r\n--cut--")
    assert (found.content_type, found.content_id) == ("a/b", "c")


def test_binary_content_comes_as_it_is() -> None:
    octets = bytes(range(256))
    assert contents(body_of(octets)) == [octets]


# Many, and in each other


def test_thousands_of_parts_are_read_up_to_the_limit() -> None:
    many = body_of(*(str(number).encode() for number in range(MOST)))
    assert [each.content for each in read(many)] == [str(number).encode() for number in range(MOST)]
    with pytest.raises(BodyTooLarge):
        read(many, most=MOST - 1)


def test_parts_are_read_one_after_the_other() -> None:
    """Who does not want the first needs not hear what is wrong with the second."""
    found = multipart.read(MIXED, b"--cut\r\n\r\none\r\n--cut\r\nbroken\r\n--cut--", MOST)
    assert next(found).content == b"one"
    with pytest.raises(BadRequest):
        next(found)


@pytest.mark.parametrize("inner", ["in", "cutter", "cut2", "cut-", "xcut"])
def test_a_body_in_a_body_is_a_part_as_it_is(inner: str) -> None:
    inside = body_of(b"one", b"two", boundary=inner.encode())
    assert contents(body_of(inside, b"three")) == [inside, b"three"]
    assert contents(inside, f"multipart/mixed;boundary={inner}") == [b"one", b"two"]


def test_a_body_in_a_body_that_does_not_end_ends_with_the_part_around_it() -> None:
    inside = b"--in\r\n\r\none"
    assert contents(body_of(inside, b"two")) == [inside, b"two"]
    with pytest.raises(BadRequest):
        read(inside, "multipart/mixed;boundary=in")


def test_bodies_in_each_other_are_not_looked_into() -> None:
    body = b"core"
    for level in range(100):
        body = body_of(body, boundary=f"b{level}.".encode())
    (outermost,) = contents(body, "multipart/mixed;boundary=b99.")
    assert outermost.startswith(b"--b98.\r\n")


# multipart/related


@pytest.mark.parametrize(
    ("parameter", "content"),
    [
        ("", b"1"),
        (';start="<2@x>"', b"2"),
        (";start=2@x", b"2"),
        (';start="<3@x>"', b"1"),
        (';start=""', b"1"),
        (';start="<>"', b"1"),
    ],
)
def test_the_root_is_what_start_names_or_the_first(parameter: str, content: bytes) -> None:
    parts = [Part(b"1"), Part(b"2", content_id="2@x")]
    assert root_of(f"multipart/related;boundary=cut{parameter}", parts).content == content


# Writing


def test_a_body_octet_by_octet() -> None:
    body = write([(fields_of("text/plain", "1@x"), "one\r\n"), (fields_of("a/b", "2@x"), "")], "cut")
    assert body.split("\r\n") == [
        "--cut", "Content-Transfer-Encoding: binary", "Content-ID: <1@x>", "Content-Type: text/plain", "", "one", "",
        "--cut", "Content-Transfer-Encoding: binary", "Content-ID: <2@x>", "Content-Type: a/b", "", "",
        "--cut--", "",
    ]  # fmt: skip
    assert related("a/b", "cut") == 'multipart/related;type="a/b";boundary=cut'
    assert related("a/b", "cut", "1@x") == 'multipart/related;type="a/b";start="<1@x>";boundary=cut'


def test_a_boundary_is_in_no_content() -> None:
    assert boundary_for([], "cut") == "cut"
    assert boundary_for(["cu t", "CUT"], "cut") == "cut"
    assert boundary_for(["a cut"], "cut") == "cutx0"
    assert boundary_for(["cutx0", "x\r\n--cutx1"], "cut") == "cutx2"


TEXTS = st.text(max_size=20) | st.lists(st.sampled_from(["--", "cut", "\r\n", "\n", "x0", "--\r\n", " ", "a"])).map("".join)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_what_is_written_is_read(texts: list[str]) -> None:
    boundary = boundary_for(texts, "cut")
    ids = [f"{number}@x" for number in range(len(texts))]
    content_type = related("a/b", boundary, ids[-1])
    found = read(
        write([(fields_of("a/b", name), text) for name, text in zip(ids, texts, strict=True)], boundary).encode(), content_type
    )
    assert [each.content.decode() for each in found] == texts
    assert [(each.content_type, each.content_id, each.transfer_encoding) for each in found] == [
        ("a/b", each, "binary") for each in ids
    ]
    assert root_of(content_type, found) is found[-1]


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"--cut", b"--", b"\r\n", b"\n", b"Content-Type: ", b" ", b":", b"a"])).map(b"".join),
    st.sampled_from([MIXED, 'multipart/related;boundary="cut"', "multipart/mixed"]),
)
def test_whatever_comes_is_read_or_refused(body: bytes, content_type: str) -> None:
    try:
        found = read(body, content_type, 3)
    except (BadRequest, BodyTooLarge):
        return
    assert len(found) <= 3
    assert all(each.content in body for each in found)
