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
full       the first one, after a SUBSCRIBE, after a NOTIFY that failed, after a   the names of the list, all members; those that
           change of the list                                                      did not fit without an instance, they follow
partial    else                                                                    members whose state or document is another

What does not fit is a matter of the room that there is. All members have to be in a full document: where that alone is too much the
NOTIFY is too large for UDP, and goes over TCP (`kemi.dialog`).

room       of                                 octets of a body
---------  ---------------------------------  ------------------------------------------------------------------------
whole      a fetch: nothing can follow        as many as are needed
datagram   NOTIFYs that go over UDP           `rls.max_body`, DATAGRAM at most
stream     others, and lists in lists         `rls.max_body`

The tag of the document stands for the state of all members: the sum of what each contributes, so that a partial document can be
counted without looking at the others (RFC 5839 section 6.5).

SQL: 2 statements load members, 1 the names of lists, 1 locks (PostgreSQL), for each level of lists in lists; and what the documents
of members need.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from kemi import dialog, notify, sip
from kemi.client_profile import profile_of
from kemi.errors import UnsupportedMediaType
from kemi.event_package import (
    LIST,
    STANDARD_INTERVAL,
    VERSION,
    Authorization,
    Document,
    EventPackage,
    View,
)
from kemi.moment import Moment
from kemi.multipart import RELATED
from kemi.news import News
from kemi.rls import aggregate_state, members, recipient_list, rlmi, source, standing, store
from kemi.rls.resource_list import Names
from kemi.rls.rlmi import Instance, ListState, Resource
from kemi.settings import Settings
from kemi.subscription import Reason, State, Subscription
from kemi.xcap.errors import escaped


class Extent(StrEnum):
    """How much a document tells (the first table above)."""

    FULL = "full"
    PARTIAL = "partial"


class Room(StrEnum):
    """How much a body may hold (the second table above)."""

    WHOLE = "whole"
    DATAGRAM = "datagram"
    STREAM = "stream"


FRAME, BARE, NAMED, SHOWN = 340, 20, 40, 240
"""Octets of a body that are not written by others: all of it without members (FRAME); of each member with its URI alone (BARE), and
with its names (NAMED); and what its document adds (SHOWN). FRAME and SHOWN each have the URI of the list twice besides."""

LONGEST_ESCAPE = 6
"""Octets that one becomes in XML, at most."""

MOST_IN_DATAGRAM = 60_000
"""Octets of a body that goes over UDP: some are left for the header fields (`dialog.LARGEST_DATAGRAM`)."""

_MODULUS = 2**64


class Wanted(NamedTuple):
    """Which document a list subscription gets: the aspect of its view.

    Args:
        id: of the subscription.
        total: what members contributed to the tag of the document before.
    """

    extent: Extent
    id: str
    total: int
    is_linphone: bool
    room: Room

    @property
    def is_full(self) -> bool:
        """Whether it tells all members."""
        return self.extent is Extent.FULL

    def as_text(self) -> str:
        """For `View.aspect`."""
        return f"{self.extent.value} {self.id} {self.total:016x} {int(self.is_linphone)} {self.room.value}"

    @classmethod
    def from_text(cls, text: str) -> "Wanted":
        """The opposite of `as_text`."""
        extent, tag, total, is_linphone, room = text.split(" ")
        return cls(Extent(extent), tag, int(total, 16), is_linphone == "1", Room(room))

    def most(self, settings: Settings) -> int:
        """Octets of its body, 0: any number."""
        most = settings.rls.max_body
        if self.room is Room.DATAGRAM:
            return min(most or MOST_IN_DATAGRAM, MOST_IN_DATAGRAM)
        return most if self.room is Room.STREAM else 0


def aspect(subscription: Subscription) -> str:
    """Whether the subscription needs everything, and what it knows."""
    told = subscription.notified_tag.partition(" ")[2]
    is_full = not told or not subscription.version or subscription.changes > subscription.told
    total = 0 if is_full else int(told, 16)
    is_linphone = profile_of(subscription.user_agent).simple_multipart
    extent = Extent.FULL if is_full else Extent.PARTIAL
    return Wanted(extent, subscription.id, total, is_linphone, room_for(subscription)).as_text()


