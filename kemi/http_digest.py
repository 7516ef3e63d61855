"""Digest and Basic authentication of HTTP requests (pure; RFC 7616, RFC 7617).

Kamailio's module auth reads the credentials of SIP requests only, so for HTTP they are checked here, with the same passwords and
the same algorithm.

A nonce is the time it was made, a random part and a keyed hash of both: nothing has to be remembered of it, and nobody else can
make one. It counts for NONCE_LIFETIME, and not beyond a restart. With each nonce count it can be used once: whoever calls sees to
that. Counts may come in any order, as from a client with several connections. An old nonce, or a count that was used, is answered
stale=true, and clients try again without asking anybody. qop=auth is always asked for.
"""

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from kemi.account import ALGORITHMS

NONCE_LIFETIME = 300
"""Seconds."""

_NONCE = re.compile(r"([0-9a-f]{8})([0-9a-f]{16})([0-9a-f]{32})")
_SCHEME = re.compile(r"\s*([A-Za-z]+)\s+")
_PARAMETER = re.compile(r'\s*([A-Za-z][A-Za-z0-9*-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|\Z)')
_ESCAPED = re.compile(r"\\(.)")
_COUNT = re.compile("[0-9a-fA-F]{8}")


class Credentials(NamedTuple):
    """What a client sends to prove who it is.

    Args:
        is_digest: else Basic: of the fields below only username and password are there.
        nc: the nonce count, eight hexadecimal digits.
    """

    is_digest: bool
    username: str
    password: str = ""
    realm: str = ""
    nonce: str = ""
    uri: str = ""
    response: str = ""
    cnonce: str = ""
    nc: str = ""
    algorithm: str = "MD5"


def parse(value: str) -> Credentials | None:
    """Read an Authorization header field; None: it is of another scheme, or cannot be used."""
    scheme = _SCHEME.match(value)
    if scheme is None:
        return None
    rest = value[scheme.end() :]
    if scheme[1].lower() == "basic":
        return _basic(rest)
    return _digest(rest) if scheme[1].lower() == "digest" else None


def _basic(encoded: str) -> Credentials | None:
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeError):
        return None
    return Credentials(False, username, password) if colon else None


def _digest(text: str) -> Credentials | None:
    given: dict[str, str] = {}
    at = 0
    while found := _PARAMETER.match(text, at):
        name = found[1].lower()
        if name in given:
            return None
        given[name] = found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        at = found.end()
    needed = ("username", "realm", "nonce", "uri", "response", "cnonce", "nc")
    if at != len(text) or not all(given.get(name) for name in needed) or given.get("qop") != "auth":
        return None
    if not _COUNT.fullmatch(given["nc"]):
        return None
    return Credentials(
        True, given["username"], realm=given["realm"], nonce=given["nonce"], uri=given["uri"], response=given["response"],
        cnonce=given["cnonce"], nc=given["nc"], algorithm=given.get("algorithm", "MD5").upper(),
    )  # fmt: skip


def nonce(key: bytes, now: float, chance: str) -> str:
    """A new nonce.

    Args:
        key: secret of this installation.
        now: seconds since the epoch.
        chance: 16 random hexadecimal digits.
    """
    made = f"{int(now):08x}{chance}"
    return made + _seal(key, made)


def _seal(key: bytes, made: str) -> str:
    return hashlib.blake2b(made.encode(), key=key, digest_size=16, person=b"http-nonce").hexdigest()


def made_at(key: bytes, value: str) -> int | None:
    """When a nonce was made, seconds since the epoch; None: it is none of ours."""
    found = _NONCE.fullmatch(value)
    if found is None or _seal(key, found[1] + found[2]) != found[3]:
        return None
    return int(found[1], 16)


def challenge(realm: str, algorithm: str, value: str, is_stale: bool) -> str:
    """The WWW-Authenticate header field for a nonce (RFC 7616 section 3.3)."""
    stale = ", stale=true" if is_stale else ""
    return f'Digest realm="{realm}", nonce="{value}", algorithm={algorithm}, qop="auth"{stale}'


def response(ha1: str, method: str, given: Credentials) -> str:
    """What the response has to be (RFC 7616 section 3.4.1)."""
    name = ALGORITHMS[given.algorithm]
    ha2 = hashlib.new(name, f"{method}:{given.uri}".encode(), usedforsecurity=False).hexdigest()
    text = f"{ha1}:{given.nonce}:{given.nc}:{given.cnonce}:auth:{ha2}"
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
