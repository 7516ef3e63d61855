"""CPU time of a tree of processes, in nanoseconds where the kernel tells (schedstat), else in clock ticks."""

from __future__ import annotations

import os
from pathlib import Path

TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def spent(root: int) -> int:
    """User and system time of the tree so far, in nanoseconds, its ended and waited-for members included."""
    return sum(_own(pid) + _ended_children(pid) for pid in tree(root))


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _own(pid: int) -> int:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        exact = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)
    except (FileNotFoundError, ProcessLookupError):
        exact = 0
    fields = _stat(pid)
    return exact or (TICK * (int(fields[11]) + int(fields[12])) if fields else 0)


def _ended_children(pid: int) -> int:
    fields = _stat(pid)
    return TICK * (int(fields[13]) + int(fields[14])) if fields else 0
