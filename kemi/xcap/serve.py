"""Serve: GET, HEAD, PUT and DELETE of documents, elements and attributes (RFC 4825 section 8).

    path       which document, which node; 400, 404      (path, selector)
    access     whose it is, who asks; 403                (access)
    headers    400, 405, 413, 415
    document   one transaction under the lock of its owner: load, conditions (412, 304), change, check (409), store

The lock is that of the presentity with the same URI: what a document causes, new decisions about watchers or a published state,
is done in the same transaction by `changed`. A document that would stay as it is keeps its entity-tag, and nothing is caused.

There are no folders below a home: documents whose names have a slash cannot be made.

SQL: GET 1 statement, PUT and DELETE 2, with rls-services 3 more; what a change causes, where somebody is there whom it may concern.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

from lxml import etree

from kemi.effects import Effect, HttpReply, Log
from kemi.http import READING, HttpRequest, if_match_holds, if_none_match_holds, media_type
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.report import lock_lists
from kemi.settings import Settings
from kemi.xcap import access, edit, generated, path, services, store, tree, usages, validation
from kemi.xcap.constraints import Place
from kemi.xcap.errors import (
    MEDIA_TYPE,
    BadRequest,
    Conflict,
    ConstraintFailure,
    ContentTooLarge,
    MethodNotAllowed,
    NoParent,
    NotFound,
    PreconditionFailed,
    UnsupportedMediaType,
    XcapError,
)
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.root_uri import Root
from kemi.xcap.selector import NodeSelector, Target, parse
from kemi.xcap.store import Before, Followers, Stored
from kemi.xcap.usages import Generated, Usage

_NO_NAME = re.compile("%(?:[01][0-9A-F]|7F|2F|5C)")
"""Control characters, slash and backslash, escaped: no name of a document has them."""

NO_CACHE = ("Cache-Control", "no-cache")
KEPT = 2048
"""Paths of documents kept, in number."""


class Change(NamedTuple):
    """A document was stored, or removed.

    Args:
        selector: with the canonical URI of the user.
        content_type: of the document.
        body: None if it was removed.
        etag: None if it was removed.
        before: the document as it was, None if it was created.
        followers: whom it may concern; who is not there was not when the document was locked.
    """

    selector: DocumentSelector
    content_type: str
    body: bytes | None
    etag: str | None
    before: Stored | None = None
    followers: Followers = Followers()


Changed = Callable[[Change], list[Effect]]
"""Does, in the transaction, what a change causes. It may refuse the change by raising Conflict."""


class _Named(NamedTuple):
    """What a path names: `parts.document.xui` is what the client wrote."""

    parts: path.Request
    usage: Usage
    made: Generated | None


class _Wanted(NamedTuple):
    """What a request is about; `uri` is the document's, as the client wrote it, from the root of the server."""

    usage: Usage
    selector: DocumentSelector
    made: Generated | None
    node: NodeSelector | None
    uri: str


class Result(NamedTuple):
    """What a request comes to.

    Args:
        status: 200; 201 for what was created; 304 for a GET whose If-None-Match does not hold.
        etag: of the document as it is now; None where there is none any more.
        content_type, body: of the answer.
        effects: what else is to be done.
    """

    status: int
    etag: str | None = None
    content_type: str = ""
    body: bytes = b""
    effects: tuple[Effect, ...] = ()


def serve(at: Moment, realm: Realm, request: HttpRequest, identities: tuple[str, ...], tag: str, changed: Changed) -> list[Effect]:
    """Handle a request for what is below the XCAP root.

    Args:
        request: with a method of METHODS; its path begins with the root.
        identities: canonical URIs of who asks, authenticated.
        tag: for a new entity-tag; no other request has it.
        changed: told of every change.

    Returns:
        The answer, whatever it is, and what else is to be done.
    """
    try:
        result = perform(at, realm, request, identities, tag, changed)
    except XcapError as error:
        why = f"xcap refused: {error.status} {request.method} {request.path} by={','.join(identities)} why={error}"
        return [refusal(error), Log(why)]
    headers = (NO_CACHE, *((("ETag", f'"{result.etag}"'),) if result.etag is not None else ()))
    return [HttpReply(result.status, _REASONS[result.status], headers, result.content_type, result.body), *result.effects]


_REASONS = {200: "OK", 201: "Created", 304: "Not Modified"}


def refusal(error: XcapError) -> HttpReply:
    """The answer that a refusal becomes; for a conflict with the document that tells its condition."""
    headers = (NO_CACHE, *error.headers)
    if isinstance(error, Conflict):
        return HttpReply(error.status, error.reason, headers, MEDIA_TYPE, error.body())
    return HttpReply(error.status, error.reason, headers, "text/plain;charset=utf-8", f"{error}\n".encode())