def room_for(subscription: Subscription) -> Room:
    """How much its NOTIFYs may hold. The members of a list that is fetched have no lifetime either."""
    if subscription.expires_at <= subscription.created_at and subscription.expires_at != store.GONE:
        return Room.WHOLE
    uri, next_hop, _ = dialog.routing(subscription)
    is_datagram = not subscription.list_id and sip.transport_of(next_hop or uri) == "udp"
    return Room.DATAGRAM if is_datagram else Room.STREAM


def authorize(at: Moment, watchers: Sequence[str], resource: str) -> dict[str, Authorization]:
    """Who may watch a list (`rls.auth`)."""
    return {each: Authorization(standing.may_watch(at, each, resource)) for each in watchers}


def list_of(base: EventPackage) -> EventPackage:
    """The package of lists whose members are of `base`."""
    return EventPackage(
        name=base.name + LIST,
        default_expires=base.default_expires,
        produces=(RELATED, rlmi.MEDIA_TYPE, *base.produces),
        consumes=(),
        minimum_interval=STANDARD_INTERVAL,
        authorize=authorize,
        render=render,
        aspect=aspect,
        parameters=base.parameters,
        read_body=read_body,
        negotiate=partial(_negotiate, base),
        populate=members.populate,
    )


def with_lists(packages: Mapping[str, EventPackage]) -> dict[str, EventPackage]:
    """Packages by name, each with that of its lists."""
    return {**packages, **{name + LIST: list_of(package) for name, package in packages.items()}}


def _negotiate(base: EventPackage, accept: str | None) -> str | None:
    """The body type of members, if the subscriber takes lists at all (RFC 4662 section 4.3)."""
    takes_lists = accept is not None and all(sip.choose_media_type(accept, (each,)) for each in (RELATED, rlmi.MEDIA_TYPE))
    return (sip.choose_media_type(accept, base.produces) or base.produces[0]) if takes_lists else None


def read_body(request: sip.Request) -> str:
    """The list that a SUBSCRIBE brings along; not in a dialog (RFC 5367 section 5.1)."""
    if request.to_tag:
        raise UnsupportedMediaType("a list comes with the first SUBSCRIBE only")
    return source.Chosen(recipient_list.read(request, recipient_list.Limits())).as_text()


# ---------------------------------------------------------------------------------------------------------------------
# Documents


def render(at: Moment, views: Sequence[View]) -> dict[View, Document]:
    """The document of each list, with those of its members."""
    wanted = {view: Wanted.from_text(view.aspect) for view in views}
    in_full = [each.id for each in wanted.values() if each.is_full]
    in_part = [each.id for each in wanted.values() if not each.is_full]
    store.lock(at.database, {each.id: each.is_full for each in wanted.values()})
    loaded = [_in_full(each) for each in store.members(at.database, in_full)]
    loaded += store.members_due(at.database, in_part)
    news: dict[str, list[News]] = defaultdict(list)
    for each in notify.gather(at, loaded):
        news[each.subscription.list_id].append(each)
    names = store.names_of(at.database, in_full)
    return {view: _document(view, each, names.get(each.id, ()), news[each.id], at.settings) for view, each in wanted.items()}


def _in_full(member: Subscription) -> Subscription:
    """A member of a list that is told in full: a list among them is so too, and a document that would tell changes only."""
    return member._replace(notified_tag="")


