"""SER's script functions (SER handbook section 5.3), for a configuration with its own `request_route`.

    if (is_method("SUBSCRIBE")) {
        python_exec("handle_subscription", "registrar");
        exit;
    }

`python_exec` hands over one text at most: several arguments stand in it, parted by commas. What the functions return is the truth
value of the call: 1 true, -1 false; 0 ends the route script. docs/functions.md has the reference.

The functions that handle a request make its transaction, unless the script has done so, and always answer in it. Who sent it is
known, in this order, from `$avp(identity)`, which the script may set when it has authenticated the sender itself; from a source in
KP_TRUSTED; from our own digest.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from kemi import gateway, message, offline_winfo
from kemi.database import Unavailable, again
from kemi.effects import Log
from kemi.errors import SipError, SubscriptionDoesNotExist
from kemi.event_package import WATCHER_INFORMATION, Decision
from kemi.gateway import authentication
from kemi.handler import Handler
from kemi.parameters import NAME
from kemi.settings import Settings

T = TypeVar("T")

TRUE: Final = 1
FALSE: Final = -1
END: Final = 0

DOMAIN: Final = "registrar"
"""SER's name for the presentities whose contacts the registrar has; its other one, jabber, is not there."""

REJECTED: Final = "rejected"
PENDING: Final = "pending"
WORDS: Final = (PENDING, "active", REJECTED, "terminated")
"""Subscription statuses; any other word means pending."""


class Mistake(SipError):
    """500: the script calls a function as it must not be called."""


def unknown(name: str, *_arguments: object) -> int:
    """False; the log says what the script wants to call."""
    gateway.error(f"kemi-presence: the configuration calls {name}, which is no function of this server (docs/functions.md)")
    return FALSE


class OfMessage(Generic[T]):
    """What is known of the message that is worked on; of any other nothing is."""

    def __init__(self) -> None:
        self._number = -1
        self._value: T | None = None

    def keep(self, value: T) -> None:
        """From now on this is known of the message that is worked on."""
        self._number, self._value = gateway.message_number(), value

    @property
    def kept(self) -> T | None:
        """What was kept of the message that is worked on; None: nothing."""
        return self._value if self._number == gateway.message_number() else None


