"""Documents that a plain web server has, Debian's nginx, in the running server: fetched beside SIP, however slow that is."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from kemi import parameters
from tests.nginx import Nginx, Silence
from tests.server import Server, free_port
from tests.useragent import UserAgent, pidf
from tests.wire.observe import change, rows, wait_until

RULES_WIRED = "xcap" in parameters.known()["pa.auth"].metadata["choices"]
needs_rules = pytest.mark.skipif(not RULES_WIRED, reason="pa.auth = xcap is not there")

ALLOW = b"""<?xml version="1.0" encoding="UTF-8"?>
<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">
  <rule id="bob">
    <conditions><identity><one id="sip:bob@example.org"/></identity></conditions>
    <actions><pr:sub-handling>allow</pr:sub-handling></actions>
    <transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations>
  </rule>
</ruleset>
"""
BLOCK = ALLOW.replace(b"allow", b"block")
BROKEN = ALLOW.removesuffix(b"</ruleset>\n")
RULES_FILE = "pres-rules/users/alice/presence-rules.xml"
ALICE = "sip:alice@example.org"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    web = Nginx(tmp_path / "nginx", free_port())
    yield web
    web.stop()


@pytest.fixture
def silence(nginx: Nginx) -> Iterator[Silence]:
    """In the place of nginx, until it is closed."""
    silent = Silence(nginx.port)
    yield silent
    silent.close()


@pytest.fixture
def serve(start_server: Callable[..., Server], nginx: Nginx) -> Callable[..., Server]:
    """Starts a server whose documents are there."""

    def start(variables: Mapping[str, str] | None = None, **values: object) -> Server:
        usual = {
            "pa.notify_interval": 0, "pa.auth_rules_refresh_time": 1, "pa.pres_rules_file": "presence-rules.xml",
            "xcap.xcap_root": nginx.root, "xcap.fetch_folder": "user", "xcap.fetch_timeout": 2,
        }  # fmt: skip
        settings = usual | {name.replace("__", "."): value for name, value in values.items()}
        return start_server({"KP_SET": ";".join(f"{name}={value}" for name, value in settings.items()), **(variables or {})})

    return start


@pytest.fixture
def agent() -> Iterator[Callable[[Server, str], UserAgent]]:
    made: list[UserAgent] = []

    def make(server: Server, user: str) -> UserAgent:
        made.append(UserAgent(server.address, user))
        return made[-1]

    yield make
    for each in made:
        each.close()


Agent = Callable[[Server, str], UserAgent]


def ask(server: Server, nginx: Nginx, name: str = RULES_FILE, auid: str = "pres-rules") -> None:
    """Have a document fetched, as if somebody had needed it."""
    change(
        server,
        "INSERT INTO fetched (owner, uri, auid, known, body, etag, since, asked, failures, next_at) "
        f"VALUES ('{ALICE}', '{nginx.root}/{quote(name)}', '{auid}', 'unknown', NULL, '', 4000000000, 1, 0, 0)",
    )


def known(server: Server) -> str:
    ((word, octets),) = rows(server, "SELECT known, length(body) FROM fetched")
    return word if octets is None else f"{word} of {octets}"


def state_told(watcher: UserAgent, timeout: float = 15.0) -> str:
    return watcher.notify(timeout=timeout).get("Subscription-State").partition(";")[0]


# Without rules: what is in the table


@pytest.mark.rfc("XCC-001", "XCC-002", "XCC-007")
def test_documents_come_change_and_go_as_the_files_do(serve: Callable[..., Server], nginx: Nginx, agent: Agent) -> None:
    nginx.put(RULES_FILE, ALLOW)
    nginx.start()
    server = serve()
    watcher = agent(server, "bob")
    assert watcher.subscribe(ALICE).status == 200
    watcher.notify()
    ask(server, nginx)
    wait_until(lambda: known(server) == f"document of {len(ALLOW)}", "the document is there")
    wait_until(lambda: any('" 304 ' in line for line in nginx.requests), "it is asked for again, by its ETag")
    nginx.put(RULES_FILE, b"<ruleset/>")
    wait_until(lambda: known(server) == "document of 10", "the other document is there")
    nginx.put(RULES_FILE, BROKEN)
    wait_until(lambda: "no pres-rules document" in server.log.read_text(), "a broken document is told")
    assert known(server) == "document of 10"
    nginx.put(RULES_FILE, None)
    wait_until(lambda: known(server) == "missing", "there is none any more")


@pytest.mark.rfc("XCC-002")
def test_requests_are_answered_while_the_other_server_says_nothing(
    serve: Callable[..., Server], nginx: Nginx, silence: Silence, agent: Agent
) -> None:
    nginx.put(RULES_FILE, ALLOW)
    server = serve(xcap__fetch_timeout=60)
    for user in range(20):
        ask(server, nginx, f"pres-rules/users/user{user}/presence-rules.xml")
    wait_until(lambda: rows(server, "SELECT 1 FROM fetched WHERE next_at > 0"), "they are being fetched")
    for user in range(20):
        watcher = agent(server, f"bob{user}")
        assert watcher.subscribe(f"sip:user{user}@example.org").status == 200
        assert watcher.notify().get("Subscription-State").startswith(("active", "pending"))
        assert agent(server, f"user{user}").publish(pidf(user=f"user{user}")).status == 200


@pytest.mark.rfc("XCC-001")
def test_documents_come_when_the_other_server_is_back(serve: Callable[..., Server], nginx: Nginx, silence: Silence) -> None:
    nginx.put(RULES_FILE, ALLOW)
    server = serve(xcap__fetch_timeout=1)
    ask(server, nginx)
    wait_until(lambda: "XCAP server silent" in server.log.read_text(), "its silence is told")
    assert known(server) == "unknown"
    silence.close()
    nginx.start()
    wait_until(lambda: known(server) == f"document of {len(ALLOW)}", "the document is there")
    assert server.log.read_text().count("XCAP server answers again") == 1


@pytest.mark.rfc("XCC-004")
def test_documents_come_over_https_beside_kamailios_own_tls(serve: Callable[..., Server], tmp_path: Path) -> None:
    key, own, both = (tmp_path / f"{each}.pem" for each in ("key", "certificate", "both"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=xcap"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(own)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both.write_text(key.read_text() + own.read_text())
    files = {"KP_DEFINES": "WITH_TLS", "KP_TLS_PORT": str(free_port()), "KP_TLS_KEY": str(key), "KP_TLS_CERTIFICATE": str(own)}
    web = Nginx(tmp_path / "https", free_port(), both)
    web.put(RULES_FILE, ALLOW)
    web.start()
    try:
        server = serve(files, xcap__xcap_root=web.root, xcap__fetch_ca=own)
        ask(server, web)
        wait_until(lambda: known(server) == f"document of {len(ALLOW)}", "the document is there")
    finally:
        web.stop()


# With rules


@needs_rules
@pytest.mark.rfc("XCC-001", "XCC-002", "XCC-012")
def test_a_watcher_is_pending_while_the_other_server_says_nothing_and_active_when_it_is_back(
    serve: Callable[..., Server], nginx: Nginx, silence: Silence, agent: Agent
) -> None:
    nginx.put(RULES_FILE, ALLOW)
    server = serve(pa__auth="xcap", xcap__fetch_timeout=1)
    watcher = agent(server, "bob")
    assert watcher.subscribe(ALICE).status == 200
    assert state_told(watcher) == "pending"
    wait_until(lambda: "XCAP server silent" in server.log.read_text(), "its silence is told")
    silence.close()
    nginx.start()
    assert state_told(watcher) == "active"


@needs_rules
@pytest.mark.rfc("XCC-012", "AUTH-004", "AUTH-005")
def test_who_watches_follows_the_file(serve: Callable[..., Server], nginx: Nginx, agent: Agent) -> None:
    nginx.put(RULES_FILE, ALLOW)
    nginx.start()
    server = serve(pa__auth="xcap")
    watcher = agent(server, "bob")
    assert watcher.subscribe(ALICE).status == 200
    assert [state_told(watcher), state_told(watcher)] == ["pending", "active"]
    nginx.put(RULES_FILE, None)
    assert state_told(watcher) == "pending"
    nginx.put(RULES_FILE, ALLOW)
    assert state_told(watcher) == "active"
    nginx.put(RULES_FILE, BROKEN)
    wait_until(lambda: "no pres-rules document" in server.log.read_text(), "a broken document is told")
    nginx.put(RULES_FILE, BLOCK)
    assert state_told(watcher) == "terminated"
