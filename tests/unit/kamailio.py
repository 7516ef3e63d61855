"""A handler in a double of Kamailio: what a network would bring to it, and what it answers."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from types import ModuleType
from typing import Any

from kemi import database, schema
from tests.ksr import KSR, Message, Response
from tests.unit.values import ALICE, BOB, settings_of

OWN = "192.0.2.1"
TRUSTED = "198.51.100.7"
STRANGER = "203.0.113.9"


class Server:
    """One handler object, and what a network would bring to it."""

    def __init__(self, handler: ModuleType, ksr: KSR, folder: Path) -> None:
        self.module, self.ksr = handler, ksr
        settings = settings_of(f"sqlite:///{folder}/presence.db", notify_interval=0)
        self.settings = replace(settings, trusted=(ip_network(TRUSTED),))
        self.database = database.connect(self.settings)
        schema.migrate(self.database)
        self.handler: Any = handler.Handler(self.settings, schema.secret(self.database))
        self.handler.ksr_core_event(None, "core:worker-one-init")
        self._cseq = 0

    def set(self, **changes: Any) -> None:
        self.settings = replace(self.settings, **changes)
        self.handler = self.module.Handler(self.settings, self.handler.secret)

    def receive(self, method: str, *headers: tuple[str, str | bytes], **changes: Any) -> None:
        """A request comes. Header fields given replace those that a request has anyway."""
        self._cseq += 1
        usual: dict[str, str | bytes] = {
            "Via": f"SIP/2.0/UDP {TRUSTED}:5062;branch=z9hG4bK{self._cseq}",
            "From": f"<{BOB if method == 'SUBSCRIBE' else ALICE}>;tag=from",
            "To": f"<{ALICE}>",
            "Call-ID": f"call-{self._cseq}",
            "CSeq": f"{self._cseq} {method}",
        }
        if method in ("SUBSCRIBE", "PUBLISH"):
            usual |= {"Event": "presence", "Expires": "600"}
        if method == "SUBSCRIBE":
            usual["Contact"] = f"<sip:bob@{TRUSTED}:5062>"
        if changes.get("body"):
            usual |= {"Content-Type": "application/pidf+xml", "Content-Length": str(len(changes["body"]))}
        given = {name for name, _ in headers}
        every = [*((name, value) for name, value in usual.items() if name not in given), *headers]
        self.ksr.receive(Message(method, headers=every, **({"source": (TRUSTED, 5062)} | changes)))

    def request(self, method: str, *headers: tuple[str, str | bytes], **changes: Any) -> Response:
        """The one answer to a request."""
        before = len(self.ksr.responses)
        self.receive(method, *headers, **changes)
        assert self.handler.ksr_request_route(None) == 1
        assert len(self.ksr.responses) == before + 1, self.ksr.logged
        return self.ksr.responses[-1]

    def answer(self, request: tuple[str, ...], status: int, *headers: tuple[str, str | bytes]) -> None:
        """A response to a NOTIFY of ours."""
        lines = [line.partition(": ")[::2] for line in request[4].split("\r\n") if line]
        common = [(name, value) for name, value in lines if name in ("From", "To", "Call-ID", "CSeq")]
        self.ksr.receive(Message("NOTIFY", headers=[*common, *headers], status=status))
        assert self.handler.ksr_reply_route(None) == 1

    def run_tasks(self) -> None:
        while self.ksr.tasks:
            method, _group, data = self.ksr.tasks.pop(0)
            assert getattr(self.handler, method)(None, data) == 1

    def lines(self, level: str) -> list[str]:
        return [text for each, text in self.ksr.logged if each == level]

    def close(self) -> None:
        self.handler.database.close()
        self.database.close()


def call(server: Server, function: str, *argument: str) -> int:
    """python_exec, for the request that was received last."""
    result = getattr(server.handler, function)(None, *argument)
    assert type(result) is int
    return result
