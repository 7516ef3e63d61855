"""Locked, lost and full databases, lost packets, dead watchers: refused for a while, never wrong, and well again by itself."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.postgresql import Cluster
from tests.repetitions import SLOW
from tests.server import Server
from tests.useragent import UserAgent, pidf
from tests.wire.observe import LogTail, change, database, processes, rows, stored, wait_until, wait_until_settled

pytestmark = pytest.mark.crash
ALICE = "sip:alice@example.org"
WORKERS = 2
WATCHERS = 50
OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
LOCKS = {
    "sqlite": "BEGIN EXCLUSIVE",
    "postgresql": "BEGIN; LOCK TABLE publication, subscription IN ACCESS EXCLUSIVE MODE",
}


@pytest.fixture
def impatient(start_server: Callable[..., Server]) -> Server:
    """It waits one second for the database."""
    return start_server({"KP_SET": "pa.notify_interval=0;db.busy_timeout=1", "KP_WORKERS": str(WORKERS)})


@contextlib.contextmanager
def _locked(server: Server, engine: str) -> Iterator[None]:
    """Another program holds the database."""
    with database(server) as connection:
        connection.execute(LOCKS[engine])
        yield
        connection.execute("ROLLBACK")


def test_while_the_database_is_locked_all_is_refused_with_503_and_nothing_is_stored(impatient: Server, engine: str) -> None:
    """503 with Retry-After while it is locked, nothing stored; afterwards everything works, also what waited to be told."""
    alice, bob, carl = (UserAgent(impatient.address, user) for user in ("alice", "bob", "carl"))
    assert bob.subscribe(ALICE).status == 200
    bob.notify()
    tag = alice.publish(pidf("open", note="before")).get("SIP-ETag")
    bob.notify()
    wait_until_settled(impatient)
    before = stored(impatient)
    with _locked(impatient, engine):
        refused = [
            alice.publish(pidf("closed", note="refused"), etag=tag),
            alice.publish(pidf("open", tuple_id="t2", note="refused")),
            carl.subscribe(ALICE),
        ]
    assert [answer.status for answer in refused] == [503] * 3
    assert all(int(answer.get("Retry-After")) > 0 for answer in refused)
    wait_until(lambda: alice.publish(b"", "Supported: x", etag="unknown").status == 412, "the database is free again")
    assert stored(impatient) == before
    assert alice.publish(pidf("closed", note="after"), etag=tag).status == 200
    told = bob.notify()
    assert b"after" in told.body
    assert b"refused" not in told.body
    assert carl.subscribe(ALICE).status == 200
    assert b"after" in carl.notify().body


def _until_well(agent: UserAgent, note: str) -> list[int]:
    """Publish until it works; the statuses on the way."""
    statuses: list[int] = []
    while not statuses or statuses[-1] != 200:
        statuses.append(agent.publish(pidf("open", note=note)).status)
        assert len(statuses) <= 20, statuses
    return statuses


def test_connections_to_postgresql_are_killed(impatient: Server, engine: str) -> None:
    """Each worker may refuse one request, the next one opens a new connection; watchers are told nevertheless."""
    if engine != "postgresql":
        pytest.skip("SQLite has no connections to lose")
    alice, bob = UserAgent(impatient.address, "alice"), UserAgent(impatient.address, "bob")
    bob.subscribe(ALICE)
    bob.notify()
    for number in range(3):
        change(impatient, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                          "AND pid <> pg_backend_pid()")  # fmt: skip
        statuses = _until_well(alice, f"after{number}")
        assert set(statuses[:-1]) <= {503}
        assert len(statuses) <= WORKERS + 1, statuses
        while f"after{number}".encode() not in bob.notify().body:
            pass
    assert "Traceback" not in impatient.log.read_text(errors="replace")


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL that may be stopped."""
    running = Cluster().start()
    yield running
    running.stop()


def _signal(cluster: Cluster, number: signal.Signals) -> None:
    """To all processes of it."""
    main = (cluster.folder / "data/postmaster.pid").read_text().split()[0]
    for process in (main, *Path(f"/proc/{main}/task/{main}/children").read_text().split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), number)


