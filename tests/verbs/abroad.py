"""A world with somebody elsewhere: our server, and what the tests let another one say."""

from dataclasses import replace
from typing import Any

from kemi import sip
from kemi.b2bua import notified, outside, relay, sending, store
from kemi.b2bua.foreign import with_foreign, with_foreign_lists
from kemi.b2bua.happening import Setting
from kemi.b2bua.outgoing import BETWEEN_TAGS, Answered, Key, Outgoing
from kemi.b2bua.request import Ourselves
from kemi.effects import Effect, Reply, SendRequest
from kemi.identity import realm
from kemi.packages import dialog
from kemi.parameters import B2buaSettings
from kemi.presence import subscribed
from kemi.presence.package import PRESENCE
from kemi.rls.package import with_lists
from kemi.watcher_information import with_templates
from tests.unit.values import BOB, PIDF, fields_of, token_of
from tests.verbs.world import DEPTH, SECRET, Accepted, World

DAN, EVE = "sip:dan@far.example.net", "sip:eve@far.example.net"
FAR = "<sip:dan@203.0.113.7:5060>"
NOTIFY = sip.Request(
    method="NOTIFY", cseq=1, source_address="203.0.113.7", source_port=5060, transport="udp", uri="sip:192.0.2.1",
    from_uri=DAN, from_tag="far", to_uri=BOB, event="presence", contact=FAR,
)  # fmt: skip
DOCUMENT = b'<?xml version="1.0"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:dan@far.example.net"/>\n'


class Abroad(World):
    """Users of far.example.net can be watched from here."""

    def __init__(self, url: str, **b2b: Any) -> None:
        super().__init__(url, notify_interval=0)
        self.parameters({"domains": "far.example.net, other.example.net"} | b2b)
        self.number = 0
        self.secrets: tuple[Any, ...] = ()

    def parameters(self, b2b: dict[str, Any]) -> None:
        self.settings = replace(self.settings, b2b=replace(self.settings.b2b or B2buaSettings(), **b2b))
        packages = with_lists(with_foreign(with_templates([PRESENCE, dialog.PACKAGE], DEPTH), self.settings))
        self.packages = with_foreign_lists(packages, self.settings)

    def empty(self) -> "Abroad":
        super().empty()
        self.database.script("DELETE FROM outgoing")
        return self

    @property
    def us(self) -> Ourselves:
        return outside.ourselves(self.settings, relay.name_of(SECRET))._replace(secrets=self.secrets)

    @property
    def at(self) -> Setting:
        return Setting(*self.moment, self.us, subscribed.show)

    def chance(self) -> str:
        self.number += 1
        return token_of(self.number)

    def watch_abroad(self, watcher: str = BOB, resource: str = DAN, wish: relay.Wish | None = None, **changes: Any) -> Accepted:
        """A local watcher's SUBSCRIBE to somebody elsewhere."""
        known = relay.elsewhere(self.settings, realm(self.settings), resource)
        assert known == resource
        package = changes.get("event", "presence")
        arguments = (watcher, resource, package, wish or relay.Wish("tag"), relay.name_of(SECRET))
        relay.want(self.moment, *arguments)
        return self.subscribe(watcher, resource, **changes)

    def round(self, *answers: Answered, limit: int = 1000) -> list[SendRequest]:
        """One round of the sender: what it sends."""
        effects, _due = sending.send(self.at, answers, self.chance, limit)
        return requests(effects)

    def sweep_abroad(self) -> list[SendRequest]:
        return requests(sending.sweep(self.at, self.chance))

    def answered(self, request: SendRequest, status: int = 200, **more: Any) -> list[SendRequest]:
        dialog, _, tag = request.id.partition(BETWEEN_TAGS)
        return self.round(Answered(dialog, request.cseq, status, **({"to_tag": tag} | more)))

    def notify_from_far(
        self, asked: SendRequest, state: str = "active;expires=3600", body: bytes = DOCUMENT, **changes: Any
    ) -> list[SendRequest]:
        """A NOTIFY comes in this dialog; what is sent at once besides the 200."""
        effects = self.far(asked, state, body, **changes)
        assert isinstance(effects[0], Reply)
        assert effects[0].status == 200
        return requests(effects)

    def far(self, asked: SendRequest, state: str = "active;expires=3600", body: bytes = DOCUMENT, **changes: Any) -> list[Effect]:
        fields = fields_of(asked.headers)
        dialog, _, tag = asked.id.partition(BETWEEN_TAGS)
        from_tag = changes.get("from_tag", tag or "far")
        known = self.of_dialog(dialog, from_tag)
        given = {
            "to_tag": dialog, "from_tag": from_tag, "call_id": fields["Call-ID"][0],
            "cseq": max(1, known.remote_cseq + 1) if known else 1,
            "subscription_state": state, "body": body, "content_type": PIDF if body else None,
        }  # fmt: skip
        return notified.notified(self.at, NOTIFY._replace(**(given | changes)), self.chance())

    def established(self, watcher: str = BOB, resource: str = DAN, **changes: Any) -> tuple[str, SendRequest]:
        """A local subscription, and the remote one that it hangs on; both are told."""
        local = self.watch_abroad(watcher, resource, **changes)
        assert self.answer(local.sent[0]) == []
        asked = self.asked_and_told()
        self.told()
        return local.dialog, asked

    def asked_and_told(self) -> SendRequest:
        """The one SUBSCRIBE that is due goes out and is accepted, and a NOTIFY comes."""
        (asked,) = self.round()
        assert self.answered(asked, expires=3600) == []
        self.notify_from_far(asked)
        return asked

    def outgoing(self, watcher: str = BOB, resource: str = DAN, package: str = "presence") -> Outgoing | None:
        return store.look(self.database, Key(watcher, resource, package))

    def known(self, watcher: str = BOB, resource: str = DAN, package: str = "presence") -> Outgoing:
        found = self.outgoing(watcher, resource, package)
        assert found is not None
        return found

    def of_dialog(self, dialog: str, remote_tag: str = "far") -> Outgoing | None:
        """The fork with that tag, else the first one."""
        with self.database.transaction():
            found = store.of_dialog(self.database, dialog, remote_tag)
        return found[-1] if found else None


def answer(effects: list[Effect]) -> int:
    """Status that a NOTIFY is answered with."""
    assert isinstance(effects[0], Reply)
    return effects[0].status


def requests(effects: list[Effect]) -> list[SendRequest]:
    return [each for each in effects if isinstance(each, SendRequest)]
