"""Which lines of docs/conformance.tsv tests cover, printed area by area: make conformance.

A line is covered when a test names it in `@pytest.mark.rfc("PUB-002")` (or in a module's pytestmark), or a SIPp story
in the line `rfc: PUB-002` of its README. Lines of docs/conformance-exceptions.tsv are left out on purpose, each with its
reason. A test or an exception that names a line which is not in the list is an error.

Columns of conformance.tsv: line, strength, summary, area; of conformance-exceptions.tsv: line, reason.
"""

import ast
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PLAIN_WIDTH = 200
"""Columns where no terminal tells how many there are."""


@dataclass(frozen=True, slots=True)
class Line:
    """One checkable behaviour."""

    name: str
    strength: str
    summary: str
    area: str


def read_table(file: Path) -> Iterator[list[str]]:
    """The rows of a file of tab-separated values."""
    with file.open(newline="") as text:
        yield from csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)


def read_lines(file: Path) -> dict[str, Line]:
    """The list, by name and in its order."""
    return {row[0]: Line(*row) for row in read_table(file)}


def read_exceptions(file: Path) -> dict[str, str]:
    """Why a line is left out, by its name."""
    return dict(read_table(file))


def named_in(source: str) -> list[str]:
    """The lines that a test module names in `pytest.mark.rfc(...)`."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _is_rfc_mark(node.func)]
    values = [argument.value for call in calls for argument in call.args if isinstance(argument, ast.Constant)]
    return [value for value in values if isinstance(value, str)]


def _is_rfc_mark(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "rfc"
        and isinstance(function.value, ast.Attribute)
        and function.value.attr == "mark"
    )


def named_by_story(readme: str) -> list[str]:
    """The lines that the README of a SIPp story names."""
    texts = re.findall(r"^rfc:(.*)$", readme, re.MULTILINE)
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def collect(tests: Path) -> dict[str, list[Path]]:
    """The files that cover each line, by its name."""
    covered: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(tests.rglob("*.py")):
        for name in named_in(file.read_text()):
            covered[name].append(file)
    for readme in sorted(tests.glob("sipp/*/README.md")):
        for name in named_by_story(readme.read_text()):
            covered[name].append(readme)
    return covered


def unknown(lines: Mapping[str, Line], covered: Mapping[str, list[Path]], exceptions: Mapping[str, str]) -> list[str]:
    """One sentence for each name that is not in the list."""
    named = [(name, file) for name, files in covered.items() if name not in lines for file in files]
    by_tests = [f"{name} is not in the list; named by {file}" for name, file in named]
    return by_tests + [f"{name} is not in the list; it is an exception" for name in exceptions if name not in lines]


def by_area(lines: Mapping[str, Line]) -> dict[str, list[Line]]:
    """The lines of each area, in the order of the list."""
    areas: dict[str, list[Line]] = defaultdict(list)
    for line in lines.values():
        areas[line.area].append(line)
    return areas


def show(
    console: Console,
    lines: Mapping[str, Line],
    covered: Mapping[str, list[Path]],
    exceptions: Mapping[str, str],
) -> None:
    """Counts of all areas, then what is not covered, then the exceptions."""
    console.print(counts(lines, covered, exceptions))
    for area, members in by_area(lines).items():
        missing = [line for line in members if line.name not in covered and line.name not in exceptions]
        if missing:
            console.print(f"\n[bold]not covered: {area}[/bold]")
        for line in missing:
            _print(console, f"  {line.name:<10} {line.strength:<7} {line.summary}")
    if exceptions:
        console.print("\n[bold]left out on purpose[/bold]")
    for name, reason in exceptions.items():
        _print(console, f"  {name:<10} {reason}")


def counts(lines: Mapping[str, Line], covered: Mapping[str, list[Path]], exceptions: Mapping[str, str]) -> Table:
    """Covered lines, left-out lines and all lines of each area."""
    table = Table(box=None, show_footer=True, pad_edge=False)
    left_out = [name for name in exceptions if name not in covered]
    table.add_column("area", "all")
    table.add_column("covered", str(sum(name in covered for name in lines)), justify="right")
    table.add_column("left out", str(len(left_out)), justify="right")
    table.add_column("lines", str(len(lines)), justify="right")
    for area, members in by_area(lines).items():
        done = sum(line.name in covered for line in members)
        out = sum(line.name in left_out for line in members)
        table.add_row(area, str(done), str(out), str(len(members)))
    return table


def _print(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def main() -> int:
    """Print what is covered; 1 when a test names what is not in the list."""
    lines = read_lines(ROOT / "docs" / "conformance.tsv")
    exceptions = read_exceptions(ROOT / "docs" / "conformance-exceptions.tsv")
    covered = collect(ROOT / "tests")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    show(console, lines, covered, exceptions)
    wrong = unknown(lines, covered, exceptions)
    for sentence in wrong:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
