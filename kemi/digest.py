"""Digest credentials in an Authorization header field (RFC 7616 section 3.4); Kamailio's module auth checks the response."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from kemi import sip


class Outcome(Enum):
    """What came of checking a password; OLD: it may be right, the nonce is too old or was used already."""

    RIGHT = "right"
    WRONG = "wrong"
    OLD = "old"


class Credentials(NamedTuple):
    """One Authorization header field: its value, the user name without a domain, and the URI it was made for."""

    value: str
    username: str
    uri: str


def of_realm(values: Iterable[str], realm: str) -> Credentials | None:
    """The credentials for a realm; others may stand beside them (RFC 3261 section 22.3).

    Raises:
        BadRequest: 400, one of the values holds control characters.
    """
    for value in map(sip.one_line, values):
        if _parameter(value, "realm") == realm:
            return Credentials(value, _parameter(value, "username").partition("@")[0], _parameter(value, "uri"))
    return None


def _parameter(value: str, name: str) -> str:
    match = re.search(rf'\b{name}\s*=\s*"((?:\\.|[^"\\])*)"', value, re.IGNORECASE)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else ""
