"""presencectl user: who may authenticate."""

import os
import sys
from pathlib import Path

import click

from kemi import account, account_store, settings
from kemi.console.connection import current, current_or_new
from kemi.console.output import json_option, say, show


@click.group()
def user() -> None:
    """Look after the users who may authenticate.

    \b
    Example: presencectl user list
    """


@user.command("add")
@click.argument("address")
@click.option("--password", envvar="PASSWORD", help="Given neither here nor in PASSWORD: asked for, or read from stdin.")
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
    new = account.create(username, domain, encodable(password or asked()))
    with current_or_new(found) as connection:
        account_store.save(connection, new)
    say("user", f"{new.address} may authenticate")


@user.command("list")
@json_option
@click.pass_obj
def list_users(configuration: Path, as_json: bool) -> None:
    """List the users.

    \b
    Example: presencectl user list --json
    """
    with current(settings.load(os.environ, configuration)) as connection:
        addresses = [each.address for each in account_store.list_all(connection)]
    show([{"address": each} for each in addresses], as_json, lambda: click.echo("\n".join(addresses or ["no users"])))


@user.command("remove")
@click.argument("address")
@click.pass_obj
def remove_user(configuration: Path, address: str) -> None:
    """Remove the user ADDRESS.

    \b
    Example: presencectl user remove alice@example.org
    """
    username, domain = account.split_address(address)
    with current(settings.load(os.environ, configuration)) as connection:
        if not account_store.remove(connection, username, domain):
            raise ValueError(f"there is no user {username}@{domain}")
    say("user", f"{username}@{domain} removed")


COMMANDS = (user,)


def encodable(password: str) -> str:
    """The same, where it can be hashed as clients do.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ValueError("the password is not UTF-8 text") from None
    return password


def is_terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty()


def asked() -> str:
    """The password: asked for twice on a terminal, else one line of stdin.

    Raises:
        ValueError: there is none.
    """
    if is_terminal():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise ValueError("no password: give it in PASSWORD, or on a line of stdin, or run this on a terminal to be asked")
    return line
