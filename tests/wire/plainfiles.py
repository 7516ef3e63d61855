"""Another XCAP server for the running server: plain files behind Debian's nginx, laid out as SER had them."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.nginx import Nginx, Silence
from tests.server import Server, free_port
from tests.useragent import UserAgent
from tests.wire.observe import change, rows

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


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """Files with a key, with its own certificate for 127.0.0.1, and with both."""
    key, own, both = (folder / f"{each}.pem" for each in ("key", "certificate", "both"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=xcap"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(own)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both.write_text(key.read_text() + own.read_text())
    return key, own, both
