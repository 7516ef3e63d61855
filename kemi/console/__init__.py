"""The command `presencectl`: runs the server, and lets its operator look and act.

One module for each part of it: `server` (run, check, migrate, parameters, completion), `users`, `presence` (presentity, publish,
unpublish), `watching` (watchers, subscriptions, authorize), `explain`, `rules` (allow, polite-block, confirm, block), `documents`
(xcap), `trace`, `lists` (rls), `b2b`. What they print is made by `facts` and written by `output`; `session` opens the store of the
server, which may be running.

Whatever goes wrong is one line on stderr: status 1, or 2 where the command itself is wrong.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from kemi import startup
from kemi.console.output import one_line
from kemi.database import Unavailable
from kemi.errors import ConfigurationError, SipError
from kemi.xcap.errors import XcapError

PARTS: Final = {
    "server": ("run", "check", "migrate", "parameters", "completion"),
    "users": ("user",),
    "presence": ("presentity", "publish", "unpublish"),
    "watching": ("watchers", "subscriptions", "authorize"),
    "explain": ("explain",),
    "rules": ("allow", "polite-block", "confirm", "block"),
    "documents": ("xcap",),
    "trace": ("trace",),
    "lists": ("rls",),
    "b2b": ("b2b",),
}
"""The commands of each module here."""

EXPECTED: Final = (ConfigurationError, Unavailable, SipError, ValueError, OSError)
"""What stops a command without being an error in it."""


class WrongUsage(click.ClickException):
    """The command itself is wrong."""

    exit_code = 2


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Have errors told in one line."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        raise WrongUsage(f"{one_line(error.format_message())} ({command_of(error)} --help tells more)") from error
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except XcapError as error:
        raise click.ClickException(one_line(error.words())) from error
    except EXPECTED as error:
        raise click.ClickException(one_line(words_of(error))) from error
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        hint = "an error in presencectl itself; PYTHONDEVMODE=1 shows where"
        raise click.ClickException(f"{type(error).__name__}: {one_line(error)} ({hint})") from error


def words_of(error: Exception) -> str:
    """What is wrong; of a file without the number that the system has for it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def command_of(error: click.UsageError) -> str:
    """The command that was typed."""
    return error.ctx.command_path if error.ctx else "presencectl"


class Commands(click.Group):
    """All commands. A module is imported when one of its commands is asked for: `run` is there with each start, and needs few.

    What stops a command is said in one line.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in PARTS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        part = next((module for module, names in PARTS.items() if cmd_name in names), None)
        if part is None:
            return None
        found: Iterable[click.Command] = import_module(f"kemi.console.{part}").COMMANDS
        return next(command for command in found if command.name == cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(error.command_name, possibilities=self.list_commands(ctx), ctx=ctx) from None

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with one_line_errors():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with one_line_errors():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"max_content_width": 110})
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
    """Run and look after the presence server. What is set where: see kamailio.cfg and the KP_ variables in README.md. Every
    command is described in docs/presencectl.md.

    \b
    Example: KP_PORT=5070 presencectl run
    """
    os.umask(0o077)  # the database holds password hashes
    context.obj = configuration.resolve()
