"""Kamailio's callbacks, one short method each: find out who asks, call the verb, execute its effects.

One handler object in each of Kamailio's processes; its database connection is opened there, after the fork. Whatever escapes
from a verb becomes one answer and one log line here.
"""

import ctypes
import gc
import os
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from kemi import account_store, database, gateway, identity, notify, schema, settings, sip, store, subscribe, sweep
from kemi.account import Account
from kemi.database import Conflict, Database, Unavailable
from kemi.digest import Outcome
from kemi.effects import Effect
from kemi.errors import (
    BadExtension,
    ConfigurationError,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    SipError,
    SubscriptionDoesNotExist,
    TemporarilyUnavailable,
)
from kemi.event_package import EventPackage
from kemi.gateway import proxy
from kemi.presence import expire, publication, publish
from kemi.presence.package import PRESENCE

PACKAGES: Mapping[str, EventPackage] = {PRESENCE.name: PRESENCE}
ALLOW = ("SUBSCRIBE", "PUBLISH", "REGISTER", "OPTIONS", "NOTIFY", "CANCEL", "ACK")
SANITY = 1 | 4 | 32 | 64
"""SIP version, required header fields, CSeq method and number; the rest is judged where it is used."""

CONTINUE = 1
RETRY_AFTER = 5
"""Seconds, when the database cannot do its work."""

ROUNDS = 100
"""Rounds of the notifier before it lets its worker take the next task."""

PR_SET_PDEATHSIG = 1

COLLECTION = (20_000, 20, 100)
"""When Python looks for cycles: rarely, requests leave none; what was imported before the fork is never looked at."""

T = TypeVar("T")


def mod_init() -> "Handler":
    """Called once, before Kamailio forks: check settings and schema, and take up what a crash left.

    Raises:
        ConfigurationError: stops the start.
    """
    try:
        configured = settings.load(os.environ, _configuration_file())
        connection = database.connect(configured)
        schema.migrate(connection)
        with connection.transaction():
            store.resume(connection, time.time())
        secret = schema.secret(connection)
        connection.close()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECTION)
    except (ConfigurationError, Unavailable) as problem:
        gateway.error(f"kemi-presence: {problem}")
        sys.exit(1)
    return Handler(configured, secret)


