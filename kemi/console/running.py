"""What the running server has been told while it runs (`kemi.runtime_settings`), asked over its control socket.

Who decides about watchers has to decide by what is in force, or a command lets in whom the server keeps out.
"""

import os
import re
import subprocess
from shutil import which
from typing import Final

from kemi import runtime_settings, startup
from kemi.console.output import warn
from kemi.settings import Settings

TIMEOUT: Final = 5
"""Seconds that the server may take to answer."""

VALUE: Final = re.compile(r"^\s*value: (\{.*\})$", re.MULTILINE)


def in_force(found: Settings) -> Settings:
    """The settings that the server of this KP_VAR works with; those of its start where none runs, or nothing was changed."""
    socket = found.var / "kamailio_ctl"
    program = which("kamcmd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")
    if program is None or not socket.exists():
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
