"""Streams and datagrams: framing, keep-alives, where answers and NOTIFYs go."""

import re
import socket
import subprocess
from typing import Any

import pytest

from kemi import startup
from kemi.subscription import TIMER_F
from tests.server import Server
from tests.useragent import Agents, Message, UserAgent, pidf
from tests.wire.observe import rows, wait_until_settled


def _subscribe_lines(agent: UserAgent) -> list[str]:
    return ["Event: presence", f"Contact: <{agent.contact}>", "Expires: 600"]


def _dialog(agent: UserAgent, answer: Message) -> dict[str, Any]:
    return {"call_id": agent.call_id, "from_tag": agent.from_tag, "to_tag": answer.to_tag}


def _members(values: list[str]) -> list[str]:
    """The members of a list in header fields; a comma in quotes is none of its commas."""
    return re.findall(r'(?:"[^"]*"|<[^>]*>|[^,"<\s])(?:"[^"]*"|<[^>]*>|[^,"<])*', ",".join(values))


@pytest.mark.rfc("TRN-026")
def test_many_requests_in_one_segment(agents: Agents) -> None:
    agent = agents("segment", "tcp")
    built = []
    for number in range(10):
        body = pidf("open", agent.user, f"t{number}", f"n{number}")
        data = agent.build("PUBLISH", agent.aor, "Event: presence", "Content-Type: application/pidf+xml", body=body)
        built.append((agent.branch, data))
    agent.send_raw(b"".join(data for _, data in built))
    answers = [agent.response(branch) for branch, _ in built]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.get("SIP-ETag") for answer in answers}) == len(built)


@pytest.mark.rfc("TRN-026")
@pytest.mark.parametrize("size", [1, 7, 100])
def test_one_request_in_many_segments(agents: Agents, size: int) -> None:
    agent = agents("segments", "tcp")
    agent.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = ("Event: presence", "Content-Type: application/pidf+xml")
    data = agent.build("PUBLISH", agent.aor, *lines, body=pidf("open", agent.user, f"s{size}", "pieces"))
    for start in range(0, len(data), size):
        agent.send_raw(data[start : start + size])
    assert agent.response(agent.branch).status == 200


def test_requests_of_a_stream_are_answered_wherever_it_is_cut(agents: Agents) -> None:
    """The end of one request and the beginning of the next in one segment."""
    agent = agents("cut", "tcp")
    built = []
    for _ in range(4):
        data = agent.build("SUBSCRIBE", "sip:cut@example.org", *_subscribe_lines(agent))
        built.append((agent.branch, data))
    stream = b"".join(data for _, data in built)
    middle = len(built[0][1]) + 20
    for piece in (stream[:middle], stream[middle : 2 * middle], stream[2 * middle :]):
        agent.send_raw(piece)
    assert [agent.response(branch).status for branch, _ in built] == [200] * 4


@pytest.mark.rfc("TRN-030")
def test_double_crlf_is_answered_by_crlf(server: Server) -> None:
    with socket.create_connection(server.address) as connection:
        connection.settimeout(5)
        for _ in range(2):
            connection.sendall(b"\r\n\r\n")
            received = b""
            while len(received) < 2:
                received += connection.recv(100)
            assert received == b"\r\n"


@pytest.mark.rfc("TRN-030")
def test_keep_alive_between_requests(agents: Agents) -> None:
    agent = agents("alive", "tcp")
    for _ in range(3):
        data = agent.build(
            "PUBLISH", agent.aor, "Event: presence", "Content-Type: application/pidf+xml", body=pidf("open", "alive")
        )
        agent.send_raw(b"\r\n\r\n" + data)
        assert agent.socket.recv(2) == b"\r\n"
        assert agent.response(agent.branch).status == 200


@pytest.mark.rfc("TRN-013")
@pytest.mark.rfc("TRN-012")
@pytest.mark.parametrize("contact", ["own", "behind NAT"])
def test_notify_on_the_connection_of_the_subscribe(agents: Agents, contact: str) -> None:
    """Nobody listens at the Contact: the connection is the only way back."""
    bob, alice = agents("bob-tcp", "tcp"), agents("watched-tcp")
    address = bob.contact if contact == "own" else "sip:bob-tcp@192.0.2.99:5070;transport=tcp"
    answer = bob.request("SUBSCRIBE", alice.aor, "Event: presence", f"Contact: <{address}>", "Expires: 600")
    assert answer.status == 200
    first = bob.notify()
    assert first.start.split(" ")[1] == address
    assert first.get("Via").startswith("SIP/2.0/TCP ")
    alice.publish(pidf("open", alice.user, note="over-tcp"))
    assert b"over-tcp" in bob.notify().body


