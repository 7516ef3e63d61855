"""A proxy elsewhere forks our SUBSCRIBE: each of the devices behind it answers with NOTIFYs of its own (RFC 4235 section 3.9)."""

from collections.abc import Callable, Iterator

import pytest

from tests.server import Server
from tests.useragent import Message
from tests.wire.federation import FAR, seen
from tests.wire.observe import change, rows, wait_until
from tests.wire.test_federation_faults import ACTIVE, DAN, Near

GONE = "terminated;reason=timeout"


@pytest.fixture
def one(start_server: Callable[..., Server]) -> Iterator[Near]:
    made = Near(start_server)
    yield made
    made.close()


def calls(version: int, *call_ids: str) -> bytes:
    head = f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full" entity="{DAN}">'
    inside = "".join(f'<dialog id="d" call-id="{each}"><state>confirmed</state></dialog>' for each in call_ids)
    return f'<?xml version="1.0"?>\n{head}{inside}</dialog-info>'.encode()


def forked(one: Near) -> tuple[Message, Message]:
    """Bob watches Dan's calls, and two devices of Dan's answer: what Bob was answered, and what they were asked."""
    done = one.bob.subscribe(DAN, event="dialog")
    asked = one.remote.asked()
    one.remote.accept(asked, tag="desk")
    for tag in ("desk", "mobile"):
        assert one.remote.tell(asked, ACTIVE, 1, calls(1, f"of-{tag}"), tag=tag).status == 200
    assert b"of-desk" in seen(one.bob, b"of-mobile").body
    return done, asked


def told_without(one: Near, words: bytes) -> Message:
    """The NOTIFY that tells Bob of none of these calls any more, but of others."""
    while words in (told := seen(one.bob, b"of-desk")).body:
        pass
    return told


@pytest.mark.rfc("B2B-012", "B2B-011")
def test_the_calls_of_two_devices_are_shown_and_both_are_left(one: Near) -> None:
    done, asked = forked(one)
    bob = (one.bob.call_id, one.bob.from_tag)
    assert one.remote.tell(asked, ACTIVE, 1, calls(1, "of-soft"), tag="soft").status == 200
    seen(one.bob, b"of-soft")
    assert one.remote.tell(asked, GONE, 2, tag="soft").status == 200
    assert b"of-mobile" in told_without(one, b"of-soft").body
    change(one.server, "UPDATE outgoing SET began_at = began_at - 60")
    change(one.server, "UPDATE outgoing SET refresh_at = 1, next_at = 1 WHERE phase = 'stopped'")
    assert one.remote.tell(asked, ACTIVE, 1, calls(1, "of-late"), tag="late").status == 481, "Timer N is over"
    assert one.remote.tell(asked, ACTIVE, 2, calls(2, "of-mobile", "second"), tag="mobile").status == 200
    assert seen(one.bob, b"second").body.count(b"<dialog ") == 3
    one.bob.subscribe(DAN, event="dialog", expires=0, cseq=2, call_id=bob[0], from_tag=bob[1], to_tag=done.to_tag)
    seen(one.bob, state="terminated")
    leaving = [one.remote.asked(), one.remote.asked()]
    assert {(each.to_tag, each.get("Expires"), each.cseq) for each in leaving} == {("desk", "0", 2), ("mobile", "0", 2)}
    assert {each.from_tag for each in leaving} == {asked.from_tag}
    for each in leaving:
        one.remote.accept(each)
        assert one.remote.tell(each, GONE, 3, tag=each.to_tag).status == 200
    wait_until(lambda: not rows(one.server, "SELECT fork FROM outgoing"), "both have said their last word")


@pytest.mark.rfc("B2B-012", "B2B-010")
def test_each_device_is_refreshed_over_a_crash_and_what_has_ended_is_not_shown(one: Near) -> None:
    _done, asked = forked(one)
    one.server.kill()
    one.server.start()
    one.refresh_now()
    refreshes = {each.to_tag: each for each in (one.remote.asked(), one.remote.asked())}
    assert {tag: each.cseq for tag, each in refreshes.items()} == {"desk": 2, "mobile": 2}
    one.remote.accept(refreshes["desk"])
    one.remote.accept(refreshes["mobile"], 481)
    told_without(one, b"of-mobile")
    assert one.remote.tell(refreshes["desk"], ACTIVE, 2, calls(2, "of-desk", "third"), tag="desk").status == 200
    assert seen(one.bob, b"third").body.count(b"<dialog ") == 2
    assert one.remote.tell(asked, ACTIVE, 2, tag="mobile").status == 481
    wait_until(lambda: rows(one.server, "SELECT fork, in_flight_until FROM outgoing") == [(0, None)], "one goes on")


@pytest.mark.rfc("B2B-012")
def test_presencectl_shows_each_device(one: Near) -> None:
    forked(one)
    table = one.server.control("b2b", "list", "--domain", FAR)
    assert table.count("established") == 2
    key = (one.bob.aor, DAN, "--package", "dialog")
    assert "mobile" in one.server.control("b2b", "show", *key, "--fork", "1")
    assert "NOTIFY 1 active" in one.server.control("b2b", "trace", *key, "--fork", "1")
    assert "desk" in one.server.control("b2b", "show", *key)
