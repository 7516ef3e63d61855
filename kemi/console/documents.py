"""presencectl xcap: documents of users, read and written as a client does over HTTP (RFC 4825)."""

import secrets
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import click

from kemi import consequences
from kemi.console import facts
from kemi.console.facts import Facts
from kemi.console.output import clean, json_option, limit_option, say, say_more, show, table
from kemi.console.session import Session, begin, tell, told
from kemi.database import again
from kemi.xcap import fetched_store, manage, store
from kemi.xcap.manage import Wish
from kemi.xcap.serve import Result
from kemi.xcap.store import Listed

LISTED: Final = ("document", "etag", "size", "changed_at")
ASKED: Final = ("owner", "uri", "known", "confirmed_at")
FETCHED: Final = ("owner", "uri", "known", "size", "confirmed_at", "failures", "next_in")
UNKNOWN: Final = "nothing is known of that server's documents yet"

file_type = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
match_option = click.option("--if-match", metavar="ETAG", help="Only if the document has this entity-tag; *: if there is one.")
none_match_option = click.option("--if-none-match", metavar="ETAG", help="Only if it has not this one; *: if there is none.")

Command = TypeVar("Command", bound=Callable[..., None])


def of_document(command: Command) -> Command:
    """The argument and the options of every command that is about one document or a part of it."""
    for each in (json_option, none_match_option, match_option, click.argument("document")):
        command = each(command)
    return command


@click.group()
def xcap() -> None:
    """Look after the documents of users: contact lists, rules, what is always shown.

    DOCUMENT is a path below the XCAP root, or the whole URI, of a document or a part of it. A question mark or a percent sign that
    belongs to the path is percent-encoded. Node selectors may have these prefixes: cp (common policy), pr (presence rules), ocp and
    op (the same of OMA), dm and rpid (parts of a presence document).

    \b
    Example: presencectl xcap list alice@example.org
    """


@xcap.command()
@of_document
@click.pass_obj
def get(configuration: Path, document: str, if_match: str | None, if_none_match: str | None, as_json: bool) -> None:
    """Print DOCUMENT as it is, or a part of it; what is known of it goes to stderr.

    \b
    Example: presencectl xcap get pres-rules/users/sip:alice@example.org/index
    Example: presencectl xcap get 'pres-rules/users/alice@example.org/index/~~/cp:ruleset/cp:rule[@id="friends"]'
    """
    with begin(configuration) as session:
        result = performed(session, Wish("GET", document, b"", if_match, if_none_match))
    found = of_result(document, result) | {"body": result.body.decode()}
    show(found, as_json, lambda: print_document(found, result))


@xcap.command()
@of_document
@click.argument("file", type=file_type, default="-")
@click.pass_obj
def put(configuration: Path, document: str, file: Path, if_match: str | None, if_none_match: str | None, as_json: bool) -> None:
    """Write DOCUMENT, or a part of it, with what is in FILE or on stdin.

    It is checked as a client's is. Who watches is judged by new rules at once.

    \b
    Example: presencectl xcap put pres-rules/users/sip:alice@example.org/index rules.xml
    Example: presencectl xcap put resource-lists/users/sip:alice@example.org/index lists.xml --if-none-match '*'
    """
    body = read(file)
    with begin(configuration) as session:
        report(session, Wish("PUT", document, body, if_match, if_none_match), as_json)


@xcap.command()
@of_document
@click.pass_obj
def delete(configuration: Path, document: str, if_match: str | None, if_none_match: str | None, as_json: bool) -> None:
    """Remove DOCUMENT, or a part of it.

    \b
    Example: presencectl xcap delete pres-rules/users/sip:alice@example.org/index
    Example: presencectl xcap delete 'pres-rules/users/sip:alice@example.org/index/~~/cp:ruleset/cp:rule[@id="mine"]'
    """
    with begin(configuration) as session:
        report(session, Wish("DELETE", document, b"", if_match, if_none_match), as_json)


