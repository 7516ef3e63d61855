"""Values that unit tests change one thing of: a request, a subscription, a publication, settings."""

from pathlib import Path
from typing import Any

from kemi import sip
from kemi.event_package import Decision, Document
from kemi.presence.publication import Publication
from kemi.settings import AuthSettings, DatabaseSettings, PresenceAgentSettings, Settings
from kemi.subscription import State, Subscription

NOW = 1_000_000.0
ALICE, BOB, CAROL = "sip:alice@example.org", "sip:bob@example.org", "sip:carol@example.org"
PIDF = "application/pidf+xml"


def token_of(number: int) -> str:
    """32 hexadecimal digits that look drawn by lot, others for each number."""
    return f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"


def pidf(*tuples: str, note: str = "") -> bytes:
    """A presence document with open tuples of these ids, and a note to tell it by."""
    inside = "".join(f'<tuple id="{each}"><status><basic>open</basic></status></tuple>' for each in tuples)
    inside += f"<note>{note}</note>" if note else ""
    return f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{ALICE}">{inside}</presence>'.encode()


def settings_of(db_url: str = "sqlite:///nowhere", **pa: Any) -> Settings:
    """The settings of a small server; parameters of group pa as given."""
    return Settings(
        address="192.0.2.1", port=5060, http_port=8080, tls_port=5061, db_url=db_url, domains=("example.org", "example.com"),
        trusted=(), var=Path("var"), workers=2, pa=PresenceAgentSettings(**pa), db=DatabaseSettings(), auth=AuthSettings(),
    )  # fmt: skip


SUBSCRIBE = sip.Request(
    method="SUBSCRIBE", uri=ALICE, from_uri=BOB, from_tag="bob-tag", to_uri=ALICE, to_tag=None, call_id="call-1", cseq=1,
    branch="z9hG4bK1", source_address="198.51.100.7", source_port=5062, transport="udp", socket="udp:192.0.2.1:5060", connection=0,
    via_count=1, event="presence", expires="600", contact="<sip:bob@198.51.100.7:5062>", user_agent="test",
)  # fmt: skip

PUBLISH = sip.Request(
    method="PUBLISH", uri=ALICE, from_uri=ALICE, from_tag="alice-tag", to_uri=ALICE, to_tag=None, call_id="call-2", cseq=1,
    branch="z9hG4bK2", source_address="198.51.100.6", source_port=5060, transport="udp", socket="udp:192.0.2.1:5060", connection=0,
    via_count=1, event="presence", expires="600", content_type=PIDF, body=pidf("t1"),
)  # fmt: skip

SUBSCRIPTION = Subscription(
    id="kp-1", package="presence", event_id=None, resource=ALICE, entity=ALICE, watcher=BOB, decision=Decision.ALLOW,
    state=State.ACTIVE, reason=None, accept=PIDF, created_at=NOW, expires_at=NOW + 600, call_id="call-1", local_uri=ALICE,
    remote_uri=BOB, remote_tag="bob-tag", remote_target="sip:bob@198.51.100.7:5062", route_set="", local_cseq=1, remote_cseq=1,
    branch="z9hG4bK1", socket="udp:192.0.2.1:5060", flow="", connection=0, user_agent="test", due_at=None, in_flight_since=None,
    notified_at=NOW, notified_tag="active 1", next_at=NOW + 600,
)  # fmt: skip

PUBLICATION = Publication(
    presentity=ALICE, package="presence", id="one", etag="one", content_type=PIDF, body=pidf("t1"), published_at=NOW,
    created_at=NOW, expires_at=NOW + 600, qualified=False,
)  # fmt: skip

DOCUMENT = Document("<presence/>", PIDF, "d1")


def subscription(**changes: Any) -> Subscription:
    return SUBSCRIPTION._replace(**changes)


def fields_of(headers: str) -> dict[str, list[str]]:
    """Header lines as values by name; every line has to end in CRLF and to be one."""
    assert headers.endswith("\r\n")
    found: dict[str, list[str]] = {}
    for line in headers.removesuffix("\r\n").split("\r\n"):
        name, separator, value = line.partition(": ")
        assert separator, line
        found.setdefault(name, []).append(value)
    return found