def test_a_postgresql_that_falls_silent_is_answered_with_503_and_survived(own_cluster: Cluster, tmp_path: Path) -> None:
    """Its connections stay and say nothing, as when its machine is gone: every request is answered for all that, and it is said."""
    server = Server({"KP_DB_URL": own_cluster.database(), "KP_SET": "pa.notify_interval=0;db.busy_timeout=1"}, tmp_path).start()
    try:
        alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
        bob.subscribe(ALICE)
        bob.notify()
        before = processes(server)
        _signal(own_cluster, signal.SIGSTOP)
        try:
            silent = [alice.publish(pidf("open", note="silent")).status for _ in range(WORKERS + 1)]
        finally:
            _signal(own_cluster, signal.SIGCONT)
        assert silent == [503] * (WORKERS + 1)
        assert "database: the server is connected, and says nothing" in server.log.read_text(errors="replace")
        assert set(_until_well(alice, "again")[:-1]) <= {503}
        while b"again" not in bob.notify().body:
            pass
        assert processes(server) == before
    finally:
        server.stop()


def _pg_ctl(cluster: Cluster, *arguments: str) -> None:
    data = ["-D", f"{cluster.folder}/data", "-l", f"{cluster.folder}/log", "-w", *arguments]
    cluster._run(f"{cluster.binaries}/pg_ctl", *data)


def test_a_restart_of_postgresql_is_answered_with_503_and_survived(own_cluster: Cluster, tmp_path: Path) -> None:
    """503 while it is away, well again afterwards; the password in its URL is never logged."""
    url = own_cluster.database().replace("postgres@", "postgres:hidden-password@")
    server = Server({"KP_DB_URL": url, "KP_SET": "pa.notify_interval=0;db.busy_timeout=1"}, tmp_path).start()
    try:
        alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
        bob.subscribe(ALICE)
        bob.notify()
        _pg_ctl(own_cluster, "-m", "fast", "stop")
        before = processes(server)
        down = [alice.publish(pidf("open", note="down")) for _ in range(4)]
        assert [answer.status for answer in down] == [503] * 4
        assert all(answer.get("Retry-After") for answer in down)
        _pg_ctl(own_cluster, "-o", f"-p {own_cluster.port} {OPTIONS}", "start")
        assert set(_until_well(alice, "up")[:-1]) <= {503}
        assert b"up" in bob.notify().body
        assert processes(server) == before
        log = server.log.read_text(errors="replace")
        assert "Traceback" not in log
        assert "hidden-password" not in log
    finally:
        server.stop()


def test_a_full_disk_is_answered_with_503_and_survived(tmp_path: Path) -> None:
    """A file system that is really full; skipped where none can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        _play_full_disk(tmp_path, f"sqlite:///{disk}/presence.db", lambda _server: _filled(disk))
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@contextlib.contextmanager
def _filled(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    yield
    filler.unlink()


def test_files_may_not_grow(tmp_path: Path) -> None:
    """The same without a mount: a limit on the size of files."""
    _play_full_disk(tmp_path, f"sqlite:///{tmp_path}/presence.db", _limited)


@contextlib.contextmanager
def _limited(server: Server) -> Iterator[None]:
    hard = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE)[1] for pid in processes(server)}
    log = server.log.stat().st_size
    for pid, limit in hard.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (log // 2, limit))
    yield
    for pid, limit in hard.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))


def _play_full_disk(folder: Path, url: str, full: Callable[[Server], contextlib.AbstractContextManager[None]]) -> None:
    server = Server({"KP_DB_URL": url, "KP_SET": "pa.notify_interval=0;db.busy_timeout=1;pa.max_publications=0"}, folder).start()
    try:
        alice, bob = UserAgent(server.address, "alice"), UserAgent(server.address, "bob")
        bob.subscribe(ALICE)
        bob.notify()
        tag = alice.publish(pidf("open", note="kept")).get("SIP-ETag")
        assert b"kept" in bob.notify().body
        wait_until_settled(server)
        before = processes(server)
        with full(server):
            assert _until_refused(alice) >= 500
        wait_until(lambda: alice.publish(pidf("open", tuple_id="t2", note="space")).status == 200, "there is space again")
        while b"space" not in (told := bob.notify()).body:
            pass
        assert b"kept" in told.body
        assert alice.publish(b"", etag=tag).status == 200
        assert processes(server) == before
        assert rows(server, "PRAGMA integrity_check") == [("ok",)]
        assert "Traceback" not in server.log.read_text(errors="replace")
    finally:
        server.stop()


def _until_refused(agent: UserAgent) -> int:
    """SQLite's log may have pages left to write over: publish until there is no space any more."""
    for number in range(200):
        answer = agent.publish(pidf("open", tuple_id=f"f{number}", note="x" * 8000))
        if answer.status != 200:
            return answer.status
    return 200


