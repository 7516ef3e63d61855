"""A new SUBSCRIBE on the database: kemi/subscribe.py, RFC 6665 section 4.2.1. In a dialog: test_refresh.py."""

from typing import Any

import pytest

from kemi.effects import Log, Wake
from kemi.errors import (
    BadEvent,
    Forbidden,
    IntervalTooBrief,
    LoopDetected,
    NotAcceptable,
    ServiceUnavailable,
    SipError,
    UnsupportedMediaType,
)
from kemi.event_package import Decision, Document
from kemi.postgresql import Pipeline
from kemi.presence.package import PRESENCE
from tests.unit.values import ALICE, BOB, CAROL, PIDF, SUBSCRIBE, fields_of, pidf
from tests.verbs.world import World, state_of


def refused(world: World, kind: type[SipError], **changes: Any) -> SipError:
    """The refusal of a SUBSCRIBE, which left no subscription."""
    with pytest.raises(kind) as caught:
        world.subscribe(**changes)
    world.now += 100_000
    assert world.notifier() == []
    return caught.value


# The answer and the first NOTIFY


@pytest.mark.rfc("PA-001")
@pytest.mark.rfc("PA-002")
@pytest.mark.rfc("PA-003")
def test_a_new_subscription_is_answered_200_and_told_at_once(world: World) -> None:
    world.publish(pidf("t1", note="here"))
    done = world.subscribe(expires="600")
    assert (done.reply.status, done.header("Expires")) == (200, "600")
    (first,) = done.sent
    assert done.effects.index(done.reply) < done.effects.index(first)
    assert (first.cseq, state_of(first)) == (1, "active;expires=600")
    assert "here" in first.body
    assert not any(isinstance(effect, Wake) for effect in done.effects)


@pytest.mark.rfc("TRN-014")
def test_the_contact_of_the_2xx_is_that_of_the_notify(world: World) -> None:
    done = world.subscribe()
    assert [done.header("Contact")] == fields_of(done.sent[0].headers)["Contact"]
    assert ";gr=" in done.header("Contact")


@pytest.mark.rfc("PA-020")
def test_without_expires_the_package_decides_then_the_operator(world: World) -> None:
    assert world.subscribe(expires=None).header("Expires") == "3600"
    world.set(default_expires=1800)
    assert world.subscribe(expires=None).header("Expires") == "1800"
    world.serve(name="slow", default_expires=900)
    assert world.subscribe(expires=None, event="slow").header("Expires") == "900"


@pytest.mark.rfc("PA-003")
@pytest.mark.parametrize(("asked", "granted"), [("60", "60"), ("3601", "3600"), ("99999999999999999999", "3600")])
def test_granted_time_is_never_longer_than_asked_for(world: World, asked: str, granted: str) -> None:
    assert world.subscribe(expires=asked).header("Expires") == granted


@pytest.mark.rfc("PA-029")
@pytest.mark.parametrize("asked", ["1", "59"])
def test_too_short_an_expiry_is_told_the_minimum(world: World, asked: str) -> None:
    assert refused(world, IntervalTooBrief, expires=asked).headers == (("Min-Expires", "60"),)


@pytest.mark.rfc("PA-030")
def test_an_expires_parameter_of_contact_has_no_effect(world: World) -> None:
    assert world.subscribe(expires="600", contact="<sip:bob@198.51.100.7>;expires=60").header("Expires") == "600"


@pytest.mark.rfc("PA-015")
@pytest.mark.parametrize("event", [None, "dialog", "Presence", "winfo", "presence.other"])
def test_a_package_that_is_not_served(world: World, event: str | None) -> None:
    assert refused(world, BadEvent, event=event).headers == (("Allow-Events", "presence"),)


@pytest.mark.rfc("PA-019")
@pytest.mark.parametrize("event", ["presence", "presence;id=a7"])
def test_a_notify_repeats_package_and_id(world: World, event: str) -> None:
    (first,) = world.subscribe(event=f"{event};unknown=1").sent
    assert fields_of(first.headers)["Event"] == [event]


@pytest.mark.rfc("PA-016")
def test_without_accept_the_body_is_of_the_default_type(world: World) -> None:
    world.serve(
        name="two",
        produces=(PIDF, "application/other"),
        render=lambda _at, views: {view: Document("body", view.content_type, "1") for view in views},
    )
    assert world.subscription(world.subscribe(event="two").dialog).accept == PIDF
    assert world.subscription(world.subscribe(event="two", accept="application/other").dialog).accept == "application/other"


@pytest.mark.rfc("PA-017")
@pytest.mark.parametrize("accept", ["", "text/plain", "application/other, text/html", f"{PIDF};q=0"])
def test_accept_without_a_type_that_the_package_has(world: World, accept: str) -> None:
    assert refused(world, NotAcceptable, accept=accept).headers == (("Accept", ", ".join(PRESENCE.produces)),)


