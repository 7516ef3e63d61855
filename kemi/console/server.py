"""presencectl run, check, migrate, parameters, completion: the server itself, and the shell."""

import os
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import get_completion_class

from kemi import certificate, database, parameters, schema, settings, sip, sole_server, startup
from kemi.console import running
from kemi.console.connection import connected, is_missing, opened, shown_url
from kemi.console.output import json_option, one_line, say, show, table, warn
from kemi.errors import ConfigurationError
from kemi.settings import Settings

START_TIMEOUT: Final = 30
"""Seconds until it is said that a server that was started does not answer."""

COMPLETE_VARIABLE: Final = "_PRESENCECTL_COMPLETE"
PARAMETER: Final = ("parameter", "value", "default", "allowed", "unit", "run_time", "meaning")
RESULTS: Final = {(True, False): "ok", (True, True): "warning", (False, False): "wrong"}
Value = TypeVar("Value")


@click.command()
@click.pass_obj
def run(configuration: Path) -> None:
    """Bring the database up to date and become the server, in the foreground.

    \b
    Example: KP_DOMAINS=example.org,example.com KP_DEFINES=WITH_TLS presencectl run
    """
    found = usable(configuration)
    say("configuration", summary(found, configuration))
    for line in found.notices:
        say("notice", line)
    file = startup.read(found, configuration, os.environ)
    startup.refuse_other_values(found, file)
    if pair := certificate.pair(file, configuration.parent, startup.PROJECT):
        certificate.refuse_unusable(pair)
    orphans = startup.refuse_second_server(found.var / startup.PID_FILE)
    if orphans:
        say("cleaning up", f"{len(orphans)} workers of a server that was killed are ended")
    startup.refuse_taken_sockets(found, file)
    with opened(found) as connection:
        sole_server.refuse_second(found, partial(say, "database"))
        applied = schema.migrate(connection)
        nonce_secret = schema.nonce_secret(connection)
    say_applied(found, applied)
    command = startup.command_line(found, configuration, os.environ)
    say("starting", shlex.join(command))
    announce_when_listening(found, os.getpid())
    variables = startup.environment(found, configuration, os.environ)
    startup.execute(command, variables | {"KP_NONCE_SECRET": nonce_secret})


@click.command()
@json_option
@click.pass_obj
def check(configuration: Path, as_json: bool) -> None:
    """Check configuration and database without starting anything.

    \b
    Example: KP_DB_URL=postgresql://presence@db.example.org/presence presencectl check
    """
    rows: list[dict[str, Any]] = []
    found = checked(rows, "configuration", lambda: usable(configuration))
    if found is not None:
        rows[-1]["text"] = summary(found, configuration)
        rows += [{"what": "notice", "ok": True, "warning": True, "text": line} for line in found.notices]
        file = startup.read(found, configuration, os.environ)
        checked(rows, "addresses", lambda: startup.state_of_sockets(found, file))
        if pair := certificate.pair(file, configuration.parent, startup.PROJECT):
            checked(rows, "TLS", lambda: certificate.refuse_unusable(pair))
        checked(rows, "kamailio -c", lambda: startup.check_syntax(found, configuration, os.environ))
        checked(rows, "database", lambda: database_state(found))
    shown = [row | {"result": RESULTS[row["ok"], row["warning"]]} for row in rows]
    show(rows, as_json, lambda: table(("what", "result", "text"), shown, ""))
    if not all(row["ok"] for row in rows):
        raise SystemExit(1)


@click.command()
@click.pass_obj
def migrate(configuration: Path) -> None:
    """Bring the schema of the database up to date; `run` does it too.

    \b
    Example: presencectl migrate
    """
    found = settings.load(os.environ, configuration)
    with opened(found) as connection:
        applied = schema.migrate(connection)
    say_applied(found, applied)


