"""Standing: what each member of a list is to be, as the rules of its resource are for this watcher (RFC 4662 section 4.5).

resource                                                     state         reason
-----------------------------------------------------------  ------------  -----------
ours, its rules say allow or polite-block                    active
ours, its rules say confirm                                  pending
the same, for longer than `pa.waiting_expiration`            terminated    giveup
ours, its rules say block                                    terminated    rejected
new, of one that has `pa.max_watchers` already               terminated    probation
ours, and a list too                                         active: it has members of its own (RFC 4662 section 4.6)
a list, and another user's                                   terminated    rejected
a list that it stands in itself, or too deep in lists        terminated    noresource
of a domain of b2b.domains                                   as the server there says (`kemi.b2bua.outside`)
somebody who is not there, or of another domain              terminated    noresource

SQL: 1 for what management decided about all members, 1 for the rules of all (`pa.auth = xcap`), 1 for limits where members are new.
1 more for which users there are (`pa.presentities = subscriber`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kemi import identity, sip
from kemi.event_package import Authorization, Decision, EventPackage
from kemi.moment import Moment
from kemi.rls import source, store
from kemi.rls.resource_list import Member
from kemi.subscription import STATE_BY_DECISION, Reason, State, Subscription

UNSEEN = Authorization(Decision.BLOCK)
"""Of somebody who is not there, or cannot be watched now: nothing is shown."""

PER_RESOURCE = "pa.max_watchers"
"""The limit for which somebody is not watched now (`Authorization.limit`)."""


class Standing(NamedTuple):
    """What a member is to be.

    Args:
        reason: why it is terminated, None: it is not.
        is_list: it is a list itself.
    """

    authorization: Authorization
    reason: Reason | None = None
    is_list: bool = False

    @property
    def state(self) -> State:
        """Of its subscription."""
        return State.TERMINATED if self.reason else STATE_BY_DECISION[self.authorization.decision]


NOBODY = Standing(UNSEEN, Reason.NORESOURCE)
"""Somebody who is not there, or cannot be asked; or a list that is not entered."""


def standings_of(
    at: Moment,
    base: EventPackage,
    subscription: Subscription,
    members: Sequence[Member],
    way: tuple[str, ...],
    lists: Mapping[str, Standing],
) -> dict[str, Standing]:
    """What each member is to be, by canonical URI.

    Args:
        way: canonical URIs of this list and of those around it, the outermost first.
        lists: what the members are to be that are lists (`kemi.rls.nested`).
    """
    realm = identity.realm(at.settings)
    ours = [each.resource for each in members if realm.is_served(sip.parse_uri(each.resource))]
    elsewhere = [each.resource for each in members if identity.reaches(at.settings, each.resource)]
    single = [each for each in ours if each not in lists and each not in way]
    if at.settings.pa.presentities == "subscriber":
        known = store.known_users(at.database, single)
        single = [each for each in single if each in known]
    says = _authorized(at, base, subscription.watcher, [*single, *elsewhere])
    found = {each.resource: NOBODY for each in members}
    found |= {each: _standing(authorization) for each, authorization in says.items()}
    return found | dict(lists)


def _authorized(at: Moment, base: EventPackage, watcher: str, resources: Sequence[str]) -> Mapping[str, Authorization]:
    if not resources:
        return {}
    if base.authorize_members is not None:
        return base.authorize_members(at, watcher, resources)
    return {each: base.authorization(at, watcher, each) for each in resources}


def _standing(authorization: Authorization) -> Standing:
    if authorization.reason:
        return Standing(authorization, Reason(authorization.reason))
    return Standing(authorization, None if authorization.decision in STATE_BY_DECISION else Reason.REJECTED)


def list_standing(at: Moment, watcher: str, uri: str) -> Standing:
    """What a list in a list is to be."""
    decision = may_watch(at, watcher, uri)
    return _standing(Authorization(decision))._replace(is_list=decision is Decision.ALLOW)


def may_watch(at: Moment, watcher: str, uri: str) -> Decision:
    """Who may use a list (RFC 5363 section 5.2, SER handbook section 6.3): what `rls.auth` says of one watcher."""
    if at.settings.rls.auth != "owner":
        return Decision.ALLOW
    owner = source.owner_of(at, watcher, uri)
    return Decision.ALLOW if owner in ("", watcher) else Decision.BLOCK


def limited(at: Moment, package: str, before: Mapping[str, Subscription], standings: Mapping[str, Standing]) -> dict[str, Standing]:
    """What members are to be within the limits that every subscription has: of waiting for a decision, and of watchers.

    Args:
        package: name of the members' package.
        before: the members that the list has, by canonical URI.
        standings: what they would be without these limits.
    """
    patience = at.settings.pa.waiting_expiration or at.now  # 0: nobody waits for longer than since the epoch
    waiting = [each for each in before.values() if each.state is State.PENDING and at.now - each.created_at >= patience]
    given_up = {each.resource for each in waiting if each.resource in standings and standings[each.resource].state is State.PENDING}
    live = {resource for resource, each in before.items() if each.state is not State.TERMINATED}
    new = [uri for uri, each in standings.items() if uri not in live and not each.is_list and each.state is not State.TERMINATED]
    crowded = store.crowded(at.database, package, new, at.settings.pa.max_watchers)
    found = dict(standings)
    found |= {each: Standing(standings[each].authorization, Reason.GIVEUP) for each in given_up}
    return found | {each: Standing(UNSEEN._replace(limit=PER_RESOURCE), Reason.PROBATION) for each in crowded}
