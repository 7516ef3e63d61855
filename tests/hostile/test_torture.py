"""The torture messages of RFC 4475, told again with SUBSCRIBE and PUBLISH (sections in the names)."""

import pytest

from tests.hostile.attacker import Attacker, Watch, judge
from tests.hostile.messages import ACCEPTED, DROPPED, REFUSED, Case, octets, publish

ANY = ACCEPTED | REFUSED | DROPPED
BAD = frozenset({400}) | DROPPED

TORTURE = [
    Case("3.1.1.1 odd but right", ACCEPTED, changes={
        "From": '"J Rosenberg \\\\\\"" <sip:mallory@example.org>\r\n  ;\r\n  tag = 98asjd8',
        "To": 'sip:mallory@example.org ;   x  ',
        "Max-Forwards": " 0068 ", "Call-ID": "wsinv.ndaksdj@192.0.2.1", "Event": "\r\n presence",
        "NewFangledHeader": "newfangled value\r\n continued newfangled value", "UnknownHeaderWithUnusualValue": ";;,,;;,;",
        "Contact": '"Quoted string \\"\\"" <sip:mallory@127.0.0.1:9;unknown>\r\n ;newparam =\r\n newvalue'}),
    Case("3.1.1.2 wide range of characters in a method", {405, 400, 404, 200},
         method="!interesting-Method0123456789_*+`.%indeed'~"),
    Case("3.1.1.3 percent escapes in a user", ANY, uri="sip:sips%3Auser%40example.com@example.org"),
    Case("3.1.1.4 escaped nulls", ANY, uri="sip:null-%00-null@example.org"),
    Case("3.1.1.5 percent that is no escape in a method", {405, 400, 404, 200}, method="RE%47IST%45R"),
    Case("3.1.1.6 no space before the name-addr", ACCEPTED, changes={"From": '"caller"<sip:mallory@example.org>;tag=323'}),
    Case("3.1.1.7 long values", ACCEPTED, changes={
        "From": f'<sip:mallory@example.org>;tag={"12" * 100};{"x" * 200}="{"v" * 200}"', "X-Long": "long " * 500,
        "Call-ID": "longreq.one" + "really" * 20 + "longcallid"}),
    Case("3.1.1.8 more octets than the body", ACCEPTED, "PUBLISH", extra=("X-Trailing: yes",)),
    Case("3.1.1.9 semicolon in a user", ANY, uri="sip:user;par=u%40example.net@example.org"),
    Case("3.1.1.11 many transports in Via", ACCEPTED, extra=("Via: SIP/2.0/SCTP s2.example.com;branch=x",
         "Via: SIP/2.0/UNKNOWN s5.x")),
    Case("3.1.2.1 extraneous separators", ANY, extra=("Contact;;,;,,: <sip:a@b>", ";;,;;;,;: x")),
    Case("3.1.2.2 content-length too large", BAD, "PUBLISH", {"Content-Length": "9999"}),
    Case("3.1.2.3 content-length negative", BAD, "PUBLISH", {"Content-Length": "-999"}),
    Case("3.1.2.4 scalars too large", REFUSED | DROPPED, changes={
        "CSeq": "36893488147419103232 SUBSCRIBE", "Max-Forwards": "300", "Expires": "10000000000000000000000000000000"}),
    Case("3.1.2.6 quote not closed", ANY, changes={"To": '"Mr. J. User <sip:mallory@example.org>'}),
    Case("3.1.2.7 angle brackets around the uri", REFUSED | DROPPED, start="SUBSCRIBE <sip:mallory@example.org> SIP/2.0"),
    Case("3.1.2.8 space in the uri", REFUSED | DROPPED, start="SUBSCRIBE sip:mallory@example.org; lr SIP/2.0"),
    Case("3.1.2.9 several spaces in the start line", ANY, start="SUBSCRIBE  sip:mallory@example.org  SIP/2.0"),
    Case("3.1.2.10 spaces at the end of the start line", ANY, start="SUBSCRIBE sip:mallory@example.org SIP/2.0  "),
    Case("3.1.2.11 escaped headers in the uri", ANY, uri="sip:mallory@example.org?Route=%3Csip:example.com%3E"),
    Case("3.1.2.12 bad date", ANY, extra=("Date: Fri, 01 Jan 2010 16:00:00 EST",)),
    Case("3.1.2.13 contact with unquoted question mark", ANY, changes={"Contact": "sip:mallory@127.0.0.1:9?Route=%3Csip:x%3E"}),
    Case("3.1.2.14 spaces in addr-spec", ANY, changes={"To": '"Watson, Thomas" < sip:mallory@example.org >'}),
    Case("3.1.2.15 token characters in a display name", ANY, changes={"To": "Bell, Alexander <sip:mallory@example.org>;tag=43"}),
    Case("3.1.2.16 unknown version", REFUSED | DROPPED, start="SUBSCRIBE sip:mallory@example.org SIP/7.0"),
    Case("3.1.2.17 method and cseq differ", {400}, changes={"CSeq": "8 NOTIFY"}),
    Case("3.1.2.18 unknown method and cseq differ", REFUSED, method="NEWMETHOD", changes={"CSeq": "92 SUBSCRIBE"}),
    Case("3.1.2.19 response code of six digits", DROPPED, start="SIP/2.0 4294967301 better not break the receiver"),
    Case("3.2.1 no branch", ANY, changes={"Via": "SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK"}),
    Case("3.3.1 missing fields", DROPPED, changes={"Call-ID": None, "From": None, "To": None}),
    Case("3.3.2 unknown scheme in the uri", {416, 400}, uri="nobodyKnowsThisScheme:totallyopaquecontent"),
    Case("3.3.3 known scheme that is not for us", {416, 400}, uri="soap.beep://192.0.2.103:3002"),
    Case("3.3.4 unknown schemes in To and From", {400, 416}, changes={"To": "isbn:2983792873",
         "From": "<http://www.example.com>;tag=3"}),
    Case("3.3.5 Proxy-Require and Require", {420}, extra=("Require: nothingSupportsThis, nothingSupportsThisEither",)),
    publish("3.3.6 unknown content type", b"<audio>\n <pcmu port=\"443\"/>\n</audio>", {415},
            Content_Type="application/unknownformat"),
    Case("3.3.7 unknown authorization scheme", ANY, extra=("Authorization: NoOneKnowsThisScheme opaque-data=here",)),
    Case("3.3.8 fields twice", REFUSED | DROPPED, extra=("CSeq: 8 SUBSCRIBE", "Call-ID: multi", "From: <sip:x@y>;tag=1",
         "Max-Forwards: 5")),
    Case("3.3.9 content-length twice", ANY, "PUBLISH", extra=("Content-Length: 9",)),
    Case("3.3.11 max-forwards 0", {483}, changes={"Max-Forwards": "0"}),
    Case("3.3.13 contact parameters", ANY, changes={"Contact": "sip:mallory@127.0.0.1:9;unknownparam"}),
    Case("3.3.15 accept offer of unknown", {406}, changes={"Accept": "text/nobodyKnowsThis"}),
    publish("broken PIDF in unknown charset", octets(b"<presence/>").encode(), {415},
            Content_Type="application/pidf+xml;charset=UNKNOWN"),
]  # fmt: skip


@pytest.mark.rfc("SEC-012")
@pytest.mark.parametrize("case", TORTURE, ids=str)
def test_a_torture_message_is_answered_or_dropped_as_its_section_says(attacker: Attacker, case: Case) -> None:
    judge(attacker, case)


@pytest.mark.rfc("TRN-026")
def test_extra_octets_behind_the_body_are_cut_off(attacker: Attacker) -> None:
    """3.1.1.8: what stands behind Content-Length does not belong to the document."""
    watch = Watch(attacker.server)
    data = Case("extra octets", method="PUBLISH").build(attacker.address) + b"SUBSCRIBE sip:mallory@example.org SIP/2.0\r\n\r\n"
    assert attacker.attack(data).status == 200
    watch.check_alive()
