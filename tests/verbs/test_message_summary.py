"""Mailboxes are watched on the database: kemi/packages/message_summary.py, RFC 3842 section 3."""

from dataclasses import replace

import pytest

from kemi.effects import SendRequest
from kemi.errors import Forbidden, UnsupportedMediaType
from kemi.event_package import Decision, View
from kemi.packages import served
from kemi.packages.message_summary_body import MEDIA_TYPE
from tests.unit.values import ALICE, BOB, fields_of
from tests.verbs.world import Accepted, World, state_of

VOICE = "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n"
NEWS = "\r\nSubject: carpool tomorrow?\r\n"


@pytest.fixture
def mail(world: World) -> World:
    """A world that serves what is in kemi/packages, without waiting between NOTIFYs."""
    world.set(notify_interval=0)
    world.packages = served(world.settings)
    return world


def publish(world: World, body: str, tag: str | None = None) -> str:
    """A publication of Alice's mailbox a second later, its entity-tag."""
    world.now += 1
    return world.publish(body.encode(), tag, event="message-summary", content_type=MEDIA_TYPE, expires="3600").tag


def subscribe(world: World, **changes: str | None) -> Accepted:
    return world.subscribe(ALICE, event="message-summary", **changes)


def watch(world: World) -> str:
    """A subscription whose first NOTIFY is answered; its dialog."""
    (first,) = subscribe(world).sent
    assert world.answer(first) == []
    return first.id


def told(world: World) -> list[str]:
    """Bodies of what the notifier sends, answered."""
    requests = world.notifier()
    for request in requests:
        assert world.answer(request) == []
    return [request.body for request in requests]


def etag(request: SendRequest) -> str:
    (value,) = fields_of(request.headers)["SIP-ETag"]
    return value


@pytest.mark.rfc("PA-062", "PA-065", "PA-020")
def test_the_package_is_served_with_its_own_body_and_expiry(mail: World) -> None:
    done = subscribe(mail, expires=None)
    assert done.header("Expires") == "3600"
    (first,) = done.sent
    assert fields_of(first.headers)["Event"] == ["message-summary"]
    assert fields_of(first.headers)["Content-Type"] == ["application/simple-message-summary"]
    assert state_of(first) == "active;expires=3600"


@pytest.mark.rfc("PA-065")
def test_nothing_published_means_no_messages(mail: World) -> None:
    (first,) = subscribe(mail).sent
    assert first.body == "Messages-Waiting: no\r\n"


@pytest.mark.rfc("PA-065")
def test_a_change_is_told_as_the_mailbox_has_it(mail: World) -> None:
    watch(mail)
    tag = publish(mail, VOICE)
    assert told(mail) == [VOICE]
    publish(mail, "messages-waiting:no\nvoice-message:0/10", tag)
    assert told(mail) == ["Messages-Waiting: no\r\nVoice-Message: 0/10\r\n"]


def test_when_the_publication_is_gone_there_are_no_messages(mail: World) -> None:
    tag = publish(mail, VOICE)
    watch(mail)
    mail.publish(b"", tag, event="message-summary", expires="0")
    assert told(mail) == ["Messages-Waiting: no\r\n"]


@pytest.mark.rfc("PA-067")
def test_changes_are_told_at_most_once_a_second(mail: World) -> None:
    mail.set(notify_interval=5)
    publish(mail, VOICE)
    watch(mail)
    mail.now -= 0.5
    publish(mail, "Messages-Waiting: no\r\n")
    assert told(mail) == []
    mail.now += 0.5
    assert told(mail) == ["Messages-Waiting: no\r\n"]


# Message headers


@pytest.mark.rfc("PA-065")
def test_the_answer_to_a_subscribe_has_no_message_headers(mail: World) -> None:
    publish(mail, VOICE + NEWS)
    (first,) = subscribe(mail).sent
    assert first.body == VOICE
    assert mail.answer(first) == []
    mail.now += 1
    mail.refresh(first.id, event="message-summary")
    assert told(mail) == [VOICE]


