"""presencectl explain, xcap, allow and block: what they print, for people and for programs, and how they say what is wrong."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kemi.database import Database
from kemi.presence import manage
from kemi.subscription import State, Subscription
from kemi.xcap import manage as documents
from tests.unit.console.printed import found, keys, watching
from tests.unit.values import ALICE, BOB
from tests.unit.xcap import rules
from tests.unit.xcap.rules import document, identity, many, one, rule, validity

Run = Callable[..., Result]
INDEX = f"pres-rules/users/{ALICE}/index"
XCAP = {"KP_SET": "pa.auth=xcap"}
WHO = ("bob@example.org", "alice@example.org")
SERVICES = "<provide-services><all-services/></provide-services>"


@pytest.fixture
def ruled(control: Run, tmp_path: Path) -> Run:
    """Runs presencectl where rules are asked; put writes alice's."""

    def invoke(*arguments: str, **environment: str) -> Result:
        return control(*arguments, **(XCAP | environment))

    return invoke


@pytest.fixture
def put(ruled: Run, tmp_path: Path) -> Callable[..., Result]:
    def write(*written: str, where: str = INDEX) -> Result:
        (tmp_path / "rules.xml").write_bytes(document(*written))
        done = ruled("xcap", "put", where, "rules.xml")
        assert done.exit_code == 0, done.output
        return done

    return write


# Explain


def test_explain_tells_every_rule_and_why(ruled: Run, put: Callable[..., Result]) -> None:
    hour = validity("2020-01-01T00:00:00Z", "9000-01-01T00:00:00Z")
    put(
        rule(identity(one(BOB)) + hour, "allow", SERVICES + "<provide-note>true</provide-note>", "friends"),
        rule('<cp:sphere value="work"/>', "confirm", name="work"),
        rule(None, "block", name="all"),
    )
    ruled("publish", "alice@example.org", "open", "--note", "secret", "--activity", "away")
    printed = ruled("explain", *WHO).stdout
    for line in (
        "watcher        sip:bob@example.org -> sip:alice@example.org",
        "decision       allow, because of pa.auth = xcap (pres-rules/index friends, pres-rules/index all)",
        "sees           services all; persons none; devices none; attributes note",
        "pres-rules/index, 3 rules",
        "  friends: matches, grants allow; services all; persons none; devices none; attributes note",
        "    true   identity is sip:bob@example.org: it is sip:bob@example.org",
        "    true   time is from 2020-01-01T00:00:00+00:00 until 9000-01-01T00:00:00+00:00: it is until 9000-01-01T00:00:00+00:00",
        "  work: does not match, would grant confirm",
        "    false  sphere is work: it is not defined",
        "    true   no conditions: everybody",
        "removed from the document",
        "person management-person  everything  provide-persons",
    ):
        assert f"{line}\n" in printed
    assert re.search(r"^clock          block in \d+ s, at 9000-01-01T00:00:00\+00:00$", printed, re.MULTILINE)
    assert "secret" not in printed


@pytest.mark.parametrize(
    ("value", "shown", "line"),
    [
        ("nothing", "services none; persons none; devices none; attributes none", "nothing is shown"),
        ("all", "services all; persons all; devices all; attributes all", "everything is shown"),
    ],
)
def test_explain_says_what_a_rule_without_transformations_shows(
    ruled: Run, put: Callable[..., Result], value: str, shown: str, line: str
) -> None:
    put(rule(None, "allow", name="bare"), rule(None, "allow", "<x:y/>", "not"), rule(None, "block", name="out"))
    why = f"    it has no transformations: {line} (pa.rules_without_transformations)\n"
    printed = ruled("explain", *WHO, KP_SET=f"pa.auth=xcap;pa.rules_without_transformations={value}").stdout
    assert f"sees           {shown}\n" in printed
    assert f"  bare: matches, grants allow; {shown}\n{why}" in printed
    assert printed.count("it has no transformations") == 1


