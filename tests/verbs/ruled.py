"""A world whose users have presence rules, kept by our own XCAP server; what a change causes is done as the server does it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kemi.effects import Effect, SendRequest
from kemi.errors import Forbidden
from kemi.presence import policy
from kemi.xcap import store
from kemi.xcap.path import DocumentSelector, Tree
from tests.unit.values import ALICE, BOB, CAROL
from tests.unit.xcap.rules import document, identity, one, rule
from tests.verbs.world import World, state_of

ALL = "<provide-services><all-services/></provide-services>"
PERSONS = "<provide-persons><all-persons/></provide-persons>"
EVERYTHING = f"{ALL}{PERSONS}<provide-devices><all-devices/></provide-devices><provide-all-attributes/>"
BOBS, CAROLS = identity(one(BOB)), identity(one(CAROL))

WORK = f'{BOBS}<cp:sphere value="Work home"/>'

PIDF = "urn:ietf:params:xml:ns:pidf"
SCOPE = (
    f'xmlns="{PIDF}" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" '
    'xmlns:x="urn:extension"'
)
MOOD = "<r:mood><r:happy/></r:mood>"


def published(person: str = MOOD, service: str = "", more: str = "") -> bytes:
    """A document with an open tuple and a person."""
    service = f'<tuple id="t1"><status><basic>open</basic></status>{service}<contact>{ALICE}</contact></tuple>'
    return f'<presence {SCOPE} entity="{ALICE}">{service}<dm:person id="p1">{person}</dm:person>{more}</presence>'.encode()


def sphere(name: str) -> bytes:
    """A document that says which sphere alice is in."""
    return published(f"<r:sphere><r:{name}/></r:sphere>")


def allow(conditions: str | None = BOBS, transformations: str = EVERYTHING) -> str:
    """A rule."""
    return rule(conditions, "allow", transformations)


def time(seconds: float) -> str:
    """As rules have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


class Ruled:
    """The rules of the users of a world."""

    def __init__(self, world: World, **pa: Any) -> None:
        self.world = world
        world.set(**{"auth": "xcap", "notify_interval": 0} | pa)

    def put(self, *rules: str, body: bytes | None = None, **of: Any) -> list[Effect]:
        """Write a document, alice's rules unless told otherwise; what follows."""
        world, selector = self.world, selector_of(**of)
        body = document(*rules) if body is None else body
        stored = store.Stored(selector, f"{world.now} {hash(body)}", "application/auth-policy+xml", body, world.now)
        with world.database.transaction():
            world.database.lock(selector.xui)
            if store.load(world.database, selector) is None:
                store.create(world.database, stored)
            else:
                store.replace(world.database, stored)
            return self._changed(selector)

    def remove(self, **of: Any) -> list[Effect]:
        """Delete a document; what follows."""
        selector = selector_of(**of)
        with self.world.database.transaction():
            self.world.database.lock(selector.xui)
            store.remove(self.world.database, selector)
            return self._changed(selector)

    def _changed(self, selector: DocumentSelector) -> list[Effect]:
        world = self.world
        return policy.rules_changed(world.moment, selector.xui, selector.auid)


def states(sent: Sequence[SendRequest]) -> list[str]:
    """Of NOTIFYs, without their seconds."""
    return [state_of(each).split(";expires")[0] for each in sent]


def told(world: World) -> SendRequest:
    """The only NOTIFY that is due; answered 200."""
    (sent,) = world.told()
    return sent


def selector_of(auid: str = "pres-rules", owner: str = ALICE, name: str = "index") -> DocumentSelector:
    """Which document."""
    return DocumentSelector(auid, Tree.USERS, owner, name)


def first(world: World, watcher: str = BOB, resource: str = ALICE) -> SendRequest:
    """The first NOTIFY of a new subscription."""
    (sent,) = world.subscribe(watcher, resource).sent
    return sent


def outcome(world: World, watcher: str = BOB, resource: str = ALICE) -> str:
    """What becomes of a SUBSCRIBE: the state, or refused."""
    try:
        return state_of(first(world, watcher, resource)).partition(";")[0]
    except Forbidden:
        return "refused"
