"""Watcher information as its reader sees it: a document as a value, and the list that a client builds from several (RFC 3858)."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lxml import etree

WATCHERINFO = "application/watcherinfo+xml"
NAMESPACE = "{urn:ietf:params:xml:ns:watcherinfo}"
SCHEMA = Path(__file__).resolve().parent / "unit/schemas/watcherinfo.xsd"


class Entry(NamedTuple):
    """One watcher element; None where an attribute is missing."""

    id: str
    uri: str
    status: str
    event: str
    name: str | None = None
    expiration: int | None = None
    duration: int | None = None

    @property
    def state(self) -> tuple[str, str, str]:
        """What stays the same while nothing but time passes."""
        return self.uri, self.status, self.event


class Told(NamedTuple):
    """One document."""

    version: int
    state: str
    resource: str
    package: str
    watchers: tuple[Entry, ...]

    @property
    def kinds(self) -> tuple[int, str]:
        """Version and state."""
        return self.version, self.state

    @property
    def entries(self) -> list[tuple[str, str, str]]:
        """URI, status and event of each watcher, in order."""
        return [each.state for each in self.watchers]

    def of(self, uri: str) -> Entry:
        """The only entry of this watcher."""
        (entry,) = (each for each in self.watchers if each.uri == uri)
        return entry


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


def errors_of(body: bytes) -> str:
    """Why a document is not valid, "" if it is."""
    try:
        document = etree.fromstring(body)
    except etree.XMLSyntaxError as error:
        return f"not well-formed: {error}"
    schema = _schema()
    if not schema.validate(document):
        return str(schema.error_log.last_error)
    ids = [each.get("id") for each in document.iter(f"{NAMESPACE}watcher")]
    return "" if len(ids) == len(set(ids)) else f"an id twice: {ids}"


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def read(body: bytes | str) -> Told:
    """A document, which has to be valid and to have one list."""
    data = body.encode() if isinstance(body, str) else body
    assert not errors_of(data), f"{errors_of(data)}\n{data.decode()}"
    root = etree.fromstring(data)
    (of_resource,) = root.findall(f"{NAMESPACE}watcher-list")
    entries = [
        Entry(
            each.get("id", ""), each.text or "", each.get("status", ""), each.get("event", ""), each.get("display-name"),
            _number(each.get("expiration")), _number(each.get("duration-subscribed")),
        )
        for each in of_resource.findall(f"{NAMESPACE}watcher")
    ]  # fmt: skip
    return Told(
        int(root.get("version", "-1")), root.get("state", ""), of_resource.get("resource", ""), of_resource.get("package", ""),
        tuple(entries),
    )  # fmt: skip


class Reader:
    """What a client knows of the watchers, from the documents of one subscription (RFC 3858 section 4)."""

    def __init__(self) -> None:
        self.version = -1
        self.watchers: dict[str, Entry] = {}
        self.ended: set[str] = set()
        self._owners: dict[str, str] = {}

    def take(self, body: bytes | str) -> Told:
        """Apply the next document; one may have been missed only before a full one."""
        told = read(body)
        assert told.version == self.version + 1 or (told.state == "full" and told.version > self.version), "gapless versions"
        self.version = told.version
        if told.state == "full":
            self.watchers = {}
        for each in told.watchers:
            self._take(each)
        return told

    def _take(self, entry: Entry) -> None:
        assert self._owners.setdefault(entry.id, entry.uri) == entry.uri, "an id is one watcher's for ever"
        assert entry.id not in self.ended, "a watcher that has ended is not told of again"
        if entry.status == "terminated":
            self.ended.add(entry.id)
            self.watchers.pop(entry.id, None)
        else:
            self.watchers[entry.id] = entry

    @property
    def view(self) -> dict[str, tuple[str, str, str]]:
        """URI, status and event by id."""
        return {each.id: each.state for each in self.watchers.values()}
