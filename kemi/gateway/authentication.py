"""Who asks: the word of a trusted source (KP_TRUSTED), or digest (RFC 7616, RFC 8760) over the table subscriber."""

import secrets

import KSR

from kemi import account_store, digest, gateway, sip
from kemi.account import SHA_256, Account
from kemi.database import Database
from kemi.digest import Credentials, Outcome
from kemi.errors import Forbidden, ServiceUnavailable, SipError
from kemi.gateway import field, text, value, values_of
from kemi.identity import Realm
from kemi.settings import Settings

RATE = "rate"
"""Table of requests by source address."""

CHALLENGE = "$avp(digest_challenge)"
"""The header line that module auth leaves here when credentials are missing or wrong."""

HA1_AND_CHALLENGE = 1 | 4
"""Flags of module auth: the password is an HA1; on failure make a challenge with qop=auth."""

IDENTITY = "$avp(identity)"
"""Where a script says who sent the request, when it has made sure of that; no sender can set it."""

MAX_CREDENTIALS = 8
"""Authorization header fields that are looked at."""

ASSERTIONS = ("P-Asserted-Identity", "P-Preferred-Identity")
"""What is said in them of who sent a request."""

OLD_NONCE = (-4, -6)
"""Results of module auth: the nonce has expired, or this nonce count was seen already."""


def trusted(realm: Realm, claimed: str) -> tuple[str, ...]:
    """All that a trusted source says about who sent this request, a canonical SIP address first (RFC 3325 sections 5 and 9.1).

    It stands in P-Asserted-Identity: a SIP URI, a tel URI or both; else From counts.

    Raises:
        UnsupportedUriScheme: 416, there is no SIP URI among them.
    """
    asserted = asserted_identities()
    users = [each for each in asserted if each.partition(":")[0].lower() in sip.SCHEMES]
    if not asserted:
        return (claimed,)
    return (*map(realm.address_of_record, users or asserted), *(each for each in asserted if each not in users))


def named(realm: Realm) -> str:
    """Canonical address of who sent this request, as a script says; "" where it says nothing."""
    uri = field(IDENTITY)
    return realm.address_of_record(uri) if uri else ""


def proved(
    database: Database, settings: Settings, realm: Realm, source: str, from_uri: str, in_transaction: bool = False
) -> str | None:
    """Canonical address of who sent this request, by its password; None: a challenge was sent, or it is a retransmission.

    Args:
        source: address the request came from.
        from_uri: URI of From.
        in_transaction: the request has its transaction already, so it is no retransmission.

    Raises:
        Forbidden: 403, From is somebody else.
    """
    if _is_flooding(settings.auth.max_rate, source) or not (in_transaction or is_new_request()):
        return None
    address = _authenticate(database, settings, realm, realm.of(sip.parse_uri(from_uri)))
    if address is not None and settings.auth.check_from and address != realm.address_of_record(from_uri):
        raise Forbidden("From is not the authenticated user")
    return address


def _is_flooding(limit: int, source: str) -> bool:
    """Whether this source has sent too much; it is told so, and logged once (RFC 3903 section 14.2)."""
    count = requests_this_second(source) if limit else 0
    if count <= limit:
        return False
    if count == limit + 1:
        gateway.warn(f"too many requests: source={source} limit={limit}")
    refusal = ServiceUnavailable("", 1)
    gateway.reply(refusal.status, refusal.reason, refusal.headers)
    return True


def _authenticate(database: Database, settings: Settings, realm: Realm, domain: str) -> str | None:
    """None: a challenge was sent, statelessly."""
    given = credentials(domain)
    if given is not None and _is_for_our_users(realm, given.uri):
        account = account_store.load(database, given.user, domain)
        outcome = check(domain, ha1_of(settings, account, given.username), given)
        if outcome is Outcome.RIGHT and account is not None:
            return f"sip:{account.address}"
        if outcome is Outcome.WRONG:
            gateway.warn(f"authentication failed: user={given.username} realm={domain} source={text('$si')}")
    challenge(domain)
    return None


