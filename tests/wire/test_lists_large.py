"""A list that is too long for any datagram: a watcher that came over UDP hears of it over TCP (RFC 3261 section 18.1.1)."""

import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.multipart import Reader
from tests.server import Server
from tests.useragent import PATIENCE, Message, UserAgent
from tests.verbs.lists import ACCEPT, entries, services

USER = "reader-of-a-long-list"
LIST = "sip:long-list@example.org"
PATH = f"/xcap-root/rls-services/users/sip:{USER}@example.org/index"
TYPE = {"Content-Type": "application/rls-services+xml", "X-3GPP-Asserted-Identity": f'"sip:{USER}@example.org"'}
MEMBERS = [f"sip:{'member-with-a-long-name' * 2}-{number:04}@example.org" for number in range(1000)]


class Accepted(UserAgent):
    """What the server opens to a user agent on UDP, which listens at the same port for TCP (RFC 3261 section 18.2.1)."""

    def __init__(self, datagrams: UserAgent) -> None:
        self.transport, self.server, self.user, self.domain = "tcp", datagrams.server, datagrams.user, datagrams.domain
        self.inbox, self.answer_notify, self.answer_headers = [], 200, ""
        self._buffer, self._answered = b"", set()
        self.listener = socket.create_server(datagrams.socket.getsockname())
        self.listener.settimeout(PATIENCE)

    def accept(self) -> None:
        self.socket, _ = self.listener.accept()

    def close(self) -> None:
        self.socket.close()
        self.listener.close()


@pytest.fixture
def reader(server: Server) -> Iterator[UserAgent]:
    agent = UserAgent(server.address, USER)
    yield agent
    agent.close()


@pytest.fixture
def stream(reader: UserAgent) -> Iterator[Accepted]:
    accepted = Accepted(reader)
    yield accepted
    accepted.close()


def via(message: Message) -> str:
    return message.get("Via").split(" ")[0]


@pytest.mark.rfc("RLS-005", "RLS-006")
def test_a_long_list_is_listed_over_tcp_and_told_over_udp(server: Server, reader: UserAgent, stream: Accepted) -> None:
    with httpx.Client(base_url=f"http://{server.address[0]}:{server.http_port}") as web:
        assert web.put(PATH, content=services((LIST, entries(MEMBERS))), headers=TYPE).status_code == 201
    assert reader.subscribe(LIST, "Supported: eventlist", f"Accept: {ACCEPT}").status == 200
    stream.accept()
    first = stream.notify()
    known = Reader(MEMBERS)
    told = known.take(first.get("Content-Type"), first.body)
    assert (told.is_full, via(first), len(first.raw) > 65507) == (True, "SIP/2.0/TCP", True)
    while not all(each.instances for each in known.resources.values()):
        part = reader.notify()
        assert via(part) == "SIP/2.0/UDP"
        assert not known.take(part.get("Content-Type"), part.body).is_full
    assert re.search(rf"NOTIFY too large for UDP, it goes over TCP: .* most=65507 watcher=sip:{USER}@", server.log.read_text())
