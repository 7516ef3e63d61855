"""MESSAGE on the wire: what recipients get octet for octet, forks, loops, ways round the rules, rules of another XCAP server."""

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.nginx import Nginx
from tests.server import Server, free_port
from tests.useragent import Message, UserAgent
from tests.wire.observe import wait_until
from tests.wire.websocket import WebSocketAgent

Agent = Callable[..., UserAgent]
BOB = "sip:bob@example.org"
TYPE = {"Content-Type": "application/auth-policy+xml"}
INSTANCE = "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"

RULES = """<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:im="urn:iptel:xml:ns:im-rules"><rule id="a">
<conditions><identity><one id="sip:bob@example.org"/></identity></conditions>
<actions><im:im-handling>{}</im:im-handling></actions></rule></ruleset>"""

COMPOSING = b'<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state></isComposing>'
BODIES = [
    ("text/plain;charset=ISO-8859-1", "", "caf\xe9 \x00\xff".encode("latin-1")),
    ("application/im-iscomposing+xml", "deflate", zlib.compress(COMPOSING)),
    ("message/imdn+xml", "deflate", zlib.compress(b"<imdn/>")),
    ("message/cpim", "", b"From: <im:bob@example.org>\r\n\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\n"),
    ("multipart/signed;boundary=b", "", b"--b\r\n\r\n\x80\x81\r\n--b--\r\n"),
    ("text/plain", "", b""),
    ("text/plain", "", 1200 * b"long "),
]


@pytest.fixture
def agent(server: Server) -> Iterator[Agent]:
    """Makes user agents of the shared server; each user is called as nobody else."""
    made: list[UserAgent] = []

    def make(user: str, transport: str = "udp", on: Server = server) -> UserAgent:
        kind = WebSocketAgent if transport == "ws" else UserAgent
        made.append(kind(("127.0.0.1", on.http_port) if transport == "ws" else on.address, user, "example.org", transport))
        return made[-1]

    yield make
    for each in made:
        each.close()


def register(phone: UserAgent, contact: str = "", user: str = "", parameters: str = "", *lines: str) -> Message:
    aor = f"sip:{user}@example.org" if user else phone.aor
    fields = (f"Contact: <{contact or phone.contact}>{parameters}", "Expires: 600", *lines)
    done = phone.request("REGISTER", "sip:example.org", *fields, to=f"<{aor}>", from_=f"<{aor}>")
    assert done.status == 200
    return done


def send(sender: UserAgent, uri: str, *lines: str, body: bytes = b"hello", kind: str = "text/plain") -> None:
    sender.send_raw(sender.build("MESSAGE", uri, f"Content-Type: {kind}", *lines, body=body))


def taken(phone: UserAgent, status: int = 200) -> Message:
    """The message that a device gets, and answers; 0: it does not."""
    message = phone.wait(lambda each: each.method == "MESSAGE")
    if status:
        phone.respond(message, status)
    return message


def final(sender: UserAgent) -> Message:
    return sender.response(sender.branch)


def is_silent(phone: UserAgent, seconds: float = 0.3) -> bool:
    """Whether nothing comes for that long."""
    try:
        phone.wait(lambda _: True, seconds)
    except TimeoutError:
        return True
    return False


# What is delivered


@pytest.mark.rfc("MSG-008")
@pytest.mark.parametrize(("kind", "encoding", "body"), BODIES)
def test_a_body_is_delivered_octet_for_octet(agent: Agent, kind: str, encoding: str, body: bytes) -> None:
    phone, bob = agent("body-alice", "tcp"), agent("bob", "tcp")
    register(phone)
    send(bob, phone.aor, *([f"Content-Encoding: {encoding}"] if encoding else []), body=body, kind=kind)
    got = taken(phone)
    assert (got.body, got.get("Content-Type"), got.get("Content-Encoding")) == (body, kind, encoding)
    assert (got.all("Record-Route"), got.all("Contact")) == ([], [])
    assert final(bob).status == 200


@pytest.mark.rfc("MSG-013", "MSG-008")
def test_an_im_uri_may_come_with_a_body_that_is_no_text(agent: Agent) -> None:
    phone, bob = agent("im-alice"), agent("bob")
    register(phone)
    send(bob, "im:im-alice@example.org", body=b"\xff\xfe\x00")
    assert taken(phone).body == b"\xff\xfe\x00"
    assert final(bob).status == 200


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_a_device_is_reached_over_its_own_connection(agent: Agent, transport: str) -> None:
    phone, bob = agent(f"{transport}-alice", transport), agent("bob")
    register(phone)
    send(bob, phone.aor)
    assert taken(phone).body == b"hello"
    assert final(bob).status == 200


@pytest.mark.rfc("MSG-012")
def test_a_fork_gives_one_answer_to_all_of_it(agent: Agent) -> None:
    phones, bob = [agent("fork-alice"), agent("fork-alice"), agent("fork-alice")], agent("bob")
    for number, phone in enumerate(phones):
        register(phone, f"{phone.contact};line={number}")
    send(bob, phones[0].aor)
    for phone, status in zip(phones, (480, 200, 200), strict=True):
        taken(phone, status)
    assert final(bob).status == 200
    assert is_silent(bob)


