"""XCAP over HTTP and HTTPS with a real client (RFC 4825): what several workers, and Kamailio in front, could spoil."""

import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import ROOT, Server, free_port
from tests.useragent import UserAgent, pidf
from tests.wire.observe import rows

PASSWORD = "secret"
LISTS = b'<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="friends"></list></resource-lists>'
TYPE = {"Content-Type": "application/resource-lists+xml"}
ELEMENT = {"Content-Type": "application/xcap-el+xml"}
NODE = "/~~/resource-lists/list%5b@name=%22friends%22%5d/entry%5b@uri=%22{}%22%5d"
MANY = 24

_numbers = count(1)


class Client(httpx.Client):
    """A user of its own for each test, whom a trusted proxy vouches for unless there is a password."""

    def __init__(self, server: Server, user: str = "", password: str = "", base: str = "") -> None:
        self.user = user or f"lister{next(_numbers)}"
        self.uri = f"sip:{self.user}@example.org"
        more: dict[str, Any] = {"headers": {"X-3GPP-Asserted-Identity": f'"{self.uri}"'}}
        if password:
            more = {"auth": httpx.DigestAuth(self.user, password)}
        super().__init__(base_url=base or f"http://127.0.0.1:{server.http_port}/xcap-root", verify=False, timeout=20, **more)

    def path(self, auid: str = "resource-lists", name: str = "index") -> str:
        return f"/{auid}/users/{self.uri}/{name}"


@pytest.fixture
def alice(server: Server) -> Iterator[Client]:
    with Client(server) as client:
        yield client


def connection_of(answer: httpx.Response) -> object:
    return answer.extensions["network_stream"].get_extra_info("client_addr")


@pytest.mark.rfc("XCS-003")
@pytest.mark.rfc("XCS-046")
def test_all_answers_come_over_one_connection(alice: Client) -> None:
    path = alice.path()
    answers = [alice.get(path), alice.put(path, content=LISTS, headers=TYPE), alice.get(path), alice.head(path)]
    tag = answers[-1].headers["ETag"]
    answers += [alice.get(path, headers={"If-None-Match": tag}), alice.get(path), alice.head(alice.path(name="none"))]
    answers += [alice.put(path, content=b"<a/>", headers=TYPE), alice.post(path), alice.options(path), alice.delete(path)]
    assert [answer.status_code for answer in answers] == [404, 201, 200, 200, 304, 200, 404, 409, 405, 200, 200]
    assert answers[2].content == answers[5].content == LISTS
    assert {answer.headers.get("ETag") for answer in answers[1:6]} == {tag}
    assert answers[3].headers["Content-Length"] == str(len(LISTS))
    assert len({connection_of(answer) for answer in answers}) == 1


@pytest.mark.rfc("XCS-030")
@pytest.mark.rfc("XCS-009")
@pytest.mark.rfc("XCS-012")
def test_a_document_with_anything_in_it_comes_back_octet_for_octet(alice: Client) -> None:
    body = LISTS.replace(b"></list>", "><display-name>J\xfcrgen \u4e2d\U0001f600</display-name>\r\n\t</list>".encode())
    path = alice.path(name="caf%c3%a9%20%22")
    assert alice.put(path, content=body, headers=TYPE).status_code == 201
    assert alice.get(alice.path(name="caf%C3%A9%20%22")).content == body
    name = alice.get(path + "/~~/resource-lists/list/display-name")
    assert name.text == "<display-name>J\xfcrgen \u4e2d\U0001f600</display-name>"
    assert alice.get(path + "/~~/r:resource-lists/r:list/@name?xmlns(r=urn:ietf:params:xml:ns:resource-lists)").text == '"friends"'


@pytest.mark.rfc("XCS-048")
def test_elements_that_are_put_at_the_same_time_are_all_there(server: Server, alice: Client) -> None:
    alice.put(alice.path(), content=LISTS, headers=TYPE)

    def put(number: int) -> int:
        uri = f"sip:friend{number}@example.org"
        with Client(server, alice.user) as client:
            return client.put(alice.path() + NODE.format(uri), content=f'<entry uri="{uri}"/>', headers=ELEMENT).status_code

    with ThreadPoolExecutor(MANY) as pool:
        assert list(pool.map(put, range(MANY))) == [201] * MANY
    found = alice.get(alice.path()).text
    assert [found.count(f'<entry uri="sip:friend{number}@example.org"/>') for number in range(MANY)] == [1] * MANY


