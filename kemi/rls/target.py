"""Whether a SUBSCRIBE is for a list (RFC 4662 section 4.1, RFC 5367 section 3, SER handbook section 6.4).

SUBSCRIBE                                     it is for
--------------------------------------------  ---------------------------------------------------------------
in a dialog                                   what its dialog is for, which our tag in it tells
Require: recipient-list-subscribe             the list in its body
Supported: eventlist, URI of a list           that list
Supported: eventlist, another URI             a single resource
without eventlist                             a single resource; if the URI is a list's: 421 (`kemi.subscribe`)

While it is not known which lists another server has, a URI that is known to be a user's is a single resource: a server that cannot
be reached keeps nobody from watching users. For other URIs, and for who requires eventlist, the answer is 503, and the client comes
back later. It is so too where what is known is old, and a newer answer may still come.

A subscription to a single resource ends when a list gets its URI (`kemi.rls.appeared`). With another server each SUBSCRIBE in the
dialog has the documents looked at that would say so.

SQL: 1 statement where the SUBSCRIBE supports lists and opens a dialog, else none; with another server 2, 1 more while its lists are
not known, or old.
"""

from typing import Final

from kemi import account_store, sip, subscribe
from kemi.errors import BadExtension
from kemi.moment import Moment
from kemi.rls import recipient_list, source

EVENT_LIST: Final = "eventlist"
SUPPORTED: Final = (EVENT_LIST, recipient_list.OPTION_TAG)
"""Option tags of a server that has lists."""


def is_for_list(at: Moment, request: sip.Request, watcher: str, resource: str) -> bool:
    """Whether it is.

    Args:
        watcher: canonical URI of who asks, authenticated.
        resource: canonical URI that the Request-URI stands for; in a dialog it is not looked at.

    Raises:
        ServiceUnavailable: 503, a document of another server that says so is being fetched.
    """
    if request.to_tag:
        if at.settings.xcap.xcap_root and subscribe.is_able_tag(request.to_tag):
            source.ask(at, source.services_for(watcher))
        return subscribe.is_list_tag(request.to_tag)
    if recipient_list.is_asked(request.require):
        return True
    if not supports_lists(request):
        return False
    try:
        return source.is_list(at, watcher, resource)
    except source.NotFetchedYet:
        if EVENT_LIST in options(request.require) or not (resource == watcher or account_store.is_user(at.database, resource)):
            raise
        return False


def supports_lists(request: sip.Request) -> bool:
    """Whether the client says that it knows lists (RFC 4662 section 4.1)."""
    return bool(request.supported or request.require) and EVENT_LIST in (*options(request.supported), *options(request.require))


def refuse_extensions(request: sip.Request, is_list: bool) -> None:
    """What else a client requires is not known here (RFC 3261 section 8.2.2.3).

    Raises:
        BadExtension: 420.
    """
    if not request.require:
        return
    unknown = [each for each in sip.split_list(request.require) if not (is_list and each.lower() in SUPPORTED)]
    if unknown:
        raise BadExtension(unknown)


def options(value: str | None) -> list[str]:
    """Option tags in a header field, in small letters."""
    return [each.strip().lower() for each in sip.split_list(value)] if value else []
