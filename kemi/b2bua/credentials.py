"""Digest credentials for a remote side that asks for them (pure; RFC 3261 section 22, RFC 7616, RFC 8760).

A challenge is a header line as it came: `WWW-Authenticate: Digest realm="far.example.net", nonce="...", qop="auth"`. Of several for
one realm the first is answered whose algorithm is known here (RFC 8760 section 2.4). Basic is never answered.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

ANSWERS = {"www-authenticate": "Authorization", "proxy-authenticate": "Proxy-Authorization"}
ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
SESSION = "-SESS"

_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,"]+))')


class Secret(NamedTuple):
    """A password that one realm knows us by. `realm` may be `*`: any."""

    realm: str
    username: str
    password: str


class Challenge(NamedTuple):
    """One challenge, read. `header` is the name of the header field that answers it."""

    header: str
    realm: str
    algorithm: str
    parameters: Mapping[str, str]


def challenges_of(lines: Iterable[str]) -> list[Challenge]:
    """Those that can be answered if there is a password: the first one known for each realm and header field."""
    found: dict[tuple[str, str], Challenge] = {}
    for line in lines:
        name, _, value = line.partition(":")
        scheme, _, rest = value.strip().partition(" ")
        header = ANSWERS.get(name.strip().lower(), "")
        parameters = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(rest)}
        algorithm = parameters.get("algorithm", "MD5").upper()
        usable = header and scheme.lower() == "digest" and algorithm.removesuffix(SESSION) in ALGORITHMS
        if usable and "nonce" in parameters and "realm" in parameters and _quality(parameters) is not None:
            challenge = Challenge(header, re.sub(r"\\(.)", r"\1", parameters["realm"]), algorithm, parameters)
            found.setdefault((header, challenge.realm), challenge)
    return list(found.values())


def _quality(parameters: Mapping[str, str]) -> str | None:
    """The qop to use, "" where the challenge is an old one without; None: only such as are not known here."""
    if "qop" not in parameters:
        return ""
    return "auth" if "auth" in [each.strip().lower() for each in parameters["qop"].split(",")] else None


def secret_for(realm: str, secrets: Sequence[Secret]) -> Secret | None:
    """The password for a realm: the one that names it, before one for any."""
    return next((each for wanted in (realm, "*") for each in secrets if each.realm == wanted), None)


def answerable(lines: Sequence[str], secrets: Sequence[Secret]) -> bool:
    """Whether there is a password for each realm that asks."""
    asked = challenges_of(lines)
    return bool(asked) and all(secret_for(each.realm, secrets) is not None for each in asked)


def authorization(lines: Sequence[str], secrets: Sequence[Secret], method: str, uri: str, count: int, cnonce: str) -> str:
    """The header lines that answer challenges, CRLF after each; "" where none can be answered.

    Args:
        count: how often this nonce has been used, this request included.
        cnonce: random.
    """
    answered = ((each, secret_for(each.realm, secrets)) for each in challenges_of(lines))
    return "".join(_line(each, secret, method, uri, count, cnonce) for each, secret in answered if secret is not None)


def _line(challenge: Challenge, secret: Secret, method: str, uri: str, count: int, cnonce: str) -> str:
    asked = challenge.parameters
    quality, nonce = _quality(asked), asked["nonce"]
    number = f"{count:08x}"
    ha1 = _hash(challenge, f"{secret.username}:{challenge.realm}:{secret.password}")
    if challenge.algorithm.endswith(SESSION):
        ha1 = _hash(challenge, f"{ha1}:{nonce}:{cnonce}")
    between = f"{nonce}:{number}:{cnonce}:{quality}" if quality else nonce
    response = _hash(challenge, f"{ha1}:{between}:{_hash(challenge, f'{method}:{uri}')}")
    words = [f'username="{_escaped(secret.username)}"', f'realm="{_escaped(challenge.realm)}"', f'nonce="{nonce}"', f'uri="{uri}"']
    words += [f'response="{response}"']
    words += [f"algorithm={asked['algorithm']}"] if "algorithm" in asked else []
    words += [f'opaque="{asked["opaque"]}"'] if "opaque" in asked else []
    words += [f"qop={quality}", f"nc={number}", f'cnonce="{cnonce}"'] if quality else []
    return f"{challenge.header}: Digest {', '.join(words)}\r\n"


def _hash(challenge: Challenge, text: str) -> str:
    return hashlib.new(ALGORITHMS[challenge.algorithm.removesuffix(SESSION)], text.encode()).hexdigest()


def _escaped(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text)
