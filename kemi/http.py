"""An HTTP request as Kamailio hands it over, and its conditions (pure; RFC 9110 sections 8.8.3 and 13.1).

    condition                    no resource    this tag    another tag
    If-Match: "a"                fails          holds       fails
    If-Match: *                  fails          holds       holds
    If-None-Match: "a"           holds          fails       holds
    If-None-Match: *             holds          fails       fails

If-Match compares strongly: a weak tag is equal to none. Tags without quotes, which some clients send, are read as if they had
them.
"""

import re
from typing import NamedTuple

METHODS = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
READING = ("GET", "HEAD")
"""Those that change nothing."""

_ENTITY_TAG = re.compile(r'(?P<weak>W/)?"(?P<quoted>[^"]*)"|(?P<bare>[^\s",]+)')

_PORT = re.compile(r":[0-9]*\Z")


class HttpRequest(NamedTuple):
    """A request; header fields are None where they are missing, lists are joined by commas.

    Args:
        method: as it came; methods are case-sensitive.
        path: as it came, without the query.
        query: as it came, without "?"; "" for none.
        length: octets of the body, by Content-Length; of requests that only read no body is looked at.
        body: b"" if it is longer than the limit that it was read with.
        source: the address it came from.
        is_secure: it came over TLS.
    """

    method: str
    path: str
    query: str = ""
    host: str = ""
    source: str = ""
    is_secure: bool = False
    length: int = 0
    body: bytes = b""
    content_type: str | None = None
    content_encoding: str | None = None
    content_range: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None

    @property
    def target(self) -> str:
        """Path and query, as it came."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def hostname(self) -> str:
        """Of the Host header field, in lower case, without port."""
        return _PORT.sub("", self.host).lower()

    @property
    def origin(self) -> str:
        """The server as the client names it, "" where it does not: https://example.org:5061."""
        return f"http{'s' if self.is_secure else ''}://{self.host}" if self.host else ""


def if_match_holds(condition: str | None, etag: str | None) -> bool:
    """Whether If-Match allows the request.

    Args:
        condition: the field's value, None if it is missing.
        etag: the resource's entity-tag without quotes, None if there is no resource.
    """
    return condition is None or (etag is not None and _names(condition, etag, is_strong=True))


def if_none_match_holds(condition: str | None, etag: str | None) -> bool:
    """Whether If-None-Match allows the request; arguments as above."""
    return condition is None or etag is None or not _names(condition, etag, is_strong=False)


def _names(condition: str, etag: str, is_strong: bool) -> bool:
    if condition.strip() == "*":
        return True
    for tag in _ENTITY_TAG.finditer(condition):
        if tag["quoted" if tag["bare"] is None else "bare"] == etag and not (is_strong and tag["weak"]):
            return True
    return False


def media_type(content_type: str | None) -> str:
    """The type without parameters, in lower case (RFC 9110 section 8.3.1); "" if the field is missing."""
    return (content_type or "").partition(";")[0].strip().lower()
