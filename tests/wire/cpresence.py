"""Kamailio's own C presence module as the remote server: in memory, so that a restart forgets everything."""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.server import ROOT, free_port
from tests.useragent import UserAgent

START_TIMEOUT = 20.0


class CPresence:
    """One such server on a free port of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.log = folder / "peer.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def start(self) -> "CPresence":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["/usr/sbin/kamailio", "-f", str(ROOT / "bench/peer/memory.cfg"), "-l", f"udp:127.0.0.1:{self.port}", "-n", "2",
                 "-x", "fm", "-X", "fm", "-DD", "-E", "-P", str(self.folder / "peer.pid"), "-Y", str(self.folder)],
                cwd=ROOT / "bench/peer", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=dict(os.environ),
            )  # fmt: skip
        self._wait()
        return self

    def _wait(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            probe = UserAgent(self.address, "probe")
            try:
                probe.send_raw(probe.build("OPTIONS", f"sip:127.0.0.1:{self.port}"))
                probe.response(probe.branch, 0.2)
                return
            except (TimeoutError, OSError):
                time.sleep(0.05)
            finally:
                probe.close()
        raise RuntimeError(f"the peer does not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """All of it at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None
