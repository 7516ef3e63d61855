"""Kamailio's callbacks, one short method each: find out who asks, call the verb, execute its effects.

One handler object in each of Kamailio's processes; its database connection is opened there, after the fork. Whatever escapes
from a verb becomes one answer and one log line here.
"""

import ctypes
import os
import signal
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from kemi import account_store, database, gateway, identity, notify, offline_winfo, packages, settings, sip, subscribe, sweep
from kemi.binding import Binding
from kemi.database import Conflict, Database, Unavailable
from kemi.effects import Effect, Log, Reply, Status, Wake
from kemi.errors import (
    BadExtension,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    ServiceUnavailable,
    SipError,
    SubscriptionDoesNotExist,
    TemporarilyUnavailable,
)
from kemi.event_package import allow_events
from kemi.gateway import authentication, http, proxy
from kemi.options import is_wake
from kemi.presence import expire, online, publication, publish, registrar
from kemi.presence.package import PRESENCE
from kemi.runtime_settings import Watch, restored
from kemi.subscription import Subscription
from kemi.web import Web
from kemi.xcap.fetching import Fetching

ALLOW = ("SUBSCRIBE", "PUBLISH", "REGISTER", "OPTIONS", "NOTIFY", "CANCEL", "ACK")
SANITY = 1 | 4 | 32 | 64
"""SIP version, required header fields, CSeq method and number; the rest is judged where it is used."""

CONTINUE = 1
RETRY_AFTER = 5
"""Seconds, when the database cannot do its work."""

ROUNDS = 100
"""Rounds of the notifier before it lets its worker take the next task."""

PR_SET_PDEATHSIG = 1

T = TypeVar("T")


