"""URIs below our XCAP root: whether one is, and what it names (pure; RFC 4825 section 6, RFC 3986 sections 3.2, 3.5 and 6.2).

    http://xcap.example.org:8080/xcap-root/resource-lists/users/sip:joe@example.org/index/~~/resource-lists/list%5B1%5D?xmlns(a=urn:a)#x
    server                      root      document selector                              node selector                 query

It is below our root if its server is ours and its path begins with that of the root and a slash. Of the server scheme and host are
compared without regard to case, and a port that is not there is the usual one. A root may be a path alone: that of a server with
several names, of which `is_our_host` knows. Their ports, and whether TLS is used, say nothing then.

Userinfo says who asks, and the fragment which part of the answer is meant: both are no part of the name. A path is compared as it
is written, as the server itself does.

asked of                           by                                relative to the root as well
---------------------------------  --------------------------------  ---------------------------------------
`resource-list` of a service       `constraints`, `rls.reference`    no (RFC 4826 section 4.4.5)
`anchor` of an external            `rls.reference`                   no (RFC 4826 section 3.1)
`anchor` of an external-list       `external_list`                   yes: clients write it so
what is to be watched              `watched`                         yes (RFC 5875 section 4.4)
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from kemi.xcap import path
from kemi.xcap.errors import XcapError
from kemi.xcap.path import DocumentSelector, Tree

_HTTP: Final = re.compile(
    r"(?P<server>(?P<scheme>https?)://(?:[^/?#@]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/?#:@\[\]]+)(?::(?P<port>[0-9]*))?)"
    r"(?P<path>(?:/[^?#]*)?)(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.DOTALL | re.IGNORECASE,
)
_REFERENCE: Final = re.compile(r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#.*)?", re.DOTALL)
_PORTS: Final = {"http": "80", "https": "443"}


class Root(NamedTuple):
    """Our XCAP root.

    Args:
        uri: of the root, or its path alone; without or with the last slash.
        is_our_host: whether a host name, in lower case, is one of this server; asked where the root is a path.
        owner_of: canonical URI of the user that an XUI names; raises XcapError for nobody here.
    """

    uri: str
    is_our_host: Callable[[str], bool]
    owner_of: Callable[[str], str]

    @property
    def path(self) -> str:
        """Without the last slash; "" where the server is the root."""
        found = _HTTP.fullmatch(self.uri)
        return (found["path"] if found else self.uri).rstrip("/")


class Below(NamedTuple):
    """A URI below the root.

    Args:
        server: scheme, userinfo, host and port, as they are written; "": it is relative.
        path: behind the root, as it is written; begins with a slash.
        query: namespace bindings of the node selector, "" for none.
    """

    server: str
    path: str
    query: str


class Named(NamedTuple):
    """What a URI names.

    Args:
        document: with the canonical URI of the user.
        node: selector, percent-encoded as it is written; None: the document.
    """

    document: DocumentSelector
    node: str | None
    query: str


def is_http(text: str) -> bool:
    """Whether it is an absolute HTTP URI."""
    return _HTTP.fullmatch(text) is not None


def below(text: str, root: Root) -> Below | None:
    """What of an absolute URI stands below the root; None: it is none, or not below it."""
    found = _HTTP.fullmatch(text)
    if found is None or not found["path"].startswith(f"{root.path}/") or not _is_ours(found, root):
        return None
    return Below(found["server"], found["path"][len(root.path) :], found["query"] or "")


def resolved(text: str, root: Root) -> Below | None:
    """The same of a URI that may be relative: it begins with the path of the root, or with what stands behind that."""
    if is_http(text):
        return below(text, root)
    found = _REFERENCE.fullmatch(text)
    if found is None or ":" in found["path"].partition("/")[0]:
        return None
    where = found["path"].removeprefix(root.path) if found["path"].startswith(f"{root.path}/") else found["path"]
    return Below("", f"/{where.removeprefix('/')}", found["query"] or "")


def named(found: Below, root: Root) -> Named:
    """What it names.

    Raises:
        XcapError: no document, as its path is none of one, or nobody here has such documents.
    """
    request = path.split(found.path)
    document = request.document
    if document.tree is Tree.USERS:
        document = document._replace(xui=root.owner_of(document.xui))
    return Named(document, request.node, found.query)


def read(text: str, root: Root) -> Named | None:
    """What an absolute URI names below the root; None: nothing that could be there."""
    found = below(text, root)
    return None if found is None else named_or_none(found, root)


def named_or_none(found: Below, root: Root) -> Named | None:
    """What it names; None: nothing that could be there."""
    try:
        return named(found, root)
    except XcapError:
        return None


def _is_ours(found: re.Match[str], root: Root) -> bool:
    ours = _HTTP.fullmatch(root.uri)
    return root.is_our_host(found["host"].lower()) if ours is None else _server(found) == _server(ours)


def _server(found: re.Match[str]) -> tuple[str, str, str]:
    scheme = found["scheme"].lower()
    return scheme, found["host"].lower(), found["port"] or _PORTS[scheme]
