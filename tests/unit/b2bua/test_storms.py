"""A remote side that would have us ask again and again, at once."""

import pytest

from kemi.b2bua.event_list import taken
from kemi.b2bua.machine import MOST_ASKED
from kemi.b2bua.outgoing import Phase, Timing
from kemi.b2bua.sending import turns
from kemi.b2bua.store import DomainDue
from kemi.multipart import Part, read
from tests.unit.b2bua.remote import FOREIGN, Watching

STALE = ("WWW-Authenticate: Digest realm=far, nonce=1, stale=true",)
SHORT = Timing(least_refresh=1)


def refreshing() -> Watching:
    """In a dialog, with a refresh in flight."""
    one = Watching().established()
    return one.wait(one.known.refresh_at - one.now)  # type: ignore[operator]


@pytest.mark.rfc("B2B-015")
@pytest.mark.parametrize("begun", [lambda: Watching().want(), refreshing])
def test_a_nonce_that_is_always_outdated_is_not_believed(begun: object) -> None:
    one = begun()  # type: ignore[operator]
    before = len(one.asked)
    for _ in range(20):
        one.answer(401, challenges=STALE)
    assert len(one.asked) <= before + 2
    assert one.known.failures == 1


@pytest.mark.rfc("B2B-015")
def test_a_proxy_and_then_the_server_may_ask_for_credentials() -> None:
    proxy, server = ("Proxy-Authenticate: Digest realm=hop, nonce=1",), ("WWW-Authenticate: Digest realm=far, nonce=2",)
    one = Watching().want().answer(407, challenges=proxy).answer(401, challenges=server)
    assert one.asked[-1].challenge == f"0 {proxy[0]}\n1 {server[0]}"
    one.answer(200, expires=3600).notify()
    one.wait(one.known.refresh_at - one.now)  # type: ignore[operator]
    one.answer(407, challenges=(proxy[0].replace("1", "3"),)).answer(401, challenges=(server[0].replace("2", "4"),))
    assert one.asked[-1].challenge == f"3 {proxy[0].replace('1', '3')}\n4 {server[0].replace('2', '4')}"
    before = len(one.asked)
    assert one.answer(407, challenges=proxy).phase is Phase.ESTABLISHED
    assert len(one.asked) == before, "refused; the grant of before holds"


@pytest.mark.rfc("B2B-015")
@pytest.mark.parametrize("begun", [lambda: Watching().want(), refreshing])
def test_one_realm_after_the_other_is_not_answered_for_ever(begun: object) -> None:
    one = begun()  # type: ignore[operator]
    before = len(one.asked)
    for number in range(20):
        one.answer(401, challenges=(f"WWW-Authenticate: Digest realm=r{number}, nonce=1",))
    assert len(one.asked) <= before + 4
    assert one.known.failures == 1


@pytest.mark.rfc("B2B-016")
@pytest.mark.parametrize("begun", [lambda: Watching().want(), refreshing])
def test_a_min_expires_that_grows_and_grows_is_a_failure(begun: object) -> None:
    one = begun()  # type: ignore[operator]
    before = len(one.asked)
    for number in range(20):
        one.answer(423, min_expires=3601 + number)
    assert len(one.asked) <= before + MOST_ASKED
    assert one.known.failures > 0


@pytest.mark.rfc("B2B-016")
def test_leaving_is_never_too_brief() -> None:
    one = Watching().established().leave()
    assert one.phase is Phase.LEAVING
    one.answer(423, min_expires=60)
    assert one.outgoing is None


@pytest.mark.rfc("B2B-006")
def test_grants_of_a_moment_are_not_refreshed_all_the_time() -> None:
    one = Watching().want().answer(200, expires=1).notify(expires=1)
    for _ in range(4 * 3600):
        one.wait(0.25)
        if one.known.in_flight_until is not None:
            one.answer(200, expires=1, to_tag="far").notify(expires=1)
    assert 20 < len(one.asked) < 3600 / 5


@pytest.mark.rfc("B2B-021", "B2B-022")
def test_gaps_without_end_are_closed_seldom() -> None:
    one = Watching(SHORT).established()
    for _ in range(300):
        one.notify(is_gapped=True).wait(2)
        if one.known.in_flight_until is not None:
            one.answer(200, expires=3600, to_tag="far")
    assert len(one.asked) < 100


@pytest.mark.rfc("SEC-009")
def test_a_part_that_many_members_name_is_read_and_kept_once() -> None:
    head = "--cut\r\nContent-ID: <{}>\r\nContent-Type: {}\r\n\r\n{}\r\n"
    members = "".join(f'<resource uri="sip:{n}@far"><instance id="1" state="active" cid="a"/></resource>' for n in range(50))
    rlmi = f'<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="{FOREIGN.resource}" version="1" fullState="true">{members}</list>'
    body = head.format("root", "application/rlmi+xml", rlmi) + head.format("a", "text/plain", "x" * 1000) + "--cut--\r\n"
    looked_at: list[Part] = []
    done = taken(FOREIGN, "multipart/related;boundary=cut", body.encode(), lambda each: looked_at.append(each) or frozenset())
    assert len(looked_at) == 1
    _root, part = read(done.content_type, done.content, 2)
    assert done.content.count(f'cid="{part.content_id}"'.encode()) == 50
    assert len(part.content) == 1000


# Whose turn it is


def waiting(**domains: tuple[int, int]) -> list[DomainDue]:
    return [DomainDue(name, due, in_flight) for name, (due, in_flight) in domains.items()]


@pytest.mark.parametrize(
    ("domains", "limit", "asked"),
    [
        ({"large": (50, 0), "small": (2, 0)}, 10, {"large": 8, "small": 2}),
        ({"large": (50, 0), "other": (50, 0)}, 10, {"large": 5, "other": 5}),
        ({"dead": (50, 20), "alive": (50, 3)}, 50, {"alive": 17}),
        ({"dead": (50, 25), "slow": (50, 19)}, 50, {"slow": 1}),
        ({"few": (3, 0)}, 50, {"few": 3}),
        ({"few": (3, 0)}, 0, {}),
        ({}, 50, {}),
    ],
)
def test_domains_take_turns(domains: dict[str, tuple[int, int]], limit: int, asked: dict[str, int]) -> None:
    assert turns(waiting(**domains), limit, 20, "0" * 32) == asked


def test_who_begins_is_drawn_by_lot() -> None:
    """With fewer places than domains nobody is left out for ever."""
    domains = waiting(**{f"d{number}": (50, 0) for number in range(10)})
    tokens = [f"{number * 0x10000000:032x}" for number in range(16)]
    assert {domain for token in tokens for domain in turns(domains, 2, 50, token)} == {each.domain for each in domains}
