"""A document of another XCAP server as it is kept here: what can be made of it, and what the server's next answer changes (pure).

What the server last said is known until it says something else (RFC 4825 section 7.11, RFC 9110 section 13.1.2). That nothing was
heard of it says nothing about the document: what was known stays known (RFC 9111 section 4.2.4), for `limit` seconds at most.

known      | answer: 200  | 304       | 404, 410  | refused, silent | not confirmed for `limit`
-----------|--------------|-----------|-----------|-----------------|--------------------------
unknown    | document     | (refused) | missing   | unknown         | unknown
document   | document     | document  | missing   | document        | unknown
missing    | document     | (refused) | missing   | missing         | unknown

Who reads it sees one of four states: unknown, missing, and of a document whether it is fresh or stale. A stale one is used all the
same; that it was asked for has it fetched.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple

from kemi.xcap import path, tree, usages
from kemi.xcap.errors import XcapError

LONGEST_SILENCE: Final = 30.0
"""Seconds between two attempts, at most, while the server does not answer."""

DEFAULT_NAME: Final = "index"
NAMES: Final = MappingProxyType({usages.OMA_RULES: "pres-rules"})
"""What documents are called below the home folder where it is not `index` (OMA XDM Core 7.3.1)."""

ROOTS: Final = MappingProxyType(
    {
        **dict.fromkeys((*usages.RULES, usages.IM_RULES, *usages.DIALOG_RULES), "ruleset"),
        usages.LISTS: "resource-lists",
        usages.SERVICES: "rls-services",
    }
)
"""Local name of the root element by application usage. The namespace is not looked at: SER's documents may have none."""


class Known(Enum):
    """What the server last said."""

    UNKNOWN = "unknown"
    DOCUMENT = "document"
    MISSING = "missing"


class Availability(Enum):
    """What a reader makes of it."""

    UNKNOWN = "unknown"
    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"


class Outcome(Enum):
    """How a fetch ended."""

    DOCUMENT = "document"
    UNCHANGED = "unchanged"
    MISSING = "missing"
    REFUSED = "refused"
    """An answer that cannot be used: another status, no document of this usage, too large, a redirection elsewhere."""
    SILENT = "silent"
    """No answer, or one that says that the server cannot work now."""


class Reading(NamedTuple):
    """What a document is now.

    Args:
        body: only where it is fresh or stale.
        is_outdated: it is old, missing ones too, and nothing says that a newer answer will not come.
    """

    state: Availability
    body: bytes = b""
    is_outdated: bool = False

    @property
    def is_there(self) -> bool:
        """Whether there is a document to read, fresh or stale."""
        return self.state in (Availability.FRESH, Availability.STALE)


class Answer(NamedTuple):
    """The end of one fetch.

    Args:
        body, etag: of a document, as they came.
        why: for people, where the outcome is no news of the document.
    """

    outcome: Outcome
    body: bytes = b""
    etag: str = ""
    why: str = ""


class FetchedDocument(NamedTuple):
    """One document.

    Args:
        owner: canonical URI of the user whose document it is; "" for one of the global tree.
        uri: where it is fetched.
        known: what the server last said.
        body: the octets of the document as they came, "" where none is known.
        etag: the document's, "" for none.
        since: when the server last said so; of an unknown one, since when nothing is known; seconds since the epoch.
        asked: somebody asked for it when it was unknown or stale, and it was not fetched since.
        failures: fetches in a row that brought no answer that can be used.
        next_at: when to fetch it, seconds since the epoch; None: when it is asked for.
    """

    owner: str
    uri: str
    auid: str
    known: Known
    body: bytes
    etag: str
    since: float
    asked: bool
    failures: int
    next_at: float | None


STEPS: Final[Mapping[Outcome, Mapping[Known, Known]]] = MappingProxyType(
    {
        Outcome.DOCUMENT: dict.fromkeys(Known, Known.DOCUMENT),
        Outcome.UNCHANGED: {Known.DOCUMENT: Known.DOCUMENT},
        Outcome.MISSING: dict.fromkeys(Known, Known.MISSING),
        Outcome.REFUSED: {},
        Outcome.SILENT: {},
    }
)
"""What is known after an answer; where nothing is given the answer says nothing."""


def reading(document: FetchedDocument | None, freshness: float, limit: float, now: float) -> Reading:
    """What a reader makes of the document.

    Args:
        freshness: seconds that an answer counts as new.
        limit: seconds that it counts at all.
    """
    if document is None or document.known is Known.UNKNOWN or now - document.since >= limit:
        return Reading(Availability.UNKNOWN)
    is_old = now - document.since >= freshness
    is_outdated = is_old and not document.failures
    if document.known is Known.MISSING:
        return Reading(Availability.MISSING, is_outdated=is_outdated)
    return Reading(Availability.STALE if is_old else Availability.FRESH, document.body, is_outdated)


