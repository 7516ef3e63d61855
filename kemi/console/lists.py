"""presencectl rls: subscriptions to lists of resources, and what is told in them (SER handbook section 3, rls.trace)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from kemi import sip
from kemi.b2bua import store as outgoing_store
from kemi.b2bua.outgoing import Key, Shown
from kemi.b2bua.store import Standing
from kemi.console import facts
from kemi.console.facts import Facts
from kemi.console.output import clean, json_option, limit_option, moment, say_more, seconds, show, table
from kemi.console.session import Session, begin
from kemi.console.trace import expiry, notify_words, of_watching
from kemi.event_package import LIST
from kemi.multipart import RELATED
from kemi.presence.package import NAME
from kemi.rls import members, store
from kemi.subscription import Reason, State, Subscription

LISTED: Final = ("watcher", "list", "package", "state", "members", "version", "expires_in", "profile", "id")
SHOWN_FIRST: Final = tuple(each.value for each in (State.ACTIVE, State.PENDING, State.TERMINATED))

THERE: Final = {
    Shown.UNKNOWN: "not answered yet",
    Shown.FAILED: "asked in vain",
    Shown.PENDING: "pending there",
    Shown.ACTIVE: "active there",
    Shown.TERMINATED: "ended there",
}
"""What another server has said of a member."""

Members = Mapping[str, Sequence[Subscription]]
"""By the list that they are of."""


@click.group()
def rls() -> None:
    """Look at subscriptions to lists of resources.

    \b
    Example: presencectl rls list
    """


@rls.command("list")
@click.option("--watcher", default="", metavar="URI", help="Only those of this watcher.")
@click.option("--list", "resource", default="", metavar="URI", help="Only those to this list.")
@limit_option
@json_option
@click.pass_obj
def list_lists(configuration: Path, watcher: str, resource: str, limit: int, as_json: bool) -> None:
    """List subscriptions to lists.

    Members are counted by state; those of lists in lists are counted there.

    \b
    Example: presencectl rls list --watcher bob@example.org
    """
    with begin(configuration) as session:
        found = wanted(session, watcher, resource, "", limit + 1)
        states = store.states(session.database, [each.id for each in found[:limit]])
        rows = [of_list(session, each) | {"members": states[each.id]} for each in found[:limit]]
    show(rows, as_json, lambda: table(LISTED, rows, "nobody watches a list"))
    say_more(len(found), limit)


@rls.command("show")
@click.argument("watcher")
@click.argument("uri", metavar="LIST")
@click.option("--package", default=NAME, show_default=True, metavar="NAME", help="Event package of the members.")
@json_option
@click.pass_obj
def show_list(configuration: Path, watcher: str, uri: str, package: str, as_json: bool) -> None:
    """Show the members of the list LIST that WATCHER watches: what each is, and whether something of it is still to be told.

    \b
    Example: presencectl rls show bob@example.org friends@example.org
    """
    with begin(configuration) as session:
        found = wanted(session, watcher, uri, package)
        if not found:
            session.require_served(package)
            raise ValueError(f"{session.watcher(watcher)} watches no list {session.watcher(uri)}, {package}")
        inside = all_members(session, found)
        rows = [of_list(session, each) | {"members": of_members(session, each.id, inside)} for each in found]
    show(rows, as_json, lambda: click.echo(clean("\n".join(line for each in rows for line in shown_lines(each)))))


@rls.command("trace")
@click.option("--watcher", default="", metavar="URI", help="Only those of this watcher.")
@click.option("--list", "resource", default="", metavar="URI", help="Only those to this list.")
@json_option
@click.pass_obj
def trace_lists(configuration: Path, watcher: str, resource: str, as_json: bool) -> None:
    """Show everything about subscriptions to lists: dialog, deadlines, what the list is made of, members of members.

    \b
    Example: presencectl rls trace --list friends@example.org
    """
    with begin(configuration) as session:
        found = wanted(session, watcher, resource)
        rows = traced(session, found)
    show(rows, as_json, lambda: click.echo(clean("\n".join(page(rows)))))


COMMANDS = (rls,)


def wanted(session: Session, watcher: str, resource: str, package: str = "", limit: int = 1_000_000) -> list[Subscription]:
    """Subscriptions to lists, as they are asked for; "" for all."""
    names = [each for each in session.packages if each.endswith(LIST) and (not package or each == package + LIST)]
    by, of = (session.watcher(each) if each else "" for each in (watcher, resource))
    return told_lists(session, store.list_all(session.database, names, by, of, limit))


def told_lists(session: Session, found: Sequence[Subscription]) -> list[Subscription]:
    """Those to lists. Whom a client that knows lists watches elsewhere may be a list or a user: its server tells which."""
    abroad = [each for each in found if is_elsewhere(session, each)]
    known = outgoing_store.shown(session.database, [_key(each) for each in abroad])
    told = {key for key, (first, *_) in known.items() if sip.media_type(first.content_type) == RELATED}
    return [each for each in found if each not in abroad or _key(each) in told]


def is_elsewhere(session: Session, subscription: Subscription) -> bool:
    """Whether its resource is of a domain that is not served here."""
    return subscription.resource.rpartition("@")[2] not in session.settings.domains


def of_list(session: Session, subscription: Subscription) -> Facts:
    """A subscription to a list."""
    return {
        "id": subscription.id,
        "watcher": subscription.watcher,
        "list": subscription.resource,
        "package": subscription.package.removesuffix(LIST),
        "state": subscription.state.value,
        "reason": subscription.reason.value if subscription.reason else None,
        "version": subscription.version,
        "created_at": subscription.created_at,
        "expires_in": facts.left(session, subscription.expires_at),
        "profile": facts.profile(session, subscription.user_agent),
    }


def all_members(session: Session, lists: Sequence[Subscription]) -> Members:
    """Those of lists in lists too; 1 statement for each level."""
    found: dict[str, list[Subscription]] = {}
    asked = [each.id for each in lists]
    while asked:
        level = store.shown(session.database, asked)
        found |= level
        asked = [each.id for inside in level.values() for each in inside if each.is_list]
    return found


def of_members(session: Session, list_id: str, inside: Members) -> list[Facts]:
    """The members of a list, in its order."""
    ordered = sorted(inside.get(list_id, ()), key=lambda each: members.number_of(each.id))
    known = outgoing_store.standing(session.database, [_key(each) for each in ordered if is_elsewhere(session, each)])
    return [of_member(session, each, inside, known) for each in ordered]


def _key(subscription: Subscription) -> Key:
    """Of the server's own subscription to the same elsewhere."""
    return Key(subscription.watcher, subscription.resource, subscription.package)


