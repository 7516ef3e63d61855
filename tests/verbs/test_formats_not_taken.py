"""What is not served is refused, and changes nothing: protected bodies, partial publication, partial notification, filters."""

import pytest

from kemi.errors import NotAcceptable, UnsupportedMediaType
from kemi.presence.package import PRESENCE
from tests.unit.values import ALICE, fields_of, pidf
from tests.verbs.world import World

PIDF, PIDF_DIFF = "application/pidf+xml", "application/pidf-diff+xml"
PROTECTED = [
    'multipart/signed;protocol="application/pkcs7-signature";micalg=sha-256;boundary=b',
    "application/pkcs7-mime;smime-type=enveloped-data",
    "multipart/encrypted;boundary=b",
]
DIFF = (
    b'<p:pidf-diff xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf-diff" entity="sip:alice@example.org">'
    b'<p:replace sel="*/tuple/status/basic/text()">closed</p:replace></p:pidf-diff>'
)
FILTER = (
    b'<filter-set xmlns="urn:ietf:params:xml:ns:simple-filter"><filter id="1"><what><include>/presence/note</include></what>'
    b"</filter></filter-set>"
)


def body_of(content_type: str) -> bytes:
    return (
        DIFF if content_type == PIDF_DIFF else b"--b\r\nContent-Type: application/pidf+xml\r\n\r\n" + pidf("t1") + b"\r\n--b--\r\n"
    )


@pytest.mark.rfc("PUB-025")
@pytest.mark.parametrize("content_type", PROTECTED)
def test_a_protected_body_is_never_altered_since_it_is_not_taken(world: World, content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType) as refusal:
        world.publish(body_of(content_type), content_type=content_type)
    assert dict(refusal.value.headers)["Accept"] == ", ".join(PRESENCE.consumes)
    assert world.publications() == []


@pytest.mark.parametrize("content_type", [*PROTECTED, PIDF_DIFF])
def test_what_was_published_and_its_tag_stay(world: World, content_type: str) -> None:
    world.set(notify_interval=0)
    tag = world.publish(pidf("t1")).tag
    world.watch()
    before = world.publications()
    with pytest.raises(UnsupportedMediaType):
        world.publish(body_of(content_type), tag=tag, content_type=content_type)
    assert world.publications() == before
    assert world.notifier() == []
    assert world.publish(b"", tag=tag).tag != tag


@pytest.mark.rfc("FMT-020")
@pytest.mark.parametrize("accept", [f"{PIDF_DIFF}, {PIDF}", f"{PIDF};q=0.5, {PIDF_DIFF};q=1"])
def test_who_takes_partial_documents_too_gets_whole_ones(world: World, accept: str) -> None:
    world.set(notify_interval=0)
    world.publish(pidf("t1"))
    (first,) = world.subscribe(accept=accept).sent
    world.answer(first)
    world.publish(pidf("t2"))
    (second,) = world.notifier()
    assert [fields_of(each.headers)["Content-Type"] for each in (first, second)] == [[PIDF], [PIDF]]
    assert second.body.count("<tuple") == 2


@pytest.mark.rfc("FMT-020")
def test_who_takes_nothing_but_partial_documents_gets_406(world: World) -> None:
    with pytest.raises(NotAcceptable):
        world.subscribe(accept=PIDF_DIFF)


@pytest.mark.parametrize("event", ["presence", "presence.winfo"])
def test_a_filter_is_refused_and_not_dropped(world: World, event: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        world.subscribe(ALICE, event=event, body=FILTER, content_type="application/simple-filter+xml")
    dialog = world.watch(ALICE, event=event)
    with pytest.raises(UnsupportedMediaType):
        world.refresh(dialog, body=FILTER, content_type="application/simple-filter+xml")
    assert world.has_subscription(dialog)
