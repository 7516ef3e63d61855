"""The HTTP client for documents of other XCAP servers: the only importer of httpx.

It runs in the process of the async group `fetch`, never in one that handles SIP. Several documents are fetched at a time, so that a
slow one does not hold up the others; while a server says nothing it is asked now and then for one (`kemi.xcap.origin`).

What is asked and believed (RFC 4825 section 7.11, RFC 9110, RFC 7616):

* `xcap.xcap_root` and `xcap.other_roots` name all servers. Redirections are followed on the same scheme, host and port only;
  proxies and .netrc of the environment are not looked at; a certificate must be one for that host. Where a root is, is the
  operator's word: it may be a loopback or private address.
* Credentials go to the server of `xcap.xcap_root` only, and only when it asks for them: Digest anywhere, Basic over TLS only.
* 200 with a document of the usage, 304, 404 and 410 are news of the document. All else is none.
"""

import asyncio
import secrets
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path
from typing import Final

import httpx

from kemi.errors import ConfigurationError
from kemi.parameters import XcapSettings
from kemi.xcap import fetched_document
from kemi.xcap.fetched_document import Answer, FetchedDocument, Known, Outcome, is_usable
from kemi.xcap.origin import Origin

# httpcore looks for this library at every lock that it makes. It is not installed, and to find that out takes a third of a fetch.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

AT_ONCE: Final = 8
"""Documents fetched at a time, from one server."""

LOOK_AGAIN: Final = 0.5
"""Seconds after which it is looked for more to fetch while a fetch goes on."""

ROUND: Final = 30.0
"""Seconds after which nothing more is begun, so that the process takes its next task."""

REDIRECTIONS: Final = 3
"""Followed for one document, at most."""

IDLE: Final = 20
"""Seconds that a connection is kept for the next document."""

BUSY: Final = frozenset({429, 502, 503, 504})
"""Statuses that say that the server cannot work now."""

FINE: Final = 10_000
"""Different numbers that `chance` may give."""

Claim = Callable[[str, int], list[FetchedDocument]]
Done = Callable[[FetchedDocument, Answer], None]
Warn = Callable[[str], None]


class Refused(Exception):
    """An answer that cannot be used."""


