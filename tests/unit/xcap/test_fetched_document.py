"""What is known of another server's document, what its answers change, where it is, and how fast the server is asked."""

from itertools import product
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.xcap import fetched_document
from kemi.xcap.fetched_document import LONGEST_SILENCE, STEPS, Answer, Availability, FetchedDocument, Known, Outcome, Reading
from kemi.xcap.origin import Origin
from tests.unit.values import ALICE, NOW

FRESHNESS, LIMIT = 300.0, 86400.0
RULES = b'<ruleset xmlns="urn:ietf:params:xml:ns:common-policy"/>'
ROOT = "http://xcap.example.org/xcap-root"


def document(known: Known = Known.DOCUMENT, **changes: Any) -> FetchedDocument:
    body, etag = (RULES, '"1"') if known is Known.DOCUMENT else (b"", "")
    whole = FetchedDocument(ALICE, f"{ROOT}/pres-rules/users/{ALICE}/index", "pres-rules", known, body, etag, NOW, False, 0, None)
    return whole._replace(**changes)


def after(before: FetchedDocument, outcome: Outcome, body: bytes = b"", chance: float = 0.5) -> FetchedDocument:
    return fetched_document.after(before, Answer(outcome, body, '"2"' if body else ""), FRESHNESS, NOW + 10, chance)


def state(found: FetchedDocument | None, age: float) -> Availability:
    return fetched_document.reading(found, FRESHNESS, LIMIT, NOW + age).state


@pytest.mark.rfc("XCC-001")
def test_what_was_never_fetched_is_unknown() -> None:
    assert state(None, 0) is Availability.UNKNOWN
    assert state(document(Known.UNKNOWN), 0) is Availability.UNKNOWN


@pytest.mark.rfc("XCC-007")
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, Availability.FRESH),
        (FRESHNESS - 1, Availability.FRESH),
        (FRESHNESS, Availability.STALE),
        (LIMIT - 1, Availability.STALE),
        (LIMIT, Availability.UNKNOWN),
    ],
)
def test_a_document_is_fresh_then_stale_then_unknown(age: float, expected: Availability) -> None:
    body = b"" if expected is Availability.UNKNOWN else RULES
    is_outdated = expected is Availability.STALE
    assert fetched_document.reading(document(), FRESHNESS, LIMIT, NOW + age) == Reading(expected, body, is_outdated)


def test_a_missing_document_is_missing_until_it_is_too_long_ago() -> None:
    assert state(document(Known.MISSING), LIMIT - 1) is Availability.MISSING
    assert state(document(Known.MISSING), LIMIT) is Availability.UNKNOWN


@pytest.mark.rfc("XCC-001")
@pytest.mark.parametrize("known", [Known.DOCUMENT, Known.MISSING])
@pytest.mark.parametrize(("age", "failures", "expected"), [(FRESHNESS - 1, 0, False), (FRESHNESS, 0, True), (FRESHNESS, 1, False)])
def test_an_old_answer_counts_on_when_a_newer_one_could_not_be_had(known: Known, age: float, failures: int, expected: bool) -> None:
    old = document(known)._replace(failures=failures)
    assert fetched_document.reading(old, FRESHNESS, LIMIT, NOW + age).is_outdated == expected


@pytest.mark.parametrize("known", Known)
def test_an_old_document_is_asked_for_once(known: Known) -> None:
    old = document(known, since=NOW - FRESHNESS)
    assert fetched_document.is_wanted(old, FRESHNESS, NOW)
    assert not fetched_document.is_wanted(old._replace(asked=True), FRESHNESS, NOW)


@pytest.mark.parametrize(("known", "wanted"), [(Known.DOCUMENT, False), (Known.MISSING, False), (Known.UNKNOWN, True)])
def test_a_fresh_answer_is_not_asked_for_again(known: Known, wanted: bool) -> None:
    assert fetched_document.is_wanted(document(known), FRESHNESS, NOW) is wanted


# The table


@pytest.mark.rfc("XCC-001", "XCC-007")
@pytest.mark.parametrize(
    ("known", "outcome", "expected"),
    [
        (Known.UNKNOWN, Outcome.DOCUMENT, Known.DOCUMENT),
        (Known.UNKNOWN, Outcome.UNCHANGED, Known.UNKNOWN),
        (Known.UNKNOWN, Outcome.MISSING, Known.MISSING),
        (Known.UNKNOWN, Outcome.REFUSED, Known.UNKNOWN),
        (Known.UNKNOWN, Outcome.SILENT, Known.UNKNOWN),
        (Known.DOCUMENT, Outcome.DOCUMENT, Known.DOCUMENT),
        (Known.DOCUMENT, Outcome.UNCHANGED, Known.DOCUMENT),
        (Known.DOCUMENT, Outcome.MISSING, Known.MISSING),
        (Known.DOCUMENT, Outcome.REFUSED, Known.DOCUMENT),
        (Known.DOCUMENT, Outcome.SILENT, Known.DOCUMENT),
        (Known.MISSING, Outcome.DOCUMENT, Known.DOCUMENT),
        (Known.MISSING, Outcome.UNCHANGED, Known.MISSING),
        (Known.MISSING, Outcome.MISSING, Known.MISSING),
        (Known.MISSING, Outcome.REFUSED, Known.MISSING),
        (Known.MISSING, Outcome.SILENT, Known.MISSING),
    ],
)
def test_what_is_known_after_an_answer(known: Known, outcome: Outcome, expected: Known) -> None:
    assert after(document(known), outcome, RULES if outcome is Outcome.DOCUMENT else b"").known is expected


