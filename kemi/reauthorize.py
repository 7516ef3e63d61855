"""Reauthorize: what is allowed to a presentity's watchers has changed, so its rules are asked again (RFC 5025 section 3.2.1).

All live subscriptions of one package, in one transaction under the lock of the presentity:

what changes      for example                    told
----------------  -----------------------------  -------------------------------------------------------------------------
the state         pending to active, to          at once
                  terminated;reason=rejected
the document      allow to polite-block, more    when the interval is over, like any change of presence: who is polite-blocked
                  or less is shown               cannot tell it from the presentity going away
a waiting watcher to terminated, approved or     to who watches the watchers (RFC 3857 section 4.7.1)
                  rejected
a refused member  to active or pending           at once, by its list: it is subscribed to again (RFC 4662 section 4.5)
of a list

Changes of state are reported to who watches the watchers too. When the clock changes what the rules say is written into each
subscription (`judge_at`), and the sweep asks again then (`overdue`).

SQL: 2 statements load, 1 saves, 2 report changes, 3 ends, and those of the package's `authorize`, however many watchers there are.
1 more for members that were refused and are not any more.
"""

from collections.abc import Sequence
from typing import NamedTuple

from kemi import decision_store, store, watcher, watcher_store
from kemi.database import Result
from kemi.effects import Effect, Log, Wake
from kemi.event_package import Authorization, Decision, Packages, interval_of
from kemi.moment import Moment
from kemi.report import report_change, report_end, wakes
from kemi.subscription import STATE_BY_DECISION, Reason, State, Subscription, WatcherEvent, authorized, decided, due
from kemi.watcher import RememberedWatcher

LIMIT = 500
"""Presentities looked after in one sweep; the next one is a second later."""


class Change(NamedTuple):
    """A subscription before and after."""

    before: Subscription
    after: Subscription

    @property
    def is_of_state(self) -> bool:
        """Whether the watcher gets another Subscription-State."""
        return self.before.state is not self.after.state

    @property
    def is_new(self) -> bool:
        """Whether it is a member of a list that was refused, and is let in."""
        return self.is_of_state and self.before.state is State.TERMINATED

    @property
    def is_told(self) -> bool:
        """Whether the watcher may get something else than before; else only the time to ask again is another one."""
        return (self.before.decision, self.before.permissions) != (self.after.decision, self.after.permissions)


def reauthorize(at: Moment, package_name: str, resource: str) -> list[Effect]:
    """Ask the rules again, in a transaction of its own.

    Args:
        package_name: whose subscriptions; nothing is done for a package that is not served.
        resource: canonical URI of the presentity.
    """
    with at.database.transaction():
        at.database.lock(resource)
        return apply(at, package_name, resource)


def apply(at: Moment, package_name: str, resource: str, watcher: str | None = None) -> list[Effect]:
    """The same in the transaction of the caller, who has locked the presentity and written the new rules.

    Args:
        watcher: canonical URI of the only one to ask about; None: all.
    """
    package = at.packages.get(package_name)
    if package is None:
        return []
    live = decision_store.live(at.database, package_name, resource, watcher or "")
    waiting = decision_store.waiting(at.database, package_name, resource, watcher or "")
    watchers = dict.fromkeys([*(each.watcher for each in live), *(each.uri for each in waiting)])
    says = package.authorize(at, list(watchers), resource) if watchers else {}
    interval = interval_of(package, at.settings)
    after = [(each, _after(each, says[each.watcher], interval, at.now)) for each in live]
    changes = [Change(each, changed) for each, changed in after if changed != each]
    changes = _within_limit(at, package_name, resource, changes)
    decided_about = [each for each in waiting if says[each.uri].decision is not Decision.CONFIRM]
    done = [_done_waiting(each, says[each.uri].decision, at.now) for each in decided_about]
    marked = _report(at, changes, done)
    if changes:
        decision_store.apply(at.database, [each.after for each in changes])
    changes = [each for each in changes if each.is_told]
    return [*_wake(changes), *(effect for result in marked for effect in wakes(result)), *_log(changes, done)]


def asking_the_same(packages: Packages, package_name: str) -> list[str]:
    """Names of the packages whose rules are those of this one, itself among them."""
    rules = packages[package_name].rules
    return [name for name, each in packages.items() if each.rules is rules]


def overdue(at: Moment) -> list[Effect]:
    """Ask the rules again where the time has come to; one transaction a presentity and package."""
    effects: list[Effect] = []
    for resource, name in decision_store.to_judge(at.database, at.now, LIMIT):
        effects += reauthorize(at, name, resource)
    return effects


