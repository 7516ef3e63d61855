"""Digest and Basic credentials of HTTP requests (RFC 7616, RFC 7617)."""

import base64

import pytest

from kemi import account, http_digest
from kemi.http_digest import Credentials

KEY = bytes(32)
NOW = 1_800_000_000.9
RFC = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm={algorithm}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", '
    'qop=auth, response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
"""The requests of RFC 7616 section 3.9.1."""


def parsed(value: str) -> Credentials:
    found = http_digest.parse(value)
    assert found is not None
    return found


@pytest.mark.rfc("XCS-047")
@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_response_is_that_of_the_examples(algorithm: str, response: str) -> None:
    given = parsed(RFC.format(algorithm=algorithm, response=response))
    ha1 = account.ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
    assert http_digest.response(ha1, "GET", given) == response == given.response
    assert http_digest.response(ha1, "PUT", given) != response


def test_quotes_and_blanks_are_read_as_they_are_written() -> None:
    given = parsed(
        '  digest  Username="al\\"ice\\\\" ,realm = "r,x",NONCE=n , uri="/a?b=c" ,response="0", qop="auth",cnonce="c", nc=0000000a'
    )
    assert given == Credentials(
        True, 'al"ice\\', realm="r,x", nonce="n", uri="/a?b=c", response="0", cnonce="c", nc="0000000a", algorithm="MD5"
    )


@pytest.mark.rfc("SEC-022")
@pytest.mark.parametrize(
    "value",
    [
        "", "Digest", "Bearer x", "Digest username=alice", RFC.replace("qop=auth, ", ""), RFC.replace("qop=auth", "qop=auth-int"),
        RFC.replace("nc=00000001", "nc=1"), RFC.replace("nc=00000001, ", ""), RFC + ", nc=00000002",
        RFC.replace("00000001,", "00000001"), RFC + ", =", "Basic", "Basic !", "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff:a").decode(),
    ],
)  # fmt: skip
def test_what_proves_nothing_is_not_read(value: str) -> None:
    assert http_digest.parse(value) is None


def test_basic_credentials_are_read() -> None:
    encoded = base64.b64encode("alice:p\xe4ss:word".encode()).decode()
    assert parsed(f"basic {encoded}") == Credentials(False, "alice", "p\xe4ss:word")


@pytest.mark.rfc("SEC-023")
def test_a_nonce_tells_when_it_was_made_and_nobody_else_can_make_one() -> None:
    nonce = http_digest.nonce(KEY, NOW, "0123456789abcdef")
    assert http_digest.made_at(KEY, nonce) == int(NOW)
    assert http_digest.made_at(bytes([1]) * 32, nonce) is None
    for at in range(len(nonce)):
        other = nonce[:at] + ("0" if nonce[at] != "0" else "1") + nonce[at + 1 :]
        assert http_digest.made_at(KEY, other) is None
    assert http_digest.made_at(KEY, "") is None
    assert nonce != http_digest.nonce(KEY, NOW, "0123456789abcdee")


def test_a_challenge_asks_for_a_response_with_counts() -> None:
    assert http_digest.challenge("example.org", "SHA-256", "n", is_stale=False) == (
        'Digest realm="example.org", nonce="n", algorithm=SHA-256, qop="auth"'
    )
    assert http_digest.challenge("example.org", "MD5", "n", is_stale=True).endswith(", stale=true")