@pytest.mark.rfc("MSG-012")
def test_when_all_devices_refuse_one_answer_tells_it(agent: Agent) -> None:
    phones, bob = [agent("busy-alice"), agent("busy-alice")], agent("bob")
    for number, phone in enumerate(phones):
        register(phone, f"{phone.contact};line={number}")
    send(bob, phones[0].aor)
    for phone in phones:
        taken(phone, 486)
    assert final(bob).status == 486
    assert is_silent(bob)


def test_a_retransmission_is_delivered_once(agent: Agent) -> None:
    phone, bob = agent("again-alice"), agent("bob")
    register(phone)
    send(bob, phone.aor, body=b"once")
    same = {"call_id": bob.call_id, "from_tag": bob.from_tag, "branch": bob.branch}
    bob.send_raw(bob.build("MESSAGE", phone.aor, "Content-Type: text/plain", body=b"once", **same))  # type: ignore[arg-type]
    taken(phone)
    assert final(bob).status == 200
    assert is_silent(phone)


@pytest.mark.rfc("SEC-021")
def test_a_message_that_comes_back_to_us_ends(agent: Agent, server: Server) -> None:
    """Two contacts that lead back here would be 2 to the 70th messages."""
    phone, bob = agent("loop-alice"), agent("bob")
    for line in ("1", "2"):
        register(phone, f"sip:loop-alice@{server.address[0]}:{server.port};line={line}")
    send(bob, phone.aor)
    assert final(bob).status == 482


# Ways round the rules


@pytest.mark.rfc("MSG-001")
@pytest.mark.parametrize(
    ("user", "written"),
    [
        ("around-alice", "AROUND-ALICE"), ("around-alice", "around%2Dalice"), ("around-alice", "around-alice:password"),
        ("+15550001", "%2B15550001"), ("around;alice", "around%3Balice"), ("around-alice", "around%252Dalice"),
    ],
)  # fmt: skip
def test_no_way_to_write_the_recipient_leads_round_its_rules(agent: Agent, server: Server, user: str, written: str) -> None:
    phone, eve = agent("around-alice"), agent("eve")
    register(phone, user=user)
    put(server, user, RULES.format("allow"))
    send(eve, f"sip:{written}@example.org")
    assert final(eve).status in (403, 480)
    assert is_silent(phone)


@pytest.mark.rfc("MSG-001")
def test_neither_does_a_gruu(agent: Agent, server: Server) -> None:
    phone, bob, eve = agent("gruu-alice"), agent("bob"), agent("eve")
    done = register(phone, "", "", f';+sip.instance="{INSTANCE}"', "Supported: gruu")
    public, temporary = (re.findall(rf'{kind}-gruu="([^"]+)"', done.get("Contact"))[0] for kind in ("pub", "temp"))
    put(server, "gruu-alice", RULES.format("allow"))
    for uri, status in ((public, 403), (temporary, 404)):
        send(eve, uri)
        assert final(eve).status == status
    assert is_silent(phone)
    send(bob, public)
    taken(phone)
    assert final(bob).status == 200


def put(server: Server, user: str, body: str) -> None:
    fields = TYPE | {"X-3GPP-Asserted-Identity": f'"sip:{user}@example.org"'}
    with httpx.Client(base_url=f"http://{server.address[0]}:{server.http_port}") as web:
        path = f"/xcap-root/im-rules/users/sip:{user.replace(';', '%3B')}@example.org/index"
        assert web.put(path, content=body, headers=fields).status_code in (200, 201)


def test_rules_that_are_put_count_for_the_next_message(agent: Agent, server: Server) -> None:
    phone, bob = agent("put-alice"), agent("bob")
    register(phone)
    for handling, status in (("block", 403), ("polite-block", 200), ("confirm", 480)):
        put(server, "put-alice", RULES.format(handling))
        send(bob, phone.aor)
        assert final(bob).status == status
    assert is_silent(phone)
    put(server, "put-alice", RULES.format("allow"))
    send(bob, phone.aor)
    taken(phone)
    assert final(bob).status == 200


# Rules of another XCAP server


@pytest.mark.rfc("MSG-007", "XCC-002")
def test_rules_of_another_server_are_fetched_when_the_first_message_comes(
    start_server: Callable[..., Server], agent: Agent, tmp_path: Path
) -> None:
    nginx = Nginx(tmp_path / "nginx", free_port())
    nginx.put("im-rules/users/alice/im-rules.xml", RULES.format("allow").encode())
    nginx.start()
    try:
        set_ = {"xcap.xcap_root": nginx.root, "xcap.fetch_folder": "user", "xcap.fetch_freshness": 1}
        server = start_server({"KP_SET": ";".join(f"{name}={value}" for name, value in set_.items())})
        phone, bob = agent("alice", on=server), agent("bob", on=server)
        register(phone)
        send(bob, phone.aor)
        first = final(bob)
        assert (first.status, first.get("Retry-After")) == (480, "5")
        wait_until(lambda: "document fetched: uri=" in server.log.read_text(), "the rules are there")
        send(bob, phone.aor)
        taken(phone)
        assert final(bob).status == 200
        nginx.put("im-rules/users/alice/im-rules.xml", RULES.format("block").encode())

        def is_blocked() -> bool:
            send(bob, phone.aor)
            try:
                return bob.wait(lambda each: each.status > 0, 0.2).status == 403
            except TimeoutError:
                return False

        wait_until(is_blocked, "the new rules count")
    finally:
        nginx.stop()