def test_explain_prints_documents_when_it_is_asked_to(ruled: Run, put: Callable[..., Result]) -> None:
    put(rule(None, "allow", SERVICES))
    ruled("publish", "alice@example.org", "open", "--note", "secret")
    assert "<presence" not in ruled("explain", *WHO).stdout
    printed = ruled("explain", *WHO, "--documents").stdout
    whole, shown = printed.split("what the watcher sees: application/pidf+xml")
    assert ("secret" in whole, "secret" in shown, "<basic>open</basic>" in shown) == (True, False, True)


@pytest.mark.parametrize(
    ("parameters", "watcher", "because"),
    [
        ("pa.auth=none", BOB, "allow, because of pa.auth = none"),
        ("pa.auth=implicit", BOB, "confirm, because of pa.auth = implicit"),
        ("pa.auth=xcap", ALICE, "allow, because of the presentity itself"),
        ("pa.auth=xcap", BOB, "confirm, because of pa.auth = xcap (no rules: pa.auth_default = confirm)"),
        ("pa.auth=xcap;pa.auth_default=block", BOB, "block, because of pa.auth = xcap (no rules: pa.auth_default = block)"),
    ],
)
def test_explain_says_what_counts_where_no_rule_does(control: Run, parameters: str, watcher: str, because: str) -> None:
    printed = control("explain", watcher, ALICE, KP_SET=parameters).stdout
    assert f"decision       {because}\n" in printed


def test_rules_that_are_not_asked_are_explained_all_the_same(ruled: Run, put: Callable[..., Result]) -> None:
    put(rule(None, "block", name="all"))
    ruled("authorize", ALICE, BOB, "allow")
    printed = ruled("explain", *WHO).stdout
    assert "decision       allow, because of presencectl authorize\n" in printed
    assert "rules          they are not asked\n" in printed
    assert "all: matches, grants block\n" in printed


def test_rules_can_be_tried_before_they_are_stored(ruled: Run, put: Callable[..., Result], tmp_path: Path) -> None:
    put(rule(None, "block"))
    (tmp_path / "new.xml").write_bytes(document(rule(identity(many("example.org")), "allow", SERVICES, "mine")))
    printed = ruled("explain", *WHO, "--rules", "new.xml").stdout
    assert "decision       allow, because of rules that are tried (new.xml mine)\n" in printed
    assert "counts now     block, without new.xml\n" in printed
    assert "removed from the document: nothing\n" in printed
    tried = found(ruled("explain", *WHO, "--rules", "-", "--json", text=document().decode()))
    assert (tried["trial"], tried["decision"], tried["counts_now"]) == ("stdin", "block", "block")


def test_who_may_see_calls_is_explained(ruled: Run, put: Callable[..., Result], tmp_path: Path) -> None:
    put(rule(None, "allow", SERVICES, "everybody"))
    ask = ("explain", *WHO, "--package", "dialog")
    printed = ruled(*ask).stdout
    assert "watcher        sip:bob@example.org -> sip:alice@example.org, dialog\n" in printed
    assert "decision       allow, because of pa.auth = xcap (pres-rules/index everybody)\n" in printed
    assert "sees           the document of the package\n" in printed
    assert "  everybody: matches, grants allow\n" in printed
    put(rule(identity(one(BOB)), "polite-block", name="calls"), where=INDEX.replace("pres-rules", "dialog-rules"))
    printed = ruled(*ask).stdout
    assert "decision       polite-block, because of pa.auth = xcap (dialog-rules/index calls)\n" in printed
    assert "sees           a document that says nothing\n" in printed
    assert "everybody" not in printed.replace("everybody of", "")
    assert "removed" not in printed
    (tmp_path / "new.xml").write_bytes(document(rule(None, "block", name="mine")))
    tried = found(ruled(*ask, "--rules", "new.xml", "--documents", "--json"))
    assert (tried["decision"], tried["counts_now"], tried["package"]) == ("block", "polite-block", "dialog")
    assert (tried["removed"], tried["composed"], tried["shown"], tried["shows"]) == ([], None, None, None)
    refused = ruled("explain", *WHO, "--package", "message-summary")
    assert (refused.exit_code, "message-summary" in refused.stderr) == (1, True)