def perform(at: Moment, realm: Realm, request: HttpRequest, identities: tuple[str, ...], tag: str, changed: Changed) -> Result:
    """The same, before it becomes an answer; arguments as above.

    Raises:
        XcapError: the request is refused.
    """
    wanted = _wanted(at.settings, realm, request)
    is_write = request.method not in READING
    access.require(at.settings, wanted.selector, wanted.made, identities, is_write and wanted.made is None)
    if not is_write:
        return _get(at, request, wanted)
    if wanted.made is not None:
        raise MethodNotAllowed([*READING, "OPTIONS"], "the server makes this document")
    _check_head(at.settings, request, wanted)
    writing = _Writing(tag, changed, _place(at.settings, realm, request, wanted))
    root = _root_of_body(at, request, wanted, writing.place)
    with at.database.transaction():
        at.database.lock(wanted.selector.xui or f"xcap {wanted.selector.auid} {wanted.selector.name}")
        if wanted.selector.auid in usages.OF_LISTS:
            lock_lists(at, wanted.selector.xui)
        return _write(at, request, wanted, root, writing)


def media_type_of(settings: Settings, realm: Realm, request: HttpRequest) -> str:
    """Content-Type that a PUT of this document or node has to have; raises XcapError, 400 or 404."""
    return _media_type(_wanted(settings, realm, request))


def _media_type(wanted: _Wanted) -> str:
    return wanted.usage.media_type if wanted.node is None else wanted.node.target.value


def _wanted(settings: Settings, realm: Realm, request: HttpRequest) -> _Wanted:
    below = request.path.removeprefix(settings.xcap.root)
    (selector, node, uri), usage, made = _named_node(below) if "~~" in below else _named(below)
    usage = usages.with_draft(usage) if settings.pa.draft_rules else usage
    if selector.tree is Tree.USERS:
        owner = access.owner_of(settings, realm, selector.xui)
        selector = selector if owner == selector.xui else selector._replace(xui=owner)
    uri = f"{settings.xcap.root}{uri}"
    return _Wanted(usage, selector, made, None if node is None else parse(node, usage.namespace, request.query, uri), uri)


def _named_node(below: str) -> _Named:
    parts = path.split(below)
    usage = usages.find(parts.document.auid, parts.document.tree)
    if _NO_NAME.search(parts.document.name):
        raise NotFound("no document has such a name")
    return _Named(parts, usage, usage.made.get((parts.document.tree, parts.document.name)))


_named = lru_cache(maxsize=KEPT)(_named_node)
"""Of most documents it is asked again and again; of nodes there are too many."""


def _place(settings: Settings, realm: Realm, request: HttpRequest, wanted: _Wanted) -> Place:
    def is_our_host(host: str) -> bool:
        return host == request.hostname or realm.is_host(host)

    return Place(wanted.selector.xui, Root(settings.xcap.root, is_our_host, partial(access.owner_of, settings, realm)))


# ---------------------------------------------------------------------------------------------------------------------
# GET


def _get(at: Moment, request: HttpRequest, wanted: _Wanted) -> Result:
    stored = _read(at, request, wanted)
    if stored is None:
        raise NotFound("there is no such document")
    body, content_type = stored.body, stored.content_type
    if wanted.node is not None:
        body, content_type = edit.get(tree.parse(body), wanted.node), wanted.node.target.value
    if not if_match_holds(request.if_match, stored.etag):
        raise PreconditionFailed("If-Match does not hold")
    if not if_none_match_holds(request.if_none_match, stored.etag):
        return Result(304, stored.etag)
    return Result(200, stored.etag, content_type, body)


def _read(at: Moment, request: HttpRequest, wanted: _Wanted) -> Stored | None:
    if wanted.made is not None:
        root = f"{request.origin}{at.settings.xcap.root}"
        return generated.document(at, wanted.usage, wanted.selector, wanted.made, root)
    return store.load(at.database, wanted.selector)


# ---------------------------------------------------------------------------------------------------------------------
# PUT and DELETE


class _Writing(NamedTuple):
    """What every change needs besides."""

    tag: str
    changed: Changed
    place: Place


def _check_head(settings: Settings, request: HttpRequest, wanted: _Wanted) -> None:
    """What can be refused before anything is read."""
    if wanted.node is not None and wanted.node.target is Target.NAMESPACES:
        raise MethodNotAllowed(["GET"], "namespace bindings can only be read")
    if request.method == "DELETE":
        return
    if request.content_range is not None:
        raise BadRequest("a part of a document cannot be put by Content-Range")
    if (request.content_encoding or "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not understood", [("Accept-Encoding", "identity")])
    right = _media_type(wanted)
    if media_type(request.content_type) != right:
        raise UnsupportedMediaType(f"Content-Type has to be {right}")
    if request.length > settings.xcap.max_document:
        raise ContentTooLarge(f"the body has more than {settings.xcap.max_document} octets")


