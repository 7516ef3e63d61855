"""presencectl presentity, publish, unpublish: what presentities have published, and publications by management."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import click

from kemi import administration, news
from kemi.administration import Presentity
from kemi.console import facts
from kemi.console.facts import Facts
from kemi.console.output import clean, json_option, limit_option, say, say_more, seconds, show, table
from kemi.console.session import Session, begin, tell, told
from kemi.database import again
from kemi.event_package import Authorization, Decision, Document, View
from kemi.parameters import YEAR
from kemi.presence import manage, pidf, store
from kemi.presence.manage import ACTIVITIES, Managed
from kemi.presence.outline import outline
from kemi.presence.package import NAME, aspect_of
from kemi.presence.pidf import CLOSED, OPEN
from kemi.subscription import authorized

OFFLINE: Final = "offline"
UNKNOWN: Final = "unknown"
BATCH: Final = 200
"""Presentities that are composed at a time."""

LISTED: Final = ("presentity", "state", "publications", "watchers")
PUBLISHED: Final = ("source", "entity_tag", "content_type", "size", "published", "expires_in")


@click.group()
def presentity() -> None:
    """Look at presentities.

    A presentity is who has published something or is watched.

    \b
    Example: presencectl presentity list
    """


@presentity.command("list")
@limit_option
@json_option
@click.pass_obj
def list_presentities(configuration: Path, limit: int, as_json: bool) -> None:
    """List who has published something or is watched.

    The state is what a watcher who is allowed sees: open, closed, offline (nothing is published), unknown (nothing says).

    \b
    Example: presencectl presentity list --limit 20
    """
    with begin(configuration) as session:
        found = administration.presentities(session.database, NAME, session.now, limit + 1)
        rows = list(described(session, found[:limit]))
    show(rows, as_json, lambda: table(LISTED, rows, "nobody publishes, nobody is watched"))
    say_more(len(found), limit)


@presentity.command("show")
@click.argument("uri")
@click.option("--watcher", metavar="URI", help="Show what this watcher sees.")
@json_option
@click.pass_obj
def show_presentity(configuration: Path, uri: str, watcher: str | None, as_json: bool) -> None:
    """Show what the presentity URI has published, and what is seen of it.

    \b
    Example: presencectl presentity show alice@example.org
    Example: presencectl presentity show alice@example.org --watcher bob@example.org
    """
    with begin(configuration) as session:
        resource = session.presentity(uri)
        who = session.watcher(watcher) if watcher else ""
        (about,) = described(session, administration.described(session.database, NAME, [resource], session.now))
        published = store.load_many(session.database, NAME, [resource], session.now)
        says, because = facts.why(session, NAME, resource, who) if who else (Authorization(Decision.ALLOW), "")
        says = says or Authorization(Decision.BLOCK)
        document = document_for(session, resource, who, says)
        found = about | {
            "publications": [facts.of_publication(session, each) for each in published],
            "watcher": who or None,
            "decision": says.decision,
            "because": because,
            "document": document and {"content_type": document.content_type, "body": document.content},
        }
    show(found, as_json, lambda: print_presentity(session, found))


@click.command()
@click.argument("uri")
@click.argument("status", type=click.Choice([OPEN, CLOSED]), required=False)
@click.option("--note", default="", metavar="TEXT", help="A note for the watchers.")
@click.option(
    "--activity", "activities", type=click.Choice(ACTIVITIES), multiple=True, metavar="NAME",
    help=f"What the presentity is doing, several times where it is more: {', '.join(ACTIVITIES)}.",
)  # fmt: skip
@click.option("--expires", type=click.IntRange(0, YEAR), metavar="SECONDS", help="0: until unpublish. Default: pa.default_expires.")
@click.option("--document", type=click.Path(path_type=Path), metavar="FILE", help="Publish this document instead of STATUS.")
@click.option("--content-type", default=pidf.MEDIA_TYPE, show_default=True, metavar="TYPE", help="Type of that document.")
@json_option
@click.pass_obj
def publish(
    configuration: Path,
    uri: str,
    status: str | None,
    note: str,
    activities: Sequence[str],
    expires: int | None,
    document: Path | None,
    content_type: str,
    as_json: bool,
) -> None:
    """Publish for the presentity URI.

    It stands beside what the presentity's devices publish, and the running server tells the watchers at once. There is one such
    publication for a presentity: the next one replaces it.

    \b
    Example: presencectl publish alice@example.org closed --note "Back on Monday" --activity vacation --expires 0
    Example: presencectl publish alice@example.org --document alice.xml
    """
    if (status is None) is (document is None) or (document and (note or activities)):
        raise click.UsageError("either open or closed, with --note and --activity, or --document is needed")
    with begin(configuration) as session:
        who = session.known_presentity(uri)
        body = document.read_bytes() if document else manage.document(who, status or "", note, activities, session.now)
        lifetime = session.settings.pa.default_expires if expires is None else expires
        report(session, again(partial(manage.publish, session.moment, who, body, content_type, lifetime)), as_json)


@click.command()
@click.argument("uri")
@json_option
@click.pass_obj
def unpublish(configuration: Path, uri: str, as_json: bool) -> None:
    """Remove what `publish` has published for URI.

    \b
    Example: presencectl unpublish alice@example.org
    """
    with begin(configuration) as session:
        report(session, again(partial(manage.unpublish, session.moment, session.presentity(uri))), as_json)


COMMANDS = (presentity, publish, unpublish)


def described(session: Session, presentities: Sequence[Presentity]) -> Iterator[Facts]:
    """Presentities with their states."""
    for start in range(0, len(presentities), BATCH):
        batch = presentities[start : start + BATCH]
        states = states_of(session, [each.uri for each in batch if each.publications])
        for each in batch:
            state = states.get(each.uri, OFFLINE)
            yield {"presentity": each.uri, "state": state, "publications": each.publications, "watchers": each.watchers}


def states_of(session: Session, names: Sequence[str]) -> dict[str, str]:
    """What the documents say that are composed for these presentities now."""
    views = [View(name, name, pidf.MEDIA_TYPE, Decision.ALLOW) for name in names]
    documents = session.packages[NAME].render(session.moment, views) if views else {}
    return {view.resource: state_in(document) for view, document in documents.items()}


def state_in(document: Document) -> str:
    """open, closed, offline or unknown."""
    if not document.content:
        return OFFLINE
    return outline(pidf.parse(document.content.encode(), document.content_type)).basic or UNKNOWN


def document_for(session: Session, resource: str, who: str, says: Authorization) -> Document | None:
    """The document of now: for a watcher in the form that its newest subscription asks for."""
    if says.decision in (Decision.BLOCK, Decision.CONFIRM):
        return None
    package = session.packages[NAME]
    view = View(resource, resource, package.produces[0], says.decision, aspect_of("", says.permissions))
    for each in administration.subscriptions(session.database, resource, NAME, who) if who else ():
        view = news.view_of(authorized(each, says), session.packages) or view
    return package.render(session.moment, [view])[view]


def print_presentity(session: Session, found: Facts) -> None:
    """A presentity for people."""
    say("presentity", f"{found['presentity']}: {found['state']}, {found['watchers']} watchers")
    published = [each | {"published": f"{seconds(session.now - each['published_at'])} ago"} for each in found["publications"]]
    table(PUBLISHED, published, "publications   none")
    if found["watcher"]:
        say("watcher", f"{found['watcher']} sees {facts.SEES[found['decision']]}, because of {found['because']}")
    if found["document"]:
        click.echo(clean(f"\n{found['document']['content_type']}\n{found['document']['body'].rstrip()}"))


def report(session: Session, done: Managed, as_json: bool) -> None:
    """Wake the server, and say what was done."""
    server = tell(session, done.effects)
    publication = facts.of_publication(session, done.publication)
    found = {
        "presentity": done.publication.presentity,
        "operation": done.operation,
        **{name: publication[name] for name in ("entity_tag", "content_type", "size", "expires_in")},
        "subscriptions": done.due,
        "server": server,
    }
    show(found, as_json, lambda: print_report(session, done, told(session, server)))


def print_report(session: Session, done: Managed, server: str) -> None:
    """What was done, for people."""
    published = done.publication
    what = ""
    if published.body:
        said = facts.outline_of(published)
        basic = said.basic if said else ""
        ends = seconds(facts.left(session, published.expires_at))
        what = f" ({basic or UNKNOWN}, {len(published.body)} octets, {f'for {ends}' if ends else 'until unpublish'})"
    say("publication", f"{done.operation.value} for {published.presentity}{what}")
    say("subscriptions", f"{done.due} of watchers; {server}" if done.due else "none: nobody watches")
