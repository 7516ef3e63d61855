"""What says which list a subscription is to, as its row has it (`kemi.rls.source.Chosen`)."""

import pytest

from kemi.rls import source
from kemi.rls.resource_list import Member
from kemi.rls.source import Chosen
from tests.unit.values import ALICE, BOB

ROOT = "https://other.example.org/xcap"
MEMBERS = (Member("sip:Alice@example.org", ALICE, (("", "Älice"), ("de", "Alice"))), Member(BOB, BOB))


@pytest.mark.parametrize(
    "chosen",
    [
        Chosen(),
        Chosen(members=MEMBERS),
        Chosen(members=()),
        Chosen(name="work"),
        Chosen(name=""),
        Chosen(root=ROOT),
        Chosen(name="", root=ROOT),
        Chosen(name="Büro", root=ROOT),
    ],
)
def test_what_was_chosen_is_read_as_it_was_written(chosen: Chosen) -> None:
    assert Chosen.from_text(chosen.as_text()) == chosen


def test_rows_stay_what_they_are() -> None:
    """Subscriptions outlive a new version of the server."""
    assert Chosen().as_text() == ""
    assert Chosen(members=MEMBERS[1:]).as_text() == f'[["{BOB}", "{BOB}", []]]'
    assert Chosen(name="Büro").as_text() == '{"list": "Büro"}'
    assert Chosen(name="", root=ROOT).as_text() == f'{{"list": "", "root": "{ROOT}"}}'


@pytest.mark.parametrize("name", [None, "", "work"])
def test_below_another_root_it_is_the_same_list(name: str | None) -> None:
    assert Chosen.from_text(source.below(ROOT, Chosen(name=name).as_text())) == Chosen(name=name, root=ROOT)