def there(member: Subscription, known: Standing | None) -> str:
    """How it stands with the server of a member elsewhere, "": the member's state says it."""
    if known is None:
        return "not asked, a limit is reached" if member.reason is Reason.PROBATION else ""
    if member.state is State.TERMINATED and member.reason is not Reason.PROBATION:
        return ""
    return f"{THERE[known.shown]}: {known.why}" if known.shown is Shown.FAILED else THERE[known.shown]


def of_member(session: Session, member: Subscription, inside: Members, known: Mapping[Key, Standing]) -> Facts:
    """One member; `members` where it is a list itself, `elsewhere` where its server is another one.

    Args:
        known: how it stands with members elsewhere.
    """
    return {
        "id": members.instance_of(member),
        "uri": member.entity,
        "names": [{"language": language, "text": text} for language, text in store.names_from_text(member.body)],
        "state": member.state.value,
        "reason": member.reason.value if member.reason else None,
        "decision": member.decision.value,
        "elsewhere": there(member, known.get(_key(member))) if is_elsewhere(session, member) else "",
        "is_list": member.is_list,
        "is_removed": not member.expires_at,
        "has_news": member.due_at is not None,
        "members": of_members(session, member.id, inside),
    }


def traced(session: Session, found: Sequence[Subscription]) -> list[Facts]:
    """The whole state of subscriptions to lists."""
    inside = all_members(session, found)
    documents = store.documents(session.database, [each.id for each in found])
    return [
        {
            "subscription": of_watching(session, each),
            "documents": documents[each.id],
            "is_elsewhere": is_elsewhere(session, each),
            "members": of_members(session, each.id, inside),
        }
        for each in found
    ]


