"""presencectl explain, xcap, allow and block beside a running server: what rules do to watchers on the wire (RFC 5025)."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import ROOT, Server
from tests.unit.xcap.rules import document, identity, many, one, rule, validity
from tests.useragent import Agents, pidf
from tests.wire.commands import control

INDEX = "pres-rules/users/sip:alice@example.org/index"
EVERYTHING = (
    "<provide-services><all-services/></provide-services><provide-persons><all-persons/></provide-persons><provide-all-attributes/>"
)
FOR_ALICE = ("--for", "alice@example.org")
BOBS = identity(one("sip:bob@example.org"))


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    """A server that asks users' rules."""
    return start_server({"KP_SET": "pa.notify_interval=0;pa.auth=xcap"})


def put(server: Server, tmp_path: Path, *rules: str, where: str = INDEX) -> Any:
    file = tmp_path / "rules.xml"
    file.write_bytes(document(*rules))
    return control(server, "xcap", "put", where, str(file))


@pytest.mark.rfc("AUTH-010", "AUTH-011", "AUTH-006")
def test_watchers_hear_of_each_decision_at_once(server: Server, agents: Agents) -> None:
    alice, bob, carol = agents("alice"), agents("bob"), agents("carol")
    alice.publish(pidf())
    for watcher in (bob, carol):
        watcher.subscribe(alice.aor)
        assert watcher.notify().state == "pending"
    done = control(server, "allow", bob.aor, *FOR_ALICE)
    assert (done["decision"], done["operation"], done["others"], done["server"]) == ("allow", "created", "confirm", "told")
    told = bob.notify()
    assert (told.state, b"<basic>open</basic>" in told.body) == ("active", True)
    assert control(server, "polite-block", bob.aor, *FOR_ALICE)["warnings"] == []
    told = bob.notify()
    assert (told.state, b"<basic>closed</basic>" in told.body) == ("active", True)
    assert control(server, "block", bob.aor, *FOR_ALICE)["subscriptions"][0]["state"] == "terminated"
    assert (bob.notify().state, bob.subscribe(alice.aor).status) == ("terminated;reason=rejected", 403)
    assert [each["state"] for each in control(server, "subscriptions", "--watcher", carol.aor)] == ["pending"]
    assert control(server, "allow", carol.aor, *FOR_ALICE)["server"] == "told"
    assert carol.notify().state == "active"


def test_rules_that_are_put_are_told_and_explained(server: Server, agents: Agents, tmp_path: Path) -> None:
    alice, bob = agents("alice"), agents("bob")
    alice.publish(pidf(note="at my desk"))
    bob.subscribe(alice.aor)
    bob.notify()
    done = put(server, tmp_path, rule(BOBS, "allow", "<provide-services><all-services/></provide-services>", "friends"))
    assert (done["operation"], done["server"]) == ("created", "told")
    told = bob.notify()
    assert (told.state, b"open" in told.body, b"at my desk" in told.body) == ("active", True, False)
    why = control(server, "explain", bob.aor, alice.aor)
    assert (why["decision"], [each["rule"] for each in why["rules"] if each["matches"]]) == ("allow", ["friends"])
    assert [(each["element"], each["needs"]) for each in why["removed"]] == [("note", "provide-note")]
    tried = tmp_path / "rules.xml"
    tried.write_bytes(document(rule(identity(many()), "allow", EVERYTHING)))
    assert control(server, "explain", bob.aor, alice.aor, "--rules", str(tried))["removed"] == []
    assert control(server, "xcap", "put", INDEX, str(tried))["operation"] == "replaced"
    assert b"at my desk" in bob.notify().body
    assert control(server, "xcap", "delete", INDEX)["server"] == "told"
    assert (bob.notify().state, control(server, "explain", bob.aor, alice.aor)["decision"]) == ("pending", "confirm")


@pytest.mark.rfc("AUTH-027")
def test_the_clock_does_what_explain_says(server: Server, agents: Agents, tmp_path: Path) -> None:
    alice, bob = agents("alice"), agents("bob")
    until = datetime.now(UTC) + timedelta(seconds=6)
    put(server, tmp_path, rule(BOBS + validity("2020-01-01T00:00:00Z", until.isoformat()), "allow", EVERYTHING))
    bob.subscribe(alice.aor)
    assert bob.notify().state == "active"
    then = control(server, "explain", bob.aor, alice.aor)["then"]
    assert then is None or (then["decision"], then["changes_at"]) == ("block", until.timestamp())
    assert bob.notify(timeout=15).state == "terminated;reason=rejected"
    why = control(server, "explain", bob.aor, alice.aor)
    assert (why["decision"], why["then"], why["rules"][0]["conditions"][1]["why"]) == ("block", None, "it is over, or never was")


def test_a_client_reads_what_the_operator_writes(server: Server, tmp_path: Path) -> None:
    done = put(server, tmp_path, rule(BOBS, "allow"))
    with httpx.Client(base_url=f"http://{server.address[0]}:{server.http_port}/xcap-root") as web:
        web.headers["X-3GPP-Asserted-Identity"] = '"sip:alice@example.org"'
        read = web.get(f"/{INDEX}")
        assert (read.content, read.headers["ETag"]) == (document(rule(BOBS, "allow")), f'"{done["etag"]}"')
        control(server, "block", "carol@example.org", *FOR_ALICE)
        after = web.get(f"/{INDEX}")
    assert (b"presencectl-block" in after.content, after.headers["ETag"] == read.headers["ETag"]) == (True, False)
    printed = subprocess.run(
        [ROOT / ".venv/bin/presencectl", "xcap", "get", INDEX], cwd=ROOT, env=server.environment, capture_output=True, timeout=30,
        check=True,
    )  # fmt: skip
    assert printed.stdout == after.content


def test_decisions_that_are_made_at_the_same_time_are_all_there(server: Server) -> None:
    watchers = [f"sip:friend{number}@example.org" for number in range(4)]
    with ThreadPoolExecutor(len(watchers)) as pool:
        done = list(pool.map(lambda each: control(server, "allow", each, *FOR_ALICE), watchers))
    assert [each["decision"] for each in done] == ["allow"] * 4
    assert sorted(each["operation"] for each in done) == ["created", "replaced", "replaced", "replaced"]
    body = control(server, "xcap", "get", INDEX)["body"]
    assert [body.count(f'id="{each}"') for each in watchers] == [1] * 4
