"""Populate: the members of a list subscription are written as the list, and the rules of each, are now (RFC 4662 section 4.5).

Each member is a subscription of the watcher's to one resource, without a dialog (`kemi.rls.package`), in the state that
`kemi.rls.standing` gives it. One that is not in the list any more is terminated;reason=noresource; its row goes when that was told.

A list that is deleted, or is another user's now, has nobody in it any more, and ends: terminated;reason=noresource (RFC 6665
section 4.1.3), with all its members. One that cannot be used, or of which it cannot be said what it is, stays as it was; so does
all of it where the list and the lists in it have more than `rls.max_members` entries (`kemi.rls.nested`).

Nobody is told of the members of a list before all documents that it is made of are known: that would be no full state (RFC 4662
section 5.2). It is refused with 503; one in a list that is there already is pending.

Later the rules are asked again as of every subscription (`kemi.reauthorize`); all of this is done again when the watcher refreshes,
and when what the list is made of changes. So who was refused, could not be taken or gave up waiting is asked for again.

SQL: of `kemi.rls.nested` and `kemi.rls.standing`; 1 loads, 1 creates, 1 changes, 1 removes, 2 remember what the list is made of, 1
reports watchers to who watches them; however many members there are. With `pa.use_offline_winfo` 2 for those that wait.
PostgreSQL: 1 lock for each that is new.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kemi import identity, offline_winfo, sip, watcher
from kemi.database import Result
from kemi.effects import Effect, Log
from kemi.ending import remove
from kemi.errors import SipError
from kemi.event_package import LIST, Decision
from kemi.moment import Moment
from kemi.presence import online
from kemi.presence.package import NAME as PRESENCE
from kemi.report import lock_lists, report_change, report_end, wakes
from kemi.rls import source, store
from kemi.rls.nested import Nested, is_new, made_of
from kemi.rls.resource_list import Member, Names
from kemi.rls.standing import Standing, limited, standings_of
from kemi.store import number
from kemi.subscription import Reason, State, Subscription

BECAME = "a list now, or none any more"
"""Why a member's subscription is removed that is opened anew."""


class Populated(NamedTuple):
    """What a list, with all in it, turns out to be made of while it is populated.

    Args:
        is_new: it is opened, and may still be refused.
        documents: of those that cannot be used, besides what was read (`report.document_key`).
        names: display names of the list, and of each in it, by id.
    """

    is_new: bool
    documents: list[str]
    names: dict[str, Names]


class Difference(NamedTuple):
    """What becomes of the members of a list.

    Args:
        created: those that are new, or open anew.
        kept: by resource, the others that were there, as they were.
        changed: those kept that differ, as they are now; with those gone.
        gone: those kept that are in the list no more.
        anew: those that were users and are lists now, or the other way round: these rows go.
    """

    created: list[Subscription]
    kept: dict[str, Subscription]
    changed: list[Subscription]
    gone: list[Subscription]
    anew: list[Subscription]

    @property
    def moved(self) -> list[Subscription]:
        """Those in another state than they were, and not at their end."""
        return [each for each in self.changed if each.state not in (self.kept[each.resource].state, State.TERMINATED)]

    def lists(self, standings: Mapping[str, Standing]) -> list[Subscription]:
        """Those that are lists themselves, and stay."""
        there = [each for each in self.kept.values() if each.resource in standings]
        return [each for each in (*self.created, *there) if each.is_list]


def populate(at: Moment, subscription: Subscription) -> list[Effect]:
    """Write the members of a list subscription, in the transaction of the caller, who has locked it.

    Raises:
        SipError: the list cannot be used (`source.resolve`), and the subscription is a new one.
    """
    populated = Populated(is_new(subscription), [], {})
    there = source.there(at, subscription)
    nested = Nested(at, there)
    if populated.is_new:
        lock_lists(at, source.whose(there, subscription))
    effects = _populate(at, nested, subscription, (subscription.resource,), populated)
    store.save_made_of(at.database, subscription.id, [*nested.documents, *populated.documents], populated.names)
    return effects


def _populate(at: Moment, nested: Nested, subscription: Subscription, way: tuple[str, ...], populated: Populated) -> list[Effect]:
    """Write the members of a list, and of the lists in it."""
    try:
        resolved = _resolved(at, nested, subscription, populated)
    except SipError as problem:
        return _unusable(at, subscription, populated, problem)
    populated.names[subscription.id] = resolved.names
    base = at.packages[subscription.package.removesuffix(LIST)]
    _lock_who_is_new(at, subscription, resolved.members)
    before = {each.resource: each for each in store.members(at.database, [subscription.id])}
    lists = nested.lists(subscription, resolved, way)
    standings = standings_of(at, base, subscription, resolved.members, way, lists)
    standings = limited(at, base.name, before, standings)
    difference = _compared(at, subscription, before, resolved, standings)
    effects = remove(at, {each.id: BECAME for each in difference.anew}) if difference.anew else []
    effects += _write(at, subscription, difference)
    for each in difference.lists(standings):
        effects += _populate(at, nested, _prolonged(each, subscription), (*way, each.resource), populated)
    return [*effects, *_lines(subscription, resolved, difference), *_limits(subscription, standings)]


