"""Named statements as the engines take them.

`NumberedStatement` is for PostgreSQL: `:name` becomes $1, $2 ..., `VALUES :rows` one array for each column. `MarkedStatement` is
for SQLite: each `:name`, and each value of the rows, becomes a question mark. Texts are kept: the engines know by them what they
have prepared.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

ROWS_MARK: Final = "VALUES :rows"
NAMED: Final = r"(?<!:):(\w+)"
ARRAYS: Final[Mapping[type, str]] = {str: "text", int: "bigint", float: "double precision", bool: "boolean", bytes: "bytea"}

AMONG_ROWS: Final = rf"(?<!NOT )IN \(SELECT column1 FROM \({ROWS_MARK}\) AS \w+\)"  # noqa: S608 - a pattern
"""One column of rows to look up. PostgreSQL looks an array of them up in an index; rows may be compared with each one of the table.
SQLite needs no table in between for a list of them."""

MOST_KEPT: Final = 128
"""Rows of a text that is kept on SQLite; there is one for each number of them."""


def _check_rows(head: str, tail: str | None, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        raise ValueError(f"no {ROWS_MARK} in: {head}")
    if tail is not None:
        raise ValueError(f"no rows for: {head}")


class MarkedStatement:
    """A named statement with a question mark for each value, in the order in which they stand."""

    __slots__ = ("_head", "_head_names", "_is_list", "_tail", "_tail_names", "_texts")

    def __init__(self, text: str) -> None:
        text, lists = re.subn(AMONG_ROWS, f"IN ({ROWS_MARK})", text)
        self._is_list = lists > 0
        head, separator, tail = text.partition(ROWS_MARK)
        self._head, self._head_names = re.sub(NAMED, "?", head), tuple(re.findall(NAMED, head))
        self._tail, self._tail_names = re.sub(NAMED, "?", tail) if separator else None, tuple(re.findall(NAMED, tail))
        self._texts: dict[tuple[int, int], str] = {}

    def fill(self, parameters: Mapping[str, Any], rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        """The text to run and its values in order.

        Raises:
            ValueError: `rows` are given without a place for them, or the other way round.
        """
        values = [parameters[name] for name in self._head_names]
        if self._tail is None or not rows:
            _check_rows(self._head, self._tail, rows)
            return self._head, values
        for row in rows:
            values += row
        values += [parameters[name] for name in self._tail_names]
        size = len(rows), len(rows[0])
        return self._texts.get(size) or self._with_marks(size, self._tail), values

    def _with_marks(self, size: tuple[int, int], tail: str) -> str:
        rows, columns = size
        row = ", ".join("?" * columns)
        marks = ", ".join([row] * rows) if self._is_list else f"VALUES {', '.join([f'({row})'] * rows)}"
        text = f"{self._head}{marks}{tail}"
        return self._texts.setdefault(size, text) if rows <= MOST_KEPT else text


class NumberedStatement:
    """A named statement with $1, $2 ... for its parameters, each name once; those of the rows come last."""

    __slots__ = ("_head", "_is_any", "_tail", "_texts", "names")

    def __init__(self, text: str) -> None:
        text, anys = re.subn(AMONG_ROWS, f"= ANY({ROWS_MARK})", text)
        self._is_any = anys > 0
        self.names = tuple(dict.fromkeys(re.findall(NAMED, text.replace(ROWS_MARK, ""))))
        numbers = {name: f"${number}" for number, name in enumerate(self.names, 1)}
        head, separator, tail = text.partition(ROWS_MARK)
        self._head = re.sub(NAMED, lambda found: numbers[found[1]], head)
        self._tail = re.sub(NAMED, lambda found: numbers[found[1]], tail) if separator else None
        self._texts: dict[tuple[type, ...], str] = {}

    def fill(self, parameters: Mapping[str, Any], rows: Sequence[tuple[Any, ...]]) -> tuple[str, list[Any]]:
        """The text to run and its values in order.

        Raises:
            ValueError: `rows` are given without a place for them, or the other way round.
        """
        values = [parameters[name] for name in self.names]
        if self._tail is None or not rows:
            _check_rows(self._head, self._tail, rows)
            return self._head, values
        columns = list(zip(*rows, strict=True))
        kinds = tuple(_kind(column) for column in columns)
        text = self._texts.get(kinds) or self._with_arrays(kinds, self._tail)
        return text, values + [_array(column) for column in columns]

    def _with_arrays(self, kinds: tuple[type, ...], tail: str) -> str:
        first = len(self.names) + 1
        arrays = ", ".join(f"${first + place}::{ARRAYS[kind]}[]" for place, kind in enumerate(kinds))
        if self._is_any:
            return self._texts.setdefault(kinds, f"{self._head}{arrays}{tail}")
        names = ", ".join(f"column{place}" for place in range(1, len(kinds) + 1))
        text = f"{self._head}SELECT * FROM unnest({arrays}) AS given({names}){tail}"  # noqa: S608 - made of our own statements
        self._texts[kinds] = text
        return text


def _kind(column: Sequence[Any]) -> type:
    return next((type(value) for value in column if value is not None), str)


def _array(column: Sequence[Any]) -> str:
    """An array literal."""
    return "{" + ",".join(map(_element, column)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return repr(value)
