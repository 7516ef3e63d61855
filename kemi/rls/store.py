"""Rows of list subscriptions' members, as values; queries in sql/queries/list.sql. No decisions.

A member is a row of the table subscription (`kemi.subscription`) without a dialog; `list_id` says whose member it is.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from kemi.database import Database, Row
from kemi.rls.resource_list import Names
from kemi.store import NEVER, subscription_of
from kemi.subscribe import ABLE_TAG
from kemi.subscription import Subscription

GONE: Final = 0.0
"""`expires_at` of a member that is in the list no more, until that is told."""

NO_DOCUMENT: Final = ""
"""Stands in the place of a document in the row that has the display names of a list."""


class Stored(NamedTuple):
    """A service of our own documents: whose it is, "" for one below global; and the octets of the document that it stands in."""

    owner: str
    body: bytes


def names_as_text(names: Names) -> str:
    """Display names, as a member's row has them."""
    return json.dumps(names, ensure_ascii=False) if names else ""


def names_from_text(text: str) -> Names:
    """The opposite of `names_as_text`."""
    return tuple((language, name) for language, name in json.loads(text)) if text else ()


def members(database: Database, lists: Sequence[str]) -> list[Subscription]:
    """All members of these lists, by id, locked until the transaction ends."""
    rows = database.execute("list_members", {}, [(each,) for each in lists]).rows() if lists else []
    return [subscription_of(row) for row in rows]


def active(database: Database, list_id: str) -> set[str]:
    """Canonical URIs of a list's members that are active; takes no lock."""
    return {resource for (resource,) in database.execute("list_active", {"list_id": list_id}).rows()}


def lock(database: Database, lists: Mapping[str, bool]) -> None:
    """Lock what a document of these lists will tell of until the transaction ends; lists in lists too.

    Args:
        lists: by id, whether all of it will be told.
    """
    database.execute("list_lock", {}, [(list_id, int(is_full)) for list_id, is_full in lists.items()])


def lock_resources(database: Database, resources: Sequence[str]) -> None:
    """Lock these resources in their order, as `Database.lock` does; one statement for all."""
    database.execute("list_lock_resources", {}, [(each,) for each in resources])


def members_due(database: Database, lists: Sequence[str]) -> list[Subscription]:
    """Those of them that have news."""
    rows = database.execute("list_members_due", {}, [(each,) for each in lists]).rows() if lists else []
    return [subscription_of(row) for row in rows]


def take_waiting(database: Database, package: str, watcher: str, resources: Sequence[str]) -> dict[str, str]:
    """Remove the entries of a watcher that waits for decisions of these resources; their ids in watcher information."""
    rows = [(each,) for each in resources]
    found = database.execute("list_take_waiting", {"package": package, "watcher": watcher}, rows).rows() if rows else []
    return dict(found)


def create(database: Database, list_subscription: Subscription, created: Sequence[Subscription], now: float) -> None:
    """Insert members, one statement for all."""
    parent = list_subscription
    parameters = {
        "watcher": parent.watcher, "accept": parent.accept, "now": now, "expires_at": parent.expires_at, "never": NEVER,
        "user_agent": parent.user_agent, "display_name": parent.display_name, "list_id": parent.id,
    }  # fmt: skip
    database.execute("list_create_members", parameters, [_created(each) for each in created])


def _created(member: Subscription) -> Row:
    reason = member.reason.value if member.reason else None
    return (
        member.id, member.package, member.resource, member.entity, member.decision.value, member.state.value, reason,
        member.watcher_id, member.permissions, member.judge_at, member.body,
    )  # fmt: skip


def change(database: Database, changed: Sequence[Subscription], now: float) -> None:
    """Write what a list or the rules of a resource change of members, and that they have news; one statement for all."""
    database.execute("list_change_members", {"now": now}, [_changed(each) for each in changed])


def _changed(member: Subscription) -> Row:
    reason = member.reason.value if member.reason else None
    return (
        member.id, member.entity, member.decision.value, member.state.value, reason, member.permissions, member.judge_at,
        member.body, member.expires_at, member.created_at, member.watcher_id,
    )  # fmt: skip


def prolong(database: Database, list_subscription: Subscription) -> None:
    """Members live as long as their list, and are told in its types."""
    parent = list_subscription
    parameters = {
        "list_id": parent.id, "expires_at": parent.expires_at, "user_agent": parent.user_agent, "accept": parent.accept,
    }  # fmt: skip
    database.execute("list_prolong_members", parameters)


