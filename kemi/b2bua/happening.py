"""Something happens to an outgoing subscription, in the caller's transaction: it is saved, and what follows is given back
(RFC 6665 section 4.1; what becomes of it: `machine`).

SQL: 1 statement, 1 more where local subscribers are told. In packages that allow forks 1 more where something changes that is seen,
and 1 for each fork that is left then.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kemi.b2bua import forks, outside, request, store
from kemi.b2bua.machine import step
from kemi.b2bua.moves import Step
from kemi.b2bua.outgoing import Action, Answered, Ask, Due, Event, Notified, Outgoing, Phase, Shown, Tell
from kemi.b2bua.request import Ourselves
from kemi.database import Database
from kemi.effects import Effect, Log, SendRequest
from kemi.event_package import LIST, Packages
from kemi.moment import Moment
from kemi.settings import Settings

Show = Callable[[Moment, str, str, bytes], list[Effect]]
"""Makes a publication of what was told: (at, presentity, content type, body)."""


class Setting(NamedTuple):
    """What every verb here is given: a moment, and besides it who we are.

    Args:
        show: for those that are a source of a presentity of ours.
    """

    database: Database
    settings: Settings
    packages: Packages
    now: float
    us: Ourselves
    show: Show

    @property
    def moment(self) -> Moment:
        """What other verbs are given."""
        return Moment(self.database, self.settings, self.packages, self.now)


def happens(at: Setting, outgoing: Outgoing, event: Event, token: str) -> list[Effect]:
    """What follows of an event: a SUBSCRIBE to send, local subscribers to tell, a line to log.

    Args:
        outgoing: locked.
        token: 32 random hexadecimal digits.

    Raises:
        SipError: a NOTIFY is refused; nothing is changed.
    """
    done = step(outgoing, event, outside.timing_of(at.settings), at.now, token)
    if done.outgoing == outgoing:
        return []
    effects = _written(at, outgoing, event, done, token)
    if not allows_forks(at.packages, outgoing):
        return [*effects, *_told(at, done)]
    return [*effects, *_followed(at, outgoing, done, token)] if forks.matter(outgoing, done.outgoing) else effects


def allows_forks(packages: Packages, outgoing: Outgoing) -> bool:
    """Whether each that answers the same SUBSCRIBE is a subscription of its own (RFC 6665 section 5.4.9)."""
    package = packages.get(outgoing.package)
    return package is not None and package.merge is not None


def _followed(at: Setting, outgoing: Outgoing, done: Step, token: str) -> list[Effect]:
    """What has become of one may end forks, and changes what is seen of all together.

    Args:
        outgoing: as it was before.
    """
    family = store.family(at.database, outgoing.key)
    before = family | {outgoing.fork: outgoing}
    if set(before) == {0}:
        return _told(at, done)
    effects: list[Effect] = []
    for fork, event in forks.owed(family):
        then = step(fork, event, outside.timing_of(at.settings), at.now, token)
        effects += _written(at, fork, event, then, token)
        family = {number: each for number, each in family.items() if number != fork.fork}
        family |= {fork.fork: then.outgoing} if then.outgoing is not None else {}
    first = family.get(0)
    if first is None or not first.wanted or 0 not in before:
        return effects
    seen = forks.seen(family)
    as_one = first._replace(shown=seen.shown, reason=seen.reason)
    return [*effects, *_told(at, Step(as_one, forks.news(forks.seen(before), seen)))]


def _written(at: Setting, outgoing: Outgoing, event: Event, done: Step, token: str) -> list[Effect]:
    """Saved; with its SUBSCRIBE, and its line in the log."""
    after, actions = done
    if after is None:
        store.remove(at.database, outgoing)
        return [_line("gone", outgoing), *_shown_no_more(at, outgoing)]
    if after == outgoing:
        return []
    after = _with_trace(after, event, actions, at.now)
    store.save(at.database, after)
    effects: list[Effect] = [*_asked(at, after, actions, token)]
    if after.phase is not outgoing.phase or after.shown is not outgoing.shown or after.why != outgoing.why:
        effects.append(_line(after.phase.value, after))
    if after.phase is Phase.LEAVING and outgoing.phase is not Phase.LEAVING:
        effects += _shown_no_more(at, outgoing)
    return effects


def _told(at: Setting, done: Step) -> list[Effect]:
    """Those who are to see it, as local subscribers, or as a publication."""
    outgoing, actions = done
    if outgoing is None:
        return []
    if not outgoing.source:
        return outside.tell(at.moment, outgoing, actions)
    if not any(isinstance(action, Tell) for action in actions):
        return []
    body = outgoing.body if outgoing.shown is Shown.ACTIVE else b""
    return at.show(at.moment, outgoing.source, outgoing.content_type, body)


def _shown_no_more(at: Setting, outgoing: Outgoing) -> list[Effect]:
    if not outgoing.source or outgoing.shown is not Shown.ACTIVE:
        return []
    return at.show(at.moment, outgoing.source, "", b"")


def _asked(at: Setting, outgoing: Outgoing, actions: Sequence[Action], token: str) -> list[SendRequest]:
    package = at.packages.get(outgoing.package.removesuffix(LIST))
    types = package.produces[:1] if package is not None else ()
    return [request.subscribe(outgoing, types, at.us, token[:16]) for action in actions if isinstance(action, Ask)]


def _with_trace(outgoing: Outgoing, event: Event, actions: Sequence[Action], now: float) -> Outgoing:
    if isinstance(event, Answered):
        outgoing = outside.traced(outgoing, f"< {event.status or 'not sent'} to SUBSCRIBE {event.cseq}", now)
    elif isinstance(event, Notified):
        reason = f";reason={event.reason}" if event.reason else ""
        expires = "" if event.expires is None else f";expires={event.expires}"
        body = f" {len(event.body)} octets" if event.content_type else ""
        outgoing = outside.traced(outgoing, f"< NOTIFY {event.cseq} {event.state}{reason}{expires}{body}", now)
    elif not isinstance(event, Due):
        outgoing = outside.traced(outgoing, type(event).__name__.lower(), now)
    if any(isinstance(action, Ask) for action in actions):
        outgoing = outside.traced(outgoing, f"> SUBSCRIBE {outgoing.local_cseq} expires={outgoing.asked}", now)
    return outgoing


def _line(word: str, outgoing: Outgoing) -> Log:
    why = f" why={outgoing.why}" if outgoing.why else ""
    reason = f" reason={outgoing.reason}" if outgoing.reason else ""
    return Log(
        f"outgoing subscription {word}: id={outgoing.id or '-'} event={outgoing.package} resource={outgoing.resource} "
        f"watcher={outgoing.watcher} shown={outgoing.shown.value}{reason}{why}"
    )