def test_the_table_has_a_line_for_every_outcome() -> None:
    assert set(STEPS) == set(Outcome)


def test_another_document_takes_the_place_of_the_one_before() -> None:
    found = after(document(asked=True, failures=3), Outcome.DOCUMENT, b"<ruleset/>")
    assert (found.body, found.etag, found.since, found.asked, found.failures) == (b"<ruleset/>", '"2"', NOW + 10, False, 0)


@pytest.mark.rfc("XCC-007")
def test_an_unchanged_document_is_confirmed() -> None:
    found = after(document(asked=True), Outcome.UNCHANGED)
    assert (found.body, found.etag, found.since, found.asked) == (RULES, '"1"', NOW + 10, False)


@pytest.mark.rfc("XCC-001")
def test_of_a_document_that_is_gone_nothing_is_kept() -> None:
    found = after(document(), Outcome.MISSING)
    assert (found.body, found.etag, found.since) == (b"", "", NOW + 10)


@pytest.mark.rfc("XCC-001")
@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.SILENT])
def test_a_failure_says_nothing_of_the_document(outcome: Outcome) -> None:
    before = document(asked=True)
    assert after(before, outcome)._replace(failures=0, next_at=None) == before
    assert not fetched_document.differs(before, after(before, outcome))


@pytest.mark.parametrize(
    ("outcome", "longest"), [(Outcome.REFUSED, FRESHNESS), (Outcome.SILENT, LONGEST_SILENCE)], ids=["refused", "silent"]
)
def test_pauses_after_failures_double_up_to_the_longest(outcome: Outcome, longest: float) -> None:
    found, pauses = document(), []
    for _ in range(12):
        found = after(found, outcome, chance=1.0)
        assert found.next_at is not None
        pauses.append(found.next_at - (NOW + 10))
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == longest
    assert pauses == sorted(pauses)


@pytest.mark.parametrize("outcome", Outcome)
def test_chance_spreads_what_comes_next(outcome: Outcome) -> None:
    body = RULES if outcome is Outcome.DOCUMENT else b""
    early, late = (after(document(), outcome, body, chance).next_at for chance in (0.0, 1.0))
    assert early is not None
    assert late is not None
    assert NOW + 10 < early < late <= NOW + 10 + FRESHNESS * 1.1


@given(st.integers(0, 100_000), st.floats(0, 1), st.sampled_from(Outcome))
def test_the_next_fetch_is_never_at_once_and_never_too_far_away(failures: int, chance: float, outcome: Outcome) -> None:
    found = after(document(failures=failures), outcome, RULES if outcome is Outcome.DOCUMENT else b"", chance)
    assert found.next_at is not None
    assert NOW + 11 <= found.next_at <= NOW + 10 + FRESHNESS * 1.1


def test_decisions_are_made_again_only_by_another_document() -> None:
    one, other = document(), document(body=b"<ruleset/>")
    assert fetched_document.differs(one, other)
    assert not fetched_document.differs(one, one._replace(etag='"9"', since=NOW + 1, failures=1))
    for before, now in product(Known, Known):
        assert fetched_document.differs(document(before), document(now)) is (before is not now)


def test_what_was_forgotten_is_unknown_and_can_be_asked_for() -> None:
    found = fetched_document.forgotten(document(), NOW + LIMIT)
    assert (found.known, found.body, found.etag, found.since) == (Known.UNKNOWN, b"", "", NOW + LIMIT)
    assert fetched_document.is_wanted(found, FRESHNESS, NOW + LIMIT)


# What is taken


@pytest.mark.rfc("XCC-001")
@pytest.mark.parametrize(
    ("auid", "body", "usable"),
    [
        ("pres-rules", RULES, True),
        ("pres-rules", b"<ruleset/>", True),
        ("im-rules", b'<?xml version="1.0"?><cr:ruleset xmlns:cr="urn:ietf:params:xml:ns:common-policy"/>', True),
        ("resource-lists", b'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>', True),
        ("somebody-elses", b"<anything/>", True),
        ("pres-rules", b"", False),
        ("pres-rules", b"<ruleset>", False),
        ("pres-rules", b"<html><body>Please log in</body></html>", False),
        ("pres-rules", b"<!DOCTYPE ruleset><ruleset/>", False),
        ("pres-rules", "<ruleset>é</ruleset>".encode("latin-1"), False),
        ("resource-lists", RULES, False),
    ],
)
def test_only_documents_of_the_usage_are_taken(auid: str, body: bytes, usable: bool) -> None:
    assert fetched_document.is_usable(auid, body) is usable


# Where a document is