def test_the_keys_of_explain(ruled: Run, put: Callable[..., Result]) -> None:
    hour = validity("2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z")
    put(rule(hour, "allow", SERVICES))
    ruled("publish", "alice@example.org", "open", "--note", "here")
    why = found(ruled("explain", *WHO, "--documents", "--json"))
    assert set(why) == keys("explained")
    (only,) = why["rules"]
    assert set(only) == keys("rule")
    assert only["conditions"][0] == {
        "condition": "validity", "asks": "time is from 2020-01-01T00:00:00+00:00 until 2090-01-01T00:00:00+00:00", "holds": True,
        "why": "it is until 2090-01-01T00:00:00+00:00",
    }  # fmt: skip
    assert set(why["shows"]) == set(only["shows"]) == keys("shows")
    assert set(why["then"]) == keys("then")
    assert (why["then"]["decision"], why["then"]["shows"], why["then"]["time"]) == ("block", None, "2090-01-01T00:00:00+00:00")
    assert why["documents"] == [{"document": "pres-rules/index", "rules": 1, "note": ""}]
    assert {"part": "tuple management", "element": "note", "needs": "provide-note"} in why["removed"]
    assert [set(why[name]) for name in ("composed", "shown")] == [{"content_type", "body"}] * 2
    quiet = found(ruled("explain", *WHO, "--json"))
    assert (quiet["composed"], quiet["shown"]) == (None, None)
    assert quiet["sphere"] is quiet["sphere_in"] is None


# Rules for a watcher


@pytest.mark.parametrize("decision", ["allow", "polite-block", "confirm", "block"])
def test_a_watcher_is_written_into_the_rules(ruled: Run, rows: Database, decision: str) -> None:
    watching(rows)
    done = found(ruled(decision, "bob@example.org", "--for", "alice@example.org", "--json"))
    assert set(done) == keys("ruled")
    assert (done["decision"], done["rule"], done["others"], done["warnings"]) == (
        decision,
        f"presencectl-{decision}",
        "confirm",
        [],
    )
    assert (done["operation"], done["document"], done["server"]) == ("created", INDEX, "not running")
    (concerned,) = done["subscriptions"]
    assert set(concerned) == set(Subscription._fields) | keys("subscription")
    assert (concerned["state"] == State.TERMINATED.value) is (decision == "block")
    again = found(ruled(decision, "bob@example.org", "--for", "alice@example.org", "--json"))
    assert (again["operation"], again["etag"], again["others"]) == ("unchanged", done["etag"], None)


def test_it_is_said_what_became_of_others(ruled: Run) -> None:
    printed = ruled("block", "bob@example.org", "--for", "alice@example.org").stdout.splitlines()
    assert re.fullmatch(rf"document       {INDEX} created, etag [0-9a-f]{{20}}", printed[0])
    assert printed[1] == "others         confirm, as before: rules for all whom no rule names came with the document"
    assert printed[2].startswith("decision       sip:bob@example.org -> sip:alice@example.org: block, because of pa.auth = xcap (")
    assert printed[3] == "subscriptions  0; nobody has to be told"


def test_a_rule_that_gives_more_is_named(ruled: Run, put: Callable[..., Result]) -> None:
    put(rule(identity(many()), "polite-block", name="all"), rule(identity(one(BOB)), "confirm", name="bob"))
    put(rule(None, "allow", name="mine"), where=INDEX.replace("pres-rules", "org.openmobilealliance.pres-rules"))
    done = ruled("block", "bob@example.org", "--for", "alice@example.org")
    assert done.exit_code == 0
    assert done.stderr.splitlines() == [
        f"Warning: the rule {name} gives {gives}, and what matching rules give is added up"
        for name, gives in (
            ("org.openmobilealliance.pres-rules/index mine", "allow"), ("pres-rules/index all", "polite-block"),
            ("pres-rules/index bob", "confirm"),
        )
    ]  # fmt: skip
    assert ruled("allow", "bob@example.org", "--for", "alice@example.org").stderr == ""


@pytest.mark.parametrize(
    ("parameters", "before", "warning"),
    [
        ("pa.auth=none", (), "rules are not asked: pa.auth = none"),
        ("pa.auth=xcap", ("authorize", ALICE, BOB, "allow"), "presencectl authorize says allow, before all rules"),
    ],
)
def test_what_makes_the_rule_useless_is_said(control: Run, parameters: str, before: tuple[str, ...], warning: str) -> None:
    if before:
        control(*before)
    done = control("block", "bob@example.org", "--for", "alice@example.org", KP_SET=parameters)
    assert (done.exit_code, warning in done.stderr) == (0, True)


