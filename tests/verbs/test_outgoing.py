"""Users elsewhere, watched from here: what is asked of the other server, what it says, what local watchers see."""

from collections.abc import Callable

import pytest

from kemi import packages
from kemi.b2bua import relay, store
from kemi.b2bua.credentials import Secret
from kemi.b2bua.outgoing import Phase, Shown
from kemi.b2bua.relay import Wish
from kemi.effects import Reply, Wake
from kemi.errors import (
    BadEvent,
    BadExtension,
    BadRequest,
    LoopDetected,
    NotFound,
    OutOfOrder,
    ServiceUnavailable,
    SipError,
    SubscriptionDoesNotExist,
    TooManyHops,
)
from kemi.identity import realm
from kemi.reauthorize import asking_the_same
from tests.unit.values import ALICE, BOB, CAROL, PIDF, fields_of
from tests.verbs.abroad import DAN, DOCUMENT, EVE, Abroad
from tests.verbs.world import SECRET, state_of


def test_a_watcher_here_is_asked_for_there_and_pending_meanwhile(abroad: Abroad) -> None:
    done = abroad.watch_abroad()
    (first,) = done.sent
    assert state_of(first).startswith("pending")
    assert first.body == ""
    (asked,) = abroad.round()
    fields = fields_of(asked.headers)
    assert (asked.method, asked.uri, asked.id[:3]) == ("SUBSCRIBE", DAN, "kb-")
    assert fields["From"] == [f"<{BOB}>;tag={asked.id}"]
    assert fields["To"] == [f"<{DAN}>"]
    assert fields["Event"] == ["presence"]
    assert fields["Accept"] == [PIDF]
    assert fields["Expires"] == ["3600"]
    assert fields["Max-Forwards"] == ["69"]
    assert fields["Contact"][0].startswith("<sip:192.0.2.1:5060;gr=")


@pytest.mark.rfc("B2B-023")
def test_what_came_is_shown_octet_by_octet(abroad: Abroad) -> None:
    local = abroad.watch_abroad()
    abroad.answer(local.sent[0])
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    assert abroad.told() == []
    abroad.notify_from_far(asked)
    (told,) = abroad.told()
    assert state_of(told).startswith("active")
    assert told.body.encode() == DOCUMENT
    abroad.notify_from_far(asked, body=DOCUMENT.replace(b"dan", b"Dan"))
    (told,) = abroad.told()
    assert "Dan" in told.body


def test_the_same_document_is_not_told_twice(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    abroad.notify_from_far(asked)
    assert abroad.told() == []


@pytest.mark.rfc("B2B-023")
def test_pending_there_is_pending_here(abroad: Abroad) -> None:
    local = abroad.watch_abroad()
    abroad.answer(local.sent[0])
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, "pending;expires=600")
    assert abroad.told() == []
    abroad.notify_from_far(asked, "active;expires=600", b"", content_type=None)
    (told,) = abroad.told()
    assert told.body.encode() == DOCUMENT


def test_two_devices_of_a_watcher_share_one_subscription(abroad: Abroad) -> None:
    abroad.established()
    second = abroad.watch_abroad()
    assert second.sent[0].body.encode() == DOCUMENT
    assert abroad.round() == []
    third = abroad.watch_abroad(CAROL)
    assert third.sent[0].body == "", "another watcher is another matter"
    assert len(abroad.round()) == 1


@pytest.mark.rfc("B2B-011")
def test_when_the_last_one_leaves_the_remote_side_is_told(abroad: Abroad) -> None:
    local, asked = abroad.established()
    abroad.refresh(local, expires="0")
    abroad.told()
    (leaving,) = abroad.sweep_abroad()
    fields = fields_of(leaving.headers)
    assert (leaving.id, leaving.cseq, fields["Expires"]) == (asked.id, 2, ["0"])
    assert fields["To"] == [f"<{DAN}>;tag=far"]
    abroad.answered(leaving, expires=0)
    abroad.notify_from_far(asked, "terminated;reason=timeout", b"", content_type=None)
    assert abroad.outgoing() is None