def _resolved(at: Moment, nested: Nested, subscription: Subscription, populated: Populated) -> source.Resolved:
    """Who is in a list; its room is looked at with the outermost one.

    Raises:
        SipError: it cannot be used, or nothing was told of it yet and not all that it is made of is known.
    """
    if not subscription.list_id:
        nested.require_room(subscription)
    resolved = nested.resolved(subscription)
    if resolved.unknown and (populated.is_new or not store.members(at.database, [subscription.id])):
        raise source.NotFetchedYet("what the list refers to is not known yet", resolved.unknown)
    return resolved


def _unusable(at: Moment, subscription: Subscription, populated: Populated, problem: SipError) -> list[Effect]:
    """A list is refused; or it stays as it was, and one in a list that never was anything is pending.

    Raises:
        SipError: the problem, where it is a new one's.
    """
    is_unknown = isinstance(problem, source.NotFetchedYet)
    if populated.is_new and (is_unknown or not subscription.list_id):
        raise problem
    if is_unknown and subscription.list_id and not store.members(at.database, [subscription.id]):
        store.change(at.database, [subscription._replace(decision=Decision.CONFIRM, state=State.PENDING)], at.now)
    populated.documents.extend(made_of(at, subscription))
    populated.names.update(store.names_of(at.database, [subscription.id]))
    return [Log(f"list not usable: id={subscription.id} resource={subscription.resource} why={problem}")]


def _is_another(subscription: Subscription, member: Subscription, standings: Mapping[str, Standing]) -> bool:
    """Whether a member was a user and is a list now, or the other way round: it begins anew."""
    standing = standings.get(member.resource)
    return standing is not None and member.package != _package(subscription, standing)


def _package(subscription: Subscription, standing: Standing) -> str:
    return subscription.package if standing.is_list else subscription.package.removesuffix(LIST)


def _prolonged(member: Subscription, subscription: Subscription) -> Subscription:
    """As `store.prolong` writes it."""
    return member._replace(expires_at=subscription.expires_at, accept=subscription.accept, user_agent=subscription.user_agent)


def _lock_who_is_new(at: Moment, subscription: Subscription, members: Sequence[Member]) -> None:
    """Who publishes meanwhile comes wholly before a new member, or after. An active one has a row that tells.

    These locks come before those of rows, as they do for who publishes.
    """
    realm = identity.realm(at.settings)
    active = set() if is_new(subscription) else store.active(at.database, subscription.id)
    new = sorted({each.resource for each in members} - active)
    known = [each for each in new if realm.is_served(sip.parse_uri(each)) or identity.reaches(at.settings, each)]
    if known:
        store.lock_resources(at.database, known)


def _compared(
    at: Moment,
    subscription: Subscription,
    before: Mapping[str, Subscription],
    resolved: source.Resolved,
    standings: Mapping[str, Standing],
) -> Difference:
    """The members that a list had, with those that it has now. Nobody is gone as long as some of it is not known."""
    anew = {resource: each for resource, each in before.items() if _is_another(subscription, each, standings)}
    kept = {resource: each for resource, each in before.items() if resource not in anew}
    created, changed = [], []
    empty = _empty(subscription)
    last = max((number_of(each.id) for each in before.values()), default=0)
    for each in resolved.members:
        known, standing = kept.get(each.resource), standings[each.resource]
        if known is None:
            last += 1
            created.append(_member(empty, f"{subscription.id}-{last}", each, standing))
        else:
            after = _come_back(known, _restored(_as(known, each, standing), subscription), at.now)
            if after != known:
                changed.append(after)
    missing = [each for resource, each in kept.items() if resource not in standings and each.expires_at]
    gone = [] if resolved.unknown else missing
    return Difference(created, kept, changed + [_without_resource(each) for each in gone], gone, list(anew.values()))


def number_of(tag: str) -> int:
    """What tells a member from the others of its list."""
    return int(tag.rpartition("-")[2])


def instance_of(member: Subscription) -> str:
    """Id of its instance (RFC 4662 section 5.5): another one each time that it has ended and comes back."""
    number = str(number_of(member.id))
    return number if member.watcher_id == watcher.opaque(member.id) else f"{number}-{member.watcher_id[:8]}"


def _empty(subscription: Subscription) -> Subscription:
    """A member of a list, whoever it is."""
    return subscription._replace(
        event_id=None, call_id="", local_uri="", remote_uri="", remote_tag="", remote_target="", route_set="", local_cseq=0,
        remote_cseq=0, branch="", socket="", flow="", connection=0, due_at=subscription.created_at, in_flight_since=None,
        notified_at=0.0, notified_tag="", event_parameters="", version=0, changes=0, told=0, suppress="", rates="", recent="",
        least_gap=0.0, repeat_at=None, body="", list_id=subscription.id,
    )  # fmt: skip


