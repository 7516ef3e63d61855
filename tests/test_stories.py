"""Every story of tests/sipp, played by SIPp against the running server, on both database engines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.repetitions import SLOW
from tests.server import Server
from tests.sipp.story import Story, play, read_all

STORIES = read_all(Path(__file__).resolve().parent / "sipp")


def _parameter(story: Story) -> object:
    """A story as a parameter of the test, with the marks its README asks for."""
    marks = [pytest.mark.rfc(*story.rfc)] if story.rfc else []
    if story.slow:
        marks.append(pytest.mark.skipif(not SLOW, reason=f"{story.slow}; SLOW=1 plays it"))
    return pytest.param(story, id=story.name, marks=marks)


@pytest.fixture(scope="module")
def server_for(
    server: Server, new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Story], Server]]:
    """Gives each story its server: the shared one, or one with its settings, kept for the next that asks for the same."""
    own: dict[tuple[tuple[str, str], ...], Server] = {}

    def stop() -> None:
        while own:
            own.popitem()[1].stop()

    def choose(story: Story) -> Server:
        if not story.variables:
            return server
        if story.variables not in own:
            stop()
            folder = tmp_path_factory.mktemp("server")
            variables = {"KP_DB_URL": new_database(folder), **dict(story.variables)}
            own[story.variables] = Server(variables, folder)
            own[story.variables].start()
        return own[story.variables]

    yield choose
    stop()


@pytest.mark.sipp
@pytest.mark.parametrize("story", [_parameter(story) for story in STORIES])
def test_the_server_plays_its_part_in_the_story(story: Story, server_for: Callable[[Story], Server], tmp_path: Path) -> None:
    server = server_for(story)
    for address, password in story.users:
        server.control("user", "add", address, "--password", password)
    play(story, server, tmp_path)


def test_every_story_says_what_it_shows() -> None:
    for story in STORIES:
        assert story.rule.endswith("."), story.name
        assert story.scenarios, story.name