@xcap.command("list")
@click.argument("uri", required=False)
@click.option("--auid", default="", metavar="NAME", help="Only those of this application usage.")
@limit_option
@json_option
@click.pass_obj
def list_documents(configuration: Path, uri: str | None, auid: str, limit: int, as_json: bool) -> None:
    """List the documents of the user URI, or of all users.

    \b
    Example: presencectl xcap list alice@example.org
    Example: presencectl xcap list --auid pres-rules
    """
    with begin(configuration) as session:
        manage.require_ours(session.settings)
        owner = session.presentity(uri) if uri else ""
        found = store.list_all(session.database, owner, auid, limit + 1)
    rows = [of_listed(each) for each in found[:limit]]
    show(rows, as_json, lambda: table(LISTED, rows, "no documents"))
    say_more(len(found), limit)


@xcap.command()
@click.argument("uri", required=False)
@limit_option
@json_option
@click.pass_obj
def fetched(configuration: Path, uri: str | None, limit: int, as_json: bool) -> None:
    """List what is known of another XCAP server's documents, of the user URI or of all users.

    \b
    Example: presencectl xcap fetched alice@example.org
    """
    with begin(configuration) as session:
        manage.require_elsewhere(session.settings)
        owner = session.presentity(uri) if uri else ""
        found = fetched_store.list_all(session.database, owner, limit + 1)
    rows = [of_fetched(session, each) for each in found[:limit]]
    show(rows, as_json, lambda: table(FETCHED, rows, UNKNOWN))
    say_more(len(found), limit)


@xcap.command()
@click.argument("uri", required=False)
@json_option
@click.pass_obj
def refresh(configuration: Path, uri: str | None, as_json: bool) -> None:
    """Fetch anew what is known of another XCAP server, for the user URI or for all users.

    A change there counts within a second or two, and not when the server looks for changes next (pa.auth_rules_refresh_time).

    \b
    Example: presencectl xcap refresh alice@example.org
    """
    with begin(configuration) as session:
        manage.require_elsewhere(session.settings)
        owner = session.presentity(uri) if uri else ""
        asked = fetched_store.ask_all(session.database, owner, session.now)
    rows = [each._asdict() for each in asked]
    show(rows, as_json, lambda: table(ASKED, rows, UNKNOWN))


COMMANDS = (xcap,)


def read(file: Path) -> bytes:
    """What is in a file; "-" is stdin."""
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()


def performed(session: Session, wish: Wish) -> Result:
    """Do it, with all that follows."""
    changed = consequences.follow(session.moment)
    return again(partial(manage.perform, session.moment, session.realm, wish, secrets.token_hex(10), changed))


def of_result(document: str, result: Result) -> Facts:
    """What is known of a document, or of the part that was asked for."""
    return {"document": document, "etag": result.etag, "content_type": result.content_type, "size": len(result.body)}


def of_listed(listed: Listed) -> Facts:
    """One document of a list."""
    auid, tree, user, name = listed.selector
    where = f"{auid}/{tree}/{user}/{name}" if user else f"{auid}/{tree}/{name}"
    columns = ("etag", "content_type", "size", "changed_at")
    return {"document": where, "auid": auid, "user": user or None} | {each: getattr(listed, each) for each in columns}


def of_fetched(session: Session, found: fetched_store.Listed) -> Facts:
    """One document of another server."""
    return found._asdict() | {"next_in": None if found.next_at is None else round(found.next_at - session.now)}


def report(session: Session, wish: Wish, as_json: bool) -> None:
    """Do it, wake the server, and say what was done."""
    result = performed(session, wish)
    server = tell(session, result.effects)
    found = {"document": wish.document, "operation": operation_of(wish, result), "etag": result.etag, "server": server}
    show(found, as_json, lambda: print_report(found, told(session, server)))


def operation_of(wish: Wish, result: Result) -> str:
    """What became of a document, or of a part of it."""
    return "removed" if wish.method == "DELETE" else facts.written(result)


def print_report(found: Facts, server: str) -> None:
    """What was done, for people."""
    say("document", f"{found['document']} {found['operation']}" + (f", etag {found['etag']}" if found["etag"] else ""))
    say("watchers", server)


def print_document(found: Facts, result: Result) -> None:
    """The octets as they are, but where a terminal would act on them."""
    if result.status == 304:
        click.echo(f"not modified: etag {found['etag']}", err=True)
        return
    click.echo(f"{found['content_type']}, {found['size']} octets, etag {found['etag']}", err=True)
    if sys.stdout.isatty():
        click.echo(clean(found["body"]), nl=not found["body"].endswith("\n"))
    else:
        click.echo(result.body, nl=False)
