"""Digest credentials in an Authorization header field (RFC 7616 section 3.4); Kamailio's module auth checks the response."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from kemi import sip

_SCHEME = re.compile(r"digest[\s,]\s*", re.IGNORECASE | re.ASCII)
_PARAMETER = re.compile(r'\s*([^\s=,"]+)\s*=\s*(?:"([^"]*)"|([^\s,"][^\s,]*))[^,]*(?:,|\Z)', re.ASCII)


class Outcome(Enum):
    """What came of checking a password; OLD: it may be right, the nonce is too old or was used already."""

    RIGHT = "right"
    WRONG = "wrong"
    OLD = "old"


class Credentials(NamedTuple):
    """One Authorization header field: its value for Kamailio, the user name as it was given, and the URI it was made for."""

    value: str
    username: str
    uri: str

    @property
    def user(self) -> str:
        """The user name without a domain."""
        return self.username.partition("@")[0]


def of_realm(values: Iterable[str], realm: str) -> Credentials | None:
    """The credentials for a realm; others may stand beside them (RFC 3261 section 22.3).

    Raises:
        BadRequest: 400, one of the values holds control characters.
    """
    for value in map(sip.one_line, values):
        given = _parameters(value)
        if given.get("realm") == realm:
            return Credentials(_shown(value, given), given.get("username", ""), given.get("uri", ""))
    return None


def _parameters(value: str) -> dict[str, str]:
    """All of them, by name in lower case, none where it is no Digest or cannot be read.

    They are read as Kamailio reads them, so that what is looked at here is what it checks: no quotation mark is escaped, of two
    parameters of one name the last counts, and neither letters nor white space are others than those of ASCII.
    """
    scheme = _SCHEME.match(value)
    at = scheme.end() if scheme else len(value)
    given: dict[str, str] = {}
    while at < len(value):
        found = _PARAMETER.match(value, at)
        if found is None:
            return {}
        given[found[1].lower()] = found[3] if found[2] is None else found[2]
        at = found.end()
    return given


def _shown(value: str, given: dict[str, str]) -> str:
    """Without qop a nonce count is in no hash, so anybody can write one: then the nonce serves once (RFC 7616 section 5.5)."""
    if given.get("qop") or "nc" not in given:
        return value
    return "Digest " + ", ".join(f'{name}="{text}"' for name, text in given.items() if name != "nc")
