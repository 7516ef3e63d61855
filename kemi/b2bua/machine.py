"""What happens to an outgoing subscription: (outgoing, event, timing, now, token) -> (outgoing or None, actions). Pure.

`token` is random: tags, Call-IDs and every jitter are made of it. None: the subscription is gone.

phase        event                                   becomes
-----------  --------------------------------------  -------------------------------------------------------------------------
(none)       wanted                                  waiting, at once or within max_subscribe_delay
waiting      refresh_at                              subscribing; gone where nobody wants it
subscribing  NOTIFY active, pending                  established; answered or not
subscribing  2xx                                     subscribing, until Timer N
subscribing  401, 407 | 423 | 3xx                    asked again: credentials, once a realm | Min-Expires | the Contact, once
subscribing  403, 603 | 404, 410, 604 | GIVING_UP    stopped: rejected | noresource | giveup
subscribing  other, none, or Timer N                 waiting: on_error_retry_time, growing; Retry-After
established  refresh_at                              established, refresh in flight; leaving where nobody wants it
established  refresh: 2xx | 204                      established; Timer N runs on | stops
established  refresh: one of ENDING                  as above; 481 and others: waiting, at once where it had lasted
established  refresh: other, none                    established until expires_at; tried again before that
established  expires_at, or Timer N after a 2xx      waiting
established  NOTIFY deactivated, timeout             waiting, at once where it had lasted
any open     NOTIFY probation, giveup, other         waiting: retry-after, else on_error_retry_time
any open     NOTIFY rejected, noresource, invariant  stopped
established  unwanted                                leaving; with a request in flight after its answer
leaving      NOTIFY terminated, error, time          gone; waiting, at once, where it is wanted again

A fork (`forks`) is made by its first NOTIFY, and goes by the same table. It asks for no dialog but its own: where that table says
waiting it is gone, and where it says stopped too, but after invariant. As long as Timer N runs, who is gone is remembered.

phase        event                                   a fork becomes
-----------  --------------------------------------  -------------------------------------------------------------------------
established  replaced                                leaving, shown so long; with a request in flight after its answer
stopped      replaced                                gone
any open     its dialog ends while Timer N runs      stopped, unwanted, shows nothing; gone when Timer N is over

What was told holds for half a minute after the end of a dialog, at most until `expires_at`. Then, and where nothing was told, it is
unknown; failed as soon as a try has failed, until the remote side speaks.

A NOTIFY for none of these raises: 481, or 500 where it is out of order (RFC 3261 section 12.2.2).
"""

from collections.abc import Callable
from typing import Any

from kemi.b2bua import credentials, moves
from kemi.b2bua.credentials import Kept
from kemi.b2bua.moves import LONGEST, Occasion, Step
from kemi.b2bua.outgoing import (
    INVARIANT,
    Action,
    Answered,
    Due,
    Event,
    Notified,
    Outgoing,
    Phase,
    Replaced,
    Shown,
    Tell,
    Timing,
    Unwanted,
    Wanted,
    fraction,
    scheduled,
)
from kemi.errors import OutOfOrder, SubscriptionDoesNotExist
from kemi.subscription import ENDING, Reason

REFUSED = {**dict.fromkeys((403, 603), Reason.REJECTED), **dict.fromkeys((404, 410, 604), Reason.NORESOURCE)}
GIVING_UP = frozenset({405, 406, 416, 420, 489, 501})
"""The remote side cannot do what is asked, and will not soon."""

AT_ONCE = (Reason.DEACTIVATED.value, Reason.TIMEOUT.value)
"""Reasons of a termination after which a new subscription is made at once (RFC 6665 section 4.1.3)."""

FINAL = (Reason.REJECTED.value, Reason.NORESOURCE.value, INVARIANT)
"""Those after which none is made."""

CHALLENGES = (401, 407)
TOO_BRIEF = 423

MOST_ASKED = 8
"""SUBSCRIBEs before the first NOTIFY of a dialog: some passwords, Min-Expires, a redirection, and an outdated nonce."""


