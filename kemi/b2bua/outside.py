"""What an outgoing subscription makes of things here: who wants it, what its local subscribers see (RFC 6665 section 4.1.3).

Called inside a transaction of the caller's. A local subscription to somebody elsewhere is a row like any other: the remote side's
word takes the place of the presentity's rules, its document that of the composed one.

the remote side      the local subscription is     its watcher gets                    a member of a list is
-------------------  ----------------------------  ----------------------------------  ----------------------
has not spoken yet   pending                       no document                         pending
was asked in vain    pending                       no document                         terminated, probation
may not be asked     (503)                                                             terminated, probation
pending              pending                       no document                         pending
active               active                        the document, octet by octet        active
terminated, and a    as before, for half a minute  the document                        as before
new try may help     at most; then as in vain
rejected, 403, 603   terminated, rejected                                              terminated, rejected
noresource, 404 ...  terminated, noresource                                            terminated, noresource
489 and others       terminated, giveup                                                terminated, giveup
invariant            active                        the last document, for ever         active

A dialog that is terminated is over, so one whose state may come yet stays pending. An instance of a list has no dialog, and comes
back as another one (RFC 4662 sections 4.5, 5.5). Who may not be asked for a limit is asked for when the list is refreshed.

A fetch is told what is known. Where nothing is, its NOTIFY waits for the remote side, at most `b2b.fetch_wait`; so does that of a
list, for all its members.
"""

import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kemi import identity, sip
from kemi.b2bua import store
from kemi.b2bua.credentials import Secret
from kemi.b2bua.machine import step
from kemi.b2bua.outgoing import Action, Key, Outgoing, Shown, Tell, Timing, Wanted
from kemi.b2bua.request import Ourselves
from kemi.b2bua.store import Told
from kemi.database import Result
from kemi.effects import Effect
from kemi.errors import ConfigurationError
from kemi.event_package import LIST, Authorization, Decision, interval_of
from kemi.moment import Moment
from kemi.report import wakes
from kemi.settings import Settings
from kemi.subscription import Reason, State

UNUSED = 60.0
"""Seconds that one stays that nobody has come to want."""

SEEN: dict[Shown, tuple[Decision, State]] = {
    Shown.UNKNOWN: (Decision.CONFIRM, State.PENDING),
    Shown.FAILED: (Decision.CONFIRM, State.PENDING),
    Shown.PENDING: (Decision.CONFIRM, State.PENDING),
    Shown.ACTIVE: (Decision.ALLOW, State.ACTIVE),
    Shown.TERMINATED: (Decision.BLOCK, State.TERMINATED),
}
"""What the remote side's word means here, where it is not that of a list's member."""

PER_WATCHER, PER_DOMAIN = "b2b.max_per_watcher", "b2b.max_per_domain"


class Word(NamedTuple):
    """What is known of the remote side's word for one watcher.

    Args:
        reason: why it is terminated.
        limit: the parameter for which it was not asked, "": none.
    """

    shown: Shown
    reason: str = ""
    limit: str = ""

    @property
    def authorization(self) -> Authorization:
        """The same as that of rules."""
        return Authorization(SEEN[self.shown][0], reason=self._ending, limit=self.limit)

    @property
    def member(self) -> tuple[State, str]:
        """State of a member of a list, and why it is terminated."""
        return (State.TERMINATED, self._ending) if self._ending else (SEEN[self.shown][1], "")

    @property
    def _ending(self) -> str:
        if self.shown is Shown.FAILED:
            return Reason.PROBATION.value
        return self.reason if self.shown is Shown.TERMINATED else ""


STRANGER = Word(Shown.TERMINATED, Reason.NORESOURCE.value)
"""This is no relay for watchers of other domains."""


def timing_of(settings: Settings) -> Timing:
    """The operator's parameters, for the machine."""
    b2b = settings.b2b
    return Timing(
        expiration=b2b.default_expiration,
        retry=b2b.on_error_retry_time,
        longest_wait=b2b.max_error_retry_time,
        delta=b2b.resubscribe_delta,
        least_refresh=b2b.min_resubscribe_time,
        farewell=b2b.wait_for_term_notify,
        start_delay=b2b.max_subscribe_delay,
    )


def ourselves(settings: Settings, name: str) -> Ourselves:
    """What SUBSCRIBEs say of this server."""
    b2b = settings.b2b
    lines = [line for line in b2b.additional_presence_headers.replace("\\r\\n", "\n").replace("\r\n", "\n").split("\n") if line]
    headers = "".join(f"{line}\r\n" for line in lines)
    return Ourselves(
        address=sip.bracketed(settings.address),
        port=settings.port,
        tls_port=settings.tls_port,
        route=b2b.presence_route,
        outbound_proxy=b2b.presence_outbound_proxy,
        headers=headers,
        name=name,
        secrets=read_secrets(b2b.credentials),
    )