def _within_limit(at: Moment, package_name: str, resource: str, changes: list[Change]) -> list[Change]:
    """No more are let in than a presentity may have watchers; the others are asked for when their lists are refreshed.

    When the clock changes the rules again is noted of them all the same: else they would be asked for each second.
    """
    most, new = at.settings.pa.max_watchers, [each for each in changes if each.is_new]
    if not (most and new):
        return changes
    free = most - decision_store.watchers(at.database, package_name, resource, most)
    left = {each.before.id for each in new[free:]}
    later = [each._replace(after=each.before._replace(judge_at=each.after.judge_at)) for each in new[free:]]
    return [each for each in changes if each.before.id not in left] + [each for each in later if each.after != each.before]


def _let_in(before: Subscription, authorization: Authorization, now: float) -> Subscription:
    """A member of a list that was refused, as its list will subscribe to it; one that gave up waiting does not wait again."""
    after = authorized(before, authorization)
    state = STATE_BY_DECISION.get(authorization.decision, State.TERMINATED)
    if state is State.TERMINATED or (state is State.PENDING and before.reason is Reason.GIVEUP):
        return after
    again = after._replace(state=state, reason=None, watcher_event=WatcherEvent.SUBSCRIBE.value, created_at=now)
    return due(again._replace(watcher_id=watcher.next_id(before.watcher_id, now)), now)


def _after(before: Subscription, authorization: Authorization, interval: float, now: float) -> Subscription:
    if before.state is State.TERMINATED:
        return _let_in(before, authorization, now)
    after = decided(before, authorization, now)
    if not Change(before, after).is_told:
        return after
    if after.state is before.state:
        return _due_later(after, interval, now)
    return due(after, now)


def _due_later(subscription: Subscription, interval: float, now: float) -> Subscription:
    """Due as `store.mark_due` makes all of a presentity: not before the interval since the last NOTIFY is over."""
    notified_at = subscription.notified_at if subscription.notified_at <= now else 0.0  # else the clock was set back
    due_at = max(now, notified_at + max(interval, subscription.least_gap))
    if subscription.due_at is not None and subscription.due_at <= now:
        due_at = subscription.due_at
    if subscription.in_flight_since is not None:
        return subscription._replace(due_at=due_at)
    repeat_at = subscription.expires_at if subscription.repeat_at is None else subscription.repeat_at
    return subscription._replace(due_at=due_at, next_at=min(due_at, repeat_at, subscription.expires_at))


def _done_waiting(waiting: RememberedWatcher, decision: Decision, now: float) -> RememberedWatcher:
    event = WatcherEvent.REJECTED if decision is Decision.BLOCK else WatcherEvent.APPROVED
    return waiting._replace(status=watcher.Status.TERMINATED, event=event, expires_at=now + watcher.TOLD_WITHIN)


def _report(at: Moment, changes: Sequence[Change], done: Sequence[RememberedWatcher]) -> list[Result | None]:
    """Report what changes before it is written, as `report` wants it."""
    marked = []
    moved = [each.after for each in changes if each.is_of_state and each.after.state is not State.TERMINATED]
    if moved:
        marked.append(report_change(at, [(each.resource, each.package) for each in moved]))
        store.number(at.database, [each.id for each in moved])
    if done:
        watcher_store.remove(at.database, [each.id for each in done])
    expiration = at.settings.pa.waiting_expiration
    rejected = [
        watcher.ended(each.before, Reason.REJECTED, at.now, expiration)
        for each in changes
        if each.is_of_state and each.after.state is State.TERMINATED
    ]
    if rejected or done:
        marked.append(report_end(at, [*rejected, *done]))
    return marked


def _wake(changes: Sequence[Change]) -> list[Effect]:
    return [Wake(blocked=any(each.before.in_flight_since is not None for each in changes))] if changes else []


def _log(changes: Sequence[Change], done: Sequence[RememberedWatcher]) -> list[Effect]:
    lines: list[Effect] = [
        Log(
            f"subscription decided: id={after.id} event={after.package} resource={after.resource} watcher={after.watcher} "
            f"decision={after.decision.value} state={after.state.value} was={before.state.value}"
        )
        for before, after in changes
    ]
    return lines + [
        Log(f"watcher {each.event.value}: resource={each.resource} watcher={each.uri} event={each.package}") for each in done
    ]
