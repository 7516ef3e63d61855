"""Documents that the server makes when they are asked for: capabilities, a user's directory, the services of all users.

They are read like any other, in part too. Their entity-tag is a hash of what they say, so it changes exactly when they do.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import groupby

from kemi.moment import Moment
from kemi.xcap import caps, services, store
from kemi.xcap.errors import escaped
from kemi.xcap.path import DocumentSelector
from kemi.xcap.store import Entry, Stored
from kemi.xcap.usages import DIRECTORY, Generated, Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def document(at: Moment, usage: Usage, selector: DocumentSelector, made: Generated, root: str) -> Stored:
    """The document as it is now.

    Args:
        selector: with the canonical URI of the user.
        root: URI of the XCAP root, for what the document refers to.
    """
    if made is Generated.CAPABILITIES:
        body = caps.document()
    elif made is Generated.SERVICES:
        body = services.union(at.database)
    else:
        body = _directory(store.directory(at.database, selector.xui), selector.xui, root)
    etag = hashlib.blake2b(body, digest_size=10).hexdigest()
    return Stored(selector, etag, usage.media_type, body, 0.0)


def _directory(entries: list[Entry], xui: str, root: str) -> bytes:
    folders = [
        f'<folder auid="{escaped(auid)}">\n{"".join(_entry(each, xui, root) for each in some)}</folder>\n'
        for auid, some in groupby(entries, lambda each: each.auid)
    ]
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<xcap-directory xmlns="{DIRECTORY}">\n'
    return f"{head}{''.join(folders)}</xcap-directory>\n".encode()


def _entry(entry: Entry, xui: str, root: str) -> str:
    uri = escaped(f"{root}/{entry.auid}/users/{xui.replace('%', '%25')}/{entry.name}")
    changed = f"{_EPOCH + timedelta(seconds=int(entry.changed_at)):%Y-%m-%dT%H:%M:%SZ}"
    return f'<entry uri="{uri}" etag="&quot;{escaped(entry.etag)}&quot;" last-modified="{changed}" size="{entry.size}"/>\n'
