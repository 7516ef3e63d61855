"""Numbered documents: merged where they tell changes only (RFC 3858 section 4, RFC 4235 section 4)."""

import pytest

from kemi.b2bua.numbered import NOTHING, Taken, taken, unnumbered
from kemi.b2bua.outgoing import Outgoing
from kemi.errors import BadRequest
from kemi.event_package import VERSION
from tests.unit.b2bua.remote import FOREIGN

CALLS = "application/dialog-info+xml"


def calls(version: int, state: str, *dialogs: tuple[str, str]) -> bytes:
    inside = "".join(f'<dialog id="{each}"><state>{what}</state></dialog>' for each, what in dialogs)
    head = f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="{state}" entity="sip:dan@far">'
    return f'<?xml version="1.0"?>{head}{inside}</dialog-info>'.encode()


def after(version: int, body: bytes) -> Outgoing:
    return FOREIGN._replace(content_type=CALLS, body=body, version=version)


def test_a_document_that_is_not_numbered_is_left_as_it_is() -> None:
    assert taken(FOREIGN, "text/plain", b"\xff") == Taken("text/plain", b"\xff")


def test_a_full_one_is_kept_octet_by_octet() -> None:
    body = calls(3, "full", ("a", "early"))
    assert taken(FOREIGN, CALLS, body) == Taken(CALLS, body, 3)


@pytest.mark.rfc("B2B-022")
def test_changes_of_calls_are_merged() -> None:
    one = after(3, calls(3, "full", ("a", "early"), ("b", "confirmed")))
    two = taken(one, CALLS, calls(4, "partial", ("a", "terminated"), ("c", "trying")))
    assert (two.version, two.is_gapped) == (4, False)
    assert two.content.count(b"<dialog ") == 3
    assert b'state="full"' in two.content
    three = taken(after(4, two.content), CALLS, calls(5, "partial", ("c", "early")))
    assert b'id="a"' not in three.content
    assert b"early" in three.content


@pytest.mark.rfc("B2B-022")
def test_what_is_late_is_thrown_away_and_a_gap_is_seen() -> None:
    one = after(3, calls(3, "full", ("a", "early")))
    assert taken(one, CALLS, calls(3, "partial", ("b", "early"))) == NOTHING
    assert taken(one, CALLS, calls(2, "full")) == NOTHING
    gapped = taken(one, CALLS, calls(6, "partial", ("b", "early")))
    assert gapped.is_gapped
    assert b'id="b"' in gapped.content
    assert taken(FOREIGN, CALLS, calls(1, "partial", ("b", "early"))) == NOTHING._replace(is_gapped=True)


@pytest.mark.parametrize("body", [b"", b"<a", b'<dialog-info version="x"/>', b"<dialog-info/>", b'<!DOCTYPE a><a version="1"/>'])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        taken(FOREIGN, CALLS, body)


def test_the_number_is_each_watchers_own() -> None:
    text = unnumbered(calls(17, "full").decode())
    assert f'version="{VERSION}" state="full"' in text
    assert text.startswith('<?xml version="1.0"?>')


def test_the_root_is_no_entry() -> None:
    """Whatever it says of itself: it is not left out as a call that is over."""
    body = calls(3, "full", ("a", "early")).replace(b"<dialog-info ", b'<dialog-info id="x" status="terminated" ')
    assert b'id="b"' in taken(after(3, body), CALLS, calls(4, "partial", ("b", "early"))).content


def test_a_name_of_many_parts_costs_no_more_than_another() -> None:
    """The number of tries is that of its tags, not the square of its letters."""
    text = f'<r a=">" version="1"><{"a-" * 24000}a x="1"/></r>'
    assert unnumbered(text) == text
