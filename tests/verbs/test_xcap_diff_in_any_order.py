"""Whatever order documents, answers and time come in: a client that does what it is told has what the server has."""

from collections.abc import Callable
from random import Random

import pytest
from lxml import etree

from kemi.answer import Answer
from kemi.effects import SendRequest
from tests.unit.xcap.patching import Patched, canonical
from tests.verbs.diffing import HOME, User
from tests.verbs.world import World
from tests.verbs.xcap import CAROL, ENTRY, LISTS, ROOT
from tests.xcapdiff import Part, read

NAMES = ("index", "other", "third")
ELEMENT = f"{HOME}index{CAROL}"
MODES = ("", "xcap-patching", "aggregate")
STEPS = 200
STATUSES = (*[200] * 8, 500, 503)


class Reader:
    """What one client has of alice's documents. A document is fetched when there are no operations that lead to it."""

    def __init__(self, alice: User) -> None:
        self.alice = alice
        self.documents: dict[str, tuple[str, bytes]] = {}
        self.element: str | None = None
        self.patched = 0

    def take(self, body: str, is_first: bool) -> None:
        told = read(body)
        if is_first:
            self.documents, self.element = {}, None
        for part in told.parts:
            if part.kind == "element":
                self.element = part.inside if part.exists else None
            else:
                self.take_document(part)

    def take_document(self, part: Part) -> None:
        etag, known = self.documents.pop(part.sel, ("", b""))
        if part.new is None:
            return
        if part.previous and part.previous == etag and part.inside:
            self.documents[part.sel] = part.new, self.after(known, part)
            self.patched += 1
        else:
            reply = self.alice.get(f"{ROOT}/{part.sel}")
            if reply.status == 200:
                self.documents[part.sel] = dict(reply.headers)["ETag"].strip('"'), reply.body

    def after(self, known: bytes, part: Part) -> bytes:
        patched = Patched(known)
        for operation in part.source if part.inside != "body-not-changed" and part.source is not None else ():
            patched.apply(operation)
        return patched.octets


class Story:
    """Alice writes; each of her clients is told in another mode."""

    def __init__(self, world: World, seed: int) -> None:
        self.chance = Random(seed)
        self.alice = User(world)
        self.world = world
        self.in_flight: dict[str, SendRequest] = {}
        self.readers = {self.start(mode): Reader(self.alice) for mode in MODES}
        self.first = set(self.readers)

    def start(self, mode: str) -> str:
        (first,) = self.alice.subscribe(HOME, ELEMENT, mode=mode).sent
        self.sent([first])
        return first.id

    def sent(self, requests: list[SendRequest]) -> None:
        for each in requests:
            assert each.id not in self.in_flight, "one NOTIFY in flight"
            self.in_flight[each.id] = each

    def step(self) -> None:
        often = [self.put] * 4 + [self.answer, self.round] * 4
        self.chance.choice([*often, self.delete, self.element, self.element, self.refresh])()

    def put(self) -> None:
        words = self.chance.sample([b"bob", b"dave", b"erin", b"frank"], self.chance.randrange(4))
        entries = b"\n".join(b'<entry uri="sip:%b@example.org"/>' % each for each in words)
        quote = self.chance.choice([b"'", b'"'])
        body = LISTS.replace(b"'friends'", quote + b"friends" + quote).replace(b"</list>", entries + b"</list>")
        self.alice.put(self.path(), body)

    def delete(self) -> None:
        self.alice.delete(self.path())

    def element(self) -> None:
        path = f"{ROOT}/{ELEMENT}"
        if self.chance.random() < 0.5:
            self.alice.delete(path)
        else:
            self.alice.put(path, ENTRY.replace(b"/>", b"><display-name>%d</display-name></entry>" % self.chance.randrange(3)))

    def path(self) -> str:
        return f"{ROOT}/{HOME}{self.chance.choice(NAMES)}"

    def answer(self) -> None:
        if self.in_flight:
            self.settle(self.in_flight.pop(self.chance.choice(sorted(self.in_flight))), self.chance.choice(STATUSES))

    def settle(self, request: SendRequest, status: int) -> None:
        if status == 200:
            self.readers[request.id].take(request.body, request.id in self.first)
            self.first.discard(request.id)
        else:
            self.first.add(request.id)
        self.sent(self.world.notifier(Answer(request.id, request.cseq, status)))

    def round(self) -> None:
        self.world.now += self.chance.random()
        self.sent(self.world.notifier())

    def refresh(self) -> None:
        dialog = self.chance.choice(sorted(self.readers))
        if dialog not in self.in_flight:
            mode = MODES[list(self.readers).index(dialog)]
            self.alice.refresh(dialog, mode=mode)
            self.first.add(dialog)
            self.round()

    def end(self) -> None:
        """A last change, after which nothing gets lost: what a client missed before it is told with it."""
        self.alice.put(f"{ROOT}/{HOME}index", LISTS.replace(b"friends", b"the last"))
        self.round()
        while self.in_flight:
            self.settle(self.in_flight.pop(min(self.in_flight)), 200)


@pytest.mark.rfc("XCS-053", "XCS-054", "XCS-057", "XCS-058")
@pytest.mark.parametrize("seed", range(8))
def test_every_client_has_what_the_server_has(connect: Callable[..., World], seed: int) -> None:
    story = Story(connect(notify_interval=0).empty(), seed)
    for _ in range(STEPS):
        story.step()
    story.end()
    there = {}
    for name in NAMES:
        reply = story.alice.get(f"{ROOT}/{HOME}{name}")
        if reply.status == 200:
            there[f"{HOME}{name}"] = dict(reply.headers)["ETag"].strip('"'), canonical(reply.body)
    element = story.alice.get(f"{ROOT}/{ELEMENT}")
    assert sum(reader.patched for reader in story.readers.values()) > 0
    for mode, reader in zip(MODES, story.readers.values(), strict=True):
        assert {sel: (etag, canonical(body)) for sel, (etag, body) in reader.documents.items()} == there, mode
        assert (reader.element is not None) == (element.status == 200)
        if reader.element is not None:
            assert etree.fromstring(reader.element)[0].text == etree.fromstring(element.body)[0].text