@pytest.mark.rfc("XCC-003")
@pytest.mark.parametrize(
    ("root", "auid", "xui", "name", "folder", "uri"),
    [
        (ROOT, "pres-rules", ALICE, "", "uri", "/pres-rules/users/sip:alice@example.org/index"),
        (f"{ROOT}/", "pres-rules", ALICE, "presence-rules.xml", "user", "/pres-rules/users/alice/presence-rules.xml"),
        (ROOT, "org.openmobilealliance.pres-rules", ALICE, "", "uri",
         "/org.openmobilealliance.pres-rules/users/sip:alice@example.org/pres-rules"),
        (ROOT, "rls-services", "", "", "user", "/rls-services/global/index"),
        (ROOT, "resource-lists", ALICE, "work/index", "uri", "/resource-lists/users/sip:alice@example.org/work/index"),
        (ROOT, "pres-rules", "sip:a?b@example.org", "", "uri", "/pres-rules/users/sip:a%3Fb@example.org/index"),
        (ROOT, "pres-rules", "sip:a/b@example.org", "", "uri", "/pres-rules/users/sip:a%2Fb@example.org/index"),
        (ROOT, "pres-rules", "sip:a%22b@example.org", "", "uri", "/pres-rules/users/sip:a%2522b@example.org/index"),
        (ROOT, "pres-rules", "sip:a%22b@example.org", "", "user", "/pres-rules/users/a%22b/index"),
        (ROOT, "pres-rules", "sip:j%C3%BCrgen@example.org", "", "user", "/pres-rules/users/j%C3%BCrgen/index"),
        (ROOT, "pres-rules", "sip:jürgen[1]@example.org", "", "uri", "/pres-rules/users/sip:j%C3%BCrgen%5B1%5D@example.org/index"),
    ],
)  # fmt: skip
def test_where_a_document_is(root: str, auid: str, xui: str, name: str, folder: str, uri: str) -> None:
    assert fetched_document.uri_of(root, auid, xui, name, folder) == ROOT + uri


@pytest.mark.rfc("SEC-006", "XCC-003")
@pytest.mark.parametrize("folder", ["uri", "user"])
@pytest.mark.parametrize(
    "xui",
    [
        "sip:x/../sip:bob@example.org",
        "sip:x%2F..%2Fsip%3Abob@example.org",
        "sip:x%252F..%252Fbob@example.org",
        "sip:x%5C..%5Cbob@example.org",
        "sip:x//bob@example.org",
    ],
)
def test_no_name_of_a_user_leads_into_another_folder(xui: str, folder: str) -> None:
    assert fetched_document.uri_of(ROOT, "pres-rules", xui, "", folder) == ""


@pytest.mark.parametrize("xui", ["sip:..@example.org", "sip:%2E%2E@example.org", "sip:example.org", "sip:%FF@example.org"])
def test_who_has_no_folder_has_no_document(xui: str) -> None:
    assert fetched_document.uri_of(ROOT, "pres-rules", xui, "", "user") == ""


@given(st.text(max_size=40), st.sampled_from(["uri", "user"]))
def test_any_user_stays_below_its_usage(user: str, folder: str) -> None:
    try:
        xui = f"sip:{user}@example.org".encode().decode()
    except UnicodeError:
        return
    uri = fetched_document.uri_of(ROOT, "pres-rules", xui, "", folder)
    if uri:
        path = urlsplit(uri).path
        assert uri == ROOT + path.removeprefix("/xcap-root")
        once, twice = unquote(path), unquote(unquote(path))
        assert not {".", ".."} & {part for each in (once, twice) for part in each.split("/")}
        assert path.count("/") == 5


# How fast a server is asked


def test_so_many_at_a_time_and_so_many_in_a_second() -> None:
    origin = Origin()
    assert origin.allows(0, 8, 50, NOW) == 8
    assert origin.allows(6, 8, 50, NOW) == 2
    assert origin.allows(9, 8, 50, NOW) == 0
    busy = origin.asked(40, NOW).asked(7, NOW + 0.9)
    assert busy.allows(0, 8, 50, NOW + 0.9) == 3
    assert busy.allows(0, 8, 50, NOW + 1) == 8


def test_a_silent_server_is_left_alone_and_then_asked_for_one() -> None:
    origin = Origin().silent(NOW, 1.0)
    assert origin.allows(0, 8, 50, NOW + 0.99) == 0
    assert origin.allows(0, 8, 50, NOW + 1) == 1
    assert origin.allows(1, 8, 50, NOW + 1) == 0


def test_fetches_that_end_in_the_pause_do_not_make_it_longer() -> None:
    origin = Origin().silent(NOW, 1.0)
    assert origin.silent(NOW + 0.5, 1.0) == origin


def test_pauses_of_a_silent_server_double() -> None:
    origin, now, pauses = Origin(), NOW, []
    for _ in range(8):
        origin = origin.silent(now, 1.0)
        pauses.append(origin.silent_until - now)
        now = origin.silent_until
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert Origin(silences=10_000).silent(NOW, 0.0).silent_until == NOW + LONGEST_SILENCE / 2


def test_an_answer_ends_the_silence() -> None:
    origin = Origin().silent(NOW, 1.0).heard()
    assert origin.allows(0, 8, 50, NOW) == 8
