"""What the generic notifier has to know of an event package (RFC 6665 section 5.4).

A package is a value of this table; the dialog code knows none by name. `kemi.packages.served` lists those that are served.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from kemi import sip
from kemi.moment import Moment
from kemi.settings import Settings

if TYPE_CHECKING:
    from kemi.effects import Effect
    from kemi.news import News
    from kemi.subscription import Subscription

VERSION = "\0"
"""Stands in a document for the number of documents that a subscription got before; no XML document can hold it."""

STANDARD_INTERVAL = 5
"""Seconds between two NOTIFYs that most packages ask for; `pa.notify_interval` takes its place."""

WATCHER_INFORMATION = ".winfo"
"""The template package (RFC 3857): its name follows that of the package whose watchers it tells of."""

LIST = ";list"
"""The package of lists of resources (RFC 4662): this follows the name of the package of their members. No Event can name it."""


class Decision(Enum):
    """What the presentity's rules say of a watcher (RFC 5025 section 3.2.1)."""

    BLOCK = "block"
    CONFIRM = "confirm"
    POLITE_BLOCK = "polite-block"
    ALLOW = "allow"


class Authorization(NamedTuple):
    """What a watcher may do, and for how long that is known.

    Args:
        decision: what becomes of the subscription.
        permissions: what of the document it shows, in the package's own words; "": all of it. Equal permissions have equal words.
        changes_at: seconds since the epoch of the moment at which the rules are to be asked again; None: when something happens.
        reason: why a member of a list is terminated (RFC 6665 section 4.1.3); "": as the decision has it.
        limit: the parameter that says so, "": none does.
    """

    decision: Decision
    permissions: str = ""
    changes_at: float | None = None
    reason: str = ""
    limit: str = ""


class View(NamedTuple):
    """Which document a watcher gets: all subscriptions with an equal view get the same bytes.

    Args:
        aspect: what else the document depends on, in the package's own words (`EventPackage.aspect`).
    """

    resource: str
    entity: str
    content_type: str
    decision: Decision
    aspect: str = ""


class Document(NamedTuple):
    """A NOTIFY body. No content: no body.

    Args:
        content: with VERSION where the number of the document goes, in packages that number them.
        tag: changes exactly when the state that the whole document tells of does, and is never empty (RFC 5839 section 4).
        sequence: number of the newest change in it, where the package tells changes only (`Subscription.told`).
        parts: of a list, what it tells of its members; they are told with it.
        left: ids of members of which it says nothing yet, though it is full.
        has_more: something was left for the next document, because this one would have been too large.
        known: what the watcher knows after it, in the package's own words, where documents are changes (`Subscription.known`).
    """

    content: str
    content_type: str
    tag: str
    sequence: int = 0
    parts: tuple["News", ...] = ()
    left: tuple[str, ...] = ()
    has_more: bool = False
    known: str = ""

    @property
    def is_numbered(self) -> bool:
        """Whether each subscription counts its documents."""
        return VERSION in self.content


Authorize = Callable[[Moment, Sequence[str], str], Mapping[str, Authorization]]
Render = Callable[[Moment, Sequence[View]], Mapping[View, Document]]
AuthorizeMembers = Callable[[Moment, str, Sequence[str]], Mapping[str, Authorization]]
Foresee = Callable[[Moment, str], None]
Populate = Callable[[Moment, "Subscription"], list["Effect"]]
Rewrite = Callable[[bytes, str, str, str], Document | None]
Awaits = Callable[[Moment, "Subscription"], float | None]
Merge = Callable[[Mapping[str, bytes], str], str]


def same_for_all(_subscription: "Subscription") -> str:
    """The aspect of a package whose documents depend on nothing more."""
    return ""


def always(_settings: Settings) -> bool:
    """Most packages are served whatever the settings are."""
    return True


