"""What Kamailio says when it is started by itself, without presencectl."""

import os
import re
import subprocess
from pathlib import Path

from tests.server import ROOT, free_port


def test_a_configuration_that_cannot_serve_stops_the_start(tmp_path: Path) -> None:
    """One that loads the program without what it needs of Kamailio: one line says what is missing."""
    file = tmp_path / "kamailio.cfg"
    modules = "".join(f'loadmodule "{name}.so"\n' for name in ("app_python3", "kex", "tm", "sl", "pv"))
    program = 'modparam("app_python3", "load", "kemi/script.py")\ncfgengine "python"\n'
    listen = f"listen = udp:127.0.0.1:{free_port()}\nlog_stderror = yes\n"
    (where,) = re.findall(r"^mpath = .+\n", (ROOT / "kemi-presence.cfg").read_text(), re.MULTILINE)
    file.write_text(listen + where + modules + program)
    command = ["/usr/sbin/kamailio", "-f", str(file), "-DD", "-E", "-w", str(ROOT)]
    variables = {"PATH": os.defpath, "PYTHONHOME": "/usr", "KP_VAR": str(tmp_path)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    (line,) = [line for line in done.stderr.splitlines() if "kemi-presence: " in line]
    needed = f'include_file "{ROOT}/kemi-presence.cfg" is needed'
    assert line.endswith(f"{file} does not include kemi-presence.cfg of this release: {needed}")
    assert done.returncode != 0
