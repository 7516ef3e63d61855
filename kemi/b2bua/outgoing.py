"""An outgoing subscription: what this server knows of one, and what may happen to it (RFC 6665 section 4.1). The moves: `machine`.

There is one for each (watcher, resource, package), however many local subscriptions it serves: the remote side has to authorize
each watcher, so it is never shared between them. Where the package allows forks, others beside it may stand for the same (`forks`).

phase         is
------------  -----------------------------------------------------------------------------------------------------------------
waiting       no dialog; a new SUBSCRIBE is sent at `refresh_at`. Nobody wants it yet: it is there for a moment only
subscribing   the first SUBSCRIBE is sent, no NOTIFY has come: no dialog yet, whatever was answered (section 4.1.4)
established   the dialog that the first NOTIFY made
leaving       SUBSCRIBE with Expires 0 is sent, the last NOTIFY has not come
stopped       the remote side has said that it is no use to ask again: rejected, no such resource, or never another state

Its deadlines, each None where it does not run. Where `refresh_at` is when a SUBSCRIBE is to be sent, `ask_at` is the same: that may
have to wait until it is the domain's turn. `next_at` is the earliest of the others:

in_flight_until   the answer to the SUBSCRIBE numbered `local_cseq` (Timer F and grace)
notify_by         Timer N: the NOTIFY that has to follow each SUBSCRIBE (section 4.1.2.4)
refresh_at        waiting: the next try. established: the refresh. leaving: patience with the last NOTIFY. stopped: it is forgotten
expires_at        until when the remote side is bound by what it granted, and what it told holds

What local subscribers see (`shown`) outlives a dialog until `expires_at`, so that nobody sees a remote server's restart.
"""

from enum import Enum
from typing import NamedTuple

from kemi.sip import MAX_FORWARDS

TIMER_N = 32.0
"""Seconds: 64*T1 (RFC 6665 section 4.1.2.4)."""

TAG = "kb-"
"""Our tags in these dialogs begin so: answers and NOTIFYs are told from others without a look into the database."""

BETWEEN_TAGS = "/"
"""No tag has one."""


INVARIANT = "invariant"
"""Reason of a termination after which the state never changes (RFC 6665 section 4.1.3); no notifier here gives it."""


class Key(NamedTuple):
    """What names an outgoing subscription and its forks; canonical URIs, and the name of the event package."""

    watcher: str
    resource: str
    package: str

    @property
    def domain(self) -> str:
        """Domain of who is watched."""
        return self.resource.rpartition("@")[2]


class Phase(Enum):
    """As in the table above."""

    WAITING = "waiting"
    SUBSCRIBING = "subscribing"
    ESTABLISHED = "established"
    LEAVING = "leaving"
    STOPPED = "stopped"


class Shown(Enum):
    """What the remote side last said, as far as it still holds.

    unknown: it was not asked yet, or the answer to the first try is still to come (the neutral state of RFC 6665 section 4.1.2.4).
    failed: it was asked in vain, and will be asked again.
    """

    UNKNOWN = "unknown"
    FAILED = "failed"
    PENDING = "pending"
    ACTIVE = "active"
    TERMINATED = "terminated"


class Timing(NamedTuple):
    """The operator's parameters that the machine goes by (SER handbook section 7.2); seconds.

    Args:
        longest_wait: the growing wait after errors grows no further.
    """

    expiration: int = 3600
    retry: int = 120
    longest_wait: int = 3600
    delta: int = 30
    least_refresh: int = 30
    farewell: int = 30
    start_delay: int = 0


class Outgoing(NamedTuple):
    """One outgoing subscription; the columns of the table of the same name. Times: seconds since the epoch.

    Args:
        fork: 0: who answered first, and what subscribes anew; else one of the others that answered the same SUBSCRIBE.
        wanted: somebody here watches.
        dialog: our tag; a new one for each new dialog (RFC 6665 section 4.4.2), the same in all forks.
        opening: CSeq of the SUBSCRIBE that opened the dialog, the last one without a tag in To.
        asked: Expires of the last SUBSCRIBE.
        least: Min-Expires of a 423.
        began_at: when the SUBSCRIBE numbered `opening` was sent.
        failures: tries in a row that brought no NOTIFY.
        why: the last failure, for people.
        challenge, tried: what asks for credentials (`credentials.Kept`).
        nonce_count: requests that carried credentials.
        redirect: where a 3xx has sent us.
        shown, reason: state that the remote side told, and why it is terminated.
        etag: SIP-ETag of the document.
        version: number of the newest document, in packages that number them; -1: none came.
        is_list: whether lists are asked for (RFC 4662).
        path: opaque names of the servers through which the wish came (`relay`).
        source: a presentity of ours that this is a source of (`pa.subscribe_to_users`), "": local subscribers are told.
        trace: the last events, for people, newest last.
    """

    watcher: str
    resource: str
    package: str
    domain: str
    created_at: float
    fork: int = 0
    phase: Phase = Phase.WAITING
    wanted: bool = False
    dialog: str = ""
    call_id: str = ""
    remote_tag: str = ""
    remote_target: str = ""
    route_set: str = ""
    local_cseq: int = 0
    opening: int = 0
    remote_cseq: int = -1
    asked: int = 0
    least: int = 0
    in_flight_until: float | None = None
    notify_by: float | None = None
    refresh_at: float | None = None
    expires_at: float | None = None
    began_at: float = 0.0
    failures: int = 0
    why: str = ""
    challenge: str = ""
    nonce_count: int = 0
    tried: int = 0
    redirect: str = ""
    shown: Shown = Shown.UNKNOWN
    reason: str = ""
    content_type: str = ""
    body: bytes = b""
    etag: str = ""
    version: int = -1
    is_list: bool = False
    max_forwards: int = MAX_FORWARDS
    path: str = ""
    source: str = ""
    trace: str = ""
    next_at: float | None = None
    ask_at: float | None = None

    @property
    def key(self) -> Key:
        """The same in all forks."""
        return Key(self.watcher, self.resource, self.package)

    @property
    def id(self) -> str:
        """Names its requests and its lines in the log: our tag, of a fork both tags."""
        return f"{self.dialog}{BETWEEN_TAGS}{self.remote_tag}" if self.fork else self.dialog

    @property
    def due_at(self) -> float | None:
        """The earliest deadline of all."""
        return min((each for each in (self.next_at, self.ask_at) if each is not None), default=None)

    @property
    def has_dialog(self) -> bool:
        """Whether the first NOTIFY has come."""
        return self.remote_tag != ""

    @property
    def is_open(self) -> bool:
        """Whether the remote side may send a NOTIFY for it."""
        return self.phase in (Phase.SUBSCRIBING, Phase.ESTABLISHED, Phase.LEAVING)


