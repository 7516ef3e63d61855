"""HTTP in Kamailio's workers (module xhttp): reading a request, finding out who asks, answering.

Facts of the host that shape this file. xhttp shows an HTTP request as if it were SIP; changes of its header fields must not be
applied, that overruns a buffer. Its answers always have a Content-Length, 0 without body: what answers HEAD, and 304, would
say something wrong, and is written to the connection as text. Kamailio itself sends 100 Continue, and mostly does not hand over a
request with a chunked body.
"""

import secrets
import time
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache

import KSR

from kemi import account, account_store, gateway, http_digest, sip
from kemi.account import Account
from kemi.database import Database, Unavailable
from kemi.effects import Effect, HttpReply
from kemi.errors import BadRequest, ServiceUnavailable, SipError
from kemi.gateway import authentication, field, text, value
from kemi.http import METHODS, READING, HttpRequest
from kemi.http_digest import NONCE_LIFETIME, Credentials
from kemi.identity import KEPT, Realm
from kemi.settings import Settings

USED = "nonces"
"""Table of nonce counts that were used."""


def is_websocket(path: str) -> bool:
    """Accept a WebSocket for SIP on its path (RFC 7118 section 4); False: the request is none, or there are none here."""
    if text("$hu").partition("?")[0] != path or text("$hdr(Upgrade)").lower() != "websocket" or not hasattr(KSR, "websocket"):
        return False
    KSR.websocket.handle_handshake()
    return True


def is_xcap_on() -> bool:
    """Whether the configuration wants XCAP to be served here."""
    return value("$def(WITH_XCAP)") is not None


def read_request(limit: int) -> HttpRequest:
    """The request that Kamailio is working on.

    Args:
        limit: octets; a longer body is not read.

    Raises:
        BadRequest: 400, a value cannot be used.
    """
    if KSR.hdr.is_present("Transfer-Encoding") > 0:
        raise BadRequest("Transfer-Encoding is not understood here")
    if value("$hdrc(Host)") != 1:
        raise BadRequest("exactly one Host is needed")
    target = _target()
    path, _, query = target.partition("?")
    method = text("$rm")
    reads = method in READING
    length = 0 if reads else int(value("$cl") or 0)
    return HttpRequest(
        method=method,
        path=path,
        query=query,
        host=text("$hdr(Host)"),
        source=text("$si"),
        is_secure=text("$pr").lower() == "tls",
        length=length,
        body=gateway.read_body("tcp") if 0 < length <= limit else b"",
        content_type=None if reads else field("$cT"),
        content_encoding=None if reads else _whole("Content-Encoding", "$(hdr(Content-Encoding)[*])"),
        content_range=None if reads else _whole("Content-Range", "$hdr(Content-Range)"),
        if_match=_whole("If-Match", "$(hdr(If-Match)[*])"),
        if_none_match=_whole("If-None-Match", "$(hdr(If-None-Match)[*])"),
    )


def _target() -> str:
    """Path and query; a client may write the whole URI (RFC 9112 section 3.2.2)."""
    found = field("$hu") or ""
    if found.lower().startswith(("http://", "https://")):
        return "/" + found.split("/", 3)[3] if found.count("/") > 2 else "/"
    return found


def _whole(name: str, variable: str) -> str | None:
    """A field of which a part would not do; most are not there, which is asked first."""
    if KSR.hdr.is_present(name) < 0:
        return None
    found = field(variable)
    if found is None:
        raise BadRequest("a header field cannot be read")
    return found


# ---------------------------------------------------------------------------------------------------------------------
# Who asks


