"""presencectl user: who may authenticate."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from kemi import account, account_store, settings
from kemi.console import connection, users
from kemi.database import Database

Run = Callable[..., Result]


def test_users_are_added_listed_and_removed_and_no_password_is_stored(run: Run, tmp_path: Path) -> None:
    assert run("user", "add", "sip:alice@Example.org", "--password", "s3cret").stdout == (
        "user           alice@example.org may authenticate\n"
    )
    assert run("user", "add", "bob@example.org", PASSWORD="s3cret").exit_code == 0
    assert run("user", "list").stdout == "alice@example.org\nbob@example.org\n"
    assert run("user", "remove", "alice@example.org").exit_code == 0
    assert run("user", "list").stdout == "bob@example.org\n"
    assert b"s3cret" not in b"".join(path.read_bytes() for path in (tmp_path / "var").iterdir())


def test_the_password_is_a_line_of_stdin(run: Run, rows: Database) -> None:
    result = run("user", "add", "alice@example.org", text="s3cret\r\nnot this\n")
    assert (result.exit_code, result.output) == (0, "user           alice@example.org may authenticate\n")
    found = account_store.load(rows, "alice", "example.org")
    assert found == account.create("alice", "example.org", "s3cret")


def test_the_password_is_asked_for_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "is_terminal", lambda: True)
    result = run("user", "add", "alice@example.org", text="s3cret\ns3cret\n")
    assert (result.exit_code, "Password:" in result.output, "s3cret" in result.output) == (0, True, False)


@pytest.mark.parametrize("text", ["", "\n"])
def test_without_a_password_there_is_one_line(run: Run, text: str) -> None:
    result = run("user", "add", "alice@example.org", text=text)
    said = "no password: give it in PASSWORD, or on a line of stdin, or run this on a terminal to be asked"
    assert (result.exit_code, result.output) == (1, f"Error: {said}\n")


def test_a_password_that_is_no_text_is_told(run: Run) -> None:
    result = run("user", "add", "alice@example.org", PASSWORD="\udcff")
    assert (result.exit_code, result.stderr) == (1, "Error: the password is not UTF-8 text\n")


@pytest.mark.parametrize("arguments", [("list",), ("remove", "alice@example.org")])
def test_whoever_looks_for_users_makes_no_database(run: Run, configuration: Path, arguments: tuple[str, ...]) -> None:
    result = run("user", *arguments)
    assert (result.exit_code, "presencectl run or migrate creates it" in result.stderr) == (1, True)
    assert connection.is_missing(settings.load({}, configuration))


def test_users_of_another_release_are_left_alone(run: Run, configuration: Path) -> None:
    run("user", "add", "bob@example.org", "--password", "x")
    with connection.connected(settings.load({}, configuration)) as opened:
        opened.script("DELETE FROM migration WHERE name = '0017_outgoing_forks'")
    for arguments in (("list",), ("add", "alice@example.org", "--password", "x"), ("remove", "bob@example.org")):
        assert "has not 0017_outgoing_forks yet; presencectl run or migrate applies it" in run("user", *arguments).stderr


def test_where_there_is_nobody_a_list_says_so(run: Run) -> None:
    run("user", "add", "bob@example.org", "--password", "x")
    run("user", "remove", "bob@example.org")
    assert run("user", "list").stdout == "no users\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("add", "alice", "--password", "x"), "Error: 'alice' is not an address; alice@example.org is one\n"),
        (("add", "a@b.org", "--password", "x"), "Error: b.org is not a served domain; KP_DOMAINS has example.org\n"),
        (("remove", "alice@example.org"), "Error: there is no user alice@example.org\n"),
    ],
)
def test_what_is_no_user_here_is_refused_with_the_reason(run: Run, arguments: tuple[str, ...], complaint: str) -> None:
    run("user", "add", "bob@example.org", "--password", "x")
    result = run("user", *arguments)
    assert (result.exit_code, result.stderr) == (1, complaint)