@pytest.mark.rfc("TRN-019")
def test_a_body_is_not_understood_unless_it_is_optional(world: World) -> None:
    body: dict[str, Any] = {"body": b"<filter/>", "content_type": "application/simple-filter+xml"}
    assert ("Accept", "") in refused(world, UnsupportedMediaType, **body).headers
    assert ("Accept-Encoding", "identity") in refused(world, UnsupportedMediaType, **body, content_encoding="gzip").headers
    assert world.subscribe(**body, content_disposition="render; Handling = optional").reply.status == 200


# Who may watch


@pytest.mark.rfc("PA-012")
@pytest.mark.rfc("PA-023")
def test_a_pending_watcher_gets_no_document_in_any_state(world: World) -> None:
    world.publish()
    world.set(auth="implicit", notify_interval=0)
    told = world.subscribe().sent
    dialog = told[0].id
    world.answer(told[-1])
    world.publish(pidf("t2"))
    assert world.notifier() == []
    world.refresh(dialog)
    told += world.notifier()
    world.answer(told[-1])
    world.refresh(dialog, expires="0")
    told += world.notifier()
    told += world.subscribe(expires="0").sent
    assert [state_of(each).partition(";")[0] for each in told] == ["pending", "pending", "terminated", "terminated"]
    assert [each.body for each in told] == [""] * 4
    assert not any("Content-Type" in each.headers for each in told)


@pytest.mark.rfc("PA-002")
def test_pending_is_answered_200_too(world: World) -> None:
    world.set(auth="implicit")
    done = world.subscribe()
    assert (done.reply.status, state_of(done.sent[0])) == (200, "pending;expires=600")


def test_the_presentity_may_always_watch_itself(world: World) -> None:
    world.set(auth="implicit")
    assert state_of(world.subscribe(ALICE).sent[0]).startswith("active")


@pytest.mark.rfc("PA-013")
def test_a_watcher_whom_the_rules_refuse_gets_403_and_no_subscription(world: World) -> None:
    world.decide(Decision.BLOCK)
    refused(world, Forbidden)


@pytest.mark.rfc("PA-035")
@pytest.mark.rfc("SEC-026")
def test_a_polite_blocked_watcher_sees_what_one_of_an_offline_user_sees(world: World) -> None:
    (offline,) = world.subscribe(BOB, CAROL, call_id="one").sent
    world.publish(presentity=CAROL)
    world.decide(Decision.POLITE_BLOCK)
    (polite,) = world.subscribe(BOB, CAROL, call_id="two").sent
    assert (polite.body, polite.uri, polite.next_hop) == (offline.body, offline.uri, offline.next_hop)
    assert polite.headers.replace(polite.id, "").replace("two", "") == offline.headers.replace(offline.id, "").replace("one", "")


# Fetch


@pytest.mark.rfc("PA-006")
def test_a_fetch_is_one_notify_that_is_terminated_and_has_the_document(world: World) -> None:
    world.publish(pidf("t1", note="here"))
    done = world.subscribe(expires="0")
    assert done.header("Expires") == "0"
    (only,) = done.sent
    assert state_of(only) == "terminated;reason=timeout"
    assert "here" in only.body
    world.set(notify_interval=0)
    world.publish(pidf("t2"))
    assert world.notifier() == []
    assert world.answer(only) == []
    assert not world.has_subscription(done.dialog)


# Contact, routes, flows


@pytest.mark.rfc("TRN-001")
def test_the_route_set_is_record_route_in_the_order_received(world: World) -> None:
    routes = "<sip:p1.example.net;lr;ftag=x>, <sip:p2.example.net;lr>"
    (first,) = world.subscribe(record_route=routes, via_count=3).sent
    assert fields_of(first.headers)["Route"] == [routes]
    assert (first.uri, first.next_hop) == ("sip:bob@198.51.100.7:5062", "sip:p1.example.net;lr;ftag=x")


@pytest.mark.rfc("PA-040")
def test_documents_name_the_presentity_as_it_was_asked_for(world: World) -> None:
    world.publish()
    (first,) = world.subscribe(uri="pres:alice@example.org").sent
    assert 'entity="pres:alice@example.org"' in first.body


# The same request again, and others like it


@pytest.mark.rfc("TRN-009")
@pytest.mark.parametrize("expires", ["600", "0"])
def test_a_retransmission_gets_the_same_answer_and_makes_no_second_subscription(world: World, expires: str) -> None:
    request = SUBSCRIBE._replace(expires=expires)
    first = world.subscribe_request(request)
    again = world.subscribe_request(request)
    assert again.reply == first.reply
    assert again.effects == [again.reply]