def _member(empty: Subscription, tag: str, member: Member, standing: Standing) -> Subscription:
    named = empty._replace(
        id=tag, package=_package(empty, standing), resource=member.resource, watcher_id=watcher.opaque(tag)
    )  # fmt: skip
    return _as(named, member, standing)


def _as(subscription: Subscription, member: Member, standing: Standing) -> Subscription:
    decision, permissions, changes_at = standing.authorization[:3]
    return subscription._replace(
        entity=member.uri, body=store.names_as_text(member.names), decision=decision, permissions=permissions, judge_at=changes_at,
        state=standing.state, reason=standing.reason,
    )  # fmt: skip


def _restored(member: Subscription, subscription: Subscription) -> Subscription:
    """A member that was gone, and is in the list again."""
    return member if member.expires_at else member._replace(expires_at=subscription.expires_at)


def _come_back(before: Subscription, after: Subscription, now: float) -> Subscription:
    """To who watches the watchers one that had ended, and comes again, is another one (RFC 3858 section 3)."""
    if before.state is not State.TERMINATED or after.state is State.TERMINATED:
        return after
    return after._replace(created_at=now, watcher_id=watcher.next_id(before.watcher_id, now))


def _without_resource(member: Subscription) -> Subscription:
    """A member that is in the list no more (RFC 4662 section 4.5)."""
    return member._replace(
        decision=Decision.BLOCK, state=State.TERMINATED, reason=Reason.NORESOURCE, judge_at=None, expires_at=store.GONE
    )


def _write(at: Moment, subscription: Subscription, difference: Difference) -> list[Effect]:
    """Write members, and report them to who watches the watchers."""
    created, kept, moved = difference.created, difference.kept, difference.moved
    marked = _report(at, subscription, difference)
    if created:
        store.create(at.database, subscription, _placed(at, subscription, created), at.now)
    if difference.changed:
        store.change(at.database, difference.changed, at.now)
    if moved:
        number(at.database, [each.id for each in moved])
    if kept:
        store.prolong(at.database, subscription)
    if at.settings.pa.use_offline_winfo and subscription.state is not State.TERMINATED:
        back = [each for each in moved if kept[each.resource].state is State.TERMINATED]
        _store_who_waits(at, [*created, *back])
    return [effect for each in marked for effect in wakes(each)]


def _report(at: Moment, subscription: Subscription, difference: Difference) -> list[Result | None]:
    """Report what changes before it is written, as `kemi.report` wants it."""
    came = [each for each in difference.created if State.TERMINATED not in (each.state, subscription.state)]
    watched = [(each.resource, each.package) for each in (*came, *difference.moved)]
    ends = [(difference.kept[each.resource], each) for each in difference.changed if each.state is State.TERMINATED]
    left = [
        watcher.ended(before, after.reason or Reason.TIMEOUT, at.now, at.settings.pa.waiting_expiration)
        for before, after in ends
        if before.state is not State.TERMINATED
    ]
    marked = [report_change(at, watched)] if watched else []
    if left:
        marked.append(report_end(at, left))
    return marked


def _store_who_waits(at: Moment, new: Sequence[Subscription]) -> None:
    """Presentities that are away are told later who came, as by a SUBSCRIBE to each (`kemi.offline_winfo`)."""
    pending = [each for each in new if each.state is State.PENDING and each.package == PRESENCE]
    there = online.online_among(at.database, [each.resource for each in pending], at.now)
    offline_winfo.store_all(at, [each for each in pending if each.resource not in there])


def _placed(at: Moment, subscription: Subscription, created: Sequence[Subscription]) -> list[Subscription]:
    """Who waits for a decision has one entry in watcher information: the member takes its place (RFC 3857 section 4.7.1)."""
    pending = [each for each in created if each.state is State.PENDING]
    base = subscription.package.removesuffix(LIST)
    taken = store.take_waiting(at.database, base, subscription.watcher, [each.resource for each in pending])
    return [each._replace(watcher_id=taken.get(each.resource, each.watcher_id)) for each in created]


def _limits(subscription: Subscription, standings: Mapping[str, Standing]) -> list[Effect]:
    """A line for each limit that keeps members from being watched, until the list is asked for again."""
    reached = Counter(each.authorization.limit for each in standings.values() if each.authorization.limit)
    return [
        Log(
            f"list members left for a limit: id={subscription.id} resource={subscription.resource} "
            f"watcher={subscription.watcher} limit={limit} members={number}"
        )
        for limit, number in sorted(reached.items())
    ]


def _lines(subscription: Subscription, resolved: source.Resolved, difference: Difference) -> list[Effect]:
    created, gone = len(difference.created), len(difference.gone)
    if not (created or gone or resolved.left_out):
        return []
    line = (
        f"list populated: id={subscription.id} resource={subscription.resource} members={len(resolved.members)} "
        f"new={created} gone={gone}"
    )
    return [Log(f"{line} left-out={len(resolved.left_out)}" if resolved.left_out else line)]
