"""presencectl xcap fetched, xcap refresh: documents of another XCAP server are shown, and fetched now (docs/xcap-client.md)."""

import json
import time
from collections.abc import Callable

import pytest
from click.testing import Result

from kemi.database import Database
from kemi.xcap import fetched_store
from kemi.xcap.fetched_document import FetchedDocument, Known
from tests.unit.console.printed import keys
from tests.unit.values import ALICE, BOB

Run = Callable[..., Result]

ELSEWHERE = "xcap.xcap_root=http://127.0.0.1:8888/xcap-root"
LATER = 4_000_000_000.0


def known(rows: Database, owner: str) -> FetchedDocument:
    """A document that was fetched a minute ago, and is looked at again in many years."""
    uri = f"http://127.0.0.1:8888/xcap-root/pres-rules/users/{owner}/index"
    document = FetchedDocument(owner, uri, "pres-rules", Known.DOCUMENT, b"<ruleset/>", '"a"', time.time() - 60, False, 0, LATER)
    fetched_store.ask_first(rows, document)
    fetched_store.save(rows, document)
    return document


def is_asked_for(rows: Database, document: FetchedDocument) -> bool:
    found = fetched_store.load(rows, document.owner, document.uri)
    assert found is not None
    return found.asked and found.next_at is not None and found.next_at < LATER


def test_those_of_one_user_are_fetched_now(control: Run, rows: Database) -> None:
    hers, his = known(rows, ALICE), known(rows, BOB)
    done = control("xcap", "refresh", "alice@example.org", "--json", KP_SET=ELSEWHERE)
    (asked,) = json.loads(done.stdout)
    assert set(asked) == keys("fetched document")
    assert (asked["owner"], asked["uri"], asked["known"]) == (ALICE, hers.uri, "document")
    assert (is_asked_for(rows, hers), is_asked_for(rows, his)) == (True, False)


def test_without_a_user_all_are(control: Run, rows: Database) -> None:
    both = [known(rows, ALICE), known(rows, BOB)]
    printed = control("xcap", "refresh", KP_SET=ELSEWHERE).stdout
    assert all(each.uri in printed for each in both)
    assert all(is_asked_for(rows, each) for each in both)


@pytest.mark.parametrize("command", ["fetched", "refresh"])
def test_nothing_known_is_said(control: Run, command: str) -> None:
    done = control("xcap", command, KP_SET=ELSEWHERE)
    assert (done.exit_code, done.stdout) == (0, "nothing is known of that server's documents yet\n")


def test_what_is_known_is_shown_without_the_documents(control: Run, rows: Database) -> None:
    hers, his = known(rows, ALICE), known(rows, BOB)
    asked = hers._replace(uri=f"{hers.uri}-2", known=Known.UNKNOWN, body=b"")
    fetched_store.ask_first(rows, asked)
    fetched_store.save(rows, asked._replace(failures=3, next_at=None))
    asked_at = time.time()
    first, second = json.loads(control("xcap", "fetched", "alice@example.org", "--json", KP_SET=ELSEWHERE).stdout)
    assert set(first) == keys("known document")
    assert (first["uri"], first["known"], first["size"], first["failures"]) == (hers.uri, "document", len("<ruleset/>"), 0)
    assert round(LATER - time.time()) <= first["next_in"] <= round(LATER - asked_at)
    assert (second["known"], second["size"], second["failures"], second["next_in"]) == ("unknown", 0, 3, None)
    printed = control("xcap", "fetched", KP_SET=ELSEWHERE).stdout
    assert his.uri in printed
    assert "<ruleset/>" not in printed
    assert not is_asked_for(rows, his)
    some = control("xcap", "fetched", "--limit", "2", KP_SET=ELSEWHERE)
    assert (his.uri in some.stdout, some.stderr) == (False, "there are more; --limit shows more than 2\n")


@pytest.mark.parametrize("command", ["fetched", "refresh"])
def test_where_documents_are_kept_here_there_is_nothing_to_fetch(control: Run, command: str) -> None:
    done = control("xcap", command, "alice@example.org")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: documents are kept here, there is nothing to fetch (xcap.xcap_root)\n"