def ha1_of(settings: Settings, account: Account | None, given: str) -> str:
    """What to check a password against; for an unknown user, or name, one that no password has, at the same cost.

    Args:
        given: user name as the client wrote it.
    """
    known = account.ha1_for(settings.auth.algorithm, given) if account is not None else ""
    return known or secrets.token_hex(32 if settings.auth.algorithm == SHA_256 else 16)


def _is_for_our_users(realm: Realm, uri: str) -> bool:
    """Credentials made for another server are not taken (RFC 8760 section 2.6). A registrar has more names than one."""
    is_ours = realm.is_registrar if text("$rm") == "REGISTER" else realm.is_served
    try:
        return is_ours(sip.parse_uri(uri))
    except SipError:
        return False


def is_new_request() -> bool:
    """False for a retransmission; Kamailio has sent its answer again."""
    return bool(KSR.tm.t_check_trans() < 0)


def requests_this_second(source: str) -> int:
    """How many requests this source address has sent in the second that its first one began, this one included."""
    return int(KSR.htable.sht_inc(RATE, source))


def asserted_identities() -> list[str]:
    """The URIs in P-Asserted-Identity; only for a trusted source (RFC 3325 section 5)."""
    if KSR.hdr.is_present("P-Asserted-Identity") < 0:
        return []
    return [sip.address_uri(each) for each in sip.split_list(field("$(hdr(P-Asserted-Identity)[*])") or "")]


def credentials(realm: str) -> Credentials | None:
    """What the client sent for this realm, None where it sent nothing."""
    return digest.of_realm(values_of("Authorization", MAX_CREDENTIALS), realm)


def forget(realm: Realm, is_trusted: bool) -> None:
    """Before a request is relayed, take out what goes no further than here.

    That is credentials for our domains (RFC 3261 section 22.3), and what a source asserts that is not trusted (RFC 3325 section 5).
    """
    given = {name: values_of(name, MAX_CREDENTIALS) for name in ("Authorization", "Proxy-Authorization")}
    kept = {name: [each for each in values if not _is_for_us(realm, each)] for name, values in given.items()}
    changed = [name for name in given if given[name] != kept[name]]
    changed += [] if is_trusted else [name for name in ASSERTIONS if KSR.hdr.is_present(name) > 0]
    for name in changed:
        KSR.hdr.remove(name)
        for each in kept.get(name, ()):
            KSR.hdr.append(f"{name}: {each}\r\n")
    if changed:
        gateway.apply_changes()


def _is_for_us(realm: Realm, given: str) -> bool:
    return any(digest.of_realm([given], domain) for domain in realm.domains)


def check(realm: str, ha1: str, given: Credentials) -> Outcome:
    """Check the credentials in Authorization: response, nonce, nonce count (RFC 7616 section 3.4).

    KEMI looks at Proxy-Authorization unless it is a REGISTER, and takes the first of this realm: that has to be the one that was
    looked at here.
    """
    name = "Authorization" if text("$rm") == "REGISTER" else "Proxy-Authorization"
    KSR.hdr.insert(f"{name}: {given.value}\r\n")
    gateway.apply_changes()
    result = KSR.auth.pv_auth_check(realm, ha1, HA1_AND_CHALLENGE, 0)
    if result in OLD_NONCE:
        KSR.pv.sets(CHALLENGE, f"{text(CHALLENGE).rstrip()}, stale=true\r\n")
        return Outcome.OLD
    return Outcome.RIGHT if result > 0 else Outcome.WRONG


def challenge(realm: str) -> None:
    """401, without a transaction unless there is one (RFC 3261 section 22.2); KEMI's own challenge would be 407, a proxy's."""
    if value(CHALLENGE) is None:
        KSR.auth.pv_auth_check(realm, secrets.token_hex(32), HA1_AND_CHALLENGE, 0)
    gateway.reply(401, "Unauthorized", [("WWW-Authenticate", text(CHALLENGE).partition(": ")[2].rstrip())])
