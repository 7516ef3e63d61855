"""Whom the HTTP client tells a password, and whose certificate it takes."""

import hashlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kemi.errors import ConfigurationError
from kemi.xcap.fetched_document import Outcome
from tests.unit.xcap.webclient import RULES, Client, NewClient, Serve, client, serve
from tests.webserver import Answering, Asked, Told

__all__ = ["client", "serve"]

SECRET = "s3cret:with colon"


@pytest.fixture
def credentials(tmp_path: Path) -> str:
    file = tmp_path / "credentials"
    file.write_text(f"presence:{SECRET}\n")
    return str(file)


def digest_server(algorithm: str) -> Answering:
    """Asks for a digest and checks it (RFC 7616 section 3.4.1)."""
    function = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}[algorithm]

    def hashed(*parts: str) -> str:
        return function(":".join(parts).encode()).hexdigest()

    def answer(asked: Asked) -> Told:
        found = dict(re.findall(r'(\w+)="?([^",]+)"?', asked.headers.get("Authorization", "")))
        secret = hashed("presence", "xcap", SECRET)
        wanted = hashed(
            secret, *(found.get(name, "") for name in ("nonce", "nc", "cnonce", "qop")), hashed("GET", found.get("uri", ""))
        )
        if found.get("response") == wanted and found["uri"] == asked.path:
            return Told(200, RULES)
        challenge = f'Digest realm="xcap", nonce="n1", qop="auth", algorithm={algorithm}'
        return Told(401, b"who are you", {"WWW-Authenticate": challenge})

    return answer


@pytest.mark.rfc("XCC-004")
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_digest_challenge_is_answered_once_and_the_password_is_not_sent(
    serve: Serve, client: NewClient, credentials: str, algorithm: str
) -> None:
    server = serve(digest_server(algorithm))
    here = client(server.url, fetch_credentials=credentials)
    assert here.fetch().outcome is Outcome.DOCUMENT
    asked_before = len(server.asked)
    assert here.fetch("other").outcome is Outcome.DOCUMENT
    assert len(server.asked) == asked_before + 1
    assert not any(SECRET in str(each) for each in server.asked)


@pytest.mark.rfc("XCC-004")
@pytest.mark.parametrize("challenge", ['Basic realm="xcap"', "Negotiate", ""])
def test_nothing_is_told_without_tls_to_a_server_that_asks_for_a_plain_password(
    serve: Serve, client: NewClient, credentials: str, challenge: str
) -> None:
    server = serve(Told(401, headers={"WWW-Authenticate": challenge} if challenge else {}))
    assert client(server.url, fetch_credentials=credentials).fetch().why == "status 401"
    assert [each.headers.get("Authorization") for each in server.asked] == [None]


def test_a_server_that_asks_for_nothing_is_told_nothing(serve: Serve, client: NewClient, credentials: str) -> None:
    server = serve(Told(200, RULES))
    here = client(server.url, fetch_credentials=credentials)
    assert here.fetch().outcome is here.fetch("other").outcome is Outcome.DOCUMENT
    assert [each.headers.get("Authorization") for each in server.asked] == [None, None]


def test_a_wrong_password_is_refused_and_not_shown(serve: Serve, client: NewClient, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("presence:s3cretwrong")
    here = client(serve(digest_server("MD5")).url, fetch_credentials=str(file))
    assert here.fetch().why == "status 401"
    assert here.warned
    assert "s3cret" not in "".join(here.warned)


@pytest.mark.parametrize("text", ["", "presence", ":secret", "presence:a\nb:c"])
def test_a_file_without_credentials_is_told_without_what_is_in_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"one line user:password is needed$") as refusal:
        Client("http://127.0.0.1", fetch_credentials=str(file))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("name", ["fetch_credentials", "fetch_ca"])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^xcap\.{name}: .*nowhere"):
        Client("https://127.0.0.1", **{name: str(tmp_path / "nowhere")})


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"no certificates in PEM form"):
        Client("https://127.0.0.1", fetch_ca=str(file))


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a key with a certificate of its own for a name, in one file."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("certificate")
        key, own, both = (folder / f"{each}.pem" for each in ("key", "certificate", "both"))
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=xcap"]
        command += ["-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(own)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        both.write_text(key.read_text() + own.read_text())
        return both

    return make


@pytest.mark.rfc("XCC-004")
def test_a_certificate_of_an_authority_that_is_trusted_is_taken(
    serve: Serve, client: NewClient, certificate: Callable[[str], Path]
) -> None:
    own = certificate("IP:127.0.0.1")
    server = serve(Told(200, RULES), own)
    assert client(server.url, fetch_ca=str(own)).fetch().outcome is Outcome.DOCUMENT


@pytest.mark.rfc("XCC-004")
@pytest.mark.parametrize(("name", "trusted"), [("IP:127.0.0.1", False), ("DNS:xcap.example.org", True)])
def test_other_certificates_are_not(
    serve: Serve, client: NewClient, certificate: Callable[[str], Path], name: str, trusted: bool
) -> None:
    own = certificate(name)
    server = serve(Told(200, RULES), own)
    answer = client(server.url, fetch_ca=str(own) if trusted else "").fetch()
    assert answer.outcome is Outcome.SILENT
    assert "certificate verify failed" in answer.why
    assert server.asked == []


@pytest.mark.rfc("XCC-004")
def test_a_plain_password_is_told_over_tls(
    serve: Serve, client: NewClient, certificate: Callable[[str], Path], credentials: str
) -> None:
    def answer(asked: Asked) -> Told:
        if asked.headers.get("Authorization") == "Basic cHJlc2VuY2U6czNjcmV0OndpdGggY29sb24=":
            return Told(200, RULES)
        return Told(401, headers={"WWW-Authenticate": 'Basic realm="xcap"'})

    own = certificate("IP:127.0.0.1")
    server = serve(answer, own)
    here = client(server.url, fetch_ca=str(own), fetch_credentials=credentials)
    assert here.fetch().outcome is here.fetch("other").outcome is Outcome.DOCUMENT
    assert len(server.asked) == 3


# Several servers


@pytest.mark.rfc("XCC-004")
def test_a_password_is_for_the_usual_server_alone(serve: Serve, client: NewClient, credentials: str) -> None:
    usual, other = serve(digest_server("MD5")), serve(digest_server("MD5"))
    here = client(usual.url, fetch_credentials=credentials, other_roots=f"{other.url}/xcap-root")
    assert here.fetch().outcome is Outcome.DOCUMENT
    answer = here.fetch_all(here.document("there", f"{other.url}/xcap-root"))["there"]
    assert answer.why == "status 401"
    assert [each.headers.get("Authorization") for each in other.asked] == [None]


@pytest.mark.rfc("XCC-004")
def test_the_certificate_of_every_server_has_to_be_its_own(
    serve: Serve, client: NewClient, certificate: Callable[[str], Path]
) -> None:
    right, wrong = certificate("IP:127.0.0.1"), certificate("DNS:xcap.example.org")
    usual, other = serve(Told(200, RULES), right), serve(Told(200, RULES), wrong)
    both = right.with_name("both-authorities.pem")
    both.write_text(right.read_text() + wrong.read_text())
    here = client(usual.url, fetch_ca=str(both), other_roots=other.url)
    assert here.fetch().outcome is Outcome.DOCUMENT
    answer = here.fetch_all(here.document("there", other.url))["there"]
    assert (answer.outcome, other.asked) == (Outcome.SILENT, [])
