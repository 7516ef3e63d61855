"""Registered contacts as presence, on the wire: what watchers are told, lost connections, restarts (SER handbook section 5.8)."""

import re
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import ROOT, Server, free_port
from tests.useragent import Message, UserAgent, pidf
from tests.wire.observe import change, processes, rows, wait_until, wait_until_settled
from tests.wire.websocket import WebSocketAgent

Agents = Callable[..., Any]
INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


FAULTS = {
    "sqlite": (
        "CREATE TRIGGER fault BEFORE INSERT ON location BEGIN SELECT RAISE(ABORT, 'fault'); END",
        "DROP TRIGGER fault",
    ),
    "postgresql": (
        "ALTER TABLE location ADD CONSTRAINT fault CHECK (cseq < 0) NOT VALID",
        "ALTER TABLE location DROP CONSTRAINT fault",
    ),
}
"""What makes the database refuse a row, and takes it again."""


class TlsAgent(UserAgent):
    """One TLS connection of one user, who believes any certificate."""

    def __post_init__(self) -> None:
        self.transport = "tls"
        super().__post_init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


@pytest.fixture
def agents() -> Iterator[Agents]:
    """Makes user agents and closes them."""
    made: list[UserAgent] = []

    def make(server: Server, user: str, transport: str = "udp", domain: str = "example.org") -> UserAgent:
        if transport == "ws":
            made.append(WebSocketAgent(("127.0.0.1", server.http_port), user, domain))
        elif transport == "tls":
            made.append(TlsAgent(("127.0.0.1", int(server.variables["KP_TLS_PORT"])), user, domain))
        else:
            made.append(UserAgent(server.address, user, domain, transport))
        return made[-1]

    yield make
    for agent in made:
        agent.close()


def register(agent: UserAgent, *contacts: str, expires: int = 600, cseq: int = 1, **more: Any) -> Message:
    """REGISTER, with the agent's own Contact where none is given."""
    lines = [f"Contact: {each}" for each in contacts or (f"<{agent.contact}>",)]
    return agent.request("REGISTER", f"sip:{agent.domain}", *lines, f"Expires: {expires}", to=f"<{agent.aor}>", cseq=cseq, **more)


def tuples(notify: Message) -> set[tuple[str, str]]:
    """(basic, contact) of each tuple."""
    return set(re.findall(r"<basic>(\w+)</basic>.*?<contact[^>]*>([^<]*)</contact>", notify.body.decode()))


def watching(agents: Agents, server: Server, user: str) -> UserAgent:
    """A watcher who was told that the user is not there."""
    watcher: UserAgent = agents(server, f"watcher-of-{user}")
    assert watcher.subscribe(f"sip:{user}@example.org").status == 200
    assert tuples(watcher.notify()) == gone(user)
    return watcher


def gone(user: str) -> set[tuple[str, str]]:
    return {("closed", f"sip:{user}@example.org")}


def shown(agent: UserAgent) -> set[tuple[str, str]]:
    return {("open", agent.contact)}


def test_a_registration_and_its_end_are_told(server: Server, agents: Agents) -> None:
    alice, bob = agents(server, "reg-one"), watching(agents, server, "reg-one")
    done = register(alice)
    assert done.get("Contact").startswith(f"<{alice.contact}>;expires=600")
    assert tuples(bob.notify()) == shown(alice)
    assert register(alice, expires=0, cseq=2).status == 200
    assert tuples(bob.notify()) == gone("reg-one")


def test_two_contacts_and_the_star(server: Server, agents: Agents) -> None:
    alice, bob = agents(server, "reg-two"), watching(agents, server, "reg-two")
    register(alice, "<sip:desk@192.0.2.1>", "<sip:mobile@192.0.2.2>;q=0.3")
    both = {("open", "sip:desk@192.0.2.1"), ("open", "sip:mobile@192.0.2.2")}
    assert tuples(bob.notify()) == both
    done = register(alice, "*", expires=0, cseq=2)
    assert (done.status, done.all("Contact")) == (200, [])
    assert tuples(bob.notify()) == gone("reg-two")


def test_a_refresh_is_not_told(server: Server, agents: Agents) -> None:
    alice, bob = agents(server, "reg-refresh"), watching(agents, server, "reg-refresh")
    register(alice)
    before = bob.notify()
    wait_until_settled(server, f"watcher = '{bob.aor}'")
    register(alice, cseq=2)
    assert alice.publish(pidf("open", alice.user, note="next")).status == 200
    after = bob.notify()
    assert after.cseq == before.cseq + 1
    assert b"next" in after.body
    assert shown(alice) < tuples(after)


