"""A user agent over WebSocket (RFC 7118): one SIP message in each frame."""

import base64
import os
import select
import struct

from tests.useragent import UserAgent, parse

FINAL_TEXT = 0x81
CLOSE = 0x88
NORMAL_CLOSURE = b"\x03\xe8"
PONG = 0x8A
PING = 9
MASKED = 0x80


class WebSocketAgent(UserAgent):
    """One WebSocket of one user; `server` is the address for HTTP."""

    def __post_init__(self) -> None:
        self.transport = "ws"
        super().__post_init__()
        host, port = self.server
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.socket.recv(1)
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(answer.decode())

    def send_raw(self, data: bytes) -> None:
        self._send_frame(FINAL_TEXT, data)

    def say_goodbye(self) -> None:
        """Begin the closing handshake; whoever is the server closes the connection (RFC 6455 section 7.1.1)."""
        self._send_frame(CLOSE, NORMAL_CLOSURE)

    def _send_frame(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        length = struct.pack("!B", MASKED | len(data)) if len(data) < 126 else struct.pack("!BH", MASKED | 126, len(data))
        masked = bytes(octet ^ mask[index % 4] for index, octet in enumerate(data))
        self.socket.sendall(bytes([kind]) + length + mask + masked)

    def _receive(self, seconds: float) -> bool:
        if not select.select([self.socket], [], [], seconds)[0]:
            return False
        data = self.socket.recv(65536)
        self._buffer += data
        self._take_frames()
        return bool(data)

    def _take_frames(self) -> None:
        while len(self._buffer) >= 2:
            start, length = 2, self._buffer[1]
            if length == 126:
                start, length = 4, int.from_bytes(self._buffer[2:4], "big")
            if len(self._buffer) < start + length:
                return
            kind, data = self._buffer[0], self._buffer[start : start + length]
            self._buffer = self._buffer[start + length :]
            if kind == FINAL_TEXT:
                self.inbox.append(parse(data))
            elif kind & 0x0F == PING:
                self._send_frame(PONG, data)
