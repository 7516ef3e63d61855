"""presencectl in a process of its own, forked off this one: what it imports is imported here, once, and that is most of its time.

Whoever wants the program as it is installed starts `.venv/bin/presencectl`.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, NoReturn

from kemi import console

ROOT = Path(__file__).resolve().parent.parent
PRESENCECTL = str(ROOT / ".venv/bin/presencectl")

for part in console.PARTS:
    import_module(f"kemi.console.{part}")


def started(arguments: tuple[str, ...], environment: Mapping[str, str], output: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Leader of a process group of its own; `run` becomes the server."""
    return subprocess.Popen(
        [PRESENCECTL, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        preexec_fn=_becomes(arguments, environment),  # noqa: PLW1509
    )


def done(arguments: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """What it prints.

    Raises:
        CalledProcessError: it failed.
    """
    command = [PRESENCECTL, *arguments]
    become = _becomes(arguments, environment)
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True, preexec_fn=become)
    return ended.stdout


def _becomes(arguments: tuple[str, ...], environment: Mapping[str, str]) -> Callable[[], NoReturn]:
    """What is called in the child, in the place of a program. The threads of tests hold no lock that it needs."""

    def become() -> NoReturn:
        gc.disable()  # nothing of the parent's is to be closed here
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # as a program that is executed finds it
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(environment)
        status = 1
        try:
            console.main(arguments, prog_name="presencectl")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    return become
