"""What is told of a list: kemi/rls/rlmi.py."""

from pathlib import Path

import pytest
from hypothesis import given
from lxml import etree

from kemi.event_package import VERSION
from kemi.rls import rlmi
from kemi.rls.rlmi import Instance, ListState, Resource
from kemi.subscription import Reason, State
from tests.unit.rls.lists import ALICE, BOB, CAROL, DAVE
from tests.unit.rls.states import LIST, PENDING, SILENT, STATE, STATES, active, document

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[1] / "schemas/rlmi.xsd"))


def read(text: str, version: int = 3) -> etree._Element:
    root = etree.fromstring(text.replace(VERSION, str(version)).encode())
    SCHEMA.assertValid(root)
    return root


def outline(root: etree._Element) -> list[tuple[str, dict[str, str], str]]:
    return [
        (etree.QName(each).localname, {etree.QName(k).localname: v for k, v in each.attrib.items()}, (each.text or "").strip())
        for each in root.iter()
    ]


@pytest.mark.rfc("RLS-004", "RLS-005", "RLS-007", "RLS-025")
def test_the_document_says_all_of_every_resource() -> None:
    assert outline(read(rlmi.write(STATE, ["a@b"]))) == [
        ("list", {"uri": LIST, "version": "3", "fullState": "true"}, ""),
        ("name", {}, "Friends"),
        ("resource", {"uri": BOB}, ""),
        ("name", {"lang": "en"}, "Bob <Smith> & Co"),
        ("name", {}, "B\xf6b"),
        ("instance", {"id": "1", "state": "active", "cid": "a@b"}, ""),
        ("resource", {"uri": CAROL}, ""),
        ("instance", {"id": "1", "state": "pending"}, ""),
        ("resource", {"uri": DAVE}, ""),
        ("instance", {"id": "1", "state": "terminated", "reason": "rejected"}, ""),
        ("resource", {"uri": ALICE}, ""),
    ]


@pytest.mark.rfc("RLS-033")
def test_an_empty_list_is_full() -> None:
    assert outline(read(rlmi.write(ListState(LIST, ()), []))) == [("list", {"uri": LIST, "version": "3", "fullState": "true"}, "")]


@pytest.mark.rfc("RLS-004")
def test_a_list_may_have_a_number_of_its_own() -> None:
    assert read(rlmi.write(STATE._replace(version=9), ["a@b"])).get("version") == "9"


@pytest.mark.rfc("RLS-006")
def test_a_part_of_the_list_is_not_full() -> None:
    assert read(rlmi.write(STATE._replace(resources=STATE.resources[1:], is_full=False), [])).get("fullState") == "false"


@pytest.mark.rfc("RLS-007")
@pytest.mark.parametrize(
    ("state", "reason", "body"),
    [
        (State.TERMINATED, None, None),
        (State.ACTIVE, Reason.TIMEOUT, None),
        (State.PENDING, Reason.REJECTED, None),
        (State.PENDING, None, document()),
        (State.TERMINATED, Reason.TIMEOUT, document()),
    ],
)
def test_an_instance_cannot_say_what_does_not_go_together(state: State, reason: Reason | None, body: None) -> None:
    with pytest.raises(ValueError, match=r"what is (terminated|active)"):
        Instance("1", state, reason, body)


@pytest.mark.rfc("RLS-007")
def test_an_active_instance_without_a_body_is_not_known_yet() -> None:
    written = rlmi.write(ListState(LIST, (Resource(BOB, (), (SILENT,)),)), [])
    assert [name for name, _, _ in outline(read(written))] == ["list", "resource"]
    assert written == rlmi.write(ListState(LIST, (Resource(BOB),)), [])


@pytest.mark.rfc("RLS-022")
def test_instances_of_a_resource_have_ids_of_their_own() -> None:
    twice = ListState(LIST, (Resource(BOB, (), (PENDING, active("a", "1"))),))
    with pytest.raises(ValueError, match="one id"):
        rlmi.write(twice, ["a@b"])
    several = ListState(LIST, (Resource(BOB, (), (PENDING, active("a", "2"))), Resource(CAROL, (), (PENDING,))))
    assert [each.get("id") for each in read(rlmi.write(several, ["a@b"])).iter("{*}instance")] == ["1", "2", "1"]


# Anything


@given(STATES)
@pytest.mark.rfc("RLS-025")
def test_whatever_is_told_is_valid(state: ListState) -> None:
    ids = [f"{each}@x" for each, _ in enumerate(rlmi.bodies_of(state))]
    root = read(rlmi.write(state, ids))
    assert [each.get("uri") for each in root.iter("{*}resource")] == [each.uri for each in state.resources]
    assert [each.get("cid") for each in root.iter("{*}instance") if each.get("cid")] == ids
    told = [each.text for each in root.iterchildren("{*}name")]
    assert told == [_as_xml(text) for _, text in state.names]


def _as_xml(text: str) -> str:
    """What XML can have of a text."""
    return "".join(each if each in "\t\n\r" or (each >= " " and each not in "\ufffe\uffff") else "?" for each in text)
