"""What a presence document says, in a few words."""

import pytest

from kemi.presence import pidf
from kemi.presence.outline import DataOutline, Note, TupleOutline, outline

DOCUMENT = b"""<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"
  xmlns:rp="urn:ietf:params:xml:ns:pidf:rpid" xmlns:x="urn:example:x" entity="sip:alice@example.org">
<tuple id="t1"><status><basic>OPEN</basic><x:online/></status><rp:class>work</rp:class>
  <contact priority="0.8">sip:alice@192.0.2.1</contact><note xml:lang="en"> Here </note><note>Da</note></tuple>
<tuple id="t2"><status/></tuple>
<note>for all</note>
<dm:person id="p1"><rp:activities><rp:away/><!-- soon --><rp:meal/></rp:activities><dm:note>Lunch</dm:note></dm:person>
<dm:device id="d1"><dm:deviceID>urn:x</dm:deviceID></dm:device>
<x:other/><plain xmlns="urn:example:y"/>
</presence>"""


def basic(*said: str) -> str:
    tuples = "".join(f"<tuple id='t'><status><basic>{each}</basic></status></tuple>" for each in said)
    return outline(pidf.parse(f"<presence xmlns='{pidf.PIDF}'>{tuples}</presence>".encode(), pidf.MEDIA_TYPE)).basic


def test_an_outline_has_everything_of_the_document() -> None:
    found = outline(pidf.parse(DOCUMENT, pidf.MEDIA_TYPE))
    assert found.tuples == (
        TupleOutline(
            "t1", "open", "sip:alice@192.0.2.1", "0.8", (Note("Here", "en"), Note("Da", "")), ("rp:class",), ("x:online",)
        ),
        TupleOutline("t2", "", "", "", (), (), ()),
    )
    assert found.persons == (DataOutline("p1", (Note("Lunch", ""),), ("rp:activities(away, meal)",)),)
    assert found.devices == (DataOutline("d1", (), ()),)
    assert found.notes == (Note("for all", ""),)
    assert found.extensions == ("x:other", "plain")


@pytest.mark.parametrize(
    ("said", "expected"),
    [(["closed", "open"], "open"), (["closed", "closed"], "closed"), ([], ""), (["sometimes"], ""), (["OPEN"], "open")],
)
def test_one_open_tuple_is_enough_to_be_there(said: list[str], expected: str) -> None:
    assert basic(*said) == expected
