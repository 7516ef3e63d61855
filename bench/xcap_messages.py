"""The HTTP requests of the load: resource-lists documents of two kilobytes, and what is done with them."""

from __future__ import annotations

from messages import DOMAIN

ROOT = "/xcap-root/resource-lists/users"
ENTRIES = 19

ENTRY = '<entry uri="sip:friend{number}-of-{user}@{domain}"><display-name>Friend {number} {mark}</display-name></entry>'
LISTS = """<?xml version="1.0" encoding="UTF-8"?>
<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists">
  <list name="friends">
    {entries}
  </list>
</resource-lists>
"""
REQUEST = (
    "{method} {path} HTTP/1.1\r\n"
    "Host: xcap.{domain}\r\n"
    'X-3GPP-Asserted-Identity: "sip:{user}@{domain}"\r\n'
    "User-Agent: bench\r\n"
    "{extra}"
    "\r\n"
)


def document(user: str, mark: str) -> str:
    """A document of two kilobytes that holds the mark."""
    entries = "\n    ".join(entry(user, number, mark) for number in range(ENTRIES))
    return LISTS.format(entries=entries)


def entry(user: str, number: int, mark: str) -> str:
    """One entry of it."""
    return ENTRY.format(user=user, number=number, domain=DOMAIN, mark=mark)


def get(user: str, etag: bytes = b"") -> bytes:
    """A GET of the whole document; a conditional one when an entity-tag is given, as it came."""
    return _request("GET", user, "", f"If-None-Match: {etag.decode()}\r\n" if etag else "")


def put(user: str, mark: str) -> bytes:
    """A PUT of the whole document."""
    return _request("PUT", user, "", "Content-Type: application/resource-lists+xml\r\n", document(user, mark))


def put_entry(user: str, number: int, mark: str) -> bytes:
    """A PUT of one entry."""
    node = f"/~~/resource-lists/list%5b@name=%22friends%22%5d/entry%5b@uri=%22sip:friend{number}-of-{user}@{DOMAIN}%22%5d"
    return _request("PUT", user, node, "Content-Type: application/xcap-el+xml\r\n", entry(user, number, mark))


def _request(method: str, user: str, node: str, extra: str, body: str = "") -> bytes:
    path = f"{ROOT}/sip:{user}@{DOMAIN}/index{node}"
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return (REQUEST.format(method=method, path=path, domain=DOMAIN, user=user, extra=extra + length) + body).encode()
