"""Every NOTIFY body that any test here receives is checked against the schemas of PIDF and the data model."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from lxml import etree

from tests import useragent
from tests.useragent import Message

SCHEMA = Path(__file__).resolve().parent.parent / "unit/presence/schemas/presence.xsd"


@lru_cache(maxsize=1)
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


def errors_of(body: bytes) -> str:
    """Why a document is not valid, "" if it is."""
    try:
        document = etree.fromstring(body)
    except etree.XMLSyntaxError as error:
        return f"not well-formed: {error}"
    schema = _schema()
    return "" if schema.validate(document) else str(schema.error_log.last_error)


@pytest.fixture(autouse=True)
def valid_documents(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Collects the bodies while a test runs and checks them after it."""
    bodies: set[bytes] = set()
    parse = useragent.parse

    def noting(raw: bytes) -> Message:
        message = parse(raw)
        if message.method == "NOTIFY" and message.body:
            bodies.add(message.body)
        return message

    monkeypatch.setattr(useragent, "parse", noting)
    yield
    wrong = [f"{errors}\n{body.decode('utf-8', 'replace')}" for body in bodies if (errors := errors_of(body))]
    assert not wrong, f"{len(wrong)} of {len(bodies)} NOTIFY bodies are not valid, one is:\n{wrong[0]}"