@pytest.mark.rfc("XCS-048")
@pytest.mark.rfc("XCS-017")
def test_of_many_changes_of_one_state_exactly_one_succeeds(server: Server, alice: Client) -> None:
    def put(condition: dict[str, str], number: int) -> httpx.Response:
        body = LISTS.replace(b"friends", f"{next(iter(condition.values()))} {number}".replace('"', "").encode())
        with Client(server, alice.user) as client:
            return client.put(alice.path(), content=body, headers=TYPE | condition)

    condition = {"If-None-Match": "*"}
    for first in (201, 200, 200):
        with ThreadPoolExecutor(MANY) as pool:
            answers = list(pool.map(put, [condition] * MANY, range(MANY)))
        assert sorted(answer.status_code for answer in answers) == [first] + [412] * (MANY - 1)
        (winner,) = (answer.headers["ETag"] for answer in answers if answer.status_code == first)
        assert alice.get(alice.path()).headers["ETag"] == winner
        condition = {"If-Match": winner}


@pytest.mark.rfc("XCS-039")
def test_of_many_services_with_one_uri_exactly_one_is_stored(server: Server) -> None:
    service = '<service uri="sip:wanted-by-many@example.org"><list/></service>'
    body = f'<rls-services xmlns="urn:ietf:params:xml:ns:rls-services">{service}</rls-services>'
    head = {"Content-Type": "application/rls-services+xml"}

    def put(_: int) -> int:
        with Client(server) as client:
            return client.put(client.path("rls-services"), content=body, headers=head).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(put, range(8))) == [201] + [409] * 7


@pytest.mark.rfc("XCS-050")
@pytest.mark.parametrize("octets", [300_000, 1_048_576])
def test_a_large_body_is_refused_with_an_answer(server: Server, alice: Client, octets: int) -> None:
    alice.put(alice.path(), content=LISTS, headers=TYPE)
    answer = alice.put(alice.path(), content=b" " * octets, headers=TYPE)
    after = alice.get(alice.path())
    assert (answer.status_code, after.content, connection_of(after)) == (413, LISTS, connection_of(answer))


