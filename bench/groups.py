"""All cases, and which of them go together: a group's servers are started for it, and measured in its cases one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import beside_cases
import cases
import list_cases
import list_memory
import xcap_cases
from cases import Case
from servers import BESIDE, LISTS, MEMORY, PRESENCE, SETUPS, XCAP, Setup

GROUPS: dict[str, Mapping[str, type[Case]]] = {
    PRESENCE: cases.CASES,
    XCAP: xcap_cases.CASES,
    LISTS: list_cases.CASES,
    MEMORY: list_memory.CASES,
    BESIDE: beside_cases.CASES,
}
CASES: dict[str, type[Case]] = {name: case for group in GROUPS.values() for name, case in group.items()}

ONCE = frozenset(list_memory.CASES)
"""Cases of the first round only: what they tell is the same in each."""


def is_measured(setup: Setup, case: str) -> bool:
    """Whether a server is one of those that are measured in a case."""
    return any(case in GROUPS[group] for group in setup.groups)


def cases_of(number: int, cases: list[str]) -> list[str]:
    """Those of the cases that a round, counted from 1, measures."""
    return [case for case in cases if number == 1 or case not in ONCE]


def chosen(only: list[str]) -> tuple[list[Setup], list[str]]:
    """The servers and cases that are named; all (of those that run by default) where none is.

    Args:
        only: names of cases and servers, or beginnings of them.

    Raises:
        ValueError: one of them is no name.
    """
    named_cases = [case for case in CASES if any(_is_named(case, name) for name in only)]
    named_setups = [setup for setup in SETUPS if any(_names(name, setup) for name in only)]
    for name in only:
        if not any(_is_named(case, name) for case in CASES) and not any(_names(name, setup) for setup in SETUPS):
            raise ValueError(f"{name}: no such case or server; see --help")
    setups = named_setups or [setup for setup in SETUPS if setup.by_default]
    found = [case for case in named_cases or CASES if any(is_measured(setup, case) for setup in setups)]
    return [setup for setup in setups if any(is_measured(setup, case) for case in found)], found


def _is_named(case: str, name: str) -> bool:
    return case == name if name in CASES else case.startswith(f"{name}-")


def _names(name: str, setup: Setup) -> bool:
    if any(other.name == name for other in SETUPS):
        return setup.name == name
    return name not in CASES and setup.by_default and setup.name.startswith(name)
