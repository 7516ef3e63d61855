"""Digest credentials for a remote side that asks for them (pure; RFC 3261 section 22, RFC 7616, RFC 8760).

A challenge is a header line as it came: `WWW-Authenticate: Digest realm="far.example.net", nonce="...", qop="auth"`. Of several for
one realm the first is answered whose algorithm is known here (RFC 8760 section 2.4). Basic is never answered.

Proxies on the way and the server may ask one after the other, 407 and then 401, each for its own realm: a request carries the
credentials for all of them (RFC 3261 section 22.3). So challenges are kept, until another one for the same realm takes its place.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

ANSWERS = {"www-authenticate": "Authorization", "proxy-authenticate": "Proxy-Authorization"}
ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
SESSION = "-SESS"

MOST_REALMS = 4
"""That a request has credentials for: the server's, and those of proxies on the way."""

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
    line: str

    @property
    def is_stale(self) -> bool:
        """Only the nonce is too old (RFC 7616 section 3.3)."""
        return self.parameters.get("stale", "").lower() == "true"


class Kept(NamedTuple):
    """Challenges that requests answer.

    Args:
        challenge: a line for each, the oldest first, behind the number of requests that carried credentials before it came.
        tried: how many of them, the last ones, came since a request was accepted: credentials for these were refused, or not seen.
    """

    challenge: str
    tried: int


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
            challenge = Challenge(header, re.sub(r"\\(.)", r"\1", parameters["realm"]), algorithm, parameters, line)
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


def renewed(kept: Kept, count: int, lines: Iterable[str]) -> Kept | None:
    """With these challenges, in the place of those for the same realms.

    Args:
        count: requests that carried credentials so far.

    Returns:
        None: nothing that is new is asked for. Credentials for one of these realms were just refused (RFC 3261 section 22.1), and
        not because a nonce was too old, or too many ask.
    """
    asked = {(each.header, each.realm): each for each in challenges_of(lines)}
    known = {(each.header, each.realm): (since, each) for since, each in _read(kept.challenge)}
    fresh = list(known)[len(known) - kept.tried :]
    refused = [key for key in fresh if key in asked and not (asked[key].is_stale and not known[key][1].is_stale)]
    tried = len(asked) + sum(key not in asked for key in fresh)
    if not asked or refused or tried > MOST_REALMS:
        return None
    challenges = [each for key, each in known.items() if key not in asked] + [(count, each) for each in asked.values()]
    return Kept("\n".join(f"{since} {each.line}" for since, each in challenges[-MOST_REALMS:]), tried)


def _read(challenge: str) -> list[tuple[int, Challenge]]:
    split = (each.partition(" ") for each in challenge.split("\n") if each)
    return [(int(since), each) for since, _, line in split for each in challenges_of([line])]


def authorization(challenge: str, secrets: Sequence[Secret], method: str, uri: str, count: int, cnonce: str) -> str:
    """The header lines that answer challenges, CRLF after each; "" where none can be answered.

    Args:
        challenge: those that are kept (`Kept`).
        count: requests that carried credentials, this one included: each nonce counts those since it came.
        cnonce: random.
    """
    answered = ((count - since, each, secret_for(each.realm, secrets)) for since, each in _read(challenge))
    return "".join(_line(each, secret, method, uri, used, cnonce) for used, each, secret in answered if secret is not None)


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
