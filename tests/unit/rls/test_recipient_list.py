"""Lists in the body of a SUBSCRIBE: kemi/rls/recipient_list.py."""

import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemi import sip
from kemi.errors import SipError
from kemi.rls import recipient_list
from kemi.rls.recipient_list import MAX_PARTS, Limits, is_asked
from kemi.rls.resource_list import Member
from tests.unit.rls.lists import ALICE, BOB, CAROL, DAVE, anchor, entry, external, listed, lists, path, reference
from tests.unit.values import SUBSCRIBE

TYPE = "application/resource-lists+xml"
LIMITS = Limits()
ONE = lists(listed("", entry(BOB)))


def request(body: bytes, **fields: Any) -> sip.Request:
    values = {"content_type": TYPE, "content_disposition": "recipient-list", "body": body}
    return SUBSCRIBE._replace(**(values | fields))


def read(body: bytes, limits: Limits = LIMITS, **fields: Any) -> list[str]:
    return [each.uri for each in recipient_list.read(request(body, **fields), limits)]


def status(body: bytes, limits: Limits = LIMITS, **fields: Any) -> int:
    """Of the refusal, 200 for none; nothing else may be raised."""
    try:
        read(body, limits, **fields)
    except SipError as refusal:
        return refusal.status
    return 200


def part(body: bytes, *fields: str, content_type: str = TYPE) -> bytes:
    lines = [f"Content-Type: {content_type}", "Content-Disposition: recipient-list", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def mixed(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + each + b"\r\n" for each in parts) + b"--b--\r\n"


def raw_deflate(octets: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(octets) + packer.flush()


MIXED = "multipart/mixed;boundary=b"
DEFLATE: dict[str, Any] = {"content_encoding": "deflate"}


@pytest.mark.rfc("RLS-038")
@pytest.mark.parametrize(
    ("require", "expected"),
    [
        (None, False),
        ("", False),
        ("recipient-list-subscribe", True),
        ("eventlist, Recipient-List-Subscribe", True),
        ("recipient-list", False),
    ],
)
def test_require_says_that_there_is_a_list(require: str | None, expected: bool) -> None:
    assert is_asked(require) is expected


@pytest.mark.rfc("RLS-038", "RLS-041")
def test_the_list_is_in_the_body() -> None:
    body = lists(
        listed("", entry("bob%40example.org", "Bob"), listed("inner", entry(CAROL)), entry("sip:bob@EXAMPLE.org", "Robert")),
        listed("", reference(path(ALICE, "list")), external(anchor(ALICE)), entry("tel:+421"), entry(BOB), entry(DAVE)),
    )
    assert recipient_list.read(request(body), LIMITS) == (
        Member(BOB, BOB, (("", "Bob"),)),
        Member(CAROL, CAROL),
        Member(DAVE, DAVE),
    )


@pytest.mark.rfc("RLS-033", "RLS-038")
@pytest.mark.parametrize("body", [lists(), lists(listed("")), lists(listed("", entry("tel:+421")))])
def test_a_list_may_be_empty(body: bytes) -> None:
    assert read(body) == []


@pytest.mark.rfc("RLS-038")
@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", 400),
        (b"<resource-lists", 400),
        (b"<a/>", 400),
        (listed("", entry(BOB)).encode(), 400),
        (b"\xff" + ONE, 400),
        (ONE.decode().encode("utf-16"), 400),
        (b'<!DOCTYPE a [<!ENTITY b "c">]>' + ONE, 400),
        (b'<?xml version="1.0" encoding="latin-1"?>' + ONE, 400),
        (lists("<list>" * 100 + "</list>" * 100), 413),
        (lists("<list/>" * 10_001), 413),
        (lists(listed("", *[entry(BOB)] * 1001)), 413),
        (lists("<!-- " + "x" * 262_144 + " -->"), 413),
    ],
    ids=range(12),
)
def test_a_list_that_cannot_be_read_is_refused(body: bytes, wrong: int) -> None:
    assert status(body) == wrong


@pytest.mark.rfc("RLS-038")
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content_disposition": None}, 200),
        ({"content_disposition": "Recipient-List;handling=required"}, 200),
        ({"content_type": "Application/Resource-Lists+XML;charset=utf-8"}, 200),
        ({"content_disposition": "render"}, 415),
        ({"content_disposition": "recipient-list-history"}, 415),
        ({"content_type": "application/simple-filter+xml"}, 415),
        ({"content_type": None}, 415),
        ({"content_type": "application/simple-filter+xml", "content_disposition": "filter;handling=optional"}, 400),
        ({"content_encoding": "br"}, 415),
        ({"content_encoding": "deflate, gzip"}, 415),
        ({"content_encoding": "Identity"}, 200),
    ],
)
def test_other_bodies_are_refused(fields: dict[str, Any], expected: int) -> None:
    assert status(ONE, **fields) == expected


def test_the_refusal_says_what_is_taken() -> None:
    with pytest.raises(SipError) as raised:
        read(ONE, content_encoding="br")
    assert dict(raised.value.headers) == {"Accept": f"{TYPE}, multipart/mixed", "Accept-Encoding": "deflate, gzip, identity"}


# Compressed


