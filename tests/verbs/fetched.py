"""Documents of another XCAP server in a world: an answer comes when a test says so."""

from dataclasses import replace
from typing import Any

from kemi.effects import Effect
from kemi.moment import Moment
from kemi.parameters import XcapSettings
from kemi.xcap import fetched, fetched_store
from kemi.xcap.fetched import Changed, Place
from kemi.xcap.fetched_document import Answer, FetchedDocument, Outcome, Reading
from kemi.xcap.fetched_store import Deadlines
from tests.unit.values import ALICE
from tests.verbs.world import World

SERVER = "http://xcap.example.org/"
ROOT = f"{SERVER}xcap-root"
RULES = b'<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>'
OTHER = b"<ruleset/>"
FRESHNESS, LIMIT, TIMEOUT = 300, 86400, 5
"""Defaults of parameters, in seconds."""


def nothing(_at: Moment, _auid: str, _owner: str) -> list[Effect]:
    """Nothing depends on a document."""
    return []


class Cache:
    """The documents of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.settings = replace(world.settings, xcap=XcapSettings(xcap_root=ROOT))
        world.database.script("DELETE FROM fetched")

    def read(self, xui: str = ALICE, auid: str = "pres-rules", name: str = "") -> Reading:
        world = self.world
        return fetched.document(world.moment, auid, xui, name)

    def read_all(self, *names: str, ask: bool = True) -> list[Reading]:
        """Several documents of Alice's rules at once."""
        read, world = fetched.documents if ask else fetched.known, self.world
        return read(world.moment, [Place("pres-rules", each) for each in names], ALICE)

    def claim(self, limit: int = 10, server: str = SERVER) -> list[FetchedDocument]:
        return fetched.claim(self.world.moment, server, limit)

    def answer(self, claimed: FetchedDocument, outcome: Outcome, body: bytes = b"", changed: Changed = nothing) -> list[Effect]:
        world, answer = self.world, Answer(outcome, body, '"1"' if body else "")
        return fetched.save(world.moment, claimed, answer, changed, 0.5)

    def fetched(self, outcome: Outcome = Outcome.DOCUMENT, body: bytes = RULES, **of: Any) -> None:
        """A document, Alice's rules unless told otherwise, was asked for, and this came."""
        self.read(**of)
        (claimed,) = self.claim()
        self.answer(claimed, outcome, body)

    @property
    def row(self) -> FetchedDocument | None:
        """Of Alice's rules."""
        return fetched_store.load(self.world.database, ALICE, f"{ROOT}/pres-rules/users/{ALICE}/index")

    @property
    def deadlines(self) -> Deadlines:
        return fetched.deadlines(self.world.moment)

    def forget(self, changed: Changed = nothing) -> list[Effect]:
        return fetched.forget(self.world.moment, changed)