def _root_of_body(at: Moment, request: HttpRequest, wanted: _Wanted, place: Place) -> etree._Element | None:
    """A whole document is checked before the transaction begins, and refused after the conditions.

    Returns:
        Its root where that is needed to store it, for services; it is large.
    """
    if request.method != "PUT" or wanted.node is not None:
        return None
    try:
        root = validation.read(wanted.usage, request.body)
        wanted.usage.check(root, place)
    except XcapError:
        _require_conditions(request, wanted, store.load(at.database, wanted.selector))
        raise
    return root if wanted.usage.auid == usages.SERVICES else None


def _require_conditions(request: HttpRequest, wanted: _Wanted, old: Stored | None) -> None:
    etag = None if old is None else old.etag
    if not (if_match_holds(request.if_match, etag) and if_none_match_holds(request.if_none_match, etag)):
        raise PreconditionFailed("If-Match or If-None-Match does not hold")
    if old is None and request.method == "DELETE":
        raise NotFound("there is no such document")
    if old is None and "/" in wanted.selector.name:
        raise NoParent("there are no folders below a home folder", _home(wanted))
    if old is None and wanted.node is not None:
        raise NoParent("there is no such document", _home(wanted))


def _write(at: Moment, request: HttpRequest, wanted: _Wanted, root: etree._Element | None, writing: _Writing) -> Result:
    before = store.load_to_change(at.database, wanted.selector)
    old = before.document
    _require_conditions(request, wanted, old)
    status, octets = _after(request, wanted, old)
    if octets is None:
        return _remove(at, wanted, before, writing)
    if old is not None and octets == old.body:
        return Result(status, old.etag)
    if len(octets) > at.settings.xcap.max_document:
        raise ContentTooLarge(f"the document would have more than {at.settings.xcap.max_document} octets")
    if wanted.node is not None:
        root = validation.read_edited(wanted.usage, octets)
        wanted.usage.check(root, writing.place)
    new = Stored(wanted.selector, writing.tag, wanted.usage.media_type, octets, at.now)
    if wanted.usage.auid == usages.SERVICES:
        services.record(at.database, new.selector, root)
    if old is None:
        _create(at, wanted.usage, new, before.number)
    else:
        store.replace(at.database, new)
    return _done(wanted, status, Change(new.selector, new.content_type, octets, new.etag, old, before.followers), writing)


def _after(request: HttpRequest, wanted: _Wanted, old: Stored | None) -> tuple[int, bytes | None]:
    """The status, and the octets of the document after the request; None if there is none then."""
    if wanted.node is None or old is None:
        return (200 if old is not None else 201), request.body if request.method == "PUT" else None
    if request.method == "DELETE":
        return 200, edit.delete(tree.parse(old.body), wanted.node)
    edited = edit.put(tree.parse(old.body), wanted.node, request.body)
    return (201 if edited.created else 200), edited.octets


def _create(at: Moment, usage: Usage, new: Stored, number: int) -> None:
    """Insert it as one more document than so many."""
    is_of_user = new.selector.tree is Tree.USERS
    if is_of_user and usage.only and new.selector.name != usage.only:
        raise ConstraintFailure(f"the one document of this application usage is called {usage.only}")
    if is_of_user and 0 < at.settings.xcap.max_documents <= number:
        raise ConstraintFailure(f"no more than {at.settings.xcap.max_documents} documents of one user")
    store.create(at.database, new)


def _remove(at: Moment, wanted: _Wanted, before: Before, writing: _Writing) -> Result:
    store.remove(at.database, wanted.selector)
    if wanted.usage.auid == usages.SERVICES:
        services.record(at.database, wanted.selector, None)
    change = Change(wanted.selector, wanted.usage.media_type, None, None, before.document, before.followers)
    return _done(wanted, 200, change, writing)


def _done(wanted: _Wanted, status: int, change: Change, writing: _Writing) -> Result:
    word = "removed" if change.body is None else "stored"
    selector = wanted.selector
    where = f"auid={selector.auid} tree={selector.tree} xui={selector.xui} name={selector.name}"
    log = Log(f"document {word}: {where} etag={change.etag or '-'}")
    return Result(status, change.etag, effects=(*writing.changed(change), log))


def _home(wanted: _Wanted) -> str:
    """The folder of the document, which is there for every user."""
    return wanted.uri.rsplit("/", wanted.selector.name.count("/") + 1)[0]
