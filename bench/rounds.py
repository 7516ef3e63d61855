"""Rounds: every server of a round is started, then they take turns, slice by slice, so that a change of the machine's
speed meets all of them alike; a round's figures are the sums of its slices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cases import Case, Size
from cluster import NoCluster
from groups import CASES, GROUPS
from load import Wire
from measure import Figures, Meter
from servers import CannotStart, Server, Setup, running

Round = dict[str, dict[str, Figures]]
Tell = Callable[[str], None]


@dataclass(slots=True)
class Subject:
    """A running server with the driver's socket to it."""

    setup: Setup
    server: Server
    wire: Wire


def run_round(setups: list[Setup], cases: list[str], size: Size, folder: Path, tell: Tell) -> Round:
    """One round; figures by case and by the setup's name. A server that does not start is left out."""
    folder.mkdir()
    folder.chmod(0o711)
    measured: Round = {}
    for group, of_group in GROUPS.items():
        names = [name for name in of_group if name in cases]
        if names:
            servers = [setup for setup in setups if group in setup.groups]
            measured |= _run_group(servers, names, size, folder / group, tell)
    return measured


def _run_group(setups: list[Setup], cases: list[str], size: Size, folder: Path, tell: Tell) -> Round:
    """The servers of one group, started together and measured in its cases."""
    folder.mkdir()
    folder.chmod(0o711)
    with contextlib.ExitStack() as stack:
        subjects = [subject for setup in setups if (subject := _start(setup, folder, stack, tell))]
        measured = {name: _run_case(name, subjects, size, tell) for name in cases}
        for subject in subjects:
            _tell_complaints(subject, tell)
        return measured


def _start(setup: Setup, folder: Path, stack: contextlib.ExitStack, tell: Tell) -> Subject | None:
    try:
        server = stack.enter_context(running(setup, folder / setup.name))
    except (CannotStart, NoCluster) as problem:
        tell(f"  {setup.name}: left out, {problem}")
        return None
    return Subject(setup, server, stack.enter_context(contextlib.closing(Wire(server.address))))


def _run_case(name: str, subjects: list[Subject], size: Size, tell: Tell) -> dict[str, Figures]:
    cases: dict[str, Case] = {}
    figures = {subject.setup.name: Figures() for subject in subjects}
    for subject in subjects:
        case = cases[subject.setup.name] = CASES[name](subject.server, subject.wire, size)
        case.prepare()
        Meter(subject.server, subject.wire).stop()
    for number in range(max((case.slices for case in cases.values()), default=0)):
        for subject in _rotated(subjects, number):
            _run_slice(cases[subject.setup.name], number, subject, figures[subject.setup.name])
    for setup_name, figure in figures.items():
        tell(f"  {name:<12} {setup_name:<16} {_line(figure)}")
    return figures


def _tell_complaints(subject: Subject, tell: Tell) -> None:
    complaints = subject.server.complaints()
    if complaints:
        tell(f"  {subject.setup.name}: {len(complaints)} errors in its log, the first: {complaints[0][:300]}")


def _run_slice(case: Case, number: int, subject: Subject, figures: Figures) -> None:
    if number and not figures.operations:
        return
    meter = Meter(subject.server, subject.wire)
    work = case.slice(number)
    figures.add(work, *meter.stop())


def _rotated(subjects: list[Subject], number: int) -> list[Subject]:
    """Another order for every slice, so that nobody always follows the same neighbour."""
    start = number % len(subjects) if subjects else 0
    turned = subjects[start:] + subjects[:start]
    return turned[::-1] if number % 2 else turned


def _line(figures: Figures) -> str:
    parts = [f"{figures.server_us:7.0f} us + {figures.database_us:6.0f} us", f"{figures.rate:7.0f}/s"]
    parts.append(f"{figures.arrived:5.1f} % of {figures.expected}")
    if figures.delays_ms:
        parts.append(f"p50 {figures.percentile(50):.1f} ms, p99 {figures.percentile(99):.1f} ms")
    if figures.states:
        parts.append(f"{figures.right} of {figures.states} states right")
    if figures.repeated > 0:
        parts.append(f"{figures.repeated} NOTIFYs more than expected")
    if figures.failures:
        parts.append(", ".join(f"{count} x {why}" for why, count in figures.failures.items()))
    return "  ".join(parts)
