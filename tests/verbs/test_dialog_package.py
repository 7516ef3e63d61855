"""Calls are watched on the database: kemi/packages/dialog.py, RFC 4235 section 3."""

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from kemi.effects import SendRequest
from kemi.errors import UnsupportedMediaType
from kemi.event_package import Decision, View, allow_events
from kemi.packages import served
from kemi.packages.dialog_info import MEDIA_TYPE, NAMESPACE
from tests.unit.values import ALICE, BOB, CAROL, fields_of
from tests.verbs.world import Accepted, Refused, World, same_for_all, state_of

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[1] / "unit/packages/schemas/dialog-info.xsd"))


@pytest.fixture
def calls(world: World) -> World:
    """A world that serves what is in kemi/packages, without waiting between NOTIFYs."""
    world.set(notify_interval=0)
    world.packages = served(world.settings)
    return world


def call(state: str, number: int = 1) -> str:
    return (
        f'<dialog id="d" call-id="call{number}@192.0.2.7" local-tag="a" remote-tag="b" direction="recipient"><state>{state}</state>'
        "<remote><identity>sip:secret@example.com</identity></remote></dialog>"
    )


def publish(world: World, *dialogs: str, tag: str | None = None) -> str:
    """One publication of Alice's, its entity-tag."""
    body = f'<dialog-info xmlns="{NAMESPACE}" version="1" state="full" entity="{ALICE}">{"".join(dialogs)}</dialog-info>'
    return world.publish(body.encode(), tag, event="dialog", content_type=MEDIA_TYPE).tag


def subscribe(world: World, watcher: str = ALICE, parameters: str = "", **changes: str | None) -> Accepted:
    return world.subscribe(watcher, event=f"dialog{parameters}", **changes)


def watch(world: World, watcher: str = ALICE, parameters: str = "") -> str:
    """A subscription whose first NOTIFY is answered; its dialog."""
    (first,) = subscribe(world, watcher, parameters).sent
    assert world.answer(first) == []
    return first.id


def document(request: SendRequest) -> etree._Element:
    root = etree.fromstring(request.body.encode())
    SCHEMA.assertValid(root)
    return root


def states(request: SendRequest) -> list[str]:
    return [state.text for state in document(request).iter(f"{{{NAMESPACE}}}state")]


def etag(request: SendRequest) -> str:
    (value,) = fields_of(request.headers)["SIP-ETag"]
    return value


# The package


@pytest.mark.rfc("PA-062", "PA-064", "PA-020")
def test_the_package_is_served_with_its_own_body_and_expiry(calls: World) -> None:
    done = subscribe(calls, expires=None)
    assert done.header("Expires") == "3600"
    (first,) = done.sent
    assert fields_of(first.headers)["Event"] == ["dialog"]
    assert fields_of(first.headers)["Content-Type"] == ["application/dialog-info+xml"]
    assert state_of(first) == "active;expires=3600"
    assert allow_events(calls.packages) == "presence, dialog, message-summary, xcap-diff"


@pytest.mark.rfc("PA-063", "PA-064")
def test_without_publications_there_is_a_full_document_without_dialogs(calls: World) -> None:
    for watcher in (ALICE, BOB):
        (first,) = subscribe(calls, watcher).sent
        assert dict(document(first).attrib) == {"version": "0", "state": "full", "entity": ALICE}
        assert len(document(first)) == 0


@pytest.mark.rfc("PA-063")
def test_each_notify_of_a_subscription_has_the_next_version_and_all_dialogs(calls: World) -> None:
    mine = watch(calls)
    tag = publish(calls, call("early"))
    for number, state in enumerate(("confirmed", "terminated"), 1):
        (told,) = calls.notifier()
        assert document(told).get("version") == str(number)
        assert calls.answer(told) == []
        tag = publish(calls, call(state), call("early", 2), tag=tag)
    (told,) = calls.notifier()
    assert (document(told).get("version"), states(told)) == ("3", ["terminated", "early"])
    assert calls.answer(told) == []
    calls.refresh(mine, event="dialog")
    (told,) = calls.notifier()
    assert (document(told).get("version"), document(told).get("state"), states(told)) == ("4", "full", ["terminated", "early"])


@pytest.mark.rfc("PA-067")
def test_changes_are_told_at_most_once_a_second(calls: World) -> None:
    calls.set(notify_interval=5)
    watch(calls)
    publish(calls, call("early"))
    calls.now += 0.9
    assert calls.notifier() == []
    calls.now += 0.1
    assert [states(told) for told in calls.notifier()] == [["early"]]


@pytest.mark.rfc("PUB-013")
def test_what_is_no_dialog_information_is_refused(calls: World) -> None:
    for content_type, body in ((MEDIA_TYPE, b"<dialog-info/>"), ("application/pidf+xml", b"")):
        with pytest.raises(UnsupportedMediaType) as refused:
            calls.publish(body or None, event="dialog", content_type=content_type)
        assert dict(refused.value.headers)["Accept"] == MEDIA_TYPE


