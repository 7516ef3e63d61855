"""Kamailio's callbacks, one short method each: which work each of them starts."""

import ctypes
import os
import signal
import time
from functools import partial

from kemi import gateway, listening, notify, packages, settings, sole_server, store, subscribe, sweep
from kemi.answer import Answer
from kemi.b2bua import outside
from kemi.b2bua import store as outgoing_store
from kemi.configuration_file import ConfigurationFile
from kemi.database import Database, Unavailable, again
from kemi.errors import TemporarilyUnavailable
from kemi.gateway import answers, bindings, http, outgoing, proxy
from kemi.moment import Moment
from kemi.presence import expire, registrar
from kemi.process import CONTINUE
from kemi.requests import Requests
from kemi.web import Web

SANITY = 1 | 4 | 32 | 64
"""SIP version, required header fields, CSeq method and number; the rest is judged where it is used."""

ANSWERS_FOR_EACH = 5
"""Answers that a round takes for each NOTIFY that it may send: more than one, so that the queue becomes shorter meanwhile."""

ROUNDS = 100
"""Rounds of the notifier before it lets its worker take the next task."""

UNSENT_FOR = 3600.0
"""Seconds that the notifier knows of rounds that may have been committed, and were not sent: so long the database may be away."""

PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that a process gets when its parent ends."""


class Handler(Requests):
    """What app_python3 calls; every callback returns an int. One object in each of Kamailio's processes."""

    def __init__(self, configured: settings.Settings, secret: bytes) -> None:
        super().__init__(configured, secret)
        self._answers = answers.Passing()
        self._unsettled: list[Answer] = []
        self._unsent: set[float] = set()
        self._web = Web(self.realm, self._is_trusted, secret, time.monotonic())

    def child_init(self, rank: int) -> int:
        """A process of Kamailio's starts. It ends when the main process does, so that a restart finds its ports free."""
        if os.getpid() != self.main_process:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        return 0

    def ksr_request_route(self, msg: object) -> int:
        """A request from the network."""
        self._answering(self._route)
        return CONTINUE

    def ksr_reply_route(self, msg: object) -> int:
        """A response: answers to our NOTIFYs go to the notifier, to our SUBSCRIBEs likewise; all goes on to its transaction."""
        tag = gateway.text("$ft")
        if tag.startswith(subscribe.TAG):
            self._answers.pass_on(tag)
        elif outgoing.is_answer():
            outgoing.pass_answer()
        return CONTINUE

    def ksr_relayed_answer(self, msg: object, data: str = "") -> int:
        """A device answers what was relayed to it."""
        proxy.drop_provisional()
        return CONTINUE

    def ksr_relayed_failed(self, msg: object, data: str = "") -> int:
        """No device has accepted what was relayed."""
        if proxy.has_no_answer():
            self._refuse(TemporarilyUnavailable("the user's devices do not answer"))
        return CONTINUE

    def ksr_notify(self, msg: object, data: str = "") -> int:
        """In the group `notify`: tell what is due."""
        gateway.woken(gateway.NOTIFIER)
        self._reporting(self._end_lost_registrations)
        return self._reporting(self._notify)

    def ksr_ask(self, msg: object, data: str = "") -> int:
        """In the group `notify`: subscribe to others, and take their answers."""
        gateway.woken(gateway.SUBSCRIBER)
        return self._reporting(self._ask)

    def ksr_fetch(self, msg: object, data: str = "") -> int:
        """In the group `fetch`: get documents of another XCAP server."""
        gateway.woken(gateway.FETCHER)
        return self._reporting(self._fetch)

    def ksr_timer_tick(self, msg: object, data: str = "") -> int:
        """Once a second, in one process. It asks the database each time, so it knows when that works again."""
        problem = self._problem
        self._reporting(self._tick)
        if problem and not self._problem:
            self._said.clear()
            gateway.warn("database: works again")
        self._keep_lock()
        return CONTINUE

    def ksr_core_event(self, msg: object, data: str = "") -> int:
        """Something that Kamailio's core tells, once: its first worker is ready."""
        bindings.core_event(data)
        return CONTINUE

    def ksr_tcpops_event(self, msg: object, data: str = "") -> int:
        """A connection is closed over which somebody registered."""
        bindings.connection_closed()
        return CONTINUE

    def ksr_xhttp_event(self, msg: object, data: str = "") -> int:
        """An HTTP request: a WebSocket's handshake (RFC 7118), or XCAP (RFC 4825)."""
        if not http.is_websocket("/ws"):
            http.answering(self._http, self._complain)
        return CONTINUE

    def _http(self) -> None:
        self._take_changes()
        self._execute(self._web.answer(self._moment()))

    def _route(self) -> None:
        self._take_changes()
        method = gateway.text("$rm")
        if not proxy.is_sane(SANITY):
            return
        if method in ("SUBSCRIBE", "PUBLISH"):
            if (not proxy.has_route() or self._is_for_us()) and not (method == "SUBSCRIBE" and self._pass_on()):
                self._event(method)
        elif method == "REGISTER":
            self._register()
        elif method == "CANCEL":
            proxy.answer_cancel()
        elif method == "ACK":
            proxy.relay_acknowledgement()
        elif self._is_for_us():
            self._other(method)

    def _end_lost_registrations(self) -> None:
        """Bindings whose connections are closed are none any more."""
        while closed := bindings.take_closed():
            try:
                for presentity in registrar.received_over(self.database, closed):
                    self._execute(again(partial(self._synchronize, presentity, partial(bindings.remove_lost, presentity))))
            except Unavailable:
                bindings.queue_closed(closed)
                raise

    def _notify(self) -> None:
        self._take_changes()
        self._unsent = {each for each in self._unsent if time.time() - each < UNSENT_FOR}
        for _ in range(ROUNDS):
            self._unsettled += answers.take(self.settings.pa.notify_batch * ANSWERS_FOR_EACH)
            settling = list(self._unsettled)
            effects, more = again(partial(notify.notify, self._moment(), settling, self._unsent))
            self._unsettled.clear()
            self._execute(effects)
            if not more:
                return
        gateway.wake()

    def _tick(self) -> None:
        self._look_for_changes()
        answers.tick()
        bindings.tick_closed()
        self.database.tidy()
        at = self._moment()
        registrar.forget(self.database, at.now)
        self._execute(again(lambda: sweep.sweep(at)))
        self._execute(again(lambda: expire.expire(at)))
        self._fetching.tick(at)
        self._subscriber.tick(at, outgoing.has_answers())

    def _keep_lock(self) -> None:
        """Whatever becomes of the other work: without it another server may start, or has done so already."""
        try:
            problem = sole_server.problem(self.lock) if self.lock else ""
        except Unavailable as error:
            problem = str(error)
        if problem:
            self._complain(problem)

    def _fetch(self) -> None:
        self._take_changes()
        self._fetching.run(self._moment())

    def _ask(self) -> None:
        self._take_changes()
        self._subscriber.run(self._moment)


def resume(connection: Database, configured: settings.Settings, file: ConfigurationFile) -> None:
    """What was in flight when the server ended is done again; where our address is another one now, watchers are told of it.

    Args:
        file: the configuration that Kamailio was started with.

    Raises:
        ConfigurationError: the passwords for other servers cannot be read.
    """
    outside.read_secrets(configured.b2b.credentials)
    with connection.transaction():
        store.resume(connection, time.time())
        outgoing_store.resume(connection, time.time())
        moved = listening.successors(file, store.sockets(connection))
        for gone, ours in moved.items():
            store.move(connection, gone, ours, time.time())
            gateway.warn(f"subscriptions came in on {gone}, which is gone: their watchers are told from {ours}")


def show_registrations(connection: Database, configured: settings.Settings, secret: bytes) -> None:
    """Stored registrations are shown as the settings of this start say."""
    registrar.forget(connection, time.time())
    registrar.reconcile(Moment(connection, configured, packages.served(configured), time.time()), secret)