class Doorkeeper:
    """Finds out who asks: by the word of a trusted source, or by password.

    Args:
        secret: key of this installation.
        started: when the server did, by `time.monotonic`, in seconds: the clock may be set right afterwards, as at boot.
    """

    def __init__(self, secret: bytes, started: float) -> None:
        self._secret = secret
        self._started = started

    def admit(
        self, database: Database, settings: Settings, realm: Realm, request: HttpRequest, is_trusted: bool
    ) -> tuple[str, ...] | HttpReply:
        """Canonical URIs of who asks, all that are asserted; or the answer to somebody who has not said, or is not who it says.

        A trusted source names them in X-3GPP-Asserted-Identity (3GPP TS 24.109 annex G); if it does not, a password is asked for.

        Raises:
            SipError: 400, 503.
        """
        if is_trusted:
            asserted = _asserted(realm, field("$(hdr(X-3GPP-Asserted-Identity)[*])") or "")
            if asserted:
                return asserted
        elif 0 < settings.auth.max_rate < authentication.requests_this_second(request.source):
            raise ServiceUnavailable("too many requests", 1)
        domain = _domain_of(realm, request)
        values = gateway.values_of("Authorization", authentication.MAX_CREDENTIALS)
        given = next(filter(None, map(http_digest.parse, values)), None)
        if given is None:
            return self._challenge(settings, domain, request.is_secure)
        return self._proved(database, settings, realm, request, domain, given)

    def _proved(
        self, database: Database, settings: Settings, realm: Realm, request: HttpRequest, domain: str, given: Credentials
    ) -> tuple[str, ...] | HttpReply:
        """Who has these credentials; the challenge where they do not count. That is stale where only the nonce does not.

        Args:
            domain: the realm to ask for, unless the credentials are for another one of ours.
        """
        is_old, is_usable = False, request.is_secure
        if given.is_digest:
            domain = given.realm if given.realm in realm.domains else domain
            made = http_digest.made_at(self._secret, given.nonce)
            is_old = made is not None and self._is_old(made)
            is_usable = made is not None and given.realm == domain and given.algorithm == settings.auth.algorithm.upper()
        if not is_usable:
            return self._challenge(settings, domain, request.is_secure, is_old)
        user = given.username.partition("@")[0]
        known = account_store.load(database, user, domain)
        if not _is_right(request, settings, known, domain, given):
            gateway.warn(f"authentication failed: user={given.username} realm={domain} source={request.source}")
            return self._challenge(settings, domain, request.is_secure)
        if is_old or (given.is_digest and _is_used(given)):
            return self._challenge(settings, domain, request.is_secure, is_stale=True)
        return (realm.address_of_record(f"sip:{user}@{domain}"),)

    def _is_old(self, made: int) -> bool:
        """Whether a nonce was made too long ago, before the start, or before the clock was set back: by the clock, in seconds."""
        now = time.time()
        age = min(NONCE_LIFETIME, time.monotonic() - self._started)
        return not int(now - age) <= made <= now

    def _challenge(self, settings: Settings, domain: str, is_secure: bool, is_stale: bool = False) -> HttpReply:
        nonce = http_digest.nonce(self._secret, time.time(), secrets.token_hex(8))
        ways = [http_digest.challenge(domain, settings.auth.algorithm, nonce, is_stale)]
        ways += [f'Basic realm="{domain}", charset="UTF-8"'] if is_secure else []
        return HttpReply(401, "Unauthorized", tuple(("WWW-Authenticate", each) for each in ways))


@lru_cache(maxsize=KEPT)
def _asserted(realm: Realm, identities: str) -> tuple[str, ...]:
    """Those of the identities that are SIP URIs."""
    found = []
    for each in sip.split_list(identities) if "," in identities else (identities,):
        try:
            found.append(realm.address_of_record(each.strip(' "')))
        except SipError:
            continue
    return tuple(found)


def _domain_of(realm: Realm, request: HttpRequest) -> str:
    """The realm to ask for: the domain that the path names, else the one that Host is in, else the first."""
    path = request.path.lower().replace("%40", "@")
    for place in (f"{path}/".partition("@")[2].partition("/")[0], request.hostname):
        for domain in realm.domains:
            if place == domain or place.endswith(f".{domain}"):
                return domain
    return realm.domains[0]


