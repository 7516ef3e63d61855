"""The refusals of the XCAP server: status, header fields, and the body of a conflict."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.xcap import errors
from kemi.xcap.errors import Conflict, Exists, Extension, NoParent, UniquenessFailure, XcapError

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "xcap-error.xsd"))
XCAP = f"{{{errors.NAMESPACE}}}"

PHRASED = (
    errors.NotWellFormed, errors.NotUtf8, errors.NotXmlFrag, errors.NotXmlAttValue, errors.SchemaValidationError,
    errors.ConstraintFailure, errors.CannotInsert, errors.CannotDelete, NoParent,
)  # fmt: skip


def element_of(conflict: Conflict) -> etree._Element:
    root = etree.fromstring(conflict.body())
    SCHEMA.assertValid(root)
    (element,) = root
    return element


@pytest.mark.rfc("XCS-020")
@pytest.mark.parametrize("kind", PHRASED, ids=lambda kind: kind.element)
def test_a_conflict_has_a_body_with_its_error_element(kind: type[Conflict]) -> None:
    element = element_of(kind('a "phrase" & <more>'))
    assert (kind.status, element.tag, element.get("phrase")) == (409, XCAP + kind.element, 'a "phrase" & <more>')


@pytest.mark.rfc("XCS-020")
@pytest.mark.parametrize("kind", PHRASED, ids=lambda kind: kind.element)
def test_the_phrase_is_optional(kind: type[Conflict]) -> None:
    assert element_of(kind()).attrib == {}


@pytest.mark.rfc("XCS-013")
def test_no_parent_names_the_ancestor() -> None:
    element = element_of(NoParent("no list", "/xcap/resource-lists/users/sip:a@b/index/~~/resource-lists?xmlns(a=b&c)"))
    assert [(child.tag, child.text) for child in element] == [
        (XCAP + "ancestor", "/xcap/resource-lists/users/sip:a@b/index/~~/resource-lists?xmlns(a=b&c)")
    ]


def test_a_uniqueness_failure_names_each_field_with_free_values() -> None:
    found = [Exists("rls-services/service/@uri", ("sip:a@b", 'sip:"c" <d>')), Exists("x")]
    element = element_of(UniquenessFailure(found, "twice"))
    assert [(child.get("field"), [value.text for value in child]) for child in element] == [
        ("rls-services/service/@uri", ["sip:a@b", 'sip:"c" <d>']),
        ("x", []),
    ]
    assert element.get("phrase") == "twice"


def test_an_extension_carries_an_element_of_its_own() -> None:
    element = element_of(Extension('<quota xmlns="urn:q" left="0"/>', "for the log"))
    assert [child.tag for child in element] == ["{urn:q}quota"]


@pytest.mark.rfc("XCS-020")
@settings(deadline=None)
@given(st.text(), st.text(), st.lists(st.text(), min_size=1))
def test_whatever_text_it_carries_the_body_stays_valid(phrase: str, field: str, alternatives: list[str]) -> None:
    element_of(errors.CannotInsert(phrase))
    element_of(UniquenessFailure([Exists(field, tuple(alternatives))], phrase))


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (errors.BadRequest(), 400, ()),
        (errors.NotFound(), 404, ()),
        (errors.MethodNotAllowed(["GET", "PUT"]), 405, (("Allow", "GET, PUT"),)),
        (errors.PreconditionFailed(), 412, ()),
        (errors.ContentTooLarge(), 413, ()),
        (errors.UnsupportedMediaType(), 415, ()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, XcapError) else "",
)
def test_a_refusal_says_its_status_and_header_fields(error: XcapError, status: int, headers: tuple[tuple[str, str], ...]) -> None:
    assert (error.status, error.headers) == (status, headers)
    assert str(error) == error.reason


def test_a_refusal_is_told_in_one_line() -> None:
    told = {
        errors.NotFound("there is no such document").words(): "404 Not Found: there is no such document",
        errors.PreconditionFailed().words(): "412 Precondition Failed",
        errors.NotUtf8().words(): "409 not-utf-8",
        errors.SchemaValidationError("line 3: element").words(): "409 schema-validation-error: line 3: element",
        NoParent("no such list", "/root/index").words(): "409 no-parent: no such list: what is there is /root/index",
        NoParent("no such list").words(): "409 no-parent: no such list",
        UniquenessFailure([Exists("a/@uri", ("x", "y")), Exists("b/@uri")], "taken").words(): (
            "409 uniqueness-failure: taken: a/@uri, b/@uri; free: x, y"
        ),
    }
    assert list(told) == list(told.values())
