"""Fixtures for clients that need preparation."""

from collections.abc import Callable, Iterator

import pytest

from tests.interop import sipjs_client
from tests.interop.sipjs_client import SipJs
from tests.server import Server


@pytest.fixture(scope="session")
def sipjs() -> None:
    """SIP.js is installed."""
    sipjs_client.install()


@pytest.fixture
def start_sipjs(sipjs: None) -> Iterator[Callable[..., SipJs]]:
    """Starts SIP.js user agents at a server and waits until their WebSocket is open."""
    started: list[SipJs] = []

    def start(server: Server, user: str, password: str = "", *options: str) -> SipJs:
        url = f"ws://127.0.0.1:{server.http_port}/ws"
        started.append(SipJs(url, f"sip:{user}@example.org", password, *options))
        started[-1].wait("connected")
        return started[-1]

    yield start
    for client in started:
        client.stop()
