"""The configurations in examples/: each is started and played against by SIPp, on both database engines.

tests/examples/ has the stories, written as those in tests/sipp/; which example one is for, and its settings, stand in its README.
Two configurations there do what docs/functions.md says besides.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemi import settings
from tests.ports import free_port
from tests.server import ROOT, Server
from tests.sipp.story import Story, play, read_all
from tests.useragent import UserAgent

EXAMPLES = sorted((ROOT / "examples").glob("*.cfg"))
STORIES = read_all(Path(__file__).resolve().parent / "examples")
FUNCTIONS = ROOT / "docs" / "functions.md"


@pytest.fixture(scope="module")
def presence_server(server: Server) -> str:
    """The address of a presence server with the configuration that operators get, for the one that forwards."""
    return "{}:{}".format(*server.address)


@pytest.fixture(scope="module")
def server_for(
    presence_server: str, new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Story], Server]]:
    """Gives each story a server with its example, kept for the next story that asks for the same."""
    running: dict[tuple[tuple[str, str], ...], Server] = {}

    def stop() -> None:
        while running:
            running.popitem()[1].stop()

    def choose(story: Story) -> Server:
        if story.variables not in running:
            stop()
            folder = tmp_path_factory.mktemp("example")
            given = {"KP_DB_URL": new_database(folder), "KP_PRESENCE_SERVER": presence_server, **dict(story.variables)}
            running[story.variables] = Server(given, folder).start()
        return running[story.variables]

    yield choose
    stop()


@pytest.mark.sipp
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_example_plays_its_part_in_the_story(story: Story, server_for: Callable[[Story], Server], tmp_path: Path) -> None:
    server = server_for(story)
    for address, password in story.users:
        server.control("user", "add", address, "--password", password)
    play(story, server, tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_is_played(example: Path) -> None:
    played = {dict(story.variables)["KP_CONFIGURATION"] for story in STORIES}
    assert example.relative_to(ROOT).as_posix() in played
    assert f"`{example.name}`" in (ROOT / "examples" / "README.md").read_text()


@pytest.mark.parametrize(
    ("example", "parameter", "value"),
    [("full", "max_publish_expiration", 300), ("full", "min_expires", 60), ("no-authorization", "presentities", "subscriber")],
)
def test_parameters_are_read_where_the_example_sets_them(example: str, parameter: str, value: object, tmp_path: Path) -> None:
    """Beside those of the file that it includes; what it does not set has its default."""
    found = settings.load({"KP_VAR": str(tmp_path)}, ROOT / "examples" / f"{example}.cfg")
    assert getattr(found.pa, parameter) == value
    assert found.environment() == settings.load({"KP_VAR": str(tmp_path)}, ROOT / "kamailio.cfg").environment()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_presencectl_checks_an_example(example: Path, tmp_path: Path) -> None:
    Server({"KP_CONFIGURATION": str(example)}, tmp_path).control("check")


# docs/functions.md


def functions() -> set[str]:
    """The methods that scripts call."""
    scripts = (
        node
        for name in ("ser.py", "ser_lists.py", "ser_xcap.py")
        for node in ast.parse((ROOT / "kemi" / name).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == "Script"
    )
    methods = (node for script in scripts for node in script.body if isinstance(node, ast.FunctionDef))
    return {node.name for node in methods if not node.name.startswith("_")}


def test_every_function_is_described_and_no_other() -> None:
    text = FUNCTIONS.read_text()
    rows = re.findall(r"^\| `(\w+)` \|", text.partition("| function |")[2].partition("\n\n")[0], re.MULTILINE)
    assert sorted(rows) == sorted(functions())
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == functions()


@pytest.mark.parametrize("page", [FUNCTIONS, *EXAMPLES], ids=lambda page: page.name)
def test_what_is_called_is_there(page: Path) -> None:
    handler = (ROOT / "kemi" / "handler.py").read_text()
    called = set(re.findall(r'python_exec\("(\w+)"', page.read_text()))
    assert {name for name in called - functions() if f"def {name}(" not in handler} == set()


@pytest.mark.timeout(60)
def test_the_whole_file_to_begin_with_serves(start_server: Callable[..., Server], tmp_path: Path) -> None:
    """It is what operators start from who route themselves; presencectl has to reach the server."""
    (shown,) = re.findall(r"^```\n(#!KAMAILIO\n.*?)^```$", FUNCTIONS.read_text(), re.MULTILINE | re.DOTALL)
    port = str(free_port())
    file = tmp_path / "presence.cfg"
    file.write_text(shown.replace("/opt/kemi-presence", str(ROOT)).replace("5060", port))
    server = start_server({"KP_CONFIGURATION": str(file), "KP_PORT": port})
    bob = UserAgent(server.address, "bob")
    assert bob.subscribe("sip:alice@example.org").status == 200
    assert bob.notify().state == "pending"
    assert "the server is told" in server.control("authorize", "alice@example.org", "bob@example.org", "allow")
    assert bob.notify().state == "active"
    bob.close()


def test_the_script_in_python_is_the_one_that_is_played() -> None:
    (shown,) = re.findall(r"^```python\n(.*?)^```$", FUNCTIONS.read_text(), re.MULTILINE | re.DOTALL)
    played = (ROOT / "tests" / "examples" / "routing.py").read_text().partition("\n\n")[2]
    here = "str(Path(__file__).resolve().parents[2])"
    assert shown == played.replace("from pathlib import Path\n", "").replace(here, '"/opt/kemi-presence"')


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?:event_)?route\[([\w:-]+)\]",
        r'"shvset", "(\w+)=',
        r'"mqueue", "name=(\w+)',
        r'"htable", "(\w+)=>',
        r'"timer", "name=(\w+)',
        r'async_workers_group = "name=(\w+)',
    ],
)
def test_names_that_nobody_may_define_again_are_told(pattern: str) -> None:
    names = set(re.findall(pattern, (ROOT / "kemi-presence.cfg").read_text(), re.MULTILINE))
    text = FUNCTIONS.read_text()
    assert names
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_a_lost_connection_ends_its_registration(start_server: Callable[..., Server]) -> None:
    """The events of connections reach the program in native routing too."""
    server = start_server({"KP_CONFIGURATION": "examples/full.cfg"})
    phone, watcher = UserAgent(server.address, "alice", transport="tcp"), UserAgent(server.address, "alice")
    answer = phone.request("REGISTER", "sip:example.org", f"Contact: <{phone.contact}>", to=f"<{phone.aor}>")
    assert answer.status == 200
    assert watcher.subscribe(watcher.aor).status == 200
    assert b"<basic>open</basic>" in watcher.notify().body
    phone.close()
    assert b"<basic>open</basic>" not in watcher.notify().body
    watcher.close()
