"""Documents of other servers: what is passed on to watchers here, and what is refused (RFC 6665 section 4.1.3)."""

from typing import Any

import pytest

from kemi.b2bua.foreign import with_foreign
from kemi.b2bua.outgoing import Phase, Shown
from kemi.effects import Log, Reply, SendRequest
from kemi.packages import dialog, message_summary
from kemi.presence.package import PRESENCE
from kemi.rls.package import with_lists
from kemi.watcher_information import with_templates
from tests.unit.values import BOB
from tests.verbs.abroad import DAN, DOCUMENT, Abroad, answer
from tests.verbs.world import state_of

CALLS, SUMMARY, WINFO = "application/dialog-info+xml", "application/simple-message-summary", "application/watcherinfo+xml"
GOOD = DOCUMENT.replace(b"/>", b"><note>new</note></presence>")


def about(uri: str) -> bytes:
    return DOCUMENT.replace(b"pres:dan@far.example.net", uri.encode())


@pytest.mark.rfc("B2B-004", "SEC-009")
@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"content_encoding": "gzip"}, 415),
        ({"body": b"<a>\xff</a>"}, 415),
        ({"body": b"<a>\0</a>"}, 415),
        ({"body": b"<not"}, 415),
        ({"body": b"<other/>"}, 415),
        ({"body": DOCUMENT.replace(b"ns:pidf", b"ns:cpim-pidf")}, 415),
        ({"body": DOCUMENT, "content_type": 'application/pidf+xml;charset="utf-16"'}, 415),
        ({"body": DOCUMENT.replace(b"/>", b"&bad;/>")}, 415),
        ({"body": b"<!DOCTYPE a><a/>"}, 400),
        ({"body": DOCUMENT.replace(b"/>", b">" + b"<tuple/>" * 2000 + b"</presence>")}, 413),
        ({"body": DOCUMENT + b" " * 65536}, 413),
        ({"body": about("sip:mallory@example.org")}, 400),
        ({"body": about("sip:eve@far.example.net")}, 400),
        ({"body": about("sip:dan@other.example.net")}, 400),
        ({"body": about("dan")}, 400),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_passed_on_is_refused_and_the_last_one_stays(
    abroad: Abroad, wrong: dict[str, Any], status: int
) -> None:
    _local, asked = abroad.established()
    effects = abroad.far(asked, **({"body": GOOD} | wrong))
    refusal = effects[0]
    assert isinstance(refusal, Reply)
    assert (refusal.status, "Warning" in dict(refusal.headers)) == (status, True)
    assert ["document refused" in each.text for each in effects if isinstance(each, Log)] == [True]
    assert (abroad.told(), abroad.known().body) == ([], DOCUMENT)
    abroad.notify_from_far(asked, body=GOOD)
    (told,) = abroad.told()
    assert told.body.encode() == GOOD


@pytest.mark.parametrize(
    "uri",
    [
        "sip:dan@far.example.net", "sips:dan@FAR.example.net", "pres:dan@far.example.net",
        "sip:dan@far.example.net:5061;user=phone", "sip:%64an@far.example.net", " sip:dan@far.example.net ", "",
    ],
)  # fmt: skip
def test_the_same_user_may_be_written_in_many_ways(abroad: Abroad, uri: str) -> None:
    _local, asked = abroad.established()
    body = about(uri).replace(b"/>", b"><note>new</note></presence>")
    abroad.notify_from_far(asked, body=body)
    assert abroad.known().body == body


@pytest.mark.rfc("B2B-004")
def test_what_the_header_fields_say_counts_whatever_the_body_is(abroad: Abroad) -> None:
    """The dialog begins, is refreshed and ends as if the body was not there."""
    abroad.answer(abroad.watch_abroad().sent[0])
    (asked,) = abroad.round()
    abroad.answered(asked, expires=3600)
    assert answer(abroad.far(asked, "active;expires=3600", b"<not", entity_tag="of-that")) == 415
    abroad.now += 60
    assert abroad.round() == []
    known = abroad.known()
    assert (known.phase, known.shown, known.body, known.etag) == (Phase.ESTABLISHED, Shown.ACTIVE, b"", "")
    (told,) = abroad.told()
    assert (state_of(told)[:6], told.body) == ("active", "")
    assert answer(abroad.far(asked, "terminated;reason=rejected", b"<not")) == 200
    assert abroad.known().shown is Shown.TERMINATED


class Others:
    """A watcher of another package."""

    def __init__(self, abroad: Abroad, package: str, content_type: str) -> None:
        packages = with_templates([PRESENCE, dialog.PACKAGE, message_summary.PACKAGE], 1)
        abroad.packages = with_lists(with_foreign(packages, abroad.settings))
        local = abroad.watch_abroad(event=package, accept=content_type)
        abroad.answer(local.sent[0])
        self.asked: SendRequest = abroad.round()[0]
        self.abroad, self.package, self.content_type = abroad, package, content_type

    def tell(self, body: str) -> int:
        return answer(self.abroad.far(self.asked, body=body.encode(), event=self.package, content_type=self.content_type))

    @property
    def body(self) -> str:
        return self.abroad.known(BOB, DAN, self.package).body.decode()


def calls(entity: str, version: int) -> str:
    return f'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}" state="full" entity="{entity}"/>'


def test_calls_are_read_as_those_that_are_published_here(abroad: Abroad) -> None:
    others = Others(abroad, "dialog", CALLS)
    assert others.tell(calls(DAN, 0)) == 200
    assert others.tell(calls("sip:mallory@example.org", 1)) == 400
    assert others.tell("<not") == 415
    assert others.tell('<dialog-info version="1" state="full"/>') == 415
    assert others.body == calls(DAN, 0)
    assert others.tell(calls("sip:dan@far.example.net:5080", 1)) == 200


def test_summaries_are_read_as_those_that_are_published_here(abroad: Abroad) -> None:
    """A mailbox may have any URI."""
    others = Others(abroad, "message-summary", SUMMARY)
    good = "Messages-Waiting: yes\r\nMessage-Account: sip:box-7@voicemail.far.example.net\r\nVoice-Message: 1/0\r\n"
    assert others.tell(good) == 200
    assert others.tell("<not") == 415
    assert others.body == good


def test_watchers_are_those_of_who_was_asked_about(abroad: Abroad) -> None:
    others = Others(abroad, "presence.winfo", WINFO)
    head = '<watcherinfo xmlns="urn:ietf:params:xml:ns:watcherinfo" version="{}" state="full">'
    good = head.format(0) + f'<watcher-list resource="{DAN}" package="presence"/></watcherinfo>'
    assert others.tell(good) == 200
    assert (
        others.tell(head.format(1) + '<watcher-list resource="sip:mallory@example.org" package="presence"/></watcherinfo>') == 400
    )
    assert others.tell('<watchers version="1" state="full"/>') == 400
    assert others.tell("<not") == 400
    assert others.body == good
