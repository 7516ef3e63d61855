"""HTTPS to another XCAP server with SIP over TLS in the same processes: Kamailio's OpenSSL and Python's side by side."""

import select
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.nginx import Nginx
from tests.server import Server, free_port
from tests.useragent import UserAgent, pidf
from tests.wire.observe import processes, wait_until
from tests.wire.plainfiles import ALICE, ALLOW, BLOCK, RULES_FILE, ask, certificate, known, nginx, serve, state_told

__all__ = ["nginx", "serve"]

USERS = 10


class TlsAgent(UserAgent):
    """A user agent over TLS that takes one certificate only."""

    def __init__(self, server: tuple[str, int], user: str, authority: Path) -> None:
        self._trust = ssl.create_default_context(cafile=str(authority))
        super().__init__(server, user, transport="tls")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.socket = self._secured = self._trust.wrap_socket(self.socket, server_hostname="127.0.0.1")

    def _receive(self, seconds: float) -> bool:
        """What is decrypted already does not show on the socket."""
        if not self._secured.pending() and not select.select([self.socket], [], [], seconds)[0]:
            return False
        return super()._receive(1)


class Secured(NamedTuple):
    """A server with SIP over TLS, and its documents behind HTTPS."""

    server: Server
    web: Nginx
    agent: Callable[[str], TlsAgent]


@pytest.fixture
def secured(serve: Callable[..., Server], tmp_path: Path) -> Iterator[Secured]:
    key, own, both = certificate(tmp_path)
    port = free_port()
    files = {"KP_DEFINES": "WITH_TLS", "KP_TLS_PORT": str(port), "KP_TLS_KEY": str(key), "KP_TLS_CERTIFICATE": str(own)}
    web = Nginx(tmp_path / "https", free_port(), both)
    server = serve(files, pa__auth="xcap", xcap__xcap_root=web.root, xcap__fetch_ca=own)
    agents: list[TlsAgent] = []

    def agent(user: str) -> TlsAgent:
        agents.append(TlsAgent(("127.0.0.1", port), user, own))
        return agents[-1]

    yield Secured(server, web, agent)
    for each in agents:
        each.close()
    web.stop()


@pytest.mark.rfc("XCC-004")
def test_documents_come_over_https_beside_kamailios_own_tls(secured: Secured) -> None:
    secured.web.put(RULES_FILE, ALLOW)
    secured.web.start()
    ask(secured.server, secured.web)
    wait_until(lambda: known(secured.server) == f"document of {len(ALLOW)}", "the document is there")


@pytest.mark.rfc("XCC-004", "XCC-012", "TRN-005")
def test_who_watches_over_tls_follows_rules_that_come_over_https(secured: Secured) -> None:
    secured.web.put(RULES_FILE, ALLOW)
    secured.web.start()
    watcher = secured.agent("bob")
    assert watcher.subscribe(ALICE).status == 200
    assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]
    assert secured.agent("alice").publish(pidf()).status == 200
    assert b"<basic>open</basic>" in watcher.notify().body
    secured.web.put(RULES_FILE, BLOCK)
    assert state_told(watcher) == "terminated"


@pytest.mark.rfc("XCC-002", "XCC-004")
def test_sip_over_tls_and_https_do_not_disturb_each_other(secured: Secured) -> None:
    """Handshakes of both, while documents are fetched again and again; no process is lost."""
    for number in range(USERS):
        secured.web.put(f"pres-rules/users/user{number}/presence-rules.xml", ALLOW)
    secured.web.start()
    before = processes(secured.server)
    for number in range(USERS):
        watcher = secured.agent("bob")
        assert watcher.subscribe(f"sip:user{number}@example.org").status == 200
        assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]
    asked = len(secured.web.requests)
    wait_until(lambda: len(secured.web.requests) > asked + USERS, "documents are fetched again")
    for number in range(USERS):
        assert secured.agent(f"user{number}").publish(pidf(user=f"user{number}")).status == 200
    assert processes(secured.server) == before