@pytest.mark.rfc("RLS-038")
@pytest.mark.parametrize(
    ("coding", "body"),
    [("deflate", zlib.compress(ONE)), ("Deflate", raw_deflate(ONE)), ("gzip", gzip.compress(ONE)), ("x-gzip", gzip.compress(ONE))],
)
def test_lists_may_be_compressed(coding: str, body: bytes) -> None:
    assert read(body, content_encoding=coding) == [BOB]


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("deflate", b""),
        ("deflate", ONE),
        ("deflate", zlib.compress(ONE)[:-5]),
        ("deflate", zlib.compress(ONE) + b"more"),
        ("deflate", raw_deflate(ONE)[:-5]),
        ("deflate", zlib.compress(ONE)[:-1] + b"?"),
        ("deflate", gzip.compress(ONE)),
        ("gzip", zlib.compress(ONE)),
        ("gzip", gzip.compress(ONE)[:-5]),
        ("gzip", gzip.compress(ONE) * 2),
    ],
)
def test_what_is_not_compressed_as_it_says_is_refused(coding: str, body: bytes) -> None:
    assert status(body, content_encoding=coding) == 400


@pytest.mark.parametrize("packed", [zlib.compress(ONE + b" " * 10**7), raw_deflate(ONE + b" " * 10**7)])
def test_a_body_that_is_too_large_when_unpacked_is_refused(packed: bytes) -> None:
    assert len(packed) < 20_000
    assert status(packed, **DEFLATE) == 413
    assert status(gzip.compress(ONE + b" " * 10**7), content_encoding="gzip") == 413


def test_the_limit_is_of_the_unpacked_octets() -> None:
    assert read(zlib.compress(ONE), Limits(octets=len(ONE)), **DEFLATE) == [BOB]
    assert status(zlib.compress(ONE), Limits(octets=len(ONE) - 1), **DEFLATE) == 413
    assert status(ONE, Limits(octets=len(ONE) - 1)) == 413


# Several parts


@pytest.mark.rfc("RLS-041")
def test_several_lists_are_one() -> None:
    body = mixed(part(ONE), part(lists(listed("", entry(CAROL), entry("bob@example.org")))), part(lists()))
    assert read(body, content_type='multipart/mixed; boundary="b"', content_disposition=None) == [BOB, CAROL]


@pytest.mark.rfc("RLS-041")
@pytest.mark.parametrize(
    "body",
    [
        b"preamble\r\n" + mixed(part(ONE)) + b"epilogue\r\n--b\r\nmore",
        mixed(part(ONE)).replace(b"\r\n", b"\n"),
        mixed(part(ONE)).replace(b"--b", b"--b \t").replace(b"--b \t--", b"--b-- "),
        mixed(part(ONE, "X:", "Content-ID: <a@b>", "Content-Transfer-Encoding: binary", "X-Folded: a\r\n b")),
        mixed(part(zlib.compress(ONE), "Content-Encoding: deflate")),
        mixed(
            part(ONE), part(b"text").replace(b"recipient-list", b"render; handling=optional").replace(TYPE.encode(), b"text/plain")
        ),
    ],
    ids=range(6),
)
def test_parts_as_they_may_be(body: bytes) -> None:
    assert read(body, content_type=MIXED, content_disposition=None) == [BOB]


@pytest.mark.rfc("RLS-041")
def test_a_body_of_several_parts_may_be_compressed() -> None:
    assert read(zlib.compress(mixed(part(ONE))), content_type=MIXED, **DEFLATE) == [BOB]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 400),
        (b"--b--\r\n", 400),
        (b"--b\r\n" + part(ONE), 400),
        (mixed(part(ONE)).replace(b"--b", b"--c"), 400),
        (mixed(b"Content-Type: text/plain"), 400),
        (mixed(b"\r\n" + ONE), 415),
        (mixed(part(ONE), part(b"text", content_type="text/plain")), 415),
        (mixed(part(mixed(part(ONE)).replace(b"--b", b"--c"), content_type="multipart/mixed;boundary=c")), 415),
        (mixed(part(ONE, "Content-Transfer-Encoding: base64")), 415),
        (mixed(part(ONE, "Content-Encoding: br")), 415),
        (mixed(*[part(ONE)] * MAX_PARTS), 200),
        (mixed(*[part(ONE)] * (MAX_PARTS + 1)), 413),
        (mixed(*[part(zlib.compress(ONE + b" " * 200_000), "Content-Encoding: deflate")] * 2), 413),
        (mixed(part(lists(listed("", *[entry(BOB)] * 600))), part(lists(listed("", *[entry(BOB)] * 600)))), 413),
    ],
    ids=range(14),
)
def test_parts_as_they_may_not_be(body: bytes, expected: int) -> None:
    assert status(body, content_type=MIXED, content_disposition=None) == expected


@pytest.mark.parametrize("content_type", ["multipart/mixed", "multipart/mixed;boundary=", 'multipart/mixed;boundary=""'])
def test_a_boundary_is_needed(content_type: str) -> None:
    assert status(mixed(part(ONE)), content_type=content_type) == 400


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"--b", b"--", b"\r\n", b"\n", b"Content-Type: ", ONE, b" ", b":"])).map(b"".join),
    st.sampled_from([MIXED, TYPE, "multipart/mixed"]),
    st.sampled_from([None, "deflate", "gzip"]),
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_read_or_refused(body: bytes, content_type: str, coding: str | None) -> None:
    assert status(body, content_type=content_type, content_encoding=coding) in (200, 400, 413, 415)
