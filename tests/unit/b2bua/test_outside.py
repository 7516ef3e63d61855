"""What an outgoing subscription takes of the operator: passwords, header lines."""

from dataclasses import replace
from pathlib import Path

import pytest

from kemi.b2bua.credentials import Secret
from kemi.b2bua.outside import ourselves, read_secrets
from kemi.errors import ConfigurationError
from kemi.parameters import B2buaSettings
from tests.unit.values import settings_of


def test_passwords_stand_in_lines(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("# realm user password\n\nfar.example.net ours s3cr3t\n* any other\n")
    assert read_secrets(str(file)) == (Secret("far.example.net", "ours", "s3cr3t"), Secret("*", "any", "other"))
    assert read_secrets("") == ()


@pytest.mark.parametrize("text", ["two words\n", "far ours pass word\n", None])
def test_a_file_that_cannot_be_used_is_told_without_its_passwords(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "passwords"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError) as problem:
        read_secrets(str(file))
    assert "word" not in str(problem.value).replace(str(file), "").replace("password", "")


@pytest.mark.parametrize("written", ["X-One: 1\\r\\nX-Two: 2", "X-One: 1\r\nX-Two: 2\r\n", "X-One: 1\nX-Two: 2"])
def test_more_header_lines_may_be_written_in_any_way(written: str) -> None:
    settings = replace(settings_of(), b2b=B2buaSettings(additional_presence_headers=written))
    assert ourselves(settings, "us").headers == "X-One: 1\r\nX-Two: 2\r\n"