def test_a_publication_that_cannot_be_read_any_more_is_left_out(calls: World) -> None:
    calls.packages["dialog"] = replace(calls.packages["dialog"], check_body=None)
    calls.publish(b"<dialog-info/>", event="dialog", content_type=MEDIA_TYPE)
    publish(calls, call("early"))
    (first,) = subscribe(calls).sent
    assert states(first) == ["early"]


def test_the_entity_is_the_uri_that_was_asked_for(calls: World) -> None:
    (first,) = subscribe(calls, uri=ALICE.replace("sip:", "pres:")).sent
    assert document(first).get("entity") == "pres:alice@example.org"


# Tags


@pytest.mark.rfc("PA-047")
def test_the_tag_is_that_of_the_state_and_not_of_the_version(calls: World) -> None:
    (first,) = subscribe(calls).sent
    assert calls.answer(first) == []
    tag = publish(calls, call("early"))
    (early,) = calls.notifier()
    assert calls.answer(early) == []
    publish(calls, call("confirmed"), tag=tag)
    (confirmed,) = calls.notifier()
    assert calls.answer(confirmed) == []
    calls.refresh(first.id, event="dialog")
    (again,) = calls.notifier()
    assert document(again).get("version") != document(confirmed).get("version")
    assert etag(again) == etag(confirmed)
    assert len({etag(first), etag(early), etag(confirmed)}) == 3


@pytest.mark.rfc("PUB-023")
def test_what_another_source_says_too_late_is_told_to_nobody(calls: World) -> None:
    watch(calls)
    watch(calls, BOB)
    publish(calls, call("terminated"))
    for told in calls.notifier():
        assert states(told) == ["terminated"]
        assert calls.answer(told) == []
    publish(calls, call("early"))
    assert calls.notifier() == []


def test_with_its_publication_a_dialog_goes(calls: World) -> None:
    watch(calls)
    tag = publish(calls, call("confirmed"))
    (told,) = calls.notifier()
    assert calls.answer(told) == []
    calls.publish(b"", tag, event="dialog", expires="0")
    assert [states(told) for told in calls.notifier()] == [[]]


# Who sees what


@pytest.mark.rfc("PA-064")
def test_the_user_itself_sees_all_dialogs(calls: World) -> None:
    publish(calls, call("early"), call("confirmed", 2))
    (first,) = subscribe(calls).sent
    assert states(first) == ["early", "confirmed"]
    assert first.body.count("sip:secret@example.com") == 2


@pytest.mark.rfc("PA-064")
def test_others_see_one_dialog_that_says_nothing_but_its_state(calls: World) -> None:
    publish(calls, call("early"), call("confirmed", 2))
    (first,) = subscribe(calls, BOB).sent
    assert states(first) == ["confirmed"]
    (only,) = document(first)
    assert dict(only.attrib) == {"id": "virtual"}
    assert [dict(child.attrib) for child in only] == [{}]


@pytest.mark.rfc("PA-064")
def test_others_see_all_dialogs_where_the_operator_says_so(calls: World) -> None:
    publish(calls, call("early"), call("confirmed", 2))
    calls.set(dialog_details="all")
    mine, others = (document(subscribe(calls, watcher).sent[0]) for watcher in (ALICE, BOB))
    assert etree.tostring(others) == etree.tostring(mine)


def test_a_change_that_others_cannot_see_is_not_told_to_them(calls: World) -> None:
    mine = watch(calls)
    watch(calls, BOB)
    publish(calls, call("confirmed"))
    for told in calls.notifier():
        assert calls.answer(told) == []
    publish(calls, call("early", 2))
    assert [told.id for told in calls.notifier()] == [mine]


@pytest.mark.rfc("PA-064")
@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        (';call-id="call1@192.0.2.7"', ["early"]),
        (';call-id="call1@192.0.2.7";to-tag=a;from-tag=b', ["early"]),
        (';from-tag=b;to-tag=a;call-id="call2@192.0.2.7";include-session-description', ["confirmed"]),
        (';call-id="call1@192.0.2.7";to-tag=b', []),
        (";call-id=call3", []),
        (";unheard-of=1", ["early", "confirmed"]),
    ],
)
def test_call_id_and_tags_narrow_a_subscription(calls: World, parameters: str, shown: list[str]) -> None:
    publish(calls, call("early"), call("confirmed", 2))
    (first,) = subscribe(calls, parameters=parameters).sent
    assert states(first) == shown


def test_a_call_id_with_quotes_is_asked_for_with_backslashes(calls: World) -> None:
    publish(calls, "<dialog id='d' call-id='a\"b'><state>early</state></dialog>", call("confirmed"))
    (first,) = subscribe(calls, parameters=r';call-id="a\"b"').sent
    assert states(first) == ["early"]


@pytest.mark.rfc("PA-064")
def test_a_narrowed_subscription_hears_of_its_dialog_only(calls: World) -> None:
    mine = watch(calls, parameters=';call-id="call1@192.0.2.7"')
    publish(calls, call("early", 2))
    assert calls.notifier() == []
    publish(calls, call("early"))
    assert [(told.id, states(told)) for told in calls.notifier()] == [(mine, ["early"])]