def step(outgoing: Outgoing, event: Event, timing: Timing, now: float, token: str) -> Step:
    """What becomes of a subscription by an event.

    Args:
        now: seconds since the epoch.
        token: 32 random hexadecimal digits, others for every step.

    Raises:
        SipError: 481, 500, a NOTIFY that does not belong to it, or comes too late; nothing has changed.
    """
    at = Occasion(timing, now, token)
    done = _MOVES[type(event)](outgoing, event, at)
    remote_tag = event.remote_tag if isinstance(event, Notified) else outgoing.remote_tag
    after = done.outgoing or moves.remembered(outgoing._replace(remote_tag=remote_tag), at)
    return Step(scheduled(after), done.actions) if after is not None else done


# Somebody wants it, nobody does


def _wanted(outgoing: Outgoing, _event: Wanted, at: Occasion) -> Step:
    if outgoing.wanted:
        return Step(outgoing)
    wanted = outgoing._replace(wanted=True)
    if outgoing.phase is Phase.STOPPED and (outgoing.refresh_at or at.now) <= at.now:
        wanted = wanted._replace(phase=Phase.WAITING, failures=0, shown=Shown.UNKNOWN, reason="")
    elif outgoing.phase is not Phase.WAITING or outgoing.failures:
        return Step(wanted)
    delay = 1.0 + fraction(at.token) * (at.timing.start_delay - 1) if at.timing.start_delay else 0.0
    return Step(wanted._replace(refresh_at=at.now + delay))


def _unwanted(outgoing: Outgoing, _event: Unwanted, at: Occasion) -> Step:
    """After failures it stays until its next try: who comes back does not get around the wait."""
    unwanted = outgoing._replace(wanted=False)
    if outgoing.phase is Phase.WAITING and not outgoing.failures:
        return Step(None)
    if outgoing.phase is Phase.ESTABLISHED and outgoing.in_flight_until is None:
        return moves.leave(unwanted, at)
    return Step(unwanted)


def _replaced(outgoing: Outgoing, _event: Replaced, at: Occasion) -> Step:
    if outgoing.phase is Phase.STOPPED:
        return Step(None)
    if outgoing.phase is not Phase.ESTABLISHED:
        return Step(outgoing)
    return moves.leave(outgoing, at) if outgoing.in_flight_until is None else Step(outgoing._replace(wanted=False))


# Time


def _due(outgoing: Outgoing, _event: Due, at: Occasion) -> Step:
    return _DUE[outgoing.phase](outgoing, at)


def _due_waiting(outgoing: Outgoing, at: Occasion) -> Step:
    if moves.has_come(outgoing.expires_at, at):
        return moves.forgotten(outgoing, at)
    if moves.has_come(outgoing.refresh_at, at):
        return moves.begin(outgoing, at) if outgoing.wanted else Step(None)
    return Step(outgoing)


def _due_subscribing(outgoing: Outgoing, at: Occasion) -> Step:
    if moves.has_come(outgoing.notify_by, at):
        why = "no answer" if outgoing.in_flight_until is not None else "no NOTIFY"
        return moves.failed(outgoing, why, at)
    if moves.has_come(outgoing.in_flight_until, at):
        outgoing = outgoing._replace(in_flight_until=None)
    return moves.forgotten(outgoing, at)


def _due_established(outgoing: Outgoing, at: Occasion) -> Step:
    if moves.has_come(outgoing.expires_at, at):
        return moves.failed(outgoing, "expired", at, at_once=moves.has_lasted(outgoing, at))
    if moves.has_come(outgoing.notify_by, at) and outgoing.in_flight_until is None:
        return moves.lost(outgoing, "no NOTIFY", at)
    if moves.has_come(outgoing.in_flight_until, at) or moves.has_come(outgoing.notify_by, at):
        return _unanswered(outgoing, at)
    if moves.has_come(outgoing.refresh_at, at) and outgoing.in_flight_until is None:
        return moves.ask(outgoing, at.timing.expiration, at) if outgoing.wanted else moves.leave(outgoing, at)
    return Step(outgoing)


def _unanswered(outgoing: Outgoing, at: Occasion) -> Step:
    """A NOTIFY since the request does as well as its answer; else the grant of before still holds (RFC 6665 section 4.1.2.2)."""
    if outgoing.notify_by is None:
        return moves.settled(outgoing._replace(in_flight_until=None), at)
    return moves.unrefreshed(outgoing, "no answer", 0, at)


