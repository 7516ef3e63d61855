"""A server that listens on several addresses: each of them is its own."""

import hashlib
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server import ROOT, Server, free_port
from tests.useragent import Message, UserAgent

FURTHER = "127.0.0.2"
ALICE = "sip:alice@example.org"


@pytest.fixture
def server(start_server: Callable[..., Server], tmp_path: Path) -> Server:
    """KP_IP is 127.0.0.1."""
    port = str(free_port())
    configuration = tmp_path / "kamailio.cfg"
    text = (ROOT / "kamailio.cfg").read_text().replace('"kemi-presence.cfg"', f'"{ROOT}/kemi-presence.cfg"')
    more = "".join(f"listen = {each}:{FURTHER}:{port}\n" for each in ("udp", "tcp"))
    configuration.write_text(text.replace("listen = tcp:HTTP_ADDRESS\n", f"listen = tcp:HTTP_ADDRESS\n{more}"))
    assert configuration.read_text().count(FURTHER) == 2
    running = start_server(
        {"KP_CONFIGURATION": str(configuration), "KP_PORT": port, "KP_TLS_PORT": str(free_port()), "KP_TRUSTED": ""}
    )
    running.control("user", "add", "bob@example.org", "--password", "secret")
    return running


@pytest.fixture
def agent(server: Server) -> Iterator[Callable[..., UserAgent]]:
    """Makes clients of one of its addresses."""
    made: list[UserAgent] = []

    def make(address: str, transport: str = "udp") -> UserAgent:
        made.append(UserAgent((address, server.port), "bob", transport=transport))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _credentials(asked: Message, method: str, uri: str) -> str:
    given = dict(re.findall(r'(\w+)="([^"]+)"', asked.get("WWW-Authenticate")))
    first, second = (hashlib.md5(text.encode()).hexdigest() for text in (f"bob:{given['realm']}:secret", f"{method}:{uri}"))
    response = hashlib.md5(f"{first}:{given['nonce']}:00000001:c:auth:{second}".encode()).hexdigest()
    return (
        f'Authorization: Digest username="bob", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", '
        f'response="{response}", qop=auth, cnonce="c", nc=00000001'
    )


def _subscribe(agent: UserAgent, uri: str, contact: str, cseq: int, **dialog: str) -> Message:
    """With the password that it is asked for."""
    lines = ("Event: presence", f"Contact: <{contact}>", "Expires: 600")
    asked = agent.request("SUBSCRIBE", uri, *lines, cseq=cseq, **dialog)
    assert asked.status == 401
    return agent.request("SUBSCRIBE", uri, *lines, _credentials(asked, "SUBSCRIBE", uri), cseq=cseq + 1, **dialog)


@pytest.mark.rfc("TRN-010")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("address", ["127.0.0.1", FURTHER])
def test_a_dialog_goes_on_at_the_address_where_it_began(
    server: Server, agent: Callable[..., UserAgent], address: str, transport: str
) -> None:
    """The password is asked for again: it is made for the Request-URI, which is our Contact there."""
    bob = agent(address, transport)
    opened = _subscribe(bob, ALICE, bob.contact, 1)
    assert opened.status == 200
    contact = opened.get("Contact").strip("<>")
    assert contact.startswith(f"sip:{address}:{server.port}")
    bob.notify()
    tags = {"call_id": bob.call_id, "from_tag": bob.from_tag, "to_tag": opened.to_tag}
    assert _subscribe(bob, contact, bob.contact, 3, to=f"<{ALICE}>", **tags).status == 200
    assert bob.notify().cseq == 2


@pytest.mark.rfc("TRN-010")
@pytest.mark.rfc("TRN-014")
@pytest.mark.parametrize("address", ["127.0.0.1", FURTHER])
def test_our_contact_names_the_presentity_at_each_address(agent: Callable[..., UserAgent], address: str) -> None:
    """Outside of the dialog too."""
    bob = agent(address)
    contact = _subscribe(bob, ALICE, bob.contact, 1).get("Contact").strip("<>")
    bob.notify()
    assert _subscribe(bob, contact, bob.contact, 1).status == 200
    assert b"sip:alice@example.org" in bob.notify().body


@pytest.mark.parametrize("number", ["http_port", "tls_port"])
def test_a_program_beside_the_server_is_not_the_server(server: Server, agent: Callable[..., UserAgent], number: str) -> None:
    """Over UDP anybody on this machine may have the number of our HTTP port: what comes from there is passed on to nobody."""
    device = agent("127.0.0.1")
    lines = (f"Contact: <{device.contact}>", "Expires: 600")
    asked = device.request("REGISTER", "sip:example.org", *lines, to="<sip:bob@example.org>")
    proof = _credentials(asked, "REGISTER", "sip:example.org")
    assert device.request("REGISTER", "sip:example.org", *lines, proof, to="<sip:bob@example.org>", cseq=2).status == 200
    port = server.http_port if number == "http_port" else int(server.variables["KP_TLS_PORT"])
    for address in ("127.0.0.1", FURTHER):
        beside = agent(address)
        beside.socket.close()
        beside.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        beside.socket.bind((address, port))
        beside.address = f"{address}:{port}"
        lines = ("Event: presence", "Subscription-State: active")
        assert beside.request("NOTIFY", "sip:bob@example.org", *lines, to="<sip:bob@example.org>;tag=1").status == 481


@pytest.mark.rfc("TRN-013")
@pytest.mark.parametrize(("registered", "subscribed"), [("127.0.0.1", FURTHER), (FURTHER, "127.0.0.1")])
def test_a_gruu_is_found_whichever_address_its_user_came_to(
    agent: Callable[..., UserAgent], registered: str, subscribed: str
) -> None:
    device, bob = agent(registered), agent(subscribed)
    lines = (f"Contact: <{device.contact}>", "Expires: 600")
    asked = device.request("REGISTER", "sip:example.org", *lines, to="<sip:bob@example.org>")
    proof = _credentials(asked, "REGISTER", "sip:example.org")
    assert device.request("REGISTER", "sip:example.org", *lines, proof, to="<sip:bob@example.org>", cseq=2).status == 200
    assert _subscribe(bob, ALICE, "sip:bob@example.org", 1).status == 200
    assert device.notify().method == "NOTIFY"
