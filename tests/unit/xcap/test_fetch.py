"""The HTTP client against real sockets: what it asks, what it takes for an answer, where it goes."""

import socket
from collections.abc import Iterator

import pytest

from kemi.xcap import fetched_document
from kemi.xcap.fetch import REDIRECTIONS
from kemi.xcap.fetched_document import Answer, FetchedDocument, Known, Outcome
from tests.unit.xcap.webclient import RULES, NewClient, Serve, client, serve, taking
from tests.webserver import Asked, Told

__all__ = ["client", "serve"]

# Answers


@pytest.mark.rfc("XCC-001", "XCC-007")
@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (Told(200, RULES), Outcome.DOCUMENT),
        (Told(404, b"not here"), Outcome.MISSING),
        (Told(410), Outcome.MISSING),
        (Told(200, b"<html><p>log in</html>"), Outcome.REFUSED),
        (Told(200), Outcome.REFUSED),
        (Told(204), Outcome.REFUSED),
        (Told(304), Outcome.UNCHANGED),
        (Told(401), Outcome.REFUSED),
        (Told(403), Outcome.REFUSED),
        (Told(500), Outcome.REFUSED),
        (Told(429), Outcome.SILENT),
        (Told(502), Outcome.SILENT),
        (Told(503), Outcome.SILENT),
        (Told(504), Outcome.SILENT),
    ],
)
def test_what_an_answer_says(serve: Serve, client: NewClient, told: Told, outcome: Outcome) -> None:
    answer = client(serve(told).url).fetch()
    assert answer.outcome is outcome
    assert bool(answer.why) is (outcome in (Outcome.REFUSED, Outcome.SILENT))


@pytest.mark.rfc("XCC-007")
def test_a_document_comes_with_its_etag_and_is_asked_for_by_it(serve: Serve, client: NewClient) -> None:
    server = serve(Told(200, RULES, {"ETag": '"7"'}))
    here = client(f"{server.url}/xcap-root")
    assert here.fetch() == Answer(Outcome.DOCUMENT, RULES, '"7"')
    here.fetch(known=Known.DOCUMENT, etag='"7"')
    here.fetch(known=Known.UNKNOWN, etag="")
    assert [each.headers.get("If-None-Match") for each in server.asked] == [None, '"7"', None]
    assert {each.path for each in server.asked} == {"/xcap-root/pres-rules/users/sip:alice@example.org/index"}


@pytest.mark.rfc("XCC-003")
def test_a_path_is_sent_as_it_was_encoded(serve: Serve, client: NewClient) -> None:
    server = serve(Told(404))
    uri = fetched_document.uri_of(server.url, "pres-rules", "sip:a?%22[/é@example.org", "", "uri")
    client(server.url).fetch(uri=uri)
    assert [each.path for each in server.asked] == ["/pres-rules/users/sip:a%3F%2522%5B%2F%C3%A9@example.org/index"]


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "From", "Referer"])
def test_nothing_is_said_that_was_not_asked_for(serve: Serve, client: NewClient, name: str) -> None:
    server = serve(Told(200, RULES))
    client(server.url).fetch()
    assert name not in server.asked[0].headers
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.rfc("SEC-020")
@pytest.mark.parametrize("status", [200, 404, 401])
@pytest.mark.parametrize("chunked", [False, True])
def test_nothing_is_read_beyond_the_largest_size(serve: Serve, client: NewClient, status: int, chunked: bool) -> None:
    part = bytes(1024)
    told = Told(status, chunks=(part,) * 5) if chunked else Told(status, part * 5)
    answer = client(serve(told).url, fetch_max_size=4096).fetch()
    assert answer.outcome is Outcome.REFUSED
    assert "longer than xcap.fetch_max_size" in answer.why


@pytest.mark.rfc("SEC-010")
def test_compressed_documents_are_not_unpacked(serve: Serve, client: NewClient) -> None:
    answer = client(serve(Told(200, RULES, {"Content-Encoding": "gzip"})).url).fetch()
    assert answer.outcome is Outcome.REFUSED
    assert "Content-Encoding" in answer.why


