"""Conditions of HTTP requests (RFC 9110 section 13.1), and what a request says about itself."""

import pytest

from kemi.http import HttpRequest, if_match_holds, if_none_match_holds, media_type


@pytest.mark.rfc("XCS-017")
@pytest.mark.parametrize(
    ("condition", "etag", "holds"),
    [
        (None, None, True), (None, "a", True), ('"a"', "a", True), ('"b"', "a", False), ('"a"', None, False),
        ("*", "a", True), (" * ", "a", True), ("*", None, False), ('"b", "a"', "a", True), ('"b","c"', "a", False),
        ('W/"a"', "a", False), ('W/"a", "a"', "a", True), ('"A"', "a", False), ("", "a", False), ('"', "a", False),
        ('"x,"a"', "a", True), ('"*"', "a", False), ('"a, b"', "a", False), ('"b", *', "a", False),
    ],
)  # fmt: skip
def test_if_match_compares_strongly(condition: str | None, etag: str | None, holds: bool) -> None:
    assert if_match_holds(condition, etag) is holds


@pytest.mark.rfc("XCS-018")
@pytest.mark.parametrize(
    ("condition", "etag", "holds"),
    [
        (None, None, True), (None, "a", True), ('"a"', "a", False), ('"b"', "a", True), ('"a"', None, True),
        ("*", "a", False), ("*", None, True), ('"b", "a"', "a", False), ('W/"a"', "a", False), ('W/"b"', "a", True),
    ],
)  # fmt: skip
def test_if_none_match_compares_weakly(condition: str | None, etag: str | None, holds: bool) -> None:
    assert if_none_match_holds(condition, etag) is holds


def test_tags_without_quotes_are_read_as_if_they_had_them() -> None:
    assert if_match_holds("a", "a")
    assert not if_match_holds("b", "a")
    assert not if_none_match_holds("b, a", "a")


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("application/xcap-el+xml", "application/xcap-el+xml"),
        ("Application/XCAP-el+xml ; charset=UTF-8", "application/xcap-el+xml"),
        (None, ""), ("", ""),
    ],
)  # fmt: skip
def test_a_media_type_is_compared_without_parameters_and_case(content_type: str | None, found: str) -> None:
    assert media_type(content_type) == found


@pytest.mark.parametrize(
    ("host", "is_secure", "hostname", "origin"),
    [
        ("XCAP.example.org:8080", False, "xcap.example.org", "http://XCAP.example.org:8080"),
        ("192.0.2.1", True, "192.0.2.1", "https://192.0.2.1"),
        ("[2001:db8::1]:8080", False, "[2001:db8::1]", "http://[2001:db8::1]:8080"),
        ("[2001:db8::1]", False, "[2001:db8::1]", "http://[2001:db8::1]"),
        ("", False, "", ""),
    ],
)
def test_a_request_names_its_server(host: str, is_secure: bool, hostname: str, origin: str) -> None:
    request = HttpRequest("GET", "/a", "b", host=host, is_secure=is_secure)
    assert (request.hostname, request.origin, request.target) == (hostname, origin, "/a?b")