def test_a_client_may_ask_before_it_sends_a_body(server: Server, alice: Client) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port), 10) as connection, connection.makefile("rb") as answers:
        head = f"PUT /xcap-root{alice.path()} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {len(LISTS)}\r\n"
        lines = [f"{name}: {value}" for name, value in (TYPE | dict(alice.headers)).items() if name != "connection"]
        connection.sendall((head + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode())
        assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
        while answers.readline() != b"\r\n":
            pass
        connection.sendall(LISTS)
        assert answers.readline() == b"HTTP/1.1 201 Created\r\n"


def test_requests_may_be_sent_before_the_last_one_is_answered(server: Server, alice: Client) -> None:
    request = f'GET /xcap-root/xcap-caps/global/index HTTP/1.1\r\nHost: a\r\nX-3GPP-Asserted-Identity: "{alice.uri}"\r\n'
    with socket.create_connection(("127.0.0.1", server.http_port), 10) as connection:
        connection.sendall(f"{request}\r\n{request.replace('GET', 'HEAD', 1)}\r\n{request}Connection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert (received.count(b"HTTP/1.1 200 OK\r\n"), received.count(b"</xcap-caps>")) == (3, 2)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /xcap-root/\xff HTTP/1.1\r\nHost: a", 400), (b"GET /xcap-root/xcap-caps/global/index HTTP/1.1\r\nX: y", 400),
        (b"GET http://a/xcap-root/x HTTP/1.1\r\nHost: a", 404), (b"GET /xcap-root/%0d%0aX:y/users/a/b HTTP/1.1\r\nHost: a", 404),
        (b"GET /xcap-root/%zz/users/a/b HTTP/1.1\r\nHost: a", 400), (b"OPTIONS * HTTP/1.1\r\nHost: a", 404),
        (b"GET /xcap-root/" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a", 400), (b"BREW /xcap-root/a HTTP/1.1\r\nHost: a", 405),
        (b"GET /xcap-root/xcap-caps/global/index HTTP/1.1\r\nHost: a\r\nIf-Match: \xff", 400),
    ],
)  # fmt: skip
def test_strange_requests_get_an_answer(server: Server, alice: Client, head: bytes, status: int) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port), 10) as connection:
        connection.sendall(head + f'\r\nX-3GPP-Asserted-Identity: "{alice.uri}"\r\nConnection: close\r\n\r\n'.encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert alice.get("/xcap-caps/global/index").status_code == 200


@pytest.mark.rfc("XCS-043")
def test_hard_state_reaches_watchers(server: Server, alice: Client) -> None:
    watcher = UserAgent(server.address, "watcher-of-hard-state")
    watcher.subscribe(alice.uri)
    watcher.notify()
    body = pidf("open", alice.user, note="until Monday")
    answer = alice.put(alice.path("pidf-manipulation"), content=body, headers={"Content-Type": "application/pidf+xml"})
    assert (answer.status_code, b"until Monday" in watcher.notify().body) == (201, True)
    assert (alice.delete(alice.path("pidf-manipulation")).status_code, b"until Monday" in watcher.notify().body) == (200, False)
    watcher.close()


def test_the_log_holds_no_documents_and_no_dumps(server: Server, alice: Client) -> None:
    before = server.log.stat().st_size
    alice.put(alice.path(), content=LISTS.replace(b"friends", b"very-secret"), headers=TYPE)
    alice.get(alice.path())
    alice.get(alice.path(name="none"))
    alice.put(alice.path(), content=b"<very-secret>", headers=TYPE)
    log = server.log.read_bytes()[before:].decode(errors="replace")
    assert f"document stored: auid=resource-lists tree=users xui={alice.uri} name=index" in log
    assert ("very-secret" in log, "parse_first_line" in log) == (False, False)


# Other servers


@pytest.fixture
def strict(start_server: Callable[..., Server], tmp_path: Path) -> Server:
    """It believes nobody without a password, and speaks TLS."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=example.org", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject], check=True, capture_output=True)
    files = {"KP_TLS_KEY": str(key), "KP_TLS_CERTIFICATE": str(certificate), "KP_TLS_PORT": str(free_port())}
    server = start_server({"KP_TRUSTED": "", "KP_DEFINES": "WITH_TLS"} | files)
    server.control("user", "add", "alice@example.org", "--password", PASSWORD)
    return server


@pytest.mark.rfc("XCS-047")
def test_a_client_with_a_password_works_over_http_and_https(strict: Server) -> None:
    with Client(strict, "alice", PASSWORD) as plain:
        assert plain.put(plain.path(), content=LISTS, headers=TYPE).status_code == 201
        assert [plain.get(plain.path()).status_code for _ in range(3)] == [200] * 3
        assert plain.get(plain.path().replace("alice", "bob")).status_code == 403
    with Client(strict, "alice", "guessed") as stranger:
        assert stranger.get(stranger.path()).status_code == 401
    base = f"https://127.0.0.1:{strict.variables['KP_TLS_PORT']}/xcap-root"
    with Client(strict, "alice", PASSWORD, base) as secure:
        answers = [
            secure.get(secure.path()),
            secure.head(secure.path()),
            secure.put(secure.path(), content=LISTS + b"\n", headers=TYPE),
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len({connection_of(answer) for answer in answers}) == 1
        secure.auth = httpx.BasicAuth("alice", PASSWORD)
        assert secure.get(secure.path()).content == LISTS + b"\n"


LISTS_OF_BLINK = (
    '<resource-lists xmlns="urn:ietf:params:xml:ns:resource-lists"><list name="oma_grantedcontacts">'
    '<external anchor="http%3A//a/b"/></list><list name="friends"><entry uri="bob%40example.org"><display-name>Bob</display-name>'
    "</entry></list></resource-lists>"
)
RULES_OF_BLINK = (
    '<cp:ruleset xmlns:cp="urn:ietf:params:xml:ns:common-policy" xmlns="urn:ietf:params:xml:ns:pres-rules" '
    'xmlns:oma="urn:oma:xml:xdm:common-policy"><cp:rule id="wp_prs_grantedcontacts"><cp:conditions><oma:external-list>'
    '<oma:entry anc="{}"/></oma:external-list></cp:conditions><cp:actions><sub-handling>allow</sub-handling></cp:actions>'
    '</cp:rule><cp:rule id="wp_prs_allow_own"><cp:conditions><cp:identity><cp:one id="sip%3Aalice%40example.org"/></cp:identity>'
    "</cp:conditions><cp:actions><sub-handling>allow</sub-handling></cp:actions></cp:rule></cp:ruleset>"
)
SERVICES_OF_BLINK = (
    '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services"><service uri="sip%3Aalice%2Bpresence%40example.org">'
    "<resource-list>{}</resource-list><packages><package>presence</package></packages></service></rls-services>"
)


@pytest.mark.rfc("XCS-044")
def test_blink_stores_and_fetches_its_documents_with_conditions(strict: Server) -> None:
    """Capabilities, five documents at the same time, then whole documents with conditions, their URIs percent-encoded."""
    home = f"http%3A//127.0.0.1%3A{strict.http_port}/xcap-root/resource-lists/users/sip%3Aalice%40example.org"
    granted = f"{home}/index/~~/resource-lists/list%5B%40name%3D%22oma_grantedcontacts%22%5D"
    documents = {("resource-lists", "index"): ("application/resource-lists+xml", LISTS_OF_BLINK)}
    documents["org.openmobilealliance.pres-rules", "index"] = ("application/auth-policy+xml", RULES_OF_BLINK.format(granted))
    documents["rls-services", "index"] = ("application/rls-services+xml", SERVICES_OF_BLINK.format(granted))
    documents["pidf-manipulation", "index"] = ("application/pidf+xml", pidf("closed", "alice").decode())
    documents["test-app", "icon"] = ("application/test-app+xml", '<foo xmlns="urn:test:default-namespace"/>')
    with Client(strict, "alice", PASSWORD) as blink:
        assert "rls-services" in blink.get("/xcap-caps/global/index").text

        def get(place: tuple[str, str]) -> int:
            with Client(strict, "alice", PASSWORD) as other:
                return other.get(blink.path(*place)).status_code

        with ThreadPoolExecutor(5) as pool:
            assert list(pool.map(get, documents)) == [404] * 5
        for place, (content_type, text) in documents.items():
            head = {"Content-Type": content_type}
            created = blink.put(blink.path(*place), content=text, headers=head | {"If-None-Match": "*"})
            assert (created.status_code, created.text) == (201, "")
            changed = blink.put(blink.path(*place), content=f"{text}\n", headers=head | {"If-Match": created.headers["ETag"]})
            assert changed.status_code == 200
            assert blink.get(blink.path(*place), headers={"If-None-Match": changed.headers["ETag"]}).status_code == 304
            assert blink.get(blink.path(*place)).text == f"{text}\n"
    assert rows(strict, "SELECT uri FROM xcap_service") == [("sip:alice+presence@example.org",)]


def test_documents_outlive_a_crash(start_server: Callable[..., Server]) -> None:
    server = start_server()
    with Client(server) as alice:
        tag = alice.put(alice.path(), content=LISTS, headers=TYPE).headers["ETag"]
    server.kill()
    server.start()
    with Client(server, alice.user) as again:
        found = again.get(again.path())
        assert (found.content, found.headers["ETag"]) == (LISTS, tag)


def test_xcap_needs_no_websocket(start_server: Callable[..., Server], tmp_path: Path) -> None:
    file = tmp_path / "kamailio.cfg"
    text = (ROOT / "kamailio.cfg").read_text().replace("#!define WITH_WEBSOCKET", "##!define WITH_WEBSOCKET")
    file.write_text(text.replace('include_file "kemi-presence.cfg"', f'include_file "{ROOT}/kemi-presence.cfg"'))
    with Client(start_server({"KP_CONFIGURATION": str(file)})) as alice:
        assert alice.put(alice.path(), content=LISTS, headers=TYPE).status_code == 201
