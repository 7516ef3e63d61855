"""HTTP over the double of Kamailio: reading requests, finding out who asks, answering."""

import base64
import hashlib
import re
from dataclasses import replace
from types import ModuleType

import pytest

import tests.ksr
from kemi import account_store, http_digest
from kemi.account import create
from kemi.database import Unavailable
from kemi.errors import BadRequest
from tests.ksr import KSR, Message
from tests.unit.kamailio import STRANGER, TRUSTED, Server
from tests.unit.values import ALICE
from tests.xhttp import HttpResponse

HOME = f"/xcap-root/resource-lists/users/{ALICE}/index"
CAPS = "/xcap-root/xcap-caps/global/index"
LISTS = b'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"/>'
ASSERTED = ("X-3GPP-Asserted-Identity", f'"tel:+1", "{ALICE}"')
TYPE = ("Content-Type", "application/resource-lists+xml")


class Browser:
    """A client somewhere, who may have a password."""

    def __init__(self, server: Server, source: str = STRANGER, transport: str = "tcp") -> None:
        self.server, self.source, self.transport = server, source, transport
        self.nonce, self.count = "", 0

    def ask(self, method: str, target: str, *headers: tuple[str, str | bytes], body: bytes = b"") -> HttpResponse:
        """The one answer to a request."""
        before = len(self.server.ksr.http)
        lines = [("Host", "example.org:8080"), ("Content-Length", str(len(body))), *headers]
        message = Message(method, headers=lines, body=body, source=(self.source, 4711), connection=7, http_uri=target)
        self.server.ksr.receive(replace(message, transport=self.transport))
        assert self.server.handler.ksr_xhttp_event(None) == 1
        assert len(self.server.ksr.http) == before + 1, self.server.ksr.logged
        return self.server.ksr.http[-1]

    def prove(self, method: str, target: str, *headers: tuple[str, str | bytes], **more: object) -> HttpResponse:
        """The same with the next use of the nonce; a new nonce first if there is none."""
        if not self.nonce:
            self.take(self.ask(method, target, *headers))
        return self.ask(method, target, self.credentials(method, target), *headers, **more)  # type: ignore[arg-type]

    def take(self, challenge: HttpResponse) -> None:
        assert challenge.status == 401
        (found,) = re.findall('nonce="([^"]*)"', challenge.headers["www-authenticate"][0])
        self.nonce, self.count = found, 0

    def credentials(
        self,
        method: str,
        target: str,
        password: str = "secret",
        user: str = "alice",
        realm: str = "example.org",
        algorithm: str = "MD5",
    ) -> tuple[str, str]:
        self.count += 1
        fields = (
            f'username="{user}", realm="{realm}", nonce="{self.nonce}", uri="{target}", cnonce="c", nc={self.count:08x}, qop=auth'
        )
        given = http_digest.parse(f'Digest {fields}, response="0", algorithm={algorithm}')
        assert given is not None
        kept = create(user, realm, password)
        response = http_digest.response(kept.ha1 if algorithm == "MD5" else kept.ha1_sha256, method, given)
        return "Authorization", f'Digest {fields}, response="{response}", algorithm={algorithm}'


@pytest.fixture
def alice(server: Server) -> Browser:
    kept = create("alice", "example.org", "secret")
    account_store.save(server.database, kept)
    return Browser(server)


# Who asks


@pytest.mark.rfc("XCS-047")
def test_a_password_is_asked_for_and_opens_the_own_home_only(alice: Browser) -> None:
    challenge = alice.ask("GET", HOME)
    assert re.fullmatch(
        'Digest realm="example.org", nonce="[0-9a-f]{56}", algorithm=MD5, qop="auth"', *challenge.headers["www-authenticate"]
    )
    assert alice.prove("PUT", HOME, TYPE, body=LISTS).status == 201
    assert alice.prove("GET", HOME).body.encode() == LISTS
    assert alice.prove("GET", HOME.replace("alice", "bob")).status == 403
    assert alice.prove("GET", CAPS).status == 200


@pytest.mark.rfc("XCS-047")
def test_sha_256_is_taken_where_it_is_configured(alice: Browser) -> None:
    alice.server.set(auth=replace(alice.server.settings.auth, algorithm="SHA-256"))
    alice.take(alice.ask("GET", CAPS))
    assert alice.ask("GET", CAPS, alice.credentials("GET", CAPS, algorithm="SHA-256")).status == 200
    assert alice.ask("GET", CAPS, alice.credentials("GET", CAPS)).status == 401