def end(database: Database, list_id: str) -> None:
    """There is no such list any more: whoever has locked the subscription tells that, or the notifier does so at once."""
    database.execute("list_end", {"id": list_id})


def save_made_of(database: Database, list_id: str, documents: Iterable[str], names: Mapping[str, Names]) -> None:
    """Remember what a list is made of, instead of what it was made of before.

    Args:
        documents: as `report.document_key` names them.
        names: display names of the list, and of those in it, by id.
    """
    database.execute("list_documents_remove", {}, [(each,) for each in {list_id, *names}])
    rows = [(list_id, each, "") for each in dict.fromkeys(documents)]
    rows += [(each, NO_DOCUMENT, names_as_text(named)) for each, named in names.items() if named]
    if rows:
        database.execute("list_documents_save", {}, rows)


def names_of(database: Database, lists: Sequence[str]) -> dict[str, Names]:
    """Display names of those of these lists that have some."""
    rows = database.execute("list_names", {}, [(each,) for each in lists]).rows() if lists else []
    return {list_id: names_from_text(names) for list_id, names in rows}


def crowded(database: Database, package: str, resources: Sequence[str], most: int) -> set[str]:
    """Those of these resources that have as many watchers as they may (`store.create` counts so); 0: any number."""
    if not (resources and most):
        return set()
    parameters = {"package": package, "others": most - 1}
    return {uri for (uri,) in database.execute("list_crowded", parameters, [(each,) for each in resources]).rows()}


def watching_singly(database: Database, uris: Sequence[str], watcher: str) -> list[Subscription]:
    """Subscriptions to these canonical URIs as single resources, of clients that support lists, locked until the transaction ends.

    Args:
        watcher: canonical URI, "" for every one.
    """
    parameters = {"watcher": watcher, "tag": ABLE_TAG, "octets": len(ABLE_TAG)}
    return [subscription_of(row) for row in database.execute("list_singly", parameters, [(each,) for each in uris]).rows()]


def service(database: Database, uri: str) -> Stored | None:
    """The service with this canonical URI."""
    rows = database.execute("list_service", {"uri": uri}).rows()
    return Stored(rows[0][0], bytes(rows[0][1])) if rows else None


def owner(database: Database, uri: str) -> str | None:
    """Canonical URI of the user whose service this is; "": it stands below global; None: there is none."""
    rows = database.execute("list_owner", {"uri": uri}).rows()
    return str(rows[0][0]) if rows else None


def services(database: Database, uris: Sequence[str]) -> set[str]:
    """Those of these canonical URIs that services have."""
    return {uri for (uri,) in database.execute("xcap_service_known", {}, [(each,) for each in uris]).rows()} if uris else set()


def known_users(database: Database, uris: Sequence[str]) -> set[str]:
    """Those of these canonical URIs that users with a password have."""
    rows = [(each, *each.removeprefix("sip:").partition("@")[::2]) for each in uris]
    return {uri for (uri,) in database.execute("list_known_users", {}, rows).rows()} if rows else set()


# ---------------------------------------------------------------------------------------------------------------------
# What presencectl shows: read without locks


def list_all(database: Database, packages: Sequence[str], watcher: str, resource: str, limit: int) -> list[Subscription]:
    """Subscriptions to lists by canonical URIs, "" for all.

    Args:
        packages: names of packages of lists.
    """
    parameters = {"watcher": watcher, "resource": resource, "limit": limit}
    rows = database.execute("list_all", parameters, [(each,) for each in packages]).rows() if packages else []
    return [subscription_of(row) for row in rows]


def states(database: Database, lists: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many members each of these lists has, by state."""
    found: dict[str, dict[str, int]] = {each: {} for each in lists}
    for list_id, state, number in database.execute("list_states", {}, [(each,) for each in lists]).rows() if lists else []:
        found[list_id][state] = number
    return found


def shown(database: Database, lists: Sequence[str]) -> dict[str, list[Subscription]]:
    """The members of each of these lists; 1 statement."""
    found: dict[str, list[Subscription]] = {each: [] for each in lists}
    for row in database.execute("list_members_shown", {}, [(each,) for each in lists]).rows() if lists else []:
        member = subscription_of(row)
        found[member.list_id].append(member)
    return found


def documents(database: Database, lists: Sequence[str]) -> dict[str, list[str]]:
    """The documents that each of these lists is made of (`report.document_key`)."""
    found: dict[str, list[str]] = {each: [] for each in lists}
    for list_id, document in database.execute("list_documents", {}, [(each,) for each in lists]).rows() if lists else []:
        found[list_id].append(document)
    return found