def test_who_comes_back_at_once_keeps_what_there_is(abroad: Abroad) -> None:
    local, _asked = abroad.established()
    abroad.refresh(local, expires="0")
    abroad.told()
    again = abroad.watch_abroad()
    assert again.sent[0].body.encode() == DOCUMENT
    assert abroad.sweep_abroad() == []


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        ("terminated;reason=rejected", "terminated;reason=rejected"),
        ("terminated;reason=noresource", "terminated;reason=noresource"),
    ],
)
@pytest.mark.rfc("B2B-007")
def test_a_last_word_ends_the_local_subscription(abroad: Abroad, state: str, seen: str) -> None:
    local, asked = abroad.established()
    abroad.notify_from_far(asked, state, b"", content_type=None)
    (told,) = abroad.told()
    assert state_of(told) == seen
    assert not abroad.has_subscription(local)
    assert abroad.sweep_abroad() == []
    abroad.now += 86400
    assert abroad.round() == []


@pytest.mark.rfc("B2B-007")
def test_any_other_end_is_not_seen_by_local_watchers(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    abroad.now += 60
    abroad.notify_from_far(asked, "terminated;reason=deactivated", b"", content_type=None)
    (again,) = abroad.round()
    assert again.id != asked.id
    abroad.answered(again, expires=3600)
    abroad.notify_from_far(again)
    assert abroad.told() == []


def test_a_refusal_is_told_and_remembered(abroad: Abroad) -> None:
    local = abroad.watch_abroad()
    abroad.answer(local.sent[0])
    (asked,) = abroad.round()
    abroad.answered(asked, 403)
    (told,) = abroad.told()
    assert state_of(told) == "terminated;reason=rejected"
    with pytest.raises(SipError) as refusal:
        abroad.watch_abroad()
    assert refusal.value.status == 403


def test_a_remote_side_that_is_gone_leaves_watchers_pending(abroad: Abroad) -> None:
    local, _asked = abroad.established()
    abroad.now += 3540
    abroad.refresh(local, expires="3600")
    abroad.told()
    for _ in range(20):
        abroad.now += 30
        abroad.round()
    (told,) = abroad.told()
    assert state_of(told).startswith("pending")
    assert abroad.known().shown is Shown.FAILED


# NOTIFY


@pytest.mark.rfc("B2B-004", "B2B-014")
@pytest.mark.parametrize(
    "wrong", [{"to_tag": "kb-unknown"}, {"call_id": "other"}, {"from_tag": "fork"}, {"event": "presence;id=7"}]
)
def test_a_notify_that_fits_nothing_gets_481(abroad: Abroad, wrong: dict[str, str]) -> None:
    _local, asked = abroad.established()
    with pytest.raises(SubscriptionDoesNotExist):
        abroad.far(asked, **wrong)


@pytest.mark.rfc("B2B-004", "B2B-013", "B2B-019")
@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"event": "unheard-of"}, BadEvent),
        ({"event": "presence.winfo"}, SubscriptionDoesNotExist),
        ({"event": None}, BadEvent),
        ({"require": "unheard-of"}, BadExtension),
        ({"subscription_state": None}, BadRequest),
        ({"record_route": "<sip:p1;lr>, nonsense"}, BadRequest),
        ({"record_route": "<sip:p1"}, BadRequest),
        ({"cseq": 0}, OutOfOrder),
    ],
)
def test_a_notify_that_cannot_be_used_changes_nothing(abroad: Abroad, wrong: dict[str, object], refusal: type[SipError]) -> None:
    _local, asked = abroad.established()
    before = abroad.known()
    with pytest.raises(refusal):
        abroad.far(asked, **wrong)
    assert abroad.known() == before


