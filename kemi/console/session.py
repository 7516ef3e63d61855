"""The store of a server that may be running: opened, checked, and its notifier woken after a change."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from kemi import account_store, administration, identity, options, packages, sip
from kemi.console import running
from kemi.console.connection import current
from kemi.database import Database
from kemi.effects import Effect, Wake
from kemi.errors import NotFound, SipError
from kemi.event_package import Packages
from kemi.identity import Realm
from kemi.moment import Moment
from kemi.settings import Settings


class Session(NamedTuple):
    """What a command works with; `now` is seconds since the epoch."""

    settings: Settings
    database: Database
    packages: Packages
    realm: Realm
    now: float

    @property
    def moment(self) -> Moment:
        """What verbs are given."""
        return Moment(self.database, self.settings, self.packages, self.now)

    def presentity(self, text: str) -> str:
        """Canonical URI of one of ours; sip: need not be written.

        Raises:
            ValueError: it is no URI, or not of a domain that is served.
        """
        if "@" not in text and ":" not in text:
            raise ValueError(f"{text or repr(text)}: an address as alice@{self.settings.domains[0]} is needed")
        elsewhere = "; presencectl b2b list shows who watches users elsewhere" if self.settings.b2b.domains else ""
        with named(text, elsewhere):
            return self.realm.presentity(with_scheme(text))

    def known_presentity(self, text: str) -> str:
        """The same of one that exists (`pa.presentities`).

        Raises:
            ValueError: there is no such user.
        """
        found = self.presentity(text)
        username, _, domain = found.removeprefix("sip:").partition("@")
        if self.settings.pa.presentities == "subscriber" and account_store.load(self.database, username, domain) is None:
            raise ValueError(f"there is no user {username}@{domain}, and pa.presentities is subscriber")
        return found

    def require_served(self, package: str) -> None:
        """Make sure that there is such an event package.

        Raises:
            ValueError: there is none.
        """
        administration.require_served(self.packages, package)

    def watcher(self, text: str) -> str:
        """Canonical URI of anybody.

        Raises:
            ValueError: it is no URI, or a word that could be a user or a host.
        """
        if "@" not in text and ":" not in text:
            raise ValueError(f"{text or repr(text)}: an address as bob@example.org is needed")
        with named(text):
            return self.realm.address_of_record(with_scheme(text))


class Server(Enum):
    """What became of telling the server that something is due."""

    TOLD = "told"
    NOT_RUNNING = "not running"
    NOT_NEEDED = "not needed"


@contextmanager
def begin(configuration: Path) -> Iterator[Session]:
    """Open the store as the server does; nothing in it is made or brought up to date.

    Raises:
        ConfigurationError: the settings are wrong, there is no database yet, or it is of another release.
    """
    found = running.in_force(os.environ, configuration)
    with current(found) as connection:
        yield Session(found, connection, packages.served(found), identity.realm(found), time.time())


def with_scheme(text: str) -> str:
    """A URI as people write it."""
    return text if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) else f"sip:{text}"


@contextmanager
def named(text: str, elsewhere: str = "") -> Iterator[None]:
    """Have what is wrong with a URI told together with it; `elsewhere` is added where it is of a domain that is not served."""
    try:
        yield
    except SipError as error:
        raise ValueError(f"{text}: {error}{elsewhere if isinstance(error, NotFound) else ''}") from error


def tell(session: Session, effects: Sequence[Effect]) -> Server:
    """Wake the notifier of the running server if anybody has to be told; after the commit."""
    if not any(isinstance(each, Wake) for each in effects):
        return Server.NOT_NEEDED
    return Server.TOLD if options.wake(session.settings) else Server.NOT_RUNNING


def told(session: Session, server: Server) -> str:
    """The same for people."""
    address = f"{sip.bracketed(session.settings.address)}:{session.settings.port}"
    return {
        Server.TOLD: "the server is told",
        Server.NOT_RUNNING: f"no server answers on {address}, its start tells them",
        Server.NOT_NEEDED: "nobody has to be told",
    }[server]
