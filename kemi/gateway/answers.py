"""Answers to our NOTIFYs, on their way from the process that has read them to the notifier, which settles many at a time."""

import time
from collections.abc import Iterable

import KSR

from kemi import sip
from kemi.answer import Answer
from kemi.gateway import HURRY, MAX_FIELD, text, value, wake

ANSWERS = "answers"
"""The queue."""

AT_ONCE = 50
"""2xx answers are settled together: so many of one process, those of a second, or when a subscription waits for one of them."""


class Passing:
    """One of Kamailio's processes that hand answers to the notifier."""

    def __init__(self) -> None:
        self._number = 0

    def pass_on(self, tag: str) -> None:
        """Hand on the response that Kamailio is working on, if it is a final one to a NOTIFY. Anybody may have sent it.

        CSeq is what Kamailio has read already: behind a field that it cannot read, as a date in Retry-After, `$hdr` finds none.

        Args:
            tag: of From, the id of the subscription.
        """
        status, cseq = int(value("$rs")), text("$cs")
        if status >= 200 and text("$rm") == "NOTIFY" and sip.is_cseq_number(cseq):
            self._number += 1
            KSR.mqueue.mq_add(ANSWERS, tag, _written(status, cseq))
            if status >= 300 or self._number % AT_ONCE == 0 or value(HURRY) >= time.time():
                wake()


def _written(status: int, cseq: str) -> str:
    if status >= 300:
        retry_after = text("$hdr(Retry-After)").partition(";")[0].split()  # which may be folded
        return f"{cseq} {status} {retry_after[0] if retry_after else 0} "
    event, contact = text("$hdr(Event)"), text("$(hdr(Contact))")
    line = f"{cseq} {status} 0 {contact if contact.isprintable() else ' '.join(contact.split())}"
    return f"{line}\n{event}" if "rate" in event and len(event) <= MAX_FIELD else line


def queue(answers: Iterable[Answer]) -> None:
    """Hand what could not be sent to the notifier, as if it had been answered so."""
    for each in answers:
        KSR.mqueue.mq_add(ANSWERS, each.id, each.as_text())
    wake()


def tick() -> None:
    """Once a second: what lies in the queue is settled."""
    if KSR.mqueue.mq_size(ANSWERS) > 0:
        wake()


def take(limit: int) -> list[Answer]:
    """Answers passed by the workers, at most `limit` of them."""
    taken: list[Answer] = []
    while len(taken) < limit and KSR.mqueue.mq_fetch(ANSWERS) > 0:
        taken.append(Answer.from_text(text(f"$mqk({ANSWERS})"), text(f"$mqv({ANSWERS})")))
    return taken