def test_the_route_of_the_first_notify_is_that_of_the_dialog(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, "active;expires=60", record_route="<sip:p1.example.net;lr>,<sip:p2.example.net;lr>")
    abroad.answered(asked, expires=60)
    abroad.now += 50
    (refresh,) = abroad.round()
    assert (refresh.uri, refresh.next_hop) == ("sip:dan@203.0.113.7:5060", "sip:p1.example.net;lr")
    assert fields_of(refresh.headers)["Route"] == ["<sip:p1.example.net;lr>, <sip:p2.example.net;lr>"]


@pytest.mark.rfc("B2B-024")
def test_a_refresh_names_the_document_that_is_here(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    abroad.notify_from_far(asked, entity_tag="e1")
    abroad.now += 3570
    (refresh,) = abroad.round()
    assert fields_of(refresh.headers)["Suppress-If-Match"] == ["e1"]


# Credentials


@pytest.mark.rfc("B2B-015")
def test_a_challenge_is_answered_for_the_realm_that_asks(abroad: Abroad) -> None:
    abroad.secrets = (Secret("elsewhere", "x", "x"), Secret("far", "ours", "secret"))
    abroad.watch_abroad()
    (asked,) = abroad.round()
    asking = 'WWW-Authenticate: Digest realm="far", nonce="n1", qop="auth", algorithm=SHA-256'
    (again,) = abroad.answered(asked, 401, challenges=(asking,))
    (given,) = fields_of(again.headers)["Authorization"]
    assert 'username="ours", realm="far", nonce="n1", uri="sip:dan@far.example.net"' in given
    assert "nc=00000001" in given
    assert again.cseq == 2


@pytest.mark.rfc("B2B-015")
def test_without_a_password_a_challenge_is_a_failure(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    assert abroad.answered(asked, 401, challenges=('WWW-Authenticate: Digest realm="far", nonce="n1"',)) == []
    assert (abroad.known().phase, abroad.known().why) == (Phase.WAITING, "401")


# Circles and limits


def test_one_s_own_subscriptions_are_refused(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    (path,) = fields_of(asked.headers)["Presence-Path"]
    for wish in (Wish("tag", path=f"other, {path}"), Wish(asked.id)):
        with pytest.raises(LoopDetected):
            abroad.watch_abroad(CAROL, EVE, wish)
    with pytest.raises(TooManyHops):
        abroad.watch_abroad(CAROL, EVE, Wish("tag", max_forwards=0))


def test_the_way_of_a_subscription_goes_with_it(abroad: Abroad) -> None:
    abroad.watch_abroad(wish=Wish("tag", max_forwards=5, path="first, second"))
    (asked,) = abroad.round()
    fields = fields_of(asked.headers)
    assert fields["Max-Forwards"] == ["4"]
    assert fields["Presence-Path"][0] == f"first, second, {relay.name_of(SECRET)}"


def test_nobody_else_is_served_and_no_other_domain(abroad: Abroad) -> None:
    with pytest.raises(NotFound):
        abroad.watch_abroad("sip:mallory@other.example.net")
    ours = realm(abroad.settings)
    for uri in ("sip:dan@elsewhere.example", ALICE, "sip:192.0.2.1", "sip:far.example.net", "sip:dan@192.0.2.1"):
        assert relay.elsewhere(abroad.settings, ours, uri) == ""
    abroad.parameters({"domains": ""})
    assert relay.elsewhere(abroad.settings, ours, DAN) == ""


@pytest.mark.parametrize("limit", ["max_per_watcher", "max_per_domain"])
def test_a_limit_is_kept(abroad: Abroad, limit: str) -> None:
    abroad.parameters({limit: 1})
    abroad.watch_abroad(BOB, DAN)
    with pytest.raises(ServiceUnavailable):
        abroad.watch_abroad(BOB, EVE)


def test_what_nobody_came_to_want_is_forgotten(abroad: Abroad) -> None:
    arguments = (BOB, DAN, "presence", Wish("tag"), relay.name_of(SECRET))
    relay.want(abroad.moment, *arguments)
    assert abroad.round() == []
    abroad.now += 61
    assert abroad.round() == []
    assert abroad.outgoing() is None


def test_a_domain_that_does_not_answer_has_so_many_requests_open(abroad: Abroad) -> None:
    abroad.parameters({"max_in_flight": 3})
    for number in range(8):
        abroad.watch_abroad(f"sip:w{number}@example.org")
    sent = abroad.round()
    assert len(sent) == 3
    abroad.now += 10
    assert abroad.round() == []
    abroad.answered(sent[0], 200, expires=3600)
    assert len(abroad.round()) <= 1
    abroad.now += 40
    abroad.round()
    abroad.now += 10
    assert len(abroad.round()) <= 3


def test_so_many_are_sent_in_a_round(abroad: Abroad) -> None:
    for number in range(5):
        abroad.watch_abroad(f"sip:w{number}@example.org")
    assert [len(abroad.round(limit=2)) for _ in range(3)] == [2, 2, 1]


# Restart


def test_after_a_restart_every_dialog_goes_on(abroad: Abroad, connect: Callable[..., object]) -> None:
    _local, asked = abroad.established()
    abroad.now += 3570
    (refresh,) = abroad.round()
    store.resume(abroad.database, abroad.now)
    (again,) = abroad.round()
    assert (again.id, again.cseq) == (refresh.id, refresh.cseq + 1)
    abroad.notify_from_far(asked)
    assert abroad.known().phase is Phase.ESTABLISHED
    assert abroad.round() == []


def test_a_first_subscribe_is_not_asked_twice_over_a_restart(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    store.resume(abroad.database, abroad.now)
    assert abroad.round() == []
    abroad.notify_from_far(asked)
    assert abroad.known().phase is Phase.ESTABLISHED


# Other packages


def test_packages_that_ask_the_same_rules_still_do(abroad: Abroad) -> None:
    """A decision about presence judges those who watch calls too (`kemi.reauthorize`)."""
    found = packages.served(abroad.settings)
    assert set(asking_the_same(found, "presence")) == {"presence", "dialog"}


@pytest.mark.rfc("B2B-022")
def test_watcher_information_is_merged_and_numbered_anew(abroad: Abroad) -> None:
    winfo = {"event": "presence.winfo"}
    local = abroad.watch_abroad(**winfo)
    abroad.answer(local.sent[0])
    (asked,) = abroad.round()
    head = '<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="{}" state="{}">'
    watchers = f'<watcher-list resource="{DAN}" package="presence">{{}}</watcher-list></watcherinfo>'
    entry = '<watcher id="{0}" status="{1}" event="subscribe">sip:{0}@example.org</watcher>'
    more = {"content_type": "application/watcherinfo+xml", **winfo}

    def tell(number: int, state: str, *entries: tuple[str, str]) -> str:
        inside = "".join(entry.format(*each) for each in entries)
        body = (head.format(number, state) + watchers.format(inside)).encode()
        abroad.notify_from_far(asked, body=body, **more)
        return "".join(each.body for each in abroad.told())

    assert 'version="0"' in tell(7, "full", ("a", "active"))
    told = tell(8, "partial", ("b", "pending"))
    assert 'version="1"' in told
    assert 'id="a"' in told
    assert 'id="b"' in told
    assert tell(8, "partial", ("c", "pending")) == ""
    told = tell(10, "partial", ("a", "terminated"))
    assert 'status="terminated"' in told
    abroad.answered(asked, expires=3600)
    abroad.now += 2
    assert len(abroad.round()) == 1, "the gap is closed by a refresh"


def test_a_change_wakes_the_notifier_and_a_document_too(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    effects = abroad.far(asked, body=DOCUMENT + b"<!-- new -->")
    assert isinstance(effects[0], Reply)
    assert any(isinstance(each, Wake) for each in effects)
