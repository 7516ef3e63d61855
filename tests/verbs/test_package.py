"""A package is a table entry: another one is served by the same dialog code (kemi/event_package.py)."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kemi import sip, store
from kemi.errors import BadEvent, NotAcceptable
from kemi.event_package import Document, View
from kemi.moment import Moment
from kemi.subscription import Subscription
from tests.unit.values import ALICE
from tests.verbs.world import World, state_of


def weather(at: Moment, views: Sequence[View]) -> dict[View, Document]:
    """A state function that has nothing to do with presence."""
    return {view: report(f"{view.resource} at {at.now}") for view in views}


def report(text: str) -> Document:
    return Document(text, "text/weather", hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture
def forecast(world: World) -> World:
    world.serve(name="weather", default_expires=120, produces=("text/weather",), consumes=(), render=weather, minimum_interval=0)
    return world


@pytest.mark.rfc("PA-062")
def test_another_package_is_served_with_its_own_body_and_expiry(forecast: World) -> None:
    accepted = forecast.subscribe(event="weather;units=metric", accept="text/weather", expires=None)
    assert accepted.header("Expires") == "120"
    (first,) = accepted.sent
    assert "Event: weather\r\n" in first.headers
    assert "Content-Type: text/weather\r\n" in first.headers
    assert state_of(first) == "active;expires=120"
    assert first.body == f"sip:alice@example.org at {forecast.now}"


@pytest.mark.rfc("PA-062")
def test_each_package_has_its_own_accept_and_may_not_be_published(forecast: World) -> None:
    with pytest.raises(NotAcceptable):
        forecast.subscribe(event="weather", accept="application/pidf+xml")
    with pytest.raises(BadEvent) as refused:
        forecast.publish(event="weather")
    assert dict(refused.value.headers)["Allow-Events"] == "presence"


@pytest.mark.rfc("PA-062")
def test_subscriptions_of_two_packages_do_not_disturb_each_other(forecast: World) -> None:
    presence, other = forecast.watch(), forecast.watch(event="weather", accept="text/weather")
    forecast.now += 10
    forecast.publish()
    assert [request.id for request in forecast.notifier()] == [presence]
    forecast.refresh(other, expires="0", event="weather", accept="text/weather")
    assert [(request.id, state_of(request)) for request in forecast.notifier()] == [(other, "terminated;reason=timeout")]


@pytest.mark.rfc("PA-062", "PA-055")
@pytest.mark.parametrize(("replaces", "after"), [(False, "ONE"), (True, "TWO")])
def test_a_package_may_understand_a_body_in_subscribe(forecast: World, replaces: bool, after: str) -> None:
    """What it asks for stays with the subscription; whether a later one takes its place is the package's business."""

    def read(request: sip.Request) -> str:
        return request.body.decode().upper()

    forecast.packages["weather"] = replace(forecast.packages["weather"], read_body=read, replaces_body=replaces)
    weather_report = {"event": "weather", "accept": "text/weather"}
    dialog = forecast.subscribe(**weather_report, body=b"one").dialog
    assert forecast.subscription(dialog).body == "ONE"
    forecast.refresh(dialog, **weather_report)
    assert forecast.subscription(dialog).body == "ONE"
    forecast.refresh(dialog, **weather_report, body=b"two")
    assert forecast.subscription(dialog).body == after
    assert forecast.subscription(forecast.subscribe(**weather_report).dialog).body == ""


@pytest.mark.rfc("PA-062")
def test_a_package_may_tell_what_has_changed_since_what_arrived(forecast: World) -> None:
    """It gets back what it said that the watcher knows; what did not arrive is not known."""

    def tell(at: Moment, views: Sequence[View]) -> dict[View, Document]:
        return {view: report(f"since {view.aspect}: {at.now}")._replace(known=str(at.now)) for view in views}

    def known(subscription: Subscription) -> str:
        return subscription.known if subscription.notified_tag else "ever"

    forecast.packages["weather"] = replace(forecast.packages["weather"], render=tell, aspect=known)
    times, bodies = [forecast.now + number for number in range(4)], []
    (sent,) = forecast.subscribe(event="weather", accept="text/weather").sent
    for status, forecast.now in zip((200, 500, 200), times[1:], strict=True):
        bodies.append(sent.body)
        assert forecast.answer(sent, status) == []
        with forecast.database.transaction():
            store.mark_due(forecast.database, "weather", ALICE, forecast.now, 0)
        (sent,) = forecast.notifier()
    assert [*bodies, sent.body] == [
        f"since {since}: {now}" for since, now in zip(("ever", times[0], "ever", times[2]), times, strict=True)
    ]
