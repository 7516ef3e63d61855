"""Event rate control: kemi/rate_control.py, RFC 6446."""

import math
import re
from collections.abc import Iterator
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kemi import rate_control
from kemi.rate_control import NAMES, NO_RATES, PERIODS, REMEMBERED, Rates, adopt
from tests.unit.values import NOW

GRAMMAR = r"[0-9]{1,2}(\.[0-9]{1,10})?"
"""RFC 6446 section 9.2."""

digits = st.text("0123456789", min_size=1, max_size=10)
wholes = st.text("0123456789", min_size=1, max_size=2)
numbers = st.one_of(wholes, st.builds("{}.{}".format, wholes, digits)).filter(lambda text: float(text) > 0)
texts = st.one_of(numbers, st.text("0123456789.,-+einfa \n", max_size=15))
events = st.dictionaries(st.sampled_from([*NAMES, "id", "shared"]), texts)
durations = st.floats(0.001, 1e6)


@st.composite
def adopted(draw: st.DrawFn) -> Rates:
    interval, lifetime = draw(st.sampled_from([0, 1, 5]) | durations), draw(st.just(math.inf) | durations)
    return adopt(draw(st.dictionaries(st.sampled_from(NAMES), numbers)), interval, lifetime)


rates_of_any_kind = adopted()


def rates(max_rate: str = "", min_rate: str = "", adaptive_min_rate: str = "") -> Rates:
    return adopt(dict(zip(NAMES, (max_rate, min_rate, adaptive_min_rate), strict=True)))


def parameters_of(header_field: str) -> dict[str, str]:
    """The parameters behind the first semicolon, each with one value."""
    return dict(part.split("=") for part in header_field.split(";")[1:])


# What is adopted


@pytest.mark.rfc("PA-053")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    ["", "0", "00", "0.0", "00.0000000000", "-1", "+1", ".5", "5.", "1.2.3", "1e3", "1e-3", "inf", "nan", "1,5", "1, 2", " 1",
     "1\n", "0x1", "1_0", '"1"', "\u0661", "\u00bd", "100", "1.12345678901", "9" * 400, "0." + "0" * 400 + "1"],
)  # fmt: skip
def test_zero_and_what_is_no_rate_are_never_adopted(name: str, text: str) -> None:
    assert adopt({name: text}) is NO_RATES


@pytest.mark.rfc("PA-053")
@pytest.mark.parametrize(
    ("text", "number"), [("1", 1.0), ("0.5", 0.5), ("00.50", 0.5), ("99.9999999999", 99.9999999999), ("0.0000000001", 1e-10)]
)
def test_a_rate_keeps_the_text_it_was_given_as(text: str, number: float) -> None:
    found = adopt({"max-rate": text})
    assert found.max_rate == (number, text)
    assert rate_control.as_text(found) == f"max-rate={text}"


@pytest.mark.rfc("PA-053")
@pytest.mark.parametrize(
    ("asked", "reflected"),
    [
        (("0.1", "0.01", ""), "max-rate=0.1;min-rate=0.01"),
        (("0.1", "0.5", ""), "max-rate=0.1;min-rate=0.1"),
        (("0.1", "", "0.05"), "max-rate=0.1;adaptive-min-rate=0.05"),
        (("0.1", "", "0.5"), "max-rate=0.1;adaptive-min-rate=0.1"),
        (("", "0.01", "0.1"), "min-rate=0.01;adaptive-min-rate=0.1"),
        (("", "0.1", "0.1"), "adaptive-min-rate=0.1"),
        (("", "0.1", "0.10"), "adaptive-min-rate=0.10"),
        (("", "0.2", "0.1"), "adaptive-min-rate=0.1"),
        (("1", "0.01", "0.1"), "max-rate=1;min-rate=0.01;adaptive-min-rate=0.1"),
        (("1", "0.2", "0.1"), "max-rate=1;adaptive-min-rate=0.1"),
        (("0.1", "0.05", "0.5"), "max-rate=0.1;min-rate=0.05;adaptive-min-rate=0.1"),
        (("0.1", "0.2", "0.5"), "max-rate=0.1;adaptive-min-rate=0.1"),
        (("0.50", "0.5", ""), "max-rate=0.50;min-rate=0.5"),
        (("0", "0.2", "x"), "min-rate=0.2"),
    ],
)
def test_rates_that_contradict_each_other_are_reflected_as_they_count(asked: tuple[str, str, str], reflected: str) -> None:
    assert rate_control.as_text(rates(*asked)) == reflected


