"""What is measured over HTTP: GET, conditional GET, PUT and element PUT of documents of 2 kB, over one connection or eight.

Nobody's request waits for another one: each connection is given the next user. All connections stay open. A case that writes writes
each document twice, first anew and then in the place of the old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import xcap_messages
from cases import Size
from http_load import Connection, Connections
from load import Wire
from measure import Work, work_of
from servers import Server

NEW_ENTRY = 99


class XcapCase:
    """One kind of request.

    Each has users of its own, of whom as many as it needs have a document before.
    """

    name = ""
    number_of_connections = 1
    right = frozenset({200, 201})

    def __init__(self, server: Server, wire: Wire, size: Size) -> None:
        self.slices = size.http_slices
        self._count = size.requests
        self._connections = Connections(server.http, self.number_of_connections)
        self._server = server

    def prepare(self) -> None:
        """Store documents, and warm up."""
        connection = Connection(self._server.http)
        for user in self._with_documents():
            connection.ask(xcap_messages.put(user, "stored"))
        self._learn(connection)
        connection.close()
        self.slice(self.slices)

    def slice(self, number: int) -> Work:
        """The next requests."""
        return work_of(self._connections.run(self._requests(number), self.right))

    def _users(self, number: int) -> list[str]:
        """Those whose documents are written in a slice."""
        half = self._count // 2
        return [f"{self.name}{user}" for user in range(number * half, (number + 1) * half)]

    def _with_documents(self) -> Iterable[str]:
        return chain.from_iterable(map(self._users, range(self.slices + 1)))

    def _learn(self, connection: Connection) -> None:
        """Find out what the requests need."""

    def _requests(self, number: int) -> Iterable[bytes]:
        raise NotImplementedError


class Get(XcapCase):
    """GET of whole documents."""

    name = "get"

    def _with_documents(self) -> Iterable[str]:
        return self._users(0)

    def _requests(self, number: int) -> Iterable[bytes]:
        return [xcap_messages.get(user) for user in self._users(0) * 2]


class ConditionalGet(Get):
    """GET with the entity-tag that the document still has: 304."""

    name = "same"
    right = frozenset({304})

    def _learn(self, connection: Connection) -> None:
        answers = {user: connection.ask(xcap_messages.get(user)) for user in self._users(0)}
        self._etags = {user: answer.header(b"ETag") for user, answer in answers.items()}

    def _requests(self, number: int) -> Iterable[bytes]:
        return [xcap_messages.get(user, self._etags[user]) for user in self._users(0) * 2]


class Put(XcapCase):
    """PUT of whole documents."""

    name = "put"

    def _with_documents(self) -> Iterable[str]:
        return []

    def _requests(self, number: int) -> Iterable[bytes]:
        return [xcap_messages.put(user, mark) for mark in ("first", "second") for user in self._users(number)]


class PutEntry(XcapCase):
    """PUT of one entry into documents that are there."""

    name = "entry"

    def _requests(self, number: int) -> Iterable[bytes]:
        return [xcap_messages.put_entry(user, NEW_ENTRY, mark) for mark in ("first", "second") for user in self._users(number)]


def over_eight(kind: type[XcapCase]) -> type[XcapCase]:
    """The same over eight connections."""
    return type(f"{kind.__name__}OverEight", (kind,), {"name": f"{kind.name}8-", "number_of_connections": 8})


_KINDS: dict[str, type[XcapCase]] = {"xcap-get": Get, "xcap-304": ConditionalGet, "xcap-put": Put, "xcap-entry": PutEntry}
CASES = _KINDS | {f"{name}-8": over_eight(kind) for name, kind in _KINDS.items()}
