"""Nested: a list and the lists in it, each read once, before any member of one is written (RFC 4662 section 4.6).

Lists may name each other, and each place where one stands has members of its own: few short documents can make a tree that nobody
can keep. So `rls.max_members` counts the entries of the whole tree: of every list in it, as often as it stands there. What is above
it is answered as one list that is too long is: 403, and who watches it already goes on with what there was.

A list in the list that cannot be used, or is not fully known yet, keeps the members that it has: they are counted too.

SQL: of `source.resolve` and 1 for who is a list, for each list however often it stands in others; 1 for the owner of each list in a
list (`rls.auth = owner`); 1 more for each level of lists in lists where one of them keeps members.
"""

from collections.abc import Mapping, Sequence

from kemi import identity, sip
from kemi.errors import NotFound, SipError
from kemi.event_package import LIST, Decision
from kemi.moment import Moment
from kemi.report import document_key
from kemi.rls import expansion, source, store
from kemi.rls.source import Resolved
from kemi.rls.standing import NOBODY, Standing, list_standing, may_watch
from kemi.subscription import Subscription
from kemi.xcap import usages


class Nested:
    """The list of one subscription, and those in it, as they are in one transaction."""

    def __init__(self, at: Moment, there: Moment) -> None:
        """
        Args:
            there: with the settings for the documents of lists; those of members may be elsewhere (`kemi.xcap.roots`).
        """
        self._at = at
        self._there = there
        self._served = [name for name in at.packages if name + LIST in at.packages]
        self._read: dict[str, Resolved | SipError] = {}
        self._lists: dict[str, set[str]] = {}
        self._standings: dict[str, Standing] = {}
        self._entries = self._useless = 0
        self._keeping: dict[str, set[str]] = {}

    @property
    def documents(self) -> list[str]:
        """What all that were read are made of (`report.document_key`)."""
        return [document for each in self._read.values() if isinstance(each, Resolved) for document in each.documents]

    def resolved(self, subscription: Subscription) -> Resolved:
        """Who is in a list; nobody where there is no such list any more, or it is another user's now.

        Raises:
            SipError: as `source.resolve`; 404 only for a new subscription's own list.
        """
        if subscription.resource not in self._read:
            try:
                self._read[subscription.resource] = self._resolved(subscription)
            except SipError as problem:
                self._read[subscription.resource] = problem
        found = self._read[subscription.resource]
        if isinstance(found, SipError):
            raise found
        return found

    def _resolved(self, subscription: Subscription) -> Resolved:
        """The list of a subscription that is not there any more ends it."""
        try:
            is_asked_again = subscription.changes > subscription.told
            if is_asked_again and self._may_watch(subscription) is not Decision.ALLOW:
                raise NotFound("the list is another user's now")
            return source.resolve(self._there, subscription, self._served)
        except NotFound:
            if is_new(subscription):
                raise
            if not subscription.list_id:
                store.end(self._at.database, subscription.id)
            return Resolved((), made_of(self._at, subscription))

    def _may_watch(self, subscription: Subscription) -> Decision:
        return may_watch(self._there, subscription.watcher, subscription.resource)

    def lists(self, subscription: Subscription, resolved: Resolved, way: tuple[str, ...]) -> dict[str, Standing]:
        """The members of a list that are lists, by canonical URI.

        Args:
            way: canonical URIs of this list and of those around it, the outermost first.
        """
        if subscription.resource not in self._lists:
            self._lists[subscription.resource] = self._among(subscription.watcher, [each.resource for each in resolved.members])
        levels = self._at.settings.rls.max_list_nesting_level + 1
        among = sorted(self._lists[subscription.resource])
        return {
            each: self._standing(subscription.watcher, each) if expansion.way_into(way, each, levels) else NOBODY for each in among
        }

    def _among(self, watcher: str, resources: Sequence[str]) -> set[str]:
        if not self._at.settings.rls.max_list_nesting_level:
            return set()
        realm = identity.realm(self._at.settings)
        found = source.lists_among(self._there, watcher, resources)
        return {each for each in found if realm.is_served(sip.parse_uri(each))}

    def _standing(self, watcher: str, uri: str) -> Standing:
        if uri not in self._standings:
            self._standings[uri] = list_standing(self._at, watcher, uri)
        return self._standings[uri]

    def require_room(self, subscription: Subscription) -> None:
        """See that the list of a subscription, with all lists in it, is not too long.

        Raises:
            ListTooLarge: 403.
            SipError: the list itself cannot be used (`resolved`).
        """
        self.resolved(subscription)
        self._take(subscription, (subscription.resource,))
        if self._keeping and not is_new(subscription):
            self._add(_kept(self._at, subscription, self._keeping))

    def _take(self, subscription: Subscription, way: tuple[str, ...]) -> None:
        """Count a list that stands at the end of this way. As much may be read in vain, of those that cannot be used."""
        try:
            resolved = self.resolved(subscription)
        except SipError as problem:
            self._keeping[subscription.resource] = set()
            self._useless += problem.entries if isinstance(problem, expansion.CannotExpand) else 0
            self._require(self._useless)
            return
        self._add(resolved.entries)
        if resolved.unknown:
            self._keeping[subscription.resource] = {each.resource for each in resolved.members}
        for uri, standing in self.lists(subscription, resolved, way).items():
            if standing.is_list:
                inner = subscription._replace(resource=uri, list_id=subscription.id, body="", changes=0, told=0)
                self._take(inner, (*way, uri))

    def _add(self, entries: int) -> None:
        self._entries += entries
        self._require(self._entries)

    def _require(self, entries: int) -> None:
        most = self._at.settings.rls.max_members
        if entries > most:
            raise expansion.ListTooLarge(f"the list has more than {most} entries with those of the lists in it")


def is_new(subscription: Subscription) -> bool:
    """Whether a list is opened."""
    return not (subscription.version or subscription.changes or subscription.list_id)


def made_of(at: Moment, subscription: Subscription) -> tuple[str, ...]:
    """Where a list may come back that is not there, or cannot be used: what it was made of, and the watcher's own."""
    own = (document_key(each, subscription.watcher) for each in (usages.SERVICES, usages.LISTS))
    return (*store.documents(at.database, [subscription.id])[subscription.id], *own)


def _kept(at: Moment, subscription: Subscription, keeping: Mapping[str, set[str]]) -> int:
    """How many members stay that nothing counts which was read.

    Args:
        keeping: lists that keep members, by canonical URI; and which of those are in what was read.
    """
    whole: set[str] = set()
    number, level = 0, [subscription]
    while level:
        members = store.shown(at.database, [each.id for each in level])
        kept = [member for each in level for member in _staying(each, members[each.id], keeping, whole)]
        whole |= {each.id for each in kept}
        number += len(kept)
        level = [each for found in members.values() for each in found if each.is_list]
    return number


def _staying(
    parent: Subscription, members: Sequence[Subscription], keeping: Mapping[str, set[str]], whole: set[str]
) -> list[Subscription]:
    """All members of a list that stays as a whole; of one that keeps some, those that were not read. Who is gone does not stay."""
    there = [each for each in members if each.expires_at != store.GONE]
    if parent.id in whole:
        return there
    read = keeping.get(parent.resource)
    return [] if read is None else [each for each in there if each.resource not in read]
