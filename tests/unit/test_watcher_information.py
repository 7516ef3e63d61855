"""Documents of watcher information: kemi/watcher_information.py, RFC 3858 section 3. On the database: tests/verbs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import sip
from kemi.event_package import VERSION
from kemi.presence.package import PRESENCE
from kemi.subscription import WatcherEvent
from kemi.watcher import Status, Watcher
from kemi.watcher_information import DEFAULT_EXPIRES, WATCHERINFO, aspect, winfo_of, with_templates, write
from tests.unit.values import ALICE, BOB, NOW, subscription
from tests.watcherinfo import read

WATCHER = Watcher(ALICE, "a7", BOB, "Bob", Status.ACTIVE, WatcherEvent.SUBSCRIBE, NOW - 60, NOW + 600, 1, False)


def document(*watchers: Watcher, kind: str = "full", version: int = 0, entity: str = ALICE, package: str = "presence") -> str:
    return write(entity, package, kind, watchers, NOW).replace(VERSION, str(version))


@pytest.mark.rfc("WINFO-003", "WINFO-018")
def test_a_document_says_what_it_is_of() -> None:
    told = read(document(WATCHER, kind="partial", version=2**40))
    assert (told.kinds, told.resource, told.package) == ((2**40, "partial"), ALICE, "presence")
    (entry,) = told.watchers
    assert (entry.id, entry.state, entry.name) == ("a7", (BOB, "active", "subscribe"), "Bob")
    assert (entry.expiration, entry.duration) == (600, 60)


@pytest.mark.rfc("WINFO-004", "WINFO-005")
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("event", WatcherEvent)
def test_every_status_and_event_is_valid(status: Status, event: WatcherEvent) -> None:
    (entry,) = read(document(WATCHER._replace(status=status, event=event))).watchers
    assert (entry.status, entry.event) == (status.value, event.value)
    assert (entry.expiration is None) == (status in (Status.WAITING, Status.TERMINATED))


@pytest.mark.rfc("WINFO-018")
def test_without_a_name_there_is_no_attribute_and_no_time_is_negative() -> None:
    (entry,) = read(document(WATCHER._replace(display_name="", expires_at=NOW - 1, subscribed_at=NOW + 1))).watchers
    assert (entry.name, entry.expiration, entry.duration) == (None, 0, 0)


def test_what_was_stored_has_no_expiry() -> None:
    (entry,) = read(document(WATCHER._replace(stored=True))).watchers
    assert entry.expiration is None


@pytest.mark.rfc("WINFO-017")
@given(
    name=st.text(st.characters(codec="utf-8"), max_size=40),
    user=st.text(alphabet="abcXYZ019-_.!~*'()&=+$,;?/%", min_size=1, max_size=40),
)
def test_any_name_and_any_address_is_escaped(name: str, user: str) -> None:
    uri = sip.address_of_record(sip.parse_uri(f"sip:{user}@example.org"))
    shown = sip.display_name(name)
    told = read(document(WATCHER._replace(uri=uri, display_name=shown), entity=uri))
    (entry,) = told.watchers
    assert (told.resource, entry.uri, entry.name or "") == (uri, uri, shown)


# Whether a document is full, and from where on it tells


@pytest.mark.rfc("WINFO-009", "WINFO-010")
@pytest.mark.parametrize(
    ("notified_tag", "version", "start"),
    [("", 0, "full "), ("", 3, "full 7 "), ("active x", 0, "full "), ("active x", 3, "partial 7 "), ("active ", 1, "partial 7 ")],
)
def test_what_a_subscription_gets_next(notified_tag: str, version: int, start: str) -> None:
    found = aspect(subscription(notified_tag=notified_tag, version=version, told=7))
    assert found.startswith(start)
    assert found.endswith(f" {BOB}")


# The packages


@pytest.mark.rfc("WINFO-001", "WINFO-016", "PA-062", "PA-020", "PA-067")
def test_the_template_of_a_package() -> None:
    package = winfo_of(PRESENCE)
    assert (package.name, package.produces, package.consumes) == ("presence.winfo", (WATCHERINFO,), ())
    assert (package.default_expires, package.minimum_interval) == (DEFAULT_EXPIRES, PRESENCE.minimum_interval)


@pytest.mark.rfc("WINFO-016")
@pytest.mark.parametrize(
    ("depth", "names"),
    [(0, ["presence"]), (1, ["presence", "presence.winfo"]), (2, ["presence", "presence.winfo", "presence.winfo.winfo"])],
)
def test_templates_nest_as_deep_as_they_are_served(depth: int, names: list[str]) -> None:
    assert list(with_templates([PRESENCE], depth)) == names