@pytest.mark.rfc("SEC-023")
@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "other"}, {"user": "bob"}, {"realm": "example.com"}, {"realm": "example.net"},
        {"algorithm": "SHA-256"}, {"method": "PUT"},
    ],
)  # fmt: skip
def test_what_does_not_prove_it_is_challenged_again(alice: Browser, wrong: dict[str, str]) -> None:
    alice.take(alice.ask("GET", HOME))
    method = wrong.pop("method", "GET")
    answer = alice.ask("GET", HOME, alice.credentials(method, HOME, **wrong))
    assert (answer.status, "stale" in answer.headers["www-authenticate"][0]) == (401, False)


@pytest.mark.rfc("SEC-028")
def test_a_wrong_password_is_one_line_in_the_log(alice: Browser) -> None:
    alice.take(alice.ask("GET", HOME))
    alice.ask("GET", HOME, alice.credentials("GET", HOME, password="other"))
    assert alice.server.lines("warn") == [f"authentication failed: user=alice realm=example.org source={STRANGER}"]


@pytest.mark.rfc("SEC-023")
def test_a_use_of_a_nonce_counts_once_in_any_order(alice: Browser) -> None:
    alice.take(alice.ask("GET", HOME))
    first, second = alice.credentials("GET", CAPS), alice.credentials("GET", CAPS)
    assert (alice.ask("GET", CAPS, second).status, alice.ask("GET", CAPS, first).status) == (200, 200)
    for used in (first, second):
        answer = alice.ask("GET", CAPS, used)
        assert (answer.status, "stale=true" in answer.headers["www-authenticate"][0]) == (401, True)


@pytest.mark.rfc("SEC-023")
@pytest.mark.parametrize("age", [-1, 301])
def test_a_nonce_that_is_too_old_is_stale(alice: Browser, monkeypatch: pytest.MonkeyPatch, handler: ModuleType, age: int) -> None:
    """Also one that was made before the server started: which of its counts were used is not known any more."""
    now = handler.time.time()
    alice.take(alice.ask("GET", CAPS))
    if age < 0:
        monkeypatch.setattr(handler.time, "time", lambda: now + 10)
        alice.server.set()
    else:
        monkeypatch.setattr(handler.time, "time", lambda: now + age + 1)
    answer = alice.ask("GET", CAPS, alice.credentials("GET", CAPS))
    assert (answer.status, "stale=true" in answer.headers["www-authenticate"][0]) == (401, True)
    alice.take(answer)
    assert alice.ask("GET", CAPS, alice.credentials("GET", CAPS)).status == 200


def test_a_clock_that_was_set_back_makes_no_new_nonce_old(
    alice: Browser, monkeypatch: pytest.MonkeyPatch, handler: ModuleType
) -> None:
    """As at boot, when the time comes over the network after the server has started. Nonces that seem to be of later are stale."""
    now = handler.time.time()
    alice.take(alice.ask("GET", CAPS))
    monkeypatch.setattr(handler.time, "time", lambda: now - 3600)
    answer = alice.ask("GET", CAPS, alice.credentials("GET", CAPS))
    assert (answer.status, "stale=true" in answer.headers["www-authenticate"][0]) == (401, True)
    alice.take(answer)
    assert alice.ask("GET", CAPS, alice.credentials("GET", CAPS)).status == 200


@pytest.mark.rfc("SEC-024")
def test_credentials_are_for_one_uri(alice: Browser) -> None:
    alice.take(alice.ask("GET", CAPS))
    other = alice.credentials("GET", HOME)
    assert alice.ask("GET", CAPS, other).status == 400
    assert alice.ask("GET", HOME + "?xmlns(a=b)", alice.credentials("GET", HOME)).status == 400
    assert alice.ask("GET", CAPS, alice.credentials("GET", f"http://example.org:8080{CAPS}")).status == 200


@pytest.mark.rfc("XCS-047")
def test_basic_is_offered_and_taken_over_tls_only(alice: Browser) -> None:
    basic = ("Authorization", "Basic " + base64.b64encode(b"alice:secret").decode())
    wrong = ("Authorization", "Basic " + base64.b64encode(b"alice:other").decode())
    plain = alice.ask("GET", CAPS, basic)
    assert (plain.status, len(plain.headers["www-authenticate"])) == (401, 1)
    alice.transport = "tls"
    assert alice.ask("GET", CAPS, basic).status == 200
    refused = alice.ask("GET", CAPS, wrong)
    assert (refused.status, refused.headers["www-authenticate"][1]) == (401, 'Basic realm="example.org", charset="UTF-8"')


