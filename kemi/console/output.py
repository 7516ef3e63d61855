"""What presencectl prints: lines, tables, JSON. Text from outside cannot steer the terminal."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import click

PLAIN_WIDTH: Final = 1000
"""Columns of a table that goes into a file or a pipe: no line is broken there."""

MINUTE, HOUR, DAY = 60, 3600, 86400
LONGER_THAN_ANY: Final = 50 * 365 * DAY
"""Seconds from which on no end is told."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead; its keys stay what they are.")

limit_option = click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="Show so many at most.")


def line(what: str, text: str) -> str:
    """A line that begins with what it is about."""
    return f"{what:<14} {text}"


def say(what: str, text: str) -> None:
    """Print such a line."""
    click.echo(line(what, text))


def say_more(found: int, limit: int) -> None:
    """Say beside what is printed that it is not all.

    Args:
        found: how many there are; of more than `limit` that is enough to know.
        limit: how many are shown.
    """
    if found > limit:
        click.echo(f"there are more; --limit shows more than {limit}", err=True)


def warn(text: str) -> None:
    """One line beside what is printed."""
    click.echo(f"Warning: {text}", err=True)


def one_line(error: object) -> str:
    """The text of an error on one line."""
    return clean(" ".join(str(error).split()))


def clean(text: str) -> str:
    """Text without characters that a terminal acts on; line ends stay."""
    return "".join(each if each.isprintable() or each in "\n\t" else "?" for each in text)


def show(value: Any, as_json: bool, as_text: Callable[[], None]) -> None:
    """Print a value, as JSON or for people."""
    if as_json:
        click.echo(json.dumps(plain(value), indent=2))
    else:
        as_text()


def plain(value: Any) -> Any:
    """A value in what JSON has: named tuples become objects, enumerations their values."""
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        return {name: plain(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inside) for inside in value]
    return value


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
    """Print rows; a column that is empty in all of them is left out.

    Args:
        columns: keys of the rows; they are the titles too.
        nothing: said where there are no rows.
    """
    if not rows:
        click.echo(nothing)
        return
    from rich.console import Console  # all of it takes a while to import, and most of what is printed is no table
    from rich.table import Table
    from rich.text import Text

    used = [name for name in columns if any(cell(name, row[name]) for row in rows)]
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in used:
        made.add_column(name.replace("_", " "), overflow="fold", justify="right" if _is_number(name, rows[0][name]) else "left")
    for row in rows:
        made.add_row(*(Text(cell(name, row[name])) for name in used))
    terminal = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=PLAIN_WIDTH)
    with terminal.capture() as printed:
        terminal.print(made)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def cell(name: str, value: Any) -> str:
    """A value in a table; what its name ends in says what it is (`facts`)."""
    if name == "duration" or name.endswith("_in"):
        return seconds(value)
    if name.endswith("_at"):
        return moment(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{number} {kind}" for kind, number in value.items())
    return "" if value is None else clean(str(value)).replace("\n", " ")


def seconds(number: float | None) -> str:
    """A number of seconds for people: 59 s, 9 min, 2 h 5 min, 3 d 1 h; "" for None."""
    if number is None:
        return ""
    left = round(number)
    if left < 2 * MINUTE:
        return f"{left} s"
    if left < HOUR:
        return f"{left // MINUTE} min"
    large, small, inside = (DAY, HOUR, "h") if left >= DAY else (HOUR, MINUTE, "min")
    rest = f" {left % large // small} {inside}" if left % large >= small else ""
    return f"{left // large} {'d' if large == DAY else 'h'}{rest}"


def moment(at: float) -> str:
    """A time in seconds since the epoch for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _is_number(name: str, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not name.endswith("_at")