@pytest.mark.rfc("PA-053")
@given(events, st.sampled_from([0, 1, 5]), st.just(math.inf) | durations)
def test_the_rates_of_any_event_fit_together(event: dict[str, str], interval: float, lifetime: float) -> None:
    maximum, minimum, adaptive = (rate.number if rate else None for rate in adopt(event, interval, lifetime))
    assert maximum is None or 0 < maximum < 100
    for each in (minimum, adaptive):
        assert each is None or 0 < each <= (maximum or 100)
        assert each is None or not interval or 1 / each >= interval
    assert minimum is None or adaptive is None or minimum < adaptive


@pytest.mark.rfc("PA-054")
def test_other_parameters_do_not_matter() -> None:
    assert adopt({"id": "7", "shared": "", "max-rate": "2", "Max-Rate": "3"}) == adopt({"max-rate": "2"})
    assert adopt({"id": "7"}) is NO_RATES


def test_the_server_is_not_made_faster_than_its_own_pace() -> None:
    asked = {"max-rate": "90", "min-rate": "99", "adaptive-min-rate": "99.9"}
    assert rate_control.as_text(adopt(asked, interval=5)) == "max-rate=90;adaptive-min-rate=0.2"
    assert rate_control.as_text(adopt({"min-rate": "99"}, interval=3)) == "min-rate=0.3333333333"
    assert rate_control.as_text(adopt({"min-rate": "0.1"}, interval=5)) == "min-rate=0.1"
    assert rate_control.as_text(adopt({"min-rate": "99"}, interval=0.1)) == "min-rate=10"
    assert rate_control.as_text(adopt({"min-rate": "99"}, interval=1e11)) == "min-rate=0.0000000001"


@pytest.mark.rfc("PA-050")
@pytest.mark.parametrize(
    ("asked", "lifetime", "reflected"),
    [
        ("0.01", 600, "0.01"),
        ("0.01", 100, "0.01"),
        ("0.01", 50, "0.02"),
        ("0.0000000001", 3600, "0.0002777778"),
        ("0.5", 0.001, "99.9999999999"),
        ("0.01", 0, "0.01"),
    ],
)
def test_a_max_rate_without_a_notify_in_the_lifetime_is_raised(asked: str, lifetime: float, reflected: str) -> None:
    assert rate_control.as_text(adopt({"max-rate": asked}, lifetime=lifetime)) == f"max-rate={reflected}"


@pytest.mark.rfc("PA-050", "PA-053")
def test_the_other_rates_are_lowered_to_the_raised_max_rate() -> None:
    found = adopt({"max-rate": "0.001", "min-rate": "0.005", "adaptive-min-rate": "1"}, lifetime=100)
    assert rate_control.as_text(found) == "max-rate=0.01;min-rate=0.005;adaptive-min-rate=0.01"


# Written and read


@pytest.mark.parametrize(
    ("found", "text"), [(NO_RATES, ""), (rates("2"), "max-rate=2"), (rates("2", "0.1"), "max-rate=2;min-rate=0.1")]
)
def test_the_text_of_a_column(found: Rates, text: str) -> None:
    assert rate_control.as_text(found) == text
    assert rate_control.from_text(text) == found


@given(rates_of_any_kind)
def test_rates_are_read_as_they_were_written(found: Rates) -> None:
    assert rate_control.from_text(rate_control.as_text(found)) == found


@pytest.mark.rfc("PA-049")
@given(rates_of_any_kind)
def test_what_is_reflected_says_what_was_adopted(found: Rates) -> None:
    text = ";".join(filter(None, ["active", rate_control.as_text(found)]))
    assert all(re.fullmatch(GRAMMAR, value) for value in parameters_of(text).values())
    assert adopt(parameters_of(text)) == found


