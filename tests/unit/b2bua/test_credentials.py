"""Digest credentials as RFC 7616 and RFC 2617 have them in their examples."""

import re

import pytest

from kemi.b2bua.credentials import MOST_REALMS, Kept, Secret, answerable, authorization, challenges_of, renewed

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
    line = authorization(f"0 {ASKING.format(algorithm, NONCE, OPAQUE)}", [MUFASA], "GET", "/dir/index.html", 1, CNONCE)
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
    first, second = authorization("\n".join(f"0 {each}" for each in lines), secrets, "SUBSCRIBE", "sip:x", 1, "c").splitlines()
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


# Several that ask one after the other

NOBODY = Kept("", 0)
SERVER = 'WWW-Authenticate: Digest realm="server", nonce="{}", qop="auth"'
PROXY = 'Proxy-Authenticate: Digest realm="proxy", nonce="{}", qop="auth"'


def after(*events: tuple[int, str], kept: Kept = NOBODY) -> Kept | None:
    """What is kept after these challenges; numbers of requests that carried credentials before each."""
    for count, line in events:
        found = renewed(kept, count, [line])
        if found is None:
            return None
        kept = found
    return kept


def sent(kept: Kept | None, count: int) -> list[str]:
    assert kept is not None
    lines = authorization(kept.challenge, [Secret("*", "a", "b")], "SUBSCRIBE", "sip:x", count, "c").splitlines()
    return [re.sub(r"^(\S+): .*nonce=\"(.*?)\".*nc=0*(\d+).*", r"\1 \2 \3", each) for each in lines]


@pytest.mark.rfc("B2B-015")
def test_a_proxy_and_then_the_server_are_both_answered() -> None:
    """RFC 3261 section 22.3. Each nonce counts its own requests."""
    kept = after((0, PROXY.format("p1")), (1, SERVER.format("s1")))
    assert sent(kept, 2) == ["Proxy-Authorization p1 2", "Authorization s1 1"]
    assert sent(kept, 3) == ["Proxy-Authorization p1 3", "Authorization s1 2"]


@pytest.mark.rfc("B2B-015")
def test_who_refuses_what_it_just_got_is_not_answered_again() -> None:
    assert after((0, PROXY.format("p1")), (1, SERVER.format("s1")), (2, PROXY.format("p2"))) is None
    assert after((0, PROXY.format("p1")), (1, SERVER.format("s1")), (2, SERVER.format("s2"))) is None
    assert renewed(NOBODY, 0, ['WWW-Authenticate: Basic realm="server"']) is None


@pytest.mark.rfc("B2B-015")
def test_a_nonce_that_is_too_old_is_replaced_once() -> None:
    stale = f"{PROXY.format('p2')}, stale=true"
    kept = after((0, PROXY.format("p1")), (1, SERVER.format("s1")), (2, stale))
    assert sent(kept, 3) == ["Authorization s1 2", "Proxy-Authorization p2 1"]
    assert after((3, stale), kept=kept or NOBODY) is None


@pytest.mark.rfc("B2B-015")
def test_what_was_accepted_may_be_asked_for_anew() -> None:
    kept = after((0, PROXY.format("p1")), (1, SERVER.format("s1")))
    assert kept is not None
    renewed_once = after((5, PROXY.format("p2")), (6, SERVER.format("s2")), kept=kept._replace(tried=0))
    assert sent(renewed_once, 7) == ["Proxy-Authorization p2 2", "Authorization s2 1"]


@pytest.mark.rfc("B2B-015")
def test_realms_without_end_are_not_answered() -> None:
    events = [(number, SERVER.replace("server", f"r{number}").format("n")) for number in range(MOST_REALMS + 1)]
    assert after(*events) is None
    kept = after(*events[:-1])
    assert kept is not None
    anew = after(events[-1], kept=kept._replace(tried=0))
    assert anew is not None
    assert len(anew.challenge.split("\n")) == MOST_REALMS, "the oldest is forgotten"
