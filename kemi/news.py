"""News: a subscription and what it is to be told, worked out once (RFC 6665 section 4.2.2).

A NOTIFY is sent for news, unless it is quiet: the same was told before (RFC 4745 section 3.3), or a condition suppresses it
(RFC 5839 section 6.3) and the state has not changed either. Where the state has changed a suppressed NOTIFY has no body.
"""

from collections.abc import Mapping
from typing import NamedTuple

from kemi import dialog, rate_control
from kemi.effects import SendRequest
from kemi.event_package import Document, Packages, View
from kemi.subscription import Subscription

NO_DOCUMENT = "none"
"""SIP-ETag of a NOTIFY that carries no document."""


class News(NamedTuple):
    """What a subscription is to be told.

    Args:
        document: the one that this watcher may see, None: none.
        state: Subscription-State, as a word.
        entity_tag: value of SIP-ETag (RFC 5839 section 6.1).
        is_suppressed: whether the watcher has said that it knows this document.
    """

    subscription: Subscription
    document: Document | None
    state: str
    entity_tag: str
    is_suppressed: bool

    @property
    def tag(self) -> str:
        """Names what is told; two equal ones in a row are one too many."""
        return f"{self.state} {self.entity_tag}"

    def is_quiet(self, now: float) -> bool:
        """Whether no NOTIFY is needed."""
        subscription = self.subscription
        if subscription.repeat_at is not None and subscription.repeat_at <= now:
            return False
        if self.is_suppressed and subscription.notified_tag.partition(" ")[0] == self.state:
            return True
        return self.tag == subscription.notified_tag

    @property
    def is_counted(self) -> bool:
        """Whether `told` changes more of the subscription than every NOTIFY does."""
        subscription = self.subscription
        document = self.document
        counts = document is not None and (document.is_numbered or document.known != "")
        return bool(counts or subscription.rates or subscription.suppress or subscription.repeat_at)

    def told(self, interval: float, now: float) -> Subscription:
        """The subscription after this NOTIFY: the number of its next document, and when it is repeated.

        Args:
            interval: seconds that the server leaves between two NOTIFYs anyway.
            now: when this one is sent, seconds since the epoch.
        """
        subscription, document = self.subscription, self.document
        shows = document is not None and not self.is_suppressed
        newest = max(subscription.changes, document.sequence if document is not None else 0)
        recent = rate_control.remember(rate_control.from_text(subscription.rates), subscription.times, now)
        return subscription._replace(
            version=subscription.version + 1 if shows else subscription.version,
            told=newest if shows else subscription.told,
            changes=newest,
            known=document.known if document is not None else subscription.known,
            suppress=subscription.suppress if self.is_suppressed else "",
            recent=rate_control.recent_as_text(recent),
            repeat_at=None if self.is_suppressed else subscription.repeated_after(recent, interval, now),
        )

    def request(self, served: str, now: float) -> SendRequest:
        """The next NOTIFY.

        Args:
            served: value of Allow-Events.
            now: seconds since the epoch.
        """
        shown = None if self.is_suppressed else self.document
        subscription = self.subscription
        return dialog.notify(subscription, subscription.local_cseq + 1, shown, self.entity_tag, served, now)


def view_of(subscription: Subscription, packages: Packages) -> View | None:
    """Which document this watcher gets; None where it gets none: it is blocked, not decided about, or of a package not served."""
    package = packages.get(subscription.package)
    if package is None or not subscription.sees_document:
        return None
    aspect = package.aspect(subscription)
    return View(subscription.resource, subscription.entity, subscription.accept, subscription.decision, aspect)


def news_of(subscription: Subscription, view: View | None, documents: Mapping[View, Document]) -> News:
    """What there is to tell, given the document of each view."""
    document = None if view is None else documents.get(view)
    entity_tag = NO_DOCUMENT if document is None else document.tag
    is_whole = document is None or not document.has_more or subscription.suppress == "*"
    suppressed = subscription.suppress != "" and subscription.suppresses(entity_tag) and is_whole
    return News(subscription, document, subscription.state.value, entity_tag, suppressed)
