"""The conditions of a rule, and when they are true (pure; RFC 4745 section 7, OMA-TS-XDM_Core section 6.6.2).

Each is a value that can say what it asks for, in words for people, whether it holds, and why. Identities are canonical URIs
(`uri.canonical`), so they are compared as text.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from kemi.xcap import uri

MAX_WORDS = 5
"""How many of the things that a condition lists are put in words: there may be thousands."""

_NOT_KNOWN = "nobody knows who it is"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()
_LAST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()

Lookup = Callable[[str, str], bool | None]
"""(anchor of a resource list, canonical URI) -> whether it is in the list; None: that cannot be said."""


def _nothing_is_known(_anchor: str, _identity: str) -> None:
    """A lookup without lists."""


@dataclass(frozen=True, slots=True)
class Context:
    """Who asks, and when.

    Args:
        identities: all that are proved of the one who asks, as URIs; none: nobody knows who it is.
        sphere: of the user whose rules are asked; None: undefined.
        now: seconds since the epoch.
        is_listed: looks into resource lists.
    """

    identities: tuple[str, ...]
    sphere: str | None
    now: float
    is_listed: Lookup = _nothing_is_known


@dataclass(frozen=True, slots=True)
class Case:
    """A context as conditions are asked it: `identities` are canonical, `is_named` if a rule may name one of them."""

    identities: frozenset[str]
    sphere: str | None
    now: float
    is_listed: Lookup
    is_named: bool


@dataclass(frozen=True, slots=True)
class Except:
    """Takes users out of a many; `user` is a user part, in the draft only. "" and None: does not say."""

    id: str = ""
    domain: str | None = None
    user: str = ""

    def names(self, identity: str) -> bool:
        """Whether this identity is taken out."""
        if self.user and identity.partition(":")[2].partition("@")[0] == self.user:
            return True
        return self.id == identity or (self.domain is not None and _is_in(identity, self.domain))

    def __str__(self) -> str:
        return self.id or self.user or self.domain or "nobody"


@dataclass(frozen=True, slots=True)
class Many:
    """Everybody who is known, or those of a domain (RFC 4745 section 7.1.3)."""

    domain: str | None
    excepts: tuple[Except, ...]

    def names(self, identities: Iterable[str]) -> bool:
        """Whether one of the identities is meant, and none of them taken out."""
        return self._means(identities) and not any(each.names(identity) for each in self.excepts for identity in identities)

    def takes_out(self, identities: Iterable[str]) -> Except | None:
        """What takes somebody out who would be meant."""
        taking = (each for each in self.excepts if any(each.names(identity) for identity in identities))
        return next(taking, None) if self._means(identities) else None

    def _means(self, identities: Iterable[str]) -> bool:
        return any(self.domain is None or _is_in(each, self.domain) for each in identities)

    @property
    def whom(self) -> str:
        """Who is meant, for people, before anybody is taken out."""
        return "known" if self.domain is None else f"of {self.domain}"

    def __str__(self) -> str:
        return f"everybody {self.whom}" + (f" except {_some(self.excepts)}" if self.excepts else "")


def _is_in(identity: str, domain: str) -> bool:
    return uri.same_domain(uri.domain_of(identity), domain)


def _some(things: Iterable[object]) -> str:
    words = [str(each) for each in things]
    more = f" and {len(words) - MAX_WORDS} more" if len(words) > MAX_WORDS else ""
    return ", ".join(words[:MAX_WORDS]) + more


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody of these (RFC 4745 section 7.1). Without children, or with unknown ones only, it is false."""

    ones: frozenset[str]
    manys: tuple[Many, ...]
    is_understood: bool = True

    def may_hold(self, case: Case) -> bool:
        """Whether it is true, or could be if all of it were understood."""
        return not self.is_understood or self.holds(case)

    def holds(self, case: Case) -> bool:
        """Whether the condition is true."""
        return not self.ones.isdisjoint(case.identities) or any(many.names(case.identities) for many in self.manys)

    def why(self, case: Case) -> str:
        """Why it is true or not, for people."""
        who = case.identities
        named = [*sorted(self.ones & who), *(many for many in self.manys if many.names(who))]
        taken = [f"it is {many.whom}, but {each} is excepted" for many in self.manys if (each := many.takes_out(who))]
        if named or not who:
            return f"it is {named[0]}" if named else _NOT_KNOWN
        reasons = taken or ["it is none of them"]
        return "; ".join(reasons if self.is_understood else [*reasons, "a part is not understood"])

    def __str__(self) -> str:
        return f"identity is {_some([*sorted(self.ones), *self.manys]) or 'nobody'}"


