"""The parameters that the running server works with: its own KP_SET, found in its environment, and what it has been told while it
runs (`kemi.runtime_settings`), asked over its control socket.

Who decides about watchers has to decide by what is in force, or a command lets in whom the server keeps out.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from typing import Final

from kemi import runtime_settings, settings, startup
from kemi.console.output import one_line, warn
from kemi.errors import ConfigurationError
from kemi.settings import Settings

TIMEOUT: Final = 5
"""Seconds that the server may take to answer."""

USER: Final = re.compile(r"^Uid:\s+([0-9]+)", re.MULTILINE)
"""Who runs a process, in its status file."""

VALUE: Final = re.compile(r"^\s*value: (\{.*\})$", re.MULTILINE)


def in_force(outer: Mapping[str, str], configuration: Path) -> Settings:
    """The settings that the server of this KP_VAR works with; where none runs, those that it would start with.

    Args:
        outer: variables of this command; a KP_SET in them is taken for the server's.

    Raises:
        ConfigurationError: the settings are wrong.
    """
    return _changed(_of_the_start(outer, configuration))


def _of_the_start(outer: Mapping[str, str], configuration: Path) -> Settings:
    found = settings.load(outer, configuration)
    theirs = "" if outer.get("KP_SET") else _set_of(found.var / startup.PID_FILE)
    if not theirs:
        return found
    try:
        return settings.load({**outer, "KP_SET": theirs}, configuration)
    except ConfigurationError as error:
        warn(f"KP_SET of the running server is left out: {one_line(error)}")
        return found


def _set_of(pid_file: Path) -> str:
    """KP_SET of the server that runs with this pid file; "" where none runs, or this user may not read its environment.

    Anybody may call a process so: only one of the user whom the pid file belongs to is believed.
    """
    for process in startup.processes_with(pid_file) if os.path.lexists(pid_file) else ():
        folder = Path("/proc", process)
        try:
            user = USER.search((folder / "status").read_text())
            if user is None or int(user[1]) != pid_file.lstat().st_uid:
                continue
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        return next((os.fsdecode(each.removeprefix(b"KP_SET=")) for each in variables if each.startswith(b"KP_SET=")), "")
    return ""


def _changed(found: Settings) -> Settings:
    """The same with what kamcmd has changed since."""
    socket = found.var / "kamailio_ctl"
    program = which("kamcmd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")
    if program is None or not os.path.lexists(socket):
        return found
    command = [program, "-s", f"unix:{socket}", "pv.shvGet", "changed"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False)
        is_answered, printed = asked.returncode == 0, asked.stdout
    except (OSError, subprocess.TimeoutExpired):
        is_answered, printed = False, ""
    if not is_answered and startup.processes_with(found.var / startup.PID_FILE):
        warn("the server does not say what kamcmd has changed in it; this is about its configuration")
    changes = VALUE.search(printed)
    return runtime_settings.restored(found, changes[1]) if changes else found