def is_wanted(document: FetchedDocument, freshness: float, now: float) -> bool:
    """Whether a reader has to ask for a newer one: it is old, and nobody did so before."""
    return not document.asked and (document.known is Known.UNKNOWN or now - document.since >= freshness)


def asked_first(owner: str, uri: str, auid: str, now: float) -> FetchedDocument:
    """A document that is asked for the first time, to be fetched at once."""
    return FetchedDocument(owner, uri, auid, Known.UNKNOWN, b"", "", now, True, 0, now)


def after(document: FetchedDocument, answer: Answer, freshness: float, now: float, chance: float) -> FetchedDocument:
    """The document after a fetch.

    Args:
        freshness: seconds until it is fetched again.
        chance: 0 to 1, spreads what would come at the same time.
    """
    known = STEPS[answer.outcome].get(document.known)
    if known is None:
        return _failed(document, answer, freshness, now, chance)
    told = answer.outcome is Outcome.DOCUMENT
    return document._replace(
        known=known,
        body=b"" if known is Known.MISSING else answer.body if told else document.body,
        etag="" if known is Known.MISSING else answer.etag if told else document.etag,
        since=now,
        asked=False,
        failures=0,
        next_at=now + freshness * (0.9 + chance / 5),
    )


def _failed(document: FetchedDocument, answer: Answer, freshness: float, now: float, chance: float) -> FetchedDocument:
    """The pauses double, up to the time after which a document is fetched anyway."""
    longest = min(freshness, LONGEST_SILENCE) if answer.outcome is Outcome.SILENT else freshness
    failures = document.failures + 1
    pause = min(2.0 ** min(failures, 20), longest)
    return document._replace(failures=failures, next_at=now + pause * (1 + chance) / 2)


def forgotten(document: FetchedDocument, now: float) -> FetchedDocument:
    """The document when nobody confirmed it for too long."""
    return document._replace(known=Known.UNKNOWN, body=b"", etag="", since=now)


def differs(before: FetchedDocument, now: FetchedDocument) -> bool:
    """Whether decisions that were made with the one may be others with the other."""
    return (before.known, before.body) != (now.known, now.body)


def is_usable(auid: str, body: bytes) -> bool:
    """Whether the octets are a document of the application usage: well-formed, in UTF-8, without DOCTYPE, with its root."""
    try:
        name = tree.parse(body).root.name
    except XcapError:
        return False
    return auid not in ROOTS or name.rpartition("\n")[2] == ROOTS[auid]


def uri_of(root: str, auid: str, xui: str, name: str, folder: str) -> str:
    """Where a document is (RFC 4825 section 6); "" where it can have no place.

    What may not stand in a path segment is percent-encoded, as UTF-8. A user with dot segments in its name has no place: a server
    that keeps documents in files would find somebody else's.

    Args:
        root: the XCAP root.
        xui: canonical URI of a user; "" for the global tree.
        name: the document's below the home folder, e.g. index; "": what the application usage calls it.
        folder: uri, or user for the user part of it alone, as SER's user ids.
    """
    name = name or name_of(auid)
    home = _user_of(xui) if xui and folder == "user" else xui
    if bool(home) != bool(xui) or any(part in ("", ".", "..") for part in (*_parts(home or "-"), *_parts(name))):
        return ""
    segments = [auid, "users", home] if xui else [auid, "global"]
    return "/".join([root.rstrip("/"), *(path.normalised(each.replace("%", "%25")) for each in (*segments, *name.split("/")))])


def server_of(root: str) -> str:
    """What URIs of documents begin with that are on the server of this root: scheme, host and port as written, and a slash."""
    scheme, _, rest = root.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/"


def name_of(auid: str) -> str:
    """What a document is called when nothing else is said."""
    return NAMES.get(auid, DEFAULT_NAME)


def _user_of(uri: str) -> str:
    """The user part, as it is meant; "" for none."""
    user, at, _ = uri.partition(":")[2].rpartition("@")
    try:
        return path.decoded(user) if at else ""
    except XcapError:
        return ""


def _parts(segment: str) -> list[str]:
    """What a server could make of it that decodes it, however often, and splits it then."""
    found: list[str] = []
    while True:
        found += segment.replace("\\", "/").split("/")
        try:
            again = path.decoded(segment)
        except XcapError:
            return found
        if again == segment:
            return found
        segment = again