@click.command("parameters")
@click.argument("part", default="")
@json_option
@click.pass_obj
def list_parameters(configuration: Path, part: str, as_json: bool) -> None:
    """List the parameters, or those with PART in their name: what each is here, and what it may be.

    \b
    Example: presencectl parameters notify
    """
    rows = [each for each in of_parameters(configuration) if part.lower() in each["parameter"]]
    shown = [each | {"run_time": "yes" if each["run_time"] else "no"} for each in rows]
    show(rows, as_json, lambda: table(PARAMETER, shown, f"no parameter has {part!r} in its name"))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a SHELL complete words.

    \b
    Example: presencectl completion bash > ~/.local/share/bash-completion/completions/presencectl
    """
    kind = get_completion_class(shell)
    if kind is not None:
        click.echo(kind(context.find_root().command, {}, "presencectl", COMPLETE_VARIABLE).source())


COMMANDS = (run, check, migrate, list_parameters, completion)


def usable(configuration: Path) -> Settings:
    """The settings of a server that can serve.

    Raises:
        ConfigurationError: a value cannot be used, or what the program needs of Kamailio is not there.
    """
    found = settings.load(os.environ, configuration)
    startup.refuse_incomplete(configuration, os.environ)
    startup.refuse_unusable_folder(found)
    # What few servers need is imported for them alone: it takes longer than all else that is done before a start.
    if found.b2b.credentials:
        from kemi.b2bua import outside

        outside.read_secrets(found.b2b.credentials)
    if found.xcap.xcap_root:
        from kemi.xcap import fetch

        fetch.refuse_unusable_files(found.xcap)
    return found


def of_parameters(configuration: Path) -> list[dict[str, Any]]:
    """What is to be known of every parameter; without its value where the settings cannot be read, which is said."""
    found = None
    try:
        found = running.in_force(os.environ, configuration)
    except ConfigurationError as error:
        warn(one_line(error))
    return [
        {
            "parameter": name,
            "value": as_written(getattr(getattr(found, name.partition(".")[0]), field.name)) if found else None,
            "default": as_written(field.default),
            "allowed": parameters.allowed(field),
            "unit": field.metadata["unit"],
            "run_time": field.metadata["runtime"],
            "meaning": field.metadata["meaning"],
        }
        for name, field in parameters.known().items()
    ]


def as_written(value: Any) -> Any:
    """A value as kamailio.cfg has it."""
    return ",".join(value) if isinstance(value, tuple) else value


def say_applied(found: Settings, migrations: Sequence[str]) -> None:
    """Say what was done to the database."""
    say("database", f"{shown_url(found)}, {', '.join(migrations) + ' applied' if migrations else 'up to date'}")


def summary(found: Settings, configuration: Path) -> str:
    """What is served where."""
    return (
        f"{configuration.name}: {', '.join(found.domains)} on {sip.bracketed(found.address)}:{found.port}, "
        f"HTTP on {found.http_port}, {found.workers} workers"
    )


def announce_when_listening(found: Settings, server: int) -> None:
    """Leave a process behind that says what to try as soon as the server answers, or that it does not.

    It is nobody's child: Kamailio takes the end of any child for the end of one of its workers.
    """
    if server == 1:
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork() == 0:
        is_answered = startup.answers(found, server, time.monotonic() + START_TIMEOUT)
        if is_answered or Path("/proc", str(server)).exists():
            announce(found, is_answered)
    os._exit(0)


def announce(found: Settings, is_answered: bool) -> None:
    """Say what to try next, or why nobody can tell whether the server serves."""
    uri = f"sip:{sip.bracketed(found.address)}:{found.port}"
    if not is_answered:
        ask = "a request_route of your own has to call handle_options for them (docs/functions.md)"
        say("no answer", f"to OPTIONS {uri} for {START_TIMEOUT} seconds; {ask}")
        return
    say("listening", f"{uri} (UDP and TCP); end it with Ctrl-C")
    same = " with the same KP_ variables" if any(name.startswith("KP_") for name in os.environ) else ""
    user = f"make user ADDRESS=alice@{found.domains[0]} PASSWORD=secret{same}"
    say("try next", f"{user}, or make demo, in another terminal")


def checked(rows: list[dict[str, Any]], what: str, step: Callable[[], Value]) -> Value | None:
    """Run one step of the check and note how it went."""
    row = {"what": what, "ok": True, "warning": False}
    try:
        value = step()
    except (ConfigurationError, database.Unavailable, OSError) as error:
        is_warning = isinstance(error, startup.NotNow)
        rows.append(row | {"ok": is_warning, "warning": is_warning, "text": one_line(error)})
        return None
    rows.append(row | {"text": str(value)})
    return value


def database_state(found: Settings) -> str:
    """Whether the database can be reached and its schema is this code's.

    Raises:
        NotNow: another server works with it.
        ConfigurationError: the schema is newer.
    """
    if is_missing(found):
        return f"{shown_url(found)} is not there yet; the first start creates it"
    with connected(found) as connection:
        state = schema.state(connection)
    if state.unknown:
        raise ConfigurationError(f"{shown_url(found)} has {state.unknown[-1]}: a newer release made it")
    other = other_server(found)
    if other:
        raise startup.NotNow(f"a start now would fail: {shown_url(found)} is used by another server, {other}")
    return f"{shown_url(found)}, {', '.join(state.missing) + ' will be applied' if state.missing else 'up to date'}"


def other_server(found: Settings) -> sole_server.Holder | None:
    """Who works with the database; None: nobody, or the server of this KP_VAR."""
    with closing(sole_server.lock_of(found)) as lock:
        holder = lock.holder()
    own = [sole_server.name_of(int(each)) for each in startup.processes_with(found.var / startup.PID_FILE)]
    return holder if holder and holder.name not in own else None
