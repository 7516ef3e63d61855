"""A package is a table entry: another one is served by the same dialog code (kemi/event_package.py)."""

import hashlib
from collections.abc import Sequence

import pytest

from kemi.database import Database
from kemi.errors import BadEvent, NotAcceptable
from kemi.event_package import Document, View
from kemi.settings import Settings
from tests.verbs.world import World, state_of


def weather(_database: Database, _settings: Settings, views: Sequence[View], now: float) -> dict[View, Document]:
    """A state function that has nothing to do with presence."""
    return {view: report(f"{view.resource} at {now}") for view in views}


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
