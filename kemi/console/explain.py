"""presencectl explain: why a watcher sees what it sees, rule by rule, and when time changes it (RFC 4745, RFC 5025)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from kemi.console import facts
from kemi.console.documents import file_type, read
from kemi.console.facts import Facts
from kemi.console.output import clean, json_option, line, plain, seconds, show, table
from kemi.console.session import Session, begin
from kemi.event_package import Decision, Document
from kemi.presence import explain as verb
from kemi.presence import policy
from kemi.presence.explain import ByRules, Explained, Trial
from kemi.presence.package import NAME
from kemi.presence.rules import Rules
from kemi.xcap.conditions import in_words
from kemi.xcap.explanation import Later, RuleExplained

REMOVED: Final = ("part", "element", "needs")
BARE: Final = {True: "everything is shown", False: "nothing is shown"}
SEES: Final = facts.SEES | {Decision.ALLOW: "the document of the package", Decision.POLITE_BLOCK: "a document that says nothing"}
"""What a decision lets a watcher see of other packages than presence."""
NO_RULES: Final[Facts] = {"shows": None, "then": None, "sphere": None, "sphere_in": None, "documents": [], "rules": []}


@click.command()
@click.argument("watcher")
@click.argument("presentity")
@click.option("--package", default=NAME, show_default=True, help="What WATCHER watches: presence, dialog.")
@click.option("--rules", "file", type=file_type, metavar="FILE", help="Try this document of rules; -: stdin. Nothing is stored.")
@click.option("--documents", is_flag=True, help="Print the document of now too: all of it, and what WATCHER sees.")
@json_option
@click.pass_obj
def explain(
    configuration: Path, watcher: str, presentity: str, package: str, file: Path | None, documents: bool, as_json: bool
) -> None:
    """Say why WATCHER sees what it sees of PRESENTITY.

    Each rule with its conditions, the decision that all of them make together, what was taken out of the document of now, and when
    the clock changes any of that. --rules shows what it would be if FILE were the document pres-rules/users/PRESENTITY/index; with
    --package dialog, dialog-rules/users/PRESENTITY/index. Of what is seen only presence is explained.

    \b
    Example: presencectl explain bob@example.org alice@example.org
    Example: presencectl explain bob@example.org alice@example.org --rules new.xml
    Example: presencectl explain bob@example.org alice@example.org --package dialog
    """
    trial = Trial(file.name if file.name != "-" else "stdin", read(file)) if file else None
    with begin(configuration) as session:
        who, whose = session.watcher(watcher), session.presentity(presentity)
        why = verb.explain(session.moment, who, whose, trial, package)
        found = of_explained(session, who, whose, why, documents)
    show(found, as_json, lambda: print_explained(plain(found)))


COMMANDS = (explain,)


def of_explained(session: Session, watcher: str, presentity: str, why: Explained, documents: bool) -> Facts:
    """What is said of a watcher, as JSON has it."""
    says = why.authorization.decision
    by_rules = of_by_rules(session, why.by_rules, policy.has_transformations(why.package)) if why.by_rules else NO_RULES
    kept = by_rules if why.is_by_rules else by_rules | {"shows": None, "then": None}
    return {
        "watcher": watcher,
        "presentity": presentity,
        "package": why.package,
        "trial": why.trial or None,
        "decision": says,
        "because": facts.because(why),
        "by_rules": why.is_by_rules,
        "counts_now": why.now.decision,
        "sees": (facts.SEES if why.seen else SEES)[says],
        **kept,
        "removed": why.seen.removed if why.seen else [],
        "composed": of_document(why.seen.composed) if documents and why.seen else None,
        "shown": of_document(why.seen.shown) if documents and why.seen else None,
    }


def of_by_rules(session: Session, by_rules: ByRules, has_transformations: bool) -> Facts:
    """What rules say, asked or not; and what they show, where that is theirs to say."""
    found, until = by_rules.explanation, by_rules.sphere_until
    return {
        "shows": found.shows if found.authorization.decision is Decision.ALLOW and has_transformations else None,
        "then": of_moment(session, found.then, has_transformations) if found.then else None,
        "sphere": by_rules.asking.sphere,
        "sphere_in": None if until is None else facts.left(session, until),
        "documents": [of_rules(each) for each in by_rules.asking.documents],
        "rules": [of_rule(session, each, has_transformations) for each in found.rules],
    }


def of_moment(session: Session, moment: Later, has_transformations: bool) -> Facts:
    """What time changes."""
    shows = moment.shows if moment.decision is Decision.ALLOW and has_transformations else None
    times = {"changes_at": moment.at, "changes_in": round(moment.at - session.now), "time": in_words(moment.at)}
    return {"decision": moment.decision, "shows": shows} | times


def of_rules(rules: Rules) -> Facts:
    """One document of rules."""
    return {"document": rules.ruleset.document, "rules": len(rules.ruleset.rules), "note": rules.note}


def of_rule(session: Session, rule: RuleExplained, has_transformations: bool) -> Facts:
    """One rule."""
    columns: Facts = plain(rule if has_transformations else rule._asdict() | {"shows": None})
    at = columns.pop("changes_at")
    return columns | {"changes_in": None if at is None else round(at - session.now)}


def of_document(document: Document | None) -> Facts | None:
    """A presence document; None where there is none."""
    if document is None or not document.content:
        return None
    return {"content_type": document.content_type, "body": document.content}


# ---------------------------------------------------------------------------------------------------------------------
# For people


def print_explained(found: Facts) -> None:
    """The same for people; values are as in JSON."""
    click.echo(clean("\n".join(page(found))))
    if found["shows"]:
        click.echo("\nremoved from the document" + ("" if found["removed"] else ": nothing"))
    if found["removed"]:
        table(REMOVED, found["removed"], "")
    for name, title in (("composed", "all that is published"), ("shown", "what the watcher sees")):
        if found[name]:
            click.echo(clean(f"\n{title}: {found[name]['content_type']}\n{found[name]['body'].rstrip()}"))


def page(found: Facts) -> Iterator[str]:
    """Everything but documents."""
    package = "" if found["package"] == NAME else f", {found['package']}"
    yield line("watcher", f"{found['watcher']} -> {found['presentity']}{package}")
    yield line("decision", f"{found['decision']}, because of {found['because']}")
    if found["trial"]:
        yield line("counts now", f"{found['counts_now']}, without {found['trial']}")
    yield line("sees", granted(found["shows"]) if found["shows"] else found["sees"])
    if found["by_rules"]:
        yield line("clock", when(found["then"]))
    elif found["documents"]:
        yield line("rules", "they are not asked")
    if found["sphere"] or found["sphere_in"] is not None:
        until = "" if found["sphere_in"] is None else f", told for {seconds(found['sphere_in'])} if not again"
        yield line("sphere", f"{found['sphere'] or 'not defined'}{until}")
    for document in found["documents"]:
        yield from ("", ": ".join(filter(None, (f"{document['document']}, {document['rules']} rules", document["note"]))))
        for rule in found["rules"]:
            if rule["document"] == document["document"]:
                yield from rule_lines(rule)


def rule_lines(rule: Facts) -> Iterator[str]:
    """One rule with its conditions."""
    allows = rule["decision"] == Decision.ALLOW.value and rule["shows"]
    words = "matches, grants" if rule["matches"] else "does not match, would grant"
    yield f"  {rule['rule']}: {words} {rule['decision']}" + (f"; {granted(rule['shows'])}" if allows else "")
    if allows and rule["is_bare"]:
        yield f"    it has no transformations: {BARE[bool(rule['shows']['attributes'])]} (pa.rules_without_transformations)"
    for each in rule["conditions"]:
        yield f"    {'true ' if each['holds'] else 'false'}  {each['asks']}: {each['why']}"
    if not rule["conditions"]:
        yield "    true   no conditions: everybody"
    if rule["changes_in"] is not None:
        yield f"    the clock asks again in {rule['changes_in']} s"


def granted(shows: dict[str, list[str]]) -> str:
    """Permissions on one line."""
    return "; ".join(f"{name} {', '.join(values) or 'none'}" for name, values in shows.items())


def when(then: Any) -> str:
    """What time changes, and when."""
    if then is None:
        return "changes nothing"
    shows = f": {granted(then['shows'])}" if then["shows"] else ""
    return f"{then['decision']} in {then['changes_in']} s, at {then['time']}{shows}"
