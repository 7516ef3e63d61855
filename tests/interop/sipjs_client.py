"""A SIP.js user agent in its own node process, spoken to by JSON lines (see sipjs/client.js)."""

import fcntl
import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "sipjs"
Event = dict[str, Any]


def install() -> None:
    """Bring node_modules to what package-lock.json pins, once, also when several test processes want it."""
    lock, stamp = FOLDER / "package-lock.json", FOLDER / "node_modules" / "installed"
    with lock.open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        wanted = turn.read()
        if not stamp.exists() or stamp.read_bytes() != wanted:
            _npm("ci", "--no-audit", "--no-fund", "--ignore-scripts")
            stamp.write_bytes(wanted)


def _npm(*arguments: str) -> None:
    done = subprocess.run(["npm", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"npm {' '.join(arguments)}: {done.stdout}{done.stderr}")


class SipJs:
    """One user with one WebSocket."""

    def __init__(self, server: str, address: str, password: str, *options: str) -> None:
        """Start it.

        Args:
            server: URL of the WebSocket.
            address: SIP URI of the user.
            options: further arguments of client.js.
        """
        self.address = address
        self.seen: list[Event] = []
        self._taken = 0
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            ["node", "client.js", server, address, password, *options],
            cwd=FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def do(self, command: str, **details: str) -> None:
        """Give it a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": command, **details}) + "\n")
        self.process.stdin.flush()

    def wait(self, event: str, wanted: Callable[[Event], bool] = lambda _: True, timeout: float = 30.0) -> Event:
        """The next event of this kind that is wanted; earlier ones are passed over.

        Raises:
            TimeoutError: it does not come in time.
        """
        end = time.monotonic() + timeout
        while True:
            while self._taken < len(self.seen):
                found = self.seen[self._taken]
                self._taken += 1
                if found["event"] == event and wanted(found):
                    return found
            self._receive(end, event)

    def _receive(self, end: float, event: str) -> None:
        try:
            self.seen.append(json.loads(self._lines.get(timeout=max(0.01, end - time.monotonic()))))
        except queue.Empty:
            happened = "\n".join(str(each) for each in self.seen[-6:])
            raise TimeoutError(f"{self.address}: no {event}; what happened last:\n{happened}") from None

    def wait_for_state(self, event: str, state: str) -> Event:
        """The event of this kind that tells this state."""
        return self.wait(event, lambda found: found["state"] == state)

    def wait_for_notify(self, *parts: str) -> Event:
        """The NOTIFY whose body holds all of these."""
        return self.wait("notify", lambda found: all(part in found["body"] for part in parts))

    def messages(self, direction: str, start: str) -> list[str]:
        """SIP messages `sent` or `received` so far that start like this."""
        chosen = [each["message"] for each in self.seen if each["event"] == direction]
        return [message for message in chosen if message.startswith(start)]

    def stop(self) -> None:
        """End the process at once: its WebSocket closes without a goodbye."""
        self.process.kill()
        self.process.wait(10)
