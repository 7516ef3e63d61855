"""The body of a list's NOTIFY: RLMI and the bodies it refers to (pure; RFC 4662 section 5, RFC 2387).

    --kp0xTOKEN                            0.TOKEN    RLMI
    Content-Transfer-Encoding: binary      1.TOKEN    body of the first instance that has one
    Content-ID: <0.TOKEN@example.org>      2.TOKEN    body of the second: it is a list and has parts of its own, its
    Content-Type: application/rlmi+xml         2-0.TOKEN    boundary is kp1xTOKEN: RLMI
                                               2-1.TOKEN    body of its first instance
    <list ...>
    --kp0xTOKEN
    ...
    --kp0xTOKEN--

All is made of what is given: the same state with the same token is the same body.
"""

import re
from typing import Final, NamedTuple

from kemi import multipart
from kemi.event_package import Document
from kemi.rls import rlmi
from kemi.rls.rlmi import ListState
from kemi.xcap import uri

NOWHERE: Final = "anonymous.invalid"
"""Domain of Content-IDs where the list's URI has none."""

_TOKEN = re.compile(r"[A-Za-z0-9]{1,32}")


class Body(NamedTuple):
    """A body and its Content-Type."""

    content: str
    content_type: str


def write(state: ListState, token: str, is_linphone: bool = False) -> Body:
    """The body.

    Args:
        token: letters and digits, at most 32; another one for another content.
        is_linphone: for Linphone before 5.4, which finds a part by a header field spelt Content-Id, without angle brackets.

    Raises:
        ValueError: no such token, or no such state (`rlmi.write`).
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is 1 to 32 letters and digits")
    return _Writer(token, uri.domain_of(uri.canonical(state.uri)) or NOWHERE, is_linphone).body(state, "")


class _Writer(NamedTuple):
    """What all levels of one body have in common."""

    token: str
    domain: str
    is_linphone: bool

    def body(self, state: ListState, level: str) -> Body:
        """The body of a list, or of one that is the member `level` of another."""
        bodies = rlmi.bodies_of(state)
        ids = [f"{level}{number}.{self.token}@{self.domain}" for number in range(len(bodies) + 1)]
        parts = [Body(rlmi.write(state, ids[1:]), rlmi.CONTENT_TYPE)]
        parts += [self._content(each, f"{level}{number}-") for number, each in enumerate(bodies, 1)]
        boundary = multipart.boundary_for([each.content for each in parts], f"kp{level.count('-')}x{self.token}")
        written = [(self._head(each.content_type, name), each.content) for name, each in zip(ids, parts, strict=True)]
        start = "" if self.is_linphone else ids[0]
        return Body(multipart.write(written, boundary), multipart.related(rlmi.MEDIA_TYPE, boundary, start))

    def _content(self, body: Document | ListState, level: str) -> Body:
        return self.body(body, level) if isinstance(body, ListState) else Body(body.content, body.content_type)

    def _head(self, content_type: str, content_id: str) -> str:
        if self.is_linphone:
            return f"Content-Transfer-Encoding: binary\r\nContent-Id: {content_id}\r\nContent-Type: {content_type}\r\n"
        return multipart.fields_of(content_type, content_id)
