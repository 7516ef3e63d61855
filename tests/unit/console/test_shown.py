"""presencectl: what it prints, for people and for programs."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kemi import store
from kemi.database import Database
from kemi.event_package import Decision
from kemi.presence import manage
from kemi.subscription import State, Subscription
from kemi.xcap import store as documents
from kemi.xcap.path import DocumentSelector, Tree
from tests.unit.console.printed import REFERENCE, found, keys, watching
from tests.unit.values import ALICE, BOB
from tests.unit.xcap import rules

Run = Callable[..., Result]


# For people


def test_publish_says_what_was_done(control: Run) -> None:
    printed = control("publish", "alice@example.org", "open", "--activity", "away", "--expires", "90").stdout.splitlines()
    assert re.fullmatch(r"publication    created for sip:alice@example.org \(open, \d+ octets, for 90 s\)", printed[0])
    assert printed[1] == "subscriptions  none: nobody watches"
    printed = control("publish", "sip:alice@EXAMPLE.org", "closed", "--expires", "0").stdout.splitlines()
    assert re.fullmatch(r"publication    modified for sip:alice@example.org \(closed, \d+ octets, until unpublish\)", printed[0])
    assert control("unpublish", "alice@example.org").stdout.startswith("publication    removed for sip:alice@example.org\n")


def test_without_a_server_the_change_is_kept_and_that_is_said(control: Run, rows: Database, free_port: str) -> None:
    dialog = watching(rows).id
    printed = control("publish", "alice@example.org", "open").stdout
    assert f"subscriptions  1 of watchers; no server answers on 127.0.0.1:{free_port}, its start tells them\n" in printed
    with rows.transaction():
        due = store.load(rows, dialog)
    assert due is not None
    assert due.due_at is not None


def test_a_document_is_published_as_it_is(control: Run, tmp_path: Path) -> None:
    (tmp_path / "alice.xml").write_bytes(manage.document(ALICE, "closed", "from a file", [], 0.0))
    assert "created" in control("publish", "alice@example.org", "--document", "alice.xml").stdout
    shown = control("presentity", "show", "alice@example.org").stdout
    assert "from a file" in shown
    (tmp_path / "alice.xml").write_text("<x/>")
    assert (
        "the root of the body is not a presence element"
        in control("publish", "alice@example.org", "--document", "alice.xml").stderr
    )


def test_nothing_is_said_to_be_nothing(control: Run) -> None:
    assert control("presentity", "list").stdout == "nobody publishes, nobody is watched\n"
    assert control("watchers", "alice@example.org").stdout == "nobody watches\n"
    assert control("subscriptions").stdout == "no subscriptions\n"
    assert control("authorize", "alice@example.org", "--list").stdout == "nothing is decided by management\n"
    assert "publications: none" in control("trace", "alice@example.org").stdout


def test_lists_say_when_there_is_more(control: Run) -> None:
    for name in ("alice", "bob"):
        control("publish", f"{name}@example.org", "open")
    done = control("presentity", "list", "--limit", "1")
    assert done.stdout.splitlines()[1:] == ["sip:alice@example.org  open   1 management         0"]
    assert done.stderr == "there are more; --limit shows more than 1\n"


def test_show_as_a_watcher_sees_it(control: Run) -> None:
    control("publish", "alice@example.org", "open", "--note", "here")
    for decision, sees, document in (
        ("allow", "the document", True),
        ("polite-block", "somebody who is away", False),
        ("confirm", "nothing: not decided yet", False),
        ("block", "nothing: refused", False),
    ):
        control("authorize", "alice@example.org", "bob@example.org", decision)
        printed = control("presentity", "show", "alice@example.org", "--watcher", "bob@example.org").stdout
        assert f"sip:bob@example.org sees {sees}, because of presencectl authorize" in printed
        assert ("here" in printed) is document


def test_show_tells_which_rules_match_and_what_they_show(control: Run, rows: Database) -> None:
    control("publish", "alice@example.org", "open", "--note", "here")
    show = ("presentity", "show", "alice@example.org", "--watcher", "bob@example.org")
    printed = control(*show, KP_SET="pa.auth=xcap").stdout
    assert "sees nothing: not decided yet, because of pa.auth = xcap (no rules: pa.auth_default = confirm)" in printed
    friends = rules.rule(
        rules.identity(rules.one(BOB)), "allow", "<provide-services><all-services/></provide-services>", name="friends"
    )
    selector = DocumentSelector("pres-rules", Tree.USERS, ALICE, "index")
    documents.create(rows, documents.Stored(selector, "1", "", rules.document(friends), 0.0))
    printed = control(*show, KP_SET="pa.auth=xcap").stdout
    assert "sees the document, because of pa.auth = xcap (pres-rules/index friends)" in printed
    assert "<basic>open</basic>" in printed
    assert "here" not in printed
    printed = control("presentity", "show", "alice@example.org", "--watcher", "carol@example.org", KP_SET="pa.auth=xcap").stdout
    assert "sees nothing: refused, because of pa.auth = xcap (no rule matches)" in printed


def test_the_watchers_own_form_is_shown(control: Run, rows: Database) -> None:
    watching(rows, accept="text/lpidf")
    control("publish", "alice@example.org", "open")
    shown = found(control("presentity", "show", "alice@example.org", "--watcher", "bob@example.org", "--json"))
    assert shown["document"] == {
        "content_type": "text/lpidf",
        "body": "To: <sip:alice@example.org>\r\nContact: <sip:alice@example.org>\r\n",
    }


def test_trace_tells_what_a_watcher_sees_and_why(control: Run, rows: Database) -> None:
    watching(rows, in_flight_since=time.time() - 3, next_at=time.time() + 31, display_name="Bob")
    printed = control("trace", "alice@example.org").stdout
    assert '"Bob" sip:bob@example.org  active, 9 min left' in printed or '"Bob" sip:bob@example.org  active, 10 min left' in printed
    assert "sees        the document (allow: pa.auth = none)" in printed
    assert "not answered for 3 s; next deadline: no answer to NOTIFY in " in printed
    printed = control("trace", "alice@example.org", KP_SET="pa.auth=implicit").stdout
    assert "(allow: when it subscribed; the next SUBSCRIBE finds confirm: pa.auth = implicit)" in printed
    control("authorize", "alice@example.org", "bob@example.org", "polite-block")
    printed = control("trace", "alice@example.org").stdout
    assert "sees        somebody who is away (polite-block: presencectl authorize)" in printed
    assert re.search(r"^  sip:bob@example.org  polite-block \(presence\), since 20", printed, re.MULTILINE)


def test_a_document_that_cannot_be_read_does_not_stop_trace(control: Run, rows: Database) -> None:
    control("publish", "alice@example.org", "open")
    rows.script("UPDATE publication SET body = x'3C78'")
    assert "cannot be read: the body is not well-formed XML" in control("trace", "alice@example.org").stdout


def test_text_from_outside_cannot_steer_the_terminal(control: Run, rows: Database) -> None:
    watching(rows, display_name="\x1b[2J", user_agent="a\x9b31m\nb")
    control("publish", "alice@example.org", "open", "--note", "\x9b31mred")
    for command in (("watchers", "alice@example.org"), ("subscriptions",), ("trace", "alice@example.org"),
                    ("presentity", "show", "alice@example.org")):  # fmt: skip
        printed = control(*command).stdout
        assert not {"\x1b", "\x9b"} & set(printed), command
        assert json.loads(control(*command, "--json").stdout)


# For programs


def test_the_keys_of_presentities(control: Run, rows: Database) -> None:
    watching(rows)
    control("publish", "alice@example.org", "open")
    (listed,) = found(control("presentity", "list", "--json"))
    assert set(listed) == keys("presentity")
    assert listed == {"presentity": ALICE, "state": "open", "publications": {"management": 1}, "watchers": 1}
    shown = found(control("presentity", "show", "alice@example.org", "--json"))
    assert set(shown) == keys("presentity") | keys("shown")
    (publication,) = shown["publications"]
    assert set(publication) == keys("publication")
    assert (shown["watcher"], shown["decision"], shown["document"]["content_type"]) == (None, "allow", "application/pidf+xml")


def test_the_keys_of_what_is_published(control: Run, rows: Database) -> None:
    watching(rows)
    done = found(control("publish", "alice@example.org", "open", "--expires", "0", "--json"))
    assert set(done) == keys("published")
    assert (done["operation"], done["expires_in"], done["subscriptions"], done["server"]) == ("created", None, 1, "not running")
    assert set(found(control("unpublish", "alice@example.org", "--json"))) == keys("published")


def test_the_keys_of_watchers_and_subscriptions(control: Run, rows: Database) -> None:
    made = watching(rows)
    (watcher,) = found(control("watchers", "alice@example.org", "--json"))
    assert set(watcher) == keys("watcher")
    (listed,) = found(control("subscriptions", "--json"))
    assert set(listed) == set(Subscription._fields) | keys("subscription")
    assert (listed["id"], listed["state"], listed["decision"]) == (made.id, "active", "allow")
    assert found(control("subscriptions", "--watcher", "carol@example.org", "--json")) == []
    assert found(control("watchers", "alice@example.org", "--package", "dialog", "--json")) == []


def test_the_keys_of_decisions(control: Run, rows: Database) -> None:
    watching(rows)
    done = found(control("authorize", "alice@example.org", "bob@example.org", "block", "--json"))
    assert set(done) == keys("decided")
    (concerned,) = done["subscriptions"]
    assert set(concerned) == set(Subscription._fields) | keys("subscription")
    assert (done["decision"], concerned["state"], done["server"]) == ("block", State.TERMINATED.value, "not running")
    (decision,) = found(control("authorize", "alice@example.org", "--list", "--json"))
    assert set(decision) == keys("decision")
    assert (decision["watcher"], decision["decision"]) == (BOB, Decision.BLOCK.value)
    done = found(control("authorize", "alice@example.org", "bob@example.org", "--remove", "--json"))
    assert (done["decision"], done["because"]) == ("allow", "pa.auth = none")


@pytest.mark.parametrize("name", ["MESSAGE", "message"])
def test_messages_are_decided_about_for_themselves(control: Run, name: str) -> None:
    done = control("authorize", "alice@example.org", "bob@example.org", "block", "--package", name)
    assert done.stdout == (
        "decision       sip:bob@example.org -> sip:alice@example.org, MESSAGE: block\nbecause of     presencectl authorize\n"
    )
    assert done.stdout in REFERENCE
    (decision,) = found(control("authorize", "alice@example.org", "--list", "--json"))
    assert (decision["package"], decision["decision"]) == ("MESSAGE", "block")
    assert "sip:bob@example.org  block (MESSAGE), since " in control("trace", "alice@example.org").stdout
    taken_back = found(control("authorize", "alice@example.org", "bob@example.org", "--remove", "--package", name, "--json"))
    assert set(taken_back) == keys("decided")
    assert (taken_back["decision"], taken_back["because"]) == ("allow", "the rules for messages")
    refused = control("authorize", "alice@example.org", "alice@example.org", "block", "--package", name)
    assert (refused.exit_code, refused.stderr) == (1, "Error: users may always send to their own devices\n")


def test_no_word_means_allow(control: Run) -> None:
    """As SER's pa.authorize had it."""
    done = found(control("authorize", "alice@example.org", "bob@example.org", "--json", KP_SET="pa.auth=implicit"))
    assert done["decision"] == "allow"


