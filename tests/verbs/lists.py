"""A world whose users have lists, kept by our own XCAP server, and what those who watch them know."""

from collections.abc import Iterable
from html import escape
from typing import Any

from kemi import administration, consequences
from kemi.answer import Answer
from kemi.effects import Effect, SendRequest
from kemi.event_package import Decision
from kemi.xcap.serve import Change
from tests.multipart import Reader, Told
from tests.unit.values import ALICE, BOB, fields_of, pidf
from tests.verbs.world import Accepted, World, state_of
from tests.verbs.xcap import ROOT, Client

LISTS = "urn:ietf:params:xml:ns:resource-lists"
ACCEPT = "application/pidf+xml, application/rlmi+xml, multipart/related"
ROUNDS = 3
"""Rounds of the notifier in which nothing is sent may pass news on, one for each level of lists."""

FRIENDS = "sip:friends@example.org"


def user(number: int) -> str:
    """One of many."""
    return f"sip:user{number:03}@example.org"


def entries(uris: Iterable[str]) -> str:
    """Members of a list."""
    return "".join(f'<entry uri="{escape(each)}"/>' for each in uris)


def services(*lists: tuple[str, str], packages: str = "") -> bytes:
    """An rls-services document: URI and content of each list."""
    start = '<list xmlns:rl="urn:ietf:params:xml:ns:resource-lists">'
    inside = "".join(f'<service uri="{uri}">{start}{_qualified(content)}</list>{packages}</service>' for uri, content in lists)
    return f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{inside}</rls-services>'.encode()


def _qualified(content: str) -> str:
    for name in ("entry-ref", "entry", "external", "display-name", "list"):
        for tag in (f"{name} ", f"{name}>"):
            content = content.replace(f"<{tag}", f"<rl:{tag}")
        content = content.replace(f"</{name}>", f"</rl:{name}>")
    return content


class Lists:
    """The lists of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.effects: list[Effect] = []

    def put(self, *uris: str, owner: str = BOB, uri: str = FRIENDS, content: str = "", **more: Any) -> None:
        """A user's only service is one with these members."""
        self.put_services((uri, entries(uris) + content), owner=owner, **more)

    def put_services(self, *lists: tuple[str, str], owner: str = BOB, **more: Any) -> None:
        self.write("PUT", f"{ROOT}/rls-services/users/{owner}/index", services(*lists, **more), owner)

    def put_lists(self, content: str, owner: str = BOB) -> None:
        """A user's resource-lists document."""
        body = f'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">{content}</resource-lists>'.encode()
        self.write("PUT", f"{ROOT}/resource-lists/users/{owner}/index", body, owner)

    def write(self, method: str, path: str, body: bytes, owner: str) -> None:
        client = Client(self.world, owner)
        client._changed = self._changed  # type: ignore[method-assign]
        reply = client.put(path, body) if method == "PUT" else client.delete(path)
        assert reply.status in (200, 201), reply

    def _changed(self, change: Change) -> list[Effect]:
        world = self.world
        self.effects = consequences.follow(world.moment)(change)
        return []

    def subscribe(self, watcher: str = BOB, uri: str = FRIENDS, **changes: Any) -> Accepted:
        """A SUBSCRIBE that supports lists."""
        return self.world.subscribe(watcher, uri, **{"supported": "eventlist", "accept": ACCEPT} | changes)

    def watch(self, *members: str, watcher: str = BOB, uri: str = FRIENDS, **changes: Any) -> "Subscriber":
        """A subscription to a list, its first NOTIFY told."""
        subscriber = Subscriber(self.world, self.dialog(self.subscribe(watcher, uri, **changes)), members)
        subscriber.told()
        return subscriber

    def dialog(self, accepted: Accepted) -> str:
        """The dialog that was opened; its first NOTIFY is the notifier's."""
        assert accepted.sent == []
        status = next(each for each in accepted.effects if hasattr(each, "subscription"))
        return str(status.subscription.id)  # type: ignore[union-attr]


class Subscriber:
    """One who watches a list: checks every NOTIFY as it comes, and remembers what it was told."""

    def __init__(self, world: World, dialog: str, members: Iterable[str] = (), **reader: Any) -> None:
        self.world, self.dialog = world, dialog
        self.reader = Reader(list(members) or None, **reader)
        self.last: Told | None = None
        self.requests: list[SendRequest] = []

    def take(self, request: SendRequest) -> Told:
        fields = fields_of(request.headers)
        assert fields["Require"] == ["eventlist"]
        self.last = self.reader.take(fields["Content-Type"][0], request.body)
        self.requests.append(request)
        return self.last

    def told(self) -> list[Told]:
        """What the notifier tells it now; all is answered, others' NOTIFYs are not looked at."""
        found, silent = [], 0
        while silent < ROUNDS:
            sent = self.world.told()
            found += [self.take(each) for each in sent if each.id == self.dialog and each.body]
            silent = 0 if sent else silent + 1
        return found

    def refresh(self, **changes: Any) -> Accepted:
        return self.world.refresh(self.dialog, **{"supported": "eventlist", "accept": ACCEPT} | changes)

    @property
    def state(self) -> str:
        return state_of(self.requests[-1])

    def said(self) -> dict[str, tuple[str, str | None]]:
        """State and reason of each resource that has an instance, as of all NOTIFYs so far."""
        return {uri: instance.said for uri, instance in self.reader.instances()}


def notes(told: Told) -> dict[str, str]:
    """What each resource with a document says."""
    bodies = {each.uri: each.instances[0].body for each in told.resources if each.instances}
    return {uri: body.decode().partition("<note>")[2].partition("<")[0] for uri, body in bodies.items() if isinstance(body, bytes)}


def publish(lists: Lists, presentity: str, note: str) -> None:
    lists.world.publish(pidf("t1", note=note), presentity=presentity)


def decide(lists: Lists, watcher: str, decision: Decision | None, member: str = ALICE) -> None:
    """What management says of a watcher of a member."""
    world = lists.world
    administration.decide(world.moment, "presence", member, watcher, decision)


def passing(lists: Lists, subscriber: Subscriber, seconds: int) -> list[int]:
    """Seconds go by one by one; when something was told."""
    times = []
    for second in range(1, seconds + 1):
        lists.world.now += 1
        lists.world.tick()
        times += [second for _ in subscriber.told()]
    return times


def all_told(lists: Lists, subscriber: Subscriber) -> list[Told]:
    """What is told until there is nothing more, each NOTIFY as soon as the one before is answered."""
    told: list[Told] = []
    answers: list[Answer] = []
    silent = 0
    while silent < 3 or answers:
        sent = lists.world.notifier(*answers)
        told += [subscriber.take(each) for each in sent]
        answers = [Answer(each.id, each.cseq, 200) for each in sent]
        silent = 0 if sent else silent + 1
    return told
