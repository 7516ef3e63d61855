"""A user who keeps documents and hears of their changes: requests over HTTP, their consequences, and what is told."""

from typing import Any

from kemi import consequences
from kemi.effects import Effect, SendRequest
from kemi.packages import xcap_diff
from kemi.watcher_information import with_templates
from kemi.xcap.serve import Change
from tests.unit.values import ALICE
from tests.verbs.world import Accepted, World
from tests.verbs.xcap import ENTRY, INDEX, LISTS, ROOT, Client
from tests.xcapdiff import LISTS_TYPE, TYPE, Part, Told, read, wanted

SEL = INDEX.removeprefix(f"{ROOT}/")
HOME = f"resource-lists/users/{ALICE}/"
RULES = f"pres-rules/users/{ALICE}/index"
RULE = b'<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>'
MORE = LISTS.replace(b"</list>", b"%b</list>" % ENTRY)
"""One more member."""


class User(Client):
    """Her changes have all their consequences, as in the server."""

    def __init__(self, world: World, user: str = ALICE, **settings: Any) -> None:
        super().__init__(world, user, **settings)
        world.settings = self.settings
        world.packages |= with_templates([xcap_diff.PACKAGE], 1)
        self.user = user

    def _changed(self, change: Change) -> list[Effect]:
        world = self.world
        return [*super()._changed(change), *consequences.follow(world.moment)(change)]

    def subscribe(self, *uris: str, mode: str = "", **changes: Any) -> Accepted:
        """A SUBSCRIBE for these documents, elements and attributes."""
        asked = {"body": wanted(*uris), "content_type": LISTS_TYPE} if uris else {}
        event = f"xcap-diff;diff-processing={mode}" if mode else "xcap-diff"
        more = {"event": event, "accept": TYPE, "resource": self.user} | asked | changes
        return self.world.subscribe(self.user, **more)

    def watch(self, *uris: str, mode: str = "", **changes: Any) -> tuple[str, Told]:
        """A subscription whose first NOTIFY is answered: its dialog, and what it said."""
        (first,) = self.subscribe(*uris, mode=mode, **changes).sent
        assert self.world.answer(first) == []
        return first.id, read(first.body)

    def refresh(self, dialog: str, *uris: str, mode: str = "", **changes: Any) -> Accepted:
        """A SUBSCRIBE in the dialog, maybe with another list."""
        asked = {"body": wanted(*uris), "content_type": LISTS_TYPE} if uris else {}
        event = f"xcap-diff;diff-processing={mode}" if mode else "xcap-diff"
        return self.world.refresh(dialog, **{"event": event, "accept": TYPE} | asked | changes)

    def told(self) -> list[Part]:
        """What the one NOTIFY that is due says; answered 200."""
        return list(self.told_of()[1].parts)

    def told_of(self) -> tuple[SendRequest, Told]:
        """The one NOTIFY that is due; answered 200."""
        (sent,) = self.world.told()
        return sent, read(sent.body)

    def tag(self, path: str = INDEX) -> str:
        """The entity-tag of a document, as HTTP has it."""
        return dict(self.get(path).headers)["ETag"].strip('"')
