"""presencectl watchers, subscriptions, authorize: who watches whom, and decisions about it by management."""

from functools import partial
from pathlib import Path
from typing import Final

import click

from kemi import administration, message
from kemi.console import facts
from kemi.console.facts import Facts
from kemi.console.output import json_option, limit_option, say, say_more, show, table
from kemi.console.session import Server, Session, begin, tell, told
from kemi.database import again
from kemi.decision_store import MESSAGE
from kemi.event_package import Decision
from kemi.presence.package import NAME
from kemi.reauthorize import asking_the_same

WATCHERS: Final = (
    "watcher", "status", "event", "expires_in", "duration", "display_name", "user_agent", "profile", "remembered",
)  # fmt: skip
SUBSCRIPTIONS: Final = (
    "watcher", "resource", "package", "state", "decision", "expires_in", "local_cseq", "remote_target", "user_agent", "list_id",
)  # fmt: skip
DECISIONS: Final = ("watcher", "package", "decision", "decided_at")
CHANGED: Final = ("id", "package", "state", "decision", "expires_in", "user_agent")

package_option = click.option("--package", default=NAME, show_default=True, metavar="NAME", help="Event package.")


@click.command()
@click.argument("uri")
@package_option
@json_option
@click.pass_obj
def watchers(configuration: Path, uri: str, package: str, as_json: bool) -> None:
    """List who watches the presentity URI.

    Also who waits for a decision, has just ended, or is stored until the presentity comes back.

    \b
    Example: presencectl watchers alice@example.org
    """
    with begin(configuration) as session:
        rows = facts.watchers_of(session, session.presentity(uri), package)
        if not rows:
            session.require_served(package)
    show(rows, as_json, lambda: table(WATCHERS, rows, "nobody watches"))


@click.command()
@click.option("--watcher", default="", metavar="URI", help="Only those of this watcher.")
@click.option("--resource", default="", metavar="URI", help="Only those to this presentity.")
@click.option("--package", default="", metavar="NAME", help="Only those of this event package.")
@limit_option
@json_option
@click.pass_obj
def subscriptions(configuration: Path, watcher: str, resource: str, package: str, limit: int, as_json: bool) -> None:
    """List subscriptions of any event package.

    \b
    Example: presencectl subscriptions --watcher bob@example.org --json
    """
    with begin(configuration) as session:
        of = session.watcher(resource) if resource else ""
        by = session.watcher(watcher) if watcher else ""
        found = administration.subscriptions(session.database, of, package, by, limit + 1)
        rows = [facts.of_subscription(session, each) for each in found[:limit]]
        if package and not rows:
            session.require_served(package)
    show(rows, as_json, lambda: table(SUBSCRIPTIONS, rows, "no subscriptions"))
    say_more(len(found), limit)


@click.command()
@click.argument("uri")
@click.argument("watcher", required=False)
@click.argument("decision", type=click.Choice([each.value for each in reversed(Decision)]), required=False)
@click.option("--remove", is_flag=True, help="Leave this watcher to the rules again.")
@click.option("--list", "listed", is_flag=True, help="List what is decided.")
@click.option("--package", default=NAME, show_default=True, metavar="NAME", help="Event package, or MESSAGE for messages to URI.")
@json_option
@click.pass_obj
def authorize(
    configuration: Path,
    uri: str,
    watcher: str | None,
    decision: str | None,
    remove: bool,
    listed: bool,
    package: str,
    as_json: bool,
) -> None:
    """Decide whether WATCHER may watch URI.

    allow: yes; that is what no word means. polite-block: it sees somebody who is away. confirm: pending. block: no.

    The decision stays, before all rules and before pa.auth, until --remove. It counts at once for subscriptions that are there.

    It says nothing about messages: who may not watch may still send MESSAGE. --package MESSAGE decides about these alone. allow:
    delivered. polite-block: 200, but not delivered. confirm: 480. block: 403.

    \b
    Example: presencectl authorize alice@example.org bob@example.org allow
    Example: presencectl authorize alice@example.org bob@example.org block --package MESSAGE
    Example: presencectl authorize alice@example.org bob@example.org --remove
    Example: presencectl authorize alice@example.org --list
    """
    if listed is (watcher is not None) or (listed and remove) or (remove and decision):
        raise click.UsageError("a watcher with a decision or --remove, or --list, is needed")
    with begin(configuration) as session:
        resource = session.presentity(uri)
        if watcher is None:
            rows = facts.of_decisions(session, resource)
            show(rows, as_json, lambda: table(DECISIONS, rows, "nothing is decided by management"))
            return
        wanted = None if remove else Decision(decision or Decision.ALLOW.value)
        decide = decided_messages if package.upper() == MESSAGE else partial(decided, package=package)
        found = decide(session, resource, session.watcher(watcher), decision=wanted)
        show(found, as_json, lambda: print_decided(session, found))


COMMANDS = (watchers, subscriptions, authorize)


def decided_messages(session: Session, recipient: str, sender: str, decision: Decision | None) -> Facts:
    """Decide about messages, and tell what becomes of the next one."""
    again(lambda: administration.decide_messages(session.database, recipient, sender, decision, session.now))
    verdict = message.authorize(session.moment, (sender,), recipient)
    return {
        "presentity": recipient,
        "watcher": sender,
        "package": MESSAGE,
        "decision": verdict.decision,
        "because": "the rules for messages" if decision is None else "presencectl authorize",
        "subscriptions": [],
        "server": Server.NOT_NEEDED,
    }


def decided(session: Session, resource: str, who: str, package: str, decision: Decision | None) -> Facts:
    """Decide, wake the server, and tell what has become of the watcher's subscriptions."""
    effects = again(partial(administration.decide, session.moment, package, resource, who, decision))
    asking = asking_the_same(session.packages, package)
    concerned = [each for each in administration.subscriptions(session.database, resource, "", who) if each.package in asking]
    says, because = facts.why(session, package, resource, who)
    server = tell(session, effects)
    return {
        "presentity": resource,
        "watcher": who,
        "package": package,
        "decision": says and says.decision,
        "because": because,
        "subscriptions": [facts.of_subscription(session, each) for each in concerned],
        "server": server,
    }


def print_decided(session: Session, found: Facts) -> None:
    """What was decided, for people."""
    say("decision", f"{found['watcher']} -> {found['presentity']}, {found['package']}: {found['decision'].value}")
    say("because of", found["because"])
    if found["package"] != MESSAGE:
        say("subscriptions", f"{len(found['subscriptions'])}; {told(session, found['server'])}")
    if found["subscriptions"]:
        table(CHANGED, found["subscriptions"], "")
