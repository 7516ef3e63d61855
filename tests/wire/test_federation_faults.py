"""A remote side that refuses, is silent, loses packets, ends subscriptions, asks for a password, or is ourselves (RFC 6665)."""

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests import useragent
from tests.repetitions import repeated
from tests.server import Server, free_port
from tests.useragent import Message, UserAgent
from tests.wire.federation import FAR, NEAR, Remote, seen, state_of, variables
from tests.wire.observe import change, rows, wait_until

DAN = f"sip:dan@{FAR}"
ACTIVE = "active;expires=3600"
pidf = partial(useragent.pidf, user="dan", domain=FAR)
REFRESH = re.compile(r"([0-9]+)\.[0-9]+ established > SUBSCRIBE 2 ")
"""A line of a trace, and its time."""


class Near:
    """Our server, a watcher of it, and the remote side that the test is."""

    def __init__(self, start_server: Callable[..., Server], **values: object) -> None:
        port = free_port()
        self.remote = Remote(("127.0.0.1", port), "dan", FAR)
        next_hop = int(self.remote.address.rpartition(":")[2])
        usual: dict[str, object] = {"b2b__on_error_retry_time": 1, "b2b__min_resubscribe_time": 1}
        self.server = start_server(variables(NEAR, FAR, next_hop, **(usual | values)) | {"KP_PORT": str(port)})
        self.bob = UserAgent(self.server.address, "bob", NEAR)

    def close(self) -> None:
        self.remote.close()
        self.bob.close()

    def established(self, note: str = "here") -> Message:
        """Bob watches dan; the SUBSCRIBE that came for that."""
        self.bob.subscribe(DAN)
        asked = self.remote.asked()
        self.remote.accept(asked)
        assert self.remote.tell(asked, ACTIVE, 1, pidf(note=note)).status == 200
        seen(self.bob, note.encode())
        return asked

    def row(self, columns: str) -> tuple[object, ...]:
        (found,) = rows(self.server, f"SELECT {columns} FROM outgoing")
        return found

    def refresh_now(self) -> None:
        change(self.server, "UPDATE outgoing SET began_at = began_at - 60, refresh_at = 1, ask_at = 1")


@pytest.fixture
def near(start_server: Callable[..., Server]) -> Iterator[Callable[..., Near]]:
    made: list[Near] = []

    def make(**values: object) -> Near:
        made.append(Near(start_server, **values))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.rfc("B2B-001", "B2B-005")
def test_a_notify_may_come_before_the_answer(near: Callable[..., Near]) -> None:
    one = near()
    one.bob.subscribe(DAN)
    asked = one.remote.asked()
    one.remote.tell(asked, ACTIVE, 1, pidf(note="early"))
    seen(one.bob, b"early")
    one.remote.accept(asked)
    wait_until(lambda: one.row("in_flight_until") == (None,), "the answer is taken")
    assert one.row("phase, shown, failures") == ("established", "active", 0)


@pytest.mark.rfc("B2B-004", "B2B-012", "B2B-013", "B2B-014")
def test_a_notify_of_no_dialog_is_refused(near: Callable[..., Near]) -> None:
    one = near()
    asked = one.established()
    assert one.remote.tell(asked, ACTIVE, 2, pidf(), to_tag="kb-none").status == 481
    assert one.remote.tell(asked, ACTIVE, 2, pidf(), tag="fork").status == 481
    assert one.remote.tell(asked, ACTIVE, 2, pidf(), call_id="other").status == 481
    assert one.remote.tell(asked, ACTIVE, 5, pidf()).status == 200
    assert one.remote.tell(asked, ACTIVE, 4, pidf()).status == 500


@pytest.mark.rfc("B2B-004", "SEC-009")
def test_a_document_that_cannot_be_passed_on_is_refused_and_the_dialog_goes_on(near: Callable[..., Near]) -> None:
    """One that is no XML, and one about a user of ours; then a good one comes in the same dialog."""
    one = near()
    asked = one.established("before")
    for number, (body, status) in enumerate([(b"<not", 415), (useragent.pidf(user="mallory", domain=NEAR), 400)], 2):
        answer = one.remote.tell(asked, ACTIVE, number, body)
        assert (answer.status, answer.get("Warning").startswith("399 ")) == (status, True)
        phase, cseq, kept = one.row("phase, remote_cseq, body")
        assert (phase, cseq, b"before" in bytes(kept)) == ("established", number, True)  # type: ignore[call-overload]
    wait_until(lambda: one.server.log.read_text().count("document refused: ") == 2, "a line for each")
    assert one.remote.tell(asked, ACTIVE, 4, pidf(note="after")).status == 200
    assert b"after" in one.bob.notify().body


