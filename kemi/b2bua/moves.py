"""What several events lead an outgoing subscription to: asking, leaving, failing, ending (pure; RFC 6665 section 4.1.2).

The events, and a table of all of it: `machine`.
"""

from typing import NamedTuple

from kemi.b2bua.outgoing import (
    INVARIANT,
    TAG,
    TIMER_N,
    Action,
    Ask,
    Outgoing,
    Phase,
    Shown,
    Tell,
    Timing,
    refresh_after,
    wait_after,
)
from kemi.subscription import GRACE

LONGEST = 604800
"""Seconds: no remote side binds us for longer."""

LAST_TRY = 10.0
"""Seconds before the end of a grant after which a refresh that failed is not tried again."""

SOONEST = 10.0
"""Seconds between two requests of a dialog, in the long run."""

CREDIT = 10
"""Requests of a dialog besides, however soon they come."""


class Step(NamedTuple):
    """Where an event leads. `outgoing` None: it is gone."""

    outgoing: Outgoing | None
    actions: tuple[Action, ...] = ()


class Occasion(NamedTuple):
    """All that a decision depends on besides subscription and event."""

    timing: Timing
    now: float
    token: str


def has_come(deadline: float | None, at: Occasion) -> bool:
    """Whether a deadline is over."""
    return deadline is not None and deadline <= at.now


def forgotten(outgoing: Outgoing, at: Occasion, has_failed: bool = False) -> Step:
    """What was told holds no longer; nor does that there is still an answer to come, when one try has failed."""
    shown = Shown.FAILED if outgoing.failures or has_failed else Shown.UNKNOWN
    if outgoing.shown is not Shown.UNKNOWN and not has_come(outgoing.expires_at, at):
        return Step(outgoing)
    known = outgoing._replace(shown=shown, content_type="", body=b"", etag="", version=-1, expires_at=None)
    return Step(known, () if outgoing.shown is shown else (Tell(is_urgent=True),))


def begin(outgoing: Outgoing, at: Occasion) -> Step:
    """A new dialog: nothing of the old one but what is shown goes on (RFC 6665 sections 4.1.2.2, 4.4.2)."""
    fresh = outgoing._replace(
        phase=Phase.SUBSCRIBING, dialog=TAG + at.token[:20], call_id="kb-" + at.token[8:], remote_tag="", remote_target="",
        route_set="", local_cseq=0, remote_cseq=-1, refresh_at=None, began_at=at.now, redirect="", version=-1, etag="",
        tried=0,
    )  # fmt: skip
    return ask(fresh, at.timing.expiration, at)


def ask(outgoing: Outgoing, lifetime: int, at: Occasion) -> Step:
    """The next SUBSCRIBE of the dialog."""
    cseq = outgoing.local_cseq + 1
    sent = outgoing._replace(
        local_cseq=cseq,
        asked=max(lifetime, outgoing.least) if lifetime else 0,
        in_flight_until=at.now + TIMER_N + GRACE,
        notify_by=at.now + TIMER_N,
        nonce_count=outgoing.nonce_count + 1 if outgoing.challenge else 0,
    )
    if sent.phase is Phase.ESTABLISHED:
        sent = sent._replace(refresh_at=None)
    elif sent.phase is Phase.SUBSCRIBING:
        sent = sent._replace(opening=cseq, began_at=at.now)
    return Step(sent, (Ask(),))


def leave(outgoing: Outgoing, at: Occasion) -> Step:
    """Unsubscribe; the dialog stays until the last NOTIFY (RFC 6665 section 4.1.2.3). What is wanted is shown so long."""
    shown = outgoing.shown if outgoing.wanted else Shown.UNKNOWN
    return ask(outgoing._replace(phase=Phase.LEAVING, refresh_at=None, expires_at=None, shown=shown, tried=0), 0, at)


def settled(outgoing: Outgoing, at: Occasion) -> Step:
    """Nothing is in flight: what had to wait for that is done."""
    if not outgoing.wanted:
        return leave(outgoing, at)
    if outgoing.refresh_at is None and outgoing.expires_at is not None:
        return Step(granted(outgoing, outgoing.expires_at - at.now, at))
    return Step(outgoing)


def granted(outgoing: Outgoing, lifetime: float, at: Occasion) -> Outgoing:
    """With the remote side bound for `lifetime` seconds, and a refresh before their end, unless that is too soon again."""
    lifetime = min(lifetime, LONGEST)
    wait = max(refresh_after(lifetime, at.timing, at.token), patience(outgoing, at))
    return outgoing._replace(expires_at=at.now + lifetime, refresh_at=at.now + wait)