def _due_leaving(outgoing: Outgoing, at: Occasion) -> Step:
    deadlines = (outgoing.refresh_at, outgoing.in_flight_until, outgoing.notify_by)
    return moves.gone(outgoing, at) if any(moves.has_come(each, at) for each in deadlines) else Step(outgoing)


def _due_stopped(outgoing: Outgoing, at: Occasion) -> Step:
    if outgoing.wanted:
        return Step(outgoing._replace(refresh_at=at.now + at.timing.retry))
    return Step(None) if moves.has_come(outgoing.refresh_at, at) else Step(outgoing)


_DUE: dict[Phase, Callable[[Outgoing, Occasion], Step]] = {
    Phase.WAITING: _due_waiting,
    Phase.SUBSCRIBING: _due_subscribing,
    Phase.ESTABLISHED: _due_established,
    Phase.LEAVING: _due_leaving,
    Phase.STOPPED: _due_stopped,
}


# Answers


def _answered(outgoing: Outgoing, event: Answered, at: Occasion) -> Step:
    expected = (outgoing.dialog, outgoing.local_cseq)
    if (event.dialog, event.cseq) != expected or outgoing.in_flight_until is None or not outgoing.is_open:
        return Step(outgoing)
    if event.cseq > outgoing.opening and event.to_tag not in ("", outgoing.remote_tag):
        return Step(outgoing)  # of another fork: tags of a request are those of its answer (RFC 3261 section 8.2.6.2)
    outgoing = outgoing._replace(in_flight_until=None)
    if 200 <= event.status < 300:
        return _accepted(outgoing._replace(tried=0), event, at)
    again = _asked_again(outgoing, event, at)
    if again is not None:
        return again
    if outgoing.phase is Phase.LEAVING:
        return moves.gone(outgoing, at)
    why = str(event.status or "not sent")
    if outgoing.phase is Phase.ESTABLISHED and event.status not in ENDING:
        return moves.unrefreshed(outgoing, why, event.retry_after, at)
    if event.status in REFUSED or event.status in GIVING_UP:
        return moves.stopped(outgoing._replace(why=why), REFUSED.get(event.status, Reason.GIVEUP).value, at)
    if outgoing.phase is Phase.ESTABLISHED:
        return moves.lost(outgoing, why, at, event.retry_after)
    return moves.failed(outgoing, why, at, event.retry_after)


def _accepted(outgoing: Outgoing, event: Answered, at: Occasion) -> Step:
    """2xx. The dialog is the first NOTIFY's: a 2xx of another notifier, behind a fork, changes nothing in it."""
    if outgoing.phase is Phase.LEAVING:
        return Step(outgoing._replace(refresh_at=at.now + at.timing.farewell, notify_by=None))
    is_ours = outgoing.has_dialog and event.to_tag == outgoing.remote_tag
    if is_ours and event.contact:
        outgoing = outgoing._replace(remote_target=event.contact)
    lifetime = outgoing.asked if event.expires is None else event.expires
    if outgoing.phase is Phase.SUBSCRIBING:
        return Step(outgoing._replace(asked=lifetime or outgoing.asked))
    waits = outgoing.notify_by is not None
    if event.status == 204:
        outgoing = outgoing._replace(notify_by=None, failures=0, why="")
    if waits and is_ours and lifetime:
        outgoing = moves.granted(outgoing, lifetime, at)
    return moves.settled(outgoing, at)


def _asked_again(outgoing: Outgoing, event: Answered, at: Occasion) -> Step | None:
    """What the answer asks for is sent at once, where that is new; None: there is nothing to be sent."""
    lifetime = outgoing.asked
    if not outgoing.wanted and outgoing.phase is not Phase.LEAVING:
        return None
    if outgoing.phase is Phase.SUBSCRIBING and outgoing.local_cseq >= MOST_ASKED:
        return None
    if event.status in CHALLENGES:
        kept = credentials.renewed(Kept(outgoing.challenge, outgoing.tried), outgoing.nonce_count, event.challenges)
        return None if kept is None else moves.ask(outgoing._replace(challenge=kept.challenge, tried=kept.tried), lifetime, at)
    is_first = outgoing.phase is Phase.SUBSCRIBING
    if event.status == TOO_BRIEF and 0 < lifetime < event.min_expires <= LONGEST and (is_first or not outgoing.failures):
        failures = outgoing.failures + (not is_first)
        return moves.ask(outgoing._replace(least=event.min_expires, failures=failures), lifetime, at)
    if 300 <= event.status < 400 and event.contact and is_first and not outgoing.redirect:
        return moves.ask(outgoing._replace(redirect=event.contact), lifetime, at)
    return None