class Script(Handler):
    """The callbacks, and the functions for scripts; one object in each of Kamailio's processes.

    `_word` says what became of the subscription of a SUBSCRIBE that was handled, one of WORDS; "" of one that came again.
    """

    def __init__(self, configured: Settings, secret: bytes) -> None:
        super().__init__(configured, secret)
        self._word = OfMessage[str]()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., int]:
            """Stands for a function that is not here: once Kamailio 5.6 has missed one, it calls nothing there any more."""
            if name.startswith("_"):
                raise AttributeError(name)
            return partial(unknown, name)

    def handle_subscription(self, msg: object, domain: str = DOMAIN) -> int:
        """SUBSCRIBE, of any event package that is served. True: a 2xx was sent; false: a refusal or a challenge."""
        self._handled = None
        result = self._handle("SUBSCRIBE", domain, partial(self._event, "SUBSCRIBE", in_script=True))
        self._remember(REJECTED if result == FALSE else "")
        return result

    def handle_publish(self, msg: object, domain: str = DOMAIN) -> int:
        """PUBLISH. True: a 2xx was sent; false: a refusal or a challenge."""
        return self._handle("PUBLISH", domain, partial(self._event, "PUBLISH", in_script=True))

    def handle_registration(self, msg: object, domain: str = DOMAIN) -> int:
        """REGISTER, instead of `save("location")`: Kamailio's registrar saves it, and presence knows. True: it was saved."""
        return self._handle("REGISTER", domain, partial(self._register, in_script=True))

    def handle_options(self, msg: object) -> int:
        """OPTIONS for this server: what is served here. presencectl tells the server by OPTIONS that something is to be told."""
        return self._handle("OPTIONS", DOMAIN, self._options)

    def handle_notify(self, msg: object) -> int:
        """NOTIFY in a subscription of the server's own (SER handbook section 7.3). True: 200; false: 481, or another refusal."""
        return self._handle("NOTIFY", DOMAIN, self._heard)

    def target_online(self, msg: object, domain: str = DOMAIN) -> int:
        """Whether the presentity of the request has an open tuple, registered or published."""
        return self._asking(domain, lambda: self._is_online(self._target()))

    def check_subscription_status(self, msg: object, status: str) -> int:
        """Whether the SUBSCRIBE that was just handled left its subscription with this status."""
        wanted = status.strip().lower()
        return TRUE if self._word.kept == (wanted if wanted in WORDS else PENDING) else FALSE

    def store_winfo(self, msg: object, domain: str = DOMAIN) -> int:
        """Remember the watcher of the SUBSCRIBE that was just handled, for a presentity that is away."""
        return self._asking(domain, self._store_watcher)

    def dump_stored_winfo(self, msg: object, arguments: str) -> int:
        """Have remembered watchers told to the presentity. Arguments: domain, package. False: it does not watch its watchers."""
        domain, _, package = (each.strip() for each in arguments.partition(","))
        return self._asking(domain, partial(self._tell_watchers, package))

    def authorize_message(self, msg: object, document: str = "") -> int:
        """Whether the rules of the recipient let a message through. True: they do; false: they block it, 403 is for the script.

        0: it was answered: 401, 480, 503, 200 for polite-block, or another refusal.

        Args:
            document: the one that has the rules, as im-rules.xml (SER handbook section 10.2); "": as `kemi.message` has it.
        """
        result = self._answering(partial(self._ask_rules, document.strip()))
        return END if result is None else result

    def _ask_rules(self, document: str) -> int:
        """The recipient is whom the Request-URI names; if lookup("location") has written a contact there, whom it named before."""
        if document and not re.fullmatch(NAME[0], document):
            raise Mistake(f"authorize_message: {document!r} is no name of a document")
        self._take_changes()
        uris = (gateway.request_uri(), gateway.field("$ou") or "")
        recipient = next(filter(None, (message.recipient_of(self.realm, uri) for uri in uris)), "")
        senders = self._senders() if recipient else ()
        if not senders:
            return END if recipient else TRUE
        verdict = self._verdict(senders, recipient, document)
        if verdict.decision is Decision.BLOCK:
            self._execute([Log(f"message blocked: recipient={recipient} sender={senders[0]}")])
            return FALSE
        answer = message.answer(self.settings, verdict, senders, recipient)
        self._execute(answer)
        return END if answer else TRUE

    def _senders(self) -> tuple[str, ...]:
        """Who sent it; none: it was answered. Where a password is to be checked the request gets its transaction."""
        source = gateway.text("$si")
        is_known = authentication.named(self.realm) or self._is_trusted(source)
        if not is_known and not gateway.begin_transaction():
            return ()
        senders = self._identities(source, gateway.field("$fu") or "", in_script=True)
        if senders:
            authentication.forget(self.realm, bool(is_known))
        return senders

    def _heard(self) -> bool:
        if not self._hear():
            raise SubscriptionDoesNotExist("no subscription of this server")
        return True

    def _options(self) -> bool:
        self._answer_options()
        return True

    def _remember(self, otherwise: str) -> None:
        """What became of the SUBSCRIBE, for the functions that follow; `otherwise` where it did not get to a subscription."""
        self._word.keep(self._handled.word if self._handled is not None else otherwise)

    def _handle(self, method: str, domain: str, work: Callable[[], bool]) -> int:
        if not gateway.begin_transaction():
            return END

        def checked() -> bool:
            check_domain(domain)
            if gateway.text("$rm") != method:
                raise Mistake(f"this function handles {method}")
            self._take_changes()
            return work()

        return TRUE if self._answering(checked) else FALSE

    def _asking(self, domain: str, work: Callable[[], bool]) -> int:
        """Run work that answers nothing; what escapes is logged, and false."""
        try:
            check_domain(domain)
            self._take_changes()
            return TRUE if again(work) else FALSE
        except (SipError, Unavailable) as problem:
            gateway.error(f"script function: {problem}")
            return FALSE

    def _target(self) -> str:
        """Canonical URI of the presentity: the Request-URI's, for REGISTER that of To."""
        uri = gateway.field("$tu") if gateway.text("$rm") == "REGISTER" else gateway.request_uri()
        return self.realm.presentity(uri or "")

    def _store_watcher(self) -> bool:
        handled = self._handled if self._word.kept is not None else None
        if handled is None or handled.word == REJECTED:
            raise Mistake("store_winfo: no SUBSCRIBE was accepted before it")
        return offline_winfo.store(self._moment(), handled.subscription)

    def _tell_watchers(self, package: str) -> bool:
        if package + WATCHER_INFORMATION not in self.packages:
            raise Mistake(f"dump_stored_winfo: {package!r} has no watcher information; presence is an event package")
        told, effects = offline_winfo.tell(self._moment(), package, self._target())
        self._execute(effects)
        return told


def check_domain(domain: str) -> None:
    """There is one set of presentities.

    Raises:
        Mistake: the script names another one.
    """
    if domain.strip().lower() != DOMAIN:
        raise Mistake(f"there is no domain {domain!r} of presentities; the only one is {DOMAIN!r}")
