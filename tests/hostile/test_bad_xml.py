"""Bodies that are no presence documents, or that want to do something: 415 or 413, at once, and nothing is stored."""

from collections.abc import Iterator

import pytest

from tests.hostile.attacker import Attacker, judge
from tests.hostile.messages import ACCEPTED, MARKER, PIDF, Case, publish

TYPE = {415}
XML = '<?xml version="1.0"?>'
OPEN = '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:mallory@example.org">'
TUPLE = f'<tuple id="t1"><status><basic>open</basic></status><note>{MARKER}</note></tuple>'
DOCUMENT = f"{XML}{OPEN}{TUPLE}</presence>"


def _laughs(levels: int) -> str:
    entities = [f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, levels)]
    return f'{XML}<!DOCTYPE presence [<!ENTITY l0 "{MARKER}">{"".join(entities)}]>{OPEN}<note>&l{levels - 1};</note></presence>'


def _with_doctype(doctype: str, note: str = MARKER) -> str:
    return f"{XML}{doctype}{OPEN}<note>{note}</note></presence>"


def _doctypes() -> Iterator[tuple[str, str]]:
    yield "billion laughs", _laughs(10)
    yield "quadratic blow-up", _with_doctype(f'<!DOCTYPE p [<!ENTITY a "{"x" * 20_000}">]>', "&a;" * 5000)
    yield "external entity, file", _with_doctype('<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;")
    yield "external entity, http", _with_doctype('<!DOCTYPE p [<!ENTITY a SYSTEM "http://127.0.0.1:9/a">]>', "&a;")
    yield "external subset", _with_doctype('<!DOCTYPE p SYSTEM "http://127.0.0.1:9/a.dtd">')
    yield "parameter entity", _with_doctype('<!DOCTYPE p [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>')
    yield "public identifier", _with_doctype('<!DOCTYPE p PUBLIC "-//IETF//DTD//EN" "pidf.dtd">')
    yield "empty doctype", _with_doctype("<!DOCTYPE presence>")
    yield "entity without doctype", f"{XML}{OPEN}<note>&secret;{MARKER}</note></presence>"


def _malformed() -> Iterator[tuple[str, str]]:
    yield "not XML", f"{MARKER} hello"
    yield "one angle bracket", f"<{MARKER}"
    yield "not closed", f"{XML}{OPEN}{TUPLE}"
    yield "closed twice", f"{DOCUMENT}</presence>"
    yield "two roots", f"{DOCUMENT}{OPEN}</presence>"
    yield "crossed tags", f"{XML}{OPEN}<tuple id='a'><status></tuple></status></presence>"
    yield "attribute twice", f"{XML}{OPEN}<tuple id='a' id='b'>{MARKER}</tuple></presence>"
    yield "attribute without quotes", f"{XML}{OPEN}<tuple id=a>{MARKER}</tuple></presence>"
    yield "prefix without namespace", f"{XML}{OPEN}<x:tuple>{MARKER}</x:tuple></presence>"
    yield "NUL inside", f"{XML}{OPEN}<note>\0{MARKER}</note></presence>"
    yield "NUL at the end", f"{DOCUMENT}\0"
    yield "control character", f"{XML}{OPEN}<note>\x08{MARKER}</note></presence>"
    yield "forbidden character reference", f"{XML}{OPEN}<note>&#0;&#xFFFE;{MARKER}</note></presence>"
    yield "huge character reference", f"{XML}{OPEN}<note>&#x{'F' * 500};{MARKER}</note></presence>"
    yield "CDATA not closed", f"{XML}{OPEN}<note><![CDATA[{MARKER}</note></presence>"
    yield "comment not closed", f"{XML}{OPEN}<!-- {MARKER} </presence>"
    yield "declaration late", f" {DOCUMENT}"
    yield "version 9", DOCUMENT.replace("1.0", "9.0 ?")
    yield "wrong root", f"{XML}<presenceX xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'>{MARKER}</presenceX>"
    yield "wrong namespace", DOCUMENT.replace("ns:pidf", "ns:pidf2")
    yield "no namespace", f"{XML}<presence entity='sip:a@b'>{MARKER}</presence>"
    yield "spaces", " \r\n\t " * 20


def _attributes(name: str, count: int) -> str:
    return " ".join(f'{name}{number}="u"' for number in range(count))


def _bombs() -> Iterator[tuple[str, str]]:
    yield "depth 10000", f"{XML}{OPEN}{'<a>' * 10_000}{MARKER}{'</a>' * 3}"
    yield "depth 200", f"{XML}{OPEN}{'<a>' * 90}{MARKER}{'</a>' * 90}</presence>"
    yield "elements", f"{XML}{OPEN}{'<note/>' * 8000}</presence>"
    yield "attributes", f"{XML}{OPEN}<note {_attributes('a', 5000)}/></presence>"
    yield "namespaces", f"{XML}{OPEN}<note {_attributes('xmlns:n', 2500)}/></presence>"
    scope = "".join(f' xmlns:n{number}="urn:{"x" * 500}{number}"' for number in range(90))
    yield "namespaces in scope", f'{XML}{OPEN}<tuple id="t"{scope}><status/>{"<n0:a/>" * 900}</tuple></presence>'


def _encodings() -> Iterator[tuple[str, bytes, str]]:
    declared = DOCUMENT.replace('"1.0"', '"1.0" encoding="{}"')
    yield "UTF-8 that is none", f"{XML}{OPEN}<note>".encode() + b"\xff\xfe\xc3\x28" + f"{MARKER}</note></presence>".encode(), ""
    yield "overlong UTF-8", DOCUMENT.encode().replace(b"open", b"\xc0\xafopen"), ""
    yield "surrogates in UTF-8", DOCUMENT.encode().replace(b"open", b"\xed\xa0\x80open"), ""
    yield "UTF-7", declared.replace("{}", "UTF-7").encode(), ""
    yield "unknown encoding", declared.replace("{}", "x-klingon").encode(), ""
    yield "EBCDIC", DOCUMENT.encode("cp037"), ""
    yield "UTF-32", DOCUMENT.encode("utf-32"), ""
    yield "UTF-16 of odd length", DOCUMENT.encode("utf-16") + b"\0", ""
    yield "UTF-16 with a doctype", _with_doctype("<!DOCTYPE p SYSTEM 'a'>").encode("utf-16"), ""
    yield "UTF-16 declared, UTF-8 sent", declared.replace("{}", "UTF-16").encode(), ""
    yield "charset nobody has", DOCUMENT.encode(), "application/pidf+xml;charset=nothing"
    yield "charset UTF-16, UTF-8 sent", DOCUMENT.encode(), "application/pidf+xml;charset=utf-16"
    yield "charset with a path", DOCUMENT.encode(), "application/pidf+xml;charset=../../etc/passwd"
    yield "charset rot13", DOCUMENT.encode(), "application/pidf+xml;charset=rot13"
    yield "charset idna", DOCUMENT.encode(), "application/pidf+xml;charset=idna"
    yield "charset unicode_escape", DOCUMENT.encode(), "application/pidf+xml;charset=unicode_escape"
    yield "charset zip", DOCUMENT.encode(), "application/pidf+xml;charset=zip"


@pytest.mark.rfc("SEC-008")
@pytest.mark.parametrize(("name", "text"), [*_doctypes()])
def test_a_document_with_a_doctype_is_refused(attacker: Attacker, name: str, text: str) -> None:
    judge(attacker, publish(name, text.encode()[:60_000], {413, 415}))


@pytest.mark.rfc("SEC-008")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "utf-8-sig"])
def test_doctype_hidden_by_an_encoding(attacker: Attacker, encoding: str) -> None:
    document = _with_doctype('<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;").encode(encoding)
    judge(attacker, publish(encoding, document, TYPE, Content_Type=f"application/pidf+xml;charset={encoding}"))
    judge(attacker, publish(encoding, document, TYPE))


@pytest.mark.rfc("SEC-012")
@pytest.mark.parametrize(("name", "text"), [*_malformed()])
def test_a_document_that_is_not_well_formed_is_refused(attacker: Attacker, name: str, text: str) -> None:
    judge(attacker, publish(name, text.encode(), TYPE))


@pytest.mark.rfc("SEC-009")
@pytest.mark.parametrize(("name", "text"), [*_bombs()])
def test_a_document_that_is_too_deep_or_has_too_much_in_it_is_refused(attacker: Attacker, name: str, text: str) -> None:
    judge(attacker, publish(name, text.encode()[:60_000], {413, 415}))


@pytest.mark.parametrize(("name", "body", "content_type"), [*_encodings()])
def test_a_document_that_cannot_be_decoded_as_it_says_is_refused(
    attacker: Attacker, name: str, body: bytes, content_type: str
) -> None:
    judge(attacker, publish(name, body, TYPE, Content_Type=content_type or "application/pidf+xml"))


@pytest.mark.rfc("SEC-008")
def test_xinclude_is_not_followed(attacker: Attacker) -> None:
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
    outcome = judge(attacker, publish("XInclude", f"{XML}{OPEN}{TUPLE}{include}</presence>".encode(), ACCEPTED))
    watching = attacker.attack(Case("who watches").build(attacker.address))
    assert outcome.status == 200
    assert all(b"root:" not in message.body for message in watching.messages)


@pytest.mark.rfc("SEC-010")
@pytest.mark.parametrize("value", ["gzip", "deflate", "gzip, gzip", "compress;q=1", "x" * 3000])
def test_a_body_with_a_content_encoding_is_refused(attacker: Attacker, value: str) -> None:
    judge(attacker, publish(value[:9], PIDF, TYPE, Content_Encoding=value))


@pytest.mark.parametrize("value", ["text/plain", "application/xml", "application/pidf", "application/pidf+xml2", "/", "*/*",
                         "a" * 300,
                                   "application/pidf-diff+xml", "application/ pidf+xml", "multipart/related;boundary=x", "\x01",
                                   "application/pidf+xml, text/plain", "äpplication/pidf+xml"])  # fmt: skip
def test_a_body_of_another_content_type_is_refused(attacker: Attacker, value: str) -> None:
    judge(attacker, publish(value[:9], PIDF, {400, 415}, Content_Type=value))
