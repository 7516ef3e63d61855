"""Two real baresips register, publish and watch each other, with digest."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.baresip import Baresip
from tests.server import Server

ALICE, BOB = "alice@example.org", "bob@example.org"
PASSWORDS = {ALICE: "wonderland", BOB: "builder"}
RUNS = [("sqlite", "udp"), ("sqlite", "tcp"), ("postgresql", "udp")]

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


@pytest.fixture
def clients(start_server: Callable[..., Server], transport: str, tmp_path: Path) -> Iterator[tuple[Server, Baresip, Baresip]]:
    """A server that believes nobody without a password, and the two clients, started."""
    server = start_server({"KP_TRUSTED": ""})
    for address, password in PASSWORDS.items():
        server.control("user", "add", address, "--password", password)
    alice = Baresip(tmp_path / "alice", server.address, ALICE, PASSWORDS[ALICE], transport, BOB)
    bob = Baresip(tmp_path / "bob", server.address, BOB, PASSWORDS[BOB], transport, ALICE)
    try:
        yield server, alice.start(), bob.start()
    finally:
        alice.stop()
        bob.stop()


@pytest.mark.parametrize(("engine", "transport"), RUNS, indirect=["engine"])
def test_two_baresips_watch_each_other(clients: tuple[Server, Baresip, Baresip]) -> None:
    server, alice, bob = clients
    alice.wait_until_it_shows(BOB, "Online")
    bob.wait_until_it_shows(ALICE, "Online")
    assert alice.is_registered()
    assert bob.is_registered()

    bob.publish("presence_offline")
    alice.wait_until_it_shows(BOB, "Offline")
    bob.publish("presence_online")
    alice.wait_until_it_shows(BOB, "Online")
    assert bob.shows(ALICE) == "Online"

    assert bob.quit() == 0
    alice.wait_until_it_shows(BOB, "Offline")
    assert_clean(server, alice, bob)


def assert_clean(server: Server, *clients: Baresip) -> None:
    """Everything was asked for a password, and nothing went wrong on either side."""
    log = server.log.read_text()
    refused = [line for line in log.splitlines() if "refused" in line and "registrations are being read" not in line]
    assert refused == []
    assert "Traceback" not in log
    for client in clients:
        trace = client.trace()
        assert "SIP/2.0 401 Unauthorized" in trace
        refusals = [line for line in trace.splitlines() if line.startswith(("SIP/2.0 4", "SIP/2.0 5")) and " 401 " not in line]
        assert refusals == []
