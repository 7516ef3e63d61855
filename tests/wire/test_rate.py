"""One source that sends too much is told to wait; the others are served (RFC 3903 section 14.2)."""

from collections.abc import Callable

import pytest

from tests.server import Server
from tests.useragent import UserAgent

LIMIT = 5


@pytest.mark.rfc("PUB-024", "SEC-016", "SEC-013")
def test_a_source_above_its_rate_gets_503_with_retry_after(start_server: Callable[..., Server]) -> None:
    server = start_server({"KP_TRUSTED": "", "KP_SET": f"auth.max_rate={LIMIT}"})
    flood = UserAgent(server.address, "mallory")
    statuses = {flood.subscribe("sip:alice@example.org").status for _ in range(LIMIT * 8)}
    refused = flood.subscribe("sip:alice@example.org")
    while refused.status != 503:
        refused = flood.subscribe("sip:alice@example.org")
    flood.close()
    assert statuses <= {401, 503}
    assert refused.get("Retry-After") == "1"
    assert "too many requests: source=127.0.0.1" in server.log.read_text(errors="replace")


def test_a_trusted_source_is_not_counted(start_server: Callable[..., Server]) -> None:
    server = start_server({"KP_SET": f"auth.max_rate={LIMIT}"})
    proxy = UserAgent(server.address, "bob")
    assert {proxy.subscribe("sip:alice@example.org").status for _ in range(LIMIT * 8)} == {200}
    proxy.close()
