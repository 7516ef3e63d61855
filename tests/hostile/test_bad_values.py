"""URIs, entity-tags, event types, media ranges and header values that want to be something else."""

from collections.abc import Iterator

import pytest

from tests.hostile.attacker import Attacker, judge
from tests.hostile.messages import ACCEPTED, DROPPED, REFUSED, USER, Case, octets

NEVER = REFUSED | DROPPED
METHODS = ("SUBSCRIBE", "PUBLISH")

URIS = (
    "sip:", "sip:@", "sip:@example.org", "sip:example.org", "sip::@example.org", "sip:mallory@", "sip:mallory@:5060", "mallory",
    "mallory@example.org", "sips", ":", "//example.org", "sip:mallory@[::1", "sip:mallory@[::1]", "sip:mallory@[2001:db8::1]:5060",
    "sip:mallory@[::g]", "sip:mallory@[]", "tel:+4930123456", "mailto:mallory@example.org", "http://example.org/mallory", "urn:x:y",
    "sip:mallory@example.org:-1", "sip:mallory@example.org:5060:5060",
    "sip:mallory@elsewhere.example", "sip:mallory@example.org.evil.example", "sip:mallory@evil@example.org",
    "sip:mallory@example..org", "sip:mallory@.example.org", "sip:mallory@-", "sip:mallory@exa mple.org", "sip:mal lory@example.org",
    'sip:"mallory"@example.org', "sip:<mallory>@example.org", "sip:mallory@127.0.0.1:1", "sip:mallory@256.256.256.256",
    "sip:" + "m" * 600 + "@example.org", "sip:mallory@" + "e" * 600 + ".org", "sip:" + "%41" * 300 + "@example.org",
    "im:", "pres:", "pres:@example.org", "data:,x", "sip:mallory@example.org>", "sip:mallory@example.org?Expires=0&X=<",
)  # fmt: skip
"""What nobody can be watched at. A user part that is only unusual is below."""

UNUSUAL = (
    "sip:mallory@example.org:0", "sip:mallory@example.org:99999", "sip:%00@example.org", "sip:mal%0D%0ALory@example.org",
    "sip:mal%0d%0aContact%3a%20x@example.org", "sip:mal%22lory@example.org",
    "sip:mal'lory;DROP@example.org", "sip:mal%27%20OR%201=1--@example.org", "sip:%zz@example.org", "sip:%@example.org",
    "sip:mallory:password@example.org", "sip:mal&lory=1+2$,;?/@example.org", "sip:..%2F..%2Fetc%2Fpasswd@example.org",
    "sip:mallory@example.org;transport=\"udp", "sip:mallory@example.org;lr;lr=;;x=%00", "sip:mallory@example.org?Route=%3Csip:x%3E",
    "SIP:MALLORY@EXAMPLE.ORG", "pres:mallory@example.org", "sips:mallory@example.org", "sip:mallory@example.org;user=phone",
    octets("sip:mällory@example.org".encode()), octets(b"sip:mal\xfflory@example.org"), octets("sip:😀@example.org".encode()),
)  # fmt: skip
"""What may or may not be taken, but must not break a line, a document or a statement."""


def _requests() -> Iterator[Case]:
    for method in METHODS:
        for uri in URIS:
            yield Case(f"R-URI {uri[:40]}", NEVER, method, uri=uri)
        for uri in UNUSUAL:
            own = {"From": f"<{uri}>;tag=1"} if method == "PUBLISH" else {}
            yield Case(f"unusual R-URI {uri[:40]!r}", NEVER | ACCEPTED, method, own, uri=uri)


def _identities() -> Iterator[Case]:
    for uri in URIS:
        yield Case(f"From {uri[:40]}", NEVER, "PUBLISH", {"From": f"<{uri}>;tag=1"})
    for name in ("From", "To"):
        for uri in (*URIS, *UNUSUAL):
            yield Case(f"{name} {uri[:40]!r}", NEVER | ACCEPTED, changes={name: f"<{uri}>;tag=1" if name == "From" else f"<{uri}>"})