def test_idle_is_not_unregistered(server: Server, agents: Agents) -> None:
    """What a user publishes about himself stands beside the contact, and goes without it."""
    alice, bob = agents(server, "reg-idle"), watching(agents, server, "reg-idle")
    register(alice)
    bob.notify()
    idle = (
        '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
        'xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:reg-idle@example.org"><dm:person id="p"><r:user-input>idle'
        "</r:user-input></dm:person></presence>"
    )
    tag = alice.publish(idle.encode()).get("SIP-ETag")
    both = bob.notify()
    assert tuples(both) == shown(alice)
    assert b"idle" in both.body
    register(alice, expires=0, cseq=2)
    alone = bob.notify()
    assert tuples(alone) == set()
    assert b"idle" in alone.body
    alice.publish(b"", etag=tag, expires=0)
    assert tuples(bob.notify()) == gone("reg-idle")


def test_a_registration_that_expires_is_told_as_gone(server: Server, agents: Agents) -> None:
    alice, bob = agents(server, "reg-expired"), watching(agents, server, "reg-expired")
    register(alice)
    bob.notify()
    change(server, f"UPDATE publication SET expires_at = {time.time()} WHERE presentity = '{alice.aor}'")
    change(server, f"UPDATE location SET expires = {int(time.time()) - 1} WHERE presentity = '{alice.aor}'")
    assert tuples(bob.notify()) == gone("reg-expired")
    wait_until(lambda: not rows(server, f"SELECT 1 FROM location WHERE presentity = '{alice.aor}'"), "the row is gone")


def test_a_user_of_another_domain_is_another_user(start_server: Callable[..., Server], agents: Agents) -> None:
    server = start_server({"KP_DOMAINS": "example.org,example.com"})
    here, there = agents(server, "alice"), agents(server, "alice", domain="example.com")
    bob = watching(agents, server, "alice")
    assert register(there).get("Contact").startswith(f"<{there.contact}>")
    register(here)
    assert tuples(bob.notify()) == shown(here)
    assert there.contact not in ",".join(register(here, cseq=2).all("Contact"))


def test_a_contact_over_the_limit_is_refused_with_503(server: Server, agents: Agents) -> None:
    alice = agents(server, "reg-many")
    assert register(alice, *(f"<sip:{number}@192.0.2.1>" for number in range(64))).status == 200
    assert register(alice, "<sip:one-more@192.0.2.1>", cseq=2).status == 503
    assert len(rows(server, f"SELECT 1 FROM location WHERE presentity = '{alice.aor}'")) == 64
    assert register(alice, "*", expires=0, cseq=3).status == 200


def test_what_could_not_be_stored_is_not_acknowledged(start_server: Callable[..., Server], agents: Agents, engine: str) -> None:
    """Nor shown to the next one who registers."""
    server = start_server({"KP_WORKERS": "1"})
    alice, bob = agents(server, "alice"), agents(server, "bob")
    begin, end = FAULTS[engine]
    change(server, begin)
    refused = register(bob)
    assert (refused.status, refused.all("Contact"), refused.get("Retry-After")) == (503, [], "5")
    change(server, end)
    done = register(alice, "*", expires=0)
    assert (done.status, done.all("Contact")) == (200, [])
    assert register(bob, cseq=2).get("Contact").startswith(f"<{bob.contact}>")


# Connections


@pytest.mark.parametrize("transport", ["tcp", "ws"])
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_lost_connection_ends_its_registration_and_no_other(server: Server, agents: Agents, transport: str, how: str) -> None:
    user = f"reg-{transport}-{how}"
    alice, bob = agents(server, user, transport), watching(agents, server, user)
    other = agents(server, user)
    register(other)
    bob.notify()
    register(alice)
    assert tuples(bob.notify()) == shown(other) | shown(alice)
    if how == "reset":
        alice.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    alice.close()
    assert tuples(bob.notify()) == shown(other)
    left = other.request("REGISTER", "sip:example.org", to=f"<{other.aor}>").get("Contact")
    assert re.findall(r"<([^>]*)>", left) == [other.contact]


