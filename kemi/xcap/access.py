"""Whose documents a path names, and who may do what with them (RFC 4825 sections 5.7 and 6.2).

Management (`presencectl xcap`) does all of that for everybody.

    tree     read                                                          write
    users    the user itself                                               the user itself
    global   everybody authenticated; rls-services/global/index: those     those of xcap.global_writers
             of xcap.rls_readers (RFC 4826 section 4.4.9)

An XUI is an address of record, with or without "sip:"; or a user name alone, as SER has it, for a user of the first domain.
"""

from typing import Final

from kemi.errors import SipError
from kemi.identity import Realm
from kemi.settings import Settings
from kemi.xcap import uri
from kemi.xcap.errors import NotFound, XcapError
from kemi.xcap.path import DocumentSelector, Tree
from kemi.xcap.usages import Generated

MANAGEMENT: Final = "presencectl"
"""Who asks when it is the operator. No user is called so: all others are URIs."""


class Forbidden(XcapError):
    """403: somebody else's home, or not for everybody (RFC 4825 section 8)."""

    status, reason = 403, "Forbidden"


def owner_of(settings: Settings, realm: Realm, xui: str) -> str:
    """Canonical URI of the user that an XUI names.

    Args:
        xui: percent-decoded.

    Raises:
        NotFound: 404, nobody who could have documents here.
    """
    if not uri.scheme_of(xui):
        xui = f"sip:{xui}" if "@" in xui or not settings.xcap.user_names else f"sip:{xui}@{realm.domains[0]}"
    try:
        return realm.presentity(xui)
    except SipError:
        raise NotFound("no such user") from None


def require(
    settings: Settings, selector: DocumentSelector, made: Generated | None, identities: tuple[str, ...], is_write: bool
) -> None:
    """See that somebody may do that.

    Args:
        selector: with the canonical URI of the user.
        made: the document is made by the server.
        identities: canonical URIs, all of who asks; or MANAGEMENT.

    Raises:
        Forbidden: 403.
    """
    if MANAGEMENT in identities:
        allowed = True
    elif selector.tree is Tree.USERS:
        allowed = selector.xui in identities
    elif is_write:
        allowed = any(each in settings.xcap.global_writers for each in identities)
    elif made is Generated.SERVICES:
        allowed = any(each in settings.xcap.rls_readers for each in identities)
    else:
        allowed = bool(identities)
    if not allowed:
        raise Forbidden("this is not for you")
