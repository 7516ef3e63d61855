"""Insides of header field values: kemi/sip.py."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kemi import sip
from kemi.errors import BadRequest, SipError, UnsupportedUriScheme

PIDF, XPIDF = "application/pidf+xml", "application/xpidf+xml"
NASTY = st.text(alphabet=st.sampled_from('aZ09:;,@<>"\\%[]=?&/*. \t\r\n\x00\x7fü²'), max_size=40) | st.text(max_size=40)


def canonical(text: str) -> str:
    return sip.address_of_record(sip.parse_uri(text))


# URIs


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:alice@example.org", sip.Uri("sip", "alice", "example.org", None, "")),
        ("SIPS:Alice:pw@EXAMPLE.org:5061", sip.Uri("sips", "Alice:pw", "example.org", 5061, "")),
        ("sip:[2001:DB8::1]:5060;lr", sip.Uri("sip", "", "[2001:db8::1]", 5060, ";lr")),
        ("sip:a;x=1?y@host.example", sip.Uri("sip", "a;x=1?y", "host.example", None, "")),
        ("pres:alice@example.org?Subject=x", sip.Uri("pres", "alice", "example.org", None, "")),
        ("im:alice@example.org", sip.Uri("im", "alice", "example.org", None, "")),
    ],
)
def test_the_parts_of_a_uri(text: str, uri: sip.Uri) -> None:
    assert sip.parse_uri(text) == uri


@pytest.mark.parametrize(
    "text",
    ["", "alice", "sip:", "sip:@", "sip:a b@c", "sip:a@b c", "<sip:a@b>", "sip:a@b\r\nX: y", 'sip:a"@b', "sip:a@b:port",
     "sip:a@[::1", "sip:a@@b", "sip:a@b:123456", "sip:a@" + "b" * 600],
)  # fmt: skip
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(BadRequest):
        sip.parse_uri(text)


@pytest.mark.rfc("TRN-018")
@pytest.mark.parametrize(
    "text", ["tel:+4930123", "tel:112", "mailto:a@b", "http://example.org/", "urn:service:sos", "unknown:opaque",
             "soap.beep://192.0.2.103:3002", "unknown:+1-2/3"]
)  # fmt: skip
def test_a_scheme_that_is_not_served(text: str) -> None:
    """The last ones: RFC 4475 section 3.3.2, 3.3.3. A scheme nobody knows may be followed by anything."""
    with pytest.raises(UnsupportedUriScheme):
        sip.parse_uri(text)


def test_uri_parameters_are_found_in_any_case_of_their_name() -> None:
    uri = sip.parse_uri("sip:host.example;LR;Transport=tcp;gr=a=b")
    assert [uri.parameter(name) for name in ("lr", "transport", "gr", "maddr")] == ["", "tcp", "a=b", None]


@pytest.mark.parametrize(
    ("uri", "transport"),
    [
        ("sip:a@b", "udp"),
        ("sips:a@b", "tls"),
        ("SIPS:a@b", "tls"),
        ("sip:a@b;transport=TCP;lr", "tcp"),
        ("sip:b;Transport=ws", "ws"),
        ("sip:a;transport=tcp@b", "udp"),
        ("sip:a;transport=tcp@b;transport=tls;x=c@d", "tls"),
        ("sip:a@b?x=;transport=tcp", "udp"),
    ],
)
def test_the_transport_that_a_uri_asks_for(uri: str, transport: str) -> None:
    assert sip.transport_of(uri) == transport


# Canonical addresses


@pytest.mark.rfc("TRN-028")
@pytest.mark.rfc("PA-040")
@pytest.mark.parametrize(
    "text",
    ["sip:alice@example.org", "sips:alice@Example.ORG", "pres:alice@example.org", "sip:alice:secret@example.org:5070;transport=tcp",
     "sip:%61l%69ce@example.org", "sip:alice@example.org?Subject=x"],
)  # fmt: skip
def test_one_user_is_one_text(text: str) -> None:
    assert canonical(text) == "sip:alice@example.org"


@pytest.mark.rfc("TRN-028")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:alice@example.org", "sip:Alice@example.org"),
        ("sip:a%40b@example.org", "sip:a@example.org"),
        ("sip:a%2Fb@example.org", "sip:a/b@example.org"),
        ("sip:alice@example.org", "sip:alice@example.com"),
        ("sip:alice@example.org", "sip:example.org"),
    ],
)
def test_different_users_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_escapes_that_stay_are_written_one_way() -> None:
    assert canonical("sip:a%3ab%c3%bc@example.org") == "sip:a%3Ab%C3%BC@example.org"


@given(st.text(alphabet="aA%0123456789cCfF3.:;~", min_size=1, max_size=12))
@example("%%61a")
def test_canonical_is_idempotent(user: str) -> None:
    try:
        once = canonical(f"sip:{user}@example.org")
    except SipError:
        return
    assert canonical(once) == once


# Header field values


@pytest.mark.rfc("TRN-027")
def test_folded_values_are_one_line() -> None:
    assert sip.one_line(" presence\r\n ;id=1\n\t;x ") == "presence ;id=1 ;x"


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "a\x0bb", "a\x1fb", "a\x7fb"])
def test_control_characters_are_refused(value: str) -> None:
    with pytest.raises(BadRequest):
        sip.one_line(value)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        ("", []),
        (" , ,", []),
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ('"Doe, Jane" <sip:j@b>, <sip:a,b@c>;x=1', ['"Doe, Jane" <sip:j@b>', "<sip:a,b@c>;x=1"]),
        ('"a \\", b" <sip:c@d>, e', ['"a \\", b" <sip:c@d>', "e"]),
    ],
)
def test_members_of_a_list(value: str, members: list[str]) -> None:
    assert sip.split_list(value) == members


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("<sip:a@b;lr>;tag=1", "sip:a@b;lr"),
        ("sip:a@b;tag=1", "sip:a@b"),
        ('"<sip:x@y>" <sip:a@b>', "sip:a@b"),
        ('"x \\" <sip:x@y>" <sip:a@b>', "sip:a@b"),
        ("Alice <sip:a@b>", "sip:a@b"),
    ],
)
def test_the_uri_of_an_address(address: str, uri: str) -> None:
    assert sip.address_uri(address) == uri


@pytest.mark.parametrize("address", ["", "<>", "<sip:a@b", "a b", ";tag=1", "< >", '"<sip:a@b>"'])
def test_an_address_without_uri(address: str) -> None:
    with pytest.raises(BadRequest):
        sip.parse_uri(sip.address_uri(address))


@pytest.mark.rfc("PA-018")
@pytest.mark.parametrize(
    ("value", "event"),
    [
        ("presence", ("presence", None, {})),
        ("Presence", ("Presence", None, {})),
        ("presence ; ID = a7 ;x=y", ("presence", "a7", {"x": "y"})),
        ("presence;other=1;Min-Rate = 0.5", ("presence", None, {"other": "1", "min-rate": "0.5"})),
        ("presence;flag", ("presence", None, {"flag": ""})),
        ("presence;max-rate=1;MAX-RATE=2", ("presence", None, {"max-rate": ""})),
        ("presence.winfo;id=A7", ("presence.winfo", "A7", {})),
    ],
)
def test_an_event_has_a_package_an_id_and_parameters(value: str, event: tuple[str, str | None, dict[str, str]]) -> None:
    assert sip.parse_event(value) == event


@pytest.mark.parametrize(
    ("value", "same"), [("presence", True), ("presence;max-rate=1", True), ("presence.winfo", False), ("", False), ("a b", False)]
)
def test_whether_an_event_from_outside_is_of_a_package(value: str, same: bool) -> None:
    assert sip.names_package(value, "presence") is same


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", ""),
        ("Bob", "Bob"),
        (" Bob  Builder ", "Bob  Builder"),
        ('"Bob"', "Bob"),
        ('"Bob \\"the\\" Builder\\\\"', 'Bob "the" Builder\\'),
        ('"', '"'),
        ('""', ""),
        ('"a\ufffeb\uffffc"', "a b c"),
        ("x" * 4000, "x" * 128),
        ('"a\tb\x00\x1f\x7f"', "a b"),
    ],
)
def test_a_display_name_is_read_as_it_is_meant(text: str, name: str) -> None:
    assert sip.display_name(text) == name


@pytest.mark.rfc("PA-044")
@pytest.mark.parametrize(("text", "tag"), [(" a7 ", "a7"), ("*", "*"), ("kp-a.7%!'`~+_", "kp-a.7%!'`~+_")])
def test_an_entity_tag_is_any_token_without_the_spaces_around_it(text: str, tag: str) -> None:
    assert sip.entity_tag(text, "Suppress-If-Match") == tag


@pytest.mark.parametrize("text", ["", "a, b", '"a"', "a b", " ", "a;b", "ä"])
def test_what_is_not_one_entity_tag(text: str) -> None:
    with pytest.raises(BadRequest):
        sip.entity_tag(text, "Suppress-If-Match")


@pytest.mark.parametrize("value", ["", ";id=1", "pre sence", "presence, dialog", "presence;id", "presence;id=", 'presence;id="a"'])
def test_what_is_no_event(value: str) -> None:
    with pytest.raises(BadRequest):
        sip.parse_event(value)


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0), (" 3600 ", 3600), ("4294967295", 2**32 - 1), ("4294967296", 2**32 - 1), ("9" * 400, 2**32 - 1)]
)
def test_seconds_are_at_most_what_32_bits_hold(value: str, seconds: int) -> None:
    assert sip.parse_seconds(value, "Expires") == seconds


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.5", "1e3", "soon", "²", "٣", "1 2"])
def test_what_is_no_number_of_seconds(value: str) -> None:
    with pytest.raises(BadRequest, match="Expires"):
        sip.parse_seconds(value, "Expires")


# Accept


@pytest.mark.rfc("PA-016")
@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, PIDF),
        ("*/*", PIDF),
        ("application/*", PIDF),
        (f"{XPIDF}", XPIDF),
        (f"Application/PIDF+XML ; charset=utf-8, {XPIDF};q=0.9", PIDF),
        (f"{PIDF};q=0.5, {XPIDF};q=0.8", XPIDF),
        (f"{PIDF};q=.5, */*;q=0.1", PIDF),
        (f"{PIDF};q=0, */*", XPIDF),
        (f"application/*;q=0.2, {XPIDF};q=0.1", PIDF),
        (f"{PIDF}; Q=0.0, application/*; q=0.3", XPIDF),
        (f"{PIDF}, {XPIDF}", PIDF),
        (f"{XPIDF}, {PIDF}", PIDF),
    ],
)
def test_the_body_type_that_suits_best(accept: str | None, chosen: str) -> None:
    assert sip.choose_media_type(accept, (PIDF, XPIDF)) == chosen


@pytest.mark.rfc("PA-017")
@pytest.mark.parametrize("accept", ["", "text/plain", f"{PIDF};q=0", "text/*, application/cpim-pidf+xml", "*/*;q=0"])
def test_no_body_type_suits(accept: str) -> None:
    assert sip.choose_media_type(accept, (PIDF,)) is None


@pytest.mark.parametrize(("value", "kind"), [("Text/Plain; charset=x", "text/plain"), ("", ""), (" a/b ", "a/b")])
def test_a_media_type_without_its_parameters(value: str, kind: str) -> None:
    assert sip.media_type(value) == kind


# Whatever comes


PARSERS: list[Callable[[str], Any]] = [
    sip.parse_uri,
    canonical,
    sip.one_line,
    sip.split_list,
    sip.address_uri,
    sip.parse_event,
    sip.media_type,
    sip.transport_of,
    lambda text: sip.choose_media_type(text, (PIDF, XPIDF)),
    lambda text: sip.parse_seconds(text, "Expires"),
]


def refusal_of(parser: Callable[[str], Any], text: str) -> SipError | None:
    try:
        parser(text)
    except SipError as refusal:
        return refusal
    return None


@pytest.mark.rfc("SEC-012")
@pytest.mark.parametrize("parser", PARSERS)
@given(text=NASTY)
def test_a_parser_refuses_or_reads_and_nothing_else(parser: Callable[[str], Any], text: str) -> None:
    refusal = refusal_of(parser, text)
    assert refusal is None or 400 <= refusal.status < 500


@given(NASTY)
def test_what_passes_as_one_line_has_no_end_of_line(text: str) -> None:
    try:
        line = sip.one_line(text)
    except BadRequest:
        return
    assert not set(line) & set("\r\n\x00\x7f")


@given(st.lists(st.sampled_from(["a", '"x, y" <sip:a@b>', "<sip:a,b@c>", "token;q=0.1"]), max_size=6))
def test_a_list_comes_apart_into_what_it_was_made_of(members: list[str]) -> None:
    assert sip.split_list(", ".join(members)) == members


@pytest.mark.rfc("SEC-012")
@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (sip.split_list, "," + "a" * 200_000 + '"'),
        (sip.split_list, "," + "<a>" * 60_000 + '"'),
        (sip.one_line, " " * 200_000 + "\x01"),
        (sip.address_uri, '"\\' * 100_000),
    ],
)
def test_hostile_text_costs_no_more_than_its_length(parser: Callable[[str], Any], text: str) -> None:
    """Fifty times what a header field may have: a cost that grew with the square would not end in time."""
    refusal = refusal_of(parser, text)
    assert refusal is None or refusal.detail


@pytest.mark.parametrize(
    ("value", "package", "identifier"),
    [
        ('presence;foo="a;id=b"', "presence", None),
        ('presence;foo="x;id=zz;y";id=7', "presence", "7"),
        ('presence;foo="a\\";id=b"', "presence", None),
        ('presence;id=7;foo="never closed;id=b', "presence", "7"),
    ],
)
def test_what_stands_in_quotes_is_no_parameter(value: str, package: str, identifier: str | None) -> None:
    event = sip.parse_event(value)
    assert (event.package, event.id) == (package, identifier)


@pytest.mark.parametrize(
    "accept",
    ['application/pidf+xml;x=";q=0"', "application / pidf+xml", "Application/PIDF+xml ; Q=0.5", "application/pidf+xml;q=1."],
)
def test_a_media_type_is_taken_however_it_is_written(accept: str) -> None:
    assert sip.choose_media_type(accept, ("application/pidf+xml",)) == "application/pidf+xml"


@pytest.mark.parametrize(
    ("contact", "uri"),
    [
        ("sip:bob@h;lr", "sip:bob@h;lr"),
        ("sip:bob@h?Subject=hi&Route=x", "sip:bob@h"),
        ("sip:bob@h;method=INVITE;transport=tcp", "sip:bob@h;transport=tcp"),
        ("sip:a?b@h", "sip:a?b@h"),
        ("sip:x;method=y@h?z=1", "sip:x;method=y@h"),
        ("sip:h?z=1", "sip:h"),
    ],
)
def test_a_request_uri_has_neither_header_fields_nor_a_method(contact: str, uri: str) -> None:
    assert sip.request_uri_of(contact) == uri


def test_a_type_of_quality_nought_is_not_acceptable() -> None:
    for quality in ("0", "0.", "0.0", ".0", ".000"):
        assert sip.choose_media_type(f"application/pidf+xml;q={quality}", ("application/pidf+xml",)) is None


@pytest.mark.rfc("TRN-020")
def test_an_ipv6_address_is_the_same_however_it_is_written() -> None:
    assert {sip.parse_uri(f"sip:a@[{each}]").host for each in ("::1", "0:0:0:0:0:0:0:1", "0::1", "::0001")} == {"[::1]"}
    with pytest.raises(BadRequest):
        sip.parse_uri("sip:a@[1::2::3]")


@pytest.mark.parametrize("text", ["sip:a@b:\u0665\u0660", "sip:a@b:123456"])
def test_what_is_no_port_is_no_uri(text: str) -> None:
    with pytest.raises(BadRequest):
        sip.parse_uri(text)
