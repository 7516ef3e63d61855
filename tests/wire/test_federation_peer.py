"""Kamailio's C presence module as the remote server: what it says is shown here, and a restart of it is not seen."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server import Server
from tests.useragent import Message, UserAgent, pidf
from tests.wire.cpresence import CPresence
from tests.wire.federation import FAR, NEAR, seen, variables
from tests.wire.observe import change, rows, wait_until


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[CPresence]:
    running = CPresence(tmp_path / "peer").start()
    yield running
    running.stop()


@pytest.fixture
def near(start_server: Callable[..., Server], peer: CPresence) -> Server:
    return start_server(variables(NEAR, FAR, peer.port, b2b__on_error_retry_time=1, b2b__min_resubscribe_time=1))


@pytest.fixture
def bob(near: Server) -> Iterator[UserAgent]:
    agent = UserAgent(near.address, "bob", NEAR)
    yield agent
    agent.close()


@pytest.fixture
def dan(peer: CPresence) -> Iterator[UserAgent]:
    agent = UserAgent(peer.address, "dan", FAR)
    yield agent
    agent.close()


def publish(dan: UserAgent, note: str, etag: str = "") -> Message:
    return dan.publish(pidf("open", user="dan", domain=FAR, note=note), etag=etag)


def test_its_users_are_watched(bob: UserAgent, dan: UserAgent, near: Server) -> None:
    etag = publish(dan, "at the peer").get("SIP-ETag")
    bob.subscribe(dan.aor)
    first = seen(bob, b"at the peer")
    dan.subscribe(dan.aor)
    assert dan.notify().body == first.body
    publish(dan, "elsewhere now", etag)
    seen(bob, b"elsewhere now")
    ((phase, shown),) = rows(near, "SELECT phase, shown FROM outgoing")
    assert (phase, shown) == ("established", "active")


@pytest.mark.rfc("B2B-011")
def test_the_peer_is_left_when_the_last_watcher_has_gone(bob: UserAgent, dan: UserAgent, near: Server) -> None:
    publish(dan, "here")
    done = bob.subscribe(dan.aor)
    seen(bob, b"here")
    bob.subscribe(dan.aor, expires=0, cseq=2, call_id=bob.call_id, from_tag=bob.from_tag, to_tag=done.to_tag)
    seen(bob, state="terminated")
    wait_until(lambda: not rows(near, "SELECT dialog FROM outgoing"), "it was told, and has said its last word", 20)


@pytest.mark.rfc("B2B-008", "B2B-010")
def test_its_restart_is_not_seen_by_watchers(bob: UserAgent, dan: UserAgent, near: Server, peer: CPresence) -> None:
    publish(dan, "before")
    bob.subscribe(dan.aor)
    seen(bob, b"before")
    ((first,),) = rows(near, "SELECT dialog FROM outgoing")
    peer.stop()
    peer.start()
    publish(dan, "after")
    change(near, "UPDATE outgoing SET began_at = began_at - 60, refresh_at = 1, ask_at = 1")
    told = seen(bob, b"after")
    assert told.get("Subscription-State").startswith("active")
    ((second,),) = rows(near, "SELECT dialog FROM outgoing")
    assert second != first
