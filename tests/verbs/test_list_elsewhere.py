"""A list on another server: asked for with eventlist, merged, and shown to watchers of ours (RFC 4662 sections 4.1, 5.6)."""

import re

import pytest

from kemi import multipart, subscribe
from kemi.b2bua import relay
from kemi.b2bua.relay import Wish
from kemi.effects import Log, SendRequest
from kemi.event_package import LIST
from kemi.multipart import RELATED
from kemi.subscribe import tag_of
from tests.unit.values import BOB, SUBSCRIBE, fields_of
from tests.verbs.abroad import DOCUMENT, Abroad, answer
from tests.verbs.lists import ACCEPT
from tests.verbs.world import SECRET, Accepted, accepted

TEAM = "sip:team@far.example.net"
TYPE = 'multipart/related;type="application/rlmi+xml";start="<root@far>";boundary="cut"'


@pytest.fixture
def abroad(abroad: Abroad) -> Abroad:
    abroad.set_lists(timer_interval=0)
    return abroad


def watch(abroad: Abroad) -> Accepted:
    arguments = (BOB, TEAM, "presence" + LIST, Wish("tag"), relay.name_of(SECRET))
    relay.want(abroad.moment, *arguments)
    request = SUBSCRIBE._replace(uri=TEAM, to_uri=TEAM, supported="eventlist", accept=ACCEPT)
    tag = tag_of(request, SECRET, is_list=True)
    effects = subscribe.subscribe(abroad.moment, request, TEAM, BOB, tag)
    return accepted(effects)


def state_of(name: str, note: str) -> str:
    entity = f"sip:{name}@far.example.net"
    return f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{entity}"><note>{note}</note></presence>'


def notes(said: dict[str, bytes]) -> list[str]:
    """Of the parts, in their order."""
    return [text.decode() for name, each in said.items() if name for text in re.findall(b"<note>(.*)</note>", each)]


def document(version: int, full: bool, *members: tuple[str, str, str]) -> bytes:
    """Members as (name, state, note); a note "" is no part."""
    resources, parts = "", ""
    for name, state, note in members:
        cid = f' cid="{name}@far"' if note else ""
        resources += f'<resource uri="sip:{name}@far.example.net"><instance id="1" state="{state}"{cid}/></resource>'
        if note:
            head = f"--cut\r\nContent-ID: <{name}@far>\r\nContent-Type: application/pidf+xml\r\n\r\n"
            parts += f"{head}{state_of(name, note)}\r\n"
    attributes = f'uri="{TEAM}" version="{version}" fullState="{str(full).lower()}"'
    rlmi = f'<list xmlns="urn:ietf:params:xml:ns:rlmi" {attributes}>{resources}</list>'
    head = "--cut\r\nContent-ID: <root@far>\r\nContent-Type: application/rlmi+xml\r\n\r\n"
    return f"{head}{rlmi}\r\n{parts}--cut--\r\n".encode()


def tell(abroad: Abroad, asked: SendRequest, body: bytes) -> list[SendRequest]:
    abroad.notify_from_far(asked, body=body, content_type=TYPE, require="eventlist")
    return abroad.told()


def said(told: SendRequest) -> dict[str, bytes]:
    (content_type,) = fields_of(told.headers)["Content-Type"]
    root, *parts = multipart.read(content_type, told.body.encode(), 100)
    return {"": root.content} | {each.content_id: each.content for each in parts}


@pytest.mark.rfc("B2B-020")
def test_a_list_is_asked_for(abroad: Abroad) -> None:
    watch(abroad)
    (asked,) = abroad.round()
    fields = fields_of(asked.headers)
    assert fields["Supported"] == ["eventlist"]
    assert fields["Event"] == ["presence"]
    assert fields["Accept"] == ["application/pidf+xml, multipart/related, application/rlmi+xml"]


@pytest.mark.rfc("B2B-021")
def test_changes_are_merged_and_each_watcher_counts_its_own(abroad: Abroad) -> None:
    watch(abroad)
    abroad.told()
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    (told,) = tell(abroad, asked, document(7, True, ("ann", "active", "one"), ("ben", "pending", "")))
    first = said(told)
    assert b'version="0"' in first[""]
    assert b'fullState="true"' in first[""]
    assert [each for name, each in first.items() if name] == [state_of("ann", "one").encode()]
    (told,) = tell(abroad, asked, document(8, False, ("ben", "active", "two")))
    second = said(told)
    assert b'version="1"' in second[""]
    assert sorted(notes(second)) == ["one", "two"]
    assert tell(abroad, asked, document(8, False, ("ann", "active", "late"))) == []
    (told,) = tell(abroad, asked, document(9, False, ("ann", "terminated", "")))
    assert notes(said(told)) == ["two"]


