"""SIP requests, one short method each: find out who asks, call the verb, execute its effects.

SUBSCRIBE and PUBLISH are for the packages served here, REGISTER for Kamailio's registrar, MESSAGE for the devices of our users; the
rest is answered, relayed or refused.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from kemi import account_store, gateway, message, offline_winfo, settings, sip, subscribe
from kemi.b2bua import notified, relay
from kemi.b2bua import store as outgoing_store
from kemi.b2bua.asking import Asking
from kemi.b2bua.outgoing import TAG
from kemi.binding import Binding
from kemi.database import again
from kemi.effects import Effect, Reply, Status, Wake, WakeSubscriber
from kemi.errors import (
    BadExtension,
    Forbidden,
    LoopDetected,
    MethodNotAllowed,
    NotFound,
    SipError,
    SubscriptionDoesNotExist,
    TemporarilyUnavailable,
)
from kemi.event_package import LIST, Decision, allow_events
from kemi.gateway import authentication, bindings, outgoing, proxy
from kemi.message import Verdict
from kemi.moment import Moment
from kemi.options import is_wake
from kemi.presence import online, policy, publication, publish, registrar, rules, subscribed
from kemi.presence.package import PRESENCE
from kemi.process import Process
from kemi.rls import appeared, source, target
from kemi.rls.source import NotFetchedYet
from kemi.subscription import Subscription
from kemi.xcap import roots, usages
from kemi.xcap.fetching import Fetching, document_changed

REGISTRAR_EXTENSIONS = ("gruu",)
"""Option tags of what Kamailio's registrar has here."""

ALLOW = ("SUBSCRIBE", "PUBLISH", "REGISTER", "MESSAGE", "OPTIONS", "NOTIFY", "CANCEL", "ACK")


class Wanted(NamedTuple):
    """What a SUBSCRIBE asks for.

    Args:
        resource: canonical address of who is to be watched; "" in a dialog: its row tells.
        is_elsewhere: the resource is somebody of another domain.
        is_list: the resource is a list (RFC 4662).
        tag: our tag of the dialog that this SUBSCRIBE opens; "" in a dialog.
    """

    resource: str
    is_elsewhere: bool
    is_list: bool
    tag: str