@pytest.mark.parametrize(("user", "status"), [("alice@example.org", 200), ("alice@example.com", 401), ("alice@", 401)])
def test_the_user_name_may_be_the_whole_address(alice: Browser, user: str, status: int) -> None:
    alice.take(alice.ask("GET", CAPS))
    assert alice.ask("GET", HOME, alice.credentials("GET", HOME, user=user)).status == (404 if status == 200 else status)
    alice.transport = "tls"
    basic = ("Authorization", "Basic " + base64.b64encode(f"{user}:secret".encode()).decode())
    assert alice.ask("GET", CAPS, basic).status == status


def test_other_credentials_may_stand_before_ours(alice: Browser) -> None:
    alice.take(alice.ask("GET", CAPS))
    other = ("Authorization", "Bearer abc")
    assert alice.ask("GET", CAPS, other, alice.credentials("GET", CAPS)).status == 200


@pytest.mark.parametrize(
    ("target", "host", "realm"),
    [
        (CAPS, "example.org", "example.org"), (CAPS, "xcap.example.com:80", "example.com"), (CAPS, "elsewhere.net", "example.org"),
        (HOME.replace("example.org", "example.com"), "example.org", "example.com"),
        (HOME.replace("@example.org", "%40Example.COM"), "example.org", "example.com"),
    ],
)  # fmt: skip
def test_the_realm_is_the_domain_of_the_path_or_of_the_host(server: Server, target: str, host: str, realm: str) -> None:
    message = Message("GET", headers=[("Host", host)], source=(STRANGER, 1), connection=7, http_uri=target, transport="TCP")
    server.ksr.receive(message)
    server.handler.ksr_xhttp_event(None)
    assert f'realm="{realm}"' in server.ksr.http[-1].headers["www-authenticate"][0]


@pytest.mark.rfc("SEC-001")
def test_a_trusted_source_says_who_asks_and_nobody_else_does(server: Server) -> None:
    proxy, stranger = Browser(server, TRUSTED), Browser(server)
    assert proxy.ask("PUT", HOME, ASSERTED, TYPE, body=LISTS).status == 201
    assert proxy.ask("GET", HOME.replace("alice", "bob"), ASSERTED).status == 403
    assert proxy.ask("GET", HOME).status == 401
    assert proxy.ask("GET", HOME, ("X-3GPP-Asserted-Identity", '"tel:+1"')).status == 401
    assert stranger.ask("GET", HOME, ASSERTED).status == 401


def test_a_source_above_its_rate_waits(server: Server) -> None:
    server.set(auth=replace(server.settings.auth, max_rate=2))
    answers = [Browser(server).ask("GET", CAPS) for _ in range(3)]
    assert [answer.status for answer in answers] == [401, 401, 503]
    assert answers[-1].headers["retry-after"] == ["1"]
    assert Browser(server, TRUSTED).ask("GET", CAPS, ASSERTED).status == 200


# Answers


@pytest.fixture
def proxy(server: Server) -> Browser:
    return Browser(server, TRUSTED)


@pytest.mark.rfc("XCS-046")
@pytest.mark.parametrize("method", ["POST", "PATCH", "get", "TRACE", "CONNECT"])
def test_other_methods_are_not_allowed(proxy: Browser, method: str) -> None:
    answer = proxy.ask(method, HOME, ASSERTED)
    assert (answer.status, answer.headers["allow"]) == (405, ["GET, HEAD, PUT, DELETE, OPTIONS"])
    assert proxy.ask("OPTIONS", HOME).headers["allow"] == answer.headers["allow"]


@pytest.mark.parametrize("target", ["/", "/xcap-root", "/xcap-rootx/", "*", "/ws", "", "/other/resource-lists"])
def test_there_is_nothing_else(proxy: Browser, target: str) -> None:
    assert proxy.ask("GET", target, ASSERTED).status == 404


def test_nothing_is_served_where_documents_of_another_server_count(proxy: Browser, server: Server) -> None:
    assert proxy.ask("GET", CAPS, ASSERTED).status == 200
    server.set(xcap=replace(server.settings.xcap, xcap_root="http://xcap.example.net/"))
    assert proxy.ask("GET", CAPS, ASSERTED).status == 404


def test_nothing_is_served_where_the_configuration_does_not_want_it(proxy: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tests.ksr, "CONFIGURATION", tests.ksr.CONFIGURATION.replace("#!define WITH_XCAP\n", ""))
    assert proxy.ask("GET", CAPS, ASSERTED).status == 404


