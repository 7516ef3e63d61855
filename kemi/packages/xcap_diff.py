"""The event package `xcap-diff` (RFC 5875): a client hears of changes of the documents it keeps here.

A user subscribes to its own URI, nobody else may. The body of the SUBSCRIBE lists what is watched (`kemi.xcap.watched`), that of
a refresh replaces it. Whatever is listed, told is only what the user may read by XCAP (`kemi.xcap.access`): the own documents and
those for everybody. The rest is left out, like what is not there yet, and told when it is there.

    first document, and each after a SUBSCRIBE    all there is: entity-tags of documents, elements and attributes themselves
    or a NOTIFY that failed
    others                                        what has changed since: `Subscription.known` has what was told, by URI

    diff-processing   a changed document is told as
    ----------------  ------------------------------------------------------------------------------
    no-patching       the entity-tags before and after
    xcap-patching     each change with its operations, one after the other
    aggregate         the operations of all changes together

Operations are made when a document changes and somebody watches it who wants them. Where some are missing, because they or the
document are large, long ago, or too many, the document is told as without patching.

SQL: a change none where nobody watches who may read it, else 1 statement, 2 where it is watched, 2 more with operations; a document
1, 1 more with elements or attributes, 1 more where a document was changed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from kemi import identity, sip
from kemi.effects import Effect
from kemi.errors import BadRequest, BodyTooLarge, UnsupportedMediaType
from kemi.event_package import (
    STANDARD_INTERVAL,
    Authorization,
    Decision,
    Document,
    EventPackage,
    View,
    interval_of,
)
from kemi.moment import Moment
from kemi.packages.xcap_diff_state import Readable, State, may_be_for_everybody
from kemi.report import wakes
from kemi.settings import Settings
from kemi.subscription import Subscription
from kemi.xcap import access, diff_format, diff_store, patch, tree, usages, watched
from kemi.xcap.constraints import RESOURCE_LISTS
from kemi.xcap.diff_store import Recorded
from kemi.xcap.errors import XcapError
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Root
from kemi.xcap.serve import Change
from kemi.xcap.watched import Watched

NAME: Final = "xcap-diff"
PARAMETER: Final = "diff-processing"
NO_PATCHING, XCAP_PATCHING, AGGREGATE = "no-patching", "xcap-patching", "aggregate"
LISTS: Final = "application/resource-lists+xml"

MAX_BODY = 65536
"""Octets of a SUBSCRIBE body."""

MAX_RESOURCES = 100
"""Resources of one subscription."""

MAX_COMPARED = 65536
"""Octets of a document up to which operations are made: the client that changes it waits for them."""

MAX_PATCH = 16384
"""Characters of operations that are kept: beyond that clients fetch the document."""

_LISTS, _LIST, _ENTRY = (tree.expanded(RESOURCE_LISTS, name) for name in ("resource-lists", "list", "entry"))


def authorize(_at: Moment, watchers: Sequence[str], resource: str) -> dict[str, Authorization]:
    """The user itself; 403 for everybody else."""
    return {each: Authorization(Decision.ALLOW if each == resource else Decision.BLOCK) for each in watchers}


def is_served(settings: Settings) -> bool:
    """Of changes on another XCAP server nothing is known."""
    return not settings.xcap.xcap_root


# ---------------------------------------------------------------------------------------------------------------------
# What is asked for


def read_body(request: sip.Request) -> str:
    """The URIs of a flat list, as they are written, one a line (RFC 5875 section 4.4); what a list may have besides is left out.

    Raises:
        UnsupportedMediaType: 415, it is of another type, or compressed.
        BodyTooLarge: 413, it is longer, or has more resources, than is taken.
        BadRequest: 400, it is no resource list.
    """
    if sip.media_type(request.content_type or "") != LISTS:
        raise UnsupportedMediaType("a list of documents is a resource list", [LISTS])
    if (request.content_encoding or "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("a compressed body is not understood", accept_encoding="identity")
    if len(request.body) > MAX_BODY:
        raise BodyTooLarge(f"a list of documents has at most {MAX_BODY} octets")
    uris = list(dict.fromkeys(_uris(request.body)))
    if len(uris) > MAX_RESOURCES:
        raise BodyTooLarge(f"at most {MAX_RESOURCES} resources are watched by one subscription")
    return "\n".join(uris)


def _uris(body: bytes) -> Iterator[str]:
    try:
        root = tree.parse(body).root
    except XcapError as error:
        raise BadRequest(f"the body is no resource list: {error}") from None
    if root.name != _LISTS:
        raise BadRequest("the body is no resource list")
    entries = (each for one in root.children if one.name == _LIST for each in one.children if each.name == _ENTRY)
    yield from (uri for each in entries if (uri := each.attributes.get("uri", "").strip()) and "\n" not in uri)


class _Asked(NamedTuple):
    """What the document of a view depends on: who asks, how changes are told, what is known, what is watched, is it the first."""

    watcher: str
    mode: str
    known: str
    body: str
    is_new: bool


def aspect(subscription: Subscription) -> str:
    """All that a document depends on; without a document that has arrived nothing is known."""
    known = subscription.known if subscription.notified_tag else ""
    is_new = subscription.local_cseq == 0
    return json.dumps(_Asked(subscription.watcher, _mode(subscription.event_parameters), known, subscription.body, is_new))


def _mode(event_parameters: str) -> str:
    """A word that is not known is the simplest mode, which every client understands (RFC 5875 section 4.3)."""
    word = event_parameters.partition("=")[2].strip('"').lower()
    return word if word in (XCAP_PATCHING, AGGREGATE) else NO_PATCHING


def _root(settings: Settings) -> Root:
    realm = identity.realm(settings)
    return Root(settings.xcap.root, realm.is_host, partial(access.owner_of, settings, realm))


# ---------------------------------------------------------------------------------------------------------------------
# What is told

_EVERYBODY: Final = "xcap global"
"""Locks documents for everybody: a subscription that is about to be inserted sees a change of one wholly, or is marked by it."""

Known = Mapping[str, str]
"""What was told: marks (`Shown`) by URI."""


def render(at: Moment, views: Sequence[View]) -> dict[View, Document]:
    """The document of each view."""
    root = _root(at.settings)
    asked = {view: _Asked._make(json.loads(view.aspect)) for view in views}
    lists = {view: watched.read(each.body, root) for view, each in asked.items()}
    if any(may_be_for_everybody(one) for view, each in asked.items() if each.is_new for one in lists[view]):
        at.database.lock(_EVERYBODY)
    users = sorted({each.watcher for each in asked.values()})
    readable = Readable(at, users, [one for resources in lists.values() for one in resources])
    states = {view: readable.state(lists[view], each.watcher) for view, each in asked.items()}
    known = {view: json.loads(each.known or "{}") for view, each in asked.items()}
    recorded = _recorded(at, [(states[view], known[view]) for view in views])
    return {
        view: _document(_root_uri(at.settings, root, each.body), each.mode, lists[view], states[view], known[view], recorded)
        for view, each in asked.items()
    }


def _recorded(at: Moment, pairs: Sequence[tuple[State, Known]]) -> dict[DocumentSelector, dict[str, Recorded]]:
    """The changes of the documents that are others than what was told, by the entity-tag before."""
    changed = {
        shown.document
        for state, known in pairs
        for sel, shown in state.items()
        if shown.document is not None and known.get(sel, shown.mark) != shown.mark
    }
    return diff_store.changes(at.database, sorted(changed)) if changed else {}


def _document(
    root: str,
    mode: str,
    resources: Sequence[Watched],
    state: State,
    known: Known,
    recorded: Mapping[DocumentSelector, Mapping[str, Recorded]],
) -> Document:
    targets = {each.sel: each.node.target for each in resources if each.node is not None}
    parts: list[str] = []
    for sel, shown in state.items():
        before = known.get(sel)
        if before == shown.mark:
            continue
        if shown.document is None:
            parts.append(diff_format.component(targets[sel], sel, shown.inside))
        else:
            parts += _changed(sel, before, shown.mark, mode, recorded.get(shown.document, {}))
    for sel in known:
        if sel in state or not _is_watched(sel, resources):
            continue
        parts.append(diff_format.gone(targets[sel], sel) if sel in targets else diff_format.document(sel, known[sel], None))
    marks = json.dumps({sel: shown.mark for sel, shown in state.items()}, sort_keys=True, ensure_ascii=False)
    tag = hashlib.blake2b(marks.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return Document(diff_format.write(root, parts), diff_format.MEDIA_TYPE, tag, known=marks)


def _root_uri(settings: Settings, root: Root, body: str) -> str:
    """URI of the XCAP root, as the client writes it, if it does."""
    return watched.root_of(body, root) or f"http://{sip.bracketed(settings.address)}:{settings.http_port}{root.path}/"


def _is_watched(sel: str, resources: Sequence[Watched]) -> bool:
    """A new list may not have what was told before any more."""
    return any(sel == each.sel or (each.document is None and sel.startswith(each.sel)) for each in resources)


def _changed(sel: str, before: str | None, after: str, mode: str, recorded: Mapping[str, Recorded]) -> list[str]:
    """A document that has another entity-tag than what was told."""
    changes = [] if before is None else list(_between(before, after, recorded))
    operations = "".join(change.patch for _, change in changes)
    if changes and not operations:
        return [diff_format.document(sel, before, after, diff_format.BODY_NOT_CHANGED)]
    if mode == XCAP_PATCHING and changes:
        return [
            diff_format.document(sel, previous, change.etag, change.patch or diff_format.BODY_NOT_CHANGED)
            for previous, change in changes
        ]
    return [diff_format.document(sel, before, after, operations if mode == AGGREGATE else "")]


def _between(before: str, after: str, recorded: Mapping[str, Recorded]) -> Iterator[tuple[str, Recorded]]:
    """The changes that lead from one entity-tag to another; none if one of them is missing."""
    found: list[tuple[str, Recorded]] = []
    etag = before
    while etag != after and etag in recorded and len(found) <= len(recorded):
        found.append((etag, recorded[etag]))
        etag = recorded[etag].etag
    return iter(found if etag == after else ())


# ---------------------------------------------------------------------------------------------------------------------
# What a change causes


def changed(at: Moment, change: Change) -> list[Effect]:
    """Mark who watches a document due, in the transaction that changes it."""
    if NAME not in at.packages:
        return []
    documents, watchers = _affected(at.settings, change.selector)
    if watchers == [change.selector.xui] and not change.followers.documents:
        return []
    if watchers is None or len(documents) > 1:
        at.database.lock(_EVERYBODY)
    root = _root(at.settings)
    ids, modes = [], set()
    for each in diff_store.watching(at.database, watchers):
        covering = [one for one in watched.read(each.body, root) if any(one.covers(document) for document in documents)]
        if covering:
            ids.append(each.id)
        if any(one.node is None for one in covering):
            modes.add(_mode(each.event_parameters))
    if not ids:
        return []
    _record(at, change, modes)
    return wakes(diff_store.mark_due(at.database, ids, at.now, interval_of(at.packages[NAME], at.settings)))


def _affected(settings: Settings, document: DocumentSelector) -> tuple[list[DocumentSelector], list[str] | None]:
    """Documents that are other ones after a change of this one, and who may read one of them; None: everybody."""
    if document.tree is Tree.GLOBAL:
        return [document], None
    if document.auid == usages.SERVICES and settings.xcap.rls_readers:
        services = DocumentSelector(document.auid, Tree.GLOBAL, "", "index")
        return [document, services], sorted({document.xui, *settings.xcap.rls_readers})
    return [document], [document.xui]


def _record(at: Moment, change: Change, modes: set[str]) -> None:
    """Keep the operations, if somebody wants them, and that there are none; both documents are there."""
    before, after, etag = change.before, change.body, change.etag
    if before is None or after is None or etag is None or not modes or max(len(before.body), len(after)) > MAX_COMPARED:
        return
    if modes == {NO_PATCHING}:
        operations = "" if patch.is_same(before.body, after) else None
    else:
        operations = patch.between(before.body, after)
    if operations is not None and len(operations) <= MAX_PATCH:
        diff_store.record(at.database, change.selector, before.etag, Recorded(etag, operations), at.now)


PACKAGE = EventPackage(
    name=NAME,
    default_expires=3600,
    produces=(diff_format.MEDIA_TYPE,),
    consumes=(),
    minimum_interval=STANDARD_INTERVAL,
    authorize=authorize,
    render=render,
    aspect=aspect,
    parameters=(PARAMETER,),
    read_body=read_body,
    replaces_body=True,
    is_served=is_served,
)