def shown_lines(found: Facts) -> Iterator[str]:
    """One list and its members, for people."""
    reason = f";{found['reason']}" if found["reason"] else ""
    yield f"{found['list']}  {found['package']}, for {found['watcher']}: {found['state']}{reason}, {expiry(found)}"
    yield f"  {counted(found['members'])}; documents sent: {found['version']}; id={found['id']}"
    yield from (f"  {line}" for line in member_lines(found["members"]))


def counted(inside: Sequence[Facts]) -> str:
    """How many members there are, by state."""
    states = [each["state"] for each in inside if not each["is_removed"]]
    told = ", ".join(f"{states.count(each)} {each}" for each in SHOWN_FIRST if each in states)
    return f"{len(states)} {'member' if len(states) == 1 else 'members'}: {told}" if states else "no members"


def member_lines(inside: Sequence[Facts]) -> Iterator[str]:
    """Members, those of lists in lists below them."""
    for each in inside:
        names = "".join(f' "{" ".join(name["text"].split())}"' for name in each["names"])
        reason = f";{each['reason']}" if each["reason"] else ""
        more = [
            f"({each['elsewhere'] or each['decision']})" if each["elsewhere"] or each["state"] != State.TERMINATED.value else "",
            "a list" if each["is_list"] else "",
            "not in the list any more" if each["is_removed"] else "",
            "has news" if each["has_news"] else "",
        ]
        yield "  ".join(filter(None, (f"{each['id']:>3}", f"{each['uri']}{names}", f"{each['state']}{reason}", *more)))
        yield from (f"    {line}" for line in member_lines(each["members"]))


def page(found: Sequence[Facts]) -> Iterator[str]:
    """Everything, for people."""
    if not found:
        yield "nobody watches a list"
        return
    for each in found:
        yield from (*traced_lines(each), "")
    yield f"subscription count: {len(found)}"


def traced_lines(found: Facts) -> Iterator[str]:
    """One subscription to a list with everything."""
    dialog: dict[str, Any] = found["subscription"]
    reason = f";{dialog['reason']}" if dialog["reason"] else ""
    package = dialog["package"].removesuffix(LIST)
    yield f"{dialog['resource']}  {package}, for {dialog['watcher']}: {dialog['state']}{reason}, {expiry(dialog)}"
    yield f"  since       {moment(dialog['created_at'])}, documents sent: {dialog['version']}"
    yield f"  NOTIFY      {notify_words(dialog)}"
    yield f"  SUBSCRIBE   CSeq {dialog['remote_cseq']}, id={dialog['id']} call-id={dialog['call_id']}, accept={dialog['accept']}"
    flow = f" by {dialog['flow']}" if dialog["flow"] else ""
    yield f"  target      {dialog['remote_target']}{flow}, from {dialog['socket']}"
    yield f"  client      {dialog['user_agent'] or 'does not say'} (profile {dialog['profile']})"
    if dialog["rates"]:
        yield f"  rates       {dialog['rates']}, {seconds(dialog['least_gap'])} apart"
    yield f"  made of     {made_of(found)}"
    yield f"  {counted(found['members'])}"
    yield from (f"  {line}" for line in member_lines(found["members"]))


def made_of(found: Facts) -> str:
    """Where the list comes from; what belongs to nobody is below global."""
    unnamed = "what the other server tells" if found["is_elsewhere"] else "what the SUBSCRIBE brought"
    return ", ".join(f"{each}global" if each.endswith("/") else each for each in found["documents"]) or unnamed
