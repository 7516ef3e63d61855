"""Messages are not stored: whoever is not there never gets one later, fresh or not (RFC 3428 sections 7 and 8)."""

from collections.abc import Iterator
from email.utils import formatdate

import pytest

from tests.server import Server
from tests.useragent import UserAgent

pytestmark = pytest.mark.rfc("MSG-009", "MSG-011")

YEAR = 365 * 86400


@pytest.fixture
def agents(server: Server) -> Iterator[tuple[UserAgent, UserAgent]]:
    """A sender, and a device that has not registered."""
    made = UserAgent(server.address, "sender"), UserAgent(server.address, "not-there")
    yield made
    for agent in made:
        agent.close()


def send(sender: UserAgent, phone: UserAgent, text: bytes, *lines: str) -> int:
    return sender.request("MESSAGE", phone.aor, "Content-Type: text/plain", *lines, body=text).status


@pytest.mark.parametrize("expires", ["1", "86400"])
def test_who_comes_later_gets_none_of_those_that_were_refused(agents: tuple[UserAgent, UserAgent], expires: str) -> None:
    """It is 480, no 202, and what comes first afterwards is what was sent afterwards."""
    sender, phone = agents
    dates = formatdate(usegmt=True), formatdate(YEAR, usegmt=True)
    for number, date in enumerate(dates):
        assert send(sender, phone, b"early %d" % number, f"Expires: {expires}", f"Date: {date}") == 480
    phone.register(600)
    sender.send_raw(sender.build("MESSAGE", phone.aor, "Content-Type: text/plain", body=b"late"))
    arrived = phone.wait(lambda each: each.method == "MESSAGE")
    assert arrived.body == b"late"
    phone.respond(arrived, 200)
    assert sender.response(sender.branch).status == 200
    phone.register(0)
    assert send(sender, phone, b"gone") == 480
    assert [each.start for each in phone.inbox if each.method] == []
