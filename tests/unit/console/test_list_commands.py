"""presencectl rls: subscriptions to lists, for people and for programs."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from kemi import settings, subscribe
from kemi.b2bua import relay
from kemi.b2bua.relay import Wish
from kemi.subscribe import tag_of
from kemi.subscription import Subscription
from tests.unit.console.printed import found, keys
from tests.unit.values import ALICE, BOB, CAROL, SUBSCRIBE
from tests.verbs.abroad import DAN, Abroad
from tests.verbs.lists import ACCEPT, FRIENDS, Lists, Subscriber, entries
from tests.verbs.world import SECRET, World

Run = Callable[..., Result]
WORK, DORA = "sip:work@example.org", "sip:dora@elsewhere.example"
NAMED = f'<entry uri="{ALICE}"><display-name xml:lang="en">Alice</display-name></entry>'
LIST_ELSEWHERE = (
    b'--b\r\nContent-Type: application/rlmi+xml;charset="UTF-8"\r\nContent-ID: <r@far>\r\n\r\n'
    b'<list xmlns="urn:ietf:params:xml:ns:rlmi" uri="sip:dan@far.example.net" version="0" fullState="true"/>\r\n--b--\r\n'
)


@pytest.fixture
def lists(control: Run, configuration: Path) -> Iterator[Lists]:
    """What a server has done in this database: bob has a list with a list in it."""
    world = World(settings.load({}, configuration).db_url)
    world.now = time.time()
    world.set_lists(timer_interval=60)
    made = Lists(world)
    made.put_services((FRIENDS, NAMED + entries([WORK, DORA])), (WORK, entries([CAROL])))
    yield made
    world.close()


def watch(lists: Lists, watcher: str = BOB) -> Subscriber:
    return lists.watch(watcher=watcher, user_agent="Blink Pro 5.9", expires="630")


# For people


def test_nobody_watches_a_list(control: Run) -> None:
    assert control("rls", "list").stdout == "nobody watches a list\n"
    assert control("rls", "trace").stdout == "nobody watches a list\n"


def test_each_subscription_to_a_list_is_a_line(control: Run, lists: Lists) -> None:
    dialog = watch(lists).dialog
    header, *lines = control("rls", "list").stdout.splitlines()
    assert re.split("  +", header) == ["watcher", "list", "package", "state", "members", "version", "expires in", "profile", "id"]
    assert [re.split("  +", line) for line in lines] == [
        [BOB, FRIENDS, "presence", "active", "2 active, 1 terminated", "1", "10 min", "standard", dialog]
    ]


def test_the_members_of_one(control: Run, lists: Lists) -> None:
    dialog = watch(lists).dialog
    lists.world.publish()
    assert control("rls", "show", "bob@example.org", "friends@example.org").stdout.splitlines() == [
        f"{FRIENDS}  presence, for {BOB}: active, 10 min left",
        f"  3 members: 2 active, 1 terminated; documents sent: 1; id={dialog}",
        f'    1  {ALICE} "Alice"  active  (allow)  has news',
        f"    2  {WORK}  active  (allow)  a list",
        f"        1  {CAROL}  active  (allow)",
        f"    3  {DORA}  terminated;noresource",
    ]


def test_a_member_that_is_gone_is_shown_until_that_is_told(control: Run, lists: Lists) -> None:
    subscriber = lists.watch(expires="630")
    lists.put(WORK)
    world = lists.world
    changed = world.subscription(subscriber.dialog)
    with world.database.transaction():
        world.packages[changed.package].populate(world.moment, changed)  # type: ignore[misc]
    shown = control("rls", "show", "bob@example.org", "friends@example.org").stdout
    assert f'    1  {ALICE} "Alice"  terminated;noresource  not in the list any more  has news' in shown.splitlines()
    subscriber.told()
    assert ALICE not in control("rls", "show", "bob@example.org", "friends@example.org").stdout


def test_trace_tells_all_list_subscriptions_or_those_that_are_asked_for(control: Run, lists: Lists) -> None:
    lists.put(ALICE, owner=CAROL, uri="sip:carols@example.org")
    watch(lists)
    lists.watch(watcher=CAROL, uri="sip:carols@example.org")
    printed = control("rls", "trace").stdout
    for line in (
        f"{FRIENDS}  presence, for {BOB}: active, 10 min left",
        f"  made of     rls-services/{BOB}",
        "  3 members: 2 active, 1 terminated",
        f"        1  {CAROL}  active  (allow)",
        "  client      Blink Pro 5.9 (profile standard)",
        "  1 member: 1 active",
        "subscription count: 2",
    ):
        assert line in printed.splitlines()
    assert control("rls", "trace", "--watcher", "carol@example.org").stdout.endswith("subscription count: 1\n")
    assert control("rls", "trace", "--list", "friends@example.org").stdout.count(FRIENDS) == 1


def test_a_member_says_in_its_own_trace_whose_it_is(control: Run, lists: Lists) -> None:
    dialog = watch(lists).dialog
    assert f"    in a list   id={dialog}; presencectl rls shows it" in control("trace", ALICE).stdout.splitlines()
    (line,) = (each for each in control("subscriptions", "--resource", ALICE).stdout.splitlines()[1:])
    assert line.endswith(dialog)
    assert "rls.auth = owner" in control("trace", FRIENDS).stdout


def test_a_list_that_nobody_watches_is_said(control: Run, lists: Lists) -> None:
    watch(lists)
    for arguments in (("carol@example.org", "friends@example.org"), ("bob@example.org", "work@example.org")):
        done = control("rls", "show", *arguments)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert "watches no list" in done.stderr
    assert control("rls", "show", "bob@example.org", "friends@example.org", "--package", "dialog").exit_code == 1


def test_a_limit_is_said(control: Run, lists: Lists) -> None:
    watch(lists)
    watch(lists)
    done = control("rls", "list", "--limit", "1")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "there are more; --limit shows more than 1\n"


# For programs


def test_the_keys_of_lists(control: Run, lists: Lists) -> None:
    dialog = watch(lists).dialog
    (listed,) = found(control("rls", "list", "--json"))
    assert set(listed) == keys("watched list")
    assert (listed["members"], listed["version"], listed["reason"]) == ({"active": 2, "terminated": 1}, 1, None)
    (shown,) = found(control("rls", "show", BOB, FRIENDS, "--json"))
    assert set(shown) == keys("watched list")
    alice, work, dora = shown["members"]
    assert set(alice) == set(work) == keys("member")
    assert (alice["names"], alice["is_list"], alice["members"]) == ([{"language": "en", "text": "Alice"}], False, [])
    assert [each["uri"] for each in work["members"]] == [CAROL]
    assert (dora["state"], dora["reason"]) == ("terminated", "noresource")
    (traced,) = found(control("rls", "trace", "--json"))
    assert set(traced) == keys("traced list")
    assert set(traced["subscription"]) == set(Subscription._fields) | keys("subscription") | keys("watching")
    assert traced["documents"] == [f"rls-services/{BOB}"]
    assert (traced["subscription"]["id"], traced["members"]) == (dialog, shown["members"])
    (member,) = found(control("trace", ALICE, "--json"))["watchers"]
    assert (member["deadline"], member["deadline_in"]) == ("of its list", None)


@pytest.fixture
def abroad(control: Run, configuration: Path) -> Iterator[Abroad]:
    """Two servers elsewhere in this database; whom bob's client, which knows lists, watches there may be a list."""
    world = Abroad(settings.load({}, configuration).db_url)
    world.now = time.time()
    yield world
    world.close()


