"""Side-by-side benchmark of kemi-presence and Kamailio's own C `presence` module; see README.md beside this file."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import report
from cases import FULL, QUICK
from groups import CASES, cases_of, chosen, is_measured
from rich.console import Console
from rounds import Round, run_round
from servers import ROOT, SETUPS, Setup

RESULTS = ROOT / "var" / "bench" / "latest.json"
LIMIT = 2700


class Stopped(Exception):
    """The run ends now: by a signal, or because its time is over."""


def main() -> int:
    """Run, print, write; 0 when every chosen server was measured in every case."""
    options = _options()
    try:
        setups, cases = chosen(options.only)
    except ValueError as problem:
        sys.exit(f"--only {problem}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    size = QUICK if options.quick else FULL
    count = 1 if options.quick and options.rounds is None else options.rounds or 3
    started = time.monotonic()
    rounds: list[Round] = []
    console.print(f"{count} round(s), {size.outstanding} operations outstanding: {', '.join(s.name for s in setups)}")
    with _bounded(options.limit, console), tempfile.TemporaryDirectory(prefix="kp-bench-") as folder:
        Path(folder).chmod(0o711)
        for number in range(1, count + 1):
            console.print(f"round {number} of {count}")
            rounds.append(run_round(setups, cases_of(number, cases), size, Path(folder) / str(number), console.out))
    if not rounds:
        return 1
    report.show(console, rounds)
    about: dict[str, object] = {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "quick": options.quick}
    report.write(options.output, rounds, about | {"cpus": os.cpu_count(), "seconds": round(time.monotonic() - started)})
    console.print(f"{time.monotonic() - started:.0f} s; results in {options.output}")
    return 0 if len(rounds) == count and _complete(rounds, setups, cases) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="how many rounds; ratios are medians over them (3; with --quick 1)")
    parser.add_argument("--quick", action="store_true", help="short slices: the order of magnitude only")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a case, a server, or the beginning of a server's name (ours, peer-pg); may be repeated. "
        f"Cases: {', '.join(CASES)}. Servers: {', '.join(setup.name for setup in SETUPS)}",
    )
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"stop after so many seconds ({LIMIT})")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file (var/bench/latest.json)")
    return parser.parse_args()


@contextlib.contextmanager
def _bounded(limit: int, console: Console) -> Iterator[None]:
    """End what runs inside after the limit, on SIGTERM and on Ctrl-C; what was measured by then is reported."""
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    signal.alarm(limit)
    try:
        yield
    except Stopped as reason:
        console.print(f"stopped: {reason}; complete rounds only are reported")
    finally:
        signal.alarm(0)


def _stop(number: int, _: FrameType | None) -> None:
    for other in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # the cleaning up is not to be disturbed
    raise Stopped("time is over" if number == signal.SIGALRM else signal.Signals(number).name)


def _complete(rounds: list[Round], setups: list[Setup], cases: list[str]) -> bool:
    wanted = [(number, case) for number, _ in enumerate(rounds, 1) for case in cases_of(number, cases)]
    return all(s.name in rounds[number - 1][case] for number, case in wanted for s in setups if is_measured(s, case))


if __name__ == "__main__":
    sys.exit(main())