class Handler:
    """What app_python3 calls; every callback returns an int."""

    def __init__(self, configured: settings.Settings, secret: bytes) -> None:
        self.settings = configured
        self.secret = secret
        self.realm = identity.realm(configured)
        self._is_trusted = identity.is_trusted(configured.trusted)
        self._database: Database | None = None
        self.main_process = os.getpid()
        self._unsettled: list[notify.Answer] = []

    @property
    def database(self) -> Database:
        """This process's connection."""
        if self._database is None:
            self._database = database.connect(self.settings)
        return self._database

    def child_init(self, rank: int) -> int:
        """A process of Kamailio's starts. It ends when the main process does, so that a restart finds its ports free."""
        if os.getpid() != self.main_process:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return 0

    def ksr_request_route(self, msg: object) -> int:
        """A request from the network."""
        return self._answering(self._route)

    def ksr_reply_route(self, msg: object) -> int:
        """A response: answers to our NOTIFYs go to the notifier, everything goes on to its transaction."""
        if gateway.text("$rm") == "NOTIFY" and gateway.text("$ft").startswith("kp-") and gateway.value("$rs") >= 200:
            gateway.pass_answer()
        return CONTINUE

    def ksr_notify(self, msg: object, data: str = "") -> int:
        """In the group `notify`: tell what is due."""
        gateway.woken()
        return self._reporting(self._notify)

    def ksr_timer_tick(self, msg: object, data: str = "") -> int:
        """Once a second, in one process."""
        return self._reporting(self._tick)

    def ksr_xhttp_event(self, msg: object, data: str = "") -> int:
        """An HTTP request: a WebSocket's handshake (RFC 7118), or nothing we know."""
        proxy.answer_http("/ws")
        return CONTINUE

    def _route(self) -> None:
        method = gateway.text("$rm")
        if not proxy.is_sane(SANITY):
            return
        if method in ("SUBSCRIBE", "PUBLISH"):
            if not proxy.has_route() or self._is_for_us():
                self._event(method)
        elif method == "REGISTER":
            self._register()
        elif method == "CANCEL":
            proxy.answer_cancel()
        elif method == "ACK":
            proxy.relay_acknowledgement()
        elif self._is_for_us():
            self._other(method)

    def _is_for_us(self) -> bool:
        """Follow Route; whether the request ends here. One that goes on is relayed (RFC 3261 section 16.4)."""
        routed = proxy.has_route() and proxy.loose_route()
        if self.realm.is_served(sip.parse_uri(gateway.request_uri())):
            return True
        if not (routed and gateway.value("$tt")):
            raise NotFound("this server is no proxy for other domains")
        proxy.relay()
        return False

    def _event(self, method: str) -> None:
        """SUBSCRIBE and PUBLISH."""
        request = gateway.read_request(method)
        who = self._who(request.source_address, request.from_uri)
        if who is None:
            return
        if method == "SUBSCRIBE":
            self._subscribe(request, who)
        else:
            self._publish(request, who)

    def _subscribe(self, request: sip.Request, watcher: str) -> None:
        """The dialog's row tells a retransmission, as an entity-tag does for PUBLISH.

        A row that goes at once does not, nor a password that is checked a second time: there Kamailio's transaction does it.
        """
        sip.parse_uri(request.uri)
        tag = "" if request.to_tag else subscribe.tag_of(request, self.secret)
        if tag:
            gateway.set_to_tag(tag)
        kept = self._is_trusted(request.source_address) and not subscribe.is_last(request)
        if not kept and not gateway.begin_transaction():
            return
        refuse_extensions(request)
        resource = "" if request.to_tag else self._presentity(request.uri)
        verb = partial(subscribe.subscribe, self.database, self.settings, PACKAGES, request, resource, watcher, tag)
        self._execute(self._again(partial(verb, time.time())))

    def _publish(self, request: sip.Request, publisher: str) -> None:
        """Without a transaction: the entity-tag tells a retransmission, and its answer is the same.

        Not so where a password was asked for: a nonce count that comes twice would be refused before.
        """
        sip.parse_uri(request.uri)
        gateway.forget_record_route()
        if not self._is_trusted(request.source_address) and not gateway.begin_transaction():
            return
        refuse_extensions(request)
        presentity = self._presentity(request.uri)
        if publisher != presentity:
            raise Forbidden("only the presentity itself may publish here")
        tag = publication.entity_tag_for(request, self.secret)
        verb = partial(publish.publish, self.database, self.settings, PACKAGES, request, presentity, tag)
        self._execute(self._again(partial(verb, time.time())))

    def _presentity(self, uri: str) -> str:
        presentity = self.realm.presentity(uri)
        if self.settings.pa.presentities == "subscriber":
            username, _, domain = presentity.removeprefix("sip:").partition("@")
            if account_store.load(self.database, username, domain) is None:
                raise NotFound("no such user")
        return presentity

    def _who(self, source: str, from_uri: str) -> str | None:
        """Canonical address of who sent this request; None: a challenge was sent.

        Raises:
            Forbidden: 403, From is somebody else.
        """
        claimed = self.realm.address_of_record(from_uri)
        if self._is_trusted(source):
            asserted = gateway.asserted_identity()
            return self.realm.address_of_record(asserted) if asserted else claimed
        if self._is_flooding(source) or not gateway.is_new_request():
            return None
        proved = self._authenticate(self.realm.of(sip.parse_uri(from_uri)))
        if proved is not None and self.settings.auth.check_from and proved != claimed:
            raise Forbidden("From is not the authenticated user")
        return proved

    def _is_flooding(self, source: str) -> bool:
        """Whether this source has sent too much; it is told so, and logged once (RFC 3903 section 14.2)."""
        limit = self.settings.auth.max_rate
        count = gateway.requests_this_second(source) if limit else 0
        if count <= limit:
            return False
        if count == limit + 1:
            gateway.warn(f"too many requests: source={source} limit={limit}")
        refusal = ServiceUnavailable("", 1)
        gateway.reply(refusal.status, refusal.reason, refusal.headers)
        return True

    def _authenticate(self, realm: str) -> str | None:
        """Digest (RFC 7616, RFC 8760) against the table subscriber; None: a challenge was sent, statelessly."""
        given = gateway.credentials(realm)
        if given is not None and self._is_for_our_users(given.uri):
            account = account_store.load(self.database, given.username, realm)
            outcome = gateway.authenticate(realm, self._ha1(account), given)
            if outcome is Outcome.RIGHT and account is not None:
                return f"sip:{given.username}@{realm}"
            if outcome is Outcome.WRONG:
                gateway.warn(f"authentication failed: user={given.username} realm={realm} source={gateway.text('$si')}")
        gateway.challenge(realm)
        return None

    def _ha1(self, account: Account | None) -> str:
        """What to check a password against; for an unknown user something that fits none, at the same cost."""
        if account is None:
            return secrets.token_hex(32 if self.settings.auth.algorithm == "SHA-256" else 16)
        return account.ha1_sha256 if self.settings.auth.algorithm == "SHA-256" else account.ha1

    def _is_for_our_users(self, uri: str) -> bool:
        """Credentials made for another server are not taken (RFC 8760 section 2.6)."""
        try:
            return self.realm.is_served(sip.parse_uri(uri))
        except SipError:
            return False

    def _register(self) -> None:
        """Bindings go to Kamailio's registrar (RFC 3261 section 10.3)."""
        to_uri = gateway.field("$tu") or ""
        if not self.realm.is_served(sip.parse_uri(to_uri)):
            raise NotFound("this domain is not served here")
        who = self._who(gateway.text("$si"), gateway.field("$fu") or "")
        if who is None:
            return
        if who != self.realm.address_of_record(to_uri):
            raise Forbidden("only the user itself may register here")
        proxy.save_registration()

    def _other(self, method: str) -> None:
        if method == "OPTIONS":
            gateway.reply(200, "OK", self._capabilities())
        elif method == "NOTIFY" and proxy.is_from_ourselves():
            if not proxy.relay_to_registered():
                raise TemporarilyUnavailable("the user is not registered")
        elif method == "NOTIFY":
            raise SubscriptionDoesNotExist("no subscription of this server")
        else:
            raise MethodNotAllowed(ALLOW)

    def _capabilities(self) -> list[tuple[str, str]]:
        """Header fields of a response to OPTIONS (RFC 3903 section 7, RFC 6665 section 4.4.4)."""
        types = sorted({media_type for package in PACKAGES.values() for media_type in package.consumes})
        return [("Allow", ", ".join(ALLOW)), ("Allow-Events", ", ".join(PACKAGES)), ("Accept", ", ".join(types))]

    def _notify(self) -> None:
        for _ in range(ROUNDS):
            self._unsettled += gateway.take_answers(self.settings.pa.notify_batch * 5)
            answers = list(self._unsettled)
            effects, more = self._again(partial(notify.notify, self.database, self.settings, PACKAGES, answers, time.time()))
            self._unsettled.clear()
            self._execute(effects)
            if not more:
                return
        gateway.wake()

    def _tick(self) -> None:
        gateway.tick_answers()
        self.database.tidy()
        now = time.time()
        self._execute(self._again(lambda: sweep.sweep(self.database, now)))
        self._execute(self._again(lambda: expire.expire(self.database, self.settings, PACKAGES, now)))

    def _execute(self, effects: list[Effect]) -> None:
        unsent = gateway.execute(effects)
        if unsent:
            gateway.queue_answers(unsent)

    def _again(self, work: Callable[[], T]) -> T:
        """Run a verb; once more when another transaction was in its way."""
        try:
            return work()
        except Conflict:
            return work()

    def _answering(self, work: Callable[[], None]) -> int:
        """Run a request's work; what escapes becomes its answer."""
        try:
            work()
        except SipError as refusal:
            gateway.warn(
                f"refused: {refusal.status} {gateway.text('$rm')} to={gateway.text('$tu')} from={gateway.text('$fu')} "
                f"source={gateway.text('$si')} call-id={gateway.text('$ci')} why={refusal}"
            )
            gateway.refuse(refusal)
        except Unavailable as problem:
            gateway.error(f"database: {problem}")
            gateway.refuse(ServiceUnavailable("", RETRY_AFTER))
        except Exception:
            gateway.error(traceback.format_exc())
            gateway.refuse(SipError())
        return CONTINUE

    def _reporting(self, work: Callable[[], None]) -> int:
        """Run work that nobody waits for; it is tried again by the next tick."""
        try:
            work()
        except Unavailable as problem:
            gateway.error(f"database: {problem}")
        except Exception:
            gateway.error(traceback.format_exc())
        return CONTINUE


def refuse_extensions(request: sip.Request) -> None:
    """No extension that a client may require is known here (RFC 3261 section 8.2.2.3)."""
    if request.require is not None:
        raise BadExtension(sip.split_list(request.require))


def _configuration_file() -> Path:
    """The file that Kamailio was started with (-f)."""
    arguments = Path("/proc/self/cmdline").read_bytes().decode().split("\0")
    return Path(arguments[arguments.index("-f") + 1] if "-f" in arguments else "/etc/kamailio/kamailio.cfg")
