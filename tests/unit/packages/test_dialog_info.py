"""Dialog information is read, aggregated and written: dialog_info.py and dialog_aggregation.py of kemi/packages, RFC 4235."""

from pathlib import Path

import pytest
from lxml import etree

from kemi.errors import BodyTooLarge, UnsupportedMediaType
from kemi.event_package import VERSION
from kemi.packages.dialog_aggregation import DialogReport, aggregate, narrowed, virtual
from kemi.packages.dialog_info import NAMESPACE, Dialog, DialogInfo, DialogState, parse, write
from kemi.presence import pidf

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "dialog-info.xsd"))
ENTITY = "sip:alice@example.org"
NAMES = {"d": NAMESPACE}


def body(*dialogs: str, more: str = "") -> bytes:
    start = f'<dialog-info xmlns="{NAMESPACE}" {more} version="7" state="full" entity="{ENTITY}">'
    return f"{start}{''.join(dialogs)}</dialog-info>".encode()


def dialog(state: str = "confirmed", content: str = "", **names: str) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in names.items())
    return f"<dialog{attributes}><state>{state}</state>{content}</dialog>"


def report(*dialogs: str, by: str = "one", created: float = 0.0, published: float = 0.0) -> DialogReport:
    return DialogReport(by, created, published, parse(body(*dialogs)))


def valid(document: DialogInfo) -> etree._Element:
    """The document as a watcher reads it, valid."""
    root = etree.fromstring(write(ENTITY, document).replace(VERSION, "0").encode())
    SCHEMA.assertValid(root)
    return root


def states(document: DialogInfo) -> list[str]:
    return [each.state.value for each in document.dialogs]


def rewritten(*dialogs: str, more: str = "") -> etree._Element:
    """The one dialog of a published document, as a watcher reads it."""
    (found,) = valid(parse(body(*dialogs, more=more))).iterchildren(f"{{{NAMESPACE}}}dialog")
    return found


# Documents


@pytest.mark.rfc("PA-063", "PA-064")
def test_without_publications_the_document_is_full_numbered_and_empty() -> None:
    content = write("sip:a&b<\"'@example.org", aggregate([]))
    root = etree.fromstring(content.replace(VERSION, "12").encode())
    SCHEMA.assertValid(root)
    assert content.count(VERSION) == 1
    assert dict(root.attrib) == {"version": "12", "state": "full", "entity": "sip:a&b<\"'@example.org"}
    assert len(root) == 0


def test_what_is_published_of_a_dialog_comes_out_in_schema_order() -> None:
    published = """<dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" remote-tag="456887766"
        direction="initiator">
      <remote><cseq>7</cseq><target uri="sip:bob@192.0.2.4"><param pname="+sip.rendering" pval="no"/></target>
        <identity display="Bob &amp; Co">sip:bob@example.com</identity></remote>
      <local><identity display-name="Alice">sip:alice@example.org</identity></local>
      <route-set><hop> &lt;sip:p1.example.org;lr&gt; </hop><hop>sip:p2.example.org</hop></route-set>
      <referred-by display="Carol">sip:carol@example.org</referred-by>
      <replaces call-id="hg287s98s89" local-tag="6762h7" remote-tag="09278hsb"/>
      <duration>274</duration><state event="remote-bye" code="200">terminated</state></dialog>"""
    found = rewritten(published)
    assert dict(found.attrib) == {
        "id": "as7d900as8", "call-id": "a84b4c76e66710", "local-tag": "1928301774", "remote-tag": "456887766",
        "direction": "initiator",
    }  # fmt: skip
    names = [etree.QName(child).localname for child in found]
    assert names == ["state", "duration", "replaces", "referred-by", "route-set", "local", "remote"]
    assert dict(found[0].attrib) == {"event": "remote-bye", "code": "200"}
    assert [hop.text for hop in found[4]] == ["<sip:p1.example.org;lr>", "sip:p2.example.org"]
    assert [etree.QName(child).localname for child in found[6]] == ["identity", "target", "cseq"]
    assert (found[6][0].get("display"), found[6][0].text) == ("Bob & Co", "sip:bob@example.com")
    assert found[5][0].get("display-name") == "Alice"


@pytest.mark.parametrize(
    "wrong",
    [
        "<duration>soon</duration>",
        "<duration>1</duration><duration>2</duration>",
        '<replaces call-id="c" local-tag="l"/>',
        "<referred-by>sip:100%@[x]</referred-by>",
        "<route-set/>",
        "<local><identity>a b</identity><target/><cseq>-1</cseq><identity>sip:a@x</identity></local>",
        "<local/><local/>",
        "<unheard-of/>",
        '<none xmlns=""/>',
        "text<!-- c --><?p i?>",
    ],
)
def test_what_the_schema_forbids_is_not_written(wrong: str) -> None:
    assert rewritten(dialog("early", wrong, id="1"))[0].tag == f"{{{NAMESPACE}}}state"