def _is_right(request: HttpRequest, settings: Settings, known: Account | None, domain: str, given: Credentials) -> bool:
    """Whether the password is; an unknown user costs as much.

    Raises:
        BadRequest: 400, these credentials were made for another request (RFC 7616 section 3.4.6).
    """
    ha1 = authentication.ha1_of(settings, known, given.username)
    if not given.is_digest:
        tried = account.ha1(given.username, domain, given.password, settings.auth.algorithm)
        return secrets.compare_digest(tried, ha1)
    if given.uri not in (request.target, f"{request.origin}{request.target}"):
        raise BadRequest("the digest was made for another URI")
    return secrets.compare_digest(http_digest.response(ha1, request.method, given).encode(), given.response.lower().encode())


def _is_used(given: Credentials) -> bool:
    """Whether this count of this nonce was used before; from now on it is."""
    return bool(KSR.htable.sht_inc(USED, f"{given.nonce[:24]}{given.nc.lower()}") > 1)


# ---------------------------------------------------------------------------------------------------------------------
# Answers


def answering(work: Callable[[], None], complain: Callable[[str], None]) -> None:
    """Run a request's work; what escapes becomes its answer.

    Args:
        complain: says what is wrong with the database.
    """
    try:
        work()
    except SipError as refusal:
        gateway.warn(f"refused: {refusal.status} {text('$rm')} {text('$hu')} source={text('$si')} why={refusal}")
        answer(HttpReply(refusal.status, refusal.reason, refusal.headers))
    except Unavailable as problem:
        complain(str(problem))
        answer(HttpReply(503, "Service Unavailable", (("Retry-After", str(gateway.RETRY_AFTER)),)))
    except Exception:
        gateway.error(traceback.format_exc())
        answer(HttpReply(500, "Internal Server Error"))


def at_once(request: HttpRequest, root: str) -> HttpReply | None:
    """The answer to a request that needs nobody to be known: not below the XCAP root, OPTIONS, or another method.

    Args:
        root: path of the XCAP root; "" where there is none.
    """
    if not root or not request.path.startswith(f"{root}/"):
        return HttpReply(404, "Not Found", (), "text/plain", b"kemi-presence: nothing here\n")
    if request.method in METHODS and request.method != "OPTIONS":
        return None
    status, reason = (200, "OK") if request.method == "OPTIONS" else (405, "Method Not Allowed")
    return HttpReply(status, reason, (("Allow", ", ".join(METHODS)),))


def answered(effects: Iterable[Effect]) -> list[Effect]:
    """Give the answer that is among the effects; what else there is to do."""
    rest: list[Effect] = []
    for each in effects:
        if isinstance(each, HttpReply):
            answer(each)
        else:
            rest.append(each)
    return rest


def answer(reply: HttpReply) -> None:
    """Answer the request; the connection stays open unless the client wants it closed."""
    is_last = "close" in text("$hdr(Connection)").lower()
    if is_last:
        KSR.set_reply_close()
    if reply.status == 304 or text("$rm") == "HEAD":
        _write_head(reply, is_last)
        return
    if reply.headers:
        KSR.hdr.append_to_reply("".join(f"{name}: {content}\r\n" for name, content in reply.headers))
    # Module sl parses what it has sent as if it were SIP, and logs all of it where the status line has more than three words.
    KSR.xhttp.xhttp_reply(reply.status, reply.reason.replace(" ", "-"), reply.content_type, reply.body.decode())


def _write_head(reply: HttpReply, is_last: bool) -> None:
    """The header fields as they would be with the body."""
    lines = [f"HTTP/1.1 {reply.status} {reply.reason}", *(f"{name}: {content}" for name, content in reply.headers)]
    if reply.status != 304:
        lines += [f"Content-Type: {reply.content_type}"] if reply.content_type else []
        lines.append(f"Content-Length: {len(reply.body)}")
    connection = int(value("$conid") or 0)
    if KSR.tcpops.tcp_conid_alive(connection) > 0:
        KSR.corex.send_data(text("$su"), "\r\n".join([*lines, "", ""]))
    if is_last:
        KSR.tcpops.tcp_close_connection_id(connection)
