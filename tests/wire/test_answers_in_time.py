"""Which answers a request that is no INVITE never gets: a provisional one, and 408 (RFC 4320, RFC 3261 section 8.2.6.1)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server import Server
from tests.useragent import Agents, Message, UserAgent, pidf
from tests.wire.observe import database

LOCKS = {"sqlite": "BEGIN EXCLUSIVE", "postgresql": "BEGIN; LOCK TABLE publication, subscription IN ACCESS EXCLUSIVE MODE"}
TIMESTAMP = "Timestamp: 54.3"
EXAMPLES = ["kamailio.cfg", "examples/full.cfg", "examples/no-authorization.cfg"]

pytestmark = pytest.mark.rfc("TRN-021")


def answers(agent: UserAgent) -> list[Message]:
    """All that is said to the request that was sent last, up to its final answer."""
    branch, found = agent.branch, list[Message]()
    while not found or found[-1].status < 200:
        found.append(agent.wait(lambda each: each.status > 0 and branch in each.get("Via")))
    return found


def send(agent: UserAgent, method: str) -> None:
    """Twice over UDP, as one whose answer does not come."""
    fields = [TIMESTAMP, "Event: presence", "Expires: 600"]
    fields += [f"Contact: <{agent.contact}>"] if method == "SUBSCRIBE" else ["Content-Type: application/pidf+xml"]
    body = b"" if method == "SUBSCRIBE" else pidf(user=agent.user)
    data = agent.build(method, agent.aor, *fields, body=body)
    for _ in range(2 if agent.transport == "udp" else 1):
        agent.send_raw(data)


@pytest.mark.rfc("TRN-022")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_nothing_is_said_before_the_final_answer(server: Server, agents_of: Agents, method: str, transport: str) -> None:
    agent = agents_of(server, f"prompt-{method.lower()}-{transport}", transport)
    send(agent, method)
    assert [each.status for each in answers(agent)] == [200]


@pytest.mark.rfc("TRN-022")
@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
def test_who_has_to_wait_for_the_database_gets_503_and_nothing_before(
    start_server: Callable[..., Server], agents_of: Agents, engine: str, method: str
) -> None:
    server = start_server({"KP_SET": "pa.notify_interval=0;db.busy_timeout=1"})
    agent = agents_of(server, "alice")
    with database(server) as lock:
        lock.execute(LOCKS[engine])
        send(agent, method)
        assert [each.status for each in answers(agent)] == [503]
        lock.rollback()


@pytest.fixture
def proxy(request: pytest.FixtureRequest, start_server: Callable[..., Server]) -> Server:
    """Relays MESSAGE to registered devices."""
    return start_server({"KP_CONFIGURATION": request.param})


@pytest.mark.parametrize("proxy", EXAMPLES, indirect=True, ids=lambda file: Path(file).stem)
@pytest.mark.parametrize(("said", "heard"), [(200, 200), (486, 486), (408, 480)])
def test_of_what_a_device_says_only_an_answer_goes_on(proxy: Server, agents_of: Agents, said: int, heard: int) -> None:
    phone, bob = agents_of(proxy, "alice"), agents_of(proxy, "bob")
    proxy.control("user", "add", "bob@example.org", "--password", "secret")
    phone.register()
    bob.send_raw(bob.build("MESSAGE", phone.aor, "Content-Type: text/plain", TIMESTAMP, body=b"hello", from_=own(proxy, bob)))
    message = phone.wait(lambda each: each.method == "MESSAGE")
    for status in (100, 180, said):
        phone.respond(message, status)
    assert [each.status for each in answers(bob)] == [heard]


@pytest.mark.parametrize(("said", "heard"), [(200, 200), (408, 480)])
def test_what_follows_a_route_gets_none_either(server: Server, agents_of: Agents, said: int, heard: int) -> None:
    """A request in a dialog of two others, which has our address in Route."""
    one, other = agents_of(server, "carol"), agents_of(server, "dave")
    fields = ("Event: presence", "Subscription-State: active", f"Route: <sip:{server.address[0]}:{server.port};lr>")
    one.send_raw(one.build("NOTIFY", f"sip:dave@{other.address}", *fields, to="<sip:dave@elsewhere.example.com>", to_tag="1"))
    notify = other.wait(lambda each: each.method == "NOTIFY")
    for status in (180, said):
        other.respond(notify, status)
    assert [each.status for each in answers(one)] == [heard]


def own(proxy: Server, agent: UserAgent) -> str:
    """From; a stranger where users would have to prove who they are."""
    is_asked = "no-authorization" in proxy.variables["KP_CONFIGURATION"]
    return "<sip:bob@elsewhere.example.com>" if is_asked else f"<{agent.aor}>"


@pytest.mark.rfc("TRN-022")
@pytest.mark.parametrize("proxy", EXAMPLES[1:], indirect=True, ids=lambda file: Path(file).stem)
def test_the_100_for_an_invite_repeats_its_timestamp(proxy: Server, agents_of: Agents) -> None:
    phone, bob = agents_of(proxy, "alice"), agents_of(proxy, "bob")
    phone.register()
    bob.send_raw(bob.build("INVITE", phone.aor, f"Contact: <{bob.contact}>", TIMESTAMP, from_=own(proxy, bob)))
    trying = bob.wait(lambda each: each.status > 0)
    assert (trying.status, trying.get("Timestamp")) == (100, "54.3")
    phone.respond(phone.wait(lambda each: each.method == "INVITE"), 486)
