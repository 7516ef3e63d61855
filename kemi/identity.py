"""Who a URI is to this server: presentities, watchers and ourselves, by canonical address (RFC 3261 section 10.3 step 5)."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from kemi import dialog, sip
from kemi.errors import NotFound
from kemi.settings import Network, Settings

KEPT = 8192
"""URIs, or source addresses, for which the answer is kept."""


@dataclass(frozen=True)
class Realm:
    """The domains served here and our own addresses, KP_IP and what else is listened on; the first domain stands for these.

    What it says of a URI never changes, so it is kept for the users seen last.
    """

    domains: tuple[str, ...]
    addresses: frozenset[str]
    places: frozenset[tuple[str, int | None]]

    @lru_cache(maxsize=KEPT)  # noqa: B019 one Realm lives as long as its process
    def address_of_record(self, text: str) -> str:
        """Canonical address of a user, here or elsewhere.

        Raises:
            BadRequest, UnsupportedUriScheme: 400, 416, the URI cannot be used.
        """
        uri = sip.parse_uri(text)
        known = sip.address_of_record(uri)
        if uri.host in self.domains or not self.is_own(uri):
            return known
        return known.replace(f"@{uri.host}", f"@{self.domains[0]}")

    @lru_cache(maxsize=KEPT)  # noqa: B019 as above
    def presentity(self, text: str) -> str:
        """Canonical address of the presentity that a Request-URI names.

        Raises:
            NotFound: 404, it is not one of ours, or names nobody.
        """
        uri = sip.parse_uri(text)
        if self.is_own(uri):
            resource = dialog.resource_of_contact(uri)
            if resource is not None:
                return self.presentity(resource)
        elif uri.host not in self.domains:
            raise NotFound("this domain is not served here")
        known = sip.address_of_record(uri)
        if "@" not in known:
            raise NotFound("the Request-URI names nobody")
        return known if uri.host in self.domains else known.replace(f"@{uri.host}", f"@{self.domains[0]}")

    def named_by(self, uri: sip.Uri) -> sip.Uri:
        """The user that a URI names: where it is a Contact of ours, the one in it (`dialog.contact`)."""
        resource = dialog.resource_of_contact(uri) if self.is_own(uri) else None
        return uri if resource is None else sip.parse_uri(resource)

    def is_own(self, uri: sip.Uri) -> bool:
        """Whether the URI is an address of this server."""
        return (uri.host.strip("[]"), uri.port) in self.places

    def is_served(self, uri: sip.Uri) -> bool:
        """Whether the URI is for us: one of our domains or our own address."""
        return uri.host in self.domains or self.is_own(uri)

    def is_host(self, host: str) -> bool:
        """Whether a URI of a document here may have this host: our address, one of our domains, or a name below one."""
        return host.strip("[]") in self.addresses or any(host == each or host.endswith(f".{each}") for each in self.domains)

    def is_registrar(self, uri: sip.Uri) -> bool:
        """Whether a REGISTER may be for it: who registers here may know us by another name, or by an address in front of us."""
        return self.is_host(uri.host) or sip.is_address(uri.host)

    def of(self, uri: sip.Uri) -> str:
        """The realm for a challenge to somebody with this URI (RFC 3261 section 22.1)."""
        return uri.host if uri.host in self.domains else self.domains[0]


def realm(settings: Settings) -> Realm:
    """What the settings say about who we are."""
    places = {(settings.address, port) for port in (settings.port, settings.http_port, settings.tls_port)}
    places.update((address, port) for _, address, port in settings.listening)
    addresses = frozenset(address for address, _ in places)
    return Realm(settings.domains, addresses, frozenset((*places, *((address, None) for address in addresses))))


def reaches(settings: Settings, address: str) -> bool:
    """Whether a user elsewhere may be subscribed to from here (`b2b.domains`); one of our own domains is not elsewhere."""
    domain = address.rpartition("@")[2]
    if "@" not in address or domain in settings.domains or realm(settings).is_own(sip.parse_uri(f"sip:{domain}")):
        return False
    return domain in settings.b2b.reachable or "*" in settings.b2b.reachable


def make_is_trusted(networks: tuple[Network, ...]) -> Callable[[str], bool]:
    """The function that tells whether a source address is one whose From is believed (KP_TRUSTED)."""

    @lru_cache(maxsize=KEPT)
    def is_trusted(address: str) -> bool:
        source = ipaddress.ip_address(address)
        return any(source in network for network in networks)

    return is_trusted
