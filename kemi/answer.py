"""Answer: what became of a NOTIFY (RFC 6665 section 4.2.2), on its way from the process that has read it to the notifier."""

import re
from typing import NamedTuple

from kemi import sip
from kemi.subscription import TIMER_F

MAX_RETRY_AFTER = 86400
"""Seconds that a watcher can put off its NOTIFY."""


class Answer(NamedTuple):
    """What became of a NOTIFY.

    Args:
        status: of the final response; 0: it could not be sent.
        contact: URI of Contact in a 2xx, "" where there is none.
        retry_after: seconds, 0 where there is none.
        event: value of Event in a 2xx, where it names a rate (RFC 6446 section 9.3).
    """

    id: str
    cseq: int
    status: int
    contact: str = ""
    retry_after: int = 0
    event: str = ""

    def as_text(self) -> str:
        """All but the id, for the queue between Kamailio's processes."""
        return f"{self.cseq} {self.status} {self.retry_after} {self.contact}\n{self.event}"

    @classmethod
    def from_text(cls, tag: str, text: str) -> "Answer":
        """Read what came out of the queue; header field values in it are as the watcher sent them."""
        line, _, event = text.partition("\n")
        cseq, status, retry_after, contact = line.split(" ", 3)
        seconds = int(retry_after) if retry_after != "0" and re.fullmatch("[0-9]{1,9}", retry_after) else 0
        target = sip.contact_target(contact) if contact else ""
        return cls(tag, int(cseq), int(status), target, min(seconds, MAX_RETRY_AFTER), event)

    @property
    def is_good(self) -> bool:
        """The watcher has what it was told: a 2xx."""
        return 200 <= self.status < 300

    def retry_at(self, now: float) -> float:
        """When to try again after one that is not good, seconds since the epoch; 0.0: with the next change."""
        if self.status == 0:
            return now + TIMER_F
        return now + self.retry_after if self.retry_after else 0.0
