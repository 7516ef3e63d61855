"""Changes of documents on the wire: written over HTTP, told by SIP, in Blink's words (RFC 5875)."""

from collections.abc import Iterator

import pytest
from lxml import etree

from tests.server import Server
from tests.unit.xcap.patching import apply, canonical
from tests.useragent import UserAgent
from tests.wire.test_xcap import ELEMENT, LISTS, NODE, TYPE, Client
from tests.xcapdiff import LISTS_TYPE, Told, read, wanted


@pytest.fixture
def alice(server: Server) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def phone(server: Server, alice: Client) -> Iterator[UserAgent]:
    made = UserAgent(server.address, alice.user)
    yield made
    made.close()


def watch(phone: UserAgent, *uris: str, event: str = "xcap-diff") -> Told:
    """A SUBSCRIBE and what the first NOTIFY says."""
    lines = ("Accept: application/xcap-diff+xml", f"Content-Type: {LISTS_TYPE}")
    assert phone.subscribe(phone.aor, *lines, event=event, body=wanted(*uris)).status == 200
    return told(phone)


def told(phone: UserAgent) -> Told:
    message = phone.notify()
    assert message.get("Content-Type") == "application/xcap-diff+xml"
    return read(message.body)


@pytest.mark.rfc("XCS-053", "XCS-055", "XCS-058")
def test_what_blink_subscribes_to_is_told(alice: Client, phone: UserAgent) -> None:
    """Its URIs are relative, and percent-encoded; it fetches what it is told of."""
    home = alice.uri.replace(":", "%3A").replace("@", "%40")
    lists, rules = (f"{auid}/users/{home}/index" for auid in ("resource-lists", "org.openmobilealliance.pres-rules"))
    assert watch(phone, lists, rules).parts == ()
    created = alice.put(alice.path(), content=LISTS, headers=TYPE | {"If-None-Match": "*"}).headers["ETag"].strip('"')
    assert told(phone).tags == {lists: (None, created)}
    changed = alice.put(alice.path() + NODE.format("sip:a@b"), content='<entry uri="sip:a@b"/>', headers=ELEMENT)
    assert changed.status_code == 201
    after = changed.headers["ETag"].strip('"')
    assert told(phone).tags == {lists: (created, after)}
    assert alice.delete(alice.path()).status_code == 200
    assert told(phone).tags == {lists: (after, None)}


@pytest.mark.rfc("XCS-054", "XCS-058")
def test_operations_make_the_new_document_of_the_old_one(alice: Client, phone: UserAgent) -> None:
    alice.put(alice.path(), content=LISTS, headers=TYPE)
    sel = alice.path()[1:]
    watch(phone, sel, event="xcap-diff;diff-processing=aggregate")
    alice.put(alice.path() + NODE.format("sip:a@b"), content='<entry uri="sip:a@b"/>', headers=ELEMENT)
    (part,) = told(phone).parts
    assert part.source is not None
    operations = "".join(str(etree.tostring(each, encoding="unicode")) for each in part.source)
    assert canonical(apply(LISTS, operations)) == canonical(alice.get(alice.path()).content)
