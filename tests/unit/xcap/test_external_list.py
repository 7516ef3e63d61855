"""Lists that rules refer to, and who is in them: kemi/xcap/external_list.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.xcap import external_list
from kemi.xcap.external_list import MAX_LISTS, NOBODY, UNKNOWN, Members, members

BOB, CAROL, DAVE = "sip:bob@example.org", "sip:carol@example.org", "sip:dave@example.org"
DOCUMENT = f"""<rl:resource-lists xmlns:rl="urn:ietf:params:xml:ns:resource-lists" xmlns:x="urn:x">
<rl:list name="friends"><rl:entry uri="{BOB}"/><x:entry uri="{DAVE}"/><rl:entry uri=""/>
  <rl:list name="inner"><rl:entry uri="CAROL@example.org"/><rl:entry uri="sip%3Acarol%40example.org"/></rl:list></rl:list>
<rl:list name="twice"/><rl:list name="twice"/>
<rl:list name="more"><rl:external anchor="http%3A%2F%2Fx%2Fa"/><rl:entry-ref ref="resource-lists/users/a/b"/></rl:list>
</rl:resource-lists>""".encode()


@pytest.mark.parametrize(
    ("node", "uris"),
    [
        ('resource-lists/list[@name="friends"]', {BOB, "sip:CAROL@example.org", CAROL}),
        ("resource-lists/list%5B@name=%22friends%22%5D/list", {"sip:CAROL@example.org", CAROL}),
        (f'resource-lists/list[1]/entry[@uri="{BOB}"]', {BOB}),
        ("", {BOB, "sip:CAROL@example.org", CAROL}),
        ('resource-lists/list[@name="none"]', set()),
        ('resource-lists/list[@name="none"]/list', set()),
        ("resource-lists/list[1]/@name", set()),
    ],
)
def test_members_are_the_entries_of_the_list_and_of_those_in_it(node: str, uris: set[str]) -> None:
    found = members(DOCUMENT, node)
    assert found.uris == uris
    assert found.is_complete


@pytest.mark.parametrize("node", ['resource-lists/list[@name="twice"]', "resource-lists/[", "resource-lists/list[@x:a='1']"])
def test_what_cannot_be_found_out_is_not_known(node: str) -> None:
    assert members(DOCUMENT, node) == UNKNOWN
    assert UNKNOWN.has(BOB) is None


@pytest.mark.parametrize("body", [b"", b"<a", b"\xff"])
def test_nobody_knows_who_is_in_a_broken_document(body: bytes) -> None:
    assert members(body, "") == UNKNOWN


def test_a_list_of_something_else_has_no_members() -> None:
    assert members(b'<a><entry uri="sip:bob@example.org"/></a>', "") == NOBODY
    assert NOBODY.has(BOB) is False


def test_the_references_of_a_list_are_told() -> None:
    assert members(DOCUMENT, "resource-lists/list[@name='more']").references == {"http://x/a", "resource-lists/users/a/b"}


def test_prefixes_are_those_of_the_query() -> None:
    query = "xmlns(l=urn:ietf:params:xml:ns:resource-lists)"
    assert members(DOCUMENT, "l:resource-lists/l:list[1]/l:list", query).has(CAROL) is True


# Together


def test_a_union_follows_references_and_ends() -> None:
    lists = {
        "a": Members(frozenset({BOB}), frozenset({"b", "c"})),
        "b": Members(frozenset({CAROL}), frozenset({"a", "b"})),
        "c": Members(frozenset({DAVE})),
    }
    found = external_list.union("a", lambda anchor: lists[anchor])
    assert found == Members(frozenset({BOB, CAROL, DAVE}))
    lists["c"] = UNKNOWN
    assert external_list.union("b", lambda anchor: lists[anchor]).is_complete is False


def test_a_chain_without_end_is_left() -> None:
    asked: list[str] = []

    def find(anchor: str) -> Members:
        asked.append(anchor)
        return Members(frozenset(), frozenset({f"{anchor}+"}))

    assert external_list.union("a", find).has(BOB) is None
    assert len(asked) <= MAX_LISTS + 1


@given(st.dictionaries(st.integers(0, 6), st.frozensets(st.integers(0, 6), max_size=3), min_size=7))
def test_a_union_has_whom_it_can_reach(graph: dict[int, frozenset[int]]) -> None:
    """Compared with the closure by brute force."""
    reached = {0}
    for _ in graph:
        reached |= {other for each in reached for other in graph[each]}
    lists = {str(each): Members(frozenset({f"sip:{each}"}), frozenset(map(str, others))) for each, others in graph.items()}
    assert external_list.union("0", lists.__getitem__).uris == {f"sip:{each}" for each in reached}
