"""Credentials in Authorization, as Kamailio reads them: kemi/digest.py."""

import pytest

from kemi.digest import Credentials, of_realm

GIVEN = 'Digest username="alice", realm="r", uri="sip:a@b"'


@pytest.mark.parametrize(
    "value",
    [
        GIVEN, 'digest\tUSERNAME = alice ,realm=r,Uri="sip:a@b"', f'{GIVEN}, opaque="uri=sip:x@y, realm=z"',
        'Digest uri="sip:x@y", username="alice", realm="z", realm="r" junk, uri="sip:a@b"',
    ],
)  # fmt: skip
def test_parameters_are_read_as_kamailio_reads_them(value: str) -> None:
    assert of_realm([value], "r") == Credentials(value, "alice", "sip:a@b")


@pytest.mark.parametrize(
    "value",
    [
        "", "Digest", "Basic realm=r", GIVEN.replace("Digest", "Other"), GIVEN.replace("Digest", ""), f"{GIVEN}, x y=z",
        'Digest opaque=", realm="r", uri="sip:a@b"', GIVEN.replace("realm", "x-realm"),
        GIVEN.replace('"r"', "r\u00a0x"), GIVEN.replace("Digest", "Dige\u017ft"),
    ],
)  # fmt: skip
def test_what_kamailio_does_not_read_is_none(value: str) -> None:
    assert of_realm([value], "r") is None


@pytest.mark.parametrize("username", ["alice", "alice@r", "alice@elsewhere"])
def test_a_user_name_may_be_a_whole_address(username: str) -> None:
    found = of_realm([GIVEN.replace("alice", username)], "r")
    assert found is not None
    assert (found.username, found.user) == (username, "alice")


def test_what_is_not_given_is_nobody_and_nothing() -> None:
    assert of_realm(["Digest realm=r"], "r") == Credentials("Digest realm=r", "", "")


def test_the_first_of_a_realm_counts() -> None:
    others = [GIVEN.replace('"r"', '"R"'), GIVEN.replace("alice", "bob"), GIVEN]
    found = of_realm(others, "r")
    assert found is not None
    assert found.username == "bob"


@pytest.mark.rfc("SEC-023")
@pytest.mark.parametrize("count", ["nc=00000001", 'NC = "00000001"'])
def test_a_nonce_count_without_qop_is_not_shown(count: str) -> None:
    found = of_realm([f"{GIVEN}, {count}"], "r")
    assert found is not None
    assert (found.value, found.uri) == (GIVEN.replace("=sip", '="sip'), "sip:a@b")
    with_qop = f"{GIVEN}, {count}, qop=auth"
    assert of_realm([with_qop], "r") == Credentials(with_qop, "alice", "sip:a@b")