@pytest.mark.rfc("TRN-013")
def test_refresh_moves_to_a_new_connection(agents: Agents) -> None:
    """A client that lost its connection: after the refresh NOTIFYs come on the new one, whatever is on its way to the old one."""
    old, alice = agents("mover", "tcp"), agents("watched-mover")
    answer = old.subscribe(alice.aor)
    old.notify()
    old.close()
    alice.publish(pidf("open", alice.user, note="missed"))
    new = agents("mover", "tcp")
    assert new.subscribe(alice.aor, cseq=2, **_dialog(old, answer)).status == 200
    assert b"missed" in new.notify(TIMER_F / 2).body
    alice.publish(pidf("open", alice.user, note="moved"))
    assert b"moved" in new.notify().body


@pytest.mark.rfc("TRN-012")
@pytest.mark.parametrize("rport", [";rport", ""])
def test_a_response_goes_to_the_source_port_only_with_rport(agents: Agents, rport: str) -> None:
    """With rport to the source port; without it to the port in Via; always to the source address, which `received` tells."""
    agent, other = agents("rport"), agents("rport")
    sent_by = agent.address if rport else other.address
    data = agent.build("SUBSCRIBE", agent.aor, *_subscribe_lines(agent))
    first, _, rest = data.partition(b"\r\nVia: ")
    changed = f"SIP/2.0/UDP 192.0.2.5:{sent_by.rpartition(':')[2]};branch={agent.branch}{rport}\r\n"
    agent.send_raw(first + b"\r\nVia: " + changed.encode() + rest.partition(b"\r\n")[2])
    answer = (agent if rport else other).response(agent.branch)
    assert ";received=127.0.0.1" in answer.get("Via")
    assert (f";rport={agent.address.rpartition(':')[2]}" in answer.get("Via")) is bool(rport)


@pytest.mark.rfc("TRN-013")
def test_contact_of_another_host_than_the_source(agents: Agents) -> None:
    """Behind NAT over UDP: the Request-URI is the Contact, the datagram goes to the source."""
    bob, alice = agents("bob-nat"), agents("watched-nat")
    private = "sip:bob-nat@10.1.2.3:5999"
    assert bob.request("SUBSCRIBE", alice.aor, "Event: presence", f"Contact: <{private}>", "Expires: 600").status == 200
    assert bob.notify().start == f"NOTIFY {private} SIP/2.0"
    alice.publish(pidf("open", alice.user, note="through-nat"))
    assert b"through-nat" in bob.notify().body


@pytest.mark.rfc("TRN-001")
@pytest.mark.rfc("TRN-002")
@pytest.mark.rfc("TRN-003")
@pytest.mark.rfc("TRN-005")
def test_the_route_set_is_that_of_the_first_subscribe(agents: Agents) -> None:
    """Record-Route of the first SUBSCRIBE, in its order and with all parameters; that of a refresh is not looked at."""
    bob, proxy, alice = agents("bob-routed"), agents("proxy"), agents("watched-routed")
    routes = [f"<sip:{proxy.address};lr;ftag=a>", "<sip:p2.example.net;lr=on;x=%41>;y=z", '"P, 3" <sip:p3.example.net;lr>']
    answer = bob.subscribe(alice.aor, f"Record-Route: {routes[0]}, {routes[1]}", f"Record-Route: {routes[2]}")
    assert _members(answer.all("Record-Route")) == routes
    first = proxy.notify()
    assert _members(first.all("Route")) == routes
    assert first.start == f"NOTIFY {bob.contact} SIP/2.0"
    elsewhere = f"Record-Route: <sip:{bob.address};lr>"
    assert bob.subscribe(alice.aor, elsewhere, cseq=2, **_dialog(bob, answer)).status == 200
    assert _members(proxy.notify().all("Route")) == routes


@pytest.mark.rfc("TRN-005")
def test_a_strict_router_stands_in_the_request_uri(agents: Agents) -> None:
    bob, proxy, alice = agents("bob-strict"), agents("strict"), agents("watched-strict")
    bob.subscribe(alice.aor, f"Record-Route: <sip:strict@{proxy.address}>, <sip:p2.example.net;lr>")
    notify = proxy.notify()
    assert notify.start == f"NOTIFY sip:strict@{proxy.address} SIP/2.0"
    assert _members(notify.all("Route")) == ["<sip:p2.example.net;lr>", f"<{bob.contact}>"]