def test_a_websocket_that_is_closed_as_browsers_do(server: Server, agents: Agents) -> None:
    """The client says so and leaves the rest to the server."""
    alice, bob = agents(server, "reg-goodbye", "ws"), watching(agents, server, "reg-goodbye")
    register(alice)
    assert tuples(bob.notify()) == shown(alice)
    alice.say_goodbye()
    assert tuples(bob.notify()) == gone("reg-goodbye")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_websocket_whose_client_answers_no_ping(start_server: Callable[..., Server], agents: Agents, tmp_path: Path) -> None:
    """The server closes it, after a second here; this client is silent unless it waits for something."""
    file = tmp_path / "kamailio.cfg"
    include = f'include_file "{ROOT}/kemi-presence.cfg"\nmodparam("websocket", "keepalive_timeout", 1)'
    file.write_text((ROOT / "kamailio.cfg").read_text().replace('include_file "kemi-presence.cfg"', include))
    server = start_server({"KP_CONFIGURATION": str(file)})
    alice, bob = agents(server, "alice", "ws"), watching(agents, server, "alice")
    register(alice)
    assert tuples(bob.notify()) == shown(alice)
    assert tuples(bob.notify(20.0)) == gone("alice")


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_a_client_that_is_back_on_a_new_connection_stays(server: Server, agents: Agents, transport: str) -> None:
    user = f"reg-back-{transport}"
    old, bob = agents(server, user, transport), watching(agents, server, user)
    register(old, "<sip:me@abc.invalid>")
    assert tuples(bob.notify()) == {("open", "sip:me@abc.invalid")}
    new = agents(server, user, transport)
    register(new, "<sip:me@abc.invalid>", cseq=2, call_id=old.call_id)
    old.close()
    marker = agents(server, user, transport)
    register(marker)
    assert tuples(bob.notify()) == {("open", "sip:me@abc.invalid")} | shown(marker)
    marker.close()
    assert tuples(bob.notify()) == {("open", "sip:me@abc.invalid")}


