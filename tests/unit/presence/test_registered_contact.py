"""The document that shows a registered contact: kemi/presence/registrar.py."""

from pathlib import Path

import pytest
from lxml import etree

from kemi.presence.pidf import MEDIA_TYPE, PIDF, parse
from kemi.presence.registrar import document
from tests.unit.values import ALICE, NOW

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "pidf.xsd"))
CONTACTS = (
    "sip:alice@192.0.2.10:5060",
    "sips:a%20l@alice.example.net;transport=tls",
    "sip:x@abc.invalid;transport=ws",
    "sip:'&\"@h;a=<>",
)


@pytest.mark.rfc("FMT-001")
@pytest.mark.parametrize("percentage", [0, 1, 29, 50, 100])
@pytest.mark.parametrize("contact", CONTACTS)
def test_it_is_a_valid_document_with_one_open_tuple(contact: str, percentage: int) -> None:
    body = document(ALICE, "name", contact, percentage, NOW)
    root = etree.fromstring(body)
    SCHEMA.assertValid(root)
    (only,) = parse(body, MEDIA_TYPE).tuples
    assert only.findtext(f".//{{{PIDF}}}basic") == "open"
    found = only.find(f"{{{PIDF}}}contact")
    assert found is not None
    assert found.text == contact
    assert float(found.get("priority", "")) == percentage / 100
    assert root.get("entity") == ALICE


@pytest.mark.rfc("FMT-013")
def test_it_tells_when_the_contact_was_registered() -> None:
    assert b"<timestamp>1970-01-12T13:46:40Z</timestamp>" in document(ALICE, "name", CONTACTS[0], 0, NOW + 0.9)


def test_its_id_is_that_of_the_publication_and_does_not_tell_it() -> None:
    one, other = (etree.fromstring(document(ALICE, name, CONTACTS[0], 0, NOW))[0].get("id") for name in ("name", "other"))
    assert one != other
    assert "name" not in str(one)
