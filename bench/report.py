"""The report: ratios against targets, absolute figures, latency, and the results file."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import beside_cases
import cases
import documents
import list_cases
import xcap_cases
from measure import Figures
from memory import KIB, Sample
from rich.console import Console
from rich.table import Table
from rounds import Round
from servers import SETUPS

ABOUT = {setup.name: setup.about for setup in SETUPS}
TITLES = {
    "publish": "PUBLISH (initial + modify, no watcher)",
    "subscribe": "SUBSCRIBE + first NOTIFY",
    "fanout": "one NOTIFY of a fan-out",
    "latency": "PUBLISH to NOTIFY, one watcher",
    "xcap-get": "XCAP GET",
    "xcap-304": "XCAP GET: 304",
    "xcap-put": "XCAP PUT",
    "xcap-entry": "XCAP element PUT",
    "xcap-get-8": "XCAP GET, 8 connections",
    "xcap-304-8": "XCAP GET: 304, 8 connections",
    "xcap-put-8": "XCAP PUT, 8 connections",
    "xcap-entry-8": "XCAP element PUT, 8 connections",
    "list-subscribe": "SUBSCRIBE to a list, for each member told",
    "list-change": "one NOTIFY of a list after a change",
    "list-burst": "changes of all members at once, for each told",
    "list-memory": "lists, memory",
    "beside": "SIP beside another XCAP server",
    "needed": "SUBSCRIBE that needs its documents",
}


MEASURES: dict[str, Callable[[Figures], float]] = {
    "CPU": lambda figures: figures.total_us,
    "p50": lambda figures: figures.percentile(50),
    "p99": lambda figures: figures.percentile(99),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio, ours to theirs, that is to be reached: of total CPU, or of the time until the answer."""

    case: str
    ours: str
    peer: str
    most: float
    of: str = "CPU"


TARGETS = [
    Target("publish", "ours-sqlite-1", "peer-sqlite-1", 0.30),
    Target("publish", "ours-sqlite-full", "peer-sqlite-1", 0.30),
    Target("publish", "ours-sqlite-full", "peer-sqlite-wal", 0.30),
    Target("publish", "ours-sqlite", "peer-memory", 2.5),
    Target("publish", "ours-pg", "peer-pg", 0.6),
    Target("publish", "ours-pg", "peer-pg-dbonly", 0.5),
    Target("subscribe", "ours-sqlite-1", "peer-sqlite-1", 0.5),
    Target("subscribe", "ours-sqlite-full", "peer-sqlite-1", 0.5),
    Target("subscribe", "ours-sqlite-full", "peer-sqlite-wal", 0.5),
    Target("subscribe", "ours-pg", "peer-pg-dbonly", 0.4),
    Target("fanout", "ours-sqlite", "peer-memory", 1.3),
    Target("fanout", "ours-pg", "peer-pg-dbonly", 0.1),
    Target("fanout", "ours-pg", "peer-pg-direct", 0.1),
    Target("xcap-get", "ours-sqlite", "peer-xcap", 1.0),
    Target("xcap-get", "ours-sqlite-full", "peer-xcap-wal", 1.0),
    Target("xcap-put", "ours-sqlite", "peer-xcap", 1.3),
    Target("xcap-put", "ours-sqlite-full", "peer-xcap", 1.3),
    Target("xcap-put", "ours-sqlite-full", "peer-xcap-wal", 1.3),
    Target("xcap-entry", "ours-sqlite", "peer-xcap", 1.3),
    Target("xcap-entry", "ours-sqlite-full", "peer-xcap", 1.3),
    Target("xcap-entry", "ours-sqlite-full", "peer-xcap-wal", 1.3),
    Target("xcap-get-8", "ours-sqlite", "peer-xcap", 1.0),
    Target("list-subscribe", "ours-pg", "peer-rls", 0.2),
    Target("list-change", "ours-pg", "peer-rls", 0.2),
    Target("list-change", "ours-pg", "peer-rls", 1.0, "p99"),
    *(Target("beside", f"beside-{manner}", "alone", 1.2, "p50") for manner in documents.ABOUT),
    *(Target("beside", f"beside-{manner}", "alone", 1.5, "p99") for manner in documents.ABOUT if manner != "fast"),
    *(Target("needed", f"beside-{manner}", "alone", 1.5, "p50") for manner in documents.ABOUT),
]


