"""A user of a served domain, who authenticates by digest.

Only HA1 is kept, the hash of `username:realm:password` (RFC 7616 section 3.4.2); the realm is the domain. Passwords are
neither stored nor shown.
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
    """A row of the table `subscriber`."""

    username: str
    domain: str
    ha1: str = field(repr=False)
    ha1_sha256: str = field(repr=False)

    @property
    def address(self) -> str:
        """As people write it."""
        return f"{self.username}@{self.domain}"

    def ha1_for(self, algorithm: str) -> str:
        """HA1 made by an algorithm, "MD5" or "SHA-256"."""
        return self.ha1_sha256 if algorithm == SHA_256 else self.ha1


def ha1(username: str, realm: str, password: str, algorithm: str) -> str:
    """Hash a password for digest authentication.

    Args:
        username: the user, without domain.
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
    return Account(username, domain, ha1(username, domain, password, MD5), ha1(username, domain, password, SHA_256))
