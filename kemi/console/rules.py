"""presencectl allow, polite-block, confirm, block: decisions about watchers that stand in the presentity's own rules (RFC 5025)."""

import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import click

from kemi import administration, consequences
from kemi.console import facts
from kemi.console.facts import Facts
from kemi.console.output import json_option, one_line, say, show, table, warn
from kemi.console.session import Session, begin, tell, told
from kemi.console.watching import CHANGED
from kemi.database import again
from kemi.event_package import Decision
from kemi.presence import decide, explain
from kemi.presence.explain import Explained
from kemi.presence.package import NAME
from kemi.reauthorize import asking_the_same
from kemi.xcap import own_rules
from kemi.xcap.common_policy import HANDLING

MEANINGS: Final = {
    Decision.ALLOW: "Let WATCHER see everything of the presentity.",
    Decision.POLITE_BLOCK: "Let WATCHER see somebody who is away, always.",
    Decision.CONFIRM: "Have WATCHER wait until the presentity decides.",
    Decision.BLOCK: "Refuse WATCHER.",
}


def command_for(decision: Decision) -> click.Command:
    """The command that writes this decision."""

    @click.command(decision.value, help=help_of(decision))
    @click.argument("watcher")
    @click.option("--for", "uri", required=True, metavar="PRESENTITY", help="Whose rules.")
    @json_option
    @click.pass_obj
    def command(configuration: Path, watcher: str, uri: str, as_json: bool) -> None:
        with begin(configuration) as session:
            found = decided(session, session.known_presentity(uri), session.watcher(watcher), decision)
            show(found, as_json, lambda: print_decided(session, found))
        for each in found["warnings"]:
            warn(one_line(each))

    return command


def help_of(decision: Decision) -> str:
    """What the command says of itself."""
    return f"""{MEANINGS[decision]}

    It is written into the document pres-rules/users/PRESENTITY/index, into the rule {own_rules.id_of(decision)}, and WATCHER is
    taken out of the other rules of these commands. All other rules stay as they are and count too: what matching rules give is
    added up. Who watches already is judged at once. `presencectl authorize` decides before all rules instead.

    \b
    Example: presencectl {decision.value} bob@example.org --for alice@example.org
    """


COMMANDS = tuple(command_for(each) for each in reversed(Decision))


def decided(session: Session, presentity: str, watcher: str, decision: Decision) -> Facts:
    """Write it, wake the server, and tell what counts now."""
    changed = consequences.follow(session.moment)
    tag = secrets.token_hex(10)
    done = again(partial(decide.decide, session.moment, session.realm, presentity, watcher, decision, tag, changed))
    server = tell(session, done.result.effects)
    why = explain.explain(session.moment, watcher, presentity)
    asking = asking_the_same(session.packages, NAME)
    concerned = administration.subscriptions(session.database, presentity, "", watcher)
    return {
        "presentity": presentity,
        "watcher": watcher,
        "document": decide.document_of(presentity),
        "operation": facts.written(done.result),
        "etag": done.result.etag,
        "rule": own_rules.id_of(decision),
        "others": done.default,
        "decision": why.now.decision,
        "because": facts.because(why),
        "warnings": list(warnings(session, why, decision)),
        "subscriptions": [facts.of_subscription(session, each) for each in concerned if each.package in asking],
        "server": server,
    }


def warnings(session: Session, why: Explained, wanted: Decision) -> Iterator[str]:
    """What is in the way of the decision."""
    if why.by_rules is None:
        yield f"rules are not asked: {why.because}"
        return
    if why.because == explain.MANAGEMENT:
        yield f"presencectl authorize says {why.now.decision.value}, before all rules; authorize --remove takes that back"
    found = why.by_rules.explanation
    for each in found.above(wanted):
        yield f"the rule {each.document} {each.rule} gives {each.decision.value}, and what matching rules give is added up"
    says = found.authorization.decision
    if HANDLING[says] < HANDLING[wanted]:
        yield f"somebody has changed the rule {own_rules.id_of(wanted)}: {says.value} is what the rules say"
    elif not why.by_rules.asking.is_complete and says is not wanted:
        yield f"a document or a list cannot be read, so the rules say {says.value} at least"


def print_decided(session: Session, found: Facts) -> None:
    """What was written, for people."""
    say("document", f"{found['document']} {found['operation']}, etag {found['etag']}")
    if found["others"]:
        say("others", f"{found['others'].value}, as before: rules for all whom no rule names came with the document")
    say("decision", f"{found['watcher']} -> {found['presentity']}: {found['decision'].value}, because of {found['because']}")
    say("subscriptions", f"{len(found['subscriptions'])}; {told(session, found['server'])}")
    if found["subscriptions"]:
        table(CHANGED, found["subscriptions"], "")
