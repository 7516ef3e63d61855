"""Lists survive kill -9: the subscription and its members go on, versions grow, and everything that is new is told (RFC 4662)."""

from collections.abc import Callable

import httpx
import pytest

from tests.multipart import Reader, Told
from tests.server import Server
from tests.useragent import Message, UserAgent, pidf
from tests.verbs.lists import ACCEPT, entries, services
from tests.wire.observe import rows, wait_until, wait_until_settled

pytestmark = pytest.mark.crash
BOB, ALICE, CAROL, DAVE = (f"sip:{name}@example.org" for name in ("bob", "alice", "carol", "dave"))
LIST, WORK = "sip:bobs-list@example.org", "sip:bobs-work@example.org"


class Watcher:
    """Bob, who watches a list; each body is read as it comes."""

    def __init__(self, server: Server, expires: int = 600) -> None:
        self.server = server
        self.agent = UserAgent(server.address, "bob")
        self.reader = Reader()
        self.cseq = 0
        self.dialog = self.subscribe(expires)
        self.told()

    def subscribe(self, expires: int = 600, **more: str | int) -> Message:
        answer = self.agent.subscribe(LIST, "Supported: eventlist", f"Accept: {ACCEPT}", expires=expires, **more)
        assert (answer.status, answer.get("Require")) == (200, "eventlist")
        return answer

    def refresh(self) -> None:
        dialog = {"call_id": self.agent.call_id, "from_tag": self.agent.from_tag, "to_tag": self.dialog.to_tag}
        self.subscribe(cseq=2, **dialog)

    def told(self) -> Told:
        """The next NOTIFY, which is answered; its number is higher than all before, and its body follows theirs."""
        message = self.agent.notify()
        assert message.cseq > self.cseq
        self.cseq = message.cseq
        return self.reader.take(message.get("Content-Type"), message.body)

    def knows(self, uri: str, note: str) -> bool:
        return any(each == uri and note in str(instance.body) for each, instance in self.reader.instances())


def put(server: Server, *lists: tuple[str, str]) -> None:
    headers = {"X-3GPP-Asserted-Identity": f'"{BOB}"', "Content-Type": "application/rls-services+xml"}
    path = f"http://127.0.0.1:{server.http_port}/xcap-root/rls-services/users/{BOB}/index"
    assert httpx.put(path, content=services(*lists), headers=headers).status_code in (200, 201)


def publish(server: Server, user: str, note: str) -> None:
    agent = UserAgent(server.address, user)
    assert agent.publish(pidf(user=user, note=note)).status == 200
    agent.close()


def crash(server: Server) -> None:
    server.kill()
    server.start()


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    """One whose user Bob has a list with a list in it."""
    started = start_server()
    put(started, (LIST, entries([ALICE, WORK])), (WORK, entries([CAROL])))
    return started


@pytest.mark.rfc("RLS-004", "RLS-018")
def test_a_list_goes_on_after_a_crash(server: Server) -> None:
    bob = Watcher(server)
    publish(server, "alice", "before")
    assert bob.told().version == 1
    wait_until_settled(server, "list_id = ''")
    crash(server)
    publish(server, "alice", "after")
    told = bob.told()
    assert (told.version, told.is_full, told.uris) == (2, False, [ALICE])
    assert bob.knows(ALICE, "after")
    publish(server, "carol", "below")
    told = bob.told()
    assert (told.version, told.uris) == (3, [WORK])
    assert bob.knows(WORK, "below")
    bob.refresh()
    told = bob.told()
    assert (told.version, told.is_full) == (4, True)


@pytest.mark.rfc("RLS-005")
def test_after_a_notify_whose_answer_died_with_the_server_everything_is_told(server: Server) -> None:
    bob = Watcher(server)
    bob.agent.answer_notify = 0
    publish(server, "alice", "lost")
    lost = bob.agent.notify()
    server.kill()
    bob.agent.inbox.clear()
    bob.agent.answer_notify, bob.cseq = 200, lost.cseq
    server.start()
    told = bob.told()
    assert (told.version, told.is_full) == (2, True)
    assert bob.knows(ALICE, "lost")


def test_a_change_that_was_not_told_yet_is_told(start_server: Callable[..., Server]) -> None:
    """It stands with the member, or with the list, when the server is killed."""
    server = start_server({"KP_SET": "rls.timer_interval=3"})
    put(server, (LIST, entries([ALICE, CAROL])))
    bob = Watcher(server)
    publish(server, "alice", "one")
    publish(server, "carol", "two")
    crash(server)
    while not (bob.knows(ALICE, "one") and bob.knows(CAROL, "two")):
        bob.told()


@pytest.mark.rfc("RLS-027")
def test_another_list_is_told_after_a_crash(server: Server) -> None:
    bob = Watcher(server)
    server.kill()
    server.start()
    put(server, (LIST, entries([ALICE, DAVE])))
    told = bob.told()
    assert (told.is_full, sorted(told.uris)) == (True, sorted([ALICE, WORK, DAVE]))


def test_nothing_is_left_of_a_list_that_expired_meanwhile(start_server: Callable[..., Server]) -> None:
    server = start_server({"KP_SET": "rls.min_expiration=1;rls.timer_interval=0"})
    put(server, (LIST, entries([ALICE, WORK])), (WORK, entries([CAROL])))
    bob = Watcher(server, expires=2)
    wait_until_settled(server, "list_id = ''")
    server.kill()
    server.start()
    bob.told()
    wait_until(lambda: not rows(server, "SELECT id FROM subscription"), "all rows are gone")
    assert rows(server, "SELECT * FROM list_document") == []