def patience(outgoing: Outgoing, at: Occasion) -> float:
    """Seconds that the next refresh has to wait, where there were too many."""
    return SOONEST if outgoing.local_cseq > CREDIT + (at.now - outgoing.began_at) / SOONEST else 0.0


def failed(outgoing: Outgoing, why: str, at: Occasion, retry_after: int = 0, at_once: bool = False) -> Step:
    """No dialog any more: another one is tried, but by a fork. What is shown holds for a moment."""
    if outgoing.fork or (not outgoing.wanted and outgoing.phase is Phase.ESTABLISHED):
        return Step(None)
    failures = 0 if at_once else outgoing.failures + 1
    wait = 0.0 if at_once else wait_after(failures, retry_after, at.timing, at.token)
    waiting = outgoing._replace(
        phase=Phase.WAITING, in_flight_until=None, notify_by=None, refresh_at=at.now + wait, failures=failures, why=why,
        expires_at=_holds_until(outgoing, at), tried=0,
    )  # fmt: skip
    return forgotten(waiting, at, has_failed=outgoing.failures > 0)


def _holds_until(outgoing: Outgoing, at: Occasion) -> float | None:
    if outgoing.shown in (Shown.UNKNOWN, Shown.FAILED):
        return None
    return min(outgoing.expires_at or at.now, at.now + TIMER_N + GRACE)


def has_lasted(outgoing: Outgoing, at: Occasion) -> bool:
    """Whether a new dialog at once is not one of many in a row."""
    return outgoing.has_dialog and at.now - outgoing.began_at >= at.timing.least_refresh


def lost(outgoing: Outgoing, why: str, at: Occasion, retry_after: int = 0) -> Step:
    """The dialog is over on the remote side; it may only have been restarted."""
    return failed(outgoing, why, at, retry_after, at_once=not retry_after and not outgoing.failures and has_lasted(outgoing, at))


def unrefreshed(outgoing: Outgoing, why: str, retry_after: int, at: Occasion) -> Step:
    """A refresh failed and the grant of before holds: tried again before that ends, or not at all."""
    outgoing = outgoing._replace(in_flight_until=None, notify_by=None, failures=outgoing.failures + 1, why=why, tried=0)
    if not outgoing.wanted:
        return leave(outgoing, at)
    left = (outgoing.expires_at or at.now) - at.now
    wait = wait_after(outgoing.failures, retry_after, at.timing, at.token)
    if not retry_after and left >= LAST_TRY:
        wait = min(wait, left / 2)
    return Step(outgoing._replace(refresh_at=at.now + wait if wait < left else None))


def stopped(outgoing: Outgoing, reason: str, at: Occasion) -> Step:
    """Nothing is asked again by itself. `invariant`: what was told holds for ever; else local subscriptions end for that reason.

    A fork that is refused is gone: it does not speak for the others.
    """
    if outgoing.fork and reason != INVARIANT:
        return Step(None)
    stopped = outgoing._replace(
        phase=Phase.STOPPED, reason=reason, in_flight_until=None, notify_by=None, expires_at=None,
        refresh_at=at.now + at.timing.retry,
    )  # fmt: skip
    if reason == INVARIANT:
        return Step(stopped._replace(shown=Shown.ACTIVE), (Tell(is_urgent=True),))
    stopped = stopped._replace(shown=Shown.TERMINATED, content_type="", body=b"")
    return Step(stopped, (Tell(is_urgent=True),))


def remembered(outgoing: Outgoing, at: Occasion) -> Outgoing | None:
    """A fork whose dialog is over, as long as another might begin: a NOTIFY of it that comes late does not bring it back."""
    until = outgoing.began_at + TIMER_N
    if not outgoing.fork or outgoing.phase not in (Phase.SUBSCRIBING, Phase.ESTABLISHED) or until <= at.now:
        return None
    return outgoing._replace(
        phase=Phase.STOPPED, wanted=False, shown=Shown.UNKNOWN, reason="", in_flight_until=None, notify_by=None, refresh_at=until,
        expires_at=None, content_type="", body=b"", etag="", version=-1,
    )  # fmt: skip


def gone(outgoing: Outgoing, at: Occasion) -> Step:
    """The end of what was left; it may be wanted again meanwhile."""
    if outgoing.fork or not outgoing.wanted:
        return Step(None)
    anew = outgoing._replace(
        phase=Phase.WAITING, in_flight_until=None, notify_by=None, refresh_at=at.now, failures=0, content_type="", body=b""
    )
    return Step(anew)
