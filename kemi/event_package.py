"""What the generic notifier has to know of an event package (RFC 6665 section 5.4).

A package is a value of this table; the dialog code knows none by name. `kemi.handler` lists those that are served.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from kemi.database import Database
from kemi.settings import Settings


class Decision(Enum):
    """What the presentity's rules say of a watcher (RFC 5025 section 3.2.1)."""

    BLOCK = "block"
    CONFIRM = "confirm"
    POLITE_BLOCK = "polite-block"
    ALLOW = "allow"


class View(NamedTuple):
    """Which document a watcher gets: all subscriptions with an equal view get the same bytes."""

    resource: str
    entity: str
    content_type: str
    decision: Decision


class Document(NamedTuple):
    """A NOTIFY body; `tag` changes exactly when the document does, and is never empty. No content: no body."""

    content: str
    content_type: str
    tag: str


Authorize = Callable[[Database, Settings, str, str], Decision]
Render = Callable[[Database, Settings, Sequence[View], float], Mapping[View, Document]]


@dataclass(frozen=True, slots=True)
class EventPackage:
    """One event package.

    Args:
        name: as in the Event header field.
        default_expires: seconds, when a SUBSCRIBE has no Expires; 0: `pa.default_expires`.
        produces: body types of NOTIFY, the default first (RFC 6665 section 5.4.5).
        consumes: body types of PUBLISH; empty: the package is not published (RFC 3903 section 10.1).
        minimum_interval: whether NOTIFYs of one dialog keep `pa.notify_interval` apart (RFC 3856 section 6.10).
        authorize: (database, settings, watcher, resource) -> what the rules of now say.
        render: (database, settings, views, now) -> the document of each view, all of a batch in one go.
        check_body: (body, content type); raises UnsupportedMediaType (415) for one that cannot be published.
    """

    name: str
    default_expires: int
    produces: tuple[str, ...]
    consumes: tuple[str, ...]
    minimum_interval: bool
    authorize: Authorize
    render: Render
    check_body: Callable[[bytes, str], None] | None = None


Packages = Mapping[str, EventPackage]
