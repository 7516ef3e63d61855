"""Users of the XCAP server of a world: what they ask for, and what they get."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any
from urllib.parse import quote

from lxml import etree

from kemi import identity
from kemi.effects import Effect, HttpReply
from kemi.http import HttpRequest
from kemi.xcap import serve, validation
from kemi.xcap.serve import Change
from tests.unit.values import ALICE
from tests.verbs.world import World

ROOT = "/xcap-root"
INDEX = f"{ROOT}/resource-lists/users/{ALICE}/index"
LISTS = b"""<?xml version="1.0"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">
 <!-- friends -->
 <list name='friends'><entry uri="sip:bob@example.org"/></list>
</resource-lists>
"""
HOMES = ["sip%3Aalice%40example.org", "alice@example.org", "alice", "sip:%61lice@example.org"]
"""Alice's, as it can be written too."""

ENTRY = b'<entry uri="sip:carol@example.org"/>'
CAROL = '/~~/resource-lists/list[@name="friends"]/entry[@uri="sip:carol@example.org"]'
BOB_THERE = '/~~/resource-lists/list[@name="friends"]/entry[@uri="sip:bob@example.org"]'
ELEMENT, ATTRIBUTE = "application/xcap-el+xml", "application/xcap-att+xml"
TYPES = {
    "resource-lists": "application/resource-lists+xml", "rls-services": "application/rls-services+xml",
    "pidf-manipulation": "application/pidf+xml", "test-app": "application/test-app+xml",
}  # fmt: skip

_tags = count(1)


class Client:
    """One user; `changes` are those that the server told the rest of itself."""

    def __init__(self, world: World, user: str = ALICE, **settings: Any) -> None:
        self.world = world
        self.identities: tuple[str, ...] = (user,) if user else ()
        self.settings = replace(world.settings, xcap=replace(world.settings.xcap, **settings))
        self.changes: list[Change] = []
        self.effects: list[Effect] = []

    def ask(self, method: str, path: str, body: bytes = b"", **fields: Any) -> HttpReply:
        """One request. Brackets and quotes in a path are escaped, as clients do."""
        path, _, query = quote(path, safe="/:@%?=()*~'&;+,$!").partition("?")
        return self.ask_plainly(method, path, query, body, **fields)

    def ask_plainly(
        self, method: str, path: str, query: str, body: bytes, content_type: str | None = None, **fields: Any
    ) -> HttpReply:
        """The same, path and query being as they are."""
        more = {"length": len(body), "body": body, "host": "xcap.example.org", "content_type": content_type} | fields
        request = HttpRequest(method, path, query, **more)
        realm = identity.realm(self.settings)
        tag = f"tag-{next(_tags)}"
        self.effects = serve.serve(
            self.world.moment._replace(settings=self.settings),
            realm,
            request,
            self.identities,
            tag,
            self._changed,
        )
        (reply,) = (each for each in self.effects if isinstance(each, HttpReply))
        return reply

    def _changed(self, change: Change) -> list[Effect]:
        self.changes.append(change)
        return []

    def get(self, path: str = INDEX, **fields: Any) -> HttpReply:
        return self.ask("GET", path, **fields)

    def put(self, path: str = INDEX, body: bytes = LISTS, content_type: str | None = "", **fields: Any) -> HttpReply:
        """With the right type, unless another is given."""
        right = ELEMENT if "~~" in path else TYPES.get(path.split("/")[2], "application/auth-policy+xml")
        return self.ask("PUT", path, body, content_type=right if content_type == "" else content_type, **fields)

    def delete(self, path: str = INDEX, **fields: Any) -> HttpReply:
        return self.ask("DELETE", path, **fields)


def etag_of(reply: HttpReply) -> str | None:
    """With its quotes."""
    return dict(reply.headers).get("ETag")


def condition_of(reply: HttpReply) -> str:
    """The name of the error element of a 409, which has to be valid."""
    assert (reply.status, reply.content_type) == (409, "application/xcap-error+xml"), reply
    root = etree.fromstring(reply.body)
    schema = etree.XMLSchema(etree.parse(str(validation.FOLDER / "xcap-error.xsd")))
    schema.assertValid(root)
    (element,) = root
    return str(etree.QName(element).localname)


def texts(reply: HttpReply, name: str) -> Iterator[str]:
    """The texts of the elements of this name in an answer."""
    yield from (each.text for each in etree.fromstring(reply.body).iter(f"{{*}}{name}"))