class Fetcher:
    """The connections of one process to all servers that may be asked.

    Args:
        settings: of the group xcap.
        warn: tells people one line.

    Raises:
        ConfigurationError: a file that they name cannot be used.
    """

    def __init__(self, settings: XcapSettings, warn: Warn) -> None:
        self.settings = settings
        usual, *others = dict.fromkeys(map(fetched_document.server_of, settings.roots))
        trust, credentials = _trust(settings), _credentials(settings)
        self._servers = [Server(usual, settings, trust, credentials, warn)]
        self._servers += [Server(each, settings, trust, None, warn) for each in others]
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close all connections."""
        for each in self._servers:
            self._loop.run_until_complete(each.close())
        self._loop.close()

    def run(self, claim: Claim, done: Done, most: int) -> bool:
        """Fetch what is due until there is nothing more.

        Args:
            claim: takes at most so many documents of a server (`fetched_document.server_of`) that are due.
            done: takes over what became of one.
            most: documents begun in a second, of each server.

        Returns:
            Whether it ended before that, and wants to be called again.
        """
        return self._loop.run_until_complete(self._run(claim, done, most))

    async def _run(self, claim: Claim, done: Done, most: int) -> bool:
        until = time.monotonic() + ROUND
        running: dict[asyncio.Task[Answer], tuple[Server, FetchedDocument]] = {}
        try:
            while True:
                for server in self._servers if time.monotonic() <= until else ():
                    asked_already = sum(asked is server for asked, _ in running.values())
                    begun = server.claim(claim, asked_already, most)
                    running |= {self._loop.create_task(server.fetch(each)): (server, each) for each in begun}
                if not running:
                    return time.monotonic() > until
                ended, _ = await asyncio.wait(running, timeout=LOOK_AGAIN, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    (server, document), answer = running.pop(task), task.result()
                    server.learn(document, answer)
                    done(document, answer)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


class Server:
    """One server: its connections, and what is known of it.

    Args:
        name: what the URIs of its documents begin with (`fetched_document.server_of`).
        trust: the authorities that its certificate may be from.
        credentials: of this server only.
    """

    def __init__(
        self, name: str, settings: XcapSettings, trust: ssl.SSLContext, credentials: tuple[str, str] | None, warn: Warn
    ) -> None:
        self._name = name
        self._settings = settings
        self._warn = warn
        self._origin = Origin()
        self._url = httpx.URL(name)
        self._client = httpx.AsyncClient(
            auth=Credentials(*credentials, self._url.scheme == "https") if credentials else None,
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "kemi-presence"},
            timeout=settings.fetch_timeout,
            transport=_BoundedTransport(trust, settings.fetch_max_size),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    def claim(self, claim: Claim, running: int, most: int) -> list[FetchedDocument]:
        """Take as many documents as may be asked for now.

        Args:
            running: documents that it is asked for already.
        """
        now = time.time()
        free = self._origin.allows(running, AT_ONCE, most, now)
        claimed = claim(self._name, free) if free else []
        self._origin = self._origin.asked(len(claimed), now)
        return claimed

    def learn(self, document: FetchedDocument, answer: Answer) -> None:
        """Silence is told when it begins, whatever may follow; that it has ended too."""
        before = self._origin
        silent = answer.outcome is Outcome.SILENT
        self._origin = before.silent(time.time(), chance()) if silent else before.heard()
        if silent and not before.silences:
            self._warn(f"XCAP server silent: server={self._name} why={answer.why}")
        if before.silences and not silent:
            self._warn(f"XCAP server answers again: server={self._name}")
        if answer.outcome is Outcome.REFUSED:
            self._warn(f"document not fetched: uri={document.uri} why={answer.why}")

    async def fetch(self, document: FetchedDocument) -> Answer:
        """Fetch one document, within `xcap.fetch_timeout` seconds."""
        try:
            async with asyncio.timeout(self._settings.fetch_timeout):
                return await self._fetch(document)
        except (TimeoutError, httpx.TimeoutException):
            return Answer(Outcome.SILENT, why=f"no answer within {self._settings.fetch_timeout} s")
        except httpx.TransportError as problem:
            return Answer(Outcome.SILENT, why=str(problem) or type(problem).__name__)
        except Exception as problem:  # whatever it is, it is this document's, and the others go on
            return Answer(Outcome.REFUSED, why=f"{type(problem).__name__}: {problem}")

    async def _fetch(self, document: FetchedDocument) -> Answer:
        url = httpx.URL(document.uri)
        headers = {"If-None-Match": document.etag} if document.etag and document.known is Known.DOCUMENT else {}
        for _ in range(REDIRECTIONS + 1):
            self._require_here(url)
            response = await self._client.get(url, headers=headers)
            if not response.has_redirect_location:
                return _answer(document.auid, response)
            url = url.join(response.headers["Location"])
        raise Refused(f"more than {REDIRECTIONS} redirections")

    def _require_here(self, url: httpx.URL) -> None:
        if (url.scheme, url.host, _port(url)) != (self._url.scheme, self._url.host, _port(self._url)) or url.userinfo:
            raise Refused(f"{url.scheme}://{url.host} is another server than {self._name}")


def chance() -> float:
    """A number from 0 to 1."""
    return secrets.randbelow(FINE) / FINE


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _answer(auid: str, response: httpx.Response) -> Answer:
    status = response.status_code
    if status in (404, 410):
        return Answer(Outcome.MISSING)
    if status == 304:
        return Answer(Outcome.UNCHANGED)
    if status != 200:
        return Answer(Outcome.SILENT if status in BUSY else Outcome.REFUSED, why=f"status {status}")
    if not is_usable(auid, response.content):
        return Answer(Outcome.REFUSED, why=f"no {auid} document")
    return Answer(Outcome.DOCUMENT, response.content, response.headers.get("ETag", ""))


class _BoundedTransport(httpx.AsyncHTTPTransport):
    """Connections that no answer of which, of any status, may be longer than `xcap.fetch_max_size`."""

    def __init__(self, trust: ssl.SSLContext, most: int) -> None:
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=IDLE)
        super().__init__(verify=trust, trust_env=False, limits=limits)
        self._most = most

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Bounded(response.stream, self._most)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            await response.aclose()
            raise Refused("it has a Content-Encoding, which was not asked for")
        return response


class _Bounded(httpx.AsyncByteStream):
    """A body that ends with an error where it becomes too long."""

    def __init__(self, stream: httpx.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._left -= len(part)
            if self._left < 0:
                raise Refused("it is longer than xcap.fetch_max_size")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class Credentials(httpx.Auth):
    """User and password, in the scheme that the server asks for.

    Args:
        is_encrypted: whether the server is reached by TLS.
    """

    def __init__(self, user: str, password: str, is_encrypted: bool) -> None:
        self._schemes: dict[str, httpx.Auth] = {"digest": httpx.DigestAuth(user, password)}
        if is_encrypted:
            self._schemes["basic"] = httpx.BasicAuth(user, password)
        self._chosen: httpx.Auth | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Ask without them first, as long as nothing is known of the server."""
        if self._chosen is None:
            response = yield request
            if response.status_code != 401:
                return
            self._chosen = self._asked_for(response)
        if self._chosen is not None:
            yield from self._chosen.auth_flow(request)

    def _asked_for(self, response: httpx.Response) -> httpx.Auth | None:
        asked = {value.partition(" ")[0].lower() for value in response.headers.get_list("WWW-Authenticate")}
        return next((scheme for name, scheme in self._schemes.items() if name in asked), None)


def refuse_unusable_files(settings: XcapSettings) -> None:
    """Make sure that the files that these settings name can be used.

    Raises:
        ConfigurationError: one cannot.
    """
    _trust(settings)
    _credentials(settings)


def _credentials(settings: XcapSettings) -> tuple[str, str] | None:
    """User and password, for the server of `xcap.xcap_root`."""
    if not settings.fetch_credentials:
        return None
    user, colon, password = _read(settings.fetch_credentials, "fetch_credentials").strip("\r\n").partition(":")
    if not user or not colon or not password.isprintable():
        raise ConfigurationError(f"xcap.fetch_credentials: {settings.fetch_credentials}: one line user:password is needed")
    return user, password


def _trust(settings: XcapSettings) -> ssl.SSLContext:
    """Certificates are verified against the authorities of this machine, or those of a file."""
    if not settings.fetch_ca:
        return ssl.create_default_context()
    text = _read(settings.fetch_ca, "fetch_ca")
    try:
        return ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as problem:
        raise ConfigurationError(f"xcap.fetch_ca: {settings.fetch_ca}: no certificates in PEM form: {problem}") from None


def _read(file: str, name: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeError) as problem:
        raise ConfigurationError(f"xcap.{name}: {file}: {getattr(problem, 'strerror', problem)}") from None