def test_a_lost_tls_connection(start_server: Callable[..., Server], agents: Agents, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=example.org"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = {"KP_TLS_KEY": str(key), "KP_TLS_CERTIFICATE": str(certificate)}
    server = start_server({"KP_DEFINES": "WITH_TLS", "KP_TLS_PORT": str(free_port())} | files)
    alice, bob = agents(server, "alice", "tls"), watching(agents, server, "alice")
    register(alice)
    assert tuples(bob.notify()) == shown(alice)
    alice.close()
    assert tuples(bob.notify()) == gone("alice")


# Restarts


def test_a_crash_keeps_registrations(start_server: Callable[..., Server], agents: Agents) -> None:
    """The tuple, the binding with all that the client may ask for, and where its connection was."""
    server = start_server()
    alice, carl = agents(server, "alice"), agents(server, "alice", "tcp")
    contact = f'<{alice.contact}>;q=0.7;+sip.instance="<{INSTANCE}>"'
    register(alice, contact)
    register(carl)
    asked = ("REGISTER", "sip:example.org", "Supported: gruu")
    before = alice.request(*asked, to=f"<{alice.aor}>").all("Contact")
    bob = agents(server, "bob")
    bob.subscribe(alice.aor)
    assert tuples(bob.notify()) == shown(alice) | shown(carl)
    wait_until_settled(server)
    server.kill()
    server.start()
    after = alice.request(*asked, to=f"<{alice.aor}>").all("Contact")
    assert [re.sub(r"expires=\d+", "", each) for each in after] == [re.sub(r"expires=\d+", "", each) for each in before]
    assert alice.publish(pidf("open", "alice", note="still-here")).status == 200
    assert shown(alice) | shown(carl) < tuples(bob.notify())
    assert register(alice, "*", expires=0, cseq=2).all("Contact") == []
    assert shown(alice) & tuples(bob.notify()) == set()


def test_notify_finds_the_binding_of_a_gruu_after_a_crash(start_server: Callable[..., Server], agents: Agents) -> None:
    server = start_server()
    bob, alice = agents(server, "bob"), agents(server, "alice")
    contact = f'Contact: <{bob.contact}>;+sip.instance="<{INSTANCE}>"'
    gruus = gruus_of(bob.request("REGISTER", "sip:example.org", contact, "Supported: gruu", to=f"<{bob.aor}>"))
    for gruu in gruus:
        assert bob.request("SUBSCRIBE", alice.aor, "Event: presence", f"Contact: <{gruu}>", "Expires: 600").status == 200
        bob.notify()
    wait_until_settled(server)
    server.kill()
    server.start()
    alice.publish(pidf("open", "alice", note="after-the-crash"))
    for _ in gruus:
        assert b"after-the-crash" in bob.notify().body


def gruus_of(response: Message) -> list[str]:
    """Public and temporary GRUU of a 200 (RFC 5627 section 5.3)."""
    found = re.findall(r'(?:pub|temp)-gruu="([^"]+)"', response.get("Contact"))
    assert len(found) == 2
    return found


BEHIND_NAT = "192.0.2.77:5060"
"""Where a client believes to be."""


@pytest.mark.rfc("TRN-013")
def test_who_registers_over_udp_from_behind_a_nat_is_reached_where_the_request_came_from(server: Server, agents: Agents) -> None:
    """By a NOTIFY to its GRUU, and by MESSAGE."""
    bob, alice = agents(server, "natted"), agents(server, "alice")
    bob.address = BEHIND_NAT
    contact = f'Contact: <{bob.contact}>;+sip.instance="<{INSTANCE}>"'
    gruu, _ = gruus_of(bob.request("REGISTER", "sip:example.org", contact, "Supported: gruu", to=f"<{bob.aor}>"))
    assert bob.request("SUBSCRIBE", alice.aor, "Event: presence", f"Contact: <{gruu}>", "Expires: 600").status == 200
    assert bob.notify().start == f"NOTIFY sip:natted@{BEHIND_NAT} SIP/2.0"
    alice.send_raw(alice.build("MESSAGE", bob.aor, "Content-Type: text/plain", body=b"hello"))
    assert bob.wait(lambda message: message.method == "MESSAGE").body == b"hello"


@pytest.mark.rfc("TRN-013")
@pytest.mark.parametrize(
    ("sent_by", "more"),
    [("", ""), ("127.0.0.9", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa"), ("192.0.2.77", f"Contact: <sip:x@{BEHIND_NAT}>")],
    ids=["itself", "through a proxy", "beside itself"],
)
def test_who_registers_another_device_says_where_that_is(server: Server, agents: Agents, sent_by: str, more: str) -> None:
    """No NAT is between: a request for it goes to its Contact."""
    helper, alice = agents(server, f"helped{sent_by}"), agents(server, "alice")
    device = UserAgent(("127.0.0.9", server.port), "device")
    if sent_by:
        helper.address = f"{sent_by}:5060"
    lines = [f"Contact: <sip:device@{device.address}>", "Expires: 600", *filter(None, [more])]
    assert helper.request("REGISTER", "sip:example.org", *lines, to=f"<{helper.aor}>").status == 200
    alice.send_raw(alice.build("MESSAGE", helper.aor, "Content-Type: text/plain", body=b"hello"))
    assert device.wait(lambda message: message.method == "MESSAGE").body == b"hello"
    device.close()


def test_without_use_callbacks_nothing_of_registrations_is_told(start_server: Callable[..., Server], agents: Agents) -> None:
    """Nothing of registrations is told, not even of those that were told before; they survive all the same."""
    server = start_server()
    alice = agents(server, "alice")
    register(alice)
    server.stop()
    server.variables["KP_SET"] += ";pa.use_callbacks=0"
    server.start()
    bob = watching(agents, server, "alice")
    register(alice, "<sip:other@192.0.2.1>", cseq=2)
    assert alice.publish(pidf("open", "alice", note="published")).status == 200
    assert tuples(bob.notify()) == {("open", "sip:alice@192.0.2.1")}
    assert len(rows(server, "SELECT 1 FROM location")) == 2


def test_the_password_of_the_database_is_told_to_nobody(new_database: Callable[[Path], str], tmp_path: Path, engine: str) -> None:
    """Neither in a command line nor in the log; Kamailio's own driver gets it all the same."""
    if engine == "sqlite":
        pytest.skip("SQLite has no passwords")
    url = new_database(tmp_path).replace("postgres@", "postgres:p%40ss%2Fw%22rd@")
    server = Server({"KP_DB_URL": url, "KP_DEFINES": "LOG_LEVEL=3"}, tmp_path)
    try:
        server.start()
        lines = [Path(f"/proc/{process}/cmdline").read_bytes() for process in processes(server)]
    finally:
        server.kill()
    assert len(lines) > 1
    for text in (*lines, server.log.read_bytes()):
        assert b"p%40ss" not in text
        assert b"p@ss" not in text


def test_kamailio_itself_can_be_started(new_database: Callable[[Path], str], agents: Agents, tmp_path: Path) -> None:
    """Without presencectl, on a database that is not there yet, and again after a crash."""
    server = Server({"KP_DB_URL": new_database(tmp_path)}, tmp_path)
    alice = agents(server, "alice")
    command = ["/usr/sbin/kamailio", "-f", "kamailio.cfg", "-x", "fm", "-X", "fm", "-m", "64", "-DD", "-E", "-w", str(ROOT)]
    try:
        for cseq in (1, 2):
            with server.log.open("ab") as log:
                server.process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=server.environment | {"PYTHONHOME": "/usr"},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            wait_until(server.answers, "it answers")
            done = register(alice, f"<sip:{cseq}@192.0.2.1>", cseq=cseq)
            assert len(done.get("Contact").split(",")) == cseq
            server.kill()
    finally:
        server.kill()