@pytest.mark.rfc("PA-064")
def test_others_cannot_ask_whether_the_user_is_in_a_certain_call(calls: World) -> None:
    publish(calls, call("confirmed"))
    answers = [subscribe(calls, BOB, f';call-id="call{number}@192.0.2.7"').sent[0] for number in (1, 2)]
    assert [states(each) for each in answers] == [[], []]
    assert etag(answers[0]) == etag(answers[1])
    calls.set(dialog_details="all")
    assert states(subscribe(calls, BOB, ';call-id="call1@192.0.2.7"').sent[0]) == ["confirmed"]


@pytest.mark.rfc("PA-064")
def test_who_is_politely_blocked_sees_a_user_without_dialogs(calls: World) -> None:
    idle = subscribe(calls, BOB).sent[0]
    publish(calls, call("confirmed"))
    calls.packages["dialog"] = replace(calls.packages["dialog"], authorize=same_for_all(Decision.POLITE_BLOCK))
    for details in ("virtual", "all"):
        calls.set(dialog_details=details)
        blocked = subscribe(calls, BOB).sent[0]
        assert (blocked.body, etag(blocked), state_of(blocked)) == (idle.body, etag(idle), state_of(idle))


def test_who_may_not_see_dialogs_does_not_see_them_beside_who_may(calls: World) -> None:
    publish(calls, call("confirmed"))
    views = [View(ALICE, ALICE, MEDIA_TYPE, decision, f"{own};") for decision in Decision for own in ("own", "")]
    documents = calls.packages["dialog"].render(calls.moment, views)
    assert [view.decision for view in views if "confirmed" in documents[view].content] == [Decision.ALLOW] * 2


@pytest.mark.rfc("PA-064", "PA-023")
def test_the_rule_of_presence_says_who_may_watch(calls: World) -> None:
    publish(calls, call("confirmed"))
    calls.set(auth="implicit")
    (pending,) = subscribe(calls, BOB).sent
    assert (state_of(pending), pending.body) == ("pending;expires=600", "")
    (own,) = subscribe(calls).sent
    assert states(own) == ["confirmed"]
    calls.packages["dialog"] = replace(calls.packages["dialog"], authorize=same_for_all(Decision.BLOCK))
    with pytest.raises(Exception, match="rules refuse") as refused:
        subscribe(calls, CAROL)
    assert not isinstance(refused.value, Refused)


# Phones

LINKSYS, BRIA, AASTRA, OTHER = (
    "Linksys/SPA962-6.1.5(a)",
    "Bria 3 release 3.5.5 stamp 71243",
    "Aastra 6731i/3.3.1",
    "Yealink SIP-T46S",
)


@pytest.mark.parametrize(("user_agent", "shown"), [(LINKSYS, ["confirmed"]), (OTHER, ["early", "confirmed", "terminated"])])
def test_a_phone_that_crashes_on_several_dialogs_gets_the_most_advanced_one(
    calls: World, user_agent: str, shown: list[str]
) -> None:
    publish(calls, call("early"), call("confirmed", 2), call("terminated", 3))
    (first,) = subscribe(calls, user_agent=user_agent).sent
    assert states(first) == shown
    assert first.body.count("sip:secret@example.com") == len(shown)


@pytest.mark.parametrize(("user_agent", "shown"), [(BRIA, ["terminated"]), (AASTRA, ["terminated"]), (OTHER, [])])
def test_a_phone_that_needs_a_dialog_gets_one_that_is_over(calls: World, user_agent: str, shown: list[str]) -> None:
    tag = publish(calls, call("confirmed"))
    for watcher in (ALICE, BOB):
        assert states(subscribe(calls, watcher, user_agent=user_agent).sent[0]) == ["confirmed"]
    calls.publish(b"", tag, event="dialog", expires="0")
    for watcher, decision in ((ALICE, Decision.ALLOW), (BOB, Decision.ALLOW), (BOB, Decision.POLITE_BLOCK)):
        calls.packages["dialog"] = replace(calls.packages["dialog"], authorize=same_for_all(decision))
        assert states(subscribe(calls, watcher, user_agent=user_agent).sent[0]) == shown


def test_without_client_profiles_all_phones_get_the_same(calls: World) -> None:
    calls.set(client_profiles=0)
    bodies = {subscribe(calls, user_agent=user_agent).sent[0].body for user_agent in (LINKSYS, BRIA, OTHER)}
    publish(calls, call("early"), call("confirmed", 2))
    later = {subscribe(calls, user_agent=user_agent).sent[0].body for user_agent in (LINKSYS, BRIA, OTHER)}
    assert (len(bodies), len(later)) == (1, 1)


def test_one_statement_loads_what_many_watchers_of_many_users_need(calls: World) -> None:
    pairs = (ALICE, ALICE), (ALICE, BOB), (BOB, BOB), (BOB, CAROL)
    dialogs = [calls.watch(watcher, resource=resource, event="dialog") for resource, watcher in pairs]
    for each in dialogs:
        calls.refresh(each, event="dialog")
    with calls.counted() as statements:
        assert len(calls.notifier()) == 4
    assert statements.count("publication_load_many") == 1