COMPLETE = [("publish", "ours-sqlite"), ("publish", "ours-pg"), ("fanout", "ours-sqlite"), ("fanout", "ours-pg")]
COMPLETE += [(case, "ours-sqlite") for case in xcap_cases.CASES]
COMPLETE += [(case, setup) for case in list_cases.CASES for setup in ("ours-sqlite", "ours-pg")]
COMPLETE += [("beside", f"beside-{manner}") for manner in documents.ABOUT]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of one target over the rounds."""

    target: Target
    each: list[float]

    @property
    def median(self) -> float:
        """The median; only asked for when there is one."""
        return statistics.median(self.each)

    @property
    def reached(self) -> bool:
        """Whether the median is within the target."""
        return self.median <= self.target.most


def ratios(rounds: list[Round]) -> list[Ratio]:
    """Those targets for which both sides were measured; each round gives one ratio."""
    found = []
    for target in TARGETS:
        each = [_ratio(target, measured) for measured in rounds]
        known = [ratio for ratio in each if ratio is not None]
        if known:
            found.append(Ratio(target, known))
    return found


def _ratio(target: Target, measured: Round) -> float | None:
    figures = measured.get(target.case, {})
    ours, peer = figures.get(target.ours), figures.get(target.peer)
    if not (ours and peer and ours.operations and peer.operations):
        return None
    return MEASURES[target.of](ours) / MEASURES[target.of](peer)


def show(console: Console, rounds: list[Round]) -> None:
    """Print everything."""
    for make in (
        _presence_table,
        _list_table,
        _memory_table,
        _xcap_table,
        _latency_table,
        _answers_table,
        _target_table,
        _incomplete_table,
    ):
        table = make(rounds)
        if table.row_count:
            console.print(table)


def _target_table(rounds: list[Round]) -> Table:
    table = Table(title="Ratios, ours / theirs; of CPU for one operation, database included; median of the rounds")
    for name in ("work", "of", "ours", "peer"):
        table.add_column(name)
    for name in ("ratio", "least-most", "target", ""):
        table.add_column(name, justify="right")
    for ratio in ratios(rounds):
        target = ratio.target
        spread = f"{min(ratio.each):.2f}-{max(ratio.each):.2f}"
        names = (TITLES[target.case], target.of, target.ours, target.peer)
        table.add_row(*names, f"{ratio.median:.2f}", spread, f"<= {target.most:g}", _mark(ratio.reached))
    for case, setup in COMPLETE:
        arrived = _arrived(rounds, case, setup)
        if arrived is not None:
            table.add_row(f"{TITLES[case]}: came", "", setup, "", f"{arrived:.1f} %", "", "100 %", _mark(arrived == 100))
    for case, setup in COMPLETE:
        wrong, states = _wrong(rounds, case, setup)
        if states:
            table.add_row(f"{TITLES[case]}: wrong in the end", "", setup, "", f"{wrong}", f"of {states}", "0", _mark(not wrong))
    return table


def _mark(reached: bool) -> str:
    return "[green]pass[/]" if reached else "[red]miss[/]"


def _arrived(rounds: list[Round], case: str, setup: str) -> float | None:
    """Per cent of what was asked for that came, over all rounds; None when it was not measured."""
    figures = _all(rounds, case, setup)
    expected = sum(figure.expected for figure in figures)
    return 100.0 * sum(figure.operations for figure in figures) / expected if expected else None


def _wrong(rounds: list[Round], case: str, setup: str) -> tuple[int, int]:
    """Of how many states watchers did not know the newest in the end, and of how many they had to; over all rounds."""
    figures = _all(rounds, case, setup)
    states = sum(figure.states for figure in figures)
    return states - sum(figure.right for figure in figures), states


def _presence_table(rounds: list[Round]) -> Table:
    return _cpu_table(
        rounds,
        "CPU microseconds of one operation: server + database, median of the rounds",
        {case: TITLES[case] for case in cases.CASES if case != "latency"},
    )


def _list_table(rounds: list[Round]) -> Table:
    title = "Lists of 100 users: CPU microseconds of one operation: server + database, median of the rounds"
    return _cpu_table(rounds, title, {case: TITLES[case] for case in list_cases.CASES})


def _memory_table(rounds: list[Round]) -> Table:
    """What is held, and by how much more a list than with the line above, where there were fewer."""
    table = Table(title="What lists of 100 users hold: KiB of memory and of the database; in brackets for each list more")
    table.add_column("server")
    for name in ("lists", "processes", "PostgreSQL", "shared in use", "most", "rows", "stored"):
        table.add_column(name, justify="right")
    for setup in SETUPS:
        for figures in _all(rounds, "list-memory", setup.name):
            for before, sample in zip([None, *figures.memory], figures.memory, strict=False):
                table.add_row(setup.name, f"{sample.lists} {sample.moment}".strip(), *_held_cells(before, sample))
    return table


def _held_cells(before: Sample | None, sample: Sample) -> list[str]:
    more = sample.lists - before.lists if before else 0
    cells = []
    for name in ("own", "database", "shared", "most_shared", "rows", "stored"):
        unit = 1 if name == "rows" else KIB
        value = getattr(sample.held, name)
        each = f" ({(value - getattr(before.held, name)) / unit / more:.1f})" if before and more > 0 else ""
        cells.append(f"{value / unit:.0f}{each}")
    return cells


def _xcap_table(rounds: list[Round]) -> Table:
    names = {case: case.removeprefix("xcap-") for case in xcap_cases.CASES}
    return _cpu_table(
        rounds, "XCAP: CPU microseconds of one request, over one connection and over eight, median of the rounds", names
    )


def _cpu_table(rounds: list[Round], title: str, columns: dict[str, str]) -> Table:
    table = Table(title=title)
    table.add_column("server")
    table.add_column("is")
    measured = [case for case in columns if any(case in each for each in rounds)]
    for case in measured:
        table.add_column(columns[case], justify="right")
    for setup in SETUPS:
        cells = [_cpu_cell(_all(rounds, case, setup.name)) for case in measured]
        if any(cells):
            table.add_row(setup.name, setup.about, *cells)
    return table


def _cpu_cell(figures: list[Figures]) -> str:
    if not figures:
        return ""
    text = f"{_median(figures, lambda f: f.server_us):.0f}"
    database = _median(figures, lambda f: f.database_us)
    rate = _median(figures, lambda f: f.rate)
    return text + (f" + {database:.0f}" if database else "") + f" at {rate:.0f}/s"


def _latency_table(rounds: list[Round]) -> Table:
    columns = {"latency": "one watcher", "fanout": "fan-out", "list-change": "lists", "list-burst": "lists, all at once"}
    return _time_table(rounds, "PUBLISH to NOTIFY in ms, p50 / p99, median of the rounds", columns)


def _answers_table(rounds: list[Round]) -> Table:
    columns = {case: TITLES[case] for case in beside_cases.CASES}
    return _time_table(rounds, "SIP request to answer in ms, p50 / p99, median of the rounds", columns)


def _time_table(rounds: list[Round], title: str, columns: dict[str, str]) -> Table:
    table = Table(title=title)
    table.add_column("server")
    table.add_column("is")
    for column in columns.values():
        table.add_column(column, justify="right")
    for setup in SETUPS:
        cells = [_latency_cell(_all(rounds, case, setup.name)) for case in columns]
        if any(cells):
            table.add_row(setup.name, setup.about, *cells)
    return table


def _latency_cell(figures: list[Figures]) -> str:
    known = [figure for figure in figures if figure.delays_ms]
    if not known:
        return ""
    return f"{_median(known, lambda f: f.percentile(50)):.2f} / {_median(known, lambda f: f.percentile(99)):.2f}"


def _incomplete_table(rounds: list[Round]) -> Table:
    table = Table(title="Not everything that was asked for came")
    for name in ("work", "server", "came", "answers"):
        table.add_column(name, justify="right" if name == "came" else "left")
    for case, title in TITLES.items():
        for setup in SETUPS:
            arrived = _arrived(rounds, case, setup.name)
            if arrived is not None and arrived < 100:
                failures = sorted({why for figure in _all(rounds, case, setup.name) for why in figure.failures})
                table.add_row(title, setup.name, f"{arrived:.1f} %", ", ".join(failures))
    return table


def _all(rounds: list[Round], case: str, setup: str) -> list[Figures]:
    return [measured[case][setup] for measured in rounds if setup in measured.get(case, {})]


def _median(figures: list[Figures], value: Callable[[Figures], float]) -> float:
    return statistics.median(value(figure) for figure in figures)


def write(path: Path, rounds: list[Round], about: dict[str, object]) -> None:
    """Write the results for machines."""
    result = about | {
        "ratios": [
            {
                "case": ratio.target.case,
                "ours": ratio.target.ours,
                "peer": ratio.target.peer,
                "of": ratio.target.of,
                "ratio": round(ratio.median, 3),
                "each": [round(value, 3) for value in ratio.each],
                "target": ratio.target.most,
                "reached": ratio.reached,
            }
            for ratio in ratios(rounds)
        ],
        "rounds": [
            {case: {name: figure.as_dict() for name, figure in by_name.items()} for case, by_name in measured.items()}
            for measured in rounds
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