@lru_cache(maxsize=4)
def read_secrets(file: str) -> tuple[Secret, ...]:
    """The passwords that remote sides know us by; read once by each process.

    Raises:
        ConfigurationError: the file cannot be read, or has another form.
    """
    if not file:
        return ()
    try:
        lines = [line.split() for line in Path(file).read_text().splitlines() if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"b2b.credentials: {file}: {getattr(problem, 'strerror', problem)}") from None
    if any(len(words) != 3 for words in lines):
        raise ConfigurationError(f"b2b.credentials: {file}: each line is `realm user password`")
    return tuple(Secret(*words) for words in lines)


def ensure(at: Moment, keys: Sequence[Key]) -> dict[Key, Word]:
    """Somebody here wants these: what the remote side has told so far. Those that are not there are made, as far as limits allow.

    Where all are there and wanted already: 1 statement.
    """
    standing = store.standing(at.database, keys)
    found = {key: Word(each.shown, each.reason) for key, each in standing.items()}
    full: dict[tuple[str, str], Word] = {}
    for key in sorted(key for key in keys if key not in standing or not standing[key].wanted):
        whose = key.watcher, key.domain
        is_refused = whose in full and key not in standing
        found[key] = full[whose] if is_refused else _wanted(at, key)
        if found[key].limit:
            full[whose] = found[key]
    return found


def is_awaited(at: Moment, key: Key) -> bool:
    """Whether the remote side has not spoken yet, and was not asked in vain."""
    found = store.standing(at.database, [key]).get(key)
    return found is not None and found.shown is Shown.UNKNOWN and not found.failures


def _wanted(at: Moment, key: Key) -> Word:
    is_ours = key.watcher.rpartition("@")[2] in at.settings.domains
    if not is_ours or not identity.reaches(at.settings, key.resource):
        return STRANGER
    outgoing = store.load(at.database, key)
    if outgoing is None:
        limit = reached(at, key)
        if limit:
            return Word(Shown.FAILED, limit=limit)
        store.create(at.database, new(key, at.now))
        outgoing = store.load(at.database, key)
    done = step(outgoing, Wanted(), timing_of(at.settings), at.now, secrets.token_hex(16)).outgoing if outgoing else None
    if done is None:
        return Word(Shown.UNKNOWN)
    store.save(at.database, traced(done, "wanted", at.now))
    return Word(done.shown, done.reason)


def new(key: Key, now: float) -> Outgoing:
    """One that nobody wants yet."""
    until = now + UNUSED
    return Outgoing(*key, key.domain, now, refresh_at=until, next_at=until, is_list=key.package.endswith(LIST))


def reached(at: Moment, key: Key) -> str:
    """Name of the limit for which nobody more may be asked: the watcher, or the domain, has its most already; "": none."""
    of_watcher, of_domain = store.count(at.database, key.watcher, key.domain)
    b2b = at.settings.b2b
    if 0 < b2b.max_per_watcher <= of_watcher:
        return PER_WATCHER
    return PER_DOMAIN if 0 < b2b.max_per_domain <= of_domain else ""


def tell(at: Moment, outgoing: Outgoing, actions: Iterable[Action]) -> list[Effect]:
    """Have local subscribers told what has changed."""
    marked: list[Result] = []
    for action in actions:
        if not isinstance(action, Tell):
            continue
        if action.is_urgent:
            marked.append(store.release_lists(at.database, outgoing.watcher, at.now))
            marked.append(_tell_state(at, outgoing.key, Word(outgoing.shown, outgoing.reason)))
        else:
            interval = interval_of(at.packages.get(outgoing.package), at.settings)
            marked.append(store.tell_document(at.database, outgoing.key, at.now, interval))
    return [effect for each in marked for effect in wakes(each)]


def _tell_state(at: Moment, key: Key, word: Word) -> Result:
    """To whom it is no news nothing is told: that the remote side was asked in vain is still pending, but in a list."""
    decision, state = SEEN[word.shown]
    of_member, why = word.member
    told = Told(
        decision.value, state.value, word.reason if state is State.TERMINATED else None, of_member.value, why or None,
        State.PENDING.value if word.shown is Shown.FAILED else "", secrets.token_hex(4),
    )  # fmt: skip
    return store.tell_state(at.database, key, told, at.now)


def end(at: Moment, key: Key) -> list[Effect]:
    """Local subscriptions end: nobody there can be watched from here any more."""
    return wakes(_tell_state(at, key, STRANGER))


KEPT_LINES = 20
LONGEST_LINE = 120
"""Of a trace."""


def traced(outgoing: Outgoing, line: str, now: float) -> Outgoing:
    """With another line in its trace: time, phase, what happened."""
    line = line[:LONGEST_LINE]
    lines = [*outgoing.trace.split("\n"), f"{now:.3f} {outgoing.phase.value} {line}"] if outgoing.trace else [f"{now:.3f} {line}"]
    return outgoing._replace(trace="\n".join(lines[-KEPT_LINES:]))
