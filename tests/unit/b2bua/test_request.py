"""The SUBSCRIBE of an outgoing subscription: where it goes and what it says."""

from kemi.b2bua.request import Ourselves, subscribe
from tests.unit.b2bua.remote import BOB, DAN, FOREIGN
from tests.unit.values import PIDF, fields_of

US = Ourselves("192.0.2.1", 5060, 5061, name="us")
ASKED = FOREIGN._replace(dialog="kb-1", call_id="call", local_cseq=1, asked=3600)


def sent(us: Ourselves = US, **changes: object) -> tuple[str, str, str, dict[str, list[str]]]:
    request = subscribe(ASKED._replace(**changes), (PIDF,), us, "cnonce")  # type: ignore[arg-type]
    return request.uri, request.next_hop, request.socket, fields_of(request.headers)


def test_the_first_one_goes_to_who_is_watched() -> None:
    uri, next_hop, socket, fields = sent()
    assert (uri, next_hop, socket) == (DAN, "", "udp:192.0.2.1:5060")
    assert fields["From"] == [f"<{BOB}>;tag=kb-1"]
    assert fields["CSeq"] == ["1 SUBSCRIBE"]
    assert "Authorization" not in fields


def test_an_outbound_proxy_is_the_next_hop_and_a_route_stays() -> None:
    """SER handbook section 7.2."""
    uri, next_hop, _, fields = sent(US._replace(route="<sip:192.0.2.9;lr>"))
    assert (uri, next_hop, fields["Route"]) == (DAN, "sip:192.0.2.9;lr", ["<sip:192.0.2.9;lr>"])
    both = US._replace(route="<sip:192.0.2.9;lr>", outbound_proxy="sip:192.0.2.8;transport=tcp")
    uri, next_hop, socket, fields = sent(both)
    assert (next_hop, socket, fields["Route"]) == ("sip:192.0.2.8;transport=tcp", "tcp:192.0.2.1:5060", ["<sip:192.0.2.9;lr>"])
    assert fields["Contact"][0].startswith("<sip:192.0.2.1:5060;transport=tcp;gr=")


def test_in_the_dialog_its_own_route_counts() -> None:
    us = US._replace(route="<sip:192.0.2.9;lr>", outbound_proxy="sip:192.0.2.8")
    dialog = {"remote_tag": "far", "remote_target": "sip:dan@192.0.2.7", "local_cseq": 2}
    uri, next_hop, _, fields = sent(us, **dialog)
    assert (uri, next_hop, fields["To"]) == ("sip:dan@192.0.2.7", "", [f"<{DAN}>;tag=far"])
    uri, next_hop, _, fields = sent(us, route_set="<sip:p.example.net;lr>", **dialog)
    assert (uri, next_hop, fields["Route"]) == ("sip:dan@192.0.2.7", "sip:p.example.net;lr", ["<sip:p.example.net;lr>"])


def test_over_tls_the_contact_is_secure() -> None:
    _, _, socket, fields = sent(redirect="sips:dan@192.0.2.7")
    assert socket == "tls:192.0.2.1:5061"
    assert fields["Contact"][0].startswith("<sips:192.0.2.1:5061;gr=")


def test_more_header_lines_are_sent_as_they_are() -> None:
    assert sent(US._replace(headers="X-Network: one\r\nX-Other: two\r\n"))[3]["X-Network"] == ["one"]


def test_the_names_of_servers_on_the_way_are_not_more_and_more() -> None:
    path = ", ".join(f"s{number}" for number in range(500))
    (value,) = sent(path=path)[3]["Presence-Path"]
    assert value.endswith("s499, us")
    assert len(value.split(", ")) == 100
