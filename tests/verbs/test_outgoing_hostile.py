"""Users elsewhere, on a server that means harm: where it sends us, how much it tells, who else would use us."""

import pytest

from kemi.b2bua import outside
from kemi.b2bua.outgoing import Key, Phase
from kemi.errors import BadRequest
from tests.unit.values import BOB, fields_of
from tests.verbs.abroad import DAN, DOCUMENT, Abroad
from tests.verbs.world import state_of

INSIDE = ["sip:dan@127.0.0.1:25", "sip:dan@10.0.0.7", "sip:dan@169.254.169.254", "sip:dan@localhost", "sip:dan@192.0.2.1:5060"]
WINFO = '<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="{}" state="{}">{}</watcherinfo>'
ENTRIES = f'<watcher-list resource="{DAN}" package="presence">{{}}</watcher-list>'


# Where it sends us


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("target", INSIDE)
def test_a_dialog_does_not_begin_where_nothing_is_sent(abroad: Abroad, target: str) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    for wrong in ({"contact": f"<{target}>"}, {"record_route": f"<{target};lr>"}):
        with pytest.raises(BadRequest):
            abroad.far(asked, **wrong)
    assert abroad.known().phase is Phase.SUBSCRIBING


@pytest.mark.rfc("SEC-014", "B2B-018")
@pytest.mark.parametrize("target", INSIDE)
def test_a_dialog_is_not_led_there(abroad: Abroad, target: str) -> None:
    """By a NOTIFY, or by the answer to a refresh."""
    _local, asked = abroad.established()
    with pytest.raises(BadRequest):
        abroad.far(asked, contact=f"<{target}>")
    abroad.now += 3570
    (refresh,) = abroad.round()
    abroad.answered(refresh, 200, to_tag="far", contact=target, expires=3600)
    assert abroad.known().remote_target == "sip:dan@203.0.113.7:5060"
    abroad.notify_from_far(asked, contact=None)
    abroad.now += 3570
    assert [each.uri for each in abroad.round()] == ["sip:dan@203.0.113.7:5060"]


@pytest.mark.rfc("SEC-014")
@pytest.mark.parametrize("target", INSIDE)
def test_a_redirection_there_is_a_failure(abroad: Abroad, target: str) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    assert abroad.answered(asked, 302, contact=target) == []
    assert (abroad.known().phase, abroad.known().why) == (Phase.WAITING, "302")


def test_an_address_behind_the_proxy_of_the_remote_side_is_its_own_affair(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, "active;expires=60", contact="<sip:dan@10.0.0.7>", record_route="<sip:p.example.net;lr>")
    abroad.answered(asked, to_tag="far", contact="sip:dan@10.0.0.8", expires=60)
    abroad.now += 50
    (refresh,) = abroad.round()
    assert (refresh.uri, refresh.next_hop) == ("sip:dan@10.0.0.8", "sip:p.example.net;lr")


def test_a_remote_side_in_a_private_network_may_be_there(abroad: Abroad) -> None:
    abroad.watch_abroad()
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, contact="<sip:dan@10.0.0.7>", source_address="10.0.0.7")
    assert abroad.known().remote_target == "sip:dan@10.0.0.7"


# How much it tells


def winfo(abroad: Abroad) -> object:
    local = abroad.watch_abroad(event="presence.winfo")
    abroad.answer(local.sent[0])
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)

    def tell(number: int, state: str, inside: str) -> list[object]:
        body = WINFO.format(number, state, ENTRIES.format(inside)).encode()
        abroad.notify_from_far(asked, body=body, event="presence.winfo", content_type="application/watcherinfo+xml")
        return list(abroad.told())

    return tell


@pytest.mark.rfc("SEC-009")
def test_changes_do_not_make_a_document_grow_for_ever(abroad: Abroad) -> None:
    """What is too long is asked for whole."""
    abroad.set(max_body=4096)
    tell = winfo(abroad)
    for number in range(40):
        entry = f'<watcher id="w{number}" status="active" event="subscribe">sip:{"x" * 900}@example.org</watcher>'
        tell(number, "partial" if number else "full", entry)  # type: ignore[operator]
    assert len(abroad.known(package="presence.winfo").body) <= 4 * 4096
    assert abroad.known(package="presence.winfo").refresh_at <= abroad.now + 2  # type: ignore[operator]


def test_a_reason_and_a_wait_without_end_are_cut(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    abroad.notify_from_far(asked, f"terminated;reason={'x' * 4000};retry-after=999999999", b"", content_type=None)
    known = abroad.known()
    assert known.refresh_at <= abroad.now + 604800 * 1.2  # type: ignore[operator]
    assert len(known.why) < 100
    assert len(known.trace) < 1000


# Who else would use us


def test_a_list_of_a_stranger_is_no_relay_either(abroad: Abroad) -> None:
    key = Key("sip:mallory@elsewhere.example", DAN, "presence")
    assert outside.ensure(abroad.moment, [key]) == {key: outside.STRANGER}
    assert abroad.outgoing(key[0]) is None


def test_a_domain_that_is_no_longer_named_is_left(abroad: Abroad) -> None:
    _local, asked = abroad.established()
    abroad.parameters({"domains": "other.example.net"})
    abroad.now += 3570
    (leaving,) = abroad.round()
    assert (leaving.id, fields_of(leaving.headers)["Expires"]) == (asked.id, ["0"])
    abroad.answered(leaving, expires=0)
    abroad.notify_from_far(asked, "terminated;reason=timeout", b"", content_type=None)
    assert abroad.outgoing() is None
    assert abroad.round() == []


def test_what_one_watcher_is_shown_no_other_one_is(abroad: Abroad) -> None:
    abroad.established(BOB)
    _local, asked = abroad.established("sip:carol@example.org")
    abroad.notify_from_far(asked, body=DOCUMENT + b"<!-- for carol -->")
    (told,) = abroad.told()
    assert (fields_of(told.headers)["To"][0].partition(";")[0], state_of(told)[:6]) == ("<sip:carol@example.org>", "active")
    assert abroad.known(BOB).body == DOCUMENT
