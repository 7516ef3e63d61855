"""A small web server on 127.0.0.1 that answers as a test tells it, and remembers what it was asked."""

import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

Headers = Mapping[str, str]
NONE: Headers = MappingProxyType({})


class Asked(NamedTuple):
    """One request. `connection` tells connections apart."""

    path: str
    headers: Headers
    connection: int


class Told(NamedTuple):
    """One answer; the body is `chunks` where they are given, each sent when it is there."""

    status: int = 200
    body: bytes = b""
    headers: Headers = NONE
    chunks: Iterable[bytes] = ()


Answering = Callable[[Asked], Told]


class WebServer:
    """Serves until it is closed.

    Args:
        answer: what to tell; it may wait for `ended`, which is set when the test is over.
        certificate: a PEM file with key and certificate, for https.
    """

    def __init__(self, answer: Answering, certificate: Path | None = None) -> None:
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self._answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = Asked(self.path, dict(self.headers.items()), self.client_address[1])
                web.asked.append(asked)
                told = web._answer(asked)
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                if told.chunks:
                    self._send_chunks(told.chunks)
                    return
                if told.status != 304:
                    self.send_header("Content-Length", str(len(told.body)))
                self.end_headers()
                self.wfile.write(told.body)

            def _send_chunks(self, chunks: Iterable[bytes]) -> None:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for chunk in chain(chunks, [b""]):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.flush()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 as http.server has it
                """Tests are quiet."""

        return Handler
