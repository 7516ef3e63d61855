"""Two servers of ours on one machine, each the other's remote side; and one whose remote side the test itself is."""

import time
from collections.abc import Callable
from typing import Any

from tests.server import Server, free_port
from tests.useragent import Message, UserAgent

NEAR, FAR = "near.example.org", "far.example.net"


def variables(domain: str, other: str, next_hop: int, **values: object) -> dict[str, str]:
    """Of a server that may subscribe to users of the other domain."""
    usual = {
        "pa.notify_interval": 0, "b2b.domains": other, "b2b.presence_outbound_proxy": f"sip:127.0.0.1:{next_hop}",
    }  # fmt: skip
    given = usual | {name.replace("__", "."): value for name, value in values.items()}
    return {"KP_DOMAINS": domain, "KP_SET": ";".join(f"{name}={value}" for name, value in given.items())}


class Pair:
    """near.example.org and far.example.net. Ports are chosen before either starts."""

    def __init__(self, start_server: Callable[..., Server], **values: object) -> None:
        ports = free_port(), free_port()
        while ports[0] == ports[1]:
            ports = free_port(), free_port()
        domains = (NEAR, FAR)
        self.servers = [
            start_server(variables(domains[side], domains[1 - side], ports[1 - side], **values) | {"KP_PORT": str(ports[side])})
            for side in (0, 1)
        ]
        self._agents: list[UserAgent] = []

    def near(self, user: str) -> UserAgent:
        return self._agent(0, user, NEAR)

    def far(self, user: str) -> UserAgent:
        return self._agent(1, user, FAR)

    def _agent(self, side: int, user: str, domain: str) -> UserAgent:
        self._agents.append(UserAgent(self.servers[side].address, user, domain))
        return self._agents[-1]

    def close(self) -> None:
        for each in self._agents:
            each.close()


class Remote(UserAgent):
    """A remote side that does what the test says: it gets SUBSCRIBEs, and sends NOTIFYs in their dialogs.

    Every message that comes is one that a network would have lost, if its number can be divided by `loses`.
    """

    loses = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._branches: set[str] = set()
        self._number = 0
        self.served: dict[tuple[str, int], float] = {}
        """When a SUBSCRIBE was answered by `serve`, by our peer's tag and CSeq."""

    def _receive(self, seconds: float) -> bool:
        known = len(self.inbox)
        came = super()._receive(seconds)
        self._number += 1
        if self.loses and self._number % self.loses == 0:
            del self.inbox[known:]
        return came

    def asked(self, timeout: float = 10.0) -> Message:
        """The next SUBSCRIBE; one that is sent again is none."""
        while True:
            message = self.wait(lambda message: message.method == "SUBSCRIBE", timeout)
            if message.get("Via") not in self._branches:
                self._branches.add(message.get("Via"))
                return message

    def tell_until_heard(self, request: Message, state: str, cseq: int, body: bytes = b"") -> None:
        """A NOTIFY, sent again until its answer is not lost."""
        for _ in range(10):
            try:
                answer = self.tell(request, state, cseq, body, timeout=0.5)
            except TimeoutError:
                continue
            assert answer.status == 200
            return
        raise TimeoutError("no answer to NOTIFY")

    def serve(self, is_done: Callable[[], bool], timeout: float) -> None:
        """Accept what is asked, and tell it a state, until that is so."""
        end = time.monotonic() + timeout
        while not is_done():
            request = self.asked(end - time.monotonic())
            self.served[request.from_tag, request.cseq] = time.monotonic()
            self.accept(request)
            self.tell_until_heard(request, "active;expires=3600", request.cseq)

    def accept(self, request: Message, status: int = 200, headers: str = "", tag: str = "far") -> None:
        """Answer it; `tag` goes into To."""
        lines = [f"SIP/2.0 {status} Whatever", *(f"Via: {value}" for value in request.all("Via"))]
        to = request.get("To")
        lines += [f"From: {request.get('From')}", f"To: {to}" if ";tag=" in to else f"To: {to};tag={tag}"]
        lines += [f"{name}: {request.get(name)}" for name in ("Call-ID", "CSeq")]
        if 200 <= status < 300:
            lines += [f"Expires: {request.get('Expires')}", f"Contact: <sip:dan@{self.address}>"]
        self.send_raw(("\r\n".join(lines) + "\r\n" + headers + "Content-Length: 0\r\n\r\n").encode())

    def notify_for(self, request: Message, state: str, cseq: int, body: bytes = b"", tag: str = "far", **kwargs: Any) -> bytes:
        """A NOTIFY in the dialog of a SUBSCRIBE, of its event package: presence, or calls."""
        is_calls = request.get("Event") == "dialog"
        uri = request.get("Contact").strip("<>")
        lines = [f"Event: {request.get('Event')}", f"Contact: <sip:dan@{self.address}>", f"Subscription-State: {state}"]
        lines += [f"Content-Type: application/{'dialog-info' if is_calls else 'pidf'}+xml"] if body else []
        us, other = (f"<{request.get(name).partition('<')[2].partition('>')[0]}>" for name in ("To", "From"))
        more = {
            "from_": us, "from_tag": tag, "to": other, "to_tag": request.from_tag, "call_id": request.get("Call-ID"), "cseq": cseq,
        }  # fmt: skip
        return self.build("NOTIFY", uri, *lines, body=body, **(more | kwargs))

    def tell(self, request: Message, state: str, cseq: int, body: bytes = b"", timeout: float = 5.0, **kwargs: Any) -> Message:
        """Send one; its answer."""
        self.send_raw(self.notify_for(request, state, cseq, body, **kwargs))
        return self.response(self.branch, timeout)


def seen(agent: UserAgent, words: bytes = b"", state: str = "active", timeout: float = 10.0) -> Message:
    """The NOTIFY that tells this state and document; others before it are answered too."""
    while True:
        message = agent.notify(timeout)
        if state_of(message) == state and words in message.body:
            return message


def state_of(message: Message) -> str:
    """The word of Subscription-State."""
    return message.get("Subscription-State").partition(";")[0]
