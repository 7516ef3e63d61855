"""The HTTP client of the product in the hands of a test, and web servers for it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kemi.parameters import XcapSettings
from kemi.xcap import fetched_document
from kemi.xcap.fetch import Claim, Fetcher
from kemi.xcap.fetched_document import Answer, FetchedDocument
from tests.unit.values import ALICE, NOW
from tests.webserver import Answering, Told, WebServer

RULES = b'<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>'
Serve = Callable[..., WebServer]
NewClient = Callable[..., "Client"]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts web servers that answer so."""
    running: list[WebServer] = []

    def start(answer: Answering | Told, certificate: Path | None = None) -> WebServer:
        running.append(WebServer(answer if callable(answer) else lambda _asked: answer, certificate))
        return running[-1]

    yield start
    for each in running:
        each.close()


class Client:
    """A fetcher, and what became of each document."""

    def __init__(self, root: str, **settings: Any) -> None:
        self.root = root
        self.warned: list[str] = []
        self.fetcher = Fetcher(XcapSettings(xcap_root=root, **settings), self.warned.append)

    def fetch_all(self, *documents: FetchedDocument, most: int = 1000) -> dict[str, Answer]:
        """By the last segment of their URIs, in the order in which they ended."""
        found: dict[str, Answer] = {}

        def done(document: FetchedDocument, answer: Answer) -> None:
            found[document.uri.rpartition("/")[2]] = answer

        self.fetcher.run(taking(list(documents)), done, most)
        return found

    def fetch(self, name: str = "index", **changes: Any) -> Answer:
        return self.fetch_all(self.document(name)._replace(**changes))[name]

    def document(self, name: str, root: str = "") -> FetchedDocument:
        return fetched_document.asked_first(ALICE, f"{root or self.root}/pres-rules/users/{ALICE}/{name}", "pres-rules", NOW)


def taking(waiting: list[FetchedDocument]) -> Claim:
    """Takes documents from a list, each once."""

    def claim(server: str, limit: int) -> list[FetchedDocument]:
        claimed = [each for each in waiting if each.uri.startswith(server)][:limit]
        waiting[:] = [each for each in waiting if each not in claimed]
        return claimed

    return claim


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    made: list[Client] = []

    def make(root: str, **settings: Any) -> Client:
        made.append(Client(root, **settings))
        return made[-1]

    yield make
    for each in made:
        each.fetcher.close()
