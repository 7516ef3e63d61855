"""docs/lists.md: what it tells people to try is done, against a running server."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.server import ROOT, Server, free_port

PAGE = ROOT / "docs" / "lists.md"


def test_what_the_page_tells_to_try_works(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server({"KP_TRUSTED": "127.0.0.1", "KP_SET": "rls.timer_interval=0"})
    (script,) = (block for block in re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL) if "curl" in block)
    for there, here in (
        ("127.0.0.1:5060", f"127.0.0.1:{server.port}"),
        ("127.0.0.1:8080", f"127.0.0.1:{server.http_port}"),
        ("-p 5099", f"-p {free_port()}"),
        ("/tmp/", f"{tmp_path}/"),
    ):
        assert there in script
        script = script.replace(there, here)
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=ROOT, env=server.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '<resource uri="sip:bob-a@example.org">' in done.stdout
    assert 'version="4" fullState="true"' in done.stdout
    assert done.stdout.endswith("nobody watches a list\n")