@pytest.mark.rfc("TRN-009")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_retransmitted_subscribe_is_answered_again_and_makes_no_subscription(
    server: Server, agents: Agents, transport: str
) -> None:
    bob = agents(f"bob-twice-{transport}", transport)
    first = bob.subscribe("sip:watched-twice@example.org")
    notify = bob.notify()
    for _ in range(3):
        bob.send_raw(bob.sent)
        again = bob.response(bob.branch)
        assert (again.status, again.to_tag, again.get("Contact")) == (200, first.to_tag, first.get("Contact"))
    assert len(rows(server, f"SELECT id FROM subscription WHERE watcher = '{bob.aor}'")) == 1
    wait_until_settled(server, f"watcher = '{bob.aor}'")
    assert all(message.get("Via") == notify.get("Via") for message in bob.inbox if message.method == "NOTIFY")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_retransmitted_publish_is_answered_again_and_makes_no_publication(server: Server, agents: Agents, transport: str) -> None:
    alice = agents(f"alice-twice-{transport}", transport)
    first = alice.publish(pidf("open", alice.user))
    tags = [first.get("SIP-ETag")]
    for _ in range(3):
        alice.send_raw(alice.sent)
        tags.append(alice.response(alice.branch).get("SIP-ETag"))
    assert len(set(tags)) == 1
    assert len(rows(server, f"SELECT id FROM publication WHERE presentity = '{alice.aor}'")) == 1


def test_retransmissions_faster_than_the_answer(server: Server, agents: Agents) -> None:
    """Copies that several workers get at once: one row, one tag."""
    alice = agents("alice-burst")
    lines = ("Event: presence", "Content-Type: application/pidf+xml")
    data = alice.build("PUBLISH", alice.aor, *lines, body=pidf("open", alice.user))
    for _ in range(20):
        alice.send_raw(data)
    tag = alice.response(alice.branch).get("SIP-ETag")
    barrier = alice.publish(b"", etag=tag)
    assert barrier.status == 200
    answers = {(message.status, message.get("SIP-ETag")) for message in alice.inbox if message.status}
    assert answers <= {(200, tag)}
    assert len(rows(server, f"SELECT id FROM publication WHERE presentity = '{alice.aor}'")) == 1


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_equal_call_id_tags_and_branch_of_different_users(server: Server, agents: Agents, method: str) -> None:
    """Clients with a bad source of randomness: each gets its own answer and its own row."""
    same: dict[str, Any] = {"call_id": f"same-{method}", "from_tag": "same", "branch": f"z9hG4bKsame{method}"}
    found = []
    for number in range(3):
        agent = agents(f"equal{number}")
        if method == "PUBLISH":
            answer = agent.publish(pidf("open", agent.user), **same)
            found.append(answer.get("SIP-ETag"))
        else:
            answer = agent.subscribe("sip:watched-equal@example.org", **same)
            found.append(answer.to_tag)
            assert agent.notify().get("To") == f"<{agent.aor}>;tag=same"
        assert answer.status == 200
        assert answer.get("From").startswith(f"<{agent.aor}>")
    assert len(set(found)) == 3
    table, column = ("publication", "etag") if method == "PUBLISH" else ("subscription", "id")
    stored = {name for (name,) in rows(server, f"SELECT {column} FROM {table}")}
    assert set(found) <= stored


@pytest.mark.rfc("TRN-027")
def test_compact_and_folded_header_names(agents: Agents) -> None:
    bob = agents("bob-compact")
    data = bob.build("SUBSCRIBE", "sip:watched-compact@example.org", "o: presence", f"m:\r\n <{bob.contact}>", "eXPIRES :  600",
                     "ACCEPT: text/plain", "accept: application/pidf+xml", length=False)  # fmt: skip
    for long, short in (
        (b"\r\nFrom:", b"\r\nf:"),
        (b"\r\nTo:", b"\r\nt :"),
        (b"\r\nCall-ID:", b"\r\ni:"),
        (b"\r\nVia:", b"\r\nV:"),
    ):
        data = data.replace(long, short)
    bob.send_raw(data)
    assert bob.response(bob.branch).status == 200
    assert bob.notify().get("Content-Type") == "application/pidf+xml"


def test_as_many_connections_may_be_tls_as_there_may_be(server: Server) -> None:
    """Kamailio has a limit of its own for TLS, 2048 as it comes."""
    asked = ["/usr/sbin/kamcmd", "-s", f"unix:{server.folder}/kamailio_ctl", "core.tcp_info"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout
    limits = dict(re.findall(r"(max\w*connections): ([0-9]+)", told))
    assert limits["max_tls_connections"] == limits["max_connections"] == str(startup.connections())
