"""Whatever lists refer to, expansion ends, and is what a naive reading of RFC 4826 section 4.5 gives: documents made at random."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemi.rls.expansion import BadGateway, CannotExpand, Limits
from kemi.rls.reference import Source
from tests.unit.rls.lists import ALICE, Library, anchor, entry, external, flat, listed, lists, path, reference, selector, uris

NUMBERS = st.integers(0, 3)
"""Of documents; all but the last are there."""

USERS = {f"u{each}": (f"sip:u{each}@example.org", f"u{each}%40example.org", f"sip:u{each}@EXAMPLE.ORG") for each in range(4)}

ENTRIES = st.tuples(st.just("entry"), st.sampled_from(sorted(USERS)), st.integers(0, 2))
REFERENCES = st.tuples(st.just("entry-ref"), NUMBERS, st.integers(1, 3))
EXTERNALS = st.tuples(st.just("external"), NUMBERS, st.just(0))
LEAVES = ENTRIES | ENTRIES | REFERENCES | EXTERNALS
Node = tuple[str, object, object]
NODES = st.recursive(LEAVES, lambda inside: st.tuples(st.just("list"), st.lists(inside, max_size=3), st.just(0)), max_leaves=6)
CONTENTS = st.lists(NODES, max_size=4)


def written(node: Node) -> str:
    match node:
        case ("entry", str(user), int(spelling)):
            return entry(USERS[user][spelling], user)
        case ("entry-ref", number, position):
            return reference(path(ALICE, f'list[@name="it"]/entry[{position}]', f"d{number}"))
        case ("external", number, _):
            return external(anchor(ALICE, 'list[@name="it"]', f"d{number}"))
        case (_, list(inside), _):
            return listed("inner", *map(written, inside))
    raise AssertionError(node)


class Loop(Exception):
    """A list is named twice."""


def naive(nodes: list[Node], documents: list[list[Node]], named: set[object]) -> Iterator[str]:
    """Users in the order of the RFC, as often as they occur."""
    for kind, what, more in nodes:
        if kind == "entry":
            yield str(what)
        elif kind == "list":
            assert isinstance(what, list)
            yield from naive(what, documents, named)
        elif kind == "entry-ref":
            assert isinstance(what, int)
            assert isinstance(more, int)
            entries = [node for node in documents[what] if node[0] == "entry"] if what < len(documents) else []
            yield from (str(node[1]) for node in entries[more - 1 : more])
        else:
            assert isinstance(what, int)
            if what in named:
                raise Loop
            named.add(what)
            yield from naive(documents[what] if what < len(documents) else [], documents, named)


@given(st.lists(CONTENTS, min_size=3, max_size=3), CONTENTS)
@settings(max_examples=150, deadline=None)
@pytest.mark.rfc("RLS-013", "RLS-014", "RLS-021")
def test_expansion_is_what_the_rfc_says(documents: list[list[Node]], nodes: list[Node]) -> None:
    bodies: dict[Source, bytes | None] = {
        selector(ALICE, f"d{at}"): lists(listed("it", *map(written, each))) for at, each in enumerate(documents)
    }
    library = Library(bodies)
    try:
        expected = list(dict.fromkeys(naive(nodes, documents, set())))
    except Loop:
        with pytest.raises(BadGateway):
            flat(library, *map(written, nodes))
        return
    found = flat(library, *map(written, nodes))
    assert [each.resource for each in found.members] == [USERS[each][0] for each in expected]
    assert [each.names[0][1] for each in found.members] == expected
    assert len(set(library.asked)) == len(library.asked)
    assert tuple(library.asked) == found.documents


@given(st.lists(CONTENTS, min_size=3, max_size=3), CONTENTS, st.integers(0, 5), st.integers(0, 2), st.integers(0, 2))
@settings(max_examples=100, deadline=None)
@pytest.mark.rfc("RLS-021")
def test_no_expansion_exceeds_its_limits(
    documents: list[list[Node]], nodes: list[Node], entries: int, levels: int, most: int
) -> None:
    library = Library({selector(ALICE, f"d{at}"): lists(listed("it", *map(written, each))) for at, each in enumerate(documents)})
    with suppress(CannotExpand):
        assert len(uris(flat(library, *map(written, nodes), limits=Limits(entries, levels, most)))) <= entries
    assert len(library.asked) <= most