class Requests(Process):
    """What becomes of a request, in one of Kamailio's processes."""

    def __init__(self, configured: settings.Settings, secret: bytes) -> None:
        super().__init__(configured, secret)
        self._handled: Status | None = None
        wake_fetcher, wake_subscriber = partial(gateway.wake, gateway.FETCHER), partial(gateway.wake, gateway.SUBSCRIBER)
        self._fetching = Fetching(self._do, wake_fetcher, gateway.warn, rules.read, appeared.elsewhere)
        self._subscriber = Asking(secret, self._execute, again, outgoing.take_answers, subscribed.show, wake_subscriber)

    def _refuse(self, refusal: SipError) -> None:
        """What is refused for want of a document of another server is asked for again soon: it is fetched at once."""
        if isinstance(refusal, NotFetchedYet):
            self._reporting(partial(source.ask, self._there(), refusal.wanted))
            self._fetching.asked(self.settings, is_known=False)
        super()._refuse(refusal)

    def _who(self, source: str, from_uri: str, in_script: bool = False) -> str | None:
        """Canonical address of who sent this request; None: it was answered.

        Args:
            in_script: a script called: the request has its transaction, and the script may know who sent it.
        """
        return next(iter(self._identities(source, from_uri, in_script)), None)

    def _identities(self, source: str, from_uri: str, in_script: bool = False) -> tuple[str, ...]:
        """All that is known of who sent this request, its canonical address first; none: it was answered."""
        named = authentication.named(self.realm) if in_script else ""
        if named:
            return (named,)
        if self._is_trusted(source):
            return authentication.trusted(self.realm, self.realm.address_of_record(from_uri))
        proved = authentication.proved(self.database, self.settings, self.realm, source, from_uri, in_script)
        return () if proved is None else (proved,)

    def _watcher(self, source: str, from_uri: str, in_script: bool = False) -> str | None:
        """The same of a SUBSCRIBE: rules may name any of its identities, now and later."""
        identities = self._identities(source, from_uri, in_script)
        if len(identities) > 1:
            again(partial(policy.identified, self._moment(), identities))
        return next(iter(identities), None)

    def _event(self, method: str, in_script: bool = False) -> bool:
        """SUBSCRIBE and PUBLISH; whether a 2xx was sent."""
        request = gateway.read_request(method)
        ask = self._watcher if method == "SUBSCRIBE" else self._who
        who = ask(request.source_address, request.from_uri, in_script)
        if who is None:
            return False
        return self._subscribe(request, who) if method == "SUBSCRIBE" else self._publish(request, who)

    def _subscribe(self, request: sip.Request, watcher: str, chosen: str | None = None) -> bool:
        """The dialog's row tells a retransmission, as an entity-tag does for PUBLISH.

        A row that goes at once does not, nor a password that is checked a second time: there Kamailio's transaction does it.

        Args:
            chosen: the list that a script has chosen (`subscribe.subscribe`), "" for that of the Request-URI; None: none is chosen.
        """
        sip.parse_uri(request.uri)
        wanted = self._wanted(request, watcher, chosen)
        if wanted.tag:
            gateway.set_to_tag(wanted.tag)
        row_tells = self._is_trusted(request.source_address) and not subscribe.is_last(request)
        if not row_tells and not gateway.begin_transaction():
            return False
        target.refuse_extensions(request, wanted.is_list)
        if wanted.is_elsewhere:
            self._want(request, watcher, wanted)
        elif wanted.tag:
            if not wanted.is_list:
                self._require_user(wanted.resource)
            chosen = self._keep_root(wanted, chosen or "")
        verb = partial(subscribe.subscribe, self._moment(), request, wanted.resource, watcher, wanted.tag, chosen or "")
        effects = again(verb)
        self._subscribed(wanted, effects)
        return is_accepted(effects)

    def _wanted(self, request: sip.Request, watcher: str, chosen: str | None) -> Wanted:
        """In a dialog its tag says whether it is to a list, and the row says the rest."""
        if request.to_tag:
            return Wanted("", False, chosen is not None or self._is_for_list(request, watcher, "", False), "")
        elsewhere = relay.elsewhere(self.settings, self.realm, request.uri)
        resource, is_elsewhere = elsewhere or self.realm.presentity(request.uri), bool(elsewhere)
        is_list = chosen is not None or self._is_for_list(request, watcher, resource, is_elsewhere)
        tag = subscribe.tag_of(request, self.secret, is_list, target.supports_lists(request))
        return Wanted(resource, is_elsewhere, is_list, tag)

    def _is_for_list(self, request: sip.Request, watcher: str, resource: str, is_elsewhere: bool) -> bool:
        """Whoever is elsewhere may be a list: where the client knows lists the server there is asked for one."""
        if is_elsewhere:
            return target.supports_lists(request) and relay.is_for_list(self.packages, request.event, request.accept)
        return target.is_for_list(self._there(), request, watcher, resource)

    def _subscribed(self, wanted: Wanted, effects: list[Effect]) -> None:
        """What was asked for is written: it is told, and who has more to do about it is woken."""
        self._handled = next((each for each in effects if isinstance(each, Status)), None)
        if self._handled is not None and not wanted.is_elsewhere and offline_winfo.is_worth_storing(self.settings, self._handled):
            self._store_if_away(self._handled.subscription)
        self._execute([*effects, WakeSubscriber()] if wanted.is_elsewhere or wanted.is_list else effects)
        self._fetching.subscribed(self.settings, self._handled)

    @property
    def _root(self) -> str:
        """The XCAP root that a script has chosen for the documents of this request (`kemi.xcap.roots`); "": the usual one."""
        return ""

    def _there(self) -> Moment:
        """What verbs are given that read documents of this request."""
        return roots.below(self._moment(), self._root)

    def _keep_root(self, wanted: Wanted, chosen: str) -> str:
        """That root stays with the presentity, or with the list: which list it is then."""
        root, at = self._root, self._moment()
        if not root:
            return chosen
        if wanted.is_list:
            return source.below(root, chosen)
        changed = partial(document_changed, at, usages.PRES_RULES, wanted.resource)
        self._execute(again(partial(roots.remember, at, wanted.resource, root, changed)))
        return chosen

    def _want(self, request: sip.Request, watcher: str, wanted: Wanted) -> None:
        """Somebody elsewhere is about to be watched from here."""
        package = sip.parse_event(request.event or "").package if request.event else ""
        if package in self.packages:
            wish = relay.Wish(request.from_tag, gateway.max_forwards(), gateway.field(gateway.PATH) or "")
            key = (watcher, wanted.resource, package + LIST if wanted.is_list else package)
            again(partial(relay.want, self._moment(), *key, wish, self._subscriber.name))

    def _pass_on(self) -> bool:
        """Our own SUBSCRIBE to a user of ours goes to the contacts that the registrar has; False: it is another one."""
        tag = gateway.text("$ft") if self.settings.pa.subscribe_to_users and self._is_from_ourselves() else ""
        if not tag.startswith(TAG) or not outgoing_store.is_source(self.database, tag):
            return False
        self._relay_to_registered()
        return True

    def _hear(self) -> bool:
        """A NOTIFY; False: it is in no dialog that this server has opened."""
        if not notified.is_for_us(gateway.field("$tt")):
            return False
        if gateway.begin_transaction():
            request = gateway.read_request("NOTIFY")
            self._execute(again(partial(self._subscriber.heard, self._moment(), request)))
        return True

    def _store_if_away(self, subscription: Subscription) -> None:
        """A presentity that is away is told later who came; before the answer, so that nobody who got one is forgotten."""
        if subscription.package == PRESENCE.name and not self._is_online(subscription.resource):
            offline_winfo.store(self._moment(), subscription)

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
        target.refuse_extensions(request, is_list=False)
        presentity = self._presentity(request.uri)
        if publisher != presentity and publisher not in self.settings.pa.publishers:
            raise Forbidden("only the presentity itself may publish here")
        tag = publication.entity_tag_for(request, self.secret)
        effects = again(partial(publish.publish, self._moment(), request, presentity, tag))
        self._execute(effects)
        return is_accepted(effects)

    def _presentity(self, uri: str) -> str:
        presentity = self.realm.presentity(uri)
        self._require_user(presentity)
        return presentity

    def _require_user(self, presentity: str) -> None:
        if self.settings.pa.presentities == "subscriber":
            username, _, domain = presentity.removeprefix("sip:").partition("@")
            if account_store.load(self.database, username, domain) is None:
                raise NotFound("no such user")

    def _register(self, in_script: bool = False) -> bool:
        """Bindings go to Kamailio's registrar (RFC 3261 section 10.3); whether it was asked to answer."""
        to_uri = gateway.field("$tu") or ""
        if not (self.realm.is_served(sip.parse_uri(to_uri)) and self.realm.is_registrar(sip.parse_uri(gateway.request_uri()))):
            raise NotFound("this domain is not served here")
        _refuse_required(REGISTRAR_EXTENSIONS)
        who = self._who(gateway.text("$si"), gateway.field("$fu") or "", in_script)
        if who is None:
            return False
        if who != self.realm.address_of_record(to_uri):
            raise Forbidden("only the user itself may register here")
        if not gateway.begin_transaction():
            return False
        with bindings.registration(who) as save:
            effects = again(partial(self._synchronize, who, save))
        self._execute(effects)
        return True

    def _synchronize(self, presentity: str, change: Callable[[], list[Binding]]) -> list[Effect]:
        """Change bindings, store and show them."""
        return registrar.synchronize(self._moment(), self.secret, presentity, change)

    def _forward_message(self) -> None:
        """MESSAGE: it goes to the registered contacts of the recipient, if its rules let it through (RFC 3428).

        An answer of ours has no Record-Route: a message makes no dialog.
        """
        uri = gateway.request_uri()
        self._refuse_to_relay()
        is_trusted = self._is_trusted(gateway.text("$si"))
        senders = self._identities(gateway.text("$si"), gateway.field("$fu") or "")
        if not senders:
            return
        recipient = self._presentity(message.recipient_of(self.realm, uri) or uri)
        verdict = self._verdict(senders, recipient)
        authentication.forget(self.realm, is_trusted)
        if verdict.decision is not Decision.ALLOW:
            gateway.forget_record_route()
        if not is_trusted and not gateway.begin_transaction():
            return
        answer = message.answer(self.settings, verdict, senders, recipient)
        self._execute(answer)
        if not answer:
            self._deliver(uri, recipient)

    def _refuse_to_relay(self) -> None:
        """What a proxy looks at before it forwards a request (RFC 3261 section 16.3, RFC 5393 section 4)."""
        if any(self.realm.is_own(hop) for hop in proxy.hops()):
            raise LoopDetected("this message was here before")
        required = gateway.field("$(hdr(Proxy-Require)[*])")
        if required is not None:
            raise BadExtension(sip.split_list(required))

    def _verdict(self, senders: tuple[str, ...], recipient: str, document: str = "") -> Verdict:
        """What becomes of a message; documents of another server that are not known yet are fetched at once."""
        ask = partial(message.authorize, self._there(), senders, recipient, document)
        verdict = again(ask)
        self._fetching.asked(self.settings, verdict.is_complete)
        return verdict

    def _deliver(self, uri: str, recipient: str) -> None:
        if self.realm.is_own(sip.parse_uri(uri)):
            proxy.retarget(recipient)
        proxy.answer_in_time()
        self._relay_to_registered()

    def _is_from_ourselves(self) -> bool:
        """Whether the request came from a socket of this server's own; what goes to ourselves may leave from another one.

        An address and a port are not enough: by another transport the port may be that of any program on this machine.
        """
        return proxy.is_from_ourselves() or proxy.source() in self.settings.listening

    def _relay_to_registered(self) -> None:
        if not proxy.relay_to_registered():
            raise TemporarilyUnavailable("the user is not registered")

    def _other(self, method: str) -> None:
        """A request for this server or a user's devices that changes no subscription, publication or binding of ours."""
        if method == "OPTIONS":
            self._answer_options()
        elif method == "MESSAGE":
            self._forward_message()
        elif method == "NOTIFY" and self._is_from_ourselves():
            self._relay_to_registered()
        elif method == "NOTIFY" and not self._hear():
            raise SubscriptionDoesNotExist("no subscription of this server")
        elif method != "NOTIFY":
            raise MethodNotAllowed(ALLOW)

    def _answer_options(self) -> None:
        """Whether this server is ready, and what it can do (RFC 3261 section 11); presencectl wakes the notifier so."""
        if not bindings.is_loaded():
            gateway.refuse(bindings.NOT_LOADED)  # that is what was asked: nothing to write down
            return
        _refuse_required(target.SUPPORTED)
        if is_wake(gateway.request_uri(), gateway.text("$si"), gateway.text("$Ri")):
            self._execute([Wake(blocked=True)])
        gateway.reply(200, "OK", self._capabilities())

    def _capabilities(self) -> list[tuple[str, str]]:
        """Header fields of a response to OPTIONS (RFC 3903 section 7, RFC 6665 section 4.4.4)."""
        types = sorted({media_type for package in self.packages.values() for media_type in package.consumes})
        return [
            ("Allow", ", ".join(ALLOW)),
            ("Allow-Events", allow_events(self.packages)),
            ("Accept", ", ".join(types)),
            ("Supported", ", ".join(target.SUPPORTED)),
        ]

    def _is_for_us(self) -> bool:
        """Follow Route; whether the request ends here. One that goes on is relayed (RFC 3261 section 16.4).

        Who sends it has to be one of ours: a tag in To proves no dialog. Not so MESSAGE at all: nobody's rules would be asked.
        """
        routed = proxy.has_route() and proxy.loose_route()
        if self.realm.is_served(sip.parse_uri(gateway.request_uri())):
            return True
        if not (routed and gateway.value("$tt")) or gateway.text("$rm") == "MESSAGE":
            raise NotFound("this server is no proxy for other domains")
        if self._is_user():
            if gateway.text("$rm") != "INVITE":
                proxy.answer_in_time()
            proxy.relay()
        return False

    def _is_user(self) -> bool:
        """Whether a request that goes on elsewhere comes from a user of ours, or from a trusted source; False: it was answered."""
        is_trusted = self._is_trusted(gateway.text("$si"))
        if not is_trusted and self._who(gateway.text("$si"), gateway.field("$fu") or "") is None:
            return False
        authentication.forget(self.realm, is_trusted)
        return True


def _refuse_required(known: tuple[str, ...]) -> None:
    """What a client requires besides is not there (RFC 3261 sections 8.2.2.3 and 10.3 step 2)."""
    unknown = [each for each in sip.split_list(gateway.field("$(hdr(Require)[*])") or "") if each.lower() not in known]
    if unknown:
        raise BadExtension(unknown)


def is_accepted(effects: list[Effect]) -> bool:
    """Whether the answer among them is a 2xx."""
    return any(isinstance(each, Reply) and each.status < 300 for each in effects)