@pytest.mark.rfc("PA-049")
@pytest.mark.parametrize("name", NAMES)
@given(event=st.fixed_dictionaries(dict.fromkeys(NAMES, numbers)))
def test_a_parameter_that_is_missing_switches_its_control_off(name: str, event: dict[str, str]) -> None:
    del event[name]
    assert adopt(event)[NAMES.index(name)] is None


@given(st.lists(st.floats(0, 1e11), max_size=REMEMBERED).map(tuple))
def test_remembered_times_are_read_as_they_were_written(recent: tuple[float, ...]) -> None:
    text = rate_control.recent_as_text(recent)
    assert rate_control.recent_from_text(text) == recent
    assert (text == "") == (recent == ())


# The gap between two NOTIFYs


@pytest.mark.rfc("PA-048")
@pytest.mark.parametrize(
    ("found", "gap"), [(NO_RATES, 0.0), (rates("", "0.1", "0.2"), 0.0), (rates("0.05"), 20.0), (rates("2"), 0.5)]
)
def test_max_rate_keeps_notifies_apart(found: Rates, gap: float) -> None:
    assert rate_control.least_gap(found, 600) == gap


@pytest.mark.rfc("PA-050")
@pytest.mark.parametrize(("remaining", "gap"), [(100, 50.0), (50, 50.0), (49, 49.0), (0.5, 0.5), (0, 0.0), (-1, 0.0)])
def test_a_gap_ends_with_the_subscription(remaining: float, gap: float) -> None:
    assert rate_control.least_gap(rates("0.02"), remaining) == gap


@pytest.mark.rfc("PA-048", "PA-050")
@given(rates_of_any_kind, durations)
def test_no_gap_is_below_the_max_rate_unless_the_subscription_ends(found: Rates, remaining: float) -> None:
    gap = rate_control.least_gap(found, remaining)
    assert 0 <= gap <= remaining
    assert found.max_rate is None or gap >= 1 / found.max_rate.number or gap == remaining
    assert found.max_rate is not None or gap == 0


@pytest.mark.rfc("PA-050")
@given(numbers, durations)
@example("0.0000000001", 3.0)
@example("0.0000000001", 0.011)
def test_a_raised_max_rate_leaves_room_for_one_notify(asked: str, lifetime: float) -> None:
    found = adopt({"max-rate": asked}, lifetime=lifetime).max_rate
    assert found is not None
    assert found.number >= float(asked)
    assert found.gap <= max(lifetime, 1 / 99.9999999999) * (1 + 1e-12)


# The state sent again


@pytest.mark.rfc("PA-051")
@pytest.mark.parametrize(
    ("found", "seconds"), [(NO_RATES, None), (rates("2"), None), (rates("", "0.05"), 20.0), (rates("0.5", "0.5"), 2.0)]
)
def test_min_rate_breaks_the_silence(found: Rates, seconds: float | None) -> None:
    assert rate_control.repeat_after(found, (), NOW) == seconds
    assert rate_control.remember(found, (NOW - 1,), NOW) == ()


@pytest.mark.rfc("PA-052")
@pytest.mark.parametrize("count", range(1, REMEMBERED + 1))
def test_adaptive_min_rate_waits_longer_the_more_was_sent(count: int) -> None:
    """The formula of section 7.4, for 0.5 a second: a period of eight seconds."""
    recent = tuple(NOW - 0.25 * before for before in range(count - 1, 0, -1))
    assert rate_control.repeat_after(rates("", "", "0.5"), recent, NOW) == count / (0.5**2 * 8)


@pytest.mark.rfc("PA-052")
def test_no_burst_buys_a_silence_longer_than_the_period() -> None:
    recent = tuple(NOW - 0.01 * before for before in range(100, 0, -1))
    assert rate_control.repeat_after(rates("", "", "0.5"), recent, NOW) == 8.0


