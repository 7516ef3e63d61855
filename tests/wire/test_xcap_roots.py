"""Documents of two XCAP servers in the running server: which one it is a script says for each request (set_xcap_root)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.nginx import Nginx
from tests.server import Server, free_port
from tests.useragent import Agents
from tests.webserver import Told, WebServer
from tests.wire.observe import rows
from tests.wire.plainfiles import ALICE, ALLOW, BLOCK, RULES_FILE, nginx, serve, state_told

__all__ = ["nginx", "serve"]

THERE = "sip:alice@example.com"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Nginx]:
    web = Nginx(tmp_path / "other", free_port()).start()
    yield web
    web.stop()


@pytest.fixture
def server(serve: Callable[..., Server], nginx: Nginx, other: Nginx) -> Server:
    variables = {"KP_CONFIGURATION": "tests/wire/roots.cfg", "TEST_OTHER_ROOT": other.root}
    return serve(variables, pa__auth="xcap", xcap__other_roots=other.root)


def test_users_of_each_domain_have_their_own_server(server: Server, nginx: Nginx, other: Nginx, agents_of: Agents) -> None:
    """Also without a word of the script, when the rules change there."""
    nginx.put(RULES_FILE, BLOCK)
    nginx.start()
    other.put(RULES_FILE, ALLOW)
    here, there = agents_of(server, "bob"), agents_of(server, "bob")
    assert (here.subscribe(ALICE).status, there.subscribe(THERE).status) == (200, 200)
    assert [state_told(here), state_told(here)] == ["pending", "terminated"]
    assert [state_told(there), state_told(there)] == ["pending", "active"]
    other.put(RULES_FILE, None)
    assert state_told(there) == "pending"
    assert rows(server, "SELECT presentity, root FROM presentity_root") == [(THERE, other.root)]


@pytest.mark.rfc("SEC-020")
def test_a_root_that_a_request_names_is_not_asked(server: Server, nginx: Nginx, agents_of: Agents) -> None:
    nginx.start()
    evil = WebServer(lambda _asked: Told(200, ALLOW))
    try:
        watcher = agents_of(server, "bob")
        for root in (f"{evil.url}/xcap-root", f"{nginx.root}@{evil.url.removeprefix('http://')}", "file:///etc/passwd", "http://"):
            assert watcher.subscribe(ALICE, f"X-Root: {root}").status == 500
        assert watcher.subscribe(ALICE, f"X-Root: {nginx.root}").status == 200
        assert state_told(watcher) == "pending"
        assert evil.asked == []
    finally:
        evil.close()
    assert "is neither xcap.xcap_root nor one of xcap.other_roots" in server.log.read_text()
