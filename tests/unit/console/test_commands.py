"""presencectl: what each command says about itself, and how it says what is wrong."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import Result

from kemi import console
from kemi.console import connection, facts
from kemi.database import Database

Run = Callable[..., Result]
REFERENCE = (Path(__file__).resolve().parents[3] / "docs" / "presencectl.md").read_text()


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


COMMANDS = [("", console.main), *commands(console.main)]


def examples(command: click.Command) -> list[str]:
    return re.findall(r"^ *Example: (.+)$", command.get_help(click.Context(command)), re.MULTILINE)


# What commands say about themselves


@pytest.mark.parametrize("command", [pytest.param(each, id=name or "presencectl") for name, each in COMMANDS])
def test_help_has_an_example(command: click.Command) -> None:
    assert examples(command)
    assert command.help


@pytest.mark.parametrize(("name", "example"), [(name, each) for name, command in COMMANDS for each in examples(command)])
def test_every_example_of_a_command_can_be_typed(name: str, example: str) -> None:
    """They are commands that can be typed, and of the command that they stand with."""
    words = shlex.split(example.partition(" > ")[0])
    words = words[next(index for index, word in enumerate(words) if "=" not in word) :]
    assert words[0] == "presencectl"
    context, command, typed = click.Context(console.main, info_name="presencectl"), console.main, list(words[1:])
    path = []
    while isinstance(command, click.Group):
        known, command, typed = command.resolve_command(context, typed)
        path.append(known)
        context = command.make_context(known, typed, parent=context) if not isinstance(command, click.Group) else context
    assert " ".join(str(each) for each in path).startswith(name)


def test_each_module_has_the_commands_that_are_looked_for_in_it() -> None:
    for module, names in console.PARTS.items():
        assert [command.name for command in import_module(f"kemi.console.{module}").COMMANDS] == list(names)


def test_a_start_imports_no_event_package() -> None:
    """`run` is there with each start; packages and XML take most of the time to import, and the server imports them itself."""
    looked_for = "kemi.console.main.get_command(None, 'run'); sys.exit('kemi.packages' in sys.modules or 'lxml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", f"import sys, kemi.console; {looked_for}"], check=False).returncode == 0


def test_every_command_is_in_the_reference() -> None:
    for name, command in COMMANDS:
        if name and not isinstance(command, click.Group):
            assert f"`{name}" in REFERENCE, name


@pytest.mark.parametrize("command", ["check", "user list", "presentity list", "presentity show", "publish", "unpublish", "watchers",
                                     "subscriptions", "authorize", "trace"])  # fmt: skip
def test_what_shows_something_has_json(command: str) -> None:
    assert "--json" in dict(COMMANDS)[command].get_help(click.Context(dict(COMMANDS)[command]))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for(run: Run, shell: str) -> None:
    printed = run("completion", shell).stdout
    assert "_PRESENCECTL_COMPLETE" in printed
    assert f"{shell}_complete" in printed


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("presencectl authorize alice bob po", ["polite-block"]),
        ("presencectl publish alice open --activity va", ["vacation"]),
        ("presencectl presentity s", ["show"]),
    ],
)
def test_completion_offers_what_may_stand_there(run: Run, typed: str, completed: list[str]) -> None:
    """What the shell asks for, with the words typed so far in its environment."""
    number = str(len(typed.split()) - 1)
    done = run(_PRESENCECTL_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=number)
    assert done.stdout.splitlines() == [f"plain,{each}" for each in completed]


# Errors


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("dance",), 2, "No such command 'dance'. Did you mean 'trace'? (presencectl --help tells more)"),
        (("--dance",), 2, "No such option '--dance'. (presencectl --help tells more)"),
        (("publish",), 2, "Missing argument 'URI'. (presencectl publish --help tells more)"),
        (("publish", "alice@example.org"), 2, "either open or closed, with --note and --activity, or --document is needed"),
        (("publish", "alice@example.org", "open", "--document", "x"), 2, "either open or closed"),
        (("publish", "alice@example.org", "away"), 2, "'away' is not one of 'open', 'closed'"),
        (("publish", "alice@example.org", "open", "--activity", "dancing"), 2, "'dancing' is not one of 'appointment', 'away'"),
        (("publish", "alice@example.org", "open", "--expires", "-1"), 2, "-1 is not in the range 0<=x"),
        (("publish", "alice@example.org", "--document", "missing.xml"), 1, "Error: missing.xml: No such file or directory"),
        (("publish", "alice@example.com", "open"), 1, "alice@example.com: this domain is not served here"),
        (("publish", "alice example", "open"), 1, "alice example: an address as alice@example.org is needed"),
        (("publish", "tel:+1", "open"), 1, "only sip, sips, pres and im URIs are served"),
        (("unpublish", "alice@example.org"), 1, "nothing is published for sip:alice@example.org by management"),
        (("authorize", "alice@example.org"), 2, "a watcher with a decision or --remove, or --list, is needed"),
        (("authorize", "alice@example.org", "bob@example.org", "--list"), 2, "a watcher with a decision"),
        (("authorize", "alice@example.org", "bob@example.org", "allow", "--remove"), 2, "a watcher with a decision"),
        (("authorize", "alice@example.org", "bob@example.org", "perhaps"), 2, "'perhaps' is not one of"),
        (("authorize", "alice@example.org", "alice@example.org"), 1, "the presentity itself may always watch"),
        (("authorize", "alice@example.org", "bob@example.org", "--remove"), 1, "nothing is decided about sip:bob@example.org"),
        (("authorize", "alice@example.org", "bob", "allow"), 1, "bob: an address as bob@example.org is needed"),
        (("presentity", "show", "alice"), 1, "alice: an address as alice@example.org is needed"),
        (("presentity", "show", ""), 1, "'': an address as alice@example.org is needed"),
        (("publish", "alice@example.org", "open", "--expires", "9" * 20), 2, "is not in the range"),
        (("authorize", "alice@example.org", "bob@example.org", "--package", "x"), 1, "the package x is not served; presence"),
        (("watchers", "alice@example.org", "--package", "x"), 1, "the package x is not served"),
        (("subscriptions", "--package", "x"), 1, "the package x is not served"),
        (("completion", "cmd"), 2, "'cmd' is not one of 'bash', 'zsh', 'fish'"),
        (("subscriptions", "--limit", "0"), 2, "0 is not in the range"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(control: Run, arguments: tuple[str, ...], status: int, complaint: str) -> None:
    done = control(*arguments)
    assert (done.exit_code, done.stdout) == (status, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert complaint in line


def test_where_to_look_for_users_elsewhere_is_told_where_they_may_be_watched(control: Run) -> None:
    asked = ("trace", "dan@example.net")
    refused = "Error: dan@example.net: this domain is not served here"
    assert control(*asked).stderr == f"{refused}\n"
    told = control(*asked, KP_SET="b2b.domains=example.net").stderr
    assert told == f"{refused}; presencectl b2b list shows who watches users elsewhere\n"


def test_a_database_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    done = run("presentity", "list")
    assert done.stderr == f"Error: sqlite:///{tmp_path}/var/presence.db is not there yet; presencectl run or migrate creates it\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kamailio.cfg"]


@pytest.mark.parametrize("command", [("trace", "alice@example.org"), ("user", "list"), ("migrate",)])
def test_a_database_of_another_user_is_told_with_its_owner(
    control: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    file = tmp_path / "var" / "presence.db"
    monkeypatch.setattr(connection.os, "access", lambda path, mode: path != file)
    told = control(*command).stderr
    assert told.startswith(f"Error: sqlite:///{file}: this user may not use it; {file} belongs to {file.owner()}; ")
    assert len(told.splitlines()) == 1


def test_a_database_of_another_release_is_left_alone(control: Run, rows: Database) -> None:
    rows.script("DELETE FROM migration WHERE name = '0004_decisions'")
    assert "has not 0004_decisions yet; presencectl run or migrate applies it" in control("trace", "alice@example.org").stderr
    rows.script("INSERT INTO migration (name) VALUES ('0004_decisions')")
    rows.script("INSERT INTO migration (name) VALUES ('9999_future')")
    assert "has 9999_future: a newer release made it" in control("trace", "alice@example.org").stderr


def test_an_error_in_the_program_is_one_line(control: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "watchers_of", lambda *_: {}["no such key"])
    done = control("watchers", "alice@example.org")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: KeyError: 'no such key' (an error in presencectl itself; PYTHONDEVMODE=1 shows where)\n"


def test_a_database_that_is_locked_is_one_line(control: Run, rows: Database, tmp_path: Path) -> None:
    with rows.transaction():
        done = control("publish", "alice@example.org", "open", KP_SET="db.busy_timeout=1")
        assert control("presentity", "list").exit_code == 0
    assert (done.exit_code, done.stderr) == (1, f"Error: sqlite:///{tmp_path}/var/presence.db: database is locked\n")


def test_users_that_do_not_exist_cannot_be_published_for(control: Run) -> None:
    chosen = {"KP_SET": "pa.presentities=subscriber"}
    done = control("publish", "alice@example.org", "open", **chosen)
    assert done.stderr == "Error: there is no user alice@example.org, and pa.presentities is subscriber\n"
    control("user", "add", "alice@example.org", PASSWORD="s3cret")
    assert control("publish", "alice@example.org", "open", **chosen).exit_code == 0
