"""Two of our servers in different domains: users of each watch users of the other (RFC 6665, RFC 3856 section 6)."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.server import Server
from tests.useragent import pidf
from tests.wire.federation import FAR, NEAR, Pair, seen, state_of
from tests.wire.observe import change, rows, wait_until


@pytest.fixture
def pair(start_server: Callable[..., Server]) -> Iterator[Pair]:
    """Two servers that know each other."""
    made = Pair(start_server)
    yield made
    made.close()


def test_a_user_elsewhere_is_watched_octet_by_octet(pair: Pair) -> None:
    bob, dan = pair.near("bob"), pair.far("dan")
    document = pidf("open", user="dan", domain=FAR, note="here I am")
    assert dan.publish(document).status == 200
    assert bob.subscribe(dan.aor).status == 200
    first = bob.notify()
    assert (state_of(first), first.body) == ("pending", b"")
    told = seen(bob, b"here I am")
    direct = pair.far("erin")
    direct.subscribe(dan.aor)
    assert told.body == direct.notify().body
    assert dan.publish(pidf("closed", user="dan", domain=FAR, note="gone")).status == 200
    assert b"gone" in seen(bob, b"gone").body


@pytest.mark.parametrize("is_there", [True, False])
def test_a_fetch_brings_the_document_and_nothing_stays(pair: Pair, is_there: bool) -> None:
    bob, dan = pair.near("bob"), pair.far("dan" if is_there else "nobody")
    if is_there:
        dan.publish(pidf("open", user="dan", domain=FAR, note="just once"))
    assert bob.subscribe(dan.aor, expires=0).status == 200
    told = bob.notify()
    assert told.get("Subscription-State") == "terminated;reason=timeout"
    assert (b"just once" in told.body) is is_there
    wait_until(lambda: not rows(pair.servers[1], "SELECT id FROM subscription"), "nobody is watched there", 20)
    assert not rows(pair.servers[0], "SELECT id FROM subscription")


def test_both_directions_at_once(pair: Pair) -> None:
    bob, dan = pair.near("bob"), pair.far("dan")
    bob.publish(pidf("open", user="bob", domain=NEAR, note="near"))
    dan.publish(pidf("open", user="dan", domain=FAR, note="far"))
    bob.subscribe(dan.aor)
    dan.subscribe(bob.aor)
    seen(bob, b"far")
    seen(dan, b"near")


def test_the_other_server_sees_one_subscription_of_ours_only(pair: Pair) -> None:
    dan = pair.far("dan")
    dan.publish(pidf("open", user="dan", domain=FAR))
    devices = [pair.near("bob") for _ in range(3)]
    for device in devices:
        device.subscribe(dan.aor)
        seen(device)
    found = rows(pair.servers[1], "SELECT watcher, remote_target, remote_tag FROM subscription")
    ((watcher, target, tag),) = found
    assert watcher == "sip:bob@" + NEAR
    assert f"127.0.0.1:{pair.servers[0].port};gr=" in target
    assert tag.startswith("kb-")


@pytest.mark.rfc("B2B-011")
def test_the_last_watcher_takes_the_subscription_with_it(pair: Pair) -> None:
    bob, dan = pair.near("bob"), pair.far("dan")
    done = bob.subscribe(dan.aor)
    seen(bob)
    bob.subscribe(dan.aor, expires=0, cseq=2, call_id=bob.call_id, from_tag=bob.from_tag, to_tag=done.to_tag)
    seen(bob, state="terminated")
    wait_until(lambda: not rows(pair.servers[1], "SELECT id FROM subscription"), "nobody is watched there", 20)
    wait_until(lambda: not rows(pair.servers[0], "SELECT dialog FROM outgoing"), "nobody is asked for here", 20)


@pytest.mark.rfc("B2B-009")
def test_dialogs_outlive_a_crash_of_either_side(pair: Pair) -> None:
    bob, dan = pair.near("bob"), pair.far("dan")
    bob.subscribe(dan.aor)
    seen(bob)
    near, far = pair.servers
    before = rows(near, "SELECT dialog, local_cseq FROM outgoing")
    for server in (near, far, near):
        server.kill()
        server.start()
    bob.inbox.clear()
    dan.publish(pidf("open", user="dan", domain=FAR, note="after the crash"))
    seen(bob, b"after the crash")
    assert rows(near, "SELECT dialog, local_cseq FROM outgoing") == before
    assert len(rows(far, "SELECT id FROM subscription")) == 1


def test_a_remote_server_that_has_lost_everything_is_subscribed_to_anew(pair: Pair) -> None:
    """Its watchers see nothing of that."""
    bob, dan = pair.near("bob"), pair.far("dan")
    bob.subscribe(dan.aor)
    seen(bob)
    near, far = pair.servers
    change(far, "DELETE FROM subscription")
    change(near, "UPDATE outgoing SET began_at = began_at - 60, refresh_at = 1, ask_at = 1")
    dan.publish(pidf("open", user="dan", domain=FAR, note="anew"))
    again = seen(bob, b"anew")
    assert state_of(again) == "active"
    assert len(rows(far, "SELECT id FROM subscription")) == 1


def test_who_refuses_there_is_refused_here(pair: Pair) -> None:
    """As the presentity's rules of the other side say."""
    bob, dan = pair.near("bob"), pair.far("dan")
    pair.servers[1].control("authorize", dan.aor, bob.aor, "confirm")
    bob.subscribe(dan.aor)
    assert state_of(bob.notify()) == "pending"
    pair.servers[1].control("authorize", dan.aor, bob.aor, "allow")
    seen(bob)
    pair.servers[1].control("authorize", dan.aor, bob.aor, "block")
    last = seen(bob, state="terminated")
    assert "reason=rejected" in last.get("Subscription-State")
    assert bob.subscribe(dan.aor).status == 403


def test_a_domain_that_is_not_named_is_not_served(pair: Pair) -> None:
    assert pair.near("bob").subscribe("sip:dan@elsewhere.example").status == 404


def test_presencectl_shows_what_is_going_on(pair: Pair) -> None:
    bob, dan = pair.near("bob"), pair.far("dan")
    bob.subscribe(dan.aor)
    seen(bob)
    near = pair.servers[0]
    assert dan.aor in near.control("b2b", "list", "--domain", FAR)
    assert near.control("b2b", "list", "--watcher", "sip:nobody@elsewhere.example").strip() == (
        "the server has no subscriptions of its own"
    )
    (listed,) = json.loads(near.control("b2b", "list", "--json"))
    assert (listed["phase"], listed["shown"]) == ("established", "active")
    assert "established" in near.control("b2b", "show", bob.aor, dan.aor)
    trace = near.control("b2b", "trace", bob.aor, dan.aor)
    assert "> SUBSCRIBE 1 expires=3600" in trace
    assert "< 200 to SUBSCRIBE 1" in trace
