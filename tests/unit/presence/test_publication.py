"""What a PUBLISH does, and its entity-tags: kemi/presence/publication.py, RFC 3903 section 6."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.errors import BadRequest
from kemi.presence.publication import Operation, entity_tag_for, entity_tag_of, operation_of
from tests.unit.values import PUBLISH

SECRET = b"secret"


@pytest.mark.rfc("PUB-004")
@pytest.mark.rfc("PUB-005")
@pytest.mark.rfc("PUB-006")
@pytest.mark.rfc("PUB-019")
@pytest.mark.parametrize(
    ("entity_tag", "has_body", "lifetime", "operation"),
    [
        (None, True, 600, Operation.CREATE),
        (None, True, 0, Operation.NOTHING),
        ("a", False, 600, Operation.REFRESH),
        ("a", True, 600, Operation.MODIFY),
        ("a", False, 0, Operation.REMOVE),
        ("a", True, 0, Operation.REMOVE),
    ],
)
def test_the_table_of_operations(entity_tag: str | None, has_body: bool, lifetime: int, operation: Operation) -> None:
    assert operation_of(entity_tag, has_body, lifetime) is operation


@pytest.mark.rfc("PUB-014")
@pytest.mark.parametrize("lifetime", [0, 600])
def test_neither_entity_tag_nor_body(lifetime: int) -> None:
    with pytest.raises(BadRequest):
        operation_of(None, False, lifetime)


@pytest.mark.rfc("PUB-016")
@pytest.mark.parametrize(
    ("value", "tag"), [(None, None), ("a", "a"), (" dx200xyz\t", "dx200xyz"), ("*", "*"), ("a.!%*_+`'~-", "a.!%*_+`'~-")]
)
def test_an_entity_tag_is_one_token(value: str | None, tag: str | None) -> None:
    assert entity_tag_of(value) == tag


@pytest.mark.rfc("PUB-016")
@pytest.mark.parametrize("value", ["", " ", "a b", "a,b", '"a"', "a;b", "<a>", "W/a", "ä", "a\x00"])
def test_what_is_not_one_entity_tag(value: str) -> None:
    with pytest.raises(BadRequest):
        entity_tag_of(value)


# The tag of the answer


IDENTITY: dict[str, st.SearchStrategy[Any]] = {
    "call_id": st.text("abc@.1", min_size=1, max_size=8),
    "from_tag": st.text("abc1", max_size=4),
    "from_uri": st.sampled_from(["sip:a@example.org", "sip:b@example.org"]),
    "uri": st.sampled_from(["sip:a@example.org", "sip:b@example.org"]),
    "cseq": st.integers(0, 2**31 - 1),
    "branch": st.text("z9hG4bK1", min_size=1, max_size=6),
    "entity_tag": st.none() | st.text("ab1", min_size=1, max_size=4),
    "source_address": st.sampled_from(["192.0.2.1", "192.0.2.10"]),
    "source_port": st.integers(1, 65535),
    "body": st.binary(max_size=6) | st.text("0123456789", max_size=4).map(str.encode),
}


@pytest.mark.rfc("PUB-011")
@given(st.fixed_dictionaries(IDENTITY))
def test_the_same_request_gets_the_same_tag(values: dict[str, Any]) -> None:
    request = PUBLISH._replace(**values)
    assert entity_tag_for(request, SECRET) == entity_tag_for(request._replace(), SECRET)


@pytest.mark.rfc("PUB-002")
@given(st.fixed_dictionaries(IDENTITY), st.fixed_dictionaries({}, optional=IDENTITY))
def test_another_request_gets_another_tag(values: dict[str, Any], changes: dict[str, Any]) -> None:
    one, other = PUBLISH._replace(**values), PUBLISH._replace(**(values | changes))
    assert (entity_tag_for(one, SECRET) == entity_tag_for(other, SECRET)) == (one == other)


@pytest.mark.rfc("PUB-002")
def test_where_one_value_ends_and_the_next_begins_counts() -> None:
    one = PUBLISH._replace(source_port=50, body=b"60 bottles")
    other = PUBLISH._replace(source_port=5060, body=b" bottles")
    assert entity_tag_for(one, SECRET) != entity_tag_for(other, SECRET)


@pytest.mark.rfc("SEC-002")
def test_a_tag_cannot_be_worked_out_without_the_secret() -> None:
    tag = entity_tag_for(PUBLISH, SECRET)
    assert tag != entity_tag_for(PUBLISH, b"other")
    assert len(bytes.fromhex(tag)) >= 8


@given(st.fixed_dictionaries(IDENTITY))
def test_a_tag_is_a_token(values: dict[str, Any]) -> None:
    tag = entity_tag_for(PUBLISH._replace(**values), SECRET)
    assert entity_tag_of(tag) == tag
