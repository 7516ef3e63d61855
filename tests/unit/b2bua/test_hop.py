"""Where a SUBSCRIBE goes because the remote side says so."""

import ipaddress
from dataclasses import replace

import pytest

from kemi.b2bua.hop import after, is_allowed
from tests.unit.values import settings_of

OPEN = settings_of()
AT_HOME = replace(OPEN, address="127.0.0.1")
INSIDE = replace(OPEN, address="10.0.0.1")
LISTED = replace(OPEN, trusted=(ipaddress.ip_network("10.9.0.0/16"), ipaddress.ip_network("169.254.0.0/16")))
LOOPBACK = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST.", "a.localhost"]
NUMBERS = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1"]
PRIVATE = ["10.9.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd00::1]"]
SPECIAL = ["169.254.169.254", "224.0.1.75", "255.255.255.255", "[fe80::1]", "[ff02::1]"]


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("host", [*LOOPBACK, *NUMBERS, *PRIVATE, *SPECIAL])
def test_an_address_that_only_this_network_reaches_is_not_asked(host: str) -> None:
    assert not is_allowed(OPEN, f"sip:dan@{host}:5070;transport=tcp")
    assert not is_allowed(OPEN, f"sip:{host};lr")


@pytest.mark.parametrize("host", ["203.0.113.7", "[2001:db8::7]", "far.example.net", "10.example.net", "localhost.example.net"])
def test_any_other_address_is(host: str) -> None:
    assert is_allowed(OPEN, f"sip:dan@{host}")


@pytest.mark.rfc("SEC-014")
def test_one_of_our_own_sockets_is_never_asked() -> None:
    assert not is_allowed(OPEN, "sip:dan@192.0.2.1")
    assert not is_allowed(OPEN, "sip:dan@192.0.2.1:5061;transport=tls")
    assert is_allowed(OPEN, "sip:dan@192.0.2.1:5070")
    assert not is_allowed(AT_HOME, "sip:127.0.0.1;lr")
    assert is_allowed(AT_HOME, "sip:127.0.0.1;lr", may_be_own=True)


@pytest.mark.rfc("SEC-014")
def test_who_listens_or_is_there_may_be_asked_there() -> None:
    assert is_allowed(AT_HOME, "sip:dan@127.0.0.1:5070")
    assert not is_allowed(AT_HOME, "sip:dan@10.9.0.1")
    assert is_allowed(INSIDE, "sip:dan@192.168.1.1")
    assert not is_allowed(INSIDE, "sip:dan@127.0.0.1:5070")
    assert is_allowed(OPEN, "sip:dan@10.9.0.1", near="192.168.1.1")
    assert not is_allowed(OPEN, "sip:dan@127.0.0.1", near="192.168.1.1")
    assert not is_allowed(OPEN, "sip:dan@169.254.169.254", near="169.254.0.1")


@pytest.mark.rfc("SEC-014")
def test_what_the_operator_lists_may_be_asked() -> None:
    assert is_allowed(LISTED, "sip:dan@10.9.0.1")
    assert is_allowed(LISTED, "sip:dan@169.254.0.7")
    assert not is_allowed(LISTED, "sip:dan@10.8.0.1")


@pytest.mark.parametrize("uri", ["", "tel:+1", "sip:dan@", "sip:dan@10.0.0.1\r\nX: y", "http://127.0.0.1/"])
def test_what_cannot_be_read_is_not_asked(uri: str) -> None:
    assert not is_allowed(OPEN, uri)


def test_the_first_route_is_what_counts() -> None:
    assert after("sip:dan@10.0.0.1", "") == "sip:dan@10.0.0.1"
    assert after("sip:dan@10.0.0.1", "<sip:p1;lr>, <sip:p2;lr>") == "sip:p1;lr"


@pytest.mark.rfc("SEC-014")
def test_where_maddr_says_is_what_is_judged() -> None:
    assert after("sip:dan@far.example.net:5070;maddr=127.0.0.1", "") == "sip:127.0.0.1:5070"
    assert after("sip:dan@far.example.net", "<sip:p.example.net;maddr=127.0.0.1;lr>, <sip:q.example.net;lr>") == "sip:127.0.0.1"
    assert not is_allowed(OPEN, after("sip:dan@far.example.net;maddr=127.0.0.1", ""))