@dataclass(frozen=True, slots=True)
class EventPackage:
    """One event package.

    Args:
        name: as in the Event header field.
        default_expires: seconds, when a SUBSCRIBE has no Expires; 0: `pa.default_expires`.
        produces: body types of NOTIFY, the default first (RFC 6665 section 5.4.5).
        consumes: body types of PUBLISH; empty: the package is not published (RFC 3903 section 10.1).
        minimum_interval: seconds between two NOTIFYs of a dialog (RFC 6665 section 5.4.10); see `interval_of`.
        authorize: (at, watchers, resource) -> what the rules of now say of each watcher.
        render: (at, views) -> the document of each view, all of a batch in one go.
        check_body: (body, content type); raises UnsupportedMediaType (415) for one that cannot be published.
        aspect: subscription -> what its document depends on besides resource, entity, type and decision.
        parameters: names of Event parameters that narrow a subscription (RFC 6665 section 5.4.3); others are ignored.
        negotiate: value of Accept -> the body type of NOTIFYs, None: none suits. None: one of `produces`.
        authorize_members: (at, watcher, resources) -> what the rules of each resource say of one watcher, in
            a few statements. None: `authorize` is asked for each.
        foresee: (at, resource): what `render` will ask for is sent ahead (`Database.foresee`).
        populate: (at, subscription): what a subscription has besides its row is written, when it is opened,
            when it is refreshed, and when what it is made of changes. Its first NOTIFY is then left to the notifier.
        read_body: SUBSCRIBE with a body -> what the body asks for, in the package's own words (`Subscription.body`); raises
            UnsupportedMediaType (415) for one that is not understood. None: no body is (RFC 6665 section 5.4.4).
        awaits: (at, subscription) -> until when the one NOTIFY of a fetch waits for a state that others were
            asked for just now, None: it does not wait. No function: no fetch waits.
        rewrite: (body, its Content-Type, entity, the type that is asked for) -> what somebody elsewhere has told, in another of
            `produces`; None: it cannot be written so. No function: nothing can.
        merge: (documents by who tells them, entity) -> the one document, of the first of `produces`, that tells of all. A SUBSCRIBE
            to somebody elsewhere may be forked then, and each that answers is a subscription of its own. No function: who answers
            first is the only one (RFC 6665 section 5.4.9).
        is_served: settings -> whether it is served at all.
        replaces_body: whether the body of a SUBSCRIBE in a dialog takes the place of the first one's; else that one stays.
        also_asks: another `authorize`, whose rules and whose decisions by management `authorize` asks besides: that of another
            package, or the package's own where `authorize` asks it for our users only (`kemi.b2bua.foreign`).
    """

    name: str
    default_expires: int
    produces: tuple[str, ...]
    consumes: tuple[str, ...]
    minimum_interval: int
    authorize: Authorize
    render: Render
    check_body: Callable[[bytes, str], None] | None = None
    aspect: Callable[["Subscription"], str] = same_for_all
    parameters: tuple[str, ...] = ()
    negotiate: Callable[[str | None], str | None] | None = None
    authorize_members: AuthorizeMembers | None = None
    foresee: Foresee | None = None
    populate: Populate | None = None
    read_body: Callable[[sip.Request], str] | None = None
    replaces_body: bool = False
    awaits: Awaits | None = None
    rewrite: Rewrite | None = None
    merge: Merge | None = None
    is_served: Callable[[Settings], bool] = always
    also_asks: Authorize | None = None

    @property
    def rules(self) -> Authorize:
        """Whose word counts for our own users; the same object for packages that ask the same rules."""
        return self.also_asks or self.authorize

    @property
    def event(self) -> str:
        """What Event names."""
        return self.name.removesuffix(LIST)

    @property
    def is_list(self) -> bool:
        """Whether its subscriptions are to lists of resources."""
        return self.name.endswith(LIST)

    def authorization(self, at: Moment, watcher: str, resource: str) -> Authorization:
        """What the rules of now say of one watcher (`authorize`)."""
        return self.authorize(at, (watcher,), resource)[watcher]


Packages = Mapping[str, EventPackage]


def interval_of(package: EventPackage | None, settings: Settings) -> int:
    """Seconds between two NOTIFYs about changes: `pa.notify_interval`, less where the package asks for less; a list has its own."""
    if package is None:
        return 0
    if package.is_list:
        return settings.rls.timer_interval
    if package.minimum_interval < STANDARD_INTERVAL:
        return min(package.minimum_interval, settings.pa.notify_interval)
    return settings.pa.notify_interval


def allow_events(packages: Packages) -> str:
    """Value of Allow-Events: template packages are not named (RFC 6665 section 4.4.4)."""
    return _joined(tuple(packages))


@lru_cache(maxsize=16)
def _joined(names: tuple[str, ...]) -> str:
    return ", ".join([name for name in names if not name.endswith((WATCHER_INFORMATION, LIST))])
