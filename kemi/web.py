"""What comes of an HTTP request: who asks, the verb, and what a changed document causes in the rest of the server (RFC 4825).

Below the XCAP root our own documents are served, if the configuration wants that (WITH_XCAP), and unless those of another server
count (`xcap.xcap_root`).
"""

import secrets
from collections.abc import Callable, Mapping
from functools import partial

from kemi.database import Conflict, Database
from kemi.effects import Effect, HttpReply
from kemi.event_package import Packages
from kemi.gateway import http
from kemi.identity import Realm
from kemi.presence import hard_state, policy
from kemi.settings import Settings
from kemi.xcap import refresh, serve
from kemi.xcap.path import Tree
from kemi.xcap.serve import Change

Consequence = Callable[[Database, Settings, Packages, Change, float], list[Effect]]
"""What a change causes, done in its transaction. It may refuse the change by raising an XcapError."""


def rules_change(database: Database, settings: Settings, packages: Packages, change: Change, now: float) -> list[Effect]:
    """Who watches already is judged by the new rules, or by the lists that they refer to (RFC 5025 section 3.2.1)."""
    if change.selector.tree is not Tree.USERS:
        return []
    return policy.rules_changed(database, settings, packages, change.selector.xui, now, change.selector.auid)


CONSEQUENCES: Mapping[str, Consequence] = {
    hard_state.AUID: hard_state.change,
    **dict.fromkeys([*refresh.RULES, refresh.LISTS], rules_change),
}
"""By application usage."""


class Web:
    """Answers the HTTP requests of one process.

    Args:
        is_trusted: whether a source address is one of KP_TRUSTED.
        secret: key of this installation.
        started: when the server did, seconds since the epoch.
    """

    def __init__(self, realm: Realm, is_trusted: Callable[[str], bool], secret: bytes, started: float) -> None:
        self._realm = realm
        self._is_trusted = is_trusted
        self._doorkeeper = http.Doorkeeper(secret, started)

    def answer(self, database: Database, settings: Settings, packages: Packages, now: float) -> list[Effect]:
        """Answer the request that Kamailio is working on.

        Returns:
            What is to be done besides.

        Raises:
            SipError, Unavailable: it is not answered yet.
        """
        request = http.read_request(settings.xcap.max_document)
        is_on = http.is_xcap_on() and not settings.xcap.xcap_root
        reply = http.at_once(request, settings.xcap.root if is_on else "")
        who = reply or self._doorkeeper.admit(database, settings, self._realm, request, self._is_trusted(request.source))
        if isinstance(who, HttpReply):
            return http.answered([who])

        def changed(change: Change) -> list[Effect]:
            consequence = CONSEQUENCES.get(change.selector.auid)
            return consequence(database, settings, packages, change, now) if consequence else []

        verb = partial(serve.serve, database, settings, self._realm, request, who, secrets.token_hex(10), now, changed)
        try:
            effects = verb()
        except Conflict:
            effects = verb()
        return http.answered(effects)
