"""What make conformance counts as covered, and what it says is wrong."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests import conformance
from tests.conformance import Line

LINES = {
    "PUB-001": Line("PUB-001", "MUST", "Initial publication", "PUB PUBLISH"),
    "PUB-002": Line("PUB-002", "MUST", "A new entity-tag", "PUB PUBLISH"),
    "SEC-001": Line("SEC-001", "SHOULD", "Identity [proved]", "SEC Security"),
}
COVERED = {"PUB-001": [Path("tests/test_a.py")]}


def shown(covered: dict[str, list[Path]], exceptions: dict[str, str]) -> str:
    """What is printed where there is no terminal."""
    text = io.StringIO()
    conformance.show(Console(file=text, width=120), LINES, covered, exceptions)
    return text.getvalue()


def test_marks_are_found_wherever_they_stand() -> None:
    source = """
import pytest
pytestmark = [pytest.mark.sipp, pytest.mark.rfc("PUB-001")]

@pytest.mark.rfc("PUB-002", "PUB-003")
@pytest.mark.parametrize("value", [pytest.param(1, marks=pytest.mark.rfc("PUB-004"))])
def test_it(value): ...

class TestOthers:
    pytestmark = pytest.mark.rfc("PUB-005")

    @pytest.mark.rfc("PUB-006")
    async def test_it(self): ...
"""
    assert sorted(conformance.named_in(source)) == [f"PUB-00{number}" for number in range(1, 7)]


NO_MARKS = ('rfc("PUB-001")', 'pytest.mark.sipp("PUB-001")', "pytest.mark.rfc(*names)", "'pytest.mark.rfc(1)'")


@pytest.mark.parametrize("source", NO_MARKS)
def test_what_is_no_mark(source: str) -> None:
    assert conformance.named_in(source) == []


def test_lines_of_a_story() -> None:
    readme = "A rule.\n\nrfc: PA-001, PA-004\nset: pa.auth=none\nrfc: PA-005\n"
    assert conformance.named_by_story(readme) == ["PA-001", "PA-004", "PA-005"]
    assert conformance.named_by_story("A rule about rfc: PA-001\n") == []


def test_tests_and_stories_are_collected(tmp_path: Path) -> None:
    story = tmp_path / "sipp" / "fetch"
    story.mkdir(parents=True)
    (story / "README.md").write_text("A rule.\n\nrfc: PA-006, PUB-001\n")
    (tmp_path / "test_it.py").write_text('import pytest\n@pytest.mark.rfc("PUB-001")\ndef test(): ...\n')
    covered = conformance.collect(tmp_path)
    assert covered == {"PUB-001": [tmp_path / "test_it.py", story / "README.md"], "PA-006": [story / "README.md"]}


def test_unknown_names_are_errors() -> None:
    covered = COVERED | {"PUB-999": [Path("tests/test_b.py")]}
    wrong = conformance.unknown(LINES, covered, {"PUB-002": "later", "XYZ-001": "never"})
    by_test, by_exception = wrong
    assert by_test == "PUB-999 is not in the list; named by tests/test_b.py"
    assert by_exception == "XYZ-001 is not in the list; it is an exception"
    assert conformance.unknown(LINES, COVERED, {"PUB-002": "later"}) == []


def test_areas_are_counted_and_gaps_are_listed() -> None:
    text = shown(COVERED, {"PUB-002": "not served"})
    rows = [line.split() for line in text.splitlines()]
    assert ["PUB", "PUBLISH", "1", "1", "2"] in rows
    assert ["SEC", "Security", "0", "0", "1"] in rows
    assert ["all", "1", "1", "3"] in rows
    assert ["SEC-001", "SHOULD", "Identity", "[proved]"] in rows
    assert ["PUB-002", "not", "served"] in rows
    assert "not covered: PUB PUBLISH" not in text


def test_no_escape_sequences_without_a_terminal() -> None:
    assert "\x1b" not in shown(COVERED, {})


def test_what_is_covered_is_not_left_out() -> None:
    assert ["all", "1", "0", "3"] in [line.split() for line in shown(COVERED, {"PUB-001": "not served"}).splitlines()]


def test_every_line_of_the_list_is_complete_and_every_exception_has_a_reason() -> None:
    lines = conformance.read_lines(conformance.ROOT / "docs" / "conformance.tsv")
    assert len(lines) == 398
    for line in lines.values():
        assert line.strength in ("MUST", "SHOULD", "MAY")
        assert line.name.partition("-")[0] == line.area.partition(" ")[0]
        assert 0 < len(line.summary) <= 90
    exceptions = conformance.read_exceptions(conformance.ROOT / "docs" / "conformance-exceptions.tsv")
    assert set(exceptions) <= set(lines)
    assert all(exceptions.values())


def test_an_unknown_name_ends_with_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(conformance, "collect", lambda tests: {"PUB-999": [tests / "test_it.py"]})
    assert conformance.main() == 1
    assert "PUB-999 is not in the list" in capsys.readouterr().err


def test_the_tests_name_only_known_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert conformance.main() == 0, capsys.readouterr().err
