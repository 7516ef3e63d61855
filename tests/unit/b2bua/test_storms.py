"""A remote side that would have us ask again and again, at once."""

import pytest

from kemi.b2bua.event_list import parts_of, taken
from kemi.b2bua.outgoing import Phase, Timing
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


@pytest.mark.rfc("B2B-016")
@pytest.mark.parametrize("begun", [lambda: Watching().want(), refreshing])
def test_a_min_expires_that_grows_and_grows_is_a_failure(begun: object) -> None:
    one = begun()  # type: ignore[operator]
    before = len(one.asked)
    for number in range(20):
        one.answer(423, min_expires=3601 + number)
    assert len(one.asked) <= before + 5
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
def test_a_part_that_many_members_name_is_kept_once() -> None:
    head = "--cut\r\nContent-ID: <{}>\r\nContent-Type: {}\r\n\r\n{}\r\n"
    members = "".join(f'<resource uri="sip:{n}@far"><instance id="1" state="active" cid="a"/></resource>' for n in range(50))
    rlmi = f'<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:l@far" version="1" fullState="true">{members}</list>'
    body = head.format("root", "application/rlmi+xml", rlmi) + head.format("a", "text/plain", "x" * 1000) + "--cut--\r\n"
    done = taken(FOREIGN, "multipart/related;boundary=cut", body.encode())
    _root, part = parts_of(done.content_type, done.content)
    assert done.content.count(f'cid="{part.cid}"'.encode()) == 50
    assert len(part.content) == 1000