def test_the_keys_of_trace(control: Run, rows: Database) -> None:
    watching(rows)
    watching(rows, id="kp-2", package="presence.winfo", watcher=ALICE, accept="application/watcherinfo+xml")
    watching(rows, id="kp-3", package="dialog")
    control("publish", "alice@example.org", "open", "--activity", "away", "--note", "here")
    control("authorize", "alice@example.org", "carol@example.org")
    traced = found(control("trace", "alice@example.org", "--json"))
    assert set(traced) == keys("trace")
    (publication,) = traced["publications"]
    assert set(publication) == keys("publication") | keys("outline")
    (person,) = publication["persons"]
    assert person == {
        "id": "management-person",
        "notes": [{"text": "here", "language": ""}],
        "extensions": ["rp:activities(away)"],
    }
    for name in ("watchers", "winfo_watchers", "other_watchers"):
        (each,) = traced[name]
        assert set(each) == set(Subscription._fields) | keys("subscription") | keys("watching")
    assert [each["watcher"] for each in traced["decisions"]] == ["sip:carol@example.org"]


def test_the_keys_of_users_and_steps(control: Run) -> None:
    control("user", "add", "alice@example.org", PASSWORD="s3cret")
    assert found(control("user", "list", "--json")) == [{"address": "alice@example.org"}]
    assert keys("user") == {"address"}
    done = control("check", "--json", KP_WORKERS="many")
    (step,) = json.loads(done.stdout)
    assert (done.exit_code, set(step), step["ok"]) == (1, keys("step"), False)
    assert set(found(control("parameters", "--json"))[0]) == keys("parameter")