def test_a_rule_that_somebody_has_changed_is_told(ruled: Run, put: Callable[..., Result]) -> None:
    put(rule(identity(one(rules.CAROL)), "confirm", name="presencectl-allow"))
    done = ruled("allow", "bob@example.org", "--for", "alice@example.org")
    assert done.stderr == "Warning: somebody has changed the rule presencectl-allow: confirm is what the rules say\n"


def test_a_document_that_cannot_be_read_is_told(ruled: Run, rows: Database, put: Callable[..., Result]) -> None:
    put(where=f"{INDEX}2")
    rows.script("UPDATE xcap_document SET body = x'3C78'")
    done = ruled("block", "bob@example.org", "--for", "alice@example.org")
    assert done.stderr == "Warning: a document or a list cannot be read, so the rules say confirm at least\n"


# Documents


def test_documents_come_back_as_they_were_put(ruled: Run, put: Callable[..., Result], tmp_path: Path) -> None:
    printed = put(rule(None)).stdout.splitlines()
    assert re.fullmatch(rf"document       {INDEX} created, etag [0-9a-f]{{20}}", printed[0])
    assert printed[1] == "watchers       nobody has to be told"
    done = ruled("xcap", "get", INDEX)
    assert done.stdout_bytes == (tmp_path / "rules.xml").read_bytes()
    assert re.fullmatch(r"application/auth-policy\+xml, \d+ octets, etag [0-9a-f]{20}\n", done.stderr)
    assert ruled("xcap", "put", INDEX, text=done.stdout).stdout.startswith(f"document       {INDEX} unchanged, etag ")


def test_the_keys_of_documents(ruled: Run, put: Callable[..., Result]) -> None:
    put(rule(None, name="a"))
    got = found(ruled("xcap", "get", INDEX, "--json"))
    assert set(got) == keys("got")
    assert (got["content_type"], got["size"]) == ("application/auth-policy+xml", len(got["body"]))
    (listed,) = found(ruled("xcap", "list", "alice@example.org", "--json"))
    assert set(listed) == keys("document")
    assert (listed["document"], listed["user"], listed["etag"]) == (INDEX, ALICE, got["etag"])
    node = f'{INDEX}/~~/cp:ruleset/cp:rule[@id="a"]'
    written = found(ruled("xcap", "put", node, "--json", text=f'<rule xmlns="{documents.PREFIXES["cp"]}" id="a"/>'))
    assert set(written) == keys("written")
    assert (written["operation"], written["server"]) == ("replaced", "not needed")
    assert found(ruled("xcap", "delete", node, "--json"))["operation"] == "removed"
    assert found(ruled("xcap", "delete", INDEX, "--json")) == {
        "document": INDEX, "operation": "removed", "etag": None, "server": "not needed",
    }  # fmt: skip


def test_a_command_holds_to_its_conditions_on_the_etag(ruled: Run, put: Callable[..., Result]) -> None:
    put()
    etag = found(ruled("xcap", "get", INDEX, "--json"))["etag"]
    assert ruled("xcap", "get", INDEX, "--if-none-match", etag).stderr == f"not modified: etag {etag}\n"
    done = ruled("xcap", "put", INDEX, "rules.xml", "--if-none-match", "*")
    assert (done.exit_code, done.stderr) == (1, "Error: 412 Precondition Failed: If-Match or If-None-Match does not hold\n")
    assert ruled("xcap", "delete", INDEX, "--if-match", "other").exit_code == 1
    assert ruled("xcap", "delete", INDEX, "--if-match", etag).exit_code == 0


