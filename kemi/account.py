"""A user of a served domain, who authenticates by digest.

Only HA1 is kept, the hash of `username:realm:password` (RFC 7616 section 3.4.2); the realm is the domain. Passwords are
neither stored nor shown. Some clients give the whole address as user name: what they hash is kept besides, as Kamailio's `ha1b`.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

MD5: Final = "MD5"
SHA_256: Final = "SHA-256"
ALGORITHMS: Final = {MD5: "md5", SHA_256: "sha256"}
"""Digest algorithms (RFC 8760 section 2), and what hashlib calls them."""

ADDRESS: Final = re.compile(r"(?:sips?:)?([A-Za-z0-9\-_.!~*'()%&=+$,;?/]+)@([A-Za-z0-9.\-]+|\[[0-9a-fA-F:.]+\])")


@dataclass(frozen=True, slots=True)
class Account:
    """A row of the table `subscriber`; "" where a hash is not known."""

    username: str
    domain: str
    ha1: str = field(repr=False)
    ha1_sha256: str = field(repr=False)
    ha1b: str = field(repr=False, default="")
    ha1b_sha256: str = field(repr=False, default="")

    @property
    def address(self) -> str:
        """As people write it."""
        return f"{self.username}@{self.domain}"

    def ha1_for(self, algorithm: str, given: str) -> str:
        """HA1 made by an algorithm; "" where there is none.

        Args:
            algorithm: "MD5" or "SHA-256".
            given: user name as the client wrote it.
        """
        hashes = {
            self.username: (self.ha1, self.ha1_sha256),
            self.address: (self.ha1b, self.ha1b_sha256),
        }
        return hashes.get(given, ("", ""))[algorithm == SHA_256]


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """Hash a password for digest authentication.

    Args:
        username: the user, as it is given: without domain, or with it.
        realm: the domain.
        password: in clear; encoded as UTF-8.
        algorithm: "MD5" or "SHA-256".
    """
    text = f"{username}:{realm}:{password}".encode()
    return hashlib.new(ALGORITHMS[algorithm], text, usedforsecurity=False).hexdigest()


def split_address(address: str) -> tuple[str, str]:
    """Take `alice@example.org` or `sip:alice@example.org` apart.

    Returns:
        User as written, domain in lower case.

    Raises:
        ValueError: it is not the address of a user.
    """
    match = ADDRESS.fullmatch(address.strip())
    if match is None:
        raise ValueError(f"{address!r} is not an address; alice@example.org is one")
    return match[1], match[2].lower()


def create(username: str, domain: str, password: str) -> Account:
    """An account whose password can be checked by every algorithm."""
    names = (username, f"{username}@{domain}")
    return Account(username, domain, *(ha1(name, domain, password, each) for name in names for each in ALGORITHMS))