@pytest.mark.rfc("PA-052")
def test_what_was_sent_before_the_period_is_forgotten() -> None:
    found, recent = rates("", "", "0.5"), (NOW - 9, NOW - 8, NOW - 7.5, NOW - 1)
    assert rate_control.remember(found, recent, NOW) == (NOW - 7.5, NOW - 1, NOW)
    assert rate_control.repeat_after(found, recent, NOW) == 3 / (0.5**2 * 8)


@pytest.mark.rfc("PA-052")
@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        (rates("1", "", "0.5"), 1.0),
        (rates("4", "", "0.5"), 0.5),
        (rates("", "0.25", "0.5"), 0.5),
        (rates("1", "0.25", "0.5"), 1.0),
    ],
)
def test_the_first_repetition_with_other_rates_beside(found: Rates, seconds: float) -> None:
    assert rate_control.repeat_after(found, (), NOW) == seconds


@pytest.mark.rfc("PA-051")
def test_min_rate_bounds_the_silence_that_adaptive_min_rate_allows() -> None:
    burst = tuple(NOW - 0.25 * before for before in range(12, 0, -1))
    assert rate_control.repeat_after(rates("", "", "0.5"), burst, NOW) == 6.5
    assert rate_control.repeat_after(rates("", "0.25", "0.5"), burst, NOW) == 4.0


@pytest.mark.rfc("PA-052")
@given(rates_of_any_kind, st.lists(st.floats(NOW - 1e5, NOW + 10), max_size=40).map(sorted))
def test_a_repetition_is_never_before_the_max_rate_and_the_history_is_bounded(found: Rates, recent: list[float]) -> None:
    seconds = rate_control.repeat_after(found, recent, NOW)
    assert (seconds is None) == (found.min_rate is None and found.adaptive_min_rate is None)
    assert seconds is None or found.max_rate is None or seconds >= found.max_rate.gap
    remembered = rate_control.remember(found, recent, NOW)
    assert len(remembered) <= REMEMBERED
    assert rate_control.remember(found, remembered, NOW) == remembered
    assert rate_control.repeat_after(found, remembered, NOW) == seconds
    assert len(rate_control.recent_as_text(remembered)) < 400


def notifies(found: Rates, change: float) -> Iterator[float]:
    """When NOTIFYs go out, for a state that changes at this rate; with max-rate a change waits for its gap."""
    now, recent, changes = 0.0, tuple[float, ...](), 1
    while math.isfinite(now):
        yield now
        recent = rate_control.remember(found, recent, now)
        repeated_at = now + (rate_control.repeat_after(found, recent, now) or math.inf)
        changed_at = changes / change if change else math.inf
        now = min(repeated_at, max(changed_at, now + rate_control.least_gap(found, math.inf)))
        changes = max(changes, math.floor(now * change)) if change else 0
        while change and changes / change <= now:
            changes += 1


@pytest.mark.rfc("PA-052")
@given(st.integers(1, 9999), st.floats(0.05, 8) | st.just(0.0))
def test_adaptive_min_rate_settles_at_the_wanted_rate(wanted: int, share: float) -> None:
    """To a tenth, for changes at a steady rate, given as a share of the wanted one.

    With none the rate is the wanted one. Changes faster than that are all sent and nothing else is. Slower ones cut silences short,
    so there is more: at the rate R, repetitions come R/wanted² seconds apart, and each change adds one at most.
    """
    found = rates("", "", f"{wanted / 100}")
    rate, change = wanted / 100, share * wanted / 100
    settled, until = 2 * PERIODS / rate, 80 / rate
    sent = takewhile(lambda now: now <= until, notifies(found, change))
    average = len([now for now in sent if now > settled]) / (until - settled)
    assert average >= max(rate, change) * 0.9
    assert average <= (change + math.sqrt(change**2 + 4 * rate**2)) / 2 * 1.1


@pytest.mark.rfc("PA-048", "PA-052")
@given(rates_of_any_kind, st.just(0.0) | st.floats(0.01, 5))
def test_notifies_are_never_closer_than_the_max_rate(found: Rates, change: float) -> None:
    gap = rate_control.least_gap(found, math.inf)
    for before, after in pairwise(islice(notifies(found, change), 50)):
        assert after - before >= gap * (1 - 1e-9)
