"""What docs/packages.md says of packages is true, and the package that it shows is one."""

import re
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from kemi import packages
from kemi.errors import UnsupportedMediaType
from kemi.event_package import STANDARD_INTERVAL, Decision, EventPackage
from tests.unit.values import settings_of
from tests.verbs.world import World, same_for_all

PAGE = (Path(__file__).parents[3] / "docs" / "packages.md").read_text()
NAME = "waiting-callers"


def rows(header: str) -> list[list[str]]:
    lines = PAGE.split(f"{header}\n", 1)[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world that serves the packages of this program and the one on the page."""
    (text,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "waiting_callers.py").write_text(text)
    monkeypatch.setattr(packages, "__path__", [*packages.__path__, str(folder)])
    packages._all.cache_clear()
    world = World(f"sqlite:///{tmp_path}/presence.db", notify_interval=0).empty()
    world.packages = packages.served(world.settings)
    yield world
    world.close()
    packages._all.cache_clear()
    sys.modules.pop("kemi.packages.waiting_callers", None)
    vars(packages).pop("waiting_callers", None)


def test_the_packages_told_are_those_that_are_served() -> None:
    served = packages.served(settings_of(watcherinfo_notify=0))
    told = rows("| Event | body of NOTIFY | body of PUBLISH | default expiry | least interval | RFC |")
    assert {name: tuple(cells) for name, *cells, _rfc in told} == {
        name: (
            package.produces[0],
            package.consumes[0] if package.consumes else "none",
            f"{package.default_expires} s" if package.default_expires else "pa.default_expires",
            f"{package.minimum_interval} s" if package.minimum_interval < STANDARD_INTERVAL else "pa.notify_interval",
        )
        for name, package in served.items()
        if not package.is_list
    }


def test_every_field_of_a_package_is_explained() -> None:
    assert [name for name, _ in rows("| field | meaning |")] == [each.name for each in fields(EventPackage)]


@pytest.mark.rfc("PA-062")
def test_the_package_on_the_page_is_served_by_being_there(example: World) -> None:
    assert list(example.packages)[:1] == ["presence"]
    assert {NAME, f"{NAME}.winfo"} <= set(example.packages)
    accepted = example.subscribe(event=f"{NAME};unknown=1", expires=None)
    assert accepted.header("Expires") == "3600"
    (first,) = accepted.sent
    assert "Content-Type: text/plain\r\n" in first.headers
    assert first.body == "0\r\n"
    assert example.answer(first) == []
    tag = example.publish(b"7", event=NAME, content_type="text/plain").tag
    (told,) = example.notifier()
    assert (told.id, told.body) == (first.id, "7\r\n")
    assert example.answer(told) == []
    example.publish(b" 7 ", tag, event=NAME, content_type="text/plain")
    assert example.notifier() == []


@pytest.mark.rfc("PA-062")
def test_the_package_on_the_page_keeps_its_word_about_bodies_and_polite_blocking(example: World) -> None:
    with pytest.raises(UnsupportedMediaType):
        example.publish(b"many", event=NAME, content_type="text/plain")
    example.publish(b"7", event=NAME, content_type="text/plain")
    example.packages[NAME] = replace(example.packages[NAME], authorize=same_for_all(Decision.POLITE_BLOCK))
    (first,) = example.subscribe(event=NAME).sent
    assert first.body == "0\r\n"