TOLERABLE = ("<sip:a@127.0.0.1:9>;expires", "sip:a@127.0.0.1:9>", '"a <sip:a@127.0.0.1:9>', "<<sip:a@127.0.0.1:9>>")
"""Wrong, but what is meant can be told."""


def _contacts() -> Iterator[Case]:
    for uri in ("*", "", "<>", "<sip:>", "<sip:@>", "<mallory>", "<tel:+49>", "<http://127.0.0.1/>", "<pres:mallory@example.org>",
                "<sip:a@127.0.0.1:9>, <sip:b@127.0.0.1:9>", "<sip:a@127.0.0.1:9", "sip:a@127.0.0.1:9>", '"a <sip:a@127.0.0.1:9>',
                "<sip:a@127.0.0.1:99999>", "<sip:a@[::1>", "<sip:a b@127.0.0.1:9>", "<sip:a@127.0.0.1:9>\x01",
                "<sip:" + "a" * 600 + "@127.0.0.1>",
                "<<sip:a@127.0.0.1:9>>", "\x00", "<sip:a@127.0.0.1:9>;expires", octets(b"<sip:\xff@127.0.0.1:9>")):  # fmt: skip
        allowed = NEVER | (ACCEPTED if uri in TOLERABLE else frozenset())
        yield Case(f"Contact {uri[:40]!r}", allowed, changes={"Contact": uri})


def _folded() -> Iterator[Case]:
    for name, value in (("Contact", f"<sip:{USER}@127.0.0.1:9>\r\n ;x=y"), ("Event", "presence\r\n ;id=1"), ("Expires", "\r\n 600"),
                        ("Accept", "application/pidf+xml\r\n\t,text/plain"), ("Call-ID", "\r\n folded"), ("From",
                        '"A\r\n B" <sip:mallory@example.org>;tag=1'),
                        ("Contact", f"<sip:{USER}@127.0.0.1:9;\r\n x=y>"), ("Record-Route",
                        "<sip:127.0.0.1:9;lr>\r\n ,\r\n <sip:127.0.0.1:9;lr>"),
                        ("Contact", f"<sip:{USER}@127.0.0.1:9>\r ;x=y"), ("Contact", f"<sip:{USER}@127.0.0.1:9>\n ;x=y"),
                        ("Event", "presence;id=a\rb"), ("Event", "presence;id=\0"), ("User-Agent", "a\0b"),
                        ("Record-Route", "<sip:127.0.0.1:9;lr>\r\n\r\n evil"), ("Call-ID", 'a"b<c>'), ("Call-ID",
                        octets(b"\xff\xfe"))):  # fmt: skip
        for method in METHODS:
            yield Case(f"{name} {value!r}", NEVER | ACCEPTED, method, {name: value})


def _entity_tags() -> Iterator[Case]:
    for value in ("*", "a", "0" * 20, "a" * 5000, "'; DROP TABLE publication; --", "a.b-c!d%e*f_g+h`i'j~k"):
        allowed = {412} if len(value) < 50 and " " not in value else {400, 412}
        yield Case(f"SIP-If-Match {value[:30]}", allowed, "PUBLISH", {"SIP-If-Match": value})
    for value in ('"quoted"', "a, b", "a b", "<a>", "a;b", "", "\x00", "\x01", octets(b"\xff"), "ä", "a\r\n b"):
        yield Case(f"SIP-If-Match {value!r}", {400, 412}, "PUBLISH", {"SIP-If-Match": value})
    yield Case("SIP-If-Match twice", {400, 412}, "PUBLISH", {"SIP-If-Match": "a"}, extra=("SIP-If-Match: b",))
    yield Case("SIP-If-Match twice the same", {400, 412}, "PUBLISH", {"SIP-If-Match": "a"}, extra=("SIP-If-Match: a",))
    yield Case("removal of nothing", {412}, "PUBLISH", {"SIP-If-Match": "a", "Expires": "0"})


