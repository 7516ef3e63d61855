"""SIP requests, one short method each: find out who asks, call the verb, execute its effects.

SUBSCRIBE and PUBLISH are for the packages served here, REGISTER for Kamailio's registrar; the rest is answered, relayed or refused.
"""

import time
from collections.abc import Callable
from functools import partial

from kemi import account_store, gateway, offline_winfo, settings, sip, subscribe
from kemi.binding import Binding
from kemi.effects import Effect, Reply, Status, Wake
from kemi.errors import (
    BadExtension,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    SubscriptionDoesNotExist,
    TemporarilyUnavailable,
)
from kemi.event_package import allow_events
from kemi.gateway import authentication, proxy
from kemi.options import is_wake
from kemi.presence import online, publication, publish, registrar
from kemi.presence.package import PRESENCE
from kemi.process import Process
from kemi.subscription import Subscription
from kemi.xcap.fetching import Fetching

ALLOW = ("SUBSCRIBE", "PUBLISH", "REGISTER", "OPTIONS", "NOTIFY", "CANCEL", "ACK")


class Requests(Process):
    """What becomes of a request, in one of Kamailio's processes."""

    def __init__(self, configured: settings.Settings, secret: bytes) -> None:
        super().__init__(configured, secret)
        self._handled: Status | None = None
        self._fetching = Fetching(self._do, gateway.wake_fetcher, gateway.warn)

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

    def _is_for_us(self) -> bool:
        """Follow Route; whether the request ends here. One that goes on is relayed (RFC 3261 section 16.4)."""
        routed = proxy.has_route() and proxy.loose_route()
        if self.realm.is_served(sip.parse_uri(gateway.request_uri())):
            return True
        if not (routed and gateway.value("$tt")):
            raise NotFound("this server is no proxy for other domains")
        proxy.relay()
        return False


def is_accepted(effects: list[Effect]) -> bool:
    """Whether the answer among them is a 2xx."""
    return any(isinstance(each, Reply) and each.status < 300 for each in effects)


def refuse_extensions(request: sip.Request) -> None:
    """No extension that a client may require is known here (RFC 3261 section 8.2.2.3)."""
    if request.require is not None:
        raise BadExtension(sip.split_list(request.require))
