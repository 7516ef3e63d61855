"""OPTIONS to the own server: what is sent, what wakes the notifier, and from where."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kemi import options
from tests.unit.kamailio import OWN, STRANGER, Server
from tests.unit.values import ALICE, settings_of

WAKE = "sip:example.org;wake"


@contextmanager
def answering(respond: Callable[[bytes], bytes | None]) -> Iterator[tuple[int, list[bytes]]]:
    """A socket in the place of a server; its port, and the requests that came."""
    requests: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                request, client = server.recvfrom(4096)
                if request == b"end":
                    return
                requests.append(request)
                answer = respond(request)
                if answer is not None:
                    server.sendto(answer, client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], requests
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"end", server.getsockname())
            thread.join()


def wake(port: int) -> bool:
    return options.wake(replace(settings_of(), address="127.0.0.1", port=port))


def test_waking_is_one_options_request_for_the_servers_own_address() -> None:
    with answering(lambda request: b"SIP/2.0 200 OK\r\n\r\n") as (port, requests):
        assert wake(port)
    (request,) = requests
    assert request.startswith(b"OPTIONS sip:127.0.0.1:%d;wake SIP/2.0\r\n" % port)
    assert b"\r\nTo: <sip:127.0.0.1:%d>\r\n" % port in request


def test_where_no_way_leads_nobody_is_woken() -> None:
    """The change that it was about is kept, so it is no error."""
    assert not options.wake(replace(settings_of(), address="255.255.255.255"))


def test_a_request_that_is_lost_is_sent_again() -> None:
    answers: Iterator[bytes | None] = iter([None, b"SIP/2.0 200 OK\r\n\r\n"])
    with answering(lambda request: next(answers)) as (port, requests):
        assert wake(port)
    assert len(requests) == 2


def test_a_refusal_is_no_answer() -> None:
    with answering(lambda request: b"SIP/2.0 503 Service Unavailable\r\n\r\n") as (port, _):
        assert not wake(port)


def test_where_nobody_listens_nobody_is_woken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    assert not wake(port)


@pytest.mark.parametrize(
    ("source", "own", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", OWN, True),
        (OWN, OWN, True),
        ("::1", "2001:db8::1", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        (STRANGER, OWN, False),
        ("2001:db8::2", "2001:db8::1", False),
    ],
)
def test_only_the_own_host_wakes(source: str, own: str, expected: bool) -> None:
    assert options.is_wake(WAKE, source, own) is expected


@pytest.mark.parametrize("uri", ["sip:example.org", "sip:wake@example.org", "sip:wake.example.org", "sip:example.org;awake"])
def test_other_requests_do_not_wake(uri: str) -> None:
    assert not options.is_wake(uri, OWN, OWN)


@pytest.mark.parametrize(("source", "calls"), [((OWN, 4711), 1), (("127.0.0.1", 4711), 1), ((STRANGER, 4711), 0)])
def test_the_notifier_is_called_and_the_answer_is_that_to_any_options(server: Server, source: tuple[str, int], calls: int) -> None:
    plain = server.request("OPTIONS", uri="sip:example.org", source=source)
    assert server.ksr.tasks == []
    done = server.request("OPTIONS", uri=WAKE, source=source)
    assert [method for method, _group, _data in server.ksr.tasks] == ["ksr_notify"] * calls
    assert (done.status, done.headers) == (200, plain.headers)


def test_a_user_that_is_called_so_is_not_meant(server: Server) -> None:
    server.request("OPTIONS", uri=ALICE, source=(OWN, 4711))
    assert server.ksr.tasks == []
