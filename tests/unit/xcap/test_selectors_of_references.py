"""Node selectors that documents of another server bring along, in anchors and refs: whose prefixes count (RFC 4825 section 6.4)."""

import pytest

from kemi.rls.expansion import Expanded
from kemi.xcap import external_list
from kemi.xcap.external_list import UNKNOWN
from tests.unit.rls.lists import ALICE, BOB, HOST, ROOT, Library, external, flat, reference, selector, uris

NAMESPACE = "urn:ietf:params:xml:ns:resource-lists"
HOME = f"resource-lists/users/{ALICE}/index/~~"
PREFIXED = f'<p:resource-lists xmlns:p="{NAMESPACE}"><p:list name="x"><p:entry uri="{BOB}"/></p:list></p:resource-lists>'.encode()
PLAIN = f'<resource-lists xmlns="{NAMESPACE}"><list name="x"><entry uri="{BOB}"/></list></resource-lists>'.encode()
BOUND = f"?xmlns(q={NAMESPACE})"
RIGHT = [f"q:resource-lists/q:list{{}}{BOUND}", f"q:resource-lists/*{{}}{BOUND}", "resource-lists/list{}"]
WRONG = [
    "p:resource-lists/p:list{}",
    f"p:resource-lists/p:list{{}}{BOUND}",
    "q:resource-lists/q:list{}?xmlns(q=urn:another)",
    f"q:resource-lists/p:list{{}}{BOUND}",
]
"""A prefix that is not bound in the query is none, though the document has it."""


def expanded(inside: str, body: bytes) -> Expanded:
    return flat(Library({selector(ALICE): body}), inside)


@pytest.mark.rfc("XCC-005")
@pytest.mark.parametrize("body", [PREFIXED, PLAIN])
@pytest.mark.parametrize(("node", "found"), [(each, True) for each in RIGHT] + [(each, False) for each in WRONG])
def test_prefixes_are_those_that_the_query_binds(node: str, found: bool, body: bytes) -> None:
    entry = node.format("/" + ("q:entry" if "q:" in node else "entry"))
    lists = expanded(external(f"{HOST}{ROOT}/{HOME}/{node.format('')}"), body)
    entries = expanded(reference(f"{HOME}/{entry}"), body)
    assert [uris(each) for each in (lists, entries)] == [[BOB] if found else []] * 2
    assert [bool(each.left_out) for each in (lists, entries)] == [not found] * 2


@pytest.mark.rfc("XCC-005")
@pytest.mark.parametrize("body", [PREFIXED, PLAIN])
@pytest.mark.parametrize(("node", "found"), [(each, True) for each in RIGHT] + [(each, False) for each in WRONG[:2]])
def test_so_they_are_in_a_rule_that_refers_to_a_list(node: str, found: bool, body: bytes) -> None:
    """Whom it means cannot be said where a prefix is bound to nothing."""
    path, _, query = node.format("").partition("?")
    members = external_list.members(body, path, query)
    assert (members.has(BOB) is True, members == UNKNOWN) == (found, not found)
