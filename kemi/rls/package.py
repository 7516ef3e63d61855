"""Lists of resources as a template: `presence;list` is the package of subscriptions to lists of presentities (RFC 4662).

    subscription   kp-..            presence;list   sip:friends@example.org    has the dialog; the NOTIFYs are its own
      member       kp-..-1          presence        sip:bob@example.org        list_id kp-..; no dialog
      member       kp-..-2          presence;list   sip:work@example.org       a list in the list
        member     kp-..-2-1        presence        sip:carol@example.org      list_id kp-..-2

A member is due as every subscription is, by the same statements: when its resource publishes, when its rules change. The notifier
passes that on to its list (`kemi.notify`), and makes the list's document of those members that have news, each judged by the rules
of its own resource for this watcher. Documents of members are made once for all lists that show the same.

document   when                                                                    has
---------  ----------------------------------------------------------------------  -------------------------------------------
full       the first one, after a SUBSCRIBE, after a NOTIFY that failed, after a   all members; those that did not fit any more
           change of the list                                                      without an instance, they follow
partial    else                                                                    members whose state or document is another

The tag of the document stands for the state of all members: the sum of what each contributes, so that a partial document can be
counted without looking at the others (RFC 5839 section 6.5).

SQL: 2 statements load members, 1 locks them (PostgreSQL), for each level of lists in lists; and what the documents of members need.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kemi import notify, sip
from kemi.client_profile import profile_of
from kemi.database import Database
from kemi.effects import Effect
from kemi.errors import UnsupportedMediaType
from kemi.event_package import (
    LIST,
    STANDARD_INTERVAL,
    VERSION,
    Authorization,
    Document,
    EventPackage,
    Packages,
    View,
)
from kemi.news import News
from kemi.rls import members, multipart, recipient_list, rlmi, source, store
from kemi.rls.rlmi import Instance, ListState, Resource
from kemi.settings import Settings
from kemi.subscription import Reason, State, Subscription

FULL, PARTIAL = "full", "partial"
NAMED, SHOWN = 40, 260
"""Octets that a member adds to a body, about: besides its URI and names, and besides its document."""

_MODULUS = 2**64


class Wanted(NamedTuple):
    """Which document a list subscription gets: the aspect of its view.

    Args:
        total: what members contributed to the tag of the document before.
    """

    kind: str
    id: str
    total: int
    is_linphone: bool

    def as_text(self) -> str:
        """For `View.aspect`."""
        return f"{self.kind} {self.id} {self.total:016x} {int(self.is_linphone)}"

    @classmethod
    def from_text(cls, text: str) -> "Wanted":
        """The opposite of `as_text`."""
        kind, tag, total, is_linphone = text.split(" ")
        return cls(kind, tag, int(total, 16), is_linphone == "1")


def aspect(subscription: Subscription) -> str:
    """Whether the subscription needs everything, and what it knows."""
    told = subscription.notified_tag.partition(" ")[2]
    is_full = not told or not subscription.version or subscription.changes > subscription.told
    total = 0 if is_full else int(told, 16)
    is_linphone = profile_of(subscription.user_agent).simple_multipart
    return Wanted(FULL if is_full else PARTIAL, subscription.id, total, is_linphone).as_text()


def list_of(base: EventPackage, packages: Packages) -> EventPackage:
    """The package of lists whose members are of `base`."""

    def authorize(
        database: Database, settings: Settings, watchers: Sequence[str], resource: str, now: float
    ) -> dict[str, Authorization]:
        return {each: Authorization(members.may_watch(database, settings, each, resource, now)) for each in watchers}

    def render(database: Database, settings: Settings, views: Sequence[View], now: float) -> dict[View, Document]:
        return _render(database, settings, packages, views, now)

    def populate(database: Database, settings: Settings, subscription: Subscription, now: float) -> list[Effect]:
        return members.populate(database, settings, packages, subscription, now)

    def negotiate(accept: str | None) -> str | None:
        return _negotiate(accept, base)

    return EventPackage(
        name=base.name + LIST,
        default_expires=base.default_expires,
        produces=(multipart.MEDIA_TYPE, rlmi.MEDIA_TYPE, *base.produces),
        consumes=(),
        minimum_interval=STANDARD_INTERVAL,
        authorize=authorize,
        render=render,
        aspect=aspect,
        parameters=base.parameters,
        read_body=read_body,
        negotiate=negotiate,
        populate=populate,
    )


def with_lists(packages: Mapping[str, EventPackage]) -> dict[str, EventPackage]:
    """Packages by name, each with that of its lists."""
    served = dict(packages)
    served |= {name + LIST: list_of(package, served) for name, package in packages.items()}
    return served


def _negotiate(accept: str | None, base: EventPackage) -> str | None:
    """The body type of members, if the subscriber takes lists at all (RFC 4662 section 4.3)."""
    takes_lists = accept is not None and all(
        sip.choose_media_type(accept, (each,)) for each in (multipart.MEDIA_TYPE, rlmi.MEDIA_TYPE)
    )
    return (sip.choose_media_type(accept, base.produces) or base.produces[0]) if takes_lists else None


def read_body(request: sip.Request) -> str:
    """The list that a SUBSCRIBE brings along; not in a dialog (RFC 5367 section 5.1)."""
    if request.to_tag:
        raise UnsupportedMediaType("a list comes with the first SUBSCRIBE only")
    return source.as_text(recipient_list.read(request, recipient_list.Limits()))


# ---------------------------------------------------------------------------------------------------------------------
# Documents


def _render(database: Database, settings: Settings, packages: Packages, views: Sequence[View], now: float) -> dict[View, Document]:
    wanted = {view: Wanted.from_text(view.aspect) for view in views}
    store.lock(database, [(each.id, int(each.kind == FULL)) for each in wanted.values()])
    loaded = [_in_full(each) for each in store.members(database, [each.id for each in wanted.values() if each.kind == FULL])]
    loaded += store.members_due(database, [each.id for each in wanted.values() if each.kind == PARTIAL])
    news: dict[str, list[News]] = defaultdict(list)
    for each in notify.gather(database, settings, packages, loaded, now):
        news[each.subscription.list_id].append(each)
    return {view: _document(view, each, news[each.id], settings) for view, each in wanted.items()}


def _in_full(member: Subscription) -> Subscription:
    """A member of a list that is told in full: a list among them is so too, and a document that would tell changes only."""
    return member._replace(notified_tag="")


def _document(view: View, wanted: Wanted, news: Sequence[News], settings: Settings) -> Document:
    """The document of one list, of the news of all its members, or of those that are due."""
    ordered = sorted(news, key=lambda each: members.number_of(each.subscription.id))
    is_full = wanted.kind == FULL
    changed = [each for each in ordered if is_full or each.tag != each.subscription.notified_tag]
    told = _that_fit(changed, settings.rls.max_body, is_full)
    left = changed[len(told) :]
    total = wanted.total + sum(_contribution(each.subscription, each.tag) for each in told)
    if not is_full:
        total -= sum(_contribution(each.subscription, each.subscription.notified_tag) for each in told)
    tag = f"{total % _MODULUS:016x}"
    is_linphone = wanted.is_linphone and bool(settings.pa.client_profiles)
    resources = [_resource(each, is_linphone) for each in told]
    if is_full:
        resources += [_silent(each.subscription) for each in left]
    state = ListState(view.entity, tuple(resources), is_full=is_full)
    token = hashlib.blake2b(f"{view.aspect} {tag} {len(told)}".encode(), digest_size=10).hexdigest()
    body = multipart.write(state, token, is_linphone)
    parts = (*told, *(each for each in ordered if not is_full and each not in changed))
    forgotten = tuple(each.subscription.id for each in left) if is_full else ()
    has_more = bool(left) or any(each.document is not None and each.document.has_more for each in told)
    return Document(body.content, body.content_type, tag, 0, parts, forgotten, has_more)


def _that_fit(news: Sequence[News], most: int, is_full: bool) -> Sequence[News]:
    """As many as fit into a body, one at least (RFC 4662 section 5.2); a full one names the others too."""
    named = [NAMED + _octets(each.subscription.entity) + _octets(each.subscription.body) for each in news]
    octets = sum(named) if is_full else 0
    for at, each in enumerate(news):
        octets += SHOWN + _octets(each.document.content if each.document else "") + (0 if is_full else named[at])
        if most and octets > most and at:
            return news[:at]
    return news


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _contribution(subscription: Subscription, tag: str) -> int:
    """What a member that was told with this tag adds to the tag of its list; nothing if it never was, or if it is gone.

    The same in every dialog, so that a list can be polled (RFC 5839 section 6.2).
    """
    if not tag or not subscription.expires_at:
        return 0
    text = f"{members.number_of(subscription.id)} {subscription.entity} {subscription.body} {tag}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _resource(news: News, is_linphone: bool) -> Resource:
    """A list in a list is named only where a multipart body in another would end the client."""
    subscription = news.subscription
    names = store.names_from_text(subscription.body)
    instance = None if is_linphone and subscription.package.endswith(LIST) else _instance(news)
    return Resource(subscription.entity, names, (instance,) if instance else ())


def _silent(subscription: Subscription) -> Resource:
    return Resource(subscription.entity, store.names_from_text(subscription.body))


def _instance(news: News) -> Instance | None:
    """What is known of a resource; None: it is active, and has no document."""
    subscription, document = news.subscription, news.document
    tag = str(members.number_of(subscription.id))
    if subscription.state is not State.ACTIVE:
        reason = (subscription.reason or Reason.NORESOURCE) if subscription.state is State.TERMINATED else None
        return Instance(tag, subscription.state, reason)
    if document is None or not document.content:
        return None
    content = document.content.replace(VERSION, str(subscription.version))
    return Instance(tag, State.ACTIVE, None, document._replace(content=content))
