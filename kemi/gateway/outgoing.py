"""Answers to our SUBSCRIBEs, on their way from whoever reads them to the one process that acts on them (`kemi.b2bua.asking`)."""

import re
from collections.abc import Iterable

import KSR

from kemi import sip
from kemi.answer import Answer
from kemi.b2bua.outgoing import TAG, Answered
from kemi.errors import SipError
from kemi.gateway import SUBSCRIBER, one_log_line, text, value, values_of, wake

SUBSCRIBED = "subscribed"
"""The queue."""

MAX_CHALLENGES = 8
"""WWW-Authenticate and Proxy-Authenticate header fields that are looked at, of each."""

MAX_CHALLENGE = 1024
"""Characters; a longer one is not looked at."""

MAX_SECONDS = 604800
"""Of Expires, Retry-After, Min-Expires; more counts as so many."""


def is_answer() -> bool:
    """Whether the response that Kamailio is working on is a final one to a SUBSCRIBE of ours."""
    return text("$rm") == "SUBSCRIBE" and text("$ft").startswith(TAG) and value("$rs") >= 200


def pass_answer() -> None:
    """Hand that response on. Anybody may have sent it."""
    if not sip.is_cseq_number(text("$cs")):
        return
    numbers = [_leading_digits(text(f"$hdr({name})")) for name in ("Expires", "Retry-After", "Min-Expires")]
    lines = [" ".join((text("$cs"), str(value("$rs")), *numbers)), text("$tt"), text("$(hdr(Contact)[*])"), *_challenges()]
    KSR.mqueue.mq_add(SUBSCRIBED, text("$ft"), "\n".join(map(one_log_line, lines)))
    wake(SUBSCRIBER)


def _leading_digits(found: str) -> str:
    """A comment and parameters may follow (RFC 3261 section 20.33)."""
    match = re.match(r"\s*([0-9]{1,10})(?![0-9])", found)
    return match[1] if match else "-"


def _challenges() -> list[str]:
    found = []
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        found += [f"{name}: {each}" for each in values_of(name, MAX_CHALLENGES) if len(each) <= MAX_CHALLENGE]
    return found


def queue_answers(answers: Iterable[Answer]) -> None:
    """Hand on what could not be sent, as if it had been answered so."""
    for each in answers:
        KSR.mqueue.mq_add(SUBSCRIBED, each.id, f"{each.cseq} {each.status} - - -\n\n")
    wake(SUBSCRIBER)


def has_answers() -> bool:
    """Whether something lies in the queue."""
    return bool(KSR.mqueue.mq_size(SUBSCRIBED) > 0)


def take_answers(limit: int) -> list[Answered]:
    """Answers in the queue, at most `limit` of them."""
    answers: list[Answered] = []
    while len(answers) < limit and KSR.mqueue.mq_fetch(SUBSCRIBED) > 0:
        answers.append(answered(text(f"$mqk({SUBSCRIBED})"), text(f"$mqv({SUBSCRIBED})")))
    return answers


def answered(dialog: str, line: str) -> Answered:
    """Read what came out of the queue; header field values in it are as the other side sent them."""
    first, to_tag, contact, *challenges = line.split("\n")
    cseq, status, *numbers = first.split(" ")
    expires, retry_after, min_expires = map(_seconds, numbers)
    return Answered(
        dialog, int(cseq), int(status), to_tag, expires, target(contact), retry_after or 0, min_expires or 0, tuple(challenges)
    )


def _seconds(number: str) -> int | None:
    return min(int(number), MAX_SECONDS) if number != "-" else None


def target(contact: str) -> str:
    """The URI of the first Contact that can be used; a 3xx may have several (RFC 3261 section 8.1.3.4)."""
    try:
        members = sip.split_list(contact)
    except SipError:
        return ""
    return next(filter(None, map(sip.contact_target, members)), "")
