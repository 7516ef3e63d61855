"""Digest as clients do it (RFC 7616, RFC 3261 section 22): one nonce used on, retransmissions, credentials for others."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server import Server
from tests.useragent import Message, UserAgent, pidf

DOMAIN, PASSWORD = "example.org", 'pass"word'
ALICE = f"sip:alice@{DOMAIN}"
FOREIGN = 'Digest username="bob", realm="elsewhere.example", nonce="1", uri="sip:x", response="00"'
FAKE = f'Digest username="alice", realm="{DOMAIN}", nonce="x", uri="{ALICE}", response="00"'

pytestmark = [pytest.mark.interop, pytest.mark.parametrize("engine", ["sqlite"], indirect=True)]


@dataclass
class Client:
    """A raw client of one user that answers challenges."""

    agent: UserAgent
    password: str = PASSWORD
    nonce: str = ""
    count: int = 0
    cseq: int = 0
    algorithm: str = "MD5"
    name: str = "alice"

    def ask(self, method: str, *before: str, uri: str = "") -> Message:
        """Send a request, with credentials once there was a challenge; `before` are header lines that come first."""
        uri = uri or (f"sip:{DOMAIN}" if method == "REGISTER" else ALICE)
        answer = self.send(method, *before, *([self.credentials(method, uri)] if self.nonce else []), uri=uri)
        if answer.status == 401:
            self.nonce, self.count = parameter(answer.get("WWW-Authenticate"), "nonce"), 0
        return answer

    def send(self, method: str, *before: str, uri: str = "") -> Message:
        """Send a request; `before` are header lines that come first."""
        self.cseq += 1
        uri = uri or (f"sip:{DOMAIN}" if method == "REGISTER" else ALICE)
        lines = [*before, "Event: presence", "Expires: 600"]
        lines += [f"Contact: <{self.agent.contact}>"] if method != "PUBLISH" else ["Content-Type: application/pidf+xml"]
        body = pidf(user=self.agent.user) if method == "PUBLISH" else b""
        return self.agent.request(method, uri, *lines, to=f"<{ALICE}>", cseq=self.cseq, body=body)

    def credentials(self, method: str, uri: str, qop: str = "auth") -> str:
        """The Authorization line for the next use of the nonce; no qop: as RFC 2069 has it."""
        self.count += 1
        count, cnonce = f"{self.count:08x}", secrets.token_hex(4)
        ha1 = self.hash(f"{self.name}:{DOMAIN}:{self.password}")
        used = f"{count}:{cnonce}:{qop}:" if qop else ""
        response = self.hash(f"{ha1}:{self.nonce}:{used}{self.hash(f'{method}:{uri}')}")
        return (
            f'Authorization: Digest username="{self.name}", realm="{DOMAIN}", nonce="{self.nonce}", uri="{uri}", '
            f'response="{response}", algorithm={self.algorithm}' + (f', qop={qop}, cnonce="{cnonce}", nc={count}' if qop else "")
        )

    def hash(self, text: str) -> str:
        """By the algorithm of the challenge (RFC 8760)."""
        return hashlib.new(self.algorithm.replace("-", ""), text.encode()).hexdigest()


def parameter(header: str, name: str) -> str:
    """A quoted parameter."""
    match = re.search(rf'{name}="([^"]*)"', header)
    return match[1] if match else ""


@pytest.fixture(scope="module")
def strict_server(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that believes nobody without a password; alice has one."""
    folder = tmp_path_factory.mktemp("strict")
    running = Server({"KP_DB_URL": new_database(folder), "KP_TRUSTED": "", "KP_SET": "auth.max_rate=0"}, folder).start()
    running.control("user", "add", f"alice@{DOMAIN}", "--password", PASSWORD)
    yield running
    running.stop()


@pytest.fixture
def alice(strict_server: Server) -> Iterator[Client]:
    """Alice, with a device of her own for each test."""
    agent = UserAgent(strict_server.address, "alice")
    yield Client(agent)
    agent.close()


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "PUBLISH"])
def test_a_user_agent_server_asks_with_401(alice: Client, method: str) -> None:
    challenge = alice.ask(method)
    assert challenge.status == 401
    assert parameter(challenge.get("WWW-Authenticate"), "realm") == DOMAIN
    assert parameter(challenge.get("WWW-Authenticate"), "qop") == "auth"
    assert not challenge.get("Proxy-Authenticate")
    assert alice.ask(method).status == 200


def test_the_user_name_may_be_the_whole_address(alice: Client) -> None:
    alice.name = f"alice@{DOMAIN}"
    assert [alice.ask(method).status for method in ("REGISTER", "REGISTER", "PUBLISH", "SUBSCRIBE")] == [401, 200, 200, 200]
    alice.name = "alice@example.net"
    assert alice.ask("PUBLISH").status == 401


def test_one_nonce_serves_several_requests(alice: Client) -> None:
    assert alice.ask("REGISTER").status == 401
    assert [alice.ask(method).status for method in ("REGISTER", "PUBLISH", "SUBSCRIBE", "PUBLISH")] == [200] * 4


