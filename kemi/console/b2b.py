"""presencectl b2b: the server's own subscriptions to users elsewhere (SER handbook section 3)."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from kemi.b2bua import store
from kemi.b2bua.outgoing import Key, Outgoing
from kemi.console.facts import Facts, left
from kemi.console.output import clean, json_option, limit_option, moment, plain, say, say_more, show, table
from kemi.console.session import Session, begin
from kemi.presence.package import NAME

COLUMNS: Final = (
    "watcher", "resource", "package", "fork", "phase", "shown", "reason", "expires_in", "next_in", "failures", "why",
)  # fmt: skip
HIDDEN: Final = frozenset({"body", "challenge", "trace"})
"""Left out: a document is its watcher's, a challenge helps nobody, a trace has its own command."""

OF_ONE: Final = (
    click.argument("watcher"),
    click.argument("resource"),
    click.option("--package", default=NAME, show_default=True, metavar="NAME", help="Event package."),
    click.option("--fork", type=click.IntRange(0), default=0, metavar="NUMBER", help="One of several that answered."),
    json_option,
)

Command = TypeVar("Command", bound=Callable[..., None])


def of_one(command: Command) -> Command:
    """The arguments and the options of every command that is about one subscription."""
    for each in reversed(OF_ONE):
        command = each(command)
    return command


@click.group()
def b2b() -> None:
    """Look after the server's own subscriptions to users elsewhere.

    \b
    Example: presencectl b2b list
    """


@b2b.command("list")
@click.option("--watcher", default="", metavar="URI", help="Only those for this watcher.")
@click.option("--resource", default="", metavar="URI", help="Only those to this user.")
@click.option("--domain", default="", metavar="NAME", help="Only those to users of this domain.")
@limit_option
@json_option
@click.pass_obj
def list_outgoing(configuration: Path, watcher: str, resource: str, domain: str, limit: int, as_json: bool) -> None:
    """List the server's own subscriptions, and tell who may have no more.

    \b
    Example: presencectl b2b list --domain example.net
    """
    with begin(configuration) as session:
        whom, who = (session.watcher(each) if each else "" for each in (resource, watcher))
        found = store.listed(session.database, who, whom, domain.lower(), limit + 1)
        rows = [described(session, each) for each in found[:limit]]
        limits = session.settings.b2b
        full = store.full(session.database, limits.max_per_watcher, limits.max_per_domain)
    show(rows, as_json, lambda: table(COLUMNS, rows, "the server has no subscriptions of its own"))
    say_more(len(found), limit)
    for parameter, whose in full:
        if whose in (who, domain.lower()) or not (who or domain):
            click.echo(clean(f"{parameter} is reached by {whose}: nobody more is asked"), err=True)


@b2b.command("show")
@of_one
@click.pass_obj
def show_outgoing(configuration: Path, watcher: str, resource: str, package: str, fork: int, as_json: bool) -> None:
    """Show all that is known of the subscription for WATCHER to RESOURCE.

    \b
    Example: presencectl b2b show bob@example.org dan@example.net
    """
    with begin(configuration) as session:
        found = described(session, one(session, watcher, resource, package, fork))
    show(found, as_json, lambda: print_fields(found))


@b2b.command("trace")
@of_one
@click.pass_obj
def trace_outgoing(configuration: Path, watcher: str, resource: str, package: str, fork: int, as_json: bool) -> None:
    """Show the last requests and answers of the subscription for WATCHER to RESOURCE.

    \b
    Example: presencectl b2b trace bob@example.org dan@example.net
    """
    with begin(configuration) as session:
        events = [event(line) for line in one(session, watcher, resource, package, fork).trace.split("\n") if line]
    show(events, as_json, lambda: click.echo("\n".join(clean(f"{moment(each['at'])}  {each['what']}") for each in events)))


COMMANDS = (b2b,)


def one(session: Session, watcher: str, resource: str, package: str, fork: int) -> Outgoing:
    """The subscription with this key, or a fork of it.

    Raises:
        ValueError: there is none.
    """
    key = Key(session.watcher(watcher), session.watcher(resource), package)
    found = store.look(session.database, key, fork)
    if found is None:
        session.require_served(package)
        others = " and ".join(map(_options, store.listed(session.database, key.watcher, key.resource)))
        hint = f"; there is one with {others}" if others else ""
        which = f"{package}, fork {fork}" if fork else package
        raise ValueError(f"there is no subscription of the server's own for {key.watcher} to {key.resource}, {which}{hint}")
    return found


def _options(outgoing: Outgoing) -> str:
    return f"--package '{outgoing.package}'" + (f" --fork {outgoing.fork}" if outgoing.fork else "")


def described(session: Session, outgoing: Outgoing) -> Facts:
    """Its columns, and what follows from them."""
    columns = {name: plain(value) for name, value in outgoing._asdict().items() if name not in HIDDEN}
    known = None if outgoing.expires_at is None else left(session, outgoing.expires_at)
    coming = None if outgoing.due_at is None else left(session, outgoing.due_at)
    return {**columns, "octets": len(outgoing.body), "expires_in": known, "next_in": coming}


def event(line: str) -> Facts:
    """A line of a trace."""
    at, _, what = line.partition(" ")
    return {"at": float(at), "what": what}


def print_fields(found: Facts) -> None:
    """For people: what is empty is left out."""
    for name, value in found.items():
        if value not in (None, "", False):
            say(name.replace("_", " "), clean(moment(value) if name.endswith("_at") else str(value)))
