"""Lists of resources and two servers: members of both in one list, and a list of the other one (RFC 4662)."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.multipart import Reader
from tests.server import Server
from tests.useragent import UserAgent, pidf
from tests.verbs.lists import ACCEPT, entries, services
from tests.wire.federation import FAR, NEAR, Pair

LISTS = {"rls__timer_interval": 0, "rls__auth": "none"}
SUPPORTED = ("Supported: eventlist", f"Accept: {ACCEPT}")


@pytest.fixture
def pair(start_server: Callable[..., Server]) -> Iterator[Pair]:
    made = Pair(start_server, **LISTS)
    yield made
    made.close()


def put(server: Server, owner: str, uri: str, *members: str) -> None:
    """The owner's list has these members."""
    headers = {"Content-Type": "application/rls-services+xml", "X-3GPP-Asserted-Identity": f'"{owner}"'}
    with httpx.Client(base_url=f"http://{server.address[0]}:{server.http_port}") as web:
        path = f"/xcap-root/rls-services/users/{owner}/index"
        assert web.put(path, content=services((uri, entries(members))), headers=headers).status_code == 201


def told_of(agent: UserAgent, reader: Reader, uri: str, words: bytes) -> None:
    """Until the list has this document of a member."""
    while words not in (dict(reader.instances()).get(uri, NOBODY).body or b""):
        message = agent.notify(10)
        if message.body:
            reader.take(message.get("Content-Type"), message.body)


class Nobody:
    body = b""


NOBODY = Nobody()


@pytest.mark.rfc("B2B-023")
def test_a_list_has_members_of_both_servers(pair: Pair) -> None:
    bob, alice, dan = pair.near("bob"), pair.near("alice"), pair.far("dan")
    friends = f"sip:friends@{NEAR}"
    put(pair.servers[0], bob.aor, friends, alice.aor, dan.aor)
    alice.publish(pidf("open", user="alice", domain=NEAR, note="near"))
    dan.publish(pidf("open", user="dan", domain=FAR, note="far"))
    assert bob.subscribe(friends, *SUPPORTED).status == 200
    reader = Reader()
    told_of(bob, reader, alice.aor, b"near")
    told_of(bob, reader, dan.aor, b"far")
    dan.publish(pidf("closed", user="dan", domain=FAR, note="away", tuple_id="t2"))
    told_of(bob, reader, dan.aor, b"away")


@pytest.mark.rfc("B2B-020", "B2B-021")
def test_a_list_of_the_other_server_is_watched(pair: Pair) -> None:
    bob, dan, eve = pair.near("bob"), pair.far("dan"), pair.far("eve")
    team = f"sip:team@{FAR}"
    put(pair.servers[1], dan.aor, team, dan.aor, eve.aor)
    dan.publish(pidf("open", user="dan", domain=FAR, note="dan is here"))
    assert bob.subscribe(team, *SUPPORTED).status == 200
    reader = Reader()
    told_of(bob, reader, dan.aor, b"dan is here")
    eve.publish(pidf("open", user="eve", domain=FAR, note="eve too"))
    told_of(bob, reader, eve.aor, b"eve too")
    assert b"dan is here" in dict(reader.instances())[dan.aor].body