def test_attributes_that_the_schema_forbids_are_not_written() -> None:
    published = '<dialog id="1" direction="sideways" v:a="b"><state event="bored" code="99" v:a="b">early</state></dialog>'
    found = rewritten(published, more='xmlns:v="urn:v"')
    assert dict(found.attrib) == {"id": "1"}
    assert dict(found[0].attrib) == {}


def test_a_state_is_read_however_it_is_spelt_and_a_dialog_without_one_is_left_out() -> None:
    read = parse(body(dialog(" Confirmed\n", id="1"), dialog("dnd", id="2"), '<dialog id="3"/>'))
    assert [(each.id, each.state) for each in read.dialogs] == [("1", DialogState.CONFIRMED)]


def test_freeswitch_spells_pval_otherwise() -> None:
    target = '<local><target uri="sip:a@x"><param pname="+sip.rendering" pvalue="no"/></target></local>'
    assert dict(rewritten(dialog("confirmed", target, id="1"))[1][0][0].attrib) == {"pname": "+sip.rendering", "pval": "no"}


def test_sessions_are_not_shown() -> None:
    session = '<local><session-description type="application/sdp">v=0</session-description></local>'
    assert b"v=0" not in etree.tostring(rewritten(dialog("confirmed", session, id="1")))


# Extensions


def test_extensions_keep_their_content_and_namespaces() -> None:
    scope = 'xmlns:v="urn:v" xmlns:q="urn:q" xmlns:unused="urn:unused"'
    inside = '<v:appearance kind="q:name">3<v:none xmlns=""><deep/></v:none></v:appearance>'
    content = f"{inside}<local>{inside}</local>"
    found = valid(parse(body(dialog("early", content, id="1"), inside, more=scope)))
    places = [found[0][2], found[0][1][0], found[1]]
    for place in places:
        assert (place.tag, place.text, place.nsmap["q"]) == ("{urn:v}appearance", "3", "urn:q")
        assert place[0][0].tag == "deep"
        assert "unused" not in place.nsmap


def test_names_without_namespace_do_not_become_names_of_the_document() -> None:
    published = f'<d:dialog-info xmlns:d="{NAMESPACE}" xmlns:v="urn:v"><v:a><b/></v:a></d:dialog-info>'
    assert valid(parse(published.encode()))[0][0].tag == "b"


def test_declarations_are_not_multiplied_without_limit() -> None:
    scope = " ".join(f'xmlns:n{number}="urn:{"x" * 300}{number}"' for number in range(50))
    used = " ".join(f"n{number}:" for number in range(50))
    with pytest.raises(BodyTooLarge):
        parse(body(*[f'<v:a xmlns:v="urn:v">{used}</v:a>'] * 100, more=scope))


# Refusals


@pytest.mark.rfc("PUB-013")
@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"<dialog-info",
        b'<dialog-info version="0" state="full" entity="sip:a@x"/>',
        b'<presence xmlns="urn:ietf:params:xml:ns:pidf"/>',
        b'<!DOCTYPE d [<!ENTITY e "x">]>' + body(dialog(id="1")),
        body(dialog("early", "\xe9", id="1")).decode().encode("latin-1"),
        body(dialog(id="1")).decode().encode("utf-16"),
        body(dialog(id="1")).decode().encode("utf-16-le"),
        body("&undeclared;"),
    ],
)
def test_what_is_no_dialog_information_is_refused_with_the_type_that_is_taken(wrong: bytes) -> None:
    with pytest.raises(UnsupportedMediaType) as refused:
        parse(wrong)
    assert dict(refused.value.headers) == {"Accept": "application/dialog-info+xml"}


@pytest.mark.parametrize(
    "wrong",
    [
        body("<dialog/>" * (pidf.MAX_ELEMENTS + 1)),
        body("<v:a xmlns:v='urn:v'>" * pidf.MAX_DEPTH + "</v:a>" * pidf.MAX_DEPTH),
        body("<v:a xmlns:v='urn:v'>" * (pidf.MAX_DECLARATIONS + 1)),
        body("a=" * (pidf.MAX_ATTRIBUTES + 1)),
    ],
)
def test_what_is_too_large_to_be_read_is_refused(wrong: bytes) -> None:
    with pytest.raises(BodyTooLarge):
        parse(wrong)


# Aggregation


def test_dialogs_of_different_calls_stand_side_by_side_under_ids_of_their_own() -> None:
    found = aggregate([report(dialog(id="1", call_id="a")), report(dialog(id="1", call_id="b"), by="two")])
    assert [each.call_id for each in found.dialogs] == ["a", "b"]
    assert len({each.id for each in found.dialogs}) == 2


def test_equal_ids_without_call_id_are_different_dialogs_in_different_publications() -> None:
    found = aggregate([report(dialog("early", id="1")), report(dialog(id="1"), by="two")])
    assert states(found) == ["early", "confirmed"]


def test_an_id_stays_whatever_else_is_published() -> None:
    alone = aggregate([report(dialog("early", id="1", call_id="a"), by="two", created=2)])
    again = aggregate([report(dialog(id="1", call_id="b")), report(dialog(id="1", call_id="a"), by="two", created=2, published=9)])
    assert alone.dialogs[0].id == again.dialogs[1].id
    assert "two" not in alone.dialogs[0].id