def _document(view: View, wanted: Wanted, names: Names, news: Sequence[News], settings: Settings) -> Document:
    """The document of one list, of the news of all its members and its names, or of those that are due."""
    ordered = sorted(news, key=lambda each: members.number_of(each.subscription.id))
    is_full = wanted.is_full
    changed = [each for each in ordered if is_full or each.tag != each.subscription.notified_tag]
    named = store.names_as_text(names)
    cut = _cut(changed, wanted.most(settings), is_full, len(view.entity), _octets(escaped(named)))
    told, left = changed[: cut.told], changed[cut.told :]
    total = wanted.total + (_number(named) if named else 0)
    total += sum(_contribution(each.subscription, each.tag) for each in told)
    if not is_full:
        total -= sum(_contribution(each.subscription, each.subscription.notified_tag) for each in told)
    tag = f"{total % _MODULUS:016x}"
    is_linphone = wanted.is_linphone and bool(settings.pa.client_profiles)
    resources = [_resource(each, is_linphone) for each in told]
    if is_full:
        resources += [_silent(each.subscription, cut.has_names) for each in left]
    state = ListState(view.entity, tuple(resources), names, is_full)
    token = hashlib.blake2b(f"{view.aspect} {tag} {len(told)}".encode(), digest_size=10).hexdigest()
    body = aggregate_state.write(state, token, is_linphone)
    parts = (*told, *(each for each in ordered if not is_full and each not in changed))
    forgotten = tuple(each.subscription.id for each in left) if is_full else ()
    has_more = bool(left) or any(each.document is not None and each.document.has_more for each in told)
    return Document(body.content, body.content_type, tag, 0, parts, forgotten, has_more)


class Cut(NamedTuple):
    """What of a document fits into a body: so many members; and whether the others, in a full one, keep their display names."""

    told: int
    has_names: bool = True


def _cut(news: Sequence[News], most: int, is_full: bool, domain: int, names_of_list: int) -> Cut:
    """As many as fit. A partial document has one at least; a full one names all, if need be without display names (RFC 4662
    section 5.2).

    Args:
        most: octets, 0: any number.
        domain: octets of the list's URI, more than its domain in each Content-ID.
        names_of_list: octets of its display names.
    """
    shown = [SHOWN + 2 * domain + _octets(each.document.content if each.document else "") for each in news]
    texts = [(each.subscription.entity, each.subscription.body) for each in news]
    frame = FRAME + 2 * domain + names_of_list
    rough = frame + sum(shown) + sum(NAMED + LONGEST_ESCAPE * _octets(uri + names) for uri, names in texts)
    if not (most and news) or rough <= most:
        return Cut(len(news))
    uris, names = ([_octets(escaped(text)) for text in column] for column in zip(*texts, strict=True))
    bare = frame + (BARE * len(news) + sum(uris) if is_full else 0)
    named = bare + (NAMED - BARE) * len(news) + sum(names)
    has_names = is_full and named <= most
    octets = named if has_names else bare
    for told in range(len(news)):
        octets += shown[told] + (0 if has_names else NAMED + names[told]) + (0 if is_full else uris[told])
        if octets > most and (told or is_full):
            return Cut(told, has_names)
    return Cut(len(news))


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _contribution(subscription: Subscription, tag: str) -> int:
    """What a member that was told with this tag adds to the tag of its list; nothing if it never was, or if it is gone.

    The same in every dialog, so that a list can be polled (RFC 5839 section 6.2).
    """
    if not tag or not subscription.expires_at:
        return 0
    return _number(f"{members.number_of(subscription.id)} {subscription.entity} {subscription.body} {tag}")


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def _resource(news: News, is_linphone: bool) -> Resource:
    """A list in a list is named only where a multipart body in another would end the client."""
    subscription = news.subscription
    names = store.names_from_text(subscription.body)
    instance = None if is_linphone and subscription.is_list else _instance(news)
    return Resource(subscription.entity, names, (instance,) if instance else ())


def _silent(subscription: Subscription, has_names: bool) -> Resource:
    return Resource(subscription.entity, store.names_from_text(subscription.body) if has_names else ())


def _instance(news: News) -> Instance | None:
    """What is known of a resource; None: it is active, and has no document."""
    subscription, document = news.subscription, news.document
    tag = members.instance_of(subscription)
    if subscription.state is not State.ACTIVE:
        reason = (subscription.reason or Reason.NORESOURCE) if subscription.state is State.TERMINATED else None
        return Instance(tag, subscription.state, reason)
    if document is None or not document.content:
        return None
    content = document.content.replace(VERSION, str(subscription.version))
    return Instance(tag, State.ACTIVE, None, document._replace(content=content))
