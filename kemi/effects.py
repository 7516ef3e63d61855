"""What a verb wants done in the world, as values: the process does it after the commit, in this order (`kemi.process`)."""

from dataclasses import dataclass
from typing import NamedTuple

from kemi.subscription import Subscription


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request with `status` and `reason`; `headers` are (name, value)."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Answer the HTTP request; `headers` are (name, value). HEAD and 304 get the headers only, whatever `body` is."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    body: bytes = b""


class SendRequest(NamedTuple):
    """Send a request in a dialog. Its answer comes back as an `Answer` that carries `id` and `cseq`.

    Args:
        id: our tag in the dialog.
        cseq: number of the request.
        next_hop: URI to send to instead of `uri`; "" for none.
        connection: Kamailio's id of the connection that `next_hop` needs; 0 for none. When it is gone, `uri` is used.
        socket: local socket, e.g. udp:127.0.0.1:5060.
        headers: header field lines, CRLF after each.
    """

    id: str
    cseq: int
    method: str
    uri: str
    next_hop: str
    connection: int
    socket: str
    headers: str
    body: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Have the notifier look for due subscriptions now.

    Args:
        blocked: some of them have a NOTIFY in flight: look again as soon as its answer is there.
    """

    blocked: bool = False


@dataclass(frozen=True, slots=True)
class WakeSubscriber:
    """Have the server look now for SUBSCRIBEs of its own that are due (`kemi.b2bua`)."""


@dataclass(frozen=True, slots=True)
class Log:
    """One line at INFO about a change of state; never a body or a credential."""

    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a subscription, for the script that goes on after it (SER handbook 5.3).

    Args:
        word: pending, active, rejected or terminated.
        subscription: as the SUBSCRIBE left it.
        new: the SUBSCRIBE opened it.
    """

    word: str
    subscription: Subscription
    new: bool = False


Effect = Reply | HttpReply | SendRequest | Wake | WakeSubscriber | Log | Status
