"""What SIPp has logged, and the bodies of lists in it: each is read as a strict subscriber does (`tests.multipart`, RFC 4662)."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.multipart import MULTIPART, Invalid, Reader
from tests.useragent import Message, parse

RECEIVED = re.compile(rb"^(?:UDP|TCP|TLS) message received \[(\d+)\] bytes :\r?\n\r?\n", re.MULTILINE)


def received(log: bytes) -> Iterator[Message]:
    """The messages that came to SIPp, in their order."""
    at = 0
    while found := RECEIVED.search(log, at):
        at = found.end() + int(found[1])
        yield parse(log[found.end() : at])


def check(log: Path, is_linphone: bool = False) -> int:
    """Read all multipart bodies of a message log, in the order of each dialog; gives how many there are.

    Raises:
        Invalid: one is not as it should be, or does not follow the one before.
    """
    readers: dict[tuple[str, str], Reader] = defaultdict(lambda: Reader(is_linphone=is_linphone))
    seen: set[tuple[str, str, int]] = set()
    number = 0
    octets = log.read_bytes()
    for message in received(octets):
        dialog = message.get("Call-ID"), message.from_tag
        if message.method != "NOTIFY" or not message.get("Content-Type").startswith(MULTIPART):
            continue
        if (*dialog, message.cseq) in seen:
            continue
        seen.add((*dialog, message.cseq))
        number += 1
        if message.get("Require") != "eventlist":
            raise Invalid(f"a NOTIFY about a list with Require: {message.get('Require')!r}")
        readers[dialog].take(message.get("Content-Type"), message.body)
    if not number and b"multipart/related;type=" in octets:
        raise Invalid(f"{log.name} has bodies of lists, and none of them was found")
    return number
