"""Digest credentials as RFC 7616 and RFC 2617 have them in their examples."""

import pytest

from kemi.b2bua.credentials import Secret, answerable, authorization, challenges_of

MUFASA = Secret("http-auth@example.org", "Mufasa", "Circle of Life")
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
ASKING = 'WWW-Authenticate: Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, nonce="{}", opaque="{}"'


@pytest.mark.rfc("B2B-015")
@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    """Section 3.9.1."""
    line = authorization([ASKING.format(algorithm, NONCE, OPAQUE)], [MUFASA], "GET", "/dir/index.html", 1, CNONCE)
    assert line.startswith("Authorization: Digest ")
    assert f'response="{response}"' in line
    assert f'opaque="{OPAQUE}"' in line
    assert "qop=auth, nc=00000001" in line


@pytest.mark.rfc("B2B-015")
def test_of_several_the_first_that_is_known_is_answered() -> None:
    lines = [ASKING.format(algorithm, algorithm, "") for algorithm in ("SHA-1024", "SHA-512-256", "MD5")]
    (challenge,) = challenges_of(lines)
    assert challenge.algorithm == "SHA-512-256"


@pytest.mark.rfc("B2B-015")
def test_each_realm_gets_its_own_password() -> None:
    lines = ['WWW-Authenticate: Digest realm="one", nonce="1"', 'Proxy-Authenticate: Digest realm="two", nonce="2"']
    secrets = [Secret("one", "a", "x"), Secret("*", "any", "y")]
    first, second = authorization(lines, secrets, "SUBSCRIBE", "sip:x", 1, "c").splitlines()
    assert 'username="a", realm="one"' in first
    assert second.startswith('Proxy-Authorization: Digest username="any", realm="two"')
    assert not answerable(lines, secrets[:1])
    assert answerable(lines, secrets)


@pytest.mark.parametrize(
    "line",
    [
        'WWW-Authenticate: Basic realm="one"',
        'WWW-Authenticate: Digest realm="one"',
        'WWW-Authenticate: Digest nonce="1"',
        'WWW-Authenticate: Digest realm="one", nonce="1", qop="auth-int"',
        'WWW-Authenticate: Digest realm="one", nonce="1", algorithm=SHA-1',
        'X: Digest realm="one", nonce="1"',
        "WWW-Authenticate:",
    ],
)
def test_what_cannot_be_answered_is_not(line: str) -> None:
    assert challenges_of([line]) == []
    assert not answerable([line], [Secret("*", "a", "b")])