def test_lists_are_of_one_user_or_of_all(ruled: Run, put: Callable[..., Result]) -> None:
    assert ruled("xcap", "list").stdout == "no documents\n"
    put()
    put(where=INDEX.replace("alice", "bob"))
    lists = INDEX.replace("pres-rules", "resource-lists")
    ruled("xcap", "put", lists, text='<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>')
    assert [line.split()[0] for line in ruled("xcap", "list", "alice@example.org").stdout.splitlines()[1:]] == [INDEX, lists]
    assert len(found(ruled("xcap", "list", "--auid", "pres-rules", "--json"))) == 2
    done = ruled("xcap", "list", "--limit", "1")
    assert (len(done.stdout.splitlines()), done.stderr) == (2, "there are more; --limit shows more than 1\n")


def test_a_watched_user_is_told_of_hard_state(control: Run, rows: Database, tmp_path: Path) -> None:
    watching(rows)
    (tmp_path / "alice.xml").write_bytes(manage.document(ALICE, "closed", "until Monday", [], 0.0))
    done = found(control("xcap", "put", f"pidf-manipulation/users/{ALICE}/index", "alice.xml", "--json"))
    assert (done["operation"], done["server"]) == ("created", "not running")


def test_all_prefixes_are_in_the_help(control: Run) -> None:
    printed = control("xcap", "--help").stdout
    assert all(re.search(rf"\b{prefix}\b", printed) for prefix in documents.PREFIXES)


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("explain", "bob@example.org"), 2, "Missing argument 'PRESENTITY'."),
        (("explain", "bob@example.org", "alice@elsewhere.example"), 1, "this domain is not served here"),
        (("explain", *WHO, "--rules", "missing.xml"), 1, "missing.xml: No such file or directory"),
        (("explain", *WHO, "--rules", "kamailio.cfg"), 1, "409 not-well-formed: line 1, column 2: "),
        (("allow", "bob@example.org"), 2, "Missing option '--for'."),
        (("block", "alice@example.org", "--for", "alice@example.org"), 1, "the presentity itself may always watch"),
        (("xcap", "get", INDEX), 1, "404 Not Found: there is no such document"),
        (("xcap", "get", "pres-rules"), 1, "404 Not Found: the path names no document"),
        (("xcap", "get", f"{INDEX}/~~/p:ruleset?xmlns(q=urn:x)"), 1, "400 Bad Request: the query binds no namespace to the"),
        (("xcap", "put", INDEX, "kamailio.cfg"), 1, "409 not-well-formed: line 1, column 2: "),
        (("xcap", "put", INDEX, "missing.xml"), 1, "missing.xml: No such file or directory"),
        (("xcap", "put", f"{INDEX}/~~/cp:ruleset", "kamailio.cfg"), 1,
         f"409 no-parent: there is no such document: what is there is /xcap-root/pres-rules/users/{ALICE}"),
        (("xcap", "put", "xcap-caps/global/index", "kamailio.cfg"), 1, "405 Method Not Allowed: the server makes this document"),
        (("xcap", "list", "alice@elsewhere.example"), 1, "this domain is not served here"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(ruled: Run, arguments: tuple[str, ...], status: int, complaint: str) -> None:
    done = ruled(*arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert complaint in line


def test_what_has_to_be_unique_is_named_with_what_is_free(ruled: Run) -> None:
    service = '<service uri="sip:list@example.org"><list/></service>'
    body = f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{service}</rls-services>'
    where = f"rls-services/users/{ALICE}/index"
    assert ruled("xcap", "put", where, text=body).exit_code == 0
    done = ruled("xcap", "put", where.replace("alice", "bob"), text=body)
    assert done.stderr.startswith("Error: 409 uniqueness-failure: the uri of a service is used already: ")
    assert "; free: sip:list-1@example.org, sip:list-2@example.org" in done.stderr


@pytest.mark.parametrize("command", [("get", INDEX), ("delete", INDEX), ("list",)])
def test_where_another_server_keeps_documents_there_are_none(control: Run, command: tuple[str, ...]) -> None:
    done = control("xcap", *command, KP_SET="xcap.xcap_root=http://xcap.example.org/root")
    assert (done.exit_code, "the documents of http://xcap.example.org/root count" in done.stderr) == (1, True)


@pytest.mark.parametrize("name", ["explain", "allow", "polite-block", "confirm", "block"])
def test_what_shows_something_has_json(control: Run, name: str) -> None:
    assert "--json" in control(name, "--help").stdout