@pytest.mark.rfc("PA-065")
def test_a_new_message_is_told_with_its_headers_once(mail: World) -> None:
    watch(mail)
    publish(mail, VOICE + NEWS)
    assert told(mail) == [VOICE + NEWS]
    mail.now += 600
    (last,) = mail.notifier()
    assert (last.body, state_of(last)) == (VOICE, "terminated;reason=timeout")


@pytest.mark.rfc("PA-065")
def test_messages_of_a_mailbox_that_were_told_are_not_told_with_those_of_another(mail: World) -> None:
    watch(mail)
    publish(mail, "Messages-Waiting: yes\r\nMessage-Account: sip:fax@example.org\r\nFax-Message: 1/0\r\n\r\nSubject: fax\r\n")
    assert [body.endswith("\r\n\r\nSubject: fax\r\n") for body in told(mail)] == [True]
    mail.now += 1
    publish(mail, VOICE + NEWS)
    summary = f"Messages-Waiting: yes\r\nMessage-Account: {ALICE}\r\nFax-Message: 1/0\r\nVoice-Message: 2/8 (0/2)\r\n"
    assert told(mail) == [summary + NEWS]


@pytest.mark.rfc("PA-047", "PA-065")
def test_the_tag_names_the_whole_state_with_headers_or_without(mail: World) -> None:
    before = publish(mail, VOICE)
    (first,) = subscribe(mail).sent
    assert mail.answer(first) == []
    publish(mail, VOICE + NEWS, before)
    (changed,) = mail.notifier()
    assert mail.answer(changed) == []
    mail.refresh(first.id, event="message-summary")
    (again,) = mail.notifier()
    assert (changed.body, again.body) == (VOICE + NEWS, VOICE)
    assert etag(first) != etag(changed) == etag(again)


@pytest.mark.rfc("PUB-023")
def test_the_same_summary_again_is_told_to_nobody(mail: World) -> None:
    tag = publish(mail, VOICE + NEWS)
    watch(mail)
    publish(mail, VOICE + NEWS, tag)
    assert told(mail) == []


# Accounts


@pytest.mark.rfc("PA-065")
def test_who_asked_for_an_alias_is_told_whose_account_it_is(mail: World) -> None:
    (first,) = subscribe(mail, uri=ALICE.replace("sip:", "pres:")).sent
    assert first.body == f"Messages-Waiting: no\r\nMessage-Account: {ALICE}\r\n"
    publish(mail, "Messages-Waiting: yes\r\nMessage-Account: sip:box7@vmail.example.com\r\n")
    (first,) = subscribe(mail, uri=ALICE.replace("sip:", "pres:")).sent
    assert first.body == "Messages-Waiting: yes\r\nMessage-Account: sip:box7@vmail.example.com\r\n"


@pytest.mark.rfc("PA-065")
def test_a_mailbox_is_watched_by_its_owner_alone(mail: World) -> None:
    for settings in ({}, {"auth": "implicit"}, {"publishers": (BOB,)}):
        mail.set(**settings)
        with pytest.raises(Forbidden):
            mail.subscribe(BOB, event="message-summary")
        assert subscribe(mail).sent


def test_the_mailbox_is_in_no_document_but_the_owners(mail: World) -> None:
    publish(mail, VOICE)
    views = [View(ALICE, ALICE, MEDIA_TYPE, decision) for decision in Decision]
    documents = mail.packages["message-summary"].render(mail.moment, views)
    assert [view.decision for view in views if "yes" in documents[view].content] == [Decision.ALLOW]


@pytest.mark.rfc("PUB-013")
def test_what_is_no_summary_is_refused(mail: World) -> None:
    for content_type, body in ((MEDIA_TYPE, b"2 new messages"), ("text/plain", VOICE.encode())):
        with pytest.raises(UnsupportedMediaType) as refused:
            mail.publish(body, event="message-summary", content_type=content_type)
        assert dict(refused.value.headers)["Accept"] == MEDIA_TYPE


def test_a_body_that_is_checked_by_nobody_is_left_out(mail: World) -> None:
    mail.packages["message-summary"] = replace(mail.packages["message-summary"], check_body=None)
    publish(mail, "2 new messages")
    (first,) = subscribe(mail).sent
    assert first.body == "Messages-Waiting: no\r\n"
