"""Blink's way of using XCAP and lists, from the capability query to rules that change who is shown in a list."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests import watcherinfo, xcapdiff
from tests.interop.blink import BLOCKED, GRANTED, LISTS_DOCUMENT, NEEDED, WATCHED, Blink
from tests.multipart import Told
from tests.server import Server

PASSWORDS = {"alice": "wonderland", "bob": "builder"}
ACTIVE, PENDING = ("active", None), ("pending", None)
ALICE, BOB, CAROL = (f"sip:{name}@example.org" for name in ("alice", "bob", "carol"))

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


@pytest.fixture
def blinks(start_server: Callable[..., Server]) -> Iterator[tuple[Blink, Blink]]:
    """Those of two users at a server where everybody has rules."""
    server = start_server({"KP_SET": "pa.notify_interval=0;rls.timer_interval=0;pa.auth=xcap"})
    for user, password in PASSWORDS.items():
        server.control("user", "add", f"{user}@example.org", "--password", password)
    made = Blink(server, "alice", PASSWORDS["alice"]), Blink(server, "bob", PASSWORDS["bob"])
    yield made
    for each in made:
        each.close()


def begin(blink: Blink, *contacts: str) -> Told:
    """What it does when its user starts it for the first time; the first NOTIFY about its list."""
    served = blink.served()
    assert served >= NEEDED
    assert set(blink.fetch(served).values()) == {404}
    assert blink.watch_documents(served).status == 200
    assert xcapdiff.read(blink.told("xcap-diff").body).parts == ()
    assert blink.put_lists({WATCHED: contacts}) == blink.put_services() == blink.put_rules() == 201
    answer = blink.watch_contacts()
    assert (answer.status, answer.get("Require")) == (200, "eventlist")
    assert (blink.watch_watchers().status, blink.publish("here")) == (200, 200)
    return blink.told_contacts()


def said(told: Told) -> dict[str, tuple[str, str | None]]:
    return {each.uri: each.instances[0].said for each in told.resources if each.instances}


def is_shown(told: Told, uri: str) -> bool:
    """Whether somebody is shown as it is."""
    body = told.instance(uri).body
    assert isinstance(body, bytes)
    return b"here" in body


def until_it_hears(blink: Blink, watcher: tuple[str, str, str]) -> None:
    """It is told this of a watcher."""
    while watcher not in watcherinfo.read(blink.told("presence.winfo").body).entries:
        pass


def until_it_knows_its_lists(blink: Blink) -> None:
    """It is told the entity-tag that its PUT has got."""
    wanted = blink.etag(LISTS_DOCUMENT)
    while wanted not in [new for _, new in xcapdiff.read(blink.told("xcap-diff").body).tags.values()]:
        pass


def test_the_first_put_may_be_a_question(blinks: tuple[Blink, Blink]) -> None:
    """It learns the nonce by a PUT without a body."""
    alice, _ = blinks
    head = {"Content-Type": "application/resource-lists+xml", "If-None-Match": "*"}
    answer = httpx.put(f"{alice.root}/resource-lists/users/{ALICE}/index", headers=head)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Digest ")
    assert alice.put_lists({}) == 201


@pytest.mark.rfc("RLS-003", "RLS-005", "RLS-015", "RLS-023", "RLS-027", "XCS-044")
def test_two_blinks_find_and_lose_each_other(blinks: tuple[Blink, Blink]) -> None:
    alice, bob = blinks
    begin(alice, CAROL)
    first = begin(bob, ALICE)
    assert (first.uri, first.is_full, said(first)) == ("sip:bob+presence@example.org", True, {ALICE: PENDING})
    until_it_hears(alice, (BOB, "pending", "subscribe"))
    alice.put_lists({GRANTED: [BOB], WATCHED: [CAROL, BOB]})
    until_it_knows_its_lists(alice)
    longer = alice.told_contacts()
    assert (longer.is_full, said(longer)) == (True, {CAROL: PENDING, BOB: PENDING})
    assert is_shown(bob.told_contacts(), ALICE)
    until_it_hears(alice, (BOB, "active", "approved"))
    bob.put_lists({GRANTED: [ALICE], WATCHED: [ALICE]})
    assert is_shown(alice.told_contacts(), BOB)
    alice.put_lists({BLOCKED: [BOB], WATCHED: [CAROL, BOB]})
    politely = bob.told_contacts()
    assert (said(politely), is_shown(politely, ALICE)) == ({ALICE: ACTIVE}, False)
    assert (alice.put_lists({WATCHED: [CAROL, BOB]}), alice.put_rules("block")) == (200, 200)
    while (last := said(bob.told_contacts())[ALICE]) != ("terminated", "rejected"):
        assert last in (ACTIVE, PENDING)


@pytest.mark.rfc("AUTH-012")
def test_a_rule_with_transformations_shows_what_they_say_and_nothing_else(blinks: tuple[Blink, Blink]) -> None:
    """Blink itself writes none, and everything is shown; with them RFC 5025 counts, and the watcher is active all the same."""
    alice, bob = blinks
    begin(alice)
    assert (alice.put_lists({GRANTED: [BOB]}), alice.put_rules(shown="<cp:transformations/>")) == (200, 200)
    told = begin(bob, ALICE)
    assert (said(told), is_shown(told, ALICE)) == ({ALICE: ACTIVE}, False)
    assert alice.put_rules() == 200
    assert is_shown(bob.told_contacts(), ALICE)
