"""What README.md, CHANGELOG.md and docs/ say is compared with the program, and what they tell people to type is run."""

import os
import re
import shutil
import sqlite3
import subprocess
import tomllib
from dataclasses import Field
from pathlib import Path

import pytest

from kemi import database, errors, parameters, schema, settings, startup
from kemi.presence import pidf
from kemi.presence.publication import Operation

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PARAMETERS = parameters.known()
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("KP_")}


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text()) if found == language]


def rows(page: Path, header: str) -> list[list[str]]:
    """The cells of the table under this header line."""
    lines = page.read_text().split(f"{header}\n", 1)[1].splitlines()[1:]
    table = lines[: next((index for index, line in enumerate(lines) if not line.startswith("|")), None)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def allowed(parameter: Field[object]) -> str:
    if "choices" in parameter.metadata:
        return ", ".join(parameter.metadata["choices"])
    if "uris" in parameter.metadata:
        return "a SIP URI" if parameter.metadata["uris"] == 1 else "SIP URIs"
    if "pattern" in parameter.metadata:
        return str(parameter.metadata["pattern"][1])
    return " to ".join(str(number) for number in dict.fromkeys(parameter.metadata["range"]))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_every_parameter_is_described_as_it_is() -> None:
    table = rows(DOCS / "configuring.md", "| parameter | default | allowed | unit | run time | meaning |")
    told = {name.strip("`"): tuple(cells) for name, *cells, _meaning in table}
    assert told == {
        name: (
            "" if parameter.default == () else str(parameter.default),
            allowed(parameter),
            parameter.metadata["unit"],
            "yes" if parameter.metadata["runtime"] else "no",
        )
        for name, parameter in PARAMETERS.items()
    }
    assert all(meaning for *_, meaning in table)


def test_defaults_told_are_those_of_the_file_that_operators_edit() -> None:
    found = settings.load({}, ROOT / "kamailio.cfg")
    for name, parameter in PARAMETERS.items():
        group, _, field = name.partition(".")
        assert getattr(getattr(found, group), field) == parameter.default, name


@pytest.mark.parametrize("page", [README, DOCS / "configuring.md"], ids=lambda page: page.name)
def test_every_variable_is_described(page: Path) -> None:
    known = set(re.findall(r"\bKP_[A-Z_]+\b", (ROOT / "kamailio.cfg").read_text()))
    known |= set(settings.load({}, ROOT / "kamailio.cfg").environment()) | {"KP_SET", "KP_DEFINES", "KP_CONFIGURATION"}
    told = [name for first, *_ in rows(page, "| variable | default | meaning |") for name in re.findall(r"KP_[A-Z_]+", first)]
    assert sorted(told) == sorted(known)


@pytest.mark.parametrize("page", [README, DOCS / "configuring.md"], ids=lambda page: page.name)
def test_defaults_of_variables_are_true(page: Path) -> None:
    true = settings.load({}, ROOT / "kamailio.cfg").environment()
    true |= {"KP_VAR": "var", "KP_DB_URL": "SQLite in `KP_VAR`", "KP_TRUSTED": "empty"}
    for name, default, *_ in rows(page, "| variable | default | meaning |"):
        if name.strip("`") in true and default:
            assert default == true[name.strip("`")], name


def test_every_status_and_operation_is_explained() -> None:
    text = (DOCS / "tracing.md").read_text()
    told = {int(first) for first, _ in rows(DOCS / "tracing.md", "| status | reason, and what to do |")}
    assert {kind.status for kind in errors.SipError.__subclasses__()} <= told
    for word in ("created", "fetched", "refreshed", "ended", "rejected", "expired", "removed"):
        assert f"`subscription {word}:" in text
    for operation in Operation:
        assert f"`publication {operation.value}:`" in text


def test_limits_of_documents_are_true() -> None:
    text = (DOCS / "security.md").read_text()
    assert f"{pidf.MAX_ELEMENTS}, {pidf.MAX_ATTRIBUTES}, {pidf.MAX_DECLARATIONS} in a document" in text
    assert f"| depth of elements | {pidf.MAX_DEPTH} |" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_named_is_there(page: Path) -> None:
    text = page.read_text()
    code = [text for _, text in FENCE.findall(text)] + re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    named = {target for part in code for target in re.findall(r"\bmake ([a-z][a-z-]*)", part)}
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_page_and_a_heading_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_files_that_are_there(page: Path) -> None:
    for name in re.findall(r"`((?:kemi|sql|tests|packages|requirements|bench|demo|docs)/[\w./-]*)`", page.read_text()):
        assert (ROOT / name).exists(), name


COMMANDS = [(page, text) for page in PAGES for text in blocks(page, "sh")]


@pytest.mark.parametrize(("page", "text"), COMMANDS, ids=[f"{page.name}: {text.splitlines()[0]}" for page, text in COMMANDS])
def test_every_command_of_a_page_runs(page: Path, text: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", text], cwd=ROOT, env={**ENVIRONMENT, "KP_VAR": str(tmp_path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["tracing.md", "migrating.md"])
def test_every_query_of_a_page_runs_on_the_schema(name: str, tmp_path: Path) -> None:
    found = settings.load({"KP_VAR": str(tmp_path)}, ROOT / "kamailio.cfg")
    made = database.connect(found)
    schema.migrate(made)
    made.close()
    queries = blocks(DOCS / name, "sql")
    assert queries
    connection = sqlite3.connect(tmp_path / "presence.db")
    for query in queries:
        connection.executescript(query)
    connection.close()


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    (unit,) = blocks(DOCS / "installing.md", "ini")
    assert " ".join(startup.MEMORY) in (DOCS / "installing.md").read_text()
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    file = tmp_path / "kemi-presence.service"
    file.write_text(unit.replace("/opt/kemi-presence", str(ROOT)))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert "kemi-presence.service" not in done.stdout + done.stderr, done.stderr


def test_the_demo_tells_what_the_readme_shows() -> None:
    done = subprocess.run(
        [ROOT / ".venv/bin/python", ROOT / "demo/play.py"],
        cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    line = re.compile(r"^ *\d+\.\d s  (.+)$", re.MULTILINE)
    assert sorted(line.findall(done.stdout)) == sorted(line.findall(README.read_text()))  # a NOTIFY may overtake the 200


def test_the_newest_release_in_the_changelog_is_this_one() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
