"""What somebody elsewhere has told, for watchers that take PIDF's old formats only (RFC 3856 section 6.7)."""

import pytest
from lxml import etree

from kemi.presence.pidf import CPIM, CPIM_MEDIA_TYPE
from tests.unit.values import CAROL, PIDF, fields_of
from tests.verbs.abroad import DAN, Abroad
from tests.verbs.lists import ACCEPT, Lists

XPIDF, LPIDF, TEXT_LPIDF = "application/xpidf+xml", "application/lpidf+xml", "text/lpidf"
TOLD = (
    b'<?xml version="1.0"?><p:presence xmlns:p="urn:ietf:params:xml:ns:pidf" entity="pres:dan@far.example.net">'
    b"<p:tuple id='one'><p:status><p:basic>open</p:basic></p:status><p:contact priority='0.5'>sip:dan@203.0.113.7</p:contact>"
    b"<p:note>in <![CDATA[the]]> garden</p:note></p:tuple>"
    b"<p:tuple id='two'><p:status><p:basic>closed</p:basic></p:status></p:tuple></p:presence>"
)


def told(abroad: Abroad, accept: str, body: bytes = TOLD) -> tuple[str, str]:
    """Content-Type and body of the NOTIFY that this document leads to; "" where there is none."""
    local = abroad.watch_abroad(accept=accept)
    abroad.answer(local.sent[0])
    (asked,) = abroad.round()
    assert fields_of(asked.headers)["Accept"] == [PIDF]
    abroad.notify_from_far(asked, body=body)
    (sent,) = abroad.told()
    return fields_of(sent.headers).get("Content-Type", [""])[0], sent.body


@pytest.mark.rfc("PA-016", "PA-017")
@pytest.mark.parametrize("media_type", [LPIDF, TEXT_LPIDF])
def test_lpidf_is_made_of_what_came(abroad: Abroad, media_type: str) -> None:
    assert told(abroad, media_type) == (media_type, f"To: <{DAN}>\r\nContact: <sip:dan@203.0.113.7>;q=0.5\r\n")


@pytest.mark.rfc("PA-016", "PA-017")
def test_xpidf_is_made_of_what_came(abroad: Abroad) -> None:
    content_type, body = told(abroad, XPIDF)
    root = etree.fromstring(body.encode())
    assert content_type == XPIDF
    assert root.find("presentity").attrib == {"uri": f"{DAN};method=SUBSCRIBE"}
    assert [(each.find("address").get("uri"), each.find("address/status").get("status")) for each in root.iter("atom")] == [
        ("sip:dan@203.0.113.7", "open"),
        (DAN, "closed"),
    ]
    assert root.findtext("atom/note") == "in the garden"


@pytest.mark.rfc("PA-016", "PA-017")
def test_cpim_pidf_is_made_of_what_came(abroad: Abroad) -> None:
    content_type, body = told(abroad, CPIM_MEDIA_TYPE)
    root = etree.fromstring(body.encode())
    assert (content_type, root.tag) == (CPIM_MEDIA_TYPE, f"{{{CPIM}}}presence")
    assert [each.get("id") for each in root.iter(f"{{{CPIM}}}tuple")] == ["one", "two"]


def test_who_takes_pidf_gets_the_octets_that_came(abroad: Abroad) -> None:
    assert told(abroad, f"{PIDF}, {LPIDF}") == (PIDF, TOLD.decode())


def test_each_format_has_a_tag_of_its_own_that_stays(abroad: Abroad) -> None:
    """A watcher that asks for the same format again is told of no change (RFC 5839 section 6.1)."""
    told(abroad, LPIDF)
    tags = [fields_of(abroad.watch_abroad(accept=each).sent[0].headers)["SIP-ETag"][0] for each in (LPIDF, LPIDF, XPIDF, PIDF)]
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


def test_in_a_list_too(abroad: Abroad) -> None:
    abroad.set_lists(timer_interval=0)
    lists = Lists(abroad)
    lists.put(DAN, owner=CAROL)
    subscriber = lists.watch(DAN, watcher=CAROL, accept=ACCEPT.replace(PIDF, TEXT_LPIDF))
    (asked,) = abroad.round()
    abroad.notify_from_far(asked, body=TOLD)
    (document,) = subscriber.told()
    assert document.instance(DAN).body.startswith(f"To: <{DAN}>".encode())