class Handler:
    """What app_python3 calls; every callback returns an int."""

    def __init__(self, configured: settings.Settings, secret: bytes) -> None:
        self.settings = self._start = configured
        self._changes: int | str = 0
        self._watch = Watch(configured)
        self.secret = secret
        self.realm = identity.realm(configured)
        self.packages = packages.served(configured)
        self._is_trusted = identity.is_trusted(configured.trusted)
        self._database: Database | None = None
        self.main_process = os.getpid()
        self._unsettled: list[notify.Answer] = []
        self._handled: Status | None = None
        self._web = Web(self.realm, self._is_trusted, secret, time.time())
        self._fetching = Fetching(self._do, gateway.wake_fetcher, gateway.warn)

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
        self._answering(self._route)
        return CONTINUE

    def ksr_reply_route(self, msg: object) -> int:
        """A response: answers to our NOTIFYs go to the notifier, everything goes on to its transaction."""
        if gateway.text("$rm") == "NOTIFY" and gateway.text("$ft").startswith("kp-") and gateway.value("$rs") >= 200:
            gateway.pass_answer()
        return CONTINUE

    def ksr_notify(self, msg: object, data: str = "") -> int:
        """In the group `notify`: tell what is due."""
        gateway.woken()
        self._reporting(self._end_lost_registrations)
        return self._reporting(self._notify)

    def ksr_fetch(self, msg: object, data: str = "") -> int:
        """In the group `fetch`: get documents of another XCAP server."""
        gateway.fetcher_woken()
        return self._reporting(self._fetch)

    def ksr_timer_tick(self, msg: object, data: str = "") -> int:
        """Once a second, in one process."""
        return self._reporting(self._tick)

    def ksr_core_event(self, msg: object, data: str = "") -> int:
        """Something that Kamailio's core tells, once: its first worker is ready."""
        proxy.core_event(data)
        return CONTINUE

    def ksr_tcpops_event(self, msg: object, data: str = "") -> int:
        """A connection is closed over which somebody registered."""
        proxy.connection_closed()
        return CONTINUE

    def ksr_xhttp_event(self, msg: object, data: str = "") -> int:
        """An HTTP request: a WebSocket's handshake (RFC 7118), or XCAP (RFC 4825)."""
        if not http.is_websocket("/ws"):
            http.answering(self._http)
        return CONTINUE

    def _http(self) -> None:
        self._take_changes()
        self._execute(self._web.answer(self.database, self.settings, self.packages, time.time()))

    def _take_changes(self) -> None:
        """Parameters may have been changed while the server runs."""
        changes = gateway.value(gateway.CHANGED)
        if changes != self._changes:
            self.settings, self._changes = restored(self._start, changes), changes
            self.packages = packages.served(self.settings)

    def _look_for_changes(self) -> None:
        """What kamcmd has set is taken over or refused, here for all processes."""
        taken, refused = self._watch.look(lambda name: gateway.text(f"$sel(cfg_get.{name})"))
        self._execute([Log(line) for line in taken])
        for line in refused:
            gateway.warn(line)
        if taken:
            gateway.pass_changes(self._watch.text())
        self._take_changes()
        if taken:
            self._execute(registrar.reconcile(self.database, self.settings, self.packages, self.secret, time.time()))

    def _route(self) -> None:
        self._take_changes()
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

    def _event(self, method: str, in_script: bool = False) -> bool:
        """SUBSCRIBE and PUBLISH; whether a 2xx was sent."""
        request = gateway.read_request(method)
        who = self._who(request.source_address, request.from_uri, in_script)
        if who is None:
            return False
        return self._subscribe(request, who) if method == "SUBSCRIBE" else self._publish(request, who)

    def _subscribe(self, request: sip.Request, watcher: str) -> bool:
        """The dialog's row tells a retransmission, as an entity-tag does for PUBLISH.

        A row that goes at once does not, nor a password that is checked a second time: there Kamailio's transaction does it.
        """
        sip.parse_uri(request.uri)
        tag = "" if request.to_tag else subscribe.tag_of(request, self.secret)
        if tag:
            gateway.set_to_tag(tag)
        kept = self._is_trusted(request.source_address) and not subscribe.is_last(request)
        if not kept and not gateway.begin_transaction():
            return False
        refuse_extensions(request)
        resource = "" if request.to_tag else self._presentity(request.uri)
        verb = partial(subscribe.subscribe, self.database, self.settings, self.packages, request, resource, watcher, tag)
        effects = self._again(partial(verb, time.time()))
        self._handled = next((each for each in effects if isinstance(each, Status)), None)
        if self._handled is not None and offline_winfo.is_worth_storing(self.settings, self._handled):
            self._store_if_away(self._handled.subscription)
        self._execute(effects)
        self._fetching.subscribed(self.settings, self._handled)
        return is_accepted(effects)

    def _store_if_away(self, subscription: Subscription) -> None:
        """A presentity that is away is told later who came; before the answer, so that nobody who got one is forgotten."""
        if subscription.package == PRESENCE.name and not self._is_online(subscription.resource):
            offline_winfo.store(self.database, self.settings, self.packages, subscription, time.time())

    def _is_online(self, presentity: str) -> bool:
        return online.is_online(self.database, presentity, time.time())

    def _publish(self, request: sip.Request, publisher: str) -> bool:
        """Without a transaction: the entity-tag tells a retransmission, and its answer is the same.

        Not so where a password was asked for: a nonce count that comes twice would be refused before.
        """
        sip.parse_uri(request.uri)
        gateway.forget_record_route()
        if not self._is_trusted(request.source_address) and not gateway.begin_transaction():
            return False
        refuse_extensions(request)
        presentity = self._presentity(request.uri)
        if publisher != presentity and publisher not in self.settings.pa.publishers:
            raise Forbidden("only the presentity itself may publish here")
        tag = publication.entity_tag_for(request, self.secret)
        verb = partial(publish.publish, self.database, self.settings, self.packages, request, presentity, tag)
        effects = self._again(partial(verb, time.time()))
        self._execute(effects)
        return is_accepted(effects)

    def _presentity(self, uri: str) -> str:
        presentity = self.realm.presentity(uri)
        if self.settings.pa.presentities == "subscriber":
            username, _, domain = presentity.removeprefix("sip:").partition("@")
            if account_store.load(self.database, username, domain) is None:
                raise NotFound("no such user")
        return presentity

    def _who(self, source: str, from_uri: str, in_script: bool = False) -> str | None:
        """Canonical address of who sent this request; None: it was answered.

        Args:
            in_script: a script called: the request has its transaction, and the script may know who sent it.
        """
        named = authentication.named(self.realm) if in_script else ""
        if named:
            return named
        if self._is_trusted(source):
            return authentication.trusted(self.realm, self.realm.address_of_record(from_uri))
        return authentication.proved(self.database, self.settings, self.realm, source, from_uri, in_script)

    def _register(self, in_script: bool = False) -> bool:
        """Bindings go to Kamailio's registrar (RFC 3261 section 10.3); whether it was asked to answer."""
        to_uri = gateway.field("$tu") or ""
        if not self.realm.is_served(sip.parse_uri(to_uri)):
            raise NotFound("this domain is not served here")
        who = self._who(gateway.text("$si"), gateway.field("$fu") or "", in_script)
        if who is None:
            return False
        if who != self.realm.address_of_record(to_uri):
            raise Forbidden("only the user itself may register here")
        if not gateway.begin_transaction():
            return False
        with proxy.registration(who) as save:
            effects = self._again(partial(self._synchronize, who, save))
        self._execute(effects)
        return True

    def _synchronize(self, presentity: str, change: Callable[[], list[Binding]]) -> list[Effect]:
        """Change bindings, store and show them."""
        return registrar.synchronize(self.database, self.settings, self.packages, self.secret, presentity, change, time.time())

    def _end_lost_registrations(self) -> None:
        """Bindings whose connections are closed are none any more."""
        while closed := proxy.take_closed():
            try:
                for presentity in registrar.received_over(self.database, closed):
                    self._execute(self._again(partial(self._synchronize, presentity, partial(proxy.remove_lost, presentity))))
            except Unavailable:
                proxy.queue_closed(closed)
                raise

    def _other(self, method: str) -> None:
        if method == "OPTIONS":
            proxy.require_loaded()
            if is_wake(gateway.request_uri(), gateway.text("$si"), gateway.text("$Ri")):
                self._execute([Wake(blocked=True)])
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
        types = sorted({media_type for package in self.packages.values() for media_type in package.consumes})
        return [("Allow", ", ".join(ALLOW)), ("Allow-Events", allow_events(self.packages)), ("Accept", ", ".join(types))]

    def _notify(self) -> None:
        self._take_changes()
        for _ in range(ROUNDS):
            self._unsettled += gateway.take_answers(self.settings.pa.notify_batch * 5)
            answers = list(self._unsettled)
            effects, more = self._again(partial(notify.notify, self.database, self.settings, self.packages, answers, time.time()))
            self._unsettled.clear()
            self._execute(effects)
            if not more:
                return
        gateway.wake()

    def _tick(self) -> None:
        self._look_for_changes()
        gateway.tick_answers()
        proxy.tick_closed()
        self.database.tidy()
        now = time.time()
        registrar.forget(self.database, now)
        self._execute(self._again(lambda: sweep.sweep(self.database, self.settings, self.packages, now)))
        self._execute(self._again(lambda: expire.expire(self.database, self.settings, self.packages, now)))
        self._fetching.tick(self.database, self.settings, self.packages, now)

    def _fetch(self) -> None:
        self._take_changes()
        self._fetching.run(self.database, self.settings, self.packages)

    def _do(self, verb: Callable[[], list[Effect]]) -> int:
        """Run a verb that nobody waits for."""
        return self._reporting(lambda: self._execute(self._again(verb)))

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

    def _answering(self, work: Callable[[], T]) -> T | None:
        """Run a request's work; what escapes becomes its answer, and there is no result."""
        try:
            return work()
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
        return None

    def _reporting(self, work: Callable[[], None]) -> int:
        """Run work that nobody waits for; it is tried again by the next tick."""
        try:
            work()
        except Unavailable as problem:
            gateway.error(f"database: {problem}")
        except Exception:
            gateway.error(traceback.format_exc())
        return CONTINUE


def is_accepted(effects: list[Effect]) -> bool:
    """Whether the answer among them is a 2xx."""
    return any(isinstance(each, Reply) and each.status < 300 for each in effects)


def refuse_extensions(request: sip.Request) -> None:
    """No extension that a client may require is known here (RFC 3261 section 8.2.2.3)."""
    if request.require is not None:
        raise BadExtension(sip.split_list(request.require))


def show_registrations(connection: Database, configured: settings.Settings, secret: bytes) -> None:
    """Stored registrations are shown as the settings of this start say."""
    registrar.forget(connection, time.time())
    registrar.reconcile(connection, configured, packages.served(configured), secret, time.time())
