"""What each of Kamailio's processes has: the settings of now, its own database connection, and how a verb is run in it.

The connection is opened at first use, after the fork. Whatever escapes from a verb becomes one answer and one log line here.
"""

import os
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from kemi import database, gateway, identity, packages, settings, sole_server
from kemi.b2bua.outgoing import TAG
from kemi.database import Database, Unavailable, again
from kemi.effects import Effect, Log
from kemi.errors import ServiceUnavailable, SipError
from kemi.gateway import answers, outgoing
from kemi.moment import Moment
from kemi.presence import registrar
from kemi.runtime_settings import Watch, restored

CONTINUE = 1
SAID_AGAIN = 60.0
"""Seconds until a process says of the database once more what it has said."""

T = TypeVar("T")


class Process:
    """One of Kamailio's processes."""

    def __init__(self, configured: settings.Settings, secret: bytes) -> None:
        self.settings = self._start = configured
        self._changes: int | str = 0  # what Kamailio has for $shv(changed) as long as nothing is changed
        self._watch = Watch(configured)
        self.secret = secret
        self.realm = identity.realm(configured)
        self.packages = packages.served(configured)
        self._is_trusted = identity.make_is_trusted(configured.trusted)
        self._database: Database | None = None
        self._problem = ""  # with the database, when there was last work that nobody waits for
        self._said: dict[str, float] = {}  # of the database, and when
        self.main_process = os.getpid()
        self.lock: sole_server.Lock | None = None  # of the server; the process of the tick alone uses it

    @property
    def database(self) -> Database:
        """This process's connection."""
        if self._database is None:
            self._database = database.connect(self.settings)
        return self._database

    def _moment(self) -> Moment:
        """What verbs are given."""
        return Moment(self.database, self.settings, self.packages, time.time())

    def _take_changes(self) -> None:
        """Parameters may have been changed while the server runs."""
        changes = gateway.value(gateway.CHANGED)
        if changes != self._changes:
            self.settings, self._changes = restored(self._start, changes), changes
            self.packages = packages.served(self.settings)

    def _look_for_changes(self) -> None:
        """What kamcmd has set is taken over or refused, here for all processes."""
        taken, refused = self._watch.look(lambda name: gateway.text(f"$sel(cfg_get.{name})"))
        self._execute([Log(line) for line in taken])
        for line in refused:
            gateway.warn(line)
        if taken:
            gateway.pass_changes(self._watch.text())
        self._take_changes()
        if taken:
            self._execute(registrar.reconcile(self._moment(), self.secret))

    def _do(self, verb: Callable[[], list[Effect]]) -> int:
        """Run a verb that nobody waits for."""
        return self._reporting(lambda: self._execute(again(verb)))

    def _execute(self, effects: list[Effect]) -> None:
        unsent = gateway.execute(effects)
        if unsent:
            answers.queue([each for each in unsent if not each.id.startswith(TAG)])
            outgoing.queue_answers([each for each in unsent if each.id.startswith(TAG)])

    def _answering(self, work: Callable[[], T]) -> T | None:
        """Run a request's work; what escapes becomes its answer, and there is no result."""
        try:
            return work()
        except SipError as refusal:
            self._refuse(refusal)
        except Unavailable as problem:
            self._complain(str(problem))
            gateway.refuse(ServiceUnavailable("", gateway.RETRY_AFTER))
        except Exception:
            gateway.error(traceback.format_exc())
            gateway.refuse(SipError())
        return None

    def _refuse(self, refusal: SipError) -> None:
        """Answer with a refusal, and one line in the log."""
        gateway.warn(
            f"refused: {refusal.status} {gateway.text('$rm')} to={gateway.text('$tu')} from={gateway.text('$fu')} "
            f"source={gateway.text('$si')} call-id={gateway.text('$ci')} why={refusal}"
        )
        gateway.refuse(refusal)

    def _reporting(self, work: Callable[[], None]) -> int:
        """Run work that nobody waits for; it is tried again by the next tick."""
        try:
            work()
        except Unavailable as problem:
            self._complain(str(problem))
            self._problem = str(problem)
        except Exception:
            gateway.error(traceback.format_exc())
        else:
            self._problem = ""
        return CONTINUE

    def _complain(self, problem: str) -> None:
        """Say what is wrong with the database; once, for each request that meets it would say the same, and nothing of itself."""
        now = time.monotonic()
        self._said = {said: since for said, since in self._said.items() if since > now - SAID_AGAIN}
        if problem not in self._said:
            self._said[problem] = now
            gateway.error(f"database: {problem}")
