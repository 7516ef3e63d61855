"""The command `presencectl`: starts the server, checks it, and looks after its database and users."""

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table

from kemi import account, account_store, database, schema, settings, startup
from kemi.database import Database
from kemi.errors import ConfigurationError
from kemi.settings import Settings

START_TIMEOUT: Final = 30
Value = TypeVar("Value")


class OneLineErrors(click.Group):
    """Says in one line what stops a command."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, database.Unavailable, ValueError) as error:
            raise click.ClickException(one_line(error)) from error


@click.group(cls=OneLineErrors, context_settings={"max_content_width": 110})
@click.option(
    "--configuration",
    type=click.Path(path_type=Path),
    default=startup.PROJECT / "kamailio.cfg",
    envvar="KP_CONFIGURATION",
    help="kamailio.cfg to use instead of the one beside the program.",
)
@click.version_option(package_name="kemi-presence")
@click.pass_context
def main(context: click.Context, configuration: Path) -> None:
    """Run and look after the presence server. What is set where: see kamailio.cfg and the KP_ variables in README.md.

    \b
    Example: KP_PORT=5070 presencectl run
    """
    os.umask(0o077)  # the database holds password hashes
    context.obj = configuration.resolve()


@main.command()
@click.pass_obj
def run(configuration: Path) -> None:
    """Bring the database up to date and become the server, in the foreground.

    \b
    Example: KP_DOMAINS=example.org,example.com KP_DEFINES=WITH_TLS presencectl run
    """
    found = settings.load(os.environ, configuration)
    say("configuration", summary(found, configuration))
    orphans = startup.refuse_second_server(found.var / "kamailio.pid")
    if orphans:
        say("cleaning up", f"{len(orphans)} workers of a server that was killed are ended")
    with opened(found) as connection:
        applied = schema.migrate(connection)
        nonce_secret = schema.nonce_secret(connection)
    say("database", f"{shown_url(found)}, {', '.join(applied) + ' applied' if applied else 'up to date'}")
    command = startup.command_line(found, configuration, os.environ)
    say("starting", shlex.join(command))
    announce_when_listening(found, os.getpid())
    variables = startup.environment(found, configuration, os.environ)
    startup.execute(command, variables | {"KP_NONCE_SECRET": nonce_secret})


@main.command()
@click.pass_obj
def check(configuration: Path) -> None:
    """Check configuration and database without starting anything.

    \b
    Example: KP_DB_URL=postgresql://presence@db.example.org/presence presencectl check
    """
    rows: list[tuple[str, bool, str]] = []
    found = checked(rows, "configuration", lambda: settings.load(os.environ, configuration))
    if found is not None:
        rows[-1] = ("configuration", True, summary(found, configuration))
        checked(rows, "kamailio -c", lambda: startup.check_syntax(found, configuration, os.environ))
        checked(rows, "database", lambda: database_state(found))
    table = Table(show_header=False)
    for name, good, text in rows:
        table.add_row(name, "[green]ok[/green]" if good else "[red]wrong[/red]", text.replace("[", r"\["))
    Console().print(table)
    if not all(good for _, good, _ in rows):
        raise SystemExit(1)


@main.command()
@click.pass_obj
def migrate(configuration: Path) -> None:
    """Bring the schema of the database up to date; `run` does it too.

    \b
    Example: presencectl migrate
    """
    found = settings.load(os.environ, configuration)
    with opened(found) as connection:
        applied = schema.migrate(connection)
    say("database", f"{shown_url(found)}, {', '.join(applied) + ' applied' if applied else 'up to date'}")


@main.group()
def user() -> None:
    """Look after the users who may authenticate.

    \b
    Example: presencectl user list
    """


@user.command("add")
@click.argument("address")
@click.option("--password", envvar="PASSWORD", help="Asked for when it is given neither here nor in PASSWORD.")
@click.pass_obj
def add_user(configuration: Path, address: str, password: str | None) -> None:
    """Add the user ADDRESS, or give it another password.

    \b
    Example: presencectl user add alice@example.org
    """
    found = settings.load(os.environ, configuration)
    username, domain = account.split_address(address)
    if domain not in found.domains:
        raise ValueError(f"{domain} is not a served domain; KP_DOMAINS has {', '.join(found.domains)}")
    password = password or click.prompt("Password", hide_input=True, confirmation_prompt=True)
    new = account.create(username, domain, password)
    with opened(found) as connection:
        schema.migrate(connection)
        account_store.save(connection, new.username, new.domain, new.ha1, new.ha1_sha256)
    say("user", f"{new.address} may authenticate")


@user.command("list")
@click.pass_obj
def list_users(configuration: Path) -> None:
    """List the users.

    \b
    Example: presencectl user list
    """
    with opened(settings.load(os.environ, configuration)) as connection:
        schema.migrate(connection)
        for each in account_store.list_all(connection):
            click.echo(each.address)


@user.command("remove")
@click.argument("address")
@click.pass_obj
def remove_user(configuration: Path, address: str) -> None:
    """Remove the user ADDRESS.

    \b
    Example: presencectl user remove alice@example.org
    """
    username, domain = account.split_address(address)
    with opened(settings.load(os.environ, configuration)) as connection:
        schema.migrate(connection)
        if not account_store.remove(connection, username, domain):
            raise ValueError(f"there is no user {username}@{domain}")
    say("user", f"{username}@{domain} removed")


def say(step: str, text: str) -> None:
    """One line of progress."""
    click.echo(f"{step:<14} {text}")


def one_line(error: Exception) -> str:
    """The text of an error on one line."""
    return " ".join(str(error).split())


def summary(found: Settings, configuration: Path) -> str:
    """What is served where."""
    return (
        f"{configuration.name}: {', '.join(found.domains)} on {found.address}:{found.port}, "
        f"HTTP on {found.http_port}, {found.workers} workers"
    )


def shown_url(found: Settings) -> str:
    """The URL of the database without its password."""
    return re.sub(r"(://[^/@:]*):[^@/]*@", r"\1@", found.db_url).partition("?")[0]


@contextmanager
def opened(found: Settings) -> Iterator[Database]:
    """A connection to the database, with the folder it may need."""
    found.var.mkdir(parents=True, exist_ok=True)
    with closing(database.connect(found)) as connection:
        yield connection


def announce_when_listening(found: Settings, server: int) -> None:
    """Leave a process behind that says what to try as soon as the server answers.

    It is nobody's child: Kamailio takes the end of any child for the end of one of its workers.
    """
    if server == 1:
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork() == 0 and startup.answers(found, server, time.monotonic() + START_TIMEOUT):
        say("listening", f"sip:{found.address}:{found.port} (UDP and TCP); end it with Ctrl-C")
        say("try next", f"make user ADDRESS=alice@{found.domains[0]} PASSWORD=secret, or make demo, in another terminal")
    os._exit(0)


def checked(rows: list[tuple[str, bool, str]], name: str, step: Callable[[], Value]) -> Value | None:
    """Run one step of the check and note how it went."""
    try:
        value = step()
    except (ConfigurationError, database.Unavailable, OSError) as error:
        rows.append((name, False, one_line(error)))
        return None
    rows.append((name, True, str(value)))
    return value


def database_state(found: Settings) -> str:
    """Whether the database can be reached and its schema is this code's.

    Raises:
        ConfigurationError: the schema is newer.
    """
    file = Path(found.db_url.removeprefix("sqlite:///"))
    if found.db_url.startswith("sqlite:///") and not file.exists():
        return f"{shown_url(found)} is not there yet; the first start creates it"
    with closing(database.connect(found)) as connection:
        state = schema.state(connection)
    if state.unknown:
        raise ConfigurationError(f"{shown_url(found)} has {state.unknown[-1]}: a newer release made it")
    return f"{shown_url(found)}, {', '.join(state.missing) + ' will be applied' if state.missing else 'up to date'}"
