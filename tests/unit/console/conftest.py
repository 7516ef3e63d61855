"""presencectl in a working directory of its own."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kemi import console, database, settings
from kemi.database import Database

Run = Callable[..., Result]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kamailio.cfg in a working directory of its own, and no KP_ variable from outside."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KP_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "kamailio.cfg"
    path.write_text("#!KAMAILIO\n")
    return path


@pytest.fixture
def run(configuration: Path) -> Run:
    """Runs presencectl with this configuration."""

    def invoke(*arguments: str, text: str | None = None, **environment: str) -> Result:
        return CliRunner(env=environment).invoke(
            console.main, ["--configuration", str(configuration), *arguments], input=text, prog_name="presencectl"
        )

    return invoke


@pytest.fixture
def free_port() -> str:
    """Nobody listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        return str(reserved.getsockname()[1])


@pytest.fixture
def control(run: Run, free_port: str) -> Run:
    """Runs presencectl on a database that is there, without a server."""

    def invoke(*arguments: str, **environment: str) -> Result:
        return run(*arguments, **({"KP_PORT": free_port} | environment))

    assert invoke("migrate").exit_code == 0
    return invoke


@pytest.fixture
def rows(control: Run, configuration: Path) -> Iterator[Database]:
    """A connection to that database."""
    connection = database.connect(settings.load({}, configuration))
    yield connection
    connection.close()
