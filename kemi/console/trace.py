"""presencectl trace: everything about one presentity on one page (SER handbook section 3, pa.trace)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from kemi import administration
from kemi.console import facts
from kemi.console.facts import Facts
from kemi.console.output import clean, json_option, moment, plain, seconds, show
from kemi.console.presence import described
from kemi.console.session import Session, begin
from kemi.errors import SipError
from kemi.event_package import WATCHER_INFORMATION, Decision
from kemi.presence import store
from kemi.presence.outline import Outline
from kemi.presence.package import NAME
from kemi.presence.publication import Publication
from kemi.subscription import State, Subscription

WINFO = NAME + WATCHER_INFORMATION
NOTHING_SAID = Outline((), (), (), (), ())


@click.command()
@click.argument("uri")
@json_option
@click.pass_obj
def trace(configuration: Path, uri: str, as_json: bool) -> None:
    """Show everything about the presentity URI.

    Publications and registrations with what they say, decisions, watchers with their deadlines and why they see what they see, and
    who watches the watchers.

    \b
    Example: presencectl trace alice@example.org
    """
    with begin(configuration) as session:
        found = everything(session, session.presentity(uri))
    show(found, as_json, lambda: click.echo(clean("\n".join(page(found)))))


COMMANDS = (trace,)


def everything(session: Session, resource: str) -> Facts:
    """What is known of a presentity, as JSON has it."""
    (about,) = described(session, administration.described(session.database, NAME, [resource], session.now))
    names = [name for name, package in session.packages.items() if package.consumes]
    published = [each for name in names for each in store.load_many(session.database, name, [resource], session.now)]
    watching = [of_watching(session, each) for each in administration.subscriptions(session.database, resource)]
    return {
        "presentity": resource,
        "state": about["state"],
        "publications": [of_publication(session, each) for each in published],
        "decisions": facts.of_decisions(session, resource),
        "watchers": [each for each in watching if each["package"] == NAME],
        "winfo_watchers": [each for each in watching if each["package"] == WINFO],
        "other_watchers": [each for each in watching if each["package"] not in (NAME, WINFO)],
        "remembered": [facts.of_recorded(session, each) for each in administration.recorded(session.database, resource)],
    }


def of_publication(session: Session, publication: Publication) -> Facts:
    """A publication and what it says; `problem` where it cannot be read."""
    problem, said = "", None
    try:
        said = facts.outline_of(publication)
    except SipError as error:
        problem = str(error)
    inside: Facts = plain(said or NOTHING_SAID)
    return facts.of_publication(session, publication) | {"problem": problem} | inside


def of_watching(session: Session, subscription: Subscription) -> Facts:
    """One subscription: what it is told and why, and its next deadline."""
    now = session.now
    says, because = facts.why(session, subscription.package, subscription.resource, subscription.watcher)
    decision = says and says.decision
    changes = decision is not subscription.decision
    return facts.of_subscription(session, subscription) | {
        "sees": facts.SEES[subscription.decision],
        "because": f"when it subscribed; the next SUBSCRIBE finds {shown(decision)}: {because}" if changes else because,
        "deadline": deadline(subscription),
        "deadline_in": None if subscription.list_id else round(subscription.next_at - now, 1),
        "due_in": None if subscription.due_at is None else round(subscription.due_at - now, 1),
        "in_flight_for": None if subscription.in_flight_since is None else round(now - subscription.in_flight_since, 1),
        "notified_ago": round(now - subscription.notified_at, 1),
    }


def shown(decision: Decision | None) -> str:
    """A decision in a sentence."""
    return "none" if decision is None else decision.value


def deadline(subscription: Subscription) -> str:
    """What the next deadline of a subscription is (docs/architecture.md)."""
    if subscription.list_id:
        return "of its list"
    if subscription.in_flight_since is not None:
        return "no answer to NOTIFY"
    if subscription.due_at is not None:
        return "NOTIFY"
    if subscription.repeat_at is not None and subscription.repeat_at <= subscription.next_at:
        return "NOTIFY again"
    return "gone" if subscription.state is State.TERMINATED else "expiry"


def page(found: Facts) -> Iterator[str]:
    """The same for people."""
    yield f"{found['presentity']}: {found['state']}"
    parts: list[tuple[str, list[Iterator[str]]]] = [
        ("publications", [publication_lines(each) for each in found["publications"]]),
        ("decisions by management", [decision_lines(each) for each in found["decisions"]]),
        ("watchers", [watching_lines(each) for each in found["watchers"]]),
        ("winfo watchers", [watching_lines(each) for each in found["winfo_watchers"]]),
        ("watchers of other packages", [watching_lines(each) for each in found["other_watchers"]]),
        ("watchers without a subscription", [remembered_lines(each) for each in found["remembered"]]),
    ]
    for title, entries in parts:
        yield f"\n{title}{'' if entries else ': none'}"
        for entry in entries:
            yield from (f"  {line}" for line in entry)


def publication_lines(found: Facts) -> Iterator[str]:
    """A publication and everything in it."""
    package = "" if found["package"] == NAME else f"{found['package']}, "
    yield f"{found['source']}  {package}{found['content_type']}, {found['size']} octets, {expiry(found)}"
    yield f"  published {moment(found['published_at'])}, etag={found['entity_tag']} id={found['id']}"
    if found["problem"]:
        yield f"  cannot be read: {found['problem']}"
    for each in found["tuples"]:
        priority = f" priority={each['priority']}" if each["priority"] else ""
        yield f"  tuple {each['id']}: {each['basic'] or 'status not said'}, contact={each['contact'] or 'none'}{priority}"
        yield from inside(each, "status_extensions")
    for kind in ("person", "device"):
        for each in found[f"{kind}s"]:
            yield f"  {kind} {each['id']}"
            yield from inside(each)
    yield from (line.removeprefix("  ") for line in inside(found))


def inside(found: Facts, *more: str) -> Iterator[str]:
    """Notes and names of extension elements."""
    for note in found["notes"]:
        language = f" ({note['language']})" if note["language"] else ""
        yield f'    note "{" ".join(note["text"].split())}"{language}'
    for name in ("extensions", *more):
        if found[name]:
            yield f"    {name.replace('_', ' ')}: {' '.join(found[name])}"


def decision_lines(found: Facts) -> Iterator[str]:
    """One decision."""
    yield f"{found['watcher']}  {found['decision']} ({found['package']}), since {moment(found['decided_at'])}"


def watching_lines(found: Facts) -> Iterator[str]:
    """One subscription."""
    reason = f";{found['reason']}" if found["reason"] else ""
    name = f'"{found["display_name"]}" ' if found["display_name"] else ""
    package = "" if found["package"] in (NAME, WINFO) else f" {found['package']},"
    yield f"{name}{found['watcher']} {package} {found['state']}{reason}, {expiry(found)}, since {moment(found['created_at'])}"
    yield f"  sees        {found['sees']} ({found['decision']}: {found['because']})"
    if found["list_id"]:
        yield f"  in a list   id={found['list_id']}; presencectl rls shows it"
        return
    yield f"  NOTIFY      {notify_words(found)}"
    yield f"  SUBSCRIBE   CSeq {found['remote_cseq']}, id={found['id']} call-id={found['call_id']}, accept={found['accept']}"
    flow = f" by {found['flow']}" if found["flow"] else ""
    yield f"  target      {found['remote_target']}{flow}, from {found['socket']}"
    yield f"  client      {found['user_agent'] or 'does not say'} (profile {found['profile']})"
    asked = [f"{name}={found[name]}" for name in ("event_id", "event_parameters", "suppress", "rates") if found[name]]
    if asked:
        yield f"  asked for   {', '.join(asked)}"


def notify_words(found: Facts) -> str:
    """The last NOTIFY, and what comes next."""
    last = f"CSeq {found['local_cseq']}, {seconds(found['notified_ago'])} ago"
    waits = found["in_flight_for"]
    answered = "answered" if waits is None else f"not answered for {seconds(waits)}"
    due = "" if found["due_in"] is None else f"; another is due {when(found['due_in'])}"
    return f"{last}, {answered}{due}; next deadline: {found['deadline']} {when(found['deadline_in'])}"


def when(number: float) -> str:
    """A time before or after now."""
    return f"in {seconds(number)}" if number >= 0 else f"{seconds(-number)} late"


def remembered_lines(found: Facts) -> Iterator[str]:
    """A watcher without a subscription."""
    kind = "stored, " if found["remembered"] == "stored" else ""
    yield f"{found['watcher']}  {found['package']}: {kind}{found['status']} ({found['event']}), {expiry(found)}"


def expiry(found: Any) -> str:
    """How long something stays."""
    return "no end" if found["expires_in"] is None else f"{seconds(found['expires_in'])} left"