# NOTIFY


def _notified(outgoing: Outgoing, event: Notified, at: Occasion) -> Step:
    belongs = (event.dialog, event.call_id) == (outgoing.dialog, outgoing.call_id) and outgoing.is_open
    if not belongs or (outgoing.has_dialog and event.remote_tag != outgoing.remote_tag) or not event.remote_tag:
        raise SubscriptionDoesNotExist("no subscription of this server has this Call-ID and these tags")
    if event.cseq < outgoing.remote_cseq:
        raise OutOfOrder(f"CSeq {event.cseq} after {outgoing.remote_cseq}")
    if event.cseq == outgoing.remote_cseq:
        return Step(outgoing)
    route_set = outgoing.route_set if outgoing.has_dialog else event.route_set
    target = event.contact or outgoing.remote_target
    known = outgoing._replace(
        remote_tag=event.remote_tag, remote_cseq=event.cseq, remote_target=target, route_set=route_set, notify_by=None
    )
    return _over(known, event, at) if event.state == "terminated" else _told(known, event, at)


def _told(outgoing: Outgoing, event: Notified, at: Occasion) -> Step:
    """Active or pending. Its `expires` counts, whatever the 2xx said."""
    if outgoing.phase is Phase.LEAVING:
        return Step(outgoing._replace(notify_by=outgoing.in_flight_until))
    lifetime: float | None = event.expires
    if lifetime is None:
        lifetime = outgoing.asked if outgoing.expires_at is None else outgoing.expires_at - at.now
    after = moves.granted(outgoing._replace(phase=Phase.ESTABLISHED), max(0, lifetime), at)
    after = after._replace(failures=0, why="", reason="")
    if event.is_gapped:
        after = after._replace(refresh_at=at.now + 0.5 + fraction(at.token) + moves.patience(after, at), etag="")
    elif after.in_flight_until is not None:
        after = after._replace(refresh_at=None)
    shown = Shown.PENDING if event.state == "pending" else Shown.ACTIVE
    after, tells = _documented(after, event, shown)
    if after.wanted or after.in_flight_until is not None:
        return Step(after, tells)
    return moves.leave(after, at)


def _documented(outgoing: Outgoing, event: Notified, shown: Shown) -> tuple[Outgoing, tuple[Action, ...]]:
    """With the state and the document that came; one without body leaves the document in force (RFC 3856 section 6.8)."""
    after = outgoing._replace(shown=shown, etag="" if event.is_gapped else event.etag)
    if event.content_type:
        after = after._replace(content_type=event.content_type, body=event.body, version=event.version)
    is_new = (after.content_type, after.body) != (outgoing.content_type, outgoing.body)
    if shown is not outgoing.shown:
        return after, (Tell(is_urgent=True),)
    return after, (Tell(is_urgent=False),) if is_new and shown is Shown.ACTIVE else ()


def _over(outgoing: Outgoing, event: Notified, at: Occasion) -> Step:
    """Terminated, and why (RFC 6665 section 4.1.3)."""
    if outgoing.phase is Phase.LEAVING:
        return moves.gone(outgoing, at)
    if event.reason in FINAL:
        if event.reason == INVARIANT:
            outgoing, _ = _documented(outgoing, event, Shown.ACTIVE)
        return moves.stopped(outgoing, event.reason, at)
    why = f"terminated;reason={event.reason}" if event.reason else "terminated"
    outgoing = outgoing._replace(in_flight_until=None)
    at_once = event.reason in AT_ONCE and not outgoing.failures and moves.has_lasted(outgoing, at)
    done = moves.failed(outgoing, why, at, 0 if event.reason in AT_ONCE else event.retry_after or 0, at_once)
    return Step(None) if done.outgoing is not None and not outgoing.wanted else done


_MOVES: dict[type, Callable[[Outgoing, Any, Occasion], Step]] = {
    Wanted: _wanted,
    Unwanted: _unwanted,
    Replaced: _replaced,
    Due: _due,
    Answered: _answered,
    Notified: _notified,
}