@pytest.mark.parametrize(("status", "reason"), [(403, "rejected"), (404, "noresource"), (489, "giveup"), (603, "rejected")])
def test_a_refusal_ends_the_local_subscription(near: Callable[..., Near], status: int, reason: str) -> None:
    one = near()
    one.bob.subscribe(DAN)
    one.remote.accept(one.remote.asked(), status)
    last = seen(one.bob, state="terminated")
    assert f"reason={reason}" in last.get("Subscription-State")
    assert one.row("phase, reason") == ("stopped", reason)


def test_503_is_tried_again_when_retry_after_says(near: Callable[..., Near]) -> None:
    one = near(b2b__on_error_retry_time=600)
    one.bob.subscribe(DAN)
    first = one.remote.asked()
    one.remote.accept(first, 503, "Retry-After: 2\r\n")
    second = one.remote.asked()
    assert (second.get("Call-ID"), second.from_tag) != (first.get("Call-ID"), first.from_tag)
    one.remote.accept(second)
    one.remote.tell(second, ACTIVE, 1, pidf(note="back"))
    seen(one.bob, b"back")


@pytest.mark.rfc("B2B-016")
def test_423_is_asked_again_for_longer(near: Callable[..., Near]) -> None:
    one = near(b2b__default_expiration=600)
    one.bob.subscribe(DAN)
    one.remote.accept(one.remote.asked(), 423, "Min-Expires: 1800\r\n")
    assert one.remote.asked().get("Expires") == "1800"


@pytest.mark.rfc("B2B-010")
def test_481_to_a_refresh_makes_a_new_dialog(near: Callable[..., Near]) -> None:
    one = near()
    first = one.established()
    one.refresh_now()
    refresh = one.remote.asked()
    assert (refresh.get("Call-ID"), refresh.to_tag, refresh.cseq) == (first.get("Call-ID"), "far", 2)
    one.remote.accept(refresh, 481)
    again = one.remote.asked()
    assert (again.get("Call-ID") != first.get("Call-ID"), again.to_tag) == (True, "")
    one.remote.accept(again)
    one.remote.tell(again, ACTIVE, 1, pidf(note="again"))
    assert state_of(seen(one.bob, b"again")) == "active"


@pytest.mark.rfc("B2B-003")
def test_a_silent_remote_side_is_tried_again_ever_more_seldom(near: Callable[..., Near]) -> None:
    """Time is moved by hand: Timer N is over twice."""
    one = near(b2b__on_error_retry_time=100)
    one.bob.subscribe(DAN)
    one.remote.asked()
    waits = []
    for number in (1, 2):
        change(one.server, "UPDATE outgoing SET notify_by = 1, next_at = 1")
        wait_until(lambda number=number: one.row("phase, failures") == ("waiting", number), "Timer N is over")  # type: ignore[misc]
        ((refresh_at,),) = rows(one.server, "SELECT refresh_at FROM outgoing")
        waits.append(refresh_at - time.time())
        change(one.server, "UPDATE outgoing SET refresh_at = 1, ask_at = 1")
        wait_until(lambda: one.row("phase") == ("subscribing",), "it is tried again")
    assert 90 < waits[0] < 121
    assert 190 < waits[1] < 241


@pytest.mark.rfc("B2B-007")
@pytest.mark.parametrize("reason", ["deactivated", "timeout", "probation;retry-after=1", "giveup", "unheard-of"])
def test_after_these_ends_it_is_subscribed_anew(near: Callable[..., Near], reason: str) -> None:
    one = near()
    first = one.established()
    change(one.server, "UPDATE outgoing SET began_at = began_at - 60")
    assert one.remote.tell(first, f"terminated;reason={reason}", 2).status == 200
    again = one.remote.asked()
    assert again.get("Call-ID") != first.get("Call-ID")
    assert one.remote.tell(first, ACTIVE, 3).status == 481, "the old dialog is over"
    one.remote.accept(again)
    one.remote.tell(again, ACTIVE, 1, pidf(note="anew"))
    seen(one.bob, b"anew")


@pytest.mark.rfc("B2B-007")
@pytest.mark.parametrize("reason", ["rejected", "noresource"])
def test_after_these_ends_it_is_not(near: Callable[..., Near], reason: str) -> None:
    one = near()
    first = one.established()
    assert one.remote.tell(first, f"terminated;reason={reason}", 2).status == 200
    assert f"reason={reason}" in seen(one.bob, state="terminated").get("Subscription-State")
    with pytest.raises(TimeoutError):
        one.remote.asked(2)


