"""Random damage to valid requests: whatever comes, an answer or silence, and the server goes on (seeded; SEED=n repeats a run)."""

import random
import re
from collections.abc import Callable

import pytest

from tests.hostile.attacker import Attacker, Outcome, Watch
from tests.hostile.messages import Case
from tests.repetitions import repeated, seed_of_this_run
from tests.server import Server
from tests.wire.observe import rows

MESSAGES = repeated(800, 5000)
TOKENS = (b"\r\n", b"\r", b"\n", b"\0", b"\xff", b"\xc3\x28", b"%00", b"%0d%0a", b"%", b'"', b"<", b">", b";", b",", b"=", b":",
          b"@", b"[", b"]",
          b"*", b"&lt;", b"&#0;", b"<!--", b"]]>", b"<!DOCTYPE a>", b"-1", b"4294967296", b" ", b"\t", b"\xef\xbb\xbf", b"tag=",
          b"A" * 300,
          b"branch=", b"q=", b"()", b"'", b"\\", b"|", b"sip:", b"SIP/2.0", b"Content-Length: 5\r\n", b"Expires: 0\r\n",
          b"Event: x\r\n")  # fmt: skip
"""None of them can name another host."""

PROTECTED = re.compile(rb"^(?:Via|Contact):[^\n]*\n", re.MULTILINE)
"""Where answers and NOTIFYs go is not damaged: nothing may leave this machine."""

Mutation = Callable[[random.Random, bytes], bytes]


def _flip(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :]


def _insert(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + chance.choice(TOKENS) + data[place:]


def _replace(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    token = chance.choice(TOKENS)
    return data[:place] + token + data[place + len(token) :]


def _delete(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + data[place + chance.randint(1, 30) :]


def _double(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data))
    end = place + chance.randint(1, 60)
    return data[:end] + data[place:end] * chance.choice((1, 1, 2, 20)) + data[end:]


def _swap_lines(chance: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    return b"\r\n".join(lines)


def _drop_line(chance: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\r\n")
    del lines[chance.randrange(len(lines))]
    return b"\r\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _insert, _insert, _replace, _delete, _double, _swap_lines, _drop_line)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Damage a request in one to four places, but not where it says who is to be answered."""
    kept = PROTECTED.findall(data)
    start, _, rest = PROTECTED.sub(b"", data).partition(b"\r\n")
    rest = start + b"\r\n" + rest
    for _ in range(chance.randint(1, 4)):
        rest = chance.choice(MUTATIONS)(chance, rest) or b"x"
    start, _, rest = rest.partition(b"\r\n")
    return (start + b"\r\n" + b"".join(kept) + rest)[:65000]


def _undo(attacker: Attacker, outcome: Outcome) -> None:
    """Take back what was accepted, so that limits are not reached."""
    for message in outcome.messages:
        tag = message.get("SIP-ETag")
        if tag:
            attacker.attack(Case("undo", method="PUBLISH", changes={"SIP-If-Match": tag, "Expires": "0"}).build(attacker.address))


@pytest.mark.rfc("SEC-012")
def test_random_changes_of_requests_are_answered_or_dropped_and_nobody_falls_over(attacker: Attacker, target: Server) -> None:
    seed = seed_of_this_run()
    print(f"SEED={seed}")
    chance = random.Random(seed)
    attacker.attack(Case("a watcher of what gets through").build(attacker.address))
    watch = Watch(target)
    accepted = 0
    for number in range(MESSAGES):
        data = mutated(chance, Case("valid", method=chance.choice(("SUBSCRIBE", "PUBLISH"))).build(attacker.address))
        outcome = attacker.attack(data)
        accepted += 200 in outcome.statuses
        wrong = [status for status in outcome.statuses if status == 500 or not 200 <= status < 700]
        assert not wrong, f"SEED={seed} number {number}: {outcome.reasons}\n{data!r}"
        assert len(outcome.own_complaints) <= 1, f"SEED={seed} number {number}: {outcome.own_complaints}\n{data!r}"
        _undo(attacker, outcome)
    watch.check_alive()
    kept = rows(target, "SELECT id FROM publication")
    assert len(kept) + len(rows(target, "SELECT id FROM subscription")) <= accepted + len(watch.stored)
    print(f"{MESSAGES} messages, {accepted} accepted")
