"""Manage: documents that the operator reads and writes (`presencectl xcap`), through the verbs and checks of HTTP (`serve`).

Nobody proves who he is: who may use the database may use these. SQL: as in `serve`.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from kemi import sip
from kemi.http import HttpRequest
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.settings import Settings
from kemi.xcap import access, pres_rules, ruleset, serve
from kemi.xcap.errors import NotFound
from kemi.xcap.serve import Changed, Result

_URI = re.compile(r"https?://[^/]*(/.*)", re.IGNORECASE | re.DOTALL)

PREFIXES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cp": ruleset.NAMESPACE,
        "pr": pres_rules.NAMESPACE,
        "ocp": ruleset.OMA,
        "op": pres_rules.OMA,
        "dm": "urn:ietf:params:xml:ns:pidf:data-model",
        "rpid": "urn:ietf:params:xml:ns:pidf:rpid",
    }
)
"""For node selectors: a name without prefix is of the default namespace of the application usage."""

_BINDINGS = "".join(f"xmlns({prefix}={namespace})" for prefix, namespace in PREFIXES.items())


class Wish(NamedTuple):
    """What the operator asks for.

    Args:
        method: GET, PUT or DELETE.
        document: path below the XCAP root as in a URI, with node selector and query; or the whole URI. Only what would be read
            otherwise has to be percent-encoded. Without a query the prefixes of PREFIXES are bound.
        if_match, if_none_match: entity-tags, or "*"; None: no condition.
    """

    method: str
    document: str
    body: bytes = b""
    if_match: str | None = None
    if_none_match: str | None = None


def perform(at: Moment, realm: Realm, wish: Wish, tag: str, changed: Changed) -> Result:
    """Do what is asked for.

    Args:
        tag: for a new entity-tag; no other change has it.
        changed: told of every change.

    Raises:
        XcapError: it is refused, as it would be over HTTP.
    """
    require_ours(at.settings)
    request = _request(at.settings, wish)
    if wish.method == "PUT":
        request = request._replace(content_type=serve.media_type_of(at.settings, realm, request))
    return serve.perform(at, realm, request, (access.MANAGEMENT,), tag, changed)


def require_ours(settings: Settings) -> None:
    """See that documents are kept here; raises NotFound, 404."""
    if settings.xcap.xcap_root:
        elsewhere = f"the documents of {settings.xcap.xcap_root} count, none of this server (xcap.xcap_root)"
        raise NotFound(f"{elsewhere}; presencectl xcap fetched lists what is known of them")


def require_elsewhere(settings: Settings) -> None:
    """See that documents come from another server; raises ValueError."""
    if not settings.xcap.xcap_root:
        raise ValueError("documents are kept here, there is nothing to fetch (xcap.xcap_root)")


def _request(settings: Settings, wish: Wish) -> HttpRequest:
    """The request that a client of this server would send."""
    root = settings.xcap.root
    found = _URI.fullmatch(wish.document)
    path, _, query = (found[1] if found else wish.document).partition("?")
    below = path.removeprefix(f"{root}/").lstrip("/")
    return HttpRequest(
        wish.method, f"{root}/{below}", query or _BINDINGS, host=f"{sip.bracketed(settings.address)}:{settings.http_port}",
        length=len(wish.body), body=wish.body, if_match=wish.if_match, if_none_match=wish.if_none_match,
    )  # fmt: skip
