"""Who may be told of a presentity's watchers, and how template packages nest: kemi/watcher_information.py, RFC 3857 section 4.6."""

import re
from typing import Any

import pytest

from kemi.errors import BadEvent, Forbidden, NotAcceptable
from kemi.event_package import Decision, EventPackage, allow_events
from kemi.packages import served
from tests.unit.values import ALICE, BOB, CAROL, PIDF, fields_of, settings_of
from tests.verbs.watched import DAVE, WINFO, Watched
from tests.verbs.world import Refused, World, state_of
from tests.watcherinfo import WATCHERINFO, Told, read

NESTED = "presence.winfo.winfo"


@pytest.fixture
def watched(world: World) -> Watched:
    """Bob and carol watch alice; NOTIFYs are not held back."""
    world.set(notify_interval=0)
    watched = Watched(world)
    watched.come(BOB)
    watched.world.now += 1
    watched.come(CAROL)
    return watched


def fetched(world: World, watcher: str, event: str = WINFO, **changes: Any) -> Told:
    (only,) = world.subscribe(watcher, event=event, expires="0", **changes).sent
    world.answer(only)
    return read(only.body)


def uris(told: Told) -> list[str]:
    return [each.uri for each in told.watchers]


@pytest.mark.rfc("WINFO-002")
@pytest.mark.parametrize(
    ("settings", "watcher", "seen"),
    [
        ({}, ALICE, [BOB, CAROL]),
        ({}, BOB, [BOB]),
        ({"winfo_watchers": (DAVE,)}, DAVE, [BOB, CAROL]),
        ({"winfo_watchers": (DAVE,)}, BOB, [BOB]),
        ({"winfo_auth": "none"}, DAVE, [BOB, CAROL]),
        ({"winfo_auth": "none"}, BOB, [BOB, CAROL]),
    ],
)
def test_who_is_told_of_whom(watched: Watched, settings: dict[str, Any], watcher: str, seen: list[str]) -> None:
    watched.world.set(**settings)
    assert uris(fetched(watched.world, watcher)) == seen


@pytest.mark.rfc("WINFO-002")
@pytest.mark.parametrize("settings", [{}, {"winfo_watchers": (CAROL,)}])
def test_who_does_not_watch_is_refused(watched: Watched, settings: dict[str, Any]) -> None:
    watched.world.set(**settings)
    with pytest.raises(Forbidden):
        watched.winfo(DAVE)


@pytest.mark.rfc("WINFO-002")
def test_who_does_not_watch_any_more_is_refused(watched: Watched) -> None:
    """Also while its end is remembered, for alice."""
    watched.winfo(ALICE)
    held_back = watched.come(DAVE)
    watched.world.set(notify_interval=60)
    watched.refresh(held_back, expires="0")
    with pytest.raises(Forbidden):
        watched.winfo(DAVE)


@pytest.mark.rfc("WINFO-002")
def test_who_is_not_decided_about_sees_that_it_waits(watched: Watched) -> None:
    watched.world.decide(Decision.CONFIRM)
    dave = watched.come(DAVE)
    assert fetched(watched.world, DAVE).entries == [(DAVE, "pending", "subscribe")]
    watched.refresh(dave, expires="0")
    assert fetched(watched.world, DAVE).entries == [(DAVE, "waiting", "timeout")]


@pytest.mark.rfc("WINFO-002", "WINFO-010")
def test_who_sees_its_own_entries_only_hears_of_no_others(watched: Watched) -> None:
    bob = watched.winfo(BOB)
    watched.news(bob)
    watched.come(DAVE)
    assert watched.news(bob) == []
    second = watched.come(BOB)
    assert watched.told(bob).entries == [(BOB, "active", "subscribe")]
    watched.refresh(second, expires="0")
    assert watched.told(bob).entries == [(BOB, "terminated", "timeout")]
    assert [uri for uri, *_ in watched.view(bob).values()] == [BOB]


@pytest.mark.rfc("WINFO-002", "PA-026")
def test_a_refresh_by_who_does_not_watch_any_more_is_refused(watched: Watched) -> None:
    dave = watched.come(DAVE)
    winfo = watched.winfo(DAVE)
    watched.refresh(dave, expires="0")
    with pytest.raises(Refused) as caught:
        watched.refresh(winfo)
    assert caught.value.status == 403
    (last,) = watched.flow()
    assert (last.id, state_of(last), last.body) == (winfo, "terminated;reason=rejected", "")


def test_the_rules_of_presence_are_not_those_of_watcher_information(watched: Watched) -> None:
    watched.world.decide(Decision.BLOCK)
    (first,) = watched.world.subscribe(ALICE, event=WINFO).sent
    assert state_of(first).startswith("active")


# Of whom it tells, and of whom not


@pytest.mark.rfc("WINFO-006")
def test_a_watcher_is_named_by_its_proved_address(watched: Watched) -> None:
    watched.come(DAVE, from_uri="sip:DAVE@192.0.2.9:5062;x=y", contact="<sip:someone@198.51.100.7>")
    assert sorted(uris(fetched(watched.world, ALICE))) == [BOB, CAROL, DAVE]


@pytest.mark.rfc("WINFO-017")
@pytest.mark.parametrize(
    "name", ['"<b>&\'x\' \\"y\\" \\\\"', "&amp;", "\ufffe\uffff&", '"]]>"', '"<!-- -->"', '"\u00fc\u4e2d\U0001f600"', '"a\tb"']
)
def test_names_and_addresses_are_escaped(watched: Watched, name: str) -> None:
    uri = "sip:a&b='c'$%3Cd%22@example.org"
    watched.world.now += 1
    watched.come(uri, resource="sip:x&y@example.org", display_name=name)
    told = fetched(watched.world, "sip:x&y@example.org", resource="sip:x&y@example.org")
    (entry,) = told.watchers
    assert (entry.uri, told.resource) == (uri, "sip:x&y@example.org")
    meant = re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name
    assert entry.name == meant.replace("\t", " ").replace("\ufffe", " ").replace("\uffff", " ").strip()