def _events() -> Iterator[Case]:
    for value in ("presence;", "presence ; id = 1", "presence;x=y", "presence\x00"):  # Kamailio takes a NUL at the end away
        yield Case(f"Event {value!r}", NEVER | ACCEPTED, changes={"Event": value})
    for value in ("Presence", "presence.winfo.winfo.winfo", "presence.", "conference", "*", "presence, dialog", "<presence>",
                  '"presence"',
                  ";id=1",
                  "presence;id", "presence;id=", "presence;id=a b", "presence;id=\"a\"", "p" * 5000,
                  "presence\x01", "présence",
                  octets(b"\xff"), "presence;id=" + "a" * 5000):  # fmt: skip
        yield Case(f"Event {value[:30]!r}", {400, 489}, changes={"Event": value})


def _accepts() -> Iterator[Case]:
    for value in ("text/plain", "application/pidf+xml;q=0", "*/*;q=0", "application/*;q=0, image/*", "/", ",,,", ";;;", "a" * 3000,
                  "q=1",
                  "application/pidf+xml;q=0.0.0", "application/pidf+xml;q=-1", "application/pidf+xml;q=abc", "*", '"',
                  '"application/pidf+xml"',
                  "application/pidf+xml;q=" + "9" * 500, "application/pidf+xml;q=.", "<>", octets(b"\xff\xff"), "\x00",
                  "text/" + "," * 3000,
                  "application/pidf+xml;q=" + "0" * 2000 + "x", '"' * 3000, "<" * 3000):  # fmt: skip
        yield Case(f"Accept {value[:30]!r}", NEVER | ACCEPTED, changes={"Accept": value})


def _requires() -> Iterator[Case]:
    for method in METHODS:
        for value in ("100rel", "a, b, c", "eventlist", "\x01", "", ",", octets(b"\xff"), 'a"b', "a" * 3000):
            allowed = {420, 400} | (ACCEPTED if value in ("", ",") else frozenset())
            yield Case(f"Require {value[:20]!r}", allowed, method, {"Require": value})


def _in_dialogs() -> Iterator[Case]:
    for tag in ("x", "kp-0", "kp-" + "0" * 24, "kp-' OR ''='", "a" * 3000, octets(b"\xff"), '"a"'):
        yield Case(f"To tag {tag[:20]!r}", NEVER, changes={"To": f"<sip:mallory@example.org>;tag={tag}"})


@pytest.mark.rfc("TRN-018")
@pytest.mark.parametrize("case", [*_requests()], ids=str)
def test_a_bad_request_uri_is_refused_or_dropped(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.parametrize("case", [*_identities()], ids=str)
def test_a_bad_from_or_to_is_refused_or_dropped(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.rfc("TRN-017")
@pytest.mark.parametrize("case", [*_contacts()], ids=str)
def test_a_bad_contact_is_refused_or_dropped(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.rfc("SEC-012")
@pytest.mark.parametrize("case", [*_folded()], ids=str)
def test_folding_and_control_characters(attacker: Attacker, case: Case) -> None:
    outcome = judge(attacker, case)
    raw = b"".join(message.raw for message in outcome.messages)
    assert b"\0" not in raw
    assert b"\nevil" not in raw


@pytest.mark.parametrize("case", [*_entity_tags()], ids=str)
def test_an_entity_tag_that_names_no_publication_is_refused(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.parametrize("case", [*_events(), *_accepts(), *_in_dialogs()], ids=str)
def test_a_bad_event_accept_or_dialog_is_refused_or_dropped(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.rfc("TRN-015")
@pytest.mark.parametrize("case", [*_requires()], ids=str)
def test_what_is_required_and_not_supported_is_refused(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


def test_own_address_as_contact(attacker: Attacker) -> None:
    own = "{}:{}".format(*attacker.server.address)
    for uri in (f"sip:x@{own}", f"sip:x@{own};transport=tcp", f"sip:{own}"):
        judge(attacker, Case("own Contact", {400}, changes={"Contact": f"<{uri}>"}))