# Silence


@pytest.mark.rfc("XCC-002")
def test_a_server_that_does_not_answer_is_silent(serve: Serve, client: NewClient) -> None:
    def wait(_asked: Asked) -> Told:
        server.ended.wait(20)
        return Told()

    server = serve(wait)
    here = client(server.url, fetch_timeout=1)
    assert here.fetch() == Answer(Outcome.SILENT, why="no answer within 1 s")
    assert here.warned == [f"XCAP server silent: server={server.url}/ why=no answer within 1 s"]


@pytest.mark.rfc("XCC-002")
def test_the_time_is_for_the_whole_document_not_for_each_piece(serve: Serve, client: NewClient) -> None:
    def drip() -> Iterator[bytes]:
        while not server.ended.wait(0.05):
            yield b" "

    server = serve(lambda _asked: Told(chunks=drip()))
    assert client(server.url, fetch_timeout=1).fetch().why == "no answer within 1 s"


@pytest.mark.rfc("XCC-001")
def test_nobody_listening_is_silence(client: NewClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = client(f"http://127.0.0.1:{closed.getsockname()[1]}").fetch()
    assert answer.outcome is Outcome.SILENT
    assert answer.why


def test_a_silent_server_is_asked_for_nothing_more_until_the_pause_is_over(serve: Serve, client: NewClient) -> None:
    server = serve(Told(503))
    here = client(server.url)
    here.fetch()
    assert here.fetch_all(here.document("other")) == {}
    assert len(server.asked) == 1


@pytest.mark.rfc("XCC-002")
def test_a_slow_document_does_not_hold_up_the_others(serve: Serve, client: NewClient) -> None:
    ended: list[str] = []

    def answer(asked: Asked) -> Told:
        if asked.path.endswith("/slow"):
            while len(ended) < 20 and not server.ended.wait(0.01):
                pass
        return Told(200, RULES)

    server = serve(answer)
    here = client(server.url)
    waiting = [here.document(name) for name in ("slow", *map(str, range(20)))]

    def done(document: FetchedDocument, answer: Answer) -> None:
        ended.append(document.uri.rpartition("/")[2])
        assert answer.outcome is Outcome.DOCUMENT

    here.fetcher.run(taking(waiting), done, 1000)
    assert len(ended) == 21
    assert ended[-1] == "slow"


def test_connections_are_used_again(serve: Serve, client: NewClient) -> None:
    telling: list[Told] = []
    server = serve(lambda _asked: telling.pop())
    here = client(server.url)
    for told in (Told(200, RULES), Told(404, b"no"), Told(304), Told(500, b"no")):
        telling.append(told)
        here.fetch()
    assert len({each.connection for each in server.asked}) == 1


# Redirections


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["/there/index", "{url}/there/index", "../there/index"])
def test_redirections_on_the_same_server_are_followed(serve: Serve, client: NewClient, status: int, where: str) -> None:
    def answer(asked: Asked) -> Told:
        if asked.path.endswith("/there/index"):
            return Told(200, RULES)
        return Told(status, headers={"Location": where.format(url=server.url)})

    server = serve(answer)
    assert client(server.url).fetch().outcome is Outcome.DOCUMENT


@pytest.mark.rfc("SEC-020", "XCC-004")
@pytest.mark.parametrize(
    "where", ["{other}/x", "https://127.0.0.1/x", "http://metadata.invalid/", "file:///etc/passwd", "ftp://127.0.0.1/"]
)
def test_redirections_to_other_servers_are_not(serve: Serve, client: NewClient, where: str) -> None:
    other = serve(Told(200, RULES))
    server = serve(Told(302, headers={"Location": where.format(other=other.url)}))
    answer = client(server.url).fetch()
    assert answer.outcome is Outcome.REFUSED
    assert f"is another server than {server.url}/" in answer.why
    assert other.asked == []