@pytest.mark.rfc("B2B-021")
def test_a_gap_is_merged_and_all_of_it_asked_for(abroad: Abroad) -> None:
    watch(abroad)
    abroad.told()
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    tell(abroad, asked, document(1, True, ("ann", "active", "one")))
    (told,) = tell(abroad, asked, document(5, False, ("ann", "active", "five")))
    assert notes(said(told)) == ["five"]
    abroad.now += 2
    assert len(abroad.round()) == 1


def test_who_turns_out_to_be_a_single_user_is_shown_as_one(abroad: Abroad) -> None:
    watch(abroad)
    abroad.told()
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, body=DOCUMENT.replace(b"dan", b"team"))
    (told,) = abroad.told()
    assert fields_of(told.headers)["Content-Type"] == ["application/pidf+xml"]


NO_RLMI = b"--cut\r\nContent-Type: text/plain\r\n\r\nx\r\n--cut--"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary",
        b"--cut\r\nno end",
        NO_RLMI,
        b"--cut--",
        document(1, full=True).replace(b"1", b"x"),
        document(1, full=True).removesuffix(b"--cut--\r\n"),
    ],
)
def test_what_is_no_list_is_refused(abroad: Abroad, body: bytes) -> None:
    watch(abroad)
    (asked,) = abroad.round()
    assert answer(abroad.far(asked, body=body or b" ", content_type=TYPE)) == 400
    assert answer(abroad.far(asked, body=document(1, True), content_type=RELATED)) == 400
    assert abroad.known(BOB, TEAM, "presence" + LIST).body == b""


@pytest.mark.rfc("B2B-021", "SEC-009")
@pytest.mark.parametrize(
    "wrong",
    [
        ("<note>bad</note></presence>", "<not"),
        ("sip:ben@far.example.net", "sip:mallory@example.org"),
        ('<presence xmlns="urn:ietf:params:xml:ns:pidf"', "<presence"),
        ("<note>bad</note>", "<x>" * 500 + "</x>" * 500),
    ],
)
def test_one_part_that_cannot_be_passed_on_does_not_stop_the_others(abroad: Abroad, wrong: tuple[str, str]) -> None:
    """It is left out; what was known of that member stays."""
    watch(abroad)
    abroad.told()
    asked = abroad.round()[0]
    abroad.answered(asked, expires=3600)
    tell(abroad, asked, document(1, True, ("ann", "active", "one"), ("ben", "active", "good")))
    good = state_of("ben", "bad").encode()
    broken = document(2, False, ("ann", "active", "two"), ("ben", "active", "bad"))
    broken = broken.replace(good, good.replace(*(each.encode() for each in wrong)))
    effects = abroad.far(asked, body=broken, content_type=TYPE)
    assert answer(effects) == 200
    assert ["parts=1" in each.text for each in effects if isinstance(each, Log)] == [True]
    (told,) = abroad.told()
    assert sorted(notes(said(told))) == ["good", "two"]


@pytest.mark.parametrize("boundary", ["nip", "cut.2"])
def test_a_list_in_a_list_is_read_too(abroad: Abroad, boundary: str) -> None:
    watch(abroad)
    abroad.told()
    (asked,) = abroad.round()
    inner = document(1, True, ("ann", "active", "one")).replace(b"team@", b"work@").decode().replace("cut", boundary)
    whole = document(1, True, ("work", "active", "here"))
    part = f"Content-Type: application/pidf+xml\r\n\r\n{state_of('work', 'here')}".encode()
    for told, is_kept in ((inner, True), (inner.replace('ann@far.example.net"><note', 'eve@far.example.net"><note'), False)):
        nested = f"Content-Type: {TYPE.replace('cut', boundary)}\r\n\r\n{told}".encode()
        effects = abroad.far(asked, body=whole.replace(part, nested), content_type=TYPE)
        assert answer(effects) == 200
        assert (b"<note>one</note>" in abroad.known(BOB, TEAM, "presence" + LIST).body) is is_kept
        whole = whole.replace(b'version="1"', b'version="2"')


def test_the_document_of_another_list_is_refused(abroad: Abroad) -> None:
    watch(abroad)
    (asked,) = abroad.round()
    assert answer(abroad.far(asked, body=document(1, True).replace(b"team@", b"work@"), content_type=TYPE)) == 400
