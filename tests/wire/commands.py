"""What an operator says to a running server: presencectl, which answers in JSON, and kamcmd, whose answer is silence."""

import json
import subprocess
from typing import Any

from tests.server import Server


def control(server: Server, *arguments: str) -> Any:
    """What a command of presencectl says with --json."""
    return json.loads(server.control(*arguments, "--json"))


def kamcmd(server: Server, *arguments: str) -> None:
    command = ["/usr/sbin/kamcmd", "-s", f"unix:{server.folder}/kamailio_ctl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
