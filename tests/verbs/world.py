"""A presentity's world for tests: a real database, a clock that is turned by hand, and the verbs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kemi import database, notify, schema, sip, store, subscribe, sweep
from kemi.answer import Answer
from kemi.database import NOTHING, Database, Parameters, Result, Row
from kemi.effects import Effect, Reply, SendRequest
from kemi.errors import SipError
from kemi.event_package import LIST, Authorization, Authorize, Decision, EventPackage
from kemi.moment import Moment
from kemi.presence import expire, publication, publish
from kemi.presence.package import PRESENCE
from kemi.presence.publication import Publication
from kemi.rls import source, target
from kemi.rls.package import with_lists
from kemi.rls.source import NotFetchedYet
from kemi.settings import Settings
from kemi.subscription import Subscription
from kemi.watcher_information import with_templates
from tests.unit.values import ALICE, BOB, NOW, PUBLISH, SUBSCRIBE, fields_of, pidf, settings_of

SECRET = bytes(32)
DEPTH = 2
"""presence.winfo and presence.winfo.winfo."""

TABLES = (
    "publication", "removal", "subscription", "subscriber", "watcher", "location", "decision", "xcap_document", "xcap_service",
    "xcap_change", "fetched", "list_document", "presentity_root", "asserted_identity",
)  # fmt: skip


@dataclass(frozen=True)
class Accepted:
    """What became of a request that got a 2xx."""

    reply: Reply
    effects: list[Effect]

    def header(self, name: str) -> str:
        (value,) = (value for key, value in self.reply.headers if key == name)
        return value

    @property
    def tag(self) -> str:
        return self.header("SIP-ETag")

    @property
    def sent(self) -> list[SendRequest]:
        return [effect for effect in self.effects if isinstance(effect, SendRequest)]

    @property
    def dialog(self) -> str:
        (request,) = self.sent
        return request.id


class World:
    """One connection to the database, and the time of this test."""

    def __init__(self, url: str, **pa: Any) -> None:
        self.url = url
        self.settings: Settings = settings_of(url, **pa)
        self.database: Database = database.connect(self.settings)
        self.packages: dict[str, EventPackage] = with_lists(with_templates([PRESENCE], DEPTH))
        self.now = NOW
        self.unsent: set[float] = set()
        self._cseq = 0

    @property
    def moment(self) -> Moment:
        """What verbs are given."""
        return Moment(self.database, self.settings, self.packages, self.now)

    def empty(self) -> "World":
        schema.migrate(self.database)
        for table in TABLES:
            self.database.script(f"DELETE FROM {table}")
        return self

    def set(self, **pa: Any) -> None:
        self.settings = replace(self.settings, pa=replace(self.settings.pa, **pa))

    def set_lists(self, **rls: Any) -> None:
        self.settings = replace(self.settings, rls=replace(self.settings.rls, **rls))

    def decide(self, decision: Decision) -> None:
        """What the presentity's rules say of everybody from now on."""
        rules = {"authorize": same_for_all(decision), "authorize_members": None}
        self.packages = with_lists(
            {name: each for name, each in self.packages.items() if not each.is_list}
            | {"presence": replace(self.packages["presence"], **rules)}
        )

    def serve(self, **changes: Any) -> None:
        """Serve another package, one that differs from presence in these."""
        package = replace(PRESENCE, **changes)
        self.packages[package.name] = package

    @contextmanager
    def counted(self) -> Iterator[list[str]]:
        """The statements that are run inside, by name."""
        plain, counting = self.database, Counting(self.database)
        self.database = counting
        try:
            yield counting.names
        finally:
            self.database = plain

    # Requests

    def publish(self, body: bytes | None = None, tag: str | None = None, presentity: str = ALICE, **changes: Any) -> Accepted:
        """One PUBLISH, every time another one. Raises what it is refused with."""
        self._cseq += 1
        changes = {"cseq": self._cseq, "branch": f"z9hG4bK-{id(self)}-{self._cseq}"} | changes
        request = PUBLISH._replace(uri=presentity, entity_tag=tag, body=pidf("t1") if body is None else body, **changes)
        return self.publish_request(request, presentity)

    def publish_request(self, request: sip.Request, presentity: str = ALICE) -> Accepted:
        etag = publication.entity_tag_for(request, SECRET)
        effects = publish.publish(self.moment, request, presentity, etag)
        return accepted(effects)

    def subscribe(self, watcher: str = BOB, resource: str = ALICE, chosen: str | None = None, **changes: Any) -> Accepted:
        """A SUBSCRIBE for a new dialog, every time another one; to a list that a script has chosen."""
        self._cseq += 1
        changes = {"call_id": f"call-{id(self)}-{self._cseq}", "from_uri": watcher, "uri": resource, "to_uri": resource} | changes
        return self.subscribe_request(SUBSCRIBE._replace(**changes), watcher, resource, chosen)

    def subscribe_request(
        self, request: sip.Request, watcher: str = BOB, resource: str = ALICE, chosen: str | None = None
    ) -> Accepted:
        is_list = chosen is not None or self._is_for_list(request, watcher, resource)
        tag = subscribe.tag_of(request, SECRET, is_list, target.supports_lists(request))
        try:
            return accepted(subscribe.subscribe(self.moment, request, resource, watcher, tag, chosen or ""))
        except NotFetchedYet as refusal:
            source.ask(self.moment, refusal.wanted)
            raise

    def _is_for_list(self, request: sip.Request, watcher: str, resource: str) -> bool:
        return target.is_for_list(self.moment, request, watcher, resource)

    def refresh(self, dialog: str, **changes: Any) -> Accepted:
        """A SUBSCRIBE in the dialog, its CSeq one higher."""
        known = self.subscription(dialog)
        package = known.package.removesuffix(LIST)
        event = package if known.event_id is None else f"{package};id={known.event_id}"
        request = SUBSCRIBE._replace(
            event=event,
            uri=known.resource, from_uri=known.remote_uri, from_tag=known.remote_tag, to_tag=dialog,
            call_id=known.call_id, cseq=known.remote_cseq + 1, contact=f"<{known.remote_target}>", branch=f"{known.branch}-r",
        )  # fmt: skip
        return self.subscribe_request(request._replace(**changes), known.watcher, "")

    # What time and answers do

    def notifier(self, *answers: Answer) -> list[SendRequest]:
        """One round of the notifier: what it sends."""
        effects, _more = notify.notify(self.moment, answers, self.unsent)
        return [effect for effect in effects if isinstance(effect, SendRequest)]

    def answer(self, request: SendRequest, status: int = 200, **more: Any) -> list[SendRequest]:
        """One NOTIFY is answered, and the notifier goes on."""
        return self.notifier(Answer(request.id, request.cseq, status, **more))

    def watch(self, watcher: str = BOB, **changes: Any) -> str:
        """A subscription whose first NOTIFY is answered; its dialog."""
        (first,) = self.subscribe(watcher, **changes).sent
        assert self.answer(first) == []
        return first.id

    def told(self) -> list[SendRequest]:
        """What the notifier sends now; every one is answered 200."""
        sent = self.notifier()
        if sent:
            assert self.notifier(*(Answer(each.id, each.cseq, 200) for each in sent)) == []
        return sent

    def tick(self) -> list[Effect]:
        return [*sweep.sweep(self.moment), *self.expire()]

    def expire(self) -> list[Effect]:
        return expire.expire(self.moment)

    # What is stored

    def subscription(self, dialog: str) -> Subscription:
        with self.database.transaction():
            found = store.load(self.database, dialog)
        assert found is not None
        return found

    def has_subscription(self, dialog: str) -> bool:
        with self.database.transaction():
            return store.load(self.database, dialog) is not None

    def publications(self, presentity: str = ALICE, package: str = "presence", at: float = 0.0) -> list[Publication]:
        """Rows, whether live or not."""
        from kemi.presence import store as publications

        return publications.load_many(self.database, package, [presentity], at)

    def close(self) -> None:
        self.database.close()


