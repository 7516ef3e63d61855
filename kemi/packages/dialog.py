"""The event package `dialog` (RFC 4235): which calls a user is in.

Who publishes: the user's phone, or a server that `pa.publishers` names. Who may watch: the rule of presence (`pa.auth`); where the
user has rules for dialogs, these instead of the user's presence rules (`kemi.presence.policy`). What is shown (section 3.7.2):

watcher                          all dialogs asked for                   one, or some (call-id, to-tag, from-tag)
-------------------------------  --------------------------------------  ----------------------------------------
the user itself                  all                                     those
others, pa.dialog_details = all  all                                     those
others, virtual                  one that stands for all, without names  none: whom the user calls is not theirs to ask
polite-block                     none                                    none

Every document is a full one: a phone that lost a NOTIFY is right again with the next. Phones that cannot show several dialogs get
the most advanced one of what the table says, those that need one get one that is over instead of none (`kemi.client_profile`).

Where a proxy elsewhere forks our SUBSCRIBE, each device of a user tells us of its calls (section 3.9): what they tell becomes one
document as publications do.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from kemi.client_profile import profile_of
from kemi.errors import SipError
from kemi.event_package import Decision, Document, EventPackage, View
from kemi.moment import Moment
from kemi.packages import dialog_aggregation, dialog_info
from kemi.packages.dialog_aggregation import DialogReport
from kemi.packages.dialog_info import DialogInfo
from kemi.presence import policy, store
from kemi.presence.parsed import LARGEST_KEPT
from kemi.settings import Settings
from kemi.subscription import Subscription

NAME = "dialog"
PARAMETERS = ("call-id", "to-tag", "from-tag")
"""Of Event, from the user's side: To is its own tag, From the other's (section 3.2). Session descriptions are not shown."""

OWN, SINGLE, NEVER_EMPTY = "own", "single", "never-empty"
"""Words of an aspect: the user asks for its own dialogs; the phone cannot show several, or none (`kemi.client_profile`)."""


def check_body(body: bytes, _content_type: str) -> None:
    """Refuse what cannot be read later.

    Raises:
        UnsupportedMediaType: 415, it is no dialog information.
        BodyTooLarge: 413, it is more than is read.
    """
    dialog_info.parse(body)


def aspect(subscription: Subscription) -> str:
    """Whether the user asks for its own dialogs, what the phone needs, and which dialogs are asked for."""
    profile = profile_of(subscription.user_agent)
    words = (
        (subscription.watcher == subscription.resource, OWN),
        (profile.single_dialog, SINGLE),
        (profile.dummy_dialog, NEVER_EMPTY),
    )
    return f"{' '.join(word for applies, word in words if applies)};{subscription.event_parameters}"


def render(at: Moment, views: Sequence[View]) -> dict[View, Document]:
    """The document of each view; one statement loads what all of them need."""
    reports = _reports(at, sorted({view.resource for view in views if view.decision is Decision.ALLOW}))
    known = {resource: dialog_aggregation.aggregate(published) for resource, published in reports.items()}
    return {view: _document(view, known.get(view.resource, DialogInfo()), at.settings) for view in views}


def _reports(at: Moment, resources: Sequence[str]) -> dict[str, list[DialogReport]]:
    """What each has published; a document that an earlier release took and this one cannot read is left out."""
    reports: dict[str, list[DialogReport]] = {each: [] for each in resources}
    for each in store.load_many(at.database, NAME, resources, at.now) if resources else ():
        document = _parse(each.body)
        if document is not None:
            reports[each.presentity].append(DialogReport(each.id, each.created_at, each.published_at, document))
    return reports


def merge(documents: Mapping[str, bytes], entity: str) -> str:
    """What several devices tell of their calls, as one document.

    Args:
        documents: by the device, who answered first before the others.
        entity: URI of who is watched, as it was asked for.
    """
    known = [(name, _parse(body)) for name, body in documents.items()]
    reports = [DialogReport(name, place, place, document) for place, (name, document) in enumerate(known) if document is not None]
    return dialog_info.write(entity, dialog_aggregation.aggregate(reports))


def _parse(body: bytes) -> DialogInfo | None:
    try:
        return _kept(body) if len(body) <= LARGEST_KEPT else dialog_info.parse(body)
    except SipError:
        return None


@lru_cache(maxsize=512)
def _kept(body: bytes) -> DialogInfo:
    """Kept by content, so it cannot be stale: the same bytes are the same document."""
    return dialog_info.parse(body)


def _document(view: View, known: DialogInfo, settings: Settings) -> Document:
    words, _, asked = view.aspect.partition(";")
    shown = _shown(view, known, settings, OWN in words.split(), _asked(asked))
    if settings.pa.client_profiles:
        shown = _fitted(shown, words.split())
    content = dialog_info.write(view.entity, shown)
    tag = hashlib.blake2b(f"{view.content_type}\n{content}".encode(), digest_size=8).hexdigest()
    return Document(content, view.content_type, tag)


def _shown(view: View, known: DialogInfo, settings: Settings, is_own: bool, asked: tuple[str, str, str]) -> DialogInfo:
    """The table above."""
    if view.decision is not Decision.ALLOW:
        return DialogInfo()
    if is_own or settings.pa.dialog_details == "all":
        return dialog_aggregation.narrowed(known, *asked)
    return DialogInfo() if any(asked) else dialog_aggregation.virtual(known)


def _fitted(shown: DialogInfo, words: Sequence[str]) -> DialogInfo:
    """What the phone can take of it."""
    if SINGLE in words:
        shown = dialog_aggregation.single(shown)
    return dialog_aggregation.never_empty(shown) if NEVER_EMPTY in words else shown


def _asked(text: str) -> tuple[str, str, str]:
    """Call-ID, the user's tag and the other's; "" where all are asked for."""
    values = dict(part.split("=", 1) for part in text.split(";") if part)
    call_id, local_tag, remote_tag = (_unquoted(values.get(name, "")) for name in PARAMETERS)
    return call_id, local_tag, remote_tag


def _unquoted(value: str) -> str:
    """A token as it is, a quoted Call-ID without its quotes and the backslashes before quotes in it."""
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1].replace('\\"', '"') if quoted else value


PACKAGE = EventPackage(
    name=NAME,
    default_expires=3600,
    produces=(dialog_info.MEDIA_TYPE,),
    consumes=(dialog_info.MEDIA_TYPE,),
    minimum_interval=1,
    authorize=partial(policy.authorize, package=NAME),
    render=render,
    check_body=check_body,
    aspect=aspect,
    parameters=PARAMETERS,
    authorize_members=partial(policy.authorize_members, package=NAME),
    also_asks=policy.authorize,
    merge=merge,
)
