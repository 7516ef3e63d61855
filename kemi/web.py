"""What comes of an HTTP request: who asks, the verb, and the consequences of a changed document (RFC 4825).

Below the XCAP root our own documents are served, if the configuration wants that (WITH_XCAP), and unless those of another server
count (`xcap.xcap_root`).
"""

import secrets
from collections.abc import Callable
from functools import partial

from kemi import consequences
from kemi.database import again
from kemi.effects import Effect, HttpReply
from kemi.gateway import http
from kemi.http import READING
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.xcap import serve


class Web:
    """Answers the HTTP requests of one process.

    Args:
        is_trusted: whether a source address is one of KP_TRUSTED.
        secret: key of this installation.
        started: when the server did, by `time.monotonic`, in seconds.
    """

    def __init__(self, realm: Realm, is_trusted: Callable[[str], bool], secret: bytes, started: float) -> None:
        self._realm = realm
        self._is_trusted = is_trusted
        self._doorkeeper = http.Doorkeeper(secret, started)
        self._is_on: bool | None = None

    def answer(self, at: Moment) -> list[Effect]:
        """Answer the request that Kamailio is working on.

        Returns:
            What is to be done besides.

        Raises:
            SipError, Unavailable: it is not answered yet.
        """
        request = http.read_request(at.settings.xcap.max_document)
        if self._is_on is None:
            self._is_on = http.is_xcap_on()  # the configuration never changes, and can only be read while there is a request
        is_ours = self._is_on and not at.settings.xcap.xcap_root
        reply = http.at_once(request, at.settings.xcap.root if is_ours else "")
        who = reply or self._doorkeeper.admit(at.database, at.settings, self._realm, request, self._is_trusted(request.source))
        if isinstance(who, HttpReply):
            return http.answered([who])
        changed = consequences.follow(at)
        tag = "" if request.method in READING else secrets.token_hex(10)
        return http.answered(again(partial(serve.serve, at, self._realm, request, who, tag, changed)))
