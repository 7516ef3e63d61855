"""Forks: several answer one SUBSCRIBE, each in a dialog of its own (pure; RFC 6665 sections 4.4.1 and 5.4.9, RFC 4235 section 3.9).

Only packages with a `merge` allow them; in others who answers beside the first gets 481 (RFC 3856 section 6.9). The first one to
answer is fork 0, and all that it would be alone: where its dialog ends it subscribes anew. Each of the others is an `Outgoing` too,
with our tag, its own tag, target, route set and CSeqs. `machine` refreshes, ends and times it; where its dialog ends it is gone.
While Timer N runs it is remembered: neither does a NOTIFY that comes late bring it back, nor do ever new tags make ever new rows.

the first one                          a NOTIFY with another tag          forks that there are
-------------------------------------  ---------------------------------  ---------------------------------------------
has told something, Timer N runs       begins a fork, as long as there    go on
                                       are no more than MOST; else 481
the same, Timer N is over              481                                go on
its dialog has ended, is refused       the same as before                 go on: who ends does not speak for the others
has told something in another dialog   begins a fork of that              replaced: left, and shown until they have ended
is left, or nobody wants it            481                                left

Local subscribers see all of them as one: active where one is, else pending where one is, else what the first one says. Their
documents are merged by the package; that of one alone stays octet by octet.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kemi.b2bua.outgoing import TIMER_N, Event, Outgoing, Phase, Replaced, Shown, Tell, Unwanted

MOST = 8
"""Beside the first one."""


class Seen(NamedTuple):
    """What local subscribers see of all together.

    Args:
        reason: why it is terminated.
        documents: content type and body of each that is active.
    """

    shown: Shown
    reason: str
    documents: tuple[tuple[str, bytes], ...]


def may_begin(first: Outgoing, now: float) -> bool:
    """Whether the first one may have forks that are not known yet; where it may not, nobody needs to read those that are."""
    return first.has_dialog and first.wanted and first.phase is not Phase.LEAVING and now < first.began_at + TIMER_N


def begun(first: Outgoing, forks: Sequence[Outgoing], now: float) -> Outgoing | None:
    """The fork that a NOTIFY with a tag that is not known begins; None: it begins none.

    Args:
        forks: all that there are.
        now: seconds since the epoch.
    """
    if not may_begin(first, now) or sum(each.dialog == first.dialog for each in forks) >= MOST:
        return None
    return Outgoing(
        first.watcher, first.resource, first.package, first.domain, now, fork=1 + max((each.fork for each in forks), default=0),
        phase=Phase.SUBSCRIBING, wanted=True, dialog=first.dialog, call_id=first.call_id, local_cseq=first.opening,
        opening=first.opening, asked=first.asked, least=first.least, began_at=first.began_at, challenge=first.challenge,
        nonce_count=first.nonce_count, max_forwards=first.max_forwards, path=first.path,
    )  # fmt: skip


def owed(family: Mapping[int, Outgoing]) -> list[tuple[Outgoing, Event]]:
    """What happens to forks because of how the first one is now.

    Args:
        family: by `Outgoing.fork`.
    """
    event = _owed_by(family.get(0))
    forks = [each for number, each in family.items() if number]
    if isinstance(event, Replaced):
        forks = [each for each in forks if each.dialog != family[0].dialog]
    return [(each, event) for each in forks] if event is not None else []


def _owed_by(first: Outgoing | None) -> Event | None:
    if first is None or first.phase is Phase.LEAVING or not (first.wanted or first.phase is Phase.ESTABLISHED):
        return Unwanted()
    return Replaced() if first.has_dialog else None


def matter(before: Outgoing, after: Outgoing | None) -> bool:
    """Whether others, or what is seen of all, may depend on what has become of one."""
    if after is None or _seen_of(before) != _seen_of(after):
        return True
    event = None if after.fork else _owed_by(after)
    return event is not None and type(event) is not type(_owed_by(before))


def _seen_of(one: Outgoing) -> tuple[object, ...]:
    return one.shown, one.reason, one.content_type, one.body


def together(first: Shown, forks: Iterable[Shown]) -> Shown:
    """What local subscribers see of a state and those of forks."""
    shown = {first, *forks}
    return next((each for each in (Shown.ACTIVE, Shown.PENDING) if each in shown), first)


def seen(family: Mapping[int, Outgoing]) -> Seen:
    """What local subscribers see; there is a first one."""
    members = [family[number] for number in sorted(family)]
    active = [each for each in members if each.shown is Shown.ACTIVE and each.content_type]
    shown = together(members[0].shown, [each.shown for each in members[1:]])
    reason = members[0].reason if shown is Shown.TERMINATED else ""
    return Seen(shown, reason, tuple((each.content_type, each.body) for each in active))


def news(before: Seen, after: Seen) -> tuple[Tell, ...]:
    """What local subscribers are told of a change."""
    if (before.shown, before.reason) != (after.shown, after.reason):
        return (Tell(is_urgent=True),)
    return (Tell(is_urgent=False),) if after.shown is Shown.ACTIVE and before.documents != after.documents else ()
