"""Another XCAP server, as ours fetches presence rules from it: a process of its own that is fast, slow, hung, or not there at all.

Run by itself it is that process: documents.py PORT SECONDS.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ABOUT = {
    "fast": "rules of another server, which answers at once",
    "slow": "rules of another server, which answers after 2 s",
    "hung": "rules of another server, which takes connections and says nothing",
    "dead": "rules of another server, which is not there",
}
DELAYS = {"fast": 0.0, "slow": 2.0}
START_LIMIT = 10.0

RULES = b"""<?xml version="1.0" encoding="UTF-8"?>
<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">
  <rule id="all">
    <conditions><identity><many domain="example.org"/></identity></conditions>
    <actions><pr:sub-handling>allow</pr:sub-handling></actions>
    <transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations>
  </rule>
</ruleset>
"""
HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: application/auth-policy+xml\r\nETag: "1"\r\nContent-Length: %d\r\n\r\n'
ANSWER = HEAD % len(RULES) + RULES


@contextlib.contextmanager
def running(manner: str, port: int) -> Iterator[str]:
    """A server that behaves as one of ABOUT says; its XCAP root."""
    root = f"http://127.0.0.1:{port}/xcap-root"
    if manner == "dead":
        yield root
    elif manner == "hung":
        with socket.create_server(("127.0.0.1", port), backlog=64):
            yield root
    else:
        command = [sys.executable, str(Path(__file__)), str(port), str(DELAYS[manner])]
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", "--", *command], stdin=subprocess.DEVNULL)
        try:
            _await_ready(port)
            yield root
        finally:
            process.terminate()
            process.wait()


def _await_ready(port: int) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        time.sleep(0.02)
    raise RuntimeError("the server of documents does not start")


async def _serve(port: int, delay: float) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(delay)
                writer.write(ANSWER)

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
