"""Message summaries: reading what is published, one summary of all of it, writing that (pure; RFC 3842 section 5.2).

    Messages-Waiting: yes
    Message-Account: sip:alice@vmail.example.com
    Voice-Message: 4/8 (1/2)                        new/old (urgent new/urgent old)

    Message-ID: 27775334485@vmail.example.com       header fields of new messages, a block for each

Publications that name the same account, or none, tell of one mailbox: the one that was published last counts, since a voice mail
server that was restarted publishes anew while what it published before still lives. Different accounts are different mailboxes,
one for voice and one for fax: a phone has one lamp, so their counts are added up, and one that has messages is enough for yes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kemi.errors import UnsupportedMediaType

MEDIA_TYPE = "application/simple-message-summary"
MAX_COUNT = 2**32 - 1
"""Whatever is more is told as this (section 5.2)."""

_SPACE = "[ \t]*"
_STATUS = re.compile(f"messages-waiting{_SPACE}:{_SPACE}(yes|no){_SPACE}", re.IGNORECASE)
_ACCOUNT = re.compile(f'message-account{_SPACE}:{_SPACE}([A-Za-z][A-Za-z0-9+.-]*:[^\\s<>"]+){_SPACE}', re.IGNORECASE)
_PAIR = f"([0-9]{{1,20}}){_SPACE}/{_SPACE}([0-9]{{1,20}}){_SPACE}"
_COUNTS = re.compile(f"([A-Za-z][A-Za-z0-9-]*){_SPACE}:{_SPACE}{_PAIR}(?:\\({_SPACE}{_PAIR}\\){_SPACE})?")
_HEADER = re.compile(f"[A-Za-z0-9.!%*_+`'~-]+{_SPACE}:.*")
_FOLD = re.compile("\n[ \t]+(?=[^ \t\n])")
_BLANK_LINES = re.compile("\n[ \t]*(?:\n[ \t]*)+")
_CONTROL = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f\\x85\\u2028\\u2029]")


class Counts(NamedTuple):
    """Messages of one class, at most MAX_COUNT each; no `urgent`: nothing was said of them."""

    new: int
    old: int
    urgent: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.new}/{self.old}" + (f" ({self.urgent[0]}/{self.urgent[1]})" if self.urgent else "")


class Summary(NamedTuple):
    """What a body says.

    Args:
        account: URI of the mailbox, "" where it is not named.
        counts: by message context class (RFC 3458 section 6.2), written as in Voice-Message.
        messages: the header fields of each new message, one a line.
    """

    waiting: bool = False
    account: str = ""
    counts: tuple[tuple[str, Counts], ...] = ()
    messages: tuple[str, ...] = ()


class SummaryReport(NamedTuple):
    """One publication. Times: seconds since the epoch."""

    publication_id: str
    created_at: float
    published_at: float
    summary: Summary


# Reading


def parse(body: bytes) -> Summary:
    """Read a published body; lines may end in LF alone.

    Raises:
        UnsupportedMediaType: 415, it is no message summary.
    """
    try:
        text = body.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise _refusal("the body is not UTF-8") from None
    if _CONTROL.search(text):
        raise _refusal("the body has control characters")
    head, _, tail = text.partition("\n\n")
    first, *lines = head.removesuffix("\n").split("\n")
    status = _STATUS.fullmatch(first)
    if status is None:
        raise _refusal("the first line of the body is not Messages-Waiting: yes or no")
    account = _ACCOUNT.fullmatch(lines[0]) if lines else None
    counts = dict(map(_counts, lines[1:] if account else lines))
    if len(counts) < len(lines) - bool(account):
        raise _refusal("a class of messages is counted twice")
    return Summary(status[1].lower() == "yes", account[1] if account else "", tuple(counts.items()), tuple(_messages(tail)))


def _counts(line: str) -> tuple[str, Counts]:
    match = _COUNTS.fullmatch(line)
    if match is None:
        raise _refusal("a line of the body is neither Message-Account nor counts of messages")
    new, old, *urgent = (min(int(count), MAX_COUNT) for count in match.groups()[1:] if count is not None)
    name = "-".join(part.capitalize() for part in match[1].split("-"))
    return name, Counts(new, old, (urgent[0], urgent[1]) if urgent else None)


def _messages(text: str) -> Iterator[str]:
    """The header fields of each message, unfolded (RFC 3261 section 7.3.1)."""
    unfolded = _FOLD.sub(" ", text)
    for block in filter(None, _BLANK_LINES.split(unfolded.strip("\n"))):
        if not all(map(_HEADER.fullmatch, block.split("\n"))):
            raise _refusal("a line behind the summary is no header field")
        yield block


def _refusal(detail: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(detail, accept=(MEDIA_TYPE,))


# Several mailboxes


def combine(reports: Iterable[SummaryReport], owner: str) -> tuple[Summary, tuple[SummaryReport, ...]]:
    """One summary of all publications, and those that count, one for each mailbox.

    Args:
        owner: URI of whose mailboxes they are: the account of a mailbox that names none, and of several together.
    """
    ordered = sorted(reports, key=lambda report: (report.created_at, report.publication_id))
    newest: dict[str, SummaryReport] = {}
    for report in ordered:
        account = report.summary.account or owner
        if account not in newest or report.published_at >= newest[account].published_at:
            newest[account] = report
    summaries = [report.summary for report in newest.values()]
    messages = tuple(message for summary in summaries for message in summary.messages)
    alone = summaries[0].account if len(summaries) == 1 else owner
    total = Summary(
        waiting=any(summary.waiting for summary in summaries),
        account=alone if summaries else "",
        counts=_added(summaries),
        messages=messages,
    )
    return total, tuple(newest.values())


def _added(summaries: Sequence[Summary]) -> tuple[tuple[str, Counts], ...]:
    """The counts of each class, those that stand first first."""
    total: dict[str, Counts] = {}
    for summary in summaries:
        for name, counts in summary.counts:
            total[name] = _sum(total[name], counts) if name in total else counts
    return tuple(total.items())


def _sum(one: Counts, other: Counts) -> Counts:
    urgent = [each.urgent for each in (one, other) if each.urgent is not None]
    return Counts(
        min(one.new + other.new, MAX_COUNT),
        min(one.old + other.old, MAX_COUNT),
        (min(sum(new for new, _ in urgent), MAX_COUNT), min(sum(old for _, old in urgent), MAX_COUNT)) if urgent else None,
    )


# Writing


def write(summary: Summary) -> str:
    """The body, as section 5.2 writes it."""
    lines = [f"Messages-Waiting: {'yes' if summary.waiting else 'no'}"]
    if summary.account:
        lines.append(f"Message-Account: {summary.account}")
    lines += [f"{name}: {counts}" for name, counts in summary.counts]
    for message in summary.messages:
        lines += ["", *message.split("\n")]
    return "".join(f"{line}\r\n" for line in lines)