def accepted(effects: list[Effect]) -> Accepted:
    """The one 2xx among the effects; a refusal that comes as a reply is raised like any other."""
    (reply,) = (effect for effect in effects if isinstance(effect, Reply))
    if reply.status >= 300:
        raise Refused(reply, effects)
    assert effects[0] is reply
    return Accepted(reply, effects)


def same_for_all(decision: Decision) -> Authorize:
    """Rules that say the same of everybody."""
    return lambda _at, watchers, _resource: dict.fromkeys(watchers, Authorization(decision))


class Refused(SipError):
    """A refusal that was committed: something is to be done besides."""

    def __init__(self, reply: Reply, effects: list[Effect]) -> None:
        super().__init__(reply.reason, reply.headers)
        self.status = reply.status
        self.effects = effects


def state_of(request: SendRequest) -> str:
    """Subscription-State of a NOTIFY."""
    (value,) = fields_of(request.headers)["Subscription-State"]
    return value


def tag_of(request: SendRequest) -> str:
    """SIP-ETag of a NOTIFY."""
    (tag,) = fields_of(request.headers)["SIP-ETag"]
    return tag


class Counting:
    """A database that remembers which statements were run."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.engine = inner.engine
        self.names: list[str] = []
        self.transaction, self.foresee = inner.transaction, inner.foresee
        self.tidy, self.script, self.close = inner.tidy, inner.script, inner.close

    def execute(self, name: str, parameters: Parameters = NOTHING, rows: Sequence[Row] = ()) -> Result:
        self.names.append(name)
        return self._inner.execute(name, parameters, rows)

    def lock(self, resource: str) -> None:
        self.names.append("lock")
        self._inner.lock(resource)
