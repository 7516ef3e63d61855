"""Presence rules from end to end: a document is put by HTTP, and who watches is told (RFC 5025 section 3.2.1)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.server import Server
from tests.useragent import UserAgent, pidf

RULES = """<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules"><rule id="a">
<conditions><identity><one id="sip:bob@example.org"/></identity></conditions>
<actions><pr:sub-handling>{}</pr:sub-handling></actions>
<transformations><pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-all-attributes/></transformations>
</rule></ruleset>"""
TYPE = {"Content-Type": "application/auth-policy+xml", "X-3GPP-Asserted-Identity": '"sip:alice@example.org"'}
PATH = "/xcap-root/pres-rules/users/sip:alice@example.org/index"


@pytest.fixture
def ruled(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Server]:
    server = Server({"KP_DB_URL": new_database(tmp_path), "KP_SET": "pa.notify_interval=0;pa.auth=xcap"}, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.rfc("AUTH-010", "AUTH-011", "AUTH-006")
def test_a_pending_watcher_is_allowed_and_blocked_by_documents(ruled: Server) -> None:
    alice, bob = UserAgent(ruled.address, "alice"), UserAgent(ruled.address, "bob")
    alice.publish(pidf())
    bob.subscribe("sip:alice@example.org")
    first = bob.notify()
    assert (first.get("Subscription-State").partition(";")[0], first.body) == ("pending", b"")
    with httpx.Client(base_url=f"http://{ruled.address[0]}:{ruled.http_port}") as web:
        assert web.put(PATH, content=RULES.format("allow"), headers=TYPE).status_code == 201
        allowed = bob.notify()
        assert allowed.get("Subscription-State").startswith("active")
        assert b"<basic>open</basic>" in allowed.body
        assert web.put(PATH, content=RULES.format("block"), headers=TYPE).status_code == 200
        assert bob.notify().get("Subscription-State") == "terminated;reason=rejected"


CALLS = "http://openxcap.org/ns/dialog-rules"
CALL = """<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.org">
<dialog id="d"><state>confirmed</state></dialog></dialog-info>"""


@pytest.mark.parametrize("auid", ["dialog-rules", "org.openxcap.dialog-rules"])
def test_who_sees_calls_is_said_by_documents_of_their_own(ruled: Server, auid: str) -> None:
    alice, bob, carol = (UserAgent(ruled.address, name) for name in ("alice", "bob", "carol"))
    path, rules = PATH.replace("pres-rules", auid), RULES.replace("urn:ietf:params:xml:ns:pres-rules", CALLS)
    rules = rules.partition("<transformations>")[0] + "</rule></ruleset>"
    expires, kind = "Expires: 600", "Content-Type: application/dialog-info+xml"
    assert alice.request("PUBLISH", alice.aor, "Event: dialog", expires, kind, body=CALL.encode()).status == 200
    with httpx.Client(base_url=f"http://{ruled.address[0]}:{ruled.http_port}") as web:
        everybody = RULES.format("allow").replace("<conditions>", "<!--").replace("</conditions>", "-->")
        assert web.put(PATH, content=everybody, headers=TYPE).status_code == 201
        assert bob.subscribe("sip:alice@example.org", event="dialog").status == 200
        assert b"confirmed" in bob.notify().body
        assert web.put(path, content=rules.format("block"), headers=TYPE).status_code == 201
        assert bob.notify().get("Subscription-State") == "terminated;reason=rejected"
        assert bob.subscribe("sip:alice@example.org", event="dialog", call_id="again").status == 403
        assert carol.subscribe("sip:alice@example.org", event="dialog").status == 403
        assert carol.subscribe("sip:alice@example.org").status == 200
        assert carol.notify().get("Subscription-State").startswith("active")
