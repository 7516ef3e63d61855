"""Event rate control: how often a watcher wants to be told (RFC 6446).

Three parameters of Event, in SUBSCRIBE or in the 2xx to NOTIFY, each a number of NOTIFYs a second:

parameter          section  what it asks for
-----------------  -------  -----------------------------------------------------------------------------
max-rate           5        two NOTIFYs are at least 1/max-rate seconds apart
min-rate           6        the state is sent again after 1/min-rate seconds of silence
adaptive-min-rate  7        the same, after a silence that grows with the number of NOTIFYs sent lately

`adopt` takes, adjusts or leaves out what was asked, once. What it returns holds until the next SUBSCRIBE: it paces the NOTIFYs and
is reflected in the Subscription-State of each. The NOTIFY that a SUBSCRIBE causes, the one from pending to active and the last one
wait for nobody (section 5.2): whoever sends them does not ask here.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

NAMES = ("max-rate", "min-rate", "adaptive-min-rate")
"""The parameters, in the order of the fields of Rates."""

PERIODS = 4
"""The period that adaptive-min-rate is averaged over, as a multiple of 1/adaptive-min-rate. It has to be more than one, several are
recommended (RFC 6446 section 7.4); more of them let the first NOTIFYs of a subscription follow each other faster."""

REMEMBERED = PERIODS**2
"""NOTIFYs that are counted at most. With as many the timeout is as long as the period: a burst of changes, however large, buys no
silence that is longer than what it is averaged over."""

DECIMALS = 10
"""Digits behind the point that the grammar allows (RFC 6446 section 9.2)."""

_RATE = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,10})?")
_UNITS = 10**DECIMALS
_FASTEST = 100 * _UNITS - 1


class Rate(NamedTuple):
    """NOTIFYs a second: the number, and the text that it is reflected as (RFC 6446 section 9.2)."""

    number: float
    text: str

    @property
    def gap(self) -> float:
        """Seconds from one NOTIFY to the next."""
        return 1 / self.number


class Rates(NamedTuple):
    """The rates that were adopted for a subscription; None: this one is not controlled."""

    max_rate: Rate | None = None
    min_rate: Rate | None = None
    adaptive_min_rate: Rate | None = None


NO_RATES = Rates()


def adopt(parameters: Mapping[str, str], interval: float = 0.0, lifetime: float = math.inf) -> Rates:
    """The rates that a watcher gets (RFC 6446 sections 5.3, 8 and 9.2).

    What is zero, or is not written as section 9.2 says, counts as not given. A max-rate too slow for one NOTIFY in the lifetime is
    raised. The other two are lowered to max-rate and to the pace of the server; of a min-rate that is then not below
    adaptive-min-rate nothing remains.

    Args:
        parameters: of Event, by name in lower case, all others too. One that was given twice has no value that is a number.
        interval: seconds that the server leaves between two NOTIFYs of a subscription anyway, 0: none.
        lifetime: seconds until the subscription expires.
    """
    asked = _given(parameters)
    if asked == NO_RATES:
        return NO_RATES
    max_rate, min_rate, adaptive_min_rate = asked
    if max_rate and 0 < lifetime < max_rate.gap:
        max_rate = _rate_of(lifetime, math.ceil)
    pace = _rate_of(interval, math.floor) if interval > 0 else None
    min_rate = _lowered(min_rate, max_rate, pace)
    adaptive_min_rate = _lowered(adaptive_min_rate, max_rate, pace)
    if min_rate and adaptive_min_rate and min_rate.number >= adaptive_min_rate.number:
        min_rate = None
    return Rates(max_rate, min_rate, adaptive_min_rate)


def _given(parameters: Mapping[str, str]) -> Rates:
    return Rates(*(_read(parameters.get(name, "")) for name in NAMES))


def _read(text: str) -> Rate | None:
    number = float(text) if _RATE.fullmatch(text) else 0.0
    return Rate(number, text) if number > 0 else None


def _rate_of(seconds: float, rounded: Callable[[float], int]) -> Rate:
    """One NOTIFY in so many seconds, as near to it as the grammar can write."""
    units = max(1, rounded(min(_UNITS / seconds, _FASTEST)))
    text = f"{units // _UNITS}.{units % _UNITS:0{DECIMALS}d}".rstrip("0").rstrip(".")
    return Rate(float(text), text)


def _lowered(rate: Rate | None, *ceilings: Rate | None) -> Rate | None:
    for ceiling in ceilings:
        if rate and ceiling and ceiling.number < rate.number:
            rate = ceiling
    return rate


def as_text(rates: Rates) -> str:
    """The rates as Subscription-State reflects them, e.g. "max-rate=0.5" (RFC 6446 sections 5.2, 6.2, 7.2); "" for NO_RATES."""
    return ";".join(f"{name}={rate.text}" for name, rate in zip(NAMES, rates, strict=True) if rate)


def from_text(text: str) -> Rates:
    """The rates that `as_text` wrote."""
    return _given(dict(part.split("=") for part in text.split(";"))) if text else NO_RATES


def least_gap(rates: Rates, remaining: float) -> float:
    """Seconds after a NOTIFY in which a change waits (RFC 6446 sections 5.2, 5.3).

    Args:
        remaining: seconds from that NOTIFY until the subscription expires. A max-rate that is too slow for them is raised.
    """
    return max(0.0, min(rates.max_rate.gap, remaining)) if rates.max_rate else 0.0


def repeat_after(rates: Rates, recent: Sequence[float], now: float) -> float | None:
    """Seconds after a NOTIFY sent now at which the state is sent again, though it is the same (RFC 6446 sections 6.2, 7.2, 7.4).

    With both min-rate and adaptive-min-rate the earlier of the two counts; it is never before 1/max-rate.

    Args:
        recent: what `remember` returned, for this NOTIFY or for the one before.
        now: seconds since the epoch.

    Returns:
        None: never.
    """
    timeouts = []
    if rates.min_rate:
        timeouts.append(rates.min_rate.gap)
    if rates.adaptive_min_rate:
        count, rate = len(remember(rates, recent, now)), rates.adaptive_min_rate.number
        timeouts.append(count / (rate**2 * _period(rates.adaptive_min_rate)))
    if not timeouts:
        return None
    return max(min(timeouts), rates.max_rate.gap if rates.max_rate else 0.0)


def remember(rates: Rates, recent: Sequence[float], now: float) -> tuple[float, ...]:
    """When NOTIFYs were sent within the last period, one sent now included; retransmissions are none (RFC 6446 section 7.4).

    Args:
        recent: what was remembered before; seconds since the epoch, oldest first.

    Returns:
        At most REMEMBERED times; none without adaptive-min-rate.
    """
    if rates.adaptive_min_rate is None:
        return ()
    since = now - _period(rates.adaptive_min_rate)
    return (*[sent_at for sent_at in recent if since < sent_at < now][1 - REMEMBERED :], now)


def _period(adaptive_min_rate: Rate) -> float:
    return PERIODS * adaptive_min_rate.gap


def recent_as_text(recent: Sequence[float]) -> str:
    """Remembered times for a column, exactly; a few hundred characters at most."""
    return " ".join(map(repr, recent))


def recent_from_text(text: str) -> tuple[float, ...]:
    """The times that `recent_as_text` wrote."""
    return tuple(map(float, text.split()))