def test_an_id_that_a_publication_has_twice_is_told_apart() -> None:
    found = aggregate([report(dialog(id="1", call_id="a"), dialog(id="1", call_id="b"), dialog(id="1"), dialog(id="2"))])
    assert len({each.id for each in found.dialogs}) == 4


def test_dialogs_without_id_are_told_apart() -> None:
    assert states(aggregate([report(dialog("early"), dialog())])) == ["early", "confirmed"]


@pytest.mark.parametrize("final_first", [True, False])
@pytest.mark.parametrize("late", ["trying", "proceeding", "early", "confirmed"])
def test_a_terminated_dialog_does_not_come_back_by_another_source(late: str, final_first: bool) -> None:
    names = {"call_id": "c", "local_tag": "l", "remote_tag": "r"}
    over = report(dialog("terminated", id="1", **names), by="one", published=1, created=0 if final_first else 5)
    slow = report(dialog(late, id="7", **names), by="two", published=2, created=1)
    assert states(aggregate([over, slow])) == ["terminated"]


@pytest.mark.parametrize(
    "names",
    [{"call_id": "c"}, {"call_id": "c", "local_tag": "l"}, {"call_id": "c", "remote_tag": "r"}],
)
def test_a_report_that_does_not_know_all_tags_yet_does_not_bring_it_back_either(names: dict[str, str]) -> None:
    over = report(dialog("terminated", id="1", call_id="c", local_tag="l", remote_tag="r"))
    assert states(aggregate([over, report(dialog("early", id="2", **names), by="two", published=9)])) == ["terminated"]


def test_who_knows_one_tag_only_can_say_that_the_call_is_over() -> None:
    over = report(dialog("terminated", id="1", call_id="c", local_tag="l"))
    forks = [dialog("early", id=tag, call_id="c", local_tag="l", remote_tag=tag) for tag in ("r1", "r2")]
    assert states(aggregate([over, report(*forks, by="two", published=9)])) == ["terminated"]


def test_forks_of_a_call_are_dialogs_of_their_own() -> None:
    forks = [
        dialog("confirmed", id="1", call_id="c", local_tag="l", remote_tag="r1"),
        dialog("terminated", id="2", call_id="c", local_tag="l", remote_tag="r2"),
    ]
    assert states(aggregate([report(*forks)])) == ["confirmed", "terminated"]


def test_equally_advanced_the_fuller_and_then_the_later_report_is_shown() -> None:
    full = {"call_id": "c", "local_tag": "l", "remote_tag": "r"}
    reports = [
        report(dialog("confirmed", "<duration>1</duration>", id="a", **full), by="one", published=1),
        report(dialog("confirmed", "<duration>2</duration>", id="b", **full), by="two", published=2),
        report(dialog("confirmed", "<duration>3</duration>", id="c", call_id="c"), by="three", published=3),
    ]
    (found,) = aggregate(reports).dialogs
    assert "<duration>2</duration>" in found.content


def test_a_dialog_that_is_listed_twice_by_one_source_is_one() -> None:
    assert states(aggregate([report(dialog("confirmed", id="1"), dialog("early", id="1"))])) == ["confirmed"]


# What is shown of it

CALLS = aggregate(
    [
        report(
            dialog("confirmed", id="1", call_id="a", local_tag="l", remote_tag="r1"),
            dialog("early", id="2", call_id="a", local_tag="l", remote_tag="r2"),
            dialog("terminated", id="3", call_id="b", local_tag="l", remote_tag="r1"),
        )
    ]
)


@pytest.mark.rfc("PA-064")
@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (("", "", ""), ["confirmed", "early", "terminated"]),
        (("a", "", ""), ["confirmed", "early"]),
        (("a", "l", ""), ["confirmed", "early"]),
        (("a", "l", "r2"), ["early"]),
        (("a", "r2", "l"), []),
        (("A", "", ""), []),
    ],
)
def test_call_id_and_tags_narrow_what_is_shown(asked: tuple[str, str, str], shown: list[str]) -> None:
    assert states(narrowed(CALLS, *asked)) == shown


@pytest.mark.rfc("PA-064")
@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ([], []),
        (["terminated"], ["terminated"]),
        (["terminated", "trying"], ["trying"]),
        (["proceeding", "trying", "terminated"], ["proceeding"]),
        (["early", "confirmed", "terminated"], ["confirmed"]),
    ],
)
def test_the_virtual_dialog_is_as_advanced_as_the_most_advanced_that_goes_on(known: list[str], shown: list[str]) -> None:
    remote = "<remote><identity>sip:bob@example.com</identity></remote>"
    dialogs = [
        dialog(state, remote, id=str(number), call_id=str(number), direction="initiator") for number, state in enumerate(known)
    ]
    document = virtual(parse(body(*dialogs, '<v:a xmlns:v="urn:v"/>')))
    assert states(document) == shown
    assert document.extensions == ()
    for each in document.dialogs:
        assert each == Dialog("virtual", "", "", "", "", each.state, f"<state>{each.state.value}</state>")
