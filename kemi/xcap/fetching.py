"""When documents of other XCAP servers are fetched, and by which process: what the handler calls. Without such a server, nothing.

worker of SIP    subscribed  somebody is pending, or a list is watched, maybe for want of documents: the group `fetch` is woken
                 asked       a message, or a list, is not decided about for want of documents: likewise
ticker           tick        it is woken when something is due; what is too old is forgotten
group `fetch`    run         fetch and take over what is due

The one HTTP client is made in the group `fetch` when it is needed first. httpx is imported then too.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kemi import reauthorize
from kemi.effects import Effect, Status
from kemi.errors import ConfigurationError
from kemi.moment import Moment
from kemi.report import report_document
from kemi.settings import Settings
from kemi.subscription import State
from kemi.xcap import fetched, usages
from kemi.xcap.fetched_document import Answer, FetchedDocument, Outcome

if TYPE_CHECKING:
    from kemi.xcap.fetch import Fetcher

Execute = Callable[[Callable[[], list[Effect]]], object]
Read = Callable[[Settings, str, bytes, str], object]
"""(settings, auid, body, name): reads rules as they are read when they are asked; what was read last is kept."""

Appeared = Callable[[Moment, str], list[Effect]]
"""(at, owner): the services of this user, "" for everybody's, are others; in the transaction that saves them."""


def nobody(_at: Moment, _owner: str) -> list[Effect]:
    """What follows of other services where nobody is looked for who watches one of them as a single resource."""
    return []


class Fetching:
    """What one process does about documents of another server.

    Args:
        execute: runs a verb and carries out its effects; what goes wrong is reported there and goes no further.
        wake: calls the group `fetch`.
        warn: tells people one line.
        read: called for rules that have come, before the transaction in which they are asked.
        appeared: called for services that have come.
    """

    def __init__(
        self, execute: Execute, wake: Callable[[], None], warn: Callable[[str], None], read: Read, appeared: Appeared = nobody
    ) -> None:
        self._execute = execute
        self._wake = wake
        self._warn = warn
        self._read = read
        self._appeared = appeared
        self._fetcher: Fetcher | None = None

    def subscribed(self, settings: Settings, status: Status | None) -> None:
        """A SUBSCRIBE was handled.

        Who is pending is decided about as soon as the rules are there, not with the next tick; so are members of a list, and who
        they are.
        """
        if not settings.xcap.xcap_root or status is None:
            return
        if status.word == State.PENDING.value or status.subscription.is_list:
            self._wake()

    def asked(self, settings: Settings, is_known: bool) -> None:
        """Documents were asked for: if nothing is known of them yet they are fetched at once."""
        if settings.xcap.xcap_root and not is_known:
            self._wake()

    def tick(self, at: Moment) -> None:
        """Once a second, in one process."""
        if not at.settings.xcap.xcap_root:
            return
        deadlines = fetched.deadlines(at)
        if deadlines.is_due:
            self._wake()
        if deadlines.is_over:
            self._execute(partial(fetched.forget, at, document_changed))

    def run(self, at: Moment) -> None:
        """Fetch what is due.

        Raises:
            Unavailable: of the database.
        """
        if not at.settings.xcap.xcap_root:
            return
        try:
            self._fetch(self._made(at), at)
        except ConfigurationError as problem:
            self._warn(f"nothing is fetched: {problem}")

    def _fetch(self, fetcher: "Fetcher", at: Moment) -> None:
        from kemi.xcap.fetch import chance

        changed = partial(document_changed, appeared=self._appeared)

        def claim(server: str, limit: int) -> list[FetchedDocument]:
            return fetched.claim(at._replace(now=time.time()), server, limit)

        def done(document: FetchedDocument, answer: Answer) -> None:
            if answer.outcome is Outcome.DOCUMENT and document.auid in usages.RULES | usages.DIALOG_RULES:
                self._read(at.settings, document.auid, answer.body, fetched.place_of(document).path)
            self._execute(partial(fetched.save, at._replace(now=time.time()), document, answer, changed, chance()))

        if fetcher.run(claim, done, at.settings.pa.max_auth_requests_per_tick):
            self._wake()

    def _made(self, at: Moment) -> "Fetcher":
        from kemi.xcap.fetch import Fetcher

        if self._fetcher is None or self._fetcher.settings != at.settings.xcap:
            made = Fetcher(at.settings.xcap, self._warn)
            fetched.begin(at)
            if self._fetcher is not None:
                self._fetcher.close()
            self._fetcher = made
        return self._fetcher


def document_changed(at: Moment, auid: str, owner: str, appeared: Appeared = nobody) -> list[Effect]:
    """What follows of another document, in the transaction that saves it.

    By new rules all are judged again who watch already (`kemi.reauthorize`); by another list too, since rules may refer to it.
    Lists of resources that are made of the document are made anew.

    Args:
        auid: application usage.
        owner: canonical URI of the user whose document it is; "" for one of the global tree.
        appeared: called for services.
    """
    names = fetched.packages_asking(at.packages, auid) if at.settings.pa.asks_rules or auid != usages.LISTS else []
    effects = [effect for name in names for effect in reauthorize.apply(at, name, owner)]
    if auid in usages.OF_LISTS:
        effects += report_document(at, auid, owner)
    if auid == usages.SERVICES:
        effects += appeared(at, owner)
    return effects