def test_a_nonce_count_used_before_is_stale(alice: Client) -> None:
    """Clients that send their credentials again get a new nonce and know that the password was right."""
    alice.ask("REGISTER")
    assert alice.ask("REGISTER").status == 200
    alice.count = 0
    answer = alice.ask("REGISTER")
    assert answer.status == 401
    assert "stale=true" in answer.get("WWW-Authenticate")
    assert alice.ask("REGISTER").status == 200


def test_a_wrong_password_is_not_stale(alice: Client) -> None:
    alice.password = "guessed"
    alice.ask("PUBLISH")
    answer = alice.ask("PUBLISH")
    assert answer.status == 401
    assert "stale" not in answer.get("WWW-Authenticate")


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "PUBLISH"])
def test_a_retransmission_gets_the_same_answer(alice: Client, method: str) -> None:
    """Its nonce count was seen already, but it is the same request."""
    alice.ask(method)
    answer = alice.ask(method)
    assert answer.status == 200
    alice.agent.send_raw(alice.agent.sent)
    assert alice.agent.response(alice.agent.branch).raw == answer.raw


@pytest.mark.parametrize("method", ["REGISTER", "PUBLISH"])
@pytest.mark.parametrize("header", ["Authorization", "Proxy-Authorization"])
def test_credentials_for_others_stand_beside_ours(alice: Client, method: str, header: str) -> None:
    assert alice.ask(method, f"{header}: {FOREIGN}").status == 401
    assert alice.ask(method, f"{header}: {FOREIGN}").status == 200


@pytest.mark.rfc("SEC-024")
@pytest.mark.parametrize(("uri", "status"), [(f"sip:sip.{DOMAIN}", 200), ("sip:192.0.2.7", 200), ("sip:elsewhere.example", 404)])
def test_a_registrar_may_be_known_by_a_name_below_its_domain_or_by_an_address(alice: Client, uri: str, status: int) -> None:
    alice.ask("REGISTER")
    assert alice.ask("REGISTER", uri=uri).status == status


@pytest.mark.rfc("SEC-024")
def test_credentials_for_another_server_are_not_taken(alice: Client) -> None:
    alice.ask("REGISTER")
    assert alice.send("REGISTER", alice.credentials("REGISTER", "sip:elsewhere.example")).status == 401


@pytest.mark.rfc("SEC-024")
@pytest.mark.parametrize("method", ["PUBLISH", "REGISTER"])
@pytest.mark.parametrize(
    ("header", "realm", "fake"),
    [
        ("Proxy-Authorization", DOMAIN, FAKE),
        ("Proxy-Authorization", DOMAIN, FAKE.replace(f'"{DOMAIN}"', f"{DOMAIN}\u00a0x")),
        ("Proxy-Authorization", DOMAIN, FAKE.replace("Digest", "Dige\u017ft")),
        ("Authorization", DOMAIN.upper(), FAKE),
        ("Authorization", DOMAIN, FAKE.replace('username="alice", ', "")),
        ("Authorization", DOMAIN.upper(), FAKE.replace("Digest ", 'Digest opaque=", ')),
        ("Authorization", DOMAIN.upper(), FAKE.replace("Digest", "Other")),
    ],
)
def test_credentials_for_another_server_are_not_taken_beside_others(
    alice: Client, method: str, header: str, realm: str, fake: str
) -> None:
    """Whoever got them there sends them here, with others to be looked at."""
    alice.ask(method)
    caught = alice.credentials(method, "sip:alice@elsewhere.example").replace(f'realm="{DOMAIN}"', f'realm="{realm}"')
    assert alice.send(method, caught.replace("Authorization", header), f"Authorization: {fake}").status == 401
    assert alice.send(method, caught + ', x uri="sip:alice@example.org"').status == 401


@pytest.mark.rfc("SEC-023")
@pytest.mark.parametrize("method", ["PUBLISH", "REGISTER"])
@pytest.mark.parametrize("count", ["", ", nc={:08x}", ', NC = "{:08x}"', ', nc={:08x}, qop=""'])
def test_without_qop_a_nonce_serves_once(alice: Client, method: str, count: str) -> None:
    """A nonce count is in no hash then: anybody can write the next one."""
    alice.ask(method)
    given = alice.credentials(method, ALICE, qop="")
    answers = [alice.send(method, given + count.format(number)) for number in (1, 2)]
    assert [each.status for each in answers] == [200, 401]
    assert "stale=true" in answers[1].get("WWW-Authenticate")


@pytest.mark.rfc("SEC-022")
def test_sha_256_is_a_parameter(start_server: Callable[..., Server]) -> None:
    server = start_server({"KP_TRUSTED": "", "KP_SET": "auth.algorithm=SHA-256"})
    server.control("user", "add", f"alice@{DOMAIN}", "--password", PASSWORD)
    alice = Client(UserAgent(server.address, "alice"), algorithm="SHA-256")
    challenge = alice.ask("PUBLISH")
    assert (challenge.status, "algorithm=SHA-256" in challenge.get("WWW-Authenticate")) == (401, True)
    assert [alice.ask(method).status for method in ("PUBLISH", "SUBSCRIBE", "REGISTER")] == [200, 200, 200]
    assert Client(alice.agent, "wrong", alice.nonce, 9, 9, "SHA-256").ask("PUBLISH").status == 401
