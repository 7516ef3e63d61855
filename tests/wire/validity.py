"""Every NOTIFY body that any test here receives is checked against the schema of its format.

Watcher information is numbered: in one dialog the first document is version 0 and full, and the next NOTIFY's is one version up.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest
from lxml import etree

from tests import useragent, watcherinfo, xcapdiff
from tests.useragent import Message

UNIT = Path(__file__).resolve().parent.parent / "unit"
SCHEMAS = {
    "urn:ietf:params:xml:ns:watcherinfo": watcherinfo.SCHEMA,
    "urn:ietf:params:xml:ns:xcap-diff": xcapdiff.SCHEMA,
    "urn:ietf:params:xml:ns:dialog-info": UNIT / "packages/schemas/dialog-info.xsd",
}
PRESENCE = UNIT / "presence/schemas/presence.xsd"


@lru_cache
def _schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path))


def errors_of(body: bytes) -> str:
    """Why a document is not valid, "" if it is."""
    try:
        document = etree.fromstring(body)
    except etree.XMLSyntaxError as error:
        return f"not well-formed: {error}"
    schema = _schema(SCHEMAS.get(etree.QName(document).namespace or "", PRESENCE))
    return "" if schema.validate(document) else str(schema.error_log.last_error)


def disorder_of(notifies: Iterable[Message]) -> list[str]:
    """What is wrong with the numbers of watcher information, dialog by dialog."""
    dialogs: dict[tuple[str, str], dict[int, watcherinfo.Told]] = defaultdict(dict)
    for each in notifies:
        if each.get("Content-Type") == watcherinfo.WATCHERINFO:
            dialogs[each.get("Call-ID"), each.from_tag][each.cseq] = watcherinfo.read(each.body)
    wrong = []
    for dialog, documents in dialogs.items():
        if 1 in documents and documents[1].kinds != (0, "full"):
            wrong.append(f"{dialog}: begins with {documents[1].kinds}")
        for before, after in pairwise(sorted(documents)):
            step = documents[after].version - documents[before].version
            if step < 1 or step > after - before:
                wrong.append(f"{dialog}: version {documents[after].version} follows {documents[before].version}")
    return wrong


@pytest.fixture(autouse=True)
def valid_documents(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Collects the bodies while a test runs and checks them after it."""
    notifies: list[Message] = []
    parse = useragent.parse

    def noting(raw: bytes) -> Message:
        message = parse(raw)
        if message.method == "NOTIFY" and message.body and message.get("Content-Type").endswith("+xml"):
            notifies.append(message)
        return message

    monkeypatch.setattr(useragent, "parse", noting)
    yield
    bodies = {each.body for each in notifies}
    wrong = [f"{errors}\n{body.decode('utf-8', 'replace')}" for body in bodies if (errors := errors_of(body))]
    assert not wrong, f"{len(wrong)} of {len(bodies)} NOTIFY bodies are not valid, one is:\n{wrong[0]}"
    assert disorder_of(notifies) == []