@pytest.mark.rfc("B2B-007")
def test_what_never_changes_stays(near: Callable[..., Near]) -> None:
    one = near()
    first = one.established()
    assert one.remote.tell(first, "terminated;reason=invariant", 2, pidf(note="for ever")).status == 200
    assert state_of(seen(one.bob, b"for ever")) == "active"
    assert one.row("phase, shown") == ("stopped", "active")


def test_every_third_packet_may_be_lost(near: Callable[..., Near]) -> None:
    one = near()
    one.remote.loses = 3
    one.bob.subscribe(DAN)
    asked = one.remote.asked()
    one.remote.accept(asked)
    for number in range(1, 13):
        one.remote.tell_until_heard(asked, ACTIVE, number, pidf(note=f"edition {number}"))
    seen(one.bob, b"edition 12", timeout=20)
    one.refresh_now()
    refresh = one.remote.asked(15)
    one.remote.accept(refresh)
    one.remote.tell_until_heard(refresh, ACTIVE, 13, pidf(note="refreshed"))
    seen(one.bob, b"refreshed", timeout=20)
    wait_until(lambda: one.row("phase, in_flight_until, failures") == ("established", None, 0), "all is well", 40)


@pytest.mark.rfc("B2B-015")
def test_a_password_is_given_to_whom_it_is_for(near: Callable[..., Near], tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("# realm user password\nfar.example.net ours s3cr3t\n")
    one = near(b2b__credentials=file)
    one.bob.subscribe(DAN)
    first = one.remote.asked()
    one.remote.accept(first, 401, 'WWW-Authenticate: Digest realm="far.example.net", nonce="n1", qop="auth", algorithm=SHA-256\r\n')
    second = one.remote.asked()
    given = dict(re.findall(r'(\w+)="?([^",]+)"?', second.get("Authorization")))
    hashed = [hashlib.sha256(text.encode()).hexdigest() for text in ("ours:far.example.net:s3cr3t", f"SUBSCRIBE:{given['uri']}")]
    text = f"{hashed[0]}:n1:{given['nc']}:{given['cnonce']}:auth:{hashed[1]}"
    assert given["response"] == hashlib.sha256(text.encode()).hexdigest()
    assert (second.cseq, second.get("Call-ID")) == (2, first.get("Call-ID"))
    one.remote.accept(second)
    one.remote.tell(second, ACTIVE, 1, pidf(note="let in"))
    seen(one.bob, b"let in")
    assert "s3cr3t" not in one.server.log.read_text()


def test_a_subscription_that_comes_back_is_refused(start_server: Callable[..., Server]) -> None:
    """The next hop is ourselves, for a domain that is not ours."""
    port = free_port()
    server = start_server(variables(NEAR, FAR, port, b2b__on_error_retry_time=600) | {"KP_PORT": str(port)})
    bob = UserAgent(server.address, "bob", NEAR)
    bob.subscribe(DAN)
    assert state_of(bob.notify()) == "pending"
    wait_until(lambda: rows(server, "SELECT phase, why, failures FROM outgoing") == [("waiting", "482", 1)], "it was refused")
    assert len(rows(server, "SELECT dialog FROM outgoing")) == 1
    bob.close()


def test_a_thousand_are_refreshed_over_a_restart_without_a_burst(near: Callable[..., Near]) -> None:
    """All are due when the server comes back, and go out so many in a second; each is asked once, in its own dialog."""
    number = repeated(200, 1000)
    rate = number // 4
    one = near(b2b__max_per_watcher=0, pa__max_subscriptions=0, b2b__max_in_flight=5000, b2b__max_subscribes=rate)
    for each in range(number):
        assert one.bob.subscribe(f"sip:u{each}@{FAR}", expires=3600).status == 200
        one.bob.drain()
    one.remote.serve(lambda: len(one.remote.served) == number, 120)
    settled = "SELECT COUNT(*) FROM outgoing WHERE phase = 'established' AND in_flight_until IS NULL"
    wait_until(lambda: one.bob.drain() or rows(one.server, settled) == [(number,)], "all are there", 120)
    before = set(rows(one.server, "SELECT dialog FROM outgoing"))
    one.server.kill()
    change(one.server, "UPDATE outgoing SET refresh_at = 1, ask_at = 1, notify_by = NULL")
    one.remote.served.clear()
    one.server.start()
    one.remote.serve(lambda: len(one.remote.served) == number, 120)
    sent = [REFRESH.search(trace) for (trace,) in rows(one.server, "SELECT trace FROM outgoing")]
    seconds = Counter(int(each[1]) for each in sent if each)
    assert seconds.total() == number
    assert max(seconds.values()) <= 2 * rate, "those of a second, and of one whose last round was at its very end"
    assert set(rows(one.server, "SELECT dialog FROM outgoing")) == before
    assert {dialog for (dialog,) in before} == {dialog for dialog, _cseq in one.remote.served}