@pytest.mark.rfc("PA-040", "PA-041", "PA-047")
def test_the_list_is_of_the_address_that_was_asked_for(watched: Watched) -> None:
    """With another tag: the documents differ."""
    (plain,) = watched.world.subscribe(ALICE, event=WINFO).sent
    (asked,) = watched.world.subscribe(ALICE, event=WINFO, uri="pres:alice@example.org").sent
    assert (read(plain.body).resource, read(asked.body).resource) == (ALICE, "pres:alice@example.org")
    assert fields_of(plain.headers)["SIP-ETag"] != fields_of(asked.headers)["SIP-ETag"]


# Watchers of watchers of watchers


@pytest.mark.rfc("WINFO-016")
def test_who_watches_the_watchers_is_told_to_the_presentity_alone(watched: Watched) -> None:
    watched.world.set(winfo_watchers=(DAVE,))
    nested = watched.winfo(ALICE, event=NESTED)
    bob = watched.winfo(BOB)
    assert [each.entries for each in watched.news(nested)] == [[], [(BOB, "active", "subscribe")]]
    watched.refresh(bob, expires="0")
    only = watched.told(nested)
    assert (only.package, only.entries) == (WINFO, [(BOB, "terminated", "timeout")])
    for other in (BOB, CAROL, DAVE):
        with pytest.raises(Forbidden):
            watched.winfo(other, event=NESTED)
    watched.world.set(winfo_auth="none")
    with pytest.raises(Forbidden):
        watched.winfo(BOB, event=NESTED)


@pytest.mark.rfc("WINFO-016", "PA-015", "PA-038")
@pytest.mark.parametrize("event", ["presence.winfo.winfo.winfo", "winfo", ".winfo", "other.winfo"])
def test_what_is_nested_deeper_or_watches_nothing_is_no_package(watched: Watched, event: str) -> None:
    with pytest.raises(BadEvent) as caught:
        watched.winfo(ALICE, event=event)
    assert caught.value.headers == (("Allow-Events", "presence"),)


@pytest.mark.rfc("PA-038")
def test_template_packages_are_not_named_in_allow_events(watched: Watched) -> None:
    done = watched.world.subscribe(ALICE, event=WINFO)
    assert done.header("Allow-Events") == "presence"
    assert fields_of(done.sent[0].headers)["Allow-Events"] == ["presence"]
    assert fields_of(done.sent[0].headers)["Event"] == [WINFO]


def test_every_package_has_its_template_unless_it_is_switched_off() -> None:
    on, off = single(served(settings_of())), single(served(settings_of(watcherinfo_notify=0)))
    plain = [name for name in on if ".winfo" not in name]
    assert "presence" in plain
    assert set(on) == {name + template for name in plain for template in ("", ".winfo", ".winfo.winfo")}
    assert list(off) == plain
    assert allow_events(on) == allow_events(off)


def single(packages: dict[str, EventPackage]) -> dict[str, EventPackage]:
    """Without those of lists."""
    return {name: each for name, each in packages.items() if not each.is_list}


@pytest.mark.rfc("PA-015")
def test_switched_off_it_is_no_package_and_costs_nothing(watched: Watched) -> None:
    winfo = watched.winfo()
    watched.world.set(watcherinfo_notify=0)
    watched.world.packages = {"presence": served(watched.world.settings)["presence"]}
    with pytest.raises(BadEvent):
        watched.winfo()
    with watched.world.counted() as names:
        watched.come(DAVE)
    assert not [name for name in names if name.startswith("watcher") or "telling" in name]
    watched.pause(3600)
    assert not watched.world.has_subscription(winfo)


@pytest.mark.rfc("WINFO-001", "PA-016", "PA-017")
def test_the_only_type_is_watcherinfo(watched: Watched) -> None:
    assert watched.world.subscription(watched.winfo(accept=f"{WATCHERINFO}, text/plain")).accept == WATCHERINFO
    assert watched.world.subscription(watched.winfo(accept="application/*")).accept == WATCHERINFO
    with pytest.raises(NotAcceptable) as caught:
        watched.winfo(accept=PIDF)
    assert caught.value.headers == (("Accept", WATCHERINFO),)


def test_it_cannot_be_published(watched: Watched) -> None:
    with pytest.raises(BadEvent):
        watched.world.publish(event=WINFO, content_type=WATCHERINFO)


@pytest.mark.rfc("PA-020")
def test_without_expires_it_lasts_an_hour_as_its_package_says(watched: Watched) -> None:
    watched.world.set(default_expires=600)
    assert watched.world.subscribe(ALICE, event=WINFO, expires=None).header("Expires") == "3600"


def test_many_presentities_cost_the_statements_of_one(watched: Watched) -> None:
    world = watched.world
    everybody = [f"sip:user{number}@example.org" for number in range(20)]
    for each in everybody:
        watched.come(each, resource=each, event=WINFO)
    first = [world.subscribe(BOB, each).sent[0] for each in everybody]
    with world.counted() as names:
        sent = world.notifier()
    assert len(sent) == 20
    assert names == [
        "subscription_claim", "watcher_list", "watcher_list_recorded", "subscription_sent", "subscription_told",
    ]  # fmt: skip
    assert len(first) == 20
