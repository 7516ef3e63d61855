"""Refusals and the answers that they become: kemi/errors.py."""

import re
from collections.abc import Iterator

import pytest

from kemi import errors
from kemi.errors import SipError


def every_refusal(kind: type[SipError] = SipError) -> Iterator[type[SipError]]:
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from every_refusal(below)


@pytest.mark.parametrize(
    ("refusal", "status", "headers"),
    [
        (errors.MethodNotAllowed(["A", "B"]), 405, (("Allow", "A, B"),)),
        (errors.NotAcceptable(["a/b", "c/d"]), 406, (("Accept", "a/b, c/d"),)),
        (errors.UnsupportedMediaType("x", ["a/b"]), 415, (("Accept", "a/b"),)),
        (errors.UnsupportedMediaType("x", ["a/b"], "identity"), 415, (("Accept", "a/b"), ("Accept-Encoding", "identity"))),
        (errors.BadExtension(["100rel", "x"]), 420, (("Unsupported", "100rel, x"),)),
        (errors.IntervalTooBrief(60), 423, (("Min-Expires", "60"),)),
        (errors.BadEvent(["presence"]), 489, (("Allow-Events", "presence"),)),
        (errors.ServiceUnavailable("x", 5), 503, (("Retry-After", "5"),)),
    ],
)
def test_header_fields_that_a_status_needs(refusal: SipError, status: int, headers: tuple[tuple[str, str], ...]) -> None:
    assert (refusal.status, refusal.headers) == (status, headers)


def test_the_tree_on_top_of_the_module_shows_every_refusal_with_its_status() -> None:
    drawn = {(name, int(status)) for name, status in re.findall(r"\|- (\w+) (\d{3})", errors.__doc__ or "")}
    assert drawn == {(kind.__name__, kind.status) for kind in every_refusal()}


def test_every_refusal_has_a_reason_of_its_own_and_says_what_it_is_for() -> None:
    kinds = list(every_refusal())
    assert len({kind.reason for kind in kinds}) == len(kinds)
    assert all(kind.__doc__ and kind.__doc__.startswith(f"{kind.status}") for kind in kinds)


def test_a_refusal_without_detail_says_its_reason() -> None:
    assert str(errors.Forbidden()) == "Forbidden"
    assert str(errors.Forbidden("not you")) == "not you"
    assert errors.Forbidden().detail == ""