@pytest.mark.rfc("XCS-046")
def test_head_and_304_say_how_long_the_body_would_be_or_nothing(proxy: Browser) -> None:
    found = proxy.ask("GET", CAPS, ASSERTED)
    head = proxy.ask("HEAD", CAPS, ASSERTED)
    assert (head.status, head.reason, head.body) == (200, "OK", "")
    assert {name: head.headers[name] for name in found.headers} == found.headers
    unchanged = proxy.ask("GET", CAPS, ASSERTED, ("If-None-Match", found.headers["etag"][0]))
    assert (unchanged.status, unchanged.body, unchanged.headers.get("content-length")) == (304, "", None)
    assert unchanged.headers["etag"] == found.headers["etag"]


def test_a_client_that_wants_it_gets_its_connection_closed(proxy: Browser, ksr: KSR) -> None:
    proxy.ask("GET", CAPS, ASSERTED)
    assert not ksr.closing
    proxy.ask("GET", CAPS, ASSERTED, ("Connection", "Close"))
    assert ksr.closing
    proxy.ask("HEAD", CAPS, ASSERTED, ("Connection", "close"))
    assert ksr.called("tcpops.tcp_close_connection_id") == [(7,)]


def test_a_whole_uri_is_read_as_its_path(proxy: Browser) -> None:
    assert proxy.ask("GET", f"http://example.org:8080{CAPS}", ASSERTED).status == 200
    assert proxy.ask("GET", "http://example.org", ASSERTED).status == 404


@pytest.mark.rfc("XCS-050")
def test_a_body_above_the_limit_is_not_read(proxy: Browser, ksr: KSR) -> None:
    limit = proxy.server.settings.xcap.max_document
    ksr.calls.clear()
    assert proxy.ask("PUT", HOME, ASSERTED, TYPE, body=b" " * (limit + 1)).status == 413
    assert ("$rb",) not in ksr.called("pv.get")


@pytest.mark.parametrize("body", [b"\xff\x00", "<a>\xe9</a>".encode("latin-1")])
def test_a_body_that_is_no_utf8_is_refused_as_such(proxy: Browser, body: bytes) -> None:
    answer = proxy.ask("PUT", HOME, ASSERTED, TYPE, body=body)
    assert (answer.status, "<not-utf-8 " in answer.body) == (409, True)


@pytest.mark.parametrize(
    "header", [("Transfer-Encoding", "chunked"), ("If-Match", '"' + "a" * 5000 + '"'), ("If-None-Match", b'"\xff"')]
)
def test_header_fields_that_cannot_be_read_are_refused(proxy: Browser, header: tuple[str, str | bytes]) -> None:
    assert proxy.ask("GET", CAPS, ASSERTED, header).status == 400


def test_several_lines_of_a_condition_count_together(proxy: Browser) -> None:
    tag = proxy.ask("PUT", HOME, ASSERTED, TYPE, body=LISTS).headers["etag"][0]
    assert proxy.ask("GET", HOME, ASSERTED, ("If-None-Match", '"a"'), ("If-None-Match", f'"b", {tag}')).status == 304


@pytest.mark.parametrize(
    ("problem", "status"), [(Unavailable("locked"), 503), (RuntimeError("broken"), 500), (BadRequest("wrong"), 400)]
)
def test_what_goes_wrong_becomes_one_answer(
    proxy: Browser, monkeypatch: pytest.MonkeyPatch, handler: ModuleType, problem: Exception, status: int
) -> None:
    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr("kemi.xcap.serve.serve", fail)
    assert proxy.ask("GET", CAPS, ASSERTED).status == status


def test_one_conflict_in_the_database_is_tried_again(proxy: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    from kemi.database import Conflict
    from kemi.xcap import serve

    failures = [Conflict("deadlock")]
    plain = serve.serve

    def once(*arguments: object) -> object:
        if failures:
            raise failures.pop()
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("kemi.xcap.serve.serve", once)
    assert proxy.ask("GET", CAPS, ASSERTED).status == 200


def test_a_websocket_is_let_through(proxy: Browser, ksr: KSR) -> None:
    ksr.receive(Message("GET", headers=[("Upgrade", "WebSocket")], http_uri="/ws?x", transport="TCP"))
    proxy.server.handler.ksr_xhttp_event(None)
    assert (ksr.called("websocket.handle_handshake"), ksr.http) == ([()], [])


def test_these_tests_compute_the_response_as_the_rfc_does(alice: Browser) -> None:
    """RFC 7616 section 3.4.1, written out."""
    alice.nonce = "n"
    _name, value = alice.credentials("GET", "/")
    ha1, ha2 = (hashlib.md5(text.encode()).hexdigest() for text in ("alice:example.org:secret", "GET:/"))
    assert hashlib.md5(f"{ha1}:n:00000001:c:auth:{ha2}".encode()).hexdigest() in value