@pytest.mark.rfc("TRN-016")
def test_the_same_request_on_another_path_is_refused(world: World) -> None:
    world.subscribe_request(SUBSCRIBE)
    with pytest.raises(LoopDetected):
        world.subscribe_request(SUBSCRIBE._replace(branch="z9hG4bK-other-path"))


@pytest.mark.parametrize(
    "changes", [{"from_uri": CAROL}, {"uri": CAROL}, {"from_tag": "other"}, {"cseq": 2}, {"contact": "<sip:bob@198.51.100.7:5064>"}]
)
def test_equal_call_ids_of_different_requests_are_different_dialogs(world: World, changes: dict[str, Any]) -> None:
    first = world.subscribe_request(SUBSCRIBE).dialog
    second = world.subscribe_request(SUBSCRIBE._replace(**changes)).dialog
    assert first != second
    assert world.has_subscription(first)
    assert world.has_subscription(second)


# Limits, cost, log


@pytest.mark.rfc("SEC-015")
@pytest.mark.parametrize("limit", ["max_watchers", "max_subscriptions"])
def test_the_subscription_over_the_limit_is_refused_with_503(world: World, limit: str) -> None:
    world.set(**{limit: 2})
    world.subscribe()
    kept = world.subscribe().dialog
    with pytest.raises(ServiceUnavailable) as caught:
        world.subscribe()
    assert [name for name, _ in caught.value.headers] == ["Retry-After"]
    other = world.subscribe(CAROL, CAROL)
    assert other.reply.status == 200
    assert world.refresh(kept).reply.status == 200


@pytest.mark.rfc("SEC-015")
def test_a_retransmission_is_answered_also_when_no_more_subscriptions_fit(world: World) -> None:
    world.set(max_watchers=1)
    first = world.subscribe_request(SUBSCRIBE)
    assert world.subscribe_request(SUBSCRIBE).reply == first.reply


def test_a_new_subscription_is_three_statements(world: World) -> None:
    """Besides what the rules need."""
    world.decide(Decision.ALLOW)
    world.publish()
    with world.counted() as names:
        world.subscribe()
    assert names == ["lock", "subscription_mark_telling", "publication_load_many", "subscription_create"]


@pytest.mark.parametrize(
    ("auth", "statements"),
    [
        ("none", ["decision_made", "subscription_mark_telling", "publication_load_many", "subscription_create"]),
        ("implicit", ["decision_made", "watcher_waiting", "subscription_mark_telling", "subscription_create"]),
    ],
)
def test_a_subscribe_is_four_statements_also_while_it_waits(world: World, auth: str, statements: list[str]) -> None:
    """Who waits is shown nothing, but may be known already."""
    world.set(auth=auth)
    world.publish()
    with world.counted() as names:
        world.subscribe()
    assert names == ["lock", *statements]


@pytest.mark.parametrize(
    ("auth", "statements"),
    [
        ("none", ["decision_made", "publication_load_many", "subscription_create"]),
        (
            "implicit",
            ["decision_made", "watcher_waiting", "subscription_mark_telling", "watcher_record", "subscription_create"],
        ),
    ],
)
def test_a_fetch_is_three_statements_and_five_where_nobody_has_decided(world: World, auth: str, statements: list[str]) -> None:
    """Who waits is remembered, and told of."""
    world.set(auth=auth)
    world.publish()
    with world.counted() as names:
        world.subscribe(expires="0")
    assert names == ["lock", *statements]


def test_on_postgresql_a_new_subscription_waits_for_the_network_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """For what management decided, together with what is shown; and for all that is written."""
    if world.database.engine == "sqlite":
        pytest.skip("there is no network to wait for")
    world.publish()
    world.subscribe(watcher=CAROL)
    waits: list[str] = []
    taken = Pipeline._results

    def waiting(pipeline: Pipeline) -> Any:
        waits.append("wait")
        return taken(pipeline)

    monkeypatch.setattr(Pipeline, "_results", waiting)
    (first,) = world.subscribe().sent
    assert first.body
    assert len(waits) == 2


def test_where_nobody_may_watch_the_watchers_it_is_two(world: World) -> None:
    world.packages = {"presence": PRESENCE}
    world.decide(Decision.ALLOW)
    with world.counted() as names:
        world.subscribe()
    assert names == ["lock", "publication_load_many", "subscription_create"]


@pytest.mark.rfc("SEC-028")
def test_the_log_names_both_sides_and_shows_no_document(world: World) -> None:
    world.publish(pidf("t1", note="secret note"))
    (line,) = (effect.text for effect in world.subscribe().effects if isinstance(effect, Log))
    assert f"resource={ALICE}" in line
    assert f"watcher={BOB}" in line
    assert "secret note" not in line
