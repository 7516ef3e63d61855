"""The event package `message-summary` (RFC 3842): how many messages wait for a user.

Who publishes: a voice mail server that `pa.publishers` names, or the user. Who may watch: the user itself and nobody else, whatever
`pa.auth` says, not even who may publish: a mailbox is its owner's business, and to write is not to read (section 3.7).

The header fields of messages go into a NOTIFY only when their publication is newer than the NOTIFY before it (section 3.8), and
never into one that answers a SUBSCRIBE. The entity-tag names the whole state all the same, with all of them.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress

from kemi.errors import SipError
from kemi.event_package import Authorization, Decision, Document, EventPackage, View
from kemi.moment import Moment
from kemi.packages.message_summary_body import MEDIA_TYPE, SummaryReport, combine, parse, write
from kemi.presence import store
from kemi.subscription import Subscription

NAME = "message-summary"


def authorize(_at: Moment, watchers: Sequence[str], resource: str) -> dict[str, Authorization]:
    """The user itself; 403 for everybody else."""
    return {each: Authorization(Decision.ALLOW if each == resource else Decision.BLOCK) for each in watchers}


def check_body(body: bytes, _content_type: str) -> None:
    """Refuse what cannot be read later.

    Raises:
        UnsupportedMediaType: 415, it is no message summary.
    """
    parse(body)


def aspect(subscription: Subscription) -> str:
    """Since when messages are news, in seconds since the epoch; "" where none are told."""
    return repr(subscription.notified_at) if subscription.notified_tag else ""


def render(at: Moment, views: Sequence[View]) -> dict[View, Document]:
    """The summary of each view; one statement loads what all of them need."""
    reports = _reports(at, sorted({view.resource for view in views if view.decision is Decision.ALLOW}))
    return {view: _document(view, reports[view.resource] if view.decision is Decision.ALLOW else []) for view in views}


def _reports(at: Moment, resources: Sequence[str]) -> dict[str, list[SummaryReport]]:
    """What each has published; a body that an earlier release took and this one cannot read is left out."""
    reports: dict[str, list[SummaryReport]] = {each: [] for each in resources}
    for each in store.load_many(at.database, NAME, resources, at.now) if resources else ():
        with suppress(SipError):
            reports[each.presentity].append(SummaryReport(each.id, each.created_at, each.published_at, parse(each.body)))
    return reports


def _document(view: View, reports: Sequence[SummaryReport]) -> Document:
    """An alias, which is a URI that is not the user's own, needs the account to be named (section 3.5)."""
    state, counted = combine(reports, view.resource)
    if view.entity != view.resource and not state.account:
        state = state._replace(account=view.resource)
    since = float(view.aspect) if view.aspect else float("inf")
    news = [message for report in counted if report.published_at > since for message in report.summary.messages]
    tag = hashlib.blake2b(f"{view.content_type}\n{write(state)}".encode(), digest_size=8).hexdigest()
    return Document(write(state._replace(messages=tuple(news))), view.content_type, tag)


PACKAGE = EventPackage(
    name=NAME,
    default_expires=3600,
    produces=(MEDIA_TYPE,),
    consumes=(MEDIA_TYPE,),
    minimum_interval=1,
    authorize=authorize,
    render=render,
    check_body=check_body,
    aspect=aspect,
)
