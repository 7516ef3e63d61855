"""Where NOTIFYs of a new subscription go: a SUBSCRIBE is refused where none could be sent; kemi/remote_target.py."""

import pytest

from kemi.errors import BadRequest, SipError
from tests.unit.values import BOB
from tests.verbs.world import World


@pytest.mark.rfc("TRN-026")
@pytest.mark.parametrize("route", ["<sip:x", "garbage", "<tel:+1>", "<sip:p1;lr>, <sip:>", "<sip:p:99999;lr>"])
def test_a_route_that_cannot_be_followed_is_refused(world: World, route: str) -> None:
    with pytest.raises(SipError):
        world.subscribe(record_route=route)
    assert world.notifier() == []


@pytest.mark.parametrize("contact", ["<tel:+12>", "<mailto:bob@example.org>", "<im:bob@example.org>", "<sip:bob@h:99999>"])
def test_a_contact_that_no_notify_can_go_to_is_refused(world: World, contact: str) -> None:
    with pytest.raises(BadRequest):
        world.subscribe(contact=contact)


def test_what_is_checked_of_a_contact_is_what_is_used(world: World) -> None:
    """A question mark in the user part begins no header fields, and hides no host."""
    (sent,) = world.subscribe(contact="<sip:127.0.0.1:5060?x;method=y@198.51.100.7>").sent
    assert sent.uri == "sip:127.0.0.1:5060?x;method=y@198.51.100.7"


@pytest.mark.parametrize("changes", [{"to_uri": "alice"}, {"to_uri": "*"}, {"to_uri": ""}, {"to_tag": ""}])
def test_a_to_that_no_notify_can_come_from_is_refused(world: World, changes: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        world.subscribe(**changes)


@pytest.mark.rfc("TRN-020")
def test_a_notify_goes_to_a_contact_without_its_header_fields_and_method(world: World) -> None:
    (sent,) = world.subscribe(contact="<sip:bob@198.51.100.7;method=INVITE;x=1?Subject=hi&Route=%3Csip:y%3E>").sent
    assert sent.uri == "sip:bob@198.51.100.7;x=1"


def test_a_sips_uri_needs_a_sips_contact_however_it_is_written(world: World) -> None:
    with pytest.raises(BadRequest):
        world.subscribe(uri="SIPS:alice@example.org")
    world.subscribe(BOB, uri="SIPS:alice@example.org", contact="<SIPS:bob@198.51.100.7>")