# What may happen


class Wanted(NamedTuple):
    """Somebody here watches."""


class Unwanted(NamedTuple):
    """Nobody here watches any more."""


class Replaced(NamedTuple):
    """Of a fork: the first one has another dialog, in which who wants to be heard is heard again."""


class Due(NamedTuple):
    """A deadline may have come."""


class Answered(NamedTuple):
    """A SUBSCRIBE got its final response, or could not be sent (status 0).

    Args:
        expires: seconds, None where there is no such header field.
        contact: the one URI of Contact, "" where there is none; of a 3xx the first one.
        retry_after, min_expires: seconds, 0 where there is none.
        challenges: lines of WWW-Authenticate and Proxy-Authenticate.
    """

    dialog: str
    cseq: int
    status: int
    to_tag: str = ""
    expires: int | None = None
    contact: str = ""
    retry_after: int = 0
    min_expires: int = 0
    challenges: tuple[str, ...] = ()


class Notified(NamedTuple):
    """A NOTIFY came that can be read.

    Args:
        dialog: tag of To.
        remote_tag: tag of From.
        state: of Subscription-State, in lower case; one that is not known counts as active (RFC 6665 section 4.1.3).
        expires, retry_after: seconds, None where they are missing.
        route_set: Record-Route, joined.
        content_type: "": there is no body.
        body: the whole document, also where it came as changes.
        version: its number, -1: it has none.
        is_gapped: something before it was lost.
    """

    dialog: str
    call_id: str
    remote_tag: str
    cseq: int
    state: str
    reason: str = ""
    expires: int | None = None
    retry_after: int | None = None
    contact: str = ""
    route_set: str = ""
    content_type: str = ""
    body: bytes = b""
    etag: str = ""
    version: int = -1
    is_gapped: bool = False


Event = Wanted | Unwanted | Replaced | Due | Answered | Notified


# What is to be done


class Ask(NamedTuple):
    """Send the SUBSCRIBE that the subscription now describes; its `local_cseq` and `asked` are those of this request."""


class Tell(NamedTuple):
    """What local subscribers see has changed.

    Args:
        is_urgent: the state did, not the document alone.
    """

    is_urgent: bool


Action = Ask | Tell


def fraction(token: str) -> float:
    """A number from 0 to 1 out of random hexadecimal digits."""
    return int(token[-8:], 16) / 0x100000000


def wait_after(failures: int, retry_after: int, timing: Timing, token: str) -> float:
    """Seconds until the next try: twice as long after each failure, and never two servers' tries in step.

    Args:
        failures: in a row, this one included.
        retry_after: what the remote side asks for, 0: nothing. The first failure believes it; a side that always says the same is
            asked ever more seldom all the same.
    """
    grown = min(timing.retry * 2.0 ** min(failures - 1, 16), max(timing.longest_wait, timing.retry))
    wait = float(retry_after) if retry_after and failures == 1 else max(grown, float(retry_after))
    return wait * (1.0 + 0.2 * fraction(token))


def refresh_after(lifetime: float, timing: Timing, token: str) -> float:
    """Seconds until the refresh of what was granted for `lifetime`: before its end, at random a little earlier.

    `min_resubscribe_time` keeps refreshes apart as long as they are not too late by it.
    """
    wanted = lifetime - timing.delta * (1.0 + fraction(token))
    wait = max(wanted, float(timing.least_refresh))
    return wait if wait <= lifetime - min(10.0, lifetime * 0.2) else lifetime * (0.5 + 0.3 * fraction(token))


def scheduled(outgoing: Outgoing) -> Outgoing:
    """With `ask_at`, and `next_at`, the earliest of the other deadlines; a refresh waits for the answer to the one before."""
    asks = outgoing.phase is Phase.ESTABLISHED or (outgoing.phase is Phase.WAITING and outgoing.wanted)
    waits = outgoing.phase is Phase.ESTABLISHED and outgoing.in_flight_until is not None
    times = (outgoing.in_flight_until, outgoing.notify_by, None if asks else outgoing.refresh_at, outgoing.expires_at)
    running = [each for each in times if each is not None]
    ask_at = outgoing.refresh_at if asks and not waits else None
    return outgoing._replace(next_at=min(running) if running else None, ask_at=ask_at)
