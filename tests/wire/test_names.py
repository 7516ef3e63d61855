"""Where NOTIFYs go whose target is a name (RFC 3263): a name server of the tests' own is asked."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nameserver import NAPTR, Nameserver, Resolving, nameserver, why_not
from tests.repetitions import SLOW
from tests.server import Server, free_port
from tests.useragent import Agents, Message, UserAgent, parse, pidf
from tests.wire.commands import kamcmd
from tests.wire.observe import rows, wait_until_settled

pytestmark = pytest.mark.rfc("TRN-023")

BOB = "sip:bob@watchers.test"
HOST = "host.watchers.test"
TIMERS = [1000, pytest.param(0, marks=pytest.mark.skipif(not SLOW, reason="waits for Timer F, 32 s; SLOW=1 plays it"))]
"""Timer F, ms; 0: as it is."""

LONGER = 40.0
UDP, TCP = "_sip._udp.watchers.test", "_sip._tcp.watchers.test"


@pytest.fixture
def names(tmp_path: Path) -> Iterator[Nameserver]:
    """Knows one host."""
    reason = why_not(tmp_path)
    if reason:
        pytest.skip(reason)
    with nameserver() as running:
        running.address(HOST, "127.0.0.1")
        yield running


@pytest.fixture
def server(names: Nameserver, new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Server]:
    running = Resolving(names, {"KP_DB_URL": new_database(tmp_path)}, tmp_path)
    yield running.start()
    running.stop()


def port_of(agent: UserAgent) -> int:
    return int(agent.address.rpartition(":")[2])


def watch(agent: UserAgent, contact: str = BOB) -> None:
    fields = ("Event: presence", f"Contact: <{contact}>", "Expires: 600")
    assert agent.request("SUBSCRIBE", "sip:alice@example.org", *fields).status == 200


def branch_of(message: Message) -> str:
    return message.get("Via").partition("branch=")[2].partition(";")[0]


def first_over(listening: socket.socket) -> Message:
    """The first message of the next connection."""
    listening.settimeout(LONGER)
    connection, _ = listening.accept()
    with connection:
        connection.settimeout(LONGER)
        return parse(connection.recv(65536))


def shorten(server: Server, timer: int) -> None:
    """Timer F in the workers, which send what a SUBSCRIBE asks for at once."""
    if timer:
        kamcmd(server, "cfg.set_now_int", "tm", "fr_timer", str(timer))


def unanswered(agent: UserAgent) -> Message:
    return agent.wait(lambda each: each.method == "NOTIFY")


def test_a_port_and_a_host_come_of_srv_the_first_one_first(names: Nameserver, agents: Agents) -> None:
    first, second = agents("first"), agents("second")
    names.service(UDP, 20, port_of(second), HOST)
    names.service(UDP, 10, port_of(first), HOST)
    watch(agents("bob"))
    assert first.notify().start == f"NOTIFY {BOB} SIP/2.0"
    assert second.no_notify(0.2)


def test_naptr_says_which_transport(names: Nameserver, agents: Agents) -> None:
    """As its owner orders it, though Kamailio would like UDP better; TLS is not on here."""
    bob = agents("bob")
    names.pointer("watchers.test", 5, "SIPS+D2T", "_sips._tcp.watchers.test")
    names.pointer("watchers.test", 20, "SIP+D2U", UDP)
    names.pointer("watchers.test", 10, "SIP+D2T", TCP)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        names.service(UDP, 10, port_of(bob), HOST)
        names.service(TCP, 10, listening.getsockname()[1], HOST)
        watch(bob)
        told = first_over(listening)
    assert told.start == f"NOTIFY {BOB} SIP/2.0"
    assert told.get("Via").startswith("SIP/2.0/TCP ")
    assert bob.no_notify(0.2)


def test_with_a_port_the_name_is_that_of_a_host(names: Nameserver, agents: Agents) -> None:
    bob = agents("bob")
    names.address("watchers.test", "127.0.0.1")
    names.service(UDP, 10, free_port(), HOST)
    watch(bob, f"sip:bob@watchers.test:{port_of(bob)}")
    assert bob.notify().get("Event") == "presence"


def test_after_503_the_next_address_is_tried_in_a_branch_of_its_own(names: Nameserver, agents: Agents) -> None:
    first, second, alice = agents("first"), agents("second"), agents("alice")
    names.service(UDP, 10, port_of(first), HOST)
    names.service(UDP, 20, port_of(second), HOST)
    watch(agents("bob"))
    refused = unanswered(first)
    first.respond(refused, 503)
    told = second.notify()
    assert branch_of(told) != branch_of(refused)
    assert (told.cseq, told.body, told.from_tag) == (refused.cseq, refused.body, refused.from_tag)
    assert alice.publish(pidf()).status == 200
    assert first.notify().get("Subscription-State").startswith("active")


@pytest.mark.parametrize("timer", TIMERS)
def test_where_nobody_answers_the_next_address_is_tried_before_the_subscription_ends(
    names: Nameserver, server: Server, agents: Agents, timer: int
) -> None:
    silent, second = agents("silent"), agents("second")
    names.service(UDP, 10, port_of(silent), HOST)
    names.service(UDP, 20, port_of(second), HOST)
    shorten(server, timer)
    watch(agents("bob"))
    refused, told = unanswered(silent), second.notify(LONGER)
    assert branch_of(told) != branch_of(refused)
    assert (told.cseq, told.body) == (refused.cseq, refused.body)
    wait_until_settled(server)
    assert rows(server, "SELECT state FROM subscription") == [("active",)]


@pytest.mark.parametrize("timer", TIMERS)
def test_where_nobody_listens_the_next_address_is_tried(names: Nameserver, server: Server, agents: Agents, timer: int) -> None:
    """A refused connection counts as no answer: Kamailio looks further when Timer F fires."""
    shorten(server, timer)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        names.service(TCP, 10, free_port(), HOST)
        names.service(TCP, 20, listening.getsockname()[1], HOST)
        watch(agents("bob"), f"{BOB};transport=tcp")
        assert first_over(listening).start == f"NOTIFY {BOB};transport=tcp SIP/2.0"


def test_where_there_is_no_naptr_nothing_is_missed(names: Nameserver, agents: Agents) -> None:
    bob = agents("bob")
    names.service(UDP, 10, port_of(bob), HOST)
    watch(bob)
    assert bob.notify().get("Event") == "presence"
    assert ("watchers.test", NAPTR) in names.asked