@dataclass(frozen=True, slots=True)
class Sphere:
    """RFC 4745 section 7.3."""

    values: tuple[str, ...]

    def holds(self, case: Case) -> bool:
        """Whether the condition is true."""
        return case.sphere is not None and case.sphere.casefold() in self.values

    def why(self, case: Case) -> str:
        """Why it is true or not, for people."""
        return "it is not defined" if case.sphere is None else f"it is {case.sphere}"

    def __str__(self) -> str:
        return f"sphere is {_some(self.values) or 'nothing'}"


class Period(NamedTuple):
    """Seconds since the epoch; `until` is outside."""

    since: float
    until: float

    def __str__(self) -> str:
        return f"from {in_words(self.since)} until {in_words(self.until)}"


def in_words(seconds: float) -> str:
    """A time, seconds since the epoch, by ISO 8601; the last one that Python's calendar reaches for what is beyond."""
    return (_EPOCH + timedelta(seconds=min(max(seconds, _FIRST), _LAST))).isoformat()


@dataclass(frozen=True, slots=True)
class Validity:
    """RFC 4745 section 7.4."""

    periods: tuple[Period, ...]

    def holds(self, case: Case) -> bool:
        """Whether the condition is true."""
        return any(period.since <= case.now < period.until for period in self.periods)

    def changes_at(self, now: float) -> float | None:
        """The next bound of a period, seconds since the epoch; None: there is none any more."""
        return min((bound for period in self.periods for bound in period if bound > now), default=None)

    def why(self, case: Case) -> str:
        """Why it is true or not, for people."""
        since = min((each.since for each in self.periods if case.now < each.since < each.until), default=None)
        until = max((each.until for each in self.periods if each.since <= case.now < each.until), default=None)
        if until is not None:
            return f"it is until {in_words(until)}"
        return "it is over, or never was" if since is None else f"it is not before {in_words(since)}"

    def __str__(self) -> str:
        return f"time is {_some(self.periods) or 'never'}"


@dataclass(frozen=True, slots=True)
class ExternalList:
    """OMA: somebody in one of these resource lists."""

    anchors: tuple[str, ...]

    def may_hold(self, case: Case) -> bool:
        """Whether it is true, or could be if all lists were known."""
        return any(case.is_listed(anchor, identity) is not False for anchor in self.anchors for identity in case.identities)

    def holds(self, case: Case) -> bool:
        """Whether the condition is true."""
        return any(case.is_listed(anchor, identity) for anchor in self.anchors for identity in case.identities)

    def why(self, case: Case) -> str:
        """Why it is true or not, for people."""
        found = {anchor: [case.is_listed(anchor, each) for each in case.identities] for anchor in self.anchors}
        having = [anchor for anchor, listed in found.items() if True in listed]
        unknown = [anchor for anchor, listed in found.items() if None in listed]
        if having or not case.identities:
            return f"it is in {having[0]}" if having else _NOT_KNOWN
        return f"nobody knows who is in {_some(unknown)}" if unknown else "it is in none of them"

    def __str__(self) -> str:
        return f"identity is in {_some(self.anchors) or 'no list'}"


@dataclass(frozen=True, slots=True)
class OtherIdentity:
    """OMA: somebody known whom no rule names."""

    def holds(self, case: Case) -> bool:
        """Whether the condition is true."""
        return bool(case.identities) and not case.is_named

    def why(self, case: Case) -> str:
        """Why it is true or not, for people."""
        if not case.identities:
            return _NOT_KNOWN
        return "another rule names it, or may name it" if case.is_named else "no rule names it"

    def __str__(self) -> str:
        return "identity is known and in no other rule"


@dataclass(frozen=True, slots=True)
class AnonymousRequest:
    """OMA: nobody knows who it is."""

    def holds(self, case: Case) -> bool:
        """Whether the condition is true."""
        return not case.identities

    def why(self, case: Case) -> str:
        """Why it is true or not, for people."""
        return "it is known" if case.identities else _NOT_KNOWN

    def __str__(self) -> str:
        return "identity is unknown"


@dataclass(frozen=True, slots=True)
class UnknownCondition:
    """One that nobody here understands: false (RFC 4745 section 7)."""

    name: str

    def holds(self, _case: Case) -> bool:
        """Whether the condition is true."""
        return False

    def why(self, _case: Case) -> str:
        """Why it is not true, for people."""
        return "what is not understood is false"

    def __str__(self) -> str:
        return f"{self.name} is no condition that is known here"


Condition = Identity | Sphere | Validity | ExternalList | OtherIdentity | AnonymousRequest | UnknownCondition
