"""A local watcher's SUBSCRIBE to somebody elsewhere: may it be passed on, or does it go in a circle (RFC 7332)?

The watcher has a dialog with us, and we have one with the other server, which sees us only. What is refused:

    404  that domain is not one of `b2b.domains`, or the watcher is not a user of ours: this is no open relay
    482  it has been here already: PATH has our own name, or its From tag is one of our own
    483  Max-Forwards is used up: what is sent on has one less
    503  the watcher, or the domain, has its most
"""

import hashlib
from typing import NamedTuple

from kemi import identity, sip
from kemi.b2bua import outside, store
from kemi.b2bua.outgoing import TAG, Key
from kemi.errors import LoopDetected, NotFound, ServiceUnavailable, TooManyHops
from kemi.event_package import LIST, Packages
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.settings import Settings

RETRY_AFTER = 60
"""Seconds a watcher is asked to wait when a limit is reached."""


class Wish(NamedTuple):
    """What a SUBSCRIBE says of its way here.

    Args:
        path: value of PATH, "" where it has none.
    """

    from_tag: str
    max_forwards: int = sip.MAX_FORWARDS
    path: str = ""


def name_of(secret: bytes) -> str:
    """Our opaque name in PATH: the same for all nodes of one installation."""
    return hashlib.blake2b(b"Presence-Path", key=secret, digest_size=8).hexdigest()


def elsewhere(settings: Settings, realm: Realm, uri: str) -> str:
    """Canonical address of the user that a Request-URI names, if it is one who may be subscribed to from here; else ""."""
    if not settings.b2b.reachable:
        return ""
    known = sip.address_of_record(realm.named_by(sip.parse_uri(uri)))
    return known if identity.reaches(settings, known) else ""


def is_for_list(packages: Packages, event: str | None, accept: str | None) -> bool:
    """Whether a SUBSCRIBE of a client that knows lists takes one: whoever is elsewhere may be a list (RFC 4662 section 4.3)."""
    package = packages.get(sip.parse_event(event).package + LIST) if event else None
    return package is not None and package.negotiate is not None and package.negotiate(accept) is not None


def refuse_circles(at: Moment, wish: Wish, name: str) -> None:
    """Refuse what has been here before, or has come too far.

    Raises:
        LoopDetected: 482.
        TooManyHops: 483.
    """
    if name in sip.split_list(wish.path):
        raise LoopDetected("this subscription has come through this server already")
    if wish.from_tag.startswith(TAG) and store.is_ours(at.database, wish.from_tag):
        raise LoopDetected("this subscription is one of this server's own")
    if wish.max_forwards < 1:
        raise TooManyHops("Max-Forwards is used up")


def want(at: Moment, watcher: str, resource: str, package: str, wish: Wish, name: str) -> None:
    """Prepare the outgoing subscription for a SUBSCRIBE that is about to be handled. Nothing is sent before that was accepted.

    Args:
        watcher: canonical URI, authenticated.
        resource: of `elsewhere`.
        name: ours (`name_of`).

    Raises:
        SipError: 404, 482, 483, 503.
    """
    if watcher.rpartition("@")[2] not in at.settings.domains:
        raise NotFound("this server is no proxy for other domains")
    refuse_circles(at, wish, name)
    key = Key(watcher, resource, package)
    with at.database.transaction():
        known = store.load(at.database, key)
        if known is None:
            if outside.reached(at, key):
                raise ServiceUnavailable("too many subscriptions to users elsewhere", RETRY_AFTER)
            forwards = min(wish.max_forwards, sip.MAX_FORWARDS) - 1
            one = outside.new(key, at.now)._replace(max_forwards=forwards, path=wish.path)
            store.create(at.database, one)