def test_a_circle_of_redirections_ends(serve: Serve, client: NewClient) -> None:
    server = serve(Told(302, headers={"Location": "/again"}))
    assert client(server.url).fetch().outcome is Outcome.REFUSED
    assert len(server.asked) == REDIRECTIONS + 1


def test_a_document_of_another_server_is_not_asked_for(serve: Serve, client: NewClient) -> None:
    """Nor is one that is claimed by mistake."""
    other = serve(Told(200, RULES))
    here = client(serve(Told(200, RULES)).url)
    document = here.document("index")._replace(uri=f"{other.url}/index")
    waiting, answers = [document], list[Answer]()
    here.fetcher.run(lambda _server, _limit: waiting[:] and [waiting.pop()], lambda _document, answer: answers.append(answer), 10)
    assert [each.outcome for each in answers] == [Outcome.REFUSED]
    assert other.asked == []


def test_proxies_of_the_environment_are_not_looked_at(serve: Serve, client: NewClient, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(Told(200, RULES)), serve(Told(200, RULES))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    client(server.url).fetch()
    assert (len(proxy.asked), len(server.asked)) == (0, 1)


@pytest.mark.rfc("XCC-010")
@pytest.mark.parametrize("inside", [b"", b"<extension><x:unknown xmlns:x='urn:x'/></extension>", b"<not-xml", b"<no-parent/>"])
def test_whatever_a_conflict_says_it_is_a_conflict(serve: Serve, client: NewClient, inside: bytes) -> None:
    body = b'<xcap-error xmlns="urn:ietf:params:xml:ns:xcap-error">%s</xcap-error>' % inside
    server = serve(Told(409, body, {"Content-Type": "application/xcap-error+xml"}))
    assert client(server.url).fetch() == Answer(Outcome.REFUSED, why="status 409")


# Several servers


def test_servers_are_asked_beside_each_other(serve: Serve, client: NewClient) -> None:
    """What one of them does not say holds up nobody else, whichever it is."""
    answered: list[str] = []

    def wait(asked: Asked) -> Told:
        while len(answered) < 10 and not silent.ended.wait(0.01):
            pass
        return Told(404)

    silent, quick = serve(wait), serve(Told(200, RULES))
    here = client(silent.url, other_roots=f"{quick.url}/a/,{quick.url}/b")
    waiting = [here.document("slow")] + [here.document(f"{each}", f"{quick.url}/{'ab'[each % 2]}") for each in range(10)]

    def done(document: FetchedDocument, answer: Answer) -> None:
        answered.append(f"{document.uri} {answer.outcome.value}")

    here.fetcher.run(taking(waiting), done, 3)
    assert [each.endswith("document") for each in answered] == [True] * 10 + [False]
    assert {each.path.partition("/pres-rules")[0] for each in quick.asked} == {"/a", "/b"}


def test_the_silence_of_one_server_is_not_that_of_another(serve: Serve, client: NewClient) -> None:
    silent, heard = serve(Told(503)), serve(Told(200, RULES))
    here = client(silent.url, other_roots=heard.url)
    here.fetch()
    assert here.fetch_all(here.document("other")) == {}
    assert here.fetch_all(here.document("there", heard.url))["there"].outcome is Outcome.DOCUMENT
    assert here.warned == [f"XCAP server silent: server={silent.url}/ why=status 503"]


@pytest.mark.rfc("SEC-020")
def test_a_redirection_from_one_to_the_other_is_not_followed(serve: Serve, client: NewClient) -> None:
    usual = serve(Told(200, RULES))
    other = serve(Told(302, headers={"Location": f"{usual.url}/xcap-root/index"}))
    here = client(usual.url, other_roots=other.url)
    assert here.fetch_all(here.document("there", other.url))["there"].outcome is Outcome.REFUSED
    assert usual.asked == []
