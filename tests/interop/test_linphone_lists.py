"""A real Linphone 5.1 watches its contacts by one subscription: a list that it sends along, or one of the server's."""

from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import pytest

from tests.interop.linphone import Linphone
from tests.interop.waiting import until
from tests.server import Server
from tests.verbs.lists import entries, services

ALICE, PASSWORD = "alice@example.org", "wonderland"
BOB, CAROL, DAVE, ERIN = (f"sip:{name}@example.org" for name in ("bob", "carol", "dave", "erin"))
RLS, FRIENDS, WORK = (f"sip:{name}@example.org" for name in ("rls", "friends", "work"))
ELSEWHERE = "sip:frank@elsewhere.example"
RUNS = [("sqlite", "udp"), ("postgresql", "tcp")]

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


@pytest.fixture
def parameters() -> str:
    return "pa.notify_interval=0;rls.timer_interval=0"


@pytest.fixture
def own_server(start_server: Callable[..., Server], parameters: str) -> Server:
    """A server that believes nobody without a password."""
    server = start_server({"KP_TRUSTED": "", "KP_SET": parameters})
    server.control("user", "add", ALICE, "--password", PASSWORD)
    return server


@pytest.fixture
def transport() -> str:
    return "udp"


@pytest.fixture
def linphone(own_server: Server, transport: str, tmp_path: Path) -> Iterator[Linphone]:
    """Alice's, which is not started yet."""
    folder = tmp_path / "alice"
    folder.mkdir()
    made = Linphone(folder, own_server.address, ALICE, PASSWORD, transport)
    yield made
    made.stop()


def put_services(server: Server, folder: Path, content: str, *more: tuple[str, str]) -> None:
    """Alice's lists: her friends, and more."""
    file = folder / "services"
    file.write_bytes(services((FRIENDS, content), *more))
    server.control("xcap", "put", f"rls-services/users/sip:{ALICE}/index", str(file))


def named(uri: str, name: str) -> str:
    return f'<entry uri="{uri}"><display-name>{escape(name)}</display-name></entry>'


def close(server: Server, linphone: Linphone) -> None:
    """It was asked for its password and goes as it should; nothing went wrong on either side.

    It unregisters before its subscription has ended: the last NOTIFY finds nobody, or is answered with 481.
    """
    assert {line.split()[1] for line in linphone.refused()} == {"401"}
    assert linphone.quit() == 0
    until(lambda: server.control("subscriptions", "--json").strip() == "[]", "no subscription is left")
    lines = server.log.read_text().splitlines()
    refused = [line for line in lines if "refused:" in line and "refused: 480 NOTIFY" not in line]
    assert [line for line in refused if "registrations are being read" not in line] == []
    assert "Traceback" not in "".join(lines)


@pytest.mark.rfc("RLS-038", "RLS-018")
@pytest.mark.parametrize(("engine", "transport"), RUNS, indirect=["engine"])
def test_linphone_shows_the_contacts_that_it_sends_along(own_server: Server, linphone: Linphone) -> None:
    linphone.watch(RLS, BOB, CAROL)
    linphone.wait_until_it_shows({BOB: "Offline", CAROL: "Offline"})
    own_server.control("publish", BOB, "open")
    linphone.wait_until_it_shows({BOB: "Online", CAROL: "Offline"})
    own_server.control("publish", CAROL, "open", "--activity", "away")
    linphone.wait_until_it_shows({BOB: "Online", CAROL: "Away"})
    own_server.control("unpublish", BOB)
    linphone.wait_until_it_shows({BOB: "Offline", CAROL: "Away"})
    sent = linphone.trace()
    assert "Content-Encoding: deflate" in sent
    assert "Require: recipient-list-subscribe" in sent
    close(own_server, linphone)


@pytest.mark.rfc("RLS-027")
@pytest.mark.parametrize(("engine", "transport"), RUNS, indirect=["engine"])
def test_linphone_shows_whoever_is_in_a_list_of_the_server(own_server: Server, linphone: Linphone, tmp_path: Path) -> None:
    put_services(own_server, tmp_path, entries([BOB]))
    linphone.watch_list(FRIENDS)
    linphone.wait_until_it_shows({BOB: "Offline"})
    own_server.control("publish", BOB, "open")
    linphone.wait_until_it_shows({BOB: "Online"})
    put_services(own_server, tmp_path, entries([BOB, CAROL]))
    linphone.wait_until_it_shows({BOB: "Online", CAROL: "Offline"})
    close(own_server, linphone)


@pytest.mark.rfc("RLS-020", "RLS-023", "RLS-025")
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_linphone_takes_whatever_a_list_tells(own_server: Server, linphone: Linphone, tmp_path: Path) -> None:
    """Names, lists in lists, who is not decided about, refused, or nobody here: it shows those whose state it is told."""
    for presentity, decision in {CAROL: "block", DAVE: "confirm"}.items():
        own_server.control("authorize", presentity, ALICE, decision)
    content = named(BOB, "Bob <&> Söhne") + entries([WORK, CAROL, DAVE, ELSEWHERE])
    put_services(own_server, tmp_path, content, (WORK, entries([ERIN, BOB])))
    linphone.watch_list(FRIENDS)
    linphone.wait_until_it_shows({BOB: "Offline"})
    own_server.control("publish", ERIN, "open")
    own_server.control("publish", BOB, "open")
    linphone.wait_until_it_shows({BOB: "Online"})
    own_server.control("authorize", DAVE, ALICE, "allow")
    linphone.wait_until_it_shows({BOB: "Online", DAVE: "Offline"})
    own_server.control("authorize", BOB, ALICE, "block")
    own_server.control("publish", DAVE, "open")
    linphone.wait_until_it_shows({BOB: "Online", DAVE: "Online"})
    told = linphone.trace()
    for each in ('state="pending"', 'reason="rejected"', 'reason="noresource"', "Bob &lt;&amp;&gt; Söhne", f'uri="{WORK}"'):
        assert each in told
    close(own_server, linphone)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("parameters", ["pa.notify_interval=0;rls.timer_interval=0;pa.client_profiles=0"])
def test_linphone_shows_nobody_when_it_is_treated_as_everybody_else(own_server: Server, linphone: Linphone) -> None:
    """It answers NOTIFYs that are as the RFCs say with 200, and drops them."""
    linphone.watch(RLS, BOB)
    until(lambda: linphone.answered() == 1, "it has answered the first NOTIFY")
    own_server.control("publish", BOB, "open")
    until(lambda: linphone.answered() == 2, "it has answered the second NOTIFY")
    assert linphone.shows() == {}
    close(own_server, linphone)
