"""Addresses however they are written: in URIs, in KP_DOMAINS, in KP_TRUSTED, behind `listen`."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from kemi import dialog, identity, settings, sip
from kemi.errors import BadRequest, ConfigurationError
from tests.unit.values import ALICE, settings_of


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "kamailio.cfg"
    file.write_text("#!KAMAILIO\n")
    return file


@pytest.mark.rfc("TRN-028")
@pytest.mark.parametrize("written", ["192.0.2.7", "192.000.002.007", "192.0.2.07"])
def test_an_ipv4_address_is_the_same_however_it_is_written(written: str) -> None:
    """Its numbers are decimal (RFC 3261 section 25.1), and Kamailio reads them so."""
    assert sip.parse_uri(f"sip:alice@{written}:5070").host == "192.0.2.7"
    assert sip.address_of_record(sip.parse_uri(f"sip:alice@{written}")) == "sip:alice@192.0.2.7"


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("written", ["383.0.0.1", "127.0.0.257", "0127.0.0.1", "0.0.0.4294967297"])
def test_what_is_more_than_an_octet_is_no_address(written: str) -> None:
    """Nor what is more than three digits. Kamailio drops what is more of it: 383.0.0.1 would be 127.0.0.1."""
    with pytest.raises(BadRequest):
        sip.parse_uri(f"sip:bob@{written}")


def test_domains_that_are_addresses_are_compared_as_those_of_uris_are(configuration: Path) -> None:
    given = {"KP_DOMAINS": "[2001:DB8:0:0::1],192.000.002.001,192.0.2.1,Example.org"}
    assert settings.load(given, configuration).domains == ("[2001:db8::1]", "192.0.2.1", "example.org")
    with pytest.raises(ConfigurationError, match="is not a domain"):
        settings.load({"KP_DOMAINS": "[2001:db8::1::2]"}, configuration)


@pytest.mark.parametrize(
    ("written", "network"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("::/0", "::/0"),
    ],
)
def test_networks_of_ipv4_are_trusted_however_they_are_written(configuration: Path, written: str, network: str) -> None:
    assert settings.load({"KP_TRUSTED": written}, configuration).trusted == (ip_network(network),)


def test_all_that_is_listened_on_is_known(configuration: Path) -> None:
    lines = ("udp:192.0.2.1:5060", "TLS:[2001:DB8::1]:5071", "192.0.2.2:5072", "eth0:5060", "udp:192.0.2.3")
    configuration.write_text("#!KAMAILIO\n" + "".join(f"listen = {each}\n" for each in lines))
    found = settings.load({}, configuration)
    both = (("udp", "192.0.2.2", 5072), ("tcp", "192.0.2.2", 5072))
    assert found.listening == (("udp", "192.0.2.1", 5060), ("tls", "2001:db8::1", 5071), *both)


@pytest.mark.parametrize("uri", ["sip:192.0.2.1:5060", "sip:198.51.100.9:5080", "sip:[2001:db8::1]:5060", "sip:[2001:db8::1]"])
def test_every_address_that_is_listened_on_is_our_own(uri: str) -> None:
    listening = (("udp", "192.0.2.1", 5060), ("udp", "198.51.100.9", 5080), ("tcp", "2001:db8::1", 5060))
    realm = identity.realm(replace(settings_of(), listening=listening))
    assert realm.is_own(sip.parse_uri(uri))
    assert realm.address_of_record(uri.replace("sip:", "sip:alice@")) == ALICE
    assert realm.presentity(f"{dialog.contact('udp:' + uri[4:], ALICE, secure=False)}") == ALICE
    assert not identity.realm(settings_of()).is_own(sip.parse_uri("sip:198.51.100.9:5080"))


@pytest.mark.parametrize("port", [5060, 5061, 8080, 5062])
def test_at_another_port_of_such_an_address_is_another_program(port: int) -> None:
    """Though KP_IP has something at that port: a client on this machine may be there."""
    realm = identity.realm(replace(settings_of(), listening=(("udp", "198.51.100.9", 5080),)))
    assert not realm.is_own(sip.parse_uri(f"sip:198.51.100.9:{port}"))
    assert realm.is_own(sip.parse_uri("sip:198.51.100.9"))
