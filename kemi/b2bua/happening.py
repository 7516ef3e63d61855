"""Something happens to an outgoing subscription, inside a transaction of the caller's: it is saved, and what follows is given back.

SQL: 1 statement, 1 more where local subscribers are told.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kemi.b2bua import outside, request, store
from kemi.b2bua.machine import step
from kemi.b2bua.outgoing import Action, Answered, Ask, Due, Event, Notified, Outgoing, Phase, Shown, Tell
from kemi.b2bua.request import Ourselves
from kemi.database import Database
from kemi.effects import Effect, Log, SendRequest
from kemi.event_package import LIST, Packages
from kemi.settings import Settings

Show = Callable[[Database, Settings, Packages, str, str, bytes, float], list[Effect]]
"""Makes a publication of what was told: (database, settings, packages, presentity, content type, body, now)."""


class Setting(NamedTuple):
    """What every verb here is given.

    Args:
        show: for those that are a source of a presentity of ours.
    """

    database: Database
    settings: Settings
    packages: Packages
    us: Ourselves
    show: Show
    now: float


def happens(at: Setting, outgoing: Outgoing, event: Event, token: str) -> list[Effect]:
    """What follows of an event: a SUBSCRIBE to send, local subscribers to tell, a line to log.

    Args:
        outgoing: locked.
        token: 32 random hexadecimal digits.

    Raises:
        SipError: a NOTIFY is refused; nothing is changed.
    """
    after, actions = step(outgoing, event, outside.timing_of(at.settings), at.now, token)
    if after is None:
        store.remove(at.database, outside.key_of(outgoing))
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
    return [*effects, *_told(at, after, actions)]


def _told(at: Setting, outgoing: Outgoing, actions: Sequence[Action]) -> list[Effect]:
    """Those who are to see it, as local subscribers, or as a publication."""
    if not outgoing.source:
        return outside.tell(at.database, at.settings, at.packages, outgoing, actions, at.now)
    if not any(isinstance(action, Tell) for action in actions):
        return []
    body = outgoing.body if outgoing.shown is Shown.ACTIVE else b""
    return at.show(at.database, at.settings, at.packages, outgoing.source, outgoing.content_type, body, at.now)


def _shown_no_more(at: Setting, outgoing: Outgoing) -> list[Effect]:
    if not outgoing.source or outgoing.shown is not Shown.ACTIVE:
        return []
    return at.show(at.database, at.settings, at.packages, outgoing.source, "", b"", at.now)


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
        f"outgoing subscription {word}: id={outgoing.dialog or '-'} event={outgoing.package} resource={outgoing.resource} "
        f"watcher={outgoing.watcher} shown={outgoing.shown.value}{reason}{why}"
    )
