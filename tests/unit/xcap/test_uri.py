"""URIs in documents: who is meant, whatever way it is written, and nobody else: kemi/xcap/uri.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import sip
from kemi.xcap.uri import canonical, domain_of, equivalent, plain, same_domain


@pytest.mark.parametrize(
    "written",
    [
        "sip:bob@example.org", "sip%3Abob%40example.org", "sip%3abob@example.org", "bob%40example.org", "bob@example.org",
        " SIP:bob@EXAMPLE.org ", "sip:%62ob@example.org;transport=tcp", "sip:bob@example.org:5070", "sip:bob:secret@example.org",
        "sip:bob%40example.org", "sip:bob@exampl%65.org",
    ],
)  # fmt: skip
def test_one_user_however_clients_write_him(written: str) -> None:
    assert canonical(written) == "sip:bob@example.org"


@pytest.mark.parametrize(
    "written", ["", "bob", "example.org", "sip:", "%zz", "sip%3A%zz", "sip:bob@", "x:a b", "tel:", "sip:a@\ud800"]
)
def test_what_is_no_user_is_nobody(written: str) -> None:
    assert canonical(written) == ""


@pytest.mark.rfc("AUTH-022")
@pytest.mark.parametrize("other", ["sips:bob@example.org", "pres:bob@example.org", "im:bob@example.org", "xmpp:bob@example.org"])
def test_users_of_different_schemes_are_different(other: str) -> None:
    assert canonical(other) not in ("", canonical("sip:bob@example.org"))


@pytest.mark.rfc("AUTH-022")
def test_a_number_is_no_sip_user() -> None:
    assert canonical("tel:+1-201-555-0123") == canonical("tel%3A%2B12015550123") == "tel:+12015550123"
    assert canonical("sip:+12015550123@example.org;user=phone") == "sip:+12015550123@example.org"
    assert canonical("tel:0123;phone-context=example.org;isub=1") == canonical("tel:01-23;ISUB=1;phone-context=example.org")


def test_a_name_in_other_scripts_is_what_it_is_on_the_wire() -> None:
    assert canonical("sip:jürgen@bücher.example") == canonical("sip:j%C3%BCrgen@xn--bcher-kva.example") != ""


@given(st.text(max_size=30))
def test_whatever_is_written_has_one_canonical_form(written: str) -> None:
    known = canonical(written)
    assert canonical(known) == known


@given(st.from_regex(r"sip:[a-z0-9._%+-]{1,8}@[a-z]{1,8}\.org", fullmatch=True))
def test_canonical_is_what_the_server_calls_a_user(written: str) -> None:
    try:
        known = sip.address_of_record(sip.parse_uri(written))
    except sip.BadRequest:
        return
    assert canonical(written) == known


# Domains


def test_only_sip_uris_have_a_domain() -> None:
    assert domain_of("sip:bob@example.org") == domain_of("sips:example.org") == "example.org"
    assert domain_of("tel:+1;phone-context=example.org") == domain_of("xmpp:bob@example.org") == ""


@pytest.mark.rfc("AUTH-019")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("example.org", "EXAMPLE.Org"), ("ex%61mple.org", "example.org"), ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "bücher.example"), ("b%C3%BCcher。example", "bücher.example"),
    ],
)  # fmt: skip
def test_domains_are_equal_after_decoding_and_toascii(one: str, other: str) -> None:
    assert same_domain(one, other)
    assert same_domain(other, one)


@pytest.mark.rfc("AUTH-019")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("example.org", "example.com"), ("example.org", "sub.example.org"), ("sub.example.org", "example.org"),
        ("*", "example.org"), ("example.org", "xample.org"), ("", ""), ("a..b", "a..b"), ("example.org", "example%2"),
        ("a" * 64, "a" * 64), ("%ff.org", "%ff.org"), ("*.org", "example.org"),
    ],
)  # fmt: skip
def test_no_suffix_no_wildcard_and_no_broken_domain_is_equal(one: str, other: str) -> None:
    assert not same_domain(one, other)


# Services and devices


@pytest.mark.rfc("AUTH-028")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:a@X.org;transport=TCP", "sip:%61@x.org;Transport=tcp"), ("sip%3Aa@x", "sip:a@x"), ("sip:a@x;q=1", "sip:a@x"),
        ("sip:a@x?b=c&d=e", "sip:a@x?d=e&b=c"), ("urn:UUID:AB-cd", "urn:uuid:ab-CD"), ("URN:example:Ab", "urn:EXAMPLE:Ab"),
        ("mailto:a@x", "MAILTO:a@x"), ("tel:+1-2", "tel:+12"), ("http://x/%c3", "http://x/%C3"),
    ],
)  # fmt: skip
def test_equivalent_uris_are_known_as_such_in_either_order(one: str, other: str) -> None:
    assert equivalent(one, other)
    assert equivalent(other, one)


@pytest.mark.rfc("AUTH-028")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:a@x", "sip:A@x"), ("sip:a@x", "sips:a@x"), ("sip:a@x", "sip:a@x:5060"), ("sip:a@x;transport=tcp", "sip:a@x"),
        ("sip:a@x;gr=1", "sip:a@x;gr=2"), ("sip:a:p@x", "sip:a@x"), ("sip:a@x?b=c", "sip:a@x"), ("sip:a@x;z=1", "sip:a@x;z=2"),
        ("urn:example:Ab", "urn:example:ab"), ("mailto:a@x", "mailto:A@x"), ("", ""), ("no uri", "no uri"), ("sip:", "sip:"),
        ("tel:x", "tel:x"), ("sip:a@\ud800", "sip:a@\ud800"), ("tel:+1", "sip:+1@x"),
    ],
)  # fmt: skip
def test_uris_that_are_not_equivalent(one: str, other: str) -> None:
    assert not equivalent(one, other)


def test_only_a_uri_that_is_encoded_as_a_whole_is_decoded() -> None:
    assert plain("http%3A//x/list%5B%40name%3D%22a%22%5D") == 'http://x/list[@name="a"]'
    assert plain("http://x/list%5B@name=%22a%22%5D") == "http://x/list%5B@name=%22a%22%5D"