def test_somebody_elsewhere_is_a_list_once_its_server_tells_one(control: Run, abroad: Abroad) -> None:
    relay.want(abroad.moment, BOB, DAN, "presence;list", Wish("tag"), relay.name_of(SECRET))
    request = SUBSCRIBE._replace(uri=DAN, to_uri=DAN, supported="eventlist", accept=ACCEPT)
    subscribe.subscribe(abroad.moment, request, DAN, BOB, tag_of(request, SECRET, is_list=True))
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    assert control("rls", "list").stdout == "nobody watches a list\n"
    abroad.notify_from_far(asked)
    assert control("rls", "list").stdout == "nobody watches a list\n"
    abroad.notify_from_far(asked, body=LIST_ELSEWHERE, content_type='multipart/related;type="application/rlmi+xml";boundary=b')
    (row,) = found(control("rls", "list", "--json"))
    assert (row["list"], row["members"]) == (DAN, {})
    (row,) = found(control("rls", "trace", "--json"))
    assert row["is_elsewhere"]


def test_it_is_said_how_it_stands_with_members_elsewhere(control: Run, lists: Lists, abroad: Abroad) -> None:
    abroad.set_lists(timer_interval=0)
    abroad.parameters({"max_per_watcher": 5})
    names = ("active", "pending", "dead", "new", "refused", "toomany")
    uris = [f"sip:{name}@far.example.net" for name in names]
    Lists(abroad).put(*uris)
    Lists(abroad).subscribe()
    asked = {each.uri.partition("@")[0][4:]: each for each in abroad.round()}
    assert list(asked) == sorted(names[:5])
    abroad.notify_from_far(asked["active"], body=b"", content_type=None)
    abroad.notify_from_far(asked["pending"], "pending;expires=60", b"", content_type=None)
    abroad.answered(asked["dead"], 503)
    abroad.answered(asked["refused"], 403)
    shown = control("rls", "show", "bob@example.org", "friends@example.org").stdout.splitlines()[2:]
    assert [" ".join(line.removesuffix("has news").split()[2:]) for line in shown] == [
        "active (active there)",
        "pending (pending there)",
        "terminated;probation (asked in vain: 503)",
        "pending (not answered yet)",
        "terminated;rejected",
        "terminated;probation (not asked, a limit is reached)",
    ]


def test_who_has_the_most_is_said(control: Run, configuration: Path, abroad: Abroad) -> None:
    abroad.watch_abroad()
    assert control("b2b", "list").stderr == ""
    configuration.write_text('#!KAMAILIO\nb2b.max_per_watcher = 1 desc ""\n')
    assert control("b2b", "list").stderr == f"b2b.max_per_watcher is reached by {BOB}: nobody more is asked\n"
    assert control("b2b", "list", "--watcher", CAROL).stderr == ""
