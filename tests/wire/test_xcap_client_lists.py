"""Lists that a plain web server has, laid out as SER had them, in the running server: watched, and changed there."""

from collections.abc import Callable
from itertools import count

import pytest

from tests.multipart import Reader
from tests.nginx import Nginx
from tests.server import Server
from tests.useragent import Agents, UserAgent, pidf
from tests.verbs.lists import ACCEPT, FRIENDS, entries, services
from tests.wire.observe import wait_until
from tests.wire.plainfiles import ALICE, ALLOW, BLOCK, RULES_FILE, nginx, serve

__all__ = ["nginx", "serve"]

CAROL, DAVE = "sip:carol@example.org", "sip:dave@example.org"
INDEX = "rls-services/global/index"
OWN_LISTS = "resource-lists/users/bob/resource-list.xml"
ACTIVE, PENDING, REJECTED, NORESOURCE = (
    ("active", None),
    ("pending", None),
    ("terminated", "rejected"),
    ("terminated", "noresource"),
)


def rules_of(user: str) -> str:
    return RULES_FILE.replace("alice", user)


def watch(watcher: UserAgent, uri: str) -> Reader:
    """As a client does that is told to come again (RFC 3261 section 21.5.4), only sooner."""
    statuses: list[int] = []

    def is_accepted() -> bool:
        statuses.append(watcher.subscribe(uri, "Supported: eventlist", f"Accept: {ACCEPT}").status)
        return statuses[-1] == 200

    wait_until(is_accepted, "the list is known")
    assert set(statuses[:-1]) <= {503}
    return Reader()


def follow(watcher: UserAgent, reader: Reader, wanted: dict[str, tuple[str, str | None]]) -> None:
    """Take NOTIFYs until this is what they have said."""
    while {uri: instance.said for uri, instance in reader.instances()} != wanted:
        message = watcher.notify(timeout=15)
        reader.take(message.get("Content-Type"), message.body)


@pytest.mark.rfc("XCC-002", "XCC-012", "RLS-010", "RLS-027")
def test_a_list_for_everybody_is_watched_and_follows_the_files(
    serve: Callable[..., Server], nginx: Nginx, agents_of: Agents
) -> None:
    nginx.put(INDEX, services((FRIENDS, entries([ALICE, CAROL]))))
    nginx.put(RULES_FILE, ALLOW)
    nginx.put(rules_of("carol"), BLOCK)
    nginx.start()
    server = serve(pa__auth="xcap", rls__timer_interval=0, xcap__fetch_freshness=1)
    watcher = agents_of(server, "bob")
    reader = watch(watcher, FRIENDS)
    follow(watcher, reader, {ALICE: ACTIVE, CAROL: REJECTED})
    assert agents_of(server, "alice").publish(pidf()).status == 200
    while b"<basic>open</basic>" not in (told := watcher.notify()).body:
        reader.take(told.get("Content-Type"), told.body)
    reader.take(told.get("Content-Type"), told.body)
    nginx.put(rules_of("dave"), ALLOW)
    nginx.put(INDEX, services((FRIENDS, entries([ALICE, DAVE]))))
    follow(watcher, reader, {ALICE: ACTIVE, CAROL: NORESOURCE, DAVE: ACTIVE})
    nginx.put(RULES_FILE, None)
    follow(watcher, reader, {ALICE: PENDING, CAROL: NORESOURCE, DAVE: ACTIVE})


@pytest.mark.rfc("XCC-012")
def test_every_user_has_a_list_in_sers_file(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents) -> None:
    """Without namespaces, as the handbook's examples are."""
    nginx.put(OWN_LISTS, f'<resource-lists><list name="default">{entries([ALICE])}</list></resource-lists>'.encode())
    nginx.start()
    parameters = {"rls__simple_list": "$uid-list", "rls__resource_lists_file": "resource-list.xml", "rls__timer_interval": 0}
    server = serve(xcap__fetch_freshness=1, **parameters)
    watcher = agents_of(server, "bob")
    reader = watch(watcher, "sip:bob-list@example.org")
    told = watcher.notify()
    assert reader.take(told.get("Content-Type"), told.body).uris == [ALICE], "what is not known yet is not told"
    follow(watcher, reader, {ALICE: ACTIVE})
    nginx.put(OWN_LISTS, f'<resource-lists><list name="default">{entries([ALICE, CAROL])}</list></resource-lists>'.encode())
    follow(watcher, reader, {ALICE: ACTIVE, CAROL: ACTIVE})


@pytest.mark.rfc("RLS-019", "RLS-027", "XCC-012")
def test_a_uri_becomes_a_list_and_is_one_no_more(serve: Callable[..., Server], nginx: Nginx, agents_of: Agents) -> None:
    """Who was told that it is no list comes again when a refresh finds it; when it is gone that is told too."""
    nginx.start()
    server = serve(rls__timer_interval=0, xcap__fetch_freshness=1)
    watcher = agents_of(server, "bob")
    watch(watcher, FRIENDS)
    first = watcher.notify()
    assert first.get("Content-Type") == "application/pidf+xml"
    nginx.put(INDEX, services((FRIENDS, entries([ALICE]))))
    cseq = count(2)

    def is_over() -> bool:
        dialog = {"call_id": first.get("Call-ID"), "from_tag": first.to_tag, "to_tag": first.from_tag, "cseq": next(cseq)}
        return watcher.subscribe(FRIENDS, "Supported: eventlist", f"Accept: {ACCEPT}", **dialog).status == 481

    wait_until(is_over, "the list is found")
    while watcher.notify().get("Subscription-State") != "terminated;reason=deactivated":
        pass
    reader = watch(watcher, FRIENDS)
    follow(watcher, reader, {ALICE: ACTIVE})
    nginx.put(INDEX, None)
    follow(watcher, reader, {ALICE: NORESOURCE})