@pytest.mark.rfc("TRN-025")
def test_one_notify_in_flight(server: Server) -> None:
    """Unanswered, it comes again as it was; changes wait for the answer, then the newest state follows."""
    alice, bob = UserAgent(server.address, "in-flight"), UserAgent(server.address, "watcher")
    bob.answer_notify = 0
    bob.subscribe(alice.aor)
    first = bob.notify()
    for number in range(3):
        alice.publish(pidf("open", "in-flight", f"t{number}", f"change{number}"))
    copies = [bob.notify(), bob.notify()]
    assert {(copy.raw, copy.cseq) for copy in copies} == {(first.raw, first.cseq)}
    bob.respond(first, 200)
    newest = bob.wait(lambda message: message.method == "NOTIFY" and message.cseq > first.cseq)
    bob.respond(newest, 200)
    assert newest.cseq == first.cseq + 1
    assert all(f"change{number}".encode() in newest.body for number in range(3))


@pytest.mark.rfc("SEC-014")
def test_silent_watcher_is_removed(server: Server) -> None:
    """Nobody answers until Timer F is over. The clock is not waited for: the deadline in the row is moved."""
    bob = UserAgent(server.address, "silent")
    bob.answer_notify = 0
    answer = bob.subscribe("sip:unanswered@example.org")
    bob.notify()
    change(server, f"UPDATE subscription SET next_at = 1 WHERE id = '{answer.to_tag}'")
    wait_until(lambda: not rows(server, f"SELECT id FROM subscription WHERE id = '{answer.to_tag}'"), "the row is gone")
    refresh = bob.subscribe("sip:unanswered@example.org", cseq=2, call_id=bob.call_id, from_tag=bob.from_tag, to_tag=answer.to_tag)
    assert refresh.status == 481


@pytest.mark.skipif(not SLOW, reason="takes 34 s; SLOW=1 runs it")
def test_silent_watcher_is_removed_by_the_clock(server: Server) -> None:
    bob = UserAgent(server.address, "silent")
    bob.answer_notify = 0
    answer = bob.subscribe("sip:unanswered@example.org")
    gone = f"SELECT id FROM subscription WHERE id = '{answer.to_tag}'"
    wait_until(lambda: not rows(server, gone), "the row is gone", timeout=45)


def _closed_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _subscribe_dead(server: Server, death: str) -> "_Held":
    """A subscription whose NOTIFYs reach nobody."""
    agent = UserAgent(server.address, "dead", transport="udp" if death in ("closed port", "refused", "never accepts") else "tcp")
    held = _Held([])
    contact = f"<{agent.contact}>"
    if death == "refused":
        contact = f"<sip:dead@127.0.0.1:{_closed_port(socket.SOCK_STREAM)};transport=tcp>"
    if death == "never accepts":
        listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        contact = f"<sip:dead@127.0.0.1:{listening.getsockname()[1]};transport=tcp>"
        held = _Held([listening, *fillers])
    assert agent.request("SUBSCRIBE", ALICE, "Event: presence", f"Contact: {contact}", "Expires: 600").status == 200
    agent.close()
    return held


class _Held(contextlib.AbstractContextManager[None]):
    """Sockets that stay open for as long as the test goes on."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            each.close()


@pytest.mark.parametrize("death", ["closed port", "refused", "closed connection", "never accepts"])
def test_dead_watcher_does_not_stop_the_others(start_server: Callable[..., Server], death: str) -> None:
    """Fifty watchers are told of every change although one before them, in the same batch, cannot be reached."""
    server = start_server()
    alice, crowd = UserAgent(server.address, "alice"), UserAgent(server.address, "crowd")
    with _subscribe_dead(server, death):
        dialogs = set()
        for _ in range(WATCHERS):
            crowd.subscribe(ALICE)
            dialogs.add(crowd.call_id)
            crowd.notify()
        log = LogTail(server)
        for number in range(3):
            assert alice.publish(pidf("open", tuple_id=f"t{number}", note=f"news{number}")).status == 200
            _wait_for_all(crowd, dialogs, f"news{number}".encode())
        assert "Traceback" not in log.text


def _wait_for_all(crowd: UserAgent, dialogs: set[str], mark: bytes) -> None:
    missing = set(dialogs)
    while missing:
        message = crowd.notify()
        if mark in message.body:
            missing.discard(message.get("Call-ID"))


def test_database_without_the_subscriptions_row(server: Server) -> None:
    """A row deleted behind the server's back, its NOTIFY in flight: the answer finds nothing, and nothing breaks."""
    log = LogTail(server)
    bob = UserAgent(server.address, "vanishing")
    bob.answer_notify = 0
    answer = bob.subscribe("sip:unanswered@example.org")
    told = bob.notify()
    change(server, f"DELETE FROM subscription WHERE id = '{answer.to_tag}'")
    bob.respond(told, 200)
    assert bob.subscribe("sip:unanswered@example.org").status == 200
    assert "Traceback" not in log.text
