"""Whatever is published, dialog information is valid, complete, the same in any order, and no call comes back from the dead."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kemi.event_package import VERSION
from kemi.packages.dialog_aggregation import DialogReport, aggregate, narrowed, virtual
from kemi.packages.dialog_info import NAMESPACE, Dialog, DialogInfo, DialogState, parse, write
from tests.unit.anything import EXTENSION, TEXT, XML_TEXT, escaped, several, wrapped

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "dialog-info.xsd"))
NAME = st.sampled_from(["1", "2", "a.1", "", "dialog1"]) | XML_TEXT
TAG = st.sampled_from(["", "l", "r", "x"])
STATE = st.sampled_from([*(state.value for state in DialogState), "Early ", "dnd", ""])
URI = st.sampled_from(["sip:a@x", "<sip:b@x>", "sip:100%@x", "//", ":", "a:b#c#d", "tel:+1", ""]) | XML_TEXT
NUMBER = st.sampled_from(["0", "274", " 5 ", "-1", "1.5", "", "9" * 30])
WORD = st.sampled_from(["rejected", "local-bye", "bored", "100", "699", "700", "initiator", "recipient", ""])


JUNK = st.sampled_from(["<d:unheard-of/>", '<none xmlns=""/>', "<!-- c -->", "<?p i?>", " text "])
ADDRESS = URI.map(escaped)
TARGET = wrapped("d:target", several(wrapped("d:param", TEXT, pname=NAME, pval=NAME), JUNK), uri=URI)
PARTY = several(
    wrapped("d:identity", ADDRESS, display=XML_TEXT),
    TARGET,
    wrapped("d:cseq", NUMBER),
    wrapped("d:session-description", TEXT, type=NAME),
    EXTENSION,
    JUNK,
)
DIALOG = wrapped(
    "d:dialog",
    several(
        wrapped("d:state", STATE, event=WORD, code=WORD),
        wrapped("d:duration", NUMBER),
        wrapped("d:replaces", TEXT, call_id=NAME, local_tag=NAME, remote_tag=NAME),
        wrapped("d:referred-by", ADDRESS, display_name=XML_TEXT),
        wrapped("d:route-set", several(wrapped("d:hop", TEXT), JUNK)),
        wrapped("d:local", PARTY),
        wrapped("d:remote", PARTY),
        EXTENSION,
        JUNK,
    ).flatmap(lambda content: STATE.map(lambda state: f"<d:state>{state}</d:state>{content}")),
    id=NAME,
    call_id=st.sampled_from(["c", "d", ""]),
    local_tag=TAG,
    remote_tag=TAG,
    direction=WORD,
)
SCOPE = st.sampled_from(
    [
        f'xmlns:d="{NAMESPACE}" xmlns="{NAMESPACE}" xmlns:v="urn:v1"',
        f'xmlns:d="{NAMESPACE}" xmlns:v="urn:v2"',
        f'xmlns:d="{NAMESPACE}" xmlns="urn:default" xmlns:v="urn:v1" xmlns:q="urn:else"',
    ]
)
BODY = st.builds(
    "<d:dialog-info {} version='0' state='partial' entity='sip:a@x'>{}</d:dialog-info>".format,
    SCOPE,
    several(DIALOG, EXTENSION, JUNK),
).map(str.encode)
TIME = st.integers(0, 3).map(float)

SIMPLE = st.builds(
    Dialog,
    id=st.sampled_from(["1", "2"]),
    call_id=st.sampled_from(["c", "d", ""]),
    local_tag=TAG,
    remote_tag=TAG,
    direction=st.just(""),
    state=st.sampled_from(DialogState),
    content=st.just("<state>early</state>"),
)
DOCUMENT = st.lists(SIMPLE, max_size=4).map(lambda dialogs: DialogInfo(tuple(dialogs)))


def reports(documents: st.SearchStrategy[DialogInfo]) -> st.SearchStrategy[list[DialogReport]]:
    one = st.tuples(TIME, TIME, documents)
    return st.lists(one, max_size=4).map(lambda made: [DialogReport(f"p{number}", *each) for number, each in enumerate(made)])


def valid(document: DialogInfo) -> etree._Element:
    root = etree.fromstring(write("sip:alice@example.org", document).replace(VERSION, "3").encode())
    SCHEMA.assertValid(root)
    return root


def may_be_one(dialog: Dialog, other: Dialog) -> bool:
    """Whether nothing that both name tells them apart."""
    pairs = (dialog.local_tag, other.local_tag), (dialog.remote_tag, other.remote_tag)
    return dialog.call_id == other.call_id != "" and all(one == two or "" in (one, two) for one, two in pairs)


def extensions(root: etree._Element) -> list[bytes]:
    """The outermost elements of other namespaces beside the dialogs, in canonical form."""
    others = [child for child in root.iterchildren(etree.Element) if etree.QName(child).namespace not in (NAMESPACE, None)]
    return [etree.tostring(element, method="c14n", exclusive=True, with_tail=False) for element in others]


@pytest.mark.rfc("PA-064")
@given(reports(BODY.map(parse)))
def test_every_document_is_valid_and_its_ids_are_unique(published: list[DialogReport]) -> None:
    document = aggregate(published)
    root = valid(document)
    ids = [element.get("id") for element in root.iterchildren(f"{{{NAMESPACE}}}dialog")]
    assert len(set(ids)) == len(ids) == len(document.dialogs)
    for shown in (narrowed(document, "c", "l", ""), virtual(document)):
        assert len(valid(shown).findall(f"{{{NAMESPACE}}}dialog")) <= len(ids)


@given(st.lists(BODY, max_size=3))
def test_extensions_beside_dialogs_come_out_unchanged(bodies: list[bytes]) -> None:
    published = [DialogReport(f"p{number}", 0.0, 0.0, parse(body)) for number, body in enumerate(bodies)]
    assert extensions(valid(aggregate(published))) == [one for body in bodies for one in extensions(etree.fromstring(body))]


@given(reports(DOCUMENT), st.randoms(use_true_random=False))
def test_the_order_in_which_publications_come_does_not_matter(published: list[DialogReport], chance: object) -> None:
    shuffled = list(published)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert aggregate(shuffled) == aggregate(published)


@given(reports(DOCUMENT))
def test_nothing_is_shown_that_somebody_said_is_over(published: list[DialogReport]) -> None:
    claimed = [dialog for each in published for dialog in each.document.dialogs]
    over = [dialog for dialog in claimed if dialog.state is DialogState.TERMINATED]
    for shown, ended in product(aggregate(published).dialogs, over):
        assert shown.state is DialogState.TERMINATED or not may_be_one(shown, ended)


@given(reports(DOCUMENT), DOCUMENT, TIME)
def test_another_source_never_sets_a_dialog_back(published: list[DialogReport], late: DialogInfo, when: float) -> None:
    order = list(DialogState)
    for before, after in product(
        aggregate(published).dialogs, aggregate([*published, DialogReport("late", when, when, late)]).dialogs
    ):
        if before.call_id and (before[1:4]) == (after[1:4]):
            assert order.index(after.state) >= order.index(before.state)


@given(reports(DOCUMENT))
def test_every_dialog_is_shown_or_one_that_may_be_it_or_somebody_said_that_it_is_over(published: list[DialogReport]) -> None:
    shown = aggregate(published).dialogs
    claimed = [dialog for each in published for dialog in each.document.dialogs]
    over = [dialog for dialog in claimed if dialog.state is DialogState.TERMINATED]
    for dialog in claimed:
        if dialog.call_id:
            assert any(may_be_one(dialog, other) for other in (*shown, *over))
        else:
            assert any(not other.call_id and other.id.startswith(f"{dialog.id}.") for other in shown)
