"""SER's script functions for lists of resources (SER handbook section 6.4), beside those of `kemi.ser`.

    if (python_exec("is_simple_rls_target", "$$uid-list")) {
        python_exec("query_resource_list", "friends");
    }
    if (python_exec("have_flat_list") || python_exec("query_rls_services")) {
        python_exec("handle_rls_subscription", "1");
        exit;
    }

A query finds out which list the request that is worked on is for; the subscription is then made of that one. Lists are private:
who asks has to be known, so a query may send a challenge.

`handle_rls_subscription`                                          answered       value
-----------------------------------------------------------------  -------------  -----------------------
2xx; refused as a list's: 403, 413, 415, 420, 423, 500, 502, 503   always         true
it is for no list, or cannot be read as one (LEFT)                 only with "1"  false
401                                                                always         0, which ends the route
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from kemi import gateway, ser, sip, store, subscribe
from kemi.asked import asked_of
from kemi.database import again
from kemi.errors import ExtensionRequired, NotFound, SipError, SubscriptionDoesNotExist
from kemi.gateway import authentication
from kemi.rls import recipient_list, service, source, target
from kemi.ser import END, FALSE, TRUE, Mistake, OfMessage
from kemi.settings import Settings

LEFT: Final = frozenset({400, 404, 406, 421, 481, 489})
"""Refusals that are left to others, as `handle_subscription`, where the script wants that."""


class Script(ser.Script):
    """The callbacks, and the functions of `kemi.ser` and for lists; one object in each of Kamailio's processes.

    `_chosen` is what names the list that a query has found (`Subscription.body`), "": the URI does. `_known` is who sent the
    message: a password is checked once, as a nonce count that comes twice is refused.
    """

    def __init__(self, configured: Settings, secret: bytes) -> None:
        super().__init__(configured, secret)
        self._chosen = OfMessage[str | None]()
        self._known = OfMessage[tuple[str, ...]]()

    def is_simple_rls_target(self, msg: object, template: str = "") -> int:
        """Whether the Request-URI is that of the sender's own list: the template with the sender's name for $uid.

        Args:
            template: user part of such URIs, $uid-list for one, where a script writes $$ for $; "": `rls.simple_list`.
        """
        return self._asking_about_lists(partial(self._is_simple, template.strip()))

    def query_resource_list(self, msg: object, name: str = "") -> int:
        """Find a list of the sender's own resource-lists document: a top-level one by its name, "" for all of them together."""
        return self._query(partial(self._own_list, name.strip()))

    def query_rls_services(self, msg: object) -> int:
        """Find the list whose URI is the Request-URI (RFC 4826 section 4.5)."""
        return self._query(self._service)

    def have_flat_list(self, msg: object) -> int:
        """Whether a query has found a list for the request that is worked on."""
        return TRUE if self._chosen.kept is not None else FALSE

    def handle_rls_subscription(self, msg: object, send_errors: str = "1") -> int:
        """SUBSCRIBE to the list that a query has found, else to that of the Request-URI or of the request itself; or in a dialog.

        Args:
            send_errors: "0": what is for no list is left unanswered, and false.
        """
        if not gateway.begin_transaction():
            return END
        self._handled = None
        result = self._answering(partial(self._handle_list, send_errors.strip()))
        return TRUE if result is None else result

    def _identities(self, source: str, from_uri: str, in_script: bool = False) -> tuple[str, ...]:
        if in_script and (known := self._known.kept) and not authentication.named(self.realm):
            return known
        found = super()._identities(source, from_uri, in_script)
        if in_script and found:
            self._known.keep(found)
        return found

    def _is_simple(self, template: str) -> bool:
        sender = authentication.named(self.realm) or self.realm.address_of_record(gateway.field("$fu") or "")
        wanted = template or self.settings.rls.simple_list
        return bool(wanted) and service.is_implicit(wanted, sender, self._target())

    def _asking_about_lists(self, work: Callable[[], bool]) -> int:
        """What cannot be a list's URI is none, without a word."""
        try:
            self._take_changes()
            return TRUE if work() else FALSE
        except SipError:
            return FALSE

    def _query(self, look: Callable[[str], str | None]) -> int:
        """Look for a list, and remember it."""
        self._chosen.keep(None)
        result = self._answering(partial(self._look, look))
        return END if result is None else result

    def _look(self, look: Callable[[str], str | None]) -> int:
        self._take_changes()
        who = self._asker()
        if who is None:
            return END
        try:
            body = again(partial(look, who))
        except NotFound:
            body = None
        if body is None:
            return FALSE
        self._chosen.keep(body)
        return TRUE

    def _asker(self) -> str | None:
        """Who sent the request; None: it was answered. Where a password is to be checked it gets its transaction."""
        address = gateway.text("$si")
        is_known = authentication.named(self.realm) or self._is_trusted(address)
        if not is_known and not gateway.begin_transaction():
            return None
        return self._who(address, gateway.field("$fu") or "", in_script=True)

    def _own_list(self, name: str, who: str) -> str | None:
        is_there = source.has_list(self._there(), who, name)
        return source.Chosen(name=name).as_text() if is_there else None

    def _service(self, who: str) -> str | None:
        return "" if source.is_list(self._there(), who, self._target()) else None

    def _handle_list(self, send_errors: str) -> int:
        if send_errors not in ("0", "1") or gateway.text("$rm") != "SUBSCRIBE":
            raise Mistake('handle_rls_subscription handles SUBSCRIBE, and takes "0" or "1"')
        self._take_changes()
        try:
            request = gateway.read_request("SUBSCRIBE")
            self._require_list_dialog(request)
            who = self._watcher(request.source_address, request.from_uri, in_script=True)
            if who is None:
                return END
            chosen = self._list_of(request, who)
            asked_of(request, self.settings, self.packages, is_list=True)
        except SipError as refusal:
            if refusal.status not in LEFT:
                raise
            if send_errors == "1":
                self._refuse(refusal)
            return FALSE
        self._subscribe(request, who, chosen)
        return TRUE

    def _require_list_dialog(self, request: sip.Request) -> None:
        """Before who asks is known: what is in a dialog is for somebody else to answer, unless that is a list's."""
        if not request.to_tag:
            return
        if subscribe.is_list_tag(request.to_tag):
            with self.database.transaction():
                if store.load(self.database, request.to_tag) is not None:
                    return
        raise SubscriptionDoesNotExist("no subscription to a list has these tags")

    def _list_of(self, request: sip.Request, who: str) -> str | None:
        """What names the list, for a new subscription; None: the request brings it, or it is in a dialog."""
        if request.to_tag or recipient_list.is_asked(request.require):
            return None
        body = self._chosen.kept
        if body is None and (body := self._service(who)) is None:
            raise NotFound("there is no such list")
        if not target.supports_lists(request):
            raise ExtensionRequired((target.EVENT_LIST,), "this is a list, and the client does not support lists")
        return body
