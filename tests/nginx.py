"""Debian's nginx as it comes, serving plain files as an XCAP server (SER handbook section 4.5): own port, own folder."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

START_TIMEOUT = 30.0

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;
{user}
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/xml;
    server {{
        listen 127.0.0.1:{port}{tls};
        root {folder}/files;
    }}
}}
"""


class Nginx:
    """One web server; the files below its root are documents.

    Args:
        certificate: a PEM file with a key and its certificate, for https.
    """

    def __init__(self, folder: Path, port: int, certificate: Path | None = None) -> None:
        self.folder, self.port = folder, port
        self.root = f"{'https' if certificate else 'http'}://127.0.0.1:{port}/xcap-root"
        self._process: subprocess.Popen[bytes] | None = None
        self._written = 0.0
        (folder / "files").mkdir(parents=True)
        tls = f" ssl; ssl_certificate {certificate}; ssl_certificate_key {certificate}" if certificate else ""
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port, user=user, tls=tls))

    def put(self, name: str, body: bytes | None) -> None:
        """Write a document, in one step as a careful client does; None: take it away."""
        file = self.folder / "files/xcap-root" / name
        if body is None:
            file.unlink()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_bytes(body)
        self._written = max(time.time(), self._written + 1)  # its entity-tag is made of the length and the second
        os.utime(new, (self._written, self._written))
        new.rename(file)

    def start(self) -> "Nginx":
        """Start it and wait until it takes connections."""
        command = [
            "/usr/sbin/nginx",
            "-p",
            str(self.folder),
            "-e",
            str(self.folder / "error.log"),
            "-c",
            str(self.folder / "nginx.conf"),
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"nginx does not start:\n{(self.folder / 'error.log').read_text()}")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(10)
            self._process = None

    @property
    def requests(self) -> list[str]:
        """Lines of its log: what was asked, and the status."""
        file = self.folder / "access.log"
        return file.read_text().splitlines() if file.exists() else []

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            time.sleep(0.02)
            return False
        return True


class Silence:
    """A server that takes connections and never says a word."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self._socket.listen(64)

    def close(self) -> None:
        self._socket.close()
